"""How each candidate fits the heartbeat: beats are a train that is locked in phase, never single events.

Around each candidate the period of the envelope is looked for. Where there is one, the beats are followed
through the signal, each beat is predicted from the others, and what is left of the candidate is compared with
the noise and with what is usually left at that phase of a beat. So a twitch stands out wherever it falls in
the beat, and beats as large as twitches do not. A unit that fires often, but at random, makes no train.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided
from scipy import ndimage

from firmware_host.detection.beats import (
    LEAST_BEATS,
    NEIGHBOURS,
    Beats,
    Int64,
    follow,
    local_period,
    middle_near,
)
from firmware_host.detection.candidates import norm_squared
from firmware_host.detection.leftover import LEFTOVER_COLUMNS, alone, repeats, shape
from firmware_host.detection.signals import CELL_S, Bool, Float32, Float64, windows_at
from firmware_host.twitches import Column, Table, dtype_of

HEART_COLUMNS: tuple[Column, ...] = (
    Column("heart_strength", "f4", "", "how periodic the envelope is at 0.6-2.2 Hz: 0 as noise, 1 fully"),
    Column("heart_trust", "f4", "", "how alike and how regular the beats followed near the candidate are"),
    Column("heart_explains", "f4", "", "share of the beats' energy near the candidate that they predict"),
    Column("heart_near", "f4", "", "amplitude that a beat has at this phase over that of the candidate"),
    Column("heart_match", "f4", "", "correlation of the candidate with what the beats predict"),
    Column("heart_usual", "f4", "", "its correlation with the mean of the beats near at this phase"),
    Column("heart_left", "f4", "", "share of the candidate's energy that the beats do not predict"),
    Column("heart_left_d", "f4", "", "d of what the beats do not predict"),
    Column("heart_twin", "f4", "", "correlation with the likest six of the 24 nearest beats at this phase"),
    Column("heart_twin_left", "f4", "", "share of energy that differs from these, their size hardly changed"),
    Column("heart_twin_all", "f4", "", "median correlation with the nearest beats"),
    Column("heart_stand", "f4", "", "amplitude of what is left over the usual one at this phase of a beat"),
    Column("heart_stand_high", "f4", "", "the same over what one beat in seven has left at this phase"),
    Column(
        "heart_swerve", "f4", "", "deviation from the mean of the beats near over the usual one at its phase"
    ),
    *LEFTOVER_COLUMNS,
)
HEART_DTYPE = dtype_of(HEART_COLUMNS)
CONTEXT = round(20.0 / CELL_S)
"""Cells on both sides of the judged ones in which the beats are followed."""
CHANCE = 0.155
"""Mean correlation of the envelope over 20 s windows: noise and random twitches have 0.12, rarely 0.16."""
CYCLE_FROM_S = 0.35
"""A beat's cycle begins so long before it."""
EDGE_S = 0.10
CORE_S = 0.07
"""What is left is judged so long before and after the candidate."""
NEIGHBOUR_S = 16.0
"""Beats speak for each other over such times."""
FAR, MEANS_AT_ONCE = 4.0, 96
"""In such times, what is farther has no weight; means of so many beats are made together."""
COMPONENTS = 8
"""Ways in which beats vary together (breath, alignment) that are no surprise."""


BELIEVED = (0.05, 0.2)
"""Share of their energy that beats must predict of each other to be believed not at all, and wholly."""
UNUSUAL = 1.5
"""Cycles that deviate so many times the median speak less for how beats vary."""
PLAIN_TRUST, PLAIN_USUAL, PLAIN_MATCH, PLAIN_STAND = 0.15, 0.8, 0.7, 1.4
"""A candidate among regular beats, shaped like their mean and as they predict of it, of which no more is left
than beats leave, is one of them. So are 69 % of what a simulated chest shows, and two in a thousand of its
twitches that would be counted."""
TWINS, BEST_TWINS = 24, 6
TWIN_NAMES = ("heart_twin", "heart_twin_left", "heart_twin_all")
TWIN_AT_S = np.arange(-4, 7) * 0.02
"""Where candidates are compared: most of their power lies below 25 Hz."""
TWIN_LAGS_S = np.arange(-3, 4) * 0.01
TWIN_GAIN = (0.6, 1.7)
TWINS_REACH_S = 2.5


