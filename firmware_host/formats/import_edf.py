"""EDF, EDF+ and BDF: three signals of acceleration, such as `L calf x`, `L calf y`, `L calf z`.

Layout: Kemp et al. 1992 and https://www.edfplus.info; BDF: biosemi.com. edfio, which writes our files, reads
no gaps of EDF+D and a BDF only as a whole, so records are read here, in pieces. The header's time is local.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

import numpy as np
import numpy.typing as npt

from firmware_host.formats.columns import unit_of
from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Ints, Source, Spool

_EDF, _BDF = b"0       ", b"\xffBIOSEMI"
_MOST_SIGNALS = 1024
_LONGEST_RECORD = 1 << 25
_PIECE = 1 << 22
_FIELDS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
_ANNOTATIONS = {"EDF Annotations", "BDF Annotations"}
_AXIS = re.compile(r"(?P<group>.*?)[ _.\-:]*(?P<axis>[xyz])(?:[ _-]?axis)?", re.IGNORECASE)
MADE_UP_WORD = "simulated"
"""Stands among the further words of the recording field in our own files of nights that nobody slept."""
_OFFSET_SHARE = 0.1
"""A zero that is off by so much of a step is the rounding of the header's eight characters."""


@dataclass(frozen=True)
class _Signal:
    """One signal of the header."""

    label: str
    transducer: str
    unit: str | None
    step: float
    zero: float
    samples: int
    at: int
    """Where its samples begin in a record, in samples."""


@dataclass(frozen=True)
class _Header:
    width: int
    """Bytes a sample."""
    size: int
    kind: str
    start_ns: int
    offset_s: int | None
    record_ns: float
    records: int
    signals: tuple[_Signal, ...]
    equipment: str
    dateless: bool
    """EDF+: "Startdate X" and 01.01.85."""
    made_up: bool

    @property
    def record_bytes(self) -> int:
        """Bytes of a record."""
        return self.width * sum(signal.samples for signal in self.signals)


def recognises(beginning: Beginning) -> bool:
    """Tell EDF and BDF by their version field, followed by plain text."""
    return beginning.head.startswith((_EDF, _BDF)) and beginning.head[8:168].isascii()


