"""The figures of an evaluation: limits, causes, intervals, calibration, wear, noise, sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_host.errors import BadFileError, NotFoundError
from firmware_host.learning import bounds
from firmware_host.learning.causes import SECOND_MAXIMUM, UNEXPLAINED, causes, counted_causes, read_happenings
from firmware_host.learning.cohort_score import OffBody, SiteNight, _shared_s, cases, proved
from firmware_host.learning.found_size import found_9_in_10
from firmware_host.learning.intervals import figure, most_per_h, pooled
from firmware_host.learning.noise_score import NoiseCase, NoiseResult, density_mg
from firmware_host.learning.noise_summary import noise_summary
from firmware_host.learning.reliability import expected_error, reliability
from firmware_host.learning.score import TRUTH_DTYPE, Score, outcome_of, score, score_of
from firmware_host.learning.summaries import in_order, wear_summary
from firmware_host.simulation.truth import HAPPENING_DTYPE
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Flag, Kind, Table, table

SITE = "left_calf"
BAND = bounds.Band(5.0, 45.0)
ALIKE = np.full(3, 0.1)
PLAIN = ("plain", "balanced")


def raw_over_band(rise_s: float) -> float:
    """Return peak-to-peak of a whole twitch over that of its part in the band."""
    spectrum, _ = bounds.shape_spectrum(rise_s, BAND)
    n = bounds.BLOCK * bounds.FINE
    t_s = np.arange(n) / (bounds.FS_HZ * bounds.FINE)
    whole = bounds.twitch_acceleration(t_s, rise_s)
    at = int(np.argmax(np.abs(spectrum)))
    in_band_mg = abs(np.fft.rfft(whole)[at]) / (bounds.FS_HZ * bounds.FINE) / abs(spectrum[at])
    return float(np.ptp(whole) / in_band_mg)


@pytest.mark.long
@pytest.mark.parametrize(
    ("rise_s", "kappa", "known_mg", "bank_mg"),
    [
        (0.030, 0.0044, 7.1, 7.6),
        (0.050, 0.0076, 5.3, 5.5),
        (0.080, 0.0106, 4.5, 4.6),
        (0.120, 0.0106, 4.5, 4.4),
    ],
)
def test_limits_agree_with_the_literature_study(
    rise_s: float, kappa: float, known_mg: float, bank_mg: float
) -> None:
    """At 100 ug/sqrt(Hz), 5-45 Hz and one false alarm an hour the limits are those of science 6.1 and 6.2."""
    whole = raw_over_band(rise_s)
    spectrum, _ = bounds.shape_spectrum(rise_s, BAND)
    assert bounds.energy_mg2s(spectrum) / whole**2 == pytest.approx(kappa, rel=0.03)
    assert bounds.known_shape_mg(rise_s, BAND, ALIKE, 1.0) * whole == pytest.approx(known_mg, rel=0.03)
    assert bounds.bank_mg(rise_s, BAND, ALIKE, 1.0) * whole == pytest.approx(bank_mg, rel=0.06)


def test_thresholds_follow_rice() -> None:
    """The level of one filter is that of science 6.1; a bank's is a little higher; rarer alarms need more."""
    for per_h, level in ((10.0, 5.01), (1.0, 5.49), (0.1, 5.92)):
        assert bounds.chi_threshold(per_h, 16.0) == pytest.approx(level, abs=0.01)
        assert level < bounds.bank_threshold(BAND, per_h) < level + 0.35


def test_limits_scale_with_the_noise() -> None:
    """Twice the density needs twice the size, and one noisy axis costs less than three."""
    assert bounds.bank_mg(0.05, BAND, 2 * ALIKE, 0.1) == pytest.approx(
        2 * bounds.bank_mg(0.05, BAND, ALIKE, 0.1)
    )
    one = bounds.known_shape_mg(0.05, BAND, ALIKE * [1, 1, 2], 0.1)
    assert (
        bounds.known_shape_mg(0.05, BAND, ALIKE, 0.1)
        < one
        < bounds.known_shape_mg(0.05, BAND, 2 * ALIKE, 0.1)
    )


def events_at(*peaks_s: float, snr: Any = 8.0, mg: float = 10.0) -> Table:
    """Make counted events."""
    return table(
        EVENT_DTYPE, len(peaks_s), site=SITE, peak_s=peaks_s, onset_s=peaks_s, counted=True, snr=snr,
        peak_to_peak_mg=mg,
    )  # fmt: skip


