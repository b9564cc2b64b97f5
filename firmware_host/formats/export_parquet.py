"""Parquet: the tables of the CSV export with their types; samples on request."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.errors import MissingExtraError
from firmware_host.formats import tables
from firmware_host.formats.exporting import Progress, night_document, own_file, undated
from firmware_host.formats.import_parquet import MADE_UP_NOTE
from firmware_host.formats.leaving import Choices, Leaving
from firmware_host.formats.replacing import Replacing
from firmware_host.twitches import Column

GROUP_ROWS = 1 << 16
"""Rows of a row group at least: nights are gathered until there are so many."""
NOTE = (
    "Columns in UTC are timestamps of milliseconds, `night_date` is a date, `counted` and `wear_unconfirmed`",
    "are booleans; local times are text, as they carry the offset of their night.",
    "",
    "samples_NIGHT.parquet (with `--samples`): `site`, `time_utc` (the fitted time, ns), `ax_g`, `ay_g`,",
    "`az_g`; one row a sample that arrived, none for what is missing.",
)


class Writer:
    """Writes the tables of nights; see `exporting.Writer`."""

    TAKES = frozenset({"samples"})
    NEEDS: str | None = "pyarrow"

    def __init__(self, folder: Replacing, choices: Choices) -> None:
        self._folder, self._choices = folder, choices
        self._pa, self._parquet = _arrow()
        self._files = ExitStack()
        self._schemas = {
            name: self._pa.schema([(column.name, self._type(column)) for column in columns])
            for name, columns in tables.TABLES.items()
        }
        self._tables = {
            name: self._open(folder.file(f"{name}.parquet"), schema) for name, schema in self._schemas.items()
        }
        self._waiting: dict[str, list[Any]] = {name: [] for name in tables.TABLES}

    def add(self, leaving: Leaving, progress: Progress) -> None:
        """Write a night's rows, and its samples if they are asked for."""
        filled = tables.filled(leaving)
        if leaving.choices.samples:
            self._write_samples(leaving, progress)
        for name, columns in filled:
            self._take(name, columns)
        for columns in tables.events_tables(leaving):
            self._take("events", columns)
        progress(1.0)

    def finish(self, described: list[dict[str, Any]]) -> None:
        """Write what is waiting, the metadata and the data dictionary."""
        for name in self._waiting:
            self._flush(name)
        document = night_document(described, bin_s=self._choices.bin_s)
        self._folder.file("night.json").write_text(document, encoding="utf-8")
        self._folder.file("data_dictionary.md").write_text(
            tables.data_dictionary(".parquet", "A null", NOTE, undated(described)), encoding="utf-8"
        )
        self.close()

    def close(self) -> None:
        """Close the tables."""
        self._files.close()

    def _take(self, name: str, filled: tables.Columns) -> None:
        """Take rows of a table; they are written when there are enough for a row group."""
        arrays = [
            self._pa.array(_cast(column, filled[column.name]), self._type(column), from_pandas=True)
            for column in tables.TABLES[name]
        ]
        self._waiting[name].append(self._pa.table(arrays, schema=self._schemas[name]))
        if sum(one.num_rows for one in self._waiting[name]) >= GROUP_ROWS:
            self._flush(name)

    def _flush(self, name: str) -> None:
        if self._waiting[name]:
            self._tables[name].write_table(self._pa.concat_tables(self._waiting[name]))
        self._waiting[name] = []

    def _write_samples(self, leaving: Leaving, progress: Progress) -> None:
        pa = self._pa
        schema = pa.schema(
            [("site", pa.dictionary(pa.int32(), pa.string())), ("time_utc", pa.timestamp("ns", tz="UTC"))]
            + [(f"a{axis}_g", pa.float32()) for axis in "xyz"],
            {MADE_UP_NOTE: "true"} if leaving.made_up else None,
        )
        path = own_file(self._folder, f"samples_{leaving.file_stem}", ".parquet")
        with ExitStack() as files:
            writer = files.enter_context(self._parquet.ParquetWriter(path, schema, compression="zstd"))
            for number, info in enumerate(leaving.sensors):
                for times_ns, counts, _ in leaving.samples(info.site, 1 << 18):
                    acc_g = counts * np.float32(info.g_per_count)
                    site = pa.DictionaryArray.from_arrays(np.zeros(len(times_ns), np.int32), [info.site])
                    axes = [pa.array(np.ascontiguousarray(acc_g[:, axis])) for axis in range(3)]
                    writer.write_table(pa.table([site, pa.array(times_ns, schema[1].type), *axes], schema))
                    done = (times_ns[-1] - leaving.start_ns) / max(1, leaving.end_ns - leaving.start_ns)
                    progress((number + done) / len(leaving.sensors))

    def _open(self, path: Path, schema: Any) -> Any:  # noqa: ANN401
        return self._files.enter_context(self._parquet.ParquetWriter(path, schema, compression="zstd"))

    def _type(self, column: Column) -> Any:  # noqa: ANN401
        """Return the type of a column: text, but dates and times by what they are."""
        pa, kind = self._pa, np.dtype(column.dtype)
        if kind.kind != "U":
            return pa.from_numpy_dtype(kind)
        if column.name.endswith("_utc"):
            return pa.timestamp("ms", tz="UTC")
        return pa.date32() if column.name == "night_date" else pa.string()


def _cast(column: Column, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a column of a table as an array of its type; what is not known stays NaN."""
    if column.name.endswith("_utc"):
        return values.astype("U23").astype("datetime64[ms]")
    if column.name == "night_date":
        return values.astype("datetime64[D]")
    return values


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:  # it is there, but not whole, or not for this Python
        raise MissingExtraError(
            f"Writing Parquet needs pyarrow, which cannot be used here: {error}."
        ) from error
    return pa, pa.parquet
