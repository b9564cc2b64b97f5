"""CPU time of the detector beside plain scipy on the same array, and that it grows with the hours alone.

`python benchmarks/detector.py [HOURS]`; the benchmark of the whole job calls `growth`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from firmware_host.detection import Model, detect_stretch, model_from_dict
from firmware_host.detection.signals import twitch_acceleration

FS_HZ = 200.0
CHUNK = 60_000
MODEL = Path(__file__).parents[1] / "models" / "plain" / "model.json"
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """Best CPU seconds of both on one array, their ratio, and the candidates that the detector found."""

    hours: float
    detector_s: float
    plain_s: float
    candidates: int

    @property
    def ratio(self) -> float:
        """Detector over plain scipy."""
        return self.detector_s / self.plain_s


def made_up_site(hours: float, twitches_per_h: float = 375.0, seed: int = 1) -> Samples:
    """Make white noise of 0.1 mg/sqrt(Hz) with gravity and twitches of 20 mg peak-to-peak, (n, 3) in g."""
    rng = np.random.default_rng(seed)
    n = int(hours * 3600 * FS_HZ)
    acc_g = rng.standard_normal((n, 3), np.float32) * np.float32(1e-4 * np.sqrt(FS_HZ / 2))
    acc_g[:, 2] += 1.0
    shape = twitch_acceleration(np.arange(100) / FS_HZ, 0.05)
    shape *= 0.020 / np.ptp(shape)
    for start in rng.integers(0, n - len(shape), int(hours * twitches_per_h)):
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        acc_g[start : start + len(shape)] += (shape[:, None] * direction).astype(np.float32)
    return acc_g


def chunks(acc_g: Samples) -> Iterator[tuple[int, Samples]]:
    """Give the samples as the recording does."""
    for first in range(0, len(acc_g), CHUNK):
        yield first, acc_g[first : first + CHUNK]


def plain_scipy(acc_g: Samples, fs_hz: float = FS_HZ) -> int:
    """Do what a plain script would: zero-phase band-pass, running energy, MAD, maxima."""
    sos = signal.butter(4, [3, 45], "bandpass", fs=fs_hz, output="sos")
    band = signal.sosfiltfilt(sos, acc_g, axis=0)
    energy = ndimage.uniform_filter1d(np.sum(band * band, axis=1), int(0.1 * fs_hz))
    middle = np.median(energy)
    spread = np.median(np.abs(energy - middle))
    peaks, _ = signal.find_peaks(energy, height=middle + 10 * spread, distance=int(0.06 * fs_hz))
    return len(peaks)


def shipped_model() -> Model:
    """Return the plain model."""
    return model_from_dict(json.loads(MODEL.read_text(encoding="utf-8")))


def compare(hours: float = 8.0, repeats: int = 3) -> Comparison:
    """Measure the detector and plain scipy in turn on one array in this process; the best of each counts."""
    acc_g, model = made_up_site(hours), shipped_model()
    found = detect_stretch(chunks(acc_g[:CHUNK]), CHUNK, FS_HZ, model.lowest_score)
    detector_s, plain_s = [], []
    for _ in range(repeats):
        start = time.process_time()
        found = detect_stretch(chunks(acc_g), len(acc_g), FS_HZ, model.lowest_score)
        detector_s.append(time.process_time() - start)
        plain_s.append(cpu_of(lambda: plain_scipy(acc_g)))
    return Comparison(hours, min(detector_s), min(plain_s), len(found.candidates))


def cpu_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def growth(short_h: float = 2.0, long_h: float = 8.0) -> float:
    """Return CPU an hour of the long recording over that of the short one: 1 where time is linear."""
    model = shipped_model()
    per_hour = []
    for hours in (short_h, long_h):
        acc_g = made_up_site(hours)
        best = min(
            cpu_of(lambda x=acc_g: detect_stretch(chunks(x), len(x), FS_HZ, model.lowest_score))
            for _ in range(2)
        )
        per_hour.append(best / hours)
    return per_hour[1] / per_hour[0]


if __name__ == "__main__":
    result = compare(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0)
    print(
        f"{result.hours:g} h x {FS_HZ:g} Hz x 3 axes: detector {result.detector_s:.2f} s CPU "
        f"({result.candidates} candidates), plain scipy {result.plain_s:.2f} s, ratio {result.ratio:.2f}"
    )
    print(f"CPU an hour, 8 h over 2 h: {growth():.2f}")
