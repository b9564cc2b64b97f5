"""What surrounds a candidate: neighbours, movement, other muscles and regions; the same however told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_host.detection.context import CANDIDATE_SCORE, CONTEXT_COLUMNS, add_context
from firmware_host.twitches import COVERAGE_DTYPE, Kind, Table, table

NAMES = [column.name for column in CONTEXT_COLUMNS]
ROW_DTYPE = np.dtype(
    [("site", "U32"), ("peak_s", "f8"), ("score", "f4"), ("peak_to_peak_mg", "f4"), ("side_lobe", "f4")]
)
ALL_NIGHT = ((0.0, 1000.0, Kind.VALID),)


def rows_of(sites: Mapping[str, Sequence[tuple[float, float]]]) -> Table:
    """Return candidates of some sites: (time, score); their amplitude is twice the score."""
    parts = [np.zeros(0, ROW_DTYPE)]
    for name, each in sites.items():
        rows = np.zeros(len(each), ROW_DTYPE)
        rows["site"] = name
        rows["peak_s"], rows["score"] = np.array(each, float).reshape(-1, 2).T
        rows["peak_to_peak_mg"] = 2 * rows["score"]
        parts.append(rows)
    return np.concatenate(parts)


def covered(sites: Mapping[str, Sequence[tuple[float, float, Kind]]]) -> Table:
    """Return coverage of some sites: (start, end, kind)."""
    parts = [np.zeros(0, COVERAGE_DTYPE)]
    for name, each in sites.items():
        start_s, end_s, kind = zip(*each, strict=True)
        parts.append(table(COVERAGE_DTYPE, len(each), site=name, start_s=start_s, end_s=end_s, kind=kind))
    return np.concatenate(parts)


def context(
    sites: Mapping[str, Sequence[tuple[float, float]]], **cover: Sequence[tuple[float, float, Kind]]
) -> Table:
    """Return the candidates with their context; sites are valid all the time unless told otherwise."""
    return add_context(
        rows_of(sites), covered({name: cover.get(name, ALL_NIGHT) for name in {**sites, **cover}})
    )


def random_night(
    seed: int, sites: Sequence[str] = ("left_calf", "left_calf.2", "left_chest", "right_thigh")
) -> tuple[Table, Table]:
    """Return candidates and coverage of a busy quarter of an hour, times in whole nanoseconds."""
    rng = np.random.default_rng(seed)
    events, cover = {}, {}
    for number, name in enumerate(sites):
        time_s = np.round(np.sort(rng.uniform(0, 900, 200 * (number + 1))), 9)
        events[name] = list(zip(time_s, 5.5 + rng.exponential(4, len(time_s)), strict=True))
        edges = [0.0, *np.round(np.sort(rng.uniform(0, 900, 20)), 9).tolist(), 900.0]
        kinds = [Kind(int(kind)) for kind in rng.choice([0, 0, 0, 1, 2, 3, 4, 5], 21)]
        cover[name] = list(zip(edges[:-1], edges[1:], kinds, strict=True))
    return rows_of(events), covered(cover)


def assert_same(one: Table, two: Table) -> None:
    """Compare all columns of the context."""
    for name in NAMES:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@given(seed=st.integers(0, 50), order=st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_sites_and_rows_changes_nothing(seed: int, order: object) -> None:
    """Candidates and coverage in any order get the same context."""
    rows, cover = random_night(seed)
    rng = np.random.default_rng(order.randint(0, 10**6))  # type: ignore[attr-defined]
    one, two = rng.permutation(len(rows)), rng.permutation(len(cover))
    assert_same(add_context(rows, cover)[one], add_context(rows[one], cover[two]))


@pytest.mark.parametrize("shift_s", [0.25, 3600.0, 30_000.123456789])
def test_a_later_start_changes_nothing(shift_s: float) -> None:
    """A night that begins later by any whole number of nanoseconds has the same context, to the bit."""
    rows, cover = random_night(3)
    later, later_cover = rows.copy(), cover.copy()
    later["peak_s"] += shift_s
    later_cover["start_s"] += shift_s
    later_cover["end_s"] += shift_s
    assert_same(add_context(rows, cover), add_context(later, later_cover))


def test_coverage_may_be_cut_anywhere() -> None:
    """Stretches of coverage cut in two say the same as whole ones."""
    rows, cover = random_night(4)
    middle = (cover["start_s"] + cover["end_s"]) / 2
    first, second = cover.copy(), cover.copy()
    first["end_s"], second["start_s"] = middle, middle
    cut = np.concatenate([first, second])
    one, two = add_context(rows, cover), add_context(rows, cut[np.lexsort((cut["start_s"], cut["site"]))])
    for name in NAMES:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_nothing_beyond_half_a_minute_matters() -> None:
    """What lies more than 30 s away changes nothing, so that live events could have the same context."""
    rows, cover = random_night(5)
    whole = add_context(rows, cover)
    near = np.abs(rows["peak_s"] - 450) <= 40
    trimmed = cover.copy()
    trimmed["start_s"], trimmed["end_s"] = (np.clip(cover[name], 410, 490) for name in ("start_s", "end_s"))
    trimmed = trimmed[trimmed["end_s"] > trimmed["start_s"]]
    part = add_context(rows[near], trimmed)
    middle = np.abs(rows["peak_s"] - 450) <= 9
    assert middle.sum() > 3
    assert_same(whole[middle], part[np.abs(part["peak_s"] - 450) <= 9])


def test_a_night_of_one_sensor_knows_nothing_of_others() -> None:
    """With one sensor, or two on one muscle, all columns of other sites are unknown and none is 0."""
    for sites in ({"left_calf": [(50.0, 9.0)]}, {"left_calf": [(50.0, 9.0)], "left_calf.2": [(50.0, 9.0)]}):
        row = context(sites)[0]
        assert row["other_sites"] == row["far_sites"] == 0
        for name in NAMES:
            if name.startswith(("other_", "far_")) and not name.endswith("_sites"):
                assert np.isnan(row[name]), name
            elif not name.startswith(("other_", "far_", "around_", "series_")):
                assert np.isfinite(row[name]), name


def test_another_sensor_that_shows_nothing_is_known_to() -> None:
    """With a sensor elsewhere that shows no candidate, nothing coincides; while it moves, it is not asked."""
    chest = ((0.0, 100.0, Kind.VALID), (100.0, 200.0, Kind.MOVEMENT), (200.0, 300.0, Kind.GAP))
    rows = context({"left_calf": [(50.0, 9.0), (150.0, 9.0), (250.0, 9.0)]}, left_chest=chest)
    assert rows["other_sites"].tolist() == rows["far_sites"].tolist() == [1, 0, 0]
    assert (
        rows["other_hits"][0]
        == rows["other_score"][0]
        == rows["other_ratio"][0]
        == rows["other_surprise"][0]
        == 0
    )
    assert np.isnan(rows["other_lag_s"]).all()
    assert np.isnan(rows["other_score"][1:]).all()
    np.testing.assert_array_equal(rows["other_moving"], [0, 1, np.nan])
    np.testing.assert_array_equal(rows["other_quiet_s"], [30, 0, np.nan])


def test_coincidence_counts_across_muscles_and_regions() -> None:
    """A jerk on all sensors is seen as such, with who was largest, how much larger and how far in time."""
    calf = [(50.0, 8.0), (100.0, 8.0)]
    rows = context(
        {
            "left_calf": calf,
            "left_calf.2": [(50.0, 80.0)],
            "right_thigh": [(50.05, 16.0), (100.2, 50.0)],
            "left_chest": [(49.9, 10.0), (50.02, 12.0)],
        }
    )
    jerk, alone = rows[0], rows[1]
    assert (jerk["other_sites"], jerk["other_hits"], jerk["other_score"]) == (2, 2, 16)
    assert jerk["other_ratio"] == pytest.approx(2.0)
    assert jerk["other_lag_s"] == pytest.approx(0.05)
    assert (jerk["far_sites"], jerk["far_hits"], jerk["far_score"]) == (1, 1, 12)
    assert jerk["far_lag_s"] == pytest.approx(0.02)
    assert (alone["other_hits"], alone["other_score"]) == (0, 0)


def test_two_sensors_on_one_muscle_may_share_twitches() -> None:
    """What two sensors on one muscle see together leaves the columns of other muscles untouched."""
    shared = [(20.0 + 7 * i, 9.0) for i in range(20)]
    chest = {"left_chest": [(15.0, 9.0)]}
    alone = context({"left_calf": shared, **chest})
    both = context({"left_calf": shared, "left_calf.2": shared, **chest})
    assert_same(alone[:20], both[:20])
    assert_same(both[:20], both[20:40])


def test_a_sensor_full_of_beats_coincides_by_chance() -> None:
    """A hit on a chest with 70 candidates a minute says much less than one on a quiet thigh."""
    beats = [(i * 60 / 70, 9.0) for i in range(600)]
    at_s = beats[100][0] + 0.05
    busy = context({"left_calf": [(at_s, 8.0)], "left_chest": beats})[0]
    quiet = context({"left_calf": [(at_s, 8.0)], "left_chest": beats[100:101]})[0]
    assert busy["other_hits"] == quiet["other_hits"] == 1
    assert busy["other_expected"] == pytest.approx(1 - np.exp(-0.3 * 70 / 60), rel=0.05)
    assert quiet["other_expected"] < 0.01
    assert busy["other_surprise"] < 1.4 < 4 < quiet["other_surprise"]


def test_second_maxima_stand_beside_a_larger_one() -> None:
    """A candidate 0.2 s after one four times as large is told from one that stands alone."""
    rows = context({"left_calf": [(50.0, 40.0), (50.2, 10.0), (90.0, 10.0)]})
    assert rows["larger_before_s"].tolist() == pytest.approx([1.0, 0.2, 1.0])
    assert rows["larger_before_ratio"].tolist() == pytest.approx([1.0, 0.25, 1.0])
    assert rows["larger_after_s"].tolist() == [1.0, 1.0, 1.0]
    assert rows["largest_beside"].tolist() == pytest.approx([0.25, 4.0, 0.0])
    assert rows["next_s"].tolist() == pytest.approx([0.2, 30.0, 30.0])


def test_rate_and_rank_are_told_against_half_a_minute() -> None:
    """Candidates a minute of valid time, and how a candidate's size stands among them."""
    sites = {"left_calf": [(40.0 + i, 10.0 + (i == 15) * 20) for i in range(31)]}
    row = context(
        sites, left_calf=((0.0, 55.0, Kind.VALID), (55.0, 70.0, Kind.GAP), (70.0, 99.0, Kind.VALID))
    )[15]
    assert row["around_per_min"] == pytest.approx(60 * 30 / 45)
    assert row["around_larger"] == 0
    assert row["around_ratio"] == pytest.approx(3.0)
    assert row["around_spread"] == pytest.approx(1.0)


