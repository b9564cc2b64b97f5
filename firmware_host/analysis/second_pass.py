"""Pass 2 of a night: its candidates judged again by what their site repeats, and the units that it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firmware_host.analysis.findings import Findings
from firmware_host.analysis.runs import finished
from firmware_host.analysis.stored_units import no_units
from firmware_host.detection.classifier import matrix_of
from firmware_host.detection.lobes import are_bursts
from firmware_host.detection.sure_units import of_sure_units, reaches
from firmware_host.detection.unit_features import unit_features
from firmware_host.twitches import UNIT_DTYPE, Flag, Table, in_parts, table, valid_s

if TYPE_CHECKING:
    from firmware_host.detection.classifier import BoostedModel
    from firmware_host.detection.units import Grouped

Floats = npt.NDArray[np.float64]

LEAST_COUNTED = 3
"""A unit is told of from so many counted twitches on."""
RUN_S = (0.06, 0.15)
"""Units that fire in runs do so every 80 ms or so (Kleine 2008)."""
ROWS_AT_ONCE = 1 << 14
"""Candidates whose features are laid out for the trees at once: a week has ten times as many."""


def judge_again(findings: Findings, model: BoostedModel, operating_point: str) -> Table:
    """Return the candidates of a night as pass 2 judges them: rows of `row_columns()`, as `judge` gives.

    Raises
    ------
    BadValueError
        If the operating point is unknown.
    """
    second = model.second
    if second is None:
        raise ValueError("the model has no second pass")
    model.threshold(operating_point)
    least = getattr(second.operating_points, operating_point)
    rows = findings.rows[findings.rows["score"] >= model.search_score]
    # Several operating points ask the same trees of the same night.
    again = findings.kept(second, lambda: _said_of_all(findings, rows, model))
    rows["probability"] = model.probability_again(rows, again)
    for site, own in _sites(rows):
        grouped = findings.grouped(site, model.search_score)
        mark_sure(rows, own, grouped.unit, grouped.member)
    rows["counted"] = reaching(rows, least)
    return finished(rows)


def mark_sure(
    rows: Table,
    own: npt.NDArray[np.int64] | slice,
    unit: npt.NDArray[np.integer],
    member: npt.NDArray[np.bool_],
) -> None:
    """Set `Flag.SURE_UNIT` anew in some rows, all those of one site; `unit` and `member` are theirs."""
    sure = of_sure_units(unit, member, rows["probability"][own], ~are_bursts(rows[own]))
    rest = rows["flags"][own] & ~np.uint32(Flag.SURE_UNIT)
    rows["flags"][own] = rest | np.where(sure, np.uint32(Flag.SURE_UNIT), np.uint32(0))


def reaching(events: Table, least: float) -> npt.NDArray[np.bool_]:
    """Tell which events reach an operating point, those of sure units (`mark_sure`) and side lobes sooner."""
    return reaches(events["probability"], events["flags"], least)


def _said_of_all(findings: Findings, rows: Table, model: BoostedModel) -> Floats:
    out = np.zeros(len(rows))
    first = first_odds(findings, model)[findings.rows["score"] >= model.search_score]
    for site, own in _sites(rows):
        grouped = findings.grouped(site, model.search_score)
        out[own] = said_again(rows[own], grouped, findings.valid_h(site), model, first[own])
    return out


def first_odds(findings: Findings, model: BoostedModel) -> Floats:
    """Return what the trees of pass 1 say of all findings, log-odds not calibrated; made once."""

    def make() -> Floats:
        out = np.empty(len(findings.rows))
        for part in in_parts(len(out), ROWS_AT_ONCE):
            out[part] = model.log_odds(matrix_of(findings.rows[part], model.features))
        return out

    return findings.kept(model, make)


def said_again(
    rows: Table,
    grouped: Grouped,
    valid_h: float,
    model: BoostedModel,
    first: Floats,
    asked: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Return the probability that the trees of pass 2 give each candidate of one site-night.

    Parameters
    ----------
    rows
        Of `row_columns()`, in order of time.
    grouped
        The units among them.
    valid_h
        Valid hours of the site.
    model
        With a second pass; a user's corrections are left out.
    first
        What the trees of pass 1 say of each row, log-odds not calibrated.
    asked
        Of which rows the probability is asked for; all if None.
    """
    second = model.second
    assert second is not None
    own = np.ones(len(rows), bool) if asked is None else asked
    of_unit = features_at(grouped, valid_h, rows, first, own)
    said = np.zeros(len(rows))
    bursts = are_bursts(rows)
    for judge, share, of in ((second, second.first_share, bursts), (second.lobes, 0.0, ~bursts)):
        those = np.flatnonzero(own & of)
        for some in (those[part] for part in in_parts(len(those), ROWS_AT_ONCE)):
            features = np.empty((len(judge.features), len(some)))  # trees look at it column by column
            for column, name in zip(features, judge.features, strict=True):
                # In float32, as they were learnt.
                column[:] = (of_unit[name] if name in of_unit else rows[name])[some].astype(np.float32)
            odds = (1 - share) * judge.log_odds(features.T) + share * model.honest(first[some])
            said[some] = judge.calibrated(odds)
    return said[own]


