"""Zip archives of tables, as phone apps export them: phyphox, Sensor Logger and others alike.

phyphox puts the times of start and pause into meta/time.csv; experiment time stands still in a pause. Sensor
Logger (github.com/tszheichoi/awesome-sensor-logger) names its tables by sensor, with times since 1970.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, BadValueError
from firmware_host.formats.columns import names_acceleration, names_axes
from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Source, Spool
from firmware_host.formats.text_blocks import decoded
from firmware_host.formats.text_layout import find_layout
from firmware_host.formats.text_table import read_text

_TABLES = (".csv", ".txt", ".tsv")
_TIME, _DEVICE = "meta/time.csv", "meta/device.csv"
_LONGEST_META = 1 << 20
_HEAD = 1 << 14
_MANY = 200
"""Tables looked at; an app writes one a sensor."""
_RATIO, _LARGE = 300, 1 << 27
"""Text shrinks to a tenth; what shrinks further than this, and is large, was made to fill the disk."""
_WITH_GRAVITY = ("totalacceleration", "accelerometeruncalibrated")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError, OSError)


@dataclass(frozen=True)
class _Start:
    """phyphox: from this experiment time on, the time of day is this much later."""

    elapsed_s: float
    utc_ns: int
    offset_s: int | None


def recognises(beginning: Beginning) -> bool:
    """Tell an archive of tables; one of numpy arrays, or an ActiGraph's, is another format's."""
    names = beginning.members
    others = "info.txt" in names or any(name.endswith(".npy") for name in names)
    return not others and bool(_tables(names))


def read(
    source: Source, options: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read a table of acceleration of an archive into the spool: the one of FILE:KEY, or the only one.

    Raises
    ------
    BadFileError
        If the archive is damaged, or no table or several are acceleration.
    """
    empty = ForeignRecording(source, spool)
    try:
        with zipfile.ZipFile(source.path) as archive:
            return _read_archive(archive, empty, options, progress)
    except _DAMAGED as error:
        raise empty.fault(f"the archive is damaged or cut off ({error})") from error


def _read_archive(
    archive: zipfile.ZipFile,
    empty: ForeignRecording,
    options: ImportOptions,
    progress: Callable[[float], None],
) -> ForeignRecording:
    source = empty.source
    name = _chosen(archive, empty)
    info = archive.getinfo(name)
    if info.file_size > _LARGE and info.file_size > _RATIO * info.compress_size:
        raise empty.fault(f"{name} is {info.file_size >> 20:,} MB of almost nothing: that is no recording")
    with archive.open(name) as table:
        size = max(info.file_size, 1)
        inside = Source(source.path / name)
        try:
            recording = read_text(inside, options, empty.spool, table, lambda: progress(table.tell() / size))
        except BadValueError as error:
            raise BadFileError(str(error), path=source.path) from error
    recording = replace(recording, source=source)
    recording.remarks.append(f"{name} of the archive is read")
    if _plain(name) == "accelerometer" and "Gravity.csv" in {
        n.rpartition("/")[2] for n in archive.namelist()
    }:
        recording.unit = recording.unit or "m/s2"  # Sensor Logger: without gravity, and no unit is named
    folder = name[: name.rfind("/") + 1]
    starts = _starts(archive, folder)
    if starts and recording.meaning == "number":
        _lay_on_clock(recording, starts)
    recording.model = _model(archive, folder)
    return recording


def _tables(names: Sequence[str]) -> list[str]:
    return [n for n in names if n.lower().endswith(_TABLES) and not n.startswith(("meta/", "__MACOSX/"))]


def _plain(name: str) -> str:
    """Return a table's name as it is compared: without folder and ending, letters only."""
    return _letters(name.rpartition("/")[2].rpartition(".")[0])