def measure(
    band_mg: Float32, usable: Bool, cell: int, fs_hz: float, at: Int64, floor: Float32, density: Float32
) -> Table:
    """Measure how candidates fit the train of beats around them.

    Parameters
    ----------
    band_mg : (3, samples) float32
        Band-pass in mg, from `CONTEXT` cells before the judged ones to as many after them.
    usable : (cells,) bool
        Cells without gaps, clipping or movement.
    cell : int
        Samples of a cell.
    fs_hz : float
        Internal rate.
    at : (k,) int64
        Samples of the candidates.
    floor, density : (k,) float32
        Noise power per axis in mg^2, and its density in mg/sqrt(Hz).

    Returns
    -------
    table of HEART_DTYPE, (k,)
    """
    rows = np.zeros(len(at), HEART_DTYPE)
    core = round(CORE_S * fs_hz)
    size = 2 * core + 1
    energy = norm_squared(windows_at(band_mg, at - core, size).transpose(1, 0, 2)).sum(axis=1)
    noise = 3 * floor * size
    rows["heart_left"] = rows["heart_twin_left"] = 1.0
    rows["heart_left_d"] = _d(energy - noise, density, fs_hz)
    rows["heart_stand"] = rows["heart_stand_high"] = rows["heart_swerve"] = np.sqrt(energy / noise)
    clean = band_mg if usable.all() else band_mg * usable.repeat(cell)
    middle_s, period_s, strength = local_period(clean, usable, cell, fs_hz)
    rows["heart_strength"] = np.interp(at / fs_hz, middle_s, strength)
    there, rest = usable.repeat(cell), clean
    if np.any(strength) and np.mean(strength[strength > 0]) >= CHANCE:
        beats = follow(clean, np.interp(np.arange(clean.shape[1]) / fs_hz, middle_s, period_s) * fs_hz, fs_hz)
        if len(beats.at) >= LEAST_BEATS:
            rest = _compare(rows, clean, there, beats, fs_hz, at, noise, density)
    asked = ~plain_beats(rows)
    for column in (*TWIN_NAMES, *(column.name for column in LEFTOVER_COLUMNS)):
        rows[column][~asked] = np.nan
    if asked.any():
        at, noise = at[asked], noise[asked]
        found = repeats(clean, at, fs_hz) | shape(rest, at, noise, fs_hz)
        for name, value in (found | alone(norm_squared(rest), there, at, noise, core, fs_hz)).items():
            rows[name][asked] = value
    return rows


_every_beat: ContextVar[bool] = ContextVar("every_beat", default=False)


@contextmanager
def every_beat_kept() -> Iterator[None]:
    """Let no beat be plain while it lasts, to compare with a detector that knows no heart."""
    token = _every_beat.set(True)
    try:
        yield
    finally:
        _every_beat.reset(token)


def plain_beats(rows: Table) -> Bool:
    """Tell of rows of `HEART_DTYPE` which are beats of a train and nothing else.

    What takes long to measure is not measured of these.
    """
    return np.asarray(
        (not _every_beat.get())
        & (rows["heart_trust"] > PLAIN_TRUST)
        & (rows["heart_usual"] > PLAIN_USUAL)
        & (rows["heart_match"] > PLAIN_MATCH)
        & (rows["heart_stand"] < PLAIN_STAND)
    )


def _d(energy: Float32, density: Float32, fs_hz: float) -> Float32:
    return np.asarray(np.sqrt(2 * np.maximum(energy, 0.0) / fs_hz) / density, np.float32)


