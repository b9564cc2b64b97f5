"""How each candidate fits the heartbeat: beats are a train that is locked in phase, never single events.

Around each candidate the period of the envelope is looked for. Where there is one, the beats are followed
through the signal, each beat is predicted from the others, and what is left of the candidate is compared with
the noise and with what is usually left at that phase of a beat. So a twitch stands out wherever it falls in
the beat, and beats as large as twitches do not. A unit that fires often, but at random, makes no train.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from firmware_host.detection.candidates import norm_squared
from firmware_host.detection.signals import CELL_S, Bool, Float32, Float64
from firmware_host.twitches import Column, Table, dtype_of

HEART_COLUMNS: tuple[Column, ...] = (
    Column("heart_strength", "f4", "", "how periodic the envelope is at 0.6-2.2 Hz: 0 as noise, 1 fully"),
    Column("heart_trust", "f4", "", "how alike and how regular the beats followed near the candidate are"),
    Column("heart_near", "f4", "", "amplitude that a beat has at this phase over that of the candidate"),
    Column("heart_match", "f4", "", "correlation of the candidate with what the beats predict"),
    Column("heart_left", "f4", "", "share of the candidate's energy that the beats do not predict"),
    Column("heart_left_d", "f4", "", "d of what the beats do not predict"),
    Column("heart_stand", "f4", "", "amplitude of what is left over the usual one at this phase of a beat"),
    Column("heart_stand_high", "f4", "", "the same over what one beat in seven has left at this phase"),
)
HEART_DTYPE = dtype_of(HEART_COLUMNS)
CONTEXT = round(24.0 / CELL_S)
"""Cells on both sides of the judged ones in which the beats are followed."""
PERIOD_S = (0.45, 1.7)
ENVELOPE_HZ = 30.0
WINDOW_S, STEP_S = 32.0, 8.0
CLIP = 3.0
"""The envelope is clipped at so many times its median: twitches and beats of any size count alike."""
SUBHARMONIC = 0.8
"""The shortest lag that correlates so well beside the best: beats correlate over two periods as well."""
CHANCE = 0.2
"""Correlation of the envelope that noise or random events reach by chance."""
SEEDS = 16
BURST_S = (0.15, 0.30)
"""A beat is recognised from so long before its largest swing to so long after it."""
CYCLE_FROM_S = 0.35
"""A beat's cycle begins so long before it."""
EDGE_S = 0.10
CORE_S = 0.07
"""What is left is judged so long before and after the candidate."""
STRAY = 6.0
"""Price of a period's squared logarithmic deviation, in beats of perfect likeness."""
SKIP = 1.0
SKIP_S = 4.0
LIKE = 0.3
LEAST_BEATS = 8
NEIGHBOUR_S = 8.0
"""Beats speak for each other over such times."""
COMPONENTS = 4
"""Ways in which beats vary together (breath, alignment) that are no surprise."""

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Beats:
    """The followed beats: sample of each, likeness to the template, and trust in it and its neighbours."""

    at: Int64
    like: Float64
    trust: Float64


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
    offset = np.arange(-core, core + 1)
    near = np.clip(at[:, None] + offset, 0, band_mg.shape[1] - 1)
    energy = norm_squared(band_mg[:, near].transpose(1, 0, 2)).sum(axis=1)
    noise = 3 * floor * len(offset)
    rows["heart_left"] = 1.0
    rows["heart_left_d"] = _d(energy - noise, density, fs_hz)
    rows["heart_stand"] = rows["heart_stand_high"] = np.sqrt(energy / noise)
    clean = band_mg if usable.all() else band_mg * usable.repeat(cell)
    middle_s, period_s, strength = local_period(clean, usable, cell, fs_hz)
    rows["heart_strength"] = np.interp(at / fs_hz, middle_s, strength)
    if strength.max() < CHANCE:
        return rows
    beats = follow(clean, np.interp(np.arange(clean.shape[1]) / fs_hz, middle_s, period_s) * fs_hz, fs_hz)
    if len(beats.at) >= LEAST_BEATS:
        _compare(rows, clean, beats, fs_hz, at, noise, density)
    return rows


def _d(energy: Float32, density: Float32, fs_hz: float) -> Float32:
    return np.asarray(np.sqrt(2 * np.maximum(energy, 0.0) / fs_hz) / density, np.float32)


