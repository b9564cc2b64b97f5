"""Learning from corrections: what labels teach, what they must not spoil, and how it is taken back."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from own_labels import NIGHT, features, label, opinion, raw, simulated
from starlette.testclient import TestClient

import firmware_host as tm
from firmware_host import analysis
from firmware_host.analysis.own_model import judged_by_others
from firmware_host.detection.classifier import CorrectedModel, matrix_of, model_from_dict
from firmware_host.detection.trees import Forest
from firmware_host.errors import BadFileError, BadValueError, NotFoundError
from firmware_host.learning.corrections import corrections_of
from firmware_host.learning.own_model import train_from_labels
from firmware_host.learning.small_trees import grow
from firmware_host.recording import ResultsStore
from firmware_host.recording.labels import add_label, undo
from firmware_host.review.server import application
from firmware_host.twitches import COVERAGE_COLUMNS, Flag, Table

pytestmark = pytest.mark.lasts_s(25)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a night of twelve minutes."""
    return simulated(tmp_path_factory.mktemp("short"), 0.2)


@pytest.fixture
def folder(short: Path, tmp_path: Path) -> Path:
    """Copy the short night for a test that changes it."""
    return Path(shutil.copytree(short, tmp_path / "nights"))


@pytest.fixture(scope="module")
def bundle(short: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a model on a copy of the short night, to be damaged."""
    folder = Path(shutil.copytree(short, tmp_path_factory.mktemp("trained") / "nights"))
    label(folder / NIGHT, piles=False)
    return train_from_labels([folder / NIGHT], folder)[0]


SHIPPED = (analysis.DEFAULT_MODEL, analysis.load_model()[1])


def test_without_labels_there_is_nothing_to_learn(folder: Path) -> None:
    """A night nobody labelled, or whose labels were all taken back, gets a sentence and leaves no model."""
    add_label(folder / NIGHT, what="twitch", drawn="event", peaks_ns={"left_calf": [1]})
    undo(folder / NIGHT)
    with pytest.raises(NotFoundError, match="labelled event"):
        train_from_labels([folder / NIGHT], folder)
    assert not (folder / "models").exists()


@pytest.mark.parametrize("name", ["standard", "plain", "../x", "a b", "", ".", "x" * 99])
def test_a_model_takes_nobodys_name(folder: Path, name: str) -> None:
    """Shipped names, paths and what is no name are refused before anything is computed."""
    with pytest.raises(BadValueError):
        train_from_labels([folder / NIGHT], folder, name)


def test_labels_of_random_events_stand_for_their_night(folder: Path) -> None:
    """The weights of a spot check's answers add up to the events that it was drawn from."""
    night = folder / NIGHT
    label(night, piles=False)
    known = corrections_of([night], *SHIPPED)
    (check,) = tm.load_run(tm.open(night)).labels.spot_checks
    assert known.random.sum() == len(known.rows) == len(check.items)
    assert known.stands_for.sum() == pytest.approx(check.counted + check.rejected)
    np.testing.assert_array_equal(known.is_twitch, opinion(known.rows))
    assert len(np.unique(known.group)) > 5


def test_labels_that_all_say_the_same_teach_nothing(folder: Path) -> None:
    """Only rejections would make every event less probable: a sentence asks for the other kind too."""
    night = folder / NIGHT
    run = raw(night)
    row = run.events[run.events["counted"]][:30]
    row = row[row["site"] == row["site"][0]]
    at_ns = [run.summary.start_ns + round(float(at) * 1e9) for at in row["peak_s"]]
    add_label(night, what="not_twitch", drawn="range", peaks_ns={str(row["site"][0]): at_ns})
    with pytest.raises(BadValueError, match="others at least"):
        train_from_labels([night], folder)
    assert not (folder / "models").exists()


def test_the_last_word_is_learnt(folder: Path) -> None:
    """An event that was labelled twice teaches what was said last; one whose label was taken away nothing."""
    night = folder / NIGHT
    event = raw(night).events[3]
    at = {str(event["site"]): [raw(night).summary.start_ns + round(float(event["peak_s"]) * 1e9)]}
    for what, want in (("twitch", [True]), ("not_twitch", [False]), ("cannot_tell", [False])):
        add_label(night, what=what, drawn="event", peaks_ns=at)  # type: ignore[arg-type]
        assert corrections_of([night], *SHIPPED).is_twitch.tolist() == want
    add_label(night, what="no_verdict", drawn="event", peaks_ns=at)
    with pytest.raises(NotFoundError):
        corrections_of([night], *SHIPPED)


def test_the_evaluator_adds_what_was_grown(folder: Path) -> None:
    """The trees read back from the bundle give each row what training gave it, never more than the limit."""
    night = folder / NIGHT
    label(night)
    path, made = train_from_labels([night], folder)
    model, _ = analysis.load_model(made.model, folder)
    base, sha256 = analysis.load_model(analysis.DEFAULT_MODEL)
    assert isinstance(model, CorrectedModel)
    assert model.corrects_sha256 == sha256
    rows = features(night)
    logit = [np.log(p / (1 - p)) for p in (base.probability(rows).astype(np.float32).astype(float),
                                           model.probability(rows))]  # fmt: skip
    added = Forest(model.correction, len(model.features) + 1).sum(
        np.column_stack([matrix_of(rows, model.features), logit[0]]), 0.0
    )
    np.testing.assert_allclose(logit[1] - logit[0], np.clip(added, -4, 4), atol=1e-6)
    assert np.abs(added).max() > 0.5
    assert json.loads((path / "model.json").read_text())["kind"] == "corrected"


def test_a_model_without_corrections_is_the_shipped_one(folder: Path) -> None:
    """Where labels agree with the shipped model throughout, nothing is unlearnt."""
    base, _ = analysis.load_model()
    rows = features(folder / NIGHT)
    p = base.probability(rows)
    sure = (p < 0.02) | (p > 0.98)
    trees = grow(
        rows["score"][sure, None].astype(float), np.log(p / (1 - p))[sure], p[sure] > 0.5, np.ones(sure.sum())
    )
    added = Forest(trees, 1).sum(rows["score"][:, None].astype(float), 0.0)
    after = 1 / (1 + np.exp(-np.log(p / (1 - p)) - added))
    least = base.threshold("balanced")
    assert np.mean((after >= least) != (p >= least)) < 0.01


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("most_log_odds", 0), ("most_log_odds", 1e9), ("frame", 2), ("features", ["score"]), ("corrects", 3),
        ("correction", [{"feature": [999, 0, 0], "threshold": [0, 0, 0], "missing_left": [True] * 3,
                         "left": [1, 0, 0], "right": [2, 0, 0], "value": [0, 1, 2]}]),
        ("correction", [{"feature": [0], "threshold": [0], "missing_left": [True], "left": [0], "right": [0],
                         "value": [1e9]}]),
    ],
)  # fmt: skip
def test_a_damaged_model_is_refused(bundle: Path, tmp_path: Path, field: str, value: object) -> None:
    """A bundle that was tampered with is a sentence, never a wrong count."""
    path = Path(shutil.copytree(bundle, tmp_path / "models" / "mine"))
    content = json.loads((path / "model.json").read_text()) | {field: value}
    with pytest.raises(BadValueError):
        model_from_dict(content)
    (path / "model.json").write_text(json.dumps(content))
    with pytest.raises(BadFileError):
        analysis.use_model(tmp_path, "mine")
    assert analysis.current_model(tmp_path) == analysis.DEFAULT_MODEL


