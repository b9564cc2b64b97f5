"""Honest rates: false alarms, misses and sizes from counted events, and the intervals around them."""

from __future__ import annotations

import json
import shutil
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_host.analysis import load_model, models
from firmware_host.analysis.models import load_rates, model_folders
from firmware_host.errors import BadFileError
from firmware_host.twitch_map import HourLimit, RateFile, RateModel, SiteLimit, twitch_map
from firmware_host.twitch_map.estimate import Seen, estimate, night_false_per_h
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, Label, Table, table

SITE = "left_calf"
HOUR_S = 3600.0
MODEL = RateModel(
    probability_edges=(0.8, 0.9, 0.97, 1.0), true_share=(0.1, 0.2, 0.7), false_share=(0.5, 0.4, 0.1),
    false_per_h=1.5, false_shape=0.5, false_per_twitch=0.005, least_size=1.1, size_spread=0.15,
    size_shift=0.8, gaps_s=(0.0, 0.15, 1.0, 1e6), gap_shares=(0.7, 0.9, 1.0), found_scale=1.0,
    found_spread=0.6, made="for a test",
)  # fmt: skip
LIMIT = SiteLimit(
    limit_mg=8.65, low_mg=8.0, high_mg=9.5, largest_mg=700.0, tried=100, found=60, middle_mg=6.0,
    steepness=3.5, lapses=0.0, noise_mg_per_sqrt_hz=0.1, noise_power=1.0,
    hours=(HourLimit(0.0, 0.1, 8.65),),
)  # fmt: skip


def events_at(peaks_s: list[float], sizes_mg: float | list[float] = 30.0, probability: float = 0.99) -> Table:
    """Make counted events."""
    return table(EVENT_DTYPE, len(peaks_s), site=SITE, peak_s=peaks_s, onset_s=peaks_s, counted=True,
                 peak_to_peak_mg=sizes_mg, probability=probability)  # fmt: skip


def cover(end_s: float, kind: Kind = Kind.VALID) -> Table:
    """Make a coverage of one kind."""
    return table(COVERAGE_DTYPE, 1, site=SITE, end_s=end_s, kind=kind)


def counted(events: Table, hours: float = 6.0, bin_s: float | None = None, **options: object) -> Table:
    """Count a night with a limit and a rate model."""
    known = {"limits": {SITE: LIMIT}, "rate_model": MODEL} | options
    return twitch_map(events, cover(hours * HOUR_S), [SITE], 0, bin_s, hours * HOUR_S, **known)  # type: ignore[arg-type]


def spread(n: int, hours: float = 6.0) -> list[float]:
    """Return so many times, evenly spread."""
    return ((np.arange(n) + 0.5) / n * hours * HOUR_S).tolist()


def test_a_busy_site_is_hardly_changed() -> None:
    """Of 3000 large and sure events next to none are false or missed: the rate is the raw one within 5 %."""
    row = counted(events_at(spread(3000)))[0]
    assert row["rate_per_h"] == pytest.approx(row["rate_raw_per_h"], rel=0.05)
    assert row["rate_low"] <= row["rate_per_h"] < row["rate_high"]
    assert row["expected_false"] < 40


def test_the_same_probability_is_worth_less_where_nothing_twitches() -> None:
    """Four events just over the operating point in six hours are false alarms; among a thousand, twitches."""
    few = counted(events_at(spread(4), probability=0.82))[0]
    assert few["expected_false"] > 3
    assert few["rate_per_h"] < 0.2
    assert few["rate_low"] == 0
    sure = events_at(spread(1000))
    doubtful = events_at([at + 5 for at in spread(4)], probability=0.82)
    both = np.concatenate([sure, doubtful])
    among = counted(both[np.argsort(both["peak_s"])])[0]
    assert among["expected_false"] < 12


def test_nothing_counted_reads_as_none() -> None:
    """Without any event the rate and its lower limit are 0, and one twitch in the time is not ruled out."""
    row = counted(events_at([]))[0]
    assert (row["rate_per_h"], row["rate_low"], row["expected_false"]) == (0, 0, 0)
    assert row["rate_high"] == pytest.approx(1 / 6, rel=1e-3)
    assert row["detection_limit_mg"] == pytest.approx(8.65, rel=0.01)


def test_events_below_the_limit_do_not_enter_the_rate() -> None:
    """Small events are twitches of the night, but none above the limit."""
    row = counted(events_at(spread(500), sizes_mg=4.0))[0]
    assert row["twitches"] == 500
    assert row["rate_per_h"] < 0.5
    assert row["rate_raw_per_h"] == pytest.approx(500 / 6)


def test_each_event_stands_for_those_missed_at_its_size_and_near_others() -> None:
    """Events a little above the limit stand for more than large ones, and so do events close together."""
    large, small = (counted(events_at(spread(1000), sizes_mg=size))[0]["rate_per_h"] for size in (60.0, 10.5))
    assert 1.02 < small / large < 1.2
    pairs = np.sort(np.concatenate([np.array(spread(500)), np.array(spread(500)) + 0.1]))
    close = counted(events_at(pairs.tolist(), sizes_mg=60.0))[0]["rate_per_h"]
    assert close / large == pytest.approx(1 / 0.7, rel=0.03)


