"""Matching of events to truth, the figures made of it, and truth files."""

from __future__ import annotations

import json
import math
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from firmware_host.errors import BadFileError, NotFoundError
from firmware_host.learning.match import match
from firmware_host.learning.score import TRUTH_DTYPE, merge_truth, read_truth, score
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, Table, table

SITE = "left_calf"
TOLERANCE_NS = 150_000_000


def events_at(*peaks_s: float, site: str = SITE) -> Table:
    """Make counted events with these peaks."""
    return table(EVENT_DTYPE, len(peaks_s), site=site, peak_s=peaks_s, onset_s=peaks_s, counted=True)


def truth_at(*peaks_s: float, site: str = SITE, d: Any = math.nan, mg: Any = math.nan) -> Table:
    """Make true twitches with these peaks."""
    return table(
        TRUTH_DTYPE, len(peaks_s), site=site, peak_s=peaks_s, d=d, peak_to_peak_mg=mg, energy_mg2s=math.nan
    )


def valid_hour(site: str = SITE, end_s: float = 3600.0) -> Table:
    """Make an hour of valid time."""
    return table(COVERAGE_DTYPE, 1, site=site, start_s=0, end_s=end_s, kind=Kind.VALID)


def brute_force(events_ns: list[int], truths_ns: list[int]) -> tuple[int, int]:
    """Return (pairs, total difference) of the best one-to-one matching, by trying all of them."""
    few, many = sorted((events_ns, truths_ns), key=len)
    for size in range(len(few), 0, -1):
        sums = [
            sum(abs(a - b) for a, b in zip(some, others, strict=True))
            for some in combinations(few, size)
            for others in permutations(many, size)
            if all(abs(a - b) <= TOLERANCE_NS for a, b in zip(some, others, strict=True))
        ]
        if sums:
            return size, min(sums)
    return 0, 0


def matched(events_ns: list[int], truths_ns: list[int]) -> tuple[int, int]:
    """Return (pairs, total difference) of our matching, after checking that it is one to one."""
    hits, hit_by = match(np.array(events_ns) / 1e9, np.array(truths_ns) / 1e9)
    assert len(set(hits.tolist())) == len(set(hit_by.tolist())) == len(hits)
    errors = np.abs(np.array(events_ns, np.int64)[hit_by] - np.array(truths_ns, np.int64)[hits])
    assert np.all(errors <= TOLERANCE_NS)
    return len(hits), int(errors.sum())


times_ns = st.lists(st.integers(0, 500).map(lambda ms: ms * 1_000_000), max_size=5).map(sorted)


@given(times_ns, times_ns)
def test_matching_is_the_best_of_all(events_ns: list[int], truths_ns: list[int]) -> None:
    """No one-to-one matching within 150 ms has more pairs, nor as many with a smaller total difference."""
    assert matched(events_ns, truths_ns) == brute_force(events_ns, truths_ns)


def test_matching_agrees_with_an_assignment_solver_on_a_dense_series() -> None:
    """On 300 truths and 320 events in 20 s the result is that of a general assignment solver."""
    rng = np.random.default_rng(2)
    events = np.sort(rng.integers(0, 20_000, 320)) * 1_000_000
    truths = np.sort(rng.integers(0, 20_000, 300)) * 1_000_000
    difference = np.abs(truths[:, None] - events[None, :])
    cost = np.where(difference <= TOLERANCE_NS, difference - 10**12, 0)
    rows, columns = linear_sum_assignment(cost)
    real = difference[rows, columns] <= TOLERANCE_NS
    expected = int(real.sum()), int(difference[rows, columns][real].sum())
    assert matched(events.tolist(), truths.tolist()) == expected


@pytest.mark.long
def test_matching_a_night_of_300_000_events() -> None:
    """A night of 300,000 truths, each found with some jitter, is matched whole."""
    rng = np.random.default_rng(4)
    truths = np.arange(300_000) * 0.0959
    hits, hit_by = match(np.sort(truths + rng.uniform(-0.02, 0.02, len(truths))), truths)
    np.testing.assert_array_equal(hits, hit_by)
    assert len(hits) == 300_000


