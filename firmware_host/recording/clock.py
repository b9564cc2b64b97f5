"""When each sample was taken: fits of a sensor's counter against the times at which its samples arrived. No
I/O.

A sensor's true rate differs from the nominal by up to 6 % and drifts with its temperature; its samples arrive
late by an unknown, changing delay, in bursts and after stalls, but never early. So the time of the counter is
the lower envelope of the arrivals: a line under all of them first (the edge of their lower convex hull over
their middle: Zhang, Liu and Xia, INFOCOM 2002), then the slow bend that is left, from the earliest arrival in
each bin. Stamps of a clock that errs to both sides are fitted alike, with medians in place of the earliest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BIN_S = 60.0
STAMP_BIN_S = 10.0
"""Of samples on their device's own clock: its stamps are exact to a millisecond or so, and never late."""
CRYSTAL_BIN_S = 300.0
"""Of a device's own clock: a crystal bends by a few millionths where a sensor's rate bends by thousandths."""
REACH = 6
"""Bins to each side that a knot's value is smoothed over."""
BEND_FROM_S = 150.0
"""Shorter runs get a line: their bend is below what their arrivals can show."""
RATE_ERROR = 0.08
"""A sensor's rate is never further from the nominal one; short runs of stamps can seem so."""
RATE_FROM_S = 3.0
"""Shorter runs show their rate no better than another run of the sensor, or the nominal one, does."""


@dataclass(frozen=True)
class Timeline:
    """Sample index to time: straight between knots, and beyond them with the slope at the end."""

    index: Floats
    """(k,) knots, k >= 2, rising."""
    offset_ns: Floats
    """(k,) ns after `base_ns`, rising."""
    base_ns: int

    @property
    def fs_hz(self) -> float:
        """The measured rate."""
        return float((self.index[-1] - self.index[0]) / (self.offset_ns[-1] - self.offset_ns[0]) * 1e9)

    def time_ns(self, index: npt.ArrayLike) -> Ints:
        """Return the times of sample indices (whole or not), ns; rises strictly with the index."""
        at = np.asarray(index, np.float64)
        segment = np.clip(np.searchsorted(self.index, at, side="right") - 1, 0, len(self.index) - 2)
        slope = np.diff(self.offset_ns) / np.diff(self.index)
        offset = self.offset_ns[segment] + (at - self.index[segment]) * slope[segment]
        return np.rint(offset).astype(np.int64) + self.base_ns

    def index_at(self, time_ns: int) -> float:
        """Return the sample index (not whole) at a time in ns."""
        at = float(time_ns - self.base_ns)
        segment = int(np.clip(np.searchsorted(self.offset_ns, at, side="right") - 1, 0, len(self.index) - 2))
        slope = np.diff(self.index)[segment] / np.diff(self.offset_ns)[segment]
        return float(self.index[segment] + (at - self.offset_ns[segment]) * slope)


def fit_timeline(
    index: Ints,
    stamp_ns: Ints,
    fs_hz: float,
    *,
    late: bool,
    trust_rate: bool = False,
    bin_s: float = BIN_S,
) -> Timeline:
    """Fit the time of a sample index to stamps.

    Parameters
    ----------
    index, stamp_ns
        (m,) sample index, rising, and its stamp; m >= 1.
    fs_hz
        The rate to fall back on where the run is too short to show its own.
    late
        True: a stamp is late, never early. False: it errs to both sides.
    trust_rate
        `fs_hz` was measured: keep it on runs too short to do better.
    bin_s
        The rate bends no quicker than this.
    """
    base_ns = int(stamp_ns[0])
    x = (index - index[0]) / fs_hz  # seconds, nearly
    y = (stamp_ns - base_ns) / 1e9
    span = float(x[-1] - x[0])
    bend_from_s = BEND_FROM_S / BIN_S * bin_s
    slope, level = (1.0, 0.0)
    if span >= (min(BEND_FROM_S, bend_from_s) if trust_rate else RATE_FROM_S) and len(x) >= 5:
        slope, level = _hull_line(x, y) if late else _median_line(x, y)
    if abs(slope - 1.0) > (RATE_ERROR if span < BEND_FROM_S else 0.5):  # such stamps show no rate
        slope, level = 1.0, 0.0
    rest = y - (level + slope * x)
    level += float(rest.min() if late else np.median(rest))
    knots = np.array([x[0], max(x[-1], x[0] + 1.0)])
    fitted = level + slope * knots
    if span >= bend_from_s:
        knots, fitted = _bend(x, y, level + slope * x, slope, level, late=late, bin_s=bin_s)
    steps = np.maximum(np.diff(fitted), 0.5 * np.diff(knots))
    fitted = fitted[0] + np.concatenate([[0.0], np.cumsum(steps)])
    return Timeline(knots * fs_hz + index[0], fitted * 1e9, base_ns)


