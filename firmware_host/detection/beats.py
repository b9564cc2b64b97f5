"""Following the heartbeat: its period in the envelope, then each beat, by likeness and regularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided
from scipy import fft, ndimage

from firmware_host.detection.candidates import cell_means, norm_squared
from firmware_host.detection.signals import Bool, Float32, Float64, largest_within, spectra, windows_at

PERIOD_S = (0.45, 1.7)
"""35 to 133 beats a minute."""
ENVELOPE_HZ = 20.0
WINDOW_S, STEP_S = 20.0, 5.0
"""Longer windows blur the period where the heart follows the breath."""
CLIP = 3.0
"""The envelope is clipped at so many times its median: twitches and beats of any size count alike."""
SUBHARMONIC = 0.8
"""The shortest lag that correlates so well beside the best is the period: beats correlate over two."""
SEEDS = 12
"""Bursts of which the one that recurs best becomes the first template."""
SEARCH = 0.18
"""It is looked for so far around a period before and after, as a share of the period."""
BURST_S = (0.15, 0.30)
"""A beat is recognised from so long before its middle to so long after it."""
PASSES = 2
APART_S = 0.12
LIKE = 0.3
"""Likeness from which on a maximum may be a beat."""
STRAY = 2.0
"""Price of an interval's squared logarithmic deviation from the period, in beats of perfect likeness."""
SKIP, SKIP_S = 0.5, 3.0
"""Price of missing beats, up to so long."""
AGAIN = 1.5
"""Price of following on after a longer pause."""
STRAYED = 0.45
"""An interval that deviates so far (logarithm) says nothing of the period."""
UNSTEADY = 0.12
"""Deviation of an interval from the period, as a share, at which trust falls to a third."""
LEAST_BEATS = 8
NEIGHBOURS = 9
"""Beats whose median is what is usual near one."""

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Beats:
    """The followed beats: sample of each, likeness to the template, and trust in it and its neighbours."""

    at: Int64
    like: Float64
    trust: Float64


