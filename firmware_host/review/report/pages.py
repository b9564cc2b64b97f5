"""The report as HTML: one file that needs nothing else, to be read, printed, or made into a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from markupsafe import Markup

from firmware_host.review.charts.layouts import PAPER
from firmware_host.review.charts.map_data import MapData
from firmware_host.review.charts.night_map import night_map
from firmware_host.review.charts.scene import to_svg
from firmware_host.review.charts.trend_chart import Dot, trend_chart
from firmware_host.review.layout import STATIC, filled
from firmware_host.review.report import words
from firmware_host.review.report.night_report import NightReport
from firmware_host.review.report.nights_report import NightsReport, SiteTrend
from firmware_host.review.texts import t

Paper = Literal["a4", "letter"]


@dataclass(frozen=True)
class Sheet:
    """A night and its picture, an SVG."""

    night: NightReport
    picture: str


def sheet(night: NightReport, data: MapData, number: int) -> Sheet:
    """Return a night with its picture; `number` tells the pictures of a report apart."""
    return Sheet(night, to_svg(night_map(data, PAPER), inside=f"night-{number}"))


def report_html(
    sheets: Sequence[Sheet],
    together: NightsReport | None,
    *,
    kept_back: int = 0,
    failed: int = 0,
    paper: Paper | None = None,
) -> str:
    """Return the report.

    Parameters
    ----------
    together
        The nights together, where there are several.
    kept_back
        So many nights are left out, as their counts are not shown yet.
    failed
        So many are left out, as they could not be read or have no run.
    paper
        Size of the sheets; None leaves it to whoever prints.
    """
    nights = [one.night for one in sheets]
    title = nights[0].title if together is None else t("report.title_nights", n=len(nights))
    return filled(
        "report.html",
        {
            "title": f"{title} - {t('report.title')}",
            "style": Markup((STATIC / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
            "paper": paper,
            "nights": [(one.night, Markup(one.picture)) for one in sheets],  # noqa: S704 - scenes escape texts
            "together": together,
            "limits": {one.site: one.limit_mg for one in together.trends} if together else {},
            "charts": [Markup(_chart(one)) for one in together.trends] if together else [],  # noqa: S704
            "written": any(words.diary_levels(night.diary) for night in nights),
            "kept_back": kept_back,
            "failed": failed,
            "w": words,
        },
    )


def _chart(one: SiteTrend) -> str:
    dots = [
        Dot(
            date.fromisoformat(night.evening), night.rate_per_h, night.rate_low, night.rate_high,
            night.confirmed, night.changed,
        )
        for night in one.nights
    ]  # fmt: skip
    mg = f"{one.limit_mg:.1f}"
    said = t("report.trend_said", site=one.label, n=len(dots), mg=mg)
    scene = trend_chart(one.label, f"per valid hour, {t('report.above', mg=mg)}", said, dots)
    return to_svg(scene, inside=f"trend-{one.site.replace('.', '-')}")
