"""Reading a night: from the log on disk to samples with times, around whatever damage there is.

A `Night` is a look at what was there when it was opened. It never holds the samples: their blocks are read
when they are asked for. It works while a writer writes.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, NotFoundError, numbered
from firmware_host.recording.blocks import (
    BlockKind,
    Damage,
    Scan,
    in_order,
    place,
    read_notes,
    scan,
)
from firmware_host.recording.computer_clock import offsets_ns
from firmware_host.recording.night import (
    META_FILE,
    NightMeta,
    SensorInfo,
    check_is_file,
    meta_from,
    read_meta,
)
from firmware_host.recording.runs import STARTS_A_STRETCH, Run, find_runs
from firmware_host.recording.stretch import Counts, Stretch, read_blocks

LOG_FILE = "samples.log"
LOCK_FILE = "writer.lock"
LOOK_S = 0.05
"""So long a lock is tried where readers cannot share it: one who only looks holds it shorter."""

CLOCK_STEP_NS = 500 * 10**6
START_SLACK_NS = 2 * 10**9
"""The clock fit may put the first samples of a night that much before its start."""

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class LogEvent:
    """Something that happened in a night: connected, lost, battery, mark ..."""

    kind: str
    sensor: int | None
    """None for what concerns all."""
    utc_ns: int
    """Corrected where the computer learnt the time later."""
    details: dict[str, Any]
    offset: int
    """Where it stands in the log."""


@dataclass(frozen=True)
class Samples:
    """Samples without a gap between them."""

    sensor: SensorInfo
    time_ns: npt.NDArray[np.int64]
    """(n,) UTC."""
    counts: Counts
    """(n, 3) int16 or float32, as the sensor sent them."""

    @property
    def acc_g(self) -> npt.NDArray[np.float32]:
        """(n, 3) acceleration in g."""
        return self.counts * np.float32(self.sensor.g_per_count)


@dataclass(frozen=True, eq=False)  # its parts hold arrays
class Night:
    """A night that is being read; made by `open_night`."""

    path: Path
    meta: NightMeta
    damage: tuple[Damage, ...]
    """What could not be read, and where."""
    being_written: bool
    """A writer was alive when the night was opened."""
    scan: Scan
    """Its blocks in the order in which they were written, each once."""
    notes: tuple[tuple[int, int, dict[str, Any]], ...]
    """Header and event blocks: row of the index, kind, content."""

    def __repr__(self) -> str:
        sites = ", ".join(f"{info.site} ({info.fs_hz:g} Hz)" for info in self.meta.sensors)
        damage = f", {numbered(len(self.damage), 'place')} damaged" if self.damage else ""
        return f"{self.path.name}: {self.meta.origin}, {sites}{damage}"

    @property
    def sites(self) -> tuple[str, ...]:
        """Where the sensors sat, in the order of the metadata."""
        return tuple(info.site for info in self.meta.sensors)

    @cached_property
    def start_ns(self) -> int:
        """UTC start of the night; that of the metadata, corrected if the computer learnt the time later.

        A start that somebody wrote by hand may lie behind the first samples: they are then the start.
        """
        first_ns = [self.stretches(site)[0].start_ns for site in self.sites if self.stretches(site)]
        start_ns = self._told_start_ns()
        return min([start_ns, *(at_ns for at_ns in first_ns if at_ns < start_ns - START_SLACK_NS)])

    def _told_start_ns(self) -> int:
        for row, kind, content in self.notes:
            if kind == BlockKind.HEADER and self.scan.index["session"][row] == 1:
                step = content["mono_ns"] + self._offset_ns(row) - content["utc_ns"]
                recorded = self.meta.origin in {"recorded", "virtual"}
                return self.meta.start_ns + (step if recorded and abs(step) > CLOCK_STEP_NS else 0)
        return self.meta.start_ns

    @cached_property
    def end_ns(self) -> int:
        """UTC end of the last stretch of any site, or when the recorder was ended, if that is later.

        The start where there is neither.
        """
        stretches = [stretch.end_ns for site in self.sites for stretch in self.stretches(site)]
        ended = [event.utc_ns for event in self._events if event.kind == "ended"]
        return max([self.start_ns, *stretches, *ended])

    @property
    def duration_s(self) -> float:
        """Length of the night."""
        return (self.end_ns - self.start_ns) / 1e9

    def stretches(self, site: str) -> tuple[Stretch, ...]:
        """Return a site's stretches in the order in which they were recorded.

        Raises `BadValueError` for a site without a sensor.
        """
        info = self.meta.sensor(site)
        if site not in self._stretches:
            self._stretches[site] = self._make_stretches(info)
        return self._stretches[site]

    def events(self) -> list[LogEvent]:
        """Return what was logged besides samples, in the order of the log."""
        return list(self._events)

    @cached_property
    def _events(self) -> tuple[LogEvent, ...]:
        found = []
        for row, kind, content in self.notes:
            if kind == BlockKind.EVENT:
                details = {
                    key: value for key, value in content.items() if key not in {"kind", "utc_ns", "mono_ns"}
                }
                sensor = int(self.scan.index["sensor"][row])
                utc_ns = content["mono_ns"] + self._offset_ns(row)
                offset = int(self.scan.index["offset"][row])
                known = sensor in {info.index for info in self.meta.sensors}
                found.append(LogEvent(content["kind"], sensor if known else None, utc_ns, details, offset))
        return tuple(found)

    def read(self, site: str, start_ns: int | None = None, end_ns: int | None = None) -> list[Samples]:
        """Return a site's samples in [start_ns, end_ns), one `Samples` for each run without a gap."""
        found = []
        for stretch in self.stretches(site):
            lo = 0 if start_ns is None else _first_at(stretch, start_ns)
            hi = stretch.n if end_ns is None else _first_at(stretch, end_ns)
            for begin, end in stretch.pieces.tolist():
                a, b = max(begin, lo), min(end, hi)
                if a < b:
                    times = stretch.time_ns(np.arange(a, b))
                    found.append(Samples(stretch.sensor, times, stretch.counts(a, b)))
        return found

    def log_sha256(self) -> str:
        """Return the SHA-256 of what was there of the log when the night was opened."""
        digest = hashlib.sha256()
        left = self.scan.size
        if left:
            with (self.path / LOG_FILE).open("rb") as stream:
                while left and (part := stream.read(min(left, 1 << 20))):
                    digest.update(part)
                    left -= len(part)
        return digest.hexdigest()

    @cached_property
    def _stretches(self) -> dict[str, tuple[Stretch, ...]]:
        return {}

    def _make_stretches(self, info: SensorInfo) -> tuple[Stretch, ...]:
        index = self.scan.index
        rows = index[(index["kind"] == BlockKind.SAMPLES) & (index["sensor"] == info.index)]
        boundaries = [
            (int(place(index[row : row + 1])[0]), content["kind"])
            for row, kind, content in self.notes
            if kind == BlockKind.EVENT
            and (
                content["kind"] == "suspended"
                or (content["kind"] in STARTS_A_STRETCH and index["sensor"][row] == info.index)
            )
        ]
        log = self.path / LOG_FILE
        if not len(rows):
            return ()
        with log.open("rb") as stream:
            runs = find_runs(
                rows, boundaries, info.fs_hz, lambda row: read_blocks(stream, np.array([row]))[0]
            )
        return _timed(runs, info, log, [self._offset_ns_at(run.rows) for run in runs])

    def _offset_ns(self, row: int) -> int:
        return self._offset_ns_at(self.scan.index[row : row + 1])

    def _offset_ns_at(self, rows: Rows) -> int:
        """Return UTC less monotonic time for the first of some rows of the index."""
        part = int(np.searchsorted(self._clock_parts[0], place(rows[:1])[0], side="right")) - 1
        return int(self._clock_parts[1][max(part, 0)])

    @cached_property
    def _clock_parts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The place from which the monotonic clock ran through a part of the log, and its offset to UTC.

        All sensors of a part share one offset, so that a step of the computer's clock never parts them.
        """
        index = self.scan.index
        pairs = np.zeros((len(index), 2), np.int64)
        pairs[:, 0], pairs[:, 1] = index["mono_ns"], index["utc_ns"]
        for row, _, content in self.notes:
            pairs[row] = content["mono_ns"], content["utc_ns"]
        suspended = np.zeros(len(index), np.int64)
        suspended[[row for row, _, content in self.notes if content.get("kind") == "suspended"]] = 1
        part = np.cumsum(suspended) + np.cumsum(np.diff(index["session"].astype(np.int64), prepend=0) != 0)
        starts = np.flatnonzero(np.diff(part, prepend=-1))
        offsets = offsets_ns(pairs[:, 0], pairs[:, 1], index["kind"] == BlockKind.SAMPLES, starts)
        return place(index[starts]), offsets


def open_night(path: Path | str) -> Night:
    """Open a night for reading.

    Raises
    ------
    NotFoundError, BadFileError
        If there is no night at the path, or too little of it is left to read it.
    NewerFormatError
        If a newer program made it.
    """
    folder = Path(path)
    if not folder.exists():
        raise NotFoundError(f"There is no night at {folder}.")
    log = folder / LOG_FILE
    if not folder.is_dir() or not (log.exists() or (folder / META_FILE).exists()):
        raise BadFileError(
            f"{folder} is no night: a night is a folder with {META_FILE} and {LOG_FILE}.", path=folder
        )
    check_is_file(log)
    being_written = is_being_written(folder)
    if not log.exists():
        missing = Damage(0, 0, f"{LOG_FILE} is missing: there are no samples")
        return Night(folder, read_meta(folder), (missing,), being_written, Scan.empty(), ())
    try:
        with log.open("rb", buffering=0) as stream:
            found = scan(stream)
            index, misplaced = in_order(found.index)
            found = replace(found, index=index)
            notes = tuple(read_notes(stream, found.index))
    except OSError as error:
        raise BadFileError(f"{log} cannot be read ({error.strerror or error}).", path=log) from error
    meta, damage = recover_meta(folder, [content for _, kind, content in notes if kind == BlockKind.HEADER])
    in_log = found.damage[:-1] if being_written and found.cut_short else found.damage
    if not found.size and not being_written:
        in_log = (Damage(0, 0, f"{LOG_FILE} is empty: there are no samples"),)
    damage = (*in_log, *misplaced, *damage, *_strangers(index, meta))
    return Night(folder, meta, damage, being_written, found, notes)


def _strangers(index: Rows, meta: NightMeta) -> tuple[Damage, ...]:
    """Tell samples that belong to no site: of sensors that the metadata do not know."""
    samples = np.bincount(index["sensor"], weights=index["n"])  # of other blocks n is 0
    known = {info.index for info in meta.sensors}
    return tuple(
        Damage(
            0, 0,
            f"{META_FILE} knows no sensor {sensor}, but {LOG_FILE} holds {samples[sensor]:.0f} samples of "
            f"it, which are not read: give its [[sensors]] the index {sensor}, or move {META_FILE} away and "
            f"what {LOG_FILE} says of the night is used",
        )
        for sensor in np.flatnonzero(samples).tolist() if sensor not in known
    )  # fmt: skip


def recover_meta(folder: Path, headers: list[dict[str, Any]]) -> tuple[NightMeta, tuple[Damage, ...]]:
    """Read a night's metadata, from the last header of its log where `night.toml` is lost or damaged."""
    try:
        return read_meta(folder), ()
    except FileNotFoundError:
        problem: Exception = BadFileError(f"{folder / META_FILE} is missing.", path=folder / META_FILE)
    except (BadFileError, OSError) as error:
        problem = error
    for night in (header.get("night") for header in reversed(headers)):
        if not isinstance(night, dict):
            continue
        meta = meta_from(night, folder / LOG_FILE)
        return meta, (Damage(0, 0, f"{problem} What {LOG_FILE} says of the night is used.", META_FILE),)
    raise BadFileError(f"{problem} The log does not say either what the night was.", path=folder) from problem


