"""Comparison: nights and sites side by side, ratios with the spread of nights, and what is never compared."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import firmware_host as tm
from firmware_host.analysis.comparing import compare_nights, trend_of
from firmware_host.errors import BadValueError, NotFoundError
from firmware_host.recording import amend_night
from firmware_host.simulation import demonstration, simulate_night
from firmware_host.twitch_map.comparison import SiteNight, compare, rate_ratio, trend
from firmware_host.twitches import EVENT_DTYPE, table
from tests.test_estimate import LIMIT, MODEL


def night(
    number: int, twitches: int, *, limit_mg: float = 8.65, hours: float = 6.0, **more: object
) -> SiteNight:
    """Make one site's night with some large, sure events, half of them of 12 mg."""
    peaks_s = (np.arange(twitches) + 0.5) / max(twitches, 1) * hours * 3600
    sizes_mg = np.where(np.arange(twitches) % 2, 12.0, 60.0)
    events = table(EVENT_DTYPE, twitches, site="left_calf", peak_s=peaks_s, onset_s=peaks_s, counted=True,
                   peak_to_peak_mg=sizes_mg, probability=0.99)  # fmt: skip
    made = SiteNight(
        night=f"n{number}.night", date=f"2026-01-{number:02d}", participant="p", origin="recorded",
        site="left_calf", placement="", sensor="X 1", judge="a, b, c", valid_h=hours, events=events,
        limit=msgspec.structs.replace(LIMIT, limit_mg=limit_mg), rate_model=MODEL,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def group(first: int, counts: list[int], **more: object) -> list[SiteNight]:
    """Make nights that follow each other."""
    return [night(first + k, count, **more) for k, count in enumerate(counts)]  # type: ignore[arg-type]


def test_a_ratio_needs_five_nights_a_side() -> None:
    """With four nights on a side all stands side by side, and the reason for no ratio is told."""
    told = compare(group(1, [90, 110, 100, 95]), group(10, [200] * 6))
    assert (told.ratio, told.ratio_low, told.ratio_high) == (None, None, None)
    assert "needs 5 nights on each side; there are 4 and 6" in told.no_ratio
    assert [value.night for value in told.first.nights] == ["n1.night", "n2.night", "n3.night", "n4.night"]
    assert told.second.usual_rate_per_h == pytest.approx(200 / 6, rel=0.1)


def test_both_sides_are_told_as_their_ratio_is() -> None:
    """Where one side has few twitches the sums are compared, and the usual rates are those of sums too."""
    told = compare(group(1, [4, 4, 4, 4, 3]), group(10, [0, 0, 0, 0, 16]))
    assert told.first.usual_rate_per_h is not None
    assert told.second.usual_rate_per_h is not None
    usual = told.second.usual_rate_per_h / told.first.usual_rate_per_h
    assert told.ratio == pytest.approx(usual, rel=0.1)


def test_twice_as_many_is_a_ratio_of_two() -> None:
    """Five nights a side with twice the twitches: the ratio is two, and its interval holds it."""
    told = compare(group(1, [90, 110, 100, 95, 120]), group(10, [200, 190, 230, 180, 220]))
    assert told.ratio == pytest.approx(2.0, rel=0.1)
    assert told.ratio_low is not None
    assert told.ratio_high is not None
    assert 1 < told.ratio_low < 2 < told.ratio_high < 3
    assert told.no_ratio == ""


def test_nights_that_differ_among_themselves_widen_the_interval() -> None:
    """The same totals, spread unevenly over the nights, tell less of the ratio."""
    even = compare(group(1, [100] * 6), group(10, [200] * 6))
    uneven = compare(group(1, [20, 300, 40, 150, 60, 30]), group(10, [200] * 6))
    assert even.ratio_low is not None
    assert uneven.ratio_low is not None
    assert uneven.ratio_high is not None
    assert even.ratio_high is not None
    assert uneven.ratio_high / uneven.ratio_low > 3 * even.ratio_high / even.ratio_low


def test_only_what_reaches_the_larger_limit_is_compared() -> None:
    """One night with a limit of 30 mg: the 12 mg twitches of all nights are left aside."""
    low, high = group(1, [100] * 5), group(10, [100] * 4)
    alike = compare(low, [*high, night(20, 100)])
    told = compare(low, [*high, night(20, 100, limit_mg=30.0)])
    assert told.limit_mg == 30.0
    assert alike.first.nights[0].twitches == pytest.approx(103, abs=4)
    assert told.first.nights[0].twitches == pytest.approx(50, abs=2)
    assert told.first.nights[0].own_limit_mg == pytest.approx(8.65)


def test_what_is_never_compared_is_refused_in_a_sentence() -> None:
    """Other detectors, simulated beside recorded nights, one night on both sides: each is refused."""
    some = group(1, [10] * 5)
    with pytest.raises(BadValueError, match=r"different detectors .*twitchmap detect"):
        compare(some, group(10, [10] * 5, judge="another"))
    with pytest.raises(BadValueError, match=r"simulated .* never compared"):
        compare(some, group(10, [10] * 5, origin="simulated"))
    with pytest.raises(BadValueError, match="both sides"):
        compare(some, some[:1])
    with pytest.raises(BadValueError, match="of one site"):
        trend([*some, night(9, 3, site="right_calf")])


def test_what_else_differs_is_told() -> None:
    """Other participants, placements and sensors are warnings, and simulated nights say that they are."""
    told = compare(group(1, [10] * 5), group(10, [10] * 5, placement="higher", sensor="Y", participant="q"))
    assert len(told.warnings) == 3
    assert "placed differently" in told.warnings[1]
    assert compare(group(1, [10] * 2), group(5, [10] * 2)).warnings == ()
    made_up = compare(group(1, [1], origin="simulated"), group(5, [1], origin="virtual"))
    assert made_up.warnings == ("All nights are simulated.",)


def test_nights_without_a_limit_are_left_out_with_the_reason() -> None:
    """Unknown limits, limits not reached and too little valid time are named."""
    unreached = msgspec.structs.replace(LIMIT, limit_mg=None)
    told = compare(
        [night(1, 5, limit=None), night(2, 5, limit=unreached), night(3, 0, hours=0.0)], [night(4, 5)]
    )
    assert [left.why.split(":")[0] for left in told.left_out] == [
        "its detection limit was not measured", "its detection limit was not reached",
        "it has less than 30 minutes of valid time",
    ]  # fmt: skip
    assert told.first.nights == ()
    assert told.first.usual_rate_per_h is None


def test_nothing_at_all_is_no_ratio() -> None:
    """No nights, or nights without a twitch, give no ratio and no error."""
    assert compare([], []).limit_mg is None
    assert trend([]).nights == ()
    told = compare(group(1, [0] * 5), group(10, [0] * 5))
    assert told.ratio is None
    assert "No twitches" in told.no_ratio
    assert told.first.usual_rate_per_h == 0


def test_none_on_one_side_is_a_wide_interval() -> None:
    """No twitches in five nights against some: the interval is finite and reaches far down."""
    told = compare(group(1, [12, 15, 9, 14, 11]), group(10, [0] * 5))
    assert told.ratio is not None
    assert told.ratio_high is not None
    assert told.ratio < 0.05
    assert told.ratio_high < 1


def test_a_trend_is_in_order_of_dates() -> None:
    """A trend has the nights in order of date, above the largest of their limits."""
    told = trend([night(3, 30), night(1, 10), night(2, 20, limit_mg=14.0)])
    assert [value.date for value in told.nights] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert told.limit_mg == 14.0


@pytest.mark.parametrize(
    ("nights", "mean", "spread", "ratio"),
    [(5, 30, 0.2, 1), (5, 500, 0.9, 3), (5, 5, 0.5, 1), (8, 30, 0.5, 0.3), (20, 100, 0.5, 2), (5, 1, 0.5, 1),
     (20, 1, 0.5, 3)],
)  # fmt: skip
def test_the_ratio_s_interval_holds_the_true_ratio(
    nights: int, mean: float, spread: float, ratio: float
) -> None:
    """Simulated nights whose rates differ log-normally: the interval holds the ratio in 92 of 100 or more."""
    rng, held, times = np.random.default_rng(6), 0, 500
    for _ in range(times):
        hours = rng.uniform(4, 8, (2, nights))
        rates = mean / 6 * np.exp(spread * rng.standard_normal((2, nights)) - spread**2 / 2)
        one, two = rng.poisson(rates * hours * np.array([[1.0], [ratio]])).astype(float)
        _, low, high = rate_ratio(one, hours[0], two, hours[1])
        held += bool(low <= ratio <= high)
    assert held / times >= 0.92


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Make two short simulated nights with runs."""
    folder = tmp_path_factory.mktemp("compared")
    paths = [folder / f"{seed}.night" for seed in (31, 32)]
    for seed, path in zip((31, 32), paths, strict=True):
        simulate_night(path, spec=demonstration(seed, 0.75))
        tm.detect(path)
    return paths


@pytest.mark.long
def test_stored_nights_are_compared(nights: list[Path], tmp_path: Path) -> None:
    """Night folders go in, a comparison above the larger of their limits comes out; also of two sites."""
    site = tm.open(nights[0]).sites[0]
    told = compare_nights(nights[:1], nights[1:], site)
    own = [value.own_limit_mg for side in (told.first, told.second) for value in side.nights]
    assert len(own) == 2
    assert told.limit_mg == max(own)
    assert "All nights are simulated." in told.warnings
    sites = compare_nights(nights, nights, site, tm.open(nights[0]).sites[1])
    assert len(sites.first.nights) + len(sites.left_out) >= 2
    assert msgspec.json.decode(msgspec.json.encode(told))["limit_mg"] == told.limit_mg
    assert len(trend_of(nights, site).nights) == 2
    with pytest.raises(NotFoundError, match="no site"):
        compare_nights(nights[:1], nights[1:], "left_jaw")
    moved = Path(shutil.copytree(nights[1], tmp_path / "moved.night"))
    amend_night(moved, placements={site: "two fingers higher"})
    assert any("placed differently" in text for text in compare_nights(nights[:1], [moved], site).warnings)
