"""Units: what one site repeats in shape and direction, over its whole night.

A motor unit moves the skin the same way each time, and so does a heartbeat; only their sizes change. All
candidates of a site-night are grouped by the waves that they carry, each in units of its own noise: templates
are the means of what is alike, a candidate belongs to the one that it is most like. So evidence can be put
together over repeats: a heartbeat that slips through stands among thousands that did not, and a weak twitch
among strong ones of its unit (Kleine 2008 and Jahanmiri-Nezhad 2014 sort potentials by their shape likewise).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_host.detection.signals import Bool, Float32
from firmware_host.detection.waves import WAVE_FROM, WAVE_HZ, WAVE_SHAPE, WAVE_STOP
from firmware_host.twitches import in_parts

Int32 = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]

STEP = 2
"""Waves are compared at every second sample of their grid, smoothed: most power lies below 25 Hz."""
BURST = (-6, 11)
"""What is compared, in such steps from the candidate."""
WINDOW = np.concatenate([[0.35, 0.75], np.ones(11), [0.85, 0.65, 0.45, 0.25]]).astype(np.float32)
LAGS = tuple(range(-4, 5))
"""In samples of the grid: the statistic's maxima stand up to 40 ms from each other in weak bursts."""
DIMENSIONS = 3 * len(WINDOW)
NOISE = 25.0
"""What noise adds to the squared size of a wave as it is compared, in units of the noise."""
SURELY_SEEN = 20.0
"""With a larger score two bursts of one unit differ by how they vary, not by noise."""
ALIKE, LEAST_ALIKE, OF_UNIT = 0.86, 0.55, 0.80
"""Two candidates are alike from this share of the correlation on that noise leaves of one shape, and never
below the second; a candidate is of a unit from the third on."""
SAME = 0.96
"""Templates so alike are one."""
FOUNDERS, FOUNDING_SCORE, FEWEST_FOUNDERS = 800, 6.5, 60
"""So many of the larger candidates are compared with each other to find templates; then as many of those that
belong to none."""
MOST_UNITS = 40
"""Templates found at each of these two times; a recording shows some 24 units (Jahanmiri-Nezhad 2014)."""
MOST_AVERAGED = 400
ROUNDS, REFINING = 2, 4000
"""So many times templates are made anew, from so many candidates, evenly over the night."""
NEAREST, REFERENCES = 10, 800
"""Each candidate's likest among so many of its site."""
ROWS_AT_ONCE = 1024


class Grouped(NamedTuple):
    """The candidates of a site-night by unit; `n` of them in order of time.

    Attributes
    ----------
    templates : (units, *WAVE_SHAPE) float32
        Mean waves in units of the noise, smoothed.
    unit : (n,) int32
        The template that it is most like.
    member : (n,) bool
        Whether it is as like it as noise allows.
    like, second : (n,) float32
        Correlation with that template, and with the next.
    fit : (n,) float32
        The former over what noise would leave of it.
    lag : (n,) int32
        Samples of the grid by which the candidate stands before the template.
    size : (n,) float32
        Its length as it is compared, in units of the noise.
    near, near_like : (n, NEAREST) int32 and float32
        Its likest others at the site, by index or -1, and how like they are.
    beside_left : (n,) float32
        Share of it that the template of the largest candidate within 0.45 s, if larger, leaves; else 1.
    """

    templates: Float32
    unit: Int32
    member: Bool
    like: Float32
    second: Float32
    fit: Float32
    lag: Int32
    size: Float32
    near: Int32
    near_like: Float32
    beside_left: Float32

    def at(self, own: Indices) -> Grouped:
        """Return some of them; likest others that are not among them are none."""
        place = np.full(len(self.unit) + 1, -1, np.int32)  # the last is where -1 points
        place[own] = np.arange(len(own))
        some = {name: values[own] for name, values in self._asdict().items() if name != "templates"}
        return self._replace(**some | {"near": place[self.near[own]]})


