"""Movesense: the JSON that its apps and tools write, and lines of JSON with the same objects.

Every packet is an object with `Timestamp` (ms of the sensor's clock, of its first sample) and `ArrayAcc`, a
list of x, y, z in m/s2 (the sensor's API, movesense-api/meas/acc.yaml). `TimeDetailed` says what the
sensor's clock was in UTC. The file is read in pieces, so that a night needs little memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.formats.anchors import Blocks, sample_times
from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Source, Spool

_CHUNK = 1 << 20
_LONGEST = 1 << 16
"""A packet is some hundred bytes."""
_BATCH = 4096
_STEPS = 4096
_MOST_DAMAGED = 10_000
_ARRAY = b'"ArrayAcc"'
_BEFORE = re.compile(rb'"([A-Za-z0-9_/. -]{1,64})"\s*:\s*$')
_OTHERS = re.compile(rb'"Array([A-Z][A-Za-z]{2,8})"')

_DEVICE = re.compile(rb'"Uri"\s*:\s*"/?(\d{6,20})/Meas/(?:Acc|IMU)')
"""Lines of JSON name the sensor by its serial number beside the packet."""


class _Vector(msgspec.Struct):
    x: float
    y: float
    z: float


class _Packet(msgspec.Struct):
    """A packet of samples."""

    array: list[_Vector] = msgspec.field(name="ArrayAcc")
    stamp: float | None = msgspec.field(name="Timestamp", default=None)
    stamp_ms: float | None = msgspec.field(name="Timestamp_ms", default=None)


class _Clock(msgspec.Struct):
    """What the sensor's clock was (ms) at a moment (us since 1970)."""

    relative_ms: float = msgspec.field(name="relativeTime")
    utc_us: float = msgspec.field(name="utcTime")


@dataclass
class _Packets:
    """Packets that wait for their times."""

    stamps_ns: list[int] = field(default_factory=list)
    samples: list[npt.NDArray[np.float64]] = field(default_factory=list)
    damaged: int = 0
    streams: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)
    clock: _Clock | None = None
    period_ns: float | None = None


def recognises(beginning: Beginning) -> bool:
    """Tell JSON with acceleration, or the other streams of a Movesense, near its beginning."""
    text = beginning.text.lstrip()
    return text.startswith(("{", "[")) and any(
        word in text for word in ('"ArrayAcc"', '"Samples"', '"TimeDetailed"', '"ArrayGyro"')
    )


