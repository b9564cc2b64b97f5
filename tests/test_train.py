"""Training: labels, parts, calibration, operating points, the bundle, and the command that makes it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from firmware_host.analysis import load_model
from firmware_host.cli import main
from firmware_host.detection.classifier import BoostedModel, model_from_dict
from firmware_host.learning import bundle, calibrate, dataset, grow, train
from firmware_host.learning.bundle import Trained
from firmware_host.learning.dataset import NEITHER, NOT, TWITCH, Labelled, Subject, collect, label
from firmware_host.learning.score import TRUTH_DTYPE
from firmware_host.simulation.cohort import TRAIN_NUMBERS
from firmware_host.simulation.families import TRAINED
from firmware_host.twitches import Table, table

pytestmark = [pytest.mark.lasts_s(30), pytest.mark.long]

HOURS = 0.05
CANDIDATES = np.dtype([("site", "U32"), ("peak_s", "f8"), ("score", "f4"), ("side_lobe", "f4")])


def candidates(*rows: tuple[str, float, float]) -> Table:
    """Return candidates: site, peak time and score."""
    return np.array([(*row, 0.0) for row in rows], CANDIDATES)


def truths(*rows: tuple[str, float, float]) -> Table:
    """Return truths: site, peak time and d."""
    site, peak_s, d = (np.array(column) for column in zip(*rows, strict=True))
    return table(TRUTH_DTYPE, len(rows), site=site, peak_s=peak_s, d=d)


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Grow few trees, in one thread: threads that wait for each other on a busy machine take minutes.

    Most of the time of so few trees is scikit-learn's search for the bounds of its 255 bins: seven do.
    """
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setitem(grow.TREES, "max_iter", 15)
        patch.setitem(grow.TREES, "max_bins", 7)
        yield


@pytest.fixture(scope="module")
def drawn() -> list[Subject]:
    """Draw as few subjects as a training takes, of two sites at most."""
    full = train.draw_subjects(3, train.FEWEST, HOURS)
    specs = [replace(one.spec, sites=one.spec.sites[:2], chips=one.spec.chips[:2]) for one in full]
    return [replace(one, spec=spec) for one, spec in zip(full, specs, strict=True)]


@pytest.fixture(scope="module")
def nights(drawn: list[Subject]) -> list[Labelled]:
    """Simulate, search and label three minutes of each, and twelve of white noise."""
    return collect(drawn, grow.COLLECTED)


@pytest.fixture(scope="module")
def made(drawn: list[Subject], nights: list[Labelled]) -> Trained:
    """Train on them."""
    return train.make_model("tiny", 3, drawn, nights)


def test_labels_are_one_to_one() -> None:
    """The nearer candidate is the twitch; a second one of it, one beside it and one elsewhere are not."""
    found = candidates(("a", 1.00, 9), ("a", 1.10, 9), ("a", 2.0, 9), ("b", 1.0, 9), ("a", 5.10, 9))
    kind, d = label(found, truths(("a", 1.01, 10), ("a", 5.0, 10)))
    assert kind.tolist() == [TWITCH, NOT, NOT, NOT, TWITCH]
    assert d[[0, 4]].tolist() == [10, 10]
    assert np.isnan(d[[1, 2, 3]]).all()


def test_side_lobes_get_what_is_left() -> None:
    """A side lobe is a twitch where a truth lies beside the one that a burst has, else not, however near."""
    found = candidates(("a", 1.03, 9), ("a", 1.1, 9), ("a", 2.03, 9), ("a", 2.0, 9))
    found["side_lobe"][1::2] = 1
    kind, d = label(found, truths(("a", 1.0, 10), ("a", 1.1, 7), ("a", 2.0, 10)))
    assert kind.tolist() == [TWITCH, TWITCH, TWITCH, NOT]
    assert d[:3].tolist() == [10, 7, 10]


def test_what_cannot_be_told_is_neither() -> None:
    """Beside a truth too small to be seen, or of a very different size, a candidate is neither; it does not
    take a larger truth's place."""
    found = candidates(("a", 1.0, 9), ("a", 2.0, 40), ("a", 3.0, 9), ("a", 4.0, 20))
    kind, _ = label(
        found, truths(("a", 1.0, 2), ("a", 2.0, 5), ("a", 3.05, 9), ("a", 3.0, 3), ("a", 4.1, 18))
    )
    assert kind.tolist() == [NEITHER, NEITHER, TWITCH, TWITCH]


