"""The body figure as a page draws it: outlines, a region for each site, and numbers beside the worn ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from firmware_host.body import SITES, View, order, site
from firmware_host.review.charts import body_figure
from firmware_host.review.charts.scene import path_of

WIDTH, HEIGHT = 500, 506
_SCALE = 0.78
_TOP = 30.0
_X: dict[View, float] = {"front": 128.0, "back": 372.0}
_SPOT_X = 106.0
_APART = 34.0


@dataclass(frozen=True)
class Region:
    """A site's patch on the body."""

    site: str
    label: str
    d: str
    worn: bool = False


@dataclass(frozen=True)
class Spot:
    """The number of a worn site, beside the body, with a line to its region."""

    number: int
    site: str
    x: float
    y: float
    at_x: float
    at_y: float


@dataclass(frozen=True)
class Figure:
    """What a template draws."""

    width: int
    height: int
    views: tuple[tuple[View, float, str], ...]
    """Name, middle and outline."""
    regions: tuple[Region, ...]
    spots: tuple[Spot, ...]


def figure(worn: Sequence[str]) -> Figure:
    """Return the figure with numbers at the worn sites, counted from head to foot."""
    outlines, regions, centres = _body()
    spots: list[Spot] = []
    numbered = list(enumerate(sorted(worn, key=order), 1))
    for view, middle in _X.items():
        for sign in (-1, 1):
            here = [
                (number, name, centres[site(name).base])
                for number, name in numbered
                if site(name).view == view and (centres[site(name).base][0] > middle) == (sign > 0)
            ]
            ys = body_figure.spread([at[1] for _, _, at in here], _APART)
            spots += [
                Spot(number, name, middle + sign * _SPOT_X, y, *at)
                for (number, name, at), y in zip(here, ys, strict=True)
            ]
    bases = {site(name).base for name in worn}
    regions = tuple(replace(region, worn=region.site in bases) for region in regions)
    return Figure(WIDTH, HEIGHT, outlines, regions, tuple(sorted(spots, key=lambda spot: spot.number)))


@cache
def _body() -> tuple[tuple[tuple[View, float, str], ...], tuple[Region, ...], dict[str, tuple[float, float]]]:
    """Return what is the same for every night."""
    outlines, regions, centres = [], [], {}
    for view, x in _X.items():
        outlines.append((view, x, path_of(body_figure.silhouette(x, _TOP, _SCALE))))
        for name, shape in body_figure.regions(view, x, _TOP, _SCALE).items():
            regions.append(Region(name, SITES[name].label, path_of(shape)))
            x_at, y_at = body_figure.centre(shape)
            centres[name] = (round(x_at, 1), round(y_at, 1))
    return tuple(outlines), tuple(regions), centres