def read(
    source: Source, _: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read three signals of acceleration into the spool; a key picks one of several sensors.

    Raises
    ------
    BadFileError
        If the header is damaged, or there are no three signals of acceleration, or several threes and no key.
    """
    recording = ForeignRecording(source, spool)
    size = source.path.stat().st_size
    with source.path.open("rb") as file:
        header = _header(file, recording)
        axes, ok = _chosen(header.signals, recording)
        _describe(recording, header, axes)
        file.seek(header.size)
        filled = 0
        for onsets, raw in _pieces(file, header):
            filled += _append(recording, header, axes, ok, onsets, raw)
            progress(file.tell() / max(size, 1))
    if not spool.rows:
        raise recording.fault("it holds no whole record of samples")
    if filled:
        recording.remarks.append(
            f"{filled:,} samples that its signal `ok` marks as filled are left out as gaps"
        )
    whole = (size - header.size) // max(header.record_bytes, 1)
    if whole < header.records or (size - header.size) % header.record_bytes:
        recording.remarks.append(f"the file is cut off: {whole:,} whole records are there")
    return recording


def _header(file: IO[bytes], recording: ForeignRecording) -> _Header:
    try:
        head = file.read(256)
        texts = head[1:].replace(b"\0", b" ").decode("latin-1")
        number = int(head[252:256])
        records, duration = int(head[236:244]), float(head[244:252])
        if not 0 < number <= _MOST_SIGNALS or not 0 < duration < 1e6 or len(head) < 256:
            raise ValueError("its numbers cannot be")
        fields = file.read(256 * number).replace(b"\0", b" ").decode("latin-1")
        if not (texts[:255] + fields[: 104 * number]).isprintable():
            raise ValueError("it holds bytes that are no text")
        width = 3 if head.startswith(_BDF) else 2
        start_ns = _start_ns(head, texts[87:167])
        signals = _signals(fields, number)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise recording.fault(
            "its EDF header is damaged or cut off: it is no whole EDF or BDF file"
        ) from error
    zone = re.search(r"(?:^|\s)([+-])(\d\d):(\d\d)(?:\s|$)", texts[87:167])
    seconds = (int(zone[2]) * 3600 + int(zone[3]) * 60) * (-1 if zone[1] == "-" else 1) if zone else None
    words = texts[87:167].split()
    equipment = words[4] if len(words) > 4 and words[0] == "Startdate" and words[4] != "X" else ""
    header = _Header(
        width,
        256 * (number + 1),
        texts[191:196],
        start_ns,
        seconds,
        duration * 1e9,
        records,
        signals,
        equipment,
        texts[87:168].startswith("Startdate X ") and head[168:176] == b"01.01.85",
        MADE_UP_WORD in words[5:],
    )
    if not 0 < header.record_bytes <= _LONGEST_RECORD:
        raise recording.fault(f"its header says records of {header.record_bytes:,} bytes, which cannot be")
    return header


def _start_ns(head: bytes, told: str) -> int:
    """Return the start as ns of a wall clock; EDF+ tells the year in full, EDF only 1985 to 2084."""
    day, month, year = (int(part) for part in head[168:176].decode("ascii", "replace").split("."))
    hour, minute, second = (int(part) for part in head[176:184].decode("ascii", "replace").split("."))
    full = re.match(r"Startdate \d\d-[A-Z]{3}-(\d{4})", told)
    year = int(full[1]) if full else year + (1900 if year >= 85 else 2000)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    if not 1970 <= year <= 2200:
        raise ValueError(f"the year {year}")
    return round(moment.timestamp()) * 1_000_000_000


def _signals(text: str, number: int) -> tuple[_Signal, ...]:
    if len(text) < 256 * number:
        raise ValueError("it ends too early")
    columns, at = [], 0
    for size in _FIELDS:
        columns.append([text[at + i * size : at + (i + 1) * size].strip() for i in range(number)])
        at += size * number
    signals, begin = [], 0
    for label, transducer, unit, low, high, bottom, top, _, count, _ in zip(*columns, strict=True):
        samples = int(count)
        if samples < 0:
            raise ValueError(f"{label} has {samples} samples a record")
        step, zero = 0.0, 0.0
        if label not in _ANNOTATIONS and int(top) != int(bottom):
            step = (float(high) - float(low)) / (int(top) - int(bottom))
            zero = float(low) - step * int(bottom)
        signals.append(_Signal(label, transducer, unit_of(unit), step, zero, samples, begin))
        begin += samples
    return tuple(signals)


def _chosen(
    signals: tuple[_Signal, ...], recording: ForeignRecording
) -> tuple[tuple[_Signal, _Signal, _Signal], _Signal | None]:
    """Return x, y, z of the sensor that is meant, and its signal that tells filled samples."""
    groups: dict[str, dict[str, _Signal]] = {}
    for signal in signals:
        match = _AXIS.fullmatch(signal.label)
        if match and signal.step and (signal.unit or "acc" in signal.label.lower()):
            groups.setdefault(match["group"].strip(), {}).setdefault(match["axis"].lower(), signal)
    whole = {
        name: (axes["x"], axes["y"], axes["z"])
        for name, axes in groups.items()
        if len(axes) == 3 and len({axis.samples for axis in axes.values()}) == 1 and axes["x"].samples
    }
    if not whole:
        labels = ", ".join(signal.label for signal in signals[:12])
        raise recording.fault(f"no three of its signals are acceleration in x, y and z; they are {labels}")
    key = recording.source.key
    found = [
        name
        for name, axes in whole.items()
        if key is None or key.lower() == name.lower() or key in axes[0].transducer.split()
    ]
    if len(found) != 1:
        listed = ", ".join(sorted(whole))
        raise recording.fault(f"pick one of its sensors with FILE:KEY; the keys are {listed}")
    axes = whole[found[0]]
    ok = next((s for s in signals if s.label == f"{found[0]} ok" and s.samples == axes[0].samples), None)
    return axes, ok


def _describe(recording: ForeignRecording, header: _Header, axes: tuple[_Signal, ...]) -> None:
    recording.used = ("record times", *(axis.label for axis in axes))
    others = (s.label for s in header.signals if s not in axes and s.label not in _ANNOTATIONS)
    recording.ignored = tuple(label for label in others if not label.endswith(" ok"))
    units = {axis.unit for axis in axes}
    if len(units) > 1:
        raise recording.fault("its x, y and z have different units")
    recording.unit = units.pop()
    same = len({axis.step for axis in axes}) == 1
    if same and header.width == 2 and all(abs(a.zero) <= _OFFSET_SHARE * abs(a.step) for a in axes):
        recording.step = abs(axes[0].step)
    recording.fs_hz = axes[0].samples / header.record_ns * 1e9
    recording.made_up = header.made_up
    recording.model = (header.equipment or axes[0].transducer)[:64]
    if header.offset_s is None:
        recording.meaning, recording.clock_set_ns = "local", header.start_ns
        if header.dateless:
            recording.remarks.append("the file does not tell its date: 1985-01-01 stands for it")
    else:
        recording.meaning, recording.offset_s = "utc", header.offset_s
        recording.time_said = "record times: the clock of the file, which tells its offset from UTC"


def _pieces(file: IO[bytes], header: _Header) -> Iterator[tuple[Ints, npt.NDArray[np.uint8]]]:
    """Yield onsets (ns of the header's clock, UTC where its offset is known) and bytes of whole records."""
    base_ns = header.start_ns - (header.offset_s or 0) * 1_000_000_000
    per_piece = max(1, _PIECE // header.record_bytes)
    notes = next((s for s in header.signals if s.label in _ANNOTATIONS), None)
    done, shift = 0, 0.0
    while data := file.read(per_piece * header.record_bytes):
        raw = np.frombuffer(data, np.uint8)
        raw = raw[: len(raw) // header.record_bytes * header.record_bytes].reshape(-1, header.record_bytes)
        number = np.arange(done, done + len(raw))
        onsets = np.rint(number * header.record_ns)
        if notes is not None and len(raw):
            told = _onsets(raw, notes, header.width)
            if done == 0 and np.isfinite(told[0]) and abs(told[0]) < 1e6:
                shift = told[0] * 1e9
            onsets = onsets + shift
            if header.kind.endswith("+D"):
                told_ns = told * 1e9
                good = np.isfinite(told_ns) & (np.abs(told_ns) < 4e16)
                raw, onsets = raw[good], told_ns[good]
        done += len(number)
        yield np.rint(onsets).astype(np.int64) + base_ns, raw


def _onsets(raw: npt.NDArray[np.uint8], notes: _Signal, width: int) -> npt.NDArray[np.float64]:
    """Return when each record says that it begins (s), NaN where it says nothing."""
    begin = notes.at * width
    texts = (bytes(row[begin : begin + 32]) for row in raw)
    found = (re.match(rb"([+-]\d{1,12}(?:\.\d{1,12})?)\x14", text) for text in texts)
    return np.array([float(match[1]) if match else np.nan for match in found])


def _append(
    recording: ForeignRecording,
    header: _Header,
    axes: tuple[_Signal, ...],
    ok: _Signal | None,
    onsets: Ints,
    raw: npt.NDArray[np.uint8],
) -> int:
    """Put records into the spool; returns how many samples were filled and are left out."""
    if not len(raw):
        return 0
    n = axes[0].samples
    digital = [_digital(raw, axis, header.width) for axis in axes]
    step = recording.step
    values = [d * step if step else d * axis.step + axis.zero for d, axis in zip(digital, axes, strict=True)]
    if step is not None and axes[0].step < 0:
        values = [-value for value in values]
    acc = np.stack(values, axis=2).reshape(-1, 3)
    within = np.rint(np.arange(n) * (header.record_ns / n)).astype(np.int64)
    times = (onsets[:, None] + within).ravel()
    if ok is None:
        recording.spool.append(times, acc)
        return 0
    there = (_digital(raw, ok, header.width) > 0).ravel()
    recording.spool.append(times[there], acc[there])
    return int(np.count_nonzero(~there))


def _digital(raw: npt.NDArray[np.uint8], signal: _Signal, width: int) -> npt.NDArray[np.int64]:
    """Return a signal's digital values, (records, samples)."""
    part = np.ascontiguousarray(raw[:, signal.at * width : (signal.at + signal.samples) * width])
    if width == 2:
        return part.view("<i2").astype(np.int64)
    wide = part.reshape(len(part), -1, 3).astype(np.int64)
    unsigned: npt.NDArray[np.int64] = wide[..., 0] | wide[..., 1] << 8 | wide[..., 2] << 16
    return (unsigned ^ 0x800000) - 0x800000
