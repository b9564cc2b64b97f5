"""Shared exports: what tells who, where and when is in no byte of any file, and what they are for stays."""

from __future__ import annotations

import csv
import json
import stat
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from counted_nights import AUTUMN_NS
from made_exports import READERS, store_run, troubled_night

from firmware_host import formats
from firmware_host.analysis import load_run
from firmware_host.errors import BadFileError, BadValueError
from firmware_host.formats.exporting import export
from firmware_host.formats.leaving import Choices
from firmware_host.formats.sharing import OFFSETS_FILE, WEEKS, shift_ns, weeks_of
from firmware_host.recording import SensorInfo, amend_night, open_night
from firmware_host.recording.diary import write_diary

pytest.importorskip("pyarrow")

FORMATS = formats.names("export")
DAY_NS = 86_400 * 10**9
SPRING_NS = 1_774_737_000 * 10**9
WORDS = [
    b"SECRET", b"AA:BB:CC:DD:EE:FF", b"Berlin", b"+02:00", b"+01:00", b"/tmp", b".night.part",
    b"2026-10-24", b"2026-10-25", b"20261024", b"20261025", b"24.10.26", b"25.10.26", b"24-OCT-2026",
    b"25-OCT-2026", b"24/10/2026", b"2026, 10, 2", b"2026/10/24", b"10/24/2026", b"Oct 24", b"2026-10-2",
    b"1792877400", b"1792884600",
]  # fmt: skip
"""What is planted, and the true date in the ways in which people and programs write it."""


def secret_night(folder: Path, start_ns: int = AUTUMN_NS) -> Path:
    """Write a night full of secrets; its folder's name, sensors, notes, marks, diary and model hold some."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    sensors = tuple(
        SensorInfo(
            index=i, site=site, fs_hz=100.0, g_per_count=0.122e-3, sample_type="int16", range_g=4.0,
            model="MODELSECRET", serial=f"SERIALSECRET{i}", firmware="FIRMWARESECRET",
            placement="PLACESECRET",
        )
        for i, site in enumerate(("left_calf", "right_calf"))
    )  # fmt: skip
    path = troubled_night(
        folder, start_ns, participant="OLDNAMESECRET", label="LABELSECRET", note="NOTESECRET", sensors=sensors
    )
    amend_night(path, participant="P7", note="NOTESECRET 2")
    write_diary(
        path,
        {"note": "DIARYSECRET", "medicines": "PILLSECRET", "caffeine": "much", "exercise_what": "RUNSECRET"},
        rater="RATERSECRET",
    )
    (path / "photo.jpg").write_bytes(b"PHOTOSECRET")
    return path


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of every file with its path, and of Parquet also what is packed in it."""
    import pyarrow.parquet as pq

    for path in sorted(folder.rglob("*")):
        yield f"name of {path.name}", str(path.relative_to(folder)).encode()
        if path.is_file():
            yield path.name, path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            few = table.slice(0, 2000)
            yield (
                path.name,
                repr([str(table.schema), *(column.to_pylist() for column in few.columns)]).encode(),
            )


