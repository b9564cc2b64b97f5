"""The body figure, front and back, drawn by us: a silhouette, and in it a region for every body site.

The half of a figure right of its midline (x = 0) is drawn, 600 units high; the other is its mirror image. A
part of the body is a pair of edges, an inner and an outer one, of equally many points from top to bottom. A
region is a rounded patch between them: `u` runs from the inner (0) to the outer edge (1), `v` from point to
point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from firmware_host.body import SITES, View
from firmware_host.review.charts.scene import Point, Shape, moved, smooth

HEIGHT = 600.0
HALF_WIDTH = 120.0
_CORNER = 0.55
"""Exponent of a region's superellipse: 1 is a diamond, 0 a rectangle."""

# The outline of the half figure, from the crown around the shoulder, arm, leg and back up to the crotch.
_OUTLINE: tuple[Point, ...] = (
    (0, 8), (16, 11), (28, 23), (32, 40), (35, 43), (36, 51), (33, 58), (30.5, 61), (26, 73), (19, 83),
    (17, 94), (18, 107), (25, 116), (42, 123), (60, 129), (73, 139), (80, 156), (83, 178), (86, 200),
    (88, 218), (92, 236), (98, 256), (103, 277), (106, 297), (110, 311), (113, 328), (110.5, 346),
    (105, 355), (99, 349), (95.5, 338), (94, 331), (91, 337), (87, 339), (85.5, 333), (87, 321),
    (91, 309), (92, 297), (87, 278), (81, 259), (75, 240), (71, 222), (68, 203), (64, 184), (59, 168),
    (56, 184), (54, 204), (51, 224), (50, 240), (51.5, 258), (55, 278), (59, 300), (61, 324), (60, 350),
    (57, 378), (52, 408), (47, 434), (45, 450), (46.5, 468), (48, 488), (46, 510), (41, 535), (36, 560),
    (35, 574), (40, 584), (45, 592), (42, 598), (32, 600), (23, 598), (20, 590), (21, 576), (20, 560),
    (18, 535), (15, 510), (14, 490), (16, 468), (18, 450), (16, 434), (12, 408), (8, 378), (4.5, 350),
    (2, 328), (0, 318),
)  # fmt: skip

# The edges of the parts; an inner edge that is missing here is the midline.
_HEAD_OUTER: tuple[Point, ...] = (
    (0, 8), (16, 11), (28, 24), (32, 44), (30.5, 60), (26, 73), (19, 83), (8, 91),
)  # fmt: skip
_NECK_OUTER: tuple[Point, ...] = ((17, 92), (17.5, 104), (22, 114), (40, 123))
_TORSO_OUTER: tuple[Point, ...] = (
    (38, 122), (52, 128), (57, 148), (58, 168), (56, 184), (54, 204), (51, 224), (50, 240), (51.5, 258),
    (55, 278), (59, 300), (61, 318),
)  # fmt: skip
_ARM_INNER: tuple[Point, ...] = (
    (50, 132), (54, 148), (60, 168), (64, 184), (68, 203), (71, 222), (75, 240), (81, 259), (87, 278),
    (92, 297), (92, 311), (94, 330), (98, 347), (103, 353),
)  # fmt: skip
_ARM_OUTER: tuple[Point, ...] = (
    (60, 129), (76, 145), (82, 166), (84, 182), (86, 200), (88, 218), (92, 236), (98, 256), (103, 277),
    (106, 297), (110, 311), (113, 328), (110, 345), (105, 353),
)  # fmt: skip
_LEG_INNER: tuple[Point, ...] = (
    (1, 322), (4.5, 350), (8, 378), (12, 408), (16, 434), (18, 450), (16, 468), (14, 490), (15, 510),
    (18, 535), (20, 560), (21, 576), (20, 590), (23, 598),
)  # fmt: skip
_LEG_OUTER: tuple[Point, ...] = (
    (61, 308), (60, 350), (57, 378), (52, 408), (47, 434), (45, 450), (46.5, 468), (48, 488), (46, 510),
    (41, 535), (36, 560), (35, 574), (45, 592), (42, 598),
)  # fmt: skip


def _midline(edge: Sequence[Point]) -> tuple[Point, ...]:
    return tuple((0.0, y) for _, y in edge)


_PARTS: dict[str, tuple[Sequence[Point], Sequence[Point]]] = {
    "head": (_midline(_HEAD_OUTER), _HEAD_OUTER),
    "neck": (_midline(_NECK_OUTER), _NECK_OUTER),
    "torso": (_midline(_TORSO_OUTER), _TORSO_OUTER),
    "arm": (_ARM_INNER, _ARM_OUTER),
    "leg": (_LEG_INNER, _LEG_OUTER),
}

