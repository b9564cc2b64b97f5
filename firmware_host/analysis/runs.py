"""Detection runs: made, stored beside the night, and read back."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

import firmware_host
from firmware_host.analysis.findings import (
    Findings,
    Progress,
    SiteFacts,
    events_of,
    find_candidates,
    row_columns,
)
from firmware_host.analysis.labelled import labelled, said_of, site_slices
from firmware_host.analysis.models import (
    DEFAULT_POINT,
    current_model,
    load_model,
    load_rates,
    renamed_since,
    settings_of,
    stored_settings,
)
from firmware_host.analysis.run_summary import SiteSummary, Summary, seconds_by_kind, summary_of, with_limits
from firmware_host.analysis.stored_units import STORED_UNIT_COLUMNS, no_units, read_units, stored_units
from firmware_host.errors import BadFileError
from firmware_host.recording import Night, ResultsStore, RunInfo, open_night
from firmware_host.recording.labels import Labels, read_labels
from firmware_host.recording.results import damaged
from firmware_host.twitch_map import RateModel, SiteLimit, site_counts
from firmware_host.twitches import (
    COVERAGE_COLUMNS,
    EVENT_COLUMNS,
    UNIT_WAVE_HZ,
    Flag,
    Table,
    check_coverage,
    check_events,
)

if TYPE_CHECKING:  # detection brings scipy, which lists and pages can do without
    from firmware_host.detection.classifier import Model


@dataclass(frozen=True)
class Run:
    """One detection run over a night: its events (`EVENT_DTYPE`), coverage (`COVERAGE_DTYPE`) and summary.

    `units` (`UNIT_DTYPE`) are those that pass 2 told apart, as it left them (`units_of` follows the labels),
    none in a run of pass 1; `templates` (units, 3, UNIT_SAMPLES) float32 their mean waves in mg, on a grid
    of `UNIT_WAVE_HZ`.
    """

    info: RunInfo
    events: Table
    coverage: Table
    summary: Summary
    labels: Labels = field(default_factory=Labels)
    """What a reviewer said of the night; events, coverage and summary follow it."""
    units: Table = field(default_factory=lambda: no_units()[0])
    templates: npt.NDArray[np.float32] = field(default_factory=lambda: no_units()[1])

    @property
    def limits(self) -> dict[str, SiteLimit]:
        """The detection limits of the sites where they were measured."""
        return {site.site: site.limit for site in self.summary.sites if site.limit is not None}

    @property
    def rate_model(self) -> RateModel | None:
        """What the counts are worth; None where that is not known of the model at this operating point.

        Raises `BadFileError` where what is stored cannot be.
        """
        known = settings_of(self.info).get("rates")
        if not known:
            return None
        try:
            model = msgspec.convert(known, RateModel)
        except msgspec.ValidationError as error:
            fault: str | None = f"has rates that cannot be read ({error})"
        else:
            fault = model.fault()
            if fault is None:
                return model
        raise BadFileError(f"The run {self.info.run_id} {fault}: detect again.")

    @property
    def counted(self) -> Table:
        """The events that count: at or above the operating point and not rejected."""
        counted: Table = self.events[self.events["counted"]]
        return counted


def detect_night(
    night: Night | Path,
    *,
    model: str | None = None,
    operating_point: str = DEFAULT_POINT,
    as_live: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Find the twitches of a whole night and store them as a new run beside it.

    Parameters
    ----------
    night
        An open night or its folder.
    model
        Name of a model bundle; None: the one in use (`current_model`).
    operating_point
        "specific", "balanced" or "sensitive".
    as_live
        Pass 1 alone, as it finds while the night is recorded (`replay_candidates`).
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    The stored run, with what a reviewer said of the night before.

    Raises
    ------
    BadValueError
        If the operating point is unknown or no site was sampled fast enough.
    NotFoundError
        If the model or the night is not there.
    StorageError, BadFileError
        If the results cannot be stored; known before the work begins.
    """
    night = open_night(night) if isinstance(night, Path) else night
    model = model or current_model(night.path.parent)
    bundle, model_sha256 = load_model(model, night.path.parent)
    bundle.threshold(operating_point)
    store = ResultsStore(night.path)
    store.prepare()
    if as_live:
        from firmware_host.analysis.replay import replay_candidates

        findings = replay_candidates(night, bundle.lowest_score, progress=progress)
    else:
        findings = find_candidates(night, bundle.search_score, progress=progress)
    passes = passes_of(bundle, 1 if as_live else 2)
    rows = judge(findings, bundle, operating_point, passes=passes)
    units, templates = no_units()
    if passes == 2:
        from firmware_host.analysis.second_pass import units_found

        units, templates = units_found(findings, rows, bundle.search_score)
    events = events_of(rows)
    sha256 = night.log_sha256()
    limits = {} if as_live else _limits(night, findings, rows, bundle, operating_point, sha256)
    rates = load_rates(model, model_sha256, night.path.parent).get(operating_point)
    summary = Summary(
        start_ns=night.start_ns,
        duration_s=night.duration_s,
        sites=tuple(
            _site_summary(facts, events, findings.coverage, limits.get(facts.site))
            for facts in findings.sites
        ),
        warnings=findings.warnings,
        samples_sha256=sha256,
    )
    info = RunInfo(
        run_id=secrets.token_hex(4),
        created_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        detector=f"twitchmap {firmware_host.__version__}",
        model=f"{model} {bundle.version}",
        model_sha256=model_sha256,
        operating_point=operating_point,
        passes=passes,
        settings=stored_settings(bundle, rates, night.meta, as_live=as_live),
        summary=msgspec.json.encode(summary).decode(),
        complete=not night.being_written,
    )
    run = with_rates(Run(info, events, findings.coverage, summary, units=units, templates=templates))
    store.write_run(
        run.info, row_columns(), rows, COVERAGE_COLUMNS, findings.coverage,
        more={"units": (STORED_UNIT_COLUMNS, stored_units(units, templates))},
    )  # fmt: skip
    return reviewed(night, run, read_labels(night.path))


