"""CSV: events, counts, coverage and diary of one or many nights, with a data dictionary and the metadata."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.formats import tables
from firmware_host.formats.exporting import Progress, night_document, undated
from firmware_host.formats.leaving import Choices, Leaving
from firmware_host.formats.replacing import Replacing
from firmware_host.twitches import Column

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""


@dataclass(frozen=True)
class Dialect:
    """How numbers and rows are written."""

    encoding: str
    delimiter: str
    decimal: str


PLAIN = Dialect("utf-8", ",", ".")
EXCEL = Dialect("utf-8-sig", ";", ",")
"""What a spreadsheet in a country of decimal commas opens by a double click."""


class Writer:
    """Writes the tables of nights; see `exporting.Writer`."""

    TAKES = frozenset({"excel"})
    NEEDS: str | None = None

    def __init__(self, folder: Replacing, choices: Choices) -> None:
        self._folder, self._choices = folder, choices
        self._dialect = EXCEL if choices.excel else PLAIN
        self._files = ExitStack()
        self._tables = {
            name: _start(folder.file(f"{name}.csv"), self._dialect, columns, self._files)
            for name, columns in tables.TABLES.items()
        }

    def add(self, leaving: Leaving, progress: Progress) -> None:
        """Write a night's rows."""
        for name, columns in tables.filled(leaving):
            self._tables[name].writerows(_rows(tables.TABLES[name], columns, self._dialect))
        for columns in tables.events_tables(leaving):
            self._tables["events"].writerows(_rows(tables.EVENTS, columns, self._dialect))
        progress(1.0)

    def finish(self, described: list[dict[str, Any]]) -> None:
        """Write the metadata and the data dictionary."""
        document = night_document(described, bin_s=self._choices.bin_s)
        self._folder.file("night.json").write_text(document, encoding="utf-8")
        self._folder.file("data_dictionary.md").write_text(
            tables.data_dictionary(".csv", "An empty cell", undated=undated(described)), encoding="utf-8"
        )

    def close(self) -> None:
        """Close the tables."""
        self._files.close()


def _start(path: Path, dialect: Dialect, columns: Sequence[Column], files: ExitStack) -> Any:  # noqa: ANN401
    file = files.enter_context(path.open("w", encoding=dialect.encoding, newline=""))
    writer = csv.writer(
        file, delimiter=dialect.delimiter, lineterminator="\r\n" if dialect is EXCEL else "\n"
    )
    writer.writerow([column.name for column in columns])
    return writer


def _rows(columns: Sequence[Column], filled: tables.Columns, dialect: Dialect) -> Iterator[tuple[str, ...]]:
    return zip(*(_cells(column, filled[column.name], dialect) for column in columns), strict=True)


def _cells(column: Column, values: npt.NDArray[Any], dialect: Dialect) -> Iterable[str]:
    """Format one column; a number that is not known is an empty cell."""
    if values.dtype.kind == "U":
        risky = np.isin(values.astype("U1"), FORMULA_STARTS)
        texts: list[str] = (
            np.where(risky, np.char.add("'", values), values) if risky.any() else values
        ).tolist()
        return texts
    if values.dtype.kind in "bu":
        return map(str, values.astype(int).tolist())
    if np.dtype(column.dtype).kind == "i":
        return ["" if value != value else str(int(value)) for value in values.tolist()]
    form = "%.4f" if column.unit == "s" else "%.6g"
    numbers = ["" if value != value else form % value for value in values.tolist()]
    return numbers if dialect.decimal == "." else [number.replace(".", dialect.decimal) for number in numbers]