def test_no_night_outweighs_the_others() -> None:
    """The twitches of one night, and its other candidates, weigh at most so much; few weigh one each."""
    weight = grow.weights(np.array([TWITCH] * 5000 + [NOT] * 20, np.int8))
    assert weight[:5000].sum() == pytest.approx(grow.MOST_ROWS)
    assert np.all(weight[5000:] == 1)


def test_parts_share_no_subject_and_have_every_situation() -> None:
    """Nobody is in two parts, every part has every situation, and all are of trained families."""
    drawn = train.draw_subjects(1, 2 * train.FEWEST)
    assert len({one.number for one in drawn}) == len({one.spec.seed for one in drawn}) == len(drawn)
    assert {(one.part, one.situation) for one in drawn} == {(p, s) for p in train.PARTS for s in train.MIX}
    for one in drawn:
        assert one.number in TRAIN_NUMBERS
        assert {*(one.spec.chips or ())} <= {*TRAINED.chips}
        assert {*(one.spec.shapes or ())} <= {*TRAINED.shapes}
        assert {*(one.spec.confounders or ())} <= {*TRAINED.confounders}
        assert one.spec.fs_hz in TRAINED.rates_hz
        assert (one.spec.rate_scale == 0) == (one.situation in {"silent", "silent trunk", "empty"})


def test_no_trees_know_the_shapes_that_they_are_judged_by() -> None:
    """Of those that teach each fold has shapes of its own; those that are held back have all and no fold."""
    drawn = train.draw_subjects(1, 2 * train.FEWEST)
    of_fold: dict[int | None, set[tuple[str, ...] | None]] = {}
    for one in drawn:
        assert (one.fold is None) == (one.part != "fit")
        of_fold.setdefault(one.fold, set()).add(one.spec.shapes)
    assert of_fold.pop(None) == {TRAINED.shapes}
    apart = [shape for shapes in of_fold.values() for one in shapes for shape in one or ()]
    assert all(len(shapes) == 1 for shapes in of_fold.values())
    assert sorted(apart) == sorted(TRAINED.shapes)
    assert len(of_fold) == grow.FOLDS


def test_seed_decides_the_subjects() -> None:
    """The same seed draws the same subjects, another one others."""
    assert train.draw_subjects(1, 40) == train.draw_subjects(1, 40)
    assert not {s.number for s in train.draw_subjects(1, 40)} >= {
        s.number for s in train.draw_subjects(2, 40)
    }


def test_calibration_is_honest_and_rises() -> None:
    """Log-odds that are twice too sure and off by one are brought back; the map rises and stays finite."""
    rng = np.random.default_rng(1)
    true = rng.normal(-1, 2, 20_000)
    is_twitch = rng.random(len(true)) < 1 / (1 + np.exp(-true))
    at, value = calibrate.calibration(2 * true + 1, is_twitch)
    assert np.all(np.diff(at) > 0)
    assert np.all(np.diff(value) >= 0)
    middle = np.linspace(-4, 2.5, 14)
    assert np.allclose(np.interp(2 * middle + 1, at, value), middle, atol=0.35)
    at, value = calibrate.calibration(np.array([-30.0] * 50 + [30.0] * 50), np.repeat([False, True], 50))
    assert np.all(np.abs(value) <= calibrate.SURE)
    assert value[0] < 0 < value[-1]


def judged(large: list[float], false: list[float], truths: int, valid_h: float) -> calibrate.Judged:
    """Return judged candidates from the probabilities of found truths and of false alarms."""
    kind = np.repeat([True, False], [len(large), len(false)])
    return calibrate.Judged(np.array(large + false), kind, ~kind, truths, valid_h)


