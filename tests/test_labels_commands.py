"""The commands that write and follow labels and diary, as a user types them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import made_runs
import pytest
from click.testing import CliRunner
from made_runs import SITES, START_NS

import firmware_host as tm
from firmware_host.cli import commands, main
from firmware_host.recording.labels import add_label

NIGHT = "2026-11-22_a.night"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a night and a run."""
    made_runs.judged_night(tmp_path / NIGHT)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """Run a command that succeeds; return what it prints on stdout."""
    done = CliRunner().invoke(commands, [*arguments, "--dir", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def counts(folder: Path) -> dict[str, int]:
    """Return the twitches of each site as `map --json` prints them."""
    (night,) = json.loads(run(folder, "map", str(folder / NIGHT), "--json"))
    return {site["site"]: site["twitches"] for site in night["sites"]}


def reject_all(folder: Path, site: str) -> int:
    """Reject all that counts at a site; return how many these are."""
    events = tm.load_run(tm.open(folder / NIGHT)).counted
    peaks = events["peak_s"][events["site"] == site]
    add_label(folder / NIGHT, what="not_twitch", drawn="range",
              peaks_ns={site: [START_NS + round(float(at) * 1e9) for at in peaks]})  # fmt: skip
    return len(peaks)


def test_map_and_export_follow_labels(folder: Path) -> None:
    """What a reviewer rejected is in no count of the map or the tables, and stays in events.csv, labelled."""
    before = counts(folder)
    rejected = reject_all(folder, SITES[0])
    assert counts(folder) == before | {SITES[0]: 0}
    run(folder, "export", str(folder / NIGHT), "--out", str(folder / "out"))
    with (folder / "out" / "events.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "not_twitch"]
    assert len(rows) == rejected
    assert {(row["counted"], "rejected" in row["flags"].split()) for row in rows} == {("0", True)}
    with (folder / "out" / "counts.csv").open(encoding="utf-8") as file:
        assert sum(int(row["twitches"]) for row in csv.DictReader(file) if row["site"] == SITES[0]) == 0
    night = json.loads((folder / "out" / "night.json").read_text())["nights"][0]
    assert night["labels"] == 1


def test_the_score_is_the_detectors(folder: Path) -> None:
    """A score leaves out what a reviewer said, but for --labels."""
    rows = made_runs.events()
    true = rows[rows["counted"]]
    (folder / "truth.csv").write_text(
        "site,peak_s\n" + "".join(f"{row['site']},{row['peak_s']}\n" for row in true), encoding="utf-8"
    )
    reject_all(folder, SITES[0])
    call = ("score", str(folder / NIGHT), "--truth", str(folder / "truth.csv"), "--json")
    (plain,), (with_labels,) = (json.loads(run(folder, *call, *more)) for more in ((), ("--labels",)))
    assert plain["false_alarms"] == with_labels["false_alarms"] == 0
    assert plain["found"] > with_labels["found"] > 0


def test_a_score_says_of_which_run_and_that_a_night_is_simulated(folder: Path) -> None:
    """A score names run, model and point, in words and in JSON, and marks a simulated night."""
    (folder / "truth.csv").write_text(f"site,peak_s\n{SITES[0]},10\n", encoding="utf-8")
    call = ("score", str(folder / NIGHT), "--truth", str(folder / "truth.csv"))
    (document,) = json.loads(run(folder, *call, "--json"))
    info = tm.load_run(tm.open(folder / NIGHT)).info
    assert (document["origin"], document["run"]) == ("simulated", info.run_id)
    head = run(folder, *call).splitlines()[0]
    assert head == f"{NIGHT} (simulated): run {info.run_id}, {info.model}, {info.operating_point}"


def test_a_diary_is_written_shown_and_exported(folder: Path) -> None:
    """What is typed is kept, shown, and a row of diary.csv; a spreadsheet is not steered by it."""
    run(folder, "diary", NIGHT, "caffeine=much", "exercise_what==2+2", "note=a, b")
    shown = json.loads(run(folder, "diary", NIGHT, "caffeine=", "--json"))
    assert shown["diary"] == {"exercise_what": "=2+2", "note": "a, b"}
    assert "a, b" in run(folder, "diary", NIGHT)
    run(folder, "export", str(folder / NIGHT), "--out", str(folder / "out"))
    with (folder / "out" / "diary.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["participant"], row["night"], row["site"], row["note"]) == ("P1", NIGHT, "", "a, b")
    assert row["exercise_what"] == "'=2+2"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["caffeine"], 2, "equals sign"), (["coffee=much"], 1, "it has caffeine"),
        (["caffeine=lots"], 1, "none, little, some, much"), (["note=" + "x" * 501], 1, "500"),
        (["note=a", "note=b"], 2, "twice"), (["=x"], 1, "The diary has no ''"),
    ],
)  # fmt: skip
def test_a_diary_says_what_it_does_not_take(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """A wrong field, value or form: one sentence, and nothing is written."""
    with pytest.raises(SystemExit) as ended:
        main(["diary", NIGHT, *arguments, "--dir", str(folder)])
    assert ended.value.code == code
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (folder / NIGHT / "diary.jsonl").exists()


def test_broken_labels_are_noted(folder: Path) -> None:
    """A line of labels that cannot be understood is told on stderr; the night is shown all the same."""
    (folder / NIGHT / "labels.jsonl").write_text("{\n")
    done = CliRunner().invoke(commands, ["map", str(folder / NIGHT), "--json"])
    assert done.exit_code == 0
    assert "line 1 cannot be understood" in done.stderr
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from-labels"], ["--use", "mine", "--take-back"], ["--from-labels", "last", "--seed", "3"],
        ["last"], ["--use", "mine", "last"],
    ],
)  # fmt: skip
def test_train_is_told_one_thing(folder: Path, arguments: list[str]) -> None:
    """What does not go together is wrong usage, and nothing is made."""
    done = CliRunner().invoke(commands, ["train", *arguments, "--dir", str(folder)])
    assert done.exit_code == 2
    assert not (folder / "models").exists()


def test_rates_are_those_that_labels_leave(folder: Path) -> None:
    """After labels, night.json and `detect --json` have the rate that the map tells, and not none."""
    reject_all(folder, SITES[0])
    (night,) = json.loads(run(folder, "map", str(folder / NIGHT), "--json"))
    told = {site["site"]: site["rate_per_h"] for site in night["sites"]}
    assert told[SITES[0]] == 0 < told[SITES[1]]
    run(folder, "export", str(folder / NIGHT), "--out", str(folder / "out"))
    (exported,) = json.loads((folder / "out" / "night.json").read_bytes())["nights"]
    (detected,) = json.loads(run(folder, "detect", str(folder / NIGHT), "--json"))
    (night,) = json.loads(run(folder, "map", str(folder / NIGHT), "--json"))
    again = {site["site"]: site["rate_per_h"] for site in night["sites"]}
    for summary, rates in ((exported["run"]["summary"], told), (detected["summary"], again)):
        assert {site["site"]: site["rate_per_h"] for site in summary["sites"]} == rates
