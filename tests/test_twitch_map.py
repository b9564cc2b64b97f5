"""Counts and rates: bins, valid time, dead time, and intervals that hold what they promise (simulated)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware_host.errors import BadValueError
from firmware_host.twitch_map import COUNT_DTYPE, MOST_LOST, State, rates, twitch_map, without_dead_time
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, Table, table

HOUR_S = 3600.0
SITE = "left_calf"
START_NS = 1_800_000_000_000_000_000 + 7_000_000_000


def events_at(peaks_s: Any, site: str = SITE, **columns: Any) -> Table:
    """Make counted events with these peaks."""
    peaks = np.sort(np.asarray(peaks_s, float))
    return table(EVENT_DTYPE, len(peaks), site=site, peak_s=peaks, onset_s=peaks, counted=True, **columns)


def cover(*stretches: tuple[float, float, Kind], site: str = SITE, unconfirmed: bool = False) -> Table:
    """Make a coverage table of one site."""
    start_s, end_s, kind = zip(*stretches, strict=True)
    return table(
        COVERAGE_DTYPE,
        len(stretches),
        site=site,
        start_s=start_s,
        end_s=end_s,
        kind=kind,
        wear_unconfirmed=unconfirmed,
    )


def test_bins_are_utc_multiples_and_tile_the_night() -> None:
    """Bins start at multiples of their length in UTC; the first holds the start, the last the end."""
    counts = twitch_map(events_at([1.0]), cover((0, 7000, Kind.VALID)), [SITE], START_NS, 900, 7000)

    assert counts.dtype == COUNT_DTYPE
    assert np.all(counts["bin_start_ns"] % 900_000_000_000 == 0)
    assert np.all(np.diff(counts["bin_start_ns"]) == 900_000_000_000)
    assert counts["bin_start_ns"][0] <= START_NS
    assert counts["bin_start_ns"][-1] < START_NS + 7000 * 10**9 <= counts["bin_start_ns"][-1] + 900 * 10**9
    np.testing.assert_allclose(counts["bin_start_s"], (counts["bin_start_ns"] - START_NS) / 1e9)
    assert counts["valid_s"].sum() == pytest.approx(7000)
    assert counts["valid_s"][0] == pytest.approx(893)


@pytest.mark.parametrize(("start_ns", "end_s"), [(0, 3600.000_001), (899_999_999_000, 3600.000_002)])
def test_what_clocks_round_makes_no_bin(start_ns: int, end_s: float) -> None:
    """A night that reaches a microsecond beyond edges of bins has none for that; its twitches count."""
    peaks = [5e-7, 10.0, 1000.0, end_s - 5e-7]
    cover_s = cover((0, end_s, Kind.VALID))
    counts = twitch_map(events_at(peaks), cover_s, [SITE], start_ns, 900, end_s)
    assert counts["bin_start_ns"].tolist() == [
        (start_ns // 10**9 + 1) // 900 * 900 * 10**9 + 900 * 10**9 * i for i in range(4)
    ]
    assert counts["twitches"].tolist() == [2, 1, 0, 1]
    np.testing.assert_allclose(counts["valid_s"], 900, atol=1e-5)
    (whole,) = twitch_map(events_at(peaks), cover_s, [SITE], start_ns, None, end_s)
    assert whole["twitches"] == 4


@pytest.mark.parametrize("start_ns", [0, 899_999_999_999, 900_000_000_000])
def test_the_shortest_nights_have_one_bin(start_ns: int) -> None:
    """A night of a few nanoseconds is in the table, in a bin that holds it."""
    counts = twitch_map(events_at([]), cover((0, 2e-9, Kind.VALID)), [SITE], start_ns, 900, 2e-9)
    assert len(counts) == 1
    assert counts["bin_start_ns"][0] - 10**6 <= start_ns < counts["bin_start_ns"][0] + 900 * 10**9


def test_time_that_was_not_observed_has_no_rate() -> None:
    """An hour of movement is neither zero twitches nor a rate: its rates are empty and its state says so."""
    coverage = cover((0, 3600, Kind.VALID), (3600, 7200, Kind.MOVEMENT), (7200, 10800, Kind.NOT_WORN))
    counts = twitch_map(events_at([]), coverage, [SITE], 0, HOUR_S, 4 * HOUR_S)

    expected = [State.OBSERVED, State.NOT_OBSERVED, State.NOT_WORN, State.NOT_OBSERVED]
    assert counts["state"].tolist() == expected
    assert np.isfinite(counts["rate_per_h"]).tolist() == [True, False, False, False]
    for name in ("rate_raw_per_h", "rate_low", "rate_high"):
        assert np.all(np.isnan(counts[name][1:]))
    assert (counts["rate_per_h"][0], counts["rate_low"][0]) == (0, 0)


def test_lying_still_without_proof_of_wear_is_told_apart_from_none() -> None:
    """Valid time in which wearing cannot be shown gives the state `wear_unconfirmed`."""
    coverage = cover((0, HOUR_S, Kind.VALID), unconfirmed=True)
    assert twitch_map(events_at([]), coverage, [SITE], 0, None, HOUR_S)["state"][0] == State.WEAR_UNCONFIRMED


def test_rule_of_three_at_zero() -> None:
    """A silent site of 6 valid hours has an upper limit of 3 / 6 per hour."""
    total = twitch_map(events_at([]), cover((0, 6 * HOUR_S, Kind.VALID)), [SITE], 0, None, 8 * HOUR_S)
    assert len(total) == 1
    assert total["rate_high"][0] == pytest.approx(0.5, rel=1e-4)


def test_only_counted_events_in_valid_time_count() -> None:
    """Rejected events, other sites' events and events in time the reviewer excluded are left out."""
    events = np.concatenate([events_at([10, 20, 50, 70]), events_at([30], site="right_calf")])
    events["counted"][1] = False
    coverage = cover((0, 50, Kind.VALID), (50, 60, Kind.EXCLUDED), (60, 100, Kind.VALID))
    total = twitch_map(events, coverage, [SITE, "right_calf"], 0, None, 100)
    assert total["twitches"].tolist() == [2, 0]
    assert total["valid_s"].tolist() == [90, 0]


