"""A night judged again by another model, from the candidates that an earlier run has stored.

Finding candidates takes all the time of a detection and does not depend on who judges them; to count a night
anew takes a second or two.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

import firmware_host
from firmware_host.analysis.findings import events_of, row_columns
from firmware_host.analysis.labelled import site_slices
from firmware_host.analysis.models import (
    DEFAULT_POINT,
    current_model,
    load_model,
    load_rates,
    settings_of,
    stored_settings,
)
from firmware_host.analysis.run_summary import summary_of
from firmware_host.analysis.runs import Run, load_run, reviewed, runs_of, with_rates
from firmware_host.analysis.stored_units import STORED_UNIT_COLUMNS, stored_units
from firmware_host.errors import BadFileError, NotFoundError
from firmware_host.recording import Night, ResultsStore, RunInfo, open_night
from firmware_host.recording.labels import read_labels
from firmware_host.twitch_map import SiteLimit
from firmware_host.twitches import COVERAGE_COLUMNS, Flag

if TYPE_CHECKING:  # detection brings scipy, which lists and pages can do without
    from firmware_host.detection.classifier import Model


NO_LIMIT = (
    "No detection limit was measured for this model at this operating point, so rates are those of counting "
    "alone: `twitchmap detect` without --stored measures it, if there is valid time enough."
)


def run_by(path: Path, model: str, model_sha256: str, *, detect: str | None = None) -> RunInfo:
    """Return the newest complete run of a night by a model, told by the hash of its file.

    `detect` is the model to detect with where there is none, if that is another.

    Raises
    ------
    NotFoundError
        If there is none; the sentence says what to do.
    """
    for info in reversed(runs_of(path)):
        if info.model_sha256 == model_sha256 and not settings_of(info).get("as_live"):
            return info
    which = "is now" if detect is None else f"was when {detect!r} was made of it"
    raise NotFoundError(
        f"{path.name} has no run of the model {model!r} as it {which}: run `twitchmap detect --model "
        f"{detect or model}` on it first."
    )


def _base_run(night: Night, name: str, model: Model, sha256: str) -> RunInfo:
    """Return the run whose candidates a model judges: its own, or that of the model that it corrects."""
    corrects = getattr(model, "corrects", "").rsplit(" ", 1)[0]
    if not corrects:
        return run_by(night.path, name, sha256)
    of_sha256: str = getattr(model, "corrects_sha256", "")
    # No detection of today gives runs of a shipped model that has changed since.
    there = load_model(corrects, night.path.parent)[1] == of_sha256
    return run_by(night.path, corrects, of_sha256, detect=None if there else name)


def _known_limits(
    night: Night, samples_sha256: str, sha256: str, operating_point: str
) -> dict[str, SiteLimit]:
    """Return the limits that a run measured on the same samples for this model at this operating point.

    A detection limit is that of one model at one point: another's says nothing of it.
    """
    for info in reversed(runs_of(night.path)):
        same = (info.model_sha256, info.operating_point) == (sha256, operating_point)
        with suppress(BadFileError):  # an earlier program's may not be read
            if same and summary_of(info).samples_sha256 == samples_sha256:
                limits = load_run(night, info.run_id, with_labels=False).limits
                if limits:
                    return limits
    return {}


def last_threshold(model: Model, operating_point: str, passes: int) -> float:
    """Return the lowest probability that counts at an operating point, in the last of so many passes."""
    least = model.threshold(operating_point)
    second = getattr(model, "second", None)
    return float(getattr(second.operating_points, operating_point)) if passes == 2 and second else least


def recount_night(
    night: Night | Path, *, model: str | None = None, operating_point: str = DEFAULT_POINT
) -> Run:
    """Judge what an earlier run of a night found again, and store that as a new run.

    It takes a run by the same model, or by the one that a user's model corrects.

    Parameters
    ----------
    night
        An open night or its folder.
    model
        Name of a model bundle; None: the one in use.

    Returns
    -------
    The stored run, with what a reviewer said of the night.

    Raises
    ------
    NotFoundError
        If the night has no such run, or the model is not there.
    BadValueError
        If the operating point is unknown.
    """
    from firmware_host.analysis.second_pass import mark_sure, reaching, told_again
    from firmware_host.detection.reasons import reasons

    night = open_night(night) if isinstance(night, Path) else night
    name = model or current_model(night.path.parent)
    bundle, sha256 = load_model(name, night.path.parent)
    base = _base_run(night, name, bundle, sha256)
    least = last_threshold(bundle, operating_point, base.passes)
    was = load_run(night, base.run_id, with_labels=False)
    rows = ResultsStore(night.path).read_events(base.run_id, row_columns())
    rows["site"] = was.events["site"]  # as they are called now
    if getattr(bundle, "corrects", ""):
        rows["probability"] = bundle.corrected(rows, rows["probability"])  # type: ignore[union-attr]
    if base.passes == 2:
        for own in site_slices(rows).values():
            unit = was.events["unit"][own]
            mark_sure(rows, own, unit, unit >= 0)
    reaches = rows["score"] >= np.float32(least) if bundle.kind == "threshold" else reaching(rows, least)
    rows["counted"] = reaches & ((rows["flags"] & np.uint32(Flag.REJECTED)) == 0)
    rows["flags"] &= ~np.uint32(Flag.BELOW_FLOOR)
    rows["flags"] |= np.where(reaches, np.uint32(0), np.uint32(Flag.BELOW_FLOOR))
    rows["reason"] = reasons(rows)
    events = events_of(rows)
    limits = _known_limits(night, was.summary.samples_sha256, sha256, operating_point)
    sites = (
        msgspec.structs.replace(
            one,
            twitches=int(events["counted"][events["site"] == one.site].sum()),
            limit=limits.get(one.site),
            rate_per_h=None,
        )
        for one in was.summary.sites
    )
    warnings = [text for text in was.summary.warnings if text != NO_LIMIT]
    if not limits:
        warnings.append(NO_LIMIT)
    rates = load_rates(name, sha256, night.path.parent).get(operating_point)
    summary = msgspec.structs.replace(was.summary, sites=tuple(sites), warnings=tuple(warnings))
    info = msgspec.structs.replace(
        base,
        run_id=secrets.token_hex(4),
        created_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        detector=f"twitchmap {firmware_host.__version__}",
        model=f"{name} {bundle.version}",
        model_sha256=sha256,
        operating_point=operating_point,
        settings=stored_settings(bundle, rates, night.meta, as_live=False, recounted=base.run_id),
        summary=msgspec.json.encode(summary).decode(),
    )
    units = told_again(was.units, events, was.coverage)
    run = with_rates(Run(info, events, was.coverage, summary, units=units, templates=was.templates))
    ResultsStore(night.path).write_run(
        run.info, row_columns(), rows, COVERAGE_COLUMNS, was.coverage,
        more={"units": (STORED_UNIT_COLUMNS, stored_units(units, was.templates))},
    )  # fmt: skip
    return reviewed(night, run, read_labels(night.path))
