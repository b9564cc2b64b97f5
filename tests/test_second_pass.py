"""Pass 2 of a night: judged again by units, which are named, told of, stored and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from firmware_host.analysis import (
    Findings,
    detect_night,
    find_candidates,
    judge,
    load_model,
    load_run,
    unit_templates,
    units_of,
)
from firmware_host.analysis.findings import Waves
from firmware_host.analysis.second_pass import features_at, told_again, units_found
from firmware_host.detection.classifier import BoostedModel, matrix_of, model_from_dict
from firmware_host.detection.unit_features import UNIT_FEATURES
from firmware_host.errors import BadValueError
from firmware_host.learning.match import match
from firmware_host.learning.repeats import repeats_of
from firmware_host.recording import open_night
from firmware_host.recording.labels import add_label
from firmware_host.simulation import NightSpec, Truth, simulate_night
from firmware_host.twitches import (
    COVERAGE_DTYPE,
    EVENT_DTYPE,
    UNIT_DTYPE,
    UNIT_SAMPLES,
    Flag,
    Kind,
    Reason,
)

LOWEST = 5.0
TREE = {
    "feature": [0, 0, 0], "threshold": [1.0, 0.0, 0.0], "missing_left": [True, False, False],
    "left": [1, 0, 0], "right": [2, 0, 0], "value": [0.0, -4.0, 4.0],
}  # fmt: skip
"""Twitches are what stands above 1."""
STRAIGHT = {"log_odds": [-10.0, 10.0], "calibrated": [-10.0, 10.0]}
LOBES = {"baseline": 0.0, "calibration": STRAIGHT, "features": ["unit_odds"], "trees": [TREE]}


def bundle(**second: Any) -> dict[str, Any]:
    """Return a bundle of two passes: pass 1 counts from a score of 7 on, pass 2 whose unit mostly does."""
    points = {"specific": 0.99, "balanced": 0.9, "sensitive": 0.5}
    one = {
        "candidate_score": 5.5, "operating_points": points, "features": ["score"], "baseline": 0.0,
        "trees": [TREE | {"threshold": [7.0, 0.0, 0.0]}], "calibration": STRAIGHT,
    }  # fmt: skip
    two = one | {"candidate_score": LOWEST, "lobes": LOBES} | LOBES | second
    frame = load_frame()
    return {
        "name": "two",
        "version": "1",
        "frame": frame,
        "kind": "boosted",
        "made": "",
        "second": two,
        **one,
    }


def load_frame() -> int:
    """Return the frame that this program has."""
    from firmware_host.detection.classifier import FRAME_VERSION

    return FRAME_VERSION


@pytest.fixture(scope="module")
def model() -> BoostedModel:
    """Return a model of two passes."""
    made = model_from_dict(bundle())
    assert isinstance(made, BoostedModel)
    return made


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """Make a night of one restless calf with many twitches of a few units, and a quiet shin."""
    path = tmp_path_factory.mktemp("recordings") / "units.night"
    spec = NightSpec(
        seed=11, hours=0.5, sites=("left_calf", "left_shin"), profile="many", chips=("ICM-42688-P",) * 2,
        confounders=("heart", "breath"), troubles=False,
    )  # fmt: skip
    return path, simulate_night(path, spec=spec)


@pytest.fixture(scope="module")
def findings(night: tuple[Path, Truth]) -> Findings:
    """Search it for pass 2."""
    return find_candidates(night[0], LOWEST)


def test_pass_1_stays_as_it_is(findings: Findings, model: BoostedModel) -> None:
    """Asked for pass 1 alone, a model of two passes judges as one without a second pass, and no side lobe."""
    alone = bundle() | {"second": None}
    rows = judge(findings, model, passes=1)
    theirs = judge(findings, model_from_dict(alone))
    assert rows["score"].min() >= 5.5
    for name in ("peak_s", "probability", "counted", "reason"):
        np.testing.assert_array_equal(rows[name], theirs[name])
    assert (findings.rows["side_lobe"] > 0).any()
    assert not (rows["side_lobe"] > 0).any()


def test_pass_2_judges_by_the_unit(findings: Findings, model: BoostedModel) -> None:
    """What counts is what the others of its unit speak for, down to the lower score, at each point."""
    rows = judge(findings, model)
    assert 0 < rows["counted"].sum() < len(rows)
    assert rows["score"].min() < 5.5
    first = model.log_odds(matrix_of(rows, model.features))
    for site in ("left_calf", "left_shin"):
        own = rows["site"] == site
        odds = features_at(findings.grouped(site, LOWEST), findings.valid_h(site), rows[own], first[own])[
            "unit_odds"
        ]
        np.testing.assert_array_equal(rows["counted"][own], odds > 1.0)
    assert (rows["counted"] & (rows["side_lobe"] > 0)).any()
    assert np.all((rows["flags"] & Flag.BELOW_FLOOR > 0) == ~rows["counted"])
    assert np.all((rows["reason"] == Reason.NONE) == rows["counted"])
    with pytest.raises(BadValueError, match="no operating point"):
        judge(findings, model, "bold")


def test_pass_1_has_its_share(findings: Findings, model: BoostedModel) -> None:
    """The log-odds of both passes are added by the share of pass 1: of all, none, and a half."""
    mixed = [judge(findings, model_from_dict(bundle(first_share=share))) for share in (0.0, 0.5, 1.0)]
    alone, half, first = (np.log(rows["probability"] / (1 - rows["probability"])) for rows in mixed)
    ours = model.honest(model.log_odds(matrix_of(mixed[0], model.features)))
    lobe = mixed[0]["side_lobe"] > 0
    np.testing.assert_array_equal(half[lobe], alone[lobe])  # theirs are trees that have seen such
    alone, half, first, ours = (each[~lobe] for each in (alone, half, first, ours))
    np.testing.assert_allclose(first, ours, atol=1e-3)
    np.testing.assert_allclose(half, (alone + first) / 2, atol=1e-3)


@pytest.mark.long
def test_units_of_chance_keep_to_the_false_alarms_that_are_asked_for(tmp_path: Path) -> None:
    """Without twitches, and with each burst turned at random so that whatever is alike is so by chance, both
    passes of the standard model count at most 3 an hour of valid time, as they may."""
    sites = ("left_calf", "left_chest", "right_forearm")
    simulate_night(
        tmp_path / "a", spec=NightSpec(seed=3, hours=0.7, sites=sites, rate_scale=0.0, troubles=False)
    )
    standard, _ = load_model("standard")
    found = find_candidates(tmp_path / "a", standard.search_score)
    assert found.waves is not None
    budget = 3 * sum(found.valid_h(site) for site in sites)
    assert len(found.rows) > 100 * budget
    assert judge(found, standard)["counted"].sum() <= budget
    for seed in range(3):
        turns = Rotation.random(len(found.rows), random_state=seed).as_matrix().astype(np.float32)
        waves = Waves(np.einsum("nij,njk->nik", turns, found.waves.wave_mg), found.waves.floor_mg)
        chance = Findings(found.rows, found.coverage, found.sites, waves)
        assert judge(chance, standard)["counted"].sum() <= budget


def test_training_sees_what_the_product_sees(findings: Findings, model: BoostedModel) -> None:
    """The features that pass 2 is trained on are, digit for digit, those that it judges by."""
    rows = findings.rows
    first = model.log_odds(matrix_of(rows, model.features))
    trained = repeats_of(findings, LOWEST).features(first)
    for site in ("left_calf", "left_shin"):
        own = rows["site"] == site
        told = features_at(findings.grouped(site, LOWEST), findings.valid_h(site), rows[own], first[own])
        for number, column in enumerate(UNIT_FEATURES):
            ours = told[column.name].astype(np.float32)
            np.testing.assert_array_equal(trained[own, number], ours, err_msg=column.name)


def test_units_are_those_that_twitch(
    findings: Findings, night: tuple[Path, Truth], model: BoostedModel
) -> None:
    """Of the events of a simulated calf that are of one unit, most are of one true motor unit."""
    rows = judge(findings, model)
    units_found(findings, rows, LOWEST)
    truth = night[1].twitches[night[1].twitches["site"] == "left_calf"]
    ours = rows[(rows["site"] == "left_calf") & rows["counted"] & (rows["unit"] >= 0)]
    hits, hit_by = match(ours["peak_s"], truth["peak_s"])
    pairs = np.stack([ours["unit"][hit_by], truth["unit"][hits]])
    same = sum(np.bincount(pairs[1, pairs[0] == unit]).max() for unit in np.unique(pairs[0]))
    assert len(np.unique(pairs[1])) > 3
    assert same / pairs.shape[1] > 0.7


@pytest.mark.long
def test_a_run_keeps_its_units(night: tuple[Path, Truth]) -> None:
    """A run of two passes stores the units' table and templates; what is read back is what was made."""
    folder = night[0].parent / "models" / "two"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(bundle()))
    assert load_model("two", night[0].parent)[0].second is not None
    made = detect_night(night[0], model="two")
    read = load_run(open_night(night[0]))
    assert read.info.passes == made.info.passes == 2
    units = units_of(read)
    assert units.dtype == UNIT_DTYPE
    assert len(units) > 3
    np.testing.assert_array_equal(units, made.units)
    templates, fs_hz = unit_templates(read)
    assert templates.shape == (len(units), 3, UNIT_SAMPLES)
    assert fs_hz == 100.0
    np.testing.assert_array_equal(templates, made.templates)
    assert np.all(np.abs(templates).max(axis=(1, 2)) > 0)
    counted = read.counted
    for unit in units:
        own = counted[(counted["site"] == unit["site"]) & (counted["unit"] == unit["unit"])]
        assert len(own) == unit["count"] >= 3
        assert unit["low_mg"] <= unit["peak_to_peak_mg"] <= unit["high_mg"]
    for site in read.summary.sites:
        own = units[units["site"] == site.site]
        assert own["unit"].tolist() == list(range(len(own)))
        assert np.all(np.diff(own["count"]) <= 0)
    first = counted[(counted["site"] == units["site"][0]) & (counted["unit"] == units["unit"][0])]
    peaks_ns = open_night(night[0]).start_ns + np.rint(first["peak_s"][1:] * 1e9).astype(np.int64)
    site = str(units["site"][0])
    add_label(night[0], what="not_twitch", drawn="event", peaks_ns={site: peaks_ns.tolist()})
    assert units_of(load_run(open_night(night[0])))["count"].tolist() == [1, *units["count"][1:].tolist()]


