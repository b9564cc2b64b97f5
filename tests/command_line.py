"""A folder with a detected night for tests of the commands, and what these say of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_host.cli import main
from firmware_host.simulation import demonstration, simulate_night, write_truth

SITES = ("left_calf", "right_hand")


@pytest.fixture(scope="session")
def detected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with one detected night of six minutes on two sites, and its truth: only to look at."""
    folder = tmp_path_factory.mktemp("made")
    spec = replace(demonstration(4, 0.1), sites=SITES, chips=None)
    truth = simulate_night(folder / "a.night", spec=spec).twitches
    write_truth(folder / "truth.csv", truth)
    with pytest.raises(SystemExit):
        main(["detect", str(folder / "a.night"), "--json"])
    return folder


@pytest.fixture
def nights(detected: Path, tmp_path: Path) -> Path:
    """Copy the folder with a detected night, for commands that change it."""
    return Path(shutil.copytree(detected, tmp_path / "nights"))


def sentence(err: str) -> str:
    """Return what was said on stderr, which must be one line and no traceback."""
    assert "Traceback" not in err
    lines = [line for line in err.strip().splitlines() if line]
    assert len(lines) == 1, err
    return lines[0]


def flip_a_bit(night: Path) -> None:
    """Damage a night's log in its middle."""
    log = night / "samples.log"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0x10
    log.write_bytes(content)


def edit(night: Path, old: str, new: str) -> None:
    """Edit a night's metadata as a person would, with an editor."""
    text = (night / "night.toml").read_text(encoding="utf-8")
    assert old in text
    (night / "night.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