def test_the_figures_of_a_small_night() -> None:
    """Recall, precision, F1, false alarms an hour, timing and count bias come out as counted by hand."""
    truth = truth_at(10, 20, 30, 40, d=[2, 5, 12, 30], mg=[5, 10, 20, 50])
    result = score(events_at(20.1, 29.95, 40.0, 40.1, 50), valid_hour(end_s=1800), truth)

    assert (result.truths, result.found, result.false_alarms) == (4, 3, 2)
    assert (result.recall, result.precision) == (0.75, 0.6)
    assert result.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert result.false_alarms_per_h == 4
    assert result.count_bias == 0.25
    assert result.timing_error_ms == pytest.approx(50)
    assert [each.found for each in result.recall_by_d] == [0, 1, 0, 1, 1]
    assert [each.recall for each in result.recall_by_d] == [0, 1, None, 1, 1]
    assert [each.truths for each in result.recall_by_amplitude_mg] == [0, 1, 1, 1, 0, 1, 0, 0]
    assert result.precision_at(10) == 2 / 4
    assert result.precision_at(20) == 1 / 3
    assert (result.recall_at(3.9), result.f1_at(3.9)) == (1, 2 * 3 / (3 + 3 + 2))
    assert result.f1_at(20) == 2 * 1 / (1 + 1 + 2)


def test_a_second_detection_is_a_false_alarm() -> None:
    """Two events at one truth are one hit and one false alarm."""
    result = score(events_at(9.95, 10.05), valid_hour(), truth_at(10))
    assert (result.found, result.false_alarms) == (1, 1)


def test_the_tolerance_is_150_ms() -> None:
    """A difference of 150 ms matches and one of 151 ms does not."""
    assert score(events_at(10.15), valid_hour(), truth_at(10)).found == 1
    assert score(events_at(10.151), valid_hour(), truth_at(10)).found == 0


def test_sites_do_not_match_each_other() -> None:
    """An event at another site is no hit."""
    coverage = np.concatenate([valid_hour(), valid_hour("right_calf")])
    result = score(events_at(10, site="right_calf"), coverage, truth_at(10))
    assert (result.found, result.false_alarms, result.valid_h) == (0, 1, 2)


def test_truth_outside_valid_time_is_reported_apart() -> None:
    """Truths in movement, or on a site without a sensor, count neither for nor against, and are told."""
    coverage = table(
        COVERAGE_DTYPE, 2, site=SITE, start_s=[0, 60], end_s=[60, 90], kind=[Kind.VALID, Kind.MOVEMENT]
    )
    truth = np.concatenate([truth_at(10, 70, 80), truth_at(10, site="right_calf")])
    result = score(events_at(10, 70, 85), coverage, truth)
    assert (result.truths, result.found, result.false_alarms) == (1, 1, 0)
    assert (result.outside_truths, result.outside_found, result.outside_false_alarms) == (3, 1, 1)
    assert result.valid_h == pytest.approx(1 / 60)


def test_events_that_are_not_counted_are_not_scored() -> None:
    """Candidates below the operating point are neither hits nor false alarms."""
    events = events_at(10, 20)
    events["counted"] = [False, True]
    result = score(events, valid_hour(), truth_at(10))
    assert (result.found, result.false_alarms) == (0, 1)


def test_truths_closer_than_60_ms_are_one() -> None:
    """Of a doublet the larger stays, others' neighbours do not chain, and sites are kept apart."""
    merged = merge_truth(truth_at(1.00, 1.05, 1.10, 5.0, d=[3, 9, 4, 1]))
    assert merged["peak_s"].tolist() == [1.05, 5.0]
    apart = np.concatenate([truth_at(1.0), truth_at(1.01, site="right_calf")])
    assert len(merge_truth(apart)) == 2
    assert merge_truth(truth_at(1.06, 1.0))["peak_s"].tolist() == [1.0, 1.06]


def test_d_from_energy_and_floor() -> None:
    """A truth that has only its energy gets d = sqrt(2 E) / nd from the site's floor."""
    truth = truth_at(10)
    truth["energy_mg2s"] = 2.0
    result = score(events_at(10), valid_hour(), truth, {SITE: 0.25})
    assert [each.truths for each in result.recall_by_d] == [0, 0, 1, 0, 0]
    assert score(events_at(10), valid_hour(), truth).recall_by_d == ()


