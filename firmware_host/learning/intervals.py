"""Figures over virtual subjects: sums, and how far they would move with other subjects.

Events of one night are alike (one body, one chip, one placement), so intervals come from drawing whole
subjects again, never events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.learning.score import AMPLITUDE_EDGES_MG, D_EDGES, RecallBin, Score

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Score], float | None]

DRAWS = 500
LEVEL = 0.95
_COUNTS = ("truths", "found", "false_alarms", "valid_h", "outside_truths", "outside_found",
           "outside_false_alarms", "without_d")  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval over subjects; None where there is nothing to tell."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def as_list(self) -> list[float | None]:
        """Return value, low and high."""
        return [self.value, self.low, self.high]


def pooled(scores: Sequence[Score], error_ms: Iterable[npt.NDArray[np.floating]] = ()) -> Score:
    """Add scores up; the timing error is the median of the single errors, None where they are not given."""
    if not scores:
        raise ValueError("there are no scores to add")
    errors = np.concatenate([np.zeros(0), *error_ms])
    median = float(np.median(errors)) if len(errors) else None
    return _score_of(np.sum([_numbers(one) for one in scores], axis=0), median)


def figure(
    by_subject: Sequence[Sequence[Score]], statistic: Statistic, seed: int = 1, draws: int = DRAWS
) -> Figure:
    """Return a statistic of all scores together, and its interval from drawing subjects with replacement.

    Parameters
    ----------
    by_subject
        The scores of each subject; one that has none is no subject here.
    statistic
        Of the summed score; draws where it is None are left out.
    """
    groups = [one for one in by_subject if one]
    if not groups:
        return Figure(None)
    sums = np.stack([np.sum([_numbers(one) for one in group], axis=0) for group in groups])
    value = statistic(_score_of(sums.sum(axis=0)))
    if value is None or len(groups) < 2:
        return Figure(value)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), draws)
    drawn = [statistic(_score_of(row)) for row in weights @ sums]
    known = [one for one in drawn if one is not None]
    if len(known) < draws / 2:
        return Figure(value)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(value, float(low), float(high))


def most_per_h(count: int, hours: float) -> float | None:
    """Return the upper 95 % limit of a Poisson rate from a count (Garwood 1936; 3 / hours at 0)."""
    from scipy.special import gammaincinv

    return float(gammaincinv(count + 1, LEVEL)) / hours if hours else None


def least_per_h(count: int, hours: float) -> float | None:
    """Return the lower 95 % limit of a Poisson rate from a count (Garwood 1936; 0 at 0)."""
    from scipy.special import gammaincinv

    return float(gammaincinv(count, 1 - LEVEL)) / hours if hours and count else 0.0 if hours else None


def chance_of(count: int, expected: float) -> float:
    """Return the probability of so many or more where so many are expected (Poisson)."""
    from scipy.special import gammainc

    return float(gammainc(count, expected)) if count else 1.0


def noticed_per_h(limit_per_h: float, hours: float, chance: float) -> float | None:
    """Return the rate an hour that is told from a limit 9 times in 10, where `chance` of error is taken."""
    from scipy.special import gammaincinv

    count = 1
    while chance_of(count, limit_per_h * hours) >= chance:
        count += 1
    return float(gammaincinv(count, 0.9)) / hours if hours else None


def _numbers(score: Score) -> Floats:
    bins = [(score.recall_by_d, D_EDGES), (score.recall_by_amplitude_mg, AMPLITUDE_EDGES_MG)]
    parts = [
        np.array([(each.truths, each.found) for each in known]) if known else np.zeros((len(edges) - 1, 2))
        for known, edges in bins
    ]
    return np.concatenate([[getattr(score, name) for name in _COUNTS], *(part.ravel() for part in parts)])


def _score_of(numbers: Floats, timing_error_ms: float | None = None) -> Score:
    counts: dict[str, Any] = {
        name: float(value) if name == "valid_h" else int(value)
        for name, value in zip(_COUNTS, numbers.tolist(), strict=False)
    }
    rest = numbers[len(_COUNTS) :].astype(int).reshape(-1, 2).tolist()
    by_d = _bins(D_EDGES, rest[: len(D_EDGES) - 1], counts["truths"])
    by_size = _bins(AMPLITUDE_EDGES_MG, rest[len(D_EDGES) - 1 :], counts["truths"])
    return Score(**counts, timing_error_ms=timing_error_ms, recall_by_d=by_d, recall_by_amplitude_mg=by_size)


def _bins(edges: Sequence[float], pairs: list[list[int]], truths: int) -> tuple[RecallBin, ...]:
    """Return bins; none where no truth's value is known."""
    if truths and not any(known for known, _ in pairs):
        return ()
    return tuple(
        RecallBin(low, high, *pair) for (low, high), pair in zip(pairwise(edges), pairs, strict=True)
    )
