"""Series: what follows one another evenly in a unit is told from what comes by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from firmware_host.detection.series import unevenness

Floats = npt.NDArray[np.float64]


def alone(peak_s: Floats) -> tuple[Floats, Floats]:
    """Return the unevenness of one unit whose candidates are all members."""
    return unevenness(peak_s, np.zeros(len(peak_s), np.int32), np.ones(len(peak_s), bool))


def breaths(seed: int, count: int = 200) -> Floats:
    """Return times of kicks with every breath: 4 s apart, 8 % off, slower and slower to 6 s."""
    rng = np.random.default_rng(seed)
    return np.cumsum(np.linspace(4.0, 6.0, count) * (1 + 0.08 * rng.standard_normal(count)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kicks_of_a_ventilator_are_even_though_their_pace_drifts(seed: int) -> None:
    """Intervals that drift by half over the night are even all along, also where kicks are missed."""
    every = breaths(seed)
    assert np.nanmedian(alone(every)[0]) < 0.15
    found = every[np.random.default_rng(seed).random(len(every)) < 0.8]
    assert np.nanmedian(alone(found)[1]) < 0.45


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_twitches_by_chance_are_uneven(seed: int) -> None:
    """Events at random times differ by ln 3 in the median from one interval to the next, at any rate."""
    rng = np.random.default_rng(seed)
    for mean_s in (2.0, 60.0):
        own, near = alone(np.cumsum(rng.exponential(mean_s, 4000) + 0.05))
        assert np.nanmedian(own) == pytest.approx(np.log(3), abs=0.1)
        assert np.nanquantile(near, 0.02) > 0.3


def test_leg_movements_in_series_are_even_for_a_while() -> None:
    """Ten movements 25 s apart are even among themselves though their unit is not."""
    rng = np.random.default_rng(3)
    series = 4000 + np.cumsum(25 * (1 + 0.1 * rng.standard_normal(10)))
    at = np.sort(np.concatenate([np.cumsum(rng.exponential(400.0, 40)), series]))
    own, near = alone(at)
    inside = np.isin(at, series[3:-3])
    assert near[inside].max() < 0.6 < np.nanmedian(near[~np.isin(at, series)])
    assert np.nanmedian(own) > 0.5


def test_each_unit_is_told_of_by_itself() -> None:
    """Candidates of other units, and such as are no members, change nothing; a lone twitch says nothing."""
    one, two = breaths(4), np.sort(np.random.default_rng(5).uniform(0, 1000, 150))
    at = np.concatenate([one, two, [500.0, 501.0]])
    unit = np.repeat([0, 3, 1, 0], [len(one), len(two), 1, 1]).astype(np.int32)
    member = np.arange(len(at)) < len(at) - 1
    order = np.argsort(at)
    told = np.array(unevenness(at[order], unit[order], member[order]))
    for number, times in ((0, one), (3, two)):
        own = (unit[order] == number) & member[order]
        np.testing.assert_array_equal(told[:, own], alone(times))
    assert np.isnan(told[:, (unit[order] == 1) | ~member[order]]).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_say_nothing(count: int) -> None:
    """No interval can be compared with another."""
    assert np.isnan(np.array(alone(np.arange(count, dtype=float)))).all()


def test_a_later_start_changes_nothing() -> None:
    """Only intervals matter."""
    at = np.round(breaths(6) * 64) / 64
    np.testing.assert_array_equal(alone(at), alone(at + 4096.0))
