"""Whether a sensor was worn: signs of life between two handlings, or the proof that there are none.

All is judged at the end of the night from its quarter-second cells. Stillness alone proves nothing: people
with ALS lie still for hours. A sensor on a body shows breath, a tilt of 0.3 mg or more that repeats every
2-10 s, even where it is far below the noise of a second; over many minutes it stands as a hump in the
spectrum. A motionless sensor has a spectrum without humps: white noise, 1/f noise, drift of temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from firmware_host.detection.signals import CELL_S, Bool, Float32, Float64
from firmware_host.twitches import Kind

Cells = npt.NDArray[np.uint8]
Spectra = npt.NDArray[np.complex128]

SEGMENT = 256
"""Cells (64 s) of a spectrum: ten breaths, yet short enough to fit between movements."""
MINUTE_CELLS = round(60.0 / CELL_S)
PART_CELLS = 64 * MINUTE_CELLS
"""Cells whose segments are looked at together: between two handlings may lie days, and their spectra take
many times the memory of the cells."""
LEVELS_AT_MOST = 1 << 19
"""Cells that tell the usual level: all of up to 36 h, one of two or more of what is longer."""
OUTLYING = 4.0
"""Segments with so many times the usual power hold something else than rest."""
BREATH_FIT_HZ, PULSE_FIT_HZ = (0.03, 1.8), (0.10, 1.95)
BREATH_HZ, PULSE_HZ = (0.08, 0.56), (0.60, 1.75)
"""Where humps are looked for."""
HALF_HZ = (0.03, 0.07)
"""Half the width of a hump: breath of a ventilator, and breath that changes over hours."""
MARGIN_HZ = 0.03
WHITE_HZ = (0.8, 1.8)
QUARTILE_SPREAD = 1.5
"""Levels of cells are cut off so many quartile distances from their median: two standard deviations."""
SMOOTH_BINS = 15
"""The noise is first taken for the mean of neighbouring bins: those of one minute scatter."""
BIN_ERROR = 0.95
"""Relative error of the mean over M bins and K segments times sqrt(M K), for three axes: 0.83 for Hann
windows that overlap by half, the rest for the fitted background."""
MOST_SEGMENTS = round(24 * 3600 / (SEGMENT // 2 * CELL_S))
"""More than those of a day make errors no smaller: the noise is not so smooth, and its own small humps would
be taken for a pulse."""

ALIVE_Z = 6.0
"""A hump of so many standard errors is breath or pulse; in simulated noise the largest is 1-4.5."""
LIFELESS_Z = 4.5
ALIVE_MG2 = 5e-4
"""Power of the least hump that is taken for life: a floor may sway by 0.03 mg."""
BREATH_MG2 = 0.018
"""Power of breath of 0.38 mg peak-to-peak, which is weak at a limb; if more than that can be excluded, with
two standard errors, nobody breathes here."""
NOT_WORN_S = 1200.0
"""Less valid time proves nothing."""
BURST_RATIO = 3.0
"""Power of a cell over the floor, in the band, that white noise never has: a twitch of d = 11 or more."""
LIVELY_SHARE = 0.1
"""Bursts in so many of the minutes: things on a table do not twitch, and steps beside it come together."""

WEAR_WINDOW_S = 900.0
"""A movement that turns the sensor shows wearing for so long before and after it."""
TURN_MG = 10.0
"""Lasting change of gravity that a body leaves and a bump of the table does not: 0.6 degrees."""
HANDLING_TURN_MG = 35.0
"""From a turn of 2 degrees on it may have been taken off or put on: nothing is inferred across it."""
HANDLING_MG = 100.0
"""Root mean square over a cell of movement that may be handling: a peak of some 300 mg."""
HANDLING_CELLS = 4
HANDLING_SWING_MG = 200.0
"""The same of the slow acceleration, from its smallest to its largest."""
BESIDE_CELLS = 20
"""Gravity beside a movement is the mean of 5 s."""
PAUSE_CELLS = 4
"""Cells without samples that are bridged, and that separate nothing."""


@dataclass(frozen=True)
class Worn:
    """What whole-stretch rules say of each cell: surely not worn, or nothing shows that it is."""

    not_worn: Bool
    unconfirmed: Bool


def judge_wear(
    mean_mg: Float32,
    energy: Float32,
    density: Float32,
    kind: Cells,
    bandwidth_hz: float,
    least_density: float,
) -> Worn:
    """Judge whether the sensor was worn, from all cells of a sensor.

    Evidence holds from one handling to the next. Breath or pulse there confirm that it was worn. Not worn
    needs proof: 20 minutes of valid time without twitches, in which breath of 0.38 mg would have stood out
    of this sensor's noise and does not. All else stays valid and is unconfirmed, unless a movement that
    leaves the sensor turned is within 15 minutes; what lies before the first handling and after the last is
    not confirmed by these.

    Parameters
    ----------
    mean_mg : (3, cells) float32
        Mean acceleration, NaN in cells without samples.
    energy, density : (cells,) float32
        Mean square of the band-passed norm in mg^2; floor in mg/sqrt(Hz).
    kind : (cells,) uint8
        Kind of each cell.
    bandwidth_hz : float
        Noise bandwidth of the band-pass.
    least_density : float
        Density in mg/sqrt(Hz) below which the steps of the numbers hide what happens.
    """
    away, turning, handled = _interruptions(mean_mg, energy, kind)
    confirmed, not_worn = np.zeros(len(kind), bool), np.zeros(len(kind), bool)
    reach = round(WEAR_WINDOW_S / CELL_S)
    # The first handling may be putting on, the last taking off: they tell nothing of what is beyond them.
    put_on, taken_off = (away[handled][0, 0], away[handled][-1, 1]) if handled.any() else (len(kind), 0)
    for start, stop in away[turning].tolist():
        low = put_on if start >= put_on else 0
        high = taken_off if stop <= taken_off else len(kind)
        confirmed[max(low, start - reach) : min(high, stop + reach)] = True
    cuts = np.concatenate([[0], away[handled].ravel(), [len(kind)]]).reshape(-1, 2)
    for start, stop in cuts:
        run = slice(start, stop)
        valid = kind[run] == Kind.VALID
        long_enough = np.count_nonzero(valid) * CELL_S >= NOT_WORN_S
        if not long_enough and confirmed[run].all(where=valid):  # worn, whatever life shows
            continue
        life = _life(mean_mg[:, run], energy[run], kind[run], least_density)
        confirmed[run] |= life.shown
        if life.excluded and long_enough:
            not_worn[run] = not _lively(energy[run], density[run], valid, bandwidth_hz)
    confirmed |= not_worn
    return Worn(not_worn & (kind != Kind.MOVEMENT), ~confirmed)


def _interruptions(
    mean_mg: Float32, energy: Float32, kind: Cells
) -> tuple[npt.NDArray[np.int64], Bool, Bool]:
    """Return movements and pauses (k, 2) in cells, which left the sensor turned, and which are handling."""
    away = _spans((kind == Kind.MOVEMENT) | (kind == Kind.GAP))
    moves = _spans(kind == Kind.MOVEMENT)[:, 0]
    moved = np.searchsorted(moves, away[:, 1]) > np.searchsorted(moves, away[:, 0])
    told = moved | (away[:, 1] - away[:, 0] > PAUSE_CELLS)
    away, moved = away[told], moved[told]
    turn_mg, swing_mg, strong = np.full(len(away), np.inf), np.zeros(len(away)), np.zeros(len(away), int)
    bounds = np.concatenate([[0], away.ravel(), [len(kind)]]).tolist()
    for number, (start, stop) in enumerate(away.tolist()):
        before = mean_mg[:, max(start - BESIDE_CELLS, bounds[2 * number]) : start]
        after = mean_mg[:, stop : min(stop + BESIDE_CELLS, bounds[2 * number + 3])]
        part = mean_mg[:, start:stop]
        swing_mg[number] = np.linalg.norm(np.fmax.reduce(part, axis=1) - np.fmin.reduce(part, axis=1))
        if np.isfinite(before[0]).any() and np.isfinite(after[0]).any():
            turn_mg[number] = np.linalg.norm(_mean_of_known(after) - _mean_of_known(before))
        if moved[number]:
            moving = energy[start:stop][kind[start:stop] == Kind.MOVEMENT]
            strong[number] = np.count_nonzero(moving > HANDLING_MG**2)
    hard = (strong >= HANDLING_CELLS) | (swing_mg > HANDLING_SWING_MG)
    return away, moved & (turn_mg > TURN_MG), hard | (turn_mg > HANDLING_TURN_MG)


def _spans(flags: Bool) -> npt.NDArray[np.int64]:
    """Return (k, 2): where flags are set, from the first cell to the one that follows the last."""
    return np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)


def _mean_of_known(mean_mg: Float32) -> Float32:
    return np.asarray(mean_mg[:, np.isfinite(mean_mg[0])].mean(axis=1))


def _lively(energy: Float32, density: Float32, valid: Bool, bandwidth_hz: float) -> bool:
    """Tell whether enough minutes hold bursts; hours without samples say nothing of life."""
    seen = lively = 0
    for first in range(0, len(valid), PART_CELLS):
        part = slice(first, first + PART_CELLS)
        burst = energy[part] > BURST_RATIO * 3.0 * bandwidth_hz * density[part] ** 2
        minutes = np.arange(0, len(burst), MINUTE_CELLS)
        seen += int(np.count_nonzero(np.logical_or.reduceat(valid[part], minutes)))
        lively += int(np.count_nonzero(np.logical_or.reduceat(burst & valid[part], minutes)))
    return lively >= LIVELY_SHARE * seen


@dataclass(frozen=True)
class _Life:
    """Whether signs of life show, and whether they can be excluded."""

    shown: bool
    excluded: bool


def _life(mean_mg: Float32, energy: Float32, kind: Cells, least_density: float) -> _Life:
    """Look for breath and pulse in the cells between two handlings."""
    first = _segments(kind)
    if not len(first):
        return _Life(shown=False, excluded=False)
    rest = _Rest(mean_mg, energy, first)
    root, unit = _whitener(rest.axes(), least_density)
    breath = _hump(rest.axes, root, BREATH_FIT_HZ, BREATH_HZ, 1.0)
    if breath.z > ALIVE_Z and breath.power * unit > ALIVE_MG2:
        return _Life(shown=True, excluded=False)
    pulse = _hump(rest.level, None, PULSE_FIT_HZ, PULSE_HZ, 0.0)
    shown = pulse.z > ALIVE_Z
    excluded = breath.z < LIFELESS_Z and pulse.z < LIFELESS_Z and breath.most * unit < BREATH_MG2
    return _Life(shown=shown, excluded=excluded)


class _Rest:
    """The segments between two handlings: their spectra are made anew, part by part, each time it is asked.

    Parameters
    ----------
    mean_mg, energy : (3, cells), (cells,) float32
    first : (segments,) int64
        The first cells of the segments, one at least.
    """

    def __init__(self, mean_mg: Float32, energy: Float32, first: npt.NDArray[np.int64]) -> None:
        self._mean_mg, self._energy = mean_mg, energy
        self._known = np.isfinite(mean_mg[0])
        self._known &= energy > 0
        self._parts = np.split(first, np.flatnonzero(np.diff(first // PART_CELLS)) + 1)
        some = slice(None, None, -(-len(energy) // LEVELS_AT_MOST))
        level = _level(energy[some][self._known[some]])
        usual, spread = np.median(level), QUARTILE_SPREAD * np.ptp(np.quantile(level, (0.25, 0.75)))
        # Twitches, steps beside the bed and lost samples are no pulse.
        self._limits = usual - spread, usual + spread

    def axes(self) -> Iterator[Spectra]:
        """Yield (3, segments, bins): spectra of the axes."""
        return self._spectra(lambda there: self._mean_mg[:, there])

    def level(self) -> Iterator[Spectra]:
        """Yield (1, segments, bins): spectra of the level in the band."""
        return self._spectra(lambda there: np.clip(_level(self._energy[None, there]), *self._limits))

    def _spectra(self, rows: Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]) -> Iterator[Spectra]:
        """Yield spectra of what `rows` gives of known cells; over others lies a line."""
        for first in self._parts:
            start, stop = int(first[0]), int(first[-1]) + SEGMENT
            start -= int(np.argmax(self._known[start::-1]))
            stop += int(np.argmax(self._known[stop - 1 :]))
            there = start + np.flatnonzero(self._known[start:stop])
            cells = np.arange(start, stop)
            bridged = np.stack([np.interp(cells, there, row) for row in rows(there)])
            yield _spectra(bridged[:, (first - start)[:, None] + np.arange(SEGMENT)])


def _level(energy: Float32) -> Float32:
    return np.asarray(np.log(np.maximum(energy, 1e-12)))


def _segments(kind: Cells) -> npt.NDArray[np.int64]:
    """Return the first cells of the segments: valid throughout, but for short pauses."""
    valid = kind == Kind.VALID
    for start, stop in _spans(kind == Kind.GAP).tolist():
        if stop - start <= PAUSE_CELLS:
            valid[start:stop] = True
    parts = [np.arange(start, stop - SEGMENT + 1, SEGMENT // 2) for start, stop in _spans(valid)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _spectra(series: Float64) -> Spectra:
    """Return the spectra of (..., SEGMENT) without their straight lines, as densities per sqrt(Hz)."""
    time = np.arange(SEGMENT) - (SEGMENT - 1) / 2
    flat = series - series.mean(axis=-1, keepdims=True)
    flat -= (flat @ (time / (time @ time)))[..., None] * time
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SEGMENT) / SEGMENT)
    return np.asarray(fft.rfft(flat * window) * np.sqrt(2 * CELL_S / (window @ window)))


FREQ_HZ = np.arange(SEGMENT // 2 + 1) / (SEGMENT * CELL_S)


def _within(low_hz: float, high_hz: float) -> Bool:
    return np.asarray((low_hz < FREQ_HZ) & (high_hz > FREQ_HZ))


def _whitener(parts: Iterator[Spectra], least_density: float) -> tuple[Float64, float]:
    """Return what makes the noise above breath alike in all directions, and the mg^2 of its unit of power."""
    within, product, count = _within(*WHITE_HZ), np.zeros((3, 3)), 0
    for spectra in parts:
        white = spectra[:, :, within].reshape(3, -1)
        product += (white @ white.conj().T).real
        count += white.shape[1]
    values, vectors = np.linalg.eigh(product / count)
    values = np.maximum(values, least_density**2)
    return (vectors / np.sqrt(values)) @ vectors.T, float(9.0 / np.sum(1.0 / values))


@dataclass(frozen=True)
class _Hump:
    """The largest hump: its size in standard errors, its power, and the most power that any may have."""

    z: float
    power: float
    most: float


def _hump(
    parts: Callable[[], Iterator[Spectra]],
    root: Float64 | None,
    fit_hz: tuple[float, float],
    look_hz: tuple[float, float],
    least: float,
) -> _Hump:
    """Look for a hump over the smooth spectrum of noise, a + b / f + c / f^2.

    Parameters
    ----------
    parts : callable
        Gives spectra (axes, segments, bins) part by part, as often as it is asked.
    root : (axes, axes) float64 or None
        What makes the axes' noise alike; None for one.
    fit_hz, look_hz : (low, high)
        Where the noise is fitted, and where humps may have their middle.
    least : float
        What the noise is at least, where errors are told.
    """
    axes = 1 if root is None else len(root)
    use, terms, inside, without = _windows(fit_hz, look_hz)
    size = np.concatenate([own.mean(axis=1) for own in _powers(parts(), root, use)])
    usual = size <= OUTLYING * np.median(size)
    total, seen = np.zeros(np.count_nonzero(use)), 0
    for own in _powers(parts(), root, use):
        total += own[usual[seen : seen + len(own)]].sum(axis=0)
        seen += len(own)
    mean = np.maximum(total / np.count_nonzero(usual), 1e-12)
    noise = ndimage.uniform_filter1d(mean, SMOOTH_BINS)
    for _ in range(3):
        fitted = _fitted(terms, np.minimum(mean, 3 * noise), noise, np.zeros((1, len(mean))))[0]
        noise = np.maximum(fitted, 0.01 * mean)  # a fit below zero somewhere must not rule the next one
    ground = np.maximum(_fitted(terms, mean, noise, without), 0.3 * noise)
    level = (inside * np.maximum(ground, least)).sum(axis=1)
    beyond = inside @ mean - (inside * ground).sum(axis=1)
    segments = min(np.count_nonzero(usual), MOST_SEGMENTS)
    share = BIN_ERROR * np.sqrt(3.0 / axes / (inside.sum(axis=1) * segments))
    # The cube root of such a sum is nearly Gaussian (Wilson and Hilferty 1931), even for a single minute.
    z = (np.cbrt(1.0 + beyond / level) - 1.0 + share**2 / 9) * 3 / share
    excess = beyond * FREQ_HZ[1]
    top = int(np.argmax(z))
    return _Hump(float(z[top]), float(excess[top]), float((excess + 2 * share * level * FREQ_HZ[1]).max()))


def _powers(parts: Iterator[Spectra], root: Float64 | None, use: Bool) -> Iterator[Float64]:
    """Yield (segments, used bins): the mean power of axes made alike by `root`."""
    for spectra in parts:
        some = spectra[:, :, use]
        some = some if root is None else np.einsum("ab,bkf->akf", root, some)
        yield (np.abs(some) ** 2).mean(axis=0)


@lru_cache(maxsize=4)
def _windows(
    fit_hz: tuple[float, float], look_hz: tuple[float, float]
) -> tuple[Bool, Float64, Float64, Float64]:
    """Return which bins are used, the noise's terms there, and the bins of each window and with its margin.

    (bins,), (terms, used bins) and twice (windows, used bins), ones and zeros.
    """
    use = _within(*fit_hz)
    f_hz = FREQ_HZ[use]
    middle = np.arange(look_hz[0] + HALF_HZ[0], look_hz[1], 0.02)
    apart = np.abs(f_hz - np.tile(middle, len(HALF_HZ))[:, None])
    half = np.repeat(HALF_HZ, len(middle))[:, None]
    inside, without = (
        ((apart <= width) & (f_hz >= look_hz[0])).astype(float) for width in (half, half + MARGIN_HZ)
    )
    return use, np.stack([np.ones_like(f_hz), 0.1 / f_hz, 0.01 / f_hz**2]), inside, without


def _fitted(terms: Float64, mean: Float64, noise: Float64, without: Float64) -> Float64:
    """Return (windows, bins): terms fitted to a spectrum with errors `noise`, `without` some bins each."""
    weight = (1.0 - without) / noise**2
    normal = (weight @ (terms[:, None] * terms).reshape(-1, len(mean)).T).reshape(-1, len(terms), len(terms))
    wanted = weight @ (terms * mean).T
    return np.asarray(np.linalg.solve(normal, wanted[:, :, None])[:, :, 0] @ terms)