def truth_at(*peaks_s: float, d: Any = 20.0) -> Table:
    """Make true twitches."""
    return table(TRUTH_DTYPE, len(peaks_s), site=SITE, peak_s=peaks_s, d=d, peak_to_peak_mg=30.0)


def valid_hour() -> Table:
    """Make an hour of valid time."""
    return table(COVERAGE_DTYPE, 1, site=SITE, start_s=0, end_s=3600.0, kind=Kind.VALID)


def happening(kind: str, start_s: float, end_s: float, size_mg: float = 50.0) -> Table:
    """Make one happening."""
    return np.array([(SITE, kind, start_s, end_s, size_mg, "worn")], HAPPENING_DTYPE)


def test_false_alarms_get_the_cause_that_was_there() -> None:
    """The shortest happening names it; small lasting ones do not; the smaller side of a hit is its own."""
    happenings = np.concatenate([
        happening("heart", 0, 3600, size_mg=1.0), happening("snore", 500, 900, size_mg=20.0),
        happening("tap", 600, 600.1), happening("breath", 0, 3600),
    ])  # fmt: skip
    events = events_at(100.0, 100.3, 200.0, 600.2, 700.0, snr=[20.0, 8.0, 8.0, 8.0, 8.0])
    outcome = outcome_of(events, valid_hour(), truth_at(100.0))
    assert causes(outcome, happenings).tolist() == [SECOND_MAXIMUM, UNEXPLAINED, "tap", "snore"]
    assert sum(counted_causes(outcome, happenings).values()) == score_of(outcome).false_alarms
    assert counted_causes(outcome, happenings[:0]) == {UNEXPLAINED: 3, SECOND_MAXIMUM: 1}


def test_happenings_are_read_and_bad_ones_refused(tmp_path: Path) -> None:
    """A CSV as the simulator writes it is read; what is none gets a sentence with its line."""
    path = tmp_path / "happenings.csv"
    path.write_text("site,kind,start_s,end_s\nleft_calf,tap,1,2\n", encoding="utf-8")
    rows = read_happenings(path)
    assert rows["kind"].tolist() == ["tap"]
    assert rows["size_mg"][0] == math.inf
    path.write_text("site,kind,start_s,end_s\nleft_calf,tap,1,\n", encoding="utf-8")
    with pytest.raises(BadFileError, match="line 2"):
        read_happenings(path)
    path.write_text("site,start_s\n", encoding="utf-8")
    with pytest.raises(BadFileError, match="line 1"):
        read_happenings(path)
    with pytest.raises(NotFoundError, match="absent"):
        read_happenings(tmp_path / "absent.csv")


def test_an_outcome_of_one_site_keeps_its_pairs() -> None:
    """The part of an outcome at one site scores as that site alone does."""
    there = [rows.copy() for rows in (events_at(5, 10, 50), valid_hour(), truth_at(10, 20))]
    for rows in there:
        rows["site"] = "right_calf"
    both = [
        np.concatenate(pair) for pair in zip(there, (events_at(7), valid_hour(), truth_at(7, 9)), strict=True)
    ]
    outcome = outcome_of(*both)
    assert score_of(outcome.at(["right_calf"], 1.0)) == score(*there)
    assert score_of(outcome.at([SITE], 1.0)).found == 1
    assert score_of(outcome.at(["chin"], 0.0)).truths == 0


def test_pooled_scores_are_sums() -> None:
    """Counts add up, the timing error is the median of the single errors, a night without truths adds too."""
    one = outcome_of(events_at(10.02, 30, 50), valid_hour(), truth_at(10, 20, d=[12.0, 5.0]))
    none = outcome_of(events_at(10), valid_hour(), truth_at())
    total = pooled([score_of(one), score_of(none)], [1000 * one.error_s, 1000 * none.error_s])
    assert (total.truths, total.found, total.false_alarms, total.valid_h) == (2, 1, 3, 2.0)
    assert total.timing_error_ms == pytest.approx(20)
    assert [each.truths for each in total.recall_by_d] == [0, 1, 0, 1, 0]
    assert total.f1_at(10) == 2 * 1 / (1 + 1 + 3)


def made_score(found: int, truths: int) -> Score:
    """Score a night of so many truths, one a minute, the first ones found."""
    at = np.arange(truths) * 60.0
    return score(events_at(*at[:found]), valid_hour(), truth_at(*at))


