"""The chip in a virtual sensor: a body's signal at the chip's own rate, with its noise, steps and clock."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from firmware_host.sensors.protocol import Counts, Model, Peripheral
from firmware_host.simulation.chips import (
    Chip,
    DriftingGrid,
    Specimen,
    counts_of,
    draw_specimen,
    grid_of,
    part_of,
)
from firmware_host.simulation.virtual_body import LONGEST_H, VirtualBody
from firmware_host.twitches import Table

PIECE_S = 300.0
"""So much of a body's signal is made at a time ..."""
AHEAD_S = 20.0
"""... and so long before it is needed, where it is made beside the event loop."""
UNPUBLISHED_UG = 150.0
"""Noise density of models whose makers tell none, ug per root Hz (assumption)."""
TAP_G, TAP_HZ, TAP_DECAY_S = 2.0, 20.0, 0.03
"""A fingertip's tap on a sensor in its strap: it swings back and forth a few times (assumption)."""
TAPS_AFTER_S = (0.2, 0.65, 1.1)
STEPS = 32768
"""Of half the range, as 16-bit chips have."""


@dataclass(frozen=True)
class _Track:
    """How the chip samples since it was set to a rate: sample 0 of the grid is the sensor's sample `base`."""

    grid: DriftingGrid
    specimen: Specimen
    base: int
    g_per_count: float
    floats: bool


