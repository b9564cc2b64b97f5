"""How a chest's recording is measured: beats, their size, band and sameness, and brief transients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

FS_HZ = 100.0
_BAND = signal.butter(4, (5, 45), "bandpass", fs=FS_HZ, output="sos")


@dataclass(frozen=True)
class Beats:
    """What one recording of about 100 s at rest measures; NaN where no beat could be followed."""

    periodicity: float  # largest autocorrelation of the envelope at lags of 0.45-1.5 s
    per_min: float
    size_mg: float  # peak to peak of the usual beat along its main direction
    size_varies: float  # standard deviation over mean
    likeness: float  # median correlation of a beat with the mean beat
    likeness_low: float  # the tenth percentile of it
    interval_varies: float
    linearity: float  # share of a beat's power in its own main direction
    half_hz: float  # half of the mean beat's power lies below
    most_hz: float  # 90 % of it
    transients_per_h: float


def in_band(acc_g: np.ndarray) -> np.ndarray:
    """Return the 5-45 Hz signal in mg without its first and last 5 s; 100 Hz."""
    return np.asarray(signal.sosfiltfilt(_BAND, 1000 * acc_g.astype(float), axis=0)[500:-500])


def measure(acc_g: np.ndarray) -> Beats:
    """Measure a recording, (n, 3) in g at 100 Hz."""
    band = in_band(acc_g)
    norm = np.linalg.norm(band, axis=1)
    envelope = signal.sosfiltfilt(signal.butter(2, 4, fs=FS_HZ, output="sos"), np.log(norm + 0.5))
    envelope -= signal.sosfiltfilt(signal.butter(1, 0.3, fs=FS_HZ, output="sos"), envelope)
    again = signal.correlate(envelope, envelope)[len(envelope) - 1 :]
    lag = 45 + int(np.argmax(again[45:150]))
    periodicity = float(again[lag] / again[0])
    at = _follow(band, envelope, lag)
    if periodicity < 0.3 or len(at) < 8:
        unknown = [np.nan] * 9
        return Beats(periodicity, *unknown, *[transients_per_h(band)])
    reach = min(45, int(0.45 * lag))
    beats = np.stack([band[p - reach : p + reach] for p in at])
    mean = beats.mean(axis=0)
    main = np.linalg.eigh(np.einsum("nij,nik->jk", beats, beats))[1][:, -1]
    size = np.ptp(beats @ main, axis=1)
    like = np.einsum("nij,ij->n", beats, mean) / np.sqrt(np.square(beats).sum((1, 2)) * np.square(mean).sum())
    steps = np.diff(at)
    steps = steps[np.abs(steps / np.median(steps) - 1) < 0.5]
    own = np.linalg.eigvalsh(np.einsum("nij,nik->njk", beats, beats))
    power = np.square(np.abs(np.fft.rfft(mean, 1024, axis=0))).sum(axis=1).cumsum()
    hz = np.arange(len(power)) * FS_HZ / 1024
    return Beats(
        periodicity, 60 * FS_HZ / lag, float(np.median(size)), float(size.std() / size.mean()),
        float(np.median(like)), float(np.percentile(like, 10)), float(steps.std() / steps.mean()),
        float(np.median(own[:, -1] / own.sum(axis=1))), float(hz[np.searchsorted(power, 0.5 * power[-1])]),
        float(hz[np.searchsorted(power, 0.9 * power[-1])]), transients_per_h(band),
    )  # fmt: skip


def _follow(band: np.ndarray, envelope: np.ndarray, lag: int) -> np.ndarray:
    """Return the sample of each beat: peaks of the envelope, then aligned to the mean beat."""
    reach = min(45, int(0.45 * lag))
    power = signal.convolve(np.square(band).sum(axis=1), np.ones(100) / 100, "same")
    at = signal.find_peaks(envelope, distance=int(0.6 * lag), prominence=0.3)[0]
    at = at[np.sqrt(power[at]) < 3 * np.sqrt(np.median(power))]
    for turn in range(4):
        at = at[(at > reach + 10) & (at < len(band) - reach - 10)]
        if len(at) < 8:
            return np.asarray(at)
        beats = np.stack([band[p - reach : p + reach] for p in at])
        pattern = np.median(beats, axis=0) if turn else beats[len(beats) // 2]
        fit = sum(signal.correlate(band[:, axis], pattern[:, axis], "valid") for axis in range(3))
        total = np.concatenate([[0], np.square(band).sum(axis=1).cumsum()])
        fit /= np.sqrt(total[2 * reach :] - total[: -2 * reach])
        shifts = np.arange(-10, 11)
        at = at + shifts[np.argmax(fit[at[:, None] - reach + shifts], axis=1)]
    return np.asarray(at[(at > reach) & (at < len(band) - reach)])


def transients_per_h(band_mg: np.ndarray) -> float:
    """Return how often any axis exceeds 5 robust sigma for less than 0.2 s, bursts within 60 ms as one."""
    sigma = 1.4826 * np.median(np.abs(band_mg - np.median(band_mg, axis=0)), axis=0)
    over = np.any(np.abs(band_mg) > 5 * sigma, axis=1)
    at = np.flatnonzero(over)
    if not len(at):
        return 0.0
    edges = np.flatnonzero(np.diff(at) > 6) + 1
    starts, ends = at[np.r_[0, edges]], at[np.r_[edges - 1, len(at) - 1]]
    return float(np.sum(ends - starts < 20) / len(band_mg) * FS_HZ * 3600)
