"""What an importer hands on: the rows of a foreign file, parked on disk, and what the file says of them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, BadValueError, StorageError
from firmware_host.formats.iso_time import NO_TIME, offset_of

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MAX_ROWS = 250_000_000
"""40 days at 72 Hz or 8 hours at 8.6 kHz: more is no night, but a compressed file made to fill the disk."""
BLOCK_ROWS = 1 << 17
HEAD_BYTES = 1 << 12
MISSING_SHARE = 0.01
"""The largest share of rows without a number that is left out; a file with more is refused."""

TimeMeaning = Literal["none", "number", "utc", "local"]
"""No time; numbers of open unit and zero; int64 UTC ns; int64 ns of a wall clock without zone."""


@dataclass(frozen=True)
class ImportOptions:
    """What a user can say about a foreign file; whatever is None is found out from the file.

    Attributes
    ----------
    format : name of an importer ("csv", "npz", "parquet").
    unit : "g", "mg" or "m/s2".
    rate_hz : sampling rate of files without time.
    start : ISO 8601, the moment of the earliest row of files that know only elapsed time.
    timezone : IANA name: of stamps without offset, and of the night.
    columns : names or numbers (from 1) of the columns t, x, y, z or x, y, z.
    stamps : whether stamps are times of samples or of arrivals.
    date_order : "dmy" or "mdy", where dates such as 05/11/2026 do not tell.
    participant : pseudonym of the person.
    """

    format: str | None = None
    unit: str | None = None
    rate_hz: float | None = None
    start: str | None = None
    timezone: str | None = None
    columns: tuple[str, ...] | None = None
    stamps: Literal["auto", "sample", "arrival"] = "auto"
    date_order: Literal["dmy", "mdy"] | None = None
    participant: str = ""


@dataclass(frozen=True)
class Beginning:
    """How a file begins: what its format is told by.

    Attributes
    ----------
    head : its first `HEAD_BYTES` bytes, or fewer.
    members : names of the files in it, if it is a zip archive.
    """

    head: bytes
    members: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The head as text, as far as it is any."""
        return self.head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


@dataclass(frozen=True)
class Source:
    """One file as the user named it: FILE or FILE:KEY."""

    path: Path
    key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        r"""Take FILE[:KEY] apart; a path that exists wins over a key, and the colon of `C:\` is no key."""
        if Path(text).exists():
            return cls(Path(text))
        head, colon, key = text.rpartition(":")
        if colon and head and key and not re.search(r"[\\/]", key) and not re.fullmatch(r"[A-Za-z]", head):
            return cls(Path(head), key)
        return cls(Path(text))

    @property
    def name(self) -> str:
        """The file as it is shown in sentences."""
        return str(self.path) if self.key is None else f"{self.path}:{self.key}"


class Spool:
    """Rows between parsing and writing, in two unnamed temporary files that vanish with the process.

    Memory stays flat however long the recording is: times are 8 bytes a row (float64 or int64), samples three
    float32. A row without a usable number has NaN in all three.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._time = tempfile.TemporaryFile(dir=folder, prefix=".twitchmap-")  # noqa: SIM115
        self._acc = tempfile.TemporaryFile(dir=folder, prefix=".twitchmap-")  # noqa: SIM115
        self.time_dtype: np.dtype[np.float64] | np.dtype[np.int64] = np.dtype(np.float64)
        self.rows = 0
        self.missing = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._time.close()
        self._acc.close()

    def append(self, time: Floats | Ints | None, acc: npt.NDArray[np.floating]) -> None:
        """Add rows: times (n,) or None, samples (n, 3) in the file's unit.

        Rows with a blank, NaN or infinite number are kept as NaN (they hold their place in the count); a
        missing stamp is interpolated, so that the count and the time stay aligned.
        """
        with np.errstate(over="ignore"):  # beyond float32 is infinite, hence missing
            rows = acc.astype(np.float32)
        lost = ~np.isfinite(rows).all(axis=1)
        if time is not None:
            unstamped = ~np.isfinite(time) if time.dtype.kind == "f" else time == NO_TIME
            lost |= unstamped
            time = _fill(time, unstamped)
            self.time_dtype = time.dtype
            self._write(self._time, time)
        rows[lost] = np.nan
        self.missing += int(np.count_nonzero(lost))
        self._write(self._acc, rows)
        self.rows += len(rows)
        if self.rows > MAX_ROWS:
            raise BadValueError(f"the file holds more than {MAX_ROWS:,} rows: that is no night")

    def acc(self, start: int, stop: int) -> Singles:
        """Read samples [start, stop) as (n, 3) float32."""
        start, stop = max(start, 0), min(stop, self.rows)
        self._acc.seek(start * 12)
        return np.frombuffer(self._acc.read((stop - start) * 12), np.float32).reshape(-1, 3)

    def time(self, start: int, stop: int) -> npt.NDArray[np.float64 | np.int64]:
        """Read times [start, stop)."""
        start, stop = max(start, 0), min(stop, self.rows)
        self._time.seek(start * 8)
        return np.frombuffer(self._time.read((stop - start) * 8), self.time_dtype)

    def times_ns(self, start: int, stop: int) -> Ints:
        """Read times [start, stop) once they are int64 nanoseconds."""
        assert self.time_dtype == np.int64
        return self.time(start, stop).astype(np.int64, copy=False)

    def replace_times(self, start: int, times_ns: Ints) -> None:
        """Write ns over the times of rows from `start` on; a caller replaces all before it reads them."""
        self._write(self._time, times_ns, start * 8)

    def reorder(self, order: Ints) -> None:
        """Put the rows into the given order; only files with swapped rows need this, and its memory."""
        times, samples = self.time(0, self.rows)[order], self.acc(0, self.rows)[order]
        self._write(self._time, times, 0)
        self._write(self._acc, samples, 0)

    def _write(self, file: IO[bytes], rows: npt.NDArray[np.generic], at: int | None = None) -> None:
        try:
            file.seek(0 if at is None else at, os.SEEK_END if at is None else os.SEEK_SET)
            file.write(rows.tobytes())
            file.flush()
        except OSError as error:
            raise StorageError(f"no room on the disk to import into: {error.strerror or error}") from error

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[tuple[int, int]]:
        """Yield [start, stop) of consecutive blocks of rows."""
        for start in range(0, self.rows, rows):
            yield start, min(start + rows, self.rows)

    def windows(self, rows: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield [start, stop) of up to `most` windows, spread evenly; of a short recording all rows."""
        if self.rows <= rows * most:
            yield from self.blocks(rows)
            return
        for start in np.linspace(0, self.rows - rows, most).astype(int).tolist():
            yield start, start + rows


