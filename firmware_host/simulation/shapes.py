"""Families of twitch shapes: what the skin's acceleration looks like when a motor unit fires.

A family is one function with a decorator; no list is edited. It draws a unit's own form and returns the
acceleration along the unit's direction, float64 at `FINE_HZ` from the start of the twitch, in any scale: the
caller scales it to the unit's amplitude and fades its end. It lasts at most `SHAPE_S`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, interpolate, signal

Floats = npt.NDArray[np.float64]
FINE_HZ = 1600.0
"""Rate at which shapes are made, before a sensor samples them."""
SHAPE_S = 1.2
TIME_S = np.arange(round(SHAPE_S * FINE_HZ)) / FINE_HZ
DISPERSED_LATE_S = 0.08
"""What a delay that varies brings forward still begins after the start."""


@dataclass(frozen=True)
class Tissue:
    """The soft tissue under one sensor: it rings after a jolt (Wakeling & Nigg 2001); figures are assumed."""

    resonance_hz: float
    damping: float
    share: float


Draw = Callable[[np.random.Generator, Tissue], Floats]


@dataclass(frozen=True)
class Shape:
    """One family."""

    name: str
    draw: Draw
    held_out: bool


SHAPES: dict[str, Shape] = {}
"""Every family by name."""


def shape(name: str, *, held_out: bool = False) -> Callable[[Draw], Draw]:
    """Declare a family of shapes; a held-out one is never used in training."""

    def declare(draw: Draw) -> Draw:
        SHAPES[name] = Shape(name, draw, held_out)
        return draw

    return declare


def draw_rise_s(rng: np.random.Generator) -> float:
    """Draw a time to peak: 30-120 ms around 60 (single units 35-98 ms, Sica & McComas 1971), fast and slow
    ones often enough that a model learns both ends.
    """
    return float(np.clip(rng.lognormal(np.log(0.060), 0.5), 0.030, 0.120))


def accelerated(displacement: Floats) -> Floats:
    """Return the second derivative in time."""
    return np.asarray(np.gradient(np.gradient(displacement, TIME_S), TIME_S))


def through_tissue(acceleration: Floats, tissue: Tissue) -> Floats:
    """Send a share of the acceleration through the ringing of the tissue, a resonance of second order."""
    omega = 2 * np.pi * tissue.resonance_hz
    ringing = signal.lfilter(
        *signal.bilinear([omega**2], [1.0, 2 * tissue.damping * omega, omega**2], FINE_HZ), acceleration
    )
    return np.asarray((1 - tissue.share) * acceleration + tissue.share * ringing)


def gamma_twitch(rise_s: float, order: int, stretch: float) -> Floats:
    """Return the acceleration of a gamma twitch (t/tp)^n exp(n (1 - t/tp)), float64 at `FINE_HZ`.

    n >= 3 lets the acceleration start at zero; once the peak is passed time runs slower by `stretch`.
    """
    late = 0.5 * (1 + np.tanh((TIME_S - rise_s) / (0.3 * rise_s)))
    own_time = np.cumsum(1 + (1 / stretch - 1) * late) / FINE_HZ / rise_s
    return accelerated(own_time**order * np.exp(order * (1 - own_time)))


@shape("gamma")
def gamma(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw the plain twitch; order 4 with a rise of 50 ms has the spectrum of an evoked thigh twitch."""
    twitch = gamma_twitch(draw_rise_s(rng), int(rng.integers(3, 6)), rng.uniform(1, 3))
    return through_tissue(twitch, tissue)


