"""One site over the nights as a small picture for a page: a dot with its interval a night."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from firmware_host.review.charts.night_map import EDGE, FAINT, INK, SOFT
from firmware_host.review.charts.scene import Scene, Shape, Words, circle, line

WIDTH, HEIGHT = 346.0, 122.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 8.0, 26.0, 18.0


@dataclass(frozen=True)
class Dot:
    """One night: its date, rate and interval per valid hour."""

    day: date
    rate: float
    low: float
    high: float
    confirmed: bool = True
    changed: bool = False
    """Something else than twitching differs from the dot before."""


def trend_chart(title: str, beside: str, description: str, dots: Sequence[Dot]) -> Scene:
    """Draw a site's nights, on a scale from zero."""
    days = [one.day.toordinal() for one in dots]
    first, last = min(days), max(days)
    top = _nice(max([one.high for one in dots if math.isfinite(one.high)] + [1e-3]))

    def x(day: float) -> float:
        share = (day - first) / (last - first) if last > first else 0.5
        return _LEFT + 8 + share * (WIDTH - _LEFT - _RIGHT - 16)

    def y(rate: float) -> float:
        return _TOP + (1 - min(rate / top, 1.0)) * (HEIGHT - _TOP - _BOTTOM)

    items: list[Shape | Words] = [
        Words(0, 12, title, 10.5, INK, bold=True),
        Words(WIDTH - _RIGHT, 12, beside, 8.6, SOFT, anchor="end"),
    ]
    for part in (0.0, 0.5, 1.0):
        at = y(part * top)
        items.append(line(_LEFT, at, WIDTH - _RIGHT, at, stroke=FAINT if part else EDGE, width=0.8))
        items.append(Words(_LEFT - 5, at + 3, f"{part * top:,g}", 8, SOFT, anchor="end"))
    for day in _ticks(first, last):
        when = date.fromordinal(day)
        items.append(Words(x(day), HEIGHT - 6, f"{when.day} {when:%b}", 8, SOFT, anchor="middle"))
    for before, one in pairwise(dots):
        if one.changed:
            at = (x(before.day.toordinal()) + x(one.day.toordinal())) / 2
            items.append(line(at, _TOP - 4, at, HEIGHT - _BOTTOM, stroke=SOFT, width=0.9, dash=(3, 2)))
    for one in dots:
        at = x(one.day.toordinal())
        items.append(line(at, y(one.low), at, y(one.high), stroke=INK, width=0.9))
        fill = INK if one.confirmed else "#ffffff"
        words = f"{one.day.isoformat()}: {one.rate:.3g} ({one.low:.3g} to {one.high:.3g})"
        items.append(circle(at, y(one.rate), 2.6, fill=fill, stroke=INK, width=0.9, title=words))
    return Scene(WIDTH, HEIGHT, description, description, tuple(items))


def _nice(most: float) -> float:
    """Return a round number at or above a number, half of which is round too."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(one * power for one in (1, 2, 4, 8, 10) if one * power >= most * (1 - 1e-9))


def _ticks(first: int, last: int) -> list[int]:
    """Return at most six days, evenly apart."""
    step = max(1, -(-(last - first) // 5))
    return list(range(first, last + 1, step))
