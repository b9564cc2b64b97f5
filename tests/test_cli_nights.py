"""Commands take nights by name and folder, list them, correct and import them, each once."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import sentence
from conftest import Run
from counted_nights import counted_night

from firmware_host.recording import open_night


def test_commands_take_a_folder_of_nights(run: Run, nights: Path) -> None:
    """A folder stands for all nights in it, each once, beside single nights."""
    counted_night(nights / "b.night")
    code, out, _ = run("verify", nights, nights / "a.night", "--json")
    assert code == 0
    assert sorted(one["night"] for one in json.loads(out)) == ["a.night", "b.night"]
    code, _, _ = run("export", nights, "--mixed", "--out", nights / "out")
    assert code == 0
    with (nights / "out" / "coverage.csv").open() as file:
        assert {row["night"] for row in csv.DictReader(file)} == {"a.night", "b.night"}


def test_the_folder_comes_from_option_or_environment(
    run: Run, nights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`last` is looked for in --dir, else in TWITCHMAP_DIR, else in ./recordings."""
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    assert run("info", "last")[0] == 1
    assert run("info", "last", "--dir", nights)[0] == 0
    monkeypatch.setenv("TWITCHMAP_DIR", str(nights))
    assert run("info", "last")[0] == 0
    monkeypatch.delenv("TWITCHMAP_DIR")
    nights.rename(tmp_path / "away" / "recordings")
    assert run("info", "last")[0] == 0


def test_nights_lists_what_is_there(run: Run, nights: Path) -> None:
    """The list shows start, sites, origin, valid share and runs, and a broken night hides no other."""
    (nights / "broken.night").mkdir()
    (nights / "broken.night" / "night.toml").write_text("this is = not [toml")
    code, out, err = run("nights", "--dir", nights)
    assert code == 0
    assert "a.night" in out
    assert "2026-01-14 22:40" in out
    assert "simulated" in out
    assert "broken.night" in err
    code, out, _ = run("nights", "--dir", nights / "empty")
    assert code == 0
    assert "No nights" in out


def test_info_tells_rates_gaps_and_runs(run: Run, detected: Path) -> None:
    """Measured rates differ from nominal ones, gaps have causes, the run is listed."""
    code, out, _ = run("info", detected / "a.night", "--json")
    assert code == 0
    document = json.loads(out)
    night = open_night(detected / "a.night")
    for sensor in document["sensors"]:
        assert sensor["fs_hz"] == pytest.approx(max(s.fs_hz for s in night.stretches(sensor["site"])))
        assert sensor["fs_nominal_hz"] == 100
    assert any("out of reach" in gap["cause"] for sensor in document["sensors"] for gap in sensor["gaps"])
    assert len(document["runs"]) == 1
    code, out, _ = run("info", detected / "a.night")
    assert code == 0
    assert "out of reach" in out


def test_runs_say_how_they_were_made(run: Run, nights: Path) -> None:
    """Runs of pass 1 alone and those counted anew are told from others where they are made and listed."""
    ways = {}
    for option in ("--pass=1", "--stored"):
        code, out, _ = run("detect", nights / "a.night", option)
        assert code == 0
        ways[option] = out.splitlines()[0].rpartition("balanced")[2]
    first, second, third = json.loads(run("info", nights / "a.night", "--json")[1])["runs"]
    assert [first["way"], second["way"]] == ["", "pass 1 alone"]
    assert third["way"] == f"counted anew from run {first['run_id']}"
    assert ways == {"--pass=1": ", pass 1 alone", "--stored": f", {third['way']}"}
    listed = [line for line in run("info", nights / "a.night")[1].splitlines() if line.startswith("run ")]
    assert [line.rpartition("balanced")[2] for line in listed] == ["", *ways.values()]


def test_amend_takes_a_placement_back(run: Run, nights: Path) -> None:
    """SITE= empties what was said of a place, and the history keeps it."""
    assert run("amend", nights / "a.night", "--placement", "left_calf=a hand below the knee")[0] == 0
    code, out, _ = run("amend", nights / "a.night", "--placement", "left_calf=")
    assert (code, out) == (0, "placement of left_calf: 'a hand below the knee' is now ''\n")
    meta = open_night(nights / "a.night").meta
    assert meta.sensor("left_calf").placement == ""
    assert [change.new for change in meta.history] == ["a hand below the knee", ""]
    for wrong in ("left_calf", "=there"):
        assert run("amend", nights / "a.night", "--placement", wrong)[0] == 2


def test_amend_keeps_history(run: Run, nights: Path) -> None:
    """A corrected site, pseudonym and placement are used from then on, and the old values stay known."""
    code, out, _ = run(
        "amend", nights / "a.night", "--participant", "P7", "--site", "right_hand=left_hand",
        "--placement", "left_calf=upper third",
    )  # fmt: skip
    assert code == 0
    assert "'P7'" in out
    meta = open_night(nights / "a.night").meta
    assert meta.participant == "P7"
    assert [sensor.site for sensor in meta.sensors] == ["left_calf", "left_hand"]
    assert meta.sensors[0].placement == "upper third"
    assert {change.old for change in meta.history} == {"simulated", "right_hand", ""}
    assert "Nothing changed" in run("amend", nights / "a.night", "--participant", "P7")[1]


def test_import_makes_a_night(run: Run, tmp_path: Path) -> None:
    """A CSV becomes a night; what was understood is told first, and a second import to it is refused."""
    rng = np.random.default_rng(1)
    rows = np.column_stack(
        (np.arange(3000) / 100, rng.normal(0, 0.001, (3000, 2)), rng.normal(1, 0.001, 3000))
    )
    np.savetxt(tmp_path / "a.csv", rows, "%.4f", ",", header="time_s,ax_g,ay_g,az_g", comments="")
    arguments = ["import", tmp_path / "a.night", f"left_calf={tmp_path / 'a.csv'}", "--participant", "P3"]
    code, out, err = run(*arguments)
    assert code == 0
    assert "a.night" in out
    assert "rate 100 Hz" in err
    night = open_night(tmp_path / "a.night")
    assert night.meta.participant == "P3"
    assert night.meta.origin == "imported"
    code, _, err = run(*arguments)
    assert code == 1
    assert "not empty" in sentence(err)


def test_a_night_is_taken_once_however_it_is_named(
    run: Run, nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two names of one folder give its rows once, and `.` is the night that one stands in."""
    monkeypatch.chdir(nights / "a.night")
    assert run("export", ".", nights / "a.night", "../a.night", "--out", nights / "out")[0] == 0
    with (nights / "out" / "events.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["night"] for row in rows} == {"a.night"}
    assert len({row["event_id"] for row in rows}) == len(rows)


def test_nights_of_one_name_are_both_told(run: Run, nights: Path) -> None:
    """Two folders with a night of the same name each are two nights of the answer."""
    shutil.copytree(nights / "a.night", nights / "more" / "a.night")
    both = (nights / "a.night", nights / "more" / "a.night")
    assert len(json.loads(run("verify", *both, "--json")[1])) == 2
    assert len(json.loads(run("score", *both, "--truth", nights / "truth.csv", "--json")[1])) == 2


def test_names_from_elsewhere(run: Run, nights: Path) -> None:
    """Bytes that are no text are refused, and control characters do not reach the terminal."""
    code, _, err = run("amend", nights / "a.night", "--participant", "\udcff")
    assert code == 1
    assert "no UTF-8 text" in sentence(err)
    assert run("amend", nights / "a.night", "--participant", "a\x1b[31mb")[0] == 0
    code, out, _ = run("info", nights / "a.night")
    assert "participant a?[31mb" in out
