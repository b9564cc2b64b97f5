"""The detector as a whole on made-up signals: what it finds, what it must not, and what must not matter."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_signals import LOWEST_SCORE, Samples, Signal, counted_s, detect, kind_s, plain_model
from scipy import stats
from scipy.spatial.transform import Rotation

from firmware_host.detection import CANDIDATE_DTYPE, Found, SiteDetector, detect_stretch
from firmware_host.detection.detector import search_stretch
from firmware_host.detection.signals import make_plan, twitch_acceleration
from firmware_host.errors import BadValueError
from firmware_host.twitches import Flag, Kind

pytestmark = pytest.mark.lasts_s(20)


def twitching(seconds: float, fs_hz: float = 100.0, *, seed: int = 0, per_min: float = 20.0) -> Signal:
    """Return a signal with twitches of 5-60 mg at random times, and one turn in the middle."""
    signal = Signal(seconds, fs_hz, seed=seed)
    rng = np.random.default_rng(seed + 100)
    for onset_s in np.sort(rng.uniform(2, seconds - 2, int(seconds * per_min / 60))):
        signal.twitch(float(np.exp(rng.uniform(np.log(5), np.log(60)))), onset_s, rng.uniform(0.03, 0.12))
    return signal.turn(seconds / 2)


def chunks_of(acc_g: Samples, cuts: list[int], gaps: list[tuple[int, int]]) -> Iterator[tuple[int, Samples]]:
    """Cut samples into chunks, and leave gaps out."""
    edges = sorted({0, len(acc_g), *cuts, *(edge for gap in gaps for edge in gap)})
    for start, stop in pairwise(edges):
        if stop > start and not any(first <= start < last for first, last in gaps):
            yield start, acc_g[start:stop]


def assert_same(one: Found, two: Found) -> None:
    """Check that two results are equal to the bit."""
    assert one.candidates.tobytes() == two.candidates.tobytes()
    assert one.coverage.tobytes() == two.coverage.tobytes()
    np.testing.assert_array_equal(one.density, two.density)


def test_known_twitches_are_found_where_and_as_large_as_they_are() -> None:
    """Twitches of 20 mg on a quiet sensor: each once, within 10 ms, its amplitude and frequency right."""
    signal = Signal(300, seed=3)
    onsets = np.arange(10, 290, 2.0)
    for onset_s in onsets:
        signal.twitch(20.0, onset_s)
    found = detect(signal.acc_g)
    peaks = counted_s(found)
    assert len(peaks) == len(onsets)
    lag = peaks - onsets
    assert np.abs(lag - np.median(lag)).max() < 0.05
    rows = found.candidates[found.candidates["score"] >= 6.1]
    np.testing.assert_allclose(np.median(rows["peak_to_peak_mg"]), 20.0, rtol=0.06)
    np.testing.assert_allclose(np.median(rows["dominant_cps"]) * 100, 10.4, atol=1.5)
    # kappa = 0.0076 s for a rise of 50 ms in 5-45 Hz, nearly the same here: d = sqrt(2 kappa) 20 / 0.1.
    np.testing.assert_allclose(np.median(rows["snr"]), np.sqrt(2 * 0.0076) * 20 / 0.1, rtol=0.06)
    np.testing.assert_allclose(found.density, 0.1, rtol=0.05)
    assert (rows["linearity"] > 0.9).mean() > 0.9


@given(
    cuts=st.lists(st.integers(0, 30_000), max_size=20),
    gaps=st.lists(st.tuples(st.integers(0, 29_000), st.integers(1, 900)), max_size=4),
)
@settings(max_examples=12, deadline=None)
def test_any_split_gives_the_same_result(cuts: list[int], gaps: list[tuple[int, int]]) -> None:
    """Candidates, coverage and floor are equal to the bit for any chunks, with gaps or without."""
    acc_g = twitching(300, seed=5).acc_g
    holes = [(start, start + length) for start, length in gaps]
    whole = detect_stretch(chunks_of(acc_g, [], holes), len(acc_g), 100.0, LOWEST_SCORE)
    split = detect_stretch(chunks_of(acc_g, cuts, holes), len(acc_g), 100.0, LOWEST_SCORE)
    assert len(whole.candidates) > 20
    assert_same(whole, split)


@pytest.mark.parametrize("at_once", [2, 4, 9])
def test_several_blocks_together_give_what_they_give_alone(at_once: int) -> None:
    """Where no heart beats, candidates looked for together are those of each block; split makes no odds."""
    acc_g = twitching(700, seed=8).acc_g
    alone = detect(acc_g).candidates
    together, split = (
        search_stretch(chunks_of(acc_g, cuts, []), len(acc_g), 100.0, LOWEST_SCORE, at_once=at_once)
        for cuts in ([], [7, 20_000, 20_300, 51_000])
    )
    assert together.candidates.tobytes() == split.candidates.tobytes()
    bursts, theirs = (rows[rows["side_lobe"] == 0] for rows in (together.candidates, alone))
    for name in ("peak_index", "score", "snr", "flags", "rise_ms"):
        # A side lobe that is found in one of them only, next to the least score, leaves a burst less room.
        assert np.isclose(bursts[name], theirs[name], rtol=5e-3, atol=1e-4).mean() > 0.98
    assert len(together.candidates) == pytest.approx(len(alone), rel=0.01)
    assert len(bursts) > 150


@pytest.mark.parametrize("fs_hz", [46.0, 100.0, 119.0, 208.0])
def test_what_is_taken_on_the_way_is_what_the_end_says_within_two_minutes(fs_hz: float) -> None:
    """Live events are final 120 s after their peak came in, at any rate, and none is missing at the end."""
    acc_g = twitching(600, fs_hz, seed=7, per_min=30.0).acc_g
    live = SiteDetector(fs_hz, LOWEST_SCORE)
    taken, each = [], int(fs_hz / 2)
    for first in range(0, len(acc_g), each):
        live.push(first, acc_g[first : first + each])
        rows = live.take()
        taken.append(rows)
        assert np.all(first + each - rows["peak_index"] <= 120 * fs_hz)
    last = live.finish(len(acc_g)).candidates
    both = np.concatenate([*taken, last])
    whole = detect(acc_g, fs_hz).candidates
    assert len(both) == len(whole)
    for name in CANDIDATE_DTYPE.names or ():
        np.testing.assert_allclose(both[name], whole[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_turning_the_sensor_changes_nothing(seed: int) -> None:
    """The same acceleration seen by a turned sensor, a noisier axis included, gives the same events."""
    signal = twitching(300, seed=seed)
    signal.mg[:, 2] += np.random.default_rng(seed).standard_normal(len(signal.mg)) * 1.2
    turned = (signal.mg @ Rotation.random(random_state=seed).as_matrix().T / 1000).astype(np.float32)
    one, two = detect(signal.acc_g), detect(turned)
    assert one.coverage.tobytes() == two.coverage.tobytes()
    assert len(one.candidates) == len(two.candidates) > 50
    for name in ("peak_index", "score", "snr", "peak_to_peak_mg", "linearity"):
        np.testing.assert_allclose(one.candidates[name], two.candidates[name], rtol=0.01, atol=0.02)


@pytest.mark.parametrize("scale", [0.95, 1.05])
def test_a_wrong_scale_of_one_axis_changes_little(scale: float) -> None:
    """An axis that reads 5 % too much or too little gives the same counts within 2 %."""
    signal = twitching(600, seed=8, per_min=40.0)
    whole = len(counted_s(detect(signal.acc_g)))
    other = len(counted_s(detect(signal.acc_g * np.float32([1, scale, 1]))))
    assert other == pytest.approx(whole, rel=0.02)


def test_the_rate_hardly_matters() -> None:
    """One body sampled at 100, 200 and 416 Hz: the same counts within 2 %, each event of the same size."""
    counts, found_s, sizes = [], [], []
    for fs_hz in (100.0, 200.0, 416.0):
        signal = Signal(1200, fs_hz, seed=11)
        rng = np.random.default_rng(12)
        for onset_s in np.arange(3, 1195, 1.5):
            size_mg, at_s = float(np.exp(rng.uniform(np.log(5), np.log(50)))), onset_s + rng.uniform(0, 0.5)
            signal.twitch(size_mg, at_s, rng.uniform(0.03, 0.12), rng.standard_normal(3))
        rows = detect(signal.acc_g, fs_hz).candidates
        rows = rows[rows["side_lobe"] == 0]
        counts.append([plain_model().counted(rows, p).sum() for p in ("specific", "balanced", "sensitive")])
        found_s.append(rows["peak_index"] / fs_hz)
        sizes.append(rows["peak_to_peak_mg"])
    assert (np.max(counts, axis=0) <= 1.02 * np.min(counts, axis=0)).all()
    for other_s, other in zip(found_s[1:], sizes[1:], strict=True):
        near = np.abs(other_s[:, None] - found_s[0]).argmin(axis=1)
        assert np.mean(np.abs(other_s - found_s[0][near]) < 0.03) > 0.95
        assert np.median(other / sizes[0][near]) == pytest.approx(1, abs=0.01)


def test_where_the_samples_fall_hardly_matters() -> None:
    """A twitch of 30 ms has the same score wherever it begins between two samples of the internal rate."""
    signal = Signal(1200, 200.0, density=0.05, seed=13)
    onsets_s = np.arange(5, 1190, 2.0)
    phase = np.arange(len(onsets_s)) % 5
    for onset_s in onsets_s + phase * 0.002:
        signal.twitch(25, onset_s, 0.03, signal.rng.standard_normal(3))
    rows = detect(signal.acc_g, 200.0).candidates
    rows = rows[rows["score"] > 0.5 * np.median(rows["score"])]
    assert len(rows) == len(onsets_s)
    share = rows["score"] / rows["snr"]
    each = [np.mean(share[phase == number]) for number in range(5)]
    assert max(each) < 1.03 * min(each)


@pytest.mark.long
@pytest.mark.parametrize("z_axis", [1.0, 2.0])
def test_white_noise_gives_hardly_an_event(z_axis: float) -> None:
    """Simulated: 20 h of white noise, all axes alike or z twice as noisy, give at most 0.1 events an hour."""
    rng = np.random.default_rng(int(10 * z_axis))
    detector, fs_hz, hours = SiteDetector(100.0, LOWEST_SCORE), 100.0, 20
    spread = np.float32([1, 1, z_axis]) * np.float32(0.1e-3 * np.sqrt(fs_hz / 2))
    block = int(600 * fs_hz)
    # Without breath it would not be worn.
    still_g = np.zeros((block, 3), np.float32) + np.float32([0, 0, 1])
    still_g[:, 0] += 1e-3 * np.sin(2 * np.pi * 0.25 * np.arange(block) / fs_hz)
    for number in range(hours * 6):
        detector.push(number * block, rng.standard_normal((block, 3), np.float32) * spread + still_g)
    found = detector.finish()
    assert kind_s(found, Kind.VALID) > 0.999 * hours * 3600
    assert plain_model().counted(found.candidates).sum() <= 0.1 * hours
    np.testing.assert_allclose(found.density, [0.1, 0.1, 0.1 * z_axis], rtol=0.02)


@pytest.mark.parametrize("rise_s", [0.03, 0.05, 0.08, 0.12])
def test_small_twitches_are_found_near_the_physical_bound(rise_s: float) -> None:
    """Simulated: 9 of 10 are found at 1.2 times the amplitude that a matched filter of known shape needs."""
    # Known shape, unknown direction: found if a non-central chi-square of three degrees of freedom exceeds u
    # squared; at u = 5.92 Rice's rate of a chi-3 process, 2 f u^2 exp(-u^2 / 2), is 0.1 an hour.
    needs = np.arange(6.0, 9.0, 0.01)
    need_d = needs[stats.ncx2.sf(5.92**2, 3, needs**2) >= 0.9][0]
    density, shape = 0.1, twitch_acceleration(np.arange(0, 1, 1e-3), rise_s)
    plan = make_plan(100.0)
    signal = Signal(900, seed=int(1000 * rise_s), density=density)
    onsets = np.arange(3, 890, 1.5) + signal.rng.uniform(0, 0.01, 592)
    energy_of_1_mg = _band_energy(shape / np.ptp(shape), plan.fs_internal_hz)
    amplitude_mg = 1.2 * need_d * density / np.sqrt(2 * energy_of_1_mg)
    for onset_s in onsets:
        signal.twitch(amplitude_mg, onset_s, rise_s)
    peaks = counted_s(detect(signal.acc_g))
    near = np.array([np.any(np.abs(peaks - onset_s - rise_s) < 0.15) for onset_s in onsets])
    assert near.mean() >= 0.9


def _band_energy(shape_1k: np.ndarray, fs_hz: float) -> float:
    """Return the energy in 3-45 Hz of a burst sampled at 1 kHz."""
    spectrum = np.fft.rfft(shape_1k, 8000) / 1000
    f_hz = np.fft.rfftfreq(8000, 1e-3)
    return float(2 * np.sum(np.abs(spectrum[(f_hz > 3) & (f_hz < min(45, 0.45 * fs_hz))]) ** 2) * f_hz[1])


@pytest.mark.parametrize("interval_s", [0.08, 0.1, 0.12])
def test_runs_of_one_unit_are_counted_one_by_one(interval_s: float) -> None:
    """Runs of four twitches 80-120 ms apart, as some units fire, are four events and no movement."""
    signal = Signal(200, seed=21)
    for start_s in np.arange(5, 195, 4.0):
        direction = signal.rng.standard_normal(3)
        for number in range(4):
            signal.twitch(
                20 * np.exp(0.15 * signal.rng.standard_normal()),
                start_s + number * interval_s,
                0.05,
                direction,
            )
    found = detect(signal.acc_g)
    assert kind_s(found, Kind.MOVEMENT) == 0
    assert len(counted_s(found)) == pytest.approx(4 * 48, rel=0.04)


@pytest.mark.parametrize("after_s", [0.07, 0.09, 0.12])
def test_a_smaller_twitch_of_a_run_is_no_side_lobe(after_s: float) -> None:
    """A unit that fires again after 70-120 ms, half as large, is two events each time."""
    signal = Signal(160, seed=9)
    for onset_s in np.arange(10, 150, 3.0):
        way = signal.rng.standard_normal(3)
        signal.twitch(30.0, onset_s, 0.03, way).twitch(15.0, onset_s + after_s, 0.03, way)
    assert len(counted_s(detect(signal.acc_g))) == pytest.approx(2 * 47, abs=2)


@pytest.mark.parametrize(("after_s", "width_s", "share"), [(0.12, 0.012, 0.85), (0.10, 0.010, 0.9)])
def test_a_unit_of_two_equal_lobes_that_fires_again_is_no_next_swing(
    after_s: float, width_s: float, share: float
) -> None:
    """Whichever of two lobes of one size noise makes the larger one, both twitches of a pair are events."""
    signal = Signal(160, seed=9)
    for onset_s in np.arange(10, 150, 3.0):
        way = signal.rng.standard_normal(3)
        for at_s, mg in ((onset_s, 15.0), (onset_s + after_s, 15.0 * share)):
            t = (signal.time_s - at_s) / width_s
            signal.mg += mg * (-t * np.exp(0.5 - t**2 / 2))[:, None] * way / np.linalg.norm(way)
    assert len(counted_s(detect(signal.acc_g))) > 0.9 * 2 * 47


def test_two_potentials_within_60_ms_are_one_complex_event() -> None:
    """A pair 50 ms apart is one event and flagged; single twitches are not."""
    signal = Signal(300, seed=22)
    for start_s in np.arange(5, 145, 2.0):
        signal.twitch(40, start_s, 0.03, [1, 0, 0]).twitch(40, start_s + 0.05, 0.03, [0, 1, 0])
    for start_s in np.arange(155, 295, 2.0):
        signal.twitch(40, start_s, 0.05)
    found = detect(signal.acc_g)
    rows = found.candidates[(found.candidates["score"] > 20) & (found.candidates["side_lobe"] == 0)]
    pair = rows["peak_index"] < 15_000
    flagged = (rows["flags"] & Flag.COMPLEX) > 0
    assert pair.sum() == (~pair).sum() == 70
    assert flagged[pair].mean() > 0.9
    assert flagged[~pair].mean() < 0.05


@pytest.mark.parametrize("seed", [0, 1, 6])
def test_two_events_are_never_closer_than_60_ms(seed: int) -> None:
    """Of 300 twitches a minute many overlap; the peaks of what is counted stay 60 ms apart."""
    signal = Signal(300, seed=seed)
    for onset_s in np.sort(np.random.default_rng(seed).uniform(2, 298, 1500)):
        signal.twitch(30, onset_s, 0.04)
    peaks = counted_s(detect(signal.acc_g))
    assert len(peaks) > 500
    assert np.diff(peaks).min() >= 0.06 - 1e-5


def test_frequent_events_do_not_raise_the_floor() -> None:
    """80 twitches a minute, 40 % of the time an event: small ones among them are still found."""
    signal = Signal(600, seed=23)
    rng = np.random.default_rng(24)
    onsets = np.cumsum(0.25 + rng.exponential(0.5, 790))
    onsets = onsets[onsets < 595]
    small = np.arange(len(onsets)) % 4 == 0
    for onset_s, is_small in zip(onsets, small, strict=True):
        signal.twitch(9.0 if is_small else 20.0, onset_s)
    peaks = counted_s(detect(signal.acc_g))
    hit = np.array([np.any(np.abs(peaks - onset_s - 0.03) < 0.1) for onset_s in onsets])
    assert hit[~small].mean() > 0.97
    assert hit[small].mean() > 0.85


def test_a_large_twitch_is_one_event() -> None:
    """700 mg, the ceiling of a whole muscle: valid time, one event, at most a tenth with a second one."""
    signal = Signal(300, seed=25)
    onsets = np.arange(5, 295, 3.0)
    for onset_s in onsets:
        signal.twitch(700, onset_s, 0.05)
    found = detect(signal.acc_g)
    assert kind_s(found, Kind.MOVEMENT) == 0
    assert len(onsets) <= len(counted_s(found)) <= 1.1 * len(onsets)


def test_loss_of_packets_makes_no_events() -> None:
    """Simulated: with 5 % of packets of 5-20 samples lost nothing is found in noise; gaps are not valid."""
    signal, rng = Signal(7200, seed=26).sway(1.0, 0.25), np.random.default_rng(27)
    acc_g, first, chunks = signal.acc_g, 0, []
    while first < len(acc_g):
        size = int(rng.integers(5, 21))
        if rng.random() > 0.05:
            chunks.append((first, acc_g[first : first + size]))
        first += size
    found = detect_stretch(chunks, len(acc_g), 100.0, LOWEST_SCORE)
    assert len(counted_s(found)) <= 1
    lost_s = 72 * 100 - sum(len(part) for _, part in chunks) / 100
    assert lost_s < kind_s(found, Kind.GAP) < 5 * lost_s
    assert kind_s(found, Kind.VALID) + kind_s(found, Kind.GAP) == pytest.approx(7200)


def test_short_time_between_two_gaps_is_part_of_them() -> None:
    """Half a second between two gaps is no valid time, two seconds are."""
    signal = Signal(120, seed=28).sway(1.0, 0.25)
    cuts = [(0, 3000), (3020, 3070), (3090, 6000), (6020, 6220), (6240, 12000)]
    found = detect_stretch([(a, signal.acc_g[a:b]) for a, b in cuts], 12000, 100.0, LOWEST_SCORE)
    gaps = found.coverage[found.coverage["kind"] == Kind.GAP]
    spans = list(zip(gaps["start_index"].tolist(), gaps["stop_index"].tolist(), strict=True))
    assert (2990, 3100) in spans
    assert (5990, 6030) in spans
    assert (6210, 6250) in spans


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("tilt", [0.0, 0.25, 0.5])
def test_coarse_steps_make_no_events(tilt: float, known: bool) -> None:
    """Noise and breath of a fifth of a step, wherever they lie between two steps: only twitches are found."""
    step_g = 0.0039
    signal = Signal(900, seed=30).sway(1.0, 0.25)
    signal.mg += tilt * step_g * 1000
    onsets = np.arange(600, 890, 5.0)
    for onset_s in onsets:
        signal.twitch(60, onset_s)
    stepped = (np.round(signal.mg / 1000 / step_g) * step_g).astype(np.float32)
    chunks, told = [(0, stepped[:3000]), (3010, stepped[3010:])], step_g if known else None
    peaks = counted_s(detect_stretch(chunks, len(stepped), 100.0, LOWEST_SCORE, step_g=told))
    assert len(peaks) == len(onsets)
    assert np.all((peaks > onsets) & (peaks < onsets + 0.1))


def test_50_hz_will_do_for_larger_twitches() -> None:
    """At 50 Hz the band ends at 22 Hz; twitches of 25 mg are still found, each at its time."""
    signal = Signal(120, 50.0, seed=28)
    for onset_s in np.arange(5, 115, 2.0):
        signal.twitch(25, onset_s, 0.06)
    peaks = counted_s(detect(signal.acc_g, 50.0), 50.0)
    assert all(np.any(np.abs(peaks - onset_s - 0.05) < 0.03) for onset_s in np.arange(5, 115, 2.0))
    assert len(peaks) <= 57


@pytest.mark.parametrize("n", [0, 1, 10, 700])
def test_short_stretches_are_not_observed(n: int) -> None:
    """Too short for a floor: no event, no valid time, and the coverage tiles what there is."""
    found = detect(Signal(8).acc_g[:n])
    assert len(found.candidates) == 0
    assert kind_s(found, Kind.VALID) == 0
    assert int((found.coverage["stop_index"] - found.coverage["start_index"]).sum()) == n


def test_numbers_that_are_none_are_a_gap() -> None:
    """NaN, infinity and what no sensor can measure are missing samples, not a disaster."""
    acc_g = twitching(200, seed=29).acc_g
    acc_g[5000:5050, 1] = np.nan
    acc_g[7000, 0] = np.inf
    acc_g[7100, 0] = 1e30
    found = detect(acc_g)
    assert np.isfinite(found.candidates["score"]).all()
    assert kind_s(found, Kind.GAP) == pytest.approx(0.2 + 0.7 + 0.02, abs=0.02)


def test_wrong_shapes_and_rates_are_refused() -> None:
    """Samples need three axes; a rate below 45 Hz is said in a sentence."""
    with pytest.raises(ValueError, match=r"shape \(n, 3\), not \(3, 10\)"):
        SiteDetector(100.0, LOWEST_SCORE).push(0, np.zeros((3, 10)))
    with pytest.raises(BadValueError, match="at least 45"):
        SiteDetector(25.0, LOWEST_SCORE)
