"""The detection limits of a night: known twitches are added to excerpts of each site, and found or not.

Excerpts of the site's samples, spread over its valid time, go through the same detector with twitches added
before any filter (within the sensor's range and steps). What was found of them is judged by the run's model,
each among the night's own candidates, as if it were the only one added. All follows from the samples.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firmware_host.analysis.findings import Findings, candidate_rows, row_columns
from firmware_host.detection.context import CANDIDATE_SCORE, context_of
from firmware_host.detection.cover import Found
from firmware_host.detection.detector import SiteDetector
from firmware_host.detection.limit import LARGEST_MG, Tried, fit
from firmware_host.detection.limit_waves import add_wave, waves
from firmware_host.detection.quality import COVERED_DTYPE
from firmware_host.detection.signals import make_plan
from firmware_host.detection.site_night import SiteNight, make_site_night
from firmware_host.recording import Night, Stretch
from firmware_host.twitch_map import HourLimit, SiteLimit, inside, seconds_in
from firmware_host.twitch_map.limits import limit_over
from firmware_host.twitches import Kind, Table, dtype_of, valid_s

if TYPE_CHECKING:
    from firmware_host.detection.classifier import Model

Floats = npt.NDArray[np.float64]

BLOCKS = 4
"""Filter blocks in an excerpt: 4.8 minutes at 100 Hz."""
GUARD_S = 24.0
"""Nothing is added so near to where an excerpt was cut off: there the detector sees to one side only."""
COST_SHARE = 0.12
"""Of the night's samples are searched again, but for short nights: `FEWEST` excerpts at least."""
FEWEST, MOST = 5, 96
APART_S = (12.0, 4.0)
"""Added twitches stand so far apart at least, and so much more at most: the detector compares a
candidate with what its site shows in 15 s around it."""
CLEAR_S = 0.3
"""So far from what counts already, and from the end of valid time."""
NEAR_S = 1.0
"""Candidates so near an added twitch are those of the excerpt, all others those of the night."""
MATCH_S = 0.15
WORLDS = 12
"""Added twitches that are judged at once: every so many of them, out of each other's surroundings (30 s)."""
WIDE = (20.0, 700.0)
"""Sizes tried at first, mg per mg/sqrt(Hz) of noise; then closer to where 9 in 10 are found:"""
CLOSE = (0.35, 2.5)
LEAST_MG = 1.5
HOUR_S = 3600.0
LEAST_TRIED = 30
"""With fewer twitches nothing is said."""
UNKNOWN_DENSITY = 0.1
_SURROUNDINGS = ("site", "peak_s", "score", "peak_to_peak_mg")


@dataclass(frozen=True)
class Excerpt:
    """A part of a stretch, grid indices `begin` to `end`; twitches may be added from `first` to `last`."""

    stretch: Stretch
    begin: int
    end: int
    first: int
    last: int


ADDED_DTYPE = np.dtype(
    [("peak_s", "f8"), ("size_mg", "f8"), ("density", "f8"), ("slow", "?"), ("valid", "?"), ("found", "?"),
     ("worth", "f8"), ("measured_mg", "f8"), ("excerpt", "i8"), ("world", "i8")]
)  # fmt: skip
"""Added twitches: when, how large, the noise there, whether that moment stayed valid; whether it counts,
and of the likest candidate the probability (the score where a model gives none) and size, 0 without any."""


