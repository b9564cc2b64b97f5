"""What the server has open of nights: read once and kept for the requests that follow, until it changes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from firmware_host.analysis import Run, Summary, load_run, run_counts, runs_of, summary_of
from firmware_host.analysis.run_summary import with_limits
from firmware_host.recording import Night, RunInfo, known_meta, open_night
from firmware_host.recording.labels import LABELS_FILE
from firmware_host.recording.night import META_FILE
from firmware_host.recording.reader import LOG_FILE
from firmware_host.recording.results import RESULTS_FILE, ResultsStore
from firmware_host.review.charts.page_figure import figure
from firmware_host.review.endpoints import Context
from firmware_host.review.judged import Judged, without_log
from firmware_host.review.kept import Kept, stamps
from firmware_host.review.layout import prepare
from firmware_host.twitches import COVERAGE_COLUMNS, EVENT_COLUMNS, EVENT_DTYPE, Table, table

COUNTED_BY = {"site", "peak_s", "peak_to_peak_mg", "probability"}
"""Columns of events that counts and rates are made of, besides `counted`."""
GROWN_AFTER_S = 10.0
"""A night that is being recorded is looked at anew so often."""


class Opened:
    """The nights, runs and counts that requests share, one a server; see `opened_of`."""

    def __init__(self, folder: Path) -> None:
        self.judged = Judged(folder)
        self._nights, self._runs, self._briefs, self._counts = Kept(4), Kept(3), Kept(4), Kept(24)

    def night(self, path: Path) -> Night:
        """Return a night, read again when its log or metadata have changed; raises as `open_night`."""
        state = stamps(path, META_FILE, LOG_FILE)
        return self._nights.get(path, _growing(state), lambda: _opened(path))

    def run(self, path: Path, run_id: str | None = None) -> Run:
        """Return a run of a night as `load_run`, without reading the log."""
        run_id = _unless_newest(path, run_id)
        if run_id is None:
            return self.judged.night(path).run
        state = stamps(path, META_FILE, RESULTS_FILE, LABELS_FILE)
        return self._runs.get((path, run_id), state, lambda: load_run(without_log(path), run_id))

    def summary(self, path: Path, run_id: str | None = None) -> tuple[RunInfo, Summary]:
        """Return what made a run and its summary, without its events; raises as `load_run`."""
        if known_meta(path).history:  # sites may have other names since
            run = self.brief(path, run_id)
            return run.info, run.summary
        info = ResultsStore(path).run(run_id)
        return info, summary_of(info)

    def brief(self, path: Path, run_id: str | None = None) -> Run:
        """Return a run with only the events that count, and of them only what counting asks for.

        Of 100,000 events that takes half the time; where a reviewer has said something it is the whole run.
        """
        run_id = _unless_newest(path, run_id)
        state = stamps(path, META_FILE, RESULTS_FILE, LABELS_FILE)
        return self._briefs.get((path, run_id), state, lambda: self._brief(path, run_id))

    def _brief(self, path: Path, run_id: str | None) -> Run:
        return self.run(path, run_id) if _said_of(path) else brief_run(path, run_id)

    def counts(self, path: Path, bin_s: float | None, run_id: str | None = None) -> Table:
        """Return the counts of a run (`COUNT_DTYPE`); None makes one bin of the whole night."""
        run = self.brief(path, run_id)
        # The run is kept with its counts: else another could get its identity.
        return self._counts.get((path, run_id, bin_s), id(run), lambda: (run, run_counts(run, bin_s)))[1]


def brief_run(path: Path, run_id: str | None = None) -> Run:
    """Return a run with only the events that count, and of them only what counting asks for.

    Where a reviewer has said something it is the whole run. Raises as `load_run`.
    """
    if _said_of(path):
        return load_run(without_log(path), run_id)
    store = ResultsStore(path)
    info = store.run(run_id)
    columns = [column for column in EVENT_COLUMNS if column.name in COUNTED_BY]
    read = store.read_events(info.run_id, columns, only="counted")
    known = {column.name: read[column.name] for column in columns}
    events = table(EVENT_DTYPE, len(read), counted=True, **known)
    coverage = store.read_coverage(info.run_id, COVERAGE_COLUMNS)
    return Run(info, events, coverage, with_limits(summary_of(info), coverage))


def _unless_newest(path: Path, run_id: str | None) -> str | None:
    """Return None for the newest complete run, whoever names it: it is kept once."""
    runs = runs_of(path) if run_id is not None else []
    return None if runs and runs[-1].run_id == run_id else run_id


def _said_of(path: Path) -> bool:
    """Tell whether somebody has labelled or amended a night."""
    return bool(known_meta(path).history) or (path / LABELS_FILE).exists()


def opened_of(context: Context) -> Opened:
    """Return what the server has open; runs with labels are those of the requests about labels."""
    opened = context.shared(Opened)
    opened.judged = context.shared(Judged)
    return opened


def _growing(state: list[Any]) -> list[Any]:
    """Return a state that stays the same for a while as long as the log grows: to read it takes time."""
    now_s = time.time()
    grows = state[-1] is not None and now_s - state[-1][0] / 1e9 < GROWN_AFTER_S
    return [*state[:-1], int(now_s // GROWN_AFTER_S)] if grows else state


def warm_up() -> None:
    """Import what the first picture of a night would have to wait for; it takes a tenth of a second."""
    import scipy.special  # noqa: F401

    figure(())
    for page in ("night", "correct"):
        prepare(page)


def warm_up_more() -> None:
    """Import what the first waves of an event would have to wait for: half a second, when nobody waits."""
    import firmware_host.detection.band  # noqa: F401


def _opened(path: Path) -> Night:
    night = open_night(path)
    _ = night.end_ns  # fits the clocks of all sensors: the first to ask waits, not the first to zoom
    return night
