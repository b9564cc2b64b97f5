"""Virtual subjects' nights, scored: each night is made, searched once, and judged by every model.

What comes back of a night is small: sums by site, the causes of its false alarms, and the probabilities of
its candidates with what they proved to be.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_host.analysis import Findings, find_candidates, judge, passes_of
from firmware_host.analysis.findings import events_of
from firmware_host.detection import Model
from firmware_host.learning.causes import causes
from firmware_host.learning.match import match_in_turn
from firmware_host.learning.often import Often, filter_by_d, often_firing
from firmware_host.learning.rejected import Rejected, rejected
from firmware_host.learning.score import TRUTH_DTYPE, Score, in_valid_time, merge_truth, outcome_of, score_of
from firmware_host.simulation import simulate_night
from firmware_host.simulation.cohort import TEST_NUMBERS, NightSpec, subject
from firmware_host.simulation.families import HELD_OUT
from firmware_host.twitches import Kind, Table, valid_s

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

POINTS = ("specific", "balanced", "sensitive")
SITUATIONS = {
    "mixed": 1.0, "no twitches": 0.0, "ten times fewer": 0.1, "ten times more": 10.0, "laid aside": 1.0,
    "only heartbeats": 0.0,
}  # fmt: skip
"""Nights by how many times the subject's own rate it twitches."""
LAID_ASIDE = ("on_table",)
"""What happens for sure in nights laid aside: hours on a table are too rare else to be judged."""
LAID_ASIDE_SITES = 2
ONLY_HEART, CHESTS = ("heart", "breath"), ("left_chest", "right_chest")
"""What happens in nights of only heartbeats, and where the one sensor sits, in turn."""
LEAST_D = 3.9
"""A smaller truth is as good as never found: what matches it is neither right nor wrong as a probability."""


@dataclass(frozen=True)
class Judge:
    """A model at an operating point, with both of its passes or the first alone."""

    model: Model
    point: str
    passes: int = 2

    @property
    def name(self) -> tuple[str, str]:
        """Model, with the pass if it is not its last, and point."""
        alone = self.passes < passes_of(self.model)
        return f"{self.model.name}{' pass 1' * alone}", self.point

    def judge(self, findings: Findings) -> Table:
        """Return the candidates of a night as this judge sees them; see `analysis.judge`."""
        return judge(findings, self.model, self.point, passes=self.passes)


def search_score(judges: Sequence[Judge]) -> float:
    """Return the score from which on any of the judges looks at candidates."""
    return min(one.model.search_score for one in judges)


@dataclass(frozen=True)
class Case:
    """One night of the cohort."""

    number: int
    situation: str
    spec: NightSpec


@dataclass(frozen=True)
class SiteScore:
    """One site's night judged by one model at one point."""

    judge: tuple[str, str]
    score: Score
    error_ms: Float32
    causes: dict[str, int]


@dataclass(frozen=True)
class OffBody:
    """A spell in which the sensor lay somewhere else: how long, and how much of it is called valid.

    `sure_s` is what is called valid without the mark of doubt.
    """

    kind: str
    lasts_s: float
    valid_s: float
    sure_s: float


@dataclass(frozen=True)
class SiteNight:
    """One site's night: where, with what, what its time was good for, and how it was judged.

    `seconds` by kind of coverage; `still_s` and `still_lost_s` of a truly worn sensor outside movement and
    gaps, and what of it is called not worn.
    """

    case: Case
    site: str
    chip: str
    seconds: dict[str, float]
    off: tuple[OffBody, ...]
    still_s: float
    still_lost_s: float
    scores: tuple[SiteScore, ...]


@dataclass(frozen=True)
class NightResult:
    """A night's sites; for each model with probabilities those of its candidates, and which proved true.

    `often` holds by judge how the units fared that fire often, `filter_by_d` what `often.filter_by_d` says of
    all twitches, `rejected` of each judge at its balanced point what the candidates were that do not count,
    and the reasons they were given.
    """

    sites: tuple[SiteNight, ...]
    probability: dict[str, tuple[Float32, npt.NDArray[np.bool_]]]
    often: dict[tuple[str, str], Often]
    filter_by_d: tuple[float, ...]
    rejected: dict[tuple[str, str], Rejected]


