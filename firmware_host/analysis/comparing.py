"""Stored nights brought side by side: what the comparison of nights and sites is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from firmware_host.analysis.runs import Run, load_run
from firmware_host.errors import NotFoundError
from firmware_host.recording import Night, RunInfo, open_night
from firmware_host.recording.night import evening_of
from firmware_host.twitch_map import inside
from firmware_host.twitch_map.comparison import Comparison, SiteNight, Trend, compare, trend
from firmware_host.twitches import Kind


def judge_of(info: RunInfo) -> str:
    """Return who judged a run, in words that are the same for runs that may stand in one table."""
    return (
        f"{info.detector}, {info.model} ({info.model_sha256[:8]}), {info.operating_point}, pass {info.passes}"
    )


def site_night(night: Night, run: Run, site: str) -> SiteNight:
    """Return one site of a night as it is compared.

    Raises
    ------
    NotFoundError
        If the night has no such site.
    """
    if site not in night.sites:
        raise NotFoundError(
            f"{night.path.name} has no site {site!r}; its sites are {', '.join(night.sites)}."
        )
    info = night.meta.sensor(site)
    cover = run.coverage[(run.coverage["site"] == site) & (run.coverage["kind"] == Kind.VALID)]
    events = run.counted[run.counted["site"] == site]
    return SiteNight(
        night=night.path.name,
        date=evening_of(night.start_ns, night.meta.time_zone).isoformat(),
        participant=night.meta.participant,
        origin=night.meta.origin,
        site=site,
        placement=info.placement,
        sensor=" ".join(part for part in (info.model, info.serial) if part),
        judge=judge_of(run.info),
        valid_h=float(np.sum(cover["end_s"] - cover["start_s"])) / 3600,
        events=events[inside(events["peak_s"], cover)],
        limit=run.limits.get(site),
        rate_model=run.rate_model,
    )


def site_nights(paths: Sequence[Path], site: str) -> list[SiteNight]:
    """Return one site of several stored nights, each by its newest complete run.

    Raises
    ------
    NotFoundError
        If a night is not there, has no run, or has no such site.
    """
    nights = [open_night(path) for path in paths]
    return [site_night(night, load_run(night), site) for night in nights]


def compare_nights(
    first: Sequence[Path], second: Sequence[Path], site: str, other_site: str | None = None
) -> Comparison:
    """Compare a site in two groups of nights, or two sites: `other_site` in the second group.

    The same nights may stand on both sides if the sites differ; raises as `site_nights` and
    `twitch_map.comparison.compare`.
    """
    return compare(site_nights(first, site), site_nights(second, other_site or site))


def trend_of(paths: Sequence[Path], site: str) -> Trend:
    """Return a site night after night; raises as `site_nights` and `twitch_map.comparison.trend`."""
    return trend(site_nights(paths, site))
