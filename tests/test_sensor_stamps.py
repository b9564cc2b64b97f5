"""Running sample numbers from device stamps: rounding, wrong rates, gaps, repeats, disorder, restarts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_host.sensors.protocol import Batch, Garbled, Restarted
from firmware_host.sensors.stamps import Numbering

MS = 1_000_000
Packet = tuple[int, int, int]
"""True number of the first sample, size, stamp in ns."""


def packets(
    fs_hz: float,
    sizes: list[int],
    *,
    stamp_of: Literal["first", "last"] = "first",
    start_ns: int = 122_371_000_000,
    rounding_ns: int = MS,
    jitter_ns: float = 0.0,
    seed: int = 1,
) -> list[Packet]:
    """Make the packets of a device of this true rate."""
    made, first = [], 0
    jitter = np.random.default_rng(seed).uniform(-1, 1, len(sizes)) * jitter_ns
    for size, late_ns in zip(sizes, jitter, strict=True):
        number = first if stamp_of == "first" else first + size - 1
        stamp_ns = start_ns + round(number / fs_hz * 1e9) + int(late_ns)
        made.append((first, size, stamp_ns // rounding_ns * rounding_ns))
        first += size
    return made


def feed(numbering: Numbering, sent: list[Packet]) -> list[tuple[int, int]]:
    """Return true and given number of each batch; a packet's samples all carry its true number."""
    return [
        (int(item.counts[0, 0]), item.first)
        for first, size, stamp_ns in sent
        for item in numbering.put(np.full((size, 3), first, np.float32), stamp_ns)
        if isinstance(item, Batch)
    ]


