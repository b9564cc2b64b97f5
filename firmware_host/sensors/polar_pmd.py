"""Polar's PMD service: its words, lists of settings, frames of acceleration, raw or compressed; both ways.

Source: polarofficial/polar-ble-sdk (PmdSetting, AccData and their tests); two independent decoders agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
HEART_RATE = "0000180d-0000-1000-8000-00805f9b34fb"
POLAR_SERVICE = "0000feee-0000-1000-8000-00805f9b34fb"
POLAR = 0x006B

# Commands, and the kinds of measurement that they are about.
SETTINGS, START, STOP, STATUS, SDK_STATUS = 1, 2, 3, 5, 6
ACCELERATION, SDK_MODE, NONE = 2, 9, 0xFF
ENDED = 1
"""First byte of the sensor's own word that it ended a measurement."""
OK, BAD_COMMAND, BAD_TYPE, BAD_LENGTH, BAD_PARAMETER, ALREADY, BAD_MTU, BAD_STATE = 0, 1, 2, 4, 5, 6, 10, 12

RATE, RESOLUTION, RANGE, RANGE_MILLI, CHANNELS, FACTOR = range(6)
WIDTHS = {RATE: 2, RESOLUTION: 2, RANGE: 2, RANGE_MILLI: 4, CHANNELS: 1, FACTOR: 4}
"""Bytes of a value of each setting; a factor is a float32."""
RAW_INT16 = 0x01
COMPRESSED_COUNTS, COMPRESSED_MG = 0x80, 0x81
"""Kinds of compressed frames: numbers that times the factor are g, or mg."""
MAX_BITS = 32
"""Wider differences than this cannot come from 16-bit samples."""
MOST_SAMPLES = 4096
"""No packet holds more, at a bit a difference; blocks of no bits could say hundreds of thousands."""


def parse_settings(data: bytes) -> dict[int, tuple[int, ...]]:
    """Return the values of each setting of a list of kind, number of values, values.

    Raises
    ------
    ValueError
        If the list is cut off or has a kind of unknown width.
    """
    settings: dict[int, tuple[int, ...]] = {}
    at = 0
    while at < len(data):
        width = WIDTHS.get(data[at])
        end = at + 2 + (width or 0) * (data[at + 1] if at + 1 < len(data) else 0)
        if width is None or at + 2 > len(data) or end > len(data):
            raise ValueError(f"no settings: {data.hex()}")
        values = (data[k : k + width] for k in range(at + 2, end, width))
        settings[data[at]] = tuple(int.from_bytes(value, "little") for value in values)
        at = end
    return settings


def pack_settings(settings: Mapping[int, Sequence[int]]) -> bytes:
    """Return settings as the list that `parse_settings` reads."""
    return b"".join(
        bytes([kind, len(values)]) + b"".join(value.to_bytes(WIDTHS[kind], "little") for value in values)
        for kind, values in settings.items()
    )


def decompressed(content: bytes) -> Ints:
    """Return the samples (n, 3) of a compressed frame's content.

    A reference of 3 x int16, then blocks: bits of a difference, number of samples, and the differences to the
    sample before as one string of bits, the lowest of each byte first, padded to whole bytes. Plain integers:
    nothing wraps.

    Raises
    ------
    ValueError
        If the content is cut off in the middle.
    """
    if len(content) < 6:
        raise ValueError("shorter than its reference sample")
    last = np.frombuffer(content, "<i2", 3).astype(np.int64)
    parts, at, total = [last[None]], 6, 1
    while at < len(content):
        if at + 2 > len(content):
            raise ValueError("cut off in the head of a block")
        bits, n = content[at], content[at + 1]
        end = at + 2 + -(-bits * n * 3 // 8)
        if bits > MAX_BITS or end > len(content):
            raise ValueError("cut off in the middle of a block")
        if (total := total + n) > MOST_SAMPLES:
            raise ValueError("more samples than fit")
        string = np.frombuffer(content, np.uint8, end - at - 2, at + 2)
        fields = np.unpackbits(string, bitorder="little")[: bits * n * 3].reshape(n, 3, bits)
        weights = 1 << np.arange(bits, dtype=np.int64)
        weights[bits - 1 :] *= -1  # two's complement
        parts.append(last + np.cumsum(fields @ weights, axis=0))
        last, at = parts[-1][-1] if n else last, end
    return np.concatenate(parts)


def compressed(samples: Ints, block: int = 28) -> bytes:
    """Return samples (n, 3) as the content of a compressed frame, so many differences a block."""
    content: bytes = samples[0].astype("<i2").tobytes()
    differences = np.diff(samples, axis=0)
    for start in range(0, len(differences), block):
        part = differences[start : start + block]
        bits = int(np.where(part < 0, ~part, part).max()).bit_length() + 1
        fields = (part[..., None] >> np.arange(bits)) & 1
        content += (
            bytes([bits, len(part)]) + np.packbits(fields.astype(np.uint8), bitorder="little").tobytes()
        )
    return content


def samples_of(frame_kind: int, content: bytes) -> Ints:
    """Return the numbers (n, 3) of a frame: mg in raw ones, in compressed ones of the unit that was said.

    Raises
    ------
    ValueError
        If the content is none of that kind.
    """
    if frame_kind in (COMPRESSED_COUNTS, COMPRESSED_MG):
        return decompressed(content)
    width = frame_kind + 1  # int8, int16, int24
    if width > 3 or not content or len(content) % (3 * width):
        raise ValueError("no frame of acceleration")
    octets = np.frombuffer(content, np.uint8).reshape(-1, 3, width).astype(np.int64)
    values = octets @ (1 << 8 * np.arange(width))
    return np.where(octets[..., -1] > 127, values - (1 << 8 * width), values)
