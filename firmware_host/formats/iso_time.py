"""ISO 8601 stamps to int64 nanoseconds, a column at a time. No I/O.

Python's own reader takes a microsecond a stamp and more; numpy's is quick, but it knows no offsets, accepts
words such as "now", and its cast of bytes crashes on text that is no time (numpy 2.4). So the column is
looked at as a matrix of bytes, and its digits are read column by column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.bytes_]

NO_TIME = np.int64(np.iinfo(np.int64).min)
"""What numpy's NaT is as an integer: a row without a stamp."""
WIDTH = 40
"""Longer cells are no stamps."""
_SHORTEST = len("2025-03-01T22:00")
_NS_PER_S = 1_000_000_000
_WEST_S, _EAST_S = -12 * 3600, 14 * 3600
"""The offsets from UTC that there are on earth."""
_NO_OFFSET = "an offset from UTC that is not between -12:00 and +14:00"
_HALF_DAY_NS = 43_200 * _NS_PER_S
NO_STAMP = (b"", b"nan", b"NaN", b"NA", b"null", b"NaT")
"""Cells without a stamp."""


@dataclass(frozen=True)
class IsoColumn:
    """Stamps of a column: `ns` of the wall clock written there, and `offset_s` where the cells have one."""

    ns: Ints
    """(n,) int64; NaT's integer where a cell is blank."""
    offset_s: Ints | None
    """(n,) seconds east of UTC; None where no cell has an offset."""

    @property
    def utc_ns(self) -> Ints:
        """(n,) UTC, of cells with offsets."""
        assert self.offset_s is not None
        return np.where(self.ns == NO_TIME, self.ns, self.ns - self.offset_s * _NS_PER_S)


class TimeOfDay:
    """Reads times of day without a date (`21:15:41.382`): the date is known of the first, and goes on."""

    _OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,:][0-9]+)?")
    _DATE = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})")

    def __init__(self, date: str) -> None:
        self._prefix = f"{date}T".encode()
        self._last: int | None = None
        self._days = 0

    @classmethod
    def shows(cls, cell: str) -> bool:
        """Tell a time of day."""
        return cls._OF_DAY.fullmatch(cell.strip()) is not None

    @classmethod
    def dated(cls, text: str) -> Self | None:
        """Return a reader that begins on the last date in a text; None where there is none."""
        dates = cls._DATE.findall(text)
        return cls("{}-{:0>2}-{:0>2}".format(*dates[-1])) if dates else None

    def parse(self, cells: Bytes) -> IsoColumn:
        """Read (n,) cells in the order of the file; past midnight the next day begins.

        Raises
        ------
        ValueError
            If a cell is something else.
        """
        cells = np.char.strip(cells)
        blank = np.isin(cells, NO_STAMP)
        padded = np.char.zfill(cells, np.where(np.char.find(cells, b":") == 1, np.char.str_len(cells) + 1, 0))
        column = parse_iso(np.where(blank, b"", np.char.add(self._prefix, padded)))
        if column.offset_s is not None:
            raise ValueError("a time of day has an offset from UTC")
        known = column.ns[~blank]
        if not len(known):
            return column
        step = np.diff(known, prepend=known[0] if self._last is None else self._last)
        turns = np.cumsum((step < -_HALF_DAY_NS).astype(np.int64) - (step > _HALF_DAY_NS)) + self._days
        self._last, self._days = int(known[-1]), int(turns[-1])
        column.ns[~blank] = known + turns * 2 * _HALF_DAY_NS
        return column


def parse_iso(cells: Bytes) -> IsoColumn:
    """Read stamps such as `2025-03-01T22:00:00.005+01:00`, `2025-03-01 22:00:00`, `...Z`.

    A blank, a slash in the date, a comma before the fraction, and a colon before three digits of milliseconds
    (GENEActiv's files) are read too.

    Parameters
    ----------
    cells : (n,) bytes.

    Raises
    ------
    ValueError
        If a cell is something else, or only some have an offset; the sentence shows the first such cell.
    """
    cells = np.char.strip(cells.astype(f"S{WIDTH}"))
    blank = np.isin(cells, NO_STAMP)
    ns = np.full(len(cells), NO_TIME)
    if blank.all():
        return IsoColumn(ns, None)
    stamps = cells[~blank]
    text = stamps.view(np.uint8).reshape(len(stamps), WIDTH).copy()
    offset_s, stated = _take_offsets(text, np.char.str_len(stamps))
    _normalise(text)
    if stated.any() and not stated.all():
        raise ValueError(f"{_first(stamps, ~stated)} has no offset from UTC, other stamps have one")
    ns[~blank] = _to_ns(text, stamps)
    if not stated.any():
        return IsoColumn(ns, None)
    offsets = np.zeros(len(cells), np.int64)
    offsets[~blank] = offset_s
    return IsoColumn(ns, offsets)


def offset_of(sign: str | None, hours: str, minutes: str) -> int:
    """Return an offset from UTC in s, east positive; raises `ValueError` for one that no place has."""
    seconds = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1)
    if int(minutes) > 59 or not _WEST_S <= seconds <= _EAST_S:
        raise ValueError(f"{_NO_OFFSET}: {sign or '+'}{hours}:{minutes}")
    return seconds