@pytest.mark.long
def test_a_model_is_put_to_use_and_taken_back(folder: Path) -> None:
    """What judges is told by a pointer that goes back step by step; a model that is gone judges nothing."""
    night = folder / NIGHT
    label(night)
    before = tm.load_run(tm.open(night)).events
    for name in ("one", "two"):
        train_from_labels([night], folder, name)
        assert analysis.current_model(folder) == ("standard" if name == "one" else "one")
        analysis.use_model(folder, name)
    assert tm.detect(tm.open(night)).info.model == "two 1"
    assert analysis.take_model_back(folder) == "one"
    shutil.rmtree(folder / "models" / "one")
    assert analysis.current_model(folder) == "standard"
    assert analysis.take_model_back(folder) == "standard"
    assert analysis.take_model_back(folder) == "standard"
    assert tm.detect(tm.open(night)).events.tobytes() == before.tobytes()
    (folder / "models" / "current.json").write_text("{broken")
    assert analysis.current_model(folder) == "standard"
    with pytest.raises(NotFoundError):
        analysis.use_model(folder, "nothing")


def assert_same_but_units(one: Table, other: Table) -> None:
    """Units keep their numbers when a night is counted anew; a detection numbers them by what it counts."""
    for name in set(other.dtype.names or ()) - {"unit"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.long
def test_to_count_anew_is_to_detect_anew(folder: Path) -> None:
    """Judged from what is stored, a night gives the events of a detection by that model, and no limit."""
    night = folder / NIGHT
    label(night)
    train_from_labels([night], folder)
    again = analysis.recount_night(night, model="mine")
    whole = tm.detect(tm.open(night), model="mine")
    assert_same_but_units(again.events, whole.events)
    # Without a limit the rate is another one, that of counting alone.
    for one, other in zip(again.summary.sites, whole.summary.sites, strict=True):
        assert one == msgspec.structs.replace(other, limit=None, rate_per_h=one.rate_per_h)
    assert whole.limits
    assert not again.limits
    assert json.loads(again.info.settings)["recounted"]
    back = analysis.recount_night(night, model="standard", operating_point="sensitive")
    assert_same_but_units(back.events, tm.detect(tm.open(night), operating_point="sensitive").events)


def test_what_a_rule_rejected_stays_rejected(folder: Path) -> None:
    """A candidate that something else than the model speaks against does not come back by counting anew."""
    night = folder / NIGHT
    run, rows = raw(night), features(night)
    top = int(np.argmax(rows["probability"]))
    rows["flags"][top] |= Flag.REJECTED
    rows["counted"][top] = False
    info = msgspec.structs.replace(run.info, run_id="ruled")
    ResultsStore(night).write_run(info, analysis.row_columns(), rows, COVERAGE_COLUMNS, run.coverage)
    assert not analysis.recount_night(night, operating_point="sensitive").events["counted"][top]


def test_only_what_a_model_has_judged_is_counted_anew(folder: Path) -> None:
    """Without a run by the model, or by the one that it corrects, a sentence says what to do."""
    night = folder / NIGHT
    label(night, piles=False)
    train_from_labels([night], folder)
    (night / "results.sqlite").unlink()
    tm.detect(tm.open(night), model="plain")
    for name in ("mine", "standard"):
        with pytest.raises(NotFoundError, match="detect --model standard"):
            analysis.recount_night(night, model=name)
    with pytest.raises(NotFoundError, match="detect --model standard"):
        train_from_labels([night], folder)
    assert analysis.recount_night(night, model="plain", operating_point="specific").counted.size


def test_another_model_is_told_by_its_file(folder: Path) -> None:
    """A night judged by another file of the same name is told; the same file under another name is none."""
    assert judged_by_others(folder, analysis.DEFAULT_MODEL) == []
    shutil.copytree(analysis.model_folders()[0] / analysis.DEFAULT_MODEL, folder / "models" / "renamed")
    assert judged_by_others(folder, "renamed") == []
    with sqlite3.connect(folder / NIGHT / "results.sqlite") as connection:
        connection.execute("UPDATE runs SET model_sha256 = ?", ("0" * 64,))
    connection.close()
    assert judged_by_others(folder, analysis.DEFAULT_MODEL) == [NIGHT]
    with TestClient(application(folder), "http://127.0.0.1:8765") as client:
        assert ask(client, "learning")["nights"]["judged_by_another"] == [NIGHT]


def ask(client: TestClient, path: str, body: Any = None, status: int = 200) -> Any:
    """Ask the server as a page does."""
    headers = {"Origin": "http://127.0.0.1:8765", "Content-Type": "application/json"}
    answer = (
        client.get(f"/api/{path}")
        if body is None
        else client.post(f"/api/{path}", json=body, headers=headers)
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def finished(client: TestClient) -> Any:
    """Wait until the process has ended."""
    until = time.monotonic() + 120
    while (state := ask(client, "learning"))["task"]["running"]:
        assert time.monotonic() < until
        time.sleep(0.1)
    return state


@pytest.mark.long
def test_learning_from_the_page(folder: Path) -> None:
    """Train, use, count anew, take back: each a request, the long ones in a process of their own."""
    label(folder / NIGHT, checks=4)
    client = TestClient(application(folder), "http://127.0.0.1:8765")
    with client:
        state = ask(client, "learning")
        assert (state["in_use"], state["models"], state["task"]) == ("standard", [], None)
        assert state["nights"] == {"with_labels": [NIGHT], "judged_by_another": []}
        assert ask(client, "learning/train", {})["task"]["running"]
        ask(client, "learning/train", {}, status=409)
        state = finished(client)
        assert state["task"] == {"what": "train", "running": False, "error": None, "made": "mine"}
        assert state["in_use"] == "standard"
        assert state["models"][0]["agrees_more"] is True
        state = ask(client, "learning/use", {"model": "mine"})
        assert state["in_use"] == "mine"
        assert state["nights"]["judged_by_another"] == [NIGHT]
        ask(client, "learning/recount", {"nights": [NIGHT]})
        state = finished(client)
        assert state["task"]["error"] is None
        assert state["nights"]["judged_by_another"] == []
        assert tm.load_run(tm.open(folder / NIGHT)).info.model == "mine 1"
        assert ask(client, "learning/take-back", {})["in_use"] == "standard"
        ask(client, "learning/use", {"model": "../../etc"}, status=400)
        ask(client, "learning/train", {"nights": ["../x"]}, status=404)
        ask(client, "learning/recount", {"nights": []}, status=400)


def test_a_training_that_fails_says_why(folder: Path) -> None:
    """The sentence of the process reaches the page, and a new one can begin."""
    (folder / NIGHT / "labels.jsonl").write_text("")
    client = TestClient(application(folder), "http://127.0.0.1:8765")
    with client:
        for _ in range(2):
            ask(client, "learning/train", {"nights": [NIGHT]})
            assert "labelled event" in finished(client)["task"]["error"]
    assert not (folder / "models").exists()
