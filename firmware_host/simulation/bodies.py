"""The body under the sensors: one sleeper with heart, breath and sleep; gravity and shapes at each site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host.simulation.parameters import Parameters, Range
from firmware_host.simulation.twitches import FINE_HZ, Firings, Floats, Unit, direction

Signal = npt.NDArray[np.float32]
PHASES = 16
"""A shape may start at this many places between two samples."""


@dataclass(frozen=True)
class Grid:
    """The sample times of one sensor: sample k is taken at `start_s + k / fs_hz` (the true rate)."""

    start_s: float
    fs_hz: float
    n: int

    def index(self, time_s: Floats | float) -> Floats:
        """Return the (fractional) sample number of times in seconds."""
        return (np.asarray(time_s) - self.start_s) * self.fs_hz

    def time_s(self, index: Floats | float) -> Floats:
        """Return the times in seconds of (fractional) sample numbers."""
        return self.start_s + np.asarray(index) / self.fs_hz

    def window(self, start_s: float, end_s: float) -> slice:
        """Return the samples between two times."""
        return slice(*(int(np.clip(np.ceil(self.index(edge)), 0, self.n)) for edge in (start_s, end_s)))


@dataclass(frozen=True)
class Sleeper:
    """What all sensors of a night share: when the heart beats, how it breathes, when it is awake."""

    beat_s: Floats  # time of every beat
    early: npt.NDArray[np.bool_]  # beats that came too early
    breath_s: Floats  # start of every breath
    awake_s: tuple[Range, ...]  # spans awake, in order

    def is_awake(self, time_s: Floats) -> npt.NDArray[np.bool_]:
        """Tell for each time whether the sleeper is awake."""
        edges = np.array(self.awake_s).ravel()
        return np.asarray(np.searchsorted(edges, time_s, side="right") % 2 == 1)

    def breath_phase(self, time_s: Floats) -> Floats:
        """Return the phase of the breath in whole turns: 2.5 is the middle of the third breath."""
        return np.asarray(np.interp(time_s, self.breath_s, np.arange(len(self.breath_s))))


def draw_sleeper(rng: np.random.Generator, p: Parameters, hours: float) -> Sleeper:
    """Draw the night of one sleeper."""
    duration_s = hours * 3600
    breath_s = _breaths(rng, p, duration_s)
    mean_s = 1 / rng.uniform(*p.heart_hz)
    n = int(1.4 * duration_s / mean_s) + 10
    # Sleep's slow change, a quicker one over ten beats, the breath's own, and chance.
    varies = float(log_uniform(rng, p.heart_variation, 1)[0])
    slow = 0.06 * _smooth_noise(rng, n, 300) + 0.5 * varies * _smooth_noise(rng, n, 10)
    interval_s = mean_s * (1 + slow + 0.3 * varies * rng.standard_normal(n))
    phase = np.interp(np.cumsum(interval_s), breath_s, np.arange(len(breath_s)))
    interval_s *= 1 + 1.1 * varies * np.sin(2 * np.pi * phase)
    rhythm = rng.spawn(1)[0]
    if rhythm.random() < p.irregular_share:
        interval_s *= np.exp(p.irregular * rhythm.standard_normal(n))
    beat_s = np.cumsum(np.maximum(interval_s, 0.35))
    early = rng.random(n) < rng.choice(p.early_beat_shares)
    early[1:] &= ~early[:-1]
    beat_s[early] -= 0.3 * interval_s[early]
    keep = (beat_s > 0) & (beat_s < duration_s)
    return Sleeper(beat_s[keep], early[keep], breath_s, _awake(rng, p, duration_s))


def _breaths(rng: np.random.Generator, p: Parameters, duration_s: float) -> Floats:
    mean_s = 1 / rng.uniform(*p.breath_hz)
    n = int(1.5 * duration_s / mean_s) + 10
    lengths = mean_s * np.exp(_smooth_noise(rng, n, 100) * 0.1 + rng.normal(0, 0.08, n))
    return np.concatenate([[0.0], np.cumsum(lengths)]) - mean_s


def _awake(rng: np.random.Generator, p: Parameters, duration_s: float) -> tuple[Range, ...]:
    """Fall asleep once, wake up some times; together a share of the night."""
    total_s = rng.uniform(*p.awake_share) * duration_s
    first_s = rng.uniform(0.3, 0.6) * total_s
    lengths = rng.dirichlet(np.ones(int(rng.integers(1, 6)))) * (total_s - first_s)
    free = np.sort(rng.uniform(0, duration_s - total_s, len(lengths)))
    starts = first_s + free + np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    spans = [(0.0, first_s), *zip(starts.tolist(), (starts + lengths).tolist(), strict=True)]
    return tuple((float(start), float(end)) for start, end in spans)


def _smooth_noise(rng: np.random.Generator, n: int, scale: int) -> Floats:
    """Return n numbers of unit standard deviation that change over about `scale` of them."""
    knots = rng.standard_normal(n // scale + 4)
    at = np.arange(n) / scale + rng.random()
    return np.asarray(1.2 * np.interp(at, np.arange(len(knots)), knots))


def log_uniform(rng: np.random.Generator, limits: Range, n: int) -> Floats:
    """Draw numbers whose logarithms are evenly spread."""
    return limits[0] * (limits[1] / limits[0]) ** rng.random(n)


def add_pulses(acc_g: Signal, at: Floats, gain: Floats, shape: Floats, along: Floats) -> None:
    """Add a shape (at `PHASES` times the sampling rate) along a direction at fractional sample numbers."""
    table = np.pad(shape, (0, -len(shape) % PHASES)).reshape(-1, PHASES).T.astype(np.float32)
    near = (at > -table.shape[1] - 1) & (at < len(acc_g) + 1)  # of a whole night, where only a minute is made
    at, gain = at[near], gain[near]
    first, phase = np.divmod(-np.rint(at * PHASES).astype(np.int64), PHASES)
    for start in range(0, len(at), 1 << 13):
        some = slice(start, start + (1 << 13))
        index = -first[some, None] + np.arange(table.shape[1])
        values = gain[some, None].astype(np.float32) * table[phase[some]]
        inside = (index >= 0) & (index < len(acc_g))
        for axis in range(3):
            np.add.at(acc_g[:, axis], index[inside], values[inside] * np.float32(along[axis]))


@cache
def low_pass(cut_hz: float, rate_hz: float) -> Floats:
    """Return the low-pass of a chip, second-order sections."""
    return np.asarray(signal.butter(3, cut_hz, fs=rate_hz, output="sos"))


def as_sampled(shape: Floats, fs_hz: float) -> Floats:
    """Bring a shape from `FINE_HZ` to `PHASES` times the sampling rate, low-passed as the chip does it."""
    smooth = signal.sosfiltfilt(low_pass(0.45 * fs_hz, FINE_HZ), shape)
    at = np.arange(int(len(shape) * PHASES * fs_hz / FINE_HZ)) * FINE_HZ / (PHASES * fs_hz)
    return np.asarray(np.interp(at, np.arange(len(shape)), smooth))


def add_twitches(acc_g: Signal, grid: Grid, firings: Firings, units: tuple[Unit, ...]) -> None:
    """Add every firing of a site's units to its signal."""
    for number, unit in enumerate(units):
        own = firings.unit == number
        if not own.any():
            continue
        at = grid.index(firings.start_s[own])
        add_pulses(acc_g, at, firings.gain[own], as_sampled(unit.shape_g, grid.fs_hz), unit.direction)


