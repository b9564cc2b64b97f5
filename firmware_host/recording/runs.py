"""Which blocks of one sensor belong together: from the index of the log to stretches on one counter grid. No
I/O.

A stretch starts with a session, with an event `connected` or `restarted` (or `suspended`, for all sensors),
where the counter runs backwards, and where it jumps in a way that the clock contradicts. Samples that came
twice in a stretch are left out, also where blocks overlap in part; copies of whole blocks are none of the
index any more (`blocks.in_order`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from firmware_host.recording.blocks import place

Rows = npt.NDArray[np.void]

STARTS_A_STRETCH = ("connected", "restarted")
JUMP_S = 10.0
"""A counter that leaves the clock by more, for good, is another counter; a stall of the radio comes back."""
RATE_TOLERANCE = 0.08
LOOK_BLOCKS = 30

Decode = Callable[[np.void], npt.NDArray[np.int16] | npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Run:
    """The blocks of a stretch: rows of the index, and how many samples to leave out at the head of each."""

    rows: Rows
    skip: npt.NDArray[np.int64]
    cause: str
    """Why it starts: session, connected, restarted, suspended, counter."""

    @property
    def first(self) -> int:
        """The counter at index 0 of the grid."""
        return int(self.rows["first"][0])

    @cached_property
    def block_start(self) -> npt.NDArray[np.int64]:
        """(blocks,) grid index of the first sample of each block, used or not."""
        start: npt.NDArray[np.int64] = self.rows["first"] - self.first
        return start

    @cached_property
    def start(self) -> npt.NDArray[np.int64]:
        """(blocks,) grid index of the first sample of each block that is used."""
        return self.block_start + self.skip

    @cached_property
    def stop(self) -> npt.NDArray[np.int64]:
        """(blocks,) grid index behind the last sample of each block."""
        return self.block_start + self.rows["n"].astype(np.int64)

    @property
    def pieces(self) -> npt.NDArray[np.int64]:
        """(k, 2) runs of the grid that hold samples."""
        start, stop = self.start, self.stop
        breaks = np.flatnonzero(start[1:] > stop[:-1])
        return np.stack([start[np.r_[0, breaks + 1]], stop[np.r_[breaks, len(stop) - 1]]], axis=1)


@dataclass
class _Open:
    """A stretch that is being put together."""

    cause: str
    rows: list[Rows] = field(default_factory=list)
    skip: list[npt.NDArray[np.int64]] = field(default_factory=list)
    expected: int = -(2**63)

    def add(self, rows: Rows, skip: npt.NDArray[np.int64]) -> None:
        if len(rows):
            self.rows.append(rows)
            self.skip.append(skip)
            self.expected = int(rows["first"][-1] + rows["n"][-1])

    def close(self) -> list[Run]:
        if not self.rows:
            return []
        return [Run(np.concatenate(self.rows), np.concatenate(self.skip), self.cause)]


def find_runs(rows: Rows, boundaries: list[tuple[int, str]], fs_hz: float, decode: Decode) -> list[Run]:
    """Put the blocks of one sensor into stretches.

    Parameters
    ----------
    rows
        Rows of `INDEX_DTYPE` with samples of one sensor, in the order of their `place`.
    boundaries
        Places behind which a new stretch starts, and why, in order.
    fs_hz
        Nominal rate.
    decode
        Gives a block's samples; called only where counters overlap.
    """
    if len(rows) == 0:
        return []
    places = np.array([at for at, _ in boundaries], np.int64)
    part = np.searchsorted(places, place(rows))
    changed = (np.diff(part) != 0) | (np.diff(rows["session"].astype(np.int64)) != 0)
    found: list[Run] = []
    for begin, end in _between(np.flatnonzero(changed) + 1, len(rows)):
        cause = "session"
        if begin and rows["session"][begin] == rows["session"][begin - 1]:
            cause = boundaries[int(part[begin]) - 1][1]
        for run in _on_one_counter(rows[begin:end], cause, decode):
            found += _split_jumps(run, fs_hz)
    return found


def _between(cuts: npt.NDArray[np.int64], n: int) -> list[tuple[int, int]]:
    edges = [0, *cuts.tolist(), n]
    return list(pairwise(edges))


def _on_one_counter(rows: Rows, cause: str, decode: Decode) -> list[Run]:
    """Split where the counter runs backwards, after leaving out what came twice."""
    stop = rows["first"] + rows["n"]
    backwards = np.flatnonzero(rows["first"][1:] < stop[:-1]) + 1
    done: list[Run] = []
    now = _Open(cause)
    for begin, end in _between(backwards, len(rows)):
        piece = rows[begin:end]
        skip = (
            np.clip(now.expected - piece["first"], 0, piece["n"])
            if now.rows
            else np.zeros(len(piece), np.int64)
        )
        known = int(np.count_nonzero(skip))
        if known and not _came_before(now, piece[:known], skip[:known], decode):
            done += now.close()
            now = _Open("counter")
            skip, known = np.zeros(len(piece), np.int64), 0
        new = skip < piece["n"]
        now.add(piece[new], skip[new])
    return done + now.close()


def _came_before(now: _Open, rows: Rows, skip: npt.NDArray[np.int64], decode: Decode) -> bool:
    """Tell whether the first `skip` samples of each row are in the stretch already, number by number."""
    recent = np.concatenate(now.rows[-8:])[-256:]
    first, stop = recent["first"], recent["first"] + recent["n"]
    for row, n in zip(rows, skip.tolist(), strict=True):
        wanted = decode(row)[:n]
        start = int(row["first"])
        seen = np.zeros(n, bool)
        for other in np.flatnonzero((first < start + n) & (stop > start)):
            lo, hi = max(int(first[other]), start), min(int(stop[other]), start + n)
            theirs = decode(recent[other])[lo - int(first[other]) : hi - int(first[other])]
            if theirs.tobytes() != wanted[lo - start : hi - start].tobytes():
                return False
            seen[lo - start : hi - start] = True
        if not seen.all():
            return False
    return True


def _split_jumps(run: Run, fs_hz: float) -> list[Run]:
    """Split where counter and clock part for good: the sensor paused, or counts anew from a higher number."""
    elapsed = (run.rows["mono_ns"] - run.rows["mono_ns"][0]) / 1e9
    counted = (run.stop - run.stop[0]) / fs_hz
    lag = elapsed - counted
    tolerance = JUMP_S + RATE_TOLERANCE * np.maximum(np.abs(np.diff(elapsed)), np.diff(counted))
    cuts = [
        int(i)
        for i in np.flatnonzero(np.abs(np.diff(lag)) > tolerance) + 1
        if abs(lag[i : i + LOOK_BLOCKS].min() - lag[max(0, i - LOOK_BLOCKS) : i].min()) > tolerance[i - 1]
    ]
    return [
        Run(run.rows[begin:end], run.skip[begin:end], run.cause if begin == 0 else "counter")
        for begin, end in _between(np.array(cuts, np.int64), len(run.rows))
    ]
