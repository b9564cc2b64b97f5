"""Known twitches that are added to a site's own signal: fast and slow ones, of any size and direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy import signal, special

from firmware_host.detection.signals import BAND_HZ, Float32, Float64

FINE_HZ = 1600.0
"""Rate at which waveforms are made, before they are laid on a sensor's samples."""
LENGTH_S = 1.2
PAD_S = 0.3
FAST, SLOW = 17, 3
"""Waveforms of each sort: 15 % of units are slow (assumption of the simulator too; docs/simulator.md)."""
FAST_RISE_S = (0.030, 0.050, 0.120)
"""Least, median and largest rise of fast units: 35-98 ms (Sica & McComas 1971), evenly in rank of a
log-normal law with a spread of 0.5; rather too fast than too slow, as fast ones are harder to find."""
SLOW_RISE_S = (0.115, 0.140, 0.165)
"""Slow units take 100-180 ms (Buchthal 1970; ultrasound sees 0.1-0.5 s)."""
ORDERS = (3, 4, 5)
STRETCHES = (1.0, 2.0, 3.0, 1.5, 2.5)
"""Relaxation takes so many times longer than in the plain gamma twitch."""
TISSUE = ((0.0, 20.0, 0.3), (0.5, 14.0, 0.2), (0.25, 30.0, 0.15), (0.0, 22.0, 0.3), (0.8, 24.0, 0.12))
"""What share of it goes through the tissue's resonance, at which Hz, with which damping: soft tissue rings
(Wakeling & Nigg 2001; figures are assumed)."""
SECOND = (0, 0, 0.012, 0, 0, 0, 0.028)
"""A second part comes so many seconds later in one twitch of seven (de Carvalho & Swash 2013: 10-23 %)."""


@dataclass(frozen=True)
class Wave:
    """One waveform at `FINE_HZ` from its onset, 1 mg peak-to-peak in 3-45 Hz; when it is largest there."""

    slow: bool
    mg: Float64
    peak_s: float


@cache
def waves() -> tuple[Wave, ...]:
    """Return all waveforms, the fast ones first."""
    least, median, largest = FAST_RISE_S
    rank = special.ndtri((np.arange(FAST) + 0.5) / FAST)
    rises_s = [*np.clip(median * np.exp(0.5 * rank), least, largest).tolist(), *SLOW_RISE_S]
    return tuple(
        _wave(_gamma(rise_s, i) + 0.7 * _later(_gamma(rise_s, i + 1), SECOND[i % len(SECOND)]), i)
        for i, rise_s in enumerate(rises_s)
    )


def _gamma(rise_s: float, number: int) -> Float64:
    """Make the acceleration of a gamma twitch whose time runs slower once its peak is passed."""
    order, stretch = ORDERS[number % len(ORDERS)], STRETCHES[number % len(STRETCHES)]
    time_s = np.arange(round(LENGTH_S * FINE_HZ)) / FINE_HZ
    late = 0.5 * (1 + np.tanh((time_s - rise_s) / (0.3 * rise_s)))
    own_time = np.cumsum(1 + (1 / stretch - 1) * late) / FINE_HZ / rise_s
    moved = own_time**order * np.exp(order * (1 - own_time))
    acceleration = np.gradient(np.gradient(moved, time_s), time_s)
    return np.asarray(acceleration / np.ptp(acceleration))


def _later(form: Float64, late_s: float) -> Float64:
    """Return a waveform later; nothing for 0."""
    late = round(late_s * FINE_HZ)
    return np.pad(form, (late, 0))[: len(form)] if late else np.zeros_like(form)


def _wave(acceleration: Float64, number: int) -> Wave:
    """Send a waveform through tissue that rings, let its end fade, and scale it to 1 mg in 3-45 Hz."""
    share, resonance_hz, damping = TISSUE[number % len(TISSUE)]
    omega = 2 * np.pi * resonance_hz
    ringing = signal.bilinear([omega**2], [1.0, 2 * damping * omega, omega**2], FINE_HZ)
    acceleration = (1 - share) * acceleration + share * signal.lfilter(*ringing, acceleration)
    acceleration *= np.clip(np.arange(len(acceleration))[::-1] / FINE_HZ / 0.2, 0, 1)
    sos = signal.butter(2, BAND_HZ, "bandpass", fs=FINE_HZ, output="sos")
    band = signal.sosfiltfilt(sos, np.pad(acceleration, round(PAD_S * FINE_HZ)))
    peak_s = float(np.argmax(np.abs(band))) / FINE_HZ - PAD_S
    return Wave(number >= FAST, acceleration / float(np.ptp(band)), peak_s)


@lru_cache(maxsize=8)
def _as_sensed(fs_hz: float) -> Float64:
    """Return all waveforms, (waves, samples) at `FINE_HZ`, low-passed as a sensor of that rate does it."""
    rows = np.stack([wave.mg for wave in waves()])
    if 0.45 * fs_hz >= 0.4 * FINE_HZ:
        return rows
    sos = signal.butter(3, 0.45 * fs_hz, fs=FINE_HZ, output="sos")
    return np.asarray(signal.sosfiltfilt(sos, rows, axis=1))


def add_wave(
    acc_mg: Float32, fs_hz: float, number: int, peak: float, size_mg: float, direction: Float64
) -> None:
    """Add a waveform to samples in place.

    Parameters
    ----------
    acc_mg : (n, 3) float32
    fs_hz : float
        Their rate.
    number : int
        Of the waveform in `waves()`.
    peak : float
        Sample, whole or not, at which it is largest.
    size_mg : float
        Peak-to-peak in 3-45 Hz.
    direction : (3,) float64
        Unit vector.
    """
    onset = peak - waves()[number].peak_s * fs_hz
    first = max(int(np.ceil(onset)), 0)
    index = np.arange(first, min(int(onset + LENGTH_S * fs_hz), len(acc_mg)))
    form = _as_sensed(fs_hz)[number]
    values = np.interp((index - onset) * FINE_HZ / fs_hz, np.arange(len(form)), form)
    acc_mg[index] += (size_mg * values[:, None] * direction).astype(np.float32)
