"""Candidates against the train of heartbeats, on made-up chests: all signals here are simulated."""

from __future__ import annotations

import numpy as np
import pytest
from made_signals import Samples, Signal, detect, plain_model
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from firmware_host.detection import detect_stretch, heart
from firmware_host.detection.beats import follow, local_period, middle_near
from firmware_host.detection.heart import HEART_COLUMNS, HEART_DTYPE, every_beat_kept, plain_beats
from firmware_host.twitches import Table

Floats = NDArray[np.float64]
NAMES = [column.name for column in HEART_COLUMNS]


def beats_s(seconds: float, seed: int, per_min: float = 66.0, variation: float = 0.05) -> Floats:
    """Return when the heart beats: intervals vary with the breath and at random."""
    rng = np.random.default_rng(seed)
    at, now = [], 0.4
    while now < seconds - 1:
        at.append(now)
        breath = variation * np.sin(2 * np.pi * 0.25 * now)
        now += 60 / per_min * (1 + breath + variation / 3 * rng.standard_normal())
    return np.array(at)


def chest(seconds: float = 240.0, fs_hz: float = 100.0, *, seed: int = 1, size_mg: float = 26.0) -> Signal:
    """Return a chest: each beat two bursts 0.3 s apart, of a size that varies with breath and chance."""
    signal = Signal(seconds, fs_hz, seed=seed, density=0.15)
    rng = np.random.default_rng(seed + 50)
    for at_s in beats_s(seconds, seed):
        size = size_mg * (1 + 0.2 * np.sin(2 * np.pi * 0.25 * at_s + 1) + 0.1 * rng.standard_normal())
        signal.twitch(size, at_s, 0.045, [1, 0.3, 2]).twitch(0.6 * size, at_s + 0.07, 0.03, [1, -1, 1])
        signal.twitch(0.5 * size, at_s + 0.31, 0.04, [0.4, 1, 1])
    return signal


def stands_out(rows: Table) -> NDArray[np.bool_]:
    """Apply a simple rule: the candidate deviates from the beats near it twice as much as is usual."""
    return np.asarray(rows["heart_swerve"] > 2.0)


def counted(acc_g: Samples, fs_hz: float = 100.0) -> Table:
    """Return the candidates that the plain model counts."""
    found = detect(acc_g, fs_hz).candidates
    return found[plain_model().counted(found)]