def _letters(text: str) -> str:
    """Return the letters and digits of a text; accents fall away, as archives write them in two ways."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKD", text).lower())


def _chosen(archive: zipfile.ZipFile, empty: ForeignRecording) -> str:
    """Return the table to read."""
    tables = _tables(archive.namelist())[:_MANY]
    key = empty.source.key
    if key is not None:
        found = [
            name
            for name in tables
            if _letters(key) in {_plain(name), _letters(name.rpartition(".")[0])} or name == key
        ]
        if len(found) != 1:
            raise empty.fault(f"there is no table {key!r} in it; there are {_listed(tables)}")
        return found[0]
    kinds = {name: _kind(archive, name) for name in tables}
    for wanted in ("gravity included", "acceleration", "gravity taken out"):
        found = [name for name, kind in kinds.items() if kind == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise empty.fault(
                f"several of its tables are acceleration; pick one with FILE:KEY: {_listed(found)}"
            )
    raise empty.fault(
        f"none of its tables names three axes of acceleration; pick one with FILE:KEY: {_listed(tables)}"
    )


def _listed(tables: Sequence[str]) -> str:
    names = [name.rpartition("/")[2].rpartition(".")[0] for name in tables[:8]]
    if len(set(names)) < len(names):  # of several folders
        names = [name.rpartition(".")[0].replace("/", " ") for name in tables[:8]]
    return ", ".join(names) + (" ..." if len(tables) > 8 else "")


def _kind(archive: zipfile.ZipFile, name: str) -> str:
    """Tell what a table is by its name and the names of its columns."""
    with archive.open(name) as table:
        lines = decoded(table.read(_HEAD)).split("\n")
    try:
        layout = find_layout(lines)
    except BadValueError:
        layout = None
    if layout is None or not names_axes(layout.names):
        return "other"
    plain, columns = _plain(name), " ".join(layout.names).lower()
    if plain in _WITH_GRAVITY:
        return "gravity included"
    if "linear" in plain or "linear" in columns:
        return "gravity taken out"
    if "acc" in plain or names_acceleration(layout.names):
        return "acceleration"
    return "other"


def _meta(archive: zipfile.ZipFile, name: str) -> list[list[str]]:
    if name not in archive.namelist():
        return []
    with archive.open(name) as file:
        text = decoded(file.read(_LONGEST_META))
    mark = max(",;\t", key=text.partition("\n")[0].count)
    return list(csv.reader(io.StringIO(text.replace("\0", "")), delimiter=mark))


def _starts(archive: zipfile.ZipFile, folder: str) -> list[_Start]:
    """Read phyphox's meta/time.csv beside the table; where it cannot be read, only elapsed time is known."""
    starts = []
    try:
        for row in _meta(archive, folder + _TIME)[1:]:
            if len(row) >= 3 and row[0] == "START":
                elapsed, system = (float(cell.replace(",", ".")) for cell in row[1:3])
                zone = re.search(r"UTC([+-])(\d\d):?(\d\d)", row[3] if len(row) > 3 else "")
                seconds = int(zone[2]) * 3600 + int(zone[3]) * 60 if zone else None
                offset = -seconds if seconds is not None and zone and zone[1] == "-" else seconds
                starts.append(_Start(elapsed, round(system * 1e9), offset))
    except (ValueError, OverflowError, csv.Error):
        return []
    good = all(0 <= s.elapsed_s < 1e8 and 0 < s.utc_ns < 4e18 for s in starts)
    return sorted(starts, key=lambda s: s.elapsed_s) if good else []


def _lay_on_clock(recording: ForeignRecording, starts: Sequence[_Start]) -> None:
    """Turn experiment time into UTC: since the last start before it."""
    spool = recording.spool
    begin = np.array([start.elapsed_s for start in starts])
    utc_ns = np.array([start.utc_ns for start in starts])
    for a, b in list(spool.blocks()):
        elapsed: npt.NDArray[np.float64] = spool.time(a, b).astype(np.float64)
        of = np.maximum(np.searchsorted(begin, elapsed + 1e-9, side="right") - 1, 0)
        with np.errstate(invalid="ignore"):
            past = np.rint(np.clip(elapsed - begin[of], -1e8, 1e8) * 1e9).astype(np.int64)
        spool.replace_times(a, utc_ns[of] + past)
    spool.time_dtype = np.dtype(np.int64)
    recording.meaning, recording.offset_s = "utc", starts[0].offset_s
    recording.time_said = f"{recording.used[0]}: experiment time, laid on the phone's clock by meta/time.csv"
    if len(starts) > 1:
        recording.remarks.append(f"the experiment was paused {len(starts) - 1} x: the pauses are gaps")


def _model(archive: zipfile.ZipFile, folder: str) -> str:
    """Return the phone, as phyphox's meta/device.csv and Sensor Logger's Metadata.csv tell it."""
    try:
        told = {row[0]: row[1] for row in _meta(archive, folder + _DEVICE) if len(row) >= 2}
        if told.get("deviceModel"):
            return f"{told.get('deviceBrand', '')} {told['deviceModel']}".strip()[:64]
        rows = _meta(archive, folder + "Metadata.csv")
        named = dict(zip(*rows[:2], strict=False)) if len(rows) >= 2 else {}
        return str(named.get("device name", ""))[:64]
    except csv.Error:
        return ""
