"""Events against truth: one-to-one matching, then recall, precision and false alarms per valid hour.

A pair matches within 150 ms at the same site. Truths closer than 60 ms are one, as events are. A second
detection of one truth is a false alarm; truths outside valid time are reported apart.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.body import site
from firmware_host.errors import BadFileError, BadValueError, NotFoundError, numbered
from firmware_host.learning.match import match_sites
from firmware_host.twitch_map import inside
from firmware_host.twitches import (
    COVERAGE_DTYPE,
    EVENT_DTYPE,
    MERGE_S,
    Column,
    Kind,
    Table,
    dtype_of,
    valid_s,
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

D_EDGES = (0.0, 3.9, 6.6, 10.0, 20.0, math.inf)
AMPLITUDE_EDGES_MG = (0.0, 4.0, 8.0, 15.0, 25.0, 40.0, 70.0, 150.0, math.inf)

TRUTH_COLUMNS: tuple[Column, ...] = (
    Column("site", "U32", "", "where the sensor sat"),
    Column("peak_s", "f8", "s", "peak of the true twitch, from the night's start_ns"),
    Column("d", "f8", "", "d = sqrt(2 E) / nd of the true twitch; empty where not known"),
    Column("peak_to_peak_mg", "f8", "mg", "its peak-to-peak acceleration; empty where not known"),
    Column("energy_mg2s", "f8", "mg^2 s", "E, its energy over three axes in 3-45 Hz; empty where not known"),
)
TRUTH_DTYPE = dtype_of(TRUTH_COLUMNS)


@dataclass(frozen=True)
class RecallBin:
    """Truths in valid time with a value in [low, high), and how many of them were found."""

    low: float
    high: float
    truths: int
    found: int

    @property
    def recall(self) -> float | None:
        """Share found; None where there was nothing to find."""
        return _ratio(self.found, self.truths)


@dataclass(frozen=True)
class Score:
    """A detector's figures against truth; a share without anything to share is None, never NaN."""

    truths: int
    """True twitches in valid time, those closer than 60 ms taken as one."""
    found: int
    false_alarms: int
    """Counted events in valid time that match no truth."""
    valid_h: float
    outside_truths: int
    """True twitches outside valid time, and how many of them were found all the same."""
    outside_found: int
    outside_false_alarms: int
    """Counted events outside valid time that match no truth."""
    timing_error_ms: float | None
    """Median of |event - truth| of the matches in valid time."""
    recall_by_d: tuple[RecallBin, ...]
    recall_by_amplitude_mg: tuple[RecallBin, ...]
    without_d: int
    """Truths in valid time whose d is not known."""

    @property
    def recall(self) -> float | None:
        """Found share of the truths in valid time."""
        return _ratio(self.found, self.truths)

    @property
    def precision(self) -> float | None:
        """True share of the counted events."""
        return _ratio(self.found, self.found + self.false_alarms)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of recall and precision; 0 where truths or events are there but no match."""
        return _ratio(2 * self.found, self.truths + self.found + self.false_alarms)

    @property
    def false_alarms_per_h(self) -> float | None:
        """False alarms per hour of valid time."""
        return _ratio(self.false_alarms, self.valid_h)

    @property
    def count_bias(self) -> float | None:
        """(events - truths) / truths, in valid time: above 0 counts too many."""
        return _ratio(self.found + self.false_alarms - self.truths, self.truths)

    def precision_at(self, d: float) -> float | None:
        """Precision at D: a match to a truth below D is neither right nor wrong; D is an edge of the bins."""
        right = sum(each.found for each in self.recall_by_d if each.low >= d)
        return _ratio(right, right + self.false_alarms)

    def recall_at(self, d: float) -> float | None:
        """Recall of all truths from D on; D is an edge of the bins."""
        above = [each for each in self.recall_by_d if each.low >= d]
        return _ratio(sum(each.found for each in above), sum(each.truths for each in above))

    def f1_at(self, d: float) -> float | None:
        """F1 of precision at D and the recall of all truths from D on."""
        above = [each for each in self.recall_by_d if each.low >= d]
        right = sum(each.found for each in above)
        return _ratio(2 * right, sum(each.truths for each in above) + right + self.false_alarms)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON can hold them (an open end of a bin is null)."""
        shares = ("recall", "precision", "f1", "false_alarms_per_h", "count_bias")
        fields = asdict(self) | {name: getattr(self, name) for name in shares}
        for name in ("recall_by_d", "recall_by_amplitude_mg"):
            fields[name] = [
                asdict(each) | {"high": None if math.isinf(each.high) else each.high, "recall": each.recall}
                for each in getattr(self, name)
            ]
        known = bool(self.recall_by_d)
        for name, share in (
            ("precision", self.precision_at),
            ("recall", self.recall_at),
            ("f1", self.f1_at),
        ):
            fields[f"{name}_at_d"] = {f"{low:g}": share(low) if known else None for low in D_EDGES[1:-1]}
        return fields

    def lines(self) -> list[str]:
        """Return the figures as lines of text."""
        text = [
            f"truth: {numbered(self.truths, 'twitch', 'twitches')} in {self.valid_h:.2f} h of valid time; "
            f"found {self.found}",
            f"recall {_percent(self.recall)}, precision {_percent(self.precision)}, F1 {_percent(self.f1)}",
            f"false alarms: {self.false_alarms} ({_number(self.false_alarms_per_h, ' per valid hour')})",
            f"outside valid time: {numbered(self.outside_truths, 'twitch', 'twitches')}, "
            f"{self.outside_found} found; {numbered(self.outside_false_alarms, 'other event')}",
            f"median timing error: {_number(self.timing_error_ms, ' ms')}; "
            f"events against truth: {_percent(self.count_bias, '+')}",
        ]
        for name, unit, bins in (
            ("d", "", self.recall_by_d),
            ("amplitude", " mg", self.recall_by_amplitude_mg),
        ):
            if not bins:
                why = f"the truth has no {name}" if self.truths else "no true twitch lies in valid time"
                text.append(f"recall by {name}: not known, {why}")
            for each in bins:
                if each.truths:
                    span = (
                        f"{each.low:g}-{each.high:g}" if math.isfinite(each.high) else f"{each.low:g} and up"
                    )
                    at = (
                        f"; from there on precision {_percent(self.precision_at(each.low))}, "
                        f"F1 {_percent(self.f1_at(each.low))}"
                        if name == "d" and each.low
                        else ""
                    )
                    share = f"{_percent(each.recall)} ({each.found} of {each.truths})"
                    text.append(f"recall at {name} {span}{unit}: {share}{at}")
        return text


