"""The heartbeat: two bursts a beat on the trunk, a pulse at the limbs in a part of the night.

A beat is a sum of parts, each with its own time, direction and size, so that the movement turns within the
beat. Sizes and times change with the breath, over minutes, from posture to posture and from beat to beat, as
much as in recordings of chests at rest (a beat resembles the mean of its recording by a correlation of 0.84,
0.63-0.92 in 90 % of recordings, and its size varies by 18 %, 10-32 %; MSCardio, people developed on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import signal

from firmware_host.simulation.bodies import add_pulses, as_sampled, log_uniform
from firmware_host.simulation.happenings import Canvas, Draft, Happening, Kind, confounder
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.shapes import FINE_HZ, Floats
from firmware_host.simulation.twitches import direction

HZ: Range = (4.5, 26.0)
"""Of one part of a beat: half of the power of chests lies below 10 Hz, 90 % below 19 Hz (MSCardio)."""
PART_S = 0.30
BEAT_S = 2.0
SWAY_HZ: Range = (3.5, 8.0)
SWAY_DECAY_S: Range = (0.08, 0.32)
SWAY: Range = (0.25, 1.2)
"""Chests sway on after a beat, mostly aside of its main direction: bursts of chests at rest have their most
power at 6.8 Hz in the median (4.0-18 Hz in 90 %; MSCardio, people developed on)."""
ARM_MG: Range = (1.0, 8.0)
LEG_MG: Range = (0.5, 4.0)
LIMB_SHARE: Range = (0.1, 0.6)
SPAN_S: Range = (300.0, 2400.0)
UNSTEADY: Range = (0.2, 0.9)
"""How much beats of a trunk vary, as a share of the most: 78 % of their energy is told by the beats around
them (52-93 % in 90 % of candidates; MSCardio, people developed on)."""
JITTER_S: Range = (0.001, 0.0075)
"""A part's own shift from beat to beat, standard deviation."""
SPREAD: Range = (0.03, 0.20)
"""A part's own change of size from beat to beat, standard deviation."""
BREATH: Range = (0.03, 0.25)
"""How much of a part's size comes and goes with the breath."""
FILLING: Range = (0.0, 0.6)
"""Power of the interval before it by which a beat is larger: a heart that had time to fill throws more out
(assumption)."""
EARLY_SPREAD = 0.4
"""A beat that comes too early has another shape: standard deviation of its parts' sizes (assumption)."""
_BAND = signal.butter(2, (5.0, 45.0), "bandpass", fs=FINE_HZ, output="sos")
_T = np.arange(round(PART_S * FINE_HZ)) / FINE_HZ


@dataclass(frozen=True)
class Part:
    """A part of a beat: how long after the beat it comes, its wave at `FINE_HZ`, and its direction."""

    after_s: float
    wave: Floats
    along: Floats


Parts = list[tuple[float, Floats]]


def _packets(rng: np.random.Generator) -> Parts:
    """Wave packets: a strong first group when the valves close and open, a weaker second one."""
    parts = []
    for after_s, size in _groups(rng):
        width_s = rng.uniform(0.015, 0.045)
        at = _T - 2.5 * width_s
        phase = 2 * np.pi * log_uniform(rng, HZ, 1)[0] * at + rng.uniform(0, 2 * np.pi)
        parts.append((after_s, size * np.exp(-0.5 * (at / width_s) ** 2) * np.cos(phase)))
    return parts


def _bumps(rng: np.random.Generator) -> Parts:
    """Peaks and troughs one after another, as a seismocardiogram's named points."""
    parts = []
    for after_s, size in _groups(rng):
        wave = np.zeros_like(_T)
        at_s, sign = 0.05, rng.choice([-1.0, 1.0])
        for _ in range(int(rng.integers(2, 5))):
            width_s = log_uniform(rng, (0.006, 0.022), 1)[0]
            wave += sign * rng.uniform(0.4, 1.0) * np.exp(-0.5 * ((_T - at_s) / width_s) ** 2)
            at_s, sign = at_s + rng.uniform(0.020, 0.050), -sign
        parts.append((after_s, size * wave))
    return parts


