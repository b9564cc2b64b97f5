"""What half a minute of a sensor's samples tells: noise, rate, scale, axes that do not work. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.sensors.protocol import Counts, Facts, smallest_twitch_mg

Samples = npt.NDArray[np.floating]

BAND_HZ = (20.0, 90.0)
"""Above what a body does by itself at rest (heart, breath, tremor)."""
OF_RATE = 0.45
"""The band ends below half the sampling rate."""
FULL = 0.995
"""Of the range: what is above is clipped."""
MEDIAN_OF_POWER = float(np.log(2))
"""Median over mean of the power of white noise (chi-squared, two degrees of freedom)."""


class Part(NamedTuple):
    """Samples that arrived together."""

    first: int
    """Running number of the first."""
    counts: Counts
    mono_ns: int
    """When they arrived."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor as its samples show it."""

    seconds: float
    fs_hz: float
    """By this computer's clock."""
    packets_per_s: float
    lost_share: float
    """Of the samples, as far as their numbers tell."""
    noise_ug: tuple[float, float, float]
    """Noise density of each axis, micro-g per square root of Hz, between `band_hz`."""
    band_hz: tuple[float, float]
    smallest_twitch_mg: float
    """Peak to peak, that white noise of this density leaves visible."""
    gravity_g: float
    """Length of the mean: 1 at rest."""
    clipped_share: float
    stuck_axes: tuple[str, ...]


def measure(parts: Sequence[Part], facts: Facts) -> Measured | None:
    """Measure a sensor; None where its samples are too few (less than two seconds)."""
    if len(parts) < 2:
        return None
    counts = np.concatenate([part.counts for part in parts])
    acc_g = counts.astype(np.float64) * facts.g_per_count
    arrived_s = np.array([part.mono_ns - parts[0].mono_ns for part in parts]) / 1e9
    ends = np.array([part.first + len(part.counts) for part in parts], dtype=np.float64)
    if arrived_s[-1] < 2.0:
        return None
    fs_hz = float(np.polyfit(arrived_s, ends, 1)[0])
    density = noise_ug(acc_g, facts.fs_hz)
    due = ends[-1] - parts[0].first
    full = FULL * facts.range_g if facts.range_g else np.inf
    return Measured(
        seconds=len(counts) / facts.fs_hz,
        fs_hz=fs_hz,
        packets_per_s=(len(parts) - 1) / float(arrived_s[-1]),
        lost_share=max(0.0, 1 - len(counts) / due),
        noise_ug=(float(density[0]), float(density[1]), float(density[2])),
        band_hz=band_hz(facts.fs_hz),
        smallest_twitch_mg=smallest_twitch_mg(float(np.sqrt(np.mean(np.square(density))))),
        gravity_g=float(np.linalg.norm(acc_g.mean(axis=0))),
        clipped_share=float((np.abs(acc_g) >= full).any(axis=1).mean()),
        stuck_axes=tuple(name for name, column in zip("xyz", counts.T, strict=True) if not np.ptp(column)),
    )


def band_hz(fs_hz: float) -> tuple[float, float]:
    """Return the band in which noise is measured at a sampling rate."""
    high = min(BAND_HZ[1], OF_RATE * fs_hz)
    return min(BAND_HZ[0], high / 2), high


def noise_ug(acc_g: Samples, fs_hz: float) -> npt.NDArray[np.float64]:
    """Return the noise density of each axis, micro-g per square root of Hz.

    Of pieces of a second the median counts, at each frequency: a knock or a turn does not.

    Parameters
    ----------
    acc_g
        Shape (n, 3), g; at least a second.
    """
    n = 1 << round(np.log2(fs_hz))
    window = np.hanning(n + 1)[:-1]
    starts = range(0, len(acc_g) - n + 1, n // 2)
    pieces = np.stack([acc_g[start : start + n] for start in starts])
    pieces = (pieces - pieces.mean(axis=1, keepdims=True)) * window[:, None]
    power = 2 * np.abs(np.fft.rfft(pieces, axis=1)) ** 2 / (fs_hz * np.sum(window**2))
    at_hz = np.fft.rfftfreq(n, 1 / fs_hz)
    low, high = band_hz(fs_hz)
    usual = np.median(power, axis=0)[(at_hz >= low) & (at_hz <= high)] / MEDIAN_OF_POWER
    density: npt.NDArray[np.float64] = 1e6 * np.sqrt(usual.mean(axis=0))
    return density
