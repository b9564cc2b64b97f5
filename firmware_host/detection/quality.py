"""What each quarter of a second of signal is good for: missing, clipped, stuck, moving, too noisy, not worn.

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
MINUTE_CELLS = round(60.0 / CELL_S)
WEAR_WINDOW_S = 900.0
"""Evidence of wearing holds for so long before and after it."""
NOT_WORN_S = 1200.0
HANDLING_MG = 100.0
"""Root mean square over a cell from which on movement is handling: a peak of some 300 mg."""
HANDLING_TURN = 0.34
"""Change of gravity's direction (chord of 20 degrees) that shows the sensor was laid down or picked up."""
MICRO_MOTION_RATIO = 4.0
"""Slow micro-motion over what the sensor's white noise explains, in power, that breath or pulse must show."""
LIFELESS_RATIO = 2.0
"""Above it something may breathe, below it nothing shows: motionless MPU-6050s were measured at 0.8-1.3."""
BURST_RATIO = 3.0
"""Power of a cell over the floor, in the band, that white noise never has: a twitch of d = 11 or more."""
LIVELY_SHARE = 0.1
"""Bursts in so many of the minutes: things on a table do not twitch, and steps beside it come together."""
WEAR_JUDGED_BELOW = 0.25
"""mg/sqrt(Hz). A noisier sensor could not show the micro-motion of a limb: stillness proves nothing."""

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


@dataclass(frozen=True)
class Worn:
    """What whole-stretch rules say of each cell: surely not worn, or nothing shows that it is."""

    not_worn: Bool
    unconfirmed: Bool


def judge_wear(mean_mg: Float32, energy: Float32, density: Float32, kind: Cells, bandwidth_hz: float) -> Worn:
    """Judge whether the sensor was worn, from all cells of a stretch.

    Stillness alone proves nothing: people with ALS lie still for hours. Evidence of wearing is slow
    micro-motion (breath and pulse tilt the skin) beyond what the sensor's white noise explains, or movement,
    within 15 minutes; without it time stays valid and is marked unconfirmed. Not worn needs proof: a sensor
    that is quiet enough to see micro-motion shows none in 20 minutes of valid time, nor bursts time and
    again, and this stillness begins or ends with handling that gives it a new direction. A change of this
    judgement can come as late as the end of the stretch.

    Parameters
    ----------
    mean_mg : (3, cells) float32
        Mean acceleration.
    energy, density : (cells,) float32
        Mean square of the band-passed norm in mg^2; floor in mg/sqrt(Hz).
    kind : (cells,) uint8
        Kind of each cell.
    bandwidth_hz : float
        Noise bandwidth of the band-pass.
    """
    moving = kind == Kind.MOVEMENT
    micro = _micro_motion(mean_mg, density, kind)
    burst = energy > BURST_RATIO * 3.0 * bandwidth_hz * density**2
    evidence = moving | (micro > MICRO_MOTION_RATIO)
    near = widen(evidence, round(WEAR_WINDOW_S / CELL_S))
    not_worn = np.zeros(len(kind), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], evidence, [1]]).astype(np.int8)))
    handled = moving & (energy > HANDLING_MG**2)
    for start, stop in edges.reshape(-1, 2):
        run = slice(start, stop)
        not_worn[run] = _is_lifeless(micro[run], burst[run], density[run], kind[run] == Kind.VALID) and (
            _handled_at(mean_mg, handled, moving, start, before=True)
            or _handled_at(mean_mg, handled, moving, stop, before=False)
        )
    return Worn(not_worn & (kind != Kind.MOVEMENT), ~near & ~not_worn)


def _is_lifeless(micro: Float32, burst: Bool, density: Float32, valid: Bool) -> bool:
    """Tell whether a sensor that could show life in the valid cells of some time showed none."""
    known = micro[valid & np.isfinite(micro)]
    if np.count_nonzero(valid) * CELL_S < NOT_WORN_S or not len(known):
        return False
    lively = np.logical_or.reduceat(burst & valid, np.arange(0, len(valid), MINUTE_CELLS))
    return bool(
        np.median(density[valid]) <= WEAR_JUDGED_BELOW
        and np.median(known) <= LIFELESS_RATIO
        and lively.mean() < LIVELY_SHARE
    )


def _micro_motion(mean_mg: Float32, density: Float32, kind: Cells) -> Float32:
    """Return the slow changes of each cell's minute over those of white noise, in power; NaN where not seen.

    They are the differences of 1 s means that lie 2 s apart.
    """
    seconds = len(kind) // 4
    out = np.full(len(kind), np.nan, np.float32)
    if seconds < 10:
        return out
    means = mean_mg[:, : seconds * 4].reshape(3, seconds, 4).mean(axis=2)
    good = (kind[: seconds * 4].reshape(seconds, 4) == Kind.VALID).all(axis=1)
    change = np.sum((means[:, 2:] - means[:, :-2]) ** 2, axis=0)
    # White noise of density nd leaves nd^2 / 2 in a 1 s mean, so a difference of three axes has 3 nd^2.
    expected = 3.0 * density[: seconds * 4 : 4][2:] ** 2
    usable = good[2:] & good[:-2] & (expected > 0)
    minutes = -(-len(change) // 60)
    ratio = np.full(minutes * 60, np.inf, np.float32)
    ratio[: len(change)][usable] = change[usable] / expected[usable]
    ratio = np.sort(ratio.reshape(minutes, 60), axis=1)
    count = np.isfinite(ratio).sum(axis=1)
    # 0.79 is the median of a chi-square with three degrees of freedom over its mean.
    median = ratio[np.arange(minutes), count // 2] / np.float32(0.79)
    each = np.repeat(np.where(count >= 8, median, np.float32(np.nan)), MINUTE_CELLS)[: len(kind)]
    out[: len(each)] = each
    return out


def _handled_at(mean_mg: Float32, handled: Bool, moving: Bool, edge: int, *, before: bool) -> bool:
    """Tell whether the movement that touches one end of a still time was handling with a new direction."""
    step = -1 if before else 1
    cell = edge - 1 if before else edge
    stop = cell
    while 0 <= stop < len(moving) and moving[stop]:
        stop += step
    run = handled[stop + 1 : cell + 1] if before else handled[cell:stop]
    if not run.any() or not 4 <= stop < len(moving) - 4 or not 4 <= cell < len(moving) - 4:
        return False
    outside = mean_mg[:, stop - 3 : stop + 1] if before else mean_mg[:, stop : stop + 4]
    inside = mean_mg[:, edge : edge + 4] if before else mean_mg[:, edge - 4 : edge]
    one, two = outside.mean(axis=1), inside.mean(axis=1)
    turn = one / np.linalg.norm(one) - two / np.linalg.norm(two)
    return bool(np.linalg.norm(turn) > HANDLING_TURN)


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