def test_without_valid_time_nothing_is_known() -> None:
    """A night that was all movement has no rates, no false alarms and no limit, never 0."""
    moved = cover(6 * HOUR_S, Kind.MOVEMENT)
    rows = twitch_map(events_at([10.0]), moved, [SITE], 0, None, 6 * HOUR_S, limits={SITE: LIMIT},
                      rate_model=MODEL)  # fmt: skip
    for name in (
        "rate_per_h",
        "rate_low",
        "rate_high",
        "rate_raw_per_h",
        "expected_false",
        "detection_limit_mg",
    ):
        assert np.isnan(rows[name][0]), name
    assert rows["twitches"][0] == 0


def test_a_limit_that_is_not_reached_leaves_the_rates_of_counting() -> None:
    """Where the limit is not reached it reads infinite and the rates are those of all counted events."""
    unreached = msgspec.structs.replace(LIMIT, limit_mg=None, lapses=0.3)
    events = events_at(spread(100))
    row = counted(events, limits={SITE: unreached})[0]
    plain = counted(events, limits=None, rate_model=None)[0]
    assert np.isinf(row["detection_limit_mg"])
    for name in ("rate_per_h", "rate_low", "rate_high"):
        assert row[name] == plain[name]
    assert np.isfinite(row["expected_false"])
    assert np.isnan(plain["expected_false"])


def test_without_a_rate_model_the_limit_still_stands() -> None:
    """A model of which nothing was fitted has its limit beside rates of counting alone."""
    row = counted(events_at(spread(100)), rate_model=None)[0]
    assert row["detection_limit_mg"] == pytest.approx(8.65, rel=0.01)
    assert np.isnan(row["expected_false"])


def test_bins_together_say_what_the_night_says() -> None:
    """The bins' twitches add up to about the night's, each with its interval."""
    events = events_at(spread(600), probability=0.985)
    bins, night = counted(events, bin_s=900.0), counted(events)[0]
    assert np.sum(bins["rate_per_h"] * bins["valid_s"]) / 21_600 == pytest.approx(
        night["rate_per_h"], rel=0.1
    )
    assert bins["expected_false"].sum() < 20
    assert (bins["rate_low"] <= bins["rate_per_h"]).all()
    assert (bins["rate_per_h"] <= bins["rate_high"]).all()


@given(
    st.lists(st.integers(0, 400), min_size=3, max_size=3), st.floats(0.01, 200.0), st.floats(1.0, 1.5),
    st.floats(0.0, 50.0), st.floats(0.02, 50.0), st.floats(0.2, 5.0),
)  # fmt: skip
def test_estimates_are_finite_and_in_order(
    by_probability: list[int], hours: float, each: float, near: float, mean: float, shape: float
) -> None:
    """Whatever was counted: 0 <= low <= estimate <= high, finite, and no more false alarms than events."""
    n = sum(by_probability)
    found = estimate(Seen(tuple(by_probability), hours, each * n, near), MODEL, mean, shape)
    assert 0 <= found.low <= found.twitches <= found.high < np.inf
    assert 0 <= found.false <= n


def test_what_a_reviewer_confirmed_is_no_false_alarm() -> None:
    """Four doubtful events of a quiet night that a reviewer called twitches are four twitches."""
    events = events_at(spread(4), probability=0.82)
    events["label"] = Label.TWITCH
    row = counted(events)[0]
    assert row["expected_false"] == 0
    assert row["rate_per_h"] * 6 == pytest.approx(4, abs=0.1)
    assert row["rate_low"] * 6 > 3.9


def test_more_sure_events_are_never_fewer_twitches() -> None:
    """The estimate grows with the number of sure events."""
    told = [estimate(Seen((0, 0, n), 6.0, float(n), 0.0), MODEL, 1.5, 0.5) for n in (0, 1, 3, 10, 30, 300)]
    assert all(a.twitches < b.twitches and a.high <= b.high for a, b in pairwise(told))


