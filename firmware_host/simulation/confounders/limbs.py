"""What muscles do that is no twitch: leg movements in series, jerks, tremor, tension."""

from __future__ import annotations

import zlib

import numpy as np

from firmware_host import body
from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import (
    Canvas,
    Draft,
    Happening,
    Kind,
    confounder,
    events_at,
    legs,
    one_or_two_sites,
    one_site,
    times_in,
)
from firmware_host.simulation.twitches import FINE_HZ, Floats, direction
from firmware_host.simulation.waves import SLOW_HZ, hump, jolt, noise, put, sized

SERIES_LENGTH = (4, 31)
SERIES_INTERVAL_S = (10.0, 90.0)
CORD_M = (0.1, 0.25)
"""Way along the spinal cord from the trunk's segments to those of arms and legs (assumption)."""
SPREAD_M_PER_S = (5.0, 15.0)


def _way(canvas: Canvas, event: Happening) -> Floats:
    """Return a direction that a series' movements share at this site."""
    return direction(np.random.default_rng([int(event.detail), zlib.crc32(canvas.site.encode())]))


def _draw_series(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    if rng.random() >= kind.nights:
        return []
    events: list[Happening] = []
    per_series = (SERIES_LENGTH[0] + SERIES_LENGTH[1] - 1) / 2
    for start_s in times_in(rng, night, kind.per_hour / per_series, "asleep"):
        n = int(rng.integers(*SERIES_LENGTH))
        interval_s = np.clip(
            log_uniform(rng, SERIES_INTERVAL_S, 1) * rng.uniform(0.8, 1.25, n), *SERIES_INTERVAL_S
        )
        feels, series = kind.reach(rng, night), float(rng.integers(1 << 31))
        usual_s, usual_mg = log_uniform(rng, kind.duration_s, 1), log_uniform(rng, kind.size_mg, 1)
        lengths = np.clip(usual_s * rng.uniform(0.6, 1.6, n), *kind.duration_s)
        sizes = np.clip(usual_mg * rng.uniform(0.5, 2.0, n), *kind.size_mg)
        for at_s, length, size in zip(start_s + np.cumsum(interval_s), lengths, sizes, strict=True):
            if at_s + length < night.duration_s:
                events.append(kind.event(rng, at_s, at_s + length, size * feels, detail=series))
    return events


@confounder(
    "leg_movements",
    nights=0.35,
    per_hour=20.0,
    duration_s=(0.5, 4.0),
    size_mg=(10, 500),
    when="asleep",
    reach=legs,
    draw=_draw_series,
    source="WASM 2016: 4 or more, 0.5-10 s, 10-90 s apart; Frauscher 2014: 36 of 100 people",
)
def leg_movements(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Bend foot and leg for a second or so: a jolt at the onset, unsteady tension, a tilt that returns."""
    rng, length = event.rng(), event.end_s - event.start_s
    wave = sized(noise(rng, length, (2.0, 12.0), SLOW_HZ), rng.uniform(0.2, 0.6) * size_mg)
    onset = sized(jolt(rng.uniform(3, 9), rng.uniform(0.15, 0.5), min(0.5, length), SLOW_HZ), size_mg)
    put(onset[:, None] * _way(canvas, event), wave, 0)
    tilt = np.sin(np.radians(rng.uniform(0.5, 6.0))) * hump(length, SLOW_HZ)
    put(tilt[:, None] * _way(canvas, event)[::-1], wave, 0)
    canvas.add(event.start_s, wave, SLOW_HZ)


def _draw_at_onset(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    """Draw one to five jerks in the minutes about falling asleep."""
    if rng.random() >= kind.nights:
        return []
    asleep_s = night.sleeper.awake_s[0][1] if night.sleeper.awake_s else 0.0
    starts = np.sort(asleep_s + rng.normal(0, 240, int(rng.integers(1, 6))))
    return events_at(rng, night, kind, starts[(starts > 5) & (starts < night.duration_s - 5)])


@confounder(
    "hypnic_jerk",
    nights=0.65,
    per_hour=0.35,
    duration_s=(0.075, 0.25),
    size_mg=(30, 500),
    draw=_draw_at_onset,
    source="75-250 ms, several segments, 60-70 % of people; 1-5 a night (assumption)",
)
def hypnic_jerk(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """All of the body starts within 50 ms, each place with its own swing."""
    rng, length = canvas.rng(event), event.end_s - event.start_s
    way = direction(rng)
    wave = jolt(0.8 / length, rng.uniform(0.1, 0.4), 4 * length + 0.1)
    canvas.add(event.start_s + rng.uniform(0, 0.04), sized(wave, size_mg), along=way)


@confounder(
    "axial_jerk",
    nights=0.08,
    per_hour=3.0,
    duration_s=(0.2, 2.0),
    size_mg=(20, 300),
    source="propriospinal: 0.2-2 s, spreads at 5-15 m/s; how often is an assumption",
)
def axial_jerk(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Bend the trunk in one or several jerks, which reach the limbs along the cord up to 50 ms later."""
    rng, length = event.rng(), event.end_s - event.start_s
    own = canvas.rng(event)
    count = 1 + int(rng.integers(0, 1 + int(length / 0.3)))
    wave = np.zeros(round(length * FINE_HZ))
    for at in [0.0, *rng.uniform(0, 0.7 * length, count - 1)]:
        put(rng.uniform(0.4, 1) * jolt(rng.uniform(3, 8), 0.35, 0.4), wave, round(at * FINE_HZ))
    far_m = 0.0 if canvas.region == "thoracic" else own.uniform(*CORD_M)
    late_s = far_m / rng.uniform(*SPREAD_M_PER_S)
    canvas.add(event.start_s + late_s, sized(wave, size_mg), along=canvas.direction(event))


def _arms(rng: np.random.Generator, night: Draft) -> Floats:
    """Return one side, arms most."""
    side = rng.choice(["left", "right"])
    places = [body.site(site) for site in night.sites]
    strength = [1.0 if place.region == "cervical" else 0.2 for place in places]
    return np.array([size * (place.side == side) for size, place in zip(strength, places, strict=True)])


@confounder(
    "tremor",
    nights=0.12,
    per_hour=3.0,
    duration_s=(5.0, 120.0),
    size_mg=(10, 200),
    when="awake",
    reach=_arms,
    source="4-8 Hz typical (review of wearables); nights and rate are an assumption",
)
def tremor(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add a rhythm that waxes and wanes, with its second harmonic."""
    rng, length = event.rng(), event.end_s - event.start_s
    n = round(length * SLOW_HZ)
    t = np.arange(n) / SLOW_HZ
    knots = np.arange(0, length + 2.0, 1.0)
    phase = np.interp(t, knots, np.cumsum(rng.uniform(4, 8) * (1 + rng.normal(0, 0.05, len(knots)))))
    swell = np.interp(t, knots, rng.uniform(0.3, 1.0, len(knots))) * np.clip(np.minimum(t, length - t), 0, 1)
    wave = np.sin(2 * np.pi * phase) + rng.uniform(0, 0.4) * np.sin(4 * np.pi * phase + rng.uniform(0, 6))
    canvas.add(event.start_s, sized(wave * swell, size_mg), SLOW_HZ, along=canvas.direction(event))


@confounder(
    "clonus",
    nights=0.06,
    per_hour=3.0,
    duration_s=(2.0, 20.0),
    size_mg=(20, 300),
    reach=legs,
    held_out=True,
    source="4-8 Hz as tremor; at the ankle after a stretch, fading; nights and rate are an assumption",
)
def clonus(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add a row of equal jerks of the calf that slows and fades."""
    rng, length = event.rng(), event.end_s - event.start_s
    hz = rng.uniform(5, 7)
    at = np.cumsum(np.linspace(1 / hz, 1.3 / hz, int(length * hz / 1.15)))
    wave = np.zeros(round((length + 0.3) * SLOW_HZ))
    beat = jolt(1.5 * hz, 0.3, 0.25, SLOW_HZ)
    for start in at:
        put(beat * (1 - 0.8 * start / length) * rng.uniform(0.85, 1.15), wave, round(start * SLOW_HZ))
    canvas.add(event.start_s, sized(wave, size_mg), SLOW_HZ, along=canvas.direction(event))


@confounder(
    "tonic_contraction",
    per_hour=1.5,
    duration_s=(2.0, 300.0),
    size_mg=(3, 60),
    reach=one_or_two_sites,
    source="sound of contracting muscle: 5-100 Hz, 2-20 times the floor; rate is an assumption",
)
def tonic_contraction(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Tension of a muscle: noise of 5-40 Hz as long as it lasts."""
    rng, length = canvas.rng(event), event.end_s - event.start_s
    wave = noise(rng, length, (5.0, 40.0), SLOW_HZ)
    knots = np.arange(0, length + 3, 1.5)
    level = np.interp(np.arange(len(wave)) / SLOW_HZ, knots, rng.uniform(0.3, 1, len(knots)))
    canvas.add(event.start_s, sized(wave * level[:, None], size_mg), SLOW_HZ)


@confounder(
    "pseudotremor",
    nights=0.4,
    per_hour=1.5,
    duration_s=(0.5, 12.0),
    size_mg=(3, 40),
    reach=one_site,
    source="the main confuser of ultrasound readers (Gijsbertse 2018); rate is an assumption",
)
def pseudotremor(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Fire a few units of a tense muscle unevenly, 6-12 times a second: not quite a rhythm."""
    rng, length = event.rng(), event.end_s - event.start_s
    way = canvas.direction(event)
    wave = np.zeros((round((length + 0.4) * SLOW_HZ), 3))
    for _ in range(int(rng.integers(1, 4))):
        beat = jolt(rng.uniform(6, 14), rng.uniform(0.3, 0.6), 0.3, SLOW_HZ) * rng.uniform(0.3, 1)
        tilted = way + 0.3 * direction(rng)
        at = np.cumsum(rng.normal(1, 0.2, int(length * 9)).clip(0.3) / rng.uniform(6, 12))
        for start in at[at < length]:
            put(beat[:, None] * tilted, wave, round(start * SLOW_HZ))
    canvas.add(event.start_s, sized(wave, size_mg), SLOW_HZ)
