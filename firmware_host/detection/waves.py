"""The three-axis waveform of each candidate on one time grid, whatever the sensor's rate, for pass 2."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from firmware_host.detection.signals import Float32
from firmware_host.twitches import UNIT_PEAK, UNIT_SAMPLES, UNIT_WAVE_HZ

WAVE_HZ = UNIT_WAVE_HZ
"""Twitches have almost nothing above 40 Hz."""
WAVE_FROM, WAVE_STOP = -UNIT_PEAK, UNIT_SAMPLES - UNIT_PEAK
"""The grid, in such samples from the candidate: as far as what is cut out around it reaches."""
WAVE_SHAPE = (3, UNIT_SAMPLES)
WAVE_FIELDS = [("wave_mg", "f4", WAVE_SHAPE), ("floor_mg", "f4")]
"""What a candidate carries beside its columns: its wave in 3-45 Hz and the noise beneath it per axis."""
_REACH = 8.0
"""Samples on both sides that a sample of the grid is made of."""


def on_grid(band_mg: Float32, fs_hz: float) -> Float32:
    """Return waves on the grid from snippets at an internal rate.

    Parameters
    ----------
    band_mg : (k, 3, samples) float32
        The candidate at the middle sample.
    fs_hz : float

    Returns
    -------
    (k, *WAVE_SHAPE) float32
    """
    return np.asarray(band_mg @ _weights(band_mg.shape[2], fs_hz))


@lru_cache(maxsize=16)
def _weights(size: int, fs_hz: float) -> Float32:
    """Return (samples, grid): a sinc within a smooth window, for signals that end below half the rate."""
    at = np.arange(WAVE_FROM, WAVE_STOP) / WAVE_HZ * fs_hz
    off = np.arange(size)[:, None] - size // 2 - at
    window = np.cos(np.pi / 2 * np.clip(off / _REACH, -1.0, 1.0)) ** 2
    return np.asarray(np.sinc(off) * window, np.float32)
