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
from firmware_host.detection.ring import Rows
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

    def part(self, some: slice) -> CellRows:
        """Return some cells, not copied."""
        return CellRows(self.mean_mg[:, some], self.energy[some], self.density[some], self.kind[some])


class KeptCells:
    """The cells of a stretch as they become known, each kept once.

    `room` is for how many there is memory from the beginning: where it is enough, nothing is ever moved.
    """

    def __init__(self, room: int = 0) -> None:
        self._values = Rows(5, np.float32, room)
        self._kinds = Rows(1, np.uint8, room)

    @property
    def cells(self) -> CellRows:
        """What is kept, not copied."""
        values = self._values.rows
        return CellRows(values[:3], values[3], values[4], self._kinds.rows[0])

    def append(self, cells: CellRows) -> None:
        """Keep a copy of more cells."""
        count = len(cells.kind)
        values = self._values.grow(count)
        values[:3], values[3], values[4] = cells.mean_mg, cells.energy, cells.density
        self._kinds.grow(count)[0] = cells.kind


@dataclass
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
    cells = _cells_of(searched, pauses_s)
    worn = wear.judge_wear(
        cells.mean_mg,
        cells.energy,
        cells.density,
        cells.kind,
        searched[0].plan.bandwidth_hz,
        max(one.least_density_mg for one in searched),
    )
    found, start = [], 0
    for one, pause in zip(searched, [*_pauses(pauses_s), 0], strict=True):
        own = slice(start, start + len(one.cells.kind))
        found.append(_found(one, wear.Worn(worn.not_worn[own], worn.unconfirmed[own])))
        start = own.stop + pause
    return found


def _cells_of(searched: Sequence[Searched], pauses_s: Sequence[float]) -> CellRows:
    """Return the cells of stretches and the pauses between them; they no longer hold any of their own."""
    if len(searched) == 1:
        return searched[0].cells
    pauses = _pauses(pauses_s)
    kept = KeptCells(sum(pauses) + sum(len(one.cells.kind) for one in searched))
    for one, pause in zip(searched, [*pauses, 0], strict=True):
        start = len(kept.cells.kind)
        kept.append(one.cells)
        one.cells = kept.cells.part(slice(start, None))
        kept.append(_empty(pause))
    return kept.cells


def _pauses(pauses_s: Sequence[float]) -> list[int]:
    """Return how many cells stand for pauses: enough that what is before and after is not taken for one."""
    return [max(wear.PAUSE_CELLS + 1, round(min(s, LONGEST_PAUSE_S) / CELL_S)) for s in pauses_s]


def _empty(count: int) -> CellRows:
    """Return cells without samples."""
    none = np.zeros(count, np.float32)
    return CellRows(np.full((3, count), np.nan, np.float32), none, none, np.full(count, Kind.GAP, np.uint8))


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