@pytest.mark.parametrize("counted", [0, 1, 2, 3])
def test_a_unit_that_lost_its_twitches_tells_what_is_left(counted: int) -> None:
    """Of no or one counted twitch there is no interval; of two or more it is the median one."""
    units, events = np.zeros(1, UNIT_DTYPE), np.zeros(3, EVENT_DTYPE)
    coverage = np.zeros(1, COVERAGE_DTYPE)
    for rows in (units, events, coverage):
        rows["site"] = "left_calf"
    coverage["end_s"], coverage["kind"] = 3600.0, Kind.VALID
    events["peak_s"], events["peak_to_peak_mg"] = [10.0, 10.1, 30.1], 8.0
    events["counted"] = np.arange(3) < counted
    (told,) = told_again(units, events, coverage)
    assert (told["count"], told["rate_per_h"]) == (counted, counted)
    if counted > 1:
        assert told["interval_s"] == pytest.approx([0.1, 10.05][counted - 2], abs=1e-5)
        assert told["run_share"] == pytest.approx(1 / counted)
    elif counted:
        assert np.isnan(told["interval_s"])
        assert np.isnan(told["regularity"])
        assert told["run_share"] == 0


def test_a_run_of_pass_1_has_no_units(night: tuple[Path, Truth]) -> None:
    """A run as while recording says that it made one pass, and tells of no units."""
    run = detect_night(night[0], model="plain", as_live=True)
    assert run.info.passes == 1
    assert len(units_of(run)) == len(unit_templates(run)[0]) == 0
    assert np.all(run.events["unit"] == -1)


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        ({"features": ["snore"]}, "asks for 'snore'"),
        ({"candidate_score": 9.0}, "keeps candidates from 9.0"),
        ({"first_share": 1.5}, "gives pass 1 a share of 1.5"),
        ({"operating_points": {"specific": 0.5, "balanced": 0.6, "sensitive": 0.4}}, "do not fall"),
        ({"trees": [TREE | {"left": [0, 0, 0], "right": [2, 0, 0]}]}, "number 0"),
        ({"lobes": LOBES | {"features": ["snore"]}}, "asks for 'snore', which no candidate has, of its side"),
        ({"lobes": LOBES | {"trees": [TREE | {"left": [0, 0, 0]}]}}, "number 0"),
        ({"lobes": None}, "lobes"),
    ],
)
def test_a_bad_second_pass_is_refused(second: dict[str, Any], sentence: str) -> None:
    """What is wrong with the second pass of a bundle is said in a sentence when it is loaded."""
    with pytest.raises(BadValueError, match=sentence):
        model_from_dict(bundle(**second))


def test_a_model_of_an_older_frame_is_told_of_that() -> None:
    """A bundle from before side lobes had trees is refused for its frame, not for a field that it lacks."""
    old = bundle() | {"frame": load_frame() - 1}
    del old["second"]["lobes"]
    with pytest.raises(BadValueError, match=r"was made for candidate frame .* train yours again"):
        model_from_dict(old)
