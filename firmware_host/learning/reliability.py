"""Whether probabilities are honest: of candidates given 30 %, about 30 % should prove to be twitches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

EDGES = (0.0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1.0)


@dataclass(frozen=True)
class Reliability:
    """Candidates with a probability in [low, high): how many, their mean probability, and the true share."""

    low: float
    high: float
    candidates: int
    probability: float
    true_share: float


def reliability(probability: npt.ArrayLike, is_true: npt.ArrayLike) -> tuple[Reliability, ...]:
    """Compare probabilities with what proved true, bin by bin; empty bins are left out.

    Parameters
    ----------
    probability : (n,) float, 0 to 1
        Candidates without one (NaN) are left out.
    is_true : (n,) bool
    """
    p, true = np.asarray(probability, float), np.asarray(is_true, bool)
    known = np.isfinite(p)
    p, true = p[known], true[known]
    number = np.clip(np.searchsorted(EDGES, p, side="right") - 1, 0, len(EDGES) - 2)
    return tuple(
        Reliability(EDGES[k], EDGES[k + 1], int(at.sum()), float(p[at].mean()), float(true[at].mean()))
        for k in range(len(EDGES) - 1)
        if (at := number == k).any()
    )


def expected_error(table: tuple[Reliability, ...]) -> float | None:
    """Return the expected calibration error: the mean of |true share - probability|, each candidate alike."""
    total = sum(each.candidates for each in table)
    if not total:
        return None
    return sum(each.candidates * abs(each.true_share - each.probability) for each in table) / total
