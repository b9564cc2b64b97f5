"""Three taps on one sensor are told from everything else, however the samples are split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from firmware_host.capture.tapping import TAPS, Taps, Verdict

Samples = np.ndarray[Any, np.dtype[np.float64]]
THREE = (1.0, 1.5, 2.0)


def resting(seconds: float = 5.0, fs_hz: float = 200.0, *, seed: int = 0, noise_g: float = 0.002) -> Samples:
    """Return a sensor at rest."""
    n = round(seconds * fs_hz)
    return np.array([0.3, -0.2, 0.93]) + np.random.default_rng(seed).normal(0, noise_g, (n, 3))


def tapped(acc_g: Samples, at_s: Sequence[float], fs_hz: float = 200.0, size_g: float = 2.0) -> Samples:
    """Return samples with taps in them: impacts that ring for a tenth of a second."""
    t = np.arange(len(acc_g))[:, None] / fs_hz - np.array(at_s)
    ring = np.where(t >= 0, np.exp(-np.maximum(t, 0) / 0.02) * np.cos(2 * np.pi * 40 * t), 0).sum(axis=1)
    return acc_g + size_g * ring[:, None] * np.array([0.2, -0.4, 0.9])


def verdict(streams: dict[str, Samples], fs_hz: float = 200.0, begin_s: float = 100.0) -> Verdict | None:
    """Return what is made of several sensors' samples."""
    taps = Taps()
    for name, acc_g in streams.items():
        taps.put(name, acc_g, fs_hz=fs_hz, begin_s=begin_s)
    return taps.verdict()


@pytest.mark.parametrize("fs_hz", [50.0, 104.0, 200.0, 416.0])
@pytest.mark.parametrize("size_g", [1.0, -2.0, 8.0])
def test_the_sensor_that_is_tapped_is_told(fs_hz: float, size_g: float) -> None:
    """At every rate, for soft and hard taps from either side; its neighbours feel a quarter of it."""
    streams = {
        name: tapped(resting(fs_hz=fs_hz, seed=i), THREE, fs_hz, share * size_g)
        for i, (name, share) in enumerate({"a": 0.25, "b": 1.0, "c": 0.1}.items())
    }
    assert verdict(streams, fs_hz) == Verdict(("b",))


def test_a_full_scale_tap_is_one() -> None:
    """A sensor that is driven to both ends of its range counts three taps all the same."""
    stream = np.clip(tapped(resting(), THREE, size_g=50.0), -2.0, 2.0)
    assert verdict({"a": stream, "b": resting(seed=1)}) == Verdict(("a",))


@pytest.mark.parametrize("pieces", [1, 2, 7, 36, 10_000])
def test_any_split_gives_the_same(pieces: int) -> None:
    """Whole, in packets, or sample by sample: the same verdict."""
    rng = np.random.default_rng(pieces)
    streams = {
        "a": tapped(resting(), THREE),
        "b": tapped(resting(seed=1), THREE, size_g=1.4),
        "c": resting(seed=2),
    }
    taps = Taps()
    for name, acc_g in streams.items():
        cuts = np.unique(rng.integers(0, len(acc_g) + 1, pieces - 1))
        at = 0
        for part in np.split(acc_g, cuts):
            taps.put(name, part, fs_hz=200.0, begin_s=100.0 + at / 200.0)
            at += len(part)
    assert taps.verdict() == verdict(streams) == Verdict(("a", "b"))


@pytest.mark.parametrize("at_s", [(), (1.0,), (1.0, 1.5), (1.0, 1.4, 1.8, 2.2), (1.0, 1.5, 3.2)])
def test_anything_but_three_taps_in_one_go_is_none(at_s: Sequence[float]) -> None:
    """Nothing, one, two, four, or two and one later."""
    assert len(at_s) != TAPS or at_s[2] - at_s[1] > 1.2
    assert verdict({"a": tapped(resting(), at_s), "b": resting(seed=1)}) is None


def test_nothing_is_said_before_the_go_is_over() -> None:
    """A fourth tap may follow; a second and a quarter after the third it is known that none did."""
    whole = tapped(resting(8.0), THREE)
    assert verdict({"a": whole[: round(200 * 3.1)]}) is None
    assert verdict({"a": whole[: round(200 * 3.3)]}) == Verdict(("a",))


def test_a_sensor_whose_packets_come_late_is_waited_for() -> None:
    """What a neighbour felt may still be on its way; one that sends nothing any more is not waited for."""
    first, second = tapped(resting(9.0), THREE), tapped(resting(9.0, seed=1), THREE, size_g=1.8)
    assert verdict({"a": first[:800], "b": second[:620]}) is None
    assert verdict({"a": first[:800], "b": second[:800]}) == Verdict(("a", "b"))
    assert verdict({"a": first[:1000], "b": second[:50]}) == Verdict(("a",))


def test_true_rates_that_differ_shift_no_taps() -> None:
    """After half a minute at rates that are six percent off, the same taps are still the same."""
    taps = Taps()
    for name, true_hz in (("a", 212.0), ("b", 188.0)):
        acc_g = tapped(resting(36.0, true_hz), (30.0, 30.5, 31.0), true_hz)
        for at in range(0, len(acc_g), 20):
            taps.put(name, acc_g[at : at + 20], fs_hz=200.0, begin_s=100.0 + at / true_hz)
    found = taps.verdict()
    assert found is not None
    assert not found.sure


def test_two_sensors_that_feel_it_alike_are_in_doubt() -> None:
    """The strongest comes first; three hardly apart in time are one go."""
    streams = {
        "a": tapped(resting(), [at + 0.3 for at in THREE], size_g=2.0),
        "b": tapped(resting(seed=1), THREE, size_g=3.0),
    }
    found = verdict(streams)
    assert found == Verdict(("b", "a"))
    assert not found.sure


def test_the_hardest_of_two_goes_counts() -> None:
    """A go on another sensor at another time puts nothing in doubt."""
    streams = {
        "a": tapped(resting(9.0), THREE, size_g=2.0),
        "b": tapped(resting(9.0, seed=1), (5.0, 5.4, 5.8), size_g=1.8),
    }
    assert verdict(streams) == Verdict(("a",))


def test_movements_are_no_taps() -> None:
    """Turns, shaking and walking change acceleration much, but not from one sample to the next."""
    t = np.arange(1600) / 200.0
    turn = np.sin(2 * np.pi * 0.5 * t)[:, None] * np.array([1.0, 0.0, 1.0])
    shake = 3.0 * np.sin(2 * np.pi * 2.5 * t)[:, None] * np.array([0.0, 1.0, 0.0])
    assert verdict({"a": resting(8.0) + turn, "b": resting(8.0, seed=1) + shake}) is None


def test_a_sensor_that_is_shaken_hides_no_taps_on_another() -> None:
    """Each sensor is measured by its own restlessness."""
    shaken = resting(noise_g=0.3, seed=3)
    assert verdict({"a": tapped(resting(), THREE), "b": shaken}) == Verdict(("a",))


def test_samples_before_a_gap_are_forgotten() -> None:
    """A sensor that was lost begins anew; the others keep what they felt."""
    taps = Taps()
    taps.put("a", tapped(resting(), THREE), fs_hz=200.0, begin_s=0.0)
    taps.forget("a")
    taps.forget("never seen")
    assert taps.verdict() is None
    taps.put("a", resting(0.005), fs_hz=200.0, begin_s=9.0)
    assert taps.verdict() is None
