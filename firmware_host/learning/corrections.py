"""What users said of the events of their nights, as rows to learn from: features, verdict, and weight.

An event of a pile that was judged at a glance tells less than one that was looked at. The events of a spot
check, drawn at random, are the only ones that tell how right a model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_host.analysis import Run, load_run, row_columns, run_by
from firmware_host.analysis.labelled import named_now, nearest_pairs, said_of, site_slices
from firmware_host.analysis.spot_check import answers_of
from firmware_host.errors import NotFoundError
from firmware_host.recording import Night, ResultsStore, open_night
from firmware_host.recording.labels import Item, Labels, SpotCheck, read_labels
from firmware_host.twitches import Label, Table

Floats = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

MOST_OF_ONE = 20.0
"""Weight of all events that were judged by one decision."""
ANCHORS = 400
"""Of each night, half of them counted."""
BLOCK_S = 600.0
"""Events of one site and so long a time are alike: they are learnt from together, or tested on together."""


@dataclass(frozen=True)
class Corrections:
    """Labelled candidates of some nights, one row each."""

    rows: Table
    """The columns of `row_columns()`."""
    is_twitch: npt.NDArray[np.bool_]
    weight: Floats
    group: Int64
    """Rows of one number are of one unit, or of one site and time."""
    stands_for: Floats
    """How many events of its night a row of a spot check stands for; 0 for all other rows."""
    answer: npt.NDArray[np.bool_]
    """Whether it was called a twitch in a spot check, whatever was said later by who knew more."""
    anchors: Table
    """Candidates that nobody labelled, drawn evenly: the model that is corrected is believed about them."""
    passes: int
    """Of the runs."""
    nights: tuple[str, ...]
    not_found: int
    """What was said of times where no candidate is: it cannot be learnt from."""

    @property
    def random(self) -> npt.NDArray[np.bool_]:
        """Which rows were drawn at random."""
        return np.asarray(self.stands_for > 0)


def corrections_of(nights: Sequence[Path], model: str, model_sha256: str) -> Corrections:
    """Put together what was said of the events of some nights, each with its newest run by one model.

    Parameters
    ----------
    nights
        Their folders.
    model, model_sha256
        Whose runs are looked at: name, and the hash of the model's file.

    Raises
    ------
    NotFoundError
        If a night has no run of that model, or none has a label.
    """
    parts, anchors, columns, not_found, names, passes = [], [], row_columns(), 0, [], 1
    numbers: dict[str, int] = {}
    for path in dict.fromkeys(nights):
        night = open_night(path)
        info = run_by(path, model, model_sha256)
        run = load_run(night, info.run_id, with_labels=False)
        said = _Said(night, run, read_labels(path))
        not_found += said.not_found
        at = np.flatnonzero(said.spoken)
        if not len(at):
            continue
        names.append(path.name)
        passes = info.passes
        # The events of a night and its copy are alike, too.
        number = numbers.setdefault(run.summary.samples_sha256, len(numbers))
        silent, counted = ~said.spoken, run.events["counted"]
        both = [_evenly(np.flatnonzero(silent & (counted == kind))) for kind in (True, False)]
        rows = np.union1d(at, np.concatenate(both))
        stored = ResultsStore(path).read_events(run.info.run_id, columns)[rows]
        stored["site"] = run.events["site"][rows]  # as they are called now
        labelled = said.spoken[rows]
        anchors.append(stored[~labelled])
        parts.append((stored[labelled], said, at, _groups(run.events[at]) + number * 10**9))
    if not parts:
        raise NotFoundError(
            "None of these nights has a labelled event: label some in `twitchmap review` first."
        )
    _, group = np.unique(np.concatenate([group for *_, group in parts]), return_inverse=True)
    return Corrections(
        np.concatenate([stored for stored, *_ in parts]),
        np.concatenate([said.verdict[at] == Label.TWITCH for _, said, at, _ in parts]),
        np.concatenate([said.weight[at] for _, said, at, _ in parts]),
        group.astype(np.int64),
        np.concatenate([said.stands_for[at] for _, said, at, _ in parts]),
        np.concatenate([said.answer[at] for _, said, at, _ in parts]),
        np.concatenate(anchors),
        passes,
        tuple(names),
        not_found,
    )


def _evenly(rows: Int64) -> Int64:
    """Return half of `ANCHORS` of some rows, or all if there are no more."""
    return (
        rows[np.unique(np.linspace(0, max(len(rows) - 1, 0), ANCHORS // 2).astype(int))]
        if len(rows)
        else rows
    )


class _Said:
    """What was said of each event of a run: the last word, as counts follow it, and what it weighs."""

    def __init__(self, night: Night, run: Run, labels: Labels) -> None:
        n = len(run.events)
        self.verdict = np.zeros(n, np.uint8)
        self.weight = np.zeros(n)
        self.stands_for = np.zeros(n)
        self.answer = np.zeros(n, bool)
        self.not_found = 0
        self._slices = site_slices(run.events)
        self._peak_ns = run.summary.start_ns + np.rint(run.events["peak_s"] * 1e9).astype(np.int64)
        size = np.array([sum(map(len, label.peaks_ns.values())) for label in labels.active])
        for site, said in said_of(labels, night.meta).items():
            one, at = self._pairs(site, said.peak_ns)
            self.verdict[at] = said.verdict[one]
            self.weight[at] = np.minimum(1.0, MOST_OF_ONE / size[said.by[one]])
            missing = np.delete(said.verdict, one)
            self.not_found += int(np.count_nonzero(missing != Label.NONE))
        self._answers(named_now(labels, night.meta))

    @property
    def spoken(self) -> npt.NDArray[np.bool_]:
        """Of which events something holds."""
        return np.asarray(self.verdict != Label.NONE)

    def _pairs(self, site: str, peak_ns: Int64) -> tuple[Int64, Int64]:
        """Return indices of times that have an event, and the places of those events."""
        own = self._slices.get(site, slice(0, 0))
        one, other = nearest_pairs(peak_ns, self._peak_ns[own])
        return one, own.start + other

    def _answers(self, labels: Labels) -> None:
        """Write blind answers, and how many events of the night each stands for.

        Of several spot checks of a night each counts by how many items of a kind were judged in it, so that
        together they stand for the night once.
        """
        judged: dict[bool, int] = {True: 0, False: 0}
        found: list[tuple[SpotCheck, Item, bool]] = []
        for check in labels.spot_checks:
            for item, said in zip(check.items, answers_of(check, labels), strict=True):
                if said in {"twitch", "not_twitch"}:
                    judged[item.counted] += 1
                    found.append((check, item, said == "twitch"))
        for check, item, answer in found:
            _, at = self._pairs(item.site, np.array([item.peak_ns], np.int64))
            self.stands_for[at] += (check.counted if item.counted else check.rejected) / judged[item.counted]
            self.answer[at] = answer


def _groups(events: Table) -> Int64:
    """Return one number for events of one unit, and for others of one site and time."""
    _, site = np.unique(events["site"], return_inverse=True)
    block = (np.maximum(events["peak_s"], 0.0) // BLOCK_S).astype(np.int64)
    own = np.where(events["unit"] >= 0, events["unit"].astype(np.int64), 100_000 + block)
    return np.asarray(site.astype(np.int64) * 1_000_000 + own)