def _compare(
    rows: Table,
    band_mg: Float32,
    there: Bool,
    beats: Beats,
    fs_hz: float,
    at: Int64,
    noise: Float32,
    density: Float32,
) -> Float32:
    """Fill in what the beats predict of each candidate; return (3, samples) what they leave."""
    before = round(CYCLE_FROM_S * fs_hz)
    edge, core = round(EDGE_S * fs_hz), round(CORE_S * fs_hz)
    every = float(np.median(np.diff(beats.at)))
    after = round(min(1.4 * every, 1.9 * fs_hz)) - before + 2 * edge
    place, trust, like = beats.at, beats.trust, beats.like
    padded = _widened(band_mg, before, after)
    cycles = np.ascontiguousarray(windows_at(padded, place, before + after).transpose(1, 0, 2))
    gone = np.concatenate([[0], np.cumsum(~_widened(there, before, after))])
    whole = gone[place + before + after] - gone[place] < edge
    rest = band_mg.copy()
    if whole.sum() < LEAST_BEATS:
        return rest
    usual_beat, predicted = _predict(cycles, place / fs_hz, like * whole)
    apart, power = norm_squared(cycles - predicted), norm_squared(cycles)
    parts = apart, power, norm_squared(predicted), norm_squared(cycles - usual_beat), norm_squared(usual_beat)
    left, own, mean, swerve, common = (_sums_over(part, 2 * core + 1) for part in parts)
    both = 0.5 * (own + mean - left)
    share = apart.sum(axis=1) / np.maximum(power.sum(axis=1), 1e-9)
    explains = 1.0 - middle_near(share, NEIGHBOURS)
    believed = np.clip((explains - BELIEVED[0]) / (BELIEVED[1] - BELIEVED[0]), 0.0, 1.0).astype(np.float32)

    def of_beats(at: Int64) -> tuple[Int64, Int64, Int64]:
        beat = np.searchsorted(place - before + edge, at, side="right") - 1
        column = at - place[np.maximum(beat, 0)] + before
        good = np.flatnonzero((beat >= 0) & (column < before + after - edge))
        return good, beat[good], column[good]

    good, i, j = of_beats(np.arange(rest.shape[1]))
    here = i * predicted[0].size + j
    for axis, row in enumerate(rest):
        row[good] -= believed[i] * predicted.take(here + axis * predicted.shape[2])
    good, i, j = of_beats(at)
    if not len(good):
        return rest
    columns, of = np.unique(j, return_inverse=True)
    middle, high = (each[of] for each in _ranked(left[whole][:, columns]))
    strays = _ranked(swerve[whole][:, columns])[0][of]
    least = 0.5 * noise[good]
    here, noise = left[i, j], noise[good]
    values = {
        "heart_trust": trust[i],
        "heart_explains": np.maximum(explains[i], 0.0),
        "heart_near": np.sqrt(mean[i, j] / np.maximum(own[i, j], 1e-9)),
        "heart_match": both[i, j] / np.sqrt(np.maximum(own[i, j] * mean[i, j], 1e-9)),
        "heart_usual": 0.5
        * (own[i, j] + common[i, j] - swerve[i, j])
        / np.sqrt(np.maximum(own[i, j] * common[i, j], 1e-9)),
        "heart_left": here / np.maximum(own[i, j], 1e-9),
        "heart_left_d": _d(here - noise, density[good], fs_hz),
        "heart_stand": np.sqrt(here / np.maximum(middle, least)),
        "heart_stand_high": np.sqrt(here / np.maximum(high, least)),
        "heart_swerve": np.sqrt(swerve[i, j] / np.maximum(strays, least)),
    }
    _fill(rows, good, believed[i], values)
    asked = ~plain_beats(rows[good])
    if asked.any():
        good, i = good[asked], i[asked]
        _fill(rows, good, believed[i], _twins(padded, place + before, i, at[good] + before, fs_hz))
    return rest


