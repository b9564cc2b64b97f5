"""The spot check: drawn at random, judged blind, and honest about how little a few answers tell."""

from __future__ import annotations

from pathlib import Path

import made_runs
import numpy as np
import pytest
from made_runs import NIGHT_S, SITES, START_NS

import firmware_host as tm
from firmware_host.analysis.spot_check import (
    EACH,
    answers_of,
    draw_spot_check,
    in_valid_time,
    outcome_of,
)
from firmware_host.errors import BadValueError
from firmware_host.recording.labels import Item, Labels, SpotCheck, add_label, read_labels, undo


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Make a night with a run; its samples do not matter here."""
    return made_runs.made_night(tmp_path / "a.night")


def answer(night: Path, check: SpotCheck, number: int, what: str) -> Labels:
    """Answer one item."""
    item = check.items[number]
    return add_label(
        night, what=what, drawn="spot_check", blind=True, peaks_ns={item.site: [item.peak_ns]},  # type: ignore[arg-type]
        spot_check=check.id,
    )  # fmt: skip


def test_a_draw_is_random_mixed_and_kept(night: Path) -> None:
    """Sixty of each kind from valid time, none twice, mixed; the same seed draws the same again."""
    run = tm.load_run(tm.open(night))
    check = draw_spot_check(night, run, seed=7)
    assert read_labels(night).spot_checks == (check,)
    kinds = [item.counted for item in check.items]
    valid = in_valid_time(run.events, run.coverage)
    assert check.counted == int((run.events["counted"] & valid).sum())
    assert check.rejected == int((~run.events["counted"] & valid).sum())
    assert (sum(kinds), len(kinds) - sum(kinds)) == (EACH, EACH)
    assert 20 < sum(kinds[:60]) < 40
    events = {
        (str(row["site"]), START_NS + round(float(row["peak_s"]) * 1e9)): bool(row["counted"])
        for row in run.events[valid]
    }
    assert {(item.site, item.peak_ns): item.counted for item in check.items}.items() <= events.items()
    assert len({(item.site, item.peak_ns) for item in check.items}) == len(check.items)
    assert draw_spot_check(night, run, seed=7).items == check.items
    assert draw_spot_check(night, run, seed=8).items != check.items


def test_a_night_without_events_has_nothing_to_judge(night: Path) -> None:
    """No event, no spot check: a sentence."""
    made_runs.write_run(night, made_runs.events(0), "run2")
    with pytest.raises(BadValueError, match="nothing to judge"):
        draw_spot_check(night, tm.load_run(tm.open(night)))


def test_answers_can_be_changed_and_taken_back(night: Path) -> None:
    """The last answer to an item holds; what is taken back is open again, and other labels are no answers."""
    check = draw_spot_check(night, tm.load_run(tm.open(night)), seed=1)
    item = check.items[0]
    add_label(night, what="twitch", drawn="event", peaks_ns={item.site: [item.peak_ns]})
    assert answers_of(check, read_labels(night)) == [None] * len(check.items)
    answer(night, check, 0, "twitch")
    assert answers_of(check, answer(night, check, 0, "cannot_tell"))[0] == "cannot_tell"
    assert answers_of(check, undo(night))[0] == "twitch"
    assert answers_of(check, undo(night))[0] is None


def test_an_answer_that_is_put_right_no_longer_counts(night: Path) -> None:
    """An item answered anew by "cannot tell" is again as it was before the spot check, in all counts."""
    found = tm.load_run(tm.open(night))
    check = draw_spot_check(night, found, seed=1)
    number = next(n for n, item in enumerate(check.items) if item.counted)
    answer(night, check, number, "not_twitch")
    assert len(tm.load_run(tm.open(night)).counted) == len(found.counted) - 1
    answer(night, check, number, "cannot_tell")
    now = tm.load_run(tm.open(night))
    assert now.events.tobytes() == found.events.tobytes()
    undo(night)
    assert len(tm.load_run(tm.open(night)).counted) == len(found.counted) - 1


def test_shares_are_exact_and_weighed(night: Path) -> None:
    """Precision and missed share from known answers, with the limits of Clopper and Pearson."""
    items = tuple(Item(SITES[0], START_NS + i, i < 60) for i in range(120))
    check = SpotCheck(
        id="c", utc_ns=1, rater="", seed=1, detector="", counted=600, rejected=12_000, items=items
    )
    nothing = outcome_of(check, Labels())
    assert (nothing.precision.value, nothing.missed.value, nothing.judged) == (None, None, 0)
    for number in range(120):
        right = number < 54 if number < 60 else number < 62
        answer(night, check, number, "twitch" if right else "not_twitch")
    found = outcome_of(check, read_labels(night))
    assert found.precision.value == pytest.approx(54 / 60)
    # scipy.stats.binomtest(54, 60).proportion_ci(method="exact")
    assert (found.precision.low, found.precision.high) == pytest.approx((0.7949, 0.9624), abs=2e-4)
    true, missed = 0.9 * 600, 2 / 60 * 12_000
    assert found.missed.value == pytest.approx(missed / (missed + true))
    assert found.missed.low is not None
    assert found.missed.high is not None
    assert 0.05 < found.missed.low < found.missed.value < found.missed.high < 0.8


def test_one_that_nobody_can_tell_is_neither(night: Path) -> None:
    """Answers of "cannot tell" are counted apart and move no share."""
    items = tuple(Item(SITES[0], START_NS + i, i < 3) for i in range(6))
    check = SpotCheck(id="c", utc_ns=1, rater="", seed=1, detector="", counted=3, rejected=3, items=items)
    for number, what in enumerate(
        ("twitch", "cannot_tell", "twitch", "cannot_tell", "not_twitch", "not_twitch")
    ):
        labels = answer(night, check, number, what)
    found = outcome_of(check, labels)
    assert (found.judged, found.cannot_tell, found.total) == (4, 2, 6)
    assert (found.precision.value, found.precision.high) == (1.0, 1.0)
    assert (found.missed.value, found.missed.low) == (0.0, 0.0)


def test_intervals_hold_as_often_as_they_say() -> None:
    """Over many draws from a night of known truth the intervals hold the true shares in 95 of 100 or more."""
    rng = np.random.default_rng(5)
    counted, rejected, precision, passed = 900, 5_000, 0.93, 0.02
    true_missed = rejected * passed / (rejected * passed + counted * precision)
    held = {"precision": 0, "missed": 0}
    for draw in range(300):
        yes = rng.hypergeometric(round(counted * precision), round(counted * (1 - precision)), EACH)
        also = rng.hypergeometric(round(rejected * passed), round(rejected * (1 - passed)), EACH)
        found = outcome_of(*_answered(counted, rejected, int(yes), int(also), draw))
        for name, true in (("precision", precision), ("missed", true_missed)):
            share = getattr(found, name)
            held[name] += share.low <= true <= share.high
    assert min(held.values()) >= 0.95 * 300


def _answered(counted: int, rejected: int, yes: int, also: int, draw: int) -> tuple[SpotCheck, Labels]:
    """Return a spot check with so many yes among its counted and its rejected items."""
    from firmware_host.recording.labels import Label

    items = tuple(Item(SITES[0], START_NS + i, i < EACH) for i in range(2 * EACH))
    check = SpotCheck(
        id=str(draw), utc_ns=1, rater="", seed=1, detector="", counted=counted, rejected=rejected, items=items
    )
    say = {"twitch": [*range(yes), *range(EACH, EACH + also)]}
    say["not_twitch"] = [i for i in range(2 * EACH) if i not in set(say["twitch"])]
    labels = tuple(
        Label(
            id=what, utc_ns=1, rater="", what=what, drawn="spot_check",  # type: ignore[arg-type]
            peaks_ns={SITES[0]: [START_NS + i for i in numbers]}, spot_check=check.id,
        )
        for what, numbers in say.items()
    )  # fmt: skip
    return check, Labels(labels)


def test_the_draw_follows_the_labels(night: Path) -> None:
    """What a reviewer rejected is drawn from among the rejected: the night is judged as it stands."""
    run = tm.load_run(tm.open(night))
    add_label(
        night, what="not_twitch", drawn="range",
        peaks_ns={
            site: [START_NS + round(float(s) * 1e9) for s in run.events["peak_s"][run.events["site"] == site]]
            for site in SITES
        },
    )  # fmt: skip
    check = draw_spot_check(night, tm.load_run(tm.open(night)), seed=1)
    assert check.counted == 0
    assert not any(item.counted for item in check.items)
    assert max(item.peak_ns - START_NS for item in check.items) < NIGHT_S * 1e9
