"""What no detector in white noise can do better than: the limits that found twitches are compared with.

`known_shape_mg` is the matched filter that knows the shape: the norm of its three axes' answers is a chi
process with three degrees of freedom, whose false alarms are Rice's. `bank_mg` is the ideal bank of four
such filters (rises of 30, 50, 80 and 120 ms), which must take the largest of four answers and of the times
near the event; it has no closed form and is drawn. Both whiten each axis by its own density.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, special

from firmware_host.detection.signals import twitch_acceleration

Floats = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.complex128]

BANK_RISE_S = (0.030, 0.050, 0.080, 0.120)
FS_HZ = 200.0
"""Rate of the drawing: an ideal bank misses no maximum between two samples."""
BLOCK = 512
"""Longer than any twitch: shapes and trials are laid out on a circle of this length."""
FINE = 8
NEAR_S = 0.1
"""The answer is looked for this near to the event: beyond it would not match the truth."""
DEAD_S = 0.3
"""Answers closer than this are one false alarm."""
NOISE_H = 12.0
TRIALS = 2000
SHARE = 0.9
DS = np.linspace(4.0, 10.0, 61)
"""Events are drawn with these d (in a median direction)."""
_f_hz = np.arange(BLOCK // 2 + 1) * FS_HZ / BLOCK


class Band(NamedTuple):
    """What of the frequencies is used, in Hz."""

    low_hz: float
    high_hz: float


def shape_spectrum(rise_s: float, band: Band) -> tuple[Spectra, float]:
    """Return the spectrum of a band-passed twitch of 1 mg, and its largest time after the onset.

    Returns
    -------
    spectrum : complex128, (block / 2 + 1,)
        In mg/Hz at the bins of a block, onset at time 0, scaled so that the twitch in the band is 1 mg
        peak-to-peak: the size that truth and events are given in.
    peak_s : float
        Where the band-passed twitch is largest.
    """
    t_s = np.arange(BLOCK * FINE) / (FS_HZ * FINE)
    inside = (_f_hz >= band.low_hz) & (_f_hz <= band.high_hz)
    spectrum = fft.rfft(twitch_acceleration(t_s, rise_s))[: BLOCK // 2 + 1] * inside / (FS_HZ * FINE)
    fine = _in_time(spectrum, FINE)
    peak_s = float(np.argmax(np.abs(fine))) / (FS_HZ * FINE)
    return spectrum / np.ptp(fine), peak_s - (BLOCK / FS_HZ if peak_s > BLOCK / FS_HZ / 2 else 0.0)


def energy_mg2s(spectrum: Spectra) -> float:
    """Return the energy of what has a spectrum in mg/Hz."""
    return float(2 * np.sum(np.abs(spectrum) ** 2) * FS_HZ / BLOCK)


def rms_hz(spectrum: Spectra) -> float:
    """Return the rms frequency of a spectrum."""
    power = np.abs(spectrum) ** 2
    return float(np.sqrt(np.sum(_f_hz**2 * power) / np.sum(power)))


def chi_threshold(false_alarms_per_h: float, f_rms_hz: float) -> float:
    """Return the level that a chi process of three degrees of freedom crosses upwards so often, by Rice.

    The rate is 2 f_rms u^2 exp(-u^2 / 2) a second, f_rms the rms frequency of the matched filter.
    """
    level = np.arange(2.5, 9.0, 0.001)
    return float(np.interp(-np.log(false_alarms_per_h), -_log_rice(level) - np.log(f_rms_hz), level))


def known_shape_mg(rise_s: float, band: Band, density: Floats, false_alarms_per_h: float) -> float:
    """Return the peak-to-peak size that the matched filter finds 9 times in 10, directions at random.

    Parameters
    ----------
    rise_s
        Rise of the twitch.
    band
        What of the frequencies is used.
    density : (3,) mg/sqrt(Hz)
        Noise of the axes.
    false_alarms_per_h
        At which detectors are compared.
    """
    spectrum, _ = shape_spectrum(rise_s, band)
    level = chi_threshold(false_alarms_per_h, rms_hz(spectrum))
    along = np.linalg.norm(_directions(np.random.default_rng(1), TRIALS) / density, axis=1)
    d_of_1_mg = np.sqrt(2 * energy_mg2s(spectrum)) * along
    sizes = DS / np.median(d_of_1_mg)
    missed = [special.chndtr(level**2, 3, (size * d_of_1_mg) ** 2).mean() for size in sizes]
    return float(np.interp(SHARE, 1 - np.array(missed), sizes))


def bank_mg(rise_s: float, band: Band, density: Floats, false_alarms_per_h: float) -> float:
    """Return the peak-to-peak size that the ideal bank finds 9 times in 10; arguments as `known_shape_mg`.

    Events have random directions, and the bank's answer is looked for near them only.
    """
    sizes, answers = _bank_answers(rise_s, band, tuple(np.round(density, 6).tolist()))
    shares = (answers >= bank_threshold(band, false_alarms_per_h)).mean(axis=1)
    return float(np.interp(SHARE, np.maximum.accumulate(shares), sizes))


@lru_cache(maxsize=32)
def bank_threshold(band: Band, false_alarms_per_h: float) -> float:
    """Return the level that the ideal bank's answer to white noise reaches so often.

    Rare rates are not drawn but follow from frequent ones: their ratio to Rice's rate of one filter changes
    slowly with the level.
    """
    drawn, over_rice = _bank_alarms(band)
    slope, start = np.polyfit(drawn, np.log(over_rice), 1)
    level = np.arange(3.5, 9.0, 0.001)
    return float(np.interp(-np.log(false_alarms_per_h), -(_log_rice(level) + start + slope * level), level))


@lru_cache(maxsize=8)
def _bank_alarms(band: Band) -> tuple[Floats, Floats]:
    """Return levels, and the bank's false alarms in drawn noise over Rice's rate for an rms of 1 Hz."""
    rng, n, dead = np.random.default_rng(2), 256 * BLOCK, round(DEAD_S * FS_HZ)
    responses = [_on_long_block(one, n) for one in _bank_filters(band)]
    peaks, hours = [], 0.0
    while hours < NOISE_H:
        noise = fft.rfft(rng.standard_normal((3, n)) * np.sqrt(FS_HZ / 2))
        square = np.max([np.square(fft.irfft(noise * one, n)).sum(axis=0) for one in responses], axis=0)
        windows = square[: n // dead * dead].reshape(-1, dead)
        best, at = windows.max(axis=1), windows.argmax(axis=1)
        # An excursion over the edge of two windows is one: its smaller side does not count.
        near = at[1:] < at[:-1]
        doubled = np.append(near & (best[:-1] <= best[1:]), False) | np.insert(
            near & (best[1:] < best[:-1]), 0, False
        )
        peaks.append(np.sqrt(best[~doubled]))
        hours += n / FS_HZ / 3600
    heights = np.sort(np.concatenate(peaks))
    level = np.linspace(4.3, 5.1, 9)
    per_h = (len(heights) - np.searchsorted(heights, level)) / hours
    return level, per_h / np.exp(_log_rice(level))


@lru_cache(maxsize=8)
def _bank_answers(rise_s: float, band: Band, density: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Return sizes, and the bank's largest answers to a drawn event of each size, (sizes, trials)."""
    rng = np.random.default_rng([3, round(rise_s * 1e6)])
    spectrum, peak_s = shape_spectrum(rise_s, band)
    half = BLOCK // 2
    near = slice(half - round(NEAR_S * FS_HZ), half + round(NEAR_S * FS_HZ) + 1)
    filters = _bank_filters(band)
    moved = spectrum * np.exp(-2j * np.pi * _f_hz * (half / FS_HZ - peak_s))
    event = _in_time(moved * filters)[:, near]
    noise = fft.rfft(rng.standard_normal((3, TRIALS, BLOCK)) * np.sqrt(FS_HZ / 2)) / FS_HZ
    answers = np.stack([_in_time(noise * one)[..., near] for one in filters])
    along = (_directions(rng, TRIALS) / density).T
    sizes = DS / (np.sqrt(2 * energy_mg2s(spectrum)) * float(np.median(np.linalg.norm(along, axis=0))))
    best = []
    for size in sizes:
        both = answers + size * along[None, :, :, None] * event[:, None, None]
        best.append(np.sqrt(np.square(both).sum(axis=1).max(axis=(0, 2))))
    return sizes, np.array(best)