def test_a_night_of_doubtful_events_has_more_false_alarms() -> None:
    """The rate of false alarms that a night speaks for grows with its doubtful events."""
    calm, doubtful = (night_false_per_h(Seen((n, n // 2, 0), 6.0, 0.0, 0.0), MODEL) for n in (0, 60))
    assert calm < 1.0
    assert 5 < doubtful < 30


def test_many_events_do_not_blur_the_false_alarms_among_them() -> None:
    """Whatever the number of sure events, the false alarms expected among them are the stated share."""
    for n in (500, 2400, 2717, 30_000):
        hist = np.rint(n * np.array(MODEL.true_share)).astype(int)
        told = estimate(Seen(tuple(hist.tolist()), 6.0, float(n), 0.0), MODEL, 1.5, 0.5)
        assert told.false < 0.02 * n + 3


@pytest.mark.parametrize("false_per_h", [0.2, 3.0])
@pytest.mark.parametrize("per_h", [0.0, 1.0, 20.0, 400.0])
def test_intervals_hold_what_took_place(per_h: float, false_per_h: float) -> None:
    """Drawn from the model's own laws, the interval holds the true number in at least 93 of 100 nights."""
    rng, held, nights = np.random.default_rng(11), 0, 400
    for _ in range(nights):
        truly = rng.poisson(6 * per_h)
        odds = 0.06 * np.exp(MODEL.found_spread * rng.standard_normal())
        found = rng.binomial(truly, 1 / (1 + odds))
        false = rng.poisson(6 * rng.gamma(0.5, false_per_h / 0.5) + 0.005 * found)
        hist = rng.multinomial(found, MODEL.true_share) + rng.multinomial(false, MODEL.false_share)
        seen = Seen(tuple(hist.tolist()), 6.0, 1.06 * float(hist.sum()), 0.0)
        told = estimate(seen, MODEL, false_per_h, 0.5)
        held += bool(told.low <= truly <= told.high)
    assert held / nights >= 0.93
    assert per_h < 20 or held / nights <= 0.985


def test_the_shipped_rates_are_those_of_the_shipped_model() -> None:
    """The standard model's rates.json was fitted for this very model; if not: `learning.rates --fit`."""
    _, sha256 = load_model("standard")
    rates = load_rates("standard", sha256)
    assert set(rates) == {"specific", "balanced", "sensitive"}
    assert load_rates("standard", "another model") == {}
    assert load_rates("plain", sha256) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-20],
        lambda text: text.replace("false_per_h", "false_per_hour", 1),
        lambda text: text.replace('"false_shape": ', '"false_shape": -', 1),
        lambda text: json.dumps(json.loads(text) | {"points": {"balanced": {"made": "by hand"}}}),
    ],
)
def test_rates_that_cannot_be_used_are_a_sentence(
    change: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rates.json that is cut, misspelt or impossible is refused with its name, and with what to do."""
    shutil.copytree(model_folders()[0] / "standard", tmp_path / "standard")
    path = tmp_path / "standard" / "rates.json"
    text = path.read_text()
    path.write_text(change(text))  # type: ignore[operator]
    monkeypatch.setattr(models, "model_folders", lambda _=None: [tmp_path])
    with pytest.raises(BadFileError, match=r"rates\.json .*take it away"):
        load_rates("standard", msgspec.json.decode(text, type=RateFile).model_sha256)


def test_an_event_that_a_reviewer_accepted_is_a_twitch() -> None:
    """Doubtful events that were accepted stay in the rate and are no false alarms."""
    events = events_at(spread(60), probability=0.82)
    doubtful = counted(events)[0]
    events["label"] = Label.TWITCH
    accepted = counted(events)[0]
    assert accepted["expected_false"] == 0 < doubtful["expected_false"]
    assert accepted["rate_per_h"] >= 60 / 6
    assert 9 < accepted["rate_low"] < accepted["rate_high"] < 14
    events["label"][::2] = Label.NONE
    assert doubtful["rate_per_h"] < counted(events)[0]["rate_per_h"] <= accepted["rate_per_h"]


def test_a_moment_of_valid_time_is_no_fault() -> None:
    """A bin that is valid for a microsecond only, with a twitch in it, has finite numbers."""
    at_s = 900 - 5e-7
    rows = twitch_map(
        events_at([at_s]), table(COVERAGE_DTYPE, 1, site=SITE, start_s=900 - 1e-6, end_s=1800.0),
        [SITE], 0, 900.0, 1800.0, limits={SITE: LIMIT}, rate_model=MODEL,
    )  # fmt: skip
    assert rows["twitches"].tolist() == [1, 0]
    assert 0 <= rows["expected_false"][0] <= 1
    assert np.isfinite([rows[name][0] for name in ("rate_per_h", "rate_low", "rate_high")]).all()


def test_many_short_bins_of_a_long_night_are_counted_quickly() -> None:
    """A week in bins of 5 min with 20,000 events takes about a second of processor time, and no minutes."""
    events = events_at(spread(20_000, 168.0))
    events["probability"] = np.random.default_rng(1).uniform(0.8, 1.0, len(events))
    begun_s = time.process_time()
    rows = counted(events, 168.0, bin_s=300.0)
    assert len(rows) == 2016
    assert time.process_time() - begun_s < 6.0


def test_rare_twitches_leave_more_doubt_upwards() -> None:
    """Units that fire a few times are found less surely: the upper end grows, most where few are counted."""
    seen = [Seen((0, 0, n), 6.0, 1.1 * n, 0.0) for n in (2, 300)]
    sure, rare = ([estimate(one, each, 1.5, 0.5) for one in seen]
                  for each in (MODEL, msgspec.structs.replace(MODEL, found_few=8.0)))  # fmt: skip
    assert [one.twitches for one in sure] == [one.twitches for one in rare]
    assert rare[0].high >= 1.3 * sure[0].high
    assert sure[1].high <= rare[1].high < 1.05 * sure[1].high
    for value in (-1.0, 1e300):
        assert "cannot be" in str(msgspec.structs.replace(MODEL, found_few=value).fault())
