"""Nights are found by name, path and date, and corrected; what cannot be is refused."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_nights import MONO_NS, START_NS, append, meta, small_night

from firmware_host.errors import BadFileError, BadValueError, NotFoundError, StorageError
from firmware_host.recording import (
    SensorInfo,
    amend_night,
    create_night,
    evening_of,
    find_night,
    list_nights,
    local_time,
    night_folder_name,
    open_night,
)

S = 1_000_000_000


@pytest.mark.parametrize(
    ("utc", "zone", "name", "evening"),
    [
        (1_795_386_665, "Europe/Berlin", "2026-11-22T23-31-05_left-leg", date(2026, 11, 22)),
        (1_795_386_665, "UTC", "2026-11-22T22-31-05_left-leg", date(2026, 11, 22)),
        (1_795_386_665, "Asia/Tokyo", "2026-11-23T07-31-05_left-leg", date(2026, 11, 22)),
        (1_792_889_999, "Europe/Berlin", "2026-10-25T02-59-59_left-leg", date(2026, 10, 24)),
        (1_792_890_000, "Europe/Berlin", "2026-10-25T02-00-00_left-leg", date(2026, 10, 24)),
        (1_774_753_200, "America/New_York", "2026-03-28T23-00-00_left-leg", date(2026, 3, 28)),
        (0, "UTC", "1970-01-01T00-00-00_left-leg", date(1969, 12, 31)),
    ],
)
def test_names_and_dates(utc: int, zone: str, name: str, evening: date) -> None:
    """A night is named by its local start and goes by the date of its evening, over clock changes too."""
    assert night_folder_name(utc * S, zone, "left leg") == f"{name}.night"
    assert evening_of(utc * S, zone) == evening
    assert local_time(utc * S, zone).timestamp() == utc


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_names_are_portable(label: str) -> None:
    """Whatever the label, the name is one that every file system takes."""
    name = night_folder_name(START_NS, "UTC", label)

    assert not set(name) & set('<>:"/\\|?*\0. ') - {"."}
    assert name.endswith(".night")
    assert name.count(".") == 1
    assert len(name.encode()) <= 255
    assert name == name.strip()


def named_nights(directory: Path) -> list[Path]:
    """Make three nights of two evenings; the last two go by one date."""
    made = []
    for hours, label in ((0, "one"), (24, "two"), (30, "three")):
        start_ns = START_NS + hours * 3600 * S
        path = directory / night_folder_name(start_ns, "Europe/Berlin", label)
        create_night(path, meta(start_ns=start_ns, label=label)).close()
        made.append(path)
    return made


def test_finding_a_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night is found by path, name, `last` or date; what is not clear gets a sentence that helps."""
    with monkeypatch.context() as there:
        there.chdir(tmp_path)
        with pytest.raises(NotFoundError) as nowhere:
            find_night("last", Path("none"))
    assert f"no night in {tmp_path / 'none'} yet" in str(nowhere.value)
    one, two, three = named_nights(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "empty.night").mkdir()

    assert list_nights(tmp_path) == [one, two, three]
    assert find_night("last", tmp_path) == three
    assert find_night("2026-11-22", tmp_path) == one
    assert find_night(str(two), tmp_path) == two
    assert find_night(two.name, tmp_path) == two
    with pytest.raises(BadValueError, match=rf"2 nights go by 2026-11-23.*{two.name}, {three.name}"):
        find_night("2026-11-23", tmp_path)
    with pytest.raises(NotFoundError, match="no night of 2026-11-24"):
        find_night("2026-11-24", tmp_path)
    with pytest.raises(NotFoundError, match="give a path, `last`, or a date"):
        find_night("yesterday", tmp_path)
    with pytest.raises(BadFileError, match="is no night"):
        find_night(str(tmp_path / "other"), tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe in the place of a night's file is told, not read until somebody writes to it."""
    night = small_night(tmp_path / "one.night")
    (night / "night.toml").unlink()
    os.mkfifo(night / "night.toml")
    assert "night.toml is no file" in str(open_night(night).damage)
    assert list_nights(tmp_path) == [night]
    (night / "samples.log").unlink()
    os.mkfifo(night / "samples.log")
    with pytest.raises(BadFileError, match=r"samples\.log is no file"):
        open_night(night)
    assert list_nights(tmp_path) == [night]


def test_a_damaged_night_is_still_listed_by_its_date(tmp_path: Path) -> None:
    """Without its night.toml a night is found by what its log says."""
    one, two, three = named_nights(tmp_path)
    (one / "night.toml").unlink()
    (two / "night.toml").write_text("colour =")
    (three / "night.toml").write_text("")
    (three / "samples.log").write_bytes(b"")

    assert find_night("2026-11-22", tmp_path) == one
    assert find_night("2026-11-23", tmp_path) == two
    assert set(list_nights(tmp_path)) == {one, two, three}


def test_amending(tmp_path: Path) -> None:
    """Corrections are kept with what was there before; the samples are not touched, sites may be swapped."""
    folder = small_night(tmp_path / "a.night", 3)
    before = (folder / "samples.log").read_bytes()
    amend_night(folder, participant="P2", sites={"left_calf": "right_calf", "right_calf": "left_calf"})
    changed = amend_night(folder, placements={"left_calf": "two fingers below the knee"}, note="hot night")
    night = open_night(folder)

    assert night.meta == changed
    assert night.sites == ("right_calf", "left_calf")
    assert changed.participant == "P2"
    assert changed.note == "hot night"
    assert changed.sensor("left_calf").placement == "two fingers below the knee"
    assert [(one.field, one.old, one.new) for one in changed.history] == [
        ("site of sensor 0", "left_calf", "right_calf"),
        ("site of sensor 1", "right_calf", "left_calf"),
        ("participant", "P1", "P2"),
        ("placement of left_calf", "", "two fingers below the knee"),
        ("note", "", "hot night"),
    ]
    assert (folder / "samples.log").read_bytes() == before
    assert amend_night(folder, note="hot night") == changed


def test_amending_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong site, two sensors at one site, or a disk that refuses: a sentence, and nothing has changed."""
    folder = small_night(tmp_path / "a.night", 3)
    before = (folder / "night.toml").read_bytes()
    with pytest.raises(BadValueError, match="no sensor at 'knee'; its sites are left_calf, right_calf"):
        amend_night(folder, sites={"knee": "left_thigh"})
    with pytest.raises(BadValueError, match="no sensor at 'knee'"):
        amend_night(folder, placements={"knee": "x"})
    with pytest.raises(BadValueError, match="Two sensors have the site right_calf"):
        amend_night(folder, sites={"left_calf": "right_calf"})

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match=r"night\.toml could not be written \(No space left on device\)"):
        amend_night(folder, note="x")
    assert (folder / "night.toml").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["night.toml", "samples.log", "writer.lock"]


@pytest.mark.parametrize(
    "change",
    [{"start_ns": -1}, {"start_ns": 10**19}, {"sensors": ()}, {"time_zone": "Mars/Olympus"}],
)
def test_metadata_that_cannot_be(tmp_path: Path, change: dict[str, object]) -> None:
    """A night is not made with a start, a zone or sensors that cannot be, nor with a place that is none."""
    with pytest.raises(BadValueError):
        create_night(tmp_path / "a.night", meta(**change))
    sensor = SensorInfo(index=0, site="third_arm", fs_hz=50.0, g_per_count=1.0, sample_type="float32")
    with pytest.raises(BadValueError, match="third_arm"):
        create_night(tmp_path / "a.night", meta(sensors=(sensor,)))
    assert not (tmp_path / "a.night").exists()


def test_a_night_that_began_before_the_clock_was_set(tmp_path: Path) -> None:
    """A computer that learns the time late makes nights that are found and listed by the time they had."""
    day_ns = 86_400 * 10**9
    night = tmp_path / "b.night"
    with create_night(night, meta(start_ns=0), clock=lambda: (MONO_NS, 0)) as writer:
        for second in range(40):
            append(writer, 0, 100 * second)
    for name, start_ns in (("a.night", START_NS - day_ns), ("c.night", START_NS + day_ns)):
        with create_night(tmp_path / name, meta(start_ns=start_ns, origin="imported")):
            pass
    assert [path.name for path in list_nights(tmp_path)] == ["a.night", "b.night", "c.night"]
    assert find_night("2026-11-22", tmp_path) == night