@dataclass(frozen=True)
class Outcome:
    """What became of every truth and every counted event; figures are sums over it.

    `truth` (m,) TRUTH_DTYPE, those closer than 60 ms taken as one; `events` (n,) the counted ones; `truth_in`
    and `event_in` tell which lie in valid time; `partner` (n,) is the index of each event's truth, or -1.
    """

    truth: Table
    events: Table
    truth_in: Bools
    event_in: Bools
    partner: npt.NDArray[np.int64]
    valid_h: float

    @property
    def true(self) -> Bools:
        """Which events match a truth."""
        return np.asarray(self.partner >= 0)

    @property
    def found(self) -> Bools:
        """Which truths are matched by an event."""
        found = np.zeros(len(self.truth), bool)
        found[self.partner[self.true]] = True
        return found

    @property
    def false(self) -> Bools:
        """Which events are false alarms: in valid time, and matching no truth."""
        return np.asarray(self.event_in & ~self.true)

    @property
    def error_s(self) -> Floats:
        """|event - truth| of the matches whose truth lies in valid time."""
        own = np.flatnonzero(self.true)
        own = own[self.truth_in[self.partner[own]]]
        return np.asarray(np.abs(self.events["peak_s"][own] - self.truth["peak_s"][self.partner[own]]))

    def at(self, sites: Collection[str], valid_h: float) -> Outcome:
        """Return what concerns some sites, which have so many valid hours."""
        of_truth, of_events = (np.isin(rows["site"], list(sites)) for rows in (self.truth, self.events))
        number = np.cumsum(of_truth) - 1
        partner = self.partner[of_events]
        partner[partner >= 0] = number[partner[partner >= 0]]
        return Outcome(
            self.truth[of_truth], self.events[of_events], self.truth_in[of_truth], self.event_in[of_events],
            partner, valid_h,
        )  # fmt: skip


def score(
    events: Table, coverage: Table, truth: Table, floor_mg_per_rthz: Mapping[str, float] | None = None
) -> Score:
    """Score counted events against truth, over the valid time of the coverage; arguments as `outcome_of`."""
    return score_of(outcome_of(events, coverage, truth, floor_mg_per_rthz))


def outcome_of(
    events: Table, coverage: Table, truth: Table, floor_mg_per_rthz: Mapping[str, float] | None = None
) -> Outcome:
    """Match counted events and truth.

    Parameters
    ----------
    events : EVENT_DTYPE, (n,)
        Only rows with `counted` are matched.
    coverage : COVERAGE_DTYPE, (k,)
        Its sites are the ones that were recorded; all else is outside valid time.
    truth : TRUTH_DTYPE, (m,)
        In any order.
    floor_mg_per_rthz : mapping of site to nd, optional
        The site's median density of quiet valid signal; gives d to truths that have only their energy.
    """
    for rows, dtype in ((events, EVENT_DTYPE), (truth, TRUTH_DTYPE), (coverage, COVERAGE_DTYPE)):
        if rows.dtype != dtype:
            raise ValueError(f"a table with the columns {dtype.names} is needed, not {rows.dtype.names}")
    truth = merge_truth(_with_d(truth, floor_mg_per_rthz or {}))
    events = events[events["counted"]]
    hits, hit_by = match_sites(events, truth)
    partner = np.full(len(events), -1, np.int64)
    partner[hit_by] = hits
    truth_in, event_in = in_valid_time(truth, coverage), in_valid_time(events, coverage)
    return Outcome(truth, events, truth_in, event_in, partner, valid_s(coverage) / 3600)


