"""The last few minutes of filtered signal and cells: floor, gate and side lobes look both ways."""

from __future__ import annotations

import numpy as np

from firmware_host.detection.quality import CellQuality
from firmware_host.detection.signals import SERIES, Float32


class Ring:
    """Arrays of samples and cells that grow at the end and are cut at the start.

    Positions are in cells of the stretch unless said; `first_cell` is the first one held. Before the stretch
    stand `lead` empty cells, so that nothing else has to know where it begins.
    """

    def __init__(self, cell: int, lead: int) -> None:
        self._cell = cell
        self.first_cell = -lead
        self.floor_stop = 0
        self.band: Float32 = np.zeros((3, lead * cell), np.float32)
        self.white: Float32 = np.zeros((SERIES - 1, lead * cell), np.float32)
        self.square: Float32 = np.zeros(lead * cell, np.float32)
        self.energy: Float32 = np.zeros((SERIES, lead), np.float32)
        self.floor: Float32 = np.full((SERIES, lead), np.nan, np.float32)
        self.steady: Float32 = np.full(lead, np.nan, np.float32)
        self.mean_mg: Float32 = np.full((3, lead), np.nan, np.float32)
        self.missing = np.ones(lead, bool)
        self.empty = np.ones(lead, bool)
        self.clipped = np.zeros(lead, bool)
        self.stuck = np.zeros(lead, bool)

    @property
    def stop(self) -> int:
        """The cell that follows the last one held."""
        return self.first_cell + len(self.missing)

    def cells(self, start: int, stop: int) -> slice:
        """Return where some cells of the stretch lie in the arrays."""
        return slice(start - self.first_cell, stop - self.first_cell)

    def append(self, band: Float32, white: Float32, energy: Float32, cells: CellQuality) -> None:
        """Add a block: band-pass (3, n), whitened squares (templates, n), energies (SERIES, cells), flags."""
        count = energy.shape[1]
        self.band = np.concatenate([self.band, band], axis=1)
        self.white = np.concatenate([self.white, white], axis=1)
        self.square = np.concatenate([self.square, np.zeros(count * self._cell, np.float32)])
        self.energy = np.concatenate([self.energy, energy], axis=1)
        self.floor = np.concatenate([self.floor, np.full((SERIES, count), np.nan, np.float32)], axis=1)
        self.steady = np.concatenate([self.steady, np.full(count, np.nan, np.float32)])
        self.mean_mg = np.concatenate([self.mean_mg, cells.mean_mg], axis=1)
        self.missing = np.concatenate([self.missing, cells.missing])
        self.empty = np.concatenate([self.empty, cells.empty])
        self.clipped = np.concatenate([self.clipped, cells.clipped])
        self.stuck = np.concatenate([self.stuck, cells.stuck])

    def pad_end(self, count: int) -> None:
        """Add empty cells, so that the last ones can be judged like any other."""
        nothing = np.zeros(count, bool)
        self.append(
            np.zeros((3, count * self._cell), np.float32),
            np.zeros((SERIES - 1, count * self._cell), np.float32),
            np.zeros((SERIES, count), np.float32),
            CellQuality(np.full((3, count), np.nan, np.float32), ~nothing, ~nothing, nothing, nothing),
        )

    def learn_floor(self, floor: Float32, steady: Float32) -> None:
        """Take the floor (SERIES, cells) and the band-pass's steady floor (cells,); make the statistic.

        The statistic is the largest normalised square of the bank at each sample; where no floor is known
        there is none.
        """
        here = self.cells(self.floor_stop, self.floor_stop + floor.shape[1])
        self.floor[:, here] = floor
        self.steady[here] = steady
        samples = slice(here.start * self._cell, here.stop * self._cell)
        scaled = self.white[:, samples].reshape(SERIES - 1, -1, self._cell) / floor[1:, :, None]
        self.square[samples] = scaled.max(axis=0).reshape(-1)
        self.floor_stop += floor.shape[1]

    def drop_before(self, cell: int) -> None:
        """Forget the cells before one."""
        count = cell - self.first_cell
        if count <= 0:
            return
        self.band = self.band[:, count * self._cell :]
        self.white = self.white[:, count * self._cell :]
        self.square = self.square[count * self._cell :]
        self.energy = self.energy[:, count:]
        self.floor, self.steady = self.floor[:, count:], self.steady[count:]
        self.mean_mg = self.mean_mg[:, count:]
        self.missing, self.empty = self.missing[count:], self.empty[count:]
        self.clipped, self.stuck = self.clipped[count:], self.stuck[count:]
        self.first_cell = cell