def compose(inner: Timeline, outer: Timeline) -> Timeline:
    """Return index -> outer(inner(index)): the counter on the device's clock, that clock on ours."""
    times = outer.time_ns(inner.time_ns(inner.index))
    return Timeline(inner.index, (times - times[0]).astype(np.float64), int(times[0]))


def thin(index: Ints, stamp_ns: Ints, fs_hz: float, every_s: float, *, late: bool) -> tuple[Ints, Ints]:
    """Keep one stamp of every `every_s`: the earliest against the rate, or the middle one."""
    if len(index) == 0:
        return index, stamp_ns
    rest = stamp_ns - stamp_ns[0] - (index - index[0]) / fs_hz * 1e9
    order = np.lexsort((rest, index // max(1, round(every_s * fs_hz))))
    groups = (index // max(1, round(every_s * fs_hz)))[order]
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    sizes = np.diff(starts, append=len(groups))
    kept = np.sort(order[starts if late else starts + sizes // 2])
    return index[kept], stamp_ns[kept]


def _hull_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Return slope and level of a line under all points: the lower hull's edge over the middle of x."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) >= 2:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    middle = 0.5 * (x[0] + x[-1])
    right = min(max(int(np.searchsorted(x[hull], middle)), 1), len(hull) - 1)
    a, b = hull[right - 1], hull[right]
    slope = float((y[b] - y[a]) / (x[b] - x[a]))
    return slope, float(y[a] - slope * x[a])


def _median_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Return slope and level of a line through points with outliers: the median slope across half the run."""
    half = len(x) // 2
    slope = float(np.median((y[half:] - y[: len(y) - half]) / (x[half:] - x[: len(x) - half])))
    return slope, float(np.median(y - slope * x))


def _bend(
    x: Floats, y: Floats, line: Floats, slope: float, level: float, *, late: bool, bin_s: float
) -> tuple[Floats, Floats]:
    """Add to a line the slow bend that the stamps show; returns knots and their times."""
    span = x[-1] - x[0]
    bins = max(10, int(np.ceil(span / bin_s)))
    knots = np.linspace(x[0], x[-1], bins + 1)
    of = np.minimum(((x - x[0]) / span * bins).astype(np.int64), bins - 1)
    rest = y - line
    bend = np.zeros(bins + 1)
    # Each round smooths what the last one left, so that also a quick bend (a sensor warming up) is followed.
    for _ in range(6):
        bend += _smooth(*_reduce(of, x, rest - np.interp(x, knots, bend), bins, late=late), knots)
    return knots, level + slope * knots + bend


def _reduce(
    of: npt.NDArray[np.int64], x: Floats, rest: Floats, bins: int, *, late: bool
) -> tuple[Floats, Floats, Floats]:
    """Return centre, value and weight of each bin: its earliest residual or its median."""
    order = np.lexsort((rest, of))
    starts = np.searchsorted(of[order], np.arange(bins))
    sizes = np.bincount(of, minlength=bins)
    picked = order[np.minimum(starts + (0 if late else 1) * (sizes // 2), len(order) - 1)]
    return x[picked], rest[picked], (sizes > 0).astype(np.float64)


def _smooth(x: Floats, value: Floats, weight: Floats, knots: Floats) -> Floats:
    """Smooth the bins' values by lines around each knot; bins that stand out do not count."""
    there = weight > 0
    value = np.interp(x, x[there], value[there])
    neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(value, 2, mode="edge"), 5)
    apart = np.abs(value - np.median(neighbours, axis=1))
    weight = weight * (apart <= 6 * np.median(apart[there]) + 1e-3)
    distance = np.abs(_around(x) - knots[:, None]) / (REACH * (knots[1] - knots[0]))
    near = np.clip(1 - distance**3, 0, None) ** 3 * _around(weight)
    return _local_lines(_around(x) - knots[:, None], _around(value), near)


def _around(bins: Floats) -> Floats:
    """Return the bins within reach of each of the k+1 knots around k bins, (k+1, 2 REACH); 0 outside."""
    padded = np.concatenate([np.zeros(REACH), bins, np.zeros(REACH)])
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH)


def _local_lines(dx: Floats, value: Floats, weight: Floats) -> Floats:
    """Return at dx = 0 the weighted line through each row's points; 0 where there are none."""
    s0, s1, s2 = weight.sum(1), (weight * dx).sum(1), (weight * dx**2).sum(1)
    t0, t1 = (weight * value).sum(1), (weight * dx * value).sum(1)
    determinant = s0 * s2 - s1**2
    lone = determinant <= 1e-6 * s0 * s2
    slanted: Floats = (t0 * s2 - t1 * s1) / np.where(lone, 1.0, determinant)
    return np.where(lone, t0 / np.maximum(s0, 1e-300), slanted)
