"""The sleeper's own movements: of the whole body, and of a finger, a toe, the face."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import signal

from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import (
    Canvas,
    Draft,
    Happening,
    Kind,
    all_sites,
    confounder,
    events_at,
    one_or_two_sites,
    times_in,
)
from firmware_host.simulation.twitches import FINE_HZ, Floats

RATE_HZ = FINE_HZ / 4
AWAKE_PER_HOUR = 90.4
SMALL_AWAKE_PER_HOUR = 60.0
TURN_DEGREES = (5.0, 60.0)


def _starts(rng: np.random.Generator, night: Draft, kind: Kind, awake_per_hour: float) -> Floats:
    """Return when movements start (s): asleep at the kind's rate, awake at another."""
    asleep = times_in(rng, night, kind.per_hour, "asleep")
    return np.sort(np.concatenate([asleep, times_in(rng, night, awake_per_hour, "awake")]))


def _draw_gross(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    starts = _starts(rng, night, kind, AWAKE_PER_HOUR)
    lengths = log_uniform(rng, kind.duration_s, len(starts))
    sizes = log_uniform(rng, kind.size_mg, len(starts))
    turns = rng.uniform(*TURN_DEGREES, len(starts))
    return [
        kind.event(rng, start, start + length, size * all_sites(rng, night), turn_degrees=turn)
        for start, length, size, turn in zip(starts, lengths, sizes, turns, strict=True)
    ]


@confounder(
    "gross_movement",
    per_hour=21.4,
    when="asleep",
    duration_s=(0.5, 20.0),
    size_mg=(50.0, 1500.0),
    draw=_draw_gross,
    source="21.4 an hour asleep, 90.4 awake, on the body (Sicbaldi 2025); length and size: assumption",
)
def gross_movement(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add noise in 0.5-8 Hz that rises and falls, while the posture changes."""
    canvas.add(event.start_s, swing(canvas, event, (0.5, 8.0)) * (size_mg / 1000), RATE_HZ)


def _draw_small(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    return events_at(rng, night, kind, _starts(rng, night, kind, SMALL_AWAKE_PER_HOUR))


@confounder(
    "small_movement",
    per_hour=6.0,
    when="asleep",
    duration_s=(0.3, 3.0),
    size_mg=(5.0, 100.0),
    reach=one_or_two_sites,
    draw=_draw_small,
    source="finger, toe, face: assumption, no rate is published; 60 an hour awake, as gross movements do",
)
def small_movement(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add a short movement of a part near one or two sensors."""
    low = round(event.rng().uniform(0.5, 2.0), 1)
    canvas.add(event.start_s, swing(canvas, event, (low, low + 6.0)) * (size_mg / 1000), RATE_HZ)


def swing(canvas: Canvas, event: Happening, band_hz: tuple[float, float]) -> Floats:
    """Return noise in a band that rises and falls, (n, 3) at `RATE_HZ`, 1 peak to peak at its largest."""
    n = max(round((event.end_s - event.start_s) * RATE_HZ), 16)
    noise = canvas.rng(event).standard_normal((n + round(RATE_HZ), 3))
    wave = signal.sosfilt(_band(*band_hz), noise, axis=0)[-n:] * np.sin(np.linspace(0, np.pi, n))[:, None]
    return np.asarray(wave / np.ptp(wave, axis=0).max())


@cache
def _band(low_hz: float, high_hz: float) -> Floats:
    return np.asarray(signal.butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos"))
