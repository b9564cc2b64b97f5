"""ActiGraph: `.gt3x` files, a zip archive of info.txt and log.bin, or activity.bin of the first firmware.

Layout: ActiGraph's own descriptions (github.com/actigraph, GT3X-File-Format and NHANES-GT3X-File-Format).
Each record of log.bin is one second of samples, with a stamp to the second and a checksum; seconds that
the logger slept through have none, and are gaps. What ActiLife puts there is the last sample again.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import numpy.typing as npt

from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Ints, Source, Spool

_SEPARATOR = 0x1E
_ACTIVITY, _PARAMETERS, _SCHEMA, _DATA, _ACTIVITY2 = 0, 21, 24, 25, 26
_LONGEST_INFO = 1 << 16
_BATCH = 512
"""Seconds put into the spool at a time."""
_CHUNK = 1 << 16
_UNIX_TICKS = 621_355_968_000_000_000
_SCALES = {"NEO": 341.0, "CLE": 341.0, "MRA": 341.0}
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError, OSError)


@dataclass
class _Log:
    """What was met on the way through log.bin."""

    damaged: int = 0
    asleep: int = 0
    others: set[str] = field(default_factory=set)
    scale: float | None = None


def recognises(beginning: Beginning) -> bool:
    """Tell an archive with info.txt and log.bin or activity.bin."""
    names = set(beginning.members)
    return "info.txt" in names and bool(names & {"log.bin", "activity.bin"})


def read(
    source: Source, _: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read an ActiGraph's primary accelerometer into the spool.

    Raises
    ------
    BadFileError
        If the archive is damaged, or info.txt lacks what is needed.
    """
    recording = ForeignRecording(source, spool, unit="g")
    if source.key is not None:
        raise recording.fault("of a gt3x file the primary accelerometer is read; there is no key to pick")
    try:
        with zipfile.ZipFile(source.path) as archive:
            _read_archive(archive, recording, progress)
    except _DAMAGED as error:
        raise recording.fault(f"the archive is damaged or cut off ({error})") from error
    return recording


def _read_archive(
    archive: zipfile.ZipFile, recording: ForeignRecording, progress: Callable[[float], None]
) -> None:
    with archive.open("info.txt") as file:
        text = file.read(_LONGEST_INFO).decode("utf-8-sig", "replace")
    info = {name.strip(): value.strip() for name, _, value in (t.partition(":") for t in text.splitlines())}
    rate = _number(info, "Sample Rate", recording)
    if not 1 <= rate <= 1000:
        raise recording.fault(f"its info.txt says a sample rate of {rate:g} Hz, which cannot be")
    recording.fs_hz = rate
    _describe(info, recording)
    offset_ns = _clock(info, recording)
    members = set(archive.namelist())
    name = "log.bin" if "log.bin" in members else "activity.bin"
    size = max(archive.getinfo(name).file_size, 1)
    with archive.open(name) as file:
        if name == "log.bin":
            _read_log(file, info, rate, offset_ns, recording, lambda: progress(file.tell() / size))
        else:
            start = _number(info, "Start Date", recording)
            start_ns = (int(start) - _UNIX_TICKS) * 100 - offset_ns
            _read_activity(file, rate, start_ns, recording, lambda: progress(file.tell() / size))


def _number(info: dict[str, str], name: str, recording: ForeignRecording) -> float:
    try:
        value = float(int(info[name])) if name == "Start Date" else float(info[name])
        if name == "Start Date" and not _UNIX_TICKS <= value <= _UNIX_TICKS + 4e16 * 1.5:
            raise ValueError(name)
    except (KeyError, ValueError) as error:
        raise recording.fault(f"its info.txt has no usable {name}") from error
    return value


def _describe(info: dict[str, str], recording: ForeignRecording) -> None:
    recording.model = f"ActiGraph {info.get('Device Type', '')}".strip()
    recording.serial = info.get("Serial Number", "")
    recording.firmware = info.get("Firmware", "")
    recording.used = ("timestamp", "accelerometer")
    try:
        recording.range_g = abs(float(info["Acceleration Max"])) or None
    except (KeyError, ValueError):
        recording.range_g = 6.0 if recording.serial[:3] in _SCALES else 8.0


def _clock(info: dict[str, str], recording: ForeignRecording) -> int:
    """Return the clock's offset from UTC in ns, where info.txt names it; else 0, and the zone is asked for.

    The clock is set when the logger is set up, and runs on without heed of summer time.
    """
    zone = re.fullmatch(r"([+-])?(\d{1,2}):(\d{2}):\d{2}", info.get("TimeZone", ""))
    if zone is not None:
        recording.meaning = "utc"
        recording.time_said = "timestamp: the clock of the file, which tells its offset from UTC"
        return recording.take_offset(*zone.groups()) * 1_000_000_000
    recording.meaning = "local"
    ticks = _number(info, "Start Date", recording)
    recording.clock_set_ns = (int(ticks) - _UNIX_TICKS) * 100
    return 0


def _scale(info: dict[str, str], log: _Log, recording: ForeignRecording) -> float:
    """Return counts per g: of the parameters or info.txt, else what the description says of the model."""
    try:
        named = float(info.get("Acceleration Scale", "nan"))
    except ValueError:
        named = float("nan")
    for scale in (log.scale, named, _SCALES.get(recording.serial[:3], 256.0)):
        if scale is not None and 1 < scale < 1e5:
            return scale
    raise AssertionError("the last scale is always one")