class VirtualChip:
    """The samples of one sensor, by running number from 0 on; the numbers go on through all settings.

    Parameters
    ----------
    site, model
        Where the sensor sits and what it is.
    body
        Whose movements it feels.
    seed
        Draws its specimen: true rate (up to 6 % off), noise, zero level.
    beside
        Make the signal in a thread beside the event loop; without it the loop is held up for a tenth of a
        second every five minutes, but what comes when is the same each time.
    """

    def __init__(self, site: str, model: Model, body: VirtualBody, *, seed: int, beside: bool) -> None:
        self._site, self._model, self._body, self._beside = site, model, body, beside
        self._seed = [seed, 6, zlib.crc32(site.encode())]
        self._tracks: list[_Track] = []
        self._pieces: deque[tuple[int, Counts]] = deque()
        self._ahead: asyncio.Task[Counts] | None = None
        self._taps_s: list[float] = []

    @property
    def rate_hz(self) -> float:
        """The true mean rate that it is set to now."""
        return self._tracks[-1].grid.fs_hz

    def set_to(self, peripheral: Peripheral, now_s: float) -> None:
        """Sample as a peripheral is set; a clock that is set so already runs on."""
        fs_hz, g_per_count = peripheral.fs_hz, peripheral.g_per_count
        floats = peripheral.sample_type == "float32"
        base = 0
        if self._tracks:
            last = self._tracks[-1]
            if (last.specimen.fs_hz, last.g_per_count, last.floats) == (fs_hz, g_per_count, floats):
                return
            base = max(self.next_number(now_s), last.base + 1)
        chip = self._chip(g_per_count, floats=floats)
        specimen = draw_specimen(np.random.default_rng(self._seed), chip, fs_hz, LONGEST_H)
        grid = grid_of(specimen, now_s, 3600 * LONGEST_H)
        self._tracks.append(_Track(grid, specimen, base, g_per_count, floats))
        self._forget()

    def _chip(self, g_per_count: float, *, floats: bool) -> Chip:
        model = self._model
        range_g = model.range_g if floats else model.range_g * g_per_count / model.g_per_count
        mg_per_count = 1000 * (range_g / STEPS if floats else g_per_count)
        noise_ug = model.noise_ug or UNPUBLISHED_UG
        return Chip(model.name, noise_ug, mg_per_count, range_g, model.rates_hz, "rc", True, "its model")

    def tap(self, now_s: float) -> None:
        """Be tapped three times with a fingertip, from a time on."""
        self._taps_s = [now_s + after_s for after_s in TAPS_AFTER_S]

    def next_number(self, now_s: float) -> int:
        """Return the running number of the first sample that is not taken yet at a time."""
        track = self._tracks[-1]
        return track.base + max(0, int(track.grid.index(now_s + 1e-6)) + 1)

    def times_s(self, numbers: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return when samples are taken, in seconds since the world began."""
        wanted = np.asarray(numbers)
        times = np.full(wanted.shape, np.nan)
        for track in self._tracks:
            inside = wanted >= track.base
            times[inside] = track.grid.time_s(wanted[inside] - track.base)
        return times

    def time_s(self, number: int) -> float:
        """Return when a sample of the present setting is taken."""
        track = self._tracks[-1]
        return float(track.grid.time_s(number - track.base))

    async def counts(self, first: int, stop: int) -> Counts:
        """Return samples [first, stop), each asked for once and in order, in the sensor's own numbers."""
        if not self._pieces or first >= self._end():
            self._forget()
            self._pieces.append((first, await self._made(first)))
        while self._end() < stop:
            ahead, self._ahead = self._ahead, None
            self._pieces.append((self._end(), await (ahead or self._made(self._end()))))
        while self._pieces[0][0] + len(self._pieces[0][1]) <= first:
            self._pieces.popleft()
        if self._beside and self._ahead is None and self._end() - stop < AHEAD_S * self.rate_hz:
            self._ahead = asyncio.ensure_future(self._made(self._end()))
        parts = [counts[max(0, first - at) : stop - at] for at, counts in self._pieces if at < stop]
        return self._tapped(join(parts), first) if self._taps_s else join(parts)

    def _tapped(self, counts: Counts, first: int) -> Counts:
        """Return samples from a number on with the taps in them."""
        track = self._tracks[-1]
        after_s = self.times_s(np.arange(first, first + len(counts)))[:, None] - np.array(self._taps_s)
        felt = np.where(after_s >= 0, np.exp(-np.maximum(after_s, 0) / TAP_DECAY_S), 0)
        felt = (felt * np.cos(2 * np.pi * TAP_HZ * after_s)).sum(axis=1)
        tapped = counts.astype(np.float64)
        tapped[:, 2] += felt * TAP_G / track.g_per_count
        if track.floats:
            return tapped.astype(np.float32)
        return np.clip(np.rint(tapped), -32768, 32767).astype(np.int16)

    def _end(self) -> int:
        first, counts = self._pieces[-1]
        return first + len(counts)

    def _forget(self) -> None:
        self._pieces.clear()
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None

    async def _made(self, first: int) -> Counts:
        return await asyncio.to_thread(self._make, first) if self._beside else self._make(first)

    def _make(self, first: int) -> Counts:
        """Make a piece of the signal from a sample on."""
        track = self._tracks[-1]
        begin = first - track.base
        end_s = self._body.edge_s(self._site, float(track.grid.time_s(float(begin))) + PIECE_S)
        end = max(begin + 1, int(track.grid.index(end_s)))
        acc_g = self._body.piece(self._site, part_of(track.grid, slice(begin, end)), track.specimen)
        counts = counts_of(acc_g, track.specimen)
        if not track.floats:
            return counts
        return (counts * (track.specimen.chip.mg_per_count / 1000 / track.g_per_count)).astype(np.float32)

    def truth(self) -> Table:
        """Return every twitch under the sensor (`TRUTH_COLUMNS`), in seconds since the world began."""
        model = self._model
        chip = self._chip(model.g_per_count, floats=model.sample_type == "float32")
        steps_ug = chip.quantisation_ug_per_sqrt_hz(model.fs_hz)
        return self._body.truth(self._site, float(np.hypot(chip.noise_ug_per_sqrt_hz, steps_ug)) / 1000)


def join(parts: list[Counts]) -> Counts:
    """Return samples that follow each other as one array, of their own type."""
    return parts[0] if len(parts) == 1 else cast(Counts, np.concatenate(parts))
