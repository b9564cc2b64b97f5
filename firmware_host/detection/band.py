"""A short piece of signal as detection sees it: in 3-45 Hz, on a time grid of one's own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from firmware_host.detection.signals import BAND_HZ, KERNEL_HALF_S, Float64, _band_pass

FINER = 4
"""Between samples the signal is told by its spectrum, in so many steps, and by lines between those."""


def band_passed(acc_g: npt.ArrayLike, fs_hz: float, at: npt.ArrayLike) -> Float64:
    """Return a piece of signal in the band of detection, without a shift in time.

    Parameters
    ----------
    acc_g : (n, 3)
        Samples without a gap; the filter reaches `KERNEL_HALF_S` to both sides, and takes what lies beyond
        the ends to be as at the ends.
    fs_hz : float
    at : (m,)
        Places to tell, in samples from the first, whole or not.

    Returns
    -------
    (m, 3) float64, mg
    """
    samples = np.asarray(acc_g, np.float64)
    half = round(KERNEL_HALF_S * fs_hz)
    padded = np.pad(samples - samples.mean(axis=0), ((half, half), (0, 0)), mode="edge")
    block = fft.next_fast_len(len(padded), real=True)
    block += block % 2
    spectrum = fft.rfft(padded, block, axis=0) * _response(fs_hz, half, block)[:, None]
    fine = fft.irfft(spectrum, block * FINER, axis=0)[: len(padded) * FINER] * (1000.0 * FINER)
    grid = np.arange(len(fine)) / FINER - half
    places = np.asarray(at, float)
    return np.column_stack([np.interp(places, grid, axis) for axis in fine.T])


@lru_cache(maxsize=64)
def _response(fs_hz: float, half: int, block: int) -> Float64:
    assert BAND_HZ[0] < fs_hz / 2
    return _band_pass(fs_hz, half, block)
