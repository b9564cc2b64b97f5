"""Growing the trees of both passes from labelled nights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from firmware_host.detection.classifier import MODEL_FEATURES
from firmware_host.detection.context import CANDIDATE_SCORE
from firmware_host.detection.unit_features import UNIT_FEATURES
from firmware_host.learning.dataset import NEITHER, NOT, TWITCH, Labelled

Floats = npt.NDArray[np.float64]

MOST_ROWS = 1000.0
"""Weight of one night's twitches together, and of its other candidates: a night of ten thousand heartbeats or
twitches teaches no more than a thousand. The calibration puts the true shares back."""
ROWS_KEPT = 2500
"""Of more rows than this of one night and kind an even part is looked at; its weight stays."""
LEFT_OUT = ("peak_to_peak_mg", "probability", "other_sites", "far_sites", "side_lobe")
"""How many mg twitches have, and how many sensors go with a kind of night, is the simulator's assumption: the
model must not learn it. Side lobes have trees of their own."""
OF_LOBES = ("lobe_alike", "lobe_way")
LEARNT = tuple(name for name in MODEL_FEATURES if name not in LEFT_OUT + OF_LOBES)
SECOND_LEARNT = (*LEARNT, *(column.name for column in UNIT_FEATURES))
LOBES_LEARNT = (*SECOND_LEARNT, *OF_LOBES)
COLLECTED = (*LEARNT, *OF_LOBES)

TREES: dict[str, Any] = {
    "learning_rate": 0.08,
    "max_iter": 400,
    "max_leaf_nodes": 24,
    "min_samples_leaf": 40,
    "l2_regularization": 5.0,
    "max_features": 0.4,
    "early_stopping": False,
}
RISING = ("score",)
"""With all else equal a larger answer of the template bank is never less likely a twitch."""
RISING_AGAIN = ("score", "first_odds")
"""Nor is one that pass 1 believes more."""
FOLDS = 3
"""So many times trees are grown again, each time without one part of the nights."""


def fit(
    nights: Sequence[Labelled],
    seed: int,
    learnt: Sequence[str] = LEARNT,
    rising: Sequence[str] = RISING,
    *,
    lowest_score: float = CANDIDATE_SCORE,
) -> HistGradientBoostingClassifier:
    """Grow the trees from the nights' candidates that are surely twitches or surely not.

    Parameters
    ----------
    nights
        Whose features are the columns learnt.
    seed
        Of the trees.
    learnt, rising
        Names of the features, and of those that never speak against a twitch by being larger.
    lowest_score
        From which on candidates are looked at.
    """
    rows, label, weight = [], [], []
    for night in nights:
        known = np.flatnonzero((night.label != NEITHER) & (night.score >= lowest_score))
        own = weights(night.label[known])
        kept = _even_part(night.label[known], own)
        rows.append(night.features[known[kept]])
        label.append(night.label[known[kept]])
        weight.append(own[kept])
    every = np.concatenate(rows)
    # scikit-learn cannot bin a column without any value, as few and short nights may give; none splits on it.
    every[:, np.isnan(every).all(axis=0)] = 0.0
    trees = HistGradientBoostingClassifier(
        **TREES, monotonic_cst=[int(name in rising) for name in learnt], random_state=seed
    )
    return trees.fit(every, np.concatenate(label) == TWITCH, sample_weight=np.concatenate(weight))


class Grown(NamedTuple):
    """Trees, and the log-odds that each night's candidates are given by trees that have not seen it."""

    trees: HistGradientBoostingClassifier
    log_odds: list[Floats]


def grow(
    nights: Sequence[Labelled],
    folds: Sequence[int | None],
    seed: int,
    learnt: Sequence[str] = LEARNT,
    rising: Sequence[str] = RISING,
    *,
    lowest_score: float = CANDIDATE_SCORE,
) -> Grown:
    """Grow trees from nights, and hear of each night what they say as they speak of new ones.

    Parameters
    ----------
    nights
        As for `fit`; so are the others.
    folds
        Of each night the number of the fold that it is left out with, from 0 on; None if it teaches nothing.
    """

    def without(left_out: int | None) -> HistGradientBoostingClassifier:
        each = zip(nights, folds, strict=True)
        taught = [night for night, fold in each if fold is not None and fold != left_out]
        return fit(taught, seed, learnt, rising, lowest_score=lowest_score)

    every = {left_out: without(left_out) for left_out in (None, *range(FOLDS))}
    said = [said_by(every[fold], night.features) for night, fold in zip(nights, folds, strict=True)]
    return Grown(every[None], said)


def said_by(trees: HistGradientBoostingClassifier, features: npt.NDArray[np.float32]) -> Floats:
    """Return the log-odds that trees give rows."""
    return np.asarray(trees.decision_function(features), np.float64) if len(features) else np.empty(0)


def weights(label: npt.NDArray[np.int8]) -> Floats:
    """Weigh one night's candidates: 1 each, but its twitches, and its others, not more than `MOST_ROWS`."""
    weight = np.ones(len(label))
    for kind in (NOT, TWITCH):
        own = label == kind
        weight[own] = min(1.0, MOST_ROWS / max(int(own.sum()), 1))
    return weight


def _even_part(label: npt.NDArray[np.int8], weight: Floats) -> npt.NDArray[np.int64]:
    """Return the rows to look at, and raise their weight by what is left out of their kind."""
    kept = []
    for kind in (NOT, TWITCH):
        own = np.flatnonzero(label == kind)
        some = own[np.unique(np.linspace(0, len(own) - 1, min(len(own), ROWS_KEPT)).astype(int))]
        weight[some] *= len(own) / max(len(some), 1)
        kept.append(some)
    return np.sort(np.concatenate(kept))