def _limits(
    night: Night, findings: Findings, rows: Table, model: Model, point: str, key: str
) -> dict[str, SiteLimit]:
    from firmware_host.analysis.limits import measure_limits

    return measure_limits(night, findings, rows, model, point, key)


def judge(
    findings: Findings, model: Model, operating_point: str = DEFAULT_POINT, *, passes: int = 2
) -> Table:
    """Return the candidates of a night with their probability and which of them count.

    All rows are kept, those that do not count with `Flag.BELOW_FLOOR`; but side lobes only in pass 2.

    Parameters
    ----------
    findings
        Of the night, from `model.search_score` on at the highest.
    model, operating_point
        Who judges, and how strictly.
    passes
        1 for pass 1 alone. A model that has no second pass, and findings without waves, know only that.

    Raises
    ------
    BadValueError
        If the operating point is unknown.
    """
    if model.second is not None and passes == 2 and findings.waves is not None:
        from firmware_host.analysis.second_pass import judge_again

        return judge_again(findings, model, operating_point)
    from firmware_host.detection.lobes import are_bursts

    rows = findings.rows[(findings.rows["score"] >= model.lowest_score) & are_bursts(findings.rows)]
    probability = model.probability(rows)
    rows["probability"] = probability
    rows["counted"] = model.counted(rows, operating_point, probability)
    return finished(rows)


def finished(rows: Table) -> Table:
    """Give numbers to judged candidates, and mark those that do not count, with what speaks against them."""
    from firmware_host.detection.reasons import reasons

    rows["flags"] |= np.where(rows["counted"], np.uint32(0), np.uint32(Flag.BELOW_FLOOR))
    rows["reason"] = reasons(rows)
    rows["event_id"] = np.arange(len(rows))
    return rows


def passes_of(model: Model, passes: int = 2) -> int:
    """Return how many passes a model makes of those that are asked for."""
    return min(passes, 1 if model.second is None else 2)


def units_of(run: Run) -> Table:
    """Return the units of a run (`UNIT_DTYPE`), by site; events name them in their column `unit`.

    What they say follows the labels, as counts do.
    """
    if not run.labels.active or not len(run.units):
        return run.units
    from firmware_host.analysis.second_pass import told_again

    return told_again(run.units, run.counted, run.coverage)


def unit_templates(run: Run) -> tuple[npt.NDArray[np.float32], float]:
    """Return the mean waves of `units_of`, (units, 3, samples) in mg, and their rate in Hz.

    The peak stands at sample `twitches.UNIT_PEAK`.
    """
    return run.templates, UNIT_WAVE_HZ


def _site_summary(facts: SiteFacts, events: Table, coverage: Table, limit: SiteLimit | None) -> SiteSummary:
    seconds = seconds_by_kind(coverage[coverage["site"] == facts.site])
    counted = int(events["counted"][events["site"] == facts.site].sum())
    return SiteSummary(
        facts.site, facts.fs_hz, facts.fs_nominal_hz, seconds, counted, facts.noise_mg_per_sqrt_hz, limit
    )


