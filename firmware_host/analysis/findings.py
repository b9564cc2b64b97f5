"""The candidates of a whole night, before anything is judged: what every model looks at.

To find them takes all the time; to judge them takes none, so that several models and operating points can
judge the same findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, BadValueError
from firmware_host.recording import Night, Stretch, open_night
from firmware_host.twitches import (
    COVERAGE_DTYPE,
    EVENT_COLUMNS,
    EVENT_DTYPE,
    Column,
    Table,
    check_coverage,
    check_events,
    dtype_of,
    table,
    tiled,
    valid_s,
)

if TYPE_CHECKING:  # detection brings scipy, which lists and pages can do without
    from firmware_host.detection.cover import Found
    from firmware_host.detection.units import Grouped

Progress = Callable[[float], None]


class Waves(NamedTuple):
    """What pass 2 looks at of each candidate, see `detection.waves`: (n, 3, samples) and (n,) float32."""

    wave_mg: npt.NDArray[np.float32]
    floor_mg: npt.NDArray[np.float32]

    def at(self, index: npt.NDArray[Any] | slice) -> Waves:
        """Return those of some rows."""
        return Waves(self.wave_mg[index], self.floor_mg[index])


def as_run(index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | slice:
    """Return rising indices as a slice if they leave none out: what is taken by it is not copied."""
    if len(index) and index[-1] - index[0] == len(index) - 1:
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def no_waves() -> Waves:
    """Return the waves of no row."""
    from firmware_host.detection.waves import WAVE_SHAPE

    return Waves(np.zeros((0, *WAVE_SHAPE), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class SiteFacts:
    """A site's rate as it was, its nominal one, noise and what a user should know of it."""

    site: str
    fs_hz: float
    fs_nominal_hz: float
    noise_mg_per_sqrt_hz: float | None = None
    """Median density of quiet signal, root mean square over axes; None if never quiet."""
    warning: str | None = None


