"""From fitted scikit-learn trees to the bundle of a model: plain numbers, no pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from firmware_host.detection.context import CANDIDATE_SCORE
from firmware_host.detection.trees import LARGEST


def export_trees(
    fitted: HistGradientBoostingClassifier,
    features: Sequence[str],
    *,
    operating_points: Mapping[str, float],
    calibration: tuple[Sequence[float], Sequence[float]],
    candidate_score: float = CANDIDATE_SCORE,
) -> dict[str, Any]:
    """Return a fitted classifier as what a bundle says of one pass; docs/models.md describes it.

    Parameters
    ----------
    fitted
        For two classes, without categorical features.
    features
        Names of the columns that it was fitted on, in their order.
    operating_points
        "specific", "balanced", "sensitive": the least probability that counts.
    calibration
        Log-odds of the trees, rising, and the calibrated log-odds there.
    candidate_score
        Score from which on candidates were kept.

    Raises
    ------
    ValueError
        If it was fitted on another number of features, on more than two classes, or on categories.
    """
    if fitted.n_features_in_ != len(features) or fitted.n_trees_per_iteration_ != 1:
        raise ValueError(f"the trees are for {fitted.n_features_in_} features, not for {len(features)}")
    at, calibrated = calibration
    return {
        "operating_points": {point: float(least) for point, least in operating_points.items()},
        "candidate_score": float(candidate_score),
        "features": list(features),
        # scikit-learn keeps its trees under names without promise; a test compares what they give.
        "baseline": float(np.ravel(fitted._baseline_prediction)[0]),
        "trees": [_tree(one[0].nodes) for one in fitted._predictors],
        "calibration": {
            "log_odds": [float(x) for x in at],
            "calibrated": [float(y) for y in calibrated],
        },
    }


def _tree(nodes: Any) -> dict[str, Any]:  # noqa: ANN401 - scikit-learn's record array
    """Return the arrays of one tree; a split off of the missing values has an infinite threshold there."""
    if nodes["is_categorical"].any():
        raise ValueError("trees over categories cannot be exported")
    inner = nodes["is_leaf"] == 0

    def of_inner(column: Any) -> list[Any]:  # noqa: ANN401
        kept: list[Any] = np.where(inner, column, 0).tolist()
        return kept

    return {
        "feature": of_inner(nodes["feature_idx"]),
        "threshold": of_inner(np.minimum(nodes["num_threshold"], LARGEST)),
        "missing_left": [bool(left) for left in of_inner(nodes["missing_go_to_left"])],
        "left": of_inner(nodes["left"]),
        "right": of_inner(nodes["right"]),
        "value": np.where(inner, 0.0, nodes["value"]).tolist(),
    }
