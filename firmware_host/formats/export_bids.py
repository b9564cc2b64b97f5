"""Motion-BIDS: several nights and participants as one dataset that the official validator accepts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from firmware_host.errors import BadValueError
from firmware_host.formats import bids_texts
from firmware_host.formats.exporting import Progress
from firmware_host.formats.leaving import Choices, Leaving
from firmware_host.formats.replacing import Replacing
from firmware_host.formats.sample_text import lines, number_texts, second_texts
from firmware_host.formats.written_times import utc_text
from firmware_host.recording import SensorInfo, local_time
from firmware_host.twitches import Kind, Label

STANDARD_GRAVITY = 9.80665
"""m/s^2 of one g: in BIDS `g` is the gram."""
NOT_KNOWN = "n/a"
CHANNELS = ("name", "component", "type", "tracked_point", "units", "placement")
EVENTS = (
    "onset",
    "duration",
    "trial_type",
    "site",
    "peak",
    *bids_texts.EVENT_NUMBERS,
    "label",
    "wear_unconfirmed",
    "text",
)
Row = dict[str, str]


class Writer:
    """Writes a dataset; see `exporting.Writer`."""

    TAKES: frozenset[str] = frozenset()
    NEEDS: str | None = None

    def __init__(self, folder: Replacing, choices: Choices) -> None:
        self._folder, self._choices = folder, choices
        self._people: dict[str, str] = {}
        """Participant to label."""
        self._sessions: set[str] = set()
        self._added: set[str] = set()

    def add(self, leaving: Leaving, progress: Progress) -> None:
        """Write a night as a session."""
        person = self._label_of(leaving.participant)
        moment = local_time(leaving.whole_start_ns, leaving.time_zone)
        label = f"{moment:%Y%m%dT%H%M%S}" if leaving.start_known else "undated"
        session = _unused(f"{person}_ses-{label}", self._sessions)
        place = session.replace("_", "/", 1)
        stem = f"{place}/motion/{session}_task-{bids_texts.TASK}"
        scans: list[Row] = []
        acquired = NOT_KNOWN
        if leaving.start_known:
            acquired = str(utc_text(np.array([leaving.whole_start_ns]))[0])[:19]
            acquired += "" if leaving.shared else "Z"
        for number, info in enumerate(leaving.sensors):
            named = f"{stem}_tracksys-{_tracksys(info.site)}"
            if self._write_samples(leaving, info, named, number, progress):
                scans.append(
                    {"filename": f"motion/{named.rpartition('/')[2]}_motion.tsv", "acq_time": acquired}
                )
        self._write(f"{stem}_events.tsv", _table(EVENTS, _event_rows(leaving)))
        self._write(f"{stem}_events.json", bids_texts.as_json(bids_texts.events(leaving)))
        if scans:
            self._write(f"{place}/{session}_scans.tsv", _table(("filename", "acq_time"), scans))
        self._sessions.add(session)
        self._added.add(place)
        self._people[leaving.participant] = person

    def finish(self, described: list[dict[str, Any]]) -> None:  # noqa: ARG002
        """Write what is of the whole dataset."""
        there = {f"{path.parent.name}/{path.name}" for path in self._folder.out.glob("sub-*/ses-*")}
        if others := sorted(there - self._added):
            raise BadValueError(
                f"{self._folder.out} holds {others[0]} of an earlier export, which is none of these nights: "
                "choose another folder, or remove it."
            )
        rows = [
            {"participant_id": person, "pseudonym": " ".join(name.split()) or NOT_KNOWN}
            for name, person in sorted(self._people.items(), key=lambda item: item[1])
        ]
        self._write("participants.tsv", _table(("participant_id", "pseudonym"), rows))
        self._write("participants.json", bids_texts.as_json(bids_texts.participants()))
        self._write("dataset_description.json", bids_texts.as_json(bids_texts.description()))
        self._write("README.md", bids_texts.readme(shared=self._choices.share))

    def close(self) -> None:
        """No file stays open."""

    def _write(self, name: str, text: str) -> None:
        self._folder.file(name).write_text(text, encoding="utf-8", newline="\n")

    def _label_of(self, participant: str) -> str:
        """Return `sub-<label>`: BIDS has letters and digits only, so two pseudonyms may need a number."""
        known = self._people.get(participant)
        label = re.sub(r"[^0-9A-Za-z]", "", participant) or "X"
        return known or _unused(f"sub-{label}", set(self._people.values()))

    def _write_samples(
        self, leaving: Leaving, info: SensorInfo, named: str, number: int, progress: Progress
    ) -> bool:
        """Write a sensor's samples with their channels and sidecar; nothing where it sent none."""
        stretches = leaving.night.stretches(info.site)
        if not stretches:
            return False
        to_text = number_texts(info.g_per_count * STANDARD_GRAVITY, info.sample_type)
        length_ns = max(1, leaving.end_ns - leaving.whole_start_ns)
        with self._folder.file(f"{named}_motion.tsv").open("wb") as file:
            for times_ns, counts, _ in leaving.samples(info.site):
                micros = (times_ns - leaving.whole_start_ns + 500) // 1000
                file.write(lines([*(to_text(counts[:, axis]) for axis in range(3)), second_texts(micros)]))
                done = float(times_ns[-1] - leaving.whole_start_ns) / length_ns
                progress((number + done) / len(leaving.sensors))
        placement = " ".join(info.placement.split()) or NOT_KNOWN
        rows = [
            {"name": f"{info.site}_{axis}", "component": axis, "type": "ACCEL", "tracked_point": info.site,
             "units": "m/s^2", "placement": placement}
            for axis in "xyz"
        ]  # fmt: skip
        rows.append(
            {"name": f"{info.site}_latency", "component": NOT_KNOWN, "type": "LATENCY",
             "tracked_point": info.site, "units": "s", "placement": placement}
        )  # fmt: skip
        self._write(f"{named}_channels.tsv", _table(CHANNELS, rows))
        longest = max(stretches, key=lambda stretch: stretch.n)
        sidecar = bids_texts.motion(leaving, info, longest.fs_hz, length_ns / 1e9)
        self._write(f"{named}_motion.json", bids_texts.as_json(sidecar))
        return True


