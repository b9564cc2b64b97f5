"""Whether a model from corrections agrees more with its user: on a whole night, in seconds, beyond chance."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from own_labels import NIGHT, features, label, opinion, raw, simulated

from firmware_host import analysis
from firmware_host.analysis.own_model import read_made
from firmware_host.cli import commands
from firmware_host.detection.trees import Forest
from firmware_host.learning.own_model import surely_more, train_from_labels
from firmware_host.learning.small_trees import LEAVES, grow
from firmware_host.recording.labels import add_label


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a night of forty minutes: enough events to tell which model agrees more often."""
    return simulated(tmp_path_factory.mktemp("long"), 2 / 3)


@pytest.fixture
def long_folder(long: Path, tmp_path: Path) -> Path:
    """Copy the longer night for a test that changes it."""
    return Path(shutil.copytree(long, tmp_path / "nights"))


def test_a_model_learns_what_its_user_thinks(long_folder: Path) -> None:
    """On the whole night, most of it never labelled, it agrees more often than the shipped model does."""
    night = long_folder / NIGHT
    label(night, checks=2)
    _, made = train_from_labels([night], long_folder)
    assert made.model == "mine"
    assert made.agrees_more
    assert made.before is not None
    assert made.after is not None
    assert made.after.f1 > made.before.f1 + 0.05
    assert read_made(long_folder, "mine") == made
    rows = features(night)
    says = opinion(rows)
    shipped, own = (analysis.load_model(name, long_folder)[0] for name in (analysis.DEFAULT_MODEL, "mine"))
    right = [float(np.mean(model.counted(rows)[says | model.counted(rows)] ==
                           says[says | model.counted(rows)])) for model in (shipped, own)]  # fmt: skip
    assert right[1] > right[0] + 0.05


def test_two_thousand_labels_take_seconds(long_folder: Path) -> None:
    """With 2,000 labels, training and counting the night anew is a matter of seconds."""
    night = long_folder / NIGHT
    run = raw(night)
    order = np.random.default_rng(1).permutation(len(run.events))[:2000]
    at_ns = run.summary.start_ns + np.rint(run.events["peak_s"] * 1e9).astype(np.int64)
    says = opinion(run.events)
    for verdict in (True, False):
        own = np.sort(order[says[order] == verdict])
        sites = run.events["site"][own]
        peaks = {str(site): at_ns[own[sites == site]].tolist() for site in np.unique(sites)}
        add_label(night, what="twitch" if verdict else "not_twitch", drawn="event", peaks_ns=peaks)
    began = time.process_time()
    _, made = train_from_labels([night], long_folder)
    analysis.recount_night(night, model=made.model)
    assert made.labels == min(2000, len(run.events))
    assert time.process_time() - began < 5.0


def test_too_few_random_labels_tell_nothing(long_folder: Path) -> None:
    """Piles alone make a model, but not a word on whether it agrees more often."""
    label(long_folder / NIGHT, checks=0)
    _, made = train_from_labels([long_folder / NIGHT], long_folder)
    assert made.random == 0
    assert made.before is made.after is made.agrees_more is None
    done = CliRunner().invoke(
        commands, ["train", "--from-labels", str(long_folder / NIGHT), "--dir", str(long_folder)]
    )
    assert done.exit_code == 0
    assert "too few to tell" in " ".join(done.output.split())
    assert "mine-2" in done.output
    assert analysis.current_model(long_folder) == analysis.DEFAULT_MODEL


@pytest.mark.parametrize(
    ("gained", "lost", "more"),
    [(0, 0, False), (1, 0, False), (4, 0, False), (5, 0, True), (3, 5, False), (14, 6, False), (15, 5, True)],
)
def test_chance_does_not_agree_more_often(gained: int, lost: int, more: bool) -> None:
    """As many more that are judged rightly as tosses of a coin give one time in twenty are no difference."""
    assert surely_more(gained, lost) is more


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 80), st.booleans())
def test_grown_trees_are_trees(seed: int, n: int, with_missing: bool) -> None:
    """Whatever rows come, the trees are whole, finite and small, and fit what they were grown on."""
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(n, 3)), 1)
    if with_missing:
        rows[rng.random(rows.shape) < 0.3] = np.nan
    before, said = rng.normal(size=n), rng.random(n) < 0.5
    trees = grow(rows, before, said, np.ones(n))
    assert all(tree.fault(3) is None and len(tree.left) <= 2 * LEAVES - 1 for tree in trees)
    if n:
        after = before + Forest(trees, 3).sum(rows, 0.0)
        loss = [np.logaddexp(0, np.where(said, -z, z)).sum() for z in (before, after)]
        assert loss[1] <= loss[0] + 1e-9
