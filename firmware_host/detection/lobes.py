"""Which maxima of the statistic stand for a burst of their own, and which may be swings of a larger one.

A burst leaves several maxima: the swings of its tissue and the side lobes of the templates. Rules that know
the largest maximum only say which are these; but units fire in runs, 60 to 100 ms apart, and two of them can
fire at once, so that no rule is right of all. What the rules take for a side lobe is therefore kept as a
candidate that says so: it is nobody's neighbour, founds no unit, and counts only where a model believes it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_host.detection.signals import Bool, Float32, Float64, Plan
from firmware_host.twitches import MERGE_S, Column, Table, dtype_of

LOBE_COLUMNS: tuple[Column, ...] = (
    Column(
        "side_lobe", "f4", "", "1 where rules take it for a swing of a larger candidate beside it, else 0"
    ),
    Column(
        "lobe_alike", "f4", "", "correlation of 60 ms of its wave with the largest larger one's within 0.3 s"
    ),
    Column(
        "lobe_way", "f4", "", "cosine between its largest swing and that one's; empty where there is none"
    ),
)
LOBE_DTYPE = dtype_of(LOBE_COLUMNS)

APART_S = MERGE_S - 0.005
"""Maxima of the statistic stand up to a few milliseconds from the peaks of their bursts, which overlap."""
COMPLEX_S = 0.035
COMPLEX_SHARE = 0.8
"""A second maximum so far off and so high is another potential; others are swings of one burst."""
SHADOW_MARGIN = 1.25
"""Tissue rings on and shapes differ from the templates, so side lobes are larger than the templates' own."""
AFTERSWING = ((0.10, 0.62), (0.15, 0.50), (0.30, 0.32), (0.45, 0.25), (0.60, 0.15))
"""Share of a burst's statistic that tissue and relaxation leave up to each lag in seconds after it: measured
on evoked thigh twitches. Twitches of one unit 80-100 ms apart differ by 10-20 % and pass."""
FORESWING = ((0.15, 0.45), (0.30, 0.16), (0.60, 0.05))
"""The same before it; beyond 0.15 s it is the band-pass that rings."""
OPPOSED_S, OPPOSED_COSINE, OPPOSED_SHARE = 0.20, -0.7, 0.95
"""A lower maximum so near a larger one that points the opposite way is the next swing of the same burst: a
unit that fires again moves the skin the same way again, whatever the tissue rings like in between."""
AGAIN_ALIKE = 0.3
"""A maximum whose band-pass looks so much like the larger one's is no next swing, whichever way its largest
swing points: a unit of two lobes of nearly one size fired again."""
RUN_S, RUN_ALIKE, RUN_SHARE = 0.15, 0.5, 0.3
"""Nor is it a side lobe if it is so near, so alike and so high: units fire in runs, 60 to 100 ms apart."""
KEPT_S, KEPT_SHARE = 0.3, 0.1
"""A side lobe is kept if what it is a lobe of lies so near and is not more than ten times as high."""

Int64 = npt.NDArray[np.int64]


def are_bursts(candidates: Table) -> Bool:
    """Tell which candidates are no side lobes; only such are looked at in pass 1."""
    return np.asarray(candidates["side_lobe"] == 0)


class Maxima(NamedTuple):
    """Maxima of the statistic in order: where, how high, which way they swing, how they look, and of what.

    `place` (k,) samples; `score` (k,); `swing` (k, 3) and `look` (k, values) unit vectors; `template` (k,).
    """

    place: Float64
    score: Float32
    swing: Float32
    look: Float32
    template: Int64


def shadow_of(plan: Plan) -> Float64:
    """Return (templates, lags): the share of a burst's statistic below which a maximum is its side lobe.

    Lags run from -0.6 s to 0.6 s.
    """
    lag_s = np.arange(plan.shadow.shape[1]) / plan.fs_internal_hz
    own = np.minimum(plan.shadow * SHADOW_MARGIN, 1.0)
    before, after = (np.maximum(own, _stairs(steps, lag_s)) for steps in (FORESWING, AFTERSWING))
    return np.concatenate([before[:, :0:-1], after], axis=1)


