"""From what the trees say to honest probabilities, and the probabilities from which events count.

Both are made on virtual subjects that the trees have not seen, every candidate counted once, so that the
probabilities hold for the mix of nights as it was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

KNOTS = 8
SURE = 7.0
"""Log-odds beyond which no finite number of simulated nights supports a probability: 0.0009 and 0.9991."""
STEEPNESS_WEIGHT = 3.0
"""How many candidates it takes to bend the map away from 'the trees are right'."""
SLOPE_LIMITS = (0.05, 5.0)
"""A map that is never flat keeps the order of candidates."""

MOST_ALARMS_PER_H, MOST_ALARMS_OF_TWO_PER_H = 3.0, 1.5
"""False alarms per valid hour of nights without twitches at the balanced point of pass 1, and of both passes.
New families give up to twice as many: the promise of both passes is 3."""
MOST_NOISE_ALARMS_PER_H = 0.05
"""The same in white noise, all chips together; the promise is 0.1 for any."""
MOST_CHIP_ALARMS_PER_H = 0.1
APART = 3.0
"""Specific gives so many times fewer false alarms than balanced, sensitive so many times more."""
NEAR_BEST = 0.002
"""F1 hardly changes around its best: of points as good as this, the middle one is balanced, which the last
digit of a feature does not move far."""
GRID = np.round(1 / (1 + np.exp(-np.arange(-5.0, 5.01, 0.1))), 4)
LARGE_D = 10.0
MOST_TRUTHS = 200
"""A night of thousands of twitches says no more of where F1 is best than one of so many."""


def calibration(log_odds: Floats, is_twitch: Bools, knots: int = KNOTS) -> tuple[Floats, Floats]:
    """Fit a rising piecewise-linear map from the trees' log-odds to honest ones, by maximum likelihood.

    A ridge towards slope 1 keeps the map steady where there are few candidates.

    Returns
    -------
    at, value : float64, (k,)
        Knots: log-odds of the trees, rising, and the calibrated log-odds there; flat beyond the ends.
    """
    share = np.linspace(0.0, 1.0, knots)
    both = [np.quantile(log_odds[own], share) for own in (is_twitch, ~is_twitch) if own.any()]
    at = np.unique(np.round(np.mean(both, axis=0) if len(both) == 2 else both[0], 3))
    low, high = float(log_odds.min()), float(log_odds.max())
    at = np.unique(
        np.round(np.concatenate([[low], at[(at > low + 0.2) & (at < high - 0.2)], [high + 1e-3]]), 4)
    )
    width = np.diff(at)
    # The map is start + sum of slope times the part of each interval that lies below the log-odds.
    passed = np.clip(log_odds[:, None] - at[:-1], 0.0, width)
    sign = np.where(is_twitch, -1.0, 1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        value = parameters[0] + passed @ parameters[1:]
        residual = sign / (1.0 + np.exp(-sign * value))
        bend = parameters[1:] - 1.0
        total = np.logaddexp(0.0, sign * value).sum() + STEEPNESS_WEIGHT * (width * bend**2).sum()
        slope = passed.T @ residual + 2 * STEEPNESS_WEIGHT * width * bend
        return float(total), np.concatenate([[residual.sum()], slope])

    start = np.concatenate([[at[0]], np.ones(len(width))])
    limits = [(None, None), *[SLOPE_LIMITS] * len(width)]
    best = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    value = best[0] + np.concatenate([[0.0], np.cumsum(best[1:] * width)])
    return at, np.round(np.clip(value, -SURE, SURE), 4)


class Judged(NamedTuple):
    """Candidates of several nights with their probability, and what is needed to count right and wrong.

    `probability`, `large`, `false` (n,): of each candidate; `large` matched a truth of d >= 10, `false` none.
    `truths` is the number of truths of d >= 10 in valid time, `valid_h` the valid hours.
    """

    probability: Floats
    large: Bools
    false: Bools
    truths: int
    valid_h: float

    def found(self, points: Floats) -> Floats:
        """Return how many truths of d >= 10 are found at each lowest probability."""
        return _reaching(self.probability[self.large], points)

    def alarms_per_h(self, points: Floats) -> Floats:
        """Return the false alarms per valid hour at each lowest probability; 0 without valid time."""
        return _reaching(self.probability[self.false], points) / max(self.valid_h, 1e-9)

    def f1(self, points: Floats) -> Floats:
        """Return F1 for d >= 10 (design: a match to a smaller truth is neither right nor wrong)."""
        found, false = self.found(points), _reaching(self.probability[self.false], points)
        return np.asarray(2 * found / np.maximum(self.truths + found + false, 1))


def together(nights: Sequence[Judged]) -> Judged:
    """Return several nights as one."""
    none = Judged(np.zeros(0), np.zeros(0, bool), np.zeros(0, bool), 0, 0.0)
    every = (none, *nights)
    return Judged(
        np.concatenate([night.probability for night in every]),
        np.concatenate([night.large for night in every]),
        np.concatenate([night.false for night in every]),
        sum(night.truths for night in every),
        sum(night.valid_h for night in every),
    )


def f1_of_nights(nights: Sequence[Judged], points: Floats) -> Floats:
    """Return F1 for d >= 10 over several nights, of which none counts for more than `MOST_TRUTHS`."""
    found, wrong = np.zeros(len(points)), np.zeros(len(points))
    for night in nights:
        weight = min(1.0, MOST_TRUTHS / max(night.truths, 1))
        own = night.found(points)
        found += weight * own
        wrong += weight * (night.truths - own + _reaching(night.probability[night.false], points))
    return np.asarray(2 * found / np.maximum(2 * found + wrong, 1e-9))


def operating_points(
    mixed: Sequence[Judged], silent: Judged, noise: dict[str, Judged], most_per_h: float = MOST_ALARMS_PER_H
) -> dict[str, float]:
    """Choose the lowest probabilities that count.

    Balanced is the middle one of those whose F1 for d >= 10 on nights with twitches is next to the best,
    among the points that keep to the limits of false alarms on nights without and in white noise (if none
    does, the strictest of all). Specific and sensitive give three times fewer and more false alarms, nights
    with and without twitches together.

    Parameters
    ----------
    mixed
        Nights of bodies with twitches, each by itself.
    silent
        Such nights without twitches, together.
    noise
        Nights of white noise without twitches, by chip.
    most_per_h
        False alarms per valid hour that are allowed on nights without twitches.
    """
    alarms = silent.alarms_per_h(GRID)
    hours = sum(one.valid_h for one in noise.values())
    in_noise = sum((one.alarms_per_h(GRID) * one.valid_h for one in noise.values()), np.zeros(len(GRID)))
    allowed = (alarms <= most_per_h) & (in_noise <= MOST_NOISE_ALARMS_PER_H * max(hours, 1e-9))
    for one in noise.values():
        allowed &= one.alarms_per_h(GRID) <= max(MOST_CHIP_ALARMS_PER_H, 1.01 / max(one.valid_h, 1e-9))
    f1 = np.where(allowed, f1_of_nights(mixed, GRID), -1.0)
    near_best = np.flatnonzero(f1 >= f1.max() - NEAR_BEST)
    balanced = int(near_best[len(near_best) // 2]) if allowed.any() else len(GRID) - 1
    both = [*mixed, silent]
    every = sum((night.alarms_per_h(GRID) * night.valid_h for night in both), np.zeros(len(GRID)))
    every /= max(sum(night.valid_h for night in both), 1e-9)
    fewer = np.flatnonzero(every <= every[balanced] / APART)
    more = np.flatnonzero(every >= max(every[balanced] * APART, 1.0))
    specific = max(balanced, int(fewer[0]) if len(fewer) else len(GRID) - 1)
    sensitive = min(balanced, int(more[-1]) if len(more) else 0)
    chosen = (("specific", specific), ("balanced", balanced), ("sensitive", sensitive))
    return {name: float(GRID[index]) for name, index in chosen}


def _reaching(values: Floats, points: Floats) -> Floats:
    """Return how many values are at or above each point."""
    return np.asarray(len(values) - np.searchsorted(np.sort(values), points, side="left"), np.float64)