def _bank_filters(band: Band) -> Spectra:
    """Return the bank's responses, (4, bins): white noise of density 1 gives each answer the deviation 1."""
    rows = []
    for rise_s in BANK_RISE_S:
        spectrum, peak_s = shape_spectrum(rise_s, band)
        matched = np.conj(spectrum * np.exp(2j * np.pi * _f_hz * peak_s))
        rows.append(matched * np.sqrt(2 / energy_mg2s(spectrum)))
    return np.stack(rows)


def _on_long_block(response: Spectra, n: int) -> Spectra:
    """Return a response on the bins of a longer block."""
    kernel, ring = fft.irfft(response, BLOCK), np.zeros(n)
    ring[: BLOCK // 2], ring[-BLOCK // 2 :] = kernel[: BLOCK // 2], kernel[BLOCK // 2 :]
    return np.asarray(fft.rfft(ring))


def _in_time(spectrum: Spectra, finer: int = 1) -> Floats:
    """Return the signal of a spectrum in 1/Hz, at the rate of the drawing or a multiple of it."""
    return np.asarray(fft.irfft(spectrum, BLOCK * finer) * FS_HZ * finer)


def _log_rice(level: Floats) -> Floats:
    """Return the logarithm of Rice's rate an hour for an rms frequency of 1 Hz."""
    return np.asarray(np.log(7200 * level**2) - level**2 / 2)


def _directions(rng: np.random.Generator, n: int) -> Floats:
    way = rng.standard_normal((n, 3))
    return np.asarray(way / np.linalg.norm(way, axis=1, keepdims=True))
