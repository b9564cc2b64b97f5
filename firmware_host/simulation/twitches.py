"""Motor units: the shape of a twitch at the skin, when units fire, and what of it is the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host.simulation.parameters import Parameters, Range
from firmware_host.twitches import MERGE_S

Floats = npt.NDArray[np.float64]
FINE_HZ = 1600.0
"""Rate at which shapes are made, before a sensor samples them."""
SHAPE_S = 1.2
PAD_S = 0.3
_BAND = signal.butter(2, (3.0, 45.0), "bandpass", fs=FINE_HZ, output="sos")


@dataclass(frozen=True)
class Unit:
    """One motor unit under one sensor: its shape in g at `FINE_HZ` along its direction, and how it fires."""

    shape_g: Floats
    band_mg: Floats  # the shape in 3-45 Hz, zero phase, from PAD_S before its start to PAD_S after its end
    direction: Floats
    in_runs: bool

    @property
    def peak_s(self) -> float:
        """Time from the start of the twitch to the maximum of its 3-45 Hz signal."""
        return float(np.argmax(np.abs(self.band_mg))) / FINE_HZ - PAD_S


@dataclass(frozen=True)
class Firings:
    """Every single firing of a site in order of time: start (s), gain and number of its unit."""

    start_s: Floats
    gain: Floats
    unit: npt.NDArray[np.int64]


def direction(rng: np.random.Generator) -> Floats:
    """Draw a random unit vector, float64 (3,)."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)


def draw_units(rng: np.random.Generator, p: Parameters) -> tuple[Unit, ...]:
    """Draw the motor units under one sensor; tissue resonance is the site's, all else the unit's own."""
    tissue = (
        rng.uniform(*p.resonance_hz),
        rng.uniform(*p.resonance_damping),
        rng.uniform(*p.resonance_share),
    )
    return tuple(_draw_unit(rng, p, tissue) for _ in range(int(rng.integers(*p.units_per_site))))


def _draw_unit(rng: np.random.Generator, p: Parameters, tissue: tuple[float, float, float]) -> Unit:
    rise_s = float(np.clip(rng.lognormal(np.log(p.rise_median_s), p.rise_sigma_ln), *p.rise_limits_s))
    shape = twitch_shape(rise_s, int(rng.choice(p.gamma_orders)), rng.uniform(*p.decay_stretch), *tissue)
    drawn_mg = rng.lognormal(np.log(p.amplitude_median_mg), p.amplitude_sigma_ln)
    band = _in_band(shape)
    scale = float(np.clip(drawn_mg, *p.amplitude_limits_mg)) / float(np.ptp(band))
    return Unit(shape * scale / 1000, band * scale, direction(rng), bool(rng.random() < p.run_unit_share))


def twitch_shape(
    rise_s: float, order: int, stretch: float, resonance_hz: float, damping: float, share: float
) -> Floats:
    """Return the skin's acceleration in a twitch, float64 at `FINE_HZ`, arbitrary scale.

    The displacement is a gamma twitch (t/tp)^n exp(n (1 - t/tp)), n >= 3 so that its acceleration starts at
    zero; its time runs slower by `stretch` once the peak is passed. `share` of it goes through the ringing of
    the tissue, a resonance of second order.
    """
    t = np.arange(round(SHAPE_S * FINE_HZ)) / FINE_HZ
    late = 0.5 * (1 + np.tanh((t - rise_s) / (0.3 * rise_s)))
    own_time = np.cumsum(1 + (1 / stretch - 1) * late) / FINE_HZ / rise_s
    acceleration = np.gradient(np.gradient(own_time**order * np.exp(order * (1 - own_time)), t), t)
    omega = 2 * np.pi * resonance_hz
    ringing = signal.lfilter(
        *signal.bilinear([omega**2], [1.0, 2 * damping * omega, omega**2], FINE_HZ), acceleration
    )
    fade = np.clip((SHAPE_S - t) / 0.2, 0, 1)
    return np.asarray(fade * ((1 - share) * acceleration + share * ringing))


def _in_band(shape: Floats) -> Floats:
    pad = round(PAD_S * FINE_HZ)
    return np.asarray(signal.sosfiltfilt(_BAND, np.pad(shape, pad)))


