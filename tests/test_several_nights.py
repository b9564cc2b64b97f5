"""Commands that are given several nights: what is wrong with one of them does not stop the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Run
from counted_nights import counted_night

from firmware_host.recording.settings import Settings, write_settings


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a night that has a run, between two that have none, and a truth of it."""
    folder = tmp_path_factory.mktemp("made")
    counted_night(folder / "b.night")
    for name in ("a", "c"):
        shutil.copytree(folder / "b.night", folder / f"{name}.night")
        (folder / f"{name}.night" / "results.sqlite").unlink()
    (folder / "truth.csv").write_text("site,peak_s\nleft_calf,10\nright_thigh,5\n")
    return folder


@pytest.fixture
def nights(made: Path, tmp_path: Path) -> Path:
    """Copy the made folder, for tests that change it."""
    return Path(shutil.copytree(made, tmp_path / "nights"))


def calls(nights: Path, *which: Path) -> list[tuple[object, ...]]:
    """Return the commands that tell counts of stored runs."""
    return [
        ("map", *which),
        ("score", *which, "--truth", nights / "truth.csv"),
        ("report", *which, "--out", nights / "report.html"),
    ]


@pytest.mark.parametrize("number", range(3))
def test_nights_without_a_run_do_not_stop_the_others(run: Run, nights: Path, number: int) -> None:
    """They are told, each once, the others are shown, and the exit code is 1, as `detect` has it."""
    code, out, err = run(*calls(nights, nights)[number], "--json")
    found = json.loads(out)
    told = found["nights"] if isinstance(found, dict) else found
    assert (code, [one["night"] for one in told]) == (1, ["b.night"])
    assert err.splitlines() == [
        f"{name}.night has no detection run yet: run `twitchmap detect` on it first." for name in "ac"
    ]


@pytest.mark.parametrize("number", range(3))
def test_several_nights_of_which_none_can_be_shown(run: Run, nights: Path, number: int) -> None:
    """Where none has a run the exit code is 1, and no report is written."""
    (nights / "b.night" / "results.sqlite").unlink()
    code, _, err = run(*calls(nights, nights)[number])
    assert (code, err.count("has no detection run yet")) == (1, 3)
    assert not (nights / "report.html").exists()


@pytest.mark.parametrize("number", range(3))
def test_counts_on_request_are_no_fault_of_a_night(run: Run, nights: Path, number: int) -> None:
    """Of two nights the one whose counts are kept back is told, the other shown, and the exit code is 0."""
    shutil.copytree(nights / "b.night", nights / "more" / "d.night")
    write_settings(nights / "more", Settings("on_request"))
    which = (nights / "b.night", nights / "more" / "d.night")
    code, _, err = run(*calls(nights, *which)[number])
    assert code == 0
    assert err.count("The counts of d.night are shown on request only") == 1
    code, out, err = run(*calls(nights, *which)[number], "--show")
    assert (code, "on request" in err) == (0, False)
    code, out, err = run(*calls(nights, which[1])[number])
    assert (code, out) == (1, "")
    assert "on request" in err


def test_a_value_that_suits_no_night_is_told_once(run: Run, nights: Path) -> None:
    """What the user gave is no fault of each night: it ends the command with one sentence."""
    for name in "ac":
        shutil.copy(nights / "b.night" / "results.sqlite", nights / f"{name}.night")
    code, _, err = run("map", nights, "--bin", "0.1s")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "1 s to 31 days" in err
