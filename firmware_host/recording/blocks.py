"""Frames of `samples.log`: bytes to blocks and back, and the scan that finds its way around damage.

Every block is a frame of its own with a magic, a checksum over everything else of it, and a sequence number.
A scan trusts nothing that the checksum does not cover: behind a frame that does not hold it looks for the
next magic, so that a wrong length hides no later block. Layout: docs/night-format.md.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, BinaryIO, Self

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.recording.coding import SAMPLE_HEAD

MAGIC = b"\x9eTwB"
FRAME = struct.Struct("<4sIIIHBBH")
"""Magic, CRC-32 of what follows it, payload length, sequence, session, kind, coding, sensor."""
CHECKED_FROM = 8  # the checksum covers the frame from its length on
MAX_PAYLOAD = 1 << 22
NO_SENSOR = 0xFFFF
READ_BYTES = 1 << 22

_HEAD = struct.Struct("<4sII")


class BlockKind(IntEnum):
    """What a block holds."""

    HEADER = 1
    """JSON of night.toml and of the session, at its start and every ten minutes."""
    EVENT = 2
    """JSON of something that happened: connected, lost, battery, mark ..."""
    SAMPLES = 3
    """Samples of one sensor."""


INDEX_DTYPE = np.dtype(
    [
        ("offset", "<i8"),
        ("length", "<u4"),
        ("sequence", "<u4"),
        ("session", "<u2"),
        ("kind", "u1"),
        ("coding", "u1"),
        ("sensor", "<u2"),
        ("n", "<u4"),
        ("first", "<i8"),
        ("mono_ns", "<i8"),
        ("utc_ns", "<i8"),
        ("device_ns", "<i8"),
    ]
)
"""One row a block, in the order of the file; the last five are 0 where the block holds no samples."""

# The same fields where they lie in the bytes of a frame, from its length on.
_IN_FILE = [(name, INDEX_DTYPE[name]) for name in INDEX_DTYPE.names or () if name != "offset"]
_IN_FILE_DTYPE = np.dtype([("magic", "S4"), ("crc", "<u4"), *_IN_FILE])
_SAMPLE_FIELDS = ("n", "first", "mono_ns", "utc_ns", "device_ns")
assert _IN_FILE_DTYPE.itemsize == FRAME.size + SAMPLE_HEAD.size


@dataclass(frozen=True)
class Damage:
    """Bytes of a night that are no whole block: where, how many, and what they seem to be."""

    offset: int
    length: int
    what: str
    file: str = "samples.log"


@dataclass(frozen=True)
class Scan:
    """What a scan found: one row a whole block, the damage between them, and how far the file went."""

    index: npt.NDArray[np.void]
    damage: tuple[Damage, ...]
    size: int
    cut_short: bool
    """The last bytes are the beginning of a block: still being written, or cut off."""

    @classmethod
    def empty(cls) -> Self:
        """Return the scan of a file that is not there."""
        return cls(np.zeros(0, INDEX_DTYPE), (), 0, cut_short=False)


def pack_frame(
    kind: BlockKind,
    payload: bytes,
    *,
    sequence: int,
    session: int,
    coding: int = 0,
    sensor: int | None = None,
) -> bytes:
    """Frame a payload: the bytes of one block as they stand in the file."""
    rest = FRAME.pack(
        MAGIC,
        0,
        len(payload),
        sequence & 0xFFFFFFFF,
        session,
        kind,
        coding,
        NO_SENSOR if sensor is None else sensor,
    )[CHECKED_FROM:]
    crc = zlib.crc32(payload, zlib.crc32(rest))
    return b"".join((MAGIC, crc.to_bytes(4, "little"), rest, payload))


def read_payload(stream: BinaryIO, offset: int, length: int) -> memoryview | None:
    """Read one block's payload; None if it no longer is what its checksum says."""
    stream.seek(offset)
    frame = stream.read(FRAME.size + length)
    whole = len(frame) == FRAME.size + length and frame[:4] == MAGIC
    view = memoryview(frame)
    if not whole or zlib.crc32(view[CHECKED_FROM:]) != int.from_bytes(frame[4:8], "little"):
        return None
    return view[FRAME.size :]


