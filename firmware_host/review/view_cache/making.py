"""Making `view.cache` of a night: one sensor after another, in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.recording import Night, SensorInfo, Stretch
from firmware_host.recording.reader import LOG_FILE
from firmware_host.review.view_cache import band, levels
from firmware_host.review.view_cache.file import (
    BAND_DTYPE,
    VERSION,
    VIEW_FILE,
    CacheWriter,
    Contents,
    Rows,
    SensorPart,
    ViewCache,
    log_mark,
    read_cache,
    writing,
)

Progress = Callable[[float], None]

_CHUNK = 60_000
_AGAIN_NS = 60 * 10**9
"""Of a night that has grown, the last minute is made again: its filter had not seen what followed."""


def is_of(cache: ViewCache, night: Night) -> bool:
    """Tell whether a file is of this night's log as it is now."""
    log = night.path / LOG_FILE
    return (
        cache.contents.start_ns == night.start_ns
        and cache.contents.log_bytes == night.scan.size
        and cache.contents.made_while_written == night.being_written
        and cache.contents.log_sha256 == log_mark(log, night.scan.size)
    )


def make_cache(night: Night, progress: Progress) -> ViewCache:
    """Make the file of a night, or go on with the one of a night that has grown since.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    path = night.path / VIEW_FILE
    old = read_cache(path)
    if old is not None and not _goes_on(old, night):
        old = None
    length_ns = levels.base_ns(night.end_ns - night.start_ns)
    sensors = night.meta.sensors
    with writing(path) as writer:
        parts = [
            _sensor(night, info, length_ns, old, writer, _part(progress, number, len(sensors)))
            for number, info in enumerate(sensors)
        ]
        writer.finish(
            Contents(
                version=VERSION,
                start_ns=night.start_ns,
                base_ns=length_ns,
                log_bytes=night.scan.size,
                log_sha256=log_mark(night.path / LOG_FILE, night.scan.size),
                made_while_written=night.being_written,
                sensors=tuple(parts),
                crc32=0,
            )
        )
    made = read_cache(path)
    assert made is not None
    return made


def _goes_on(old: ViewCache, night: Night) -> bool:
    """Tell whether a file can be gone on with: of the same log when it was shorter, and still growing.

    When the recording has ended all is made anew: times are then fitted to the whole night.
    """
    known = old.contents
    return (
        night.being_written
        and known.made_while_written
        and known.start_ns == night.start_ns
        and known.base_ns == levels.base_ns(night.end_ns - night.start_ns)
        and known.log_bytes <= night.scan.size
        and known.log_sha256 == log_mark(night.path / LOG_FILE, known.log_bytes)
    )


def _sensor(
    night: Night, info: SensorInfo, length_ns: int, old: ViewCache | None, writer: CacheWriter, tell: Progress
) -> SensorPart:
    bins = -(-(night.end_ns - night.start_ns) // length_ns)
    sizes = levels.level_sizes(bins)
    axes = levels.empty(sizes[0], 3, np.dtype(info.sample_type).newbyteorder("<"))
    size = levels.empty(sizes[0], 1, BAND_DTYPE)
    kept = 0
    if old is not None and (part := old.part(info.index)) is not None and part.levels:
        kept = max(min(part.levels[0].bins, sizes[0]) - _AGAIN_NS // length_ns, 0)
        axes[:kept], size[:kept] = old.rows(info.index, 0, 0, kept)
    stretches = night.stretches(info.site)
    done, total = 0, sum(stretch.n for stretch in stretches)
    for stretch in stretches:
        for a, b in stretch.pieces.tolist():
            first = max(a, int(stretch.index_at(night.start_ns + kept * length_ns))) if kept else a
            for begin in range(first, b, _CHUNK):
                end = min(begin + _CHUNK, b)
                _take(night, stretch, (a, begin, end, b), (axes, size), (kept, length_ns))
                tell((done + end) / total)
        done += stretch.n
    written = []
    for _ in sizes:
        written.append(writer.write(axes, size))
        axes, size = levels.next_level(axes), levels.next_level(size)
    return SensorPart(
        info.index, info.sample_type, 1000 * info.g_per_count, band.band_hz(info.fs_hz), tuple(written)
    )


def _take(
    night: Night,
    stretch: Stretch,
    piece: tuple[int, int, int, int],
    rows: Rows,
    grid: tuple[int, int],
) -> None:
    """Take samples [begin, end) of a piece [a, b) without gaps into the bins of a grid from a bin on."""
    a, begin, end, b = piece
    kept, length_ns = grid
    time_ns = stretch.time_ns(np.arange(begin, end)) - night.start_ns
    first = max(int(time_ns[0]) // length_ns, kept)
    last = min(int(time_ns[-1]) // length_ns, len(rows[0]) - 1)
    if last < first:
        return
    counts, size = samples_and_band(stretch, (a, begin, end, b))
    edges = np.searchsorted(time_ns, np.arange(first, last + 2) * length_ns)
    levels.add(rows[0], edges, counts, first)
    levels.add(rows[1], edges, size[:, None], first)


def samples_and_band(
    stretch: Stretch, piece: tuple[int, int, int, int]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """Return samples [begin, end) of a piece [a, b) without gaps, and the size of their band in mg.

    Returns
    -------
    (n, 3) the sensor's own numbers, (n,) float32.
    """
    a, begin, end, b = piece
    fs_hz = stretch.fs_nominal_hz
    half = band.margin(fs_hz)
    before, after = min(half, begin - a), min(half, b - end)
    counts = stretch.counts(begin - before, end + after)
    acc_mg = counts * np.float32(1000 * stretch.sensor.g_per_count)
    if not np.isfinite(acc_mg).all():  # a sensor that sends floats may send none
        acc_mg = np.nan_to_num(acc_mg, nan=0.0, posinf=0.0, neginf=0.0)
    size = band.band_size(acc_mg, fs_hz, before, after)
    return counts[before : before + end - begin], np.minimum(size, np.finfo(BAND_DTYPE).max)


def _part(progress: Progress, number: int, of: int) -> Progress:
    return lambda share: progress((number + share) / of)


def cache_of(night: Night) -> ViewCache | None:
    """Return the file of a night if it is there, whole, and of the log as it is now."""
    cache = read_cache(night.path / VIEW_FILE)
    return cache if cache is not None and is_of(cache, night) else None