def cases(subjects: int, hours: float, extra_hours: float, situations: Sequence[str]) -> list[Case]:
    """Return the nights of a cohort: so many mixed ones, and half as many (other people) of each other sort.

    A person who twitches all the time cannot do so ten times more often and is passed over there. In nights
    laid aside the sensor lies on a table for a while; two sites are enough.
    """
    numbers = iter(TEST_NUMBERS)
    found = []
    for situation in situations:
        wanted = subjects if situation == "mixed" else -(-subjects // 2)
        while wanted:
            number = next(numbers)
            spec = subject(number, HELD_OUT)
            if situation == "ten times more" and spec.profile == "many":
                continue
            long = extra_hours if situation.startswith("ten times") else hours
            spec = replace(spec, hours=long, rate_scale=SITUATIONS[situation])
            if situation == "laid aside":
                few = slice(LAID_ASIDE_SITES)
                chips = None if spec.chips is None else spec.chips[few]
                spec = replace(spec, sites=spec.sites[few], chips=chips, forced=LAID_ASIDE)
            if situation == "only heartbeats":
                chips = None if spec.chips is None else spec.chips[:1]
                chest = CHESTS[wanted % len(CHESTS)]
                spec = replace(spec, sites=(chest,), chips=chips, confounders=ONLY_HEART)
            found.append(Case(number, situation, spec))
            wanted -= 1
    return found


def score_case(case: Case, judges: Sequence[Judge], scratch: Path | None = None) -> NightResult:
    """Make a night, search it once, and score what each judge counts; `scratch` holds its files."""
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "subject.night"
        twitches, happenings = simulate_night(path, spec=case.spec)
        findings = find_candidates(path, search_score(judges))
    return score_findings(case, findings, twitches, happenings, judges)


def score_findings(
    case: Case, findings: Findings, twitches: Table, happenings: Table, judges: Sequence[Judge]
) -> NightResult:
    """Score the findings of a night against its twitches and happenings, site by site."""
    truth = twitches[list(TRUTH_DTYPE.names or ())].astype(TRUTH_DTYPE)
    units = twitches[["site", "peak_s", "unit"]]
    judged: dict[str, list[SiteScore]] = {site: [] for site in case.spec.sites}
    probability, often, why_not = {}, {}, {}
    for one in judges:
        rows = one.judge(findings)
        if one.name[0] not in probability and np.isfinite(rows["probability"]).any():
            probability[one.name[0]] = proved(rows, findings.coverage, truth)
        outcome = outcome_of(events_of(rows), findings.coverage, truth)
        often[one.name] = often_firing(outcome, units)
        if one.point == "balanced":
            why_not[one.name] = rejected(rows, findings.coverage, truth, happenings)
        why = causes(outcome, happenings)
        where = outcome.events["site"][outcome.false]
        for site in case.spec.sites:
            own = outcome.at([site], valid_s(_at(findings.coverage, site)) / 3600)
            counted = Counter(sorted(why[where == site].tolist()))
            error_ms = (1000 * own.error_s).astype(np.float32)
            judged[site].append(SiteScore(one.name, score_of(own), error_ms, dict(counted)))
    chips = case.spec.chips or ("",) * len(case.spec.sites)
    sites = tuple(
        _site_night(case, site, chip, _at(findings.coverage, site), _at(happenings, site), judged[site])
        for site, chip in zip(case.spec.sites, chips, strict=True)
    )
    return NightResult(sites, probability, often, filter_by_d(outcome), why_not)


def proved(rows: Table, coverage: Table, truth: Table) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """Return the probabilities of the candidates in valid time, and which of them match a truth.

    Candidates that match a truth of d < 3.9 are left out.
    """
    rows, truth = rows[in_valid_time(rows, coverage)], merge_truth(truth)
    hits, hit_by = match_in_turn(rows, truth)
    is_true, keep = np.zeros(len(rows), bool), np.ones(len(rows), bool)
    is_true[hit_by] = truth["d"][hits] >= LEAST_D
    keep[hit_by] = is_true[hit_by]
    return rows["probability"][keep].astype(np.float32), is_true[keep]


def _site_night(
    case: Case, site: str, chip: str, coverage: Table, happenings: Table, scores: Sequence[SiteScore]
) -> SiteNight:
    lengths_s = coverage["end_s"] - coverage["start_s"]
    seconds = {kind.name.lower(): float(lengths_s[coverage["kind"] == kind].sum()) for kind in Kind}
    away = happenings[happenings["wear"] != "worn"]
    valid = coverage[coverage["kind"] == Kind.VALID]
    sure = valid[~valid["wear_unconfirmed"]]
    still = coverage[~np.isin(coverage["kind"], (Kind.MOVEMENT, Kind.GAP, Kind.CLIPPED))]
    lost = coverage[coverage["kind"] == Kind.NOT_WORN]
    all_away = [(row["start_s"], row["end_s"]) for row in away]
    night = [(0.0, case.spec.hours * 3600)]
    return SiteNight(
        case, site, chip, seconds,
        off=tuple(
            OffBody(row["kind"], row["end_s"] - row["start_s"], *(
                _shared_s([(row["start_s"], row["end_s"])], _spans(rows)) for rows in (valid, sure)))
            for row in away[away["wear"] == "off_body"]
        ),
        still_s=_shared_s(night, _spans(still)) - _shared_s(all_away, _spans(still)),
        still_lost_s=_shared_s(night, _spans(lost)) - _shared_s(all_away, _spans(lost)),
        scores=tuple(scores),
    )  # fmt: skip


def _spans(coverage: Table) -> Floats:
    return np.stack([coverage["start_s"], coverage["end_s"]], axis=1)


def _shared_s(some: Sequence[tuple[float, float]], spans: Floats) -> float:
    """Return how much of some times lies in spans, which do not overlap; what is named twice counts once."""
    total, done_s = 0.0, -np.inf
    for start_s, end_s in sorted(some):
        total += float(
            np.clip(
                np.minimum(spans[:, 1], end_s) - np.maximum(spans[:, 0], max(start_s, done_s)), 0, None
            ).sum()
        )
        done_s = max(done_s, end_s)
    return total


def _at(rows: Table, site: str) -> Table:
    here: Table = rows[rows["site"] == site]
    return here