def _stairs(steps: tuple[tuple[float, float], ...], lag_s: Float64) -> Float64:
    out = np.zeros(len(lag_s))
    for until_s, share in reversed(steps):
        out[lag_s <= until_s] = share
    return out


def bursts(maxima: Maxima, shadow: Float64, plan: Plan) -> tuple[Int64, Bool, Table]:
    """Choose the maxima that are candidates.

    Parameters
    ----------
    maxima : Maxima
    shadow : (templates, lags) float64
        See `shadow_of`.
    plan : Plan

    Returns
    -------
    keep : (n,) int64
        In order of time, 55 ms apart at least.
    merged : (n,) bool
        Another maximum within 60 ms that is no side lobe: more than one burst.
    lobe : table of LOBE_DTYPE, (n,)
    """
    own, merged = _one_a_burst(maxima, shadow, plan)
    kept = own.copy()
    _keep_lobes(kept, maxima, plan.fs_internal_hz)
    keep = np.flatnonzero(kept)
    lobe = np.zeros(len(keep), LOBE_DTYPE)
    lobe["side_lobe"] = ~own[keep]
    lobe["lobe_alike"] = lobe["lobe_way"] = np.nan
    score = maxima.score[keep]
    larger = _largest_near(maxima.place[keep], score, KEPT_S * plan.fs_internal_hz)
    some = np.flatnonzero(score[larger] > score)
    for name, values in (("lobe_alike", maxima.look), ("lobe_way", maxima.swing)):
        lobe[name][some] = np.einsum("ij,ij->i", values[keep[some]], values[keep[larger[some]]])
    return keep, merged[keep], lobe


def _one_a_burst(maxima: Maxima, shadow: Float64, plan: Plan) -> tuple[Bool, Bool]:
    """Keep the largest maxima first; each hides its side lobes and takes in what lies within 60 ms."""
    merge, apart = APART_S * plan.fs_internal_hz, COMPLEX_S * plan.fs_internal_hz
    place, score, template = maxima.place, maxima.score, maxima.template
    start, other, lobe = _hidden(maxima, shadow, plan)
    free = [True] * len(place)
    kept, merged = np.zeros(len(place), bool), np.zeros(len(place), bool)
    # A few neighbours each: plain numbers are quicker here than arrays.
    at, height, begin, neighbour, is_lobe = (x.tolist() for x in (place, score, start, other, lobe))
    swings_on = (template == len(shadow) - 1).tolist()
    for i in np.argsort(-score, kind="stable").tolist():
        if not free[i]:
            continue
        free[i] = False
        kept[i] = True
        members = [i]
        for m in members:
            for pair in range(begin[m], begin[m + 1]):
                j = neighbour[pair]
                # What is too near to be an event of its own still hides its side lobes.
                if not free[j]:
                    continue
                if is_lobe[pair]:
                    free[j] = False
                elif abs(at[j] - at[i]) < merge:
                    free[j] = False
                    members.append(j)
        # The swings of a slow burst are themselves so far apart and so high.
        if len(members) > 1 and not swings_on[i]:
            high = COMPLEX_SHARE * height[i]
            merged[i] = any(height[j] >= high and abs(at[j] - at[i]) >= apart for j in members)
    return kept, merged


