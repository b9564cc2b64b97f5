"""Breathing: a slow tilt of gravity, far below the band of twitches."""

from __future__ import annotations

import numpy as np

from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import Canvas, Draft, Happening, Kind, confounder

RATE_HZ = 8.0
TRUNK_MG = (6.0, 24.0)


def _draw(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    trunk = np.array([region == "thoracic" for region in night.regions])
    n = len(night.sites)
    size = np.where(trunk, log_uniform(rng, TRUNK_MG, n), log_uniform(rng, kind.size_mg, n))
    return [kind.event(rng, 0.0, night.duration_s, size)]


@confounder(
    "breath",
    size_mg=(0.5, 4.0),
    draw=_draw,
    source="trunk 6-24 mg, as 10-20 on chests (MSCardio); elsewhere 0.5-4 mg, an assumption",
)
def breath(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add a tilt with every breath; depth changes from minute to minute."""
    rng = event.rng()
    time_s = np.arange(0.0, event.end_s + 1, 1 / RATE_HZ)
    minutes = rng.uniform(0.6, 1.4, int(time_s[-1] / 60) + 2)
    depth = np.interp(time_s / 60, np.arange(len(minutes)), minutes)
    wave = 0.5 * depth * np.sin(2 * np.pi * canvas.night.sleeper.breath_phase(time_s))
    canvas.add(0.0, wave * size_mg / 1000, RATE_HZ, canvas.direction(event))
