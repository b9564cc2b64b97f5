"""How a text table is laid out: delimiter, decimal mark, header, first row; told from its beginning."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_host.errors import BadValueError
from firmware_host.formats.columns import is_unit, names_axes, without_brackets

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
MISSING = frozenset(
    {"", "nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity", "-"}
)
_DELIMITERS = (";", "\t", "|", ",", None)
"""None: runs of blanks. In order of preference where two read a line alike."""
_LOOK_LINES = 200
_GENEACTIV = ("Timestamp", "x", "y", "z", "light", "button", "temperature")
"""The columns of GENEActiv's tables, which have no line of names."""
_PREAMBLE_ROWS = 20
"""More lines of three numbers, above the rows, are no settings of a logger."""


@dataclass(frozen=True)
class Layout:
    """How rows are to be read.

    Attributes
    ----------
    delimiter : one character, or None for runs of blanks.
    decimal_comma : numbers are written 0,981.
    fields : cells a row.
    names : names of the columns, "" where there is none; all "" without a header.
    first : index of the first row among the lines that were looked at.
    misfit : number of names in a line above the rows that names axes, but not as many columns as they have.
    """

    delimiter: str | None
    decimal_comma: bool
    fields: int
    names: tuple[str, ...]
    first: int
    misfit: int | None = None

    @property
    def has_header(self) -> bool:
        """Some column has a name."""
        return any(self.names)

    def cells(self, line: str) -> list[str]:
        """Take a line apart."""
        return split(line, self.delimiter)

    def number(self, cell: str) -> float | None:
        """Read a number: NaN for a blank or a word for "missing", None for anything else."""
        return number(cell, decimal_comma=self.decimal_comma)


def split(line: str, delimiter: str | None) -> list[str]:
    """Take a line apart at a delimiter, or at runs of blanks, heeding quotes."""
    if '"' in line:
        text = " ".join(line.split()) if delimiter is None else line
        try:
            return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter or " "), [])]
        except csv.Error:  # a lone carriage return, a field of more than 128 kB
            pass
    return [cell.strip() for cell in line.split(delimiter)]


def number(cell: str, *, decimal_comma: bool) -> float | None:
    """Read a number: NaN for a blank or a word for "missing", None for anything else."""
    cell = cell.strip()
    if (_COMMA_NUMBER if decimal_comma else _NUMBER).fullmatch(cell):
        return float(cell.replace(",", "."))
    if _NUMBER.fullmatch(cell):
        return float(cell)
    return float("nan") if cell.lower() in MISSING else None


def find_layout(lines: Sequence[str]) -> Layout | None:
    """Find the layout of a table from its first lines, or None where no row holds three numbers.

    Lines of text before the header (loggers put serial numbers and settings there), a header that starts with
    "#", and a row of units below the header are understood.

    Raises
    ------
    BadValueError
        If many rows stand above that are written in another way: they are data too.
    """
    best: tuple[int, int, str | None, bool, int] | None = None
    tail = [line for line in lines if line.strip()][-_LOOK_LINES:]
    for delimiter in _DELIMITERS:
        for decimal_comma in _decimal_commas(delimiter):
            widths = Counter(
                len(cells)
                for cells in (split(line, delimiter) for line in tail)
                if _numbers(cells, decimal_comma=decimal_comma) >= 3
            )
            if not widths:
                continue
            fields, rows = max(widths.items(), key=lambda item: (item[1], item[0]))
            numbers = sum(_numbers(split(line, delimiter), decimal_comma=decimal_comma) for line in tail)
            if best is None or (rows, numbers) > best[:2]:
                best = (rows, numbers, delimiter, decimal_comma, fields)
    if best is None:
        return None
    _, _, delimiter, decimal_comma, fields = best
    begin = _end_of_labview_header(lines)
    first = next(
        i
        for i, line in enumerate(lines)
        if i >= begin
        and len(cells := split(line, delimiter)) == fields
        and _numbers(cells, decimal_comma=decimal_comma) >= 3
    )
    _check_skipped(lines[:first], first)
    above = [  # lines of text; rows of a sensor that had not begun yet are none
        i
        for i, line in enumerate(lines[:first])
        if any(number(cell, decimal_comma=decimal_comma) is None for cell in split(line, delimiter))
    ]
    named = [i for i in above if not _is_one_word(split(lines[i], delimiter))]
    heads = [_as_names(lines[i], delimiter) for i in named[-2:]]
    last = split(lines[first], delimiter)[-1]
    names = _header([_fitted(cells, fields, ends_blank=not last, labview=begin > 0) for cells in heads])
    if names:
        return Layout(delimiter, decimal_comma, fields, names, above[-1] + 1)
    if re.match(r"Device Type\WGENEActiv", lines[0]) and fields == len(_GENEACTIV):
        return Layout(delimiter, decimal_comma, fields, _GENEACTIV, first)
    misfit = next((len(cells) for cells in heads if names_axes(cells)), None)
    return Layout(delimiter, decimal_comma, fields, ("",) * fields, first, misfit)


