"""The command line: what it prints, its exit codes, and that one sentence answers every mistake."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import made_nights
import numpy as np
import pytest
from conftest import Run
from counted_nights import counted_night

from firmware_host import __version__, formats
from firmware_host.cli import commands, main
from firmware_host.cli._terminal import Progress, aligned
from firmware_host.recording import create_night, open_night
from firmware_host.simulation import demonstration, simulate_night, write_truth

SITES = ("left_calf", "right_hand")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with one detected night of six minutes on two sites, and its truth."""
    folder = tmp_path_factory.mktemp("made")
    spec = replace(demonstration(4, 0.1), sites=SITES, chips=None)
    truth = simulate_night(folder / "a.night", spec=spec).twitches
    write_truth(folder / "truth.csv", truth)
    with pytest.raises(SystemExit):
        main(["detect", str(folder / "a.night"), "--json"])
    return folder


@pytest.fixture
def nights(made: Path, tmp_path: Path) -> Path:
    """Copy the made folder, for commands that change it."""
    return Path(shutil.copytree(made, tmp_path / "nights"))


def sentence(err: str) -> str:
    """Return what was said on stderr, which must be one line and no traceback."""
    assert "Traceback" not in err
    lines = [line for line in err.strip().splitlines() if line]
    assert len(lines) == 1, err
    return lines[0]


def test_help_lists_every_command(run: Run) -> None:
    """The help names each command with what it does, and each command has a help of its own."""
    code, out, _ = run("--help")
    names = commands.list_commands(click.Context(commands))
    assert code == 0
    assert {"demo", "import", "detect", "map", "export", "nights", "info", "verify", "amend", "score"} <= set(
        names
    )
    for name in names:
        assert f"\n  {name} " in out
        code, own, _ = run(name, "-h")
        assert code == 0
        assert own.startswith(f"Usage: twitchmap {name} ")


def test_version(run: Run) -> None:
    """The version is that of the package."""
    assert run("--version") == (0, f"twitchmap {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["detect"],
        ["map", "--nonsense", "x"],
        ["map", "x", "--bin", "15 parsecs"],
        ["map", "x", "--png", "."],
        ["detect", "x", "--operating-point", "keen"],
        ["demo", "--seed", "one"],
        ["import", "x", "left_calf"],
        ["import", "x", "left_calf=a.csv", "left_calf=b.csv"],
        ["amend", "x"],
        ["amend", "x", "--site", "left_calf"],
        ["score", "x"],
        ["evaluate", "--only", "everything"],
        ["record", "--rate", "nan"],
        ["record", "--rate", "1e9"],
        ["record", "--hours", "nan"],
        ["record", "--virtual", "left_calf"],
        ["check", "--seconds", "nan"],
        ["scan", "--seconds", "nan"],
    ],
)
def test_wrong_usage_is_2(run: Run, arguments: list[str]) -> None:
    """What is not understood is told with the usage, and nothing is printed on stdout."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "nowhere.night"], "nowhere.night"),
        (["detect", "1999-01-01"], "1999-01-01"),
        (["map", "last", "--dir", "{empty}"], "no night"),
        (["verify", "{file}"], "no night"),
        (["detect", "{night}", "--model", "crystal_ball"], "crystal_ball"),
        (["map", "{night}", "--run", "zzz"], "zzz"),
        (["export", "{night}", "--out", "{file}"], "written"),
        (["report", "{night}", "--out", "{file}/r.html"], "written"),
        (["import", "{empty}/x.night", "left_elbo=a.csv"], "left_elbo"),
        (["import", "{empty}/x.night", "left_calf=a.csv"], "a.csv"),
        (["import", "{empty}/x.night", "left_calf={file}", "--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (["amend", "{night}", "--site", "left_foot=right_foot"], "left_foot"),
        (["amend", "{night}", "--site", "left_calf=left_elbo"], "left_elbo"),
        (["score", "{night}", "--truth", "missing.csv"], "missing.csv"),
        (["score", "{night}", "--truth", "{empty}"], "cannot be read as a CSV file of truth: Is a"),
        (["score", "{night}", "--truth", "{made}/truth.csv", "--happenings", "{empty}"], "CSV file: Is a"),
        (["nights", "--dir", "{file}"], "is a file"),
        (["detect", ""], "'' names no night"),
        (["evaluate", "--only", "real", "--real-data", "{empty}/missing"], "missing"),
        (["demo", "--out", "{made}"], "already holds"),
    ],
)
def test_a_mistake_gets_one_sentence(
    run: Run, made: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """A missing file, a bad site, a full folder: exit 1, one sentence that names it, nothing left behind."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.csv").write_text("nothing")
    places = {
        "empty": tmp_path / "empty", "file": tmp_path / "file.csv", "night": made / "a.night", "made": made,
    }  # fmt: skip
    code, out, err = run(*(argument.format(**places) for argument in arguments))
    assert (code, out) == (1, "")
    assert words in sentence(err)
    assert list((tmp_path / "empty").iterdir()) == []


