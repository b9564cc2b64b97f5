"""The detection limit: known twitches, the fit of the share found, and the limits of a simulated night."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from conftest import Run
from scipy import signal, special

import firmware_host as tm
from firmware_host.analysis import detect_night, find_candidates, judge, load_model
from firmware_host.analysis.limits import ADDED_DTYPE, LEAST_TRIED, add_twitches, measure_limits, site_limit
from firmware_host.analysis.recount import NO_LIMIT, recount_night
from firmware_host.detection.limit import LARGEST_MG, Curve, Tried, fit
from firmware_host.detection.limit_waves import FINE_HZ, add_wave, waves
from firmware_host.recording import open_night
from firmware_host.simulation import NightSpec, simulate_night
from firmware_host.twitch_map import HourLimit, SiteLimit
from firmware_host.twitch_map.limits import limits_of
from firmware_host.twitches import COVERAGE_DTYPE, Kind, table

pytestmark = pytest.mark.lasts_s(25)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a simulated night of forty minutes with a run: a quiet sensor and a noisy one."""
    path = tmp_path_factory.mktemp("limits") / "simulated.night"
    sites, chips = ("left_calf", "right_shin"), ("ICM-42688-P", "MPU-6500")
    simulate_night(path, spec=NightSpec(seed=8, hours=2 / 3, sites=sites, chips=chips, troubles=False))
    tm.detect(tm.open(path))
    return path


def tried(rng: np.random.Generator, truth: Curve, n: int, sizes_mg: tuple[float, float]) -> Tried:
    """Draw added twitches that are found as a curve says."""
    size_mg = np.exp(rng.uniform(*np.log(sizes_mg), n))
    density = 0.1 * np.exp(0.3 * rng.standard_normal(n))
    found = rng.random(n) < truth.share(size_mg, density)
    return Tried(size_mg, density, found, np.arange(n) // 16)


@pytest.mark.parametrize("number", range(len(waves())))
def test_known_twitches_have_the_size_and_time_they_say(number: int) -> None:
    """A twitch added to silence is as large in 3-45 Hz as asked, and largest where asked."""
    silence = np.zeros((round(4 * FINE_HZ), 3), np.float32)
    along = np.array([0.6, 0.0, -0.8])
    add_wave(silence, FINE_HZ, number, 2 * FINE_HZ, 25.0, along)
    sos = signal.butter(2, (3.0, 45.0), "bandpass", fs=FINE_HZ, output="sos")
    band = signal.sosfiltfilt(sos, silence.astype(float), axis=0)
    assert np.ptp(band @ along) == pytest.approx(25.0, rel=0.02)
    largest = np.argmax(np.linalg.norm(band, axis=1)) / FINE_HZ
    assert largest == pytest.approx(2.0, abs=0.004)
    assert np.abs(band @ [0.8, 0.0, 0.6]).max() < 1e-3 * np.abs(band @ along).max()


def test_known_twitches_are_fast_and_slow() -> None:
    """Both sorts are there, and no two waveforms are the same."""
    assert {wave.slow for wave in waves()} == {True, False}
    forms = np.stack([wave.mg / np.linalg.norm(wave.mg) for wave in waves()])
    assert np.max(np.triu(forms @ forms.T, 1)) < 0.999


def test_a_twitch_near_the_end_of_the_samples_is_cut_off() -> None:
    """What of a twitch lies outside of the samples is left away, without an error."""
    silence = np.zeros((50, 3), np.float32)
    for peak in (-20.0, -3.5, 49.0, 80.0):
        add_wave(silence, 100.0, 3, peak, 10.0, np.array([1.0, 0, 0]))
    assert np.isfinite(silence).all()


@pytest.mark.long
@pytest.mark.parametrize("lapses", [0.0, 0.05])
def test_the_fit_gives_back_the_limit(lapses: float) -> None:
    """From drawn twitches the limit comes back without bias, and its interval holds it nine times in ten."""
    truth = Curve(6.0, 3.5, lapses, 1.0, 0.1)
    limit = float(truth.limit_mg(0.1))
    ratios, held = [], 0
    for seed in range(40):
        curve, others = fit(tried(np.random.default_rng(seed), truth, 300, (2.0, 40.0)), seed=seed)
        ratios.append(float(curve.limit_mg(0.1)) / limit)
        low, high = np.quantile(
            [float(one.limit_mg(0.1)) for one in others], (0.025, 0.975), method="nearest"
        )
        held += bool(low <= limit <= high)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.05)
    assert np.quantile(np.abs(np.log(ratios)), 0.9) < 0.35
    assert held >= 32


