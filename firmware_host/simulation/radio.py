"""The chip and the radio: counts out of acceleration, and when and whether they arrive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.simulation.bodies import Grid, Signal, log_uniform
from firmware_host.simulation.parameters import Parameters, Range
from firmware_host.simulation.twitches import Floats

Counts = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Link:
    """When one sensor was connected, and the spans within whose samples got lost on the way."""

    connected_s: tuple[Range, ...]
    lost_s: tuple[Range, ...]


@dataclass(frozen=True)
class Delivery:
    """Samples as they arrive: rows [start, stop) of the grid, counter of the first, arrival time."""

    start: int
    stop: int
    first: int
    arrival_s: float


def add_noise(rng: np.random.Generator, acc_g: Signal, fs_hz: float, noise_ug_per_sqrt_hz: float) -> None:
    """Add the chip's white noise to every axis, a block at a time."""
    sigma_g = np.float32(noise_ug_per_sqrt_hz * 1e-6 * np.sqrt(fs_hz / 2))
    for start in range(0, len(acc_g), 1 << 18):
        block = acc_g[start : start + (1 << 18)]
        block += sigma_g * rng.standard_normal(block.shape, dtype=np.float32)


def quantise(acc_g: Signal, mg_per_count: float) -> Counts:
    """Return what a chip with 16 bit sends, int16 (n, 3); beyond its range it clips."""
    counts: Signal = np.rint(acc_g * np.float32(1000 / mg_per_count))
    return np.clip(counts, -32768, 32767, out=counts).astype(np.int16)


def draw_link(rng: np.random.Generator, p: Parameters, hours: float, number: int) -> Link:
    """Draw the fate of a sensor's link: the first has a short reconnect, the second is long out of reach."""
    duration_s = hours * 3600
    connected: tuple[Range, ...] = ((float(rng.uniform(1, 12)), duration_s),)
    if number in (0, 1):
        away = rng.uniform(0.35, 0.6) * duration_s
        back = away + (p.lost_share * duration_s if number else min(25.0, 0.01 * duration_s))
        connected = ((connected[0][0], away), (back, duration_s))
    starts = np.sort(rng.uniform(60, max(61, duration_s - 60), int(rng.poisson(p.losses_per_h * hours))))
    lengths = log_uniform(rng, p.loss_s, len(starts))
    return Link(connected, tuple(zip(starts.tolist(), (starts + lengths).tolist(), strict=True)))


def deliveries(
    rng: np.random.Generator, p: Parameters, grid: Grid, span_s: Range, link: Link
) -> Iterator[Delivery]:
    """Yield what arrives in one connection, in order; the counter starts at 0 and counts what is lost."""
    window = grid.window(*span_s)
    block = max(1, round(p.block_s * grid.fs_hz))
    edges = set(range(window.start, window.stop, block)) | {window.stop}
    lost = [grid.window(*one) for one in link.lost_s]
    edges |= {edge for one in lost for edge in (one.start, one.stop) if window.start < edge < window.stop}
    borders = sorted(edges)
    gone = np.zeros(len(borders), bool)
    for one in lost:
        gone |= (np.array(borders) >= one.start) & (np.array(borders) < one.stop)
    late = rng.uniform(0, p.jitter_s, len(borders))
    stalls: Floats = rng.uniform(*p.stall_s, len(borders)) * (rng.random(len(borders)) < p.stall_share)
    arrival_s = 0.0
    for number, (start, stop) in enumerate(itertools.pairwise(borders)):
        taken_s = grid.start_s + (stop - 1) / grid.fs_hz
        arrival_s = max(arrival_s, taken_s + late[number] + stalls[number])
        if not gone[number]:
            yield Delivery(start, stop, start - window.start, arrival_s)
