"""The clock fit: sample times from counters and late, jittering, stalling arrivals."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_host.recording.clock import Timeline, compose, fit_timeline, thin

Floats = npt.NDArray[np.float64]
BASE_NS = 1_795_386_600_000_000_000
FS_HZ = 200.0


def true_times(n: int, rate_error: float, warming_ppm: float = 0.0) -> Floats:
    """Return when samples were taken (s): a rate that is off, and that changes while the sensor warms up."""
    nominal = np.arange(n + 1) / (FS_HZ * (1 + rate_error))
    return nominal + warming_ppm * 1e-6 * 1200 * (1 - np.exp(-nominal / 1200))


def delayed(rng: np.random.Generator, taken_s: Floats, kind: str) -> Floats:
    """Return when samples taken at these times arrive (s), in order."""
    n = len(taken_s)
    delay = {
        "exponential": lambda: rng.exponential(0.05, n),
        "interval": lambda: rng.uniform(0, 0.05, n),
        "changing": lambda: rng.exponential(np.where(taken_s // 1800 % 2 < 1, 0.01, 0.06)),
        "stalls": lambda: rng.exponential(0.02, n),
        "bursts": lambda: rng.exponential(0.01, n),
    }[kind]()
    arrival: Floats = taken_s + delay
    if kind == "stalls":
        for start in rng.uniform(0, taken_s[-1], n // 100):
            end = start + rng.uniform(0.1, 2.0)
            arrival[(arrival > start) & (arrival < end)] = end
    if kind == "bursts":  # the radio hands over three blocks at once
        arrival = arrival[np.minimum((np.arange(n) // 3) * 3 + 2, n - 1)]
    return np.maximum.accumulate(arrival)


def error_ms(timeline: Timeline, taken_s: Floats) -> Floats:
    """Return the error of all sample times, ms, without the delay that no arrival is free of."""
    error = (timeline.time_ns(np.arange(len(taken_s))) - BASE_NS) / 1e6 - 1e3 * taken_s
    return np.asarray(error - error.mean())


def fit(arrival_s: Floats, index: npt.NDArray[np.int64], *, late: bool = True) -> Timeline:
    """Fit arrivals in seconds."""
    return fit_timeline(index, np.rint(arrival_s * 1e9).astype(np.int64) + BASE_NS, FS_HZ, late=late)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["exponential", "interval", "changing", "stalls", "bursts"])
@pytest.mark.parametrize("warming_ppm", [0.0, 1000.0])
def test_a_night_is_right_to_a_millisecond(kind: str, warming_ppm: float) -> None:
    """Over 8 h, at rates up to 6 % off, warming up by 1000 ppm, times err by less than 1 ms rms."""
    rng = np.random.default_rng([len(kind), int(warming_ppm)])
    taken = true_times(8 * 3600 * 200, float(rng.uniform(-0.06, 0.06)), warming_ppm)
    last = np.arange(199, len(taken), 200)
    timeline = fit(delayed(rng, taken[last], kind), last)

    error = error_ms(timeline, taken)
    assert np.sqrt(np.mean(error**2)) < 1.0
    assert np.abs(error).max() < 10.0
    assert timeline.fs_hz == pytest.approx((len(taken) - 1) / (taken[-1] - taken[0]), rel=3e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    seconds=st.integers(1, 2000),
    rate_error=st.floats(-0.06, 0.06),
    kind=st.sampled_from(["exponential", "interval", "stalls", "bursts"]),
    drop=st.floats(0, 0.9),
)
def test_any_stretch(seed: int, seconds: int, rate_error: float, kind: str, drop: float) -> None:
    """Of any length and with any share of blocks lost, times rise strictly and stay near what arrived."""
    rng = np.random.default_rng(seed)
    taken = true_times(seconds * 200, rate_error)
    last = np.arange(199, len(taken), 200)
    kept = rng.random(len(last)) >= drop
    kept[0] = True
    arrival, last = delayed(rng, taken[last], kind)[kept], last[kept]
    timeline = fit(arrival, last)

    times = timeline.time_ns(np.arange(-400, len(taken) + 400))
    assert np.all(np.diff(times) > 0)
    early_s = arrival - (timeline.time_ns(last) - BASE_NS) / 1e9
    assert np.median(early_s) > -0.005  # never early, but for what the smoothing leaves
    in_time = last[arrival - taken[last] < 0.1]
    tenths = np.unique((in_time - last[0]) * 10 // (last[-1] - last[0] + 1))
    # Where all blocks of a tenth are seconds late, or few blocks are left, they show no rate so well.
    if (last[-1] - last[0]) / FS_HZ > 120 and kept.sum() > 60 and len(tenths) == 10:
        assert timeline.fs_hz == pytest.approx(FS_HZ * (1 + rate_error), rel=2e-3)


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e6, 1e8), st.integers(0, 2**20))
def test_index_at_turns_time_back(index: float, seed: int) -> None:
    """The index at the time of an index is that index, to a nanosecond's worth."""
    rng = np.random.default_rng(seed)
    last = np.arange(199, 400_000, 200)
    timeline = fit(delayed(rng, true_times(400_000, 0.01)[last], "interval"), last)

    assert timeline.index_at(int(timeline.time_ns(index))) == pytest.approx(index, abs=1e-6, rel=1e-12)


def test_one_block_takes_the_nominal_rate() -> None:
    """A stretch of one block has no rate of its own; its last sample was taken when it arrived."""
    timeline = fit(np.array([5.0]), np.array([199]))

    assert timeline.fs_hz == pytest.approx(FS_HZ)
    assert timeline.time_ns(199) == BASE_NS + 5_000_000_000
    assert timeline.time_ns(0) == BASE_NS + 5_000_000_000 - 199 * 5_000_000


