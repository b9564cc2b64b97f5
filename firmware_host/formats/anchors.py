"""Sample times of a logger that stamps one sample of each block of its file. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RATE_ERROR = 0.08
"""The true rate is never further from the nominal one; stamps that say more are no neighbours."""
SLACK_S = 0.25
"""What a stamp may be off the count where the file numbers its blocks, so that a lost one shows anyway."""


@dataclass(frozen=True)
class Blocks:
    """Blocks of samples in the order of the file.

    Attributes
    ----------
    samples : (k,) number of samples in each.
    at : (k,) index within the block, not always whole or inside it, at which the stamp holds.
    stamp_ns : (k,) the stamps.
    follows : (k,) whether the file says that a block goes on where the one before ended.
    """

    samples: Ints
    at: Floats
    stamp_ns: Ints
    follows: npt.NDArray[np.bool_]

    @property
    def first(self) -> Ints:
        """(k,) index of each block's first sample among all."""
        first: Ints = np.cumsum(self.samples) - self.samples
        return first


def runs(blocks: Blocks, rate_hz: float, slack_s: float = SLACK_S) -> npt.NDArray[np.bool_]:
    """Return (k,) where a block begins a new run: the file says so, or its stamp is too far off the count."""
    index = blocks.first + blocks.at
    counted_s = np.diff(index) / rate_hz
    off_s = np.abs(np.diff(blocks.stamp_ns) / 1e9 - counted_s)
    torn = off_s > slack_s + RATE_ERROR * np.abs(counted_s)
    return np.concatenate([[True], torn | ~blocks.follows[1:]])


def sample_times(blocks: Blocks, rate_hz: float, slack_s: float = SLACK_S) -> Ints:
    """Return the times (ns) of all samples: straight between stamps of a run, and on from its ends.

    Parameters
    ----------
    blocks : one at least.
    rate_hz : the nominal rate, for runs too short to show their own.
    slack_s : a stamp that is off the count by more begins a new run.
    """
    total, first = int(blocks.samples.sum()), blocks.first
    times = np.empty(total, np.int64)
    starts = np.flatnonzero(runs(blocks, rate_hz, slack_s)).tolist()
    for a, b in pairwise([*starts, len(blocks.samples)]):
        base_ns = int(blocks.stamp_ns[a])
        x = (first[a:b] + blocks.at[a:b]) - first[a]
        y = (blocks.stamp_ns[a:b] - base_ns).astype(np.float64)
        rising = np.concatenate([[True], (np.diff(x) > 0) & (np.diff(y) > 0)])
        stop = int(first[b]) if b < len(first) else total
        sample = np.arange(stop - int(first[a]), dtype=np.float64)
        spread = _straight(sample, x[rising], y[rising], 1e9 / rate_hz)
        times[int(first[a]) : stop] = np.rint(spread).astype(np.int64) + base_ns
    return times


def _straight(sample: Floats, x: Floats, y: Floats, period_ns: float) -> Floats:
    """Interpolate, and go on beyond both ends with the slope of the stamps nearest to it."""
    if len(x) < 2:
        return np.asarray(y[0] + (sample - x[0]) * period_ns)
    out = np.interp(sample, x, y)
    for here, i, j in ((sample < x[0], 0, 1), (sample > x[-1], -1, -2)):
        slope = (y[j] - y[i]) / (x[j] - x[i])
        if abs(slope / period_ns - 1) > RATE_ERROR:
            slope = period_ns
        out[here] = y[i] + (sample[here] - x[i]) * slope
    return out
