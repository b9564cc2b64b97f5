"""The night while it is recorded: what arrives is kept, what happens is logged, and it ends as planned."""

from __future__ import annotations

import subprocess
import sys
from datetime import time
from pathlib import Path

import numpy as np
import pytest
from scripted_sensors import START_NS, Clocks, S, Stage, kinds, numbers, samples

from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.status_file import StatusFile
from firmware_host.capture.told import View
from firmware_host.errors import SensorError
from firmware_host.recording import amend_night, gaps, open_night
from firmware_host.recording.reader import is_finished
from firmware_host.sensors.protocol import Facts


def test_what_arrives_is_in_the_night(tmp_path: Path) -> None:
    """Samples of two sensors come back bit for bit and in order, also those of the last part of a second."""
    stage = Stage(tmp_path, "left_calf", "right_calf")

    async def script(stage: Stage) -> None:
        for link in stage.links.values():
            link.connect()
        await stage.stream(3.3)
        stage.links["right_calf"].send(7, lost=20)
        stage.stop.ask("ended by hand")

    assert stage.play(script) == "ended by hand"
    assert all(link.closed for link in stage.links.values())
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night), numbers(0, 330))
    expected = np.concatenate([numbers(0, 330), numbers(350, 7)])
    np.testing.assert_array_equal(samples(night, "right_calf"), expected)
    assert kinds(night) == ["connected", "connected", "ended"]
    assert is_finished(night)
    assert night.meta.sensor("left_calf").serial == "A1"
    assert night.meta.time_zone == "Europe/Berlin"
    assert night.path.name == "2026-11-22T23-30-00.night"


def test_facts_of_the_sensor_replace_expected_ones(tmp_path: Path) -> None:
    """night.toml says what the model promises, and from the first connection on what the sensor says."""
    stage = Stage(tmp_path, "left_calf", "right_calf")
    assert open_night(stage.path).meta.sensor("left_calf").fs_hz == 100.0

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect(Facts(52.0, 0.001, "int16", 8.0, "B2", "2.0"))
        await stage.stream(1.5, "left_calf")
        stage.stop.ask("ended by hand")

    stage.play(script)
    info = open_night(stage.path).meta.sensor("left_calf")
    assert (info.fs_hz, info.g_per_count, info.range_g, info.serial) == (52.0, 0.001, 8.0, "B2")
    assert open_night(stage.path).meta.sensor("right_calf").g_per_count == 0.0005
    (stage.path / "night.toml").unlink()
    assert open_night(stage.path).meta.sensor("left_calf") == info  # the log's header knows


@pytest.mark.parametrize(
    "facts", [Facts(100.0, 0.001, "int16"), Facts(50.0, 0.0005, "int16"), Facts(100.0, 0.0005, "float32")]
)
def test_numbers_that_mean_something_else_are_refused(tmp_path: Path, facts: Facts) -> None:
    """A sensor of another scale, rate or kind of number than its site's samples is refused in a sentence."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        link = stage.links["left_calf"]
        link.connect()
        await stage.stream(1.5)
        link.event("lost", reason="link lost")
        with pytest.raises(
            SensorError, match=r"left_calf are 100 Hz, int16, 0\.5 mg a count: they cannot be mixed"
        ):
            link.connect(facts)
        link.connect(Facts(101.0, 0.0005, "int16"))  # what it says of its rate may differ a little
        stage.stop.ask("ended by hand")

    stage.play(script)
    assert open_night(stage.path).meta.sensor("left_calf").fs_hz == 100.0


def test_events_stand_where_they_happened(tmp_path: Path) -> None:
    """A lost connection stands behind the samples before it, the next stretch begins with the next ones."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        link = stage.links["left_calf"]
        link.connect()
        await stage.stream(2.5)
        stage.clocks.go(0.5)
        link.event("lost", reason="link lost")
        stage.clocks.go(20)
        link.connect()
        await stage.stream(2.5)
        link.event("restarted", reason="the sensor counts anew")
        link.counter = 0
        await stage.stream(2.5)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    stretches = night.stretches("left_calf")
    assert [(one.n, one.cause) for one in stretches] == [
        (250, "session"),
        (250, "connected"),
        (250, "restarted"),
    ]
    (gap,) = gaps(night, "left_calf")
    assert gap.cause == "connection lost: link lost"
    assert (gap.end_ns - gap.start_ns) / S == pytest.approx(20.5, abs=0.2)
    np.testing.assert_array_equal(samples(night), np.concatenate([numbers(0, 250)] * 3))
    assert "left_calf: connection lost (link lost), being looked for." in stage.told.said


