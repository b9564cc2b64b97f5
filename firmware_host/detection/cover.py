"""What the stretches of a sensor hold in the end: what their time was good for, and the candidates in it.

Wear is judged over all stretches of a sensor together: a link that breaks every few minutes takes nobody's
breath away, and leaves no sensor on the table unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firmware_host.detection import quality, wear
from firmware_host.detection.signals import CELL_S, Bool, Float32, Float64, Plan
from firmware_host.twitches import Kind, Table

GAP_GUARD_S = 0.1
"""What lies so near a gap is judged from half a burst."""
GAP_UNGUARDED_S = 0.03
"""A straight line over so short a gap leaves no trace in 3-45 Hz."""
GAP_ISLAND_S = 1.0
"""Less time than this between two gaps is part of them: no heartbeat can be followed through pieces so short,
and its beats would count."""
LONGEST_PAUSE_S = 3600.0
"""More time than this between two stretches says no more than this."""


@dataclass(frozen=True)
class Found:
    """What one stretch holds: candidates, what its time was good for, and the noise.

    `candidates` has `CANDIDATE_DTYPE`, in order of time; `coverage` `quality.COVERED_DTYPE` tiles the stretch
    with half-open index intervals; `density` (3,) is the median density of quiet signal per axis in
    mg/sqrt(Hz), NaN if never quiet.
    """

    candidates: Table
    coverage: Table
    density: Float64


class CellRows(NamedTuple):
    """What is kept of each cell to the end: (3, cells) and (cells,) arrays; see `judge_wear`."""

    mean_mg: Float32
    energy: Float32
    density: Float32
    kind: quality.Cells
    empty: Bool


@dataclass(frozen=True)
class Searched:
    """A stretch that was searched but for whether the sensor was worn; made by `SiteDetector.close`."""

    plan: Plan
    candidates: Table
    cells: CellRows
    gaps: list[tuple[int, int]]
    length: int
    density: Float64
    least_density_mg: float


def judge_stretches(searched: Sequence[Searched], pauses_s: Sequence[float] = ()) -> list[Found]:
    """Judge wear over the stretches of one sensor together, and return what each of them holds.

    Parameters
    ----------
    searched : sequence of Searched
        In order of time, of one nominal rate.
    pauses_s : sequence of float
        Seconds without samples between each two of them.
    """
    if not searched:
        return []
    parts = [searched[0].cells]
    for one, pause_s in zip(searched[1:], pauses_s, strict=True):
        parts += [_pause(pause_s), one.cells]
    cells = join_cells(parts)
    worn = wear.judge_wear(
        cells.mean_mg,
        cells.energy,
        cells.density,
        cells.kind,
        searched[0].plan.bandwidth_hz,
        max(one.least_density_mg for one in searched),
    )
    stops = np.cumsum([len(part.kind) for part in parts])
    found = []
    for one, stop in zip(searched, stops[::2].tolist(), strict=True):
        own = slice(stop - len(one.cells.kind), stop)
        found.append(_found(one, wear.Worn(worn.not_worn[own], worn.unconfirmed[own])))
    return found


def join_cells(parts: Sequence[CellRows], count: int | None = None) -> CellRows:
    """Return the first `count` cells of parts that follow each other; such without samples are gaps."""
    mean_mg, energy, density, kind, empty = (
        np.concatenate(columns, axis=-1)[..., :count] for columns in zip(*parts, strict=True)
    )
    return CellRows(mean_mg, energy, density, np.where(empty, np.uint8(Kind.GAP), kind), empty)


def _pause(seconds: float) -> CellRows:
    """Return cells without samples, enough of them that what is before and after is not taken for one."""
    count = max(wear.PAUSE_CELLS + 1, round(min(seconds, LONGEST_PAUSE_S) / CELL_S))
    none = np.zeros(count, np.float32)
    kind = np.full(count, Kind.GAP, np.uint8)
    return CellRows(np.full((3, count), np.nan, np.float32), none, none, kind, np.ones(count, bool))


def _found(one: Searched, worn: wear.Worn) -> Found:
    """Tile a stretch with what its time was good for, and keep the candidates in valid time."""
    length, candidates = one.length, one.candidates
    valid = one.cells.kind == Kind.VALID
    kind = np.where(worn.not_worn & valid, np.uint8(Kind.NOT_WORN), one.cells.kind)
    size = one.plan.cell * one.plan.decimation
    gaps = guarded(one.gaps, one.plan.fs_hz, length)
    coverage = quality.tile(kind, worn.unconfirmed, gaps, size, length)
    return Found(candidates[in_valid(coverage, candidates["peak_index"])], coverage, one.density)


def in_valid(coverage: Table, index: Float64) -> Bool:
    """Tell which grid indices lie in valid time of a coverage (`quality.COVERED_DTYPE`)."""
    if not len(coverage):
        return np.zeros(len(index), bool)
    tile = np.searchsorted(coverage["start_index"], index, side="right") - 1
    valid = coverage["kind"][np.maximum(tile, 0)] == Kind.VALID
    return np.asarray(valid & (tile >= 0) & (index < coverage["stop_index"][-1]))


def guarded(gaps: Sequence[tuple[int, int]], fs_hz: float, length: int | None) -> list[tuple[int, int]]:
    """Return gaps of a stretch with what beside them, and at its ends, is judged from half a burst.

    `length` is that of the stretch, None while it goes on.
    """
    guard, least = round(GAP_GUARD_S * fs_hz), GAP_UNGUARDED_S * fs_hz
    short = [(a, b) for a, b in gaps if b - a <= least]
    long = [(a - guard, b + guard) for a, b in gaps if b - a > least]
    end = [] if length is None else [(length - guard, length)]
    return short + _joined([(0, guard), *long, *end], round(GAP_ISLAND_S * fs_hz))


def _joined(gaps: list[tuple[int, int]], island: int) -> list[tuple[int, int]]:
    """Join gaps, in order, that less than `island` samples lie between."""
    out = gaps[:1]
    for start, stop in gaps[1:]:
        if start - out[-1][1] < island:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((start, stop))
    return out
