"""Wall-clock stamps without offset to UTC, over the nights when the clocks change. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_NS = 1_000_000_000
_QUARTER_NS = 900 * _NS
"""Clocks change at whole quarters of an hour everywhere since 1972."""
_TURNED_BACK_NS = 600 * _NS
"""A smaller step backwards is disorder of the rows, not a clock that was turned back."""


@dataclass(frozen=True)
class Offsets:
    """Offsets from UTC (ns) of wall-clock times before and after a change; equal but when clocks change."""

    early: Ints
    late: Ints

    @property
    def ambiguous(self) -> npt.NDArray[np.bool_]:
        """Times that the wall clock shows twice."""
        return self.early > self.late

    @property
    def skipped(self) -> npt.NDArray[np.bool_]:
        """Times that the wall clock never shows."""
        return self.early < self.late


def offsets_of(local_ns: Ints, zone: ZoneInfo) -> Offsets:
    """Look up the offsets of (n,) wall-clock times; zoneinfo is asked once for each quarter of an hour."""
    quarters, which = np.unique(local_ns // _QUARTER_NS, return_inverse=True)
    table = np.array(
        [[_offset_ns(int(quarter), fold, zone) for quarter in quarters] for fold in (0, 1)], np.int64
    )
    return Offsets(table[0][which], table[1][which])


def _offset_ns(quarter: int, fold: int, zone: ZoneInfo) -> int:
    wall = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=quarter * 900)
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
    return round(offset.total_seconds()) * _NS


def utc_from_local(local_ns: Ints, zone: ZoneInfo) -> tuple[Ints, str]:
    """Turn wall-clock times, in the order of the file, into UTC.

    In the hour that the clock shows twice, time goes on: what stands before the step back is the first pass,
    what stands after it the second. Without a step back, the pass is the one that joins its neighbours.

    Parameters
    ----------
    local_ns : (n,) int64 ns since 1970 as the wall clock shows them.
    zone : the time zone of that clock.

    Returns
    -------
    (n,) int64 UTC ns, and a remark on the hour that occurs twice ("" where none was met).

    Raises
    ------
    ValueError
        If a time is one that the clocks of this zone skipped.
    """
    offsets = offsets_of(local_ns, zone)
    if offsets.skipped.any():
        at = np.datetime64(int(local_ns[np.argmax(offsets.skipped)]), "ns").astype("datetime64[s]")
        raise ValueError(
            f"{at} never was in {zone.key}: the clocks skipped it. If the logger's clock stayed "
            "as it was, name the zone without summer time that it kept, such as Etc/GMT-1 for UTC+1"
        )
    utc = local_ns - offsets.early
    rows = np.flatnonzero(offsets.ambiguous)
    if not len(rows):
        return utc, ""
    starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) > 1)
    sure = True
    for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        first, stop = int(rows[begin]), int(rows[end - 1]) + 1
        second, known = _second_pass_from(local_ns, utc, first, stop)
        utc[second:stop] = local_ns[second:stop] - offsets.late[second:stop]
        sure &= known
    how = "told apart by their order" if sure else "taken as the first pass, which may be an hour early"
    return utc, f"{len(rows):,} stamps lie in the hour that the clocks of {zone.key} show twice: {how}"


def _second_pass_from(local_ns: Ints, utc_ns: Ints, first: int, stop: int) -> tuple[int, bool]:
    """Return the row where the second pass of ambiguous rows [first, stop) begins, and if that is sure."""
    back = np.flatnonzero(np.diff(local_ns[first:stop]) < -_TURNED_BACK_NS)
    if len(back):
        return first + int(back[0]) + 1, True
    hour_ns = 3600 * _NS
    if first > 0 and utc_ns[first] - utc_ns[first - 1] < hour_ns // 2:
        return stop, True
    if stop < len(local_ns) and utc_ns[stop] - (utc_ns[stop - 1] + hour_ns) < hour_ns // 2:
        return first, True
    return stop, False
