"""Motor units: the shape of a twitch at the skin, when units fire, and what of it is the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host.simulation.parameters import MIX_PER_MIN, Parameters, Range
from firmware_host.simulation.shapes import FINE_HZ as FINE_HZ
from firmware_host.simulation.shapes import SHAPE_S, SHAPES, Tissue
from firmware_host.twitches import MERGE_S

Floats = npt.NDArray[np.float64]
PAD_S = 0.3
_BAND = signal.butter(2, (3.0, 45.0), "bandpass", fs=FINE_HZ, output="sos")
_FADE = np.clip(np.arange(round(SHAPE_S * FINE_HZ))[::-1] / FINE_HZ / 0.2, 0, 1)


@dataclass(frozen=True)
class Unit:
    """One motor unit under one sensor: its shape in g at `FINE_HZ` along its direction, and how it fires."""

    shape_g: Floats
    band_mg: Floats  # the shape in 3-45 Hz, zero phase, from PAD_S before its start to PAD_S after its end
    direction: Floats
    family: str
    variation: float  # spread of its amplitude from firing to firing
    neuronal: bool  # fires in runs; else single firings, some units in doublets
    doublets: bool

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


def draw_units(
    rng: np.random.Generator, p: Parameters, families: Sequence[str], units: int | None = None
) -> tuple[Unit, ...]:
    """Draw the motor units under one sensor; tissue and skin normal are the site's, all else the unit's."""
    tissue = Tissue(
        rng.uniform(*p.resonance_hz), rng.uniform(*p.resonance_damping), rng.uniform(*p.resonance_share)
    )
    normal = direction(rng)
    polyphasic = rng.uniform(*p.polyphasic_share)
    weights = np.array([{"polyphasic": polyphasic, "slow": p.slow_share}.get(name, 0.0) for name in families])
    plain = weights == 0
    weights[plain] = (1 - weights.sum()) / max(1, plain.sum())
    count = units or int(rng.integers(*p.units_per_site))
    names = rng.choice(families, count, p=weights / weights.sum())
    return tuple(_draw_unit(rng, p, tissue, normal, str(name)) for name in names)


def _draw_unit(rng: np.random.Generator, p: Parameters, tissue: Tissue, normal: Floats, name: str) -> Unit:
    form = SHAPES[name].draw(rng, tissue) * _FADE
    band = _in_band(form)
    drawn_mg = rng.lognormal(np.log(p.amplitude_median_mg), p.amplitude_sigma_ln)
    scale = float(np.clip(drawn_mg, *p.amplitude_limits_mg)) / float(np.ptp(band))
    along = normal + p.aside * rng.standard_normal(3)
    neuronal = bool(rng.random() > p.axonal_share)
    doublets = bool(not neuronal and rng.random() < p.doublet_unit_share)
    return Unit(form * scale / 1000, band * scale, along / np.linalg.norm(along), name,
                rng.uniform(*p.amplitude_cv_within_unit), neuronal, doublets)  # fmt: skip


def _in_band(shape: Floats) -> Floats:
    pad = round(PAD_S * FINE_HZ)
    return np.asarray(signal.sosfiltfilt(_BAND, np.pad(shape, pad)))


def site_rates(rng: np.random.Generator, profile: str, places: Sequence[str]) -> Floats:
    """Draw the mean rate of each site, per minute; `places` are sites without side, as `calf`.

    Levels are those of published series, none of them overnight: many - lognormal around 20 with quartiles
    8-50 (Bashford 2019); few - calf and foot 2-6, elsewhere 0.2-1; quiet - 0.05-0.5 (inferred from ratios in
    Bashford 2020 and from 25 an hour in healthy sleepers, Frauscher 2014).
    """
    n = len(places)
    if profile == "mix":
        return np.resize(MIX_PER_MIN, n)
    if profile == "many":
        return np.asarray(np.clip(rng.lognormal(np.log(20), 1.36, n), 0.5, 100.0))
    part = rng.random(n)
    if profile == "quiet":
        return np.asarray(0.05 * 10**part)
    often = np.isin(places, ["calf", "foot", "sole"])
    return np.asarray(np.where(often, 2.0 * 3**part, 0.2 * 5**part))


def draw_firings(
    rng: np.random.Generator, p: Parameters, units: tuple[Unit, ...], rate_per_min: float, hours: float
) -> Firings:
    """Draw when each unit fires at a slowly changing rate; axonal units singly, neuronal ones in runs."""
    weights = rng.dirichlet(np.ones(len(units)))
    seeds = rng.integers(1 << 62, size=len(units))
    drawn = [
        _fire(np.random.default_rng(seed), p, unit, rate_per_min * 60 * hours * share, hours * 3600)
        for unit, share, seed in zip(units, weights, seeds, strict=True)
    ]
    start_s = np.concatenate(drawn)
    number = np.repeat(np.arange(len(units)), [len(times) for times in drawn])
    spread = np.array([unit.variation for unit in units])[number]
    gain = np.clip(1 + spread * rng.standard_normal(len(start_s)), 0.4, 1.6)
    order = np.argsort(start_s, kind="stable")
    return Firings(start_s[order], gain[order], number[order])


def _fire(rng: np.random.Generator, p: Parameters, unit: Unit, expected: float, duration_s: float) -> Floats:
    """Return the times of one unit's firings, `expected` of them on average."""
    run = 1 + p.run_share * (sum(p.run_lengths) - 1) / 2 if unit.neuronal else 1.0
    extra = (1 + p.late_pair_share) * (1 + p.doublet_share * unit.doublets)
    cv = rng.uniform(*p.rate_cv)
    spans = max(1, round(duration_s / log_span(rng, p)))
    trend = rng.uniform(-p.trend, p.trend)
    activity = rng.gamma(1 / cv**2, cv**2, spans) * (1 + trend * (2 * (np.arange(spans) + 0.5) / spans - 1))
    counts = rng.poisson(expected / run / extra * activity / spans)
    first = (np.repeat(np.arange(spans), counts) + rng.random(counts.sum())) * duration_s / spans
    times = [first]
    if unit.neuronal:
        starts = first[rng.random(len(first)) < p.run_share]
        more = rng.integers(*p.run_lengths, size=len(starts))
        steps = rng.normal(p.run_interval_s, p.run_interval_sd_s, (len(starts), p.run_lengths[1]))
        reached = starts[:, None] + np.cumsum(steps, axis=1)
        times.append(reached[np.arange(p.run_lengths[1]) < more[:, None]])
    if unit.doublets:
        pairs = first[rng.random(len(first)) < p.doublet_share]
        times.append(pairs + rng.uniform(*p.doublet_s, len(pairs)))
    late = first[rng.random(len(first)) < p.late_pair_share]
    times.append(late + rng.uniform(*p.late_pair_s, len(late)))
    every = np.sort(np.concatenate(times))
    refractory = rng.uniform(*p.neuronal_refractory_s) if unit.neuronal else p.axonal_refractory_s
    return every[np.diff(every, prepend=-np.inf) >= refractory]


