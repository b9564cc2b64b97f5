"""The coding of a block of samples: lossless for whatever a sensor or an importer may send, and small."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from firmware_host.recording.blocks import FRAME
from firmware_host.recording.coding import (
    DELTA,
    FLOAT32,
    STAMPS,
    STORED,
    decode_samples,
    decode_stamps,
    encode_samples,
    sample_dtype,
)

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


def back(counts: npt.NDArray[Any], **more: Any) -> tuple[int, npt.NDArray[Any], bytes]:
    """Encode and decode one block: coding byte, samples, payload."""
    coding, payload = encode_samples(counts, 0, 0, 0, **more)
    return coding, decode_samples([payload], coding, len(counts))[0], payload


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 300), st.just(3))))
@example(np.full((1, 3), -32768, np.int16))
@example(np.tile(np.array([[-32768, 32767, 0], [32767, -32768, -1]], np.int16), (50, 1)))
@example(np.zeros((200, 3), np.int16))
def test_int16_round_trip(counts: npt.NDArray[np.int16]) -> None:
    """Any int16 samples come back as they were: extremes, both signs, jumps over the whole range."""
    coding, decoded, _ = back(counts)

    assert decoded.dtype == np.int16
    np.testing.assert_array_equal(decoded, counts)
    assert not coding & FLOAT32


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.uint32, st.tuples(st.integers(1, 200), st.just(3))))
@example(np.array([[np.nan, np.inf, -np.inf], [0.0, -0.0, 1e-45]], np.float32).view(np.uint32))
def test_float32_round_trip(bits: npt.NDArray[np.uint32]) -> None:
    """Any float32 samples come back bit by bit, infinities and every NaN too."""
    coding, decoded, _ = back(bits.view(np.float32))

    assert decoded.dtype == np.float32
    assert decoded.tobytes() == bits.tobytes()
    assert coding & FLOAT32


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_stamps_round_trip(data: st.DataObject) -> None:
    """Any int64 stamps come back with their samples, repeated and out-of-order ones too."""
    n = data.draw(st.integers(1, 120))
    stamps = data.draw(hnp.arrays(np.int64, n, elements=INT64))
    counts = data.draw(hnp.arrays(np.int16, (n, 3)))
    coding, decoded, payload = back(counts, stamps_ns=stamps)

    assert coding & STAMPS
    np.testing.assert_array_equal(decoded, counts)
    np.testing.assert_array_equal(decode_stamps(payload, coding, n), stamps)


def test_blocks_of_a_kind_decode_together() -> None:
    """Decoding many blocks at once gives what each gives alone."""
    rng = np.random.default_rng(3)
    by_coding: dict[int, list[tuple[bytes, npt.NDArray[Any]]]] = {}
    for i in range(400):
        size = 10.0 ** rng.uniform(0, 4)
        counts = rng.normal(0, size, (50, 3))
        counts = np.cumsum(counts, axis=0) if i % 3 == 0 else counts
        block = np.clip(counts, -32768, 32767).astype(np.int16)
        coding, payload = encode_samples(block, i, i, i)
        by_coding.setdefault(coding, []).append((payload, block))

    assert len(by_coding) >= 4
    assert any(coding & DELTA for coding in by_coding)
    for coding, blocks in by_coding.items():
        together = decode_samples([payload for payload, _ in blocks], coding, 50)
        assert together.dtype == sample_dtype(coding)
        np.testing.assert_array_equal(together, np.stack([block for _, block in blocks]))


def test_what_does_not_deflate_is_stored() -> None:
    """Random numbers over the whole range cost no more than themselves."""
    counts = np.random.default_rng(0).integers(-32768, 32768, (500, 3)).astype(np.int16)
    coding, decoded, payload = back(counts)

    assert coding & STORED
    assert len(payload) < counts.nbytes + 50
    np.testing.assert_array_equal(decoded, counts)


@pytest.mark.parametrize(("mg_per_count", "budget_mb"), [(0.122, 13.0), (0.061, 15.0)])
def test_size_of_a_night(mg_per_count: float, budget_mb: float) -> None:
    """Ten simulated minutes of 0.5 mg rms at 200 Hz, scaled to 8 h, stay within a sensor-night's budget."""
    rng = np.random.default_rng(8)
    total = 0
    for second in range(600):
        mg = rng.normal(0, 0.5, (200, 3)) + np.array([120.0, -340.0, 930.0])
        _, payload = encode_samples(np.rint(mg / mg_per_count).astype(np.int16), second * 200, 10**12, 10**18)
        total += FRAME.size + len(payload)

    assert total * 48 / 1e6 < budget_mb