def features_at(
    grouped: Grouped,
    valid_h: float,
    rows: Table,
    log_odds: Floats,
    asked: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Floats]:
    """Return `UNIT_FEATURES` of a site's candidates, given what pass 1 says of them; `asked` as there."""
    named = {name: rows[name] for name in rows.dtype.names or ()}
    return unit_features(grouped, named, rows["peak_s"].astype(float), log_odds, valid_h, asked)


def _sites(rows: Table) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    for site in sorted(set(rows["site"].tolist())):
        yield site, np.flatnonzero(rows["site"] == site)


def units_found(
    findings: Findings, rows: Table, lowest_score: float
) -> tuple[Table, npt.NDArray[np.float32]]:
    """Name the units of judged rows in their column `unit`, and tell of each.

    Parameters
    ----------
    findings
        What the rows are of.
    rows
        Judged by pass 2; `unit` is filled in.
    lowest_score
        That the rows begin from.

    Returns
    -------
    units : UNIT_DTYPE, (k,)
        By site, from the one with most counted twitches on.
    templates : (k, 3, UNIT_SAMPLES) float32
        Their mean waves in mg, in median size.
    """
    tables, templates = [], []
    for site, own in _sites(rows):
        grouped = findings.grouped(site, lowest_score)
        counted = rows["counted"][own] & grouped.member
        counts = np.bincount(grouped.unit[counted], minlength=len(grouped.templates))
        order = np.argsort(-counts, kind="stable")
        order = order[counts[order] >= LEAST_COUNTED]
        number = np.full(len(grouped.templates) + 1, -1, np.int32)
        number[order] = np.arange(len(order))
        unit = np.where(grouped.member, number[grouped.unit], -1)
        rows["unit"][own] = unit
        of_site = table(UNIT_DTYPE, len(order), site=site)
        for each in range(len(order)):
            _tell(of_site[each : each + 1], each, rows[own][(unit == each) & counted], findings.valid_h(site))
        tables.append(of_site)
        form = grouped.templates[order]
        size = np.linalg.norm(form, axis=1).max(axis=1, initial=0.0)[:, None, None] if len(form) else 1.0
        templates.append(form * (of_site["peak_to_peak_mg"][:, None, None] / (2 * np.maximum(size, 1e-9))))
    none = no_units()
    return np.concatenate([none[0], *tables]), np.concatenate([none[1], *templates]).astype(np.float32)


def told_again(units: Table, events: Table, coverage: Table) -> Table:
    """Return the units of a run (`UNIT_DTYPE`) as other counted events of theirs tell of them."""
    told: Table = units.copy()
    for site in dict.fromkeys(told["site"].tolist()):
        here = events[(events["site"] == site) & events["counted"]]
        hours = valid_s(coverage[coverage["site"] == site]) / 3600
        for number in np.flatnonzero(told["site"] == site).tolist():
            unit = told[number : number + 1]
            own = here[here["unit"] == unit["unit"]]
            if len(own):
                _tell(unit, int(unit["unit"][0]), own, hours)
            else:
                unit["count"] = unit["rate_per_h"] = 0
    return told


def _tell(unit: Table, number: int, events: Table, valid_h: float) -> None:
    """Fill in one row of the table of units from its counted events in order of time; one has no interval."""
    interval_s = np.diff(events["peak_s"]) if len(events) > 1 else np.array([np.nan])
    low, middle, high = np.quantile(events["peak_to_peak_mg"], (0.25, 0.5, 0.75))
    spread = np.std(interval_s) / np.maximum(np.mean(interval_s), 1e-9)
    values = {
        "unit": number,
        "count": len(events),
        "rate_per_h": len(events) / max(valid_h, 1e-9),
        "peak_to_peak_mg": middle,
        "low_mg": low,
        "high_mg": high,
        "doublet_share": np.mean(events["flags"] & Flag.COMPLEX > 0),
        "run_share": np.sum((interval_s >= RUN_S[0]) & (interval_s <= RUN_S[1])) / len(events),
        "interval_s": np.median(interval_s),
        "regularity": 1.0 - np.minimum(spread, 1.0),
    }
    for name, value in values.items():
        unit[name] = value
