"""EDF+C: all sites in one file a night; twitches, coverage, gaps and marks are annotations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any, BinaryIO, cast

import numpy as np

from firmware_host.errors import BadValueError
from firmware_host.formats.edf_axis import LARGEST, Block, axis_of, placed, scale_of
from firmware_host.formats.edf_records import (
    Channel,
    Heading,
    Note,
    header,
    only_stamp,
    packed_notes,
    record_bytes,
    word,
    write_count,
)
from firmware_host.formats.exporting import Progress, own_file
from firmware_host.formats.import_edf import MADE_UP_WORD
from firmware_host.formats.leaving import Choices, Leaving
from firmware_host.formats.replacing import Replacing
from firmware_host.formats.written_times import clock_changes, offset_min, offset_text
from firmware_host.recording import SensorInfo
from firmware_host.twitches import Kind

RECORD_BYTES = 61_440
"""A record should not be larger (EDF, 1992), as long as it can last a second."""
LONGEST_RECORD_S = 10
WINDOW_S = 120
"""Signals of so long are in memory at a time."""
LONGEST_DAYS = 14
LABEL_CHARACTERS = 13
"""Of sixteen, three are for the axis."""


class Writer:
    """Writes a file a night; see `exporting.Writer`."""

    TAKES: frozenset[str] = frozenset()
    NEEDS: str | None = None

    def __init__(self, folder: Replacing, choices: Choices) -> None:  # noqa: ARG002
        self._folder = folder

    def add(self, leaving: Leaving, progress: Progress) -> None:
        """Write a night's file."""
        with own_file(self._folder, leaving.file_stem, ".edf").open("wb") as file:
            _NightFile(leaving).write(file, progress)

    def finish(self, described: list[dict[str, Any]]) -> None:
        """Nothing is shared between the files."""

    def close(self) -> None:
        """No file stays open."""


