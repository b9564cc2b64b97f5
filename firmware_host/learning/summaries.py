"""From scored nights, noise and recordings to the figures of an evaluation, as JSON can hold them.

Every figure with an interval is a list [value, low, high]: 95 %, subjects drawn with replacement.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from firmware_host.body import site as body_site
from firmware_host.learning.cohort_score import SITUATIONS, NightResult, OffBody, SiteNight, SiteScore
from firmware_host.learning.intervals import Statistic, figure, pooled
from firmware_host.learning.often import Often
from firmware_host.learning.real_score import LARGE_MG, NAIVE, Searched, equal_recall
from firmware_host.learning.recordings import EVOKED, INJECTED
from firmware_host.learning.rejected import rejected_summary
from firmware_host.learning.reliability import expected_error, reliability
from firmware_host.learning.score import Score, score_of

JudgeName = tuple[str, str]
Sites = Sequence[SiteNight]

ON_A_TABLE = frozenset({"on_table", "put_on_late", "taken_off_early"})
"""Off the body where nothing lives; loose in a bed a sensor feels who sleeps there."""
LONG_S = 3600.0
FIGURES: dict[str, Statistic] = {
    "recall d>=10": lambda score: score.recall_at(10.0),
    "precision d>=10": lambda score: score.precision_at(10.0),
    "F1 d>=10": lambda score: score.f1_at(10.0),
    "recall d>=6.6": lambda score: score.recall_at(6.6),
    "precision d>=6.6": lambda score: score.precision_at(6.6),
    "F1 d>=6.6": lambda score: score.f1_at(6.6),
    "recall": lambda score: score.recall,
    "precision": lambda score: score.precision,
    "F1": lambda score: score.f1,
    "false alarms per valid h": lambda score: score.false_alarms_per_h,
    "count bias": lambda score: score.count_bias,
}
SPLIT_FIGURES = ("recall d>=10", "precision d>=10", "F1 d>=10", "false alarms per valid h")
SPLITS: dict[str, Callable[[SiteNight], str]] = {
    "chip": lambda one: one.chip,
    "rate": lambda one: f"{one.case.spec.fs_hz:g} Hz",
    "region": lambda one: body_site(one.site).region,
    "site": lambda one: one.site,
    "profile": lambda one: one.case.spec.profile,
}


def label(judge: JudgeName) -> str:
    """Return the name of a judge: model and operating point."""
    return " ".join(judge)


def nights_summary(results: Sequence[NightResult], judges: Sequence[JudgeName]) -> dict[str, Any]:
    """Sum up virtual subjects' nights: each situation, the mixed one also by chip, rate, region and site."""
    sites = [site for result in results for site in result.sites]
    summary: dict[str, Any] = {"wear": wear_summary(sites)}
    for situation in SITUATIONS:
        own = [site for site in sites if site.case.situation == situation]
        if not own:
            continue
        nights = [one for one in results if one.sites[0].case.situation == situation]
        summary[situation] = {
            "subjects": len(nights),
            "site_hours": sum(site.case.spec.hours for site in own),
            "time_share": _time_shares(own),
            "judges": {label(judge): _judged(own, judge) for judge in judges},
            "calibration": _calibration(nights),
            "calibration_by_profile": {
                profile: _calibration([one for one in nights if one.sites[0].case.spec.profile == profile])
                for profile in sorted({one.sites[0].case.spec.profile for one in nights})
            },
            "often_firing": {label(judge): _often(nights, judge) for judge in judges},
            "known_filter_by_d": _known_filter(own, nights, judges[0]),
            "rejected": {
                label(judge): rejected_summary(night.rejected[judge] for night in nights)
                for judge in judges
                if all(judge in night.rejected for night in nights)
            },
        }
    mixed = [site for site in sites if site.case.situation == "mixed"]
    summary["splits"] = {name: _split(mixed, of, judges) for name, of in SPLITS.items()} if mixed else {}
    return summary


def _often(nights: Sequence[NightResult], judge: JudgeName) -> dict[str, float | None]:
    total = Often()
    for night in nights:
        total = total.plus(night.often[judge])
    return total._asdict() | {"over_bound": total.found / total.bound if total.bound else None}