@example([0.0], [(1.0, Kind.VALID)], 1.0, -1)
@given(
    st.lists(st.floats(0, 4000), max_size=60),
    st.lists(st.tuples(st.floats(0.001, 700), st.sampled_from(list(Kind))), min_size=1, max_size=12),
    st.sampled_from([1.0, 60.0, 300.0, 3600.0]),
    st.integers(-(10**18), 2 * 10**18),
)
def test_bins_add_up_to_the_night(
    peaks: list[float], pieces: list[tuple[float, Kind]], bin_s: float, start_ns: int
) -> None:
    """Counts and valid time of the bins add up to those of the night, for any events and coverage."""
    edges = np.concatenate(([0.0], np.cumsum([length for length, _ in pieces])))
    coverage = cover(*((a, b, kind) for a, b, (_, kind) in zip(edges[:-1], edges[1:], pieces, strict=True)))
    end_s = float(edges[-1])
    bins = twitch_map(events_at(peaks), coverage, [SITE], start_ns, bin_s, end_s)
    total = twitch_map(events_at(peaks), coverage, [SITE], start_ns, None, end_s)[0]

    assert bins["twitches"].sum() == total["twitches"]
    assert bins["valid_s"].sum() == pytest.approx(total["valid_s"], abs=0.01)
    assert np.all(bins["twitches"][bins["valid_s"] == 0] == 0)
    seen = bins[bins["valid_s"] > 0]
    assert np.all(seen["rate_low"] <= seen["rate_per_h"])
    assert np.all(seen["rate_per_h"] <= seen["rate_high"])


@pytest.mark.parametrize("twitches", [0, 1, 67, 3000])
def test_the_interval_never_leaves_out_what_was_seen(twitches: int) -> None:
    """Dead time raises the rate and its upper end; the lower end stays, as none need have been lost."""
    told = rates(twitches, HOUR_S)
    assert told["rate_low"] <= told["rate_raw_per_h"] <= told["rate_per_h"] <= told["rate_high"]