def test_a_regular_series_is_told_from_chance() -> None:
    """Candidates every 0.9 s have that period and next to no spread; random ones have much."""
    regular = context({"left_chest": [(0.9 * i, 9.0) for i in range(200)]})[100]
    assert regular["series_period_s"] == pytest.approx(0.9)
    assert regular["series_spread"] == pytest.approx(0.0, abs=1e-6)
    rng = np.random.default_rng(1)
    chance = context({"left_chest": [(t, 9.0) for t in np.sort(rng.uniform(0, 180, 200))]})
    assert np.median(chance["series_spread"]) > 0.4
    assert np.isnan(context({"left_chest": [(10.0, 9.0), (11.0, 9.0)]})["series_spread"]).all()


def test_movement_and_gaps_of_the_own_site_are_near_or_far() -> None:
    """The time since and until movement and gaps, the ends of the recording among the gaps."""
    cover = (
        (5.0, 40.0, Kind.VALID),
        (40.0, 50.0, Kind.MOVEMENT),
        (50.0, 80.0, Kind.VALID),
        (80.0, 81.0, Kind.GAP),
    )
    rows = context({"left_calf": [(10.0, 9.0), (52.0, 9.0), (79.0, 9.0)]}, left_calf=cover)
    assert rows["since_gap_s"].tolist() == pytest.approx([5.0, 30.0, 30.0])
    assert rows["until_gap_s"].tolist() == pytest.approx([30.0, 28.0, 1.0])
    assert rows["since_movement_s"].tolist() == pytest.approx([30.0, 2.0, 29.0])
    assert rows["until_movement_s"].tolist() == pytest.approx([30.0, 30.0, 30.0])
    assert rows["movement_share"].tolist() == pytest.approx([0.0, 10 / 60, 1 / 60])


@pytest.mark.parametrize(("column", "value"), [("score", CANDIDATE_SCORE - 0.1), ("side_lobe", 1.0)])
def test_fainter_candidates_and_side_lobes_are_no_neighbours(column: str, value: float) -> None:
    """They have a context but are in nobody's: neither the depth of the search nor swings ever matter."""
    rows, cover = random_night(7)
    faint = rows[::3].copy()
    faint["peak_s"] += 0.0333
    faint[column] = value
    both = add_context(np.concatenate([rows, faint]), cover)
    assert_same(add_context(rows, cover), both[: len(rows)])
    assert np.isfinite(both["around_per_min"][len(rows) :]).all()


def test_a_night_without_candidates_has_no_context() -> None:
    """No rows give no rows, with all columns."""
    empty = context({"left_calf": []})
    assert len(empty) == 0
    assert set(NAMES) <= set(empty.dtype.names or ())