def binary_dates(start_ns: int) -> list[bytes]:
    """Return the true start as numbers that a file could hold: s, ms, us and ns, whole and floating."""
    found = []
    for unit in (1, 10**3, 10**6, 10**9):
        value = start_ns * unit // 10**9
        found += [struct.pack("<q", value), struct.pack("<d", value), str(value).encode()]
    return found


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night full of secrets."""
    return secret_night(tmp_path_factory.mktemp("PATHSECRET") / "2026-10-24T23-30-00_LABELSECRET.night")


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS)
def test_no_byte_of_a_shared_file_tells_who_where_or_when(secret: Path, form: str, tmp_path: Path) -> None:
    """No planted secret is in a file or name, plain or packed; without `--share` the search finds them."""
    choices = Choices(share=True, samples=form == "parquet")
    export([secret], tmp_path / "shared", form, choices)
    wanted = [*WORDS, *binary_dates(AUTUMN_NS)]
    for name, content in contents(tmp_path / "shared"):
        assert [word for word in wanted if word.lower() in content.lower()] == [], name
    export([secret], tmp_path / "open", form, Choices(samples=form == "parquet"))
    plain = b"".join(content for _, content in contents(tmp_path / "open")).lower()
    assert sum(word.lower() in plain for word in wanted) >= 4


@pytest.mark.parametrize("form", FORMATS)
def test_shared_times_keep_clock_weekday_and_intervals(secret: Path, form: str, tmp_path: Path) -> None:
    """Every onset is moved by the same whole weeks, read on the wall's clock of the evening."""
    export([secret], tmp_path, form, Choices(share=True))
    shift = shift_ns(open_night(secret))
    wall_start = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    weeks = weeks_of("P7", secret.parent)
    shifted = wall_start - timedelta(weeks=weeks)
    assert shift == round(shifted.timestamp()) * 10**9 - AUTUMN_NS
    assert shifted.weekday() == wall_start.weekday()
    name = f"{shifted:%Y-%m-%dT%H-%M-%S}.night"
    if form == "edf":
        (path,) = tmp_path.glob("*.edf")
        pyedflib = pytest.importorskip("pyedflib")
        with pyedflib.EdfReader(str(path)) as file:
            assert file.getStartdatetime() == shifted.replace(tzinfo=None)
            assert file.getHeader()["patientcode"] == "P7"
            onsets = sorted(
                float(onset) for onset, _, text in zip(*file.readAnnotations(), strict=True)
                if str(text).startswith("twitch")
            )  # fmt: skip
    else:
        back = READERS[form](tmp_path, name)
        onsets = sorted(at_s - shifted.timestamp() for times in back.onsets.values() for at_s in times)
    assert onsets == pytest.approx([60.0, 200.7, 1100.2, 8500.45], abs=1e-3)


@pytest.mark.long
def test_a_shared_diary_keeps_what_is_chosen_and_drops_what_is_written(secret: Path, tmp_path: Path) -> None:
    """Levels stay, free text goes, and accelerations are the same as unshared."""
    pd = pytest.importorskip("pandas")
    export([secret], tmp_path / "s", "parquet", Choices(share=True, samples=True))
    export([secret], tmp_path / "o", "parquet", Choices(samples=True))
    (row,) = pd.read_parquet(tmp_path / "s" / "diary.parquet").to_dict("records")
    assert row["caffeine"] == "much"
    assert {row[name] for name in ("note", "medicines", "exercise_what")} == {""}
    shared, plain = (pd.read_parquet(next((tmp_path / place).glob("samples_*"))) for place in "so")
    pd.testing.assert_frame_equal(shared.drop(columns="time_utc"), plain.drop(columns="time_utc"))
    assert (shared["time_utc"].diff().dropna() == plain["time_utc"].diff().dropna()).all()


def test_offsets_are_private_lasting_and_one_a_participant(tmp_path: Path) -> None:
    """The file is for the user alone; an offset never changes, and participants have their own."""
    people = [f"P{number}" for number in range(40)]
    drawn = {name: weeks_of(name, tmp_path) for name in people}
    assert {name: weeks_of(name, tmp_path) for name in reversed(people)} == drawn
    assert len(set(drawn.values())) > 20
    assert all(WEEKS[0] <= weeks <= WEEKS[1] for weeks in drawn.values())
    assert stat.S_IMODE((tmp_path / OFFSETS_FILE).stat().st_mode) == 0o600


def test_nights_on_both_sides_of_a_clock_change_keep_their_clocks(tmp_path: Path) -> None:
    """Evenings of summer and winter time are both shared at the hour that the clock on the wall showed."""
    autumn = open_night(troubled_night(tmp_path / "a.night", AUTUMN_NS))
    spring = open_night(troubled_night(tmp_path / "b.night", SPRING_NS))
    for night in (autumn, spring):
        shared_ns = night.start_ns + shift_ns(night)
        assert shared_ns % DAY_NS == (23 * 60 + 30) * 60 * 10**9
    apart_ns = (autumn.start_ns + shift_ns(autumn)) - (spring.start_ns + shift_ns(spring))
    assert apart_ns % DAY_NS == 0
    assert apart_ns // DAY_NS == 210  # from 28 March to 24 October