def _read_log(
    file: IO[bytes],
    info: dict[str, str],
    rate: float,
    offset_ns: int,
    recording: ForeignRecording,
    progress: Callable[[], None],
) -> None:
    log = _Log()
    turned = recording.serial.startswith("MOS") and recording.firmware == "1.6.0"
    seconds: list[int] = []
    parts: list[npt.NDArray[np.int64]] = []

    def put() -> None:
        if not parts:
            return
        scale = _scale(info, log, recording)
        recording.step = 1 / scale
        times = [
            _of_second(second, len(part), rate) - offset_ns
            for second, part in zip(seconds, parts, strict=True)
        ]
        counts = np.concatenate(parts)
        if turned:  # this firmware turned the axes (LogRecords/Activity.md)
            counts = np.stack([counts[:, 1], -counts[:, 0], counts[:, 2]], axis=1)
        recording.spool.append(np.concatenate(times), counts / scale)
        seconds.clear()
        parts.clear()
        progress()

    for kind, second, payload in _records(file, log):
        if kind == _PARAMETERS:
            log.scale = _accel_scale(payload) or log.scale
        elif kind in {_SCHEMA, _DATA}:
            log.others.add("inertial unit (gyroscope, magnetometer)")
        elif len(payload) > 1 and kind in {_ACTIVITY, _ACTIVITY2}:
            seconds.append(second)
            parts.append(_packed(payload) if kind == _ACTIVITY else _words(payload))
            if len(parts) >= _BATCH:
                put()
        elif kind in {_ACTIVITY, _ACTIVITY2}:
            log.others.add("marks of USB contact")
    put()
    if not recording.spool.rows:
        raise recording.fault("its log.bin holds no whole second of samples")
    recording.ignored = ("light", "battery", *sorted(log.others))
    if log.damaged:
        recording.remarks.append(f"{log.damaged:,} stretches of log.bin are damaged and left out as gaps")


def _of_second(second: int, n: int, rate: float) -> Ints:
    """Return the times (ns) of n samples of a second."""
    times: Ints = np.rint(np.arange(n) * (1e9 / max(n, rate))).astype(np.int64) + second * 1_000_000_000
    return times


def _records(file: IO[bytes], log: _Log) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, second and payload of whole records; looks for the next one where the bytes are none."""
    buffer, at, lost, ended = b"", 0, False, False
    while True:
        if not ended and len(buffer) - at < _CHUNK + 16:
            more = file.read(4 * _CHUNK)
            buffer, at, ended = buffer[at:] + more, 0, not more
        if len(buffer) - at < 9:
            log.damaged += int(len(buffer) - at > 0 and any(buffer[at:]) and not lost)
            return
        size = int.from_bytes(buffer[at + 6 : at + 8], "little")
        end = at + 8 + size
        if buffer[at] == _SEPARATOR and end < len(buffer) and _checks(buffer[at : end + 1]):
            yield buffer[at + 1], int.from_bytes(buffer[at + 2 : at + 6], "little"), buffer[at + 8 : end]
            at, lost = end + 1, False
            continue
        if buffer[at] and not lost:  # zero bytes between records are no damage
            log.damaged, lost = log.damaged + 1, True
        following = buffer.find(_SEPARATOR, at + 1)
        at = following if following > 0 else len(buffer)


def _checks(record: bytes) -> bool:
    """Tell whether the last byte is the complement of all others, one laid over the other."""
    folded = int(np.bitwise_xor.reduce(np.frombuffer(record, np.uint8)))
    return folded == 0xFF


def _accel_scale(payload: bytes) -> float | None:
    """Return ACCEL_SCALE of a parameters record: a 24-bit fraction and an exponent (Parameters.md)."""
    words = np.frombuffer(payload[: len(payload) // 8 * 8], "<u4").reshape(-1, 2)
    for key, value in words.tolist():
        if key == 55 << 16:
            fraction, exponent = value & 0xFFFFFF, value >> 24
            fraction -= (fraction & 0x800000) << 1
            exponent -= (exponent & 0x80) << 1
            return float(fraction / 2**23 * 2.0**exponent)
    return None


def _packed(payload: bytes) -> npt.NDArray[np.int64]:
    """Read 12-bit y, x, z of samples as (n, 3) counts x, y, z."""
    octets = np.frombuffer(payload, np.uint8).astype(np.int64)
    nibbles = np.stack([octets >> 4, octets & 15], axis=1).ravel()
    values = nibbles[: len(nibbles) // 9 * 9].reshape(-1, 3) @ [256, 16, 1]
    signed = (values ^ 0x800) - 0x800
    return signed.reshape(-1, 3)[:, [1, 0, 2]]


def _words(payload: bytes) -> npt.NDArray[np.int64]:
    """Read 16-bit x, y, z of samples as (n, 3) counts."""
    return np.frombuffer(payload[: len(payload) // 6 * 6], "<i2").reshape(-1, 3).astype(np.int64)


def _read_activity(
    file: IO[bytes], rate: float, start_ns: int, recording: ForeignRecording, progress: Callable[[], None]
) -> None:
    """Read activity.bin of the first firmware: samples without stamps, from the start date on."""
    scale, done = 341.0, 0
    recording.step = 1 / scale
    recording.ignored = ("light", "battery")
    while block := file.read(9 * _CHUNK):  # two samples are nine bytes
        counts = _packed(block)
        times = np.rint(np.arange(done, done + len(counts)) * (1e9 / rate)).astype(np.int64) + start_ns
        recording.spool.append(times, counts / scale)
        done += len(counts)
        progress()
    if not done:
        raise recording.fault("its activity.bin is empty")
    recording.remarks.append("activity.bin has no stamps: samples are counted from the start date")