def test_the_limit_grows_with_the_noise() -> None:
    """Where the noise is twice as high so is the limit, whether or not the fit saw that noise."""
    curve, _ = fit(tried(np.random.default_rng(2), Curve(6.0, 3.5, 0.0, 1.0, 0.1), 400, (2.0, 40.0)))
    assert float(curve.limit_mg(0.2) / curve.limit_mg(0.1)) == pytest.approx(2.0, rel=0.25)


def test_what_is_never_found_often_enough_is_not_reached() -> None:
    """Where a quarter of the largest is missed, or nothing at all is found, the limit is infinite."""
    lapsing, _ = fit(tried(np.random.default_rng(1), Curve(6.0, 3.5, 0.25, 1.0, 0.1), 400, (2.0, 200.0)))
    assert np.isinf(lapsing.limit_mg(0.1))
    blind, _ = fit(Tried(np.full(200, 700.0), np.full(200, 0.1), np.zeros(200, bool), np.arange(200) // 16))
    assert np.isinf(blind.limit_mg(0.1))


def test_all_found_and_one_twitch_still_fit() -> None:
    """With everything found, or a single twitch, weak priors keep the fit finite."""
    one = Tried(np.array([20.0]), np.array([0.1]), np.array([True]), np.array([0]))
    all_found = Tried(np.full(60, 50.0), np.full(60, 0.1), np.ones(60, bool), np.arange(60) // 16)
    for few in (one, all_found):
        curve, others = fit(few, draws=5)
        assert len(others) == 5
        assert 0 < curve.middle_mg < 50
        assert 0 <= curve.lapses < 0.2


def test_each_site_of_a_night_has_its_limit(simulated: Path) -> None:
    """A run holds each site's limit; that of the chip with four times the noise is about so much larger."""
    night = tm.open(simulated)
    run = tm.load_run(night)
    quiet, noisy = (run.limits[site] for site in ("left_calf", "right_shin"))
    assert quiet.limit_mg is not None
    assert noisy.limit_mg is not None
    assert quiet.low_mg is not None
    assert quiet.low_mg < quiet.limit_mg
    assert 1.3 < noisy.limit_mg / quiet.limit_mg < 8  # so short a night leaves each limit unsure by half
    for limit in (quiet, noisy):
        assert limit.limit_mg is not None
        # 53 mg per mg/sqrt(Hz) is what theory has for one known shape in white noise (science 0).
        assert 45 < limit.limit_mg / limit.noise_mg_per_sqrt_hz < 110
        assert limit.tried >= LEAST_TRIED
    counts = tm.counts(night, run, bin_s=900)
    seen = counts["valid_s"] > 0
    assert np.isfinite(counts["detection_limit_mg"][seen]).all()
    assert np.isnan(counts["detection_limit_mg"][~seen]).all()


def test_limits_follow_from_the_samples(simulated: Path, tmp_path: Path) -> None:
    """A run that is repeated, of a copy elsewhere, has the same limits to the last digit."""
    copy = Path(shutil.copytree(simulated, tmp_path / "another name.night"))
    assert tm.detect(copy).summary.sites == tm.load_run(tm.open(simulated)).summary.sites


def test_as_live_measures_no_limit(simulated: Path, tmp_path: Path) -> None:
    """Pass 1 alone has no limit, and its counts say that it was not measured."""
    copy = Path(shutil.copytree(simulated, tmp_path / "live.night"))
    run = detect_night(copy, as_live=True)
    assert run.limits == {}
    assert np.isnan(tm.counts(tm.open(copy), run)["detection_limit_mg"]).all()


def test_a_recount_keeps_the_limit_of_the_same_judge_only(simulated: Path, tmp_path: Path) -> None:
    """Judged again at a point whose limit was measured it stays, whatever came since; else that is said."""
    copy = Path(shutil.copytree(simulated, tmp_path / "again.night"))
    same = recount_night(copy)
    assert same.limits == tm.load_run(tm.open(simulated)).limits
    assert same.rate_model == tm.load_run(tm.open(simulated)).rate_model
    other = recount_night(copy, operating_point="sensitive")
    assert other.limits == {}
    assert NO_LIMIT in other.summary.warnings
    assert np.isnan(tm.counts(tm.open(copy), other)["detection_limit_mg"]).all()
    back = recount_night(copy)
    assert back.limits == same.limits
    assert NO_LIMIT not in back.summary.warnings


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [("limit", "hours", []), ("limit", "middle_mg", 0), ("limit", "largest_mg", -5), ("limit", "lapses", 2),
     ("rates", "found_few", 1e300), ("rates", "found_spread", "wide")],
)  # fmt: skip
def test_a_stored_limit_or_rate_that_cannot_be_is_refused(
    simulated: Path, tmp_path: Path, run: Run, where: str, key: str, value: object
) -> None:
    """Results that somebody spoilt are told of in one sentence that says what to do."""
    copy = Path(shutil.copytree(simulated, tmp_path / "spoilt.night"))
    with closing(sqlite3.connect(copy / "results.sqlite")) as results, results:
        for run_id, *texts in results.execute("select run_id, summary, settings from runs").fetchall():
            summary, settings = map(json.loads, texts)
            limits = [site["limit"] for site in summary["sites"] if site["limit"]]
            for part in limits if where == "limit" else [settings["rates"]]:
                part[key] = value
            stored = json.dumps(summary), json.dumps(settings), run_id
            results.execute("update runs set summary = ?, settings = ? where run_id = ?", stored)
    code, out, err = run("map", copy)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "detect again" in err


def test_added_twitches_stand_in_valid_time_away_from_what_counts(simulated: Path) -> None:
    """Every added twitch lies in valid time, apart from counted events and from the others."""
    night = open_night(simulated)
    model, _ = load_model("standard")
    findings = find_candidates(night, model.lowest_score)
    rows = judge(findings, model)
    added = add_twitches(night, findings, rows, model, "balanced", "a key")
    others = add_twitches(night, findings, rows, model, "balanced", "another key")
    for site, here in added.items():
        times_s = np.sort(here["peak_s"])
        assert np.diff(times_s).min() > 11.9
        valid = findings.coverage[
            (findings.coverage["site"] == site) & (findings.coverage["kind"] == Kind.VALID)
        ]
        at = np.searchsorted(valid["start_s"], times_s, side="right") - 1
        assert (times_s < valid["end_s"][at]).all()
        counted_s = rows["peak_s"][(rows["site"] == site) & rows["counted"]]
        assert np.abs(times_s[:, None] - counted_s).min() > 0.29
        assert not np.array_equal(here["size_mg"], others[site]["size_mg"][: len(here)])
        large = here["size_mg"] > 150 * here["density"]
        assert here["found"][large & here["valid"]].mean() > 0.85
        assert here["found"][here["size_mg"] < 45 * here["density"]].mean() < 0.5
        found = here[here["found"]]
        assert np.median(found["measured_mg"] / found["size_mg"]) == pytest.approx(1.05, abs=0.1)


def test_without_any_found_the_limit_is_not_reached(simulated: Path) -> None:
    """A model that counts nothing has no limit that is reached, and its rates are none to correct."""
    night = open_night(simulated)
    model, _ = load_model("plain")
    points = msgspec.structs.replace(model.operating_points, specific=1e6, balanced=1e6, sensitive=1e6)
    blind = msgspec.structs.replace(model, operating_points=points)
    findings = replace(find_candidates(night, 5.5))
    limits = measure_limits(night, findings, judge(findings, blind), blind, "balanced", "key")
    assert {limit.limit_mg for limit in limits.values()} == {None}
    assert all(limit.found == 0 for limit in limits.values())


def test_too_few_twitches_give_no_limit() -> None:
    """Below thirty added twitches that stayed valid nothing is said."""
    added = np.zeros(LEAST_TRIED + 5, ADDED_DTYPE)
    added["size_mg"], added["density"], added["valid"] = 20.0, 0.1, True
    cover = table(COVERAGE_DTYPE, 1, site="left_calf", end_s=600.0, kind=Kind.VALID)
    assert site_limit(added, cover) is not None
    added["valid"][:6] = False
    assert site_limit(added, cover) is None


def stored(*hours: tuple[float, float], lapses: float = 0.0) -> SiteLimit:
    """Make a stored limit of hours with some noise: half found at 60 mg per mg/sqrt(Hz)."""
    return SiteLimit(
        limit_mg=10.0, low_mg=9.0, high_mg=11.0, largest_mg=LARGEST_MG, tried=100, found=60, middle_mg=6.0,
        steepness=3.5, lapses=lapses, noise_mg_per_sqrt_hz=0.1, noise_power=1.0,
        hours=tuple(HourLimit(start_s, noise, 10.0) for start_s, noise in hours),
    )  # fmt: skip


def test_each_bin_has_the_limit_of_its_hours() -> None:
    """A bin within an hour has that hour's limit, one over two something between, an unseen one none."""
    limit = stored((0.0, 0.1), (3600.0, 0.2))
    once = 6.0 * np.exp(special.ndtri(0.9) / 3.5)
    edges_s = [-900.0, 0.0, 900.0, 4500.0, 5400.0, 9000.0]
    valid = table(COVERAGE_DTYPE, 1, site="neck", start_s=-900.0, end_s=5400.0, kind=Kind.VALID)
    bins = limits_of(limit, edges_s, np.array([900.0, 900, 3600, 900, 0]), valid)
    assert bins[0] == bins[1] == pytest.approx(once, rel=0.01)
    assert once < bins[2] < 2 * once
    assert bins[3] == pytest.approx(2 * once, rel=0.01)
    assert np.isnan(bins[4])


def test_a_bin_whose_large_twitches_are_missed_is_not_reached() -> None:
    """Where more than a tenth of the largest is missed every bin's limit is infinite."""
    valid = table(COVERAGE_DTYPE, 1, site="neck", end_s=900.0, kind=Kind.VALID)
    limit = stored((0.0, 0.1), lapses=0.2)
    assert np.isinf(limits_of(limit, [0.0, 900.0], np.array([900.0]), valid)).all()
    assert limit.within(valid).limit_mg is None


def test_an_hour_weighs_as_much_as_it_has_valid_time() -> None:
    """Two valid minutes of a noisy hour hardly move the night's limit; what is excluded does not at all."""
    limit, once = stored((0.0, 0.1), (3600.0, 0.9), (7200.0, 0.1)), 6.0 * np.exp(special.ndtri(0.9) / 3.5)
    valid = table(COVERAGE_DTYPE, 3, site="neck", kind=Kind.VALID)
    valid["start_s"], valid["end_s"] = (0.0, 5000.0, 7200.0), (3600.0, 5120.0, 10800.0)
    whole = limit.within(valid).limit_mg
    assert whole is not None
    assert once < whole < 1.2 * once
    (bin_mg,) = limits_of(limit, [0.0, 10800.0], np.array([7320.0]), valid).tolist()
    assert bin_mg == whole
    assert limit.within(valid[[0, 2]]).limit_mg == pytest.approx(once, rel=0.01)


def test_an_hour_that_is_not_known_is_taken_for_the_nearest() -> None:
    """Hours without added twitches have the noise of the known hour that is nearest in time."""
    limit = stored((0.0, 0.1), (4 * 3600.0, 0.2))
    noise = limit.noise_at(3600.0 * np.array([-1.0, 0.5, 2.4, 2.6, 4.5, 9.0]))
    assert noise.tolist() == [0.1, 0.1, 0.1, 0.2, 0.2, 0.2]


def test_a_limit_that_is_hardly_missed_has_a_lower_end() -> None:
    """Where 88 of 100 are found at any size the limit is not reached, but its interval has a lower end."""
    rng, n = np.random.default_rng(3), 240
    added = np.zeros(n, ADDED_DTYPE)
    added["peak_s"], added["excerpt"] = np.linspace(10, 3500, n), np.arange(n) * 8 // n
    added["size_mg"], added["density"], added["valid"] = np.exp(rng.uniform(2.5, 6.5, n)), 0.1, True
    added["found"] = rng.random(n) < 0.88
    limit = site_limit(added, table(COVERAGE_DTYPE, 1, site="neck", end_s=3600.0, kind=Kind.VALID))
    assert limit is not None
    assert limit.limit_mg is None
    assert limit.high_mg is None
    assert limit.low_mg is not None
    assert 0 < limit.low_mg <= LARGEST_MG
