"""Accelerometer chips: what each adds to the acceleration that it measures, and how true its clock runs.

Densities are those of science papers' and makers' tables; they differ between tables by up to 1.6 times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadValueError
from firmware_host.simulation.bodies import Grid, Signal
from firmware_host.simulation.parameters import Range

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int16]

Z_FACTOR: Range = (1.0, 2.4)
"""The axis normal to the chip is noisier: PicoQuake gives < 0.5 mg for X, Y and < 1.2 mg for Z (ICM-42688-P);
a still MPU-6050 measured 430, 440 and 700 ug per root Hz."""
SPECIMEN_DENSITY: Range = (0.9, 1.15)
"""One specimen against the table (assumption)."""
CORNER_HZ: Range = (0.1, 1.0)
"""Below it the noise rises as 1/f (assumption)."""
SCALE_ERROR: Range = (-0.05, 0.05)
"""Sensitivity without calibration (assumption, of the order of the makers' tolerances)."""
OFFSET_MG: Range = (-30.0, 30.0)
"""Zero-g level (assumption, as above)."""
DRIFT_MG_PER_K: Range = (0.2, 1.0)
"""Zero-g level over temperature (assumption, as above); of either sign."""
CLOCK_ERROR: dict[str, Range] = {"rc": (-0.06, 0.06), "crystal": (-50e-6, 50e-6)}
"""RC clocks: nominal 400 Hz measured 379 Hz (RuuviTag, LIS2DH12); crystals +-20 ppm and more with age."""
CLOCK_PER_K: dict[str, Range] = {"rc": (-200e-6, 200e-6), "crystal": (-1e-6, 1e-6)}
"""Change of the rate with temperature (assumption; that RC clocks drift was measured on a RuuviTag)."""
WARMING_K: Range = (5.0, 12.0)
"""From the bedside to the skin (assumption)."""
WARMING_S: Range = (240.0, 1200.0)
WANDER_K = 0.6
"""Slow change under the blanket, standard deviation over about a quarter of an hour (assumption)."""
KNOT_S = 30.0
"""Temperature, and with it rate and zero level, is straight between two such steps."""


@dataclass(frozen=True)
class Chip:
    """A chip as it is set up; the figures are its table's."""

    name: str
    noise_ug_per_sqrt_hz: float
    mg_per_count: float
    range_g: float
    rates_hz: tuple[float, ...]
    """Nominal rates of 45 to 500 Hz that it can be set to."""
    clock: Literal["rc", "crystal"]
    filtered: bool
    """Its low-pass follows the rate; else what is above half the rate folds down into the band."""
    source: str

    def nearest_rate(self, fs_hz: float) -> float:
        """Return the rate that comes closest to one that is asked for."""
        return min(self.rates_hz, key=lambda rate: abs(np.log(rate / fs_hz)))

    def quantisation_ug_per_sqrt_hz(self, fs_hz: float) -> float:
        """Return the density that rounding to counts adds: step / sqrt(12) spread over half the rate."""
        return 1000 * self.mg_per_count / float(np.sqrt(6 * fs_hz))


_ST = (52.0, 104.0, 208.0, 416.0)
_HUNDREDS = (50.0, 100.0, 200.0, 400.0)
_DIVIDED = (50.0, 100.0, 200.0, 500.0)
CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip("ICM-42688-P", 70, 0.061, 2, _DIVIDED, "crystal", True, "PicoQuake specifications"),
        Chip("LSM6DSOX", 70, 0.061, 2, _ST, "rc", True, "bearsnacks sensor notes"),
        Chip("LSM6DSL", 80, 0.061, 2, _ST, "rc", True, "flight controllers' sensor table 2023"),
        Chip("LSM6DS3TR-C", 90, 0.122, 4, _ST, "rc", True, "data sheet, quoted in public code"),
        Chip("LIS2DW12", 90, 0.244, 2, _HUNDREDS, "rc", True, "distributor's data"),
        Chip("LSM6DSO", 110, 0.061, 2, _ST, "rc", True, "flight controllers' sensor table 2023"),
        Chip("BMI270", 160, 0.061, 2, _HUNDREDS, "rc", True, "Luxonis documentation"),
        Chip("BMI160", 180, 0.122, 4, _HUNDREDS, "rc", True, "flight controllers' sensor table 2023"),
        Chip("LIS2DH12", 220, 1.0, 2, _HUNDREDS, "rc", False, "RuuviTag vibration firmware documents"),
        Chip("LIS2DH12-8g", 220, 4.0, 8, _HUNDREDS, "rc", False, "the same at 12 bit and +-8 g"),
        Chip("ICM-20948", 230, 0.061, 2, (56.25, 102.27, 225.0), "rc", True, "DS-000189, quoted in code"),
        Chip("ADXL345", 290, 3.9, 16, _HUNDREDS, "rc", True, "Open Movement evidence document (AX3)"),
        Chip("MPU-6500", 300, 0.061, 2, _DIVIDED, "rc", True, "flight controllers' sensor table 2023"),
        Chip("MPU-6050", 400, 0.244, 8, _DIVIDED, "crystal", False, "data sheet; 430 measured when still"),
        Chip("ADXL362", 550, 1.0, 2, _HUNDREDS, "rc", True, "public notes on the ADXL362"),
    )
}
"""Every chip by name, from quiet to noisy."""