def _judged(sites: Sites, judge: JudgeName) -> dict[str, Any]:
    own = [_by(site, judge) for site in sites]
    groups = _by_subject(sites, judge)
    total = pooled([one.score for one in own], [one.error_ms for one in own])
    causes = sum((Counter(one.causes) for one in own), Counter[str]())
    return {
        "figures": {name: figure(groups, of).as_list() for name, of in FIGURES.items()},
        "median_f1_of_subjects": _median([pooled(group).f1_at(10.0) for group in groups]),
        "recall_by_d": _bins(groups, total, "recall_by_d"),
        "recall_by_amplitude_mg": _bins(groups, total, "recall_by_amplitude_mg"),
        "timing_error_ms": total.timing_error_ms,
        "causes_per_valid_h": {
            name: count / total.valid_h for name, count in causes.most_common() if total.valid_h
        },
        "counts": {
            name: getattr(total, name)
            for name in ("truths", "found", "false_alarms", "valid_h", "outside_truths", "outside_found")
        },
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _known_filter(sites: Sites, nights: Sequence[NightResult], judge: JudgeName) -> list[float]:
    """Return the share that filters of known units would find, of each bin of d with truths in it."""
    bins = pooled([_by(site, judge).score for site in sites]).recall_by_d
    finds = np.sum([night.filter_by_d for night in nights], axis=0).tolist()
    return [found / each.truths for found, each in zip(finds, bins, strict=False) if each.truths]


def _by(site: SiteNight, judge: JudgeName) -> SiteScore:
    return next(one for one in site.scores if one.judge == judge)


def _by_subject(sites: Sites, judge: JudgeName) -> list[list[Score]]:
    groups: dict[int, list[Score]] = {}
    for site in sites:
        groups.setdefault(site.case.number, []).append(_by(site, judge).score)
    return list(groups.values())


def _bins(groups: list[list[Score]], total: Score, name: str) -> list[dict[str, Any]]:
    rows = []
    for number, each in enumerate(getattr(total, name)):
        if each.truths:
            share = figure(groups, lambda score, k=number: getattr(score, name)[k].recall)  # type: ignore[misc]
            high = each.high if math.isfinite(each.high) else None
            rows.append({"low": each.low, "high": high, "truths": each.truths, "recall": share.as_list()})
    return rows


def _split(sites: Sites, of: Callable[[SiteNight], str], judges: Sequence[JudgeName]) -> dict[str, Any]:
    names = sorted({of(site) for site in sites}, key=in_order)
    split = {}
    for name in names:
        own = [site for site in sites if of(site) == name]
        split[name] = {
            "valid_h": sum(site.seconds["valid"] for site in own) / 3600,
            "valid_share": _time_shares(own)["valid"],
            "judges": {
                label(judge): {
                    key: figure(_by_subject(own, judge), FIGURES[key]).as_list() for key in SPLIT_FIGURES
                }
                for judge in judges
            },
        }
    return split


def in_order(name: str) -> tuple[float, int, str]:
    """Return what names of a table are sorted by: rates by their number, all else by length and letters."""
    number = name.removesuffix(" Hz")
    return 0.0 if number == name else float(number), len(name), name


def _time_shares(sites: Sites) -> dict[str, float]:
    total = sum(sum(site.seconds.values()) for site in sites)
    return {kind: sum(site.seconds[kind] for site in sites) / total for kind in sites[0].seconds}


def _calibration(nights: Sequence[NightResult]) -> dict[str, Any]:
    names = sorted({name for night in nights for name in night.probability})
    found = {}
    for name in names:
        parts = [night.probability[name] for night in nights if name in night.probability]
        probability, true = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        table = reliability(probability, true)
        likely = reliability(probability[probability >= 0.1], true[probability >= 0.1])
        found[name] = {
            "table": [vars(each) for each in table],
            "expected_error": expected_error(table),
            "expected_error_from_0.1": expected_error(likely),
            "candidates": len(true),
            "true_share": float(true.mean()) if len(true) else None,
        }
    return found


def wear_summary(sites: Sites) -> dict[str, Any]:
    """Sum up time off the body that is called valid, and still time on it that is called not worn."""
    spells = [spell for site in sites for spell in site.off]
    long = [spell for spell in spells if spell.kind in ON_A_TABLE and spell.lasts_s >= LONG_S]
    kinds = sorted({spell.kind for spell in spells})
    still_s, lost_s = (sum(getattr(site, name) for site in sites) for name in ("still_s", "still_lost_s"))
    return {
        "off": {kind: _off([spell for spell in spells if spell.kind == kind]) for kind in kinds},
        "on_a_table_an_hour_or_more": _off(long),
        "still_h": still_s / 3600,
        "still_called_not_worn": lost_s / still_s if still_s else None,
    }


def _off(spells: Sequence[OffBody]) -> dict[str, Any]:
    total_s = sum(spell.lasts_s for spell in spells)
    return {
        "spells": len(spells),
        "hours": total_s / 3600,
        "called_valid": sum(spell.valid_s for spell in spells) / total_s if total_s else None,
        "called_valid_and_worn": sum(spell.sure_s for spell in spells) / total_s if total_s else None,
    }


def real_summary(searched: Sequence[Searched], judges: Sequence[JudgeName]) -> dict[str, Any]:
    """Sum up real recordings: added twitches by group, equal recall, and events where nothing twitches."""
    added = [one for one in searched if one.file in {INJECTED, EVOKED}]
    others = [one for one in searched if one.file not in {INJECTED, EVOKED}]
    summary: dict[str, Any] = {"added": {}, "equal_recall": {}, "rest": {}}
    for group in sorted({one.group for one in added}):
        own = [one for one in added if one.group == group]
        rest = [one for one in others if group.startswith(one.group)]
        every = (*judges, NAIVE)
        summary["added"][group] = {
            label(judge): pooled(
                [score_of(one.outcomes[judge]) for one in own],
                [1000 * one.outcomes[judge].error_s for one in own],
            ).as_dict()
            for judge in every
        }
        summary["equal_recall"][group] = {
            label(judge): {
                name: [
                    equal_recall(own, rest, judge, least, beyond_chance=beyond) for least in (0.0, LARGE_MG)
                ]
                for name, beyond in (("raw", False), ("beyond_chance", True))
            }
            for judge in judges
        }
    for file, group in sorted({(one.file, one.group) for one in others}):
        own = [one for one in others if (one.file, one.group) == (file, group)]
        summary["rest"][f"{file}: {group}"] = _rest(own, judges)
    return summary


def _rest(recordings: Sequence[Searched], judges: Sequence[JudgeName]) -> dict[str, Any]:
    hours = sum(one.hours for one in recordings)
    valid_h = sum(one.outcomes[judges[0]].valid_h for one in recordings)
    events = {
        judge: sum(int(one.outcomes[judge].false.sum()) for one in recordings) for judge in (*judges, NAIVE)
    }
    return {
        "recordings": len(recordings),
        "hours": hours,
        "valid_share": valid_h / hours,
        "events": {label(judge): count for judge, count in events.items()},
        "per_valid_h": {
            label(judge): count / (hours if judge == NAIVE else valid_h) if valid_h else None
            for judge, count in events.items()
        },
    }
