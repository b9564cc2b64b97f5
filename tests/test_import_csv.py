"""Importing text tables: what loggers write, and what is no table."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_tables import FS, SITE, N, acceleration, bring, refusal, rows, samples, seconds, times_s

from firmware_host.errors import BadFileError, BadValueError, NotFoundError, TwitchmapError

ACC = acceleration()
MS2 = ACC * 9.80665
START = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)


def iso(n: int = N, *, zone: timezone | None = UTC, sep: str = "T", start: datetime = START) -> list[str]:
    """Return ISO 8601 stamps, 10 ms apart."""
    local = start if zone is None else start.astimezone(zone)
    plain = [local + timedelta(milliseconds=10 * i) for i in range(n)]
    return [
        stamp.replace(tzinfo=stamp.tzinfo if zone else None).isoformat(sep, "milliseconds") for stamp in plain
    ]


def epoch(unit_per_s: int, n: int = N) -> list[str]:
    """Return whole numbers since 1970."""
    return [str(round(START.timestamp() * unit_per_s) + i * unit_per_s // 100) for i in range(n)]


TABLES: dict[str, tuple[str | bytes, dict[str, object]]] = {
    "the plain form": ("time_s,ax,ay,az\n" + rows(seconds(), ACC), {}),
    "a row of units in brackets": (
        "time,ax,ay,az\n(s),(mg),(mg),[mg]\n" + rows(seconds(), ACC * 1000, digits=1),
        {},
    ),
    "units in names": ("time_s,ax_g,ay_g,az_g\n" + rows(seconds(), ACC), {}),
    "mg": ("time_s,ax_mg,ay_mg,az_mg\n" + rows(seconds(), ACC * 1000, digits=1), {}),
    "mg found by gravity": ("time_s,ax,ay,az\n" + rows(seconds(), ACC * 1000, digits=1), {}),
    "m/s2": ("time_s,ax_ms2,ay_ms2,az_ms2\n" + rows(seconds(), MS2, digits=6), {}),
    "m/s2 found by gravity": ("time_s;ax;ay;az\n" + rows(seconds(), MS2, delimiter=";", digits=6), {}),
    "phyphox": (
        '"Time (s)","Acceleration x (m/s^2)","Acceleration y (m/s^2)","Acceleration z (m/s^2)"\n'
        + rows(seconds(), MS2, digits=6),
        {},
    ),
    "Sensor Logger: z first, two times": (
        "time,seconds_elapsed,z,y,x\n"
        + "".join(
            f"{t},{i / 100:.3f},{z:.4f},{y:.4f},{x:.4f}\n"
            for i, (t, (x, y, z)) in enumerate(zip(epoch(10**9), ACC, strict=True))
        ),
        {},
    ),
    "Shimmer: a row of units": (
        "Timestamp\tAccel_LN_X\tAccel_LN_Y\tAccel_LN_Z\nms\tm/(s^2)\tm/(s^2)\tm/(s^2)\n"
        + rows([str(10 * i) for i in range(N)], MS2, delimiter="\t", digits=6),
        {},
    ),
    "ActiGraph: settings before, no time": (
        "------------ Data File Created By a logger at 100 Hz -----\nSerial Number: X1\nStart Time 22:30:00\n"
        "Accelerometer X,Accelerometer Y,Accelerometer Z\n" + rows(None, ACC),
        {"rate_hz": 100.0},
    ),
    "GENEActiv: a colon before the milliseconds": (
        "Device Type,Some\nSerial,7\n\nTimestamp,x,y,z,lux,button\n"
        + "".join(
            f"{t.replace('.', ':')},{x:.4f},{y:.4f},{z:.4f},12,0\n"
            for t, (x, y, z) in zip(iso(zone=None, sep=" "), ACC, strict=True)
        ),
        {"timezone": "UTC"},
    ),
    "headerless": (rows(seconds(), ACC), {}),
    "headerless without time": (rows(None, ACC), {"rate_hz": 100.0}),
    "blanks": ("t x y z\n" + rows(seconds(), ACC, delimiter="   "), {}),
    "bars": ("t|x|y|z\n" + rows(seconds(), ACC, delimiter="|"), {}),
    "decimal comma": ("t;x;y;z\n" + rows(seconds(decimal=","), ACC, delimiter=";", decimal=","), {}),
    "decimal comma, tabs": (rows(seconds(decimal=","), ACC, delimiter="\t", decimal=","), {}),
    "quoted": ('"time_s","ax","ay","az"\n' + rows([f'"{t}"' for t in seconds()], ACC), {}),
    "a comment as header": ("# logger 3\n# time_s,ax,ay,az\n" + rows(seconds(), ACC), {}),
    "comments between": (
        "time_s,ax,ay,az\n" + rows(seconds(), ACC).replace("\n0.5000,", "\n# a note, here\n\n0.5000,"),
        {},
    ),
    "CRLF and BOM": (
        b"\xef\xbb\xbf" + ("time_s,ax,ay,az\n" + rows(seconds(), ACC)).replace("\n", "\r\n").encode(),
        {},
    ),
    "UTF-16": (("time_s\tax\tay\taz\n" + rows(seconds(), ACC, delimiter="\t")).encode("utf-16"), {}),
    "old Mac lines": (("time_s,ax,ay,az\n" + rows(seconds(), ACC)).replace("\n", "\r").encode(), {}),
    "Latin-1 unit": (
        ("t,x (m/s²),y (m/s²),z (m/s²)\n" + rows(seconds(), MS2, digits=6)).encode("latin-1"),
        {},
    ),
    "gzip": (gzip.compress(("time_s,ax,ay,az\n" + rows(seconds(), ACC)).encode()), {}),
    "no line end at the end": ("time_s,ax,ay,az\n" + rows(seconds(), ACC).rstrip("\n"), {}),
    "extra columns of text": (
        "time_s,what,ax,ay,az,gyro_x,gyro_y,gyro_z,°C\n"
        + "".join(f"{i / 100:.2f},rest,{x:.4f},{y:.4f},{z:.4f},1,2,3,\n" for i, (x, y, z) in enumerate(ACC)),
        {},
    ),
    "columns by number": (
        "".join(f"7,{z:.4f},{y:.4f},{x:.4f},{i / 100:.2f}\n" for i, (x, y, z) in enumerate(ACC)),
        {"columns": ("5", "4", "3", "2")},
    ),
    "columns by name": (
        "s,u,v,w\n" + rows(seconds(), ACC),
        {"columns": ("s", "U", "v", "w")},
    ),
    "milliseconds": ("time_ms,ax,ay,az\n" + rows([str(10 * i) for i in range(N)], ACC), {}),
    "microseconds without a name": (rows([str(10_000 * i) for i in range(N)], ACC), {}),
    "rows that end with a delimiter": ("time_s,ax,ay,az\n" + rows(seconds(), ACC).replace("\n", ",\n"), {}),
    "ISO with Z": ("timestamp,ax,ay,az\n" + rows([t.replace("+00:00", "Z") for t in iso()], ACC), {}),
    "ISO with an offset": (
        "timestamp,ax,ay,az\n" + rows(iso(zone=timezone(timedelta(hours=-5)), sep=" "), ACC),
        {},
    ),
    "ISO with a comma": (
        "timestamp;ax;ay;az\n" + rows([t.replace(".", ",") for t in iso()], ACC, delimiter=";", decimal=","),
        {},
    ),
    "ISO in an index without a name": (",ax,ay,az\n" + rows(iso(), ACC), {}),
    "a count in an index without a name": (
        ",x,y,z\n" + rows([str(i) for i in range(N)], ACC),
        {"rate_hz": 100.0},
    ),
    "ISO of a clock": ("timestamp,ax,ay,az\n" + rows(iso(zone=None), ACC), {"timezone": "UTC"}),
    "seconds since 1970": (
        "timestamp,ax,ay,az\n" + rows([f"{START.timestamp() + i / 100:.3f}" for i in range(N)], ACC),
        {},
    ),
    "milliseconds since 1970": ("timestamp,ax,ay,az\n" + rows(epoch(10**3), ACC), {}),
    "microseconds since 1970": ("timestamp,ax,ay,az\n" + rows(epoch(10**6), ACC), {}),
    "nanoseconds since 1970": ("timestamp,ax,ay,az\n" + rows(epoch(10**9), ACC), {}),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_many_loggers_are_read(tmp_path: Path, name: str) -> None:
    """Each form gives back the samples it was made of, their times, and the start where the file knows it."""
    content, options = TABLES[name]
    path = tmp_path / "night.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    night, found = bring(tmp_path, path, **options)
    assert np.allclose(samples(night), ACC, rtol=0, atol=2e-7)
    assert np.allclose(times_s(night), np.arange(N) / FS, rtol=0, atol=1e-4)
    assert found.fs_hz == pytest.approx(FS)
    assert (found.gaps, found.skipped, found.warnings) == (0, 0, ())
    dated = any(word in name for word in ("ISO", "1970", "Sensor Logger", "GENEActiv"))
    assert night.meta.start_known == dated
    assert night.meta.start_ns == (round(START.timestamp() * 1e9) if dated else 0)
    assert night.meta.origin == "imported"


BAD: dict[str, tuple[str | bytes, dict[str, object], str]] = {
    "empty": ("", {}, "empty"),
    "blank lines": ("\n\n \n", {}, "empty"),
    "header only": ("time_s,ax,ay,az\n", {}, "no row of three numbers"),
    "prose": ("Dear all,\nthis is no table, is it?\n" * 30, {}, "no row of three numbers"),
    "one row": ("time_s,ax,ay,az\n0,0,0,1\n", {}, "1 row of numbers"),
    "under two seconds": ("time_s,ax,ay,az\n" + rows(seconds(150), ACC[:150]), {}, "1.49 s"),
    "a column less": (
        "time_s,ax,ay,az\n" + rows(seconds(), ACC) + "12,0.1,0.2\n",
        {},
        "line 1,202: there are 3 columns",
    ),
    "a column more": (
        "time_s,ax,ay,az\n" + rows(seconds(), ACC) + "12,0.1,0.2,1,1\n",
        {},
        "line 1,202: there are 5 columns",
    ),
    "a word": (
        "\n\ntime_s,ax,ay,az\n" + rows(seconds(), ACC).replace("\n0.5000,", "\n0.5000,left", 1),
        {},
        "line 54: 'left.* in column ax is no number",
    ),
    "elapsed time that begins anew under a header": (
        ("time_s,ax,ay,az\n" + rows(seconds(), ACC)) * 2,
        {},
        "runs back by 11.99 s at row 1,201 .* one by one",
    ),
    "no such stamp": (
        "timestamp,ax,ay,az\n" + rows(iso(), ACC).replace("22:30:02.000", "22:61:02.000"),
        {},
        "line 202: '2026-11-22T22:61:02.000.* is no ISO 8601 time",
    ),
    "a word for a stamp": (
        "timestamp,ax,ay,az\n" + rows(["now", *iso()[1:]], ACC),
        {},
        "line 2: 'now' is no ISO 8601 time",
    ),
    "offsets on some rows": (
        "timestamp,ax,ay,az\n" + rows([*iso()[:700], *iso(zone=None)[700:]], ACC),
        {},
        "line 702: .* offset",
    ),
    "a clock without zone": ("timestamp,ax,ay,az\n" + rows(iso(zone=None), ACC), {}, "--timezone"),
    "no time, no rate": ("ax,ay,az\n" + rows(None, ACC), {}, "--rate"),
    "seven columns without names": ("1,2,3,4,5,6,7\n" * 300, {}, "--columns"),
    "two accelerometers": (
        "t,acc1_x,a_x,acc_y,acc_z\n" + "0,1,1,1,1\n" * 300,
        {},
        "--columns|more than one|no column",
    ),
    "only a gyroscope": ("t,gyro_x,gyro_y,gyro_z\n" + rows(seconds(), ACC), {}, "--columns"),
    "unit in volts": ("t,ax (V),ay (V),az (V)\n" + rows(seconds(), ACC), {}, "--unit"),
    "counts": ("t,ax,ay,az\n" + rows(seconds(), ACC * 16384, digits=0), {}, "--unit"),
    "m/s2 called g": ("t,ax_g,ay_g,az_g\n" + rows(seconds(), MS2), {}, "in m/s2 it would be 1.0. g"),
    "zeros": ("t,ax_g,ay_g,az_g\n" + rows(seconds(), ACC * 0), {}, "all its samples are the same"),
    "too slow": ("t,ax,ay,az\n" + rows(seconds(fs_hz=25.0), ACC), {}, "25 Hz"),
    "no rate at all": ("time_s,ax,ay,az\n" + rows([str(60 * i) for i in range(N)], ACC), {}, "0.0167 Hz"),
    "time stands": ("time_s,ax,ay,az\n" + rows(["5"] * N, ACC), {}, "does not go on"),
    "the rate changes": (
        "time_s,ax,ay,az\n" + rows([*seconds(600), *(f"{6 + i / 50:.4f}" for i in range(600))], ACC),
        {},
        "rate changes",
    ),
    "many blanks": (
        "time_s,ax,ay,az\n" + "".join(f"{i / 100},{'' if i % 20 == 0 else 0.1},0.2,0.97\n" for i in range(N)),
        {},
        "60 of 1,200 rows",
    ),
    "one wild stamp": ("time_s,ax,ay,az\n" + rows([*seconds()[:-1], "9e8"], ACC), {}, "span .* days"),
    "a stamp beyond time": (
        "time_s,ax,ay,az\n" + rows([*seconds()[:-1], "9e300"], ACC),
        {},
        "impossible time",
    ),
    "a workbook": (b"PK\x03\x04" + bytes(400), {}, "damaged|zip archive"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(400), {}, "this is a picture"),
    "an EDF": (b"0       X X X X" + b" " * 500, {}, "EDF"),
    "binary": (bytes(range(256)) * 40, {}, "binary"),
    "UTF-16 cut in a character": (
        ("t,x,y,z\n" + rows(seconds(), ACC)).encode("utf-16")[:-1] + b"\xdc\xdc\xdc",
        {},
        "line",
    ),
    "cut gzip": (gzip.compress(("t,x,y,z\n" + rows(seconds(), ACC)).encode())[:-900], {}, "cut off"),
    "one endless line": (b"1," * 2_000_000, {}, "megabyte|no row of three|columns"),
    "columns that are not there": (
        "t,x,y,z\n" + rows(seconds(), ACC),
        {"columns": ("t", "x", "y", "q")},
        "no column 'q'",
    ),
    "five columns named": (
        "t,x,y,z\n" + rows(seconds(), ACC),
        {"columns": ("t", "x", "y", "z", "1")},
        "--columns takes",
    ),
    "a start that is none": ("t,x,y,z\n" + rows(seconds(), ACC), {"start": "yesterday"}, "--start"),
    "a start without zone": (
        "t,x,y,z\n" + rows(seconds(), ACC),
        {"start": "2026-11-22T22:30"},
        "--start.*--timezone",
    ),
    "a start where the file has one": (
        "t,x,y,z\n" + rows(iso(), ACC),
        {"start": "2026-11-22T22:30Z"},
        "--start",
    ),
    "a zone that is none": ("t,x,y,z\n" + rows(seconds(), ACC), {"timezone": "Mars/Base"}, "Mars/Base"),
    "a unit that is none": ("t,x,y,z\n" + rows(seconds(), ACC), {"unit": "stone"}, "stone"),
    "a rate that is none": ("x,y,z\n" + rows(None, ACC), {"rate_hz": -5.0}, "-5 Hz"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_gets_a_sentence(tmp_path: Path, name: str) -> None:
    """The sentence says what is wrong and where; nothing is left behind."""
    content, options, sentence = BAD[name]
    path = tmp_path / "night.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TwitchmapError, match=sentence) as error:
        bring(tmp_path, path, **options)
    assert "\n" not in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["night.csv"]


def test_an_error_carries_file_and_line(tmp_path: Path) -> None:
    """The page and the command line can point at the line."""
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + rows(seconds(), ACC) + "oops,1,2,3\n")
    with pytest.raises(BadFileError) as error:
        bring(tmp_path, path)
    assert (error.value.path, error.value.line) == (path, N + 2)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("make", "kind", "sentence"),
    [
        (lambda path: None, NotFoundError, "no file"),
        (lambda path: path.mkdir(), BadFileError, "folder"),
        (lambda path: path.symlink_to(path), BadFileError, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_opened(
    tmp_path: Path, make: Callable[[Path], None], kind: type[TwitchmapError], sentence: str
) -> None:
    """Missing files, folders and broken links are said as such."""
    make(tmp_path / "night.csv")
    with pytest.raises(kind, match=sentence):
        bring(tmp_path, tmp_path / "night.csv")


def test_blank_cells_are_left_out_and_said(tmp_path: Path) -> None:
    """A few blank, NaN or infinite cells cost their rows, no more, and the count goes on over them."""
    lines = rows(seconds(), ACC).splitlines()
    for row, cell in ((100, ""), (101, "nan"), (500, "inf"), (700, "NA")):
        lines[row] = f"{row / 100:.4f},{cell},0.1,0.9"
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + "\n".join(lines) + "\n")
    night, found = bring(tmp_path, path)
    assert found.skipped == 4
    kept = np.delete(np.arange(N), [100, 101, 500, 700])
    assert np.allclose(samples(night), ACC[kept], atol=2e-7)
    assert np.allclose(times_s(night), kept / FS, atol=1e-4)
    assert night.stretches(SITE)[0].pieces.tolist() == [[0, 100], [102, 500], [501, 700], [701, N]]


@pytest.mark.parametrize("n", [1, 2])
def test_samples_that_no_sensor_measures_are_told(tmp_path: Path, n: int) -> None:
    """Where the range is not known, a value that no worn sensor reaches is imported and gets a sentence."""
    acc = ACC.copy()
    acc[[300, 400][:n], 0] = 655.35
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax_g,ay_g,az_g\n" + rows(seconds(), acc))
    night, found = bring(tmp_path, path)
    (warning,) = found.warnings
    reach = "1 sample reaches" if n == 1 else "2 samples reach"
    assert warning.startswith(f"{reach} up to 655 g, which no sensor that is worn measures")
    assert len(samples(night)) == N


def test_missing_stamps_cost_their_rows_only(tmp_path: Path) -> None:
    """A row without a stamp is left out; those around it keep their times."""
    lines = rows(iso(), ACC).splitlines()
    lines[300] = ",0.1,0.2,0.9"
    path = tmp_path / "night.csv"
    path.write_text("timestamp,ax,ay,az\n" + "\n".join(lines) + "\n")
    night, found = bring(tmp_path, path)
    assert found.skipped == 1
    assert np.allclose(times_s(night), np.delete(np.arange(N), 300) / FS, atol=1e-4)


@pytest.mark.parametrize("row", [0, N - 1])
def test_a_missing_stamp_at_an_end_costs_no_neighbour(tmp_path: Path, row: int) -> None:
    """The first or last row without a stamp does not take the stamp of the row beside it."""
    lines = rows(seconds(), ACC).splitlines()
    lines[row] = "," + lines[row].partition(",")[2]
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + "\n".join(lines) + "\n")
    night, found = bring(tmp_path, path)
    kept = np.delete(np.arange(N), row)
    assert found.skipped == 1
    assert np.allclose(samples(night), ACC[kept], atol=2e-7)
    assert np.allclose(times_s(night), kept / FS, atol=1e-4)


def test_stamps_that_are_missing_for_long(tmp_path: Path) -> None:
    """Where whole blocks of a file have no stamps, the sentence says how many rows."""
    line = ",0.1000000000,0.2000000000,0.9000000000\n"
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + rows(seconds(), ACC) + line * 250_000)
    assert "250,000 of 251,200 rows have a blank" in (refusal(tmp_path, path) or "")


@pytest.mark.parametrize("blank", [",,,", "0.0000,,,", "0.0000,nan,nan,nan"])
def test_rows_before_the_sensor_began_hide_no_header(tmp_path: Path, blank: str) -> None:
    """Rows without numbers between the names and the data are left out, and the names still count."""
    path = tmp_path / "night.csv"
    text = rows(seconds(), ACC[:, ::-1]).partition("\n")[2]
    path.write_text(f"time_s,az,ay,ax\n{blank}\n{text}")
    night, found = bring(tmp_path, path)
    assert found.columns == ("time_s", "ax", "ay", "az")
    assert np.allclose(samples(night), ACC[1:], atol=2e-7)


@pytest.mark.parametrize(("header", "row"), [(",", ";"), (",", " "), ("\t", ","), (" ", "\t")])
def test_a_header_with_another_delimiter(tmp_path: Path, header: str, row: str) -> None:
    """Names are read where they are delimited in another way than the rows."""
    path = tmp_path / "night.csv"
    path.write_text(
        header.join(["time_s", "az", "ay", "ax"]) + "\n" + rows(seconds(), ACC[:, ::-1], delimiter=row)
    )
    assert np.allclose(samples(bring(tmp_path, path)[0]), ACC, atol=2e-7)


def test_rows_of_another_form_above_the_rest_are_no_preamble(tmp_path: Path) -> None:
    """A file that changes its form is refused; its first rows are not skipped as if they were settings."""
    text = "time_s;ax;ay;az\n" + rows(seconds(), ACC, delimiter=";")
    path = tmp_path / "night.csv"
    path.write_text(text.replace(".", ",", 2000))
    assert "500 rows above line 502 are written in another way" in (refusal(tmp_path, path) or "")


@pytest.mark.parametrize("header", ["time_s,az,ay,ax,note", "az,ay,ax"])
def test_names_that_do_not_fit_the_rows(tmp_path: Path, header: str) -> None:
    """A header of more or fewer columns than the rows is not passed over."""
    path = tmp_path / "night.csv"
    path.write_text(
        f"{header}\n" + rows(seconds(), np.hstack([ACC, ACC])[:, : 3 + 2 * (header == "az,ay,ax")])
    )
    assert "the line of names has" in (refusal(tmp_path, path) or "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """What cannot be read twice is said to be a pipe, and is not waited for."""
    os.mkfifo(tmp_path / "night.csv")
    assert "is a pipe" in (refusal(tmp_path, tmp_path / "night.csv") or "")


def test_ignored_columns_are_named(tmp_path: Path) -> None:
    """What was understood says which columns are not read."""
    path = tmp_path / "night.csv"
    path.write_bytes(str(TABLES["extra columns of text"][0]).encode())
    _, found = bring(tmp_path, path)
    assert found.columns == ("time_s", "ax", "ay", "az")
    assert found.ignored == ("what", "gyro_x", "gyro_y", "gyro_z", "°C")


def test_the_start_of_elapsed_time_can_be_given(tmp_path: Path) -> None:
    """--start is the moment of the first row; without an offset it is a clock time of --timezone."""
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + rows([f"{5 + i / 100:.2f}" for i in range(N)], ACC))
    night, _ = bring(tmp_path, path, start="2026-11-22T23:30", timezone="Europe/Berlin")
    assert night.meta.start_known
    assert night.meta.time_zone == "Europe/Berlin"
    assert night.start_ns == round(START.timestamp() * 1e9)
    assert abs(times_s(night)[0]) < 1e-4


def test_the_zone_of_a_constant_offset_is_kept(tmp_path: Path) -> None:
    """Stamps with one offset of whole hours give the night that zone, whose hours are those of the person."""
    path = tmp_path / "night.csv"
    path.write_text("timestamp,ax,ay,az\n" + rows(iso(zone=timezone(timedelta(hours=2))), ACC))
    night, _ = bring(tmp_path, path)
    assert night.meta.time_zone == "Etc/GMT-2"


@pytest.mark.parametrize(("day", "month", "hours"), [(25, 10, 25), (29, 3, 23)])
def test_nights_when_the_clocks_change(tmp_path: Path, day: int, month: int, hours: int) -> None:
    """Clock times without offset rise by the true time through an hour that comes twice or not at all."""
    from zoneinfo import ZoneInfo

    berlin, fs_hz = ZoneInfo("Europe/Berlin"), 50
    start = datetime(2026, month, day, 1, 59, 50, tzinfo=berlin).astimezone(UTC)
    n = 3620 * fs_hz
    stamps = [
        (start + timedelta(seconds=i / fs_hz))
        .astimezone(berlin)
        .replace(tzinfo=None)
        .isoformat(" ", "milliseconds")
        for i in range(n)
    ]
    acc = acceleration(n)
    path = tmp_path / "night.csv"
    path.write_text("timestamp,ax,ay,az\n" + rows(stamps, acc))
    night, found = bring(tmp_path, path, timezone="Europe/Berlin")
    assert night.start_ns == round(start.timestamp() * 1e9)
    assert found.gaps == 0
    assert np.allclose(times_s(night)[:: fs_hz * 60], np.arange(n)[:: fs_hz * 60] / fs_hz, atol=1e-3)
    assert any("twice" in remark for remark in found.remarks) == (hours == 25)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_way_of_writing_gives_the_same_samples(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever delimiter, decimal mark, unit, names, rate and gaps: samples and times come back."""
    draw = data.draw
    delimiter, decimal = draw(
        st.sampled_from(
            [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", "."), (" ", ".")]
        )
    )
    unit, factor, digits = draw(st.sampled_from([("g", 1.0, 4), ("mg", 1000.0, 1), ("m/s2", 9.80665, 6)]))
    axis = draw(st.sampled_from(["a{}", "acc_{}", "accel{}", "{}", "Accelerometer {}", "{}-axis"]))
    style = draw(st.sampled_from(["{}", "{} ({})", "{} [{}]"]))
    blank_in_names = delimiter == " " and (" " in style + axis)
    fs_hz = draw(st.sampled_from([50.0, 64.0, 99.38, 100.0, 208.0, 400.0]))
    n = draw(st.integers(round(2.5 * fs_hz), 1500))
    gaps = draw(
        st.lists(
            st.tuples(st.integers(20, n - 20), st.integers(1, 400)),
            max_size=4,
            unique_by=lambda gap: gap[0] // 12,
        )
    )
    counter = np.arange(n)
    for row, lost in gaps:
        counter[row:] += lost
    acc = acceleration(n, seed=draw(st.integers(0, 99)))
    time = [f"{c / fs_hz:.5f}".replace(".", decimal) for c in counter.tolist()]
    header = ""
    if draw(st.booleans()) and not blank_in_names:
        header = delimiter.join(["time_s", *(style.format(axis.format(name), unit) for name in "xyz")]) + "\n"
    path = tmp_path_factory.mktemp("any") / "night.txt"
    path.write_text(header + rows(time, acc * factor, delimiter=delimiter, decimal=decimal, digits=digits))
    night, found = bring(path.parent, path)
    assert found.unit == unit
    assert np.allclose(samples(night), acc, rtol=0, atol=3e-7)
    assert found.rate_hz == pytest.approx(fs_hz, rel=2e-3)
    (stretch,) = night.stretches(SITE)
    held = np.concatenate([np.arange(a, b) for a, b in stretch.pieces])
    assert held.tolist() == counter.tolist()
    assert np.abs(times_s(night) - counter / fs_hz).max() < 0.3 / fs_hz


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_give_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Random bytes, and valid files cut or altered anywhere, are imported or refused with a sentence."""
    draw = data.draw
    kind = draw(st.sampled_from(["random", "cut", "altered"]))
    content, options = TABLES[draw(st.sampled_from(sorted(TABLES)))]
    whole = content if isinstance(content, bytes) else content.encode()
    if kind == "random":
        broken = draw(st.binary(max_size=2000))
    elif kind == "cut":
        broken = whole[: draw(st.integers(0, len(whole)))]
    else:
        at = draw(st.integers(0, min(len(whole) - 1, 4000)))
        broken = whole[:at] + draw(st.binary(min_size=1, max_size=8)) + whole[at + draw(st.integers(0, 8)) :]
    path = tmp_path_factory.mktemp("any") / "night.csv"
    path.write_bytes(broken)
    sentence = refusal(path.parent, path, **options)
    if sentence is not None:
        assert "\n" not in sentence
        assert [entry.name for entry in path.parent.iterdir()] == ["night.csv"]


def test_a_key_is_for_archives(tmp_path: Path) -> None:
    """A text table has no parts to pick."""
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + rows(seconds(), ACC))
    with pytest.raises((BadFileError, BadValueError), match="no parts"):
        bring(tmp_path, f"{path}:left")


def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path: Path) -> None:
    """A stray quote mark in a text column costs no row in silence."""
    lines = [f"{i / 100:.2f},rest,{x:.4f},{y:.4f},{z:.4f}" for i, (x, y, z) in enumerate(ACC)]
    lines[50], lines[51] = lines[50].replace("rest", '"rest'), lines[51].replace("rest,", 'rest",')
    path = tmp_path / "night.csv"
    path.write_text("time_s,what,ax,ay,az\n" + "\n".join(lines) + "\n")
    sentence = refusal(tmp_path, path)
    assert sentence is not None
    assert "line 52" in sentence