@pytest.mark.parametrize("stamp_of", ["first", "last"])
@pytest.mark.parametrize("error", [-0.06, -0.0075, 0.0, 0.03, 0.06])
@pytest.mark.parametrize("size", [1, 4, 8, 16, 36])
def test_an_unbroken_stream_has_no_gaps(stamp_of: Literal["first", "last"], error: float, size: int) -> None:
    """Whatever the true rate and the rounding to milliseconds, numbers go on without a jump for minutes."""
    sent = packets(208 * (1 + error), [size] * (120 * 208 // size), stamp_of=stamp_of)
    numbering = Numbering(208.0, stamp_of=stamp_of)
    assert all(true == given for true, given in feed(numbering, sent))
    assert numbering.fs_hz == pytest.approx(208 * (1 + error), rel=1e-4)


@given(
    error=st.floats(-0.06, 0.06),
    sizes=st.lists(st.integers(20, 80), min_size=60, max_size=200),
    stamp_of=st.sampled_from(["first", "last"]),
)
@settings(max_examples=50, deadline=None)
def test_packets_of_changing_size_are_one_stream(
    error: float, sizes: list[int], stamp_of: Literal["first", "last"]
) -> None:
    """Compressed packets hold ever other numbers of samples; none is mistaken for a gap."""
    sent = packets(52 * (1 + error), sizes, stamp_of=stamp_of)
    assert all(true == given for true, given in feed(Numbering(52.0, stamp_of=stamp_of), sent))


@pytest.mark.parametrize("size", [1, 8, 16])
@pytest.mark.parametrize("error", [-0.06, 0.06])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_lost_packets_leave_gaps_of_their_size(size: int, error: float, share: float) -> None:
    """Also from the first packet on, and with half of all lost, each received sample has its true number."""
    sent = packets(208 * (1 + error), [size] * (60 * 208 // size))
    kept = np.random.default_rng(3).random(len(sent)) >= share
    kept[0] = True
    received = [packet for packet, keep in zip(sent, kept, strict=True) if keep]
    assert all(true == given for true, given in feed(Numbering(208.0, stamp_of="first"), received))


@pytest.mark.parametrize("gap_s", [0.5, 2.9, 3.1, 60.0, 500.0])
def test_long_gaps_are_numbered_by_the_measured_rate(gap_s: float) -> None:
    """After a minute the true rate is known well enough to number the samples after a gap of minutes."""
    fs_hz = 208 * 0.96
    sent = packets(fs_hz, [16] * int((70 + gap_s) * fs_hz / 16))
    received = [packet for packet in sent if not 60 <= packet[0] / fs_hz < 60 + gap_s]
    got = feed(Numbering(208.0, stamp_of="first"), received)
    assert len(got) == len(received)
    assert all(abs(true - given) <= 1e-4 * gap_s * fs_hz for true, given in got)
    assert got[-1][1] - got[-2][1] == 16


def test_jitter_is_no_loss() -> None:
    """Stamps that jitter by 2 ms, more than a quarter sample, do not make a stream of single samples jump."""
    sent = packets(104.3, [1] * 12_000, jitter_ns=2 * MS)
    got = feed(Numbering(104.0, stamp_of="last", resolution_ns=4 * MS), sent)
    assert all(true == given for true, given in got)


def test_repeated_and_late_packets_get_their_own_numbers() -> None:
    """A packet that comes twice has the same numbers twice; two that changed places have their own."""
    sent = packets(201.0, [16] * 400)
    order = np.random.default_rng(5)
    mixed: list[Packet] = sent[:1]
    for a, b in zip(sent[1::2], sent[2::2], strict=False):
        mixed += [b, a] if order.random() < 0.2 else [a, b]
        mixed += [a] if order.random() < 0.2 else []
    got = feed(Numbering(208.0, stamp_of="first"), mixed)
    assert len(got) == len(mixed)
    assert all(true == given for true, given in got)


def test_a_reboot_is_told_and_numbers_go_on() -> None:
    """Stamps that begin anew: the device restarted; all samples are kept, numbers go on rising."""
    numbering = Numbering(208.0, stamp_of="first")
    feed(numbering, packets(208, [16] * 50))
    again = packets(208, [16] * 3, start_ns=5_000 * MS)
    assert numbering.put(np.zeros((16, 3), np.float32), again[0][2]) == []
    told = numbering.put(np.ones((16, 3), np.float32), again[1][2])
    assert isinstance(told[0], Restarted)
    assert [item.first for item in told if isinstance(item, Batch)] == [800, 816]
    (last,) = numbering.put(np.ones((16, 3), np.float32), again[2][2])
    assert isinstance(last, Batch)
    assert last.first == 832


@pytest.mark.parametrize("wrong_ns", [-100_000 * MS, 4_000 * MS, 10**15])
def test_a_damaged_stamp_costs_its_packet_only(wrong_ns: int) -> None:
    """One stamp from another time gives no samples and disturbs no others."""
    sent = packets(208, [16] * 100)
    first, size, stamp_ns = sent[50]
    sent[50] = (first, size, stamp_ns + wrong_ns)
    numbering = Numbering(208.0, stamp_of="first")
    seen = [item for _, n, stamp in sent for item in numbering.put(np.zeros((n, 3), np.float32), stamp)]
    assert [type(item) for item in seen].count(Garbled) == 1
    assert not any(isinstance(item, Restarted) for item in seen)
    assert [item.first for item in seen if isinstance(item, Batch)] == [16 * k for k in range(100) if k != 50]


def test_stamps_that_wrap_run_through() -> None:
    """A 32-bit millisecond stamp that begins anew after 49.7 days is no restart, and its clock goes on."""
    wrap_ns = 2**32 * MS
    sent = packets(208, [16] * 100, start_ns=wrap_ns - 4_000 * MS)
    numbering = Numbering(208.0, stamp_of="last", wrap_ns=wrap_ns)
    items = [
        item for _, n, stamp in sent for item in numbering.put(np.zeros((n, 3), np.float32), stamp % wrap_ns)
    ]
    assert [item.first for item in items if isinstance(item, Batch)] == [16 * k for k in range(100)]
    times = [item.device_ns or 0 for item in items if isinstance(item, Batch)]
    assert times == [stamp for _, _, stamp in sent]


def test_the_time_is_that_of_the_last_sample() -> None:
    """A stamp of the first sample becomes the time of the last by the measured rate."""
    sent = packets(200.0, [16] * 300)
    numbering = Numbering(208.0, stamp_of="first")
    batches = [item for _, n, stamp in sent for item in numbering.put(np.zeros((n, 3), np.float32), stamp)]
    last = batches[-1]
    assert isinstance(last, Batch)
    assert last.device_ns == pytest.approx(sent[-1][2] + 15 / 200 * 1e9, abs=MS)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-(2**63), 2**64)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_stamps_are_taken(sent: list[tuple[int, int]]) -> None:
    """No stamps raise, and no sample is given out that did not come in."""
    numbering = Numbering(208.0, stamp_of="first")
    out = 0
    for size, stamp_ns in sent:
        for item in numbering.put(np.zeros((size, 3), np.int16), stamp_ns):
            out += len(item.counts) if isinstance(item, Batch) else 0
    assert out <= sum(size for size, _ in sent)
