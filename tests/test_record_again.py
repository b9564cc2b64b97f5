"""Marks of other processes, and a night that was not finished and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from datetime import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scripted_sensors import MONO_NS, START_NS, Clocks, Listener, S, Stage, numbers, samples

from firmware_host.capture.asked import Order, wanted_sensors
from firmware_host.capture.ble import Radio
from firmware_host.capture.choice import begin, go_on, same_sensors, unfinished_night
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.identity import Wanted
from firmware_host.capture.outlet import expected_info
from firmware_host.capture.recorder import _choose
from firmware_host.capture.summary import summarise, text
from firmware_host.capture.watch import Moment
from firmware_host.errors import BadValueError, NightBusyError, NotFoundError, SensorError
from firmware_host.recording import gaps, open_night
from firmware_host.recording.marks import leave_mark, waiting_marks
from firmware_host.sensors import model_named
from firmware_host.sensors.protocol import Facts

NOW = (MONO_NS, START_NS)


def test_marks_from_another_process(tmp_path: Path) -> None:
    """A mark is in the log at the time that it was made, once, and no longer waits after the disk has it."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        at_ns = stage.clocks.now
        monkey = [at_ns.mono_ns, at_ns.utc_ns]
        await asyncio.to_thread(left, tmp_path, "felt one", *monkey)
        stage.clocks.go(0.8)
        await asyncio.to_thread(left, tmp_path, "", *monkey)
        await stage.ticks()
        await stage.stream(2)
        assert waiting_marks(stage.path) == []
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    marks = [event for event in night.events() if event.kind == "mark"]
    assert [mark.details["text"] for mark in marks] == ["felt one", ""]
    assert [mark.utc_ns - night.start_ns for mark in marks] == [2 * S, 2 * S]
    assert summarise(night).marks == 2
    with pytest.raises(NotFoundError, match="No night is being recorded"):
        leave_mark(tmp_path, "too late")


def test_a_file_that_names_another_is_no_mark(tmp_path: Path) -> None:
    """A mark is known and removed by its own name; another one, nonsense and pipes are left alone."""
    folder = tmp_path / "a.night" / "marks"
    folder.mkdir(parents=True)
    (tmp_path / "victim.mark").write_text("mine")
    for name, said in (("a", "../../victim"), ("b", "a\\u0000b"), ("c", "c")):
        (folder / f"{name}.mark").write_text(f'{{"id": "{said}", "mono_ns": 1, "utc_ns": 1}}')
    (folder / "d.mark").write_text('{"more": ' + "[" * 200_000)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "e.mark")
    assert [mark.id for mark in waiting_marks(folder.parent)] == ["c"]


