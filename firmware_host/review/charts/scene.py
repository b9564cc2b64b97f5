"""A picture as a list of paths and texts, and its two ways out: SVG written here, PNG through matplotlib.

Coordinates are pixels from the top left corner. The same scene gives the same bytes of SVG every time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

from firmware_host.errors import MissingExtraError

Point = tuple[float, float]
Hatch = Literal["lines", "dots"]
HATCH_COLOUR = "#9aa7b1"
HATCH_STEP = 6.0


@dataclass(frozen=True)
class Shape:
    """A path of cubic Bezier curves: a start, then three points a curve."""

    start: Point
    curves: tuple[tuple[Point, Point, Point], ...]
    closed: bool = True
    fill: str | None = None
    stroke: str | None = None
    width: float = 1.0
    dash: tuple[float, float] | None = None
    hatch: Hatch | None = None
    title: str = ""
    """What a screen reader says and a pointer shows."""
    site: str = ""
    """The body site that the shape stands for."""

    def points(self) -> list[Point]:
        """Return the points that the path goes through."""
        return [self.start, *(end for _, _, end in self.curves)]


@dataclass(frozen=True)
class Words:
    """A line of text; `y` is its baseline."""

    x: float
    y: float
    text: str
    size: float = 12.0
    fill: str = "#22313c"
    bold: bool = False
    anchor: Literal["start", "middle", "end"] = "start"


@dataclass(frozen=True)
class Scene:
    """A picture with its title and its description in words."""

    width: float
    height: float
    title: str
    description: str
    items: tuple[Shape | Words, ...]
    background: str = "#ffffff"


def polygon(points: Sequence[Point], *, closed: bool = True, **style: Any) -> Shape:  # noqa: ANN401
    """Return straight lines through the points."""
    return Shape(points[0], tuple((a, b, b) for a, b in pairwise(points)), closed, **style)


def rect(x: float, y: float, width: float, height: float, /, **style: Any) -> Shape:  # noqa: ANN401
    """Return a rectangle."""
    return polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], **style)


def line(x1: float, y1: float, x2: float, y2: float, **style: Any) -> Shape:  # noqa: ANN401
    """Return a straight line."""
    return polygon([(x1, y1), (x2, y2)], closed=False, **style)


def smooth(points: Sequence[Point], *, closed: bool = True, **style: Any) -> Shape:  # noqa: ANN401
    """Return a curve through the points (Catmull-Rom spline, written as Bezier curves)."""
    n = len(points)
    last = n if closed else n - 1

    def at(index: int) -> Point:
        return points[index % n] if closed else points[min(max(index, 0), n - 1)]

    curves = []
    for i in range(last):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (at(i + k) for k in (-1, 0, 1, 2))
        curves.append(
            ((x1 + (x2 - x0) / 6, y1 + (y2 - y0) / 6), (x2 - (x3 - x1) / 6, y2 - (y3 - y1) / 6), (x2, y2))
        )
    return Shape(points[0], tuple(curves), closed, **style)


def circle(x: float, y: float, radius: float, **style: Any) -> Shape:  # noqa: ANN401
    """Return a circle of four Bezier curves (control points at 0.5523 of the radius)."""
    r, k = radius, 0.5523 * radius
    corners = [(x + r, y), (x, y + r), (x - r, y), (x, y - r)]
    pulls = [(0.0, k), (-k, 0.0), (0.0, -k), (k, 0.0)]
    curves = []
    for i in range(4):
        (ax, ay), (bx, by) = corners[i], corners[(i + 1) % 4]
        (px, py), (qx, qy) = pulls[i], pulls[(i + 1) % 4]
        curves.append(((ax + px, ay + py), (bx - qx, by - qy), (bx, by)))
    return Shape(corners[0], tuple(curves), **style)


def moved(shape: Shape, x: float, y: float, scale: float, *, mirror: bool = False) -> Shape:
    """Return the shape scaled, mirrored at its own x = 0 if asked, and moved to (x, y)."""
    sign = -scale if mirror else scale

    def to(point: Point) -> Point:
        return (x + sign * point[0], y + scale * point[1])

    return replace(
        shape, start=to(shape.start), curves=tuple((to(a), to(b), to(c)) for a, b, c in shape.curves)
    )


def to_svg(scene: Scene, *, inside: str = "") -> str:
    """Return the scene as an SVG document that stands alone.

    `inside` is a name for a picture that goes into a page: one picture to a screen reader, and its patterns
    are its own.
    """
    size = f'width="{scene.width:g}" height="{scene.height:g}" viewBox="0 0 {scene.width:g} {scene.height:g}"'
    role = f'role="img" aria-label={quoteattr(printable(scene.title))}' if inside else 'role="group"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {role} font-family="{_FONTS}">',
        f"<title>{_plain(scene.title)}</title>",
        f"<desc>{_plain(scene.description)}</desc>",
        _PATTERNS,
        f'<rect width="100%" height="100%" fill="{scene.background}"/>',
        *(_shape_svg(item) if isinstance(item, Shape) else _words_svg(item) for item in scene.items),
        "</svg>",
    ]
    drawn = "\n".join(lines) + "\n"
    if not inside:
        return drawn
    return re.sub(
        r'(id="|url\(#)hatch-', rf"\1{inside}-hatch-", drawn.replace(' role="img"><title>', "><title>")
    )


_DEJAVU = 0.93
"""matplotlib's own font is wider than those of a browser; this much smaller it takes the same room."""
_FONTS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_TILE = f'width="{HATCH_STEP:g}" height="{HATCH_STEP:g}" patternUnits="userSpaceOnUse"'
_PATTERNS = (
    f'<defs><pattern id="hatch-lines" {_TILE}>'
    f'<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="{HATCH_COLOUR}" stroke-width="0.8"/></pattern>'
    f'<pattern id="hatch-dots" {_TILE}>'
    f'<circle cx="3" cy="3" r="0.9" fill="{HATCH_COLOUR}"/></pattern></defs>'
)


