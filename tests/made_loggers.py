"""Files of loggers and apps, encoded from the descriptions of their formats, for the tests of the importers.

Nothing here is shared with the importers: what they read is compared with what was put in.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REST_G = np.array([0.12, -0.34, 0.93])


def wall_ns(text: str) -> int:
    """Return ns of a wall clock, such as "2026-03-28T23:30:00"."""
    return int(np.datetime64(text, "ns").astype(np.int64))


# Axivity (Open Movement, cwa.h)


def cwa_time(moment: datetime) -> int:
    """Pack a time: YYYYYYMM MMDDDDDh hhhhmmmm mmssssss."""
    date = (moment.year - 2000) << 26 | moment.month << 22 | moment.day << 17
    return date | moment.hour << 12 | moment.minute << 6 | moment.second


def cwa_header(*, set_at: datetime, ax6: bool = False, session: int = 26, rate_code: int = 0x4A) -> bytes:
    """Return the header of 1024 bytes of logger 39434 (AX3) or 6011834 (AX6)."""
    device, high = (6011834 & 0xFFFF, 6011834 >> 16) if ax6 else (39434, 0xFFFF)
    head = struct.pack("<2sHBHIH", b"MD", 1020, 0x64 if ax6 else 0x17, device, session, high).ljust(35, b"\0")
    head += struct.pack("<BBIB", 2 if ax6 else 0xFF, rate_code, cwa_time(set_at), 45)
    return head.ljust(64, b"\xff").ljust(1024, b" ")


def cwa_pack(counts: Counts) -> Counts:
    """Pack x, y, z into 32 bits with the smallest exponent that holds them; low bits are lost."""
    exponent = np.zeros(len(counts), np.int64)
    for shift in (1, 2, 3):
        exponent[((counts >> (shift - 1)) > 511).any(1) | ((counts >> (shift - 1)) < -512).any(1)] = shift
    bits = (counts >> exponent[:, None]) & 0x3FF
    return bits[:, 0] | bits[:, 1] << 10 | bits[:, 2] << 20 | exponent << 30


def cwa_sectors(
    counts: Counts,
    times_ns: Counts,
    *,
    mode: Literal["packed", "unpacked", "gyro"] = "packed",
    rate_code: int = 0x4A,
    scale: int = 0,
    session: int = 26,
    first_number: int = 0,
) -> list[bytes]:
    """Return sectors of 512 bytes; each stamp is of a sample in the middle, in 1/32768 s.

    Parameters
    ----------
    counts : (n, 3) whole numbers.
    times_ns : (n,) ns of the logger's wall clock.
    """
    per, axes = {"packed": (120, 0x30), "unpacked": (80, 0x32), "gyro": (40, 0x62)}[mode]
    rate = 3200 // (1 << (15 - (rate_code & 15)))
    sectors = []
    for number, a in enumerate(range(0, len(counts), per)):
        part = counts[a : a + per]
        at = min(per // 2 + 7, len(part) - 1)
        second, rest = divmod(int(times_ns[a + at]), 10**9)
        fraction = rest * 32768 // 10**9
        whole = at - ((fraction << 1) * rate >> 16)  # as if the stamp were of the full second
        raw = {
            "packed": lambda p: cwa_pack(p).astype("<u4").tobytes(),
            "unpacked": lambda p: p.astype("<i2").tobytes(),
            "gyro": lambda p: np.concatenate([p * 0 + 77, p], axis=1).astype("<i2").tobytes(),
        }[mode](part)
        body = struct.pack(
            "<2sHHIIIHHBBBBhH", b"AX", 508, 0x8000 | fraction, session, first_number + number,
            cwa_time(EPOCH + timedelta(seconds=second)), 300 | scale << 13, 200, int(number == 0), 180,
            rate_code, axes, whole, len(part),
        ) + raw.ljust(480, b"\0")  # fmt: skip
        words = int(np.frombuffer(body, "<u2").sum(dtype=np.int64))
        sectors.append(body + struct.pack("<H", -words & 0xFFFF))
    return sectors


# GENEActiv ("Decoding .bin files")


GENEA_GAIN, GENEA_OFFSET = (25548, 25734, 24829), (574, -662, 101)
GENEA_HEAD = """Device Identity
Device Unique Serial Code:012967
Device Type:GENEActiv
Device Model:1.1
Device Firmware Version:Ver4.08a date14Jul14
Calibration Date:2012-04-03 11:08:52:000

Device Capabilities
Accelerometer Range:-8 to 8
Accelerometer Resolution:0.0039

Configuration Info
Measurement Frequency:{rate:g} Hz
Start Time:{start}
Time Zone:GMT {zone}

Trial Info
Extract Notes:(device clock drift -1.459s)

Calibration Data
x gain:{gain[0]}
x offset:{offset[0]}
y gain:{gain[1]}
y offset:{offset[1]}
z gain:{gain[2]}
z offset:{offset[2]}
Volts:300
Lux:800

