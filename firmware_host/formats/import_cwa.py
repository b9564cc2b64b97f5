"""Axivity AX3 and AX6: `.cwa` files, packed and unpacked, with or without gyroscope.

Layout: the header `cwa.h` of Open Movement (digitalinteraction/openmovement, Docs/ax3): 1024 bytes, then
sectors of 512 bytes, each with a stamp, a number and a checksum. The clock is set to local time when the
logger is set up, and runs on without heed of summer time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from firmware_host.formats.anchors import Blocks, sample_times
from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Ints, Source, Spool

HEADER = 1024
SECTOR = 512
_MAGIC = b"MD\xfc\x03"
_CHUNK = 4096
"""Sectors read at a time: 2 MB."""
_AX6 = 0x64
_SECTOR = np.dtype(
    {
        "names": ["magic", "length", "fraction", "session", "number", "time", "scale", "events", "rate",
                  "axes", "offset", "samples", "raw"],
        "formats": ["<u2", "<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "u1", "u1",
                    "u1", "<i2", "<u2", "V480"],
        "offsets": [0, 2, 4, 6, 10, 14, 18, 22, 24, 25, 26, 28, 30],
        "itemsize": SECTOR,
    }
)  # fmt: skip
Sectors = npt.NDArray[Any]
_CAPACITY = {0x30: 120, 0x32: 80, 0x62: 40, 0x92: 26}
"""Samples that a full sector holds, by the byte that names axes and packing."""


@dataclass
class _Seen:
    """What was met on the way through the file."""

    session: int | None = None
    damaged: int = 0
    foreign: int = 0
    unstamped: int = 0
    axes: int = 0
    rate_code: int = 0
    scale: int = 0
    ignored: set[str] = field(default_factory=set)


def recognises(beginning: Beginning) -> bool:
    """Tell a CWA file: "MD" and the length of its header."""
    return beginning.head.startswith(_MAGIC)


def read(
    source: Source, _: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read an AX3's or AX6's acceleration into the spool.

    Raises
    ------
    BadFileError
        If the file holds no whole sector, or its rate, range or axes change.
    """
    recording = ForeignRecording(source, spool, meaning="local", unit="g")
    size = max(source.path.stat().st_size, 1)
    with source.path.open("rb") as file:
        head = file.read(HEADER)
        if source.key is not None:
            raise recording.fault("a CWA file holds one sensor, there is nothing to pick with a key")
        if not head.startswith(_MAGIC) or len(head) < HEADER:
            raise recording.fault("this is no whole CWA file: its header is missing or cut off")
        _describe(recording, head)
        seen = _Seen()
        held: Sectors = np.empty(0, _SECTOR)
        shown = 0  # sectors at the start of `held` whose samples are in the spool already
        for sectors, last in _chunks(file, recording, seen):
            held = np.concatenate([held, sectors])
            ready = len(held) if last else len(held) - 1
            if ready > shown:
                _append(held, shown, ready, spool, seen)
                held, shown = held[ready - 1 :], 1
            progress(file.tell() / size)
    if not spool.rows:
        raise recording.fault("it holds no whole sector of samples: nothing was recorded, or all is damaged")
    _conclude(recording, seen)
    return recording


def _describe(recording: ForeignRecording, head: bytes) -> None:
    high = int.from_bytes(head[11:13], "little")
    number = int.from_bytes(head[5:7], "little") | (0 if high == 0xFFFF else high << 16)
    recording.model = "Axivity AX6" if head[4] == _AX6 else "Axivity AX3"
    recording.serial, recording.firmware = str(number), str(head[41])
    set_ns, good = _stamps(np.frombuffer(head[37:41], "<u4"))
    if good[0]:
        recording.clock_set_ns = int(set_ns[0])
    recording.used = ("timestamp", "accelerometer")


