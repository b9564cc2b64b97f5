"""Pass 1 while the night is recorded: blocks in the order of the log, in; final events, out.

The clock is the computer's monotonic one, and *now* is when the newest block arrived, so that a replay of the
log finds the same events with the same features. Whether a sensor was worn is not judged: that takes the
whole night.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firmware_host.analysis.findings import row_columns
from firmware_host.analysis.live_site import LiveSite
from firmware_host.detection.context import CANDIDATE_SCORE, REACH_S, add_context
from firmware_host.recording import SensorInfo
from firmware_host.recording.listener import Counts
from firmware_host.recording.runs import STARTS_A_STRETCH
from firmware_host.twitches import COVERAGE_DTYPE, Table, table, tiled

STEP_S = 5.0
"""Events become final in portions of so long."""
LONGEST_WAIT_S = 240.0
"""A sensor that is connected but sends nothing holds up the others no longer."""
KEPT_S = 3 * REACH_S
"""Candidates and coverage are remembered for so long as context of later ones."""
ENDS_A_STRETCH = ("lost", "suspended", *STARTS_A_STRETCH)
PLACE_COLUMNS = [
    ("told", "?"), ("stretch", "i4"), ("peak_index", "f8"), ("onset_index", "f8"),
]  # fmt: skip
"""Whether it was given out, and where it stands: stretch of its site (0, 1, ...) and grid indices there."""


class LiveDetector:
    """Finds the candidates of a night that is being recorded, in bounded memory.

    All methods return the candidates that became final, in order of time: the columns of `row_columns()` and
    `PLACE_COLUMNS`, times in seconds of the monotonic clock, `probability` left to a model.

    Parameters
    ----------
    sensors
        Those of the night.
    lowest_score
        Candidates are kept from this score on, that of the model (`Model.lowest_score`).
    keep_coverage
        Remember the coverage of the whole night in `covered`.
    """

    def __init__(
        self, sensors: Sequence[SensorInfo], lowest_score: float, *, keep_coverage: bool = False
    ) -> None:
        self._lowest_score = lowest_score
        self.sites: dict[int, LiveSite] = {}
        self._coverage: dict[int, Table] = {}
        for info in sensors:
            self.sensor(info)
        own = [(column.name, column.dtype) for column in row_columns()]
        self._rows = np.zeros(0, np.dtype([*own, *PLACE_COLUMNS]))
        self._until_s = self._now_s = -np.inf
        self._keep_coverage = keep_coverage
        self.covered: list[tuple[int, Table]] = []
        """Number of the sensor and a part of its coverage (`LIVE_COVERED`)."""

    def sensor(self, info: SensorInfo) -> None:
        """Take a sensor in, or what is known better of one that has sent nothing yet."""
        self.sites[info.index] = LiveSite(info, min(self._lowest_score, CANDIDATE_SCORE))
        self._coverage[info.index] = np.zeros(0, COVERAGE_DTYPE)

    def block(self, sensor: int, first: int, counts: Counts, mono_ns: int) -> Table:
        """Take a block as it was logged: counter of its first sample, arrival of its last."""
        self._now_s = max(self._now_s, mono_ns / 1e9)
        told = self.sites[sensor].block(first, counts, mono_ns)
        return self._advance() if told else self._rows[:0]

    def event(self, sensor: int | None, kind: str) -> Table:
        """Take an event of the log; it concerns all sensors where `sensor` is None."""
        if kind in ENDS_A_STRETCH:
            for index, site in self.sites.items():
                if sensor in {None, index}:
                    site.cut()
        return self._advance()

    def close(self) -> Table:
        """End the session and return what is left."""
        for site in self.sites.values():
            site.cut()
        return self._advance(last=True)

    def _advance(self, *, last: bool = False) -> Table:
        for index, site in self.sites.items():
            self._gather(index, site)
        open_s = [site.until_s for site in self.sites.values() if site.until_s is not None]
        until_s = max(min(open_s, default=self._now_s), self._now_s - LONGEST_WAIT_S) - REACH_S
        if last:
            until_s = np.inf
        elif until_s < self._until_s + STEP_S:
            return self._rows[:0]
        self._until_s = until_s
        new = ~self._rows["told"] & (self._rows["peak_s"] < until_s)
        final = self._rows[:0]
        if new.any():
            parts = (
                tiled(part, self.sites[index].info.site, float(part["end_s"][-1]))
                for index, part in self._coverage.items()
                if len(part)
            )
            self._rows["told"] |= new
            final = add_context(self._rows, np.concatenate(list(parts)))[new]
            final = final[final["score"] >= self._lowest_score]
        self._rows = self._rows[self._rows["peak_s"] > until_s - KEPT_S]
        for index, part in self._coverage.items():
            self._coverage[index] = part[part["end_s"] > until_s - KEPT_S]
        return final[np.argsort(final["peak_s"], kind="stable")]

    def _gather(self, index: int, site: LiveSite) -> None:
        """Take what a site has told since."""
        found, covered = site.take()
        if len(covered):
            part = table(COVERAGE_DTYPE, len(covered), site=site.info.site, start_s=covered["start_s"],
                         end_s=covered["end_s"], kind=covered["covered"]["kind"])  # fmt: skip
            self._coverage[index] = np.concatenate([self._coverage[index], part])
            if self._keep_coverage:
                self.covered.append((index, covered))
        if len(found):
            self._rows = np.concatenate([self._rows, _rows(site.info.site, found, self._rows.dtype)])


def _rows(site: str, live: Table, dtype: np.dtype[np.void]) -> Table:
    """Make rows of the candidates of a site (`LIVE_CANDIDATE`)."""
    found = live["found"]
    before_s, after_s = (
        (found[name] - found["peak_index"]) / live["fs_hz"] for name in ("onset_index", "end_index")
    )
    rows = table(
        dtype, len(live), site=site, peak_s=live["peak_s"], onset_s=live["peak_s"] + before_s,
        duration_ms=1e3 * (after_s - before_s), dominant_hz=found["dominant_cps"] * live["fs_hz"],
        stretch=live["stretch"],
    )  # fmt: skip
    for name in set(found.dtype.names or ()) & set(dtype.names or ()):
        rows[name] = found[name]
    return rows
