"""Smallest and largest value in time bins, in levels of ever longer bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[Any]

FACTOR = 4
"""Bins of a level that make one of the next."""
BASE_NS = 64_000_000
"""Bins of the lowest level, unless the night is very long: what is looked at closer is drawn from samples."""
MOST_BINS = 2_250_000
"""Of the lowest level: 40 h of 64 ms."""
FEWEST_BINS = 512
CHANNELS = ("x", "y", "z", "band")


def base_ns(duration_ns: int) -> int:
    """Return the length of the lowest level's bins: longer for a night so long that memory would grow."""
    length = BASE_NS
    while duration_ns > MOST_BINS * length:
        length *= FACTOR
    return length


def level_sizes(bins: int) -> list[int]:
    """Return how many bins each level has, the lowest first."""
    sizes = [max(bins, 1)]
    while sizes[-1] > FEWEST_BINS:
        sizes.append(-(-sizes[-1] // FACTOR))
    return sizes


def empty(bins: int, channels: int, dtype: npt.DTypeLike) -> Values:
    """Return bins without a value, (bins, channels, 2): their smallest lies above their largest."""
    kind = np.dtype(dtype)
    low, high = (-np.inf, np.inf) if kind.kind == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
    rows = np.empty((bins, channels, 2), kind)
    rows[..., 0], rows[..., 1] = high, low
    return rows


def add(rows: Values, edges: Ints, values: Values, first_bin: int) -> None:
    """Take samples into their bins.

    Parameters
    ----------
    rows : (bins, channels, 2)
        Smallest and largest so far; changed.
    edges : int64, (k + 1,)
        Where in `values` the bins begin that follow `first_bin`; those before 0 and beyond the end do not
        matter.
    values : (n, channels)
        Samples in order of time.
    first_bin : int
        Bin of the first edge.
    """
    edges = np.clip(edges, 0, len(values))
    filled = np.flatnonzero(np.diff(edges) > 0)
    if not len(filled):
        return
    starts, end = edges[filled], edges[filled[-1] + 1]
    at = first_bin + filled
    rows[at, :, 0] = np.minimum(rows[at, :, 0], np.minimum.reduceat(values[:end], starts, axis=0))
    rows[at, :, 1] = np.maximum(rows[at, :, 1], np.maximum.reduceat(values[:end], starts, axis=0))


def next_level(rows: Values) -> Values:
    """Return the level above: `FACTOR` bins in one."""
    full = -(-len(rows) // FACTOR)
    padded = empty(full * FACTOR, rows.shape[1], rows.dtype)
    padded[: len(rows)] = rows
    grouped = padded.reshape(full, FACTOR, rows.shape[1], 2)
    return np.stack([grouped[..., 0].min(axis=1), grouped[..., 1].max(axis=1)], axis=-1)