CLOCK_NS = -(2**60), 2**62
"""What clocks can say, UTC or since they began, which in imports is one time: 1933 to 2116."""


class _Times(msgspec.Struct, frozen=True):
    """What every header and event says."""

    utc_ns: Annotated[int, msgspec.Meta(ge=CLOCK_NS[0], le=CLOCK_NS[1])]
    mono_ns: Annotated[int, msgspec.Meta(ge=CLOCK_NS[0], le=CLOCK_NS[1])]
    kind: str = ""


def read_notes(stream: BinaryIO, index: npt.NDArray[np.void]) -> list[tuple[int, int, dict[str, Any]]]:
    """Read header and event blocks: row of the index, kind, content; what is none of ours is passed over."""
    found = []
    for row in np.flatnonzero(index["kind"] != BlockKind.SAMPLES).tolist():
        payload = read_payload(stream, int(index["offset"][row]), int(index["length"][row]))
        if payload is None or index["kind"][row] not in {BlockKind.HEADER, BlockKind.EVENT}:
            continue  # a kind of block that a later version of the format added
        with contextlib.suppress(msgspec.DecodeError):
            msgspec.json.decode(payload, type=_Times)
            found.append((row, int(index["kind"][row]), msgspec.json.decode(payload, type=dict[str, Any])))
    return found