def draw_firings(
    rng: np.random.Generator, p: Parameters, units: tuple[Unit, ...], rate_per_min: float, hours: float
) -> Firings:
    """Draw when each unit fires: Poisson with a slowly changing rate, with doublets and runs."""
    weights = rng.dirichlet(np.ones(len(units)))
    drawn = [_fire(rng, p, unit.in_runs, rate_per_min * 60 * hours * share, hours * 3600)
             for unit, share in zip(units, weights, strict=True)]  # fmt: skip
    start_s = np.concatenate(drawn)
    unit = np.repeat(np.arange(len(units)), [len(times) for times in drawn])
    gain = np.clip(rng.normal(1.0, p.amplitude_cv_within_unit, len(start_s)), 0.5, 1.5)
    order = np.argsort(start_s, kind="stable")
    return Firings(start_s[order], gain[order], unit[order])


def _fire(
    rng: np.random.Generator, p: Parameters, in_runs: bool, expected: float, duration_s: float
) -> Floats:
    spans = max(1, round(duration_s / 600))
    activity = rng.gamma(1 / p.rate_cv**2, p.rate_cv**2, spans) * np.linspace(
        rng.uniform(0.5, 1.5), rng.uniform(0.5, 1.5), spans
    )
    counts = rng.poisson(expected * activity / spans)
    first = (np.repeat(np.arange(spans), counts) + rng.random(counts.sum())) * duration_s / spans
    doublet = first[rng.random(len(first)) < p.doublet_share]
    times = [first, doublet + rng.uniform(*p.doublet_s, len(doublet))]
    if in_runs:
        for start in first[rng.random(len(first)) < p.run_share]:
            more = int(rng.integers(*p.run_lengths))
            times.append(start + np.cumsum(rng.uniform(*p.run_interval_s, more)))
    return np.concatenate(times)


def without(firings: Firings, span_s: Range) -> Firings:
    """Return the firings without those of the twitches that touch a span of time."""
    keep = (firings.start_s + SHAPE_S < span_s[0]) | (firings.start_s >= span_s[1])
    return Firings(firings.start_s[keep], firings.gain[keep], firings.unit[keep])


def truth_of(
    firings: Firings, units: tuple[Unit, ...]
) -> tuple[Floats, Floats, Floats, npt.NDArray[np.int64]]:
    """Return peak time (s), peak-to-peak (mg), energy (mg^2 s) and unit of every event, in order of time.

    The peak is the maximum of the zero-phase 3-45 Hz norm; what lies closer than `MERGE_S` is one event and
    counts for the unit of its strongest firing.
    """
    peak = firings.start_s + np.array([unit.peak_s for unit in units])[firings.unit]
    order = np.argsort(peak, kind="stable")
    peak, members = peak[order], [np.array([one]) for one in order]
    values = [_event(firings, units, one) for one in members]
    while len(close := np.flatnonzero(np.diff(peak) < MERGE_S)):
        for left in close[::-1]:
            members[left : left + 2] = [np.concatenate(members[left : left + 2])]
            values[left : left + 2] = [_event(firings, units, members[left])]
        ranked = np.argsort([value[0] for value in values], kind="stable")
        members, values = [members[i] for i in ranked], [values[i] for i in ranked]
        peak = np.array([value[0] for value in values])
    times, sizes, energies = np.array([value[:3] for value in values]).reshape(-1, 3).T
    strongest = np.array([value[3] for value in values], np.int64)
    return times, sizes, energies, strongest


def _event(
    firings: Firings, units: tuple[Unit, ...], members: npt.NDArray[np.int64]
) -> tuple[float, float, float, int]:
    """Return peak time, peak-to-peak along the main direction, energy and main unit of one event."""
    first = float(firings.start_s[members].min())
    shifts = np.round((firings.start_s[members] - first) * FINE_HZ).astype(int)
    total = np.zeros((len(units[0].band_mg) + int(shifts.max()), 3))
    sizes = []
    for shift, member in zip(shifts, members, strict=True):
        unit, gain = units[firings.unit[member]], firings.gain[member]
        total[shift : shift + len(unit.band_mg)] += gain * unit.band_mg[:, None] * unit.direction
        sizes.append(gain * np.ptp(unit.band_mg))
    squared = np.einsum("ij,ij->i", total, total)
    main = np.linalg.eigh(total.T @ total)[1][:, -1]
    peak_s = first + int(np.argmax(squared)) / FINE_HZ - PAD_S
    strongest = int(firings.unit[members[int(np.argmax(sizes))]])
    return peak_s, float(np.ptp(total @ main)), float(squared.sum() / FINE_HZ), strongest
