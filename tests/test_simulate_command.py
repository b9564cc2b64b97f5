"""`twitchmap simulate`: what it writes, and that it leaves alone what was there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firmware_host.cli import main
from firmware_host.detection import RATE_REFUSED_BELOW_HZ
from firmware_host.learning.score import read_truth
from firmware_host.recording import open_night
from firmware_host.simulation import EVERYDAY
from firmware_host.simulation.chips import CLOCK_ERROR, CLOCK_PER_K, WARMING_K
from firmware_host.simulation.cohort import LEAST_RATE_HZ


def run(*arguments: object) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main(["simulate", *map(str, arguments), "--hours", "0.1"])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_it_writes_a_night_with_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Night, truth and happenings are written and belong together; the document counts them."""
    truth, happenings = tmp_path / "t.csv", tmp_path / "h.csv"
    options = (
        "--sites",
        "left_calf, right_hand",
        "--profile",
        "many",
        "--rate",
        52,
        "--confounders",
        "everyday",
    )
    files = ("--truth", truth, "--happenings", happenings)
    code = run(tmp_path / "a.night", *options, *files, "--seed", 3, "--json")
    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert document["simulated"]
    night = open_night(tmp_path / "a.night")
    assert night.sites == ("left_calf", "right_hand")
    assert {sensor.fs_hz for sensor in night.meta.sensors} == {52.0}
    assert len(read_truth(truth)) == sum(document["twitches"].values()) > 0
    kinds = {line.split(",")[1] for line in happenings.read_text().splitlines()[1:]}
    assert kinds == set(document["confounders"]) <= set(EVERYDAY)


def test_a_night_without_twitches_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same night can be had without a single twitch, for counting false alarms."""
    assert run(tmp_path / "a.night", "--no-twitches", "--confounders", "none", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["twitches"].values()) == {0}
    assert document["confounders"] == {}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--confounders", "ghost"), "knows no confounder 'ghost'"),
        (("--shapes", "square"), "knows no twitch shape 'square'"),
        (("--chip", "ABC"), "knows no chip 'ABC'"),
        (("--rate", "47.9"), "48 to 1000 Hz, not 47.9"),
        (("--sites", "left_calf,left_elbow"), "no body site"),
        (("--truth", "absent/t.csv"), "no folder"),
        (("--truth", "t.csv", "--happenings", "./t.csv"), "name two files"),
    ],
)
def test_what_cannot_be_simulated_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    """A wrong option gets a sentence, exit code 1, and no night."""
    assert run(tmp_path / "a.night", *options) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "a.night").exists()


def test_what_can_be_simulated_is_fast_enough_to_detect() -> None:
    """At the lowest rate the slowest clock, cold and far from where it settles, still does for detection."""
    slowest = min(low for low, _ in CLOCK_ERROR.values())
    drift = max(high for _, high in CLOCK_PER_K.values()) * WARMING_K[1]
    assert LEAST_RATE_HZ * (1 + slowest) * (1 - drift) >= RATE_REFUSED_BELOW_HZ


def test_an_interruption_removes_all_that_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the last file is written takes the night and its truth away."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("firmware_host.simulation.write_happenings", interrupt)
    truth, happenings = tmp_path / "t.csv", tmp_path / "h.csv"
    assert run(tmp_path / "a.night", "--truth", truth, "--happenings", happenings) == 130
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds something is refused and left as it was."""
    (tmp_path / "mine.txt").write_text("mine")
    assert run(tmp_path) == 1
    assert str(tmp_path) in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