def _plain(text: str) -> str:
    return escape(printable(text))


def printable(text: str) -> str:
    """Return the text without control characters, which XML does not allow."""
    return "".join(c if c.isprintable() else " " for c in text)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0").replace("-0.0", "0")


def path_of(shape: Shape) -> str:
    """Return a shape as the `d` of an SVG path."""
    parts = [f"M{_n(shape.start[0])} {_n(shape.start[1])}"]
    at = shape.start
    for a, b, end in shape.curves:
        if a == at and b == end:
            parts.append(f"L{_n(end[0])} {_n(end[1])}")
        else:
            parts.append("C" + " ".join(f"{_n(x)} {_n(y)}" for x, y in (a, b, end)))
        at = end
    return "".join(parts) + ("Z" if shape.closed else "")


def _shape_svg(shape: Shape) -> str:
    style = f'fill="{shape.fill or "none"}"'
    if shape.stroke:
        style += f' stroke="{shape.stroke}" stroke-width="{shape.width:g}" stroke-linejoin="round"'
        if shape.dash:
            style += f' stroke-dasharray="{shape.dash[0]:g} {shape.dash[1]:g}"'
    if shape.site:
        style += f" data-site={quoteattr(shape.site)}"
    path = path_of(shape)
    drawn = f'<path d="{path}" {style}'
    role = ' role="img"' if shape.site else ""
    drawn += f"{role}><title>{_plain(shape.title)}</title></path>" if shape.title else "/>"
    if shape.hatch:
        drawn += f'<path d="{path}" fill="url(#hatch-{shape.hatch})" pointer-events="none"/>'
    return drawn


def _words_svg(words: Words) -> str:
    style = f'x="{_n(words.x)}" y="{_n(words.y)}" font-size="{words.size:g}" fill="{words.fill}"'
    style += ' font-weight="600"' if words.bold else ""
    style += f' text-anchor="{words.anchor}"' if words.anchor != "start" else ""
    return f"<text {style}>{_plain(words.text)}</text>"


def to_png(scene: Scene, scale: float = 2.0) -> bytes:
    """Return the scene as a PNG of `scale` pixels a unit.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            'A PNG needs matplotlib: pip install "twitchmap[plots]". --svg FILE makes the picture without it.'
        ) from None
    figure = Figure(figsize=(scene.width / 72, scene.height / 72), dpi=72 * scale, facecolor=scene.background)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.axis("off")
    for order, item in enumerate(scene.items):
        if isinstance(item, Shape):
            _draw_shape(axes, item, order)
        else:
            axes.text(
                item.x, item.y, printable(item.text), fontsize=_DEJAVU * item.size, color=item.fill,
                weight="bold" if item.bold else "normal", zorder=order, parse_math=False,
                ha={"start": "left", "middle": "center", "end": "right"}[item.anchor], va="baseline",
            )  # fmt: skip
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _draw_shape(axes: Any, shape: Shape, order: int) -> None:  # noqa: ANN401
    from matplotlib.collections import EllipseCollection, LineCollection
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    points = [shape.start, *(point for curve in shape.curves for point in curve)]
    codes = [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1)
    if shape.closed:
        points, codes = [*points, shape.start], [*codes, Path.CLOSEPOLY]
    patch = PathPatch(
        Path(points, codes), facecolor=shape.fill or "none", edgecolor=shape.stroke or "none",
        linewidth=shape.width, joinstyle="round", zorder=order,
        linestyle=(0, [n / shape.width for n in shape.dash]) if shape.dash else "solid",
    )  # fmt: skip
    axes.add_patch(patch)
    if not shape.hatch:
        return
    xs, ys = zip(*shape.points(), strict=True)
    if shape.hatch == "lines":
        low, high = _steps(min(xs) + min(ys)), _steps(max(xs) + max(ys))
        diagonals = [[(k * HATCH_STEP - y, y) for y in (min(ys), max(ys))] for k in range(low, high + 1)]
        marks: Any = LineCollection(diagonals, colors=HATCH_COLOUR, linewidths=0.8, zorder=order)
    else:
        columns, rows = (range(_steps(min(at)), _steps(max(at)) + 1) for at in (xs, ys))
        centres = [((c + 0.5) * HATCH_STEP, (r + 0.5) * HATCH_STEP) for c in columns for r in rows]
        size = [1.8] * len(centres)
        marks = EllipseCollection(
            size, size, [0] * len(centres), units="xy", offsets=centres, transOffset=axes.transData,
            facecolors=HATCH_COLOUR, zorder=order,
        )  # fmt: skip
    axes.add_collection(marks, autolim=False)
    marks.set_clip_path(patch)


def _steps(at: float) -> int:
    return int(at // HATCH_STEP)
