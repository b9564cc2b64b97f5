"""One site while it is recorded: blocks in, and out what became final of its stretches, with causal times.

What is told of a moment depends on nothing that arrived later than the block that made it final, and on the
blocks in the order of the log alone: so a replay of the log tells the same.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from firmware_host.detection import quality
from firmware_host.detection.cover import guarded, in_valid
from firmware_host.detection.detector import CANDIDATE_DTYPE, SiteDetector
from firmware_host.recording import SensorInfo
from firmware_host.recording.clock import Timeline, fit_timeline
from firmware_host.recording.listener import Counts
from firmware_host.recording.runs import JUMP_S, RATE_TOLERANCE
from firmware_host.twitches import Table

GAPS_KNOWN_CELLS = 5
"""So many cells before what is final is told: a gap right behind reaches back so far (`cover.guarded`)."""
CLOCK_S = 600.0
"""Arrivals of so long before say what time it was."""

LIVE_CANDIDATE = np.dtype([("stretch", "i4"), ("peak_s", "f8"), ("fs_hz", "f8"), ("found", CANDIDATE_DTYPE)])
"""A candidate with its stretch (0, 1, ... of the site), its time on the computer's monotonic clock and the
sampling rate there."""
LIVE_COVERED = np.dtype(
    [("stretch", "i4"), ("start_s", "f8"), ("end_s", "f8"), ("covered", quality.COVERED_DTYPE)]
)
"""Coverage of a stretch on its sample grid with its times on the computer's monotonic clock."""


class LiveSite:
    """Pass 1 of one sensor; times are seconds of the computer's monotonic clock.

    `stretch` numbers the current one, -1 before the first; `until_s` is the time before which all is told,
    None while no stretch is open: then nothing is to come.
    """

    def __init__(self, info: SensorInfo, lowest_score: float) -> None:
        self.info = info
        self.stretch = -1
        self.until_s: float | None = None
        self._lowest_score = lowest_score
        self._detector: SiteDetector | None = None
        self._first = self._expected = self._told = 0
        self._last: Counts = np.zeros((0, 3), np.int16)
        self._candidates: list[Table] = []
        self._covered: list[Table] = []

    def block(self, first: int, counts: Counts, mono_ns: int) -> bool:
        """Take one block of samples as it was logged: counter of the first, when the last arrived.

        Returns whether anything became final with it.
        """
        cut = False
        if self._detector is not None:
            if self._repeats(first, counts):
                return False
            elapsed_s = (mono_ns - self._arrived[-1][1]) / 1e9
            counted_s = (first + len(counts) - self._expected) / self.info.fs_hz
            away_s = abs(elapsed_s - counted_s)
            if first < self._expected or away_s > JUMP_S + RATE_TOLERANCE * max(elapsed_s, counted_s):
                self.cut()
                cut = True
        if self._detector is None:
            self._open(first)
        assert self._detector is not None
        begin = first - self._first
        self._arrived.append((begin + len(counts) - 1, mono_ns))
        while self._arrived[0][1] < mono_ns - CLOCK_S * 1e9:
            self._arrived.popleft()
        self._expected, self._last = first + len(counts), counts
        self._detector.push(begin, counts * np.float32(self.info.g_per_count))
        final = self._detector.final - GAPS_KNOWN_CELLS * self._size
        if final <= self._told:
            return cut
        self._tell(final, self._detector.take(), self._detector.take_kinds(), None)
        return True

    def cut(self) -> None:
        """End the current stretch, if one is open: the link is lost, or the sensor counts anew."""
        if self._detector is None:
            return
        searched = self._detector.close()
        self._tell(searched.length, searched.candidates, searched.cells.kind, searched.length)
        self._detector, self.until_s = None, None

    def take(self) -> tuple[Table, Table]:
        """Return what became final since the last call: candidates in valid time, and the coverage."""
        candidates, self._candidates = self._candidates, []
        covered, self._covered = self._covered, []
        return (
            np.concatenate([np.zeros(0, LIVE_CANDIDATE), *candidates]),
            np.concatenate([np.zeros(0, LIVE_COVERED), *covered]),
        )

    def _open(self, first: int) -> None:
        info = self.info
        step_g = info.g_per_count if info.sample_type == "int16" else None
        self._detector = SiteDetector(info.fs_hz, self._lowest_score, range_g=info.range_g, step_g=step_g)
        self.stretch += 1
        self._size = self._detector.cell_samples
        self._first, self._expected, self._told = first, first, 0
        self._arrived: deque[tuple[int, int]] = deque()
        self._kinds = np.zeros(0, np.uint8)
        self._waiting = np.zeros(0, CANDIDATE_DTYPE)

    def _repeats(self, first: int, counts: Counts) -> bool:
        """Tell a block that came twice."""
        same = first + len(counts) == self._expected and len(counts) == len(self._last)
        return same and counts.tobytes() == self._last.tobytes()

    def _tell(self, final: int, candidates: Table, kinds: quality.Cells, length: int | None) -> None:
        """Give out what lies before grid index `final`; the stretch ends there if it has a length."""
        assert self._detector is not None
        self._waiting = np.concatenate([self._waiting, candidates])
        self._kinds = np.concatenate([self._kinds, kinds])
        told, size = self._told, self._size
        cells = self._kinds[: -(-(final - told) // size)]
        # Gaps farther back change nothing here.
        near = [gap for gap in self._detector.gaps if gap[1] > told - 3 * self.info.fs_hz]
        gaps = [(a - told, b - told) for a, b in guarded(near, self.info.fs_hz, length)]
        covered = quality.tile(cells, np.ones(len(cells), bool), gaps, size, final - told)
        covered["start_index"] += told
        covered["stop_index"] += told
        own = self._waiting["peak_index"] < final
        found, self._waiting = self._waiting[own], self._waiting[~own]
        # A peak may lie a little before the sample that it was found at.
        found = found[in_valid(covered, np.maximum(found["peak_index"], told))]
        self._kinds, self._told = self._kinds[len(cells) :], final
        clock = self._clock()
        peak_s, start_s, end_s = (
            clock.time_ns(index) / 1e9
            for index in (found["peak_index"], covered["start_index"], covered["stop_index"])
        )
        self._candidates.append(_live(LIVE_CANDIDATE, found=found, stretch=self.stretch, peak_s=peak_s,
                                      fs_hz=clock.fs_hz))  # fmt: skip
        self._covered.append(_live(LIVE_COVERED, covered=covered, stretch=self.stretch,
                                   start_s=start_s, end_s=end_s))  # fmt: skip
        self.until_s = float(end_s[-1]) if len(end_s) else self.until_s

    def _clock(self) -> Timeline:
        """Return when samples were taken, by what had arrived when they became final."""
        last, mono_ns = np.array(self._arrived, np.int64).T
        return fit_timeline(last, mono_ns, self.info.fs_hz, late=True)


def _live(dtype: np.dtype[np.void], **columns: npt.ArrayLike) -> Table:
    """Make a table of columns; the first says how long it is."""
    rows = np.zeros(len(np.asarray(next(iter(columns.values())))), dtype)
    for name, values in columns.items():
        rows[name] = values
    return rows
