"""GENEActiv: `.bin` files, which are text with the samples as hexadecimal digits, in pages of 300.

Layout: "Decoding .bin files" in the GENEActiv instructions (Activinsights). The file names the offset from
UTC that its clock was set to. Page times are cut to half a second, so samples are counted, and a line through
the page times says when they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO

import numpy as np
import numpy.typing as npt

from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Ints, Source, Spool
from firmware_host.formats.iso_time import parse_iso

_MAGIC = b"Device Identity"
_PAGE = b"Recorded Data"
_CHUNK = 1 << 20
_LONGEST_PAGE = 1 << 16
_DIGITS = 12
"""Hexadecimal digits a sample: three axes of 12 bits, then light and button."""
_APART_S = 1.0
"""A page whose time is further off the count begins a new run; page times are half a second coarse."""
_NIBBLE = np.full(256, 255, np.uint8)
for _index, _digit in enumerate(b"0123456789ABCDEF"):
    _NIBBLE[_digit] = _index
for _index, _digit in enumerate(b"abcdef"):
    _NIBBLE[_digit] = 10 + _index


@dataclass
class _Pages:
    """What is kept of each page until all are read."""

    stamp_ns: list[int] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    damaged: int = 0


def recognises(beginning: Beginning) -> bool:
    """Tell a GENEActiv file by its first line."""
    return beginning.head.startswith(_MAGIC)


def read(
    source: Source, _: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read a GENEActiv's acceleration into the spool, in g by its own calibration.

    Raises
    ------
    BadFileError
        If the header lacks what is needed, the rate changes, or there is no whole page.
    """
    recording = ForeignRecording(source, spool, meaning="utc", unit="g")
    if source.key is not None:
        raise recording.fault("a GENEActiv file holds one sensor, there is nothing to pick with a key")
    size = max(source.path.stat().st_size, 1)
    pages = _Pages()
    with source.path.open("rb") as file:
        texts = _pages(file)
        header = _fields(next(texts, b""))
        gain, offset = _calibration(header, recording)
        zone_s = _describe(header, recording)
        rate = 0.0
        for text in texts:
            page = _fields(text)
            rate = _take(page, text, rate, recording, pages, gain, offset, zone_s)
            progress(file.tell() / size)
    if not pages.samples:
        raise recording.fault("it holds no whole page of samples: nothing was recorded, or all is damaged")
    recording.fs_hz = rate
    _lay_out(spool, pages, rate)
    if pages.damaged:
        recording.remarks.append(f"{pages.damaged:,} pages are damaged and left out as gaps")
    return recording


