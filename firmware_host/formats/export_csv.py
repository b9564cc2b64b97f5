"""CSV: events, counts, coverage and diary of one or many nights, with a data dictionary and the metadata."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

import firmware_host
from firmware_host.analysis import Run, load_run
from firmware_host.errors import BadValueError
from firmware_host.formats import tables
from firmware_host.formats.replacing import Replacing
from firmware_host.recording import Night
from firmware_host.twitches import Column

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""
TABLES: dict[str, tuple[Column, ...]] = {
    "events.csv": tables.EVENTS,
    "counts.csv": tables.COUNTS,
    "coverage.csv": tables.COVERAGE,
    "diary.csv": tables.DIARY,
}


@dataclass(frozen=True)
class Dialect:
    """How numbers and rows are written."""

    encoding: str
    delimiter: str
    decimal: str


PLAIN = Dialect("utf-8", ",", ".")
EXCEL = Dialect("utf-8-sig", ";", ",")
"""What a spreadsheet in a country of decimal commas opens by a double click."""


def export(
    nights: Sequence[Night],
    out: Path,
    *,
    run_id: str | None = None,
    bin_s: float = 900.0,
    candidates: bool = False,
    excel: bool = False,
    mixed: bool = False,
    progress: Callable[[float], None] | None = None,
) -> tuple[Path, ...]:
    """Write the tables of one or several nights into a folder; all files appear together or none does.

    Parameters
    ----------
    nights
        Open nights with a detection run each; of every night the newest complete run is taken.
    out
        Folder of the files; made if absent. Files of an earlier export are replaced.
    run_id
        Take this run instead.
    bin_s
        Length of the time bins of counts.csv, s.
    candidates
        Also write the events that are neither counted nor labelled.
    excel
        Byte order mark, semicolons and decimal commas.
    mixed
        Allow rows of different detectors in one table.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    The files.

    Raises
    ------
    BadValueError
        If the nights were judged by different detectors, or the bins cannot be made.
    NotFoundError
        If a night has no run.
    StorageError
        If the disk refuses; no file is left half written.
    """
    dialect = EXCEL if excel else PLAIN
    described: list[dict[str, Any]] = []
    with Replacing(out) as folder, ExitStack() as files:
        writers = {
            name: _start(folder.file(name), dialect, columns, files) for name, columns in TABLES.items()
        }
        for number, night in enumerate(nights):
            run = load_run(night, run_id)
            described.append(_describe(night, run))
            if not mixed:
                _refuse_other_detector(described)
            filled = {
                "events.csv": tables.events_table(night, run, candidates=candidates),
                "counts.csv": tables.counts_table(night, run, bin_s=bin_s),
                "coverage.csv": tables.coverage_table(night, run),
                "diary.csv": tables.diary_table(night, run),
            }
            for name, columns in filled.items():
                writers[name].writerows(_rows(TABLES[name], columns, dialect))
            if progress:
                progress((number + 1) / len(nights))
        document = {"twitchmap": firmware_host.__version__, "bin_s": bin_s, "nights": described}
        folder.file("night.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        folder.file("data_dictionary.md").write_text(data_dictionary(), encoding="utf-8")
    return folder.written


def data_dictionary() -> str:
    """Return what every column of every table means, as Markdown made from their declarations."""
    lines = [
        "# What the columns mean",
        "",
        "An empty cell is a value that is not known. A bin with `valid_s` = 0 was not observed: its rates",
        "are empty, never 0. Times in seconds count from the night's `start_ns` in night.json",
        "(that of `meta` is what the computer's clock said when the night began).",
    ]
    for name, columns in TABLES.items():
        lines += ["", f"## {name}", "", "| column | unit | meaning |", "| --- | --- | --- |"]
        lines += [f"| {column.name} | {column.unit} | {column.meaning} |" for column in columns]
    return "\n".join(lines) + "\n"


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


def _describe(night: Night, run: Run) -> dict[str, Any]:
    """Return all that is known of a night and its run, as plain JSON values."""
    info = msgspec.to_builtins(run.info)
    info["settings"], info["summary"] = json.loads(info["settings"]), msgspec.to_builtins(run.summary)
    meta = msgspec.to_builtins(night.meta)
    known = {"night": night.path.name, "start_ns": night.start_ns, "meta": meta, "run": info}
    return known | {"labels": len(run.labels.active)}


def _refuse_other_detector(described: Sequence[dict[str, Any]]) -> None:
    first, last = described[0], described[-1]
    judges = [
        f"{run['detector']}, {run['model']} ({run['model_sha256'][:8]}), {run['operating_point']}, "
        f"pass {run['passes']}"
        for run in (first["run"], last["run"])
    ]
    if judges[0] != judges[1]:
        raise BadValueError(
            f"{first['night']} and {last['night']} were judged by different detectors: {judges[0]}; "
            f"{judges[1]}. Run `twitchmap detect` on all of them, or export them with --mixed."
        )
