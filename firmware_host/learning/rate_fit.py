"""The constants of honest rates, fitted on simulated site-nights whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from firmware_host.analysis.limits import site_limit
from firmware_host.analysis.second_pass import reaching
from firmware_host.detection.sure_units import reaches
from firmware_host.learning.match import match
from firmware_host.learning.rate_nights import SiteNight
from firmware_host.learning.score import in_valid_time
from firmware_host.twitch_map import RateModel, SiteLimit, twitch_map
from firmware_host.twitch_map.counting import Weighed
from firmware_host.twitch_map.estimate import BIN_SHAPE, LEVELS, Seen, estimate, night_false_per_h
from firmware_host.twitches import Table

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PROBABILITY_STEPS = (0.0, 0.25, 0.5, 0.7, 0.82, 0.91, 0.96, 1.0)
"""Edges of the bins of probability, from the operating point (0) to certain (1), as shares."""
GAPS_S = (0.0, 0.15, 0.3, 0.6, 1.0, 1e6)
BESIDE_S = 1.0
"""False alarms so near a true twitch are its own: later swings, doubled maxima."""
MOST = 200.0
"""Events of one site-night that count in full: one busy site is one site."""
BIN_S = 900.0
LEAST_VALID_S = 60.0
FEW = 3.0
"""Bins with fewer true twitches are held by any interval; the spreads are not fitted on them."""
WIDER = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.25, 2.5, 2.75, 3.0)
"""Times the spreads of least loss that are tried, for intervals that hold what they say."""

RARE = 30.0
"""Nights with fewer true twitches, one at least and one found: there `RateModel.found_few` is fitted."""
FEW_TRIED = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 14.0, 18.0, 24.0, 32.0)


@dataclass(frozen=True)
class Known:
    """A site-night with its limit, and what became of every counted event and every truth in valid time.

    `events`, `is_true` (n,), `true_mg` (n,) the size of the matched truth or NaN; `truth`, `found` (m,).
    """

    night: SiteNight
    limit: SiteLimit
    hours: float
    events: Table
    is_true: Bools
    true_mg: Floats
    truth: Table
    found: Bools


def known(night: SiteNight, least: float) -> Known | None:
    """Match a site-night with its truth; None if its limit is not known or not reached, or no time valid.

    `least` is the least probability that counts, of what was found and of what was added.
    """
    night = replace(night, candidates=night.candidates.copy(), added=night.added.copy())
    night.candidates["counted"] = reaching(night.candidates, least)
    night.added["found"] = reaches(night.added["worth"], night.added["flags"], least)
    limit = site_limit(night.added, night.coverage)
    valid = night.coverage[night.coverage["kind"] == 0]
    if limit is None or limit.limit_mg is None or not len(valid):
        return None
    counted = night.candidates[night.candidates["counted"]]
    hits, hit_by = match(counted["peak_s"], night.truth["peak_s"])
    true_mg = np.full(len(counted), np.nan)
    true_mg[hit_by] = night.truth["peak_to_peak_mg"][hits]
    found = np.isin(np.arange(len(night.truth)), hits)
    event_in, truth_in = in_valid_time(counted, night.coverage), in_valid_time(night.truth, night.coverage)
    return Known(
        night, limit, float((valid["end_s"] - valid["start_s"]).sum()) / 3600, counted[event_in],
        np.isfinite(true_mg[event_in]), true_mg[event_in], night.truth[truth_in], found[truth_in],
    )  # fmt: skip


def fit_rates(nights: Sequence[Known], threshold: float, made: str) -> RateModel:
    """Fit the constants for one operating point; `threshold` is the least probability that counts."""
    edges = tuple(round(threshold + (1 - threshold) * step, 6) for step in PROBABILITY_STEPS)
    true, false = (_shares(nights, edges, of_true=which) for which in (True, False))
    least, spread = _sizes(nights)
    mean, shape = _false_per_h([_alone(one, least) for one in nights], [one.hours for one in nights])
    beside = sum(_beside(one, least) * min(1.0, MOST / max(len(one.events), 1)) for one in nights)
    twitches = sum(min(float(one.is_true.sum()), MOST) for one in nights)
    model = RateModel(
        probability_edges=edges, true_share=true, false_share=false, false_per_h=round(mean, 4),
        false_shape=round(shape, 4), false_per_twitch=round(beside / max(twitches, 1.0), 5),
        least_size=least, size_spread=spread, size_shift=0.0, gaps_s=GAPS_S, gap_shares=_gap_shares(nights),
        found_scale=1.0, found_spread=0.0, made=made,
    )  # fmt: skip
    scale, found, shift = _spreads(nights, model)
    model = msgspec.structs.replace(model, found_scale=round(scale, 4), found_spread=found, size_shift=shift)
    model = msgspec.structs.replace(model, found_few=few(nights, model))
    times = wider(nights, model, found, shift)
    return msgspec.structs.replace(
        model, found_spread=round(times * found, 4), size_shift=round(times * shift, 4)
    )


def _shares(nights: Sequence[Known], edges: tuple[float, ...], *, of_true: bool) -> tuple[float, ...]:
    """Return how the probabilities of true events, or of false alarms, are spread over bins."""
    total = np.full(len(edges) - 1, 0.5)
    for one in nights:
        own = one.events["probability"][one.is_true == of_true]
        counted = np.histogram(np.clip(own, edges[0], edges[-1]), edges)[0]
        total += counted * min(1.0, MOST / max(counted.sum(), 1))
    return tuple(np.round(total / total.sum(), 5).tolist())


def _alone(one: Known, least: float) -> int:
    """Return the false alarms above the limit that are away from any true twitch."""
    return int((_false_above(one, least) & ~_near_truth(one)).sum())


def _beside(one: Known, least: float) -> int:
    return int((_false_above(one, least) & _near_truth(one)).sum())


def _false_above(one: Known, least: float) -> Bools:
    assert one.limit.limit_mg is not None
    return np.asarray(~one.is_true & (one.events["peak_to_peak_mg"] >= least * one.limit.limit_mg))


def _near_truth(one: Known) -> Bools:
    times = np.sort(one.night.truth["peak_s"])
    low, high = (np.searchsorted(times, one.events["peak_s"] + side) for side in (-BESIDE_S, BESIDE_S))
    return np.asarray(high > low)


def _false_per_h(counts: Sequence[int], hours: Sequence[float]) -> tuple[float, float]:
    """Return mean and shape of the gamma law of false alarms an hour, by maximum likelihood."""
    n, h = np.array(counts, float), np.array(hours)

    def loss(parameters: Floats) -> float:
        mean, shape = np.exp(parameters)
        share = shape / (shape + mean * h)
        return -float(
            (special.gammaln(n + shape) - special.gammaln(shape) + shape * np.log(share)
             + n * np.log1p(-share)).sum()
        )  # fmt: skip

    start = np.log([max(n.sum() / h.sum(), 0.01), 0.5])
    best = optimize.minimize(loss, start, method="L-BFGS-B", bounds=[(-6, 6), (-3, 3)]).x
    return float(np.exp(best[0])), float(np.exp(best[1]))


def _sizes(nights: Sequence[Known]) -> tuple[float, float]:
    """Return from how many times the limit on events are as many as twitches above it, and their spread."""
    over, truly, off = [], [], []
    for one in nights:
        limit = one.limit.limit_mg
        assert limit is not None
        near = one.is_true & (np.abs(np.log(one.true_mg / limit)) < np.log(2.0))
        weight = min(1.0, MOST / 4 / max(near.sum(), 1))
        measured = np.log(one.events["peak_to_peak_mg"][near].astype(float) / limit)
        over.append(np.stack([measured, np.full(len(measured), weight)]))
        truly.append(weight * float((one.true_mg[near] >= limit).sum()))
        close = np.abs(np.log(one.true_mg[near] / limit)) < 0.25
        off.append(
            np.stack([measured - np.log(one.true_mg[near] / limit), np.full(len(measured), weight)])[:, close]
        )
    measured, weight = np.concatenate(over, axis=1)
    order = np.argsort(-measured)
    level = float(np.interp(sum(truly), np.cumsum(weight[order]), measured[order]))
    value, weight = np.concatenate(off, axis=1)
    mean = float(np.average(value, weights=weight))
    return round(float(np.exp(level)), 4), round(
        float(np.sqrt(np.average((value - mean) ** 2, weights=weight))), 4
    )


def _gap_shares(nights: Sequence[Known]) -> tuple[float, ...]:
    """Return the share found of twitches well above the limit, by the time to the nearest other event."""
    found, truths = np.zeros(len(GAPS_S) - 1), np.zeros(len(GAPS_S) - 1)
    for one in nights:
        assert one.limit.limit_mg is not None
        large = one.truth["peak_to_peak_mg"] >= 1.2 * one.limit.limit_mg
        gap_s = gaps(one)[large]
        bins = np.clip(np.searchsorted(GAPS_S, gap_s, side="right") - 1, 0, len(GAPS_S) - 2)
        weight = min(1.0, MOST / max(large.sum(), 1))
        truths += weight * np.bincount(bins, minlength=len(truths))
        found += weight * np.bincount(bins, one.found[large], minlength=len(truths))
    share = (found + 0.9) / (truths + 1.0)
    return tuple(np.round(np.minimum(share / share[-1], 1.0), 4).tolist())


def gaps(one: Known) -> Floats:
    """Return for each truth the time to the nearest counted event that is not its own."""
    events_s = np.sort(one.events["peak_s"])
    hits, hit_by = match(events_s, one.truth["peak_s"])
    own = np.full(len(one.truth), -1)
    own[hits] = hit_by
    at = np.searchsorted(events_s, one.truth["peak_s"])
    gap = np.full(len(one.truth), np.inf)
    for step in (-2, -1, 0, 1):
        other = at + step
        there = (other >= 0) & (other < len(events_s)) & (other != own)
        gap[there] = np.minimum(gap[there], np.abs(events_s[other[there]] - one.truth["peak_s"][there]))
    return gap


def _spreads(nights: Sequence[Known], model: RateModel) -> tuple[float, float, float]:
    """Return the scale and the spreads with which the 95 % intervals of nights and bins are best.

    Best is the least pinball loss of both ends, each interval's over what it may err by at all.
    """
    asked = [one for night in nights for bin_s in (None, BIN_S) for one in _asked(night, model, bin_s)]
    truly = np.array([one.truly for one in asked])
    unit = np.sqrt(truly + 1.0) + 0.05 * truly

    def loss(parameters: Floats) -> float:
        scale, found, shift = np.exp(parameters).tolist()
        tried = msgspec.structs.replace(model, found_scale=scale, found_spread=found, size_shift=shift)
        ends = [estimate(one.seen, tried, *one.prior)[1:3] for one in asked]
        total = 0.0
        for level, end in zip(LEVELS, np.array(ends).T, strict=True):
            total += float((np.maximum(level * (truly - end), (level - 1) * (truly - end)) / unit).sum())
        return total

    start = np.log([[1.0, 0.8, 1.0], [0.95, 0.8, 1.0], [1.0, 0.4, 1.0], [1.0, 0.8, 0.4]])
    best = optimize.minimize(loss, start[0], method="Nelder-Mead", options={"initial_simplex": start,
                             "maxfev": 60, "xatol": 0.02, "fatol": 1e-4}).x  # fmt: skip
    scale, found, shift = np.exp(best).tolist()
    return scale, found, shift


def wider(nights: Sequence[Known], model: RateModel, found: float, shift: float) -> float:
    """Return how many times larger both spreads must be for the intervals of nights to hold what they say.

    The least loss is nearly flat there, and by itself leaves them too narrow.
    """
    asked = [one for night in nights for one in _asked(night, model, None)]
    truly = np.array([one.truly for one in asked])
    for times in WIDER:
        tried = msgspec.structs.replace(model, found_spread=times * found, size_shift=times * shift)
        low, high = np.array([estimate(one.seen, tried, *one.prior)[1:3] for one in asked]).T
        if np.mean((truly >= low) & (truly <= high)) >= LEVELS[1] - LEVELS[0]:
            return times
    return WIDER[-1]


def few(nights: Sequence[Known], model: RateModel) -> float:
    """Return the least `found_few` with which 2.5 % of the truths lie above the intervals of few twitches.

    Or, where it cannot bring them down to that, as few as it can.
    """
    every = [one for night in nights for one in _asked(night, model, None)]
    asked = [one for one in every if 1 <= one.truly < RARE and any(one.seen.by_probability)]

    def above(found_few: float) -> int:
        tried = msgspec.structs.replace(model, found_few=found_few)
        return sum(one.truly > estimate(one.seen, tried, *one.prior).high for one in asked)

    missed = [above(each) for each in FEW_TRIED]
    allowed = max((1 - LEVELS[1]) * len(asked), min(missed))
    return next(each for each, count in zip(FEW_TRIED, missed, strict=True) if count <= allowed)


class _Asked(NamedTuple):
    """One interval: how many twitches there truly were, what was seen, and the law of false alarms."""

    truly: float
    seen: Seen
    prior: tuple[float, float]


def _asked(one: Known, model: RateModel, bin_s: float | None) -> list[_Asked]:
    """Return the intervals of a night, or of those of its bins in which there is something to err about."""
    weighed, found = Weighed(one.events, one.limit, model), []
    assert one.limit.limit_mg is not None
    whole = weighed.above(slice(None), one.limit.limit_mg, one.hours)
    prior = (model.false_per_h, model.false_shape)
    if bin_s is not None:
        prior = (night_false_per_h(whole, model), BIN_SHAPE)
    rows = counts(one, model, bin_s)
    edges_s = np.append(rows["bin_start_s"], rows["bin_start_s"][-1:] + rows["bin_s"][-1:])
    cuts = np.searchsorted(one.events["peak_s"], edges_s)
    for number, row in enumerate(rows):
        if row["valid_s"] >= LEAST_VALID_S and np.isfinite(row["detection_limit_mg"]):
            limit_mg, part = float(row["detection_limit_mg"]), slice(int(cuts[number]), int(cuts[number + 1]))
            there = truly(one, row)
            if bin_s is None or there >= FEW:
                seen = weighed.above(part, limit_mg, float(row["valid_s"]) / 3600)
                found.append(_Asked(there, seen, prior))
    return found


def truly(one: Known, row: np.void) -> float:
    """Return the true twitches in a bin that are above its limit."""
    since_s = one.truth["peak_s"] - row["bin_start_s"]
    own = (since_s >= 0) & (since_s < row["bin_s"])
    return float((own & (one.truth["peak_to_peak_mg"] >= row["detection_limit_mg"])).sum())


def counts(one: Known, model: RateModel, bin_s: float | None) -> Table:
    """Count a site-night as a run does, but without dead time, which truths do not have."""
    site = one.night.site
    return twitch_map(
        one.night.candidates, one.night.coverage, [site], 0, bin_s, one.night.duration_s, tau_s=0.0,
        limits={site: one.limit}, rate_model=model,
    )  # fmt: skip
