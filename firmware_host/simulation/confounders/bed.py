"""What comes through the bed: partner, pet, mattress pump, knocks, traffic, fans, a phone that buzzes.

It reaches every sensor in the bed within a few ms, also one that has come off the body; each place feels it
with a gain and a direction of its own.
"""

from __future__ import annotations

import numpy as np

from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import (
    Canvas,
    Draft,
    Happening,
    Kind,
    confounder,
    draw_once,
)
from firmware_host.simulation.twitches import FINE_HZ
from firmware_host.simulation.waves import SLOW_HZ, add_line, hump, jolt, noise, put, sized

LAG_S = 0.006


def _lag_s(canvas: Canvas, event: Happening) -> float:
    return event.start_s + canvas.rng(event).uniform(0, LAG_S)


@confounder(
    "partner",
    nights=0.5,
    per_hour=12.0,
    duration_s=(0.5, 15.0),
    size_mg=(2, 50),
    source="21.4 movements an hour asleep (Sicbaldi 2025); what the mattress passes on is an assumption",
)
def partner(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Move a partner: the mattress sways at 1-12 Hz."""
    rng = event.rng()
    low_hz = rng.uniform(0.8, 2.5)
    swing = noise(rng, event.end_s - event.start_s, (low_hz, rng.uniform(6, 14)), SLOW_HZ)
    turned = np.linalg.qr(canvas.rng(event).standard_normal((3, 3)))[0]
    canvas.add(_lag_s(canvas, event), sized(swing @ turned, size_mg), SLOW_HZ)


@confounder(
    "pet",
    nights=0.12,
    per_hour=3.0,
    duration_s=(0.4, 8.0),
    size_mg=(3, 60),
    held_out=True,
    source="(assumption)",
)
def pet(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Let a cat or dog jump onto the bed and walk about: soft thumps."""
    rng, length = event.rng(), event.end_s - event.start_s
    wave = np.zeros(round((length + 0.5) * SLOW_HZ))
    at = np.cumsum(rng.uniform(0.25, 0.6, 1 + int(length / 0.3)))
    for start in [0.0, *at[at < length]]:
        put(jolt(rng.uniform(4, 12), 0.35, 0.4, SLOW_HZ) * rng.uniform(0.2, 1), wave, round(start * SLOW_HZ))
    canvas.add(_lag_s(canvas, event), sized(wave, size_mg), SLOW_HZ, along=canvas.direction(event))


def _draw_cycles(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    """Draw the changes of a pump that runs all night, evenly apart."""
    if rng.random() >= kind.nights:
        return []
    every_s = 3600 / kind.per_hour * rng.uniform(0.85, 1.15)
    starts = np.arange(rng.uniform(0, every_s), night.duration_s - kind.duration_s[1], every_s)
    length, size = log_uniform(rng, kind.duration_s, 1)[0], log_uniform(rng, kind.size_mg, 1)[0]
    feels = [kind.reach(rng, night) for _ in range(2)]  # the two sets of cells take turns
    return [
        kind.event(rng, at, at + length * rng.uniform(0.9, 1.0), size * feels[number % 2])
        for number, at in enumerate(starts)
    ]


@confounder(
    "pressure_mattress",
    nights=0.08,
    per_hour=8.0,
    duration_s=(15.0, 60.0),
    size_mg=(1, 15),
    draw=_draw_cycles,
    source="cells change every 5-10 minutes; size is an assumption",
)
def pressure_mattress(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Cells fill and empty: a valve clicks, the pump throbs, and the body is tilted a little and back."""
    rng, length = event.rng(), event.end_s - event.start_s
    n = round(length * SLOW_HZ)
    wave = np.zeros(n)
    for at in (0.0, length - 0.6):
        put(jolt(rng.uniform(8, 20), 0.25, 0.4, SLOW_HZ), wave, round(at * SLOW_HZ))
    stroke_hz = rng.uniform(1.0, 4.0)
    puffs = np.maximum(0, np.sin(2 * np.pi * stroke_hz * np.arange(n) / SLOW_HZ)) ** 4
    wave += 0.3 * puffs * np.clip(n - np.arange(n), 0, 80) / 80
    way, tilt = canvas.direction(event), hump(length, SLOW_HZ) * np.sin(np.radians(rng.uniform(0.2, 2.0)))
    moved = sized(wave, size_mg)[:, None] * way
    put(tilt[:n, None] * way[::-1], moved, 0)
    canvas.add(_lag_s(canvas, event), moved, SLOW_HZ)


@confounder("bed_bump", per_hour=2.0, duration_s=(0.1, 0.6), size_mg=(3, 100), source="(assumption)")
def bed_bump(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Knock against the frame or shut a door: the bed rings once or twice."""
    rng, length = event.rng(), event.end_s - event.start_s
    wave = jolt(rng.uniform(6, 30), rng.uniform(0.05, 0.3), length)
    if rng.random() < 0.3:
        second = np.zeros(len(wave) + round(0.4 * FINE_HZ))
        put(wave, second, 0)
        put(0.7 * wave, second, round(rng.uniform(0.1, 0.35) * FINE_HZ))
        wave = second
    canvas.add(_lag_s(canvas, event), sized(wave, size_mg), along=canvas.direction(event))


@confounder(
    "traffic",
    nights=0.4,
    per_hour=4.0,
    duration_s=(3.0, 15.0),
    size_mg=(0.3, 4),
    source="5-30 Hz through floor and bed; size and rate are an assumption",
)
def traffic(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Let a lorry or train pass: the floor trembles at one soil's frequency."""
    rng = event.rng()
    hz = rng.uniform(8, 22)
    wave = noise(rng, event.end_s - event.start_s, (0.8 * hz, 1.25 * hz), SLOW_HZ, 1)[:, 0]
    canvas.add(_lag_s(canvas, event), sized(wave, size_mg), SLOW_HZ, along=canvas.direction(event))


@confounder(
    "fan",
    nights=0.3,
    duration_s=(3600.0, 43200.0),
    size_mg=(0.1, 1.5),
    draw=draw_once,
    source="lines of 5-30 Hz through the bed; size and nights are an assumption",
)
def fan(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Run a fan or pump for hours: one line and a weaker one at twice its frequency."""
    rng = event.rng()
    hz, way = rng.uniform(8, 30), canvas.direction(event)
    for harmonic, share in ((1, 0.75), (2, 0.25)):
        add_line(
            canvas,
            (event.start_s, event.end_s),
            event.rng(),
            hz * harmonic,
            0.02,
            way * share * size_mg / 2000,
        )


@confounder(
    "buzzing_phone",
    nights=0.2,
    per_hour=0.5,
    duration_s=(0.4, 12.0),
    size_mg=(3, 60),
    held_out=True,
    source="motors turn at 130-230 Hz, 0.4 s on and 0.6 s off; size and rate are an assumption",
)
def buzzing_phone(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Buzz a phone in the bed; a chip with a low-pass feels little more than its start and stop."""
    rng, length = event.rng(), event.end_s - event.start_s
    t = np.arange(round(length * FINE_HZ)) / FINE_HZ
    on = np.clip(np.minimum(t % 1.0, 0.4 - t % 1.0) * 30, 0, 1)
    drift = np.cumsum(rng.uniform(130, 230) * (1 + 0.1 * np.clip(on, 0, 1))) / FINE_HZ
    wave = sized(on * np.sin(2 * np.pi * drift), size_mg)
    wave += sized(np.gradient(on), 0.15 * size_mg)
    along = canvas.direction(event)
    canvas.add(_lag_s(canvas, event), wave, along=along)
