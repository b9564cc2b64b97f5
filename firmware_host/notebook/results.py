"""What the notebook functions return: results that say what they are, columns as arrays and data frames."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from firmware_host import analysis
from firmware_host.errors import BadValueError, MissingExtraError
from firmware_host.formats import tables
from firmware_host.formats.leaving import Choices, Leaving
from firmware_host.notebook.arguments import name_of, path_of
from firmware_host.recording import Night
from firmware_host.review.charts.map_data import MapData, limit_words, map_of, rate_words, valid_words
from firmware_host.twitches import Column, Table

if TYPE_CHECKING:
    import pandas as pd

TableName = Literal["events", "candidates", "coverage", "diary", "units"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class Twitches(analysis.Run):
    """The twitches of one detection run, with the night they are of; a column is had by its name.

    `twitches["peak_s"]` holds the counted events alone; `twitches.events` all candidates, `twitches.coverage`
    what the time was good for.
    """

    night: Night = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.counted)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """Return one column of the counted events (`EVENT_COLUMNS`), by site and time."""
        return _column(self.counted, column)

    def to_pandas(self, table: TableName = "events") -> pd.DataFrame:
        """Return a table as `twitchmap export` writes it, with times as times.

        Parameters
        ----------
        table
            "events": what is counted or labelled; "candidates": all that was found; "coverage": what each
            stretch of time was good for; "diary"; "units": what looks alike.

        Raises
        ------
        MissingExtraError
            Without pandas.
        BadValueError
            For another table.
        """
        name_of(table, get_args(TableName), "table")
        if table == "units":
            return _pandas().DataFrame(analysis.units_of(self))
        return _frame(*_written(self, table), self.night.meta.time_zone)

    def __repr__(self) -> str:
        return "\n".join([self._title(), *("  ".join(["", *cells]) for cells in _padded(self._rows()))])

    def _repr_html_(self) -> str:
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
            for cells in self._rows()
        )
        return f"<table><caption>{html.escape(self._title())}</caption>{body}</table>"

    def _title(self) -> str:
        mark = f" ({data.mark})" if (data := map_of(self.night, self, None)).mark else ""
        info = self.info
        facts = (
            f"model {info.model}",
            info.operating_point,
            f"run {info.run_id}",
            analysis.unusual_way(info),
        )
        judge = ", ".join(filter(None, facts))
        return f"Twitches of {self.night.path.name}{mark}; {judge}"

    def _rows(self) -> list[list[str]]:
        data = map_of(self.night, self, None)
        return [
            [
                str(row["site"]),
                f"{row['twitches']} counted",
                rate_words(row),
                valid_words(row, data),
                limit_words(row),
            ]
            for row in data.rows
        ]


@dataclass(frozen=True, repr=False, eq=False)
class TwitchMap:
    """Counts, valid time and rates by site and time bin; a column is had by its name."""

    twitches: Twitches
    counts: Table
    """(sites x bins,) `COUNT_DTYPE`, site by site, in order of time; not observed: rates are NaN."""
    bin_s: float | None
    """None: one bin of the whole night."""

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """Return one column (`COUNT_COLUMNS`)."""
        return _column(self.counts, column)

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as `counts.csv` has it; raises `MissingExtraError` without pandas."""
        written = _written(self.twitches, "counts", self.bin_s)
        return _frame(*written, self.twitches.night.meta.time_zone)

    def save(self, file: Path | str) -> Path:
        """Draw the map into a file that ends in .svg or .png.

        Raises
        ------
        BadValueError
            For another ending.
        MissingExtraError
            For a PNG without matplotlib.
        StorageError
            If the disk refuses; what was there before stays.
        """
        from firmware_host.formats.replacing import Replacing
        from firmware_host.review.charts.scene import to_png

        file = path_of(file, "The picture's file")
        kind = file.suffix.lower()
        if kind not in {".svg", ".png"}:
            raise BadValueError(f"{file.name}: a map is drawn as .svg or .png.")
        content = self._svg().encode() if kind == ".svg" else to_png(_drawn(self._data()))
        with Replacing(file.parent) as folder:
            folder.file(file.name).write_bytes(content)
        return file

    def __repr__(self) -> str:
        from firmware_host.review.charts.terminal import terminal_map

        return terminal_map(self._data(), 100, "utf-8")

    def _repr_html_(self) -> str:  # as wide as the notebook has room
        return self._svg().replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)

    def _svg(self) -> str:
        from firmware_host.review.charts.scene import to_svg

        return to_svg(_drawn(self._data()))

    def _data(self) -> MapData:
        return map_of(self.twitches.night, self.twitches, self.bin_s)


