"""Cut, damaged, swapped and hostile files of every format: one sentence or a night, nothing left behind."""

from __future__ import annotations

import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_loggers import (
    cwa_header,
    cwa_sectors,
    genea,
    gt3x_info,
    gt3x_pack,
    gt3x_record,
    movesense,
    polar,
    table,
    wall_ns,
    zipped,
)
from made_tables import acceleration

from firmware_host import formats
from firmware_host.errors import TwitchmapError
from firmware_host.formats.foreign import HEAD_BYTES, Beginning, ImportOptions
from firmware_host.formats.importing import import_night

N = 900
START = wall_ns("2026-03-20T22:00:00")
STAMPS = START + np.arange(N) * 10**7
CWA_HEAD = cwa_header(set_at=datetime(2026, 3, 1, tzinfo=UTC))
COUNTS = np.rint(acceleration(N) * 256).astype(np.int64)


def attempt(folder: Path, name: str, content: bytes, **options: object) -> str | None:
    """Import bytes as a file; returns the sentence of refusal, None for a night; nothing else may happen."""
    path = folder / name
    path.write_bytes(content)
    target = folder / "made.night"
    said = None
    try:
        chosen = ImportOptions(timezone="Europe/Berlin", **options)  # type: ignore[arg-type]
        import_night(target, {"left_calf": str(path)}, chosen, show=lambda found: None)
        for entry in target.iterdir():
            entry.unlink()
        target.rmdir()
    except TwitchmapError as error:
        said = str(error)
        assert said
        assert "\n" not in said
    assert [entry.name for entry in folder.iterdir()] == [name]
    path.unlink()
    return said


def an_edf() -> bytes:
    """Return an EDF+ file."""
    signals = [
        edfio.EdfSignal.from_digital(
            np.ascontiguousarray(COUNTS[:, i], np.int16), 100.0, label=f"Acc {'xyz'[i]}",
            physical_dimension="g", physical_range=(-128, 127.99609), digital_range=(-32768, 32767),
        )
        for i in range(3)
    ]  # fmt: skip
    start = edfio.Recording(startdate=date(2026, 3, 20))
    return edfio.Edf(signals, starttime=time(22), recording=start).to_bytes()