def _sums_over(values: Float32, size: int) -> Float32:
    return np.asarray(ndimage.uniform_filter1d(values, size, axis=1, mode="nearest") * np.float32(size))


def _fill(rows: Table, good: Int64, believed: Float32, values: dict[str, Float32]) -> None:
    """Move some rows towards what the beats say, as far as these are believed."""
    for name, value in values.items():
        rows[name][good] += (believed * (value - rows[name][good])).astype(np.float32)


def _ranked(values: Float32) -> tuple[Float32, Float32]:
    """Return of each column the median, and what one value in seven exceeds."""
    last = len(values) - 1
    middle, high = (last + 1) // 2, int(0.86 * last)
    ordered = np.partition(values.T, (middle, high), axis=1)
    return ordered[:, middle], ordered[:, high]


def _twins(padded: Float32, place: Int64, beat: Int64, at: Int64, fs_hz: float) -> dict[str, Float32]:
    """Compare candidates with the same phase of the beats nearest to them, however each varies.

    Parameters
    ----------
    padded : (3, samples) float32
    place : (beats,) int64
    beat, at : (k,) int64
        The beat that each candidate belongs to, and its sample.
    fs_hz : float
    """
    reach, size = round(TWINS_REACH_S * fs_hz), TWINS // 2
    padded = _widened(padded, reach, reach)
    offset = np.round(TWIN_AT_S * fs_hz).astype(int)
    lags = np.unique(np.round(TWIN_LAGS_S * fs_hz).astype(int))
    own = padded[:, at[:, None] + reach + offset].transpose(1, 2, 0)
    others = beat[:, None] + np.concatenate([np.arange(-size, 0), np.arange(1, size + 1)])
    known = (others >= 0) & (others < len(place))
    centre = place[np.clip(others, 0, len(place) - 1)] + (at - place[beat])[:, None]
    # All lags share one cut: what is compared is laid out over it once for each.
    at_lag = lags[:, None] + offset
    first, span = at_lag.min(), int(np.ptp(at_lag)) + 1
    cut = _samples_at(padded, centre + (reach + first), span)
    laid = np.zeros((len(at), span, 3, len(lags)), np.float32)
    count = np.zeros((span, 3, len(lags)), np.float32)
    for lag, columns in enumerate(at_lag - first):
        laid[..., lag][:, columns] = own
        count[..., lag][columns] = 1.0
    dot = cut @ laid.reshape(len(at), -1, len(lags))
    energy = np.maximum(np.einsum("koa,koa->k", own, own), 1e-9)[:, None, None]
    cut *= cut
    power = np.maximum(cut @ count.reshape(-1, len(lags)), 1e-6 * energy)
    like = np.where(known, _of_lags(np.maximum, dot / np.sqrt(power * energy)), -1.0)
    gain = np.clip(dot / power, *TWIN_GAIN)
    left = _of_lags(np.minimum, 1.0 - (2 * gain * dot - gain * gain * power) / energy)
    left = np.where(known, np.minimum(left, 3.0), 3.0)
    like, left = np.sort(like, axis=1), np.sort(left, axis=1)
    middle = 2 * size - (known.sum(axis=1) + 1) // 2
    values = (
        like[:, -BEST_TWINS:].mean(axis=1),
        left[:, :BEST_TWINS].mean(axis=1),
        like[np.arange(len(like)), np.minimum(middle, 2 * size - 1)],
    )
    return dict(zip(TWIN_NAMES, values, strict=True))


def _samples_at(band_mg: Float32, first: Int64, count: int) -> Float32:
    """Return (..., count * 3): the samples from some places on, axis by axis of each."""
    # Rows of neighbours are copied much faster than single samples.
    flat = np.ascontiguousarray(band_mg.T).reshape(-1)
    return np.asarray(as_strided(flat, (len(flat) - 3 * count + 1, 3 * count), 2 * flat.strides)[3 * first])


