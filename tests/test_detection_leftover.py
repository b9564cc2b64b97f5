"""What a site repeats, and what stands alone in what its beats leave: all signals here are simulated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_host.detection.leftover import alone, repeats, shape

FS_HZ = 100.0
Floats = NDArray[np.float32]


def burst(hz: float, swings: float, way: list[float], fs_hz: float = FS_HZ) -> Floats:
    """Return a burst of some swings along a direction, (3, samples), 1 at its largest."""
    t = np.arange(round(0.6 * fs_hz)) / fs_hz - 0.3
    wave = np.cos(2 * np.pi * hz * t) * np.exp(-((2 * hz * t / swings) ** 2))
    return np.asarray(np.array(way)[:, None] / np.linalg.norm(way) * wave, np.float32)


def laid(bursts: list[tuple[float, Floats]], seconds: float = 40.0, fs_hz: float = FS_HZ) -> Floats:
    """Return faint noise with bursts whose middles are at given times."""
    signal = 0.02 * np.random.default_rng(1).standard_normal((3, round(seconds * fs_hz))).astype(np.float32)
    for at_s, wave in bursts:
        first = round(at_s * fs_hz) - wave.shape[1] // 2
        signal[:, first : first + wave.shape[1]] += wave
    return signal


@pytest.mark.parametrize("fs_hz", [50.0, 100.0, 104.0])
def test_a_beat_is_a_repeat_however_irregular_and_a_twitch_is_none(fs_hz: float) -> None:
    """Beats at random intervals resemble each other; one burst of another shape resembles nothing."""
    beat, twitch = burst(8, 4, [1, 2, 0], fs_hz), burst(12, 2, [1, -1, 1], fs_hz)
    at_s = 2 + np.cumsum(np.random.default_rng(2).uniform(0.6, 1.4, 32))
    other_s = at_s[15] + 0.35
    signal = laid([*((s, beat) for s in at_s), (other_s, twitch)], fs_hz=fs_hz)
    found = repeats(signal, np.round(np.append(at_s, other_s) * fs_hz).astype(np.int64), fs_hz)
    assert found["repeat"][:-1].min() > 0.9
    assert found["repeat_left"][:-1].max() < 0.2
    assert found["repeat"][-1] < 0.75
    assert found["repeat_left"][-1] > 0.4


def test_near_the_ends_of_a_signal_all_is_still_compared() -> None:
    """The first and last samples have neighbours on one side only, and a short signal has few at all."""
    signal = laid([(0.3, burst(8, 3, [1, 0, 0]))], seconds=4.0)
    found = repeats(signal, np.array([0, 30, 399]), FS_HZ)
    assert np.isfinite(found["repeat"]).all()
    assert np.isfinite(found["repeat_left"]).all()


def test_a_twitch_stands_alone_and_a_movement_does_not() -> None:
    """A single burst has nothing beside it; one of a train of swings has more before and after it."""
    one = [(20.0, burst(10, 2, [1, 0, 1]))]
    swaying = [(20.0 + k / 4, burst(6, 3, [1, 0, 1])) for k in (-1, 0, 1)]
    at, least = np.array([2000]), np.array([0.01], np.float32)
    values = []
    for bursts in (one, swaying):
        power = np.square(laid(bursts)).sum(axis=0)
        values.append(alone(power, np.ones(len(power), bool), at, least, 7, FS_HZ))
    twitch, movement = values
    for name in ("left_before", "left_after"):
        assert twitch[name][0] < 0.3
        assert movement[name][0] > 0.8
    assert twitch["left_near"][0] > movement["left_near"][0] > 1.0
    assert twitch["left_most"][0] > 3.0


def test_what_cannot_be_used_says_nothing_of_calm() -> None:
    """Zeros where the signal is not usable do not make a restless place look calm."""
    rng = np.random.default_rng(3)
    power = rng.chisquare(3, 4000).astype(np.float32)
    there = np.ones(4000, bool)
    there[1600:1900] = there[2100:2400] = False
    at, least = np.array([2000]), np.array([0.1], np.float32)
    one = alone(power, np.ones(4000, bool), at, least, 7, FS_HZ)
    two = alone(power * there, there, at, least, 7, FS_HZ)
    np.testing.assert_allclose(one["left_wide"], two["left_wide"], rtol=0.1)


def test_the_shape_of_what_is_left() -> None:
    """A burst along one direction is a line, a turning one not; a slow one resembles itself 20 ms later."""
    line, turning = burst(8, 2, [1, 1, 0]), burst(8, 2, [1, 0, 0])
    turning[1] = np.roll(turning[0], 3)
    fast = burst(18, 2, [1, 0, 0])
    signal = laid([(10, line), (20, turning), (30, fast)])
    found = shape(signal, np.array([1000, 2000, 3000]), np.full(3, 0.01, np.float32), FS_HZ)
    assert found["left_line"][0] > 0.95
    assert found["left_line"][1] < 0.9
    assert found["left_turn"][0] > 0.3 > found["left_turn"][2]
    assert (found["left_core"] <= 1.0).all()


def test_nothing_to_compare_with_is_no_repeat() -> None:
    """Where nothing of the signal can be used, there is no burst to be like, and that is no error."""
    found = repeats(np.zeros((3, 4000), np.float32), np.array([500, 600]), FS_HZ)
    assert found["repeat"].tolist() == [-1.0, -1.0]
    assert found["repeat_left"].tolist() == [3.0, 3.0]
