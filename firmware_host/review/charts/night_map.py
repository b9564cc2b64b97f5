"""The twitch map as a picture: the body front and back coloured by rate, beside it a time strip per site."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from firmware_host.body import SITES, Site, View, site
from firmware_host.review.charts import body_figure
from firmware_host.review.charts.colours import Scale, mixed, scale_for
from firmware_host.review.charts.map_data import (
    NOTE,
    MapData,
    duration_words,
    limit_words,
    night_words,
    rate_words,
    site_words,
    valid_words,
)
from firmware_host.review.charts.scene import Hatch, Point, Scene, Shape, Words, circle, line, moved, rect
from firmware_host.review.charts.time_axis import clock_changes, local, ticks
from firmware_host.twitch_map import State, seconds_in
from firmware_host.twitches import Kind, Table

INK, SOFT, FAINT, EDGE = "#22313c", "#5b6b77", "#e3e8ec", "#9fb0bb"
BODY, BODY_EDGE, SITE_EDGE = "#eff3f6", "#aebac3", "#4d6472"
BAR, PALE_BAR, VALID, UNCONFIRMED = "#2d6e94", "#a9c6d6", "#9ccdc3", "#dbe3e7"
HATCHES: dict[State, Hatch] = {State.NOT_OBSERVED: "lines", State.NOT_WORN: "dots"}
_PALE = 0.2
"""Share of a bin below which its bar is drawn pale: so little time makes an unsteady rate."""

_WIDTH, _MARGIN = 1180.0, 28.0
_TOP = 96.0
_FIGURES_X = {"front": 133.0, "back": 365.0}
_FIGURE_SCALE = 0.78
_CALLOUT_X = 104.0
_STRIP_X, _STRIP_WIDTH = 528.0, 620.0
_HEADER, _TRACK, _GAP = 38.0, 6.0, 20.0
_LONGEST_TITLE = 64
_BODY_HEIGHT = body_figure.HEIGHT * _FIGURE_SCALE

Items = list[Shape | Words]


def night_map(data: MapData) -> Scene:
    """Draw a night's twitch map."""
    scale = scale_for(float(row["rate_per_h"]) for row in data.rows if row["valid_s"] > 0)
    rows = len(data.rows)
    bar = min(max((_BODY_HEIGHT + 20) / max(rows, 1) - _HEADER - _TRACK - _GAP, 30), 110)
    strips_end = _TOP + 26 + rows * (_HEADER + bar + _TRACK + _GAP)
    height = max(_TOP + 26 + _BODY_HEIGHT + 176, strips_end + 74)
    items = [*_head(data), *_body(data, scale), *_legend(data, scale), *_strips(data, scale, bar)]
    items.append(Words(_MARGIN, height - 18, NOTE, 11, SOFT))
    description = ". ".join([night_words(data), *(site_words(row, data) for row in data.rows), NOTE])
    title = f"{data.title} ({data.mark})" if data.mark else data.title
    return Scene(_WIDTH, height, f"Twitch map: {title}", description, tuple(items))


def _head(data: MapData) -> Items:
    title = data.title if len(data.title) <= _LONGEST_TITLE else data.title[: _LONGEST_TITLE - 2] + " …"
    items: Items = [
        Words(_MARGIN, 44, title, 20, INK, bold=True),
        Words(_MARGIN, 66, f"{night_words(data)}, {duration_words(data.night_s)}", 12.5, SOFT),
    ]
    if data.mark:
        right = _STRIP_X + _STRIP_WIDTH
        items.append(rect(right - 130, 28, 130, 26, fill="#fff7df", stroke="#c8a64b"))
        items.append(Words(right - 65, 45.5, data.mark, 13, "#6b5310", bold=True, anchor="middle"))
    return items