Memory Status
Number of Pages:{pages}
"""


def genea_g(counts: Counts) -> Floats:
    """Return g of counts, by the calibration in the header."""
    return (counts * 100.0 - np.array(GENEA_OFFSET)) / np.array(GENEA_GAIN)


def genea_stamp(ns: int) -> str:
    """Return a page time, cut to half a second."""
    moment = EPOCH + timedelta(microseconds=ns // 500_000_000 * 500_000)
    return f"{moment:%Y-%m-%d %H:%M:%S}:{moment.microsecond // 1000:03d}"


def genea_page(number: int, counts: Counts, first_ns: int, rate: float) -> str:
    """Return a page of up to 300 samples."""
    digits = "".join(f"{x & 0xFFF:03X}{y & 0xFFF:03X}{z & 0xFFF:03X}040" for x, y, z in counts.tolist())
    return (
        f"Recorded Data\nDevice Unique Serial Code:012967\nSequence Number:{number}\n"
        f"Page Time:{genea_stamp(first_ns)}\nUnassigned:\nTemperature:21.5\nBattery voltage:4.1493\n"
        f"Device Status:Recording\nMeasurement Frequency:{rate:.1f}\n{digits}\n"
    )


def genea(
    counts: Counts,
    times_ns: Counts,
    rate: float,
    *,
    zone: str = "+01:00",
    skip: Sequence[int] = (),
    eol: str = "\r\n",
) -> bytes:
    """Return a whole file; pages in `skip` are left out."""
    starts = range(0, len(counts), 300)
    head = GENEA_HEAD.format(
        rate=rate, start=genea_stamp(int(times_ns[0])), zone=zone, gain=GENEA_GAIN, offset=GENEA_OFFSET,
        pages=len(starts),
    )  # fmt: skip
    pages = [
        genea_page(i, counts[a : a + 300], int(times_ns[a]), rate)
        for i, a in enumerate(starts)
        if i not in skip
    ]
    return (head + "\n" + "".join(pages)).replace("\n", eol).encode()


# ActiGraph (GT3X-File-Format, NHANES-GT3X-File-Format)


def gt3x_record(kind: int, second: int, payload: bytes) -> bytes:
    """Return a record of log.bin with its checksum."""
    body = struct.pack("<BBIH", 0x1E, kind, second, len(payload)) + payload
    folded = 0
    for byte in body:
        folded ^= byte
    return body + bytes([~folded & 0xFF])


def gt3x_pack(counts: Counts) -> bytes:
    """Pack x, y, z into 12 bits each in the order y, x, z, the most significant bit first."""
    text = "".join(f"{v & 0xFFF:03x}" for x, y, z in counts.tolist() for v in (y, x, z))
    return bytes.fromhex(text + "0" * (len(text) % 2))


def gt3x_info(
    *, rate: int, start_ns: int, zone: str | None = "-05:00:00", serial: str = "TAS1H30182785"
) -> str:
    """Return info.txt."""
    lines = [
        f"Serial Number: {serial}", "Device Type: Link", "Firmware: 1.7.2", f"Sample Rate: {rate}",
        f"Start Date: {start_ns // 100 + 621355968000000000}", "Acceleration Scale: 256.0",
        "Acceleration Max: 8.0",
    ]  # fmt: skip
    return "\n".join(lines + ([f"TimeZone: {zone}"] if zone else [])) + "\n"


def gt3x(path: Path, members: dict[str, bytes | str]) -> Path:
    """Write the archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


# Apps


def polar(acc_mg: Counts, sensor_ns: Counts, phone_ns: Counts) -> str:
    """Return a file of Polar Sensor Logger."""
    phone = np.datetime_as_string(phone_ns.astype("datetime64[ns]"), unit="ms").tolist()
    lines = [
        f"{p};{s};{x};{y};{z}"
        for p, s, (x, y, z) in zip(phone, sensor_ns.tolist(), acc_mg.tolist(), strict=True)
    ]
    return "\n".join(["Phone timestamp;sensor timestamp [ns];X [mg];Y [mg];Z [mg]", *lines]) + "\n"


def movesense(
    acc_ms2: Floats,
    times_ns: Counts,
    *,
    per: int = 8,
    stream: str = "MeasIMU6",
    clock: dict[str, int] | None = None,
) -> list[dict[str, object]]:
    """Return the packets of a Movesense as its JSON has them, with stamps of whole ms."""
    said: list[dict[str, object]] = [] if clock is None else [{"TimeDetailed": clock}]
    for a in range(0, len(acc_ms2), per):
        vectors = [dict(zip("xyz", row, strict=True)) for row in acc_ms2[a : a + per].tolist()]
        stamp = round(int(times_ns[a]) / 1e6)
        said.append({stream: {"Timestamp": stamp, "ArrayAcc": vectors, "ArrayGyro": vectors}})
    return said


def movesense_json(path: Path, packets: Sequence[dict[str, object]]) -> Path:
    """Write a Movesense file."""
    path.write_text(json.dumps({"Samples": packets}))
    return path


def table(header: str, rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    """Return a text table."""
    return "\n".join([header, *(delimiter.join(map(str, row)) for row in rows)]) + "\n"


def zipped(members: dict[str, str | bytes], *, stored: bool = False) -> bytes:
    """Return a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def counts_of(n: int, per_g: float, *, seed: int = 0) -> Counts:
    """Return (n, 3) counts of a sensor at rest, with a few extremes of both signs."""
    noise = np.random.default_rng(seed).normal(0, 0.006, (n, 3))
    counts = np.rint((REST_G + noise) * per_g).astype(np.int64)
    counts[200] = [511, -512, 3]
    return counts


def write(path: Path, *parts: bytes) -> Path:
    """Write a file."""
    path.write_bytes(b"".join(parts))
    return path