def measure_limits(
    night: Night, findings: Findings, judged: Table, model: Model, operating_point: str, key: str
) -> dict[str, SiteLimit]:
    """Return the detection limit of each site where enough could be tried; arguments as `add_twitches`."""
    found = {}
    for site, added in add_twitches(night, findings, judged, model, operating_point, key).items():
        limit = site_limit(added, findings.coverage[findings.coverage["site"] == site], night.duration_s)
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
        self._slim = _slim(findings.rows[findings.rows["site"] == site])
        self._coverage = findings.coverage[findings.coverage["site"] == site]
        self._valid = self._coverage[self._coverage["kind"] == Kind.VALID]
        counted = judged[(judged["site"] == site) & judged["counted"]]
        self._counted_s = counted["peak_s"]
        self._sites = sites
        noise = next(facts.noise_mg_per_sqrt_hz for facts in findings.sites if facts.site == site)
        self._density = noise or UNKNOWN_DENSITY

    def add(self, key: str) -> Table:
        """Add twitches batch by batch: widely spread sizes first, then closer to the limit."""
        digest = hashlib.sha256(f"{key} {self._site}".encode()).digest()
        rng = np.random.default_rng(np.frombuffer(digest[:16], np.uint32))
        chosen = self._excerpts(rng)
        done: Table = np.zeros(0, ADDED_DTYPE)
        for batch in np.split(np.arange(len(chosen)), [-(-len(chosen) // 3)]):
            low, high = self._sizes(done)
            added, near = [done[:0]], [np.zeros(0, dtype_of(row_columns()))]
            for number in batch.tolist():
                some, rows = self._search(chosen[number], rng, low, high)
                some["excerpt"] = number
                added.append(some)
                near.append(rows)
            done = np.concatenate([done, self._judged(np.concatenate(added), np.concatenate(near))])
        return done

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
    ) -> tuple[Table, Table]:
        """Add twitches to an excerpt and return them with the candidates near them."""
        fs_hz, stretch = self._info.fs_hz, part.stretch
        peaks = self._moments(part, rng)
        added = np.zeros(len(peaks), ADDED_DTYPE)
        added["peak_s"] = (stretch.time_ns(peaks) - self._start_ns) / 1e9
        size_mg = np.exp(rng.uniform(low, high, len(peaks)))
        added["size_mg"] = np.clip(size_mg, LEAST_MG, LARGEST_MG)
        number = rng.integers(len(waves()), size=len(peaks))
        added["slow"] = [waves()[one].slow for one in number.tolist()]
        added["world"] = np.arange(len(peaks)) % WORLDS
        way = rng.standard_normal((len(peaks), 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        more_mg = np.zeros((part.end - part.begin, 3), np.float32)
        for peak, which, size, along in zip(peaks.tolist(), number.tolist(), added["size_mg"].tolist(), way,
                                            strict=True):  # fmt: skip
            add_wave(more_mg, stretch.fs_hz, which, peak - part.begin, size, along)
        info = self._info
        step_g = info.g_per_count if info.sample_type == "int16" else None
        lowest = min(self._model.lowest_score, CANDIDATE_SCORE)
        detector = SiteDetector(fs_hz, lowest, range_g=info.range_g, step_g=step_g)
        for first, acc_g in _samples(part, more_mg, info.range_g, step_g):
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
        return added, rows[_near(rows["peak_s"], added["peak_s"], NEAR_S) >= 0]

    def _moments(self, part: Excerpt, rng: np.random.Generator) -> Floats:
        """Draw moments of valid time away from what counts, as grid indices."""
        fs_hz = part.stretch.fs_hz
        at, chosen = part.first + rng.uniform(0, APART_S[1]) * fs_hz, []
        while at < part.last:
            tries = at + rng.uniform(0, APART_S[1], 6) * fs_hz
            tries_s = (part.stretch.time_ns(tries) - self._start_ns) / 1e9
            good = inside(tries_s - CLEAR_S, self._valid) & inside(tries_s + CLEAR_S, self._valid)
            good &= (_near(tries_s, self._counted_s, CLEAR_S) < 0) & (tries < part.last)
            if good.any():
                at = float(tries[np.argmax(good)])
                chosen.append(at)
                at += APART_S[0] * fs_hz
            else:
                at += APART_S[1] * fs_hz
        return np.array(chosen)

    def _judged(self, added: Table, near: Table) -> Table:
        """Judge what was found of added twitches, each among the night's own candidates."""
        asked, of = [near[:0]], [np.zeros(0, np.int64)]
        for world in range(WORLDS):
            own = np.flatnonzero(added["world"] == world)
            own = own[np.argsort(added["peak_s"][own])]
            times_s = added["peak_s"][own]
            new = near[_near(near["peak_s"], times_s, NEAR_S) >= 0]
            match = _near(new["peak_s"], times_s, MATCH_S)
            if not np.any(match >= 0):
                continue
            kept = self._slim[_near(self._slim["peak_s"], times_s, NEAR_S) < 0]
            here = make_site_night(self._site, np.concatenate([kept, _slim(new)]), self._coverage)
            new, match = new[match >= 0], match[match >= 0]
            for column, values in context_of(new, here, list((self._sites | {self._site: here}).values())):
                new[column] = values
            asked.append(new)
            of.append(own[match])
        rows, hit = np.concatenate(asked), np.concatenate(of)
        probability = self._model.probability(rows)
        worth = np.where(np.isfinite(probability), probability, rows["score"])
        order = np.argsort(worth, kind="stable")  # the likest of several is written last
        added["worth"][hit[order]] = worth[order]
        added["measured_mg"][hit[order]] = rows["peak_to_peak_mg"][order]
        added["found"][hit[self._model.counted(rows, self._point, probability)]] = True
        return added


def _slim(rows: Table) -> Table:
    """Return what surroundings are made of."""
    out = np.zeros(len(rows), [(name, rows.dtype[name]) for name in _SURROUNDINGS])
    for name in _SURROUNDINGS:
        out[name] = rows[name]
    return out


def site_limit(added: Table, coverage: Table, duration_s: float) -> SiteLimit | None:
    """Fit what was found of one site's added twitches; None where too few could be added.

    Parameters
    ----------
    added : ADDED_DTYPE
    coverage : COVERAGE_DTYPE
        Of that site.
    duration_s : float
        Of the night.
    """
    known = added[added["valid"]]
    if len(known) < LEAST_TRIED:
        return None
    curve, others = fit(_tried(known))
    hour = (known["peak_s"] // HOUR_S).astype(int)
    noise = {number: float(np.exp(np.median(np.log(known["density"][hour == number]))))
             for number in np.unique(hour).tolist()}  # fmt: skip
    starts = np.array(list(noise)) * HOUR_S
    weight = seconds_in(
        coverage[coverage["kind"] == Kind.VALID], np.append(starts, max(duration_s, starts[-1]))
    )
    noises, weight = np.array(list(noise.values())), np.maximum(weight, 1e-6)
    over = [limit_over(one.share, noises, weight, LARGEST_MG) for one in (curve, *others)]
    low, high = _interval(over[0], np.array(over[1:]), len(np.unique(known["excerpt"])))
    return SiteLimit(
        limit_mg=_known(over[0]), low_mg=_known(low), high_mg=_known(high),
        largest_mg=LARGEST_MG, tried=len(known), found=int(known["found"].sum()), middle_mg=curve.middle_mg,
        steepness=curve.steepness, lapses=curve.lapses, noise_mg_per_sqrt_hz=curve.reference,
        noise_power=curve.noise_power,
        hours=tuple(
            HourLimit(start_s, value, _known(float(curve.limit_mg(value))))
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


def _samples(
    part: Excerpt, more_mg: npt.NDArray[np.float32], range_g: float | None, step_g: float | None
) -> list[tuple[int, npt.NDArray[np.float32]]]:
    """Return an excerpt's samples with more added, as the sensor would give them, by pieces without gaps."""
    found = list(part.stretch.pieces_between(part.begin, part.end))
    if not found:
        return []
    firsts = [first - part.begin for first, _ in found]
    acc_g = np.concatenate([counts for _, counts in found]) * np.float32(part.stretch.sensor.g_per_count)
    at = np.concatenate([first + np.arange(len(c)) for first, (_, c) in zip(firsts, found, strict=True)])
    acc_g += more_mg[at] * np.float32(1e-3)
    if step_g is not None:
        acc_g = np.rint(acc_g / np.float32(step_g)) * np.float32(step_g)
    if range_g is not None:
        acc_g = np.clip(acc_g, -np.float32(range_g), np.float32(range_g))
    cuts = np.cumsum([len(counts) for _, counts in found])[:-1]
    return list(zip(firsts, np.split(acc_g, cuts), strict=True))


def _near(times_s: Floats, others_s: Floats, within_s: float) -> npt.NDArray[np.int64]:
    """Return for each time the number of the nearest of others (in order) that is so near, or -1."""
    if not len(others_s):
        return np.full(len(times_s), -1, np.int64)
    after = np.clip(np.searchsorted(others_s, times_s), 1, max(len(others_s) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(others_s) - 1)
    closer = np.abs(others_s[after] - times_s) < np.abs(others_s[before] - times_s)
    nearest = np.where(closer, after, before)
    return np.where(np.abs(others_s[nearest] - times_s) <= within_s, nearest, -1)


def _tried(added: Table) -> Tried:
    return Tried(added["size_mg"], added["density"], added["found"], added["excerpt"])
