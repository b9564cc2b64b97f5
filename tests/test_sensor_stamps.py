"""Running sample numbers from device stamps: rounding, wrong rates, gaps, repeats, disorder, restarts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_host.sensors.protocol import Batch, Garbled, Restarted
from firmware_host.sensors.stamps import Counting, Numbering

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


@pytest.mark.long
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


def test_a_rate_that_drifts_is_followed() -> None:
    """A chip that warms up by 3 % within minutes, stamps that jitter, lost packets: the numbers hold."""
    rng = np.random.default_rng(2)
    first = np.arange(0, 20 * 60 * 208, 8)
    fs_hz = 208 * (1.04 - 0.03 * np.exp(-first / 208 / 300))
    stamps = np.cumsum(8 / fs_hz) * 1e9 + rng.uniform(-2 * MS, 2 * MS, len(first)) + 1e12
    sent = [(int(k), 8, int(at) // MS * MS) for k, at in zip(first, stamps, strict=True)]
    received = [sent[0], *(packet for packet in sent[1:] if rng.random() >= 0.02)]
    got = feed(Numbering(208.0, stamp_of="first", resolution_ns=5 * MS), received)
    assert all(true == given for true, given in got)


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


def test_samples_lie_evenly_between_the_stamps_of_their_frames() -> None:
    """By the maker's rule for Polar: number and stamp of each last sample give all times, evenly spread."""
    vectors = json.loads((Path(__file__).parent / "sensor_vectors.json").read_text(encoding="utf-8"))
    [rule] = [one["expected"] for one in vectors if one["id"] == "polar-time-rule-2"]
    faster = 100  # the rule's samples are a second apart, its gaps would be long ones
    numbering = Numbering(faster, stamp_of="last")
    batches: list[Batch] = []
    for n, stamp_ns in ((5, rule["previous_ns"]), (rule["n"], rule["frame_ns"])):
        items = numbering.put(np.zeros((n, 3), np.int16), stamp_ns // faster)
        batches += [item for item in items if isinstance(item, Batch)]
    last = [batch.first + len(batch.counts) - 1 for batch in batches]
    numbers = batches[1].first + np.arange(rule["n"])
    times_ns = np.interp(numbers, last, [batch.device_ns or 0 for batch in batches]) * faster
    assert times_ns == pytest.approx(np.array(rule["sample_ns"]))


@pytest.mark.parametrize("wrap", [None, 2**32])
def test_a_counter_with_a_time(wrap: int | None) -> None:
    """Gaps are what the counter says, late and repeated packets keep their number, wraps go on."""
    start = 2**32 - 1000
    counting = Counting(208.0, wrap=wrap)
    sent = list(range(0, 4000, 36))
    order = [k for k in sent if k % 5] + sent[10:14] + sent[20:22]
    for k in [sent[0], *order]:
        index = (start + k) % 2**32 if wrap else start + k
        [batch] = counting.put(np.full((36, 3), 1, np.int16), index, round(k / 200 * 1e9))
        assert isinstance(batch, Batch)
        assert batch.first == start + k


def test_a_counter_that_begins_anew() -> None:
    """Counter and time from another start are told once the second packet confirms it; numbers rise."""
    counting = Counting(208.0, wrap=2**32)
    counts = np.zeros((36, 3), np.int16)
    for k in range(20):
        counting.put(counts, 36 * k, round((100 + 36 * k / 208) * 1e9))
    assert counting.put(counts, 0, 2_000_000_000) == []
    assert counting.put(counts, 0, 2_000_000_000) == []
    told = counting.put(counts, 36, round(2e9 + 36 / 208 * 1e9))
    assert isinstance(told[0], Restarted)
    assert [item.first for item in told if isinstance(item, Batch)] == [720, 756]


@pytest.mark.parametrize(("index", "at_s"), [(10**6, 104.0), (760, 900.0), (760, 2.0), (760, 1e6)])
def test_a_counter_that_is_damaged(index: int, at_s: float) -> None:
    """A packet whose counter and time do not belong together gives no samples and disturbs no others."""
    counting = Counting(208.0, wrap=2**32)
    counts = np.zeros((36, 3), np.int16)
    items = []
    for k in range(40):
        if k == 21:
            items += counting.put(counts, index, round(at_s * 1e9))
        items += counting.put(counts, 36 * k, round((100 + 36 * k / 208) * 1e9))
    assert [item.first for item in items if isinstance(item, Batch)] == [36 * k for k in range(40)]
    assert [type(item) for item in items if not isinstance(item, Batch)] == [Garbled]