def left(directory: Path, words: str, mono_ns: int, utc_ns: int) -> None:
    """Leave a mark as at a time of the hand-set clocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "firmware_host.recording.marks.time",
            SimpleNamespace(monotonic_ns=lambda: mono_ns, time_ns=lambda: utc_ns),
        )
        leave_mark(directory, words)


def test_an_unfinished_night_goes_on(tmp_path: Path) -> None:
    """A night whose recorder was killed is continued, each mark once; a finished one is not."""
    stage = Stage(tmp_path)
    sites = ["left_calf"]

    async def killed(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        await asyncio.to_thread(left, tmp_path, "before", MONO_NS + S, START_NS + S)
        await stage.ticks()
        mark = waiting_marks(stage.path)
        assert mark == []
        raise KilledError

    with pytest.raises(KilledError):
        stage.play(killed)
    night = unfinished_night(tmp_path, sites, "recorded", START_NS + 3600 * S)
    assert night is not None
    assert unfinished_night(tmp_path, ["left_calf", "right_calf"], "recorded", START_NS + 3600 * S) is None
    assert unfinished_night(tmp_path, sites, "virtual", START_NS + 3600 * S) is None
    assert unfinished_night(tmp_path, sites, "recorded", START_NS + 3600 * S, "somebody else") is None
    assert unfinished_night(tmp_path, sites, "recorded", START_NS + 12 * 3600 * S + S) is None
    assert unfinished_night(tmp_path, sites, "recorded", 1000 * S) is not None  # the time is not known yet
    (again := Clocks(START_NS + 3600 * S)).now = Moment(5 * S, 5 * S, START_NS + 3600 * S)
    chosen = go_on(night, lambda: (again.now.mono_ns, again.now.utc_ns))
    with pytest.raises(NightBusyError, match="is recording"):
        unfinished_night(tmp_path, sites, "recorded", START_NS + 3600 * S)
    stage = Stage(tmp_path, chosen=chosen, clocks=again, plan=PlannedEnd(until=time(7)))

    async def goes_on(stage: Stage) -> None:
        with pytest.raises(SensorError, match="cannot be mixed"):
            stage.links["left_calf"].connect(Facts(100.0, 0.001, "int16"))
        stage.links["left_calf"].connect()
        await stage.stream(3)
        assert stage.told.views[-1].end_ns == START_NS + 7.5 * 3600 * S
        stage.stop.ask("terminated")

    stage.play(goes_on)
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night), np.concatenate([numbers(0, 300)] * 2))
    assert [gap.cause for gap in gaps(night, "left_calf")] == ["recorder was not running"]
    assert [event.kind for event in night.events() if event.kind == "mark"] == ["mark"]
    assert unfinished_night(tmp_path, sites, "recorded", START_NS + 7200 * S) is None
    assert "started 2 times" in text(summarise(night))


def test_each_site_goes_on_with_its_own_sensor(tmp_path: Path) -> None:
    """A night goes on with the addresses it began with; another sensor or model at a site is refused."""
    stage = Stage(tmp_path, "left_calf", "right_calf")

    async def killed(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3, "left_calf")
        raise KilledError

    with pytest.raises(KilledError):
        stage.play(killed)
    night = open_night(stage.path)
    (connected,) = (event.details for event in night.events() if event.kind == "connected")
    model, address = connected["model"], connected["address"]
    other = "thingy52" if model != "thingy52" else "witmotion"

    def again(left: str, right: str) -> list[str | None]:
        wanted = wanted_sensors([("left_calf", left), ("right_calf", right)])
        return [one.address for one in same_sensors(night, wanted)]

    assert again(model, model) == [address, None], "the other had no samples yet"
    assert again(address, model) == [address, None]
    for left in (other, "AA:BB:CC:00:11:22", "WT901"):
        with pytest.raises(BadValueError, match=f"left_calf was {model} {address}.*--new"):
            again(left, model)


def test_a_night_goes_on_at_its_rates(tmp_path: Path) -> None:
    """Another rate is refused before the night is opened; where none is asked for it has the night's own."""
    witmotion = Wanted("left_calf", None, None, model_named("witmotion"), 100.0)
    sensors = (expected_info(0, witmotion), expected_info(1, replace(witmotion, site="right_calf")))
    about = {"time_zone": "UTC", "participant": "", "label": ""}
    with begin(tmp_path, sensors, "virtual", START_NS, **about, clock=lambda: NOW).writer as writer:
        writer.append_samples(0, numbers(0, 100), 0, arrival_mono_ns=MONO_NS, arrival_utc_ns=START_NS)
    length = (writer.path / "samples.log").stat().st_size

    def again(left_hz: float | None, right_hz: float | None) -> list[float | None]:
        wanted = (replace(witmotion, fs_hz=left_hz), replace(witmotion, site="right_calf", fs_hz=right_hz))
        order = Order(tmp_path, wanted, virtual=contextlib.nullcontext())  # type: ignore[arg-type]
        chosen, wanted = asyncio.run(_choose(order, wanted, Radio(), Listener(), lambda: NOW))
        chosen.writer.close()
        return [one.fs_hz for one in wanted]

    with pytest.raises(BadValueError, match=r"left_calf had 100 Hz, not 200 Hz\..*--new"):
        again(200.0, None)
    assert (writer.path / "samples.log").stat().st_size == length
    assert again(None, None) == [100.0, None], "the other has no samples yet"
    assert again(100.0, 50.0) == [100.0, 50.0]
    assert again(104.0, None) == [104.0, None], "which the sensor may have answered with 100"


class KilledError(Exception):
    """Stands for the end of the program."""
