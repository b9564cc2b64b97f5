"""What each quarter of a second of signal is good for: missing, clipped, stuck, moving, too noisy.

Rules that judge acceleration work on vectors and norms, so that turning the sensor changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from firmware_host.detection.signals import CELL_S, Block, Bool, Float32, Plan
from firmware_host.twitches import Kind, Table

CLIPPED_SHARE = 0.995
"""Share of the range from which on a sample counts as clipped: int16 parts end a few counts short of it."""
CLIPPED_FROM_G = 1.9
"""With an unknown range: no part has less than 2 g, and gravity alone reaches 1 g."""
STUCK_S = 10.0
"""All three axes without any change for so long: the sensor hangs, or its steps are too coarse to see."""
NOISY_DENSITY = 1.9
"""mg/sqrt(Hz). Above it a twitch of 100 mg peak-to-peak is found less than 9 times in 10 (matched filter,
three axes, unknown direction: 53 mg per mg/sqrt(Hz) for a rise of 50 ms)."""
SLOW_MG = 30.0
"""Change of the slow acceleration within 2 s that is movement; breathing tilts a chest by 10-20 mg."""
SLOW_LAGS = (2, 5, 8)
"""Cells, up to 2 s: no rhythm slower than 2 Hz repeats after all of them."""
TILT_LAG = 24
TILT_MG = 52.0
"""Change within 6 s that is a new position: 3 degrees of gravity."""
ENVELOPE_RATIO = 4.0
"""Band-passed amplitude over the floor from which on sustained activity is movement."""
ENVELOPE_OF_LARGEST = 0.14
"""Only what is above this share of the largest amplitude within 2 s counts as sustained: the filter rings 1 s
after a very large twitch, at a few percent of it."""
LARGEST_WITHIN_CELLS = round(2.0 / CELL_S)
SUSTAINED_CELLS = 5
"""1.25 s: a run of six twitches 100 ms apart lasts 0.65 s and touches at most four cells."""
GUARD_CELLS = 8
"""2 s on both sides: a body settles after it moved."""
ISLAND_CELLS = 12
"""Valid time of less than 3 s between two movements is part of them."""
CLIP_GUARD_CELLS = 2

Cells = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CellQuality:
    """What can be told of a block's cells without a floor: mean acceleration (3, cells) in mg, and flags.

    `missing` has a sample missing, `empty` all; the mean of an empty cell is NaN.
    """

    mean_mg: Float32
    missing: Bool
    empty: Bool
    clipped: Bool
    stuck: Bool


def judge_cells(block: Block, plan: Plan, range_g: float | None) -> CellQuality:
    """Judge each cell of a block by its samples alone.

    Parameters
    ----------
    block : Block
    plan : Plan
    range_g : float or None
        Range of the sensor. None: samples are clipped where the block's largest value, above 1.9 g, stands
        three times in a row.
    """
    raw = block.raw_g
    size = plan.cell * plan.decimation
    mean = (raw.reshape(-1, size) @ np.full(size, 1000.0 / size, np.float32)).reshape(3, plan.cells)
    clipped, stuck = _clipped(raw, range_g, size), _stuck(raw, size)
    if not block.missing.any():
        none = np.zeros(plan.cells, bool)
        return CellQuality(mean, none, none, clipped, stuck)
    missing = block.missing.reshape(plan.cells, size)
    some, empty = np.asarray(missing.any(axis=1)), np.asarray(missing.all(axis=1))
    # Of what is there alone: a line over a gap carries the noise of two samples into it.
    there = ~missing
    count = np.maximum(there.sum(axis=1), 1)
    part = (raw.reshape(3, plan.cells, size)[:, some] * there[some]).sum(axis=2, dtype=np.float64)
    mean[:, some] = part * (1000.0 / count[some])
    mean[:, empty] = np.nan
    return CellQuality(mean, some, empty, clipped, stuck & ~some)


def step_of(block: Block) -> float | None:
    """Return the least change from one sample to the next in g: the step of the numbers if they have steps.

    None where nothing changes. Numbers without steps give next to nothing.
    """
    change = np.abs(np.diff(block.raw_g, axis=1))
    change = change[:, ~(block.missing[1:] | block.missing[:-1])]
    return float(np.min(change, initial=np.inf, where=change > 0)) if change.any() else None


def _clipped(raw_g: Float32, range_g: float | None, size: int) -> Bool:
    """Tell which cells hold samples at the end of the range."""
    largest = float(max(raw_g.max(), -raw_g.min()))
    if largest < (CLIPPED_SHARE * range_g if range_g is not None else CLIPPED_FROM_G):
        return np.zeros(raw_g.shape[1] // size, bool)
    if range_g is not None:
        at_end = np.abs(raw_g) >= CLIPPED_SHARE * range_g
    else:
        at_end = ndimage.binary_opening(np.abs(raw_g) >= largest, np.ones((1, 3), bool))
    return np.asarray(at_end.any(axis=0).reshape(-1, size).any(axis=1))


def _stuck(raw_g: Float32, size: int) -> Bool:
    """Tell which cells hold one and the same vector throughout."""
    cells = raw_g.reshape(3, -1, size)
    # Cheap first: in nearly all cells the first two samples differ.
    stuck = np.asarray((cells[:, :, 0] == cells[:, :, 1]).all(axis=0))
    if stuck.any():
        stuck[stuck] = (cells[:, stuck] == cells[:, stuck, :1]).all(axis=(0, 2))
    return stuck


def slow_movement(mean_mg: Float32) -> Bool:
    """Tell where the slow acceleration (means of cells, (3, cells) in mg) changes as only movement does."""
    # Smoothed, the swing that one very large twitch leaves in neighbouring means cancels.
    smooth = mean_mg.copy()
    smooth[:, 1:-1] = 0.5 * mean_mg[:, 1:-1] + 0.25 * (mean_mg[:, 2:] + mean_mg[:, :-2])
    moving = np.zeros(mean_mg.shape[1], bool)
    span = np.fmax.reduce(smooth, axis=1) - np.fmin.reduce(smooth, axis=1)
    if not np.dot(span, span) > SLOW_MG**2:
        return moving
    for lag in SLOW_LAGS:
        quick = _change(smooth, lag) > SLOW_MG**2
        if quick.any():
            moving |= _between(quick, lag)
    drift = _change(smooth, TILT_LAG) > TILT_MG**2
    if drift.any():
        # A quick change is known already; only a slow one lies all along the lag.
        seen = np.concatenate([[0], np.cumsum(moving)])
        moving |= _between(drift & (seen[TILT_LAG + 1 :] == seen[: -TILT_LAG - 1]), TILT_LAG)
    return moving


def _change(smooth: Float32, lag: int) -> Float32:
    change = smooth[:, lag:] - smooth[:, :-lag]
    return np.asarray(np.einsum("an,an->n", change, change))


def _between(starts: Bool, lag: int) -> Bool:
    """Tell which cells lie from a flagged one to `lag` cells after it."""
    count = np.concatenate([np.zeros(lag + 1, np.intp), np.cumsum(starts), np.full(lag, starts.sum())])
    return np.asarray(count[lag + 1 :] > count[: -lag - 1])


def sustained_movement(energy: Float32, floor: Float32) -> Bool:
    """Tell where band-passed activity lasts too long for a twitch or a run of them.

    Parameters
    ----------
    energy, floor : (cells,) arrays
        Mean square of the band-passed norm and its floor, in mg^2; cells of unknown floor are not judged.
    """
    high = energy > ENVELOPE_RATIO**2 * floor
    if np.count_nonzero(high) < SUSTAINED_CELLS:
        return np.zeros(len(high), bool)
    largest = ndimage.maximum_filter1d(energy, 2 * LARGEST_WITHIN_CELLS + 1, mode="nearest")
    high &= energy > ENVELOPE_OF_LARGEST**2 * largest
    return np.asarray(ndimage.binary_opening(high, np.ones(SUSTAINED_CELLS, bool)))


def widen(flags: Bool, cells: int) -> Bool:
    """Widen flags by a number of cells on both sides."""
    if not flags.any():
        return flags
    return np.asarray(ndimage.maximum_filter1d(flags, 2 * cells + 1, mode="constant"))


def kinds(moving: Bool, clipped: Bool, stuck: Bool, density: Float32) -> Cells:
    """Return the kind of each cell, gaps apart: movement before clipped before noisy.

    `density` is the floor in mg/sqrt(Hz), NaN where too little quiet signal is near to know it.
    """
    kind = np.full(len(moving), Kind.VALID, np.uint8)
    kind[~(density <= NOISY_DENSITY)] = Kind.NOISY
    if stuck.any():
        kind[ndimage.binary_opening(stuck, np.ones(round(STUCK_S / CELL_S), bool))] = Kind.NOISY
    kind[widen(clipped, CLIP_GUARD_CELLS)] = Kind.CLIPPED
    if moving.any():
        wide = widen(moving, GUARD_CELLS)
        kind[ndimage.binary_closing(wide, np.ones(ISLAND_CELLS, bool))] = Kind.MOVEMENT
    return kind


COVERED_DTYPE = np.dtype(
    [("start_index", "i8"), ("stop_index", "i8"), ("kind", "u1"), ("wear_unconfirmed", "?")]
)
"""Coverage of one stretch on its sample grid: half-open intervals that tile it."""


def tile(kind: Cells, unconfirmed: Bool, gaps: list[tuple[int, int]], size: int, length: int) -> Table:
    """Make the coverage of a stretch from its cells, and lay the gaps over them, exact to the sample.

    Parameters
    ----------
    kind, unconfirmed : (cells,) arrays
    gaps : list of (start, stop)
        In order; may overlap and reach beyond the stretch.
    size : int
        Samples of a cell.
    length : int
        Samples of the stretch.

    Returns
    -------
    table of COVERED_DTYPE
    """
    within = np.clip(np.array(gaps, np.int64).reshape(-1, 2), 0, length)
    changes = np.flatnonzero((np.diff(kind) != 0) | np.diff(unconfirmed)) + 1
    cuts = np.unique(np.concatenate([[0], changes * size, within.ravel(), [length]]))
    starts = cuts[:-1]
    gap_depth = np.searchsorted(np.sort(within[:, 0]), starts, "right") - np.searchsorted(
        np.sort(within[:, 1]), starts, "right"
    )
    cell = starts // size
    piece_kind = np.where(gap_depth > 0, np.uint8(Kind.GAP), kind[cell])
    piece_flag = unconfirmed[cell] & (piece_kind == Kind.VALID)
    new = np.ones(len(starts), bool)
    new[1:] = (piece_kind[1:] != piece_kind[:-1]) | (piece_flag[1:] != piece_flag[:-1])
    out = np.zeros(int(new.sum()), COVERED_DTYPE)
    out["start_index"] = starts[new]
    out["stop_index"] = np.append(starts[new][1:], length)
    out["kind"] = piece_kind[new]
    out["wear_unconfirmed"] = piece_flag[new]
    return out
