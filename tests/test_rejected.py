"""Why candidates do not count: the rules that say it, and how they are compared with what was there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from firmware_host.analysis.findings import row_columns
from firmware_host.detection.reasons import reasons
from firmware_host.learning.causes import SECOND_MAXIMUM, UNEXPLAINED, causes
from firmware_host.learning.rejected import fitting, rejected, rejected_summary
from firmware_host.learning.score import TRUTH_DTYPE, outcome_of
from firmware_host.simulation.happenings import kinds
from firmware_host.simulation.truth import HAPPENING_DTYPE
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, Reason, Table, dtype_of, table

SITE = "left_calf"
FAR = {
    "larger_before_s": 1.0, "larger_after_s": 1.0, "since_movement_s": 30.0, "until_movement_s": 30.0,
    "other_surprise": np.nan, "other_hits": np.nan, "series_spread": np.nan, "score": 9.0,
}  # fmt: skip


def rows_at(*peaks_s: float, **columns: Any) -> Table:
    """Make rejected candidates with nothing around them, but for the columns told."""
    return table(dtype_of(row_columns()), len(peaks_s), site=SITE, peak_s=peaks_s, **(FAR | columns))


def told(rows: Table) -> list[Reason]:
    """Return the reasons of some rows."""
    return [Reason(reason) for reason in reasons(rows).tolist()]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({}, Reason.UNLIKE),
        ({"score": 6.0}, Reason.NOISE),
        ({"since_movement_s": 1.0}, Reason.MOVEMENT),
        ({"movement_share": 0.4}, Reason.MOVEMENT),
        ({"other_hits": 2.0, "other_surprise": 4.0}, Reason.ELSEWHERE),
        ({"other_hits": 2.0, "other_surprise": 1.0}, Reason.UNLIKE),
        ({"heart_match": 0.9, "heart_near": 0.9}, Reason.HEART),
        ({"heart_twin": 0.9}, Reason.HEART),
        ({"series_count": 9.0, "series_spread": 0.1}, Reason.SERIES),
        ({"series_count": 9.0, "series_spread": 0.6}, Reason.UNLIKE),
        ({"repeat": 0.9}, Reason.MACHINE),
    ],
)
def test_each_rule_says_its_reason(columns: dict[str, float], reason: Reason) -> None:
    """What was measured around a lone rejected candidate decides its reason; if it counts it has none."""
    assert told(rows_at(100.0, **columns)) == [reason]
    assert told(rows_at(100.0, counted=True, **columns)) == [Reason.NONE]


def test_a_later_swing_has_the_reason_of_the_larger_one() -> None:
    """Beside what counts it is a second maximum; beside a bump of the bed it is the same bump, all along."""
    rows = rows_at(100.0, 100.2, 200.0, 200.3, 200.6, score=[20.0, 8.0, 20.0, 10.0, 8.0])
    rows["counted"][0] = True
    rows["other_hits"][2], rows["other_surprise"][2] = 3.0, 6.0
    second, bump = Reason.SECOND_MAXIMUM, Reason.ELSEWHERE
    assert told(rows) == [Reason.NONE, second, bump, bump, bump]


def test_a_later_swing_of_what_is_not_known_is_its_second_maximum() -> None:
    """A larger candidate that is only unlike a twitch, or at another site, lends no reason."""
    rows = rows_at(100.0, 100.2, score=[20.0, 8.0])
    assert told(rows) == [Reason.UNLIKE, Reason.SECOND_MAXIMUM]
    rows["site"][1] = "right_calf"
    rows["peak_s"][1] = 0.1
    assert told(rows) == [Reason.UNLIKE, Reason.UNLIKE]


def test_many_within_a_second_are_movement() -> None:
    """Four bursts in a second are a movement; three, slower ones and swings of what counts are not."""
    assert told(rows_at(100.0, 100.3, 100.6, 100.9)) == [Reason.MOVEMENT] * 4
    assert Reason.MOVEMENT not in told(rows_at(100.0, 100.3, 100.6, 200.0, 200.5, 201.0, 201.5))
    beside = rows_at(100.0, 100.3, 100.6, 100.9, counted=[True, True, False, False])
    assert Reason.MOVEMENT not in told(beside)
    assert told(rows_at()) == []


def test_a_site_that_ends_when_the_next_begins_is_told_of_alone() -> None:
    """The last candidates of one site and the first of the next are never near each other."""
    rows = rows_at(10.0, 10.5, 10.6, 10.9, score=[8.0, 8.0, 20.0, 9.0])
    assert told(rows) == [Reason.MOVEMENT] * 4
    rows["site"][2:] = "right_calf"
    assert told(rows) == [Reason.UNLIKE, Reason.UNLIKE, Reason.UNLIKE, Reason.SECOND_MAXIMUM]


def events_at(*peaks_s: float, snr: Any = 8.0, mg: Any = 10.0) -> Table:
    """Make counted events."""
    return table(
        EVENT_DTYPE, len(peaks_s), site=SITE, peak_s=peaks_s, onset_s=peaks_s, counted=True, snr=snr,
        peak_to_peak_mg=mg,
    )  # fmt: skip


def truth_at(*peaks_s: float) -> Table:
    """Make true twitches."""
    return table(TRUTH_DTYPE, len(peaks_s), site=SITE, peak_s=peaks_s, d=20.0, peak_to_peak_mg=30.0)


def valid_hour() -> Table:
    """Make an hour of valid time."""
    return table(COVERAGE_DTYPE, 1, site=SITE, start_s=0, end_s=3600.0, kind=Kind.VALID)


def happening(kind: str, start_s: float, end_s: float, size_mg: float = 50.0) -> Table:
    """Make one happening."""
    return np.array([(SITE, kind, start_s, end_s, size_mg, "worn")], HAPPENING_DTYPE)


def test_reasons_are_compared_with_what_was_there() -> None:
    """Rejected candidates are counted by cause and reason, missed twitches apart; what counts is left out."""
    rows = events_at(100.0, 100.3, 200.0, 300.0, 300.5, 400.0, 500.0, snr=[20, 8, 8, 8, 8, 8, 20])
    rows["counted"] = [True, *[False] * 6]
    rows["reason"] = [
        Reason.NONE, Reason.SECOND_MAXIMUM, Reason.HEART, Reason.MOVEMENT, Reason.NOISE, Reason.UNLIKE,
        Reason.HEART,
    ]  # fmt: skip
    happenings = np.concatenate([happening("heart", 0, 250), happening("leg_movements", 299, 301)])
    found = rejected(rows, valid_hour(), truth_at(100.0, 500.0), happenings)
    assert found == {
        SECOND_MAXIMUM: {"second_maximum": 1}, "heart": {"heart": 1}, UNEXPLAINED: {"unlike": 1},
        "leg_movements": {"movement": 1, "noise": 1}, "twitch": {"heart": 1},
    }  # fmt: skip
    summary = rejected_summary([found, found, {}])
    assert summary["by_cause"]["leg_movements"] == {"movement": 2, "noise": 2}
    assert next(iter(summary["by_cause"])) == "leg_movements"
    assert summary["fitting"] == pytest.approx(3 / 5)
    assert rejected_summary([])["fitting"] is None


def test_every_cause_has_reasons_that_fit() -> None:
    """Each kind of the simulator can be named rightly by one reason at least, and none by all."""
    for cause in (*kinds(), SECOND_MAXIMUM, UNEXPLAINED):
        assert 1 <= len(fitting(cause)) < len(Reason) - 1


def test_of_what_lasts_the_nearest_in_size_is_the_cause() -> None:
    """Between the pulse and a ventilator that both go on all night, the one of its size explains a burst."""
    happenings = np.concatenate([happening("heart", 0, 3600, 40.0), happening("ventilator", 0, 3500, 4.0)])
    events = events_at(100.0, 200.0, snr=[9.0, 9.0], mg=[5.0, 30.0])
    outcome = outcome_of(events, valid_hour(), truth_at(3000.0))
    assert causes(outcome, happenings).tolist() == ["ventilator", "heart"]


def test_of_what_lasts_the_shortest_is_the_cause_where_no_size_is_known() -> None:
    """Sizes that a file of happenings leaves out decide nothing, and one of 0 explains nothing."""
    sizes = [np.inf, np.inf, 0.0]
    lasting = zip(("heart", "ventilator", "snore"), (3600, 1000, 500), sizes, strict=True)
    happenings = np.concatenate([happening(kind, 0, end_s, size) for kind, end_s, size in lasting])
    outcome = outcome_of(events_at(100.0), valid_hour(), truth_at(3000.0))
    assert causes(outcome, happenings).tolist() == ["ventilator"]
