"""`view.cache` on disk: the levels of each sensor one after another, and at the end what they are.

It is written under another name and put in place when it is whole. Whatever is wrong with it (cut, changed,
of another version, of another log) makes it as good as not there: it is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, StorageError
from firmware_host.review.texts import t
from firmware_host.review.view_cache.levels import CHANNELS

VIEW_FILE = "view.cache"
VERSION = 1
"""Raised whenever the same samples would give other levels."""
Rows = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_MAGIC = b"tmview\x0a\x00"
_TAIL = 16
"""Length and CRC-32 of the contents, magic."""
_LOOKED_AT = 1 << 16
BAND_DTYPE = np.dtype("<f2")


class Level(msgspec.Struct, frozen=True):
    """Where a sensor's bins of one length stand: its axes, then at once its band."""

    offset: int
    bins: int


class SensorPart(msgspec.Struct, frozen=True):
    """The levels of one sensor. By its number: a site may be corrected later."""

    index: int
    sample_type: Literal["int16", "float32"]
    mg_per_count: float
    band_hz: tuple[float, float]
    levels: tuple[Level, ...]


class Contents(msgspec.Struct, frozen=True):
    """What a file holds, and of what log it was made."""

    version: int
    start_ns: int
    base_ns: int
    log_bytes: int
    log_sha256: str
    """Of the beginning and the end of those bytes."""
    made_while_written: bool
    sensors: tuple[SensorPart, ...]
    crc32: int
    """Of all levels."""


@dataclass(frozen=True)
class ViewCache:
    """A file that is whole; made by `read_cache`."""

    path: Path
    contents: Contents
    stamp: tuple[int, int]
    """Time of change and size of the file when its bytes were checked."""

    @property
    def unchanged(self) -> bool:
        """Whether the file is still the one that was checked."""
        try:
            return _stamp(self.path.stat()) == self.stamp
        except OSError:
            return False

    def part(self, sensor: int) -> SensorPart | None:
        """Return a sensor's part of the file."""
        return next((part for part in self.contents.sensors if part.index == sensor), None)

    def rows(self, sensor: int, level: int, first: int, count: int) -> Rows:
        """Return the stored bins of the axes, (n, 3, 2), and of the band, (n, 1, 2); n at most `count`."""
        part = self.part(sensor)
        if part is None or not 0 <= level < len(part.levels):
            return np.empty((0, 3, 2), np.float32), np.empty((0, 1, 2), BAND_DTYPE)
        place, kind = part.levels[level], np.dtype(part.sample_type).newbyteorder("<")
        first, stop = max(first, 0), min(first + count, place.bins)
        n = max(stop - first, 0)
        with self.path.open("rb") as stream:
            axes = _read(stream, place.offset + first * 6 * kind.itemsize, (n, 3, 2), kind)
            band_at = place.offset + place.bins * 6 * kind.itemsize
            band = _read(stream, band_at + first * 2 * BAND_DTYPE.itemsize, (n, 1, 2), BAND_DTYPE)
        return axes, band

    def read(self, sensor: int, level: int, first: int, count: int) -> npt.NDArray[np.float32]:
        """Return bins from `first` on as (count, 4, 2): smallest and largest of x, y, z and band in mg.

        NaN where there is no sample, also before the night and after it.
        """
        out = np.full((count, len(CHANNELS), 2), np.nan, np.float32)
        axes, band = self.rows(sensor, level, first, count)
        part = self.part(sensor)
        if len(axes) and part is not None:
            there = out[max(-first, 0) : max(-first, 0) + len(axes)]
            there[:, :3] = axes * np.float32(part.mg_per_count)
            there[:, 3:] = band
            there[~((axes[..., 0] <= axes[..., 1]).all(axis=1) & np.isfinite(there).all(axis=(1, 2)))] = (
                np.nan
            )
        return out


def _read(stream: BinaryIO, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    stream.seek(offset)
    size = int(np.prod(shape)) * dtype.itemsize
    data = stream.read(size)
    if len(data) < size:
        raise BadFileError(t("night.view_changed", file=VIEW_FILE))
    return np.frombuffer(data, dtype).reshape(shape)


def log_mark(log: Path, size: int) -> str:
    """Return what tells a log of a size from another: a log only grows, so its ends are enough."""
    digest = hashlib.sha256()
    with contextlib.suppress(FileNotFoundError), log.open("rb") as stream:
        digest.update(stream.read(min(_LOOKED_AT, size)))
        stream.seek(max(size - _LOOKED_AT, 0))
        digest.update(stream.read(min(_LOOKED_AT, size)))
    return digest.hexdigest()


def read_cache(path: Path) -> ViewCache | None:
    """Return the file of a night if it is whole and of this version; its bytes are checked."""
    try:
        with path.open("rb") as stream:
            stamp = _stamp(os.fstat(stream.fileno()))
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(end - _TAIL, 0))
            tail = stream.read(_TAIL)
            length, crc = (int.from_bytes(tail[at : at + 4], "little") for at in (0, 4))
            if tail[8:] != _MAGIC or length > end - _TAIL:
                return None
            stream.seek(end - _TAIL - length)
            encoded = stream.read(length)
            if zlib.crc32(encoded) != crc:
                return None
            contents = msgspec.json.decode(encoded, type=Contents)
            stream.seek(0)
            if contents.version != VERSION or _crc_of(stream, end - _TAIL - length) != contents.crc32:
                return None
    except (OSError, msgspec.DecodeError):
        return None
    return ViewCache(path, contents, stamp)


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_mtime_ns, stat.st_size


def _crc_of(stream: BinaryIO, left: int) -> int:
    crc = 0
    while left and (part := stream.read(min(left, 1 << 20))):
        crc = zlib.crc32(part, crc)
        left -= len(part)
    return crc


class CacheWriter:
    """A file that is being made: give it the levels in the order in which they shall stand, then `finish`."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._crc = 0
        self._at = 0

    def write(self, axes: npt.NDArray[Any], band: npt.NDArray[Any]) -> Level:
        """Append one level of a sensor."""
        level = Level(self._at, len(axes))
        for rows in (axes, band):
            data = np.ascontiguousarray(rows).tobytes()
            self._stream.write(data)
            self._crc = zlib.crc32(data, self._crc)
            self._at += len(data)
        return level

    def finish(self, contents: Contents) -> None:
        """Write at the end what the file holds."""
        encoded = msgspec.json.encode(msgspec.structs.replace(contents, crc32=self._crc))
        crc = zlib.crc32(encoded)
        tail = len(encoded).to_bytes(4, "little") + crc.to_bytes(4, "little") + _MAGIC
        self._stream.write(encoded + tail)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[CacheWriter]:
    """Make a file, private to the user, that takes its place when it is whole, or never.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield CacheWriter(stream)
        part.replace(path)
    except OSError as error:
        raise StorageError(t("night.view_refused", file=path, why=error.strerror or error)) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