def _of_lags(choose: np.ufunc, values: Float32) -> Float32:
    """Return the largest or smallest over the last axis, too short for numpy to be quick along it."""
    out = values[..., 0]
    for lag in range(1, values.shape[-1]):
        out = choose(out, values[..., lag])
    return out


def _widened(values: npt.NDArray[Any], before: int, after: int) -> npt.NDArray[Any]:
    """Return (..., before + samples + after): zeros, or False, around what there is."""
    count = values.shape[-1]
    out = np.zeros((*values.shape[:-1], before + count + after), values.dtype)
    out[..., before : before + count] = values
    return out


def _ways(apart: Float32, count: int) -> tuple[Float32, Float64]:
    """Return (count, samples) unit vectors in which rows vary together most, and how much along each.

    Near enough, in a small share of the time that the exact ones take.
    """
    basis = _any_basis(len(apart), count)
    for _ in range(4):
        basis = np.linalg.qr(apart @ (apart.T @ basis))[0]
    small = (basis.T @ apart).astype(float)
    values, turn = np.linalg.eigh(small @ small.T)
    scale = np.sqrt(np.maximum(values, 1e-9))
    return np.asarray((turn / scale).T @ small, np.float32), np.asarray(scale)


@lru_cache(maxsize=256)
def _any_basis(size: int, count: int) -> Float32:
    return np.random.default_rng(1).standard_normal((size, count)).astype(np.float32)


def _predict(cycles: Float32, time_s: Float64, like: Float64) -> tuple[Float32, Float32]:
    """Return (beats, 3, samples) twice: the mean of the cycles near each, and each as predicted.

    Predicted is that mean with what all cycles vary in together; large events in single cycles are cut down
    to the usual size first.
    """
    count = len(cycles)
    size = np.sqrt(norm_squared(cycles))
    rank = int(0.75 * count)
    limit = 1.5 * np.partition(size.T, rank, axis=1)[:, rank]
    limit = ndimage.maximum_filter1d(limit, 5)
    tame = (cycles * np.minimum(1.0, limit / np.maximum(size, 1e-9))[:, None, :]).reshape(count, -1)
    mean = _means_near(tame, time_s, like)
    apart = (tame - mean) * (like > 0)[:, None].astype(np.float32)
    # A twitch on a beat must not become a way in which beats vary.
    strange = np.linalg.norm(apart, axis=1)
    usual = UNUSUAL * np.median(strange[like > 0])
    apart *= np.minimum(1.0, usual / np.maximum(strange, 1e-9))[:, None] ** 2
    ways, scale = _ways(apart, min(COMPONENTS, count - 2))
    share = (cycles.reshape(count, -1) - mean) @ ways.T
    most = (2.5 * scale / np.sqrt(count)).astype(np.float32)
    predicted: Float32 = mean + np.asarray(np.clip(share, -most, most), np.float32) @ ways
    return np.asarray(mean.reshape(cycles.shape)), np.asarray(predicted.reshape(cycles.shape))


def _means_near(rows: Float32, time_s: Float64, like: Float64) -> Float32:
    """Return for each row the mean of those near it in time, itself left out, weighted by likeness."""
    scaled = (time_s / np.float32(NEIGHBOUR_S)).astype(np.float32)
    trusted = np.maximum(like, 0.0).astype(np.float32)
    mean = np.empty_like(rows)
    for first in range(0, len(rows), MEANS_AT_ONCE):
        some = slice(first, first + MEANS_AT_ONCE)
        low, high = np.searchsorted(scaled, (scaled[some][0] - FAR, scaled[some][-1] + FAR)).tolist()
        weight = np.exp(-np.abs(scaled[some, None] - scaled[low:high])) * trusted[low:high]
        each = np.arange(len(weight))
        weight[each, first - low + each] = 0.0
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), np.float32(1e-9))
        mean[some] = weight @ rows[low:high]
    return mean
