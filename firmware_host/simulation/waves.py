"""Wave forms that confounders are made of: noise in a band, jolts that ring, lines, and what repeats.

All of size 1 (peak to peak) and in seconds; a kind scales them to its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy import signal

from firmware_host.simulation.happenings import Canvas
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.twitches import FINE_HZ, Floats

SLOW_HZ = 160.0
"""Rate at which waves of up to about 15 Hz are made."""
_CHUNK = 1 << 17


@lru_cache(64)
def _band(low_hz: float, high_hz: float, rate_hz: float) -> Floats:
    return np.asarray(signal.butter(2, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos"))


def sized(wave: Floats, size_mg: float) -> Floats:
    """Return a wave, (n,) or (n, 3), in g, scaled to `size_mg` peak to peak on its largest axis."""
    return wave * (size_mg / 1000 / max(float(np.ptp(wave, axis=0).max()), 1e-12))


def noise(rng: np.random.Generator, seconds: float, band_hz: Range, rate_hz: float, axes: int = 3) -> Floats:
    """Return noise in a band that rises and falls as half a sine, (n, axes)."""
    n = max(8, round(seconds * rate_hz))
    drawn = signal.sosfilt(_band(*band_hz, rate_hz), rng.standard_normal((n, axes)), axis=0)
    return np.asarray(drawn * np.sin(np.linspace(0, np.pi, n))[:, None])


def jolt(hz: float, damping: float, seconds: float, rate_hz: float = FINE_HZ) -> Floats:
    """Return a jolt that starts within half a swing and rings, (n,); `damping` is that of its resonance."""
    t = np.arange(max(8, round(seconds * rate_hz))) / rate_hz
    wave = np.sin(2 * np.pi * hz * t) * np.exp(-2 * np.pi * hz * damping * t)
    return np.asarray(wave * np.clip(t * 4 * hz, 0, 1) * np.clip((seconds - t) / (0.2 * seconds), 0, 1))


def hump(seconds: float, rate_hz: float) -> Floats:
    """Return one slow rise and fall from 0 to 1 to 0, (n,)."""
    return np.asarray(np.hanning(max(8, round(seconds * rate_hz))))


def put(wave: Floats, onto: Floats, at: int) -> None:
    """Add a wave to a longer one from a sample on; what does not fit is left out."""
    part = onto[at : at + len(wave)]
    part += wave[: len(part)]


def chunks(canvas: Canvas, span_s: Range) -> Iterator[tuple[slice, Floats]]:
    """Yield the samples of a span a piece at a time, with their times in seconds."""
    window = canvas.grid.window(*span_s)
    for start in range(window.start, window.stop, _CHUNK):
        stop = min(start + _CHUNK, window.stop)
        yield slice(start, stop), canvas.grid.time_s(np.arange(start, stop, dtype=np.float64))


def add_line(
    canvas: Canvas, span_s: Range, rng: np.random.Generator, hz: float, wander: float, wave_g: Floats
) -> None:
    """Add a hum with a frequency that wanders by a share, along a vector (3,) in g of half its swing.

    A chip with a low-pass takes most of it away above 0.45 of its rate; without, it folds into the band.
    """
    knot_s = np.arange(span_s[0], span_s[1] + 60, 20.0)
    rate = hz * (1 + wander * np.clip(np.cumsum(rng.normal(0, 0.2, len(knot_s))), -1, 1))
    phase = 2 * np.pi * np.concatenate([[rng.random()], np.cumsum(rate[:-1] * 20.0)])
    loss = (hz / (0.45 * canvas.grid.fs_hz)) ** 3 if canvas.filtered else 0.0
    way = (wave_g / np.hypot(1, loss)).astype(np.float32)
    for window, t in chunks(canvas, span_s):
        canvas.acc_g[window] += np.sin(np.interp(t, knot_s, phase)).astype(np.float32)[:, None] * way


def add_cycles(
    canvas: Canvas, span_s: Range, onset_s: Floats, gain: Floats, table_g: Floats, rate_hz: float, way: Floats
) -> None:
    """Add one of several short waves, (k, m) at `rate_hz`, at each onset in turn, along a vector (3,)."""
    inside = (onset_s >= span_s[0]) & (onset_s < span_s[1])
    onset_s, gain = onset_s[inside], gain[inside]
    if not len(onset_s):
        return
    if canvas.filtered:
        table_g = signal.sosfilt(canvas.low_pass(rate_hz), table_g, axis=1)
    table = table_g.astype(np.float32)
    m = table.shape[1]
    along = way.astype(np.float32)
    for window, t in chunks(canvas, span_s):
        number = np.searchsorted(onset_s, t, side="right") - 1
        since = ((t - onset_s[number]) * rate_hz).astype(np.int64)
        on = np.flatnonzero((number >= 0) & (since >= 0) & (since < m))
        which = number[on]
        values = table[which % len(table), since[on]] * gain[which].astype(np.float32)
        canvas.acc_g[window.start + on] += values[:, None] * along
