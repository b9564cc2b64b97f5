"""The command line: what commands print, their exit codes, and that one sentence answers every mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest
from command_line import sentence
from conftest import Run

from firmware_host import __version__, formats
from firmware_host.cli import commands


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
    run: Run, detected: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """A missing file, a bad site, a full folder: exit 1, one sentence that names it, nothing left behind."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.csv").write_text("nothing")
    places = {
        "empty": tmp_path / "empty", "file": tmp_path / "file.csv", "night": detected / "a.night",
        "made": detected,
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


def test_map_draws_pictures(run: Run, detected: Path, tmp_path: Path) -> None:
    """SVG and PNG files are written where asked, for one night at a time."""
    pytest.importorskip("matplotlib")
    code, out, err = run(
        "map", detected / "a.night", "--svg", tmp_path / "m.svg", "--png", tmp_path / "m.png"
    )
    assert code == 0
    assert "left calf" in out
    assert "m.svg" in err
    assert (tmp_path / "m.svg").read_bytes().startswith(b"<")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    shutil.copytree(detected / "a.night", tmp_path / "b.night")
    assert run("map", detected / "a.night", tmp_path / "b.night", "--svg", tmp_path / "x.svg")[0] == 2


def test_score_tells_recall_and_false_alarms(run: Run, detected: Path) -> None:
    """A run is scored against the truth of its night."""
    code, out, _ = run("score", detected / "a.night", "--truth", detected / "truth.csv")
    assert code == 0
    assert "recall" in out
    code, out, _ = run("score", detected / "a.night", "--truth", detected / "truth.csv", "--json")
    (one,) = json.loads(out)
    assert one["truths"] + one["outside_truths"] > 0
    assert 0 <= one["recall"] <= 1


def test_every_exporter_has_the_same_way_in() -> None:
    """What the export command can call, every exporter has."""
    assert formats.names("export")
    for name in formats.names("export"):
        writer = formats.load("export", name).Writer
        assert all(callable(getattr(writer, method)) for method in ("add", "finish", "close"))


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


@pytest.mark.parametrize("time", ["0.5s", "32000h", "99999999999999h"])
def test_bins_that_cannot_be(run: Run, detected: Path, time: str) -> None:
    """Bins under a second or over a month get a sentence."""
    code, _, err = run("map", detected / "a.night", "--bin", time)
    assert code == 1
    assert "1 s to 31 days" in sentence(err)