def test_every_command_prints_one_json_document(run: Run, nights: Path) -> None:
    """With --json stdout is exactly one JSON document, for each command."""
    night = nights / "a.night"
    (nights / "t.csv").write_text(
        "time_s,x,y,z\n" + "".join(f"{i / 100},{i % 3 / 100},0,1\n" for i in range(1000))
    )
    calls = {
        "detect": [night], "map": [night], "export": [night, "--out", nights / "out"],
        "study": [night, "--jobs", "1"],
        "nights": ["--dir", nights], "diary": [night, "caffeine=much"],
        "info": [night], "verify": [night], "amend": [night, "--note", "x"],
        "report": [night, "--out", nights / "r.html"],
        "score": [night, "--truth", nights / "truth.csv"],
        "evaluate": ["--model", "plain", "--only", "real", "--jobs", "1"],
        "simulate": [nights / "c.night", "--hours", "0.05"],
        "demo": ["--out", nights / "demo", "--hours", "0.05"],
        "import": [nights / "b.night", f"left_calf={nights / 't.csv'}"],
    }  # fmt: skip
    # Training and sensors take too long here; their own tests read their documents.
    elsewhere = {"train", "scan", "setup", "check", "record", "mark", "review"}
    assert {*calls, *elsewhere} == set(commands.list_commands(click.Context(commands)))
    for name, arguments in calls.items():
        code, out, err = run(name, *arguments, "--json")
        assert code == 0, err
        json.loads(out, parse_constant=pytest.fail)


