"""What a site repeats, and what stands alone in what its beats leave.

A beat that comes early, late or unfollowed resembles other bursts of its site, at whatever distance it comes;
a movement leaves more than one burst, or comes in a restless stretch. Neither asks for a regular train.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from firmware_host.detection.candidates import norm_squared
from firmware_host.detection.signals import Bool, Float32, Float64
from firmware_host.detection.site_night import Int64
from firmware_host.twitches import Column

LEFTOVER_COLUMNS: tuple[Column, ...] = (
    Column("repeat", "f4", "", "mean correlation with the likest four stretches of the 9 s before and after"),
    Column("repeat_left", "f4", "", "share of energy that differs from these, their size hardly changed"),
    Column("left_before", "f4", "", "what beats leave 0.15-0.45 s before it over what is left of it"),
    Column("left_after", "f4", "", "the same after it"),
    Column("left_near", "f4", "", "amplitude left of it over what 10 % of the 3 s before and after exceed"),
    Column("left_wide", "f4", "", "the same of the 15 s before and after"),
    Column("left_most", "f4", "", "the same over what 3 % of these exceed"),
    Column("left_line", "f4", "", "share along its main direction of what the beats leave of it"),
    Column("left_core", "f4", "", "share within 0.05 s of what they leave within 0.25 s"),
    Column("left_turn", "f4", "", "correlation of what they leave of it with the same 20 ms later"),
)
STEP_S = 0.02
BURST = (-5, 11)
"""What is compared, in such steps from the candidate: most power lies below 25 Hz."""
PIECE_S = 0.6
"""Of each piece so long the likest place counts, so that each beat counts about once."""
REPEATS_S, REPEATS = 9.0, 4
ITSELF_S = 0.3
"""Nearer places are the candidate itself."""
GAIN = (0.6, 1.7)
BESIDE_S = (0.15, 0.45)
NEAR_S, WIDE_S = 3.0, 15.0
CALM_STEP_S = 0.07
"""What is left is looked at in such steps."""


def repeats(band_mg: Float32, at: Int64, fs_hz: float) -> dict[str, Float32]:
    """Compare candidates with all that their site shows around them, at any distance.

    Parameters
    ----------
    band_mg : (3, samples) float32
    at : (k,) int64
        In order, one at least.
    fs_hz : float

    Returns
    -------
    `repeat` and `repeat_left`, (k,)
    """
    step, piece = max(1, round(STEP_S * fs_hz)), round(PIECE_S * fs_hz)
    length, first, reach = BURST[1] - BURST[0], BURST[0] * step, round(REPEATS_S / PIECE_S) * piece
    # Column c of what follows is the stretch that begins at the sample c - reach + first.
    padded = np.pad(band_mg, ((0, 0), (reach - first, reach + BURST[1] * step)))
    rows = [np.ascontiguousarray(padded[:, phase::step].T).reshape(-1) for phase in range(step)]
    windows = [sliding_window_view(each, 3 * length)[::3] for each in rows]
    root = np.empty(sum(map(len, windows)), np.float32)
    for phase, each in enumerate(windows):
        root[phase::step] = np.sqrt(np.maximum(np.einsum("nx,nx->n", each, each), 1e-9))
    span = reach // 2
    high, low = [], []
    for column in np.split(at + reach, np.flatnonzero(np.diff(at // span)) + 1):
        low_end, stop = column[0] - reach, column[-1] + reach
        own = np.stack([windows[c % step][c // step] for c in column.tolist()]) / root[column, None]
        like = np.empty((len(column), stop - low_end), np.float32)
        for late in range(step):
            part = like[:, late::step]
            begin, phase = divmod(int(low_end) + late, step)
            part[:] = own @ windows[phase][begin : begin + part.shape[1]].T
        like /= root[low_end:stop]
        around = sliding_window_view(like, 2 * reach, axis=1)[np.arange(len(column)), column - column[0]]
        around[:, np.abs(np.arange(-reach, reach)) <= ITSELF_S * fs_hz] = -1.0
        pieces = around.reshape(len(column), -1, piece)
        best = np.argmax(pieces, axis=2)
        top = np.take_along_axis(pieces, best[:, :, None], axis=2)[:, :, 0]
        place = (column - reach)[:, None] + np.arange(pieces.shape[1]) * piece + best
        size = root[place] / root[column, None]
        gain = np.clip(top / size, *GAIN) * size
        high.append(np.partition(top, -REPEATS, axis=1)[:, -REPEATS:].mean(axis=1))
        low.append(np.partition(1.0 - gain * (2 * top - gain), REPEATS, axis=1)[:, :REPEATS].mean(axis=1))
    return {"repeat": np.concatenate(high), "repeat_left": np.concatenate(low)}


SHAPE_S, CORE_S = 0.12, 0.05
"""What is left is measured so far around a candidate."""


def shape(rest: Float32, at: Int64, least: Float32, fs_hz: float) -> dict[str, Float32]:
    """Measure the shape of what the beats leave of candidates.

    Parameters
    ----------
    rest : (3, samples) float32
    at : (k,) int64
    least : (k,) float32
        Energy that noise may leave.
    fs_hz : float
    """
    size, core, wide = (round(side * fs_hz) for side in (SHAPE_S, CORE_S, 0.25))
    step = max(1, round(STEP_S * fs_hz))
    padded = np.pad(rest, ((0, 0), (wide, wide)))
    place = at[:, None] + wide + np.arange(-size, size + 1)
    burst = padded[:, place].transpose(1, 0, 2)
    values = np.linalg.eigvalsh(burst @ burst.transpose(0, 2, 1))
    power = np.concatenate([np.zeros(1), np.cumsum(norm_squared(padded), dtype=np.float64)])
    # Smoothed over a step, so that what only faster sensors hear does not count.
    smooth = ndimage.uniform_filter1d(padded, step, axis=1)[:, place]
    turn = np.einsum("aks,aks->k", smooth[:, :, step:], smooth[:, :, :-step])

    def within(side: int) -> Float64:
        return np.asarray(power[at + wide + side + 1] - power[at + wide - side])

    return {
        "left_line": values[:, 2] / np.maximum(values.sum(axis=1), least),
        "left_core": within(core) / np.maximum(within(wide), least),
        "left_turn": turn / np.maximum(np.einsum("aks,aks->k", smooth, smooth), least),
    }


def alone(
    power: Float32, there: Bool, at: Int64, least: Float32, core: int, fs_hz: float
) -> dict[str, Float32]:
    """Compare what the beats leave of candidates with what they leave around them.

    Parameters
    ----------
    power : (samples,) float32
        What is left, squared.
    there : (samples,) bool
        Where the signal can be used.
    at : (k,) int64
    least : (k,) float32
        Energy that noise may leave of a candidate.
    core : int
        What is left of a candidate is looked at from so many samples before it to as many after it.
    fs_hz : float

    Returns
    -------
    The `left_` columns of `LEFTOVER_COLUMNS`, (k,)
    """
    width = 2 * core + 1
    left = ndimage.uniform_filter1d(power, width, mode="constant") * np.float32(width)
    own = np.maximum(left[at], least)
    near, far = (round(side * fs_hz) for side in BESIDE_S)
    side = np.arange(near, far + 1)
    last = len(left) - 1
    values = {
        name: np.sqrt(left[np.clip(at[:, None] + way * side, 0, last)].max(axis=1) / own)
        for name, way in (("left_before", -1), ("left_after", 1))
    }
    every = max(1, round(CALM_STEP_S * fs_hz))
    steps, usable = left[::every], there[::every]
    for reach_s, shares in ((NEAR_S, {"left_near": 0.1}), (WIDE_S, {"left_wide": 0.1, "left_most": 0.03})):
        count = round(reach_s * fs_hz / every)
        offset = np.arange(-count, count + 1)
        offset = offset[np.abs(offset) * every > ITSELF_S * fs_hz]
        place = at[:, None] // every + offset
        known = (place >= 0) & (place < len(steps))
        place = np.clip(place, 0, len(steps) - 1)
        known &= usable[place]
        ordered = np.sort(np.where(known, -steps[place], 0.0), axis=1)
        for name, share in shares.items():
            rank = (share * known.sum(axis=1)).astype(int)
            values[name] = np.sqrt(own / np.maximum(-ordered[np.arange(len(at)), rank], least))
    return values