def place(rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Return where blocks stand in the night: rising as they were written, in whatever order they lie."""
    at: npt.NDArray[np.int64] = rows["session"].astype(np.int64) << 32 | rows["sequence"]
    return at


def in_order(index: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.void], tuple[Damage, ...]]:
    """Put the blocks of a log in the order in which they were written, each once; tell what stood otherwise.

    Those with times that no clock says are left out.

    A log that was pieced together from the parts of a broken disk may hold parts twice or in another order.
    Read as they stand, copies behind a reconnect would be samples of another time.
    """
    possible = np.ones(len(index), bool)
    for name in ("utc_ns", "mono_ns"):
        possible &= (index[name] >= CLOCK_NS[0]) & (index[name] <= CLOCK_NS[1])
    possible |= index["length"] < SAMPLE_HEAD.size  # it says no times, and is told of when it is read
    if not possible.all():
        others, damage = in_order(index[possible])
        what = "holds blocks with times that no clock says", "they are not read"
        return others, (*_told(index[~possible], *what), *damage)
    at = place(index)
    if np.all(at[1:] > at[:-1]):
        return index, ()
    kept = np.unique(at, return_index=True)[1]  # the first of each
    left_out = np.setdiff1d(np.arange(len(index)), kept, assume_unique=True)
    original = kept[np.searchsorted(at[kept], at[left_out])]
    copied = _contents(index[left_out]) == _contents(index[original])
    standing = np.sort(kept)
    backwards = standing[1:][np.diff(at[standing]) < 0]
    found = (
        (left_out[copied], "holds blocks twice", "each is read once"),
        (left_out[~copied], "holds blocks under the numbers of others", "they are not read"),
        (backwards, "steps back in the order of its blocks", "they are read in order"),
    )
    return index[kept], tuple(one for rows, *what in found for one in _told(index[rows], *what))


def _told(rows: npt.NDArray[np.void], what: str, so: str) -> list[Damage]:
    """Tell of some blocks in one sentence, if there are any."""
    if not len(rows):
        return []
    offset = int(rows["offset"][0])
    return [Damage(offset, 0, f"samples.log {what} ({len(rows)}, the first at byte {offset}): {so}")]


def _contents(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return what the index says of blocks, without where in the file they stand."""
    rows = rows.copy()
    rows["offset"] = 0
    return rows


def scan(stream: BinaryIO) -> Scan:
    """Find every whole block of a log, in bounded memory, checking each checksum.

    Parameters
    ----------
    stream
        A log, opened for reading, at its beginning; a writer may be appending to it.

    Returns
    -------
    Every block whose checksum holds, in the order of the file, and the bytes between that belong to none.
    """
    buffer, base, at, ended = b"", 0, 0, False
    rows: list[npt.NDArray[np.void]] = []
    damage: list[Damage] = []
    bad_from: int | None = None
    while not ended:
        more = stream.read(READ_BYTES)
        ended = not more
        base, buffer, at = base + at, buffer[at:] + more, 0
        starts: list[int] = []
        view = memoryview(buffer)
        while True:
            end = _frame_end(buffer, view, at, ended=ended)
            if end == _MORE:
                break
            if end > 0:
                if bad_from is not None:
                    damage.append(_damage(stream, bad_from, base + at))
                    bad_from = None
                starts.append(at)
                at = end
                continue
            if bad_from is None:
                bad_from = base + at
            found = buffer.find(MAGIC, at + 1)
            # Without a find the last bytes may still begin a magic that the next read completes.
            at = found if found >= 0 else max(at + 1, len(buffer) - len(MAGIC) + 1)
        rows.append(_rows(buffer, base, starts))
        view.release()
    size = base + len(buffer)
    if bad_from is None and at < len(buffer):
        bad_from = base + at
    cut_short = bad_from is not None and _begins_frame(stream, bad_from, size)
    if bad_from is not None:
        damage.append(_damage(stream, bad_from, size))
    return Scan(np.concatenate(rows), tuple(damage), size, cut_short)


_MORE = -1


def _frame_end(buffer: bytes, view: memoryview, at: int, *, ended: bool) -> int:
    """Return where the whole frame at `at` ends, 0 if there is none, `_MORE` if more bytes must be read."""
    if at + FRAME.size > len(buffer):
        return _MORE if not ended or at >= len(buffer) else 0
    magic, crc, length = _HEAD.unpack_from(buffer, at)
    if magic != MAGIC or length > MAX_PAYLOAD:
        return 0
    end = at + FRAME.size + int(length)
    if end > len(buffer):
        return 0 if ended else _MORE
    return end if zlib.crc32(view[at + CHECKED_FROM : end]) == crc else 0


def _rows(buffer: bytes, base: int, starts: list[int]) -> npt.NDArray[np.void]:
    """Read the heads of the frames at `starts` into rows of the index, all at once."""
    rows = np.zeros(len(starts), INDEX_DTYPE)
    if not starts:
        return rows
    at = np.array(starts, np.int64)
    data = np.frombuffer(buffer, np.uint8)
    where = np.minimum(at[:, None] + np.arange(_IN_FILE_DTYPE.itemsize), len(data) - 1)
    heads = np.ascontiguousarray(data[where]).view(_IN_FILE_DTYPE)[:, 0]
    rows["offset"] = base + at
    for name, _ in _IN_FILE:
        rows[name] = heads[name]
    for name in _SAMPLE_FIELDS:
        rows[name][rows["kind"] != BlockKind.SAMPLES] = 0
    return rows


def _begins_frame(stream: BinaryIO, offset: int, size: int) -> bool:
    stream.seek(offset)
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return MAGIC.startswith(head[:4]) and size - offset < FRAME.size
    magic, _, length = _HEAD.unpack(head)
    return bool(magic == MAGIC and length <= MAX_PAYLOAD and offset + FRAME.size + length > size)


def _damage(stream: BinaryIO, start: int, stop: int) -> Damage:
    """Describe damaged bytes from a look at the first of them; leaves the stream where it was."""
    was = stream.tell()
    stream.seek(start)
    head = stream.read(min(stop - start, 65_536))
    stream.seek(was)
    if not head.strip(b"\0"):
        what = "zeros where blocks should be"
    elif head.startswith(MAGIC):
        what = "a block that is cut short or changed"
    else:
        what = "bytes that are no block"
    return Damage(start, stop - start, what)