def test_a_short_stretch_keeps_a_measured_rate() -> None:
    """A rate measured elsewhere on the same sensor is kept where the stretch is too short to do better."""
    arrival = np.array([1.0, 2.3, 3.0, 4.2, 5.1])
    stamps = np.rint(arrival * 1e9).astype(np.int64)
    timeline = fit_timeline(np.arange(5) * 200 + 199, stamps, 196.0, late=True, trust_rate=True)

    assert timeline.fs_hz == pytest.approx(196.0)


def test_a_gap_is_bridged_by_the_counter() -> None:
    """Over an hour without blocks the counter tells how many samples are missing; later times are right."""
    rng = np.random.default_rng(9)
    taken = true_times(3 * 3600 * 200, 0.03)
    last = np.arange(199, len(taken), 200)
    last = last[(last < 3600 * 200) | (last > 2 * 3600 * 200)]
    error = error_ms(fit(delayed(rng, taken[last], "interval"), last), taken)

    assert np.sqrt(np.mean(error[last] ** 2)) < 1.0


def test_one_arrival_before_its_time_bends_nothing() -> None:
    """One stamp that is early by a fault moves the times near it by a few milliseconds only."""
    rng = np.random.default_rng(10)
    taken = true_times(3600 * 200, -0.02)
    last = np.arange(199, len(taken), 200)
    arrival = delayed(rng, taken[last], "interval")
    arrival[1800] -= 0.4
    error = error_ms(fit(arrival, last), taken)

    assert np.sqrt(np.mean(error**2)) < 2.0


def test_stamps_that_err_to_both_sides() -> None:
    """A sensor's own stamps, with jitter to both sides and outliers, give times right in the middle."""
    rng = np.random.default_rng(11)
    taken = true_times(3600 * 200, 0.05, 300.0)
    index = np.arange(0, len(taken), 20)
    stamps = taken[index] + rng.normal(0, 0.004, len(index))
    stamps[rng.random(len(index)) < 0.02] += rng.uniform(-1, 1)
    timeline = fit(stamps, index, late=False)
    error = (timeline.time_ns(np.arange(len(taken))) - BASE_NS) / 1e6 - 1e3 * taken

    assert np.sqrt(np.mean(error**2)) < 0.5


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_thin_keeps_stamps_as_they_are(seed: int, late: bool) -> None:
    """Thinning picks pairs of index and stamp, one of each second, in order, and does not change them."""
    rng = np.random.default_rng(seed)
    index = np.unique(rng.integers(0, 20_000, 3000))
    stamps = np.rint((index / FS_HZ + rng.exponential(0.02, len(index))) * 1e9).astype(np.int64)
    kept, their = thin(index, stamps, FS_HZ, 1.0, late=late)

    lookup = dict(zip(index.tolist(), stamps.tolist(), strict=True))
    assert [lookup[i] for i in kept.tolist()] == their.tolist()
    assert np.array_equal(kept // 200, np.unique(index // 200))
    rest = stamps / 1e9 - index / FS_HZ
    chosen = their / 1e9 - kept / FS_HZ
    for second, value in zip(kept // 200, chosen, strict=True):
        inside = np.sort(rest[index // 200 == second])
        assert value == pytest.approx(inside[0] if late else inside[len(inside) // 2])


def test_compose_goes_over_the_device_clock() -> None:
    """Counter to device time, device time to ours: the composed times are those of both steps."""
    device = Timeline(np.array([0.0, 1e5, 2e5]), np.array([0.0, 5.0e11, 1.002e12]), 77)
    ours = Timeline(np.array([77.0, 1e12]), np.array([0.0, 1.00005e12]), BASE_NS)
    both = compose(device, ours)
    at = np.linspace(-100, 2e5, 57)

    np.testing.assert_allclose(both.time_ns(at) - BASE_NS, ours.time_ns(device.time_ns(at)) - BASE_NS, atol=2)


@pytest.mark.parametrize("run", ["r0", "r1", "r2", "r3"])
def test_real_arrivals_in_bursts(run: str) -> None:
    """Real samples taken every 10 ms that arrive in bursts get an even time axis under their arrivals."""
    folder = os.environ.get("TWITCHMAP_REAL_DATA")
    if not folder or not (Path(folder) / "mpu6050_static.npz").exists():
        pytest.skip("TWITCHMAP_REAL_DATA names no folder with mpu6050_static.npz")
    with np.load(Path(folder) / "mpu6050_static.npz") as data:
        names = [name for name in data.files if name.startswith(f"{run}_") and name.endswith("t_arrival_s")]
        arrival = np.asarray(data[names[0]], np.float64)
    stamps = np.rint((arrival - arrival[0]) * 1e9).astype(np.int64) + BASE_NS
    index, kept = thin(np.arange(len(stamps)), stamps, 100.0, 1.0, late=True)
    timeline = fit_timeline(index, kept, 100.0, late=True)
    late_s = (stamps - timeline.time_ns(np.arange(len(stamps)))) / 1e9

    assert timeline.fs_hz == pytest.approx(100.0, rel=0.06)
    assert np.quantile(late_s, 0.01) > -0.01
    assert 0.0 < np.median(late_s) < 0.06
    steps = np.diff(timeline.time_ns(np.arange(len(stamps)))) / 1e6
    assert steps.min() > 9.3
    assert steps.max() < 10.7
