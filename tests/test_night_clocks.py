"""When samples were taken: by arrivals, stamps, a clock of the sensor, over sleep and a clock set late."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from made_nights import MONO_NS, START_NS, append, begin_night, log_event, meta

from firmware_host.recording import create_night, gaps, open_night, verify

SITE = "left_calf"
S = 1_000_000_000


def test_irregular_stamps_are_rebuilt(tmp_path: Path) -> None:
    """Per-sample stamps that arrive in bursts, or jitter, give an even time axis."""
    rng = np.random.default_rng(22)
    n = 60_000
    taken = START_NS + np.arange(n) * 10_310_000
    bursts = np.maximum.accumulate(
        taken[np.minimum(np.arange(n) // 4 * 4 + 3, n - 1)] + rng.integers(0, 3_000_000, n)
    )
    jitter = taken + np.rint(rng.normal(0, 3e6, n)).astype(np.int64)
    both = (("arrival", bursts), ("stamps", jitter))
    sensors = tuple(
        msgspec.structs.replace(meta(2).sensors[i], clock=clock, fs_hz=100.0)
        for i, (clock, _) in enumerate(both)
    )
    with create_night(tmp_path / "a.night", meta(sensors=sensors, origin="imported")) as writer:
        for first in range(0, n, 4096):
            for sensor, (_, stamps) in enumerate(both):
                part = stamps[first : first + 4096]
                at = {"arrival_mono_ns": int(part[-1]), "arrival_utc_ns": int(part[-1]), "stamps_ns": part}
                append(writer, sensor, first, len(part), **at)
    night = open_night(tmp_path / "a.night")
    for site in night.sites:
        (stretch,) = night.stretches(site)
        error_ms = (stretch.time_ns(np.arange(n)) - taken) / 1e6
        assert np.std(error_ms) < 1.0
        assert abs(np.mean(error_ms)) < 2.0
        assert stretch.fs_hz == pytest.approx(1e9 / 10_310_000, rel=1e-5)


def test_the_sensors_own_clock(tmp_path: Path) -> None:
    """Where a sensor sends its time too, the counter goes by it, and it by the arrivals."""
    rng = np.random.default_rng(23)
    sensor = msgspec.structs.replace(meta().sensors[0], clock="stamps")
    last = np.arange(99, 360_000, 100)
    taken = last / 97.0 + 0.4 * np.sin(last / 97.0 / 900)  # seconds; the oscillator wanders by 440 ppm
    device = taken * (1 - 180e-6) + 17
    arrival = np.maximum.accumulate(taken + rng.exponential(0.08, len(taken)))
    with create_night(tmp_path / "a.night", meta(sensors=(sensor,))) as writer:
        for i, counter in enumerate(last.tolist()):
            after = round(arrival[i] * S)
            append(writer, 0, counter - 99, arrival_mono_ns=MONO_NS + after, arrival_utc_ns=START_NS + after,
                   device_ns=round(device[i] * 1000) * 1_000_000)  # fmt: skip
    (stretch,) = open_night(tmp_path / "a.night").stretches(SITE)
    error_ms = (stretch.time_ns(last) - START_NS) / 1e6 - 1e3 * taken

    assert np.std(error_ms) < 2.0
    assert abs(np.mean(error_ms)) < 5.0


@pytest.mark.parametrize("step_s", [-3600.0, 7200.0, 50 * 365 * 86_400.0])
def test_a_computer_that_learns_the_time_later(tmp_path: Path, step_s: float) -> None:
    """A clock that is set in mid-night moves the whole session, all sensors alike, and the start with it."""
    step = round(step_s * S)
    with begin_night(tmp_path / "a.night", 2) as writer:
        for block in range(1500):
            for sensor in (0, 1):
                after = (block + 1) * S
                append(writer, sensor, 100 * block, arrival_mono_ns=MONO_NS + after,
                       arrival_utc_ns=START_NS + after + (step if block > 850 else 0))  # fmt: skip
        log_event(writer, "mark", None, 10)
    night = open_night(tmp_path / "a.night")

    assert night.start_ns == START_NS + step
    assert night.end_ns - night.start_ns == pytest.approx(1500 * S, abs=0.2 * S)
    assert night.events()[-1].utc_ns == START_NS + step + 10 * S
    starts = [night.stretches(site)[0].start_ns for site in night.sites]
    assert starts[0] == starts[1]


def test_suspend(tmp_path: Path) -> None:
    """While the computer sleeps its monotonic clock stands still: what follows is a stretch at its UTC."""
    with begin_night(tmp_path / "a.night") as writer:
        for block in range(30):
            append(writer, 0, 100 * block)
        log_event(writer, "suspended", None, 30.5)
        for block in range(30, 60):
            after = (block + 1) * S
            append(
                writer,
                0,
                100 * block,
                arrival_mono_ns=MONO_NS + after,
                arrival_utc_ns=START_NS + after + 3600 * S,
            )
    night = open_night(tmp_path / "a.night")
    first, second = night.stretches(SITE)

    assert second.start_ns - first.end_ns == pytest.approx(3600 * S, abs=S)
    assert night.end_ns - night.start_ns == pytest.approx(3660 * S, abs=S)
    assert [gap.cause for gap in gaps(night, SITE)] == ["computer asleep"]


def test_a_short_stretch_takes_the_rate_of_the_longest(tmp_path: Path) -> None:
    """A few seconds after a reconnect have the rate that the hours before it showed."""
    rng = np.random.default_rng(24)
    with begin_night(tmp_path / "a.night") as writer:
        for block in range(905):
            if block == 900:
                log_event(writer, "connected", 0, 950.0)
            after = round(((block + 1) / 0.95 + rng.exponential(0.1)) * S)
            append(writer, 0, 100 * block, arrival_mono_ns=MONO_NS + after, arrival_utc_ns=START_NS + after)
    long, short = open_night(tmp_path / "a.night").stretches(SITE)

    assert long.fs_hz == pytest.approx(95.0, rel=1e-4)
    assert short.fs_hz == pytest.approx(long.fs_hz)


def test_a_start_behind_the_first_samples(tmp_path: Path) -> None:
    """A start that was put too late by hand moves to the first sample: nothing lies before the night."""
    with create_night(
        tmp_path / "a.night", meta(start_ns=START_NS + 3_600 * 10**9, origin="imported")
    ) as writer:
        append(writer, 0, 0, 1000)
    night = open_night(tmp_path / "a.night")
    assert night.start_ns == night.stretches("left_calf")[0].start_ns
    assert night.duration_s == pytest.approx(10, abs=0.05)


@pytest.mark.parametrize(("mono_ns", "utc_ns"), [(2**63 - 1, START_NS), (MONO_NS, -(2**63)), (-(2**61), 0)])
def test_times_that_no_clock_says_are_left_out_and_told(tmp_path: Path, mono_ns: int, utc_ns: int) -> None:
    """A block whose clocks are impossible is not read; the rest of the night is, and verify tells why."""
    with begin_night(tmp_path / "a.night") as writer:
        append(writer, 0, 0, 500, arrival_mono_ns=MONO_NS, arrival_utc_ns=START_NS)
        append(writer, 0, 500, 100, arrival_mono_ns=mono_ns, arrival_utc_ns=utc_ns)
    assert sum(stretch.n for stretch in open_night(tmp_path / "a.night").stretches("left_calf")) == 500
    assert any("times that no clock says (1," in one.what for one in verify(tmp_path / "a.night").damage)
