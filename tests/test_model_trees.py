"""Boosted models: equal to scikit-learn's trees, and refused in one sentence where they are damaged."""

from __future__ import annotations

import copy
import json
import math
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from firmware_host.analysis import load_model, row_columns
from firmware_host.detection.classifier import (
    FRAME_VERSION,
    MODEL_FEATURES,
    BoostedModel,
    matrix_of,
    model_from_dict,
)
from firmware_host.detection.trees import FEW_ROWS
from firmware_host.errors import BadFileError, BadValueError
from firmware_host.learning.export_trees import export_trees
from firmware_host.twitches import Table, dtype_of

FEATURES = ("score", "snr", "rise_ms", "other_score", "previous_s")
POINTS = {"specific": 0.9, "balanced": 0.5, "sensitive": 0.2}


def candidates(n: int, seed: int) -> Table:
    """Return made-up candidates with missing values, ties and a column of few values."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(n, dtype_of(row_columns()))
    for name in FEATURES:
        rows[name] = np.round(rng.gamma(2.0, 4.0, n), 1)
        rows[name][rng.random(n) < 0.2] = np.nan
    rows["other_score"] = np.where(rows["other_score"] < 9, np.nan, np.round(rows["other_score"] / 9))
    rows["score"] = np.nan_to_num(rows["score"], nan=6.0)
    return rows


@cache
def fitted(categories: bool = False) -> HistGradientBoostingClassifier:
    """Fit trees in which missing values tell something, with splits off of the missing alone."""
    rows = candidates(3000, 1)
    rng = np.random.default_rng(2)
    chance = np.tanh(rows["score"] / 10) * np.where(np.isnan(rows["other_score"]), 0.9, 0.3)
    is_twitch = rng.random(len(rows)) < chance
    trees = HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=17, early_stopping=False, random_state=0,
        categorical_features=[3] if categories else None,
    )  # fmt: skip
    with threadpool_limits(1):
        return trees.fit(matrix_of(rows, FEATURES), is_twitch)


def bundle(**changes: Any) -> dict[str, Any]:
    """Return the fitted trees as a bundle, through JSON as a file has it, with changes."""
    made = export_trees(
        fitted(), FEATURES, operating_points=POINTS, calibration=([-3.0, 0.0, 2.0], [-2.0, 0.5, 2.5]),
    )  # fmt: skip
    about = {"name": "made", "version": "1", "made": "for a test", "kind": "boosted", "frame": FRAME_VERSION}
    return {**about, **json.loads(json.dumps(made, allow_nan=False)), **changes}


def boosted(**changes: Any) -> BoostedModel:
    """Return the model of `bundle`."""
    model = model_from_dict(bundle(**changes))
    assert isinstance(model, BoostedModel)
    return model


def test_trees_say_what_scikit_learn_says() -> None:
    """Log-odds equal scikit-learn's at and beside thresholds, for missing values, and beyond all numbers."""
    model, trees = boosted(), fitted()
    rows = matrix_of(candidates(40_000, 3), FEATURES)
    thresholds = np.array([t for tree in model.trees for t in tree.threshold])
    rows[: len(thresholds)] = thresholds[:, None]
    rows[len(thresholds) : 2 * len(thresholds)] = np.nextafter(np.minimum(thresholds, 1e300), np.inf)[:, None]
    rows[-3:] = [[np.nan] * 5, [np.inf] * 5, [-np.inf] * 5]
    np.testing.assert_allclose(model.log_odds(rows), trees.decision_function(rows), rtol=0, atol=1e-12)
    assert np.isinf(
        np.array([node for one in trees._predictors for node in one[0].nodes["num_threshold"]])
    ).any()


def test_probabilities_follow_the_calibration() -> None:
    """Log-odds go through the knots of the calibration, flat beyond; counting takes place on either side."""
    model = boosted()
    assert model.calibrated(np.array([-50.0, -3.0, 1.0, 2.0, 9.0])) == pytest.approx(
        [1 / (1 + math.exp(-x)) for x in (-2.0, -2.0, 1.5, 2.5, 2.5)]
    )
    rows = candidates(3000, 5)
    probability = model.probability(rows)
    for point, least in POINTS.items():
        counted = model.counted(rows, point)
        np.testing.assert_array_equal(counted, probability >= least)
        np.testing.assert_array_equal(counted, model.counted(rows, point, probability))
        assert 0 < counted.sum() < len(rows)
    with pytest.raises(BadValueError, match="'brave' is no operating point"):
        model.counted(rows, "brave")


def test_rows_are_judged_one_by_one() -> None:
    """A candidate's probability is the same alone, among few and among 40,000, to the digit."""
    model, rows = boosted(), candidates(40_000, 6)
    together = model.probability(rows)
    for n in (2, FEW_ROWS, FEW_ROWS + 1):
        for first in range(0, 40_000 - n, 1777):
            some = slice(first, first + n)
            np.testing.assert_array_equal(model.probability(rows[some]), together[some])
    for at in (0, 16_383, 16_384, 39_999):
        assert model.probability(rows[at : at + 1])[0] == together[at]
    assert len(model.probability(rows[:0])) == 0


def test_a_model_without_trees_knows_the_baseline() -> None:
    """No trees at all is a model too: every candidate is as probable as any."""
    model = boosted(trees=[], baseline=0.0)
    assert model.probability(candidates(3, 1)) == pytest.approx([1 / (1 + math.exp(-0.5))] * 3)