@dataclass(frozen=True, repr=False, eq=False)
class SiteSamples:
    """The samples of one site, ready to be drawn or filtered."""

    site: str
    start_ns: int
    """Of the night, UTC: where `time_s` is 0."""
    fs_hz: float
    """Measured rate; NaN where there are too few samples."""
    time_s: Floats
    """(n,) from the night's start."""
    acc_g: npt.NDArray[np.float32]
    """(n, 3), gravity included. A row of NaN stands at each gap, unless `samples` was told otherwise."""

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def utc(self) -> npt.NDArray[np.datetime64]:
        """(n,) datetime64[ns] in UTC."""
        at_ns = self.start_ns + np.rint(self.time_s * 1e9).astype(np.int64)
        return at_ns.astype("datetime64[ns]")

    def to_pandas(self) -> pd.DataFrame:
        """Return columns time_s, ax_g, ay_g, az_g, by UTC time; raises `MissingExtraError` without pandas."""
        pandas = _pandas()
        axes = {f"a{axis}_g": self.acc_g[:, number] for number, axis in enumerate("xyz")}
        return pandas.DataFrame(
            {"time_s": self.time_s} | axes, index=pandas.DatetimeIndex(self.utc, tz="UTC", name="utc")
        )

    def __repr__(self) -> str:
        real = int(np.count_nonzero(~np.isnan(self.acc_g[:, 0])))
        if not real:
            return f"{self.site}: no samples"
        span = f"from {self.time_s[0]:.3f} s to {self.time_s[-1]:.3f} s of the night"
        return f"{self.site}: {real:,} samples {span}, {self.fs_hz:.2f} Hz, acc_g ({len(self):,}, 3)"


def _column(rows: Table, name: str) -> npt.NDArray[Any]:
    return rows[name_of(name, rows.dtype.names or (), "column")]


def _padded(rows: list[list[str]]) -> list[list[str]]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        [cell.ljust(width) for cell, width in zip(cells[:-1], widths, strict=False)] + cells[-1:]
        for cells in rows
    ]


def _drawn(data: MapData) -> Any:  # noqa: ANN401 - a scene
    from firmware_host.review.charts.night_map import night_map

    return night_map(data)


def _written(
    of: Twitches, table: str, bin_s: float | None = None
) -> tuple[tuple[Column, ...], list[tables.Columns]]:
    """Return a table as exporters write it, in parts; "candidates" are events with all that was found."""
    leaving = Leaving(of.night, of, Choices(bin_s=bin_s, candidates=table == "candidates"))
    if table == "counts":
        return tables.COUNTS, [tables.counts_table(leaving)]
    if table == "coverage":
        return tables.COVERAGE, [tables.coverage_table(leaving)]
    if table == "diary":
        return tables.DIARY, [tables.diary_table(leaving)]
    return tables.EVENTS, list(tables.events_tables(leaving))


def _pandas() -> Any:  # noqa: ANN401
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError(
            'Tables for pandas need pandas: pip install "twitchmap[pandas]". Columns are had without it, '
            'such as twitches["peak_s"].'
        ) from None
    return pd


def _frame(columns: Sequence[Column], parts: list[tables.Columns], time_zone: str) -> pd.DataFrame:
    """Return a filled table as a data frame: times as times, whole numbers as such where some are empty."""
    pandas = _pandas()
    frame = {}
    for column in columns:
        none = np.zeros(0, column.dtype)
        values = pandas.Series(np.concatenate([none, *(part[column.name] for part in parts)]))
        if column.unit == "ISO 8601":
            times = pandas.to_datetime(values, utc=True, format="ISO8601")
            values = times.dt.tz_convert(time_zone) if column.name.endswith("_local") else times
        elif none.dtype.kind == "i" and values.dtype.kind == "f":
            values = values.astype("Int64")
        frame[column.name] = values
    return pandas.DataFrame(frame)
