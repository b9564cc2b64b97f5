"""Stretches of time: what lies in them, and how much of them lies between edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.twitches import Table

Floats = npt.NDArray[np.float64]


def inside(times_s: Floats, stretches: Table) -> npt.NDArray[np.bool_]:
    """Tell which times lie in one of the half-open stretches."""
    if not len(stretches):
        return np.zeros(len(times_s), bool)
    at = np.searchsorted(stretches["start_s"], times_s, side="right") - 1
    return np.asarray((at >= 0) & (times_s < stretches["end_s"][at]))


def seconds_in(stretches: Table, edges_s: Floats) -> Floats:
    """Return the seconds of the stretches that fall between each two edges."""
    if not len(stretches):
        return np.zeros(max(len(edges_s) - 1, 0))
    lengths = stretches["end_s"] - stretches["start_s"]
    knots_s = np.column_stack((stretches["start_s"], stretches["end_s"])).ravel()
    # rounded to 1 us: what is left of 1e-12 s after a subtraction is no observed time
    total_s = np.repeat(np.concatenate(([0.0], np.cumsum(lengths))), 2)[1:-1]
    return np.asarray(np.round(np.diff(np.interp(edges_s, knots_s, total_s)), 6))