def test_dead_time_correction_gives_back_the_true_rate() -> None:
    """Simulated Poisson events, less those within 60 ms of a kept one, come back to their true rate."""
    rng = np.random.default_rng(5)
    true_per_h, end_s = 2 * HOUR_S, 2 * HOUR_S
    kept: list[float] = []
    for peak in np.sort(rng.uniform(0, end_s, rng.poisson(true_per_h * 2))):
        if not kept or peak - kept[-1] >= 0.06:
            kept.append(float(peak))
    total = twitch_map(events_at(kept), cover((0, end_s, Kind.VALID)), [SITE], 0, None, end_s)[0]
    assert total["rate_raw_per_h"] < 0.92 * true_per_h
    assert total["rate_per_h"] == pytest.approx(true_per_h, rel=0.02)


def test_dead_time_correction_stays_finite_and_monotonic() -> None:
    """Beyond one event per dead time the corrected rate still grows, by at most the stated factor."""
    observed = np.linspace(0, 50, 2001)
    corrected = without_dead_time(observed, 0.06)
    assert np.all(np.diff(corrected) > 0)
    assert np.all(corrected <= observed / (1 - MOST_LOST) + 1e-12)


def simulated_coverage(rate_per_h: float, spread: float, nights: int, seed: int) -> float:
    """Return how often the night's interval holds the true rate of simulated 8 h nights.

    `spread` 0 is Poisson; otherwise each minute's rate is gamma-distributed (a negative binomial count) with
    this variance relative to its squared mean.
    """
    rng = np.random.default_rng(seed)
    coverage = cover((0, 8 * HOUR_S, Kind.VALID))
    held = 0
    for _ in range(nights):
        gamma = rng.gamma(1 / spread, spread, 480) if spread else np.ones(480)
        per_minute = rng.poisson(gamma * rate_per_h / 60)
        peaks = np.repeat(np.arange(480) * 60.0, per_minute) + rng.uniform(0, 60, per_minute.sum())
        total = twitch_map(events_at(peaks), coverage, [SITE], 0, None, 8 * HOUR_S, tau_s=0)[0]
        held += bool(total["rate_low"] <= rate_per_h <= total["rate_high"])
    return held / nights


@pytest.mark.long
@pytest.mark.parametrize(
    ("rate_per_h", "spread"), [(2, 0), (20, 0), (300, 0), (20, 1), (120, 2), (600, 0.5), (2400, 1)]
)
def test_the_95_percent_interval_holds_the_true_rate(rate_per_h: float, spread: float) -> None:
    """In simulated nights, Poisson or over-dispersed, the interval holds the true rate 93-98 % of times."""
    nights = 800 if rate_per_h < 500 else 400  # many twitches take long
    assert 0.93 <= simulated_coverage(rate_per_h, spread, nights=nights, seed=3) <= 0.98


def test_an_overdispersed_night_has_a_wider_interval() -> None:
    """The same count in bursts is known less well than spread evenly."""
    even = np.linspace(0, 8 * HOUR_S, 480, endpoint=False)
    bursts = (
        np.repeat(np.arange(24) * 1200.0, 20)[:, None] + 600 + np.tile(np.arange(20) * 2.0, 24)[:, None]
    ).ravel()
    coverage = cover((0, 8 * HOUR_S, Kind.VALID))
    a, b = (
        twitch_map(events_at(peaks), coverage, [SITE], 0, None, 8 * HOUR_S)[0] for peaks in (even, bursts)
    )
    assert a["twitches"] == b["twitches"] == 480
    assert b["rate_high"] - b["rate_low"] > 2 * (a["rate_high"] - a["rate_low"])


def test_rates_take_arrays_and_numbers() -> None:
    """`rates` works on any shape, and no seconds are no rate."""
    one = rates(10, 3600.0)
    many = rates(np.array([10, 10]), np.array([3600.0, 0.0]))
    assert many["rate_low"][0] == one["rate_low"]
    assert np.isnan(many["rate_per_h"][1])


@pytest.mark.parametrize("bin_s", [0, -5, 0.5, float("nan")])
def test_bins_that_cannot_be_made_are_refused(bin_s: float) -> None:
    """A bin of zero, negative or unknown length gets a sentence."""
    with pytest.raises(BadValueError, match="15 min"):
        twitch_map(events_at([]), cover((0, 10, Kind.VALID)), [SITE], 0, bin_s, 10)


def test_an_empty_night_is_an_empty_table() -> None:
    """A night without length has no bins."""
    assert len(twitch_map(events_at([]), cover((0, 10, Kind.VALID)), [SITE], 0, 60, 0)) == 0