@pytest.mark.parametrize("events", [(), (10.0,)])
@pytest.mark.parametrize("truths", [(), (10.0,)])
@pytest.mark.parametrize("coverage", [valid_hour(), valid_hour()[:0]])
def test_nothing_to_score_is_no_nan(events: Any, truths: Any, coverage: Table) -> None:
    """Without truth, events or valid time the figures are None or counts, and still JSON and text."""
    result = score(events_at(*events), coverage, truth_at(*truths))
    text = json.dumps(result.as_dict(), allow_nan=False)
    assert json.loads(text)["found"] == (1 if events and truths and len(coverage) else 0)
    assert "nan" not in " ".join(result.lines())
    assert set(json.loads(text)["precision_at_d"]) == {"3.9", "6.6", "10", "20"}
    assert ("the truth has no d" in " ".join(result.lines())) == (result.truths > 0)


def test_json_and_text_hold_the_figures() -> None:
    """The JSON has recall and precision by d, and the text names each filled bin."""
    result = score(events_at(10, 50), valid_hour(), truth_at(10, 20, d=[25, 5], mg=[200, 10]))
    figures = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert figures["recall_by_d"][-1] == {"low": 20, "high": None, "truths": 1, "found": 1, "recall": 1}
    assert figures["precision_at_d"]["20"] == 0.5
    text = "\n".join(result.lines())
    assert "recall at d 20 and up: 100.0 % (1 of 1); from there on precision 50.0 %, F1 66.7 %" in text
    assert "recall at amplitude 8-15 mg: 0.0 % (0 of 1)" in text


def test_a_truth_file_is_read(tmp_path: Path) -> None:
    """Site and peak are enough; known columns are read, others ignored, empty ones are not known."""
    path = tmp_path / "truth.csv"
    path.write_text("\ufeffpeak_s,site,d,unit\n1.5,left_calf,7.25,3\n2,left_calf.2,,x\n", encoding="utf-8")
    truth = read_truth(path)
    assert truth["site"].tolist() == ["left_calf", "left_calf.2"]
    assert truth["peak_s"].tolist() == [1.5, 2.0]
    assert truth["d"][0] == 7.25
    assert np.isnan(truth["d"][1])
    path.write_text("site,peak_s\n", encoding="utf-8")
    assert len(read_truth(path)) == 0


@pytest.mark.parametrize(
    ("content", "match_text"),
    [
        (b"", "line 1"),
        (b"site;peak_s\nleft_calf;1\n", "with commas"),
        (b"site,peak_s\nleft_calf,1\nleft_calf,abc\n", "line 3.*abc"),
        (b"site,peak_s\nleft_claf,1\n", "line 2.*left_calf"),
        (b"site,peak_s\nleft_calf\n", "line 2"),
        (b"site,peak_s\nleft_calf,nan\n", "line 2"),
        (b"site,peak_s,d\nleft_calf,1,-4\n", "line 2"),
        (b"site,peak_s\n,1\n", "line 2"),
        (b"PK\x03\x04\xff\xfe\x00\x00", "cannot be read"),
        (b'site,peak_s\n"left_calf,1\n', "cannot be read"),
        (b"site,peak_s\nleft_calf,\x00\n", "line"),
    ],
)
def test_a_bad_truth_file_gets_a_sentence(tmp_path: Path, content: bytes, match_text: str) -> None:
    """What is no truth file is refused with the file and, where there is one, the line."""
    path = tmp_path / "truth.csv"
    path.write_bytes(content)
    with pytest.raises(BadFileError, match=match_text) as caught:
        read_truth(path)
    assert "truth.csv" in str(caught.value)
    assert caught.value.path == path


def test_a_missing_truth_file_gets_a_sentence(tmp_path: Path) -> None:
    """A truth file that is not there is named."""
    with pytest.raises(NotFoundError, match=r"none\.csv"):
        read_truth(tmp_path / "none.csv")


def test_sentences_of_one_and_of_none() -> None:
    """One twitch is no twitches, and what is not known has no unit."""
    coverage = valid_hour()
    one = score(events_at(9.0, 4000.0), coverage, truth_at(9.0, 5000.0)).lines()
    assert one[0] == "truth: 1 twitch in 1.00 h of valid time; found 1"
    assert one[3] == "outside valid time: 1 twitch, 0 found; 1 other event"
    assert one[4] == "median timing error: 0.0 ms; events against truth: +0.0 %"
    none = score(events_at(), coverage[:0], truth_at()).lines()
    assert none[0] == "truth: 0 twitches in 0.00 h of valid time; found 0"
    assert none[2] == "false alarms: 0 (none to tell)"
    assert none[4] == "median timing error: none to tell; events against truth: none to tell"
