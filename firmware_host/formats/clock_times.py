"""Dates and times of day as people and spreadsheets write them, to ISO 8601. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from firmware_host.formats.iso_time import NO_STAMP, WIDTH, Bytes, IsoColumn, TimeOfDay, parse_iso

Order = Literal["ymd", "dmy", "mdy"]

SAID: dict[Order, str] = {"ymd": "year-month-day", "dmy": "day-month-year", "mdy": "month-day-year"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2}|[A-Za-z]{3})\2([0-9]{1,4})(?![0-9])")
_HOUR = re.compile(rf"{_DATE.pattern}(?:[,.]? +|T)([0-9]{{1,2}})")
_HALF_DAY = re.compile(r" ?([AP])\.?M\.?", re.IGNORECASE)
_TIME_OF_DAY = re.compile(
    r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,:][0-9]+)?)?(?: ?[AP]\.?M\.?|Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.IGNORECASE,
)
_STATED = re.compile(r"date format ([dM])")
"""ActiGraph's tables say in their first line how their program writes dates."""


def is_date(cell: str) -> bool:
    """Tell a date without a time of day."""
    return _DATE.fullmatch(cell) is not None


def is_time_of_day(cell: str) -> bool:
    """Tell a time of day without a date, of 24 or of 12 hours."""
    return _TIME_OF_DAY.fullmatch(cell) is not None


class WrittenClock:
    """Reads stamps with a date in some order: `22.11.2026 23:30:00.010`, `11/22/2026 11:30:00 PM`."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._halved: bool | None = None
        self._last = (b"", b"", b"")

    def parse(self, cells: Bytes) -> IsoColumn:
        """Read (n,) cells.

        Raises
        ------
        ValueError
            If a cell is something else.
        """
        return parse_iso(np.array([self._iso(cell.strip()) for cell in cells.tolist()], "S"))

    def _iso(self, cell: bytes) -> bytes:
        if cell in NO_STAMP:
            return b""
        head, _, rest = cell.partition(b":")
        body = rest.rstrip(b" .AaPpMm")
        half = rest[len(body) :]
        if (head, half) != self._last[:2]:  # they stay the same for an hour
            self._last = (head, half, self._hour(head.decode("latin1"), half.decode("latin1")) or b"")
        if not self._last[2] or len(cell) > WIDTH:
            shown = cell.decode("utf-8", "replace")
            raise ValueError(f"{shown!r} is no {SAID[self.order]} with a time of day")
        self._halved = bool(half) if self._halved is None else self._halved
        if self._halved != bool(half):
            raise ValueError(f"{cell.decode()!r} and the stamps before it differ in having AM or PM")
        return self._last[2] + body

    def _hour(self, head: str, half: str) -> bytes | None:
        """Return date and hour as ISO 8601 writes them, or None for what is none."""
        found, noon = _HOUR.fullmatch(head), _HALF_DAY.fullmatch(half)
        if found is None or (half and noon is None):
            return None
        parts = dict(zip(self.order, found.group(1, 3, 4), strict=True))
        month, hour = parts["m"].lower(), int(found[5])
        if month in _MONTHS:
            month = str(_MONTHS.index(month) + 1)
        if (
            len(parts["y"]) != 4
            or not month.isdigit()
            or int(month) > 12
            or (noon is not None and not 1 <= hour <= 12)
        ):
            return None
        if noon is not None:
            hour = hour % 12 + 12 * (noon[1] in "Pp")
        return f"{parts['y']}-{month:0>2}-{parts['d']:0>2}T{hour:02}:".encode()


def clock_of(stamps: Sequence[str], above: str, given: Order | None) -> WrittenClock | TimeOfDay:
    """Return the reader of stamps that are no ISO 8601.

    Parameters
    ----------
    stamps : those of the first rows.
    above : the lines above the rows.
    given : the order of day and month that the user gave.

    Raises
    ------
    ValueError
        If they are none that is known, or day and month, or the date of a time of day, cannot be told.
    """
    if TimeOfDay.shows(stamps[0]):
        clock = TimeOfDay.dated(above)
        if clock is None:
            raise ValueError(f"{stamps[0]!r} is a time of day, and no line above it has the date")
        return clock
    if _DATE.match(stamps[0]) is None:
        raise ValueError(
            f"{stamps[0]!r} is no ISO 8601 time, nor another date with a time of day, nor a number"
        )
    if is_date(stamps[0]):
        raise ValueError(f"{stamps[0]!r} is a date, and no column beside it has the time of day")
    return WrittenClock(_order(stamps, above, given))


def _order(stamps: Sequence[str], above: str, given: Order | None) -> Order:
    """Tell the order by what no other allows: a year or a month by name, a number above 12, dots."""
    dates = list(dict.fromkeys(found.group(1, 2, 3) for found in map(_DATE.match, stamps) if found))
    first, mark, second = dates[0]
    if len(first) == 4:
        return "ymd"
    if given is not None:
        return given
    for one, _, two in dates:
        if two.isalpha() or int(one) > 12:
            return "dmy"
        if int(two) > 12:
            return "mdy"
    stated = _STATED.search(above)
    if stated is not None:
        return "dmy" if stated[1] == "d" else "mdy"
    if mark == ".":  # nobody writes the month first with dots
        return "dmy"
    raise ValueError(
        f"{stamps[0]!r} may be day {first} of month {second} or day {second} of month {first}; "
        "say which with --date-order dmy or mdy"
    )
