"""A disk that refuses, files that are removed, moved or replaced: the night is kept, and it is told."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from failing_disk import Disk
from scripted_sensors import START_NS, S, Stage, kinds, numbers, samples

from firmware_host.capture.choice import unfinished_night
from firmware_host.errors import NightBusyError, StorageError
from firmware_host.recording import amend_night, open_night
from firmware_host.recording import log as recording_log
from firmware_host.sensors.protocol import Facts


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told of once, nothing is missing when there is room again, and that is told too."""
    stage = Stage(tmp_path)
    disk = Disk(room=0)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        monkeypatch.setattr(recording_log, "os", disk)
        await stage.stream(60)
        assert open_night(stage.path).stretches("left_calf")[0].n < 300
        disk.room = None
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 6500))
    assert sum("is full: free some space" in said for said in stage.told.said) == 1
    assert stage.told.said[-1] == "All is written again; nothing that it was owed is missing."


def test_what_a_full_disk_cost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk refused for longer than memory lasts, it is said how much of which site is missing."""
    stage, disk = Stage(tmp_path), Disk(room=0)
    monkeypatch.setattr(recording_log, "BACKLOG_BYTES", 2000)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        monkeypatch.setattr(recording_log, "os", disk)
        await stage.stream(60)
        disk.room = None
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    lost = sum(event.details["samples"] for event in night.events() if event.kind == "lost_data")
    assert lost > 1000
    assert stage.told.said[-1] == (
        f"All is written again; {lost / 100:.0f} s of left calf could not be kept."
    )


@pytest.mark.parametrize("what", ["folder", "log"])
def test_a_night_that_is_removed_is_made_again(tmp_path: Path, what: str) -> None:
    """Whoever removes the folder or the log of a running night costs none of its samples, and it is said."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        if what == "folder":
            shutil.rmtree(stage.path)
        else:
            amend_night(stage.path, participant="P7")
            (stage.path / "samples.log").unlink()
        await stage.stream(1)
        stage.chosen.writer._log._place_due = 0.0  # two seconds of a clock that nobody turns here
        await stage.stream(4)
        with pytest.raises(NightBusyError):
            unfinished_night(tmp_path, ["left_calf"], "recorded", START_NS + 3600 * S)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night), numbers(0, 800))
    assert night.meta.sensor("left_calf").serial == "A1"
    assert night.meta.participant == ("P7" if what == "log" else "P1")
    assert kinds(night) == ["connected", "restored", "ended"]
    assert any("was made again with all its samples" in said for said in stage.told.said)


def test_a_log_that_another_file_replaced_is_kept_beside_it(tmp_path: Path) -> None:
    """Where a file was put in the log's place, as sync programs do, what was recorded is kept beside it."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        shutil.copy(stage.path / "samples.log", tmp_path / "copy")
        (tmp_path / "copy").replace(stage.path / "samples.log")
        stage.chosen.writer._log._place_due = 0.0
        await stage.stream(5)
        assert any("Another file stands in place of" in said for said in stage.told.said)
        stage.stop.ask("ended by hand")

    with pytest.raises(StorageError, match=r"what was recorded is in .*samples\.log\.1"):
        stage.play(script)
    (stage.path / "samples.log.1").replace(stage.path / "samples.log")
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 800))


def test_a_disk_that_tells_nothing_of_its_files_ends_no_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where even to look at the log fails, as on a share that is away, recording goes on."""
    stage, away = Stage(tmp_path), OSError(errno.ESTALE, "stale file handle")

    def fstat(_: int) -> os.stat_result:
        raise away

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        with monkeypatch.context() as patch:
            patch.setattr(recording_log.os, "fstat", fstat)
            stage.chosen.writer._log._place_due = 0.0
            await stage.stream(2)
        await stage.stream(1)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 500))


def test_a_night_that_is_moved_away_is_told_of(tmp_path: Path) -> None:
    """Samples go on into a folder that is moved while it is written; where it belongs is said at once."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        stage.path.rename(tmp_path / "elsewhere")
        stage.chosen.writer._log._place_due = 0.0
        await stage.stream(3)
        assert any("put it back at its place" in said for said in stage.told.said)
        (tmp_path / "elsewhere").rename(stage.path)
        stage.chosen.writer._log._place_due = 0.0
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 900))


def test_night_toml_on_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sensor says of itself is written to night.toml as soon as the disk lets it; samples go on."""
    stage = Stage(tmp_path)

    def refuses(folder: Path, meta: Any) -> None:
        raise StorageError("night.toml could not be written (read-only).")

    async def script(stage: Stage) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("firmware_host.recording.writer.write_meta", refuses)
            stage.links["left_calf"].connect(Facts(100.0, 0.002, "int16"))
            await stage.stream(2)
            assert open_night(stage.path).meta.sensor("left_calf").g_per_count == 0.0005
        await stage.stream(2)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    assert night.meta.sensor("left_calf").g_per_count == 0.002
    np.testing.assert_array_equal(samples(night), numbers(0, 400))
    assert stage.told.said.count("night.toml could not be written (read-only).") == 1


@pytest.mark.parametrize("there", ["format = 99\n", "more = " + "[" * 5000])
def test_a_night_toml_of_others_costs_no_samples(tmp_path: Path, there: str) -> None:
    """One of a newer program, or nonsense, that lies there when a sensor is started ends no recording."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        (stage.path / "night.toml").write_text(there)
        stage.links["left_calf"].connect(Facts(100.0, 0.002, "int16"))
        await stage.stream(2)
        stage.stop.ask("ended by hand")

    assert stage.play(script) == "ended by hand"
    night = open_night(stage.path)
    assert night.meta.sensor("left_calf").g_per_count == 0.002
    np.testing.assert_array_equal(samples(night), numbers(0, 200))
