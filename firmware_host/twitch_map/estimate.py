"""From counted events to the true twitches above the detection limit, with what is not known.

Counted events of at least the limit are twitches or false alarms. How many are false follows from how
probable each is, against how many false alarms an hour sites have (an empirical Bayes estimate for this very
site-night: where next to nothing twitches the same probability is worth less). Each true one stands for those
that were missed at its size and this near to others. What stays unknown is drawn: false alarms, misses, sizes
near the limit, and how much this site's twitches differ from those that were added.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 1000
LEVELS = (0.025, 0.975)
FALSE_LOG_ODDS = np.linspace(-12.0, 9.0, 85)
"""Shares of all counted events that are thought to be false alarms of their own accord."""
TOTALS = 9
"""Rates of all events that are thought possible, given how many there were."""
NONE_NEAR = 0.01
FEW = 8.0
"""Means of misses from which on their number is as good as normal."""
MOST_FOUND = 0.995
"""However large twitches are, some are missed."""
SINGLY = 32
"""So many events are drawn one by one; how many of more are false is as good as normal."""
LEAST_H = 1e-4
"""Less valid time is counted as so much: a rate of a moment is none."""
BIN_SHAPE = 1.0
"""Shape of the gamma law by which false alarms of a time bin vary around those of the night."""


class _Law(NamedTuple):
    """What the draws of false alarms need of a `RateModel`."""

    true_share: tuple[float, ...]
    false_share: tuple[float, ...]
    false_per_twitch: float


class RateModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model's counts are worth; fitted on simulated site-nights (`learning.rates`)."""

    probability_edges: tuple[float, ...]
    """Counted events are sorted by their probability into bins between these."""
    true_share: tuple[float, ...]
    """How true events are spread over these bins, and"""
    false_share: tuple[float, ...]
    """how false alarms are."""
    false_per_h: float
    """False alarms above the limit an hour of valid time: the mean over sites of a gamma law, and"""
    false_shape: float
    """its shape: below 1 where few sites have most."""
    false_per_twitch: float
    """Further false alarms for each twitch (second swings of large ones)."""
    least_size: float
    """Events of so many times the limit are about as many as true twitches above it: noise adds to sizes."""
    size_spread: float
    """How far the measured size is from the true one near the limit (logarithm, standard deviation)."""
    size_shift: float
    """How much a whole site's sizes may be off: by so many of the events near the limit, as `Seen.near_limit`
    counts them (standard deviation; units of one size are all on one side or the other)."""
    gaps_s: tuple[float, ...]
    """Edges of the time to the nearest other counted event, and"""
    gap_shares: tuple[float, ...]
    """what share of twitches is found so near to it, of those found alone."""
    found_scale: float
    """The share found of real twitches over that of the added ones, and"""
    found_spread: float
    """how much the odds of missing them differ from site to site (logarithm, standard deviation)."""
    made: str
    found_few: float = 0.0
    """Where n are found, the odds of missing more are larger by this over n + 1: units that fire a few times
    are found less surely. It widens the interval upwards; the best guess stays."""

    def fault(self) -> str | None:
        """Say what is wrong; None if nothing is."""
        bins = len(self.probability_edges) - 1
        if bins < 1 or len(self.true_share) != bins or len(self.false_share) != bins:
            return "has rates with columns of unequal length"
        if len(self.gap_shares) != len(self.gaps_s) - 1 or not self.gap_shares:
            return "has rates with gaps of unequal length"
        positive = (*self.true_share, *self.false_share, self.false_per_h, self.false_shape, *self.gap_shares,
                    self.least_size, self.found_scale)  # fmt: skip
        if not all(0 < value < 1e6 for value in positive):
            return "has rates with a number that is not positive"
        spreads = (
            self.false_per_twitch,
            self.size_spread,
            self.size_shift,
            self.found_spread,
            self.found_few,
        )
        if not all(0 <= value < 100 for value in spreads):
            return "has rates with a spread that cannot be"
        return None

    def bins_of(self, probability: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the bin of each probability."""
        at = np.searchsorted(self.probability_edges, np.asarray(probability, float), side="right") - 1
        return np.clip(at, 0, len(self.true_share) - 1)

    @property
    def law(self) -> _Law:
        """How events of both sorts are spread."""
        return _Law(self.true_share, self.false_share, self.false_per_twitch)

    def gap_share(self, gap_s: Floats) -> Floats:
        """Return what share is found at some times from the nearest other counted event."""
        at = np.searchsorted(self.gaps_s, gap_s, side="right") - 1
        return np.array(self.gap_shares)[np.clip(at, 0, len(self.gap_shares) - 1)]


class RateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rates.json` of a bundle: for which model (SHA-256 of its file), and what each operating point has."""

    model_sha256: str
    points: dict[str, RateModel]

    def fault(self) -> str | None:
        """Say what is wrong; None if nothing is."""
        return next((fault for one in self.points.values() if (fault := one.fault())), None)


class Estimate(NamedTuple):
    """True twitches above the limit in some time: best guess, 95 % limits, and the false alarms expected."""

    twitches: float
    low: float
    high: float
    false: float


class Seen(NamedTuple):
    """What was counted above the limit in some valid time.

    `by_probability` counts by bin of probability; `standing_for` is how many twitches the events stand for,
    were all true (the sum of 1 / share found); `near_limit` the variance of how many are truly above it.
    """

    by_probability: tuple[int, ...]
    hours: float
    standing_for: float
    near_limit: float
    sure: int = 0
    """Events that a reviewer said are twitches; not among those by probability."""


def estimate(seen: Seen, model: RateModel, false_per_h: float, false_shape: float) -> Estimate:
    """Estimate how many true twitches above the limit there were.

    Parameters
    ----------
    seen : Seen
    model : RateModel
    false_per_h, false_shape : float
        Mean and shape of the gamma law that the false alarms an hour are thought to come from.
    """
    counted = sum(seen.by_probability)
    if not counted + seen.sure and seen.near_limit < NONE_NEAR:
        return Estimate(0.0, 0.0, 1.0, 0.0)  # one is never ruled out by having seen none
    false = _false_alarms(seen, model.law, false_per_h, false_shape)
    each = seen.standing_for / (counted + seen.sure) if counted + seen.sure else 1.0
    random = _random()
    moved = np.sqrt(seen.near_limit) * random.size + model.size_shift * seen.near_limit * random.shift
    above = np.maximum(counted + seen.sure - false + np.rint(moved), 0.0)
    # The misses of k found ones have a negative binomial law; with k + 1 none found leaves some doubt, too.
    share = min(model.found_scale / each, MOST_FOUND)
    odds = (
        (1 - share) / share * np.exp(model.found_spread * random.site) * (1 + model.found_few / (above + 1))
    )
    missed = _poisson(random, _gamma(random, above + 1.0) * odds)
    total = above + missed
    best = max(counted + seen.sure - float(false.mean()), 0.0) / share
    ends = [int(level * DRAWS) - 1 for level in LEVELS]
    low, high = np.partition(total, ends)[ends]
    return Estimate(best, min(float(low), best), max(float(high), best, 1.0), float(false.mean()))


def expected_false(seen: Seen, model: RateModel, false_per_h: float, false_shape: float) -> float:
    """Return how many of the counted events are false on average; arguments as of `estimate`."""
    if not any(seen.by_probability):
        return 0.0
    told = _posterior(seen, model.law, false_per_h, false_shape)
    return float(told.weight @ _spread(model.law).false @ np.array(seen.by_probability))


def night_false_per_h(seen: Seen, model: RateModel) -> float:
    """Return the mean rate of false alarms above the limit, 1/h, that a whole night speaks for."""
    mean, shape = model.false_per_h, model.false_shape
    if not any(seen.by_probability):
        return shape / (shape / mean + seen.hours)
    return _posterior(seen, model.law, mean, shape).false_per_h


def _false_alarms(seen: Seen, law: _Law, mean: float, shape: float) -> Floats:
    """Draw how many of the counted events are false, (DRAWS,)."""
    counts = np.array(seen.by_probability)
    if not counts.any():
        return np.zeros(DRAWS)
    random, weight = _random(), _posterior(seen, law, mean, shape).weight
    cell = np.searchsorted(np.cumsum(weight), random.cell * weight.sum())
    share = _spread(law).false[np.minimum(cell, len(weight) - 1)]
    if counts.sum() <= SINGLY:
        of_event = np.repeat(np.arange(len(counts)), counts)
        return np.asarray((random.events[:, : len(of_event)] < share[:, of_event]).sum(axis=1), float)
    drawn = share @ counts + random.false * np.sqrt((share * (1 - share)) @ counts)
    return np.asarray(np.clip(np.rint(drawn), 0, counts.sum()), float)


class _Spread(NamedTuple):
    """What follows from the share of all events that are false alarms of their own accord, (shares, bins).

    `log` is the logarithm of how likely an event is in each bin of probability; `false` how probably it is
    a false alarm of either sort there.
    """

    log: Floats
    false: Floats


@lru_cache(maxsize=8)
def _spread(law: _Law) -> _Spread:
    from scipy.special import expit

    share = expit(FALSE_LOG_ODDS)[:, None]
    twitches = expit(-FALSE_LOG_ODDS)[:, None] / (1 + law.false_per_twitch)
    alarms = (share + law.false_per_twitch * twitches) * np.array(law.false_share)
    likely = twitches * np.array(law.true_share) + alarms
    return _Spread(np.log(likely), alarms / likely)


class _Posterior(NamedTuple):
    """How probable each share of `FALSE_LOG_ODDS` is, (shares,); the mean rate of false alarms, 1/h."""

    weight: Floats
    false_per_h: float


def _posterior(seen: Seen, law: _Law, mean: float, shape: float) -> _Posterior:
    """Return what some counted events say of the false alarms among them.

    The rate of false alarms has a gamma law, that of twitches is thought as likely in any power of ten.
    """
    from scipy.special import expit

    share = expit(FALSE_LOG_ODDS)
    total = _totals(sum(seen.by_probability))[:, None] / max(seen.hours, LEAST_H)
    log = (shape - 1) * np.log(total) + shape * np.log(share) - shape * total * share / mean
    log += _spread(law).log @ np.array(seen.by_probability)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    return _Posterior(weight.sum(axis=0), float((weight * total * share).sum()))


@lru_cache(maxsize=4096)
def _totals(n: int) -> Floats:
    """Return how many events there are usually, where there were now n, (TOTALS,)."""
    from scipy.special import gammaincinv

    return np.asarray(gammaincinv(n + 1.0, (np.arange(TOTALS) + 0.5) / TOTALS))


class _Random(NamedTuple):
    """The same chance for every estimate, so that it follows from the counts alone; each (DRAWS,).

    `normal` is `poisson` as a normal variable; `events` is even in 0 to 1, (DRAWS, SINGLY).
    """

    cell: Floats
    size: Floats
    shift: Floats
    site: Floats
    gamma: Floats
    poisson: Floats
    normal: Floats
    false: Floats
    events: Floats


@lru_cache(maxsize=1)
def _random() -> _Random:
    from scipy.special import ndtri

    rng = np.random.default_rng(5)
    # Evenly spread numbers in random order: a thousand draws then leave little chance in the quantiles.
    even = np.array([(rng.permutation(DRAWS) + 0.5) / DRAWS for _ in range(7 + SINGLY)])
    size, shift, site, gamma, normal, false = ndtri(even[1:7])
    return _Random(even[0], size, shift, site, gamma, even[5], normal, false, even[7:].T.copy())


def _gamma(random: _Random, shape: Floats) -> Floats:
    """Draw gamma variables of some shapes, 1 or more (Wilson & Hilferty 1931: their cube root is normal)."""
    return np.asarray(shape * np.maximum(1 - 1 / (9 * shape) + random.gamma / (3 * np.sqrt(shape)), 0.0) ** 3)


def _poisson(random: _Random, mean: Floats) -> Floats:
    """Draw whole numbers with some means: the least with so much chance below, by a normal law if many."""
    normal = mean + random.normal * np.sqrt(mean) + (random.normal**2 - 1) / 6
    out = np.maximum(np.rint(normal), 0.0)
    few = np.flatnonzero(mean < FEW)
    chance = np.exp(-mean[few])
    below, number = chance.copy(), np.zeros(len(few))
    left = random.poisson[few] > below
    for k in range(1, round(4 * FEW)):
        if not left.any():
            break
        chance *= mean[few] / k
        below += chance
        number[left] = k
        left &= random.poisson[few] > below
    out[few] = number
    return np.asarray(out)
