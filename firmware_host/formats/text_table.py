"""Reads text tables of any delimiter in blocks, so that memory stays flat.

numpy's C reader takes the blocks (0.9 microseconds a row of four numbers). Where it fails, a careful reader
takes the same block line by line: it either reads what numpy could not (blank cells, comments) or says which
line is wrong.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, BadValueError
from firmware_host.formats.clock_times import SAID, WrittenClock, clock_of, is_date, is_time_of_day
from firmware_host.formats.columns import Roles, device_column, find_roles, stamp_halves
from firmware_host.formats.devices import LONGEST_DEVICE, Devices
from firmware_host.formats.foreign import ForeignRecording, ImportOptions, Source, Spool
from firmware_host.formats.iso_time import NO_STAMP, NO_TIME, WIDTH, IsoColumn, TimeOfDay, parse_iso
from firmware_host.formats.text_blocks import HEAD_BYTES, as_text, blanks_as_nan, decoded
from firmware_host.formats.text_layout import MISSING, Layout, find_layout

Times = npt.NDArray[np.float64] | npt.NDArray[np.int64]

LONGEST_LINE = 1 << 20
_ACTIGRAPH = re.compile(r"\W*Data File Created By ActiGraph .* at ([0-9]+) Hz")
"""The first line of its tables, which have no time."""
_TEXT_CONTROLS = b"\t\n\r\f\v\x1a"
_OTHERS = {
    b"PK": "a zip archive (unpack it; save an Excel workbook as CSV)",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
    b"\x93NUMPY": "a single numpy array (save it with numpy.savez)",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB": "a MATLAB file",
    b"SQLite format 3": "a database",
    b"GENEA/": "a recording of the first GENEA (export it as a table)",
    b"MDTC": "a Parmay Matrix recording (export it as a table)",
}


def read_text(
    source: Source, options: ImportOptions, spool: Spool, raw: IO[bytes], progress: Callable[[], None]
) -> ForeignRecording:
    """Read a text table from a stream into the spool.

    Raises
    ------
    BadFileError
        With the line, if the text is no table or a cell is not what its column should hold.
    BadValueError
        If the columns cannot be told apart without the user.
    """
    table = _Table(source, options, spool, as_text(raw))
    try:
        table.read(progress)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadFileError(
            f"{source.path}: the compressed file is damaged or cut off near line {table.line:,}",
            path=source.path,
        ) from error
    except UnicodeError as error:
        raise BadFileError(
            f"{source.path}: near line {table.line:,} is no UTF-16 text", path=source.path
        ) from error
    return table.recording


class _Table:
    """A table that is being read."""

    def __init__(self, source: Source, options: ImportOptions, spool: Spool, blocks: Iterator[bytes]) -> None:
        self.recording = ForeignRecording(source, spool)
        self.line = 1
        self._options = options
        self._blocks = blocks
        self._stamp_columns: tuple[int, ...] = ()
        self._clock: WrittenClock | TimeOfDay | None = None

    def read(self, progress: Callable[[], None]) -> None:
        """Read all rows."""
        head = self._head()
        lines = decoded(head).split("\n")
        try:
            layout = find_layout(lines)
        except BadValueError as error:
            raise self.recording.fault(str(error)) from error
        if layout is None:
            raise self._no_table(head)
        self._roles = self._find_roles(layout, lines[layout.first :])
        self._layout = layout
        self._devices = Devices(self.recording, device_column(layout.names))
        self.line = layout.first + 1
        rest = head.split(b"\n", layout.first)[-1]
        self._understand_time(lines[layout.first :], lines[: layout.first + 1])
        self._dtype = self._row_dtype()
        for block in self._whole_lines(rest):
            if block.strip():
                (self._take if block.endswith(b"\n") else self._take_last)(block)
            self.line += block.count(b"\n")
            progress()
        self._devices.check()

    def _head(self) -> bytes:
        head = b""
        for block in self._blocks:
            head += block
            if len(head) >= HEAD_BYTES:
                break
        if not head.strip():
            raise self.recording.fault("the file is empty")
        for magic, what in _OTHERS.items():
            if head.startswith(magic):
                raise self.recording.fault(f"this is {what}, not a text table")
        controls = np.isin(np.frombuffer(head[:4096], np.uint8), np.arange(32, dtype=np.uint8))
        controls &= ~np.isin(np.frombuffer(head[:4096], np.uint8), np.frombuffer(_TEXT_CONTROLS, np.uint8))
        if controls.any():
            raise self.recording.fault("this is no text: line 1 and what follows hold binary data")
        return head

    def _no_table(self, head: bytes) -> BadFileError:
        lines = head.strip().count(b"\n") + 1
        where = "line 1 holds" if lines == 1 else f"lines 1 to {lines:,} hold"
        return self.recording.fault(
            f"{where} no row of three numbers or more (x, y, z, and a time unless --rate is given)"
        )

    def _find_roles(self, layout: Layout, rows: list[str]) -> Roles:
        options, names = self._options, layout.names
        try:
            if layout.has_header or options.columns:
                roles = find_roles(names, options.columns, unit=options.unit)
                if roles.time is None and not options.columns and _is_index_of_times(layout, rows[0]):
                    roles = replace(roles, time=0)
            else:
                roles = self._headerless(layout)
        except BadValueError as error:
            raise BadValueError(f"{self.recording.source.name}: {error}") from error
        shown = [name or f"column {i + 1}" for i, name in enumerate(names)]
        self.recording.used = tuple(shown[i] for i in roles.used)
        self.recording.ignored = tuple(
            name
            for i, name in enumerate(shown)
            if i not in roles.used and (names[i] or not layout.has_header)
        )
        self.recording.unit, self.recording.time_unit = roles.unit, roles.time_unit
        self.recording.arrival = roles.arrival
        return roles

    def _headerless(self, layout: Layout) -> Roles:
        if layout.misfit is not None:
            raise BadValueError(
                f"the line of names has {layout.misfit} columns and the rows have {layout.fields}; "
                "say which are meant with --columns t,x,y,z (numbers from 1), or x,y,z with --rate"
            )
        if layout.fields == 4:
            return Roles((1, 2, 3), 0)
        if layout.fields == 3:
            return Roles((0, 1, 2))
        raise BadValueError(
            f"there are {layout.fields} columns and no line with their names; "
            "say which are meant with --columns t,x,y,z (numbers from 1), or x,y,z with --rate"
        )

    def _understand_time(self, rows: list[str], above: list[str]) -> None:
        """Tell numbers, ISO 8601 and other ways of writing dates by the first cells that are not blank."""
        self._iso = False
        if self._roles.time is None:
            stated = _ACTIGRAPH.match(above[0])
            self.recording.fs_hz = float(stated[1]) if stated else None
            return
        self._stamp_columns = (self._roles.time,)
        split = [cells for cells in map(self._layout.cells, rows) if len(cells) == self._layout.fields]
        first = next((cells for cells in split if cells[self._roles.time].lower() not in MISSING), None)
        self.recording.meaning = "number"
        if first is None or self._layout.number(first[self._roles.time]) is not None:
            return
        self._iso = True
        try:
            self._stamp_columns = self._halves(self._roles.time, first)
            stamps = [stamp.decode() for stamp in map(self._stamp, split) if stamp] or [""]
            if len(self._stamp_columns) > 1 or not _is_iso(stamps[0]):
                self._clock = clock_of(stamps, " ".join(above), self._options.date_order)
            parsed = self._parse(np.array([stamps[0].encode()]))
        except ValueError as error:
            raise self._at(self.line, str(error)) from error
        self.recording.meaning = "local" if parsed.offset_s is None else "utc"
        if isinstance(self._clock, WrittenClock):
            self.recording.written = f"dates as {SAID[self._clock.order]}"

    def _halves(self, time: int, first: list[str]) -> tuple[int, ...]:
        """Return the column of stamps, or those of date and time of day, as the first row shows them."""
        names = self._layout.names
        if not is_date(first[time]) and not is_time_of_day(first[time]):
            return (time,)
        wanted = is_time_of_day if is_date(first[time]) else is_date
        others = [i for i in stamp_halves(names, self._roles) if wanted(first[i])]
        shown = [name or f"column {i + 1}" for i, name in enumerate(names)]
        if len(others) > 1:
            which = " or ".join(shown[i] for i in others)
            raise ValueError(f"{_shown(first[time])} may belong with {which}: leave one of them in the file")
        if not others:
            return (time,)
        halves = (time, others[0]) if is_date(first[time]) else (others[0], time)
        self.recording.used = (" + ".join(shown[i] for i in halves), *self.recording.used[1:])
        self.recording.ignored = tuple(n for n in self.recording.ignored if n != shown[others[0]])
        return halves

    def _stamp(self, cells: list[str]) -> bytes:
        """Return a row's stamp, of one column or joined of two; empty where a cell is blank."""
        halves = [cells[i].encode() for i in self._stamp_columns]
        return b"" if any(half in NO_STAMP for half in halves) else b" ".join(halves)

    def _stamps(self, rows: npt.NDArray[np.void]) -> npt.NDArray[np.bytes_]:
        """Return the stamps of many rows."""
        halves = [np.char.strip(rows[f"c{i}"]) for i in self._stamp_columns]
        if len(halves) == 1:
            return halves[0]
        blank = np.any([np.isin(half, NO_STAMP) for half in halves], axis=0)
        return np.where(blank, b"", np.char.add(np.char.add(halves[0], b" "), halves[1]))

    def _row_dtype(self) -> np.dtype[np.void]:
        """One field a column: numbers, the bytes of an ISO stamp, or a first byte that nobody looks at."""
        kinds = dict.fromkeys(self._roles.axes, "f8")
        # a cell that is too long keeps one character too many, by which it is told
        kinds |= dict.fromkeys(self._stamp_columns, f"S{WIDTH + 1}" if self._iso else "f8")
        if self._devices.column is not None:
            kinds[self._devices.column] = f"S{LONGEST_DEVICE}"
        return np.dtype([(f"c{i}", kinds.get(i, "S1")) for i in range(self._layout.fields)])

    def _whole_lines(self, rest: bytes) -> Iterator[bytes]:
        """Yield blocks that end with a line, and by itself a last line without an end.

        Where a logger reserves room and loses its power, zero bytes stand behind what it wrote.
        """
        for block in self._blocks:
            body, newline, tail = block.rstrip(b"\0").rpartition(b"\n")
            if newline:
                yield rest + body + newline
                rest = tail
            else:
                rest += tail
                if len(rest) > LONGEST_LINE + HEAD_BYTES:
                    raise self._at(self.line, "the line is longer than a megabyte: this is no table")
        body, newline, tail = rest.rstrip(b"\0").rpartition(b"\n")
        yield body + newline
        yield tail

    def _take(self, block: bytes) -> None:
        text = block.replace(b",", b".") if self._layout.decimal_comma else block
        try:
            parsed = self._fast(text)
        except ValueError:
            try:
                parsed = self._fast(blanks_as_nan(text, self._layout.delimiter))
            except ValueError:
                self._take_carefully(block)
                return
        self.recording.spool.append(*parsed)

    def _take_last(self, line: bytes) -> None:
        """Take a last line without an end; one that was cut does not cost the lines above it."""
        try:
            self._take(line)
        except BadFileError:
            if not self.recording.spool.rows:
                raise
            self.recording.remarks.append("the file ends in the middle of a line, which is left out")

    def _fast(self, text: bytes) -> tuple[Times | None, npt.NDArray[np.float64]]:
        rows = np.loadtxt(
            io.BytesIO(text), self._dtype, comments=None, delimiter=self._layout.delimiter, ndmin=1,
            quotechar='"', encoding="latin1",
        )  # fmt: skip
        if b'"' in text and len(rows) != sum(map(bool, map(bytes.strip, text.split(b"\n")))):
            raise ValueError("a quote reaches over the end of its line")
        if self._devices.column is not None:
            rows = rows[self._devices.own(rows[f"c{self._devices.column}"])]
        axes = np.stack([rows[f"c{i}"] for i in self._roles.axes], axis=1)
        if self._roles.time is None:
            return None, axes
        if self._iso:
            return self._iso_ns(self._parse(self._stamps(rows))), axes
        return rows[f"c{self._roles.time}"], axes

    def _parse(self, cells: npt.NDArray[np.bytes_]) -> IsoColumn:
        return parse_iso(cells) if self._clock is None else self._clock.parse(cells)

    def _take_carefully(self, block: bytes) -> None:
        axes: list[list[float]] = []
        stamps: list[float] = []
        cells_of_time: list[bytes] = []
        lines: list[int] = []
        for at, line in enumerate(block.decode("utf-8", "replace").split("\n"), self.line):
            if not line.strip() or line.lstrip().startswith(("#", "\x1a")):
                continue
            cells = self._row(line.rstrip("\r"), at)
            if tuple(cells) == self._layout.names:  # a logger that began anew writes its header again
                continue
            if self._devices.column is not None:
                named = np.array([cells[self._devices.column].encode()], f"S{LONGEST_DEVICE}")
                if not self._devices.own(named)[0]:
                    continue
            if self._roles.time is not None and self._iso:
                cells_of_time.append(self._stamp(cells))
            elif self._roles.time is not None:
                stamps.append(self._cell(cells, self._roles.time, at))
            axes.append([self._cell(cells, i, at) for i in self._roles.axes])
            lines.append(at)
        if not axes:
            return
        time: Times | None = np.array(stamps) if stamps else None
        if cells_of_time:
            time = self._iso_ns(self._parse_stamps(cells_of_time, lines))
        self.recording.spool.append(time, np.array(axes))

    def _row(self, line: str, at: int) -> list[str]:
        cells, fields = self._layout.cells(line), self._layout.fields
        if len(cells) != fields:
            found = f"there are {len(cells)} columns" if len(cells) != 1 else "there is 1 column"
            raise self._at(at, f"{found} instead of {fields}: {_shown(line)}")
        return cells

    def _cell(self, cells: list[str], column: int, at: int) -> float:
        value = self._layout.number(cells[column])
        if value is None:
            name = self._layout.names[column] or str(column + 1)
            raise self._at(at, f"{_shown(cells[column])} in column {name} is no number")
        return value

    def _parse_stamps(self, cells: list[bytes], lines: list[int]) -> IsoColumn:
        """Read stamps; where that fails, find the line by halves."""
        try:
            parsed = self._parse(np.array(cells, f"S{max(WIDTH, *map(len, cells))}"))
            self._iso_ns(parsed)
            return parsed
        except ValueError as error:
            if len(cells) == 1:
                raise self._at(lines[0], str(error)) from error
            half = len(cells) // 2
            self._parse_stamps(cells[:half], lines[:half])
            self._parse_stamps(cells[half:], lines[half:])
            raise self._at(lines[half], str(error)) from error

    def _iso_ns(self, parsed: IsoColumn) -> npt.NDArray[np.int64]:
        blank = parsed.ns == NO_TIME
        if parsed.offset_s is None:
            if self.recording.meaning == "utc" and not blank.all():
                raise ValueError("the stamp has no offset from UTC, those before it have one")
            return parsed.ns
        if self.recording.meaning == "local":
            raise ValueError("the stamp has an offset from UTC, those before it have none")
        offsets = np.unique(parsed.offset_s[~blank])
        if self.recording.spool.rows == 0 and len(offsets) == 1:
            self.recording.offset_s = int(offsets[0])
        elif not np.all(offsets == self.recording.offset_s):
            self.recording.offset_s = None
        return parsed.utc_ns

    def _at(self, line: int, sentence: str) -> BadFileError:
        path = self.recording.source.path
        return BadFileError(f"{path}, line {line:,}: {sentence}", path=path, line=line)


def _is_index_of_times(layout: Layout, row: str) -> bool:
    """Tell a first column without a name that holds stamps, as pandas writes its index."""
    return not layout.names[0] and _is_iso(layout.cells(row)[0])


def _is_iso(cell: str) -> bool:
    try:
        return bool(parse_iso(np.array([cell.encode()])).ns[0] != NO_TIME)
    except ValueError:
        return False


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