def local_period(band_mg: Float32, usable: Bool, cell: int, fs_hz: float) -> tuple[Float64, Float64, Float64]:
    """Return the middles of windows in s, and the envelope's period in s and its strength in each."""
    q = max(1, round(fs_hz / ENVELOPE_HZ))
    rate = fs_hz / q
    count = band_mg.shape[1] // q
    envelope = np.sqrt(norm_squared(band_mg[:, : count * q])).reshape(count, q).mean(axis=1)
    there = usable.repeat(cell)[: count * q : q].astype(np.float32)
    length, step = min(round(WINDOW_S * rate), count), round(STEP_S * rate)
    starts = np.arange(0, count - length + 1, step)
    rows = starts[:, None] + np.arange(length)
    values, mask = envelope[rows], there[rows]
    limit = CLIP * np.median(values, axis=1, keepdims=True)
    values = np.minimum(values, limit)
    known = np.maximum(mask.sum(axis=1, keepdims=True), 1.0)
    values = (values - (values * mask).sum(axis=1, keepdims=True) / known) * mask
    size = fft.next_fast_len(2 * length, real=True)
    power = fft.irfft(np.abs(fft.rfft(np.stack([values, mask]), size, axis=2)) ** 2, size, axis=2)
    variance = np.maximum(power[0, :, :1] / known, 1e-12)
    first, last = round(PERIOD_S[0] * rate), round(PERIOD_S[1] * rate)
    lags = slice(first, last + 1)
    like = power[0, :, lags] / (np.maximum(power[1, :, lags], 0.3 * length) * variance)
    each = np.arange(len(starts))
    peak = np.zeros(like.shape, bool)
    peak[:, 1:-1] = (like[:, 1:-1] >= like[:, :-2]) & (like[:, 1:-1] > like[:, 2:])
    best = np.where(peak, like, -1.0)
    top = np.argmax(best >= SUBHARMONIC * np.maximum(best.max(axis=1, keepdims=True), 0.0), axis=1)
    top = np.clip(top, 1, like.shape[1] - 2)
    one, two, three = (like[each, top + k] for k in (-1, 0, 1))
    bend = np.minimum(one - 2 * two + three, -1e-9)
    period_s = (top + first + np.clip(0.5 * (one - three) / bend, -0.5, 0.5)) / rate
    return (starts + length / 2) / rate, period_s, np.clip(two, 0.0, 1.0).astype(float)