def read_headers(stream: BinaryIO, index: Rows) -> list[dict[str, Any]]:
    """Return the contents of a log's header blocks."""
    return [content for _, kind, content in read_notes(stream, index) if kind == BlockKind.HEADER]


def is_finished(night: Night) -> bool:
    """Tell whether the last session of a night came to its end."""
    if not night.notes:
        return False
    session = night.scan.index["session"]
    last = session[night.notes[-1][0]]
    return any(content.get("kind") == "ended" and session[row] == last for row, _, content in night.notes)


def is_being_written(folder: Path) -> bool:
    """Tell whether a writer is alive at a night."""
    path = folder / LOCK_FILE
    if not path.exists():
        return False
    try:
        return _is_locked(path)
    except (OSError, NotImplementedError):  # a folder that cannot be locked has no writer
        return False


if sys.platform == "win32":

    def _is_locked(path: Path) -> bool:
        from filelock import FileLock, Timeout  # the light start

        try:
            with FileLock(str(path), timeout=LOOK_S, poll_interval=LOOK_S / 5):
                return False
        except Timeout:
            return True

else:

    def _is_locked(path: Path) -> bool:
        import fcntl

        with path.open("rb") as file:
            try:
                fcntl.flock(
                    file, fcntl.LOCK_SH | fcntl.LOCK_NB
                )  # readers do not take one another for a writer
            except BlockingIOError:
                return True
            return False


def _timed(runs: list[Run], info: SensorInfo, log: Path, offsets: list[int]) -> tuple[Stretch, ...]:
    """Make stretches of runs; all but the longest know the longest, for its rate."""
    sizes = [int(run.stop[-1]) for run in runs]
    best = sizes.index(max(sizes))
    longest = Stretch(info.site, info, runs[best].cause, log, runs[best], offsets[best])
    return tuple(
        longest if i == best else Stretch(info.site, info, run.cause, log, run, offset, longest)
        for i, (run, offset) in enumerate(zip(runs, offsets, strict=True))
    )


def _first_at(stretch: Stretch, time_ns: int) -> int:
    """Return the first grid index whose time is not before `time_ns`."""
    index = int(np.clip(np.ceil(stretch.index_at(time_ns)), 0, stretch.n))
    while index > 0 and stretch.time_ns(index - 1) >= time_ns:
        index -= 1
    while index < stretch.n and stretch.time_ns(index) < time_ns:
        index += 1
    return index