def chip_named(name: str) -> Chip:
    """Return the chip of a name.

    Raises
    ------
    BadValueError
        If there is none; the sentence names those that there are.
    """
    if name not in CHIPS:
        raise BadValueError(f"There is no chip {name!r} in the simulator; it knows {', '.join(CHIPS)}.")
    return CHIPS[name]


@dataclass(frozen=True)
class Specimen:
    """One sensor with a chip: what it adds of its own, and its temperature over the night."""

    chip: Chip
    fs_hz: float
    """Its nominal rate."""
    rate_error: float
    rate_per_k: float
    density_ug: Floats  # (3,) ug per root Hz
    corner_hz: float
    scale: Floats  # (3,)
    offset_mg: Floats  # (3,)
    drift_mg_per_k: Floats  # (3,)
    knot_s: Floats
    warmth_k: Floats
    """Temperature at the knots, relative to where it settles."""


@dataclass(frozen=True)
class DriftingGrid(Grid):
    """Sample times of a clock whose rate changes; `fs_hz` is its mean rate."""

    knot_s: Floats
    knot_index: Floats

    def index(self, time_s: Floats | float) -> Floats:
        """Return the (fractional) sample number of times in seconds."""
        return np.asarray(np.interp(np.asarray(time_s, np.float64), self.knot_s, self.knot_index))

    def time_s(self, index: Floats | float) -> Floats:
        """Return the times in seconds of (fractional) sample numbers."""
        return np.asarray(np.interp(np.asarray(index, np.float64), self.knot_index, self.knot_s))


def draw_specimen(rng: np.random.Generator, chip: Chip, fs_hz: float, hours: float) -> Specimen:
    """Draw one sensor with a chip that samples at a nominal rate."""
    knot_s = np.arange(0.0, hours * 3600 + KNOT_S, KNOT_S)
    wander = np.convolve(rng.standard_normal(len(knot_s) + 30), np.hanning(32)[1:-1], "same")[15:-15]
    warmth_k = WANDER_K * wander / np.sqrt(np.square(np.hanning(32)).sum())
    warmth_k -= rng.uniform(*WARMING_K) * np.exp(-knot_s / rng.uniform(*WARMING_S))
    density = np.full(3, chip.noise_ug_per_sqrt_hz * rng.uniform(*SPECIMEN_DENSITY))
    density[2] *= rng.uniform(*Z_FACTOR)
    return Specimen(
        chip,
        fs_hz,
        float(rng.uniform(*CLOCK_ERROR[chip.clock])),
        float(rng.uniform(*CLOCK_PER_K[chip.clock])),
        density,
        float(rng.uniform(*CORNER_HZ)),
        1 + rng.uniform(*SCALE_ERROR, 3),
        rng.uniform(*OFFSET_MG, 3),
        rng.uniform(*DRIFT_MG_PER_K, 3) * rng.choice((-1.0, 1.0), 3),
        knot_s,
        warmth_k,
    )


