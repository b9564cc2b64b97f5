"""The twitch map as a picture: the body front and back coloured by rate, beside it a time strip per site."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from firmware_host.body import SITES, Site, View, site
from firmware_host.review.charts import body_figure
from firmware_host.review.charts.colours import Scale, mixed, scale_for
from firmware_host.review.charts.layouts import SCREEN, Layout
from firmware_host.review.charts.map_data import (
    LITTLE,
    NOTE,
    MapData,
    duration_words,
    limit_words,
    night_words,
    rate_words,
    scale_bins,
    short_rate,
    site_words,
    valid_words,
)
from firmware_host.review.charts.scene import Hatch, Point, Scene, Shape, Words, circle, line, moved, rect
from firmware_host.review.charts.time_axis import Tick, clock_changes, ticks, time_words
from firmware_host.twitch_map import State, seconds_in
from firmware_host.twitches import Kind, Table

INK, SOFT, FAINT, EDGE = "#22313c", "#5b6b77", "#e3e8ec", "#9fb0bb"
BODY, BODY_EDGE, SITE_EDGE = "#eff3f6", "#aebac3", "#4d6472"
BAR, PALE_BAR = "#2d6e94", "#a9c6d6"
HATCHES: dict[State, Hatch] = {State.NOT_OBSERVED: "lines", State.NOT_WORN: "dots"}
_CUT = 4.0
"""A bar that goes on above its strip has a cut so far below its end, which rises by as much."""
_LONGEST_TITLE = 64

Items = list[Shape | Words]


def night_map(data: MapData, layout: Layout = SCREEN) -> Scene:
    """Draw a night's twitch map."""
    scale = scale_for(float(row["rate_per_h"]) for row in data.rows if row["valid_s"] > 0)
    rows = len(data.rows)
    body = body_figure.HEIGHT * layout.figure_scale
    least, most = layout.bar
    around = layout.header + layout.track + layout.gap
    bar = min(max((body + 20) / max(rows, 1) - around, least), most)
    top = layout.top + layout.figure_top
    strips_end = top + rows * (around + bar)
    legend_y, height = top + body + 42, max(top + body + 176, strips_end + 74)
    if not layout.titled:
        legend_y = max(top + body + 22, strips_end + 30)
        height = legend_y + max(30.0, layout.keys_apart * -(-len(_patterns(data, layout)) // 2))
    items = [
        *(_head(data, layout) if layout.titled else ()),
        *_body(data, scale, layout),
        *_legend(data, scale, legend_y, layout),
        *_strips(data, scale, bar, layout),
        *([Words(layout.margin, height - 18, NOTE, 11, SOFT)] if layout.titled else ()),
    ]
    description = ". ".join([night_words(data), *(site_words(row, data) for row in data.rows), NOTE])
    title = f"{data.title} ({data.mark})" if data.mark else data.title
    return Scene(layout.width, height, f"Twitch map: {title}", description, tuple(items))


def _head(data: MapData, layout: Layout) -> Items:
    title = data.title if len(data.title) <= _LONGEST_TITLE else data.title[: _LONGEST_TITLE - 2] + " …"
    items: Items = [
        Words(layout.margin, 44, title, 20, INK, bold=True),
        Words(layout.margin, 66, f"{night_words(data)}, {duration_words(data.night_s)}", 12.5, SOFT),
    ]
    if data.mark:
        right = layout.strip_x + layout.strip_width
        items.append(rect(right - 130, 28, 130, 26, fill="#fff7df", stroke="#c8a64b"))
        items.append(Words(right - 65, 45.5, data.mark, 13, "#6b5310", bold=True, anchor="middle"))
    return items


def _body(data: MapData, scale: Scale, layout: Layout) -> Items:
    y, size = layout.top + layout.figure_top, layout.figure_scale
    worn: dict[str, list[tuple[int, np.void]]] = {}
    for number, row in enumerate(data.rows, 1):
        worn.setdefault(site(str(row["site"])).base, []).append((number, row))
    items: Items = []
    views: tuple[View, ...] = ("front", "back")
    for view in views:
        x = layout.figures_x[view]
        outline = body_figure.silhouette(x, y, size)
        items.append(replace(outline, fill=BODY, stroke=BODY_EDGE, width=1.2))
        items.append(Words(x, layout.top + 2, view, 13 * layout.text, INK, bold=True, anchor="middle"))
        sides = ("right", "left") if view == "front" else ("left", "right")
        away = 66 * size / SCREEN.figure_scale
        for side, at in zip(sides, (x - away, x + away), strict=True):
            words = Words(at, y - 2, side, 11 * layout.text, SOFT, anchor="middle")
            items.append(words)
        regions = body_figure.regions(view, x, y, size)
        for name, region in regions.items():
            rows = [row for _, row in worn.get(name, [])]
            items.append(_painted(region, SITES[name], rows, data, scale))
        spots = [
            (number, row, body_figure.centre(regions[name]))
            for name in regions
            for number, row in worn.get(name, [])
        ]
        for sign in (-1, 1):
            here = [each for each in spots if (each[2][0] > x) == (sign > 0)]
            items += _callouts(here, x + sign * layout.callout_x, layout)
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


def _callouts(spots: list[tuple[int, np.void, Point]], x: float, layout: Layout) -> Items:
    """Write the strips' numbers in a column beside the body, each with a line to its region."""
    items: Items = []
    ys = body_figure.spread([at_y for _, _, (_, at_y) in spots], layout.callouts_apart)
    for (number, row, (at_x, at_y)), y in zip(spots, ys, strict=True):
        items.append(line(x, y, at_x, at_y, stroke=SITE_EDGE, width=0.7))
        items.append(circle(at_x, at_y, 1.6, fill=SITE_EDGE))
        items += _badge(x, y, number, layout)
        if layout.rates_on_body:
            items.append(Words(x, y + 15, short_rate(row), 11 * layout.text, INK, anchor="middle"))
    return items


def _badge(x: float, y: float, number: int, layout: Layout) -> Items:
    return [
        circle(x, y, 8 * layout.text, fill="#ffffff", stroke=SITE_EDGE, width=0.8),
        Words(x, y + 3.6 * layout.text, str(number), 10 * layout.text, INK, bold=True, anchor="middle"),
    ]


def _legend(data: MapData, scale: Scale, y: float, layout: Layout) -> Items:
    x, width = layout.margin + 8, 300.0 if layout.titled else 260.0
    text = layout.text
    note = " (square-root scale)" if scale.root else ""
    title = f"Twitches per valid hour, whole night{note}"
    items: Items = [Words(x, y - 10 * text, title, 12 * text, INK, bold=True)]
    steps = 60
    high = 12 * text
    for k in range(steps):
        colour = mixed((k + 0.5) / steps)
        items.append(rect(x + k * width / steps, y, width / steps + 0.4, high, fill=colour))
    for value in scale.ticks():
        at = x + scale.share(value) * width
        items.append(line(at, y + high, at, y + high + 4, stroke=SOFT, width=0.8))
        items.append(Words(at, y + high + 16 * text, f"{value:,g}", 11 * text, SOFT, anchor="middle"))
    return items + _keys(data, layout.keys_x, y + layout.keys_y, layout)


def _patterns(data: MapData, layout: Layout) -> list[tuple[Shape, str]]:
    """Return the patterns to explain, at 0, 0: those that every map needs, and those that this one shows."""
    states = {State(int(each)) for rows in (data.bins, data.totals) for each in rows["state"]}
    found = [
        (rect(0, 0, 20, 12, stroke=EDGE, width=0.8, dash=(2.5, 2.5)), "not measured (no sensor)"),
        (rect(0, 0, 20, 12, fill="#ffffff", stroke=EDGE, width=0.8, hatch="lines"), "not observed"),
    ]
    if State.NOT_WORN in states:
        found.append((rect(0, 0, 20, 12, fill="#ffffff", stroke=EDGE, width=0.8, hatch="dots"), "not worn"))
    found.append((rect(0, 3, 20, layout.track, fill=layout.valid), "valid time"))
    seen = data.bins[data.bins["valid_s"] > 0]
    if np.any((seen["valid_s"] < LITTLE * seen["bin_s"]) & (seen["twitches"] > 0)):
        found.append((rect(0, 0, 20, 12, fill=PALE_BAR), "bar of little valid time"))
    if State.WEAR_UNCONFIRMED in states:
        found.append((rect(0, 3, 20, layout.track, fill=layout.unconfirmed), "valid, wearing not confirmed"))
    return found


def _keys(data: MapData, x: float, y: float, layout: Layout) -> Items:
    """Explain the patterns, two in a row."""
    items: Items = []
    for k, (box, words) in enumerate(_patterns(data, layout)):
        at_x, at_y = x + 190 * (k % 2), y + layout.keys_apart * (k // 2)
        items += [moved(box, at_x, at_y, 1), Words(at_x + 28, at_y + 10, words, 11.5 * layout.text, SOFT)]
    return items


@dataclass(frozen=True)
class _Frame:
    """Where the strips stand, how high their bars may be, and the scale that they share if they do."""

    data: MapData
    bar: float
    shared: Scale | None
    layout: Layout

    def x(self, ns: float) -> float:
        """Return where a time stands."""
        span_ns = max(self.data.end_ns - self.data.start_ns, 1)
        return self.layout.strip_x + self.layout.strip_width * (ns - self.data.start_ns) / span_ns

    def ticks(self) -> list[Tick]:
        """Return the times that are marked: no more than there is room for."""
        most = 12 if self.layout.titled else 8
        data = self.data
        return ticks(data.start_ns, data.end_ns, data.zone, most, start_known=data.start_known)

    @property
    def right(self) -> float:
        """Where the strips end."""
        return self.layout.strip_x + self.layout.strip_width

    def scale(self, bins: Table) -> Scale:
        """Return the scale of a site's bars."""
        return self.shared or scale_for((float(rate) for rate in scale_bins(bins)["rate_per_h"]), root=False)

    def cuts(self) -> bool:
        """Tell whether a bar goes on above its strip, which one of little valid time may."""
        sites = (self.data.bins[self.data.bins["site"] == row["site"]] for row in self.data.rows)
        return any(np.any(bins["rate_per_h"] > self.scale(bins).top) for bins in sites)


def _strips(data: MapData, body_scale: Scale, bar: float, layout: Layout) -> Items:
    """Draw the strips, on one scale unless the sites differ too much to be seen on it."""
    frame = _Frame(data, bar, None, layout)
    if not body_scale.root:
        frame = replace(frame, shared=frame.scale(data.bins))
    bins = duration_words(float(data.bins["bin_s"][0])) if len(data.bins) else ""
    if layout.titled:
        bins = bins and f"Twitches per valid hour in bins of {bins}"
        note = "all strips on one scale" if frame.shared else "each strip on its own scale, see its left edge"
    else:
        bins = bins and f"Twitches per valid hour, bins of {bins}"
        note = "one scale" if frame.shared else "own scales"
    if frame.cuts():
        note += "; cut bars go on"
    items: Items = [Words(layout.strip_x, layout.top + 2, f"{bins}; {note}", 12 * layout.text, SOFT)]
    y = layout.top + layout.figure_top
    high = layout.header + bar + layout.track + layout.gap
    bottom = y + len(data.rows) * high - layout.gap
    items += _axis(frame, bottom)
    for number, row in enumerate(data.rows, 1):
        items += _strip(frame, row, number, y)
        y += high
    return items


def _axis(frame: _Frame, bottom: float) -> Items:
    data, layout, text = frame.data, frame.layout, frame.layout.text
    items: Items = [
        Words(min(frame.x(tick.ns), layout.width - 14), bottom + 18 * text, tick.label, 11 * text, SOFT,
              anchor="middle")
        for tick in frame.ticks()
    ]  # fmt: skip
    below = bottom + 34 * text
    changes = clock_changes(data.start_ns, data.end_ns, data.zone)
    for change in changes:
        x = min(max(frame.x(change.ns), layout.strip_x + 40), layout.width - 66 * text)
        items.append(Words(x, below, change.label, 11 * text, SOFT, anchor="middle"))
    if changes and not layout.titled:  # there is no room for both, and the page says the zone
        return items
    words = f"local time ({data.time_zone})" if data.start_known else "time from the start"
    return [*items, Words(frame.right, below, words, 11 * text, SOFT, anchor="end")]


def _grid(frame: _Frame, top: float, base: float) -> Items:
    span = (frame.data.start_ns, frame.data.end_ns, frame.data.zone)
    hours = [frame.x(tick.ns) for tick in frame.ticks()]
    changes = [frame.x(change.ns) for change in clock_changes(*span)]
    return [
        *(line(at, top, at, base, stroke=FAINT) for at in hours),
        *(line(at, top - 4, at, base + frame.layout.track + 4, stroke=SOFT, dash=(3, 3)) for at in changes),
    ]


def _strip(frame: _Frame, row: np.void, number: int, y: float) -> Items:
    name, layout = str(row["site"]), frame.layout
    x, right, text = layout.strip_x, frame.right, layout.text
    top = y + layout.header
    base = top + frame.bar
    bins = frame.data.bins[frame.data.bins["site"] == name]
    scale = frame.scale(bins)
    items: Items = [
        *_badge(x + 8 * text, y + 9 * text, number, layout),
        Words(x + 24 * text, y + 14 * text, site(name).label, 14 * text, INK, bold=True),
        Words(right, y + 14 * text, rate_words(row), 13 * text, INK, bold=True, anchor="end"),
    ]
    if layout.more:
        words = f"{valid_words(row, frame.data)}; {limit_words(row)}"
        items.append(Words(x + 24, y + 29, words, 11, SOFT))
    items += _grid(frame, top, base)
    if row["valid_s"] > 0:
        items.append(Words(x - 6, top + 9 * text, f"{scale.top:,g}", 10 * text, SOFT, anchor="end"))
        if frame.bar >= 18:
            items.append(Words(x - 6, base, "0", 10 * text, SOFT, anchor="end"))
    for each in bins:
        items += _bin(frame, scale, each, top, base)
    items.append(line(x, base, right, base, stroke=EDGE, width=0.8))
    return items + _track(frame, name, base + 2)


def _bin(frame: _Frame, scale: Scale, each: np.void, top: float, base: float) -> Items:
    start_ns = int(each["bin_start_ns"])
    data = frame.data
    x0 = frame.x(max(start_ns, data.start_ns))
    x1 = frame.x(min(start_ns + float(each["bin_s"]) * 1e9, data.end_ns))
    at = time_words(start_ns, data.start_ns, data.end_ns, data.zone, start_known=data.start_known)
    hatch = HATCHES.get(State(int(each["state"])))
    if hatch:
        return [rect(x0, top, x1 - x0, base - top, hatch=hatch, title=f"{at} {rate_words(each)}")]
    words = f"{at} {rate_words(each)}, {duration_words(float(each['valid_s']))} valid"
    tall = scale.share(float(each["rate_per_h"])) * (base - top)
    if not tall:
        return []
    colour = BAR if each["valid_s"] >= LITTLE * each["bin_s"] else PALE_BAR
    edge = min(0.5, (x1 - x0) * 0.1)
    bar = rect(x0 + edge, base - tall, x1 - x0 - 2 * edge, tall, fill=colour, title=words)
    if each["rate_per_h"] <= scale.top:
        return [bar]
    cut = min(_CUT, (base - top) / 4)
    return [bar, line(x0, top + 2 * cut, x1, top + cut, stroke="#ffffff", width=cut / 2)]


def _track(frame: _Frame, name: str, y: float) -> Items:
    """Draw the valid time as a line under the bars, to the pixel: what most of each pixel's time was."""
    data, layout = frame.data, frame.layout
    cover = data.coverage[data.coverage["site"] == name]
    is_valid = cover["kind"] == Kind.VALID
    groups = (
        is_valid & ~cover["wear_unconfirmed"],
        is_valid & cover["wear_unconfirmed"],
        cover["kind"] == Kind.NOT_WORN,
    )
    edges_s = np.linspace(0, data.night_s, round(layout.strip_width) + 1)
    seconds = np.array([seconds_in(cover[group], edges_s) for group in groups])
    other = np.diff(edges_s) - seconds.sum(axis=0)
    kinds = np.argmax(np.vstack([seconds, other]), axis=0)
    starts = np.flatnonzero(np.diff(kinds, prepend=-1))
    styles = ({"fill": layout.valid}, {"fill": layout.unconfirmed}, {"hatch": "dots"}, {"hatch": "lines"})
    return [
        rect(layout.strip_x + a, y, b - a, layout.track, **styles[kinds[a]])
        for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(kinds)], strict=True)
    ]
