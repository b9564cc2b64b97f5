"""What is no table of samples gets a sentence with its file and line, and is never imported as one."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_tables import N, bring, refusal, rows, seconds
from written_tables import ACC, MS2, TABLES, iso

from firmware_host.errors import BadFileError, BadValueError, NotFoundError, TwitchmapError

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
    "row names that have no name, as R writes them": (
        '"time" "x" "y" "z"\n'
        + rows([f'"{i + 7}" {t}' for i, t in enumerate(seconds())], ACC, delimiter=" "),
        {},
        "the line of names has 4 columns and the rows have 5",
    ),
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
