"""The detection limits of a night: known twitches are added to excerpts of each site, and found or not.

Excerpts of the site's samples, spread over its valid time, go through the same detector with twitches added
before any filter (within the sensor's range and steps). What was found of them is judged by the run's model,
each among the night's own candidates, as if it were the only one added; in pass 2 all together, for the added
ones are those of a few units, each with its waveform and direction. All follows from the samples
and the name of the site.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from firmware_host.analysis.excerpts import Beside, Excerpt, among_both, near_which, samples_with, together
from firmware_host.analysis.findings import Findings, Waves, as_run, candidate_rows
from firmware_host.analysis.recount import last_threshold
from firmware_host.analysis.runs import passes_of
from firmware_host.analysis.second_pass import first_odds, said_again
from firmware_host.detection.classifier import BoostedModel, Model, matrix_of
from firmware_host.detection.context import CANDIDATE_SCORE, context_of
from firmware_host.detection.cover import Found
from firmware_host.detection.detector import AT_ONCE, SiteDetector
from firmware_host.detection.limit import LARGEST_MG, Tried, fit
from firmware_host.detection.limit_waves import add_wave, waves
from firmware_host.detection.lobes import are_bursts
from firmware_host.detection.quality import COVERED_DTYPE
from firmware_host.detection.signals import make_plan
from firmware_host.detection.site_night import SiteNight, make_site_night
from firmware_host.detection.sure_units import of_sure_units, reaches
from firmware_host.detection.units import group
from firmware_host.recording import Night
from firmware_host.twitch_map import HourLimit, SiteLimit, inside, seconds_in
from firmware_host.twitch_map.limits import HOUR_S, hour_edges_s, limit_over
from firmware_host.twitches import Flag, Kind, Table, valid_s

Floats = npt.NDArray[np.float64]

BLOCKS = 4
"""Filter blocks in an excerpt: 4.8 minutes at 100 Hz."""
GUARD_S = 24.0
"""Nothing is added so near to where an excerpt was cut off: there the detector sees to one side only."""
COST_SHARE = 0.08
"""Of the night's samples are searched again, but for short nights: `FEWEST` excerpts at least."""
FEWEST, MOST = 5, 96
APART_S = (12.0, 4.0)
"""Added twitches stand so far apart at least, and so much more at most: the detector compares a
candidate with what its site shows in 15 s around it."""
CLEAR_S = 0.3
"""So far from what counts already, and from the end of valid time, both told every `STEP_S`."""
STEP_S = 0.05
NEAR_S = 1.0
"""Candidates so near an added twitch are those of the excerpt, all others those of the night."""
WANTED_MORE_S = 0.2
MATCH_S = 0.15
UNITS = 8
"""Made-up motor units that the added twitches are of: such repeat their shape and direction (science 7.1)."""
WORLDS = 4
"""Added twitches that are judged at once: every so many of them. None stands in another's surroundings
(`REACH_S`), though two excerpts may meet at a gap."""
WIDE = (20.0, 700.0)
"""Sizes tried at first, mg per mg/sqrt(Hz) of noise; then closer to where 9 in 10 are found:"""
CLOSE = (0.35, 2.5)
LEAST_MG = 1.5
LEAST_TRIED = 30
"""With fewer twitches nothing is said."""
UNKNOWN_DENSITY = 0.1
_SURROUNDINGS = ("site", "peak_s", "score", "peak_to_peak_mg", "side_lobe")


ADDED_DTYPE = np.dtype(
    [("peak_s", "f8"), ("size_mg", "f8"), ("density", "f8"), ("slow", "?"), ("valid", "?"), ("found", "?"),
     ("worth", "f8"), ("flags", "u4"), ("measured_mg", "f8"), ("excerpt", "i8"), ("world", "i8")]
)  # fmt: skip
"""Added twitches: when, how large, the noise there, whether that moment stayed valid; whether it counts,
and of the likest candidate the probability (the score where a model gives none), its flags, and
the size; 0 without any."""