def group(
    wave_mg: Float32,
    floor_mg: Float32,
    score: Float32,
    peak_s: npt.NDArray[np.float64],
    side_lobe: Bool,
    asked: Bool | None = None,
) -> Grouped:
    """Group the candidates of one site-night.

    Parameters
    ----------
    wave_mg : (n, *WAVE_SHAPE) float32
    floor_mg : (n,) float32
        Noise per axis.
    score : (n,) float32
    peak_s : (n,) float64
        In order.
    side_lobe : (n,) bool
        Candidates that only belong to units: they shape none and are nobody's likest or larger one, unless a
        larger one is looked for beside another side lobe.
    asked : (n,) bool, optional
        Candidates whose likest others are asked for; others have none. By default, all.
    """
    waves = _Waves(wave_mg, floor_mg)
    seen = np.minimum(score.astype(np.float32), np.float32(SURELY_SEEN))
    hoped = _hoped(seen)
    rows, size = _compared(waves)
    templates = np.zeros((0, *WAVE_SHAPE), np.float32)
    bursts = free = np.flatnonzero(~side_lobe)
    for _ in range(2):
        found = _founded(waves, rows, size, seen, free)
        templates = _refined(np.concatenate([templates, found]), waves, rows, size, hoped, bursts)
        like, second, unit = _likest(rows, templates)
        free = bursts[like[bursts] < OF_UNIT * hoped[bursts]]
    lag = _best_lags(rows, templates, unit) if len(templates) else unit
    near, near_like = _nearest(waves, lag, bursts, np.ones(len(rows), bool) if asked is None else asked)
    fit = np.asarray(like / np.maximum(hoped, np.float32(1e-9)), np.float32)
    larger = larger_beside(score, peak_s)
    among = larger_beside(score[bursts], peak_s[bursts])
    larger[bursts] = np.where(among >= 0, bursts[among] if len(bursts) else among, -1)
    left = _beside(waves, templates, unit, lag, like * size, larger, peak_s)
    return Grouped(
        templates, unit, fit >= OF_UNIT, like, second, fit, lag, size, near, near_like, left,
    )  # fmt: skip


def _hoped(seen: Float32) -> Float32:
    """Return the correlation with its template that noise leaves of a burst of some score."""
    return np.asarray(seen / np.sqrt(seen * seen + np.float32(NOISE)), np.float32)


class _Waves(NamedTuple):
    """Waves of a site-night, and the noise of each; they are smoothed where they are looked at."""

    wave_mg: Float32
    floor_mg: Float32

    def at(self, some: Indices | slice) -> Float32:
        """Return some in units of their noise, without what lies above some 25 Hz."""
        wave_mg = self.wave_mg[some]
        out = 0.5 * wave_mg
        out[..., 1:] += 0.25 * wave_mg[..., :-1]
        out[..., :-1] += 0.25 * wave_mg[..., 1:]
        out /= np.maximum(self.floor_mg[some], 1e-6)[:, None, None]
        return np.asarray(out, np.float32)


def _compared(waves: _Waves) -> tuple[Float32, Float32]:
    """Return what is compared of each wave, (n, DIMENSIONS) of length 1, and what its length was."""
    rows = np.empty((len(waves.wave_mg), DIMENSIONS), np.float32)
    size = np.empty(len(rows), np.float32)
    for part in in_parts(len(rows), ROWS_AT_ONCE):
        here = waves.at(part)
        plain = _cut(here, np.zeros(len(here), np.int64))
        size[part] = np.linalg.norm(plain, axis=1)
        rows[part] = _unit_length(plain)
    return rows, size


def _cut(waves: Float32, lag: Indices) -> Float32:
    """Return (k, DIMENSIONS): what is compared of waves, each so many samples later than its middle."""
    at = lag[:, None] - WAVE_FROM + STEP * np.arange(*BURST)
    window = WINDOW * ((at >= 0) & (at < WAVE_STOP - WAVE_FROM))
    if len(lag) and (lag == lag[0]).all():
        picked = waves[:, :, np.clip(at[0], 0, waves.shape[2] - 1)]
    else:
        picked = np.take_along_axis(waves, np.clip(at, 0, waves.shape[2] - 1)[:, None, :], axis=2)
    return np.asarray((picked * window[:, None, :]).reshape(len(waves), DIMENSIONS), np.float32)


def _at_lags(templates: Float32) -> Float32:
    """Return (lags, k, DIMENSIONS) templates of length 1, at each of `LAGS` later than their middle."""
    last = templates.shape[2] - 1
    at = np.array(LAGS)[:, None] - WAVE_FROM + STEP * np.arange(*BURST)
    window = WINDOW * ((at >= 0) & (at <= last))
    picked = templates[:, :, np.clip(at, 0, last)] * window
    cut = np.ascontiguousarray(picked.transpose(2, 0, 1, 3), np.float32).reshape(-1, DIMENSIONS)
    return _unit_length(cut).reshape(len(LAGS), len(templates), DIMENSIONS)


