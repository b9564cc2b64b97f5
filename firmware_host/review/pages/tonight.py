"""The page of the evening: set-up, check, start, how it goes, marks, stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.body import SITES, Region, Site, View
from firmware_host.review.charts.body_figure import HALF_WIDTH, HEIGHT, regions, silhouette
from firmware_host.review.charts.scene import path_of
from firmware_host.review.pages import Context, page

WIDTH = 2 * HALF_WIDTH + 8
REGIONS: tuple[Region, ...] = ("bulbar", "cervical", "thoracic", "lumbosacral")
VIEWS: tuple[View, ...] = ("front", "back")


@page("/tonight", order=10)
def tonight(context: Context) -> Mapping[str, Any]:
    """Return the sites to choose from, as a list and as two figures."""
    return {
        "folder": context.folder.resolve(),
        "width": WIDTH,
        "height": HEIGHT + 8,
        "figures": [_figure(view) for view in VIEWS],
        "regions": [(region, _pairs(region)) for region in REGIONS],
    }


def _figure(view: View) -> dict[str, Any]:
    x, y = WIDTH / 2, 4.0
    found = regions(view, x, y, 1.0)
    return {
        "view": view,
        "outline": path_of(silhouette(x, y, 1.0)),
        "regions": [
            {"site": name, "label": SITES[name].label, "d": path_of(shape)} for name, shape in found.items()
        ],
    }


def _pairs(region: Region) -> list[Site]:
    return [site for site in SITES.values() if site.region == region]
