"""The last few minutes of filtered signal and cells: floor, gate and side lobes look both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.detection.quality import CellQuality
from firmware_host.detection.signals import SERIES, Float32

_TEMPLATES = SERIES - 1


class Ring:
    """Rows of samples and of cells that grow at the end and are cut at the start.

    Positions are in cells of the stretch unless said; `first_cell` is the first one held. Before the stretch
    stand `lead` empty cells, so that nothing else has to know where it begins.

    Attributes
    ----------
    band, white, square : (3, n), (templates, n), (n,) float32
        Band-pass in mg, whitened norm squared of the templates, and the largest of them over its floor.
    energy, floor, steady, mean_mg : (SERIES, cells), (SERIES, cells), (cells,), (3, cells) float32
        Mean squares over three axes, noise power per axis, the band-pass's steady one, mean acceleration.
    missing, empty, clipped, stuck : (cells,) bool
        See `CellQuality`.
    """

    def __init__(self, cell: int, lead: int) -> None:
        self._cell = cell
        self.first_cell = -lead
        self.floor_stop = 0
        self._samples = Rows(3 + _TEMPLATES + 1, np.float32)
        self._cells = Rows(2 * SERIES + 4, np.float32)
        self._flags = Rows(4, bool)
        self.pad(lead)

    @property
    def stop(self) -> int:
        """The cell that follows the last one held."""
        return self.first_cell + len(self.missing)

    def cells(self, start: int, stop: int) -> slice:
        """Return where some cells of the stretch lie in the arrays."""
        return slice(start - self.first_cell, stop - self.first_cell)

    def append(self, band: Float32, white: Float32, energy: Float32, cells: CellQuality) -> None:
        """Add a block: band-pass (3, n), whitened squares (templates, n), energies (SERIES, cells), flags."""
        samples = self._samples.grow(white.shape[1])
        samples[:3], samples[3:-1], samples[-1] = band, white, np.nan
        values = self._cells.grow(energy.shape[1])
        values[:SERIES], values[SERIES : SERIES + 3], values[SERIES + 3 :] = energy, cells.mean_mg, np.nan
        self._flags.grow(energy.shape[1])[:] = cells.missing, cells.empty, cells.clipped, cells.stuck
        self._name_rows()

    def pad(self, count: int) -> None:
        """Add empty cells, so that the ones beside them can be judged like any other."""
        nothing = np.zeros(count, bool)
        self.append(
            np.zeros((3, count * self._cell), np.float32),
            np.zeros((_TEMPLATES, count * self._cell), np.float32),
            np.zeros((SERIES, count), np.float32),
            CellQuality(np.full((3, count), np.nan, np.float32), ~nothing, ~nothing, nothing, nothing),
        )

    def learn_floor(self, floor: Float32, steady: Float32) -> None:
        """Take the floor (SERIES, cells) and the band-pass's steady one (cells,); make the statistic.

        Where no floor is known the statistic is NaN.
        """
        here = self.cells(self.floor_stop, self.floor_stop + floor.shape[1])
        self.floor[:, here] = floor
        self.steady[here] = steady
        samples = slice(here.start * self._cell, here.stop * self._cell)
        scaled = self.white[:, samples].reshape(_TEMPLATES, -1, self._cell) / floor[1:, :, None]
        self.square[samples] = scaled.max(axis=0).reshape(-1)
        self.floor_stop += floor.shape[1]

    def drop_before(self, cell: int) -> None:
        """Forget the cells before one."""
        count = max(0, cell - self.first_cell)
        self._samples.drop(count * self._cell)
        self._cells.drop(count)
        self._flags.drop(count)
        self.first_cell += count
        self._name_rows()

    def _name_rows(self) -> None:
        samples, cells = self._samples.rows, self._cells.rows
        self.band, self.white, self.square = samples[:3], samples[3:-1], samples[-1]
        self.energy, self.mean_mg = cells[:SERIES], cells[SERIES : SERIES + 3]
        self.floor, self.steady = cells[SERIES + 3 : -1], cells[-1]
        self.missing, self.empty, self.clipped, self.stuck = self._flags.rows


class Rows:
    """Rows that grow at the end and are cut at the start, moved only when their memory is full.

    `room` is how many of each there is memory for from the beginning.
    """

    def __init__(self, count: int, kind: npt.DTypeLike, room: int = 0) -> None:
        self._memory = np.zeros((count, room), kind)  # takes nothing before it is filled
        self._start = self._stop = 0

    @property
    def rows(self) -> npt.NDArray[Any]:
        """What is held."""
        return self._memory[:, self._start : self._stop]

    def grow(self, count: int) -> npt.NDArray[Any]:
        """Make room for `count` more at the end and return it, to be filled."""
        if self._stop + count > self._memory.shape[1]:
            held = self.rows
            if 2 * (held.shape[1] + count) > self._memory.shape[1]:
                self._memory = np.zeros((len(held), 4 * (held.shape[1] + count)), held.dtype)
            self._memory[:, : held.shape[1]] = held
            self._start, self._stop = 0, held.shape[1]
        self._stop += count
        return self._memory[:, self._stop - count : self._stop]

    def drop(self, count: int) -> None:
        """Forget the first `count`."""
        self._start += count
