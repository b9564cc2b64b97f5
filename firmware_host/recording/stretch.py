"""The samples of one sensor between two (re)connects: read in pieces of bounded size, with their times."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from firmware_host.errors import DamagedNightError
from firmware_host.recording.blocks import read_payload
from firmware_host.recording.clock import CRYSTAL_BIN_S, STAMP_BIN_S, Timeline, compose, fit_timeline, thin
from firmware_host.recording.coding import NO_DEVICE, STAMPS, decode_samples, decode_stamps, sample_dtype
from firmware_host.recording.night import SensorInfo
from firmware_host.recording.runs import Run

Counts = npt.NDArray[np.int16] | npt.NDArray[np.float32]
Rows = npt.NDArray[np.void]

STAMP_EVERY_S = 1.0
"""Of per-sample stamps one a second enters the fit: the earliest, or the middle one."""


def read_blocks(stream: BinaryIO, rows: Rows) -> list[Counts]:
    """Read and decode blocks of samples, (n, 3) each, in the order of `rows`.

    Raises
    ------
    DamagedNightError
        If a block no longer is what it was when the night was opened, or was written wrongly.
    """
    payloads = [_payload(stream, row) for row in rows]
    alike = rows["coding"].astype(np.int64) << 32 | rows["n"]
    decoded: list[Counts] = [np.empty((0, 3), np.int16)] * len(rows)
    for key in np.unique(alike).tolist():
        where = np.flatnonzero(alike == key).tolist()
        try:
            blocks = decode_samples([payloads[i] for i in where], key >> 32, key & 0xFFFFFFFF)
        except (zlib.error, ValueError, struct.error) as error:
            name, first = getattr(stream, "name", "samples.log"), int(rows["offset"][where[0]])
            raise DamagedNightError(
                f"{name} holds a block that was written wrongly, at byte {first} or behind it ({error})."
            ) from error
        for i, block in zip(where, blocks, strict=True):
            decoded[i] = block
    return decoded


def _payload(stream: BinaryIO, row: np.void) -> memoryview:
    payload = read_payload(stream, int(row["offset"]), int(row["length"]))
    if payload is None:
        name = getattr(stream, "name", "samples.log")
        raise DamagedNightError(
            f"{name} changed while it was read (at byte {row['offset']}): open the night again."
        )
    return payload


@dataclass(frozen=True)
class Stretch:
    """Samples of one sensor on one counter grid; may contain gaps, and no sample is ever invented in them."""

    site: str
    sensor: SensorInfo
    cause: str
    """Why it starts: session, connected, restarted, suspended, counter."""
    log: Path
    run: Run
    clock_offset_ns: int
    """UTC less the computer's monotonic clock."""
    longest: Stretch | None = None
    """The sensor's longest stretch, whose rate serves where this one is too short to show its own."""

    @property
    def fs_nominal_hz(self) -> float:
        """The rate that the sensor was set to."""
        return self.sensor.fs_hz

    @property
    def fs_hz(self) -> float:
        """The rate measured by the clock fit; the nominal one where too little is there to measure it."""
        return self._timeline.fs_hz

    @cached_property
    def n(self) -> int:
        """Length of the grid, gaps included."""
        return int(self.run.stop[-1])

    @cached_property
    def pieces(self) -> npt.NDArray[np.int64]:
        """(k, 2) runs of the grid that hold samples; between them are gaps."""
        return self.run.pieces

    @property
    def start_ns(self) -> int:
        """UTC of the first sample."""
        return int(self.time_ns(0))

    @property
    def end_ns(self) -> int:
        """UTC of the sample that would follow the last."""
        return int(self.time_ns(self.n))

    def time_ns(self, index: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the UTC times (ns) of grid indices, whole or not; in the stretch and a little beyond."""
        return self._timeline.time_ns(index)

    def index_at(self, time_ns: int) -> float:
        """Return the grid index (not whole) at a UTC time."""
        return self._timeline.index_at(time_ns)

    def chunks(self, max_samples: int = 60_000) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield (grid index of the first sample, (n, 3) float32 g), in order, without gaps inside."""
        scale = np.float32(self.sensor.g_per_count)
        for first, counts in self.count_chunks(max_samples):
            yield first, counts * scale

    def count_chunks(self, max_samples: int = 60_000) -> Iterator[tuple[int, Counts]]:
        """Yield the same chunks as the sensor's own numbers, (n, 3) int16 or float32."""
        with self.log.open("rb") as stream:
            for begin, end in self.pieces.tolist():
                for first in range(begin, end, max_samples):
                    yield first, self._read(stream, first, min(first + max_samples, end))

    def pieces_between(self, begin: int, end: int) -> Iterator[tuple[int, Counts]]:
        """Yield what there is of a part of the grid, in pieces without gaps: first index, (n, 3) numbers."""
        pieces = self.pieces
        near = slice(*np.searchsorted(pieces.ravel(), [begin, end], side="right") // 2)
        with self.log.open("rb") as stream:
            for start, stop in pieces[near.start : near.stop + 1].tolist():
                first, last = max(start, begin), min(stop, end)
                if last > first:
                    yield first, self._read(stream, first, last)

    def counts(self, begin: int, end: int) -> Counts:
        """Return the sensor's numbers of a part of the grid that holds no gap, (end - begin, 3)."""
        with self.log.open("rb") as stream:
            return self._read(stream, begin, end)

    def _read(self, stream: BinaryIO, begin: int, end: int) -> Counts:
        first = self.run.block_start
        at = int(np.searchsorted(self.run.stop, begin, side="right"))
        last = int(np.searchsorted(self.run.start, end, side="left"))
        out = np.empty((end - begin, 3), sample_dtype(int(self.run.rows["coding"][at])))
        for some in range(at, last, 512):
            rows = self.run.rows[some : min(some + 512, last)]
            for i, block in enumerate(read_blocks(stream, rows), some):
                lo, hi = max(begin, int(self.run.start[i])), min(end, int(self.run.stop[i]))
                out[lo - begin : hi - begin] = block[lo - int(first[i]) : hi - int(first[i])]
        return out

    @cached_property
    def _timeline(self) -> Timeline:
        """The fit; made when a time is asked for first."""
        rows, late = self.run.rows, self.sensor.clock == "arrival"
        fs_hz, measured = self.fs_nominal_hz, False
        if self.longest is not None:
            fs_hz, measured = self.longest.fs_hz, True
        last = self.run.stop - 1
        if np.any(rows["coding"] & STAMPS):
            index, stamps = self._stamps(late=late)
            return fit_timeline(index, stamps, fs_hz, late=late, trust_rate=measured)
        arrival = rows["mono_ns"] + self.clock_offset_ns
        if late or np.any(rows["device_ns"] == NO_DEVICE):
            return fit_timeline(last, arrival, fs_hz, late=late, trust_rate=measured)
        # The device's clock knows the counter, the arrivals know the device's clock.
        device = fit_timeline(
            last, rows["device_ns"], fs_hz, late=False, trust_rate=measured, bin_s=STAMP_BIN_S
        )
        heard = fit_timeline(
            device.time_ns(last), arrival, 1e9, late=True, trust_rate=True, bin_s=CRYSTAL_BIN_S
        )
        return compose(device, heard)

    def _stamps(self, *, late: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return (index, stamp) of one sample in about a second, from the stamps kept with the samples."""
        rough = fit_timeline(self.run.stop - 1, self.run.rows["utc_ns"], self.fs_nominal_hz, late=late)
        found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
        with self.log.open("rb") as stream:
            for row, start, skip in zip(self.run.rows, self.run.start, self.run.skip, strict=True):
                stamps = decode_stamps(_payload(stream, row), int(row["coding"]), int(row["n"]))
                if stamps is not None:
                    index = np.arange(len(stamps) - skip) + start
                    found.append(thin(index, stamps[skip:], rough.fs_hz, STAMP_EVERY_S, late=late))
        return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])