def local_period(band_mg: Float32, usable: Bool, cell: int, fs_hz: float) -> tuple[Float64, Float64, Float64]:
    """Return the middles of windows in s, and the envelope's period in s and its strength in each."""
    q = max(1, round(fs_hz / ENVELOPE_HZ))
    rate = fs_hz / q
    count = band_mg.shape[1] // q
    envelope = cell_means(np.sqrt(norm_squared(band_mg[:, : count * q])), q)
    there = usable.repeat(cell)[: count * q : q].astype(np.float32)
    length, step = min(round(WINDOW_S * rate), count), round(STEP_S * rate)
    starts = np.arange(0, count - length + 1, step)
    values, mask = windows_at(np.stack([envelope, there]), starts, length)
    limit = CLIP * np.sort(values, axis=1)[:, length // 2, None]
    values = np.minimum(values, limit)
    known = np.maximum(mask.sum(axis=1, keepdims=True), 1.0)
    values = (values - (values * mask).sum(axis=1, keepdims=True) / known) * mask
    first, last = round(PERIOD_S[0] * rate), round(PERIOD_S[1] * rate)
    both = np.float32(length) - np.arange(first, last + 1, dtype=np.float32)
    if not usable.all():
        both = np.maximum(_overlaps(mask, last)[:, first : last + 1], 0.3 * length)
    product = _lagged(values, last)
    like = product[:, first : last + 1] / (both * np.maximum(product[:, :1] / known, 1e-12))
    each = np.arange(len(starts))
    peak = np.zeros(like.shape, bool)
    peak[:, 1:-1] = (like[:, 1:-1] >= like[:, :-2]) & (like[:, 1:-1] > like[:, 2:])
    best = np.where(peak, like, -1.0)
    top = np.argmax(best >= SUBHARMONIC * np.maximum(best.max(axis=1, keepdims=True), 0.0), axis=1)
    top = np.clip(top, 1, like.shape[1] - 2)
    one, two, three = (like[each, top + k] for k in (-1, 0, 1))
    bend = np.minimum(one - 2 * two + three, -1e-9)
    period_s = (top + first + np.clip(0.5 * (one - three) / bend, -0.5, 0.5)) / rate
    strength = np.where(known[:, 0] >= 0.3 * length, np.clip(two, 0.0, 1.0), 0.0)
    return (starts + length / 2) / rate, period_s, strength.astype(float)


def _lagged(values: Float32, last: int) -> Float32:
    """Return the sums of products of each row with itself a lag later, up to the last one asked for."""
    size = fft.next_fast_len(values.shape[1] + last, real=True)
    return np.asarray(fft.irfft(np.abs(spectra(values, size)) ** 2, size, axis=1))


def _overlaps(mask: Float32, last: int) -> Float32:
    """Return `_lagged` of windows of ones and zeros; nearly all of them are whole, and those are alike."""
    part = np.flatnonzero(~mask.all(axis=1))
    whole = _lagged(np.ones((1, mask.shape[1]), np.float32), last)
    out = whole.repeat(len(mask), axis=0)
    if len(part):
        out[part] = _lagged(mask[part], last)
    return out


def follow(band_mg: Float32, period: Float64, fs_hz: float) -> Beats:
    """Follow the beats: the burst that recurs best is the first template, their mean the next ones.

    `period` (samples,) is the expected one in samples.
    """
    before, after = (round(side * fs_hz) for side in BURST_S)
    power = norm_squared(band_mg)
    template = _seed(band_mg, power, period, before, after, fs_hz)
    none = Beats(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    if template is None:
        return none
    length = before + after
    size = fft.next_fast_len(band_mg.shape[1] + length, real=True)
    spectrum = spectra(band_mg, size)
    energy = ndimage.uniform_filter1d(power, length, mode="constant") * length
    energy = np.roll(energy, before - length // 2)
    for step in range(PASSES):
        like = _likeness(spectrum, energy, size, template, before)
        at = _chain(like, period, fs_hz)
        if len(at) < LEAST_BEATS:
            return none
        every, here = np.diff(at).astype(float), period[at[1:]]
        # A missing beat, or a gap, says nothing of the period.
        every = np.where(np.abs(np.log(every / here)) < STRAYED, every, here)
        smooth = middle_near(every, 5)
        if step == PASSES - 1:
            break
        period = np.interp(np.arange(len(period)), at[1:] - every / 2, smooth)
        good = at[like[at] >= np.median(like[at])]
        template = windows_at(band_mg, good - before, length).mean(axis=1)
    stray = np.abs(np.diff(at, prepend=at[0] - every[0]) / period[at] - 1.0)
    steady = np.exp(-((middle_near(stray, NEIGHBOURS) / UNSTEADY) ** 2))
    typical = middle_near(like[at], NEIGHBOURS)
    return Beats(at, like[at].astype(float), steady * np.maximum(typical, 0.0))


def middle_near(values: npt.NDArray[np.floating[Any]], count: int) -> npt.NDArray[np.floating[Any]]:
    """Return the median of each value and its neighbours, `count` (odd) in all; those at the ends go on."""
    half = count // 2
    longer = np.concatenate([values[:1].repeat(half), values, values[-1:].repeat(half)])
    near = as_strided(longer, (len(values), count), 2 * longer.strides)
    return np.asarray(np.sort(near, axis=1)[:, half])


def _seed(
    band_mg: Float32, power: Float32, period: Float64, before: int, after: int, fs_hz: float
) -> Float32 | None:
    """Return (3, samples): the largest burst of some period that recurs best a period before and after."""
    n = band_mg.shape[1]
    size = before + after
    total = np.concatenate([[0.0], np.cumsum(power, dtype=float)])
    power = ndimage.uniform_filter1d(power, max(1, round(0.1 * fs_hz)))
    reach = int(1.2 * PERIOD_S[1] * fs_hz) + after
    best, found = -1.0, None
    for start in np.linspace(reach, n - 2 * reach, SEEDS).astype(int).tolist():
        t = int(period[start])
        at = start + int(np.argmax(power[start : start + t]))
        if power[at] <= 0 or at + reach + after > n:
            continue
        burst = band_mg[:, at - before : at + after]
        own = total[at + after] - total[at - before]
        likes: list[float] = []
        for middle in (at - t, at + t):
            if likes and likes[0] + 1.001 <= best:  # no correlation exceeds 1 but for rounding
                break
            search = round(SEARCH * t)
            low, high = middle - search - before, middle + search - before + 1
            part = band_mg[:, low : high + size - 1]
            dot = sum(np.correlate(*axes) for axes in zip(part, burst, strict=True))
            norms = np.maximum((total[low + size : high + size] - total[low:high]) * own, 1e-9)
            likes.append(float((dot / np.sqrt(norms)).max()))
        if sum(likes) > best:
            best, found = sum(likes), burst
    return found


def _likeness(
    spectrum: npt.NDArray[np.complex64], energy: Float32, size: int, template: Float32, before: int
) -> Float32:
    """Return (samples,) the normalised correlation with the template; much larger bursts are not scaled down.

    So a beat under a twitch keeps its place, and noise of the same shape is no beat. `spectrum` is that of
    the band-pass over `size` samples, `energy` that of what the template would cover.
    """
    n, length = len(energy), template.shape[1]
    product = np.einsum("af,af->f", spectrum, spectra(template, size).conj())
    dot = np.zeros(n, np.float32)
    dot[before : n - length + before] = fft.irfft(product, size)[: n - length]
    total = float(np.vdot(template, template))
    return np.asarray(np.minimum(dot / np.sqrt(np.clip(energy, 0.25 * total, 4 * total) * total), 1.0))


def _chain(like: Float32, period: Float64, fs_hz: float) -> Int64:
    """Return the likeliest beats: maxima of likeness whose distances fit the period (dynamic programming)."""
    at = np.flatnonzero((like == largest_within(like, round(APART_S * fs_hz))) & (like > LIKE))
    if len(at) < 2:
        return at
    first = np.searchsorted(at, at - SKIP_S * fs_hz)
    each = np.arange(len(at))
    # All pairs of a maximum and one not long before it.
    count = each - first
    stop = np.cumsum(count)
    earlier = np.arange(stop[-1]) + np.repeat(each - stop, count)
    # One sample more each, so that no lag is without a logarithm.
    stray = np.log((np.repeat(at + 1, count) - at[earlier]) / np.repeat(np.round(period[at]) + 1, count))
    price = STRAY * stray * stray
    np.minimum(price, SKIP, out=price, where=stray > 0.0)
    # A few predecessors each: plain numbers are quicker here than arrays.
    score, link, costs = like[at].tolist(), [-1] * len(at), iter(price.tolist())
    far, far_score, done = -1, AGAIN, 0
    for j, i in enumerate(first.tolist()):
        while done < i:
            if score[done] > far_score:
                far, far_score = done, score[done]
            done += 1
        best, chosen = far_score - AGAIN, far
        for k in range(i, j):
            gain = score[k] - next(costs)
            if gain > best:
                best, chosen = gain, k
        score[j], link[j] = score[j] + best, chosen
    j, chain = int(np.argmax(score)), []
    while j >= 0:
        chain.append(j)
        j = link[j]
    return np.asarray(at[chain[::-1]])
