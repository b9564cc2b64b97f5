"""The heartbeat: strong on the trunk, a pulse at the limbs in a part of the night."""

from __future__ import annotations

import numpy as np

from firmware_host.simulation.bodies import add_pulses, as_sampled, log_uniform
from firmware_host.simulation.happenings import Canvas, Draft, Happening, Kind, confounder
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.twitches import FINE_HZ

BEAT_S = 0.6
LIMB_MG: Range = (0.5, 8.0)
LIMB_SHARE: Range = (0.1, 0.6)
SPAN_S: Range = (300.0, 2400.0)


def _draw(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    events = []
    for number, region in enumerate(night.regions):
        sizes = np.zeros(len(night.sites))
        if region == "thoracic":
            sizes[number] = np.clip(rng.lognormal(np.log(26.0), 0.5), *kind.size_mg)
            events.append(kind.event(rng, 0.0, night.duration_s, sizes))
            continue
        sizes[number] = log_uniform(rng, LIMB_MG, 1)[0]
        share, at_s = rng.uniform(*LIMB_SHARE), 0.0
        while at_s < night.duration_s:
            length_s = log_uniform(rng, SPAN_S, 1)[0]
            if rng.random() < share:
                events.append(kind.event(rng, at_s, min(at_s + length_s, night.duration_s), sizes))
            at_s += length_s
    return events


@confounder(
    "heart",
    size_mg=(6.0, 90.0),
    draw=_draw,
    source="chest 26 mg a beat, quartiles 18-36 (492 recordings of MSCardio); limbs 0.5-8 mg in 10-60 % of "
    "the time (Zschocke 2019, Moebus 2024)",
)
def heart(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add a burst a beat."""
    rng = canvas.rng(event)
    beat_s = canvas.night.sleeper.beat_s
    beats = beat_s[(beat_s >= event.start_s) & (beat_s < event.end_s)] + rng.uniform(0.05, 0.25)
    t = np.arange(round(BEAT_S * FINE_HZ)) / FINE_HZ
    burst = np.sin(2 * np.pi * rng.uniform(6, 12) * t) * (t / 0.05) * np.exp(-t / 0.07)
    shape = as_sampled(burst * size_mg / 1000 / np.ptp(burst), canvas.grid.fs_hz)
    gain = 1 + 0.2 * np.sin(2 * np.pi * canvas.night.sleeper.breath_phase(beats))
    add_pulses(canvas.acc_g, canvas.grid.index(beats), gain, shape, canvas.direction(event))
