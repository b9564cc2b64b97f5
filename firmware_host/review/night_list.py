"""What the list of nights shows: of each night what its metadata and its newest run say, read once.

The samples are never read for it, so that hundreds of nights are listed at once.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from firmware_host import body
from firmware_host.analysis import Summary, runs_of, summary_of
from firmware_host.analysis.comparing import judge_of
from firmware_host.analysis.run_summary import SiteSummary, with_limits
from firmware_host.analysis.runs import with_rates
from firmware_host.errors import TwitchmapError
from firmware_host.recording import NightMeta, evening_of, known_meta, night_folders, start_and_date
from firmware_host.recording.labels import LABELS_FILE
from firmware_host.recording.night import META_FILE
from firmware_host.recording.reader import LOG_FILE, is_being_written
from firmware_host.recording.results import RESULTS_FILE, ResultsStore, RunInfo
from firmware_host.review.kept import stamps
from firmware_host.review.opened import brief_run
from firmware_host.twitch_map import State
from firmware_host.twitches import COVERAGE_COLUMNS, Kind, Table

WRITTEN_WITHIN_S = 86_400.0
"""A log that has not grown for a day is not being written: its lock need not be tried."""


@dataclass(frozen=True)
class SeenSite:
    """One site's night in brief; the numbers are None where the night has no run."""

    site: str
    label: str
    state: State | None
    valid_s: float | None
    twitches: int | None
    rate_per_h: float | None


@dataclass(frozen=True)
class SeenNight:
    """A night in brief."""

    path: Path
    meta: NightMeta
    start_ns: int
    evening: date | None
    duration_s: float | None
    sites: tuple[SeenSite, ...]
    valid_share: float | None
    runs: int
    judge: str
    """Who counted, in words that are the same for runs that compare; empty without a run."""
    warnings: tuple[str, ...]
    being_written: bool = False
    samples: bool = True
    """Its log is there and holds something."""


class NightsSeen:
    """The nights of a folder, each read again only when its files have changed; one for all requests.

    Parameters
    ----------
    folder
        The folder of nights.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[object, SeenNight | str]] = {}
        self._lock = threading.Lock()

    def nights(self) -> tuple[list[SeenNight], list[str]]:
        """Return the nights, newest first, and a sentence for each that cannot be read."""
        nights, unreadable = [], []
        with self._lock:
            paths = night_folders(self._folder)
            self._seen = {path.name: self._looked_at(path) for path in paths}
            for path in paths:
                seen = self._seen[path.name][1]
                if isinstance(seen, str):
                    unreadable.append(seen)
                else:
                    nights.append(_now(seen))
        nights.sort(key=lambda night: (night.start_ns, night.path.name), reverse=True)
        return nights, sorted(unreadable)

    def _looked_at(self, path: Path) -> tuple[object, SeenNight | str]:
        stamp = stamps(path, META_FILE, RESULTS_FILE, LABELS_FILE)
        known = self._seen.get(path.name)
        if known is not None and known[0] == stamp:
            return known
        try:
            return stamp, _seen(path)
        except (TwitchmapError, OSError) as error:
            sentence = str(error)
            return stamp, sentence if path.name in sentence else f"{path.name}: {sentence}"


def _now(night: SeenNight) -> SeenNight:
    """Return a night with what may have changed without its metadata or results having changed."""
    (log,) = stamps(night.path, LOG_FILE)
    grows = log is not None and time.time() - log[0] / 1e9 < WRITTEN_WITHIN_S and is_being_written(night.path)
    return replace(night, being_written=grows, samples=log is not None and log[1] > 0)


def _seen(path: Path) -> SeenNight:
    meta = known_meta(path)
    problem: tuple[str, ...] = ()
    try:
        runs = runs_of(path)
        newest = _of_run(path, meta, runs[-1]) if runs else None
    except TwitchmapError as error:  # results can be made again: the night is there all the same
        newest, problem = None, (str(error),)
    if newest is None:
        start_ns, evening = start_and_date(path)
        evening = evening if meta.start_known else None
        bare = tuple(
            SeenSite(info.site, body.site(info.site).label, None, None, None, None) for info in meta.sensors
        )
        return SeenNight(path, meta, start_ns, evening, None, bare, None, 0, "", problem)
    summary, coverage = newest
    total_s = sum(sum(site.seconds.values()) for site in summary.sites)
    valid_s = sum(site.seconds.get("valid", 0.0) for site in summary.sites)
    return SeenNight(
        path=path,
        meta=meta,
        start_ns=summary.start_ns,
        evening=evening_of(summary.start_ns, meta.time_zone) if meta.start_known else None,
        duration_s=summary.duration_s,
        sites=tuple(_site(site, coverage) for site in summary.sites),
        valid_share=valid_s / total_s if total_s else None,
        runs=len(runs),
        judge=judge_of(runs[-1]),
        warnings=summary.warnings,
    )


def _of_run(path: Path, meta: NightMeta, info: RunInfo) -> tuple[Summary, Table]:
    """Return summary and coverage of the newest complete run, with what was said of the night since.

    The events, of which there may be a hundred thousand, are read only where somebody corrected something,
    or where the run did not keep the rates that counting them gives.
    """
    summary = summary_of(info)
    kept = all(site.rate_per_h is not None or not site.seconds.get("valid") for site in summary.sites)
    if kept and not meta.history and stamps(path, LABELS_FILE) == [None]:
        coverage = ResultsStore(path).read_coverage(info.run_id, COVERAGE_COLUMNS)
        if with_limits(summary, coverage) == summary:  # an earlier program's rates are above other limits
            return summary, coverage
    run = with_rates(brief_run(path, info.run_id))
    return run.summary, run.coverage


def _site(site: SiteSummary, coverage: Table) -> SeenSite:
    """Return one site's night; what it says of the whole night follows `twitch_map`."""
    valid_s = site.seconds.get("valid", 0.0)
    doubted = coverage[
        (coverage["site"] == site.site) & (coverage["kind"] == Kind.VALID) & coverage["wear_unconfirmed"]
    ]
    doubted_s = float((doubted["end_s"] - doubted["start_s"]).sum())
    if valid_s > 0:
        state = State.OBSERVED if valid_s > 2 * doubted_s else State.WEAR_UNCONFIRMED
    else:
        worn = site.seconds.get("not_worn", 0.0) <= sum(site.seconds.values()) / 2
        state = State.NOT_OBSERVED if worn else State.NOT_WORN
    label = body.site(site.site).label
    return SeenSite(site.site, label, state, valid_s, site.twitches, site.rate_per_h)