@pytest.fixture
def every_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep also what is plainly a beat, to see what is measured of them."""
    monkeypatch.setattr(heart, "plain_beats", lambda rows: np.zeros(len(rows), bool))


def test_plain_beats_are_no_candidates_and_twitches_among_them_are() -> None:
    """Of hundreds of beats one in five stays at most; of twitches between them nine in ten."""
    signal = chest(seed=3)
    onsets = beats_s(240, 3)[8:-8:9] + 0.5
    for number, onset_s in enumerate(onsets):
        signal.twitch(40, onset_s, 0.05, np.random.default_rng(number).standard_normal(3))
    rows = counted(signal.acc_g)
    near = np.abs(rows["peak_index"][:, None] / 100 - onsets - 0.04) < 0.12
    assert near.any(axis=0).mean() > 0.9
    assert len(rows) - near.any(axis=1).sum() < 0.2 * 2 * len(beats_s(240, 3))


@pytest.mark.usefixtures("every_beat")
def test_beats_do_not_stand_out() -> None:
    """Beats of 26 mg with a varying pulse: hundreds of candidates, of which a simple rule leaves a few."""
    rows = counted(chest().acc_g)
    assert len(rows) > 300
    assert stands_out(rows).mean() < 0.02
    assert np.median(rows["heart_trust"]) > 0.7
    assert np.median(rows["heart_explains"]) > 0.6
    assert np.median(rows["heart_left"]) < 0.25


@pytest.mark.usefixtures("every_beat")
@pytest.mark.parametrize("phase", [0.0, 0.12, 0.45, 0.7])
def test_a_twitch_stands_out_wherever_it_falls_in_the_beat(phase: float) -> None:
    """Twitches of 40 mg on beats of 26 mg, on their second burst or between them are told from beats.

    Their directions are random; one that points against the beat and cancels it may pass for a weak beat.
    """
    signal = chest(seed=3)
    at_s = beats_s(240, 3)[8:-8:9]
    onsets = at_s + phase * 60 / 66
    for number, onset_s in enumerate(onsets):
        signal.twitch(40, onset_s, 0.05, np.random.default_rng(number).standard_normal(3))
    rows = counted(signal.acc_g)
    near = np.abs(rows["peak_index"][:, None] / 100 - onsets - 0.04) < 0.12
    told = stands_out(rows)
    hit = np.array([told[column].any() for column in near.T])
    assert hit.mean() > 0.8
    assert told[~near.any(axis=1)].mean() < 0.05


def test_a_unit_that_fires_at_random_is_no_train() -> None:
    """One unit, always of the same shape, 50 times a minute at random times: all its firings stand out."""
    signal = Signal(240, seed=5)
    rng = np.random.default_rng(6)
    onsets = np.sort(rng.uniform(1, 238, 200))
    onsets = onsets[np.diff(onsets, prepend=-1) > 0.3]
    for onset_s in onsets:
        signal.twitch(30 * np.exp(0.1 * rng.standard_normal()), onset_s, 0.05, [1, 1, 2])
    rows = counted(signal.acc_g)
    assert len(rows) > 0.9 * len(onsets)
    assert stands_out(rows).mean() > 0.97
    assert np.median(rows["heart_strength"]) < 0.3


def test_white_noise_has_no_train() -> None:
    """Without a heart a candidate is what it would be alone: nothing explained, all of it left."""
    signal = Signal(600, seed=7)
    for onset_s in np.random.default_rng(8).uniform(2, 598, 120):
        signal.twitch(12, onset_s)
    rows = counted(signal.acc_g)
    assert len(rows) > 100
    assert np.quantile(rows["heart_strength"], 0.9) < 0.3
    assert np.quantile(rows["heart_left"], 0.02) > 0.9
    assert np.quantile(rows["heart_near"], 0.98) < 0.2
    np.testing.assert_allclose(np.median(rows["heart_left_d"] / rows["snr"]), 1.0, atol=0.15)


def test_beats_are_followed_one_by_one() -> None:
    """Nearly all beats are found, each where it is but for one lag of all, also beside large twitches."""
    signal, truth = chest(120, seed=9), beats_s(120, 9)
    for onset_s in truth[5::7]:
        signal.twitch(90, onset_s + 0.2, 0.06)
    band = (signal.mg - signal.mg.mean(axis=0)).T.astype(np.float32)
    usable = np.ones(480, bool)
    middle_s, period_s, strength = local_period(band, usable, 25, 100.0)
    assert strength.min() > 0.3
    period = np.interp(np.arange(12_000) / 100, middle_s, period_s) * 100
    found_s = follow(band, period, 100.0).at / 100
    lag = found_s[np.abs(found_s[:, None] - truth).argmin(axis=0)] - truth
    assert (np.abs(lag - np.median(lag)) < 0.03).mean() > 0.95
    assert abs(len(found_s) - len(truth)) <= 3


@pytest.mark.usefixtures("every_beat")
def test_splits_and_gaps_give_the_same_bits() -> None:
    """The columns of the heart do not depend on how the samples come in, with a gap or without."""
    acc_g = chest(300, seed=11).acc_g
    parts = [(0, 9000), (9000, 14_000), (14_150, 14_151), (14_151, 26_500), (26_500, 30_000)]
    whole = [(0, acc_g[:14_000]), (14_150, acc_g[14_150:])]
    split = [(first, acc_g[first:stop]) for first, stop in parts]
    one, two = (detect_stretch(chunks, len(acc_g), 100.0, 5.5).candidates for chunks in (whole, split))
    assert len(one) > 300
    assert one.tobytes() == two.tobytes()


@pytest.mark.usefixtures("every_beat")
def test_turning_the_sensor_changes_nothing_of_the_heart() -> None:
    """All columns are made of inner products over the axes."""
    signal = chest(seed=13).twitch(40, 100.2)
    turned = (signal.mg @ Rotation.random(random_state=4).as_matrix().T / 1000).astype(np.float32)
    one, two = (detect(acc_g).candidates for acc_g in (signal.acc_g, turned))
    assert len(one) == len(two)
    for name in NAMES:
        np.testing.assert_allclose(one[name], two[name], rtol=0.02, atol=0.02, err_msg=name)


@pytest.mark.usefixtures("every_beat")
@pytest.mark.parametrize("fs_hz", [50.0, 208.0, 416.0])
def test_the_rate_hardly_matters_to_the_heart(fs_hz: float) -> None:
    """Beats and twitches among them have nearly the same values at any rate from 50 Hz."""
    medians, shares = [], []
    for rate in (100.0, fs_hz):
        signal = chest(fs_hz=rate, seed=15)
        onsets = beats_s(240, 15)[10:-10:10] + 0.55
        for number, onset_s in enumerate(onsets):
            signal.twitch(50, onset_s, 0.06, np.random.default_rng(number).standard_normal(3))
        rows = counted(signal.acc_g, rate)
        twitch = (np.abs(rows["peak_index"][:, None] / rate - onsets - 0.05) < 0.12).any(axis=1)
        columns = [name for name in NAMES if name not in {"heart_left_d", "heart_near"}]
        medians.append([np.median(rows[name][~twitch]) for name in columns])
        shares.append(stands_out(rows)[twitch].mean())
        assert stands_out(rows)[~twitch].mean() < 0.05
    np.testing.assert_allclose(medians[0], medians[1], atol=0.14)
    assert min(shares) > 0.8


@pytest.mark.parametrize("count", [1, 5, 9])
def test_middle_of_neighbours(count: int) -> None:
    """The running median is scipy's, also where there are fewer values than neighbours."""
    for length in (1, 3, 40):
        values = np.random.default_rng(length).normal(size=length)
        expected = ndimage.median_filter(values, count, mode="nearest")
        np.testing.assert_array_equal(middle_near(values, count), expected)


def test_every_beat_can_be_kept_for_comparison() -> None:
    """A beat that the train plainly explains is left out, but not while every beat is to be kept."""
    row = np.zeros(1, HEART_DTYPE)
    row["heart_trust"], row["heart_usual"], row["heart_match"] = 1.0, 1.0, 1.0
    assert plain_beats(row).all()
    with every_beat_kept():
        assert not plain_beats(row).any()
    assert plain_beats(row).all()
