"""The filters: what passes, what noise becomes, and that blocks do not depend on how samples arrive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft, ndimage, signal

from firmware_host.detection.signals import (
    BAND_HZ,
    KERNEL_HALF_S,
    SERIES,
    STOP_BAND_DB,
    TEMPLATE_RISE_S,
    BlockFilter,
    _band_pass,
    check_rate,
    largest_within,
    make_plan,
    spectra,
    twitch_acceleration,
    windows_at,
)
from firmware_host.errors import BadValueError


def filtered(acc_g: np.ndarray, fs_hz: float) -> np.ndarray:
    """Return (SERIES, 3, samples) of the whole of some samples at the internal rate."""
    blocks = BlockFilter(make_plan(fs_hz))
    parts = [*blocks.push(0, acc_g.astype(np.float32)), *blocks.finish(len(acc_g))]
    return np.concatenate([part.filtered for part in parts], axis=2)


@pytest.mark.parametrize(
    ("fs_hz", "decimation"),
    [
        (45, 1),
        (52, 1),
        (100, 1),
        (104, 1),
        (179, 1),
        (180, 2),
        (200, 2),
        (208, 2),
        (400, 4),
        (416, 4),
        (1000, 11),
    ],
)
def test_any_rate_comes_down_to_a_rate_that_holds_the_band(fs_hz: float, decimation: int) -> None:
    """The decimation is whole and leaves 45-180 samples a second."""
    plan = make_plan(float(fs_hz))
    assert plan.decimation == decimation
    assert 45 <= plan.fs_internal_hz < 180
    assert plan.hop % plan.cell == 0
    assert plan.hop / plan.fs_internal_hz <= 75


@pytest.mark.parametrize("fs_hz", [45.0, 100.0, 112.3])
def test_the_band_pass_is_that_of_scipy(fs_hz: float) -> None:
    """The filter is Kaiser's, as scipy.signal designs it, but for gravity, which it takes away altogether."""
    half, block = round(KERNEL_HALF_S * fs_hz), 1024
    width = signal.kaiser_beta(STOP_BAND_DB)
    taps = signal.firwin(2 * half + 1, [BAND_HZ[0], min(BAND_HZ[1], 0.45 * fs_hz)], window=("kaiser", width),
                         pass_zero=False, fs=fs_hz, scale=False)  # fmt: skip
    window = signal.windows.kaiser(2 * half + 1, width)
    taps -= window * (taps.sum() / window.sum())
    ring = np.roll(np.pad(taps, (0, block - len(taps))), -half)
    np.testing.assert_allclose(_band_pass(fs_hz, half, block), fft.rfft(ring).real, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fs_hz", [100.0, 200.0, 416.0])
@pytest.mark.parametrize(
    ("tone_hz", "low", "high"), [(0.3, 0, 2e-3), (10, 0.99, 1.01), (30, 0.99, 1.01), (49, 0, 5e-3)]
)
def test_the_band_is_3_to_45_hz(fs_hz: float, tone_hz: float, low: float, high: float) -> None:
    """Tones inside 3-45 Hz pass unchanged and in phase, tilt and what lies above are gone."""
    t_s = np.arange(int(60 * fs_hz)) / fs_hz
    acc_g = np.zeros((len(t_s), 3))
    acc_g[:, 1] = 1.0 + 0.1 * np.sin(2 * np.pi * tone_hz * t_s)
    plan = make_plan(fs_hz)
    band = filtered(acc_g, fs_hz)[0, 1]
    at = np.arange(20 * plan.cell * 4, 40 * plan.cell * 4)
    wanted = 100 * np.sin(2 * np.pi * tone_hz * at / plan.fs_internal_hz)
    gain = band[at] @ wanted / (wanted @ wanted)
    assert low - 2e-3 <= gain <= high
    assert np.abs(band[at] - gain * wanted).max() < 0.6


def test_gravity_leaves_nothing() -> None:
    """A sensor without noise that lies still gives nothing but rounding."""
    acc_g = np.tile(np.array([0.3, -0.5, 0.8]), (30_000, 1))
    assert np.abs(filtered(acc_g, 100.0)).max() < 1e-2


@pytest.mark.parametrize("fs_hz", [100.0, 208.0])
def test_templates_answer_in_units_of_density(fs_hz: float) -> None:
    """White noise of 0.2 mg/sqrt(Hz) gives each template's axes a standard deviation of 0.2."""
    noise = np.random.default_rng(0).standard_normal((int(1200 * fs_hz), 3)) * 0.2e-3 * np.sqrt(fs_hz / 2)
    spread = filtered(noise, fs_hz)[1:, :, 2000:-2000].std(axis=(1, 2))
    np.testing.assert_allclose(spread, 0.2, rtol=0.04)


def test_a_template_answers_its_own_shape_with_the_root_of_twice_its_energy() -> None:
    """The peak of a matched template is sqrt(2 E) of the band-passed burst, at its largest sample."""
    fs_hz = 100.0
    for number, rise_s in enumerate(TEMPLATE_RISE_S):
        acc_g = np.zeros((6000, 3))
        acc_g[:, 2] = 0.1 * twitch_acceleration(np.arange(6000) / fs_hz - 30.0, rise_s) / rise_s**-2
        # Oversampled, as the maximum lies between samples.
        out = signal.resample(filtered(acc_g, fs_hz), 10 * 7200, axis=2)
        energy = np.sum(out[0, 2] ** 2) / fs_hz / 10
        answer = np.abs(out[1 + number, 2])
        assert answer.max() == pytest.approx(np.sqrt(2 * energy), rel=0.04)
        assert abs(int(answer.argmax()) - int(np.abs(out[0, 2]).argmax())) <= 2


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_blocks_are_the_same_for_any_split(data: st.DataObject) -> None:
    """Filtered blocks are equal to the bit however the samples are cut into chunks."""
    acc_g = np.random.default_rng(1).standard_normal((30_000, 3)).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, 30_000), max_size=12)))
    whole, split = BlockFilter(make_plan(100.0)), BlockFilter(make_plan(100.0))
    expected = [*whole.push(0, acc_g), *whole.finish(30_000)]
    got = []
    for start, stop in zip([0, *cuts], [*cuts, 30_000], strict=True):
        got += list(split.push(start, acc_g[start:stop]))
    got += list(split.finish(30_000))
    assert [block.first for block in got] == [block.first for block in expected]
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.filtered, two.filtered)


