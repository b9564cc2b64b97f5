"""Commands meet nights that changed, lost a file or cannot be read: told in a sentence, never passed over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import SITES, edit, flip_a_bit, sentence
from conftest import Run

from firmware_host.recording import open_night


def test_verify_finds_damage(run: Run, nights: Path) -> None:
    """One flipped byte makes verify exit with 1 and say where; info still works."""
    flip_a_bit(nights / "a.night")
    code, out, _ = run("verify", nights / "a.night")
    assert code == 1
    assert "damaged" in out
    assert "byte" in out
    code, out, _ = run("info", nights / "a.night", "--json")
    assert code == 0
    assert json.loads(out)["damage"]


@pytest.mark.parametrize("command", ["map", "detect", "export", "score"])
def test_metadata_that_cannot_be_read_are_never_passed_over_in_silence(
    run: Run, nights: Path, command: str
) -> None:
    """A typing error in night.toml is told by every command that then goes by the log."""
    edit(nights / "a.night", "range_g = ", "range_g = -")
    more = {"export": ["--out", nights / "out"], "score": ["--truth", nights / "truth.csv"]}
    code, _, err = run(command, nights / "a.night", *more.get(command, []))
    assert code == 0
    assert "night.toml" in err
    assert "What samples.log says" in err


@pytest.mark.parametrize("state", ["detected", "bare", "unreadable"])
def test_lists_and_diaries_tell_of_metadata_that_cannot_be_read(run: Run, nights: Path, state: str) -> None:
    """They say it in one sentence and go on: the list has nights that their log knows, a diary is written."""
    edit(nights / "a.night", "range_g = ", "range_g = -")
    if state != "detected":
        (nights / "a.night" / "results.sqlite").unlink()
    if state == "unreadable":
        (nights / "a.night" / "samples.log").write_bytes(b"")
    code, out, err = run("nights", "--dir", nights, "--json")
    assert (code, len(json.loads(out))) == (0, state != "unreadable")
    assert "night.toml" in sentence(err)
    code, out, err = run("diary", nights / "a.night", "caffeine=much", "--json")
    assert (code, json.loads(out)["diary"]) == (0, {"caffeine": "much"})
    assert "night.toml" in sentence(err)


def test_amend_keeps_metadata_that_it_cannot_read(run: Run, nights: Path) -> None:
    """What a person wrote into night.toml outlives a correction that has to replace it."""
    edit(nights / "a.night", "note = ", "note = felt a lot, ")
    wrong = (nights / "a.night" / "night.toml").read_bytes()
    for number in (1, 2):
        code, _, err = run("amend", nights / "a.night", "--note", f"number {number}")
        assert code == 0
        assert "no longer hold" in err
        assert open_night(nights / "a.night").meta.note == f"number {number}"
        assert (nights / "a.night" / f"night.unreadable-{number}.toml").read_bytes() == wrong
        (nights / "a.night" / "night.toml").write_bytes(wrong)


def test_all_that_is_told_of_a_run_is_of_its_own_time(run: Run, nights: Path, tmp_path: Path) -> None:
    """After samples are lost, map and night.json of a run still say the same, and that the night changed."""
    log = nights / "a.night" / "samples.log"
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size * 6 // 10)
    code, out, err = run("map", nights / "a.night", "--json")
    assert code == 0
    assert "samples were added or lost" in err
    assert run("export", nights / "a.night", "--out", tmp_path / "out")[0] == 0
    (exported,) = json.loads((tmp_path / "out" / "night.json").read_bytes())["nights"]
    told = {site["site"]: site["twitches"] for site in json.loads(out)[0]["sites"]}
    assert told == {site["site"]: site["twitches"] for site in exported["run"]["summary"]["sites"]}
    code, _, err = run("detect", nights / "a.night", "--stored")
    assert code == 0
    assert "samples were added or lost" in err


def test_one_bad_night_does_not_hide_the_others(
    run: Run, nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost metadata, results of another program and folders without permission leave the list standing."""
    from firmware_host.recording import nights as folder_of_nights

    for name in ("b", "c", "d"):
        shutil.copytree(nights / "a.night", nights / f"{name}.night")
    (nights / "b.night" / "night.toml").unlink()
    (nights / "c.night" / "results.sqlite").write_bytes(b"no database" * 100)
    looks_inside = folder_of_nights._is_night

    def refuse(path: Path) -> bool:
        if path.name in {"d.night", "lost+found"}:
            raise PermissionError(13, "Permission denied", str(path))
        return looks_inside(path)

    monkeypatch.setattr(folder_of_nights, "_is_night", refuse)
    (nights / "lost+found").mkdir()
    code, out, err = run("nights", "--dir", nights, "--json")
    assert code == 0
    assert [(one["night"], one["runs"]) for one in json.loads(out)] == [
        ("a.night", 1),
        ("b.night", 1),
        ("c.night", 0),
        ("d.night", 1),
    ]
    damaged, lost = sorted(err.splitlines())
    assert lost.startswith("b.night: ")
    assert "night.toml is missing. What samples.log says" in lost
    assert "c.night/results.sqlite is damaged" in damaged


def test_info_needs_no_results(run: Run, nights: Path) -> None:
    """A night whose results cannot be read is shown all the same, and the reason is told."""
    (nights / "a.night" / "results.sqlite").write_bytes(b"no database" * 100)
    code, out, err = run("info", nights / "a.night", "--json")
    assert (code, json.loads(out)["runs"]) == (0, [])
    assert "delete it and detect again" in sentence(err)


def test_a_run_of_other_sites_or_samples_is_told(run: Run, nights: Path) -> None:
    """Sites that were changed by hand are refused, and a log that has grown or shrunk is told."""
    log = nights / "a.night" / "samples.log"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    code, _, err = run("map", nights / "a.night")
    assert code == 0
    assert "samples were added or lost since its run was made" in err
    edit(nights / "a.night", SITES[0], "left_foot")
    code, _, err = run("map", nights / "a.night")
    assert code == 1
    assert "is of other sites than the night" in err


def test_a_log_of_the_same_length_that_changed_is_told(run: Run, nights: Path) -> None:
    """A block that is damaged after detection leaves a night's length, and its run is of other samples."""
    assert run("map", nights / "a.night")[2] == ""
    flip_a_bit(nights / "a.night")
    code, _, err = run("map", nights / "a.night")
    assert code == 0
    damage, changed = err.splitlines()
    assert "1 damaged place" in damage
    assert (
        changed
        == "a.night: its samples.log has changed since its run was made; run `twitchmap detect` again."
    )


def test_a_night_without_its_samples_is_not_to_be_detected_again(run: Run, nights: Path) -> None:
    """Where samples.log is gone, that is told, and nothing is advised that cannot be done."""
    (nights / "a.night" / "samples.log").unlink()
    code, out, err = run("map", nights / "a.night")
    assert code == 0
    assert "left calf" in out.lower()
    assert "samples.log is missing" in err
    assert "twitchmap detect" not in err


def test_one_bad_night_does_not_stop_detection(run: Run, nights: Path) -> None:
    """Of several nights the others get their run; what was wrong with one is told, and the exit code is 1."""
    shutil.copytree(nights / "a.night", nights / "0.night")
    (nights / "0.night" / "samples.log").write_bytes(b"")
    code, out, err = run("detect", nights, "--json")
    assert (code, [one["night"] for one in json.loads(out)]) == (1, ["a.night"])
    assert "0.night: " in err