def _take_offsets(text: npt.NDArray[np.uint8], length: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Read Z, +HH:MM, +HHMM and +HH at the end of each row, and blank them there."""
    rows = np.arange(len(text))
    offset_s = np.zeros(len(text), np.int64)
    stated = np.isin(text[rows, length - 1], (ord("Z"), ord("z")))
    text[rows[stated], length[stated] - 1] = 0
    for size, minutes_at in ((6, 4), (5, 3), (3, None)):
        sign_at = length - size
        signs = text[rows, np.maximum(sign_at, 0)]
        has = ~stated & (sign_at >= _SHORTEST) & np.isin(signs, (ord("+"), ord("-")))
        if not has.any():
            continue
        row, at = rows[has], sign_at[has]
        hours = _two_digits(text, row, at + 1)
        minutes = np.zeros_like(hours) if minutes_at is None else _two_digits(text, row, at + minutes_at)
        seconds = (hours * 3600 + minutes * 60) * np.where(signs[has] == ord("-"), -1, 1)
        if (minutes > 59).any() or (seconds < _WEST_S).any() or (seconds > _EAST_S).any():
            raise ValueError(_NO_OFFSET)
        offset_s[has] = seconds
        for column in range(size):
            text[row, at + column] = 0
        stated |= has
    return offset_s, stated


def _two_digits(text: npt.NDArray[np.uint8], row: Ints, at: Ints) -> Ints:
    tens = text[row, at].astype(np.int64) - ord("0")
    ones = text[row, at + 1].astype(np.int64) - ord("0")
    if ((tens < 0) | (tens > 9) | (ones < 0) | (ones > 9)).any():
        raise ValueError("an offset from UTC is not of the form +HH:MM")
    return tens * 10 + ones


def _normalise(text: npt.NDArray[np.uint8]) -> None:
    """Write 2025/03/01 as 2025-03-01, and a comma or a third colon before the fraction as a dot, in place."""
    for column in (4, 7):
        text[text[:, column] == ord("/"), column] = ord("-")
    text[np.isin(text[:, 19], (ord(","), ord(":"))), 19] = ord(".")
    text[np.isin(text[:, 10], (ord("t"), ord(" "))), 10] = ord("T")


def _to_ns(text: npt.NDArray[np.uint8], stamps: Bytes) -> Ints:
    """Read each row of bytes as YYYY-MM-DDTHH:MM[:SS[.fraction]], padded with zero bytes."""
    digit = text.astype(np.int32) - ord("0")
    right = np.ones(len(text), bool)
    for column, mark in enumerate(b"0000-00-00T00:00"):
        here = digit[:, column]
        right &= (here >= 0) & (here <= 9) if mark == ord("0") else text[:, column] == mark
    with_seconds = text[:, 16] == ord(":")
    right &= with_seconds | (text[:, 16] == 0)
    second = np.where(with_seconds, digit[:, 17] * 10 + digit[:, 18], 0)
    for column in (17, 18):
        right &= ~with_seconds | ((digit[:, column] >= 0) & (digit[:, column] <= 9))
    fraction_ns, good = _fraction_ns(text, digit, with_seconds)
    year = digit[:, :4].astype(np.int64) @ [1000, 100, 10, 1]
    month, day = digit[:, 5] * 10 + digit[:, 6], digit[:, 8] * 10 + digit[:, 9]
    hour, minute = digit[:, 11] * 10 + digit[:, 12], digit[:, 14] * 10 + digit[:, 15]
    right &= good & (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    right &= (year >= 1970) & (year <= 2200)  # int64 ns end in 2262
    if not right.all():
        raise ValueError(f"{_first(stamps, ~right)} is no ISO 8601 time between 1970 and 2200")
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    if not np.array_equal(days.astype("datetime64[M]"), months):
        raise ValueError(
            f"{_first(stamps, days.astype('datetime64[M]') != months)} is no day of the calendar"
        )
    of_day_s = hour * 3600 + minute * 60 + second
    ns: Ints = (days.astype(np.int64) * 86_400 + of_day_s) * _NS_PER_S + fraction_ns
    return ns


def _fraction_ns(
    text: npt.NDArray[np.uint8], digit: npt.NDArray[np.int32], with_seconds: npt.NDArray[np.bool_]
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Read what follows the seconds: nothing, or a dot and digits, of which nine count."""
    nanoseconds = np.zeros(len(text), np.int64)
    going = with_seconds & (text[:, 19] == ord("."))
    good = np.where(with_seconds, going | (text[:, 19] == 0), ~text[:, 16:20].any(axis=1))
    for column in range(20, WIDTH):
        if not text[:, column:].any():
            break
        here = (digit[:, column] >= 0) & (digit[:, column] <= 9)
        going &= here
        good &= going | (text[:, column] == 0)
        if column < 29:
            nanoseconds += np.where(going, digit[:, column], 0).astype(np.int64) * 10 ** (28 - column)
    return nanoseconds, good


def _first(stamps: Bytes, wrong: npt.NDArray[np.bool_]) -> str:
    return _show(stamps[int(np.argmax(wrong))])


def _show(cell: bytes) -> str:
    return repr(cell.decode("utf-8", "replace"))
