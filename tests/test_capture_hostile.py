"""What no honest sensor or system does, but may happen: no night and no other sensor is lost by it."""

from __future__ import annotations

import asyncio
import signal
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bleak.backends.device import BLEDevice
from fake_bleak import Air
from scripted_sensors import START_NS, S, Stage, kinds, numbers, samples
from streamed_links import Night, more, now_s, play, streaming, tiny, until, wanted
from tiny_sensor import COUNTED, DATA, TinyDriver, TinyPeripheral

from firmware_host.capture.asked import order_for
from firmware_host.capture.ble import Radio
from firmware_host.capture.blocks import Gathering
from firmware_host.capture.hearing import Ear, Listener, Seen
from firmware_host.capture.script import Notification
from firmware_host.capture.setups import Setup, SetupSensor, save_setup
from firmware_host.capture.stop import Stop, ended_by_signals
from firmware_host.capture.stream import Stream
from firmware_host.recording import marks, open_night
from firmware_host.sensors import models
from firmware_host.sensors.protocol import (
    Batch,
    Battery,
    Driver,
    Facts,
    Model,
    Read,
    Received,
    Restarted,
    Script,
)


class Scanner:
    """A scan whose start and end a test may hold up."""

    def __init__(self, start: Callable[[], Any], stop: Callable[[], Any]) -> None:
        self._start, self._stop = start, stop

    async def start(self) -> None:
        """Begin."""
        await self._start()

    async def connected(self) -> list[Seen]:
        """Return nothing."""
        return []

    async def stop(self) -> None:
        """End."""
        await self._stop()


async def _at_once() -> None: ...


@pytest.mark.timeout(20)
@pytest.mark.parametrize("later", range(6))
def test_who_gives_up_connecting_stops_nobody(later: int) -> None:
    """A connection that is given up while a scan ends, at whatever moment, lets the program go on."""

    async def go() -> None:
        ended = asyncio.Event()
        ear = Ear(lambda _: Scanner(_at_once, ended.wait))
        heard: Listener = asyncio.Queue(10)

        async def connect() -> None:
            async with ear.silence():
                pass

        async with ear.listening(heard):
            await heard.get()
            connecting = asyncio.create_task(connect())
            await asyncio.sleep(0.05)
            ended.set()
            for _ in range(later):
                await asyncio.sleep(0)
            connecting.cancel()
            _, none = await asyncio.wait_for(heard.get(), 5.0)
            assert none is None  # the next scan has begun

    asyncio.run(go())


def test_a_scan_that_never_begins_is_begun_anew() -> None:
    """A start that neither ends nor lets itself be given up is left behind after a minute."""

    async def forever() -> None:
        while True:
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                if now_s() > 1300.0:  # the test's own end
                    raise

    async def go() -> None:
        starts = iter([forever, _at_once])
        ear = Ear(lambda _: Scanner(next(starts), _at_once))
        heard: Listener = asyncio.Queue(100)
        async with ear.listening(heard), asyncio.timeout(200):
            while (await heard.get())[1] is not None:
                pass
        await asyncio.sleep(300)

    play(go())


def test_an_adapter_that_comes_back_is_heard_again() -> None:
    """A sensor that only one of two adapters reaches is found again after that adapter was away."""

    async def go() -> None:
        sensor, other = tiny(1), tiny(2)
        sensor.heard_by = other.heard_by = "hci1"
        air = Air(sensor)
        async with streaming(air, wanted(sensor), adapters=["hci0", "hci1"]) as (_, [night]):
            await until(more(night))
            air.dead_adapters.add("hci1")
            sensor.drop()
            await asyncio.sleep(60)
            assert not night.all("radio_gone")  # one is left
            air.dead_adapters.clear()
            await until(more(night))

    play(go())


def test_what_a_running_scan_hears_first_is_not_lost() -> None:
    """Who joins a scan that is running is told of the first sensor that it hears."""

    async def go() -> None:
        ears: list[Callable[[Any], None]] = []
        radio = Radio()
        ear = Ear(lambda tell: ears.append(tell) or Scanner(_at_once, _at_once))  # type: ignore[func-returns-value]
        radio._ears[None] = ear
        seen = Seen("C0:00:00:00:00:01", TinyPeripheral(COUNTED).advertisement(), -60, None, None)
        async with radio.scan():
            asyncio.get_running_loop().call_later(0.1, lambda: ears[0](seen))
            async with radio.scan() as heard:
                assert await anext(aiter(heard)) is seen

    asyncio.run(go())


class Odd(TinyDriver):
    """Takes for granted what a sensor answers."""

    def start(self) -> Script:
        """Read a word that is longer than what comes."""
        level = yield Read(DATA)
        struct.unpack("<Q", level)