def _rings(rng: np.random.Generator) -> Parts:
    """Jolts that ring on in the chest wall."""
    parts = []
    for after_s, size in _groups(rng):
        rise_s, decay_s = rng.uniform(0.01, 0.03), rng.uniform(0.03, 0.07)
        swell = (1 - np.exp(-_T / rise_s)) ** 2 * np.exp(-_T / decay_s)
        parts.append((after_s, size * swell * np.sin(2 * np.pi * log_uniform(rng, HZ, 1)[0] * _T)))
    return parts


def _sways(rng: np.random.Generator, parts: Parts) -> Parts:
    """Draw how the chest sways on, the same way after each of the two largest parts."""
    t = np.arange(round(0.9 * FINE_HZ)) / FINE_HZ
    made = []
    for _ in range(int(rng.integers(1, 3))):
        decay_s, hz = log_uniform(rng, SWAY_DECAY_S, 1)[0], log_uniform(rng, SWAY_HZ, 1)[0]
        swell = (1 - np.exp(-t / rng.uniform(0.01, 0.04))) ** 2 * np.exp(-t / decay_s)
        wave = swell * np.sin(2 * np.pi * hz * t + rng.uniform(0, 2 * np.pi))
        size = log_uniform(rng, SWAY, 1)[0] * np.ptp(parts[0][1]) / np.ptp(wave)
        made.append((parts[0][0], size * wave))
    return made