def _chunks(file: IO[bytes], recording: ForeignRecording, seen: _Seen) -> Iterator[tuple[Sectors, bool]]:
    """Yield whole sectors of this recording, and whether they are the last."""
    data = file.read(_CHUNK * SECTOR)
    while data:
        following = file.read(_CHUNK * SECTOR)
        if len(data) % SECTOR:
            seen.damaged += 1  # the file ends within a sector
        raw = np.frombuffer(data, np.uint8)[: len(data) // SECTOR * SECTOR].reshape(-1, SECTOR)
        sectors = raw.view(_SECTOR)[:, 0]
        whole = (sectors["magic"] == 0x5841) & (sectors["length"] == SECTOR - 4)
        whole &= raw.view("<u2").sum(axis=1, dtype=np.int64) % 65536 == 0
        if seen.session is None and whole.any():
            seen.session = int(sectors["session"][np.argmax(whole)])
        own = whole & (sectors["session"] == (seen.session or 0))
        _, stamped = _stamps(sectors["time"])
        good = own & stamped
        seen.damaged += int(np.count_nonzero(~whole & raw.any(axis=1) & ~(raw == 0xFF).all(axis=1)))
        seen.foreign += int(np.count_nonzero(whole & ~own))
        seen.unstamped += int(np.count_nonzero(own & ~stamped))
        kept = sectors[good]
        _check_alike(kept, recording, seen)
        yield kept, not following
        data = following


def _check_alike(sectors: Sectors, recording: ForeignRecording, seen: _Seen) -> None:
    """Refuse what a CWA file cannot be, and a file whose rate, range or axes change."""
    if not len(sectors):
        return
    first = sectors[0]
    if not seen.axes:
        seen.axes, seen.rate_code = int(first["axes"]), int(first["rate"])
        seen.scale = int(first["scale"]) >> 13
        if seen.axes not in _CAPACITY:
            raise recording.fault(f"its sectors hold samples of an unknown kind (0x{seen.axes:02x})")
        recording.fs_hz = 3200 / (1 << (15 - (seen.rate_code & 15)))
        recording.range_g = float(16 >> (seen.rate_code >> 6))
        recording.step = 2.0 ** -(8 + (seen.scale if seen.axes != 0x30 else 0))
    same = (sectors["axes"] == seen.axes) & (sectors["rate"] == seen.rate_code)
    same &= (sectors["scale"] >> 13 == seen.scale) | (seen.axes == 0x30)
    if not same.all():
        raise recording.fault("its rate, range or axes change on the way: two recordings stand in it")
    if (sectors["samples"] > _CAPACITY[seen.axes]).any():
        raise recording.fault("a sector says that it holds more samples than fit into it")


def _append(held: Sectors, start: int, stop: int, spool: Spool, seen: _Seen) -> None:
    """Put samples of sectors [start, stop) into the spool; those around them give their times a slope."""
    rate = 3200 / (1 << (15 - (seen.rate_code & 15)))
    blocks = _blocks(held, rate)
    times = sample_times(blocks, rate)
    first = np.concatenate([blocks.first, [blocks.samples.sum()]])
    step = np.float32(2.0 ** -(8 + (seen.scale if seen.axes != 0x30 else 0)))
    counts = _counts(held[start:stop], seen.axes)
    spool.append(times[int(first[start]) : int(first[stop])], counts * step)


def _blocks(sectors: Sectors, rate: float) -> Blocks:
    """Read where the stamps hold; a fraction of a second moved the index, which is taken back (cwa.h)."""
    stamp_ns, _ = _stamps(sectors["time"])
    fine = sectors["fraction"] >= 0x8000
    fraction = np.where(fine, (sectors["fraction"].astype(np.int64) & 0x7FFF) << 1, 0)
    at = sectors["offset"].astype(np.int64) + ((fraction * int(rate)) >> 16)
    number = sectors["number"].astype(np.int64)
    follows = np.diff(number, prepend=-1) == 1
    follows &= sectors["events"] & 1 == 0
    return Blocks(
        sectors["samples"].astype(np.int64),
        at.astype(np.float64),
        stamp_ns + (fraction * 1_000_000_000 >> 16),
        follows,
    )


def _counts(sectors: Sectors, axes: int) -> npt.NDArray[np.float32]:
    """Return the acceleration of sectors, (n, 3) counts."""
    capacity = _CAPACITY[axes]
    raw = np.ascontiguousarray(sectors["raw"]).view(np.uint8).reshape(len(sectors), 480)
    if axes == 0x30:  # eezzzzzzzzzzyyyyyyyyyyxxxxxxxxxx, the exponent shifts all three
        packed = np.ascontiguousarray(raw).view("<u4").astype(np.int64)
        axis = np.stack([(packed >> shift & 0x3FF ^ 0x200) - 0x200 for shift in (0, 10, 20)], axis=-1)
        values = axis << (packed >> 30)[..., None]
    else:
        wide = axes >> 4
        words = np.ascontiguousarray(raw[:, : capacity * wide * 2]).view("<i2")
        skipped = 0 if wide == 3 else 3  # the gyroscope's three come first
        values = words.reshape(len(sectors), capacity, wide)[:, :, skipped : skipped + 3]
    held = np.arange(capacity) < sectors["samples"][:, None]
    counts: npt.NDArray[np.float32] = values[held].astype(np.float32)
    return counts


def _stamps(packed: npt.NDArray[np.uint32]) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Read YYYYYYMM MMDDDDDh hhhhmmmm mmssssss as ns of the wall clock, and tell those that are times."""
    bits = packed.astype(np.int64)
    month, day = bits >> 22 & 15, bits >> 17 & 31
    hour, minute, second = bits >> 12 & 31, bits >> 6 & 63, bits & 63
    good = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    months = np.where(good, ((bits >> 26) + 30) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    return (days * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000_000, good


def _conclude(recording: ForeignRecording, seen: _Seen) -> None:
    ignored = ["light", "temperature", "battery"]
    if seen.axes in {0x62, 0x92}:
        ignored.append("gyroscope")
    if seen.axes == 0x92:
        ignored.append("magnetometer")
    recording.ignored = tuple(ignored)
    first_ns = int(recording.spool.times_ns(0, 1)[0])
    if recording.clock_set_ns is None or recording.clock_set_ns > first_ns:
        recording.clock_set_ns = first_ns  # set up at an unknown time: the start stands for it
    for n, what in (
        (seen.damaged, "damaged (their checksum does not fit) and left out as gaps"),
        (seen.foreign, "of another recording and left out"),
        (seen.unstamped, "without a time and left out as gaps"),
    ):
        if n:
            recording.remarks.append(f"{n:,} sectors of 512 bytes are {what}")