def measure_limits(
    night: Night, findings: Findings, judged: Table, model: Model, operating_point: str, key: str
) -> dict[str, SiteLimit]:
    """Return the detection limit of each site where enough could be tried; arguments as `add_twitches`."""
    found = {}
    for site, added in add_twitches(night, findings, judged, model, operating_point, key).items():
        limit = site_limit(added, findings.coverage[findings.coverage["site"] == site])
        if limit is not None:
            found[site] = limit
    return found


def add_twitches(
    night: Night, findings: Findings, judged: Table, model: Model, operating_point: str, key: str
) -> dict[str, Table]:
    """Add known twitches to excerpts of each site and return what became of them (`ADDED_DTYPE`), by site.

    Parameters
    ----------
    night, findings
        The night and all that was found in it.
    judged
        Its candidates as judged by the model.
    model, operating_point
        Who judges.
    key
        Of the samples; another key, other twitches.
    """
    from threadpoolctl import threadpool_limits

    sites = {site: make_site_night(site, findings.rows, findings.coverage) for site in night.sites}
    with threadpool_limits(1, user_api="blas"):  # as in the search of the night
        return {
            facts.site: _Site(night, findings, judged, model, operating_point, sites, facts.site).add(key)
            for facts in findings.sites
        }


class _Site:
    """One site of a night to which twitches are added."""

    def __init__(
        self, night: Night, findings: Findings, judged: Table, model: Model, point: str,
        sites: dict[str, SiteNight], site: str,
    ) -> None:  # fmt: skip
        self._start_ns, self._site, self._model, self._point = night.start_ns, site, model, point
        self._info = night.meta.sensor(site)
        self._stretches = night.stretches(site)
        own = as_run(np.flatnonzero(findings.rows["site"] == site))
        self._rows = findings.rows[own]
        self._waves = findings.waves.at(own) if findings.waves is not None else None
        if isinstance(model, BoostedModel):
            self._first = first_odds(findings, model)[own]
        self._slim = _slim(self._rows)
        self._coverage = findings.coverage[findings.coverage["site"] == site]
        self._valid = self._coverage[self._coverage["kind"] == Kind.VALID]
        here = judged["site"] == site
        self._said = judged["probability"][here]
        self._counted_s = judged["peak_s"][here & judged["counted"]]
        self._sites = sites
        noise = next(facts.noise_mg_per_sqrt_hz for facts in findings.sites if facts.site == site)
        self._density = noise or UNKNOWN_DENSITY

    def add(self, key: str) -> Table:
        """Add twitches batch by batch: widely spread sizes first, then closer to the limit."""
        digest = hashlib.sha256(f"{key} {self._site}".encode()).digest()
        rng = np.random.default_rng(np.frombuffer(digest[:16], np.uint32))
        self._wave = rng.choice(len(waves()), UNITS, replace=False)
        way = rng.standard_normal((UNITS, 3))
        self._way = way / np.linalg.norm(way, axis=1, keepdims=True)
        chosen = self._excerpts(rng)
        done, found = np.zeros(0, ADDED_DTYPE), together([])
        for batch in np.split(np.arange(len(chosen)), [-(-len(chosen) // 3)]):
            low, high = self._sizes(done)
            added, near = [np.zeros(0, ADDED_DTYPE)], []
            for number in batch.tolist():
                some, candidates = self._search(chosen[number], rng, low, high)
                some["excerpt"] = number
                added.append(some)
                near.append(candidates)
            new = np.concatenate(added)
            new["world"][np.argsort(new["peak_s"], kind="stable")] = np.arange(len(new)) % WORLDS
            found = together([found, self._judged_first(new, together(near))])
            # What pass 1 finds is near enough to choose the next sizes by.
            counted = self._model.counted(found.rows, self._point, found.rows["probability"])
            done = _marked(np.concatenate([done, new]), found.rows, found.rows["probability"], counted)
        return _marked(done, found.rows, *self._judged_last(found, np.sort(done["peak_s"])))

    def _excerpts(self, rng: np.random.Generator) -> list[Excerpt]:
        """Choose excerpts evenly over valid time, in random order."""
        if valid_s(self._valid) < APART_S[0]:
            return []
        plan = make_plan(self._info.fs_hz)
        size, guard = BLOCKS * plan.hop * plan.decimation, round(GUARD_S * self._info.fs_hz)
        found, weight, samples = [], [], 0
        for stretch in self._stretches:
            samples += stretch.n
            for begin in range(0, stretch.n, size):
                end = min(begin + size, stretch.n)
                first, last = begin + guard * (begin > 0), end - guard * (end < stretch.n)
                if last > first:
                    edges_s = (stretch.time_ns([first, last]) - self._start_ns) / 1e9
                    found.append(Excerpt(stretch, begin, end, first, last))
                    weight.append(float(seconds_in(self._valid, edges_s)[0]))
        total = np.cumsum([0.0, *weight])
        if total[-1] <= 0:
            return []
        wanted = round(COST_SHARE * samples / size)
        count = min(max(wanted, FEWEST), MOST)
        at = (np.arange(count) + rng.random()) / count * total[-1]
        chosen = np.unique(np.searchsorted(total, at, side="right") - 1)
        return [found[number] for number in rng.permutation(chosen).tolist()]

    def _sizes(self, done: Table) -> tuple[float, float]:
        """Return the logarithms of the least and the largest size per noise that are tried next."""
        known = done[done["valid"]]
        if len(known) >= LEAST_TRIED // 2:
            curve, _ = fit(_tried(known), draws=0)
            limit = float(curve.limit_mg(curve.reference))
            if np.isfinite(limit):
                return float(np.log(CLOSE[0] * limit)), float(np.log(CLOSE[1] * limit))
        return tuple(float(np.log(side * self._density)) for side in WIDE)  # type: ignore[return-value]

    def _search(
        self, part: Excerpt, rng: np.random.Generator, low: float, high: float
    ) -> tuple[Table, Beside]:
        """Add twitches to an excerpt and return them with the candidates near them."""
        fs_hz, stretch = self._info.fs_hz, part.stretch
        peaks = self._moments(part, rng)
        added = np.zeros(len(peaks), ADDED_DTYPE)
        added["peak_s"] = (stretch.time_ns(peaks) - self._start_ns) / 1e9
        size_mg = np.exp(rng.uniform(low, high, len(peaks)))
        added["size_mg"] = np.clip(size_mg, LEAST_MG, LARGEST_MG)
        unit = rng.integers(UNITS, size=len(peaks))
        number = self._wave[unit]
        added["slow"] = [waves()[one].slow for one in number.tolist()]
        more_mg = np.zeros((part.end - part.begin, 3), np.float32)
        each = zip(peaks.tolist(), number.tolist(), added["size_mg"].tolist(), self._way[unit], strict=True)
        for peak, which, size, along in each:
            add_wave(more_mg, stretch.fs_hz, which, peak - part.begin, size, along)
        info = self._info
        step_g = info.g_per_count if info.sample_type == "int16" else None
        lowest = min(self._model.search_score, CANDIDATE_SCORE)
        # A burst's own peak lies some milliseconds from the statistic's maximum, which is asked for here.
        reach, here = (NEAR_S + WANTED_MORE_S) * stretch.fs_hz, peaks - part.begin
        detector = SiteDetector(
            fs_hz, lowest, range_g=info.range_g, step_g=step_g, at_once=AT_ONCE,
            wanted=lambda index: near_which(index.astype(float), here, reach) >= 0,
        )  # fmt: skip
        for first, acc_g in samples_with(part, more_mg, info.range_g, step_g):
            detector.push(first, acc_g)
        searched = detector.close(part.end - part.begin)
        cell = np.minimum(
            (peaks - part.begin).astype(int) // detector.cell_samples, len(searched.cells.kind) - 1
        )
        added["density"] = searched.cells.density[cell]
        known = np.isfinite(added["density"]) & (added["density"] > 0)
        added["valid"] = known & (searched.cells.kind[cell] == Kind.VALID)
        added["density"][~known] = self._density
        candidates = searched.candidates
        for name in ("peak_index", "onset_index", "end_index"):
            candidates[name] += part.begin
        found = Found(candidates, np.zeros(0, COVERED_DTYPE), searched.density)
        rows = candidate_rows(found, stretch, self._start_ns)
        beside = np.flatnonzero(near_which(rows["peak_s"], added["peak_s"], NEAR_S) >= 0)
        own = Waves(candidates["wave_mg"], candidates["floor_mg"])
        return added, Beside(rows[beside], own.at(beside), np.zeros(len(beside)))

    def _moments(self, part: Excerpt, rng: np.random.Generator) -> Floats:
        """Draw moments of valid time away from what counts, as grid indices."""
        apart, more = (round(each_s / STEP_S) for each_s in APART_S)
        step = STEP_S * part.stretch.fs_hz
        at_s = (part.stretch.time_ns(np.arange(part.first, part.last, step)) - self._start_ns) / 1e9
        good = inside(at_s - CLEAR_S, self._valid) & inside(at_s + CLEAR_S, self._valid)
        good &= near_which(at_s, self._counted_s, CLEAR_S) < 0
        good = np.append(good, np.zeros(2 * more, bool))
        at, chosen = int(rng.integers(more)), []
        while at < len(at_s):
            tries = at + rng.integers(more, size=6)
            tries = tries[good[tries]]
            if len(tries):
                chosen.append(int(tries[0]))
            at = chosen[-1] + apart if len(tries) else at + more
        peaks = part.first + (np.array(chosen) + rng.random(len(chosen))) * step
        return peaks[peaks < part.last]

    def _judged_first(self, added: Table, near: Beside) -> Beside:
        """Fill in what pass 1 says of candidates near added twitches, each among the night's own ones."""
        rows, model = near.rows, self._model
        of = _nearest(rows["peak_s"], added)
        for world in range(WORLDS):
            here_s = np.sort(added["peak_s"][added["world"] == world])
            new = added["world"][of] == world
            if not new.any():
                continue
            kept = self._slim[near_which(self._slim["peak_s"], here_s, NEAR_S) < 0]
            here = make_site_night(self._site, np.concatenate([kept, _slim(rows[new])]), self._coverage)
            sites = list((self._sites | {self._site: here}).values())
            for column, values in context_of(rows[new], here, sites):
                rows[column][new] = values
        if not isinstance(model, BoostedModel):
            rows["probability"] = model.probability(rows)
            return near
        first = model.log_odds(matrix_of(rows, model.features))
        rows["probability"] = model.probability_again(rows, model.calibrated(first))
        return Beside(rows, near.waves, first)

    def _judged_last(self, near: Beside, times_s: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return the probability of candidates, and which of them count, in the last pass of the model.

        Those of sure units get their flag.
        """
        model = self._model
        if not isinstance(model, BoostedModel) or passes_of(model) == 1 or self._waves is None:
            probability = near.rows["probability"]
            return probability, model.counted(near.rows, self._point, probability)
        loud = self._rows["score"] >= model.search_score
        kept = np.flatnonzero(loud & (near_which(self._rows["peak_s"], times_s, NEAR_S) < 0))
        new = np.flatnonzero(near.rows["score"] >= model.search_score)
        order = np.argsort(np.append(self._rows["peak_s"][kept], near.rows["peak_s"][new]), kind="stable")
        both, asked = np.append(kept, len(self._rows) + new)[order], order >= len(kept)
        rows = among_both(self._rows, near.rows, both)
        wave_mg, floor_mg = (among_both(*pair, both) for pair in zip(self._waves, near.waves, strict=True))
        grouped = group(wave_mg, floor_mg, rows["score"], rows["peak_s"], ~are_bursts(rows), asked)
        first = np.append(self._first, near.first)[both]
        again = said_again(rows, grouped, valid_s(self._valid) / 3600, model, first, asked)
        said = np.zeros(len(loud) + len(near.rows))
        said[: len(loud)][loud] = self._said
        said = said[both]
        said[asked] = model.probability_again(rows[asked], again)
        # Only the night's own make a unit sure: the added ones stand for units that fire seldom, too.
        sure = of_sure_units(grouped.unit, grouped.member, np.where(asked, 0.0, said), ~are_bursts(rows))
        probability, at = np.zeros(len(near.rows)), new[order[asked] - len(kept)]
        probability[at] = said[asked]
        near.rows["flags"][at] |= np.where(sure[asked], np.uint32(Flag.SURE_UNIT), np.uint32(0))
        return probability, reaches(probability, near.rows["flags"], last_threshold(model, self._point, 2))


def _nearest(times_s: Floats, added: Table) -> npt.NDArray[np.int64]:
    """Return the number of the added twitch that is nearest to each time."""
    order = np.argsort(added["peak_s"], kind="stable")
    return order[near_which(times_s, added["peak_s"][order], NEAR_S)]


def _marked(added: Table, rows: Table, probability: Floats, counted: npt.NDArray[np.bool_]) -> Table:
    """Return added twitches with what became of them."""
    of = _nearest(rows["peak_s"], added)
    hit = np.abs(rows["peak_s"] - added["peak_s"][of]) <= MATCH_S
    worth = np.where(np.isfinite(probability), probability, rows["score"])
    order = np.argsort(worth, kind="stable")  # the likest of several is written last
    order = order[hit[order]]
    for name in ("worth", "flags", "measured_mg", "found"):
        added[name] = 0
    added["worth"][of[order]] = worth[order]
    added["flags"][of[order]] = rows["flags"][order]
    added["measured_mg"][of[order]] = rows["peak_to_peak_mg"][order]
    added["found"][of[hit & counted]] = True
    return added


def _slim(rows: Table) -> Table:
    """Return what surroundings are made of."""
    out = np.zeros(len(rows), [(name, rows.dtype[name]) for name in _SURROUNDINGS])
    for name in _SURROUNDINGS:
        out[name] = rows[name]
    return out


def site_limit(added: Table, coverage: Table) -> SiteLimit | None:
    """Fit what was found of one site's added twitches; None where too few could be added.

    Parameters
    ----------
    added : ADDED_DTYPE
    coverage : COVERAGE_DTYPE
        Of that site.
    """
    known = added[added["valid"]]
    if len(known) < LEAST_TRIED:
        return None
    curve, others = fit(_tried(known))
    hour = (known["peak_s"] // HOUR_S).astype(int)
    noise = {number: float(np.exp(np.median(np.log(known["density"][hour == number]))))
             for number in np.unique(hour).tolist()}  # fmt: skip
    starts = np.array(list(noise)) * HOUR_S
    weight = seconds_in(coverage[coverage["kind"] == Kind.VALID], hour_edges_s(starts.tolist()))
    noises, weight = np.array(list(noise.values())), np.maximum(weight, 1e-6)
    largest_mg = float(known["size_mg"].max())  # what is larger than anything tried is not known
    over = [limit_over(one.share, noises, weight, largest_mg) for one in (curve, *others)]
    low, high = _interval(over[0], np.array(over[1:]), len(np.unique(known["excerpt"])))
    return SiteLimit(
        limit_mg=_known(over[0]), low_mg=_known(low), high_mg=_known(high),
        largest_mg=largest_mg, tried=len(known), found=int(known["found"].sum()), middle_mg=curve.middle_mg,
        steepness=curve.steepness, lapses=curve.lapses, noise_mg_per_sqrt_hz=curve.reference,
        noise_power=curve.noise_power,
        hours=tuple(
            HourLimit(start_s, value, _known(float(curve.limit_mg(value, largest_mg))))
            for start_s, value in zip(starts.tolist(), noise.values(), strict=True)
        ),
    )  # fmt: skip


def _interval(limit: float, drawn: Floats, excerpts: int) -> tuple[float, float]:
    """Return the 95 % interval of a limit from drawn ones; few excerpts are more alike than the night is."""
    from scipy.special import stdtrit

    low, high = np.quantile(drawn, (0.025, 0.975), method="nearest").tolist()
    if not np.isfinite(limit):
        return low, limit
    wider = float(stdtrit(max(excerpts - 1, 1), 0.975)) / 1.96
    return float(limit * min(low / limit, 1.0) ** wider), float(limit * max(high / limit, 1.0) ** wider)


def _known(limit_mg: float) -> float | None:
    return round(float(limit_mg), 3) if np.isfinite(limit_mg) else None


def _tried(added: Table) -> Tried:
    return Tried(added["size_mg"], added["density"], added["found"], added["excerpt"])
