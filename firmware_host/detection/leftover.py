"""What a site repeats, and what stands alone in what its beats leave.

A beat that comes early, late or unfollowed resembles other bursts of its site, at whatever distance it comes;
a movement leaves more than one burst, or comes in a restless stretch. Neither asks for a regular train.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from firmware_host.detection.candidates import norm_squared
from firmware_host.detection.signals import Bool, Float32, Float64, largest_within, windows_at
from firmware_host.detection.site_night import Int64
from firmware_host.twitches import Column

LEFTOVER_COLUMNS: tuple[Column, ...] = (
    Column("repeat", "f4", "", "mean correlation with the likest four bursts of the 9 s before and after"),
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
"""What is compared, in such steps from a burst's middle: most power lies below 25 Hz."""
MIDDLE_S, MIDDLE_REACH_S = 0.06, 0.06
"""A burst's middle is where its power over such a time is largest, so far around the candidate."""
APART_S = 0.06
"""Other bursts are compared with where power is largest within so long before and after."""
LAGS_S = 0.01
LAGS = np.arange(-1, 2)
"""In such steps a burst may lie beside its middle."""
REPEATS_S, REPEATS = 9.0, 4
ITSELF_S = 0.3
"""Nearer places are the candidate itself."""
TOGETHER_S = 18.0
"""Candidates within so long are compared at once."""
GAIN = (0.6, 1.7)
BESIDE_S = (0.15, 0.45)
NEAR_S, WIDE_S = 3.0, 15.0
CALM_STEP_S = 0.07
"""What is left is looked at in such steps."""


def repeats(band_mg: Float32, at: Int64, fs_hz: float) -> dict[str, Float32]:
    """Compare candidates with the other bursts that their site shows around them, at any distance.

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
    last = band_mg.shape[1] - 1
    power = ndimage.uniform_filter1d(norm_squared(band_mg), round(MIDDLE_S * fs_hz), mode="constant")
    bursts = np.flatnonzero((power == largest_within(power, round(APART_S * fs_hz))) & (power > 0))
    near = np.arange(-round(MIDDLE_REACH_S * fs_hz), round(MIDDLE_REACH_S * fs_hz) + 1)
    around = np.clip(at[:, None] + near, 0, last)
    middle = around[np.arange(len(at)), np.argmax(power[around], axis=1)]
    reach, itself = round(REPEATS_S * fs_hz), round(ITSELF_S * fs_hz)
    # Most candidates stand in crowds: bursts far from all of them are compared with none.
    ordered = np.sort(middle)
    after = np.searchsorted(ordered, bursts - reach)
    bursts = bursts[np.append(ordered, last + 2 * reach)[after] <= bursts + reach]
    step = round(LAGS_S * fs_hz)
    others = _bursts_at(band_mg, bursts, step * LAGS, fs_hz)
    size = np.sqrt(np.maximum(np.einsum("lbx,lbx->lb", others, others), 1e-9))
    own = _bursts_at(band_mg, middle, np.zeros(1, int), fs_hz)[0]
    root = np.sqrt(np.maximum(np.einsum("kx,kx->k", own, own), 1e-9))
    own /= root[:, None]
    others /= size[:, :, None]
    high, low = np.zeros(len(at), np.float32), np.ones(len(at), np.float32)
    cuts = np.flatnonzero(np.diff(at // round(TOGETHER_S * fs_hz))) + 1
    for part in np.split(np.arange(len(at)), cuts):
        here = middle[part]
        first, stop = np.searchsorted(bursts, (here.min() - reach, here.max() + reach + 1))
        # Places for as many as are asked for, though there be none.
        count = max(stop - first, REPEATS)
        like, gain = np.full((2, len(part), count), -1.0, np.float32)
        all_lags = own[part] @ others[:, first:stop].transpose(0, 2, 1)
        apart = np.abs(here[:, None] - bursts[first:stop])
        known = (apart > itself) & (apart <= reach)
        like[:, : stop - first] = np.where(known, all_lags.max(axis=0), -1.0)
        ratio = size[len(LAGS) // 2, first:stop] / root[part, None]
        gain[:, : stop - first] = np.clip(like[:, : stop - first] / ratio, *GAIN) * ratio
        high[part] = np.partition(like, count - REPEATS, axis=1)[:, -REPEATS:].mean(axis=1)
        left = np.where(like > -1.0, 1.0 - gain * (2 * like - gain), 3.0)
        low[part] = np.partition(left, REPEATS - 1, axis=1)[:, :REPEATS].mean(axis=1)
    return {"repeat": high, "repeat_left": low}


def _bursts_at(band_mg: Float32, at: Int64, lags: Int64, fs_hz: float) -> Float32:
    """Return (lags, k, 3 * steps): what is compared of bursts at some middles, and at lags from these."""
    step = max(1, round(STEP_S * fs_hz))
    first, size = BURST[0] * step + lags[0], (BURST[1] - BURST[0]) * step
    near = windows_at(band_mg, at + first, size + lags[-1] - lags[0])
    values = [near[:, :, lag - lags[0] :][:, :, :size:step] for lag in lags]
    steps = BURST[1] - BURST[0]
    return np.stack(values).transpose(0, 2, 1, 3).reshape(len(lags), len(at), 3 * steps)


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
    count = 2 * size + 1
    near = windows_at(padded, at + wide - size - step // 2, count + step - 1)
    burst = near[:, :, step // 2 : step // 2 + count].transpose(1, 0, 2)
    values = np.linalg.eigvalsh(burst @ burst.transpose(0, 2, 1))
    power = np.concatenate([np.zeros(1), np.cumsum(norm_squared(padded), dtype=np.float64)])
    # Smoothed over a step, so that what only faster sensors hear does not count.
    smooth = near[:, :, :count].copy()
    for late in range(1, step):
        smooth += near[:, :, late : late + count]
    smooth /= np.float32(step)
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