def _body(data: MapData, scale: Scale) -> Items:
    y = _TOP + 26
    worn: dict[str, list[tuple[int, np.void]]] = {}
    for number, row in enumerate(data.rows, 1):
        worn.setdefault(site(str(row["site"])).base, []).append((number, row))
    items: Items = []
    views: tuple[View, ...] = ("front", "back")
    for view in views:
        x = _FIGURES_X[view]
        outline = body_figure.silhouette(x, y, _FIGURE_SCALE)
        items.append(replace(outline, fill=BODY, stroke=BODY_EDGE, width=1.2))
        items.append(Words(x, _TOP + 2, view, 13, INK, bold=True, anchor="middle"))
        sides = ("right", "left") if view == "front" else ("left", "right")
        for side, at in zip(sides, (x - 66, x + 66), strict=True):
            items.append(Words(at, _TOP + 24, side, 11, SOFT, anchor="middle"))
        regions = body_figure.regions(view, x, y, _FIGURE_SCALE)
        for name, region in regions.items():
            rows = [row for _, row in worn.get(name, [])]
            items.append(_painted(region, SITES[name], rows, data, scale))
        spots = [
            (number, body_figure.centre(regions[name]))
            for name in regions
            for number, _ in worn.get(name, [])
        ]
        for sign in (-1, 1):
            items += _callouts(
                [each for each in spots if (each[1][0] > x) == (sign > 0)], x + sign * _CALLOUT_X
            )
    return items


def _painted(region: Shape, place: Site, worn: list[np.void], data: MapData, scale: Scale) -> Shape:
    """Colour a site's region by its rate; of several sensors there by their rates weighted by valid time."""
    if not worn:
        title = f"{place.label}: not measured"
        return replace(region, site=place.name, stroke="#c9d2d8", width=0.8, dash=(2.5, 2.5), title=title)
    title = "; ".join(site_words(row, data) for row in worn)
    seen = [row for row in worn if row["valid_s"] > 0]
    if not seen:
        hatch = HATCHES[State(worn[0]["state"])]
        return replace(region, site=place.name, fill="#ffffff", stroke=EDGE, hatch=hatch, title=title)
    rate = sum(row["rate_per_h"] * row["valid_s"] for row in seen) / sum(row["valid_s"] for row in seen)
    dash = (4.0, 2.5) if all(row["state"] == State.WEAR_UNCONFIRMED for row in seen) else None
    return replace(
        region,
        site=place.name,
        fill=scale.colour(float(rate)),
        stroke=SITE_EDGE,
        width=1.1,
        dash=dash,
        title=title,
    )


def _callouts(spots: list[tuple[int, Point]], x: float) -> Items:
    """Write the strips' numbers in a column beside the body, each with a line to its region."""
    items: Items = []
    ys = body_figure.spread([at_y for _, (_, at_y) in spots], 18)
    for (number, (at_x, at_y)), y in zip(spots, ys, strict=True):
        items.append(line(x, y, at_x, at_y, stroke=SITE_EDGE, width=0.7))
        items.append(circle(at_x, at_y, 1.6, fill=SITE_EDGE))
        items += _badge(x, y, number)
    return items


def _badge(x: float, y: float, number: int) -> Items:
    return [
        circle(x, y, 8, fill="#ffffff", stroke=SITE_EDGE, width=0.8),
        Words(x, y + 3.6, str(number), 10, INK, bold=True, anchor="middle"),
    ]


def _legend(data: MapData, scale: Scale) -> Items:
    x, width = _MARGIN + 8, 300.0
    y = _TOP + 26 + _BODY_HEIGHT + 42
    note = " (square-root scale)" if scale.root else ""
    items: Items = [Words(x, y - 10, f"Twitches per valid hour, whole night{note}", 12, INK, bold=True)]
    steps = 60
    for k in range(steps):
        colour = mixed((k + 0.5) / steps)
        items.append(rect(x + k * width / steps, y, width / steps + 0.4, 12, fill=colour))
    for value in scale.ticks():
        at = x + scale.share(value) * width
        items.append(line(at, y + 12, at, y + 16, stroke=SOFT, width=0.8))
        items.append(Words(at, y + 28, f"{value:,g}", 11, SOFT, anchor="middle"))
    return items + _keys(data, x, y + 46)