def test_intervals_are_over_subjects() -> None:
    """Subjects who are all alike leave no doubt, different ones do, however many events each has."""
    alike = [[made_score(8, 10)] for _ in range(6)]
    same = figure(alike, lambda one: one.recall)
    assert (same.value, same.low, same.high) == (0.8, 0.8, 0.8)
    unlike = [[made_score(4, 40)], [made_score(36, 40)], [made_score(20, 40)]]
    wide = figure(unlike, lambda one: one.recall)
    assert wide.value == 0.5
    assert wide.low is not None
    assert wide.high is not None
    assert wide.low < 0.25 < 0.75 < wide.high
    assert wide == figure(unlike, lambda one: one.recall)
    assert figure(alike[:1], lambda one: one.recall).low is None
    assert figure([], lambda one: one.recall).value is None


def test_upper_limits_of_rates() -> None:
    """No event in T hours leaves at most 3 / T an hour (science 6.6)."""
    assert most_per_h(0, 30.0) == pytest.approx(3 / 30, rel=0.01)
    assert most_per_h(5, 10.0) == pytest.approx(1.05, rel=0.01)
    assert most_per_h(0, 0.0) is None


def test_calibration_is_counted_by_hand() -> None:
    """Bins hold mean probability and true share; their differences, weighted, are the expected error."""
    bins = reliability([0.25, 0.25, 0.25, 0.25, 0.95, 0.95, np.nan], [1, 0, 0, 0, 1, 0, 1])
    assert [(one.low, one.candidates, one.true_share) for one in bins] == [(0.2, 4, 0.25), (0.9, 2, 0.5)]
    assert expected_error(bins) == pytest.approx((4 * 0 + 2 * 0.45) / 6)
    assert reliability([1.0], [True])[0].high == 1.0
    assert expected_error(()) is None


def test_what_proved_true_leaves_tiny_twitches_out() -> None:
    """Candidates at truths of d >= 3.9 are true, elsewhere false, at smaller truths neither."""
    rows = events_at(10, 20, 30)
    rows["probability"] = [0.9, 0.5, 0.1]
    probability, true = proved(rows, valid_hour(), truth_at(10, 20, d=[8.0, 2.0]))
    assert probability.tolist() == pytest.approx([0.9, 0.1])
    assert true.tolist() == [True, False]


def test_of_a_burst_and_its_side_lobe_the_burst_is_the_twitch() -> None:
    """However near a side lobe is to the truth, the burst proves true; the lobe does beside another truth."""
    rows = events_at(10.05, 10.12, 20.0, 20.1)
    rows["probability"] = [0.9, 0.1, 0.9, 0.4]
    rows["flags"][1::2] = Flag.SIDE_LOBE
    _, true = proved(rows, valid_hour(), truth_at(10.11, 20.01, 20.11, d=[8.0, 8.0, 8.0]))
    assert true.tolist() == [True, False, True, True]


def test_shared_time_counts_once() -> None:
    """Overlapping spells are one, and only what lies in the spans counts."""
    spans = np.array([[0.0, 10.0], [20.0, 30.0]])
    assert _shared_s([(5.0, 25.0), (8.0, 22.0)], spans) == 10.0
    assert _shared_s([], spans) == 0.0


def test_wear_is_summed_over_nights() -> None:
    """Only spells of an hour or more on a table are held against the detector; shares are of time."""
    spells = (OffBody("on_table", 7200.0, 720.0, 0.0), OffBody("on_table", 600.0, 600.0, 600.0))
    night = SiteNight(cases(1, 1.0, 1.0, ["mixed"])[0], SITE, "", {}, spells, 1000.0, 10.0, ())
    summary = wear_summary([night, replace(night, off=(), still_s=1000.0, still_lost_s=0.0)])
    assert summary["on_a_table_an_hour_or_more"]["called_valid"] == pytest.approx(0.1)
    assert summary["off"]["on_table"]["hours"] == pytest.approx(7800 / 3600)
    assert summary["still_called_not_worn"] == pytest.approx(0.005)


def test_density_is_measured_in_the_band() -> None:
    """White noise of known density comes out as it is, axis by axis."""
    rng = np.random.default_rng(1)
    acc_g = rng.standard_normal((60_000, 3)) * np.array([1, 2, 4]) * 1e-4 * np.sqrt(50) + [0, 0, 1]
    assert density_mg(acc_g, 100.0) == pytest.approx([0.1, 0.2, 0.4], rel=0.03)


