"""How many twitches of units that fire often are found, beside what a matched filter of each unit would find.

The filter knows the unit's shape and direction, so its answer is one Gaussian number: by Rice it crosses a
level u upwards f_rms exp(-u^2 / 2) times a second, and finds a twitch of d with the chance Phi(d - u).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from firmware_host.learning.score import D_EDGES, Outcome
from firmware_host.twitches import Table

OFTEN = 50
"""So many twitches a night."""
F_RMS_HZ = 16.0
"""Of a twitch of 50 ms rise in 5-45 Hz (science 6.1)."""
LEVEL = float(np.sqrt(2 * np.log(3600 * F_RMS_HZ)))
"""What such a filter crosses once an hour."""


class Often(NamedTuple):
    """Twitches of such units in valid time, how many were found, and how many the filter would find."""

    truths: int = 0
    found: int = 0
    bound: float = 0.0

    def plus(self, other: Often) -> Often:
        """Return the sums of both."""
        return Often(self.truths + other.truths, self.found + other.found, self.bound + other.bound)


def often_firing(outcome: Outcome, units: Table) -> Often:
    """Count over the units of a night that have at least `OFTEN` twitches.

    Parameters
    ----------
    outcome
        Of one judge; its truth has d.
    units : (m,) with site, peak_s and unit
        All twitches.
    """
    _sites, site = np.unique(units["site"], return_inverse=True)
    key = site * 100_000 + units["unit"]
    numbers, of_key, counts = np.unique(key, return_inverse=True, return_counts=True)
    frequent = counts[of_key] >= OFTEN if len(numbers) else np.zeros(0, bool)
    many = set(zip(units["site"][frequent].tolist(), units["peak_s"][frequent].tolist(), strict=True))
    truth = outcome.truth
    pairs = zip(truth["site"].tolist(), truth["peak_s"].tolist(), strict=True)
    own = outcome.truth_in & np.fromiter((pair in many for pair in pairs), bool, len(truth))
    bound = special.ndtr(truth["d"][own] - LEVEL).sum()
    return Often(int(own.sum()), int(outcome.found[own].sum()), float(bound))


def filter_by_d(outcome: Outcome) -> tuple[float, ...]:
    """Return how many truths in valid time such a filter of each one's unit would find, by `D_EDGES`."""
    d = outcome.truth["d"][outcome.truth_in]
    sums, _ = np.histogram(d, (*D_EDGES[:-1], 1e9), weights=special.ndtr(d - LEVEL))
    return tuple(sums.tolist())
