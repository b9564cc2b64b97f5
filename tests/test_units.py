"""Units: what a site repeats in shape and direction, told apart and told of; made-up waves with truth."""

from __future__ import annotations

import tracemalloc
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from firmware_host.detection.signals import twitch_acceleration
from firmware_host.detection.unit_features import POOLED, UNIT_FEATURES, unit_features
from firmware_host.detection.units import Grouped, group, larger_beside
from firmware_host.detection.waves import WAVE_FROM, WAVE_HZ, WAVE_SHAPE, WAVE_STOP, on_grid

Floats = npt.NDArray[np.float64]
NOISE_MG = 1.0


class Made(NamedTuple):
    """Candidates of one site: waves, noise, scores, times and the unit that made each, -1 for none."""

    wave_mg: npt.NDArray[np.float32]
    floor_mg: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    peak_s: Floats
    unit: npt.NDArray[np.int64]

    def grouped(self, side_lobe: npt.NDArray[np.bool_] | None = None) -> Grouped:
        """Return them by unit, some of them side lobes."""
        lobe = np.zeros(len(self.unit), bool) if side_lobe is None else side_lobe
        return group(self.wave_mg, self.floor_mg, self.score, self.peak_s, lobe)


def made(
    units: list[tuple[float, tuple[float, float, float], int]],
    *,
    strangers: int = 0,
    size: tuple[float, float] = (8.0, 25.0),
    seed: int = 1,
) -> Made:
    """Return candidates of some units (rise in s, direction, how many) in white noise, and strangers."""
    rng = np.random.default_rng(seed)
    of = np.concatenate([np.full(count, number) for number, (_, _, count) in enumerate(units)] or [[]])
    of = np.concatenate([of, np.full(strangers, -1)]).astype(np.int64)
    rng.shuffle(of)
    noise = ndimage.uniform_filter1d(rng.standard_normal((len(of), *WAVE_SHAPE)), 2, axis=2)
    wave = noise * NOISE_MG / noise.std() if len(of) else noise
    d = rng.uniform(*size, len(of))
    late = rng.integers(-1, 2, len(of))
    for row, (number, each_d) in enumerate(zip(of.tolist(), d.tolist(), strict=True)):
        rise_s, way, _ = (
            units[number] if number >= 0 else (rng.uniform(0.03, 0.12), rng.standard_normal(3), 1)
        )
        wave[row] += each_d * shape(rise_s, int(late[row])) * np.asarray(way)[:, None] / np.linalg.norm(way)
    return Made(
        wave.astype(np.float32), np.full(len(of), NOISE_MG, np.float32), d.astype(np.float32),
        np.sort(rng.uniform(0, 3600, len(of))), of,
    )  # fmt: skip


def shape(rise_s: float, late: int = 0) -> Floats:
    """Return a twitch on the grid, its largest swing at the middle, of energy 1."""
    t_s = np.arange(-0.6, 0.6, 1 / WAVE_HZ)
    form = twitch_acceleration(t_s, rise_s)
    top = int(np.argmax(np.abs(form))) + late
    cut = form[top + WAVE_FROM : top + WAVE_STOP]
    return np.asarray(cut / np.linalg.norm(cut))


TWO = [(0.05, (0.0, 0.3, 1.0), 60), (0.05, (1.0, 0.2, 0.0), 40)]


def split_of(found: Grouped, truth: npt.NDArray[np.int64]) -> list[set[int]]:
    """Return for each true unit the groups that most of its candidates are in."""
    return [
        {k for k in range(len(found.templates)) if np.mean(found.unit[truth == number] == k) > 0.8}
        for number in range(truth.max() + 1)
    ]


def test_two_units_of_one_muscle_differ_by_direction() -> None:
    """Two units of the same shape that move the skin another way are two groups, whatever their size."""
    some = made(TWO)
    one, two = split_of(some.grouped(), some.unit)
    assert len(one) == len(two) == 1
    assert one != two


def test_two_units_of_one_direction_differ_by_shape() -> None:
    """A fast and a slow unit along one direction are two groups."""
    some = made([(0.035, (0, 0, 1.0), 50), (0.11, (0, 0, 1.0), 50)])
    one, two = split_of(some.grouped(), some.unit)
    assert len(one) == len(two) == 1
    assert one != two


def test_the_template_is_the_unit() -> None:
    """A group's template has the direction and the shape of the unit that made it."""
    some = made(TWO)
    found = some.grouped()
    (number,) = split_of(found, some.unit)[0]
    template = found.templates[number]
    way = np.linalg.svd(template)[0][:, 0]
    assert abs(way @ np.array([0.0, 0.3, 1.0]) / np.linalg.norm([0.3, 1.0])) > 0.99
    along = np.array([0.0, 0.3, 1.0]) @ template
    best = max(np.corrcoef(along, np.roll(shape(0.05), lag))[0, 1] for lag in range(-4, 5))
    assert best > 0.95


