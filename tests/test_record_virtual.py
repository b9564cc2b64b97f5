"""Nights over the virtual radio: real protocols, real GATT, the same code above bleak as otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_sensors import Listener

from firmware_host.capture import recorder
from firmware_host.capture.asked import order_for
from firmware_host.capture.awake import Proof
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.recorder import Recorded, record
from firmware_host.capture.stop import Stop
from firmware_host.capture.summary import summarise
from firmware_host.recording import Night, gaps, open_night
from firmware_host.sensors import model_named
from firmware_host.simulation.time_lapse import TimeLapseLoop
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld
from firmware_host.simulation.virtual_sensors import PlayedSensor

pytestmark = pytest.mark.lasts_s(35)

SITES = ("left_calf", "right_calf", "left_thigh", "right_thigh")
MODELS = ("witmotion", "movesense", "polar_verity", "capture2go")


@pytest.fixture(autouse=True)
def _not_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the computer's own sleep alone: what it says of that comes in real time."""

    @contextlib.asynccontextmanager
    async def nothing() -> AsyncIterator[Proof]:
        yield Proof(held=False, how="", sentence="Not kept awake.")

    monkeypatch.setattr("firmware_host.capture.recorder.keep_awake", nothing)


class Evening:
    """A recording of virtual sensors, in a loop in which time passes quickly."""

    def __init__(self, folder: Path, *models: str, new: bool = False, **world: Any) -> None:
        places = [(model_named(model).places or ("",))[0] for model in models]
        sites = (f"right_{place}" if place else site for place, site in zip(places, SITES, strict=False))
        sensors = list(zip(sites, models, strict=True))
        self.told, self.stop = Listener(), Stop()
        self.world = VirtualWorld([VirtualSensor(*one) for one in sensors], hours=0.2, **world)
        self.order = order_for(folder, sensors, new=new, virtual=self.world, time_zone="UTC")

    @property
    def sensors(self) -> list[PlayedSensor]:
        """The sensors that are played."""
        return list(self.world.sensors.values())

    def play(self, script: Callable[[Evening], Awaitable[None]]) -> Recorded:
        """Record while a script goes on; its end is the end of the night."""

        async def beside() -> None:
            try:
                await self.until(lambda: len(self.told.views) > 0)
                await script(self)
            finally:
                self.stop.ask("ended by hand")

        async def both() -> Recorded:
            task = asyncio.create_task(beside())
            recorded = await record(self.order, self.told, self.stop)
            await task
            return recorded

        with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
            return runner.run(both())

    async def until(self, holds: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.05)

    async def streaming(self, within_s: float = 30.0) -> None:
        """Wait until all sensors stream."""
        await self.until(
            lambda: (
                len(self.told.views[-1].sensors) == len(self.sensors)
                and all(one.state == "streaming" for one in self.told.views[-1].sensors)
            ),
            within_s,
        )


def sent(sensor: PlayedSensor) -> tuple[Any, Any]:
    """Return the counts of all samples that reached the host, in order, and their running numbers."""
    counts = np.concatenate([played.counts for played in sensor.sent])
    running = np.concatenate(
        [np.arange(played.first, played.first + len(played.counts)) for played in sensor.sent]
    )
    return counts, running


def check_whole(night: Night, sensor: PlayedSensor) -> None:
    """Check that every sample that reached the host is in the night, in order and bit for bit."""
    counts, _ = sent(sensor)
    found = np.concatenate([
        counts for stretch in night.stretches(sensor.site) for _, counts in stretch.count_chunks()
    ])  # fmt: skip
    np.testing.assert_array_equal(found, counts.astype(found.dtype))


def errors_ms(night: Night, sensor: PlayedSensor) -> list[float]:
    """Return each stretch's 99th percentile of |time - truth|, after a constant of at most 10 ms."""
    _, running = sent(sensor)
    found, at = [], 0
    for stretch in night.stretches(sensor.site):
        index = np.concatenate([np.arange(begin, end) for begin, end in stretch.pieces.tolist()])
        truth_ns = sensor.times_ns(running[at : at + len(index)])
        at += len(index)
        error_ms = (stretch.time_ns(index) - stretch.clock_offset_ns - truth_ns) / 1e6
        error_ms -= np.clip(np.median(error_ms), -10, 10)
        found.append(float(np.percentile(np.abs(error_ms), 99)))
    return found


@pytest.mark.long
def test_four_models_come_back_bit_for_bit(tmp_path: Path) -> None:
    """Every sample of four models that was sent is in the night, in order, at the time that it was taken."""
    evening = Evening(tmp_path, *MODELS)

    async def script(evening: Evening) -> None:
        await evening.streaming()
        await asyncio.sleep(30)
        for sensor in evening.sensors:
            sensor.drop()
        await asyncio.sleep(60)

    recorded = evening.play(script)
    assert (recorded.continued, recorded.ended) == (False, "ended by hand")
    night = open_night(recorded.path)
    assert night.meta.origin == "virtual"
    for sensor in evening.sensors:
        check_whole(night, sensor)
        assert len(night.stretches(sensor.site)) == 2
        limit_ms = 20.0 if sensor.model.counts == "none" else 5.0
        assert max(errors_ms(night, sensor)) < limit_ms, (sensor.site, errors_ms(night, sensor))
        assert night.meta.sensor(sensor.site).model == sensor.model.name
    assert [event.kind for event in night.events() if event.sensor is None] == ["awake", "ended"]
    assert all(one.share > 0.9 for one in summarise(night).sensors)


