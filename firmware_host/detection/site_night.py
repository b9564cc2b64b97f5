"""One site's night as its surroundings see it: when it had candidates, and what its time was good for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from firmware_host.detection.lobes import are_bursts
from firmware_host.detection.signals import Bool, Float64
from firmware_host.twitches import Kind, Table

CANDIDATE_SCORE = 5.5
"""Candidates are found from this score on; only such are neighbours to others, and no side lobes."""
REACH_S = 30.0
"""Nothing farther off than this is looked at."""
_FAR_NS = 1 << 60

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SiteNight:
    """One site's night: its coverage and its candidates that are neighbours to others, in order of time."""

    name: str
    time_ns: Int64
    score: Float64
    size_mg: Float64
    start_ns: Int64
    end_ns: Int64
    kind: npt.NDArray[np.uint8]

    def kind_at(self, time_ns: Int64) -> npt.NDArray[np.uint8]:
        """Return what the site was good for at some times; a gap before and after its coverage."""
        if not len(self.kind):
            return np.full(len(time_ns), Kind.GAP, np.uint8)
        at = np.searchsorted(self.start_ns, time_ns, side="right") - 1
        inside = (at >= 0) & (time_ns < self.end_ns[at])
        return np.where(inside, self.kind[np.maximum(at, 0)], np.uint8(Kind.GAP))

    @cached_property
    def valid(self) -> Spans:
        """The time in which a twitch could be found."""
        return Spans.of(self, (Kind.VALID,))

    @cached_property
    def moving(self) -> Spans:
        """The time of movement, at the end of the range or not."""
        return Spans.of(self, (Kind.MOVEMENT, Kind.CLIPPED))

    @cached_property
    def gaps(self) -> Spans:
        """The time without samples, from before the first to after the last."""
        within = Spans.of(self, (Kind.GAP,))
        if not len(self.kind):
            return within
        before, after = self.start_ns[:1], self.end_ns[-1:]
        return Spans(
            np.concatenate([before - 1, within.start_ns, after]),
            np.concatenate([before, within.end_ns, after + 1]),
        )

    def count(self, time_ns: Int64, reach_s: float) -> Int64:
        """Return how many candidates lie within reach of some times."""
        first, stop = self.near(time_ns, reach_s)
        return stop - first

    def near(self, time_ns: Int64, reach_s: float) -> tuple[Int64, Int64]:
        """Return the first and the first no longer within reach of some times."""
        reach = whole_ns(reach_s)
        first = np.searchsorted(self.time_ns, time_ns - reach)
        return first, np.searchsorted(self.time_ns, time_ns + reach, side="right")


@dataclass(frozen=True)
class Spans:
    """Stretches of time in order, apart from each other."""

    start_ns: Int64
    end_ns: Int64

    @classmethod
    def of(cls, here: SiteNight, kinds: Sequence[Kind]) -> Spans:
        """Return a site's stretches of some kinds."""
        own = np.isin(here.kind, kinds)
        return cls(here.start_ns[own], here.end_ns[own])

    @cached_property
    def _before(self) -> Int64:
        return np.concatenate([[0], np.cumsum(self.end_ns - self.start_ns)])

    def seconds(self, time_ns: Int64, reach_s: float) -> Float64:
        """Return how many seconds of them lie within reach of some times."""
        return (self._until(time_ns + whole_ns(reach_s)) - self._until(time_ns - whole_ns(reach_s))) / 1e9

    def _until(self, time_ns: Int64) -> Int64:
        """Return the nanoseconds of them that lie before some times."""
        at = np.searchsorted(self.start_ns, time_ns, side="right")
        beyond = np.append(0, self.end_ns)[at] - time_ns
        return np.asarray(self._before[at] - np.where(at > 0, np.maximum(beyond, 0), 0))

    def since_s(self, time_ns: Int64) -> Float64:
        """Return the time since the last one ended, 0 inside of one, `REACH_S` at most."""
        far = np.int64(-_FAR_NS)
        at = np.searchsorted(self.start_ns, time_ns, side="right")
        return np.clip((time_ns - np.append(far, self.end_ns)[at]) / 1e9, 0.0, REACH_S)

    def until_s(self, time_ns: Int64) -> Float64:
        """Return the time until the next one starts, 0 inside of one, `REACH_S` at most."""
        far = np.int64(_FAR_NS)
        at = np.searchsorted(self.end_ns, time_ns, side="right")
        return np.clip((np.append(self.start_ns, far)[at] - time_ns) / 1e9, 0.0, REACH_S)


def make_site_night(name: str, rows: Table, coverage: Table) -> SiteNight:
    """Take from the candidates and the coverage of all sites what is looked at of one."""
    own = np.flatnonzero((rows["site"] == name) & are_neighbours(rows))
    own = own[np.argsort(rows["peak_s"][own], kind="stable")]
    covered = coverage[coverage["site"] == name]
    covered = covered[np.argsort(covered["start_s"], kind="stable")]
    return SiteNight(
        name,
        whole_ns(rows["peak_s"][own]),
        rows["score"][own].astype(float),
        rows["peak_to_peak_mg"][own].astype(float),
        whole_ns(covered["start_s"]),
        whole_ns(covered["end_s"]),
        covered["kind"],
    )


def are_neighbours(rows: Table) -> Bool:
    """Tell which candidates others are compared with: neither the weakest nor side lobes."""
    return np.asarray((rows["score"] >= CANDIDATE_SCORE) & are_bursts(rows))


def whole_ns(seconds: npt.ArrayLike) -> Int64:
    """Return times in whole nanoseconds, in which differences are exact."""
    return np.rint(np.asarray(seconds, float) * 1e9).astype(np.int64)
