"""The band-passed trace of the signal view: the detector's own band and kernel, without scipy.

What is drawn is the size of the movement in 3-45 Hz over all three axes, in mg: it does not depend on how
the sensor sat, and an event's peak is its maximum.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BAND_HZ = (3.0, 45.0)
KERNEL_HALF_S = 1.0
_KAISER_BETA = 5.653
"""A stop band of 60 dB (Kaiser 1974)."""
_MOST_TRANSFORMED = 1 << 16


def band_hz(fs_hz: float) -> tuple[float, float]:
    """Return the band that is drawn at a sampling rate: slow sensors have no signal up to 45 Hz."""
    return BAND_HZ[0], min(BAND_HZ[1], 0.45 * fs_hz)


def margin(fs_hz: float) -> int:
    """Return how many samples before and after a piece have a say in its band-passed trace."""
    return round(KERNEL_HALF_S * fs_hz)


@lru_cache(maxsize=16)
def kernel(fs_hz: float) -> Float64:
    """Return the taps of the zero-phase band-pass, (2 margin + 1,).

    A sinc band-pass in a Kaiser window whose response at 0 Hz is exactly none: gravity is a thousand times
    larger than what is looked for.
    """
    half = margin(fs_hz)
    low, high = (edge / fs_hz for edge in band_hz(fs_hz))
    at = np.arange(-half, half + 1)
    window = np.kaiser(2 * half + 1, _KAISER_BETA)
    taps = (2 * high * np.sinc(2 * high * at) - 2 * low * np.sinc(2 * low * at)) * window
    return np.asarray(taps - window * (taps.sum() / window.sum()))


def band_size(acc_mg: Float32, fs_hz: float, before: int, after: int) -> Float32:
    """Return the size of the band-passed movement, (n - before - after,) in mg.

    Parameters
    ----------
    acc_mg : float32, (n, 3)
        Samples without a gap; those before and after the wanted ones only have a say in them. Where fewer
        than `margin` are given, the first or last sample is held.
    fs_hz : float
        Nominal sampling rate.
    before, after : int
        Samples that are given beyond the wanted ones, at most `margin`.
    """
    half = margin(fs_hz)
    rows = np.pad(acc_mg.T - acc_mg[0][:, None], ((0, 0), (half - before, half - after)), mode="edge")
    n = rows.shape[1] - 2 * half
    size = _transform_size(rows.shape[1], 2 * half)
    step = size - 2 * half
    spectrum = np.fft.rfft(kernel(fs_hz), size).astype(np.complex64)
    out = np.empty(n, np.float32)
    for first in range(0, n, step):
        # The last 2 half samples of a circular product are whole, the first 2 half are wrapped around.
        part = np.fft.irfft(np.fft.rfft(rows[:, first : first + size], size) * spectrum, size)
        kept = part[:, 2 * half : 2 * half + min(step, n - first)]
        out[first : first + step] = np.sqrt(np.einsum("ij,ij->j", kept, kept))
    return out


def _transform_size(samples: int, lost: int) -> int:
    """Return a power of two that takes all samples at once, or pieces much longer than what each loses."""
    whole = 1 << (samples - 1).bit_length()
    return min(whole, max(_MOST_TRANSFORMED, 1 << (4 * lost).bit_length()))