def test_operating_points_keep_their_limits() -> None:
    """Balanced is the middle one next to the best F1 that false alarms allow; the others lie around it."""
    rng = np.random.default_rng(2)
    mixed = judged(rng.beta(5, 2, 400).tolist(), rng.beta(1, 5, 400).tolist(), 420, 10.0)
    silent = judged([], rng.beta(1, 4, 2000).tolist(), 0, 50.0)
    free = calibrate.operating_points([mixed], judged([], [], 0, 50.0), {})
    kept = calibrate.operating_points([mixed], silent, {})
    quiet = calibrate.operating_points([mixed], silent, {"chip": judged([], [0.9, 0.95, 0.97], 0, 20.0)})
    for points in (free, kept, quiet):
        assert 1 > points["specific"] >= points["balanced"] >= points["sensitive"] > 0
    f1 = mixed.f1(calibrate.GRID)
    near_best = calibrate.GRID[f1 >= f1.max() - calibrate.NEAR_BEST]
    assert (near_best < free["balanced"]).sum() == len(near_best) // 2 >= 1
    assert free["balanced"] in near_best
    assert silent.alarms_per_h(np.array([kept["balanced"]]))[0] <= calibrate.MOST_ALARMS_PER_H
    balanced, specific, sensitive = (
        sum(one.alarms_per_h(np.array([kept[name]]))[0] * one.valid_h for one in (mixed, silent))
        for name in ("balanced", "specific", "sensitive")
    )
    assert specific <= balanced / 3
    assert sensitive >= 3 * balanced
    assert quiet["balanced"] > 0.95


def test_a_dense_night_does_not_choose_the_point_for_all() -> None:
    """Where one night has most of the twitches, balanced is next to the best of the nights alike."""
    rng = np.random.default_rng(3)
    few = [judged(rng.beta(9, 1, 40).tolist(), rng.beta(2, 2, 60).tolist(), 40, 1.0) for _ in range(20)]
    dense = judged(rng.beta(2, 2, 20_000).tolist(), rng.beta(1, 9, 500).tolist(), 20_000, 1.0)
    silent = judged([], [], 0, 1e6)
    own = calibrate.operating_points(few, silent, {})["balanced"]
    both = calibrate.operating_points([*few, dense], silent, {})["balanced"]
    assert calibrate.operating_points([dense], silent, {})["balanced"] < both - 0.2
    assert abs(both - own) < 0.15


def test_bundle_equals_scikit_learn(drawn: list[Subject], nights: list[Labelled], made: Trained) -> None:
    """The bundle loads and gives scikit-learn's log-odds; every candidate is on its side of each point."""
    model = model_from_dict(json.loads(json.dumps(made.model)))
    assert isinstance(model, BoostedModel)
    bursts = [train.bursts_of(night, grow.LEARNT) for night in nights]
    trees = grow.fit([night for one, night in zip(drawn, bursts, strict=True) if one.part == "fit"], 3)
    rows = np.concatenate([night.features for night in bursts]).astype(np.float64)
    theirs = trees.decision_function(rows)
    assert len(rows) > 200
    assert np.abs(model.log_odds(rows) - theirs).max() < 1e-6
    probability = model.calibrated(theirs)
    assert np.abs(model.calibrated(model.log_odds(rows)) - probability).max() < 1e-6
    for point in ("specific", "balanced", "sensitive"):
        least = model.threshold(point)
        assert np.array_equal(model.calibrated(model.log_odds(rows)) >= least, probability >= least)
    assert 0 < probability.min() < probability.max() < 1


def test_training_is_deterministic(drawn: list[Subject], nights: list[Labelled], made: Trained) -> None:
    """The same subjects and seed give the same bundle, digit for digit."""
    assert train.make_model("tiny", 3, drawn, nights) == made
    assert not bundle.differences(made.training, made.training)