@pytest.mark.long
def test_every_fault_leaves_its_cause(tmp_path: Path) -> None:
    """Drops, silence, reboots, loss, repeats, garbage: all received is kept, each gap has a cause."""
    evening = Evening(tmp_path, *MODELS)

    async def script(evening: Evening) -> None:
        await evening.streaming()
        await asyncio.sleep(10)
        for fault, lasts_s in (
            (lambda one: one.drop(), 1),
            (lambda one: one.silence(True), 6),
            (lambda one: one.reboot(), 1),
            (lambda one: one.vanish(8), 1),
        ):
            for sensor in evening.sensors:
                fault(sensor)
                await asyncio.sleep(lasts_s)
                sensor.silence(False)
            await asyncio.sleep(15)
            await evening.streaming(15)
        for sensor in evening.sensors:
            sensor.lose(0.02)
            if sensor.model.counts != "none":  # a bare sample cannot tell that it is garbage, or came twice
                sensor.garble(0.01)
                sensor.repeat(0.02)
        await asyncio.sleep(15)

    night = open_night(evening.play(script).path)
    for sensor in evening.sensors:
        check_whole(night, sensor)
        causes = {gap.cause for gap in gaps(night, sensor.site)}
        assert causes <= {
            "not connected yet", "connection lost: link lost", "samples lost on the way", "sensor restarted",
        } | {cause for cause in causes if "no data for" in cause}, causes  # fmt: skip
        assert any("no data for" in cause for cause in causes)
        assert "connection lost: link lost" in causes
        kinds = [event.kind for event in night.events() if event.sensor is not None]
        assert "garbled" in kinds
        assert kinds.count("connected") == kinds.count("lost") + len(evening.sensors)


def test_the_radio_goes_away_and_comes_back(tmp_path: Path) -> None:
    """An adapter that is pulled out is told of once, as is its return; then all sensors stream again."""
    evening = Evening(tmp_path, "polar_verity", "capture2go")

    async def script(evening: Evening) -> None:
        await evening.streaming()
        await asyncio.sleep(10)
        evening.world.power(False)
        await asyncio.sleep(40)
        evening.world.power(True)
        await asyncio.sleep(5)
        await evening.streaming(20)
        await asyncio.sleep(10)

    night = open_night(evening.play(script).path)
    for sensor in evening.sensors:
        check_whole(night, sensor)
    assert sum("Bluetooth" in said for said in evening.told.said) == 2, evening.told.said
    assert evening.told.said.count("Bluetooth is back.") == 1


@pytest.mark.long
@pytest.mark.parametrize("models", [("polar_h10", "polar_oh1"), ("metamotion_r",)])
def test_an_untimed_radio(tmp_path: Path, models: tuple[str, ...]) -> None:
    """Over a radio without delays, too, all that was sent is kept, through twelve drops."""
    evening = Evening(tmp_path, *models, timed=False)

    async def script(evening: Evening) -> None:
        for i in range(12 // len(models)):
            await evening.streaming()
            await asyncio.sleep(2)
            for sensor in evening.sensors:
                sensor.drop()
            await asyncio.sleep(1 + i % 3)
        await evening.streaming()

    night = open_night(evening.play(script).path)
    for sensor in evening.sensors:
        check_whole(night, sensor)
        assert {gap.cause for gap in gaps(night, sensor.site)} <= {
            "connection lost: link lost", "not connected yet"
        }  # fmt: skip


@pytest.mark.long
def test_loss_that_nothing_counts_is_noticed(tmp_path: Path) -> None:
    """Half a second lost of a sensor without counter is a gap, and times stay right behind it."""
    evening = Evening(tmp_path, "witmotion", "movesense", "thingy52")

    async def script(evening: Evening) -> None:
        await evening.streaming()
        await asyncio.sleep(20)
        for sensor in evening.sensors:
            sensor.lose(1.0)
        await asyncio.sleep(0.5)
        for sensor in evening.sensors:
            sensor.lose(0.0)
        await asyncio.sleep(20)
        for sensor in evening.sensors:
            sensor.stall(1.0)  # late, not lost
        await asyncio.sleep(5)

    night = open_night(evening.play(script).path)
    for sensor, summary in zip(evening.sensors, summarise(night).sensors, strict=True):
        check_whole(night, sensor)
        (lost,) = (missing for missing in summary.missing if "samples lost on the way" in missing.cause)
        assert lost.seconds == pytest.approx(0.5, abs=0.1)
        assert summary.unsure_ms is None
        assert max(errors_ms(night, sensor)) < 20, errors_ms(night, sensor)


@pytest.mark.parametrize("while_", ["radio_trouble", "keep_awake"])
def test_the_time_is_set_just_before_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, while_: str
) -> None:
    """A clock that was days behind and is set right as the recorder starts ends no night before it began."""
    evening = Evening(tmp_path, "oba")
    evening.order = replace(evening.order, plan=PlannedEnd(hours=0.02))
    true, behind_ns = evening.world.clock, [2 * 86_400 * 10**9]
    before = getattr(recorder, while_)

    def set_right(*arguments: Any) -> Any:
        behind_ns[0] = 0
        return before(*arguments)

    def clock() -> tuple[int, int]:
        mono_ns, utc_ns = true()
        return mono_ns, utc_ns - behind_ns[0]

    monkeypatch.setattr(evening.world, "clock", clock)
    monkeypatch.setattr(recorder, while_, set_right)

    async def script(_: Evening) -> None:
        await asyncio.sleep(100)

    recorded = evening.play(script)
    night = open_night(recorded.path)
    assert recorded.ended == "planned end"
    assert night.duration_s == pytest.approx(72, abs=5)
    assert night.stretches("left_calf")[0].n > 60 * 208
