"""The twitch map in a terminal: a strip of blocks per site, with its number and interval."""

from __future__ import annotations

import math
import sys
import textwrap
from dataclasses import dataclass

import numpy as np

from firmware_host.body import site
from firmware_host.review.charts.colours import Scale, scale_for
from firmware_host.review.charts.map_data import (
    NOTE,
    MapData,
    duration_words,
    limit_words,
    night_words,
    rate_words,
    valid_words,
)
from firmware_host.review.charts.scene import printable
from firmware_host.review.charts.time_axis import clock_changes, ticks
from firmware_host.twitch_map import State

_NARROWEST, _WIDEST = 40, 160


@dataclass(frozen=True)
class _Marks:
    """The characters of a strip."""

    bars: str
    unconfirmed: str
    not_observed: str
    not_worn: str
    edge: str
    tick: str


_BLOCKS = _Marks(bars="▁▂▃▄▅▆▇█", unconfirmed="╌", not_observed="░", not_worn="·", edge="│", tick="'")
_ASCII = _Marks(bars=".:-=+*#@", unconfirmed="~", not_observed="?", not_worn="x", edge="|", tick="'")


@dataclass(frozen=True)
class _Cell:
    """One column of a strip."""

    state: State
    rate: float


def terminal_map(data: MapData, width: int = 80, encoding: str | None = None) -> str:
    """Return the map as lines of text, at most `width` columns wide (40 to 160).

    `encoding` is that of the terminal, None the one of stdout; one that has no blocks gets plain characters.
    """
    encoding = encoding or sys.stdout.encoding or "ascii"
    marks = _BLOCKS if _can_show("".join(vars(_BLOCKS).values()), encoding) else _ASCII
    width = min(max(width, _NARROWEST), _WIDEST)
    cells = width - 2
    strips = {str(row["site"]): _cells(data, str(row["site"]), cells) for row in data.rows}
    scale = scale_for(cell.rate for strip in strips.values() for cell in strip)
    title = f"{data.title} [{data.mark}]" if data.mark else data.title
    lines = [
        *_wrapped(title, width),
        *_wrapped(f"{night_words(data)}, {duration_words(data.night_s)}", width),
        "",
    ]
    for row in data.rows:
        label, number = site(str(row["site"])).label, rate_words(row)
        gap = width - len(label) - len(number)
        lines += (
            [f"{label}{' ' * gap}{number}"] if gap > 1 else [*_wrapped(label, width), number.rjust(width)]
        )
        strip = "".join(_mark(cell, scale, marks) for cell in strips[str(row["site"])])
        lines.append(f"{marks.edge}{strip}{marks.edge}")
        lines += [*_wrapped(f"{valid_words(row, data)}; {limit_words(row)}", width), ""]
    lines[-1:] = _axis(data, cells, marks)
    lines += ["", *_legend(data, scale, marks, width), "", *_wrapped(NOTE, width)]
    return "\n".join(line.rstrip() for line in lines).encode(encoding, "replace").decode(encoding)


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _cells(data: MapData, name: str, cells: int) -> list[_Cell]:
    """Return the columns of a strip: the bins with their middle there, or the bin that holds its middle."""
    bins = data.bins[data.bins["site"] == name]
    if not len(bins):
        return [_Cell(State.NOT_OBSERVED, 0.0)] * cells
    starts_ns = bins["bin_start_ns"]
    middles_ns = starts_ns + bins["bin_s"] * 5e8
    edges_ns = np.linspace(data.start_ns, data.end_ns, cells + 1)
    first, stop = np.searchsorted(middles_ns, edges_ns[:-1]), np.searchsorted(middles_ns, edges_ns[1:])
    holding = np.searchsorted(starts_ns, (edges_ns[:-1] + edges_ns[1:]) / 2, side="right") - 1
    strip = []
    for a, b, at in zip(first.tolist(), stop.tolist(), holding.tolist(), strict=True):
        here = bins[a:b] if b > a else bins[max(at, 0) : max(at, 0) + 1]
        seen = here[here["valid_s"] > 0]
        rate = np.sum(seen["rate_per_h"] * seen["valid_s"]) / np.sum(seen["valid_s"]) if len(seen) else 0.0
        strip.append(_Cell(State(int((seen if len(seen) else here)["state"][0])), float(rate)))
    return strip


def _mark(cell: _Cell, scale: Scale, marks: _Marks) -> str:
    if cell.state == State.NOT_OBSERVED:
        return marks.not_observed
    if cell.state == State.NOT_WORN:
        return marks.not_worn
    if cell.rate > 0:
        return marks.bars[math.ceil(scale.share(cell.rate) * len(marks.bars)) - 1]
    return marks.unconfirmed if cell.state == State.WEAR_UNCONFIRMED else " "


def _axis(data: MapData, cells: int, marks: _Marks) -> list[str]:
    """Return a line of ticks and one of local times, and a line for each change of the clocks."""
    span_ns = max(data.end_ns - data.start_ns, 1)
    pointers, labels = [" "] * (cells + 2), [" "] * (cells + 2)
    free = 0
    for tick in ticks(data.start_ns, data.end_ns, data.zone, cells // 8, start_known=data.start_known):
        at = 1 + min(int((tick.ns - data.start_ns) * cells // span_ns), cells - 1)
        start = max(at - len(tick.label) // 2, 0)
        if start >= free and start + len(tick.label) <= cells + 2:
            pointers[at] = marks.tick
            labels[start : start + len(tick.label)] = tick.label
            free = start + len(tick.label) + 1
    changes = [change.label for change in clock_changes(data.start_ns, data.end_ns, data.zone)]
    return ["".join(pointers), "".join(labels), *changes]


def _legend(data: MapData, scale: Scale, marks: _Marks, width: int) -> list[str]:
    bin_s = float(data.bins["bin_s"][0]) if len(data.bins) else 0.0
    doubtful = np.any(data.bins["state"] == State.WEAR_UNCONFIRMED)
    root = ", square-root scale" if scale.root else ""
    return [
        *_wrapped(
            f"{marks.bars} 0 to {scale.top:,g} per valid hour{root}, bins of {duration_words(bin_s)}", width
        ),
        *_wrapped(f"(blank) none seen  {marks.not_observed} not observed  {marks.not_worn} not worn", width),
        *([f"{marks.unconfirmed} none seen, wearing not confirmed"] if doubtful else []),
    ]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), width) or [""]
