"""A second pair of hands: a carer turns the sleeper, or sees to blanket and straps."""

from __future__ import annotations

import numpy as np

from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import Canvas, Draft, Happening, Kind, confounder, one_or_two_sites
from firmware_host.simulation.waves import SLOW_HZ, jolt, noise, put, sized

TURN_DEGREES = (30.0, 110.0)


def _draw_rounds(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    """Draw a carer's rounds, which come at even times, give or take a quarter."""
    if rng.random() >= kind.nights:
        return []
    every_s = 3600 / kind.per_hour
    at = np.arange(rng.uniform(0, every_s), night.duration_s - kind.duration_s[1], every_s)
    at = np.clip(at + rng.uniform(-0.12, 0.12, len(at)) * every_s, 0, night.duration_s - kind.duration_s[1])
    lengths, sizes = log_uniform(rng, kind.duration_s, len(at)), log_uniform(rng, kind.size_mg, len(at))
    return [
        kind.event(
            rng, start, start + length, size * kind.reach(rng, night), turn_degrees=rng.uniform(*TURN_DEGREES)
        )
        for start, length, size in zip(at, lengths, sizes, strict=True)
    ]


@confounder(
    "carer_turn",
    nights=0.08,
    per_hour=0.5,
    duration_s=(20.0, 90.0),
    size_mg=(100, 1500),
    draw=_draw_rounds,
    source="every two hours is usual in nursing; size as of large movements (assumption)",
)
def carer_turn(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Roll the sleeper over in several pulls with rests; the posture is another one after."""
    rng, length = event.rng(), event.end_s - event.start_s
    wave = np.zeros((round(length * SLOW_HZ), 3))
    at = 0.0
    while at < length - 1:
        pull_s = min(rng.uniform(1, 6), length - at)
        put(sized(noise(rng, pull_s, (0.5, 8.0), SLOW_HZ), rng.uniform(200, 1000)), wave, round(at * SLOW_HZ))
        at += pull_s + rng.uniform(0, 4)
    turned = np.linalg.qr(canvas.rng(event).standard_normal((3, 3)))[0]
    canvas.add(event.start_s, sized(wave @ turned, size_mg), SLOW_HZ)


@confounder(
    "carer_touch",
    nights=0.08,
    per_hour=1.5,
    duration_s=(1.0, 20.0),
    size_mg=(10, 300),
    reach=one_or_two_sites,
    source="(assumption)",
)
def carer_touch(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Put a hand to blanket or strap: short pushes and a slow drag."""
    rng, length = event.rng(), event.end_s - event.start_s
    wave = sized(noise(rng, length, (0.7, 6.0), SLOW_HZ), 0.6 * size_mg)
    for _ in range(1 + int(rng.poisson(length / 2))):
        push = sized(jolt(rng.uniform(4, 15), 0.4, 0.4, SLOW_HZ), size_mg * rng.uniform(0.2, 1))
        put(
            push[:, None] * canvas.direction(event),
            wave,
            int(rng.uniform(0, max(0.1, length - 0.4)) * SLOW_HZ),
        )
    canvas.add(event.start_s, sized(wave, size_mg), SLOW_HZ)
