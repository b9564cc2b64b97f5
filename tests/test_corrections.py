"""What is learnt of a night's labels agrees with what they count, and random answers stay blind and even."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import made_runs
import numpy as np
import pytest
from made_runs import SITES, START_NS

import firmware_host as tm
from firmware_host.analysis import load_run, model_folders, recount_night
from firmware_host.analysis.spot_check import draw_spot_check
from firmware_host.errors import NotFoundError
from firmware_host.learning.corrections import Corrections, corrections_of
from firmware_host.recording.labels import SpotCheck, add_label
from firmware_host.twitches import Label


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Make a night with a run; its samples do not matter here."""
    return made_runs.made_night(tmp_path / "a.night")


def learnt(night: Path) -> Corrections:
    """Return what the night's labels teach the model of its run."""
    return corrections_of([night], "standard", "0")


def checked(night: Path, seed: int, answered: int) -> SpotCheck:
    """Draw a spot check and answer some of it: what counts is a twitch."""
    check = draw_spot_check(night, load_run(tm.open(night), with_labels=False), seed=seed)
    for item in check.items[:answered]:
        add_label(
            night, what="twitch" if item.counted else "not_twitch", drawn="spot_check", blind=True,
            peaks_ns={item.site: [item.peak_ns]}, spot_check=check.id,
        )  # fmt: skip
    return check


def test_a_later_verdict_is_learnt_and_leaves_the_blind_answer(night: Path) -> None:
    """What a model agrees with is what was answered blind, though a pile says something else since."""
    check = checked(night, 1, 120)
    peaks: dict[str, list[int]] = {}
    for item in check.items:
        peaks.setdefault(item.site, []).append(item.peak_ns)
    add_label(night, what="twitch", drawn="pile", peaks_ns=peaks)

    known = learnt(night)

    assert known.is_twitch.all()
    assert known.random.all()
    np.testing.assert_array_equal(known.answer, known.rows["counted"])
    assert 40 < known.answer.sum() < 80


def test_several_spot_checks_stand_for_their_night_once(night: Path) -> None:
    """A night that was checked three times, once only in part, weighs no more than one checked once."""
    check = checked(night, 1, 120)
    checked(night, 2, 120)
    checked(night, 3, 10)

    known = learnt(night)

    assert len(known.rows) > 121
    counted = known.rows["counted"]
    assert known.stands_for[counted].sum() == pytest.approx(check.counted)
    assert known.stands_for[~counted].sum() == pytest.approx(check.rejected)


def test_a_copy_of_a_night_is_no_other_night(night: Path) -> None:
    """A night that is named twice is learnt from once, and no fit is tested on a copy of what it has seen."""
    checked(night, 1, 120)
    copy = shutil.copytree(night, night.with_name("b.night"))

    known = corrections_of([night, night, copy], "standard", "0")

    assert known.nights == ("a.night", "b.night")
    first, second = np.split(known.group, 2)
    np.testing.assert_array_equal(first, second)


def test_what_is_learnt_is_what_counts(night: Path) -> None:
    """Of an event that was rejected and a twitch added 70 ms beside it both hold, and only one is learnt."""
    run = load_run(tm.open(night), with_labels=False)
    event = run.events[run.events["counted"]][0]
    peak_ns = START_NS + round(float(event["peak_s"]) * 1e9)
    add_label(night, what="not_twitch", drawn="event", peaks_ns={SITES[0]: [peak_ns]})
    add_label(night, what="added", drawn="added", peaks_ns={SITES[0]: [peak_ns + 70_000_000]})

    now = load_run(tm.open(night)).events
    known = learnt(night)

    assert event["site"] == SITES[0]
    assert now["label"][now["label"] != Label.NONE].tolist() == [Label.NOT_TWITCH, Label.TWITCH]
    assert known.is_twitch.tolist() == [False]
    assert known.rows["peak_s"].tolist() == [event["peak_s"]]
    assert known.not_found == 1


def test_an_answer_that_was_taken_for_a_doubt_teaches_nothing(night: Path) -> None:
    """Who answers an item of a spot check anew by "cannot tell" has said nothing of it."""
    check = checked(night, 1, 40)
    for item in check.items[:39]:
        add_label(
            night, what="cannot_tell", drawn="spot_check", blind=True,
            peaks_ns={item.site: [item.peak_ns]}, spot_check=check.id,
        )  # fmt: skip

    known = learnt(night)

    assert len(known.rows) == known.random.sum() == 1
    assert known.stands_for.tolist() == [check.counted if known.answer[0] else check.rejected]


def test_a_correction_of_an_earlier_shipped_model_says_what_to_do(night: Path) -> None:
    """Once another model is shipped, its runs are none of the one corrected: the own model must detect."""
    folder = night.parent / "models" / "mine"
    folder.mkdir(parents=True)
    content = json.loads((model_folders()[0] / "standard" / "model.json").read_bytes())
    content |= {
        "kind": "corrected", "name": "mine", "corrects": "standard 0", "corrects_sha256": "0" * 64,
        "correction": [], "most_log_odds": 4.0,
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(content))

    with pytest.raises(NotFoundError, match="detect --model mine"):
        recount_night(night, model="mine")