def a_gt3x() -> bytes:
    """Return an ActiGraph archive, stored as the loggers do."""
    log = b"".join(
        gt3x_record(i % 2 * 26, START // 10**9 + i, pack(COUNTS[100 * i : 100 * i + 100]))
        for i in range(9)
        for pack in [gt3x_pack if i % 2 == 0 else (lambda part: part.astype("<i2").tobytes())]
    )
    return zipped({"info.txt": gt3x_info(rate=100, start_ns=START), "log.bin": log}, stored=True)


@cache
def whole(kind: str) -> bytes:
    """Return a whole small file of a format."""
    ms2 = np.round(acceleration(N) * 9.80665, 3)
    rows = [(i / 100, *row) for i, row in enumerate(ms2.tolist())]
    phyphox = table('"Time (s)",' + ",".join(f'"Acceleration {a} (m/s^2)"' for a in "xyz"), rows)
    started = '"event","experiment time","system time","system time text"\n"START",0,1759650000,"UTC+02:00"\n'
    wit = [("0x50", f"22:00:{i / 100:06.3f}", *row) for i, row in enumerate(acceleration(N).tolist())]
    witmotion = table("StartTime: 2026-03-20 22:00:00\nAddress\tTime(s)\tax(g)\tay(g)\taz(g)", wit, "\t")
    made: dict[str, Callable[[], bytes]] = {
        "cwa": lambda: CWA_HEAD + b"".join(cwa_sectors(COUNTS, STAMPS)),
        "geneactiv": lambda: genea(COUNTS, STAMPS, 100.0),
        "gt3x": a_gt3x,
        "edf": an_edf,
        "polar": lambda: polar(COUNTS * 4, np.arange(N) * 10**7, STAMPS).encode(),
        "movesense": lambda: json.dumps({"Samples": movesense(ms2, np.arange(N) * 10**7)}).encode(),
        "zip": lambda: zipped({"Raw Data.csv": phyphox, "meta/time.csv": started}),
        "csv": lambda: witmotion.encode(),
    }
    return made[kind]()


KINDS = ("cwa", "geneactiv", "gt3x", "edf", "polar", "movesense", "zip", "csv")


def recognised(content: bytes, members: tuple[str, ...] = ()) -> list[str]:
    """Return the formats that recognise a file."""
    beginning = Beginning(content[:HEAD_BYTES], members)
    return [name for name in formats.names("import") if formats.importer(name).recognises(beginning)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_told_by_its_content_and_by_one_format(tmp_path: Path, kind: str) -> None:
    """Whatever a file is called, its own format alone recognises it, and reads it."""
    content = whole(kind)
    (tmp_path / "a").write_bytes(content)
    members = tuple(zipfile.ZipFile(tmp_path / "a").namelist()) if content.startswith(b"PK") else ()
    assert recognised(content, members) == ([] if kind == "csv" else [kind])
    (tmp_path / "a").unlink()
    for name in ("a.csv", "a.cwa", "a.bin", "a.dat"):
        assert attempt(tmp_path, name, content) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", KINDS)
def test_another_format_is_refused_with_a_sentence(tmp_path: Path, kind: str, wanted: str) -> None:
    """A format that the user insists on refuses the files of all others."""
    if kind != wanted:
        said = attempt(tmp_path, "a.dat", whole(kind), format=wanted)
        assert said is not None or {kind, wanted} <= {"csv", "polar"}  # a Polar file is a table too


@pytest.mark.parametrize("wanted", formats.names("import"))
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"PK\x03\x04", bytes(4096), b"MD\xfc\x03", b"\xff" * 5000, b"{}"]
)
def test_empty_and_senseless_files(tmp_path: Path, wanted: str, content: bytes) -> None:
    """Nothing, and what begins rightly and ends at once, is refused with a sentence."""
    assert attempt(tmp_path, "a.dat", content, format=wanted) is not None


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cuts_and_flipped_bits(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    """Any cut and any flipped bytes give a night or a sentence, never a fault, and leave nothing behind."""
    content = bytearray(whole(kind))
    place = st.integers(0, len(content) - 1) | st.integers(0, min(1200, len(content) - 1))
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6)):
        content[at] = value
    cut = data.draw(st.none() | st.integers(0, len(content)))
    doubled = data.draw(st.none() | st.tuples(place, place))
    if doubled is not None:
        content[doubled[0] : doubled[0]] = content[doubled[1] : doubled[1] + 700]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attempt(tmp_path, "a.dat", bytes(content[:cut]))


@pytest.mark.parametrize("member", ["log.bin", "TotalAcceleration.csv"])
def test_archives_that_unpack_to_nothing_but_size(tmp_path: Path, member: str) -> None:
    """A small archive that unpacks to hundreds of megabytes is refused before the disk fills."""
    path = tmp_path / "bomb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("info.txt" if member == "log.bin" else "x.csv", gt3x_info(rate=100, start_ns=START))
        with archive.open(member, "w") as file:
            line = bytes(1 << 20) if member == "log.bin" else b"0,0,0,1\n" * (1 << 17)
            if member != "log.bin":
                file.write(b"time,x,y,z\n")
            for _ in range(200):
                file.write(line)
    content = path.read_bytes()
    path.unlink()
    assert attempt(tmp_path, "a.zip", content)


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    """Headers that declare absurd sizes are refused, whatever memory they ask for."""
    header = bytearray(an_edf())
    header[252:256] = b"9999"
    assert "header" in (attempt(tmp_path, "a.edf", bytes(header)) or "")
    header = bytearray(an_edf())
    at = 256 + 3 * (16 + 80 + 8 * 5 + 80)
    assert header[at : at + 3] == b"100"
    header[at : at + 8] = b"99999999"
    assert "cannot be" in (attempt(tmp_path, "a.edf", bytes(header)) or "")
    sectors = cwa_sectors(COUNTS, STAMPS)
    body = sectors[2][:28] + struct.pack("<H", 60_000) + sectors[2][30:510]
    words = int(np.frombuffer(body, "<u2").sum(dtype=np.int64))
    sectors[2] = body + struct.pack("<H", -words & 0xFFFF)
    content = CWA_HEAD + b"".join(sectors)
    assert "more samples than fit" in (attempt(tmp_path, "a.cwa", content) or "")


def test_json_of_brackets(tmp_path: Path) -> None:
    """JSON made of brackets is refused in time."""
    content = b'{"Samples":[' + b'}}}}{{{{"ArrayAcc"' * 60_000
    assert "damaged throughout" in (attempt(tmp_path, "a.json", content) or "")