def grid_of(specimen: Specimen, start_s: float, end_s: float) -> DriftingGrid:
    """Return the sample times of a sensor between two times, sample 0 at `start_s`."""
    settled_hz = specimen.fs_hz * (1 + specimen.rate_error)
    rate_hz = settled_hz * (1 + specimen.rate_per_k * specimen.warmth_k)
    inside = (specimen.knot_s > start_s) & (specimen.knot_s < end_s)
    knot_s = np.concatenate([[start_s], specimen.knot_s[inside], [max(end_s, start_s + 1.0)]])
    at_hz = np.interp(0.5 * (knot_s[1:] + knot_s[:-1]), specimen.knot_s, rate_hz)
    knot_index = np.concatenate([[0.0], np.cumsum(np.diff(knot_s) * at_hz)])
    n = int(knot_index[-1])
    fs_hz = float(knot_index[-1] / (knot_s[-1] - knot_s[0]))
    # An hour to each side, so that what begins before or ends after has its place too.
    knot_s = np.concatenate([[start_s - 3600], knot_s, [knot_s[-1] + 3600]])
    knot_index = np.concatenate([[-3600 * at_hz[0]], knot_index, [knot_index[-1] + 3600 * at_hz[-1]]])
    return DriftingGrid(start_s, fs_hz, n, knot_s, knot_index)


def part_of(grid: Grid, window: slice) -> Grid:
    """Return the grid of some of the samples."""
    start_s, n = float(grid.time_s(float(window.start))), window.stop - window.start
    if isinstance(grid, DriftingGrid):
        return replace(grid, start_s=start_s, n=n, knot_index=grid.knot_index - window.start)
    return replace(grid, start_s=start_s, n=n)


def add_noise_of(rng: np.random.Generator, acc_g: Signal, grid: Grid, specimen: Specimen) -> None:
    """Add a sensor's noise and drift to the acceleration at its place, float32 (n, 3) in g.

    White noise, 1/f noise below its corner, and the zero level with its drift. The signal stays in true g:
    `counts_of` multiplies by the specimen's scale, so what is added here is divided by it.
    """
    sigma_g = (specimen.density_ug * 1e-6 * np.sqrt(grid.fs_hz / 2) / specimen.scale).astype(np.float32)
    for start in range(0, len(acc_g), 1 << 16):
        block = acc_g[start : start + (1 << 16)]
        noise = rng.standard_normal(block.shape, dtype=np.float32)
        noise *= sigma_g
        block += noise
    step = max(1, round(grid.fs_hz / 4))
    coarse = np.arange(-(-grid.n // step) + 1) * step
    at_s = np.asarray(grid.start_s + coarse / grid.fs_hz)
    warmth_k = np.interp(at_s, specimen.knot_s, specimen.warmth_k)
    flicker_g = _flicker(rng, len(coarse), grid.fs_hz / step, specimen.corner_hz)
    flicker_g *= specimen.density_ug[:, None] * 1e-6
    slow_g = flicker_g + (specimen.offset_mg[:, None] + specimen.drift_mg_per_k[:, None] * warmth_k) / 1000
    _add_slow(acc_g, (slow_g / specimen.scale[:, None]).astype(np.float32), step)


def _flicker(rng: np.random.Generator, n: int, fs_hz: float, corner_hz: float) -> Floats:
    """Return (3, n) noise of density sqrt(corner / f), without its mean."""
    size = 1 << max(1, n - 1).bit_length()
    shape = np.fft.rfft(rng.standard_normal((3, size)))
    at_hz = np.fft.rfftfreq(size, 1 / fs_hz)
    shape[:, 1:] *= np.sqrt(corner_hz / at_hz[1:] * fs_hz / 2)
    shape[:, 0] = 0
    return np.asarray(np.fft.irfft(shape, size)[:, :n])


def _add_slow(acc_g: Signal, coarse_g: Signal, step: int) -> None:
    """Add what is given at every `step` samples, (3, m), straight in between."""
    whole = len(acc_g) // step
    part = (np.arange(step, dtype=np.float32) / step)[:, None]
    rows = coarse_g.T
    head = acc_g[: whole * step].reshape(whole, step, 3)
    for start in range(0, whole, 1 << 12):
        stop = min(start + (1 << 12), whole)
        left, right = rows[start:stop, None], rows[start + 1 : stop + 1, None]
        head[start:stop] += left + (right - left) * part
    acc_g[whole * step :] += rows[whole]


def counts_of(acc_g: Signal, specimen: Specimen) -> Counts:
    """Return what the sensor sends, int16 (n, 3); beyond its range it clips."""
    chip = specimen.chip
    top = np.float32(min(32767, round(1000 * chip.range_g / chip.mg_per_count) - 1))
    factor = (specimen.scale * (1000 / chip.mg_per_count)).astype(np.float32)
    counts = np.empty(acc_g.shape, np.int16)
    for start in range(0, len(acc_g), 1 << 16):
        block = np.rint(acc_g[start : start + (1 << 16)] * factor)
        counts[start : start + (1 << 16)] = np.clip(block, -top - 1, top)
    return counts