def gravity(rng: np.random.Generator, grid: Grid, turns: Sequence[tuple[float, float, float]]) -> Signal:
    """Return the gravity vector at one site, float32 (n, 3) in g.

    Parameters
    ----------
    rng
        The site's own; draws the first posture and the axis of every turn.
    grid
        Sample times.
    turns
        Start (s), end (s) and angle (degrees) of each turn, in order of start.
    """
    postures = [direction(rng)]
    for _, _, degrees in turns:
        angle = np.radians(degrees)
        aside = np.cross(postures[-1], direction(rng))
        turned = np.cos(angle) * postures[-1] + np.sin(angle) * aside / np.linalg.norm(aside)
        postures.append(turned / np.linalg.norm(turned))
    windows = [grid.window(start_s, end_s) for start_s, end_s, _ in turns]
    stops = np.maximum.accumulate([0, *(window.stop for window in windows), grid.n])
    acc_g = np.repeat(np.array(postures, np.float32), np.diff(stops), axis=0)
    for number, window in enumerate(windows):
        window = slice(max(window.start, int(stops[number])), int(stops[number + 1]))
        part = np.linspace(0, 1, max(0, window.stop - window.start))[:, None]
        between = postures[number] + (0.5 - 0.5 * np.cos(np.pi * part)) * (
            postures[number + 1] - postures[number]
        )
        acc_g[window] = between / np.linalg.norm(between, axis=1, keepdims=True)
    return acc_g