def test_pool_gives_the_same(drawn: list[Subject], nights: list[Labelled]) -> None:
    """Several processes give the numbers that one gives, in the same order, as float32."""
    told: list[float] = []
    for one, other in zip(
        collect(drawn[:4], grow.COLLECTED, jobs=2, progress=told.append), nights, strict=False
    ):
        assert one.features.dtype == np.float32
        for name in ("features", "label", "d", "truths_d", "valid_h"):
            assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_cache_spares_the_simulation(
    drawn: list[Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second training takes what was found from the cache; another program finds nothing there."""
    first = collect(drawn[2:3], grow.LEARNT, cache=tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a night was simulated again")

    monkeypatch.setattr(dataset, "simulate_night", refuse)
    second = collect(drawn[2:3], grow.LEARNT, cache=tmp_path)
    assert np.array_equal(first[0].features, second[0].features, equal_nan=True)
    assert first[0].valid_h == second[0].valid_h
    with pytest.raises(AssertionError, match="again"):
        collect([replace(drawn[2], spec=replace(drawn[2].spec, seed=1))], grow.LEARNT, cache=tmp_path)


def test_nothing_is_left_after_an_error(
    drawn: list[Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night that fails leaves no scratch folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(dataset, "find_candidates", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        collect(drawn[2:3], grow.LEARNT)
    assert not list(tmp_path.iterdir())


def run(*arguments: object) -> int | str | None:
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def test_command_writes_a_model(
    made: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`train` writes a bundle beside the nights that `detect` can load, and never takes a name twice."""
    monkeypatch.setattr(train, "train", lambda **_: made)
    assert run("train", "--name", "tiny", "--dir", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 3
    assert load_model("tiny", tmp_path)[0].name == "tiny"
    assert bundle.read_training(tmp_path / "models" / "tiny") == made.training
    for name, word in (("tiny", "already"), ("plain", "comes with"), ("../x", "no name")):
        assert run("train", "--name", name, "--dir", tmp_path) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert word in err
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_check_compares_scores(
    made: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`train --check` exits 0 where the scores are the same, 1 where one is off by more than 0.005."""
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    bundle.write(made, folder)
    off = replace_score(made, 0.006)
    asked: list[Any] = []
    for again, code in ((made, 0), (replace_score(made, 0.004), 0), (off, 1)):
        monkeypatch.setattr(train, "train", lambda result=again, **settings: asked.append(settings) or result)
        assert run("train", "--check", "--name", "tiny", "--dir", tmp_path) == code
    assert {(each["seed"], each["subjects"], each["hours"]) for each in asked} == {(3, train.FEWEST, HOURS)}
    err = capsys.readouterr().err
    assert "ROC" in err
    assert "made by" not in err
    bundle.write(replace_score(made, 0.0, simulator="of long ago"), folder)
    assert run("train", "--check", "--name", "tiny", "--dir", tmp_path) == 1
    assert "simulator of long ago" in capsys.readouterr().err
    assert run("train", "--check", "--name", "nobody", "--dir", tmp_path) == 1
    assert run("train", "--check", "--seed", 2) == 2


def replace_score(trained: Trained, by: float, **others: str) -> Trained:
    """Return a training with one score off, and others of its fields changed."""
    scores = dict(trained.training.scores)
    scores["area under the ROC curve"] -= by
    return Trained(trained.model, msgspec.structs.replace(trained.training, scores=scores, **others))


def test_too_few_subjects_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too few subjects are answered in one sentence, and no folder is left."""
    assert run("train", "--subjects", 5, "--dir", tmp_path) == 1
    assert f"{train.FEWEST} to" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_help_says_how_many_subjects(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of training knows how many subjects it takes, and how many without being told."""
    assert run("train", "--help") == 0
    assert f"{train.FEWEST} at least; else {train.SUBJECTS}." in " ".join(capsys.readouterr().out.split())


def test_nights_are_also_looked_at_with_few_twitches() -> None:
    """Few twitches of a site stay, evenly, no side lobes, and what is none; swings of others go with them."""
    at_s = np.arange(50) * 10.0
    rows = np.zeros(104, CANDIDATES)
    rows["site"] = "a"
    rows["peak_s"] = np.concatenate([at_s, at_s + 0.2, [3.0, 4.0, 5.0, 6.0]])
    rows["side_lobe"][103] = 1
    kind = np.array([TWITCH] * 50 + [NOT] * 50 + [NOT, NEITHER, NOT, TWITCH], np.int8)
    kept = dataset.few_twitches(rows, kind)
    assert np.all(np.diff(kept) > 0)
    twitches = kept[kind[kept] == TWITCH]
    assert len(twitches) == dataset.FEW
    assert (twitches[0], twitches[-1]) == (0, 49)
    others = kept[kind[kept] != TWITCH]
    assert set(others) == {*(twitches + 50), 100, 102}
    assert len(dataset.few_twitches(rows, np.full(104, NOT, np.int8))) == 0


def test_the_few_are_candidates_of_their_night(nights: list[Labelled]) -> None:
    """A night of few twitches has their rows, labels and truths, and units of its own."""
    night = next(one for one in nights if len(one.few_at))
    few = night.with_few
    assert len(few.label) == len(few.features) == len(few.repeats.site) == len(night.few_at)
    np.testing.assert_array_equal(few.features, night.features[night.few_at])
    assert len(few.truths_d) == (few.label == TWITCH).sum()
    told = few.repeats.features(np.zeros(len(few.label)))
    assert told.shape[0] == len(few.label)