def test_sleep_of_the_computer(tmp_path: Path) -> None:
    """A suspend is logged before the first samples behind it, and explains the gap, to the right length."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(5.5)
        stage.clocks.go(0.1, asleep_s=300)
        stage.links["left_calf"].send(10, lost=30_000)  # before the session has looked at the clocks
        await stage.stream(5)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    assert kinds(night) == ["connected", "suspended", "ended"]
    (gap,) = gaps(night, "left_calf")
    assert gap.cause == "computer asleep"
    assert (gap.end_ns - gap.start_ns) / S == pytest.approx(300, abs=0.2)
    assert night.duration_s == pytest.approx(310.6, abs=0.2)


def test_the_computer_learns_the_time_later(tmp_path: Path) -> None:
    """A night begun in 1970 gets its time once the clock is set, and its planned end with it."""
    stage = Stage(tmp_path, plan=PlannedEnd(until=time(0, 15)), clocks=Clocks(utc_ns=1000 * S))

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        assert stage.told.views[-1].end_ns is None
        stage.clocks.go(0, step_s=START_NS / S - 1000)
        await stage.stream(700)
        assert stage.told.views[-1].end_ns == START_NS + 2700 * S
        await stage.wait(2700)

    assert stage.play(script) == "planned end"
    night = open_night(stage.path)
    assert kinds(night) == ["connected", "clock_stepped", "ended"]
    assert night.start_ns == pytest.approx(START_NS, abs=S)
    assert len(night.stretches("left_calf")) == 1


def test_the_end_by_two_hours_of_silence(tmp_path: Path) -> None:
    """A night without a planned end goes on through an absence of under two hours, then ends by itself."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        await stage.wait(7100)
        await stage.stream(3)
        stage.clocks.go(1, asleep_s=9000)  # asleep is not silent
        await stage.wait(7220)

    assert stage.play(script) == "no data for two hours"
    (*_, last) = gaps(open_night(stage.path), "left_calf")
    assert (last.end_ns - last.start_ns) / S == pytest.approx(16_211, abs=2)


def test_ten_minutes_in(tmp_path: Path) -> None:
    """Ten minutes in there is one good word, or one sound and which sensor does not stream; then silence."""
    told = []
    for trouble in (None, "Nothing was heard of it."):
        stage = Stage(tmp_path / str(trouble is None), "left_calf", "right_calf")

        async def script(stage: Stage, trouble: str | None = trouble) -> None:
            stage.links["left_calf"].connect()
            if trouble is None:
                stage.links["right_calf"].connect()
            stage.links["right_calf"].trouble = trouble
            await stage.stream(1, "left_calf")
            await stage.wait(597)
            stage.told.said.clear()
            await stage.wait(3)
            await stage.wait(3000)
            stage.stop.ask("ended by hand")

        stage.play(script)
        told.append((stage.told.said, stage.told.rings))
    assert told == [
        (["All 2 sensors stream. Sleep well."], 0),
        (["Not all sensors stream. right_calf: Nothing was heard of it."], 1),
    ]


def test_a_fault_of_ours_in_one_link_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that fails unexpectedly is logged, told, and begun anew; the other sensor streams on."""
    monkeypatch.setattr("firmware_host.capture.session.AGAIN_S", 0.01)
    stage = Stage(tmp_path, "left_calf", "right_calf")

    async def script(stage: Stage) -> None:
        for link in stage.links.values():
            link.connect()
        await stage.stream(1)
        failed = stage.links["left_calf"]
        failed.fail(TypeError("our fault"))
        await stage.stream(1, "right_calf")
        while stage.links["left_calf"] is failed:
            await stage.ticks()
        stage.links["left_calf"].connect()
        await stage.stream(1)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night, "right_calf"), numbers(0, 300))
    assert gaps(night, "left_calf")[0].cause == "connection lost: fault of twitchmap: TypeError('our fault')"
    assert any("Something unexpected happened here (TypeError)" in said for said in stage.told.said)


def test_recording_starts_light() -> None:
    """What records is loaded without scipy and scikit-learn, and without anything virtual."""
    script = (
        "import sys, firmware_host.capture.recorder, firmware_host.cli.record, firmware_host.cli.mark\n"
        "heavy = {'scipy', 'sklearn', 'bleak', 'bumble', 'firmware_host.simulation'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_site_may_be_corrected_while_the_sensors_are_started(tmp_path: Path) -> None:
    """Nobody's night ends, and the status keeps the name by which the link was begun."""
    stage = Stage(tmp_path, "left_calf", "right_calf")
    status = StatusFile(stage.chosen.writer, stage.told, stage.stop)
    stage.session._told = status

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.ticks()
        amend_night(stage.path, sites={"left_calf": "left_thigh"})
        stage.links["right_calf"].connect(Facts(100.0, 0.002, "int16"))
        await stage.stream(2)
        assert {one.site for one in stage.told.views[-1].sensors} == {"left_calf", "right_calf"}
        stage.stop.ask("ended by hand")

    with status:
        assert stage.play(script) == "ended by hand"
    assert open_night(stage.path).sites == ("left_thigh", "right_calf")


def test_a_fault_of_ours_in_what_is_shown_costs_no_night(tmp_path: Path) -> None:
    """The recording goes on where a look at it fails."""
    stage = Stage(tmp_path)

    def fails(view: View) -> None:
        stage.told.views.append(view)
        raise ZeroDivisionError

    stage.told.show = fails  # type: ignore[method-assign]

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 300))