def test_strangers_belong_to_no_large_unit() -> None:
    """Bursts that nothing repeats are like no template, and few of them are taken for a member of a unit."""
    some = made(TWO, strangers=60)
    found = some.grouped()
    ours = {number for each in split_of(found, some.unit) for number in each}
    taken = np.isin(found.unit, list(ours)) & found.member
    assert taken[some.unit >= 0].mean() > 0.85
    assert taken[some.unit < 0].mean() < 0.1


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_units_do_not_depend_on_scale(scale: float) -> None:
    """A sensor of other units of measure, noise and all, shows the same groups."""
    some = made(TWO, strangers=20)
    first = some.grouped()
    other = some._replace(
        wave_mg=some.wave_mg * np.float32(scale), floor_mg=some.floor_mg * np.float32(scale)
    )
    second = other.grouped()
    np.testing.assert_array_equal(first.unit, second.unit)
    np.testing.assert_allclose(first.like, second.like, atol=1e-4)


def test_units_do_not_depend_on_rotation() -> None:
    """A sensor that is stuck on another way round shows the same groups."""
    some = made(TWO, strangers=20)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0].astype(np.float32)
    first, second = some.grouped(), some._replace(wave_mg=turn @ some.wave_mg).grouped()
    np.testing.assert_array_equal(first.unit, second.unit)
    np.testing.assert_allclose(first.like, second.like, atol=1e-3)
    np.testing.assert_allclose(first.beside_left, second.beside_left, atol=1e-3)


@pytest.mark.parametrize("fs_hz", [50.0, 100.0, 104.0, 133.3])
def test_waves_are_the_same_at_any_rate(fs_hz: float) -> None:
    """A burst that a sensor can hold is the same wave on the grid whatever its rate."""
    half = round(0.25 * fs_hz)
    t_s = np.arange(-half, half) / fs_hz
    grid_s = np.arange(WAVE_FROM, WAVE_STOP) / WAVE_HZ
    inner = np.abs(grid_s) < 0.15

    def burst(t_s: Floats) -> Floats:
        return np.exp(-((t_s / 0.05) ** 2)) * np.cos(2 * np.pi * 9.0 * t_s)

    wave = on_grid(np.tile(burst(t_s), (2, 3, 1)).astype(np.float32), fs_hz)
    assert wave.shape == (2, *WAVE_SHAPE)
    np.testing.assert_allclose(wave[0, 0][inner], burst(grid_s)[inner], atol=0.02)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_next_to_nothing_is_grouped_too(count: int) -> None:
    """No candidate, one and two give as many rows, and features that are numbers or missing."""
    some = made([(0.05, (0, 0, 1.0), count)])
    found = some.grouped()
    assert len(found.unit) == len(found.like) == len(found.near) == count
    told = features(some, found, np.zeros(count))
    assert set(told) == {column.name for column in UNIT_FEATURES}
    for name, values in told.items():
        assert values.shape == (count,), name
        assert not np.isinf(values).any(), name


@pytest.mark.long
def test_a_night_of_many_candidates_is_held_in_little_memory() -> None:
    """To group 60,000 candidates of one site takes one and a half times the memory of their waves at most."""
    few = made([*TWO, (0.09, (0, 1.0, 0), 40)], strangers=60)
    times = 60_000 // len(few.unit)
    many = Made(*(np.concatenate([column] * times) for column in few))
    many = many._replace(peak_s=np.sort(np.random.default_rng(1).uniform(0, 28_800, len(many.unit))))
    tracemalloc.start()
    try:
        found = many.grouped()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.unit) == len(many.unit)
    assert peak < 1.5 * many.wave_mg.nbytes


def features(
    some: Made, found: Grouped, odds: Floats, asked: npt.NDArray[np.bool_] | None = None, **rows: Any
) -> dict[str, Floats]:
    """Return the features of made candidates; what pass 1 measured is 0 but for the score."""
    zero = np.zeros(len(some.unit))
    named = dict.fromkeys((*POOLED, "side_lobe"), zero) | {"score": some.score} | rows
    return unit_features(found, named, some.peak_s, odds, 1.0, asked)


@pytest.mark.parametrize("lobes", [0.0, 0.3])
def test_who_is_asked_for_is_told_what_all_are_told(lobes: float) -> None:
    """Features of some candidates are those that they have among all, side lobes or none among them."""
    some, rng = made(TWO, strangers=30), np.random.default_rng(1)
    side_lobe = rng.random(len(some.unit)) < lobes
    found, odds = some.grouped(side_lobe), rng.normal(size=len(some.unit))
    asked = rng.random(len(some.unit)) < 0.2
    whole, part = (features(some, found, odds, who, side_lobe=side_lobe) for who in (None, asked))
    for name, values in whole.items():
        np.testing.assert_array_equal(part[name][asked], values[asked], name)