def _end_of_labview_header(lines: Sequence[str]) -> int:
    """Return the line from which on a LabVIEW measurement holds names and rows; 0 of any other file."""
    if not lines[0].startswith("LabVIEW Measurement"):
        return 0
    ends = [i for i, line in enumerate(lines) if line.startswith("***End_of_Header***")]
    return ends[:2][-1] + 1 if ends else 0  # of the file and of its first part; further parts are refused


def _is_one_word(cells: Sequence[str]) -> bool:
    """Tell a line that says the same of all columns, as Shimmer's CAL, and is no row of units."""
    words = {cell for cell in cells if cell}
    return len(words) == 1 and len(cells) > 1 and not is_unit(words.pop())


def _decimal_commas(delimiter: str | None) -> tuple[bool, ...]:
    return (False,) if delimiter == "," else (False, True)


def _check_skipped(lines: Sequence[str], first: int) -> None:
    rows = sum(
        any(
            _numbers(split(line, delimiter), decimal_comma=comma) >= 3
            for delimiter in _DELIMITERS
            for comma in _decimal_commas(delimiter)
        )
        for line in lines
    )
    if rows > _PREAMBLE_ROWS:
        raise BadValueError(
            f"{rows:,} rows above line {first + 1:,} are written in another way than those from there on; "
            "import the parts one by one"
        )


def _numbers(cells: Sequence[str], *, decimal_comma: bool) -> int:
    return sum(
        value is not None and value == value
        for value in (number(cell, decimal_comma=decimal_comma) for cell in cells)
    )


def _header(named: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """Return the names in the last of two lines above the rows, or in the first, with units from the last."""
    if not named or named[-1] is None:
        return None
    names = named[-1]
    first = named[0] if len(named) == 2 else None
    if first is not None and all(not cell or is_unit(cell) for cell in names):
        units = map(without_brackets, names)
        return tuple(f"{name} ({unit})" if unit else name for name, unit in zip(first, units, strict=True))
    return names


def _as_names(line: str, delimiter: str | None) -> list[str]:
    """Take a header apart: at the delimiter of the rows, else at another one under which it names axes."""
    line = re.sub(r"^\s*(?:#|%|//)+\s*", "", line)
    ways = [split(line, mark) for mark in (delimiter, *_DELIMITERS)]
    return next((cells for cells in ways if names_axes(cells)), ways[0])


def _fitted(
    cells: Sequence[str], fields: int, *, ends_blank: bool, labview: bool = False
) -> tuple[str, ...] | None:
    """Return names for so many columns, or None where there are more, fewer or none of letters."""
    if labview and cells[0] == "X_Value":  # its time; the column Comment has no cells
        cells = ["Time (s)", *(cell for cell in cells[1:] if cell != "Comment")]
    while len(cells) > fields and not cells[-1]:
        cells = cells[:-1]
    if len(cells) == fields - 1 and ends_blank:  # the rows end with a delimiter, the header does not
        cells = [*cells, ""]
    has_letters = any(re.search(r"[^\W\d]", cell) for cell in cells)
    return tuple(cells) if len(cells) == fields and has_letters else None