def test_an_answer_that_nobody_thought_of_is_said() -> None:
    """A driver that fails over an answer is a trouble of that sensor, in a sentence, and is tried again."""

    async def go() -> None:
        model = Model(
            **{name: getattr(COUNTED, name) for name in COUNTED.__dataclass_fields__} | {"driver": Odd}
        )
        sensor, other = tiny(1, model), tiny(2)
        wants = [wanted(sensor), wanted(other, "right_calf")]
        async with streaming(Air(sensor, other), *wants) as (_, [odd, night]):
            await until(more(night, 100))
            [told] = odd.all("trouble")
            assert told["sentence"] == "left_calf: It answered with what is not understood (error)."
            assert sensor.connects > 1

    play(go())


class Saying(Driver):
    """Says what a test wants it to."""

    def __init__(self, *said: Received) -> None:
        super().__init__(COUNTED)
        self.said: Sequence[Received] = said

    def start(self) -> Script:
        """Do nothing."""
        yield from ()

    def stop(self) -> Script:
        """Do nothing."""
        yield from ()

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Say it."""
        return self.said


def streamed(driver: Driver, *notes: tuple[str, bytes]) -> tuple[Night, list[str]]:
    """Return what notifications, a millisecond apart, come to, and why the connection was to be left."""
    night, left = Night(), []
    stream = Stream(driver.model, driver, night, left.append, set())
    stream.begin(Facts(400.0, 0.001, "int16"), driver.model, None, 0, 0)  # type: ignore[arg-type]
    for i, (characteristic, data) in enumerate(notes):
        stream.take(Notification(characteristic, data, i * S // 1000, i * S // 1000))
    stream.end(S, S)
    return night, left


IMPOSSIBLE = (
    Batch(numbers(0, 4), 2**63),
    Batch(numbers(0, 4), -(2**63) - 1),
    Batch(numbers(0, 4), 0, 2**64 * 1000),
    Batch(numbers(0, 4)[:0], 0),
    Batch(np.array([[0, np.nan, 1]], np.float32), 0),
    Batch(np.array([[0, np.inf, 1]], np.float32), 0),
    Batch(np.zeros((63_000, 3), np.int16), 0),
)


@pytest.mark.parametrize("batch", IMPOSSIBLE)
def test_numbers_that_cannot_be_are_no_samples(batch: Batch) -> None:
    """A stamp of 64 bit, no acceleration, or more samples than fit: counted as garbled, and not recorded."""
    night, _ = streamed(Saying(batch), (DATA, b"1"))
    assert not night.all("samples")
    assert night.all("garbled") == [{"count": 1, "reason": "numbers beyond all bounds"}]


def test_a_flood_of_words_is_not_all_logged() -> None:
    """A charge that does not change is logged once a minute; who counts anew all the time is left."""
    night, left = streamed(Saying(Battery(80)), *[(DATA, bytes([i % 251])) for i in range(1000)])
    assert (len(night.all("battery")), left) == (1, [])
    night, left = streamed(Saying(Restarted()), *[(DATA, bytes([i % 251])) for i in range(300)])
    assert left == ["the sensor counts anew over and over"]


def test_a_stamp_beyond_the_log_is_no_sample() -> None:
    """A first frame with the largest stamp that a protocol can say is garbled."""
    polar = models()["polar_h10"]
    driver = polar.driver(polar)
    driver._streaming = True  # type: ignore[attr-defined]
    frame = bytes([2]) + b"\xff" * 8 + b"\1" + struct.pack("<3h", 1, -2, 1000)
    night, _ = streamed(driver, ("fb005c82-02e7-f387-1cad-8acd2d8df0c8", frame))
    assert not night.all("samples")
    assert night.all("garbled")


def test_a_compressed_frame_of_nothing_is_refused() -> None:
    """A Polar frame cannot make tens of thousands of samples of two bytes each."""
    from firmware_host.sensors.polar_pmd import decompressed

    with pytest.raises(ValueError, match="more samples than"):
        decompressed(b"\0" * 6 + bytes([0, 255]) * 240)


def test_a_flood_of_samples_makes_blocks_that_fit() -> None:
    """However many samples come at once, and after a pause too, blocks stay within what the log takes."""
    for numbered in (True, False):
        gathering, blocks = Gathering(), []
        gathering.numbered = numbered
        for i in range(100):
            at_ns = i * S // 10 if i < 60 else 7 * S
            n = 10 if i < 60 else 4000
            first = 10 * i if i < 60 else 600 + 4000 * (i - 60)
            blocks += gathering.add(Batch(np.zeros((n, 3), np.int16), first), at_ns, at_ns)
        blocks += gathering.take()
        assert max(len(block.counts) for block in blocks) < 65_536
        assert sum(len(block.counts) for block in blocks) == 600 + 40 * 4000


def test_a_block_that_cannot_be_kept_costs_nothing_else(tmp_path: Path) -> None:
    """A block that the log refuses is logged as a fault; the night, the sensor and the others go on."""
    stage = Stage(tmp_path, "left_calf", "right_calf")

    async def script(stage: Stage) -> None:
        for link in stage.links.values():
            link.connect()
        await stage.stream(2)
        left = stage.links["left_calf"]
        left.outlet.samples(Batch(numbers(0, 10), 2**63), stage.clocks.now.mono_ns, START_NS)
        await stage.stream(4, "right_calf")  # it is overdue meanwhile
        left.counter = 400
        await stage.stream(2)
        stage.stop.ask("ended by hand")

    assert stage.play(script) == "ended by hand"
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night, "right_calf"), numbers(0, 800))
    np.testing.assert_array_equal(samples(night), np.concatenate([numbers(0, 200), numbers(400, 200)]))
    assert kinds(night).count("fault") == 1


def test_a_block_that_cannot_be_kept_is_no_sample(tmp_path: Path) -> None:
    """A sensor whose first block the log refused may still turn out to send another scale."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        link = stage.links["left_calf"]
        link.connect()
        link.outlet.samples(Batch(numbers(0, 10), 2**63), stage.clocks.now.mono_ns, START_NS)
        link.event("lost", reason="link lost")
        link.connect(Facts(100.0, 0.002, "int16"))
        await stage.stream(2)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 200))