def test_others_of_a_unit_speak_for_a_candidate_not_itself() -> None:
    """The mean log-odds of a unit leave out the one that is asked about, and no other unit's matter."""
    some = made(TWO)
    found = some.grouped()
    odds = np.where(some.unit == 0, 3.0, -3.0)
    asked = int(np.flatnonzero((some.unit == 0) & found.member)[0])
    told = features(some, found, odds)["unit_odds"]
    assert told[asked] == pytest.approx(3.0)
    assert np.nanmax(told[some.unit == 1]) == pytest.approx(-3.0)
    odds[asked] = -6.0
    assert features(some, found, odds)["unit_odds"][asked] == pytest.approx(3.0)


def test_side_lobes_change_nothing_of_bursts() -> None:
    """Units, and all that pass 2 looks at of bursts, are to the digit those without side lobes among them;
    these belong to units and have features like others."""
    some = made([*TWO, (0.08, (0.2, 1.0, 0.1), 80)], strangers=20, size=(6.0, 30.0))
    lobe = np.random.default_rng(5).random(len(some.unit)) < 0.4
    some.peak_s[lobe] = some.peak_s[np.maximum(np.flatnonzero(lobe) - 1, 0)] + 0.08
    order = np.argsort(some.peak_s)
    some, lobe = Made(*(column[order] for column in some)), lobe[order]
    odds = np.random.default_rng(6).normal(0, 3, len(lobe))
    bursts = Made(*(column[~lobe] for column in some))
    both, alone = some.grouped(lobe), bursts.grouped()
    np.testing.assert_array_equal(both.templates, alone.templates)
    assert (both.member & lobe).sum() > 10
    told = features(some, both, odds, side_lobe=lobe.astype(float))
    without = features(bursts, alone, odds[~lobe])
    for name, values in without.items():
        np.testing.assert_allclose(told[name][~lobe], values, rtol=1e-5, atol=1e-6, err_msg=name)
        assert len(told[name]) == len(lobe)
    assert np.isfinite(told["unit_odds"][lobe & both.member]).all()
    assert np.isfinite(told["near_odds"][lobe]).all()


def test_a_regular_heart_is_told_from_a_random_unit() -> None:
    """Beats have intervals of a heart that hardly differ; a unit that fires at random has not."""
    some = made([(0.05, (0, 0, 1.0), 200), (0.05, (1.0, 0, 0), 200)])
    beats = some.unit == 0
    rng = np.random.default_rng(2)
    time_s = np.empty(400)
    time_s[beats] = np.arange(200) * 0.9 + rng.normal(0, 0.03, 200)
    time_s[~beats] = np.sort(rng.uniform(0, 180, 200))
    order = np.argsort(time_s)
    some = Made(*(column[order] for column in some._replace(peak_s=time_s)))
    told = features(some, some.grouped(), np.zeros(400))
    beats = some.unit == 0
    assert np.nanmedian(told["unit_beats"][beats]) > 0.75
    assert np.nanmedian(told["unit_irregular"][beats]) < 0.2
    assert np.nanmedian(told["unit_beats"][~beats]) < 0.6
    assert np.nanmedian(told["unit_irregular"][~beats]) > 1.0


def test_a_second_swing_is_what_the_template_expects() -> None:
    """Of a burst's own later swing the unit's template leaves little; of another twitch there, nearly all."""
    rng = np.random.default_rng(4)
    t_s = np.arange(WAVE_FROM, WAVE_STOP) / WAVE_HZ

    def whole(t_s: Floats) -> Floats:
        return np.exp(-((t_s / 0.03) ** 2)) - 0.6 * np.exp(-(((t_s - 0.11) / 0.03) ** 2))

    way = np.array([0.1, 0.2, 1.0]) / np.linalg.norm([0.1, 0.2, 1.0])
    waves, score, peak_s = [], [], []
    for number in range(40):
        for late_s, d in ((0.0, 30.0), (0.11, 18.0)):
            waves.append(d_of(whole(t_s + late_s)) * 30.0 * way[:, None] + rng.standard_normal(WAVE_SHAPE))
            score.append(d)
            peak_s.append(10.0 * number + late_s)
    stranger = 30.0 * d_of(whole(t_s + 0.11)) * way[:, None]
    stranger += 30.0 * shape(0.04) * np.array([1.0, -0.5, 0.0])[:, None]
    waves[-1] = stranger + rng.standard_normal(WAVE_SHAPE)
    found = group(
        np.array(waves, np.float32),
        np.ones(80, np.float32),
        np.array(score, np.float32),
        np.array(peak_s),
        np.zeros(80, bool),
    )
    assert np.all(found.beside_left[::2] == 1.0)
    assert np.median(found.beside_left[1:-1:2]) < 0.3
    assert found.beside_left[-1] > 2 * np.median(found.beside_left[1:-1:2])


def d_of(form: Floats) -> Floats:
    """Return a form of energy 1."""
    return np.asarray(form / np.linalg.norm(form))


def test_the_larger_beside_is_the_largest() -> None:
    """Of several within reach the largest counts; what is farther off or smaller does not."""
    score = np.array([9.0, 5.0, 20.0, 7.0, 30.0], np.float32)
    peak_s = np.array([0.0, 0.2, 0.4, 0.7, 5.0])
    assert larger_beside(score, peak_s).tolist() == [2, 2, -1, 2, -1]
