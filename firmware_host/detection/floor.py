"""The local floor: what noise there is at each second, robust against the events in it.

It is a low quantile of the mean squares of quarter-second cells over what white noise of unit power gives
there, so events in half of the cells move it by a few percent. Half a minute to both sides makes it steady;
six seconds to either side tell where the noise itself has changed.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy import special

from firmware_host.detection.signals import CELL_S, GROUP, SERIES, Bool, Float32, Float64

REACH = round(30.0 / CELL_S)
"""Cells before and after that speak for the steady floor."""
LEAST = round(10.0 / CELL_S)
"""With fewer usable cells within reach the last known floor holds."""
SHARE = 0.3
"""The quantile."""
QUICK_REACH = round(6.0 / CELL_S)
QUICK_STEP = round(1.0 / CELL_S)
QUICK_SHARE = 0.1
"""A lower quantile for seconds: noise fills all of their cells, a storm of twitches leaves pauses."""
QUICK_RATIO = 1.4
"""Power of the band over its steady floor from which on the last seconds are believed, for all series."""


def floor_gain(cell_dof: Float64, share: float = SHARE) -> Float64:
    """Return for each series what the quantile is of the true mean square, in white noise."""
    return np.asarray(special.gammaincinv(cell_dof / 2.0, share) * 2.0 / cell_dof)


def quiet_gain(cell_dof: float) -> float:
    """Return what the mean square of the quietest third of cells is of the true one, in white noise."""
    limit = special.gammaincinv(cell_dof / 2.0, 1.0 / 3.0)
    return float(special.gammainc(cell_dof / 2.0 + 1.0, limit) * 3.0)


class FloorTracker:
    """Gives the floor of the cells that follow, and remembers it over times in which it cannot be known.

    Parameters
    ----------
    cell_dof : (series,) float64
        Degrees of freedom of a cell's mean square.
    least : (series,) float32
        Power that the floor never falls below.
    """

    def __init__(self, cell_dof: Float64, least: Float32) -> None:
        self._unit = (3.0 * floor_gain(cell_dof)[:, None]).astype(np.float32)
        self._quick_unit = np.float32(3.0 * floor_gain(cell_dof, QUICK_SHARE)[0])
        self._least = least[:, None]
        self._last = np.full(SERIES, np.nan, np.float32)

    def learn(self, energy: Float32, usable: Bool) -> tuple[Float32, Float32]:
        """Return the local floor, and the steady one that movement is judged by.

        Parameters
        ----------
        energy : (series, cells) float32
            Mean squares over three axes; `REACH` cells stand before the first judged cell and after the last.
        usable : (cells,) bool
            Cells that may speak for the floor.

        Returns
        -------
        local, steady : (series, cells - 2 REACH) float32
            Noise power per axis; NaN where it was never known.
        """
        spoken = energy if usable.all() else np.where(usable, energy, np.float32(np.inf))
        steady = self._hold(_quantiles(spoken, usable, SHARE, 2 * REACH + GROUP, GROUP, LEAST) / self._unit)
        steady = np.maximum(steady, self._least).repeat(GROUP, axis=1)
        inner = slice(REACH - QUICK_REACH, energy.shape[1] - REACH + QUICK_REACH)
        length = QUICK_REACH + QUICK_STEP
        sides = _quantiles(spoken[0, inner], usable[inner], QUICK_SHARE, length, QUICK_STEP, LEAST // 2)
        apart = QUICK_REACH // QUICK_STEP
        # Where noise begins or ends the louder side counts: no event is made of its first seconds.
        quick = np.fmax(sides[:-apart], sides[apart:]) / self._quick_unit
        rise = quick.repeat(QUICK_STEP) / steady[0]
        return np.where(rise > QUICK_RATIO, rise * steady, steady), steady

    def _hold(self, floor: Float32) -> Float32:
        """Fill unknown steps of a floor (series, steps) with the last known one before."""
        known = np.isfinite(floor[0])
        if not known.all():
            both = np.concatenate([self._last[:, None], floor], axis=1)
            steps = np.where(np.concatenate([[True], known]), np.arange(len(known) + 1), 0)
            floor = both[:, np.maximum.accumulate(steps)[1:]]
        self._last = floor[:, -1]
        return floor


def _quantiles(spoken: Float32, usable: Bool, share: float, length: int, step: int, least: int) -> Float32:
    """Return (..., steps): the quantile over windows of cells a step apart, NaN where too few are usable."""
    shape = (*spoken.shape[:-1], (spoken.shape[-1] - length) // step + 1, length)
    # Windows as strides: sliding_window_view takes longer than the sorting.
    windows = as_strided(spoken, shape, (*spoken.strides[:-1], step * spoken.itemsize, spoken.itemsize))
    ordered = np.sort(windows, axis=-1)
    if usable.all():
        return np.asarray(ordered[..., int(share * (length - 1))])
    known = np.concatenate([[0], np.cumsum(usable)])
    count = (known[length:] - known[:-length])[::step]
    rank = (share * np.maximum(count - 1, 0)).astype(np.int64)
    out = ordered[..., np.arange(len(count)), rank]
    out[..., count < least] = np.nan
    return np.asarray(out)
