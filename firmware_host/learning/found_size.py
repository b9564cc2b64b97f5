"""The size of twitches that is found 9 times in 10, from single twitches that were found or not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Floats = npt.NDArray[np.float64]

SHARE = 0.9
WORTH = 2.0
"""By how much the log-likelihood must grow before large twitches are taken to be missed too."""
MOST_LAPSES = 0.5


class Size(NamedTuple):
    """The size found 9 times in 10, with its standard error; None where it is not reached."""

    mg: float | None
    error_mg: float | None


def found_9_in_10(size_mg: Floats, found: npt.NDArray[np.bool_]) -> Size:
    """Fit the share found as a normal distribution function of the size, and return where it is 0.9.

    The answer of a filter to an event is the event's d with noise of deviation 1, so that the share found is
    nearly such a function. What judges more than the size may miss a share of the largest: where the data
    show it, the function ends below 1. A size beyond the largest that was tried is not reached.

    Parameters
    ----------
    size_mg : (n,)
    found : (n,)
    """
    if found.mean() < 0.1 or found.mean() > 0.99:
        return Size(None, None)
    unit = float(np.median(size_mg))
    x = size_mg / unit
    plain, likely = _fit(x, found, np.array([1.0, 1.5]))
    lapsing, likelier = _fit(x, found, np.append(plain, 0.02))
    best = lapsing if likelier > likely + WORTH else plain
    at, slope = _reached(best)
    if not 0 < at <= x.max():
        return Size(None, None)
    information = _information(x, best)
    if np.linalg.cond(information) > 1e12:
        return Size(None, None)
    return Size(at * unit, float(np.sqrt(slope @ np.linalg.solve(information, slope))) * unit)


def _fit(x: Floats, found: npt.NDArray[np.bool_], start: Floats) -> tuple[Floats, float]:
    """Return middle, logarithm of the steepness and, where the start has it, lapses; and the likelihood."""

    def loss(parameters: Floats) -> float:
        share, _ = _share(x, parameters)
        return -float(np.log(np.where(found, share, 1 - share)).sum())

    limits = [(0.0, 3.0), (-2.0, 4.0), (0.0, MOST_LAPSES)][: len(start)]
    done = optimize.minimize(loss, start, method="L-BFGS-B", bounds=limits)
    return np.asarray(done.x), -float(done.fun)


def _share(x: Floats, parameters: Floats) -> tuple[Floats, Floats]:
    """Return the share found at each size, and its slopes by the parameters."""
    middle, steepness = parameters[0], np.exp(parameters[1])
    kept = 1.0 - (parameters[2] if len(parameters) == 3 else 0.0)
    z = (x - middle) * steepness
    below, density = special.ndtr(z), kept * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    slopes = np.stack([-steepness * density, z * density, -below])[: len(parameters)]
    return np.clip(kept * below, 1e-12, 1 - 1e-12), slopes


def _reached(parameters: Floats) -> tuple[float, Floats]:
    """Return where the share is 0.9, infinite if nowhere, and its slopes by the parameters."""
    steepness = np.exp(parameters[1])
    kept = 1.0 - (parameters[2] if len(parameters) == 3 else 0.0)
    if kept <= SHARE:
        return np.inf, np.zeros(len(parameters))
    level = special.ndtri(SHARE / kept)
    by_lapse = SHARE / kept**2 * np.sqrt(2 * np.pi) * np.exp(level**2 / 2) / steepness
    slopes = np.array([1.0, -level / steepness, by_lapse])[: len(parameters)]
    return float(parameters[0] + level / steepness), slopes


def _information(x: Floats, parameters: Floats) -> Floats:
    """Return Fisher's information of the parameters."""
    share, slopes = _share(x, parameters)
    return np.asarray((slopes / (share * (1 - share))) @ slopes.T)