def _event_rows(leaving: Leaving) -> list[Row]:
    """Return events, coverage, gaps and marks in order of onset."""
    offset_s = (leaving.start_ns - leaving.whole_start_ns) / 1e9
    rows: list[tuple[float, Row]] = []

    def add(onset_s: float, lasts_s: float, kind: str, **more: str) -> None:
        known = {"onset": f"{onset_s:.4f}", "duration": _number(lasts_s, ".4f"), "trial_type": kind}
        rows.append((onset_s, known | more))

    for event in leaving.events:
        numbers = {name: _number(float(event[name]), ".6g") for name in bids_texts.EVENT_NUMBERS}
        add(
            float(event["onset_s"]) + offset_s,
            float(event["duration_ms"]) / 1e3,
            "twitch" if event["counted"] else "not_counted",
            site=str(event["site"]),
            peak=f"{float(event['peak_s']) + offset_s:.4f}",
            label=Label(event["label"]).name.lower() if event["label"] else NOT_KNOWN,
            **numbers,
        )
    for stretch in leaving.run.coverage:
        start_s, kind = float(stretch["start_s"]), Kind(int(stretch["kind"])).name.lower()
        wear = str(int(stretch["wear_unconfirmed"]))
        lasts_s = float(stretch["end_s"]) - start_s
        add(start_s + offset_s, lasts_s, kind, site=str(stretch["site"]), wear_unconfirmed=wear)
    for site in leaving.night.sites:
        for gap in leaving.gaps(site):
            start_s = (gap.start_ns - leaving.whole_start_ns) / 1e9
            add(start_s, (gap.end_ns - gap.start_ns) / 1e9, "no_samples", site=site, text=_plain(gap.cause))
    for mark in leaving.marks():
        add(mark.at_s + offset_s, 0.0, "mark", text=_plain(mark.text))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _table(columns: tuple[str, ...], rows: Iterable[Row]) -> str:
    body = ("\t".join(row.get(column, NOT_KNOWN) for column in columns) for row in rows)
    return "\n".join(["\t".join(columns), *body]) + "\n"


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else NOT_KNOWN


def _plain(text: str) -> str:
    return " ".join(text.split()) or NOT_KNOWN


def _tracksys(site: str) -> str:
    """Return a site as BIDS writes labels: leftCalf, leftCalf2."""
    first, *rest = re.split(r"[_.]", site)
    return first + "".join(word.capitalize() for word in rest)


def _unused(name: str, taken: set[str]) -> str:
    """Return a name with a number if need be: many disks do not tell upper from lower case."""
    there = {one.lower() for one in taken}
    names = itertools.chain([name], (f"{name}x{number}" for number in itertools.count(2)))
    return next(one for one in names if one.lower() not in there)
