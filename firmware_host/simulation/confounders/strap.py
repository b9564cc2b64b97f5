"""What happens at the sensor itself: taps, a tug at the cable, clothing that rubs, a strap that slips."""

from __future__ import annotations

import numpy as np

from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import (
    Canvas,
    Draft,
    Happening,
    Kind,
    confounder,
    one_or_two_sites,
    one_site,
    times_in,
)
from firmware_host.simulation.twitches import FINE_HZ, direction
from firmware_host.simulation.waves import jolt, noise, put, sized

SLIP_DEGREES = (3.0, 30.0)


@confounder(
    "tap",
    per_hour=1.5,
    duration_s=(0.01, 0.06),
    size_mg=(50, 2000),
    reach=one_site,
    source="1-5 samples, 50-2000 mg, with 20-60 Hz ringing; rate is an assumption",
)
def tap(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Something hard touches the case: a spike of a few samples, and the strap rings."""
    rng, length = event.rng(), event.end_s - event.start_s
    spike = np.hanning(max(5, round(length * FINE_HZ)))
    wave = np.zeros(round((length + 0.25) * FINE_HZ))
    put(spike, wave, 0)
    put(rng.uniform(0.2, 0.6) * jolt(rng.uniform(20, 60), rng.uniform(0.08, 0.3), 0.2), wave, len(spike) // 2)
    canvas.add(event.start_s, sized(wave, size_mg), along=canvas.direction(event))


@confounder(
    "cable_tug",
    nights=0.3,
    per_hour=1.0,
    duration_s=(0.1, 0.8),
    size_mg=(10, 300),
    reach=one_site,
    held_out=True,
    source="step or short spike at one sensor; size and rate are an assumption",
)
def cable_tug(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Pull at a cable or at a fold of the sheet, and let go."""
    rng, length = event.rng(), event.end_s - event.start_s
    wave = np.zeros((round((length + 0.4) * FINE_HZ), 3))
    for at, share in ((0.0, rng.uniform(0.3, 1)), (length, rng.uniform(0.3, 1))):
        pull = share * jolt(rng.uniform(5, 25), rng.uniform(0.3, 0.7), 0.35)
        put(pull[:, None] * (canvas.direction(event) + 0.4 * direction(rng)), wave, round(at * FINE_HZ))
    canvas.add(event.start_s, sized(wave, size_mg))


@confounder(
    "clothing_rub",
    per_hour=4.0,
    duration_s=(0.2, 4.0),
    size_mg=(3, 60),
    reach=one_or_two_sites,
    source="friction noise; size and rate are an assumption",
)
def clothing_rub(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Cloth sticks and slips over the case: crackling noise, bursts of uneven height."""
    rng, length = event.rng(), event.end_s - event.start_s
    rate_hz = 800.0
    wave = noise(rng, length, (6.0, 90.0), rate_hz)
    knots = np.arange(0, length + 0.2, 0.06)
    crackle = rng.pareto(2.0, len(knots)).clip(0, 6)
    wave *= np.interp(np.arange(len(wave)) / rate_hz, knots, crackle)[:, None]
    canvas.add(event.start_s, sized(wave, size_mg), rate_hz)


def _draw_slips(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    starts = times_in(rng, night, kind.per_hour, kind.when)
    return [
        kind.event(
            rng, start, start + length, size * kind.reach(rng, night), turn_degrees=rng.uniform(*SLIP_DEGREES)
        )
        for start, length, size in zip(
            starts,
            log_uniform(rng, kind.duration_s, len(starts)),
            log_uniform(rng, kind.size_mg, len(starts)),
            strict=True,
        )
    ]


@confounder(
    "strap_slip",
    per_hour=0.2,
    duration_s=(0.15, 1.2),
    size_mg=(30, 500),
    reach=one_site,
    draw=_draw_slips,
    source="a step with another tilt after; size and rate are an assumption",
)
def strap_slip(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Let the strap jump to another place; gravity lies in another direction after."""
    rng, length = event.rng(), event.end_s - event.start_s
    wave = noise(rng, length + 0.2, (3.0, 25.0), 400.0)
    canvas.add(event.start_s - 0.1, sized(wave, size_mg), 400.0)
