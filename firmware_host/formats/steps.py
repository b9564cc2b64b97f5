"""The uniform step that samples lie on, which int16 can hold, and the range where they clip. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

INT16_MAX = 32_767
RANGES_G = (2.0, 4.0, 8.0, 16.0, 32.0)
MOST_G = 64.0
"""No motion sensor that is worn measures more."""
_FLOAT32 = 2.0**-22
"""Twice the relative rounding of float32: of the file's number and of the step's multiple."""


@dataclass(frozen=True)
class Grid:
    """A uniform step through zero, and how far the file's decimals round its multiples."""

    step: float
    slack: float

    def holds(self, values: Singles) -> bool:
        """Tell whether all finite values are multiples of the step, within rounding, and fit into int16."""
        wide = values.astype(np.float64)
        counts = np.rint(wide / self.step)
        off = np.abs(wide - counts * self.step) - _FLOAT32 * np.abs(wide)
        fits = (
            np.nanmax(counts, initial=0.0) <= INT16_MAX and np.nanmin(counts, initial=0.0) >= -INT16_MAX - 1
        )
        return bool(fits and np.nanmax(off, initial=0.0) <= self.slack)

    def counts(self, values: Singles) -> npt.NDArray[np.int16]:
        """Return finite values as multiples of the step."""
        return np.rint(values.astype(np.float64) / self.step).astype(np.int16)


def find_grid(values: Singles) -> Grid | None:
    """Return the uniform step on which values lie, or None.

    The values may be rounded to float32 or to the decimals of a text file. Where the decimals themselves
    (0.001) are a step that int16 holds, they are taken: they give back exactly what the file says.

    Parameters
    ----------
    values : finite values in the file's unit, a sample of some ten thousand.
    """
    seen = np.unique(np.abs(values.astype(np.float64)))
    if len(seen) < 3:
        return None
    decimals = _decimals(seen)
    if decimals is None:
        return _common_step(seen, 0.0)
    if seen[-1] <= INT16_MAX * 10.0**-decimals:
        return Grid(10.0**-decimals, 0.0)
    return _common_step(seen, 0.5 * 10.0**-decimals)


def _decimals(seen: Floats) -> int | None:
    """Return with how many decimals (0 to 6) values were written, as far as float32 still shows it."""
    for decimals in range(7):
        scaled = seen * 10.0**decimals
        telling = scaled[scaled < 2**21]  # above, float32 rounds to a quarter of the last decimal and more
        if len(telling) < max(3, len(seen) / 20):
            return None
        if np.all(np.abs(telling - np.rint(telling)) <= 2.0**-23 * telling):
            return decimals
    return None


def _common_step(seen: Floats, slack: float) -> Grid | None:
    """Find the step from the smallest difference of neighbours, then ever more exactly from larger values."""
    tolerance = slack + _FLOAT32 * seen[-1]
    apart = np.diff(np.concatenate([[0.0], seen]))
    apart = apart[apart > 2.5 * tolerance]
    if not len(apart):
        return None
    step = float(apart[apart < apart.min() + 2 * tolerance].mean())
    reach = 4.0
    while reach < 4 * seen[-1] / step:
        part = seen[seen <= reach * step]
        counts = np.rint(part / step)
        if counts.any():
            step = float(part @ counts / (counts @ counts))
        reach *= 2
    if step < 3 * tolerance or seen[-1] > INT16_MAX * step:
        return None
    grid = Grid(_plain(step, tolerance / max(seen[-1] / step, 1.0)), slack)
    return grid if grid.holds(seen.astype(np.float32)) else None


def _plain(step: float, slack: float) -> float:
    """Return 1/2^k, or the shortest decimal number, where it is within the slack; else the step itself."""
    power = 2.0 ** round(float(np.log2(step)))
    candidates = [power, *(float(f"{step:.{digits}g}") for digits in range(1, 7))]
    return next((value for value in candidates if abs(value - step) <= slack), step)


def visible_range(top_g: float, run: int) -> float | None:
    """Return the sensor's range where data clip: `run` samples in a row are at the largest value `top_g`."""
    if run < 3:
        return None
    return next((r for r in RANGES_G if abs(top_g - r) <= 0.03 * r), None)


def longest_run(at_top: npt.NDArray[np.bool_]) -> int:
    """Return the length of the longest run of True down any axis of (n, 3)."""
    best = 0
    for axis in range(at_top.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], at_top[:, axis].astype(np.int8), [0]])))
        if len(edges):
            best = max(best, int(np.max(edges[1::2] - edges[::2])))
    return best
