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
from firmware_host.analysis.labelled import nearest_pairs, site_slices
from firmware_host.errors import NotFoundError
from firmware_host.recording import Night, ResultsStore, open_night
from firmware_host.recording.labels import Labels, read_labels
from firmware_host.twitches import Table

Floats = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

MOST_OF_ONE = 20.0
"""Weight of all events that were judged by one decision."""
ANCHORS = 400
"""Of each night, half of them counted."""
BLOCK_S = 600.0
"""Events of one site and so long a time are alike: they are learnt from together, or tested on together."""
_SAYS = {"twitch": 1, "added": 1, "not_twitch": 0}


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
    anchors: Table
    """Candidates that nobody labelled, drawn evenly: the model that is corrected is believed about them."""
    passes: int
    """Of the runs."""
    nights: tuple[str, ...]
    not_found: int
    """Twitches that were added where no candidate is: they cannot be learnt from."""

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
    for number, path in enumerate(nights):
        night = open_night(path)
        info = run_by(path, model, model_sha256)
        run = load_run(night, info.run_id, with_labels=False)
        said = _Said(night, run, read_labels(path))
        not_found += said.not_found
        at = np.flatnonzero(said.verdict >= 0)
        if not len(at):
            continue
        names.append(path.name)
        passes = info.passes
        silent, counted = said.verdict < 0, run.events["counted"]
        both = [_evenly(np.flatnonzero(silent & (counted == kind))) for kind in (True, False)]
        rows = np.union1d(at, np.concatenate(both))
        stored = ResultsStore(path).read_events(run.info.run_id, columns)[rows]
        stored["site"] = run.events["site"][rows]  # as they are called now
        labelled = said.verdict[rows] >= 0
        anchors.append(stored[~labelled])
        parts.append((stored[labelled], said, at, _groups(run.events[at]) + number * 10**9))
    if not parts:
        raise NotFoundError(
            "None of these nights has a labelled event: label some in `twitchmap review` first."
        )
    _, group = np.unique(np.concatenate([group for *_, group in parts]), return_inverse=True)
    return Corrections(
        np.concatenate([stored for stored, *_ in parts]),
        np.concatenate([said.verdict[at] == 1 for _, said, at, _ in parts]),
        np.concatenate([said.weight[at] for _, said, at, _ in parts]),
        group.astype(np.int64),
        np.concatenate([said.stands_for[at] for _, said, at, _ in parts]),
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
    """What was said of each event of a run: the last word, and what it weighs; -1 where nothing was."""

    def __init__(self, night: Night, run: Run, labels: Labels) -> None:
        n = len(run.events)
        self.verdict = np.full(n, -1, np.int8)
        self.weight = np.zeros(n)
        self.stands_for = np.zeros(n)
        self.not_found = 0
        slices = site_slices(run.events)
        peak_ns = run.summary.start_ns + np.rint(run.events["peak_s"] * 1e9).astype(np.int64)
        shares = _stands_for(labels)
        for label in labels.active:
            if label.what not in {*_SAYS, "no_verdict"}:
                continue
            size = sum(map(len, label.peaks_ns.values()))
            for site, peaks in label.peaks_ns.items():
                for renamed in night.meta.renamed_since(label.utc_ns):
                    site = renamed.get(site, site)
                own = slices.get(site, slice(0, 0))
                one, other = nearest_pairs(np.sort(np.array(peaks, np.int64)), peak_ns[own])
                at = own.start + other
                self.not_found += len(peaks) - len(one)
                self.verdict[at] = _SAYS.get(label.what, -1)
                self.weight[at] = min(1.0, MOST_OF_ONE / size)
                for place, peak in zip(at.tolist(), np.sort(peaks)[one].tolist(), strict=True):
                    if label.spot_check:
                        self.stands_for[place] = shares.get((label.spot_check, peak), 0.0)


def _stands_for(labels: Labels) -> dict[tuple[str, int], float]:
    """Return, by spot check and time, how many events of its night each judged item stands for."""
    answered: dict[str, set[int]] = {}
    for label in labels.active:
        if label.spot_check and label.what in _SAYS:
            for peaks in label.peaks_ns.values():
                answered.setdefault(label.spot_check, set()).update(peaks)
    shares: dict[tuple[str, int], float] = {}
    for check in labels.spot_checks:
        for counted, population in ((True, check.counted), (False, check.rejected)):
            own = [
                item.peak_ns
                for item in check.items
                if item.counted == counted and item.peak_ns in answered.get(check.id, ())
            ]
            shares |= {(check.id, peak_ns): population / len(own) for peak_ns in own}
    return shares


def _groups(events: Table) -> Int64:
    """Return one number for events of one unit, and for others of one site and time."""
    _, site = np.unique(events["site"], return_inverse=True)
    block = (np.maximum(events["peak_s"], 0.0) // BLOCK_S).astype(np.int64)
    own = np.where(events["unit"] >= 0, events["unit"].astype(np.int64), 100_000 + block)
    return np.asarray(site.astype(np.int64) * 1_000_000 + own)