@dataclass
class ForeignRecording:
    """The rows of one foreign file and what the file itself says of them.

    Attributes
    ----------
    source : the file.
    spool : its rows; times as `meaning` says, samples in the file's own unit.
    meaning : what the numbers of the time column are, as far as the file tells.
    time_unit : "s", "ms", "us" or "ns" where the column's name gives it.
    arrival : the name says that the stamps are times of arrival.
    unit : unit of the samples where names give it.
    fs_hz : sampling rate where the file gives it.
    offset_s : the one UTC offset of all stamps, where they have one.
    clock_set_ns : when the logger's clock was set (its own wall clock), if it then runs on without heed of
        summer time; None: its wall clock follows the zone's.
    written : how its stamps are written, where they are text.
    time_said : how the stamps were read, where that is not told by what they are.
    step, range_g : the uniform step of the samples in the file's unit and the sensor's range, where the file
        tells them.
    model, serial, firmware : what the file says of the sensor.
    made_up : it says that it was simulated.
    used, ignored : names of the columns.
    remarks : what else is worth saying about how the file was read.
    """

    source: Source
    spool: Spool
    meaning: TimeMeaning = "none"
    time_unit: str | None = None
    arrival: bool = False
    unit: str | None = None
    fs_hz: float | None = None
    offset_s: int | None = None
    clock_set_ns: int | None = None
    written: str = "ISO 8601"
    time_said: str = ""
    step: float | None = None
    range_g: float | None = None
    model: str = ""
    serial: str = ""
    firmware: str = ""
    made_up: bool = False
    used: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list)

    def fault(self, sentence: str) -> BadFileError:
        """Make the error that says what is wrong with this file; a damaged name in it stays on the line."""
        plain = "".join(letter if letter.isprintable() else "\ufffd" for letter in sentence)
        return BadFileError(f"{self.source.name}: {plain}", path=self.source.path)

    def take_offset(self, sign: str | None, hours: str, minutes: str) -> int:
        """Note and return how many seconds east of UTC the file's clock is, as its header tells.

        Raises
        ------
        BadFileError
            If no place on earth has that offset.
        """
        try:
            self.offset_s = offset_of(sign, hours, minutes)
        except ValueError as error:
            raise self.fault(f"its header tells {error}") from error
        return self.offset_s


def _fill(time: Floats | Ints, missing: npt.NDArray[np.bool_]) -> Floats | Ints:
    """Put stamps on rows that have none: between their neighbours, or on from the ends at the usual step."""
    if not missing.any() or missing.all():
        return time
    at, known = np.flatnonzero(missing), np.flatnonzero(~missing)
    base = time[known[0]]
    past = (time[known] - base).astype(np.float64)
    step = float(np.median(np.diff(past) / np.diff(known))) if len(known) > 1 else 0.0
    beyond = np.minimum(at - known[0], 0) + np.maximum(at - known[-1], 0)
    filled = time.copy()
    filled[missing] = base + (np.interp(at, known, past) + step * beyond).astype(time.dtype)
    return filled