def test_a_gap_is_bridged_and_told() -> None:
    """Over missing samples a line is drawn: a still sensor shows no edge; the block says what is missing."""
    acc_g = np.tile(np.float32([0.3, -0.5, 0.8]), (4000, 1))
    blocks = BlockFilter(make_plan(100.0))
    parts = [*blocks.push(0, acc_g), *blocks.push(4100, acc_g), *blocks.finish(8100)]
    missing = np.concatenate([part.missing for part in parts])[:8100]
    assert np.flatnonzero(missing).tolist() == list(range(4000, 4100))
    assert max(np.abs(part.filtered).max() for part in parts) < 1e-2
    assert parts[0].filtered.shape[0] == SERIES


def test_samples_cannot_come_twice() -> None:
    """Samples that lie before the last ones are refused: the recording orders them."""
    blocks = BlockFilter(make_plan(100.0))
    list(blocks.push(0, np.zeros((10, 3), np.float32)))
    with pytest.raises(ValueError, match="after sample 9"):
        list(blocks.push(5, np.zeros((10, 3), np.float32)))


def test_too_slow_a_rate_is_refused_with_a_sentence() -> None:
    """Below 45 Hz there is no detection, below 90 Hz a warning."""
    with pytest.raises(BadValueError, match=r"left_calf has 25 samples a second; .* at least 45"):
        check_rate(25.0, "left_calf")
    with pytest.raises(BadValueError, match="at least 45"):
        make_plan(30.0)
    assert check_rate(50.0)
    assert not check_rate(100.0)


@pytest.mark.parametrize("first", [[5], [0, 17, 60], [-3, 40, 75], [0, 3]])
def test_windows_are_the_samples_from_each_place_on(first: list[int]) -> None:
    """Windows hold what single samples would, and beyond the ends the last samples go on."""
    rows = np.random.default_rng(1).normal(size=(7, 200)).astype(np.float32)[:3, 20:100]
    for size in (20, 90):
        at = np.clip(np.array(first)[:, None] + np.arange(size), 0, 79)
        np.testing.assert_array_equal(windows_at(rows, np.array(first), size), rows[:, at])


def test_transforms_of_three_rows_at_once_are_those_of_each() -> None:
    """Rows that are added to fill the processor's registers change no bit of the others."""
    rows = np.random.default_rng(2).normal(size=(3, 45)).astype(np.float32)
    np.testing.assert_array_equal(spectra(rows, 1000), [fft.rfft(row, 1000) for row in rows])


@pytest.mark.parametrize("reach", [0, 1, 6, 12, 90])
def test_largest_within_reach(reach: int) -> None:
    """The largest value near each is that of all samples up to the reach on both sides."""
    values = np.random.default_rng(3).normal(size=80).astype(np.float32)
    expected = ndimage.maximum_filter1d(values, 2 * reach + 1, mode="constant", cval=-np.inf)
    np.testing.assert_array_equal(largest_within(values, reach), expected)