def _groups(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Draw when the parts of a beat come and how large: two or three early ones, one or two late ones."""
    late_s, late = rng.uniform(0.28, 0.38), rng.uniform(0.2, 0.8)
    first = [(0.0, 1.0), (rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.8))]
    if rng.random() < 0.5:
        first.append((rng.uniform(-0.12, -0.05), rng.uniform(0.1, 0.4)))
    return [*first, (late_s, late), (late_s + rng.uniform(0.03, 0.08), 0.5 * late)]


_FORMS: tuple[Callable[[np.random.Generator], Parts], ...] = (_packets, _bumps, _rings)


def _draw(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    events = []
    for number, region in enumerate(night.regions):
        sizes = np.zeros(len(night.sites))
        if region == "thoracic":
            sizes[number] = np.clip(rng.lognormal(np.log(23.0), 0.51), *kind.size_mg)
            events.append(kind.event(rng, 0.0, night.duration_s, sizes))
            continue
        limits = LEG_MG if region == "lumbosacral" else ARM_MG
        share, at_s = rng.uniform(*LIMB_SHARE), 0.0
        seed = int(rng.integers(1 << 62))
        while at_s < night.duration_s:
            length_s = float(log_uniform(rng, SPAN_S, 1)[0])
            sizes[number] = log_uniform(rng, limits, 1)[0]
            if rng.random() < share:
                end_s = min(at_s + length_s, night.duration_s)
                events.append(kind.event(rng, at_s, end_s, sizes, detail=float(seed % (1 << 52))))
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
    """Add every beat within the span."""
    form = np.random.default_rng(int(event.detail)) if event.detail else canvas.rng(event)
    trunk = canvas.region == "thoracic"
    parts = _draw_parts(form, trunk=trunk)
    sleeper = canvas.night.sleeper
    inside = (sleeper.beat_s >= event.start_s) & (sleeper.beat_s < event.end_s)
    beat_s = sleeper.beat_s[inside] + form.uniform(0.05, 0.25)
    if not len(beat_s):
        return
    scale = size_mg / 1000 / _swing(parts)
    rng = canvas.rng(event)
    early = sleeper.early[inside]
    gain = _gains(rng, len(beat_s), early)
    unsteady = float(log_uniform(rng, UNSTEADY, 1)[0]) if trunk else 1.0
    posture = np.searchsorted(_turn_s(canvas, event), beat_s)
    breath = 2 * np.pi * sleeper.breath_phase(beat_s)
    interval_s = np.diff(beat_s, prepend=beat_s[0] - 0.9)
    gain *= np.clip(interval_s / np.median(interval_s), 0.4, 1.8) ** rng.uniform(*FILLING)
    for part in parts:
        own = gain * (1 + unsteady * rng.uniform(*BREATH) * np.sin(breath + rng.uniform(0, 2 * np.pi)))
        own *= np.exp(unsteady * rng.uniform(*SPREAD) * rng.standard_normal(len(beat_s)))
        own *= np.exp(0.12 * _wandering(rng, len(beat_s), 60.0))
        own[early] *= np.exp(EARLY_SPREAD * rng.standard_normal(int(early.sum())))
        shift_s = part.after_s * np.sqrt(np.clip(interval_s, 0.5, 1.5) / 0.9)
        shift_s += unsteady * rng.uniform(*JITTER_S) * rng.standard_normal(len(beat_s))
        shift_s += unsteady * rng.uniform(0, 0.010) * np.sin(breath + rng.uniform(0, 2 * np.pi))
        shape = as_sampled(part.wave * scale, canvas.grid.fs_hz)
        for number in range(int(posture.max()) + 1):
            here = posture == number
            along = part.along + (0.3 * rng.standard_normal(3) if number else 0)
            size = rng.lognormal(0, 0.2) if number else 1.0
            at = canvas.grid.index(beat_s[here] + shift_s[here])
            add_pulses(canvas.acc_g, at, size * own[here], shape, along / np.linalg.norm(along))


def _draw_parts(rng: np.random.Generator, *, trunk: bool) -> list[Part]:
    parts = _FORMS[int(rng.integers(len(_FORMS)))](rng)
    parts = parts + _sways(rng, parts) if trunk else parts[: int(rng.integers(1, 4))]
    main, spread = direction(rng), rng.uniform(0.3, 1.2)
    ways = [main + spread * rng.standard_normal(3) for _ in parts]
    return [
        Part(after_s, wave, way / np.linalg.norm(way))
        for (after_s, wave), way in zip(parts, ways, strict=True)
    ]


def _swing(parts: list[Part]) -> float:
    """Return how far the mean beat swings in 5-45 Hz along its main direction, peak to peak."""
    total = np.zeros((round(BEAT_S * FINE_HZ), 3))
    for part in parts:
        first = round((part.after_s + 0.2) * FINE_HZ)
        total[first : first + len(part.wave)] += part.wave[:, None] * part.along
    heard = signal.sosfiltfilt(_BAND, total, axis=0)
    return float(np.ptp(heard @ np.linalg.eigh(heard.T @ heard)[1][:, -1]))


def _gains(rng: np.random.Generator, n: int, early: np.ndarray) -> Floats:
    """Draw the size of each beat as a whole: slow change, chance, and beats that come too early."""
    gain = np.exp(0.2 * _wandering(rng, n, 300.0) + 0.05 * rng.standard_normal(n))
    gain[early] *= rng.uniform(0.4, 1.3, int(early.sum()))
    gain[1:][early[:-1]] *= 1.25
    return np.asarray(gain)


def _wandering(rng: np.random.Generator, n: int, beats: float) -> Floats:
    """Return n numbers around 0, standard deviation about 1, that change over so many beats."""
    knots = rng.standard_normal(int(n / beats) + 3)
    return np.asarray(np.interp(np.arange(n) / beats + rng.random(), np.arange(len(knots)), knots))


def _turn_s(canvas: Canvas, event: Happening) -> Floats:
    """Return when the posture changes for the heart: at this site's larger turns."""
    turns = [at_s for at_s, degrees in canvas.turns if degrees > 20 and event.start_s < at_s < event.end_s]
    return np.array(turns)