def score_of(outcome: Outcome) -> Score:
    """Sum up what became of truths and events."""
    truth_in, event_in, is_found = outcome.truth_in, outcome.event_in, outcome.found
    valid, found = outcome.truth[truth_in], is_found[truth_in]
    error_s = outcome.error_s
    return Score(
        truths=len(valid),
        found=int(found.sum()),
        false_alarms=int(outcome.false.sum()),
        valid_h=outcome.valid_h,
        outside_truths=int((~truth_in).sum()),
        outside_found=int((is_found & ~truth_in).sum()),
        outside_false_alarms=int((~event_in & ~outcome.true).sum()),
        timing_error_ms=float(np.median(error_s)) * 1000 if len(error_s) else None,
        recall_by_d=_recall_bins(valid["d"], found, D_EDGES),
        recall_by_amplitude_mg=_recall_bins(valid["peak_to_peak_mg"], found, AMPLITUDE_EDGES_MG),
        without_d=int(np.isnan(valid["d"]).sum()),
    )


def merge_truth(truth: Table) -> Table:
    """Sort truth by site and time; of truths closer than 60 ms only the largest stays."""
    truth = truth[np.lexsort((truth["peak_s"], truth["site"]))]
    size = np.nan_to_num(np.where(np.isnan(truth["d"]), truth["peak_to_peak_mg"], truth["d"]))
    # sites are set 1e8 s apart, so that one sorted series of times holds them all
    at_s = truth["peak_s"] + 1e8 * np.unique(truth["site"], return_inverse=True)[1]
    first = np.searchsorted(at_s, at_s - MERGE_S, side="right")
    stop = np.searchsorted(at_s, at_s + MERGE_S, side="left")
    crowded = np.flatnonzero(stop - first > 1)
    keep = np.ones(len(truth), bool)
    for i in crowded[np.argsort(-size[crowded], kind="stable")].tolist():
        if keep[i]:
            keep[first[i] : stop[i]] = False
            keep[i] = True
    return truth[keep]


def in_valid_time(rows: Table, coverage: Table) -> npt.NDArray[np.bool_]:
    """Tell which rows (with `site` and `peak_s`) lie in valid time of their site."""
    valid = coverage[coverage["kind"] == Kind.VALID]
    is_in = np.zeros(len(rows), bool)
    for name in np.intersect1d(rows["site"], valid["site"]):
        at = rows["site"] == name
        is_in[at] = inside(rows["peak_s"][at], valid[valid["site"] == name])
    return is_in


def _with_d(truth: Table, floors: Mapping[str, float]) -> Table:
    truth = truth.copy()
    floor = np.array([floors.get(name, math.nan) for name in truth["site"].tolist()])
    missing = np.isnan(truth["d"])
    truth["d"][missing] = (np.sqrt(2 * truth["energy_mg2s"]) / floor)[missing]
    return truth


def _recall_bins(
    values: Floats, found: npt.NDArray[np.bool_], edges: Sequence[float]
) -> tuple[RecallBin, ...]:
    """Return recall by the values' bins; nothing where no value is known."""
    if np.all(np.isnan(values)):
        return ()
    is_in = [(values >= low) & (values < high) for low, high in pairwise(edges)]
    return tuple(
        RecallBin(low, high, int(at.sum()), int(found[at].sum()))
        for (low, high), at in zip(pairwise(edges), is_in, strict=True)
    )


def read_truth(path: Path) -> Table:
    """Read a truth CSV: `site,peak_s`, and where known `d`, `peak_to_peak_mg`, `energy_mg2s`.

    Returns
    -------
    TRUTH_DTYPE, (m,)
        In the order of the file; other columns are ignored.

    Raises
    ------
    NotFoundError, BadFileError
        The latter with the line that cannot be understood.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            header = rows.fieldnames or []
            if not {"site", "peak_s"} <= set(header):
                raise BadFileError(
                    f"{path.name}, line 1: a truth file has the columns site,peak_s, with commas between.",
                    path=path, line=1,
                )  # fmt: skip
            values = [_truth_row(row, path, rows.line_num) for row in rows]
    except FileNotFoundError:
        raise NotFoundError(f"There is no truth file {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise BadFileError(f"{path} cannot be read as a CSV file of truth: {why}.", path=path) from None
    return np.array(values, TRUTH_DTYPE)


def _truth_row(row: Mapping[str, str | None], path: Path, line: int) -> tuple[str | float, ...]:
    try:
        values = [float(row.get(column.name) or "nan") for column in TRUTH_COLUMNS[1:]]
        if not math.isfinite(values[0]) or any(math.isinf(value) or value < 0 for value in values[1:]):
            raise ValueError("a number is missing, infinite or negative")
        return site(row["site"] or "").name, *values
    except (ValueError, BadValueError) as error:
        raise BadFileError(
            f"{path.name}, line {line}: {str(error).rstrip('.')}.", path=path, line=line
        ) from None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None, sign: str = "") -> str:
    return "none to tell" if share is None else f"{100 * share:{sign}.1f} %"


def _number(value: float | None, unit: str) -> str:
    return "none to tell" if value is None else f"{value:.1f}{unit}"