# place: part, u from and to, v from and to
_REGIONS: dict[str, tuple[str, float, float, float, float]] = {
    "face": ("head", 0.06, 0.90, 2.5, 4.6),
    "jaw": ("head", 0.07, 0.92, 4.8, 6.6),
    "tongue": ("neck", 0.08, 0.86, 0.10, 1.0),
    "neck": ("neck", 0.08, 0.88, 1.2, 2.75),
    "chest": ("torso", 0.05, 0.90, 0.75, 3.3),
    "ribs": ("torso", 0.05, 0.93, 3.5, 5.6),
    "abdomen": ("torso", 0.05, 0.92, 5.8, 9.6),
    "shoulder": ("arm", 0.05, 0.92, 0.25, 2.0),
    "upper_arm": ("arm", 0.08, 0.92, 2.25, 5.0),
    "forearm": ("arm", 0.08, 0.92, 5.7, 8.7),
    "hand": ("arm", 0.08, 0.92, 9.4, 12.5),
    "thigh": ("leg", 0.42, 0.95, 0.35, 3.6),
    "inner_thigh": ("leg", 0.08, 0.38, 0.5, 3.6),
    "shin": ("leg", 0.10, 0.90, 5.9, 9.2),
    "foot": ("leg", 0.08, 0.92, 11.1, 12.8),
    "neck_back": ("neck", 0.08, 0.88, 0.30, 2.6),
    "shoulder_back": ("arm", 0.05, 0.92, 0.25, 2.0),
    "shoulder_blade": ("torso", 0.36, 0.92, 0.85, 3.3),
    "upper_back": ("torso", 0.05, 0.31, 0.55, 5.5),
    "ribs_back": ("torso", 0.36, 0.93, 3.5, 5.5),
    "lower_back": ("torso", 0.05, 0.92, 5.75, 8.3),
    "gluteal": ("torso", 0.05, 0.93, 8.55, 10.9),
    "upper_arm_back": ("arm", 0.08, 0.92, 2.25, 5.0),
    "forearm_back": ("arm", 0.08, 0.92, 5.7, 8.7),
    "hand_back": ("arm", 0.08, 0.92, 9.4, 12.5),
    "thigh_back": ("leg", 0.08, 0.94, 0.75, 3.7),
    "calf": ("leg", 0.08, 0.93, 5.6, 9.0),
    "sole": ("leg", 0.10, 0.90, 11.3, 12.9),
}


def silhouette(x: float, y: float, scale: float) -> Shape:
    """Return the outline of the whole figure; its midline stands at x, its crown's level at y."""
    points = [*_OUTLINE, *((-px, py) for px, py in reversed(_OUTLINE[1:-1]))]
    return moved(smooth(points), x, y, scale)


def regions(view: View, x: float, y: float, scale: float) -> dict[str, Shape]:
    """Return the regions of all sites of a view, by site.

    Left is the person's own in both views: seen from the front it is on the right, from the back on the left.
    """
    return {
        name: moved(
            _region(name.removeprefix(f"{each.side}_")),
            x,
            y,
            scale,
            mirror=(each.side == "left") == (view == "back"),
        )
        for name, each in SITES.items()
        if each.view == view
    }


def _region(place: str) -> Shape:
    part, u0, u1, v0, v1 = _REGIONS[place]
    inner, outer = _PARTS[part]
    points = []
    for k in range(20):
        c, s = math.cos(math.tau * k / 20), math.sin(math.tau * k / 20)
        u = (u0 + u1) / 2 + (u1 - u0) / 2 * math.copysign(abs(c) ** _CORNER, c)
        v = (v0 + v1) / 2 + (v1 - v0) / 2 * math.copysign(abs(s) ** _CORNER, s)
        (ax, ay), (bx, by) = _on(inner, v), _on(outer, v)
        points.append((ax + u * (bx - ax), ay + u * (by - ay)))
    return smooth(points)


def _on(edge: Sequence[Point], v: float) -> Point:
    """Return the point of an edge between its points number floor(v) and the next."""
    i = min(int(v), len(edge) - 2)
    (ax, ay), (bx, by) = edge[i], edge[i + 1]
    return (ax + (v - i) * (bx - ax), ay + (v - i) * (by - ay))


def centre(region: Shape) -> Point:
    """Return the middle of a region, where its number is written."""
    xs, ys = zip(*region.points()[:-1], strict=True)
    return (sum(xs) / len(xs), sum(ys) / len(ys))


def spread(ys: Sequence[float], least: float) -> list[float]:
    """Return heights near the given ones, in the same order, that lie at least so far apart."""
    out = [0.0] * len(ys)
    lowest = -math.inf
    for i in sorted(range(len(ys)), key=lambda i: ys[i]):
        out[i] = lowest = max(ys[i], lowest + least)
    return out