def _unit_length(rows: Float32) -> Float32:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, np.float32(1e-9)), np.float32)


def _all_alike(rows: Float32, templates: Float32) -> Float32:
    """Return (k, templates) how like rows of length 1 are to each template at its best lag."""
    first, *others = _at_lags(templates)
    like = rows @ first.T
    for each in others:
        np.maximum(like, rows @ each.T, out=like)
    return np.asarray(like)


def _best_lags(rows: Float32, templates: Float32, unit: Int32) -> Int32:
    """Return the lag at which each row is most like its template."""
    like = np.stack([np.einsum("kd,kd->k", rows, each[unit]) for each in _at_lags(templates)])
    return np.asarray(np.array(LAGS, np.int32)[np.argmax(like, axis=0)])


def _likest(rows: Float32, templates: Float32) -> tuple[Float32, Float32, Int32]:
    """Return how like each row is to its likest template and to the next, and which one that is."""
    like, second = (np.full(len(rows), -1.0, np.float32) for _ in range(2))
    unit = np.zeros(len(rows), np.int32)
    for part in in_parts(len(rows) if len(templates) else 0, ROWS_AT_ONCE):
        every = _all_alike(rows[part], templates)
        each, best = np.arange(len(every)), np.argmax(every, axis=1)
        unit[part], like[part] = best, every[each, best]
        every[each, best] = -1.0
        second[part] = every.max(axis=1)
    return like, second, unit


def _founded(waves: _Waves, rows: Float32, size: Float32, seen: Float32, among: Indices) -> Float32:
    """Return templates: means of candidates that are alike, from the largest crowd on."""
    order = among[np.argsort(-seen[among], kind="stable")]
    order = order[: max(FEWEST_FOUNDERS, int(np.count_nonzero(seen[among] >= FOUNDING_SCORE)))]
    some = order[np.unique(np.linspace(0, len(order) - 1, min(FOUNDERS, len(order))).astype(int))]
    if len(some) < 2:
        return np.zeros((0, *WAVE_SHAPE), np.float32)
    shown, rows, size = waves.at(some), rows[some], size[some]
    like = _all_alike(rows, shown)
    hoped = _hoped(seen[some])
    alike = like >= np.maximum(ALIKE * hoped[:, None] * hoped, LEAST_ALIKE)
    np.fill_diagonal(alike, val=True)
    free = np.ones(len(some), bool)
    crowd = alike.sum(axis=0)
    found: list[Float32] = []
    while len(found) < MOST_UNITS:
        middle = int(np.argmax(np.where(free, crowd, 0)))
        if not free[middle] or crowd[middle] < 2:
            break
        own = np.flatnonzero(alike[:, middle] & free)
        lag = _best_lags(rows[own], shown[middle : middle + 1], np.zeros(len(own), np.int32))
        found.append(_mean(shown, own, lag, size))
        free[own] = False
        crowd = crowd - alike[own].sum(axis=0)
    return np.array(found, np.float32).reshape(-1, *WAVE_SHAPE)


def _mean(waves: Float32, of: Indices, lag: npt.NDArray[np.integer], size: Float32) -> Float32:
    """Return the mean of waves that stand some samples before the template; large ones count as all do."""
    if len(of) > MOST_AVERAGED:
        some = np.unique(np.linspace(0, len(of) - 1, MOST_AVERAGED).astype(int))
        of, lag = of[some], lag[some]
    # Samples beyond the ends are taken as none.
    at = np.arange(waves.shape[2]) - lag[:, None].astype(np.int64)
    inside = (at >= 0) & (at < waves.shape[2])
    moved = np.take_along_axis(waves[of], np.clip(at, 0, waves.shape[2] - 1)[:, None, :], axis=2)
    weight = np.minimum(1.0, 2 * SURELY_SEEN / np.maximum(size[of], 1e-9)).astype(np.float32)
    total = np.einsum("k,kat->at", weight, moved * inside[:, None, :])
    return np.asarray(total / np.maximum(weight @ inside.astype(np.float32), 1e-9), np.float32)