def load_run(night: Night, run_id: str | None = None, *, with_labels: bool = True) -> Run:
    """Load a stored run: the newest complete one, or the one of that id.

    Sites that were corrected since the run was made have their new names in it. What a reviewer said of the
    night is laid over it; without `with_labels` it is what the detector found.

    Raises
    ------
    NotFoundError
        If there is none.
    BadFileError
        If what is stored cannot be a run, or is one of other sites than the night has.
    """
    store = ResultsStore(night.path)
    info = store.run(run_id)
    events = store.read_events(info.run_id, EVENT_COLUMNS)
    coverage = store.read_coverage(info.run_id, COVERAGE_COLUMNS)
    units, templates = read_units(store.read_table("units", info.run_id, STORED_UNIT_COLUMNS))
    summary = summary_of(info)
    try:
        check_events(events)
        check_coverage(coverage)
        corrections = renamed_since(night.meta, info)
    except ValueError as error:
        raise damaged(store.path, error) from error
    for renamed in corrections:
        for rows in (events, coverage, units):
            names, of_row = np.unique(rows["site"], return_inverse=True)
            rows["site"] = np.array([renamed.get(name, name) for name in names.tolist()], "U32")[of_row]
        sites = (msgspec.structs.replace(one, site=renamed.get(one.site, one.site)) for one in summary.sites)
        summary = msgspec.structs.replace(summary, sites=tuple(sites))
    # Those of earlier programs weighed hours in other ways.
    summary = with_limits(summary, coverage)
    if {one.site for one in summary.sites} != set(night.sites):
        text = f"The run {info.run_id} of {night.path.name} is of other sites than the night: detect again."
        raise BadFileError(text, path=store.path)
    run = Run(info, events, coverage, summary, units=units, templates=templates)
    return reviewed(night, run, read_labels(night.path)) if with_labels else run


def reviewed(night: Night, run: Run, labels: Labels) -> Run:
    """Return a run, as the detector left it, with what a reviewer said laid over it."""
    if not labels.active:
        return replace(run, labels=labels)
    said = said_of(labels, night.meta)
    start_ns, duration_s = run.summary.start_ns, run.summary.duration_s
    events, coverage = labelled(run.events, run.coverage, said, start_ns, duration_s)
    of_site, covered = site_slices(events), site_slices(coverage)
    sites = (
        msgspec.structs.replace(
            one,
            seconds=seconds_by_kind(coverage[covered.get(one.site, slice(0, 0))]),
            twitches=int(events["counted"][of_site.get(one.site, slice(0, 0))].sum()),
            rate_per_h=None,
        )
        for one in run.summary.sites
    )
    summary = with_limits(msgspec.structs.replace(run.summary, sites=tuple(sites)), coverage)
    return replace(run, events=events, coverage=coverage, summary=summary, labels=labels)


def with_rates(run: Run) -> Run:
    """Return a run whose summary knows the rates, so that a list of nights need not read its events."""
    rates = {str(row["site"]): float(row["rate_per_h"]) for row in run_counts(run)}
    sites = (
        msgspec.structs.replace(one, rate_per_h=rate if math.isfinite(rate := rates[one.site]) else None)
        for one in run.summary.sites
    )
    summary = msgspec.structs.replace(run.summary, sites=tuple(sites))
    info = msgspec.structs.replace(run.info, summary=msgspec.json.encode(summary).decode())
    return replace(run, info=info, summary=summary)


def runs_of(path: Path) -> list[RunInfo]:
    """Return the complete runs of a night, oldest first."""
    return [info for info in ResultsStore(path).runs() if info.complete]


def night_counts(night: Night, run: Run, bin_s: float | None = None, shift_ns: int = 0) -> Table:
    """Count a run's twitches per site and time bin (`COUNT_DTYPE`); None makes one bin of the whole night.

    The night is as long as it was when the run was made, as in all that is told of it. Bins are multiples
    of their length on a clock that is `shift_ns` ahead of UTC.
    """
    return _counts(run, night.sites, run.summary.start_ns + shift_ns, bin_s, run.summary.duration_s)


def run_counts(run: Run, bin_s: float | None = None) -> Table:
    """Count as `night_counts`, over the night as it was when the run was made: nothing else is read."""
    sites = [one.site for one in run.summary.sites]
    return _counts(run, sites, run.summary.start_ns, bin_s, run.summary.duration_s)


def _counts(run: Run, sites: Sequence[str], start_ns: int, bin_s: float | None, end_s: float) -> Table:
    """Count site by site, each from its own rows: to look for them in all rows takes longest."""
    of_site, covered = site_slices(run.events), site_slices(run.coverage)
    none, limits, rate_model = slice(0, 0), run.limits, run.rate_model
    return np.concatenate(
        [
            site_counts(
                run.events[of_site.get(site, none)], run.coverage[covered.get(site, none)], site, start_ns,
                bin_s, end_s, limit=limits.get(site), rate_model=rate_model,
            )
            for site in sites
        ]
    )  # fmt: skip