def test_the_size_found_9_in_10_is_fitted() -> None:
    """Drawn from a known function the size comes out within its error; none where nearly nothing is found."""
    rng = np.random.default_rng(2)
    size = rng.uniform(3, 12, 2000)
    found = size + rng.standard_normal(2000) > 6.0
    fitted = found_9_in_10(size, found)
    assert fitted.mg is not None
    assert fitted.error_mg is not None
    assert fitted.mg == pytest.approx(6.0 + 1.2816, abs=4 * fitted.error_mg)
    assert fitted.error_mg < 0.2
    assert found_9_in_10(size, size > 11.9).mg is None


def noise_of(chip: str, alarms: int, found: Any = None, hours: float = 60.0) -> NoiseResult:
    """Make the result of a recording of noise; with twitches of one rise where `found` is a rule of sizes."""
    size = np.zeros(0) if found is None else np.linspace(3.0, 12.0, 1200)
    case = NoiseCase(chip, 100.0, hours, 0, with_twitches=found is not None)
    rises = np.resize(bounds.BANK_RISE_S, len(size))
    hit = {PLAIN: np.zeros(0, bool) if found is None else found(size)}
    return NoiseResult(case, hours, {PLAIN: alarms}, {PLAIN: alarms}, hours, ALIKE, rises, size, hit)


@pytest.mark.long
def test_the_worst_of_many_chips_is_judged_beyond_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest count of 15 chips says nothing unless chance hardly gives it; sizes likewise."""
    monkeypatch.setattr(bounds, "bank_mg", lambda *_: 7.0)
    monkeypatch.setattr(bounds, "known_shape_mg", lambda *_: 6.9)
    rng = np.random.default_rng(4)

    def seen(size: Any) -> Any:
        return size + rng.standard_normal(len(size)) > 6.0

    chips = [f"chip {number}" for number in range(15)]
    silent = [noise_of(chip, 10 if chip == "chip 3" else 1) for chip in chips]
    summary = noise_summary([*silent, *(noise_of(chip, 0, seen) for chip in chips)], [PLAIN])
    of_chip = {chip: own["judges"]["plain balanced"] for chip, own in summary["alarms"]["chip"].items()}
    assert of_chip["chip 3"]["per_h"] > 0.1
    assert not of_chip["chip 3"]["above"]
    assert 0.1 < summary["alarms"]["chip"]["chip 3"]["noticed_from_per_h"] < 0.4
    worse = noise_summary([*silent[1:], noise_of("chip 0", 20)], [PLAIN])
    assert worse["alarms"]["chip"]["chip 0"]["judges"]["plain balanced"]["above"]
    over = summary["over_bank"]["plain balanced"]
    for one in over["rises"].values():
        assert one["mean"] == pytest.approx(7.28 / 7, abs=4 * one["error"])
        assert one["error"] < 0.02
    assert over["largest"]["ratio"] > over["most"]
    assert (over["above"], over["not_reached"]) == (0, 0)


def test_sizes_are_compared_at_the_false_alarms_of_their_own_recordings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model that counts more noise where it twitches is compared with what the bank needs at that rate."""
    monkeypatch.setattr(bounds, "bank_mg", lambda *_: 7.0)
    monkeypatch.setattr(bounds, "known_shape_mg", lambda *_: 6.9)
    summary = noise_summary([noise_of("a", 0), noise_of("a", 120, lambda size: size > 6)], [PLAIN])
    assert summary["compared_at_per_h"]["plain balanced"] == 2.0
    assert noise_summary([noise_of("a", 0)], [PLAIN])["compared_at_per_h"]["plain balanced"] == 0.1


def test_large_twitches_that_are_missed_too_are_seen_in_the_fit() -> None:
    """One large twitch in 20 missed: the size grows and its error stays honest; 1 in 8: not reached."""
    rng = np.random.default_rng(3)
    size = rng.uniform(4, 14, 4000)
    seen = size + rng.standard_normal(len(size)) > 6.0
    fitted = found_9_in_10(size, seen & (rng.random(len(size)) > 0.05))
    assert fitted.mg is not None
    assert fitted.error_mg is not None
    assert fitted.mg == pytest.approx(6.0 + 1.62, abs=4 * fitted.error_mg)
    assert found_9_in_10(size, seen & (rng.random(len(size)) > 0.125)).mg is None


def test_rates_stand_in_order() -> None:
    """Tables by rate begin with the slowest, whatever the length of its name; others keep their order."""
    rates = ["208 Hz", "102.27 Hz", "50 Hz", "416 Hz"]
    assert sorted(rates, key=in_order) == ["50 Hz", "102.27 Hz", "208 Hz", "416 Hz"]
    assert sorted(["cervical", "bulbar"], key=in_order) == ["bulbar", "cervical"]