def _pages(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the header, then the text of each page; one without end is cut where no page can be so long."""
    rest = b""
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(_PAGE)
        yield from whole
        rest = rest[:_LONGEST_PAGE] if len(rest) > _CHUNK else rest
    yield rest


def _fields(text: bytes) -> dict[str, str]:
    lines = text[:_LONGEST_PAGE].decode("latin-1").splitlines()
    split = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in split if colon}


def _number(text: str) -> float:
    """Read a number; a computer that writes decimal commas writes them into these files too."""
    return float(text.replace(",", "."))


def _calibration(
    header: dict[str, str], recording: ForeignRecording
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    try:
        gain = np.array([_number(header[f"{axis} gain"]) for axis in "xyz"])
        offset = np.array([_number(header[f"{axis} offset"]) for axis in "xyz"])
    except (KeyError, ValueError) as error:
        raise recording.fault("its header has no calibration (x gain, x offset ...)") from error
    if not (np.isfinite(gain).all() and np.isfinite(offset).all() and (np.abs(gain) > 1).all()):
        raise recording.fault("its calibration cannot be: a gain is zero or no number")
    return gain, offset


def _describe(header: dict[str, str], recording: ForeignRecording) -> int:
    """Note what the header says of the sensor; returns the offset of its clock from UTC in seconds."""
    zone = re.fullmatch(r"GMT\s*([+-])?(\d{1,2}):?(\d{2})", header.get("Time Zone", ""))
    if zone is None:
        raise recording.fault("its header does not say which offset from UTC its clock has (Time Zone)")
    seconds = recording.take_offset(*zone.groups())
    recording.model = "GENEActiv " + header.get("Device Model", "")
    recording.serial = header.get("Device Unique Serial Code", "")
    recording.firmware = header.get("Device Firmware Version", "")
    reach = re.fullmatch(r"-\s*(\d+)\s*to\s*(\d+)", header.get("Accelerometer Range", ""))
    if reach is not None and reach[1] == reach[2] and int(reach[1]):
        recording.range_g = float(reach[1])
    recording.used = ("Page Time", "accelerometer")
    recording.ignored = ("light", "button", "temperature", "battery")
    recording.time_said = "Page Time: the clock of the file, which tells its offset from UTC"
    drift = re.search(r"clock drift\s*([+-]?[\d.,]+)\s*s", header.get("Extract Notes", ""))
    if drift is not None:
        recording.remarks.append(
            f"the logger's clock was {drift[1]} s off when it was read out; times are left as they are"
        )
    return seconds


def _take(
    page: dict[str, str],
    text: bytes,
    rate: float,
    recording: ForeignRecording,
    pages: _Pages,
    gain: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    zone_s: int,
) -> float:
    """Put a page's samples into the spool; returns the rate."""
    try:
        number, hz = int(page["Sequence Number"]), _number(page["Measurement Frequency"])
        stamp = parse_iso(np.array([page["Page Time"].encode()]))
        counts = _counts(text.rstrip().rpartition(b"\n")[2])
    except (KeyError, ValueError):
        pages.damaged += 1
        return rate
    if stamp.offset_s is not None or not 1 <= hz <= 1000 or not len(counts) or number < 0:
        pages.damaged += 1
        return rate
    if rate and hz != rate:
        raise recording.fault(f"its rate changes from {rate:g} to {hz:g} Hz: import its parts one by one")
    recording.spool.append(np.zeros(len(counts), np.int64), (counts * 100.0 - offset) / gain)
    pages.stamp_ns.append(int(stamp.ns[0]) - zone_s * 1_000_000_000)
    pages.samples.append(len(counts))
    pages.number.append(number)
    return hz


def _counts(digits: bytes) -> npt.NDArray[np.int64]:
    """Read hexadecimal samples as (n, 3) counts; raises `ValueError` for anything else."""
    nibbles = _NIBBLE[np.frombuffer(digits.strip(), np.uint8)]
    nibbles = nibbles[: len(nibbles) // _DIGITS * _DIGITS]
    if (nibbles == 255).any():
        raise ValueError("no hexadecimal digits")
    wide = nibbles.reshape(-1, 4, 3).astype(np.int64)
    unsigned = wide[:, :3, 0] << 8 | wide[:, :3, 1] << 4 | wide[:, :3, 2]
    counts: npt.NDArray[np.int64] = (unsigned ^ 0x800) - 0x800
    return counts


def _lay_out(spool: Spool, pages: _Pages, rate: float) -> None:
    """Give each sample its time: counted within runs of pages that follow each other, on a line."""
    stamp = np.array(pages.stamp_ns, np.int64)
    samples = np.array(pages.samples, np.int64)
    first = np.concatenate([[0], np.cumsum(samples)])
    off_s = np.abs(np.diff(stamp) / 1e9 - samples[:-1] / rate)
    torn = (off_s > _APART_S) | (np.diff(pages.number) != 1)
    starts = [0, *(np.flatnonzero(torn) + 1).tolist(), len(stamp)]
    for a, b in pairwise(starts):
        base, period = _line(first[a:b] - first[a], stamp[a:b], rate)
        for begin in range(int(first[a]), int(first[b]), 1 << 17):
            end = min(begin + (1 << 17), int(first[b]))
            sample = np.arange(begin - int(first[a]), end - int(first[a]))
            spool.replace_times(begin, np.rint(sample * period).astype(np.int64) + base)


def _line(first: Ints, stamp_ns: Ints, rate: float) -> tuple[int, float]:
    """Return the time of a run's first sample and the period (ns) that its page times show.

    The nominal period is kept where page times, half a second coarse, show no other.
    """
    past = (stamp_ns - stamp_ns[0]).astype(np.float64)
    period = 1e9 / rate
    if len(first) > 2:
        middle = first - first.mean()
        shown = float(middle @ past / (middle @ middle))
        if abs(shown - period) * first[-1] > 0.5e9:
            period = shown
    return int(stamp_ns[0]) + round(float(np.median(past - first * period))), period
