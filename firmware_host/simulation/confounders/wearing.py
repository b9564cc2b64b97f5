"""A sensor that is not where it should be: on the table, loose in the bed, put on late, taken off, or dead.

While it is off, body and twitches are gone from its signal. It is handled at both ends, and gravity lies in
another direction after. How many nights, how long and how large: all of it is an assumption.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firmware_host.simulation.bodies import gravity, log_uniform
from firmware_host.simulation.chips import part_of
from firmware_host.simulation.happenings import (
    LARGE_MOVES,
    Canvas,
    Draft,
    Draw,
    Happening,
    Kind,
    Wear,
    confounder,
    kinds,
    one_site,
)
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.twitches import FINE_HZ, Floats, direction
from firmware_host.simulation.waves import SLOW_HZ, add_cycles, add_line, jolt, noise, sized

HANDLING_S: Range = (3.0, 12.0)
HANDLING_MG: Range = (300.0, 1500.0)
SHORTEST_S = 20.0
TURN_DEGREES: Range = (3.0, 40.0)
"""The sensor sits a little otherwise when it is put on again."""
PASSES_PER_H = 5.0
"""Somebody walks by the table."""
PASS_S: Range = (3.0, 15.0)
STEP_MG: Range = (0.3, 6.0)
KNOCKS_PER_H = 1.5
"""Something is put down on it."""
KNOCK_MG: Range = (5.0, 150.0)
BEAT_MG: Range = (0.1, 1.5)
"""A heartbeat through the mattress, against 0.5 mg and more at a limb."""
LOOSE_TURN_SHARE = 0.4
"""Of the movements that turn a sensor that lies loose in the bed."""


def _spell(where: str, wear: Wear) -> Draw:
    """Return how a spell is drawn: at the `start` or `end` of the night, or in its `middle`."""

    def draw(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
        if rng.random() >= kind.nights:
            return []
        end_s = night.duration_s
        length = min(float(log_uniform(rng, kind.duration_s, 1)[0]), rng.uniform(0.3, 0.6) * end_s)
        length = max(length, min(SHORTEST_S, end_s / 3))
        from_s = {"start": 0.0, "end": end_s - length, "middle": rng.uniform(0, end_s - length)}[where]
        turn_degrees = rng.uniform(*TURN_DEGREES) if where == "middle" else 0.0
        size = log_uniform(rng, kind.size_mg, 1)[0]
        feels = kind.reach(rng, night)
        return [kind.event(rng, from_s, from_s + length, size * feels, wear=wear, turn_degrees=turn_degrees)]

    return draw


@confounder(
    "on_table",
    nights=0.06,
    duration_s=(900.0, 14400.0),
    size_mg=HANDLING_MG,
    reach=one_site,
    draw=_spell("middle", "off_body"),
    source="(assumption)",
)
def on_table(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Lay the sensor on a table for hours: still, but for steps, knocks and hum of the room."""
    _lay_aside(canvas, event, size_mg, _table(canvas, event))


def showcase(rng: np.random.Generator, night: Draft) -> list[Happening]:
    """Lay the third sensor on the table for a twelfth of the night, as the demonstration shows it."""
    if len(night.sites) < 3:
        return []
    start_s = rng.uniform(0.6, 0.85) * night.duration_s
    sizes = np.arange(len(night.sites)) == 2
    end_s = start_s + night.duration_s / 12
    return [kinds()["on_table"].event(rng, start_s, end_s, 900.0 * sizes, turn_degrees=15.0, wear="off_body")]


