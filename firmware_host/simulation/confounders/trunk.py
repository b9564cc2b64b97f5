"""What a trunk does between its beats: it swallows, sighs, speaks, shifts by a little, and sways after it."""

from __future__ import annotations

import numpy as np

from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import (
    Canvas,
    Draft,
    Happening,
    Kind,
    confounder,
    events_at,
    times_in,
)
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.twitches import FINE_HZ, Floats, direction
from firmware_host.simulation.waves import jolt, put, sized

AWAKE_PER_HOUR = 60.0
HZ: Range = (3.5, 9.0)
DAMPING: Range = (0.06, 0.4)
JOLTS_PER_S = 2.5
TAIL_S = 0.6


def _trunk(rng: np.random.Generator, night: Draft) -> Floats:
    """Return the sites of the trunk."""
    on = np.array([region == "thoracic" for region in night.regions])
    return on * rng.uniform(0.3, 1.0, len(night.sites))


def _draw(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    asleep = times_in(rng, night, kind.per_hour, "asleep")
    awake = times_in(rng, night, AWAKE_PER_HOUR * log_uniform(rng, (0.2, 2.0), 1)[0], "awake")
    return events_at(rng, night, kind, np.sort(np.concatenate([asleep, awake])))


@confounder(
    "trunk_stir",
    per_hour=5.0,
    when="asleep",
    duration_s=(0.1, 3.0),
    size_mg=(8.0, 150.0),
    reach=_trunk,
    draw=_draw,
    source="146 an hour at chests awake that no beat explains, 5-8 Hz, 18-116 mg (MSCardio), some of them of "
    "other kinds; 60 an hour awake; asleep, how often is an assumption",
)
def trunk_stir(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add jolts within the event, each of which sways on for some swings."""
    rng = canvas.rng(event)
    seconds = event.end_s - event.start_s
    wave = np.zeros((round((seconds + TAIL_S) * FINE_HZ), 3))
    hz, main = log_uniform(rng, HZ, 1)[0], direction(rng)
    for number in range(1 + int(rng.poisson(JOLTS_PER_S * seconds))):
        way = main + 0.5 * rng.standard_normal(3)
        one = jolt(hz * rng.uniform(0.8, 1.25), log_uniform(rng, DAMPING, 1)[0], TAIL_S)
        at_s = rng.uniform(0, seconds) if number else 0.0
        put(rng.uniform(0.4, 1.0) * one[:, None] * way, wave, round(at_s * FINE_HZ))
    canvas.add(event.start_s, sized(wave, size_mg))