class _NightFile:
    """One night as an EDF+ file."""

    def __init__(self, leaving: Leaving) -> None:
        self._leaving = leaving
        self.start_ns = leaving.whole_start_ns
        days = (leaving.end_ns - self.start_ns) / 86_400e9
        if days > LONGEST_DAYS:
            raise BadValueError(
                f"It is {days:.0f} days long with gaps, which EDF would fill: export it as parquet or bids."
            )
        self.labels = short_labels([info.site for info in leaving.sensors])
        record_s = self._record_s()
        self.records = max(1, -(-(leaving.end_ns - self.start_ns) // (record_s * 10**9)))
        self.axes = [
            axis_of(leaving.night.stretches(info.site), info, record_s, self.records)
            for info in leaving.sensors
        ]
        self.record_s = record_s
        self.scales = [scale_of(info, self._largest_g(info)) for info in leaving.sensors]

    def write(self, file: BinaryIO, progress: Progress) -> None:
        """Write the file, bounded in memory."""
        notes = packed_notes(self.notes(), self.records, self.record_s)
        width = len(notes[0])
        file.write(header(self._heading(), self._channels(), width, self.record_s))
        done, window = 0, max(1, WINDOW_S // self.record_s)
        for blocks in self._windows(window):
            last = done + window >= self.records
            count = self.records - done if last and not self._real_behind(blocks, done) else window
            there = notes[done : done + count]
            there += [
                only_stamp(number, self.record_s, width) for number in range(done + len(there), done + count)
            ]
            signals = [
                block[: count * axis.per_record, column].reshape(count, axis.per_record)
                for block, axis in zip(blocks, self.axes, strict=True)
                for column in range(4)
            ]
            file.write(record_bytes(signals, there))
            done += count
            progress(done / self.records)
        write_count(file, done)

    def notes(self) -> list[Note]:
        """Return all annotations."""
        leaving, zone = self._leaving, self._leaving.time_zone
        offset_s = (leaving.start_ns - self.start_ns) / 1e9
        start = offset_text(offset_min(self.start_ns, zone))
        place = "clock on the wall in the evening, date shifted" if leaving.shared else f"{zone}, UTC{start}"
        notes = [Note(0.0, None, f"time: {place}")]
        if not leaving.start_known:
            notes.append(Note(0.0, None, "the date is not known"))
        if leaving.made_up:
            notes.append(Note(0.0, None, MADE_UP_WORD))
        notes += [
            Note((at_ns - self.start_ns) / 1e9, None, f"clocks change to UTC{offset_text(minutes)}")
            for at_ns, minutes in clock_changes(self.start_ns, leaving.end_ns, zone)
        ]
        for row in leaving.events:
            kind = "twitch" if row["counted"] else "not counted"
            lasts_s = float(row["duration_ms"]) / 1e3
            known = lasts_s if np.isfinite(lasts_s) else None
            notes.append(Note(float(row["onset_s"]) + offset_s, known, f"{kind} {row['site']}"))
        for row in leaving.run.coverage:
            kind = Kind(int(row["kind"])).name.lower() + (
                ", wear unconfirmed" if row["wear_unconfirmed"] else ""
            )
            lasts_s = float(row["end_s"] - row["start_s"])
            notes.append(Note(float(row["start_s"]) + offset_s, lasts_s, f"{kind} {row['site']}"))
        for info in leaving.sensors:
            notes += [
                Note(
                    (gap.start_ns - self.start_ns) / 1e9,
                    (gap.end_ns - gap.start_ns) / 1e9,
                    f"no samples {info.site} ({gap.cause})",
                )
                for gap in leaving.gaps(info.site)
            ]
        for mark in leaving.marks():
            notes.append(Note(mark.at_s + offset_s, None, f"mark: {mark.text}" if mark.text else "mark"))
        return notes

    def _windows(self, window: int) -> Iterator[list[Block]]:
        """Yield what there is of all sites, so many records at a time."""
        sites = [
            placed(
                self._leaving.samples(info.site),
                self.start_ns,
                axis,
                window * axis.per_record,
                info.g_per_count / scale.step_g,
            )
            for info, axis, scale in zip(self._leaving.sensors, self.axes, self.scales, strict=True)
        ]
        empty = [np.zeros((window * axis.per_record, 4), np.int16) for axis in self.axes]
        least = -(-self.records // window)
        for *blocks, _ in zip_longest(*sites, range(least)):
            there = cast("list[Block | None]", blocks)
            yield [none if one is None else one for one, none in zip(there, empty, strict=True)]

    def _real_behind(self, blocks: list[Block], done: int) -> bool:
        """Tell whether a sample stands behind the records that the night's length asks for."""
        left = max(0, self.records - done)
        return any(
            bool(block[left * axis.per_record :, 3].any())
            for block, axis in zip(blocks, self.axes, strict=True)
        )

    def _record_s(self) -> int:
        bytes_a_s = sum(8 * info.fs_hz for info in self._leaving.sensors)
        return int(np.clip(0.9 * RECORD_BYTES // bytes_a_s, 1, LONGEST_RECORD_S))

    def _largest_g(self, info: SensorInfo) -> float:
        """Return the largest value of a sensor of floats, which is not known before."""
        if info.sample_type == "int16":
            return 0.0
        largest = 0.0
        for _, counts, _ in self._leaving.samples(info.site):
            known = counts[np.isfinite(counts)]
            largest = max(largest, float(np.abs(known).max(initial=0)))
        return largest * info.g_per_count

    def _heading(self) -> Heading:
        leaving, zone = self._leaving, self._leaving.time_zone
        minutes = offset_min(self.start_ns, zone)
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.start_ns // 10**9, minutes=minutes)
        more = [] if leaving.shared else [word(zone, 30), offset_text(minutes)]
        more += [MADE_UP_WORD] if leaving.made_up else []
        return Heading(word(leaving.participant, 60), local.replace(tzinfo=None), more)

    def _channels(self) -> list[Channel]:
        channels = []
        for info, axis, scale in zip(self._leaving.sensors, self.axes, self.scales, strict=True):
            label = self.labels[info.site]
            what = " ".join(f"acceleration {info.site} {info.model} {info.serial}".split())
            channels += [
                Channel(
                    f"{label} {name}",
                    axis.per_record,
                    _ascii(what),
                    scale.unit,
                    scale.physical,
                    (-LARGEST - 1, LARGEST),
                )
                for name in "xyz"
            ]
            mark = f"1: a sample of {info.site} stands here, 0: repeated or missing"
            channels.append(Channel(f"{label} ok", axis.per_record, mark, "", (0.0, 1.0), (0, 1)))
        return channels


def short_labels(sites: list[str]) -> dict[str, str]:
    """Return labels that leave room for an axis in EDF's sixteen characters: L calf, R shldr_blade."""
    labels: dict[str, str] = {}
    for site in sites:
        side, _, place = site.partition("_")
        text = f"{side[0].upper()} {place}"
        for letter in "eiaou_":
            while len(text) > LABEL_CHARACTERS and (at := text.rfind(letter, 3)) > 0:
                text = text[:at] + text[at + 1 :]
        number = 2
        short = text[:LABEL_CHARACTERS]
        while short in labels.values():
            short = f"{text[: LABEL_CHARACTERS - 2]}~{number}"
            number += 1
        labels[site] = short
    return labels


def _ascii(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "_" for letter in text)[:80]