@dataclass(frozen=True)
class Findings:
    """All candidates of a night with their features, nothing of them judged, and the night's coverage.

    `rows` have the columns of `row_columns()`, in order of site and time, `probability` NaN; `coverage` has
    `COVERAGE_DTYPE` and tiles the night of every site.
    """

    rows: Table
    coverage: Table
    sites: tuple[SiteFacts, ...]
    waves: Waves | None = None
    """Of each row; None where only pass 1 was asked for."""
    _said: dict[int, tuple[object, npt.NDArray[np.float64]]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _grouped: dict[tuple[str, float], Grouped] = field(default_factory=dict, repr=False, compare=False)

    def grouped(self, site: str, lowest_score: float) -> Grouped:
        """Return the units of a site among the candidates from a score on; made once.

        Raises
        ------
        ValueError
            If the findings hold no waves.
        """
        from threadpoolctl import threadpool_limits

        from firmware_host.detection.lobes import are_bursts
        from firmware_host.detection.units import group

        if self.waves is None:
            raise ValueError("these findings were made for pass 1 alone and hold no waves")
        key = site, lowest_score
        if key not in self._grouped:
            own = as_run(np.flatnonzero((self.rows["site"] == site) & (self.rows["score"] >= lowest_score)))
            rows, waves = self.rows[own], self.waves.at(own)
            with threadpool_limits(1, user_api="blas"):
                self._grouped[key] = group(*waves, rows["score"], rows["peak_s"], ~are_bursts(rows))
        return self._grouped[key]

    def at(self, index: npt.NDArray[np.int64]) -> Findings:
        """Return the findings with some of their candidates only, in order."""
        waves = None if self.waves is None else self.waves.at(index)
        return Findings(self.rows[index], self.coverage, self.sites, waves)

    def kept(self, by: object, make: Callable[[], npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        """Return what some model says of the candidates; made once, and kept for that model."""
        if id(by) not in self._said or self._said[id(by)][0] is not by:
            self._said[id(by)] = by, make()
        return self._said[id(by)][1]

    def valid_h(self, site: str) -> float:
        """Return the valid hours of a site."""
        return valid_s(self.coverage[self.coverage["site"] == site]) / 3600

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of the sites, one sentence each."""
        return tuple(site.warning for site in self.sites if site.warning)


@cache
def row_columns() -> tuple[Column, ...]:
    """Return what is stored of a candidate: the columns of an event, its score, shape and context."""
    from firmware_host.detection.context import CONTEXT_COLUMNS
    from firmware_host.detection.detector import CANDIDATE_COLUMNS

    known = {column.name for column in EVENT_COLUMNS}
    measured = (c for c in CANDIDATE_COLUMNS if c.name not in known and c.unit not in {"samples", "1/sample"})
    return (*EVENT_COLUMNS, *measured, *CONTEXT_COLUMNS)


def events_of(rows: Table) -> Table:
    """Return rows of `row_columns()` with the columns of an event only (`EVENT_DTYPE`)."""
    events: Table = rows[list(EVENT_DTYPE.names or ())].astype(EVENT_DTYPE)
    return events


def find_candidates(
    night: Night | Path, lowest_score: float, *, progress: Progress | None = None
) -> Findings:
    """Find the candidates of a whole night, with all that a model may look at.

    Parameters
    ----------
    night
        An open night or its folder.
    lowest_score
        Candidates are kept from this score on. From 5.5 on it changes nothing of those that are kept; the
        search is then always the same.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    BadValueError
        If no site was sampled fast enough, or the night holds no samples.
    NotFoundError
        If the night is not there.
    """
    from threadpoolctl import threadpool_limits

    from firmware_host.detection.context import CANDIDATE_SCORE, add_context

    night = open_night(night) if isinstance(night, Path) else night
    found = []
    for number, site in enumerate(night.sites):
        tell = _part(progress, number, len(night.sites))
        # Threads of the matrix library cost more than they give here, and their number would alter last bits.
        with threadpool_limits(1, user_api="blas"):
            found.append(_find_at(night, site, min(lowest_score, CANDIDATE_SCORE), tell))
    facts = tuple(site.facts for site in found)
    if found and not any(site.searched for site in found):
        warnings = (site.warning for site in facts if site.warning)
        raise BadValueError(next(warnings, f"{night.path.name} holds no samples."))
    coverage = _joined([table(COVERAGE_DTYPE, 0), *(site.coverage for site in found)])
    rows = _joined([table(dtype_of(row_columns()), 0), *(site.rows for site in found)])
    waves = Waves(*map(_joined, zip(no_waves(), *(site.waves for site in found), strict=True)))
    del found
    rows = add_context(rows, coverage)
    kept = as_run(np.flatnonzero(rows["score"] >= lowest_score))
    rows = rows[kept]
    rows["event_id"] = np.arange(len(rows))
    try:
        check_events(events_of(rows))
        check_coverage(coverage)
    except ValueError as error:  # the log's times cannot be those of a night
        why = str(error).partition(":")[0]
        text = f"{night.path.name} cannot be searched: {why}. `twitchmap verify` tells of damage."
        raise BadFileError(text, path=night.path) from error
    return Findings(rows, coverage, facts, waves.at(kept))


@dataclass(frozen=True)
class _SiteFound:
    """What was found at one site, in seconds from the night's start."""

    facts: SiteFacts
    rows: Table
    coverage: Table
    waves: Waves
    searched: bool = True


def _unseen(night: Night, facts: SiteFacts) -> _SiteFound:
    """Return a site of which nothing can be said: all its night is a gap."""
    coverage = tiled(table(COVERAGE_DTYPE, 0), facts.site, night.duration_s)
    return _SiteFound(facts, table(dtype_of(row_columns()), 0), coverage, no_waves(), searched=False)


def _find_at(night: Night, site: str, lowest_score: float, tell: Progress) -> _SiteFound:
    """Detect in each stretch of a site, and tile its night with coverage: what is in no stretch is a gap."""
    from firmware_host.detection.cover import judge_stretches
    from firmware_host.detection.detector import AT_ONCE, search_stretch
    from firmware_host.detection.signals import RATE_WARNED_BELOW_HZ, check_rate

    stretches = night.stretches(site)
    info = night.meta.sensor(site)
    longest = max(range(len(stretches)), key=lambda number: stretches[number].n, default=None)
    if longest is None:
        return _unseen(night, SiteFacts(site, 0.0, info.fs_hz, warning=f"{site}: the sensor sent nothing."))
    fs_hz = stretches[longest].fs_hz
    warning = f"{site}: below {RATE_WARNED_BELOW_HZ:.0f} samples a second fast twitches are seen weakened."
    try:
        slow = check_rate(min(fs_hz, info.fs_hz), site)
    except BadValueError as error:
        return _unseen(night, SiteFacts(site, fs_hz, info.fs_hz, warning=str(error)))
    searched, done = [], 0
    step_g = info.g_per_count if info.sample_type == "int16" else None
    for stretch in stretches:
        chunks = _told(stretch, tell, done, sum(stretch.n for stretch in stretches))
        searched.append(
            search_stretch(
                chunks,
                stretch.n,
                info.fs_hz,
                lowest_score,
                range_g=info.range_g,
                step_g=step_g,
                at_once=AT_ONCE,
            )
        )
        done += stretch.n
    pauses_s = [float(b.time_ns(0) - a.time_ns(a.n)) / 1e9 for a, b in pairwise(stretches)]
    judged = judge_stretches(searched, pauses_s)
    del searched  # and with them all cells
    density = judged[longest].density
    parts = [_of_stretch(judged.pop(0), stretch, night.start_ns) for stretch in stretches]
    rows, coverage, *waves = map(_joined, zip(*parts, strict=True))
    del parts
    seen = Waves(*waves)
    if np.any(np.diff(rows["peak_s"]) < 0):  # a burst at the end of a stretch, and one in the next
        order = np.argsort(rows["peak_s"], kind="stable")
        rows, seen = rows[order], seen.at(order)
    noise = float(np.sqrt(np.mean(density**2))) if np.isfinite(density).all() else None
    return _SiteFound(
        SiteFacts(site, fs_hz, info.fs_hz, noise, warning if slow else None),
        rows,
        tiled(coverage, site, night.duration_s),
        seen,
    )


def _of_stretch(found: Found, stretch: Stretch, start_ns: int) -> tuple[npt.NDArray[Any], ...]:
    """Return rows, coverage and waves of a stretch; nothing of them holds on to what was found."""
    candidates = found.candidates
    waves = (np.ascontiguousarray(candidates[name]) for name in Waves._fields)
    return candidate_rows(found, stretch, start_ns), _coverage(found, stretch, start_ns), *waves


def _joined(tables: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return tables, one at least, as one; what is the only one is not copied."""
    some = [each for each in tables if len(each)] or list(tables[:1])
    return some[0] if len(some) == 1 else np.concatenate(some)


def _told(
    stretch: Stretch, tell: Progress, done: int, total: int
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    for first, acc_g in stretch.chunks():
        yield first, acc_g
        tell((done + first + len(acc_g)) / total)


def candidate_rows(found: Found, stretch: Stretch, start_ns: int) -> Table:
    """Give candidates their times: from the stretch's sample grid to seconds of the night."""
    candidates = found.candidates
    peak_s, onset_s, end_s = (
        (stretch.time_ns(candidates[name]) - start_ns) / 1e9
        for name in ("peak_index", "onset_index", "end_index")
    )
    rows = table(
        dtype_of(row_columns()),
        len(candidates),
        site=stretch.site,
        peak_s=peak_s,
        onset_s=onset_s,
        duration_ms=1e3 * (end_s - onset_s),
        dominant_hz=candidates["dominant_cps"] * stretch.fs_hz,
    )
    for name in set(candidates.dtype.names or ()) & set(rows.dtype.names or ()):
        rows[name] = candidates[name]
    return rows


def _coverage(found: Found, stretch: Stretch, start_ns: int) -> Table:
    covered = found.coverage
    start_s, end_s = (
        (stretch.time_ns(covered[name]) - start_ns) / 1e9 for name in ("start_index", "stop_index")
    )
    return table(
        COVERAGE_DTYPE,
        len(covered),
        site=stretch.site,
        start_s=start_s,
        end_s=end_s,
        kind=covered["kind"],
        wear_unconfirmed=covered["wear_unconfirmed"],
    )


def _part(progress: Progress | None, number: int, of: int) -> Progress:
    """Return what tells the progress of one of several equal parts."""
    return (lambda share: progress((number + share) / of)) if progress else (lambda _: None)