@confounder(
    "put_on_late",
    nights=0.06,
    duration_s=(300.0, 5400.0),
    size_mg=HANDLING_MG,
    reach=one_site,
    draw=_spell("start", "off_body"),
    source="(assumption)",
)
def put_on_late(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Record from a table before the sensor is put on."""
    _lay_aside(canvas, event, size_mg, _table(canvas, event))


@confounder(
    "taken_off_early",
    nights=0.06,
    duration_s=(300.0, 7200.0),
    size_mg=HANDLING_MG,
    reach=one_site,
    draw=_spell("end", "off_body"),
    source="(assumption)",
)
def taken_off_early(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Take the sensor off and leave it on a table until the recording ends."""
    _lay_aside(canvas, event, size_mg, _table(canvas, event))


@confounder(
    "fallen_into_bed",
    nights=0.05,
    duration_s=(1800.0, 21600.0),
    size_mg=HANDLING_MG,
    reach=one_site,
    draw=_spell("end", "in_bed"),
    source="(assumption)",
)
def fallen_into_bed(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Lose the sensor in the bed: it feels partner, pump and, weakly, the sleeper's heart and movements."""
    _lay_aside(canvas, event, size_mg, _bed(canvas, event))


@confounder(
    "dead_battery",
    nights=0.04,
    duration_s=(600.0, 14400.0),
    size_mg=(1.0, 1.001),
    reach=one_site,
    draw=_spell("end", "no_data"),
    source="(assumption); nothing arrives any more, the size says nothing",
)
def dead_battery(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Send nothing until the end of the night; the link sees to that."""


def _lay_aside(canvas: Canvas, event: Happening, size_mg: float, elsewhere: Canvas) -> None:
    """Replace the body's signal within an event by that of another place, with handling at its ends."""
    rng, grid = canvas.rng(event), canvas.grid
    window = grid.window(event.start_s, event.end_s)
    n = window.stop - window.start
    share = np.ones(n, np.float32)
    for at_start, there in ((True, window.start > 0), (False, window.stop < grid.n)):
        length = min(rng.uniform(*HANDLING_S), 0.3 * (event.end_s - event.start_s))
        wave = sized(noise(rng, length, (0.5, 10.0), SLOW_HZ), size_mg * (1.0 if at_start else 0.8))
        if there:
            canvas.add(event.start_s if at_start else event.end_s - length, wave, SLOW_HZ)
            elsewhere.add(event.start_s if at_start else event.end_s - length, wave, SLOW_HZ)
            m = min(n, max(2, round(length * grid.fs_hz)))
            part = share[:m] if at_start else share[::-1][:m]
            part *= (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, m))).astype(np.float32)
    here = canvas.acc_g[window]
    here *= 1 - share[:, None]
    here += elsewhere.acc_g * share[:, None]


def _place(canvas: Canvas, event: Happening, at_rest: Floats) -> Canvas:
    """Return an empty canvas for the time of an event, with gravity along a vector (3,)."""
    grid = part_of(canvas.grid, canvas.grid.window(event.start_s, event.end_s))
    acc_g = np.repeat(at_rest[None].astype(np.float32), grid.n, axis=0)
    return replace(canvas, acc_g=acc_g, grid=grid)


def _table(canvas: Canvas, event: Happening) -> Canvas:
    """Return a canvas that lies flat on a face: steps of people who walk by, knocks, and a hum."""
    rng = canvas.rng(event)
    face = np.zeros(3)
    face[rng.choice(3, p=(0.12, 0.13, 0.75))] = rng.choice((-1.0, 1.0))
    flat = face + rng.normal(0, 0.02, 3)
    table = _place(canvas, event, flat / np.linalg.norm(flat))
    up, hours = face + 0.3 * direction(rng), (event.end_s - event.start_s) / 3600
    span = (event.start_s, event.end_s)
    for start_s in np.sort(rng.uniform(*span, int(rng.poisson(PASSES_PER_H * hours)))):
        length, size_mg = log_uniform(rng, PASS_S, 1)[0], log_uniform(rng, STEP_MG, 1)[0]
        step_s = start_s + np.cumsum(rng.normal(0.55, 0.03, max(2, int(length / 0.55))))
        near = 0.2 + 0.8 * np.sin(np.linspace(0, np.pi, len(step_s)))
        shapes = [sized(jolt(rng.uniform(12, 40), 0.15, 0.4, 400.0), size_mg) for _ in range(2)]
        add_cycles(
            table, (start_s, min(step_s[-1] + 0.5, event.end_s)), step_s, near, np.array(shapes), 400.0, up
        )
    for start_s in rng.uniform(*span, int(rng.poisson(KNOCKS_PER_H * hours))):
        knock = jolt(rng.uniform(10, 45), rng.uniform(0.05, 0.3), rng.uniform(0.1, 0.5))
        table.add(start_s, sized(knock, log_uniform(rng, KNOCK_MG, 1)[0]), FINE_HZ, up)
    if rng.random() < 0.4:
        add_line(table, span, rng, rng.uniform(10, 50), 0.01, up * rng.uniform(0.03, 0.3) / 2000)
    return table


def _bed(canvas: Canvas, event: Happening) -> Canvas:
    """Return a canvas that lies loose in the bed and is turned over by some movements."""
    rng = canvas.rng(event)
    number = canvas.night.sites.index(canvas.site)
    through = [
        other
        for other in canvas.events
        if other.wear == "worn" and other.start_s < event.end_s and other.end_s > event.start_s
    ]
    moves = [
        other
        for other in through
        if kinds()[other.kind].origin in LARGE_MOVES and other.turn_degrees and other.start_s >= event.start_s
    ]
    turns = [
        (move.start_s, min(move.end_s, event.end_s), 0.5 * move.turn_degrees)
        for move in moves
        if rng.random() < LOOSE_TURN_SHARE
    ]
    bed = _place(canvas, event, np.zeros(3))
    bed.acc_g += gravity(rng, bed.grid, turns)
    for other in through:
        if kinds()[other.kind].origin == "bed" or other in moves:
            kinds()[other.kind].render(bed, other, other.size_mg[number])
    beat_s = canvas.night.sleeper.beat_s + rng.uniform(0.05, 0.2)
    beats = [sized(jolt(rng.uniform(4, 9), 0.25, 0.5, 400.0), log_uniform(rng, BEAT_MG, 1)[0])]
    strong = rng.uniform(0.7, 1.3, len(beat_s))
    add_cycles(bed, (event.start_s, event.end_s), beat_s, strong, np.array(beats), 400.0, direction(rng))
    return bed
