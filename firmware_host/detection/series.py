"""How evenly a unit's members follow one another: machines and breath do, twitches come as chance has it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from firmware_host.detection.signals import Bool, Float64

NEAR = 5
"""So many members before and after say how even a unit is just now."""
LEAST = 3
"""Fewer of these say nothing."""
LEAST_S = 0.05
"""Shorter intervals count as this long."""


def unevenness(peak_s: Float64, unit: npt.NDArray[np.int32], member: Bool) -> tuple[Float64, Float64]:
    """Return how much each member's next interval differs from its last, and what is usual around it.

    Told as the absolute logarithm of the one over the other: 0 for a clock, whose pace may drift, and ln 3 in
    the median for events that come by chance.

    Parameters
    ----------
    peak_s : (n,) float64
        In order.
    unit : (n,) int32
    member : (n,) bool
        Which candidates are members of their unit.

    Returns
    -------
    own, near : (n,) float64
        NaN for no members and for a unit's first and last; NaN where `near` would be of fewer than `LEAST`.
    """
    own, near = np.full(len(peak_s), np.nan), np.full(len(peak_s), np.nan)
    at = np.flatnonzero(member)
    if len(at) < 3:
        return own, near
    at = at[np.argsort(unit[at], kind="stable")]
    interval_s = np.maximum(np.diff(peak_s[at]), LEAST_S)
    inside = (unit[at][:-2] == unit[at][1:-1]) & (unit[at][1:-1] == unit[at][2:])
    own[at[1:-1]] = np.where(inside, np.abs(np.diff(np.log(interval_s))), np.nan)
    around = sliding_window_view(np.pad(own[at], NEAR, constant_values=np.nan), 2 * NEAR + 1)
    same = sliding_window_view(np.pad(unit[at], NEAR, constant_values=-1), 2 * NEAR + 1) == unit[at][:, None]
    ordered = np.sort(np.where(same, around, np.nan), axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    middle = ordered[np.arange(len(at)), np.maximum(count - 1, 0) // 2]
    near[at] = np.where(count >= LEAST, middle, np.nan)
    return own, near