def test_marks_on_a_disk_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be listed for a while ends no night."""
    stage = Stage(tmp_path)

    def refuse(*_: object) -> Any:
        raise OSError(5, "Input/output error")

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        monkeypatch.setattr(marks.Path, "glob", refuse)
        await stage.stream(1)
        monkeypatch.undo()
        stage.stop.ask("ended by hand")

    assert stage.play(script) == "ended by hand"


def test_adapters_that_are_named_replace_those_of_the_set_up(tmp_path: Path) -> None:
    """A sensor whose adapter of the evening is not among those given is looked for with those."""
    sensors = tuple(
        SetupSensor(site=site, model="witmotion", adapter=adapter)
        for site, adapter in (("left_calf", "hci1"), ("right_calf", "hci0"))
    )
    save_setup(tmp_path, Setup(sensors=sensors))
    order = order_for(tmp_path, adapters=("hci0",))
    assert [one.adapter for one in order.wanted] == [None, "hci0"]
    assert [one.adapter for one in order_for(tmp_path).wanted] == ["hci1", "hci0"]


def test_a_sensor_that_stays_connected_to_nobody_is_told_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed recorder left connected is told of once a minute: the first try may have failed."""

    class Adapter:
        @staticmethod
        async def get(**_: Any) -> Adapter:
            return Adapter()

        async def get_connected_devices(self, _: Any) -> list[BLEDevice]:
            return [BLEDevice("C0:00:00:00:00:01", "Tiny \udc41", {"props": {"UUIDs": []}})]

    async def go() -> None:
        scan = Radio()._scanner_of(None)(lambda _: None)
        scan._is_bluez = True  # type: ignore[attr-defined]
        told = [len(await scan.connected())]
        told.append(len(await scan.connected()))
        await asyncio.sleep(61)
        [seen] = await scan.connected()
        assert seen.advertisement.name == "Tiny ?"  # no UTF-8 else
        assert told == [1, 0]

    monkeypatch.setattr("bleak.BleakAdapter", Adapter)
    play(go())


def test_answers_without_end_take_no_memory() -> None:
    """An answer that always goes on is taken to be whole, and one that is repeated is kept once."""
    polar, oba = (models()[name].driver(models()[name]) for name in ("polar_h10", "oba"))
    control = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
    polar._asked = bytes([1, 2])  # type: ignore[attr-defined]
    polar.receive(control, bytes([0xF0, 1, 2, 0, 1]))
    for _ in range(100):
        polar.receive(control, b"\1" + bytes(511))
    assert len(polar._answers[0].content) < 5000  # type: ignore[attr-defined]
    oba._awaited = bytes([0x86, 1])  # type: ignore[attr-defined]
    for _ in range(100):
        oba.receive("598a0003-b9f8-4e46-9a98-773fccb0ec98", bytes([0x86, 1, 0]))
    assert oba._answers == [(0, b"")]  # type: ignore[attr-defined]


def test_a_signal_ends_what_hangs_behind_the_night() -> None:
    """While a night is recorded signals only ask for its end; once it is on disk they end the program."""
    stop = Stop()
    with ended_by_signals(stop):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.reason == "interrupted"
        stop.over = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