def read(
    source: Source, _: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read a Movesense's acceleration into the spool; a key picks one of several streams.

    Raises
    ------
    BadFileError
        If there is no acceleration in it, or several streams and no key.
    """
    recording = ForeignRecording(source, spool, meaning="number", time_unit="ns", unit="m/s2")
    size = max(source.path.stat().st_size, 1)
    packets = _Packets()
    with source.path.open("rb") as file:
        for stream, text in _objects(file, packets):
            if source.key is None or source.key == stream:
                _take(text, packets)
            packets.streams.add(stream)
            if source.key is None and len(packets.streams) > 1:
                raise recording.fault(_which(packets))
            if len(packets.devices) > 1:
                listed = ", ".join(sorted(packets.devices)[:8])
                raise recording.fault(
                    f"several sensors stand in it ({listed}): save each to a file of its own"
                )
            if packets.damaged > _MOST_DAMAGED:
                raise recording.fault("its packets are damaged throughout")
            if len(packets.samples) > _BATCH:
                _put(packets, spool, keep=1)
            progress(file.tell() / size)
    if source.key is not None and source.key not in packets.streams:
        raise recording.fault(_which(packets))
    _put(packets, spool, keep=0)
    if not spool.rows:
        raise recording.fault("there is no acceleration in this JSON (objects with ArrayAcc and Timestamp)")
    _conclude(recording, packets)
    return recording


def _which(packets: _Packets) -> str:
    listed = ", ".join(sorted(packets.streams)) or "none"
    return f"pick one of its streams of acceleration with FILE:KEY; those met are {listed}"


def _objects(file: IO[bytes], packets: _Packets) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the text of each object that holds ArrayAcc."""
    buffer, at = b"", 0
    while chunk := file.read(_CHUNK):
        buffer, at = buffer[max(at - _LONGEST, 0) :] + chunk, min(at, _LONGEST)
        packets.others |= {name.decode() for name in _OTHERS.findall(chunk)} - {"Acc"}
        packets.devices |= {number.decode() for number in _DEVICE.findall(chunk)}
        if packets.clock is None:
            packets.clock = _clock(buffer)
        while (found := buffer.find(_ARRAY, at)) >= 0:
            begin, end = _around(buffer, found)
            if end is None and len(buffer) - found < _LONGEST:
                break  # the rest of it is in the next chunk
            if begin is None or end is None:
                packets.damaged, at = packets.damaged + 1, found + len(_ARRAY)
                if packets.damaged > _MOST_DAMAGED:
                    return
                continue
            name = _BEFORE.search(buffer[max(begin - 80, 0) : begin])
            yield (name[1].decode("utf-8", "replace") if name else "acc"), buffer[begin:end]
            at = end
        else:
            at = max(len(buffer) - len(_ARRAY), at)
    packets.damaged += buffer.count(_ARRAY, at)


def _around(buffer: bytes, inside: int) -> tuple[int | None, int | None]:
    """Return begin and end of the object around a place in it."""
    begin, depth = inside, 0
    lowest = max(inside - _LONGEST, 0)
    for _ in range(_STEPS):
        begin = max(buffer.rfind(b"{", lowest, begin), (close := buffer.rfind(b"}", lowest, begin)))
        if begin < 0:
            return None, inside
        if begin != close:
            if depth == 0:
                break
            depth -= 1
        else:
            depth += 1
    else:
        return None, inside
    depth = 1
    for mark in re.finditer(rb"[{}]", buffer[begin + 1 : begin + _LONGEST]):
        depth += 1 if mark[0] == b"{" else -1
        if depth == 0:
            return begin, begin + 1 + mark.end()
    return begin, None


def _clock(buffer: bytes) -> _Clock | None:
    found = re.search(rb'"TimeDetailed"\s*:\s*(\{[^{}]{1,400}\})', buffer)
    if found is None:
        return None
    try:
        clock = msgspec.json.decode(found[1], type=_Clock)
    except msgspec.MsgspecError:
        return None
    return clock if 6e14 < clock.utc_us < 4e15 and 0 <= clock.relative_ms < 2**32 else None


def _take(text: bytes, packets: _Packets) -> None:
    try:
        packet = msgspec.json.decode(text, type=_Packet)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        packets.damaged += 1
        return
    stamp = packet.stamp if packet.stamp is not None else packet.stamp_ms
    if stamp is None or not 0 <= stamp < 2**33 or not packet.array:
        packets.damaged += 1
        return
    packets.stamps_ns.append(round(stamp * 1e6))
    packets.samples.append(np.array([(v.x, v.y, v.z) for v in packet.array]))


def _put(packets: _Packets, spool: Spool, *, keep: int) -> None:
    """Put packets into the spool, but for the last ones, which give those before them a slope."""
    if len(packets.samples) <= keep:
        return
    lengths = np.array([len(part) for part in packets.samples], np.int64)
    stamps = np.array(packets.stamps_ns, np.int64)
    if packets.period_ns is None:
        steps = np.diff(stamps)[np.diff(stamps) > 0]
        packets.period_ns = float(np.median(steps)) / float(np.median(lengths)) if len(steps) else 1e9
    blocks = Blocks(lengths, np.zeros(len(lengths)), stamps, np.ones(len(lengths), bool))
    slack_s = (
        0.4 * float(np.median(lengths)) * packets.period_ns / 1e9
    )  # packets have no number: one may be lost
    times = sample_times(blocks, 1e9 / packets.period_ns, slack_s)
    count = int(lengths[: len(lengths) - keep].sum())
    spool.append(times[:count], np.concatenate(packets.samples)[:count])
    packets.stamps_ns, packets.samples = (
        packets.stamps_ns[-keep:] * bool(keep),
        packets.samples[-keep:] * bool(keep),
    )


def _conclude(recording: ForeignRecording, packets: _Packets) -> None:
    recording.model = "Movesense"
    recording.used = ("Timestamp", "ArrayAcc")
    recording.ignored = tuple(f"Array{name}" for name in sorted(packets.others))
    if packets.damaged:
        recording.remarks.append(f"{packets.damaged:,} packets are damaged and left out as gaps")
    if packets.clock is None:
        recording.time_said = "Timestamp: elapsed, ms of the sensor's clock at each packet's first sample"
        return
    zero_ns = round(packets.clock.utc_us) * 1000 - round(packets.clock.relative_ms * 1e6)
    spool = recording.spool
    for start, stop in spool.blocks():
        spool.replace_times(start, spool.times_ns(start, stop) + zero_ns)
    recording.meaning = "utc"
    recording.time_said = (
        "Timestamp: ms of the sensor's clock at each packet's first sample, in UTC by TimeDetailed"
    )