def test_a_model_may_look_at_what_candidates_have() -> None:
    """Each feature that a model may name is a column of the candidates."""
    assert set(MODEL_FEATURES) <= {column.name for column in row_columns()}
    assert not {"peak_s", "site", "event_id", "label", "probability"} & set(MODEL_FEATURES)


def test_settings_are_the_bundle_without_its_trees() -> None:
    """What each run stores of its model is short, and names its kind and operating points."""
    settings = boosted().settings()
    assert "trees" not in settings
    assert (settings["kind"], settings["operating_points"]) == ("boosted", POINTS)


def test_only_trees_of_these_features_are_exported() -> None:
    """Trees over categories, or over another number of features, are refused."""
    given: dict[str, Any] = {
        "operating_points": POINTS, "calibration": ([0.0], [0.0])
    }  # fmt: skip
    with pytest.raises(ValueError, match="for 5 features, not for 4"):
        export_trees(fitted(), FEATURES[:4], **given)
    with pytest.raises(ValueError, match="categories"):
        export_trees(fitted(categories=True), FEATURES, **given)


LEAF = {
    "feature": [0],
    "threshold": [0.0],
    "missing_left": [False],
    "left": [0],
    "right": [0],
    "value": [0.5],
}
SPLIT = {
    "feature": [1, 0, 0], "threshold": [3.5, 0.0, 0.0], "missing_left": [True, False, False],
    "left": [1, 0, 0], "right": [2, 0, 0], "value": [0.0, -0.5, 0.5],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trees": [LEAF | {"value": [1e9]}]}, "number 0, that has a number that is not finite or far too"),
        ({"trees": [LEAF | {"value": [0.5, 0.5]}]}, "arrays of different lengths"),
        ({"trees": [{name: [] for name in LEAF}]}, "arrays of different lengths, or none"),
        ({"trees": [LEAF | {"depth": 3}]}, "unknown field `depth`"),
        ({"trees": [SPLIT, SPLIT | {"threshold": [math.nan, 0, 0]}]}, "number 1, that has a number"),
        ({"trees": [SPLIT | {"left": [0, 0, 0]}]}, "whose children 0 and 2 do not come after it"),
        ({"trees": [SPLIT | {"left": [1, 1, 0], "right": [2, 2, 0]}]}, "whose children 1 and 2"),
        ({"trees": [SPLIT | {"right": [9, 0, 0]}]}, "whose children 1 and 9"),
        ({"trees": [SPLIT | {"right": [1, 0, 0]}]}, "not the child of exactly one"),
        ({"trees": [SPLIT | {"feature": [5, 0, 0]}]}, "asks for feature 5 of 5"),
        ({"features": ["score", "snr", "rise_ms", "colour", "previous_s"]}, "asks for 'colour'"),
        ({"features": ["score", "snr", "rise_ms", "snr", "previous_s"]}, "one twice"),
        ({"operating_points": {"specific": 1.0, "balanced": 0.5, "sensitive": 0.1}}, "no probability bel"),
        ({"operating_points": {"specific": 0.5, "balanced": 0.6, "sensitive": 0.1}}, "do not fall"),
        ({"candidate_score": 7.0}, "keeps candidates from 7.0"),
        ({"candidate_score": math.nan}, "keeps candidates from nan"),
        ({"baseline": math.inf}, "baseline of inf"),
        ({"calibration": {"log_odds": [], "calibrated": []}}, "without knots"),
        ({"calibration": {"log_odds": [0, 1], "calibrated": [1, 0]}}, "does not rise"),
        ({"calibration": {"log_odds": [0, 0], "calibrated": [0, 1]}}, "does not rise"),
        ({"calibration": {"log_odds": [0, 1], "calibrated": [0, math.inf]}}, "not finite or far too large"),
        ({"frame": 1}, "made for candidate frame 1"),
        ({"version": 1}, "Expected `str`"),
    ],
)  # fmt: skip
def test_a_wrong_bundle_is_refused(changes: dict[str, Any], sentence: str) -> None:
    """Trees that are none, unknown names and numbers that cannot be are one sentence each."""
    with pytest.raises(BadValueError, match=sentence):
        model_from_dict(bundle(**changes))


def damage(content: Any, rng: random.Random) -> None:
    """Change one value somewhere in a bundle to another that JSON can hold, or take it out."""
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys)
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.05:
            break
        place = inner
    if rng.random() < 0.2:
        del place[key]
    else:
        place[key] = rng.choice(
            [-1, 0, 1, 2, 10**30, 1e300, math.nan, -math.inf, None, "x", True, [], {}, [[0]]]
        )


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_bundle_is_refused_or_can_be_used(seed: int) -> None:
    """However a bundle is changed, it gives one sentence, or a model whose probabilities are some."""
    rng, whole, rows = random.Random(seed), bundle(trees=bundle()["trees"][:2]), candidates(50, 1)
    refused = used = 0
    for _ in range(150):
        content = copy.deepcopy(whole)
        damage(content, rng)
        try:
            model = model_from_dict(content)
        except BadValueError as error:
            refused += str(error).endswith(".")
            continue
        used += 1
        probability = model.probability(rows)
        assert np.all((probability >= 0) & (probability <= 1))
    assert refused + used == 150
    assert refused > 75


@pytest.mark.parametrize("content", ["", "[1, 2", "[]", "7", '"x"', "[" * 5000, "{}", "\x00\xff"])
def test_a_file_that_is_no_bundle_is_named(tmp_path: Path, content: str) -> None:
    """A model file that holds anything else is one sentence with its name."""
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(content, encoding="latin-1")
    with pytest.raises(BadFileError, match=r"mine.model\.json cannot be used: .*[^.]\.$"):
        load_model("mine", tmp_path)