def _keys(data: MapData, x: float, y: float) -> Items:
    """Explain the patterns: those that every map needs, and those that this one shows."""
    states = {State(int(each)) for rows in (data.bins, data.totals) for each in rows["state"]}
    keys = [
        (rect(x, y, 20, 12, stroke=EDGE, width=0.8, dash=(2.5, 2.5)), "not measured (no sensor)"),
        (rect(x, y, 20, 12, fill="#ffffff", stroke=EDGE, width=0.8, hatch="lines"), "not observed"),
    ]
    if State.NOT_WORN in states:
        keys.append((rect(x, y, 20, 12, fill="#ffffff", stroke=EDGE, width=0.8, hatch="dots"), "not worn"))
    keys.append((rect(x, y + 3, 20, _TRACK, fill=VALID), "valid time"))
    seen = data.bins[data.bins["valid_s"] > 0]
    if np.any((seen["valid_s"] < _PALE * seen["bin_s"]) & (seen["twitches"] > 0)):
        keys.append((rect(x, y, 20, 12, fill=PALE_BAR), "bar of little valid time"))
    if State.WEAR_UNCONFIRMED in states:
        keys.append((rect(x, y + 3, 20, _TRACK, fill=UNCONFIRMED), "valid, wearing not confirmed"))
    items: Items = []
    for k, (box, words) in enumerate(keys):
        dx, dy = 190.0 * (k % 2), 20.0 * (k // 2)
        items += [moved(box, dx, dy, 1), Words(x + 28 + dx, y + 10 + dy, words, 11.5, SOFT)]
    return items


@dataclass(frozen=True)
class _Frame:
    """Where the strips stand, how high their bars may be, and the scale that they share if they do."""

    data: MapData
    bar: float
    shared: Scale | None

    def x(self, ns: float) -> float:
        """Return where a time stands."""
        return _STRIP_X + _STRIP_WIDTH * (ns - self.data.start_ns) / max(
            self.data.end_ns - self.data.start_ns, 1
        )

    def scale(self, bins: Table) -> Scale:
        """Return the scale of a site's bars; bins that are hardly observed do not set it."""
        enough = bins[bins["valid_s"] >= _PALE * bins["bin_s"]]
        return self.shared or scale_for((float(rate) for rate in enough["rate_per_h"]), root=False)


def _strips(data: MapData, body_scale: Scale, bar: float) -> Items:
    """Draw the strips, on one scale unless the sites differ too much to be seen on it."""
    frame = _Frame(data, bar, None)
    if not body_scale.root:
        frame = replace(frame, shared=frame.scale(data.bins))
    bins = (
        f"Twitches per valid hour in bins of {duration_words(float(data.bins['bin_s'][0]))}"
        if len(data.bins)
        else ""
    )
    note = "all strips on one scale" if frame.shared else "each strip on its own scale, see its left edge"
    items: Items = [Words(_STRIP_X, _TOP + 2, f"{bins}; {note}", 12, SOFT)]
    y = _TOP + 26
    bottom = y + len(data.rows) * (_HEADER + bar + _TRACK + _GAP) - _GAP
    items += _axis(frame, bottom)
    for number, row in enumerate(data.rows, 1):
        items += _strip(frame, row, number, y)
        y += _HEADER + bar + _TRACK + _GAP
    return items


def _axis(frame: _Frame, bottom: float) -> Items:
    data = frame.data
    items: Items = [
        Words(frame.x(tick.ns), bottom + 18, tick.label, 11, SOFT, anchor="middle")
        for tick in ticks(data.start_ns, data.end_ns, data.zone)
    ]
    for change in clock_changes(data.start_ns, data.end_ns, data.zone):
        items.append(Words(frame.x(change.ns), bottom + 34, change.label, 11, SOFT, anchor="middle"))
    right = _STRIP_X + _STRIP_WIDTH
    items.append(Words(right, bottom + 34, f"local time ({data.time_zone})", 11, SOFT, anchor="end"))
    return items


def _grid(frame: _Frame, top: float, base: float) -> Items:
    span = (frame.data.start_ns, frame.data.end_ns, frame.data.zone)
    hours = [frame.x(tick.ns) for tick in ticks(*span)]
    changes = [frame.x(change.ns) for change in clock_changes(*span)]
    return [
        *(line(at, top, at, base, stroke=FAINT) for at in hours),
        *(line(at, top - 4, at, base + _TRACK + 4, stroke=SOFT, dash=(3, 3)) for at in changes),
    ]


def _strip(frame: _Frame, row: np.void, number: int, y: float) -> Items:
    name = str(row["site"])
    right = _STRIP_X + _STRIP_WIDTH
    top = y + _HEADER
    base = top + frame.bar
    bins = frame.data.bins[frame.data.bins["site"] == name]
    scale = frame.scale(bins)
    items: Items = [
        *_badge(_STRIP_X + 8, y + 9, number),
        Words(_STRIP_X + 24, y + 14, site(name).label, 14, INK, bold=True),
        Words(right, y + 14, rate_words(row), 13, INK, bold=True, anchor="end"),
        Words(_STRIP_X + 24, y + 29, f"{valid_words(row, frame.data)}; {limit_words(row)}", 11, SOFT),
        *_grid(frame, top, base),
    ]
    if row["valid_s"] > 0:
        items.append(Words(_STRIP_X - 6, top + 9, f"{scale.top:,g}", 10, SOFT, anchor="end"))
        items.append(Words(_STRIP_X - 6, base, "0", 10, SOFT, anchor="end"))
    for each in bins:
        items += _bin(frame, scale, each, top, base)
    items.append(line(_STRIP_X, base, right, base, stroke=EDGE, width=0.8))
    return items + _track(frame, name, base + 2)


def _bin(frame: _Frame, scale: Scale, each: np.void, top: float, base: float) -> Items:
    start_ns = int(each["bin_start_ns"])
    x0 = frame.x(max(start_ns, frame.data.start_ns))
    x1 = frame.x(min(start_ns + float(each["bin_s"]) * 1e9, frame.data.end_ns))
    at = f"{local(start_ns, frame.data.zone):%H:%M}"
    hatch = HATCHES.get(State(int(each["state"])))
    if hatch:
        return [rect(x0, top, x1 - x0, base - top, hatch=hatch, title=f"{at} {rate_words(each)}")]
    words = f"{at} {rate_words(each)}, {duration_words(float(each['valid_s']))} valid"
    tall = scale.share(float(each["rate_per_h"])) * (base - top)
    colour = BAR if each["valid_s"] >= _PALE * each["bin_s"] else PALE_BAR
    edge = min(0.5, (x1 - x0) * 0.1)
    return [rect(x0 + edge, base - tall, x1 - x0 - 2 * edge, tall, fill=colour, title=words)] if tall else []


def _track(frame: _Frame, name: str, y: float) -> Items:
    """Draw the valid time as a line under the bars, to the pixel: what most of each pixel's time was."""
    data = frame.data
    cover = data.coverage[data.coverage["site"] == name]
    is_valid = cover["kind"] == Kind.VALID
    groups = (
        is_valid & ~cover["wear_unconfirmed"],
        is_valid & cover["wear_unconfirmed"],
        cover["kind"] == Kind.NOT_WORN,
    )
    edges_s = np.linspace(0, data.night_s, round(_STRIP_WIDTH) + 1)
    seconds = np.array([seconds_in(cover[group], edges_s) for group in groups])
    other = np.diff(edges_s) - seconds.sum(axis=0)
    kinds = np.argmax(np.vstack([seconds, other]), axis=0)
    starts = np.flatnonzero(np.diff(kinds, prepend=-1))
    styles = ({"fill": VALID}, {"fill": UNCONFIRMED}, {"hatch": "dots"}, {"hatch": "lines"})
    return [
        rect(_STRIP_X + a, y, b - a, _TRACK, **styles[kinds[a]])
        for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(kinds)], strict=True)
    ]