def _hidden(maxima: Maxima, shadow: Float64, plan: Plan) -> tuple[Int64, Int64, Bool]:
    """Return what each maximum may hide or take in: of maximum m, pairs `start[m]` to `start[m + 1]`.

    `start` (k + 1,); `other` (pairs,), the maximum that may go; `lobe` (pairs,), whether it is a side lobe.
    """
    place, score, swing, look, template = maxima
    near, opposed = 2 * APART_S * plan.fs_internal_hz, OPPOSED_S * plan.fs_internal_hz
    reach, each = shadow.shape[1] // 2, np.arange(len(place))
    first = np.searchsorted(place, place - reach)
    count = np.searchsorted(place, place + reach, "right") - first
    own = np.repeat(each, count)
    other = np.arange(len(own)) + np.repeat(first - np.cumsum(count) + count, count)
    lag = place[other] - place[own]
    height = score.astype(float)
    size, top = height[other], height[own]
    lobe = size < shadow[template[own], np.rint(lag).astype(int) + reach] * top
    maybe = np.flatnonzero(~lobe & (size < OPPOSED_SHARE * top) & (np.abs(lag) <= opposed))
    x, y, z = (axis[own[maybe]] * axis[other[maybe]] for axis in swing.T.astype(float))
    opposed_ones = maybe[x + y + z < OPPOSED_COSINE]
    runs = np.flatnonzero(lobe & (np.abs(lag) <= RUN_S * plan.fs_internal_hz) & (size >= RUN_SHARE * top))
    for some, least in ((runs, RUN_ALIKE), (opposed_ones, AGAIN_ALIKE)):
        lobe[some] = np.einsum("ij,ij->i", look[own[some]], look[other[some]]) < least
    # Two that a third takes in are no farther apart than this.
    asked = np.flatnonzero((lobe | (np.abs(lag) < near)) & (own != other))
    return np.searchsorted(own[asked], np.arange(len(place) + 1)), other[asked], lobe[asked]


def _keep_lobes(kept: Bool, maxima: Maxima, fs_hz: float) -> None:
    """Keep, largest first, what lies beside kept maxima and is neither too near nor too small for a burst."""
    apart, reach = APART_S * fs_hz, KEPT_S * fs_hz
    place, score = maxima.place, maxima.score
    # What is too near to what is kept already is the most of it; only the rest is asked one by one.
    own = np.concatenate([[-np.inf], place[kept], [np.inf]])
    after = np.searchsorted(own, place)
    asked = np.flatnonzero(~kept & (np.minimum(place - own[after - 1], own[after] - place) >= apart))
    at, height, there = place.tolist(), score.tolist(), kept.tolist()
    first = np.searchsorted(place, place - reach).tolist()
    stop = np.searchsorted(place, place + reach, "right").tolist()
    for i in asked[np.argsort(-score[asked], kind="stable")].tolist():
        beside = [j for j in range(first[i], stop[i]) if there[j]]
        there[i] = bool(beside) and all(
            abs(at[j] - at[i]) >= apart and KEPT_SHARE * height[j] <= height[i] for j in beside
        )
    kept[:] = there


def _largest_near(place: Float64, score: Float32, reach: float) -> Int64:
    """Return the largest within reach of each, itself among them."""
    best, each = np.arange(len(place)), np.arange(len(place))
    first, stop = np.searchsorted(place, place - reach), np.searchsorted(place, place + reach, "right")
    for step in range(int((stop - first).max(initial=0))):
        other = np.minimum(first + step, stop - 1)
        best = np.where(score[other] > score[best], other, best)
    return np.where(score[best] > score, best, each)


class Room(NamedTuple):
    """Samples to the middles between candidates and their neighbours, (k,) each.

    `left`, `right` is where a candidate is measured; `near_left`, `near_right` where its peak is looked for.
    """

    left: Float64
    right: Float64
    near_left: Float64
    near_right: Float64

    def at(self, own: npt.NDArray[Any]) -> Room:
        """Return that of some candidates."""
        return Room(*(side[own] for side in self))


def room(index: Int64, place: Float64, side_lobe: npt.NDArray[np.floating], alone: int, fs_hz: float) -> Room:
    """Return the room of maxima in order, `alone` where there is no neighbour.

    Side lobes are neighbours to each other only, so that a burst is measured with its swings; but no peak is
    looked for in theirs.
    """
    near = _room(index, place, alone, fs_hz)
    left, right = (side.copy() for side in near)
    own = np.flatnonzero(side_lobe == 0)
    left[own], right[own] = _room(index[own], place[own], alone, fs_hz)
    return Room(left, right, *near)


def _room(index: Int64, place: Float64, alone: int, fs_hz: float) -> tuple[Float64, Float64]:
    middle = (place[1:] + place[:-1]) / 2.0
    # Middles 60 ms apart at least leave each peak room.
    least = np.arange(len(middle)) * MERGE_S * fs_hz
    middle = np.maximum.accumulate(middle - least) + least
    return np.append(float(alone), index[1:] - middle), np.append(middle - index[:-1], float(alone))
