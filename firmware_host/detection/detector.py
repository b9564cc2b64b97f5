"""The stages of pass 1 in order, streaming: one detector for one stretch of one sensor.

An event is final at most 120 s after its peak arrived: a filter block (75 s), half a floor window
(30 s) and a few seconds for the gate. Only the judgement of wear can change later, up to the end of the
stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from firmware_host.detection import candidates as pick_stage
from firmware_host.detection import features, heart, lobes, quality, waves
from firmware_host.detection.cover import CellRows, Found, KeptCells, Searched, judge_stretches
from firmware_host.detection.cuts import Cut, measure_cuts
from firmware_host.detection.floor import REACH, FloorTracker, quiet_gain
from firmware_host.detection.ring import Ring
from firmware_host.detection.signals import (
    GROUP,
    SERIES,
    Block,
    BlockFilter,
    Bool,
    Float64,
    make_plan,
    windows_at,
)
from firmware_host.twitches import Column, Kind, Table, dtype_of

CANDIDATE_COLUMNS: tuple[Column, ...] = (
    Column(
        "peak_index", "f8", "samples", "maximum of the zero-phase 3-45 Hz norm on the stretch's sample grid"
    ),
    Column("onset_index", "f8", "samples", "where the burst rises out of the floor"),
    Column("end_index", "f8", "samples", "where the burst falls into the floor"),
    Column(
        "peak_to_peak_mg", "f4", "mg", "peak-to-peak acceleration in 3-45 Hz along its own main direction"
    ),
    Column("snr", "f4", "", "d = sqrt(2 E) / nd"),
    Column("dominant_cps", "f4", "1/sample", "frequency of most power, in cycles per sample"),
    Column("score", "f4", "", "largest answer of the template bank over the local density"),
    Column("flags", "u4", "", "see twitches.Flag"),
    *features.FEATURE_COLUMNS,
    *heart.HEART_COLUMNS,
    *lobes.LOBE_COLUMNS,
)
CANDIDATE_DTYPE = np.dtype([*dtype_of(CANDIDATE_COLUMNS).descr, *waves.WAVE_FIELDS])
"""The columns, and the wave of each, which is not stored."""
MARGIN = 44
"""Cells (11 s) on both sides that the gate and the side-lobe rule look at."""
BESIDE = 8
"""Cells (2 s) around what is asked for in which maxima may hide something: three times what one hides."""
STEP_CELLS = np.array([-4, -3, -2, 2, 3, 4])
STEP_WEIGHTS = np.array([-1, -1, -1, 1, 1, 1], np.float32) / 3
"""The slow step of a burst: mean of three cells after less that of three before."""
AT_ONCE = 8
"""Filter blocks (ten minutes) whose candidates are looked for together where nobody waits for them: beats
are followed over a longer time, and fewer seconds twice."""
MOST_ROOM = 1 << 22
"""Room is made beforehand for so many cells at most, 12 days: an announced length may be wrong."""
BATCH = 64
"""Candidates whose features are measured at once."""
ROOM = 4096
"""Memory for so many is taken at once: what is taken in small pieces is not given back."""


class SiteDetector:
    """Finds candidates in one stretch, sample by sample index.

    Parameters
    ----------
    fs_hz : float
        Nominal sampling rate, which designs the filters.
    lowest_score : float
        Score from which on a candidate is kept.
    range_g : float, optional
        Range of the sensor; None if unknown.
    step_g : float, optional
        Step of its numbers; None if unknown, then it is seen in them. No floor is believed to be under
        what the steps add.
    at_once : int, optional
        Filter blocks whose candidates are looked for together.
    wanted : callable, optional
        Tells of grid indices (k,) which candidates there are asked for, (k,) bool: the others are left out
        before they are measured. By default all are.
    n : int, optional
        Length that the stretch will have, gaps included, if it is known: room for its cells.

    Raises
    ------
    BadValueError
        If the rate is below 45 Hz.
    """

    def __init__(
        self,
        fs_hz: float,
        lowest_score: float,
        *,
        range_g: float | None = None,
        step_g: float | None = None,
        at_once: int = 1,
        wanted: Callable[[pick_stage.Int64], Bool] | None = None,
        n: int | None = None,
    ) -> None:
        self._wanted = wanted
        self._plan = make_plan(fs_hz)
        self._lowest_score = lowest_score
        self._range_g = range_g
        self._step_g = step_g
        self._at_once = at_once
        self._expect_noise()
        self._shadow = lobes.shadow_of(self._plan)
        self._filter = BlockFilter(self._plan)
        self._ring = Ring(self._plan.cell, REACH + 2 * MARGIN)
        self._picked = 0  # cells whose candidates are final
        self._taken = 0  # cells that were taken away since
        room = -(-(n or 0) // self.cell_samples) + 2 * self._plan.cells  # the last block goes beyond the end
        self._kept = KeptCells(min(room, MOST_ROOM))
        self._gaps: list[tuple[int, int]] = []
        self._variances: list[Float64] = []
        self._waiting: list[Cut] = []
        self._tables: list[Table] = []
        self._room: Table = np.zeros(0, CANDIDATE_DTYPE)

    def push(self, first: int, acc_g: npt.ArrayLike) -> None:
        """Take contiguous samples (n, 3) in g from grid index `first` on; a jump from the last is a gap.

        Raises
        ------
        ValueError
            If the samples have no three axes or go back in the grid.
        """
        samples = np.asarray(acc_g, np.float32)
        if samples.ndim != 2 or samples.shape[1] != 3:
            raise ValueError(f"samples have the shape (n, 3), not {samples.shape}")
        for block in self._filter.push(first, samples):
            self._take_block(block)
            self._advance()

    def take(self) -> Table:
        """Return the candidates that became final since the last call (but for gaps and wear)."""
        self._measure()
        tables, self._tables = self._tables, []
        return np.concatenate([np.empty(0, CANDIDATE_DTYPE), *tables])

    @property
    def final(self) -> int:
        """Grid index before which nothing changes any more but by gaps and wear."""
        return self._picked * self.cell_samples

    @property
    def cell_samples(self) -> int:
        """Samples of one cell of the grid."""
        return self._plan.cell * self._plan.decimation

    @property
    def gaps(self) -> Sequence[tuple[int, int]]:
        """Gaps of the grid seen so far; they are known `MARGIN` cells beyond `final`."""
        return self._gaps

    def take_kinds(self) -> quality.Cells:
        """Return what the cells were good for that became final since the last call, and let go of them.

        So that a detector can run for days; what `close` returns afterwards begins with the cell after them,
        which is too little to judge wear.
        """
        kinds, self._kept = self._kept.cells.kind, KeptCells()
        self._taken += len(kinds)
        return kinds

    def close(self, n: int | None = None) -> Searched:
        """Close the stretch and return what it holds but for the judgement of wear.

        Parameters
        ----------
        n : int, optional
            Length of the stretch, gaps included; by default it ends with the last sample.
        """
        length = self._filter.next_index if n is None else n
        for block in self._filter.finish(length):
            self._take_block(block)
        self._ring.pad(REACH + MARGIN + GROUP)
        self._at_once = 1
        self._advance()
        count = -(-length // self.cell_samples) - self._taken
        cells = self._kept.cells.part(slice(count))
        density = np.full(3, np.nan)
        if self._variances:
            gain = quiet_gain(self._plan.cell_dof[0])
            density = np.sqrt(np.median(self._variances, axis=0) / self._plan.bandwidth_hz / gain)
        return Searched(self._plan, self.take(), cells, self._gaps, length, density, self._least_density_mg)

    def finish(self, n: int | None = None) -> Found:
        """Close the stretch, judge wear by it alone and return what it holds; `n` as for `close`."""
        return judge_stretches([self.close(n)])[0]

    def _expect_noise(self) -> None:
        """Begin to learn the noise, which is no less than what the steps of the numbers add."""
        plan = self._plan
        # Steps add step^2 / 12 of noise, white up to half the rate; doubled, as toggling is not Gaussian.
        density_mg = 2e3 * (self._step_g or 0.0) / np.sqrt(12.0 * plan.fs_hz / 2.0)
        self._least_density_mg = max(density_mg, 1e-3)
        least = np.full(SERIES, self._least_density_mg**2, np.float32)
        least[0] *= np.float32(plan.bandwidth_hz)
        self._floor = FloorTracker(plan.cell_dof, least)
        self._whitener = pick_stage.Whitener(least)

    def _take_block(self, block: Block) -> None:
        plan = self._plan
        if self._step_g is None:  # nothing changed so far, so nothing was learnt
            self._step_g = quality.step_of(block)
            self._expect_noise()
        cells = quality.judge_cells(block, plan, self._range_g)
        usable = ~(cells.missing | cells.clipped | cells.stuck)
        white, energy, variance = self._whitener.whiten(block.filtered, usable, plan.cell)
        if np.isfinite(variance[0]):
            self._variances.append(variance)
        self._ring.append(block.filtered[0], white, energy, cells)
        if not block.missing.any():
            return
        first = block.first * plan.decimation
        edges = np.flatnonzero(np.diff(np.concatenate([[False], block.missing, [False]]).astype(np.int8)))
        for start, stop in (edges.reshape(-1, 2) + first).tolist():
            if self._gaps and self._gaps[-1][1] == start:
                self._gaps[-1] = (self._gaps[-1][0], stop)
            else:
                self._gaps.append((start, stop))

    def _advance(self) -> None:
        """Learn the floor as far as the signal reaches, then pick candidates up to `MARGIN` cells before."""
        ring = self._ring
        start, stop = ring.floor_stop, (ring.stop - REACH) // GROUP * GROUP
        if stop <= start:
            return
        window = ring.cells(start - REACH, stop + REACH)
        # What is slow in a cell shows within a few seconds of it.
        near = slice(max(window.start - MARGIN, 0), window.stop + MARGIN)
        slow = quality.slow_movement(ring.mean_mg[:, near])
        usable = ~(ring.missing | ring.clipped | ring.stuck)[window]
        usable &= ~slow[window.start - near.start :][: len(usable)]
        floor, steady = self._floor.learn(ring.energy[:, window], usable)
        ring.learn_floor(floor, steady[0])
        if stop - MARGIN - self._picked < (self._at_once - 1) * self._plan.cells:
            return
        self._pick(self._picked, stop - MARGIN, quality.slow_movement(ring.mean_mg))
        self._picked = max(self._picked, stop - MARGIN)
        ring.drop_before(self._picked - MARGIN - REACH)

    def _pick(self, start: int, stop: int, slow: Bool) -> None:
        if stop <= start:
            return
        ring, plan = self._ring, self._plan
        density = np.sqrt(ring.floor[0] / np.float32(plan.bandwidth_hz))
        moving = slow | quality.sustained_movement(ring.energy[0], 3 * ring.steady)
        kind = quality.kinds(moving, ring.clipped, ring.stuck, density)
        here = ring.cells(start, stop)
        known = np.where(ring.empty[here], np.uint8(Kind.GAP), kind[here])
        self._kept.append(CellRows(ring.mean_mg[:, here], ring.energy[0, here], density[here], known))
        wide = ring.cells(start - MARGIN, stop + MARGIN)
        asked = np.zeros(wide.stop - wide.start, bool)
        asked[MARGIN:-MARGIN] = kind[here] == Kind.VALID
        if not asked.any():
            return
        samples = slice(wide.start * plan.cell, wide.stop * plan.cell)
        picked = pick_stage.pick(
            ring.square[samples],
            ring.white[:, samples],
            ring.band[:, samples],
            ring.floor[1:, wide],
            self._whitener.root[1:],
            plan,
            self._shadow,
            self._lowest_score,
            quality.widen(asked, BESIDE),
        )
        if not len(picked.sample):
            return
        side_lobe, alone = picked.lobe["side_lobe"], len(ring.square)
        room = lobes.room(picked.sample, picked.place, side_lobe, alone, plan.fs_internal_hz)
        index = picked.sample + samples.start
        cell = index // plan.cell
        final = (cell >= here.start) & (cell < here.stop) & (kind[cell] == Kind.VALID)
        if self._wanted is not None:
            final &= self._wanted((index + ring.first_cell * plan.cell) * plan.decimation)
        if final.any():
            train = self._beats(start, stop, moving, index[final])
            kept = ~heart.plain_beats(train)
            own = np.flatnonzero(final)[kept]
            self._cut(index[own], picked.at(own), room.at(own), train[kept])

    def _beats(self, start: int, stop: int, moving: Bool, index: pick_stage.Int64) -> Table:
        """Measure how candidates (positions in the ring) fit the heartbeat."""
        ring, plan = self._ring, self._plan
        wide = ring.cells(max(start - heart.CONTEXT, ring.first_cell), min(stop + heart.CONTEXT, ring.stop))
        usable = ~(moving | ring.missing | ring.clipped | ring.stuck)[wide]
        floor = ring.floor[0, index // plan.cell]
        return heart.measure(
            ring.band[:, wide.start * plan.cell : wide.stop * plan.cell],
            usable,
            plan.cell,
            plan.fs_internal_hz,
            index - wide.start * plan.cell,
            floor,
            np.sqrt(floor / np.float32(plan.bandwidth_hz)),
        )

    def _cut(
        self,
        index: pick_stage.Int64,
        picked: pick_stage.Picked,
        room: lobes.Room,
        train: Table,
    ) -> None:
        """Cut out what the features of some maxima (positions in the ring) need."""
        ring, plan = self._ring, self._plan
        half = features.snippet_half(plan.fs_internal_hz)
        cell = index // plan.cell
        step = np.linalg.norm(ring.mean_mg[:, cell[:, None] + STEP_CELLS] @ STEP_WEIGHTS, axis=0)
        snippets = features.Snippets(
            band_mg=windows_at(ring.band, index - half, 2 * half).transpose(1, 0, 2),
            **{name: side.astype(np.float32) for name, side in room._asdict().items()},
            floor=ring.floor[0, cell],
            template=picked.template.astype(np.float32),
            step_mg=np.where(np.isfinite(step), step, np.float32(0.0)),
        )
        self._waiting.append(Cut(index + ring.first_cell * plan.cell, picked, train, snippets))
        if sum(len(cut.at) for cut in self._waiting) >= BATCH:
            self._measure()

    def _measure(self) -> None:
        """Turn what was cut out into rows of the candidate table."""
        if self._waiting:
            count = sum(len(cut.at) for cut in self._waiting)
            if len(self._room) < count:
                self._room = np.zeros(max(count, ROOM), CANDIDATE_DTYPE)
            rows, self._room = self._room[:count], self._room[count:]
            measure_cuts(self._waiting, self._plan, rows)
            self._tables.append(rows)
            self._waiting = []


def search_stretch(
    chunks: Iterable[tuple[int, npt.ArrayLike]],
    n: int,
    fs_hz: float,
    lowest_score: float,
    *,
    range_g: float | None = None,
    step_g: float | None = None,
    at_once: int = 1,
) -> Searched:
    """Search a stretch whose samples come in chunks; `judge_stretches` ends it.

    Parameters
    ----------
    chunks : iterable of (int, (k, 3) float32)
        Grid index of the first sample, and the samples in g; in order, gaps between chunks allowed.
    n : int
        Length of the stretch, gaps included.
    fs_hz : float
        Nominal sampling rate.
    lowest_score : float
    range_g, step_g, at_once : optional
        See `SiteDetector`.
    """
    detector = SiteDetector(fs_hz, lowest_score, range_g=range_g, step_g=step_g, at_once=at_once, n=n)
    for first, acc_g in chunks:
        detector.push(first, acc_g)
    return detector.close(n)


def detect_stretch(
    chunks: Iterable[tuple[int, npt.ArrayLike]],
    n: int,
    fs_hz: float,
    lowest_score: float,
    *,
    range_g: float | None = None,
    step_g: float | None = None,
) -> Found:
    """Find the candidates of the only stretch of a sensor; parameters as for `search_stretch`."""
    searched = search_stretch(chunks, n, fs_hz, lowest_score, range_g=range_g, step_g=step_g)
    return judge_stretches([searched])[0]
