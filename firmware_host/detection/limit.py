"""The detection limit: the peak-to-peak amplitude that is found 9 times in 10 in a site-night's own noise.

Known twitches were added at random moments of valid time, and were found or not. The share found is fitted as
a normal distribution function of the logarithm of the amplitude over the noise at that moment, which ends
below 1 where even large twitches are missed: one fit a site-night, with the hour's noise in it. Weak priors
(what matched filters in noise do) keep a fit of few twitches sane. How far it would move with other moments
is told by drawing whole excerpts of the night again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from firmware_host.detection.signals import Bool, Float64

SHARE = 0.9
LARGEST_MG = 700.0
"""A whole muscle's evoked twitch (Barry 1992); what is not found so large is not found."""
PRIOR_MIDDLE = (np.log(45.0), 0.8)
"""Half are found at 44 mg per mg/sqrt(Hz) in white noise (science: bank of four); bodies differ."""
PRIOR_STEEPNESS = (np.log(3.5), 0.5)
"""Of the logarithm of the amplitude; a known shape in white noise has 5.5, mixed ones less."""
PRIOR_LAPSES = (-3.5, 1.2)
"""Log-odds of missing even the largest."""
PRIOR_NOISE = (1.0, 0.3)
"""The limit grows as this power of the noise."""
DRAWS = 60
STEPS = 40
NEAR = 1e-4
"""A fit is done once its step is so small: of logarithms, of log-odds and of a power."""


class Tried(NamedTuple):
    """Twitches that were added: size (n,) mg, noise there (n,) mg/sqrt(Hz), found (n,), excerpt (n,)."""

    size_mg: Float64
    density: Float64
    found: Bool
    excerpt: np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Curve:
    """The share found by amplitude and noise: (1 - lapses) Phi(steepness ln(size / middle)).

    The middle is `middle_mg` at the density `reference` and grows as its power `noise_power`.
    """

    middle_mg: float
    steepness: float
    lapses: float
    noise_power: float
    reference: float

    def middle_at(self, density: Float64 | float) -> Float64:
        """Return the amplitude (mg) of which half of those that can be found are found."""
        ratio = np.asarray(density, float) / self.reference
        return np.asarray(self.middle_mg * ratio**self.noise_power)

    def share(self, size_mg: Float64 | float, density: Float64 | float) -> Float64:
        """Return the share found of twitches of some sizes, where the noise is so."""
        z = self.steepness * np.log(np.asarray(size_mg, float) / self.middle_at(density))
        return np.asarray((1 - self.lapses) * special.ndtr(z))

    def limit_mg(self, density: Float64 | float, largest_mg: float = LARGEST_MG) -> Float64:
        """Return the amplitude found 9 times in 10 where the noise is so; infinite where not reached."""
        kept = 1 - self.lapses
        z = special.ndtri(SHARE / kept) if kept > SHARE else np.inf
        limit = self.middle_at(density) * np.exp(z / self.steepness)
        return np.asarray(np.where(limit <= largest_mg, limit, np.inf))


def fit(tried: Tried, draws: int = DRAWS, seed: int = 1) -> tuple[Curve, list[Curve]]:
    """Fit the curve, and as often again with excerpts drawn with replacement.

    Parameters
    ----------
    tried : Tried
        One at least.
    draws, seed : int
    """
    reference = float(np.exp(np.median(np.log(tried.density))))
    names, which = np.unique(tried.excerpt, return_inverse=True)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    known = np.log(tried.size_mg), np.log(tried.density / reference), tried.found
    own = _fitted(*known, np.ones((1, len(which))), reference)
    # The others lie near the first: they begin there.
    others = _fitted(*known, times[:, which].astype(float), reference, own) if draws else own[:0]
    curves = [
        Curve(float(np.exp(m)), float(np.exp(s)), float(special.expit(lapse)), float(g), reference)
        for m, s, lapse, g in np.concatenate([own, others])
    ]
    return curves[0], curves[1:]


def _fitted(
    size: Float64,
    noise: Float64,
    found: Bool,
    weight: Float64,
    reference: float,
    begin: Float64 | None = None,
) -> Float64:
    """Return (fits, 4): log middle, log steepness, log-odds of lapses, power of the noise, by Fisher scoring.

    All fits are made at once: `weight` (fits, n) is how often each twitch counts in each; `begin` (1, 4) is
    where they begin, if not at what is expected.
    """
    mean = np.array(
        [PRIOR_MIDDLE[0] + np.log(reference), PRIOR_STEEPNESS[0], PRIOR_LAPSES[0], PRIOR_NOISE[0]]
    )
    precision = np.array([p[1] for p in (PRIOR_MIDDLE, PRIOR_STEEPNESS, PRIOR_LAPSES, PRIOR_NOISE)]) ** -2.0
    at = np.tile(mean if begin is None else begin[0], (len(weight), 1))

    def worth(at: Float64, weight: Float64) -> Float64:
        return np.asarray(
            _likelihood(at, size, noise, found, weight) - 0.5 * (precision * (at - mean) ** 2).sum(axis=1)
        )

    value, damping, left = worth(at, weight), np.full(len(weight), 1e-2), np.arange(len(weight))
    for _ in range(STEPS):
        here, weighs = at[left], weight[left]
        share, slopes = _slopes(here, size, noise)
        per = weighs * (found - share) / (share * (1 - share))
        gradient = np.einsum("fn,fpn->fp", per, slopes) - precision * (here - mean)
        scaled = slopes * (weighs / (share * (1 - share)))[:, None]
        information = scaled @ slopes.swapaxes(1, 2) + np.diag(precision)
        diagonal = np.einsum("fpp->fp", information)
        information += damping[left, None, None] * diagonal[:, :, None] * np.eye(4)
        step = np.clip(np.linalg.solve(information, gradient[..., None])[..., 0], -1.0, 1.0)
        better = worth(here + step, weighs)
        up = better > value[left]
        at[left[up]], value[left[up]] = (here + step)[up], better[up]
        damping[left] = np.where(up, damping[left] / 4, damping[left] * 8)
        left = left[(np.abs(step) >= NEAR).any(axis=1)]  # where no step helps, steps become as small too
        if not len(left):
            break
    return at


def _slopes(at: Float64, size: Float64, noise: Float64) -> tuple[Float64, Float64]:
    """Return the share found (fits, n) and its slopes by the parameters (fits, 4, n)."""
    z, steepness, kept = _above_middle(at, size, noise)
    below, density = special.ndtr(z), kept * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    slopes = np.stack(
        [-steepness * density, z * density, -kept * (1 - kept) * below, -steepness * noise * density], axis=1
    )
    return np.clip(kept * below, 1e-9, 1 - 1e-9), slopes


def _likelihood(at: Float64, size: Float64, noise: Float64, found: Bool, weight: Float64) -> Float64:
    z, _, kept = _above_middle(at, size, noise)
    share = np.clip(kept * special.ndtr(z), 1e-9, 1 - 1e-9)
    return np.asarray((weight * np.log(np.where(found, share, 1 - share))).sum(axis=1))


def _above_middle(at: Float64, size: Float64, noise: Float64) -> tuple[Float64, Float64, Float64]:
    """Return how far sizes lie above the middle (fits, n), the steepness and what is not lapsed (fits, 1)."""
    middle, log_steepness, log_odds, power = at.T[:, :, None]
    steepness, kept = np.exp(log_steepness), special.expit(-log_odds)
    return steepness * (size - middle - power * noise), steepness, kept