def test_a_damaged_file_of_offsets_is_never_replaced(secret: Path, tmp_path: Path) -> None:
    """New offsets would give the old ones away: the export stops with a sentence, and the file stays."""
    night = secret_night(tmp_path / "x" / "a.night")
    for text in ("weeks = 3", "[weeks]\nP7 = 4", "[weeks\n", "weeks = " + 5000 * "["):
        (tmp_path / "x" / OFFSETS_FILE).write_text(text)
        with pytest.raises(BadFileError, match="share-offsets"):
            export([night], tmp_path / "out", "csv", Choices(share=True))
        assert (tmp_path / "x" / OFFSETS_FILE).read_text() == text
    assert not (tmp_path / "out").exists()


def test_a_shared_document_has_the_fields_that_were_chosen_and_no_other(secret: Path, tmp_path: Path) -> None:
    """What is not on the list does not leave, whatever a later version adds to a night."""
    export([secret], tmp_path, "csv", Choices(share=True))
    (one,) = json.loads((tmp_path / "night.json").read_text())["nights"]
    assert set(one) == {"night", "start_ns", "shared", "meta", "run", "labels"}
    assert set(one["meta"]) == {"participant", "origin", "start_known", "sensors"}
    assert set(one["run"]) == {"run_id", "detector", "operating_point", "passes", "model", "summary"}
    assert set(one["run"]["summary"]) == {"duration_s", "sites"}
    assert one["run"]["model"] == "own model 01234567"


def test_a_night_without_a_date_is_not_shifted(tmp_path: Path) -> None:
    """Where only elapsed time is known there is nothing to hide, and 1970 stays 1970."""
    path = troubled_night(tmp_path / "a.night", 0, start_known=False)
    assert shift_ns(open_night(path)) == 0
    for form in FORMATS:
        export([path], tmp_path / form, form, Choices(share=True))
        assert not (tmp_path / OFFSETS_FILE).exists()


def test_shipped_models_keep_their_names(tmp_path: Path) -> None:
    """A model that everybody has tells nothing of a person: its name stays."""
    path = troubled_night(tmp_path / "a.night", AUTUMN_NS)
    run = load_run(open_night(path))
    store_run(path, run.events, run.coverage, run_id="r2", model="standard 1")
    export([path], tmp_path / "out", "csv", Choices(share=True))
    rows: Any = (tmp_path / "out" / "events.csv").read_text().splitlines()
    assert all(row.endswith(",standard 1") for row in rows[1:])


def test_shared_bins_do_not_tell_the_offset_of_the_clock(secret: Path, tmp_path: Path) -> None:
    """Bins of two hours, or of a length that divides no week, begin at its multiples of the shifted clock."""
    for bin_s in (7200.0, 660.0):
        export([secret], tmp_path, "csv", Choices(share=True, bin_s=bin_s))
        rows = list(csv.DictReader((tmp_path / "counts.csv").read_text(encoding="utf-8").splitlines()))
        starts = [datetime.fromisoformat(row["bin_start_utc"]).timestamp() for row in rows]
        assert rows
        assert [start % bin_s for start in starts] == [0.0] * len(rows)


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS)
def test_shared_files_do_not_lie_beside_others(secret: Path, form: str, tmp_path: Path) -> None:
    """A folder with an unshared export is refused as it is; one with the same shared files is taken."""
    samples = form == "parquet"
    export([secret], tmp_path / "open", form, Choices(samples=samples))
    before = dict(contents(tmp_path / "open"))
    (tmp_path / "open" / "notes.txt").write_text("SECRET", encoding="utf-8")
    with pytest.raises(BadValueError, match=r"not of this export|earlier export"):
        export([secret], tmp_path / "open", form, Choices(share=True, samples=samples))
    (tmp_path / "open" / "notes.txt").unlink()
    assert dict(contents(tmp_path / "open")) == before
    for _ in range(2):
        export([secret], tmp_path / "shared", form, Choices(share=True, samples=samples))