def test_demo_leaves_all_that_it_names(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo ends with 0 without a terminal; map, tables and truth are there, marked as simulated."""
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    code, out, _ = run("demo", "--hours", "0.1", "--seed", "3")
    assert code == 0
    folder = tmp_path / "twitchmap-demo"
    for name in (
        "map.svg",
        "events.csv",
        "counts.csv",
        "coverage.csv",
        "truth.csv",
        "data_dictionary.md",
        "night.json",
    ):
        assert (folder / name).stat().st_size > 100
        assert name in out
    assert "simulated" in out
    assert "simulated" in (folder / "map.svg").read_text(encoding="utf-8")
    assert not opened
    assert run("demo", "--hours", "0.05", "--open")[0] == 0
    assert opened == [str(Path("twitchmap-demo-2") / "map.svg")]


def test_the_map_tells_none_from_not_observed(run: Run, tmp_path: Path) -> None:
    """A bin without valid time has no rate in JSON; one with valid time and no twitch has the rate 0."""
    simulate_night(tmp_path / "a.night", spec=demonstration(2, 0.5))
    run("detect", tmp_path / "a.night")
    code, out, _ = run("map", tmp_path / "a.night", "--bin", "1min", "--json")
    assert code == 0
    (document,) = json.loads(out)
    assert document["origin"] == "simulated"
    blind = [row for row in document["bins"] if row["valid_s"] == 0]
    empty = [row for row in document["bins"] if row["valid_s"] > 50 and row["twitches"] == 0]
    assert blind
    assert empty
    assert all(row["rate_per_h"] is None and row["rate_high"] is None for row in blind)
    assert all(row["rate_per_h"] == 0 and row["rate_high"] > 0 for row in empty)
    assert {row["state"] for row in blind} <= {"not_observed", "not_worn"}
    assert {row["state"] for row in empty} <= {"observed", "wear_unconfirmed"}


def still_night(folder: Path) -> Path:
    """Make 25 minutes: a body that breathes, a table, a sensor that came late, and one that sent nothing."""
    rng = np.random.default_rng(5)
    meta = made_nights.meta(4, origin="imported")
    with create_night(folder, meta) as writer:
        for minute in range(25):
            time_s = 60 * minute + np.arange(6000) / 100
            for sensor in range(3):
                if sensor == 2 and minute < 13:
                    continue
                mg = rng.normal((0, 0, 1000), 0.7, (6000, 3))
                mg[:, 0] += 1.0 * (sensor == 0) * np.sin(1.5 * time_s)
                at_ns = 60 * 10**9 * (minute + 1)
                writer.append_samples(
                    sensor, np.round(mg / 0.122).astype(np.int16), 6000 * minute,
                    arrival_mono_ns=at_ns, arrival_utc_ns=meta.start_ns + at_ns,
                )  # fmt: skip
    return folder


def test_none_not_observed_not_worn_and_doubtful_stay_apart(run: Run, tmp_path: Path) -> None:
    """The four read differently in what detect prints, in the map, in its JSON and in the exported tables."""
    path = still_night(tmp_path / "a.night")
    code, out, err = run("detect", path, "--model", "plain")
    assert (code, err.strip()) == (0, "right_thigh: the sensor sent nothing.")
    said = {line.split()[0]: " ".join(line.split()[4:]) for line in out.splitlines()[2:]}
    assert said == {
        "left_calf": "none",
        "right_calf": "not worn",
        "left_thigh": "none, wearing not confirmed",
        "right_thigh": "not observed",
    }
    code, out, _ = run("map", path)
    assert [out.count(words) for words in ("none seen (", "wearing not confirmed in")] == [2, 1]
    assert re.search(r"right calf +not worn", out)
    assert re.search(r"right thigh +not observed", out)
    (document,) = json.loads(run("map", path, "--json")[1])
    assert [row["state"] for row in document["sites"]] == [
        "observed", "not_worn", "wear_unconfirmed", "not_observed"
    ]  # fmt: skip
    assert run("export", path, "--out", tmp_path / "out")[0] == 0
    with (tmp_path / "out" / "counts.csv").open(encoding="utf-8") as file:
        rates = {(row["site"], row["valid_s"] != "0.0000", row["rate_per_h"]) for row in csv.DictReader(file)}
    assert {rate for site, seen, rate in rates if seen} == {"0"}
    assert {(site, rate) for site, seen, rate in rates if not seen} == {
        ("right_calf", ""),
        ("right_thigh", ""),
    }
    with (tmp_path / "out" / "coverage.csv").open(encoding="utf-8") as file:
        kinds = {(row["site"], row["kind"], row["wear_unconfirmed"]) for row in csv.DictReader(file)}
    assert ("left_calf", "valid", "0") in kinds
    assert ("right_calf", "not_worn", "0") in kinds
    assert ("left_thigh", "valid", "1") in kinds
    assert [kind for site, kind, _ in kinds if site == "right_thigh"] == ["gap"]


def test_map_draws_pictures(run: Run, made: Path, tmp_path: Path) -> None:
    """SVG and PNG files are written where asked, for one night at a time."""
    pytest.importorskip("matplotlib")
    code, out, err = run("map", made / "a.night", "--svg", tmp_path / "m.svg", "--png", tmp_path / "m.png")
    assert code == 0
    assert "left calf" in out
    assert "m.svg" in err
    assert (tmp_path / "m.svg").read_bytes().startswith(b"<")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    shutil.copytree(made / "a.night", tmp_path / "b.night")
    assert run("map", made / "a.night", tmp_path / "b.night", "--svg", tmp_path / "x.svg")[0] == 2


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


def test_info_tells_rates_gaps_and_runs(run: Run, made: Path) -> None:
    """Measured rates differ from nominal ones, gaps have causes, the run is listed."""
    code, out, _ = run("info", made / "a.night", "--json")
    assert code == 0
    document = json.loads(out)
    night = open_night(made / "a.night")
    for sensor in document["sensors"]:
        assert sensor["fs_hz"] == pytest.approx(max(s.fs_hz for s in night.stretches(sensor["site"])))
        assert sensor["fs_nominal_hz"] == 100
    assert any("out of reach" in gap["cause"] for sensor in document["sensors"] for gap in sensor["gaps"])
    assert len(document["runs"]) == 1
    code, out, _ = run("info", made / "a.night")
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


def flip_a_bit(night: Path) -> None:
    """Damage a night's log in its middle."""
    log = night / "samples.log"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0x10
    log.write_bytes(content)


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


def test_score_tells_recall_and_false_alarms(run: Run, made: Path) -> None:
    """A run is scored against the truth of its night."""
    code, out, _ = run("score", made / "a.night", "--truth", made / "truth.csv")
    assert code == 0
    assert "recall" in out
    code, out, _ = run("score", made / "a.night", "--truth", made / "truth.csv", "--json")
    (one,) = json.loads(out)
    assert one["truths"] + one["outside_truths"] > 0
    assert 0 <= one["recall"] <= 1


def test_a_refusing_system_is_a_sentence(run: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system that nothing else explains is exit 1 with its reason and its file."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "secret.toml")

    monkeypatch.setattr("firmware_host.recording.open_night", refuse)
    code, _, err = run("info", made / "a.night")
    assert code == 1
    assert "Permission denied (secret.toml)" in sentence(err)


def start(*arguments: object, cwd: Path, **more: Any) -> subprocess.Popen[bytes]:
    """Start the command line as a process of its own."""
    environment = {**os.environ, "PYTHONIOENCODING": more.pop("encoding", "utf-8"), "PYTHONUTF8": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "firmware_host", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environment,
        **more,
    )  # fmt: skip


def test_a_terminal_that_knows_only_ascii(made: Path) -> None:
    """The map prints on an ASCII terminal, and so does a note with other letters."""
    process = start("map", made / "a.night", cwd=made, encoding="ascii")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    out.decode("ascii")
    assert b"left calf" in out


def test_a_reader_that_leaves_early_is_no_error(made: Path) -> None:
    """When what reads the output stops, the command ends quietly."""
    process = start("map", made / "a.night", "--json", "--bin", "1s", cwd=made)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), err) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_cleanly(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM during a long command end it with 130 and 143, and nothing is left half made."""
    process = start(
        "demo", "--out", "out", "--hours", "1", cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    patience = time.monotonic() + 120
    while not list(tmp_path.glob("out/*.night")) and time.monotonic() < patience:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert not list(tmp_path.glob("out/*.night"))


def test_progress_shows_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar is drawn on a terminal once a second has passed, and wiped at the end; elsewhere nothing is."""
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Progress("counting") as tell:
        tell(0.5)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("counting") as tell:
        tell(0.5)
        tell(1.0, "sorting")
    shown = capsys.readouterr().err
    assert "counting [###############...............]  50%" in shown
    assert "sorting [" in shown
    assert shown.endswith("\r")


def test_tables_align() -> None:
    """Numbers stand to the right, words to the left, and no line ends in spaces."""
    assert (
        aligned(("a", "n"), [("long word", "1"), ("x", "100")])
        == "a            n\nlong word    1\nx          100"
    )


def test_every_exporter_has_the_same_way_in() -> None:
    """What the export command can call, every exporter has."""
    assert formats.names("export")
    for name in formats.names("export"):
        writer = formats.load("export", name).Writer
        assert all(callable(getattr(writer, method)) for method in ("add", "finish", "close"))


def edit(night: Path, old: str, new: str) -> None:
    """Edit a night's metadata as a person would, with an editor."""
    text = (night / "night.toml").read_text(encoding="utf-8")
    assert old in text
    (night / "night.toml").write_text(text.replace(old, new, 1), encoding="utf-8")


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


def test_a_truth_of_other_sites_is_not_scored(run: Run, nights: Path) -> None:
    """Twitches where the night has no sensor are left out and told of; a truth of them alone is refused."""
    truth = nights / "other.csv"
    truth.write_text("site,peak_s\nleft_foot,10\nleft_foot,20\n")
    code, out, err = run("score", nights / "a.night", "--truth", truth)
    assert (code, out) == (1, "")
    assert "other.csv is of other sites (left_foot) than a.night" in sentence(err)
    truth.write_text("site,peak_s\nleft_foot,10\nleft_calf,20\n")
    code, out, err = run("score", nights / "a.night", "--truth", truth)
    assert code == 0
    assert "no sensor at left_foot: 1 true" in sentence(err)
    assert "truth: 1 twitch in" in out


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


@pytest.mark.parametrize("time", ["0.5s", "32000h", "99999999999999h"])
def test_bins_that_cannot_be(run: Run, made: Path, time: str) -> None:
    """Bins under a second or over a month get a sentence."""
    code, _, err = run("map", made / "a.night", "--bin", time)
    assert code == 1
    assert "1 s to 31 days" in sentence(err)


def test_names_from_elsewhere(run: Run, nights: Path) -> None:
    """Bytes that are no text are refused, and control characters do not reach the terminal."""
    code, _, err = run("amend", nights / "a.night", "--participant", "\udcff")
    assert code == 1
    assert "no UTF-8 text" in sentence(err)
    assert run("amend", nights / "a.night", "--participant", "a\x1b[31mb")[0] == 0
    code, out, _ = run("info", nights / "a.night")
    assert "participant a?[31mb" in out


def test_closed_streams_are_no_fault(made: Path) -> None:
    """Started without stdout and stderr, as by some schedulers, a command does its work."""
    command = f"exec {sys.executable} -m firmware_host map {made / 'a.night'} --svg {made / 'x.svg'} >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0
    assert (made / "x.svg").stat().st_size > 1000


def test_one_bad_night_does_not_stop_detection(run: Run, nights: Path) -> None:
    """Of several nights the others get their run; what was wrong with one is told, and the exit code is 1."""
    shutil.copytree(nights / "a.night", nights / "0.night")
    (nights / "0.night" / "samples.log").write_bytes(b"")
    code, out, err = run("detect", nights, "--json")
    assert (code, [one["night"] for one in json.loads(out)]) == (1, ["a.night"])
    assert "0.night: " in err


def test_an_interrupted_demo_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demonstration that stops after the night was made takes the night with it."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("firmware_host.analysis.detect_night", stop)
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "there", tmp_path / "new"):
        assert run("demo", "--hours", "0.05", "--out", out)[0] == 130
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())