def _refined(
    templates: Float32, waves: _Waves, rows: Float32, size: Float32, hoped: Float32, among: Indices
) -> Float32:
    """Return templates as the means of what belongs to them; those that became alike are one."""
    some = among[np.unique(np.linspace(0, len(among) - 1, min(REFINING, len(among))).astype(int))]
    shown, rows, size, hoped = waves.at(some), rows[some], size[some], hoped[some]
    for _ in range(ROUNDS if len(some) and len(templates) else 0):
        like, _second, unit = _likest(rows, templates)
        lag = _best_lags(rows, templates, unit)
        member = like >= OF_UNIT * hoped
        order = np.argsort(unit, kind="stable")
        order = order[member[order]]
        stops = np.searchsorted(unit[order], np.arange(len(templates) + 1))
        new = []
        for number in range(len(templates)):
            own = order[stops[number] : stops[number + 1]]
            # One that only its founders know stays as it is.
            new.append(_mean(shown, own, lag[own], size) if len(own) > 1 else templates[number])
        templates = np.array(new, np.float32).reshape(-1, *WAVE_SHAPE)
        both = _all_alike(_unit_length(_cut(templates, np.zeros(len(templates), np.int64))), templates)
        keep: list[int] = []
        for number in range(len(templates)):
            if not keep or both[number, keep].max() < SAME:
                keep.append(number)
        templates = templates[keep]
    return templates


def _nearest(waves: _Waves, lag: Int32, among: Indices, asked: Bool) -> tuple[Int32, Float32]:
    """Return the likest others of each wave that is asked for, by index or -1, and how like they are."""
    near = np.full((len(lag), NEAREST), -1, np.int32)
    like = np.full(near.shape, -1.0, np.float32)
    if len(among) < 2:
        return near, like
    late = -lag.astype(np.int64)
    some = among[np.unique(np.linspace(0, len(among) - 1, min(REFERENCES, len(among))).astype(int))]
    others = _unit_length(_cut(waves.at(some), late[some]))
    place = np.full(len(lag), -1)
    place[some] = np.arange(len(some))
    count = min(NEAREST, len(some) - 1)
    own = np.flatnonzero(asked)
    for part in (own[each] for each in in_parts(len(own), ROWS_AT_ONCE)):
        every = _unit_length(_cut(waves.at(part), late[part])) @ others.T
        itself = np.flatnonzero(place[part] >= 0)
        every[itself, place[part][itself]] = -2.0
        best = np.argpartition(-every, count - 1, axis=1)[:, :count]
        near[part, :count] = some[best]
        like[part, :count] = np.take_along_axis(every, best, axis=1)
    return near, like


BESIDE_S = 0.45
BESIDE_ROWS = 4
"""So many candidates on either side are looked at."""


def larger_beside(score: Float32, peak_s: npt.NDArray[np.float64], within_s: float = BESIDE_S) -> Indices:
    """Return (n,) the index of the largest candidate near each, if it is larger than itself; else -1."""
    each = np.arange(len(score))
    top, best = np.full(len(score), -1), score.astype(float).copy()
    for step in (*range(-BESIDE_ROWS, 0), *range(1, BESIDE_ROWS + 1)):
        other = np.clip(each + step, 0, max(len(score) - 1, 0))
        near = (other == each + step) & (np.abs(peak_s[other] - peak_s) <= within_s)
        larger = near & (score[other] > best)
        top[larger], best[larger] = other[larger], score[other[larger]]
    return top


def _beside(
    waves: _Waves, templates: Float32, unit: Int32, lag: Int32, gain: Float32, larger: Indices,
    peak_s: npt.NDArray[np.float64],
) -> Float32:  # fmt: skip
    """Take the template of the larger candidate beside off each candidate; return the share that is left."""
    out = np.ones(len(larger), np.float32)
    beside = np.flatnonzero(larger >= 0) if len(templates) else np.zeros(0, np.int64)
    for own in (beside[each] for each in in_parts(len(beside), ROWS_AT_ONCE)):
        other = larger[own]
        form, before = templates[unit[other]], lag[other].astype(np.int64)
        # The template's own middle lies so many samples after the other candidate's, and has its size there.
        scale = gain[other] / np.maximum(np.linalg.norm(_cut(form, before), axis=1), 1e-9)
        late = np.rint((peak_s[own] - peak_s[other]) * WAVE_HZ).astype(np.int64) + before
        expected = _cut(form, late) * scale[:, None]
        seen = _cut(waves.at(own), np.zeros(len(own), np.int64))
        left = np.square(seen - expected).sum(axis=1)
        out[own] = left / np.maximum(np.square(seen).sum(axis=1), 1e-9)
    return out
