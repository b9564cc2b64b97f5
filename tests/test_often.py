"""Units that fire often: what is found of them, beside what a filter of the known unit would find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from firmware_host.learning.often import LEVEL, OFTEN, Often, filter_by_d, often_firing
from firmware_host.learning.score import TRUTH_DTYPE, outcome_of
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, table


def test_only_units_that_fire_often_are_counted() -> None:
    """Of two units the one with enough twitches counts: its truths, those found, and the filter's share."""
    many, few, d = OFTEN + 10, OFTEN - 1, 6.0
    peak_s = np.arange(many + few) * 2.0 + 1.0
    unit = np.repeat([0, 1], [many, few])
    truth = table(TRUTH_DTYPE, many + few, site="left_calf", peak_s=peak_s, d=d, peak_to_peak_mg=10.0)
    events = table(EVENT_DTYPE, 20, site="left_calf", peak_s=peak_s[many - 10 : many + 10], counted=True)
    coverage = table(COVERAGE_DTYPE, 1, site="left_calf", end_s=1000.0, kind=Kind.VALID)
    units = np.zeros(many + few, [("site", "U32"), ("peak_s", "f8"), ("unit", "i4")])
    units["site"], units["peak_s"], units["unit"] = "left_calf", peak_s, unit
    told = often_firing(outcome_of(events, coverage, truth), units)
    assert (told.truths, told.found) == (many, 10)
    assert told.bound == pytest.approx(many * special.ndtr(d - LEVEL))
    assert told.plus(told) == Often(2 * many, 20, 2 * told.bound)


def test_the_level_is_crossed_once_an_hour() -> None:
    """Rice's rate of a matched filter at the level is one an hour."""
    assert 3600 * 16.0 * np.exp(-(LEVEL**2) / 2) == pytest.approx(1.0)
    assert pytest.approx(4.68, abs=0.01) == LEVEL


def test_without_twitches_there_is_nothing_to_count() -> None:
    """A night without twitches gives zeros."""
    none = table(TRUTH_DTYPE, 0)
    coverage = table(COVERAGE_DTYPE, 1, site="left_calf", end_s=10.0, kind=Kind.VALID)
    units = np.zeros(0, [("site", "U32"), ("peak_s", "f8"), ("unit", "i4")])
    assert often_firing(outcome_of(table(EVENT_DTYPE, 0), coverage, none), units) == Often()


def test_the_known_filter_by_d_is_that_of_each_twitch() -> None:
    """At its level it finds half, far above it all, and nothing outside valid time is asked for."""
    truth = table(TRUTH_DTYPE, 4, site="a", peak_s=[1.0, 2.0, 3.0, 50.0], d=[LEVEL, LEVEL, 25.0, 25.0])
    coverage = table(COVERAGE_DTYPE, 1, site="a", end_s=10.0)
    finds = filter_by_d(outcome_of(table(EVENT_DTYPE, 0), coverage, truth))
    assert finds == pytest.approx((0.0, 1.0, 0.0, 0.0, 1.0))
