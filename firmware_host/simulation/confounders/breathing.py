"""What goes with the breath: snoring, coughing, a ventilator's bursts and the hum of its motor."""

from __future__ import annotations

import numpy as np
from scipy import signal

from firmware_host.simulation.happenings import Canvas, Draft, Happening, confounder, draw_once
from firmware_host.simulation.twitches import FINE_HZ, Floats
from firmware_host.simulation.waves import add_cycles, add_line, jolt, noise, put, sized

NEAR_THE_THROAT = {"bulbar": 1.0, "cervical": 0.5, "thoracic": 0.6, "lumbosacral": 0.15}
WAVES = 6
"""So many different bursts make up a spell; each breath takes the next."""


def _from_throat(rng: np.random.Generator, night: Draft) -> Floats:
    """All sites, most where the throat and chest are near."""
    near = np.array([NEAR_THE_THROAT[region] for region in night.regions])
    return np.asarray(near * rng.uniform(0.7, 1.0, len(night.sites)))


def _breaths(canvas: Canvas, event: Happening, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the onset of every breath in an event, and how strong each is; the same at every site."""
    breath_s = canvas.night.sleeper.breath_s
    onset_s = breath_s[(breath_s >= event.start_s) & (breath_s < event.end_s)]
    return onset_s, rng.uniform(0.4, 1.0, len(onset_s))


@confounder(
    "snore",
    nights=0.4,
    per_hour=1.2,
    duration_s=(120.0, 1800.0),
    size_mg=(0.5, 20),
    when="asleep",
    reach=_from_throat,
    source="up to 300 Hz at the neck, 100 Hz at the chest; size and rate are an assumption",
)
def snore(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add a rattle of 30-250 Hz to every breath in; a chip without a low-pass folds it into the band."""
    rng = event.rng()
    onset_s, strong = _breaths(canvas, event, rng)
    flutter_hz = rng.uniform(25, 60)
    table = []
    for _ in range(WAVES):
        wave = noise(rng, 1.2, (30.0, 250.0), FINE_HZ, 1)[:, 0]
        t = np.arange(len(wave)) / FINE_HZ
        table.append(sized(wave * (1 + 0.8 * np.sin(2 * np.pi * flutter_hz * t)), size_mg))
    span = (event.start_s, event.end_s)
    add_cycles(canvas, span, onset_s, strong, np.array(table), FINE_HZ, canvas.direction(event))


@confounder(
    "cough",
    nights=0.6,
    per_hour=1.0,
    duration_s=(0.4, 3.0),
    size_mg=(30, 800),
    reach=_from_throat,
    source="one to five bursts of 0.3-0.5 s; size and rate are an assumption",
)
def cough(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Burst after burst, each a push of the trunk with a rattle on it."""
    rng, length = event.rng(), event.end_s - event.start_s
    rate_hz = 400.0
    wave = np.zeros((round((length + 0.5) * rate_hz), 3))
    for number in range(max(1, int(length / 0.55))):
        push = jolt(rng.uniform(2.5, 5), 0.5, 0.45, rate_hz)[:, None] * canvas.direction(event)
        put(push * rng.uniform(0.5, 1), wave, round(number * 0.55 * rate_hz))
        put(sized(noise(rng, 0.3, (8.0, 60.0), rate_hz), 300), wave, round(number * 0.55 * rate_hz))
    canvas.add(event.start_s, sized(wave, size_mg), rate_hz)


@confounder(
    "ventilator",
    nights=0.1,
    duration_s=(10800.0, 43200.0),
    size_mg=(0.5, 8),
    reach=_from_throat,
    draw=draw_once,
    source="bursts locked to the breath and a line of the motor (assumption)",
)
def ventilator(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Every breath a push of air that starts sharply and a valve at its end; the motor hums all the time."""
    rng = event.rng()
    onset_s, strong = _breaths(canvas, event, rng)
    rate_hz, table = 400.0, []
    breath_in_s = rng.uniform(0.9, 1.6)
    for _ in range(WAVES):
        wave = np.zeros(round(2.2 * rate_hz))
        put(jolt(rng.uniform(4, 12), rng.uniform(0.2, 0.5), 0.5, rate_hz), wave, 0)
        valve = jolt(rng.uniform(12, 30), 0.3, 0.2, rate_hz) * rng.uniform(0.2, 0.6)
        put(valve, wave, round((breath_in_s + rng.normal(0, 0.05)) * rate_hz))
        put(0.1 * noise(rng, breath_in_s, (15.0, 60.0), rate_hz, 1)[:, 0], wave, 0)
        table.append(sized(signal.detrend(wave, type="constant"), size_mg))
    span = (event.start_s, event.end_s)
    add_cycles(canvas, span, onset_s, 0.6 + 0.4 * strong, np.array(table), rate_hz, canvas.direction(event))
    hum_g = rng.uniform(0.05, 0.3) * size_mg / 2000 * canvas.direction(event)[::-1]
    add_line(canvas, span, rng, rng.uniform(15, 45), 0.01, hum_g)