def with_shared(
    rng: np.random.Generator, p: Parameters, own: Firings, others: Firings, units: tuple[Unit, ...]
) -> Firings:
    """Return a second sensor's firings, of which a share comes together with those of its muscle's first.

    The share of its own gives way to as many of the others; each of the first sensor's units stands for one
    of the second's.
    """
    share = rng.uniform(*p.same_muscle_share)
    stays, comes = rng.random(len(own.start_s)) >= share, rng.random(len(others.start_s)) < share
    late_s = rng.uniform(*p.same_muscle_s, int(comes.sum()))
    start_s = np.concatenate([own.start_s[stays], others.start_s[comes] + late_s])
    gain = np.concatenate([own.gain[stays], others.gain[comes]])
    unit = np.concatenate([own.unit[stays], others.unit[comes] % len(units)])
    order = np.argsort(start_s, kind="stable")
    return Firings(start_s[order], gain[order], unit[order])


def log_span(rng: np.random.Generator, p: Parameters) -> float:
    """Draw over how long (s) a unit's rate stays the same."""
    low, high = p.rate_span_s
    return float(low * (high / low) ** rng.random())


def without(firings: Firings, span_s: Range) -> Firings:
    """Return the firings without those of the twitches that touch a span of time."""
    keep = (firings.start_s + SHAPE_S < span_s[0]) | (firings.start_s >= span_s[1])
    return Firings(firings.start_s[keep], firings.gain[keep], firings.unit[keep])


def truth_of(
    firings: Firings, units: tuple[Unit, ...]
) -> tuple[Floats, Floats, Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return peak time (s), peak-to-peak (mg), energy (mg^2 s), unit and number of firings of every event.

    The peak is the maximum of the zero-phase 3-45 Hz norm; what lies closer than `MERGE_S` is one event and
    counts for the unit of its strongest firing.
    """
    alone = np.array([_alone(unit) for unit in units])[firings.unit].reshape(-1, 3)
    values = np.stack([firings.start_s + alone[:, 0], firings.gain * alone[:, 1],
                       firings.gain**2 * alone[:, 2], firings.unit], axis=1)  # fmt: skip
    order = np.argsort(values[:, 0], kind="stable")
    members: list[tuple[int, ...]] = [(int(one),) for one in order]
    values = values[order]
    while len(close := np.flatnonzero(np.diff(values[:, 0]) < MERGE_S)):
        # What is close is one chain after another: from the first of a chain to one after its last.
        ends = np.flatnonzero(np.diff(close, append=close[-1] + 2) > 1)
        lefts = close[np.concatenate([[0], ends[:-1] + 1])]
        gone = np.zeros(len(values), bool)
        for left, right in zip(lefts.tolist(), (close[ends] + 1).tolist(), strict=True):
            members[left] = tuple(one for some in members[left : right + 1] for one in some)
            values[left] = _event(firings, units, np.array(members[left]))
            gone[left + 1 : right + 1] = True
        kept = np.flatnonzero(~gone)
        kept = kept[np.argsort(values[kept, 0], kind="stable")]
        values, members = values[kept], [members[one] for one in kept.tolist()]
    counts = np.array([len(one) for one in members], np.int64)
    return values[:, 0], values[:, 1], values[:, 2], values[:, 3].astype(np.int64), counts


def _alone(unit: Unit) -> tuple[float, float, float]:
    """Return a unit's time to peak (s), peak-to-peak (mg) and energy (mg^2 s) when it fires alone."""
    return unit.peak_s, float(np.ptp(unit.band_mg)), float(np.square(unit.band_mg).sum() / FINE_HZ)


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
