"""The set-up of an evening is kept whole, private and strict, and says what is wrong with it."""

from __future__ import annotations

import os
import stat
from datetime import time
from pathlib import Path

import pytest

from firmware_host.capture.setups import (
    Setup,
    SetupSensor,
    check_place,
    load_setup,
    read_setup,
    save_setup,
    setup_path,
)
from firmware_host.errors import BadFileError, BadValueError, NotFoundError, StorageError
from firmware_host.sensors import model_named

WHOLE = Setup(
    sensors=(
        SetupSensor(
            site="left_calf", address="D0:5E:00:00:01:01", name="Thingy", serial="A1", model="thingy52",
            rate=100.0, adapter="hci1", placement="strap, two fingers below the knee: ü",
        ),
        SetupSensor(site="left_calf.2", name="Polar Sense 12345678", model="polar_verity"),
    ),
    participant="P01", time_zone="Europe/Berlin", until="07:00", hours=8.5,
)  # fmt: skip


def test_a_setup_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    """What is kept is read again, each field of it."""
    folder = tmp_path / "new" / "nights"
    path = save_setup(folder, WHOLE)
    assert path == setup_path(folder) == folder / "setup.toml"
    assert load_setup(folder) == WHOLE
    assert read_setup(path) == WHOLE


def test_a_setup_is_private_and_replaced_whole(tmp_path: Path) -> None:
    """Only the user may read it, nothing is left beside it, and a newer one takes its place."""
    path = save_setup(tmp_path, WHOLE)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    save_setup(tmp_path, Setup(sensors=WHOLE.sensors[:1]))
    assert [one.name for one in tmp_path.iterdir()] == ["setup.toml"]
    assert len(load_setup(tmp_path).sensors) == 1


def test_a_setup_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses is said in a sentence; the old set-up stays, and nothing beside it."""
    save_setup(tmp_path, WHOLE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"setup\.toml could not be written \(No space left"):
        save_setup(tmp_path, Setup(sensors=WHOLE.sensors[:1]))
    assert [one.name for one in tmp_path.iterdir()] == ["setup.toml"]
    assert load_setup(tmp_path) == WHOLE


def test_a_setup_gives_what_a_recorder_needs() -> None:
    """Sensors to look for, placements, adapters and the planned end follow from it."""
    first, second = WHOLE.wanted()
    assert (first.site, first.address, first.fs_hz, first.adapter) == (
        "left_calf", "D0:5E:00:00:01:01", 100.0, "hci1",
    )  # fmt: skip
    assert (second.address, second.name, second.fs_hz, second.adapter) == (
        None, "Polar Sense 12345678", None, None,
    )  # fmt: skip
    assert second.model is model_named("polar_verity")
    assert WHOLE.placements() == {"left_calf": "strap, two fingers below the knee: ü"}
    assert WHOLE.adapters() == ("hci1",)
    assert WHOLE.plan().until == time(7)
    assert WHOLE.plan().hours == 8.5
    assert Setup(sensors=WHOLE.sensors).plan().until is None


def test_no_setup_is_said_with_what_to_do(tmp_path: Path) -> None:
    """Where there is none, the sentence names the command that makes one."""
    with pytest.raises(NotFoundError, match="run `twitchmap setup`"):
        load_setup(tmp_path)
    with pytest.raises(NotFoundError, match="There is no file"):
        read_setup(tmp_path / "other.toml")


def test_a_folder_in_place_of_a_setup_is_said(tmp_path: Path) -> None:
    """A folder of that name is called one, wherever a set-up is read."""
    setup_path(tmp_path).mkdir()
    for reading in (lambda: load_setup(tmp_path), lambda: read_setup(setup_path(tmp_path))):
        with pytest.raises(BadFileError, match=r"setup\.toml is a folder"):
            reading()


SENSOR = '[[sensors]]\nsite = "left_calf"\nname = "x"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[sensors", "cannot be read as TOML"),
        ("sensors = " + "[" * 5000, "cannot be read as TOML"),
        ("", "names no sensor"),
        ("partisipant = 'x'\n" + SENSOR, "no key 'partisipant' at its top; keys are sensors, participant"),
        (SENSOR + "sight = 3\n", "no key 'sight' in a sensor; keys are site, address, name, serial, model"),
        (SENSOR + "rate = 'fast'\n", "got `str` (at sensors[0].rate)"),
        (SENSOR + "rate = 0\n", "cannot have a rate of 0 Hz; 45 to 1000 can be"),
        (SENSOR + "rate = nan\n", "cannot have a rate of nan"),
        ("[[sensors]]\nname = 'x'\n", "missing required field `site`"),
        ("[[sensors]]\nsite = 'left_knee'\nname = 'x'\n", "no body site 'left_knee'"),
        ("[[sensors]]\nsite = 'left_calf'\n", "needs an address, a name or a model"),
        ("virtual = true\n" + SENSOR, "the made-up sensor at left_calf needs a model"),
        (SENSOR + "model = 'nonesuch'\n", "no sensor model 'nonesuch'"),
        (SENSOR + "model = 'polar_h10'\n", "at the chest only, not at left_calf"),
        (SENSOR + SENSOR, "two sensors have the site left_calf"),
        (SENSOR + "address = 'A'\n" + SENSOR.replace("calf", "shin") + "address = 'a'\n", "the address a;"),
        ("time_zone = 'Mars/Olympus'\n" + SENSOR, "no time zone"),
        ("until = '25:00'\n" + SENSOR, "no time of day"),
        ("until = '07:00:30'\n" + SENSOR, "no time of day; write it as 07:00"),
        ("hours = 90\n" + SENSOR, "90 hours cannot be"),
    ],
)  # fmt: skip
def test_a_bad_setup_is_said_in_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    """What is wrong, where, and for an unknown key which ones there are."""
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFileError) as error:
        read_setup(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert str(error.value).endswith(".")


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are no set-up."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadFileError, match="not UTF-8"):
        read_setup(path)


def test_a_setup_that_cannot_be_used_is_not_kept(tmp_path: Path) -> None:
    """Two sites for one sensor are refused before anything is written."""
    twice = (SetupSensor(site="left_calf", address="A"), SetupSensor(site="right_calf", address="A"))
    with pytest.raises(BadValueError, match="two sensors have the address a"):
        save_setup(tmp_path, Setup(sensors=twice))
    assert not list(tmp_path.iterdir())


def test_a_model_sits_where_it_can_be_worn() -> None:
    """A chest strap goes to the chest, on either side; what can be worn anywhere goes anywhere."""
    check_place("left_chest", model_named("polar_h10"))
    check_place("right_chest.2", model_named("polar_h10"))
    check_place("left_foot", model_named("thingy52"))
    with pytest.raises(BadValueError, match="chest only"):
        check_place("left_foot", model_named("polar_h10"))


PAGE = (Path(__file__).parents[1] / "docs" / "evening.md").read_text(encoding="utf-8")


def test_the_page_shows_a_setup_that_can_be_read(tmp_path: Path) -> None:
    """The example in docs/evening.md is a set-up, and the page names every key that there is."""
    example = PAGE.split("```toml")[1].split("```")[0]
    path = tmp_path / "example.toml"
    path.write_text(example, encoding="utf-8")
    assert read_setup(path).sensors[0].placement
    for key in (*Setup.__struct_fields__, *SetupSensor.__struct_fields__):
        assert key in PAGE