def follow(band_mg: Float32, period: Float64, fs_hz: float) -> Beats:
    """Follow the beats: the burst that recurs best is the first template, their mean the next ones.

    `period` (samples,) is the expected one in samples.
    """
    before, after = (round(side * fs_hz) for side in BURST_S)
    template = _seed(band_mg, period, before, after, fs_hz)
    none = Beats(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    if template is None:
        return none
    lags = np.arange(-before, after)
    for step in range(3):
        like = _likeness(band_mg, template, before)
        at = _chain(like, period, fs_hz)
        if len(at) < LEAST_BEATS:
            return none
        if step == 2:
            break
        good = at[like[at] >= np.median(like[at])]
        template = band_mg[:, good[:, None] + lags].mean(axis=1)
    every = np.diff(at, prepend=2 * at[0] - at[1]) / period[at] - 1.0
    steady = np.exp(-((ndimage.median_filter(np.abs(every), 9, mode="nearest") / 0.12) ** 2))
    typical = ndimage.median_filter(like[at], 9, mode="nearest")
    return Beats(at, like[at].astype(float), steady * np.maximum(typical, 0.0))


def _seed(band_mg: Float32, period: Float64, before: int, after: int, fs_hz: float) -> Float32 | None:
    """Return (3, samples): the largest burst of some period that recurs best a period before and after."""
    n = band_mg.shape[1]
    power = ndimage.uniform_filter1d(norm_squared(band_mg), max(1, round(0.1 * fs_hz)))
    reach = int(1.2 * PERIOD_S[1] * fs_hz) + after
    best, found = -1.0, None
    for start in np.linspace(reach, n - 2 * reach, SEEDS).astype(int).tolist():
        t = int(period[start])
        at = start + int(np.argmax(power[start : start + t]))
        if power[at] <= 0 or at + reach + after > n:
            continue
        burst = band_mg[:, at - before : at + after]
        size = np.linalg.norm(burst)
        likes = []
        for middle in (at - t, at + t):
            search = round(0.18 * t)
            part = band_mg[:, middle - search - before : middle + search + after]
            windows = np.lib.stride_tricks.sliding_window_view(part, before + after, axis=1)
            norms = np.sqrt(np.einsum("awl,awl->w", windows, windows))
            likes.append(
                float((np.einsum("awl,al->w", windows, burst) / np.maximum(norms * size, 1e-9)).max())
            )
        if sum(likes) > best:
            best, found = sum(likes), burst
    return found


def _likeness(band_mg: Float32, template: Float32, before: int) -> Float32:
    """Return (samples,) the normalised correlation with the template; much larger bursts are not scaled down.

    So a beat under a twitch keeps its place, and noise of the same shape is no beat.
    """
    n, length = band_mg.shape[1], template.shape[1]
    size = fft.next_fast_len(n + length, real=True)
    product = fft.rfft(band_mg, size) * np.conj(fft.rfft(template, size))
    dot = np.zeros(n, np.float32)
    dot[before : n - length + before] = fft.irfft(product.sum(axis=0), size)[: n - length]
    total = float(np.vdot(template, template))
    energy = ndimage.uniform_filter1d(norm_squared(band_mg), length, mode="constant") * length
    shift = length // 2 - before
    energy = np.roll(energy, -shift)
    return np.asarray(np.minimum(dot / np.sqrt(np.clip(energy, 0.25 * total, 4 * total) * total), 1.0))


def _chain(like: Float32, period: Float64, fs_hz: float) -> Int64:
    """Return the likeliest beats: maxima of likeness whose distances fit the period (dynamic programming)."""
    reach = round(0.1 * fs_hz)
    top = (like == ndimage.maximum_filter1d(like, 2 * reach + 1)) & (like > LIKE)
    at = np.flatnonzero(top)
    if len(at) < 2:
        return at
    # A few predecessors each: plain numbers are quicker here than arrays.
    place, value, every = at.tolist(), like[at].tolist(), period[at].tolist()
    first = np.searchsorted(at, at - SKIP_S * fs_hz).tolist()
    log = np.log(np.arange(1, int(SKIP_S * fs_hz) + 2)).tolist()
    score, link = list(value), [-1] * len(at)
    for j in range(len(at)):
        own, best, chosen = log[round(every[j])], 0.0, -1
        for i in range(j - 1, first[j] - 1, -1):
            stray = log[place[j] - place[i]] - own
            price = STRAY * stray * stray
            if stray > 0.0 and price > SKIP:
                price = SKIP
            gain = score[i] - price
            if gain > best:
                best, chosen = gain, i
        score[j], link[j] = value[j] + best, chosen
    j, chain = int(np.argmax(score)), []
    while j >= 0:
        chain.append(place[j])
        j = link[j]
    return np.array(chain[::-1], np.int64)


def _compare(
    rows: Table, band_mg: Float32, beats: Beats, fs_hz: float, at: Int64, noise: Float32, density: Float32
) -> None:
    """Fill in what the beats predict of each candidate, and what is left of it."""
    n = band_mg.shape[1]
    before = round(CYCLE_FROM_S * fs_hz)
    edge, core = round(EDGE_S * fs_hz), round(CORE_S * fs_hz)
    every = float(np.median(np.diff(beats.at)))
    after = round(min(1.25 * every, 1.8 * fs_hz)) - before + 2 * edge
    whole = (beats.at >= before) & (beats.at + after <= n)
    if whole.sum() < LEAST_BEATS:
        return
    place, trust, like = beats.at[whole], beats.trust[whole], beats.like[whole]
    cycles = band_mg[:, place[:, None] + np.arange(-before, after)].transpose(1, 0, 2)
    predicted = _predict(cycles, place / fs_hz, like)
    box = np.ones(2 * core + 1, np.float32)

    def energy(x: Float32) -> Float32:
        return np.asarray(ndimage.convolve1d(norm_squared(x), box, axis=1, mode="nearest"))

    left, own, mean = energy(cycles - predicted), energy(cycles), energy(predicted)
    both = ndimage.convolve1d((cycles * predicted).sum(axis=1), box, axis=1, mode="nearest")
    beat = np.searchsorted(place - before + edge, at, side="right") - 1
    column = at - place[np.maximum(beat, 0)] + before
    good = np.flatnonzero((beat >= 0) & (column < before + after - edge))
    if not len(good):
        return
    i, j = beat[good], column[good]
    usual = np.sort(left[:, j], axis=0)
    middle, high = usual[len(usual) // 2], usual[int(0.86 * (len(usual) - 1))]
    here, noise = left[i, j], noise[good]
    values = {
        "heart_trust": trust[i],
        "heart_near": np.sqrt(mean[i, j] / np.maximum(own[i, j], 1e-9)),
        "heart_match": both[i, j] / np.sqrt(np.maximum(own[i, j] * mean[i, j], 1e-9)),
        "heart_left": here / np.maximum(own[i, j], 1e-9),
        "heart_left_d": _d(here - noise, density[good], fs_hz),
        "heart_stand": np.sqrt(here / np.maximum(middle, 0.5 * noise)),
        "heart_stand_high": np.sqrt(here / np.maximum(high, 0.5 * noise)),
    }
    for name, value in values.items():
        rows[name][good] = value


def _predict(cycles: Float32, time_s: Float64, like: Float64) -> Float32:
    """Return (beats, 3, samples): each cycle as predicted from the others.

    It is the mean of the cycles near in time and what all cycles vary in together; large events in single
    cycles are cut down to the usual size first.
    """
    count = len(cycles)
    size = np.sqrt(norm_squared(cycles))
    limit = 1.5 * np.sort(size, axis=0)[int(0.75 * count)]
    limit = ndimage.maximum_filter1d(limit, 5)
    tame = (cycles * np.minimum(1.0, limit / np.maximum(size, 1e-9))[:, None, :]).reshape(count, -1)
    weight = np.exp(-np.abs(time_s[:, None] - time_s) / NEIGHBOUR_S) * np.maximum(like, 0.05)
    np.fill_diagonal(weight, 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight.astype(np.float32) @ tame
    apart = tame - mean
    values, vectors = np.linalg.eigh((apart @ apart.T).astype(float))
    parts = min(COMPONENTS, count - 2)
    values, vectors = values[-parts:], vectors[:, -parts:]
    scale = np.sqrt(np.maximum(values, 1e-9))
    ways = (vectors / scale).T.astype(np.float32) @ apart
    share = (cycles.reshape(count, -1) - mean) @ ways.T
    most = (2.5 * scale / np.sqrt(count)).astype(np.float32)
    return np.asarray((mean + np.clip(share, -most, most) @ ways).reshape(cycles.shape))
