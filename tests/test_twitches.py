"""The tables of a run: their checks, and the coverage that tiles a night."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_host.twitches import (
    COVERAGE_DTYPE,
    EVENT_DTYPE,
    Kind,
    check_coverage,
    check_events,
    table,
    tiled,
    valid_s,
)

SPANS = st.lists(st.tuples(st.floats(0, 90), st.floats(0.01, 30)), max_size=8)


@given(spans=SPANS)
def test_coverage_tiles_any_night(spans: list[tuple[float, float]]) -> None:
    """Of any stretches, overlapping or not, every moment gets one kind; what none covers is a gap."""
    spans = sorted(spans)
    starts = np.array([start for start, _ in spans])
    ends = np.array([start + length for start, length in spans])
    covered = table(COVERAGE_DTYPE, len(spans), site="left_calf", start_s=starts, end_s=ends)
    before = covered.copy()
    rows = tiled(covered, "left_calf", 130.0)
    check_coverage(rows)
    assert covered.tobytes() == before.tobytes()
    assert (rows["start_s"][0], rows["end_s"][-1]) == (0.0, 130.0)
    np.testing.assert_array_equal(rows["start_s"][1:], rows["end_s"][:-1])
    assert (rows["kind"][1:] != rows["kind"][:-1]).all()
    marks = np.linspace(0, 129.9, 500)
    inside = ((marks[:, None] >= starts) & (marks[:, None] < ends)).any(axis=1)
    kind = rows["kind"][np.searchsorted(rows["start_s"], marks, side="right") - 1]
    np.testing.assert_array_equal(kind == Kind.VALID, inside)
    assert valid_s(rows) == pytest.approx(
        130.0 - np.sum((rows["end_s"] - rows["start_s"])[rows["kind"] == Kind.GAP])
    )


def good_events() -> np.ndarray:
    """Return two events of one site."""
    return table(EVENT_DTYPE, 2, site="left_calf", peak_s=[1.0, 2.0], onset_s=[0.9, 1.9], snr=[7.0, 8.0])


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [
        ("peak_s", [2.0, 1.0], "onset lies after"),
        ("snr", [np.nan, 1.0], "snr holds a number that is not finite"),
        ("peak_s", [1e9, 2e9], "in seconds"),
        ("onset_s", [0.9, 2.1], "onset lies after"),
    ],
)
def test_events_that_cannot_be_are_refused(column: str, values: list[float], match: str) -> None:
    """An event table with impossible numbers is refused where it is made, with what is wrong."""
    events = good_events()
    check_events(events)
    events[column] = values
    with pytest.raises(ValueError, match=match):
        check_events(events)


def test_rows_stand_in_order() -> None:
    """Rows of one site stand together and in order of time."""
    events = good_events()[::-1].copy()
    with pytest.raises(ValueError, match="not in order"):
        check_events(events)
    mixed = np.concatenate([good_events(), good_events()])
    mixed["site"][2:] = ["right_calf", "left_calf"]
    with pytest.raises(ValueError, match="stand together"):
        check_events(mixed)


def test_an_unknown_column_is_named() -> None:
    """A table is made of declared columns only."""
    with pytest.raises(ValueError, match="'peak' is no column; the columns are event_id"):
        table(EVENT_DTYPE, 1, peak=1.0)
