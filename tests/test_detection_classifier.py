"""The model bundle: what is refused, and what its operating points decide."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from made_signals import MODEL_FILE, plain_model

from firmware_host.detection import CANDIDATE_DTYPE, model_from_dict
from firmware_host.errors import BadValueError


def bundle(**changes: Any) -> dict[str, Any]:
    """Return the shipped bundle with changes."""
    return {**json.loads(MODEL_FILE.read_text(encoding="utf-8")), **changes}


def points(specific: float, balanced: float, sensitive: float) -> dict[str, float]:
    """Return operating points."""
    return {"specific": specific, "balanced": balanced, "sensitive": sensitive}


def test_the_shipped_model_loads_and_keeps_candidates_below_balanced() -> None:
    """The plain model has three points in order; what reaches the lowest is kept for review."""
    model = plain_model()
    assert (model.name, model.kind) == ("plain", "threshold")
    assert model.lowest_score == model.operating_points.sensitive < model.operating_points.balanced


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colour": "red"}, "unknown field `colour`"),
        ({"kind": "forest"}, "'forest'"),
        ({"frame": 99}, "candidate frame 99"),
        ({"frame": "1"}, "Expected `int`"),
        ({"operating_points": points(5, 6, 7)}, "do not fall from specific to sensitive"),
        ({"operating_points": points(math.inf, 6, 5)}, "no positive number"),
        ({"operating_points": points(7, 6, -1)}, "no positive number"),
        ({"operating_points": points(math.nan, 6, 5)}, "no positive number"),
        ({"operating_points": {"balanced": 6.0}}, "missing required field"),
    ],
)
def test_a_wrong_bundle_is_refused(changes: dict[str, Any], sentence: str) -> None:
    """Unknown keys, wrong types, numbers that cannot be and another frame are one sentence each."""
    with pytest.raises(BadValueError, match=sentence):
        model_from_dict(bundle(**changes))


def test_operating_points_decide_what_counts() -> None:
    """A candidate counts from the point's score on; a threshold knows no probability."""
    model = model_from_dict(bundle(operating_points=points(7.0, 6.0, 5.0)))
    rows = np.zeros(3, CANDIDATE_DTYPE)
    rows["score"] = [5.5, 6.0, 7.5]
    assert model.counted(rows, "specific").tolist() == [False, False, True]
    assert model.counted(rows).tolist() == [False, True, True]
    assert model.counted(rows, "sensitive").tolist() == [True, True, True]
    assert np.isnan(model.probability(rows)).all()
    with pytest.raises(
        BadValueError, match="'brave' is no operating point; there are specific, balanced, sensitive"
    ):
        model.counted(rows, "brave")
