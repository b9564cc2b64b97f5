"""Real twitches added to real rest: evoked twitches of one set of people at known times in chests of another.

The displacement of the skin over an electrically evoked twitch (tensiomyography, 1 kHz) is differentiated
twice, scaled, and added along one direction. Its size is assumed, as no acceleration of a fasciculation is
published.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host.learning.score import TRUTH_DTYPE
from firmware_host.twitches import Table, table

Floats = npt.NDArray[np.float64]

FINE_HZ = 1000.0
SIZES_MG = (10.0, 150.0)
"""Drawn evenly in their logarithm."""
PER_MIN = 10.0
APART_S = 0.8
EDGE_S = 1.5
_PAD = 500
_SMOOTH = signal.butter(4, 100.0, fs=FINE_HZ, output="sos")
_BAND = signal.butter(2, (3.0, 45.0), "bandpass", fs=FINE_HZ, output="sos")


def add_evoked(
    rng: np.random.Generator, time_s: Floats, acc_g: npt.NDArray[np.floating], displaced_mm: Floats, site: str
) -> tuple[npt.NDArray[np.float32], Table]:
    """Add evoked twitches to a recording at random times.

    Parameters
    ----------
    rng
        Draws times, sizes, directions (70 % near gravity, as the skin moves along its normal) and rows.
    time_s : (n,) float64
    acc_g : (n, 3)
    displaced_mm : (rows, 1000) float
        Displacement after the stimulus at `FINE_HZ`.
    site : str
        Named in the truth.

    Returns
    -------
    acc_g : (n, 3) float32
        With the twitches.
    truth : TRUTH_DTYPE, (k,)
    """
    fs_hz = (len(time_s) - 1) / (time_s[-1] - time_s[0])
    pauses = APART_S + rng.exponential(60.0 / PER_MIN - APART_S, int(time_s[-1] * PER_MIN / 20) + 20)
    start_s = EDGE_S + np.cumsum(pauses)
    start_s = start_s[start_s < time_s[-1] - EDGE_S]
    with_them = np.array(acc_g, np.float64)
    upright = acc_g.mean(axis=0) / np.linalg.norm(acc_g.mean(axis=0))
    truth = table(TRUTH_DTYPE, len(start_s), site=site, d=np.nan, energy_mg2s=np.nan)
    truth["peak_to_peak_mg"] = SIZES_MG[0] * (SIZES_MG[1] / SIZES_MG[0]) ** rng.random(len(start_s))
    chip = signal.butter(4, 0.4 * min(fs_hz, FINE_HZ), fs=FINE_HZ, output="sos")
    for one, at_s in zip(truth, start_s.tolist(), strict=True):
        wave, band = _waves(displaced_mm[rng.integers(len(displaced_mm))])
        wave = signal.sosfiltfilt(chip, wave) * float(one["peak_to_peak_mg"]) / 1000 / np.ptp(band)
        way = rng.standard_normal(3) * (0.3 if rng.random() < 0.7 else 1e3) + upright
        near = slice(*np.searchsorted(time_s, [at_s, at_s + len(wave) / FINE_HZ]))
        moved = np.interp(time_s[near] - at_s, np.arange(len(wave)) / FINE_HZ, wave)
        with_them[near] += moved[:, None] * way / np.linalg.norm(way)
        one["peak_s"] = at_s + np.argmax(np.abs(band)) / FINE_HZ
    return with_them.astype(np.float32), truth


def _waves(displaced_mm: Floats) -> tuple[Floats, Floats]:
    """Return the acceleration of one twitch, and the same in 3-45 Hz; both begin and end at rest."""
    level = np.pad(np.asarray(displaced_mm, float), _PAD, mode="edge")
    wave = np.gradient(np.gradient(signal.sosfiltfilt(_SMOOTH, level)))
    wave *= signal.windows.tukey(len(wave), 0.5)
    return wave, np.asarray(signal.sosfiltfilt(_BAND, wave))
