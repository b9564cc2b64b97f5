"""A body at rest is never quite still: faint, uneven noise of muscle tone and breathing, all night."""

from __future__ import annotations

import numpy as np
from scipy import signal

from firmware_host.simulation.bodies import log_uniform
from firmware_host.simulation.happenings import Canvas, Draft, Happening, Kind, confounder

RATE_HZ = 200.0
TILE_S = 300.0
"""The noise repeats after this time, under a loudness that does not."""
TRUNK_MG = (0.7, 9.0)
STEP_S = 1.5


def _draw(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    trunk = np.array([region == "thoracic" for region in night.regions])
    n = len(night.sites)
    sizes = np.where(trunk, log_uniform(rng, TRUNK_MG, n), log_uniform(rng, kind.size_mg, n))
    return [kind.event(rng, 0.0, night.duration_s, sizes)]


@confounder(
    "unrest",
    size_mg=(0.2, 2.0),
    draw=_draw,
    source="trunk 0.7-9 mg, as chests between their beats (MSCardio); elsewhere 0.2-2 mg, an assumption",
)
def unrest(canvas: Canvas, event: Happening, size_mg: float) -> None:
    """Add noise in 3-25 Hz whose loudness changes within seconds; the size is that of six deviations."""
    rng = canvas.rng(event)
    band = signal.butter(1, (3.0, rng.uniform(15, 30)), "bandpass", fs=RATE_HZ, output="sos")
    length_s = min(TILE_S, event.end_s - event.start_s)
    tile = signal.sosfilt(band, rng.standard_normal((round(length_s * RATE_HZ) + 200, 3)), axis=0)[200:]
    tile = signal.sosfiltfilt(canvas.low_pass(RATE_HZ), tile, axis=0)
    tile *= size_mg / 6000 / tile.std()
    loud_s = np.arange(event.start_s, event.end_s + STEP_S, STEP_S)
    loud = np.exp(rng.uniform(0.2, 0.5) * rng.standard_normal(len(loud_s)))
    at = np.arange(len(tile)) / RATE_HZ
    for start_s in np.arange(event.start_s, event.end_s, length_s):
        window = canvas.grid.window(start_s, min(start_s + length_s, event.end_s))
        time_s = canvas.grid.time_s(np.arange(window.start, window.stop))
        level = np.interp(time_s, loud_s, loud)
        for axis in range(3):
            heard = level * np.interp(time_s - start_s, at, tile[:, axis])
            canvas.acc_g[window, axis] += heard.astype(np.float32)
