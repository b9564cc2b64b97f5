"""Print the simulated figures of the plain model's card: `python benchmarks/plain_card.py` (a minute of CPU).

White noise of 0.1 mg/sqrt(Hz) at 100 Hz throughout; everything seeded.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy import stats

from firmware_host.detection import Model, SiteDetector, model_from_dict
from firmware_host.detection.signals import make_plan, twitch_acceleration

FS_HZ = 100.0
DENSITY = 0.1
MODEL = Path(__file__).parents[1] / "models" / "plain" / "model.json"
POINTS = ("specific", "balanced", "sensitive")
# Where Rice's rate of a chi-3 process with the spectrum of a 50 ms twitch is 0.1 an hour.
BOUND_U = 5.92


def noise(rng: np.random.Generator, n: int, z_axis: float = 1.0) -> np.ndarray:
    """Return (n, 3) of white noise and gravity in g."""
    spread = np.float32([1, 1, z_axis]) * np.float32(DENSITY * 1e-3 * np.sqrt(FS_HZ / 2))
    return rng.standard_normal((n, 3), np.float32) * spread + np.float32([0, 0, 1])


def false_alarms_per_h(model: Model, hours: int, z_axis: float) -> dict[str, float]:
    """Return the events an hour in noise for each operating point."""
    rng, detector = np.random.default_rng(100 + int(10 * z_axis)), SiteDetector(FS_HZ, model.lowest_score)
    block = int(600 * FS_HZ)
    for number in range(hours * 6):
        detector.push(number * block, noise(rng, block, z_axis))
    found = detector.finish().candidates
    return {point: float(model.counted(found, point).sum() / hours) for point in POINTS}


def recall(model: Model, rise_s: float, size_mg: float, count: int = 600) -> dict[str, float]:
    """Return the share of twitches of one shape and size that is found, random directions and phases."""
    rng = np.random.default_rng(int(rise_s * 1e4 + size_mg * 100))
    n = int((count * 1.5 + 10) * FS_HZ)
    acc_g, time_s = noise(rng, n).astype(float), np.arange(n) / FS_HZ
    scale = 1e-3 * size_mg / np.ptp(twitch_acceleration(np.arange(0, 1, 1e-4), rise_s))
    onsets = 3 + 1.5 * np.arange(count) + rng.uniform(0, 0.2, count)
    for onset_s in onsets:
        near = slice(*np.searchsorted(time_s, [onset_s, onset_s + 8 * rise_s]))
        direction = rng.standard_normal(3)
        shape = scale * twitch_acceleration(time_s[near] - onset_s, rise_s)
        acc_g[near] += shape[:, None] * (direction / np.linalg.norm(direction))
    detector = SiteDetector(FS_HZ, model.lowest_score)
    detector.push(0, acc_g)
    found = detector.finish().candidates
    shares = {}
    for point in POINTS:
        peaks = found["peak_index"][model.counted(found, point)] / FS_HZ
        near_truth = (
            np.abs(peaks[:, None] - onsets - rise_s / 2) < 0.15 if len(peaks) else np.zeros((1, count))
        )
        shares[point] = float(near_truth.any(axis=0).mean())
    return shares


def bound_mg(rise_s: float) -> float:
    """Return what a matched filter of known shape finds 9 times in 10, at 0.1 false alarms an hour."""
    needs = np.arange(6.0, 9.0, 0.005)
    need_d = needs[stats.ncx2.sf(BOUND_U**2, 3, needs**2) >= 0.9][0]
    shape = twitch_acceleration(np.arange(0, 1, 1e-3), rise_s)
    spectrum = np.abs(np.fft.rfft(shape / np.ptp(shape), 8000) / 1000) ** 2
    f_hz = np.fft.rfftfreq(8000, 1e-3)
    energy = 2 * np.sum(spectrum[(f_hz > 3) & (f_hz < 0.45 * make_plan(FS_HZ).fs_internal_hz)]) * f_hz[1]
    return float(need_d * DENSITY / np.sqrt(2 * energy))


def a90_over_bound(model: Model, rise_s: float) -> dict[str, float]:
    """Return the amplitude found 9 times in 10, over the bound, for each operating point."""
    steps = np.arange(0.9, 1.41, 0.05)
    shares = [recall(model, rise_s, step * bound_mg(rise_s)) for step in steps]
    return {point: float(np.interp(0.9, [share[point] for share in shares], steps)) for point in POINTS}


def cells_of(row: dict[str, float]) -> str:
    """Return the cells of a table's row."""
    return " | ".join(f"{row[point]:.2f}" for point in POINTS)


if __name__ == "__main__":
    plain = model_from_dict(json.loads(MODEL.read_text(encoding="utf-8")))
    print("| simulated | " + " | ".join(POINTS) + " |\n| --- |" + " ---: |" * len(POINTS))
    for label, ratio in (("alike", 1.0), ("z twice as noisy", 2.0)):
        row = false_alarms_per_h(plain, 100, ratio)
        print(f"| events an hour in 100 h of noise, axes {label} | {cells_of(row)} |")
    for rise in (0.03, 0.05, 0.08, 0.12):
        title = f"A90 over the bound of {bound_mg(rise):.1f} mg, rise {rise * 1e3:.0f} ms"
        print(f"| {title} | {cells_of(a90_over_bound(plain, rise))} |")
