"""A night on its way out of the house: what exporters may read of it, as it is or as it may be shared.

Exporters take times, names and metadata from here alone, never from the night itself, so that what `--share`
hides is hidden in every format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.analysis import Run, with_rates
from firmware_host.analysis.models import model_folders
from firmware_host.recording import Gap, Night, SensorInfo, gaps, night_folder_name
from firmware_host.recording.diary import FIELDS, read_diary
from firmware_host.recording.night import evening_of
from firmware_host.recording.settings import MADE_UP
from firmware_host.twitches import Table

Nanoseconds = npt.NDArray[np.int64]
SHARED_ZONE = "UTC"
"""Stands for the clock on the wall of a shared night: its zone and clock changes tell place and date."""


@dataclass(frozen=True)
class Choices:
    """What a user asked for, beside the format."""

    run_id: str | None = None
    """A detection run; None: the newest complete one of each night."""
    bin_s: float | None = 900.0
    """Length of the time bins of counts, s; None: one bin of the whole night."""
    candidates: bool = False
    """Also the events that are neither counted nor labelled."""
    mixed: bool = False
    """Allow rows of different detectors."""
    share: bool = False
    """Leave out what tells who, where and when; see `sharing.py`."""
    excel: bool = False
    """CSV: byte order mark, semicolons and decimal commas."""
    samples: bool = False
    """Parquet: the samples too."""


@dataclass(frozen=True)
class Mark:
    """A mark that a person made."""

    at_s: float
    text: str


@dataclass(frozen=True)
class Leaving:
    """One night with its run, as exporters see it."""

    night: Night
    run: Run
    choices: Choices = Choices()
    shift_ns: int = 0
    """Added to every time; see `sharing.shift_ns`."""

    @property
    def shared(self) -> bool:
        """Whether what tells who, where and when is left out."""
        return self.choices.share

    @property
    def made_up(self) -> bool:
        """Whether nobody slept this night."""
        return self.night.meta.origin in MADE_UP

    @property
    def participant(self) -> str:
        """The pseudonym."""
        return self.night.meta.participant

    @cached_property
    def name(self) -> str:
        """The name of the night's folder; a shared one has neither its date nor its label."""
        return night_folder_name(self.start_ns, SHARED_ZONE) if self.shared else self.night.path.name

    @cached_property
    def file_stem(self) -> str:
        """The night's name for a file, as any system takes it; shared: with the pseudonym."""
        text = f"{self.participant}_{self.name}" if self.shared else self.name
        kept = (
            letter if letter.isalnum() or letter in "-_" else "-" for letter in text.removesuffix(".night")
        )
        return "".join(kept)[:100].strip("-") or "night"

    @property
    def start_known(self) -> bool:
        """Whether anybody knows when the night began; else its dates and times of day are made up."""
        return self.night.meta.start_known

    @property
    def start_ns(self) -> int:
        """The night's start, from which seconds count."""
        return self.night.start_ns + self.shift_ns

    @cached_property
    def whole_start_ns(self) -> int:
        """The whole second of the first sample or the start, what is earlier: signal files begin here."""
        stretches = [one[0] for one in map(self.night.stretches, self.night.sites) if one]
        first_ns = min([self.night.start_ns, *(stretch.start_ns for stretch in stretches)])
        return (first_ns + self.shift_ns) // 10**9 * 10**9

    @property
    def end_ns(self) -> int:
        """The night's end."""
        return self.night.end_ns + self.shift_ns

    @property
    def time_zone(self) -> str:
        """The IANA zone in which local times are written."""
        return SHARED_ZONE if self.shared else self.night.meta.time_zone

    @property
    def date(self) -> date:
        """The evening that the night goes by."""
        return evening_of(self.start_ns, self.time_zone)

    @cached_property
    def model(self) -> str:
        """The model that judged; a user's own ones have names that a user gave, which are not shared."""
        name = self.run.info.model
        shipped = any((folder / name.rpartition(" ")[0]).is_dir() for folder in model_folders())
        return name if shipped or not self.shared else f"own model {self.run.info.model_sha256[:8]}"

    @property
    def events(self) -> Table:
        """The run's events: counted and labelled ones, or all where candidates are asked for."""
        events = self.run.events
        return events if self.choices.candidates else events[events["counted"] | (events["label"] > 0)]

    @property
    def sensors(self) -> tuple[SensorInfo, ...]:
        """The sensors; shared without serial, firmware and placement, and imported ones without model."""
        if not self.shared:
            return self.night.meta.sensors
        known = self.night.meta.origin != "imported"  # else its name is what some file says
        return tuple(
            msgspec.structs.replace(
                info, serial="", firmware="", placement="", model=info.model if known else ""
            )
            for info in self.night.meta.sensors
        )

    def marks(self) -> list[Mark]:
        """Return the marks that a person made, in order of time; shared ones without their text."""
        found = [event for event in self.night.events() if event.kind == "mark"]
        marks = (
            Mark(
                (event.utc_ns - self.night.start_ns) / 1e9,
                "" if self.shared else str(event.details.get("text", "")),
            )
            for event in found
        )
        return sorted(marks, key=lambda mark: mark.at_s)

    def gaps(self, site: str) -> list[Gap]:
        """Return where a site has no samples and why, UTC ns; of shared nights the kind of cause alone."""
        return [
            Gap(
                gap.start_ns + self.shift_ns,
                gap.end_ns + self.shift_ns,
                gap.cause.partition(":")[0] if self.shared else gap.cause,
            )
            for gap in gaps(self.night, site)
        ]

    def diary(self) -> dict[str, str]:
        """Return what the diary says, by field; of a shared one the free texts are left out."""
        free = {field.name for field in FIELDS if not field.levels}
        said = read_diary(self.night.path).fields
        return {name: value for name, value in said.items() if not (self.shared and name in free)}

    def samples(self, site: str, most: int = 60_000) -> Iterator[tuple[Nanoseconds, npt.NDArray[Any], bool]]:
        """Yield a site's samples in order of time, in pieces of bounded size.

        Yields
        ------
        times_ns
            (n,) UTC, shifted as all times are.
        counts
            (n, 3) int16 or float32, the sensor's own numbers.
        follows
            No sample is missing between this piece and the one before.
        """
        for stretch in self.night.stretches(site):
            after = -1
            for first, counts in stretch.count_chunks(most):
                times_ns = stretch.time_ns(np.arange(first, first + len(counts))) + self.shift_ns
                yield times_ns, counts, first == after
                after = first + len(counts)

    def described(self) -> dict[str, Any]:
        """Return what is known of night and run, as plain JSON values; shared: a fixed choice of it."""
        info, meta = self.run.info, self.night.meta
        summary = msgspec.to_builtins(with_rates(self.run).summary)
        if not self.shared:
            run = msgspec.to_builtins(info) | {"settings": json.loads(info.settings), "summary": summary}
            known = {"night": self.name, "start_ns": self.start_ns, "meta": msgspec.to_builtins(meta)}
            return known | {"run": run, "labels": len(self.run.labels.active)}
        kept = {name: getattr(info, name) for name in ("run_id", "detector", "operating_point", "passes")}
        return {
            "night": self.name,
            "start_ns": self.start_ns,
            "shared": "dates are shifted; times are those of the clock on the wall in the evening",
            "meta": {
                "participant": meta.participant,
                "origin": meta.origin,
                "start_known": self.start_known,
                "sensors": msgspec.to_builtins(self.sensors),
            },
            "run": kept
            | {
                "model": self.model,
                "summary": {name: summary[name] for name in ("duration_s", "sites")},
            },
            "labels": len(self.run.labels.active),
        }