@shape("slow")
def slow(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw a slow unit, 100-180 ms to its peak (ultrasound sees 0.1-0.5 s; slow bundles, Buchthal 1970)."""
    twitch = gamma_twitch(rng.uniform(0.100, 0.180), int(rng.integers(3, 6)), rng.uniform(1, 2))
    return through_tissue(twitch, tissue)


@shape("ringing")
def ringing(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw a twitch whose tissue rings on: most of it goes through a weakly damped resonance."""
    soft = Tissue(tissue.resonance_hz, rng.uniform(0.06, 0.2), rng.uniform(0.6, 1.0))
    return through_tissue(gamma_twitch(draw_rise_s(rng), int(rng.integers(3, 6)), rng.uniform(1, 3)), soft)


@shape("polyphasic")
def polyphasic(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw two parts 5-35 ms apart (10.5-22.6 % of potentials, de Carvalho & Swash 2013)."""
    first = gamma_twitch(draw_rise_s(rng), int(rng.integers(3, 6)), rng.uniform(1, 3))
    second = gamma_twitch(draw_rise_s(rng), int(rng.integers(3, 6)), rng.uniform(1, 3))
    second *= rng.uniform(0.4, 1.2) * rng.choice([1, 1, -1]) * np.ptp(first) / np.ptp(second)
    late = round(rng.uniform(0.005, 0.035) * FINE_HZ)
    return through_tissue(first + np.pad(second, (late, 0))[: len(first)], tissue)


@shape("dispersed")
def dispersed(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw a twitch on its way through layers that weaken and delay each frequency in their own way.

    Nobody has measured them: size (a factor of 1.5) and phase vary smoothly over octaves at random, so that a
    model learns no formula's form.
    """
    spectrum = fft.rfft(gamma_twitch(draw_rise_s(rng), int(rng.integers(3, 6)), rng.uniform(1, 3)))
    octave = np.log2(np.maximum(fft.rfftfreq(len(TIME_S), 1 / FINE_HZ), 2.0))
    knots = np.arange(1.0, 8.0)
    size, phase = (
        interpolate.pchip_interpolate(knots, rng.normal(0, spread, len(knots)), np.minimum(octave, knots[-1]))
        for spread in (0.4, 0.9)
    )
    late = np.exp(1j * phase - 2j * np.pi * DISPERSED_LATE_S * fft.rfftfreq(len(TIME_S), 1 / FINE_HZ))
    return through_tissue(fft.irfft(spectrum * np.exp(size) * late, len(TIME_S)), tissue)


@shape("raised_cosine", held_out=True)
def raised_cosine(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw a contraction as a raised cosine, then a relaxation that decays exponentially."""
    rise_s, fall_s = draw_rise_s(rng), rng.uniform(0.05, 0.2)
    up = 0.5 - 0.5 * np.cos(np.pi * np.clip(TIME_S / rise_s, 0, 1))
    rest = np.maximum(TIME_S - rise_s, 0) / fall_s
    # Its speed comes up within a quarter of its length.
    down = np.exp(-(rest + 0.25 * np.expm1(-rest / 0.25)))
    soft = signal.butter(2, 60.0, fs=FINE_HZ, output="sos")
    return through_tissue(np.asarray(signal.sosfilt(soft, accelerated(up * down))), tissue)


@shape("two_lobes", held_out=True)
def two_lobes(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw a wave that passes under the sensor: up, then down, on its way along the muscle."""
    width_s, apart_s = rng.uniform(0.010, 0.032), rng.uniform(0.03, 0.09)
    middle_s = 4 * width_s + 0.02
    lobes = np.exp(-0.5 * ((TIME_S - middle_s) / width_s) ** 2)
    other = width_s * rng.uniform(0.9, 1.8)
    lobes -= rng.uniform(0.3, 1.0) * np.exp(-0.5 * ((TIME_S - middle_s - apart_s) / other) ** 2)
    return through_tissue(accelerated(lobes), tissue)


@shape("two_exponentials", held_out=True)
def two_exponentials(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Draw a difference of exponentials behind a tendon that softens its start."""
    fast_s, slow_s = rng.uniform(0.012, 0.030), rng.uniform(0.05, 0.16)
    displacement = np.exp(-TIME_S / slow_s) - np.exp(-TIME_S / fast_s)
    tendon = signal.butter(3, rng.uniform(14, 30), fs=FINE_HZ, output="sos")
    return through_tissue(accelerated(np.asarray(signal.sosfilt(tendon, displacement))), tissue)
