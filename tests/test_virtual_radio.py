"""Virtual sensors under bleak's own API: what a program meets on a real radio, and every fault on demand."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from tiny_sensor import BARE, CONTROL, COUNTED, DATA, SERVICE, TinyPeripheral

from firmware_host.errors import BadValueError, MissingExtraError
from firmware_host.sensors import models
from firmware_host.sensors.protocol import (
    BATTERY_LEVEL,
    BATTERY_SERVICE,
    Await,
    Batch,
    Characteristic,
    Driver,
    Model,
    NoAnswerError,
    Pause,
    Read,
    Received,
    Script,
    Service,
    Step,
    Subscribe,
    Write,
)
from firmware_host.simulation import virtual_radio
from firmware_host.simulation.chips import part_of
from firmware_host.simulation.time_lapse import TimeLapseLoop
from firmware_host.simulation.virtual_body import VirtualBody
from firmware_host.simulation.virtual_chip import VirtualChip
from firmware_host.simulation.virtual_link import RadioLink
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld
from firmware_host.simulation.virtual_sensors import Played, PlayedSensor

pytestmark = pytest.mark.lasts_s(35)

Result = TypeVar("Result")
SITES = ("left_calf", "right_calf", "left_thigh", "right_thigh")


class _Charged(TinyPeripheral):
    """The tiny sensor with a battery service and a rate, which it forgets."""

    def services(self) -> tuple[Service, ...]:
        battery = Characteristic(BATTERY_LEVEL, ("read", "notify"))
        return (*super().services(), Service(BATTERY_SERVICE, (battery,)))

    def reboot(self) -> None:
        super().reboot()
        self.fs_hz = self.model.fs_hz


class _Small(_Charged):
    """One that agrees to the smallest MTU only."""

    mtu = 23


TINY = replace(COUNTED, name="tiny", peripheral=_Charged, fs_hz=200.0, rates_hz=(100.0, 200.0))
SMALL = replace(TINY, name="small", peripheral=_Small)
MADE_UP = {model.name: model for model in (TINY, SMALL, replace(BARE, fs_hz=200.0))}


@pytest.fixture(autouse=True)
def _made_up_models(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**models(), **MADE_UP}
    monkeypatch.setattr(virtual_radio, "model_named", lambda name: known[name])


def lapse(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run something in time lapse: its seconds are quick, and the same each time."""

    async def limited() -> Result:
        async with asyncio.timeout(4000):
            return await work()

    with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
        return runner.run(limited())


def world(*names: str, **options: Any) -> VirtualWorld:
    """Make a world of sensors of some models, at the first sites."""
    options = {"hours": 0.2, **options}
    return VirtualWorld(
        [VirtualSensor(site, name) for site, name in zip(SITES, names, strict=False)], **options
    )


async def found(world: VirtualWorld, sensor: PlayedSensor) -> BLEDevice:
    """Return a sensor as a scan gives it."""
    device = await BleakScanner.find_device_by_address(sensor.address, 10.0, backend=world.backend[0])
    assert device is not None
    return device


@contextlib.asynccontextmanager
async def connected(
    world: VirtualWorld, sensor: PlayedSensor, gone: Callable[[BleakClient], None] | None = None
) -> AsyncIterator[BleakClient]:
    """Hold a connection to a sensor."""
    client = BleakClient(await found(world, sensor), gone, backend=world.backend[1])
    async with client:
        yield client


async def streaming(world: VirtualWorld, client: BleakClient) -> list[tuple[int, bytes]]:
    """Start a tiny sensor; return the list that its notifications will be in, with their arrivals."""
    got: list[tuple[int, bytes]] = []
    await client.start_notify(DATA, lambda _, data: got.append((world.clock()[0], bytes(data))))
    await client.start_notify(CONTROL, lambda *_: None)
    await client.write_gatt_char(CONTROL, b"S", response=True)
    return got


def counts_in(got: Sequence[tuple[int, bytes]]) -> np.ndarray:
    """Return the samples in notifications of a tiny sensor."""
    whole = [data for _, data in got if len(data) == 29 and data[0] == 0x11]
    return np.concatenate([np.frombuffer(data, "<i2", offset=5).reshape(-1, 3) for data in whole])


def counts_of(played: Sequence[Played]) -> np.ndarray:
    """Return samples as they were sent."""
    return np.concatenate([one.counts for one in played])


def test_a_scan_sees_names_and_services() -> None:
    """Names (of scan responses), services and maker's data are those advertised; a filter is obeyed."""

    async def work() -> None:
        async with world("tiny", "tiny", "polar_h10") as here:
            scanner = here.backend[0]
            seen = await BleakScanner.discover(1.0, return_adv=True, backend=scanner)
            for sensor in here.sensors.values():
                device, data = seen[sensor.address]
                told = sensor.peripheral.advertisement()
                assert (device.name, data.local_name) == (told.name, told.name)
                assert tuple(data.service_uuids) == told.services
                assert data.manufacturer_data == told.manufacturer
                assert -100 < data.rssi < 0
            some = await BleakScanner.discover(1.0, service_uuids=[SERVICE], backend=scanner)
            assert {device.address for device in some} == {here.sensors[site].address for site in SITES[:2]}

    lapse(work)


def test_read_write_and_errors() -> None:
    """The table is discovered; reads and writes reach the sensor; what it does not allow is an ATT error."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            sensor.battery(73)
            async with connected(here, sensor) as client:
                data = client.services.get_characteristic(DATA)
                assert data is not None
                assert data.properties == ["notify"]
                assert data.max_write_without_response_size == 244 == sensor.peripheral.payload
                assert await client.read_gatt_char(BATTERY_LEVEL) == bytes([73])
                await client.write_gatt_char(CONTROL, b"hello", response=True)
                await client.write_gatt_char(CONTROL, b" there", response=False)
                with pytest.raises(BleakGATTProtocolError) as read:
                    await client.read_gatt_char(DATA)
                assert read.value.code == 0x02
                with pytest.raises(BleakGATTProtocolError) as write:
                    await client.write_gatt_char(DATA, b"no", response=True)
                assert write.value.code == 0x03
                assert client.is_connected
            assert isinstance(sensor.peripheral, _Charged)
            assert sensor.peripheral.written_ == b"hello there"

    lapse(work)


def test_notifications_are_cut_to_the_mtu() -> None:
    """A notification that is longer than the MTU allows arrives cut, and its samples count as lost."""

    async def work() -> None:
        async with world("small") as here:
            sensor = here.sensors["left_calf"]
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                await asyncio.sleep(1.0)
                assert sensor.peripheral.payload == 20
                assert {len(data) for _, data in got} == {20}
                assert {one.fate for one in sensor.lost} == {"longer than the MTU allows"}
                assert not sensor.sent

    lapse(work)


def test_connection_events() -> None:
    """Packets come whole, in order, in bursts, late and never early, as late as on a real radio."""

    async def work() -> None:
        async with world("tiny", seed=3) as here:
            sensor = here.sensors["left_calf"]
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                await asyncio.sleep(60.0)
                await client.write_gatt_char(CONTROL, b"X", response=True)
                await asyncio.sleep(1.0)
                assert np.array_equal(counts_in(got), counts_of(sensor.sent))
            assert not sensor.lost
            last = [one.first + len(one.counts) - 1 for one in sensor.sent]
            late_ms = (np.array([at for at, _ in got]) - sensor.times_ns(last)) / 1e6
            assert late_ms.min() >= 0
            assert 10 < np.median(late_ms) < 40
            assert 30 < np.percentile(late_ms, 99) < 100
            steps_ms = np.diff([at for at, _ in got]) / 1e6
            assert np.mean(steps_ms < 2) > 0.2

    lapse(work)


def test_no_event_is_held_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than an event carries goes with the next ones, and while a sensor is away there are none."""
    held: list[tuple[int, float]] = []
    hold = RadioLink._event

    def noted(link: RadioLink, way: Any, event_s: float) -> None:
        held.append((id(way), event_s))
        hold(link, way, event_s)

    monkeypatch.setattr(RadioLink, "_event", noted)

    async def work() -> None:
        async with world("tiny", seed=3) as here:
            sensor = here.sensors["left_calf"]
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                for _ in range(20):
                    sensor.stall(0.5)  # 25 notifications are late
                    await asyncio.sleep(2.0)
                began = len(held)
                sensor.vanish(0.5)
                await asyncio.sleep(0.4)
                assert len(held) <= began + 2
                await asyncio.sleep(3.0)
                await client.write_gatt_char(CONTROL, b"X", response=True)
                await asyncio.sleep(1.0)
                assert np.array_equal(counts_in(got), counts_of(sensor.sent))

    lapse(work)
    assert len(set(held)) == len(held) > 100


def test_samples_have_their_own_clock() -> None:
    """The true rate is off by per cents and differs between sensors; samples keep to it for minutes."""

    async def work() -> None:
        async with world("tiny", "tiny", seed=2) as here:
            rates = []
            for sensor in here.sensors.values():
                async with connected(here, sensor) as client:
                    await streaming(here, client)
                    await asyncio.sleep(30.0)
                numbers = [one.first for one in sensor.sent]
                assert np.all(np.diff(numbers) == 4)
                seconds = np.diff(sensor.times_ns([numbers[0], numbers[-1]]))[0] / 1e9
                rates.append((numbers[-1] - numbers[0]) / seconds)
                assert rates[-1] == pytest.approx(sensor.rate_hz, rel=2e-3)
            assert all(188 < rate < 212 for rate in rates)
            assert abs(rates[0] - rates[1]) > 0.5

    lapse(work)


def test_a_drop_and_a_fresh_client() -> None:
    """A drop is told by the callback, later calls fail, and a fresh client goes on."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            for _ in range(3):
                gone = asyncio.Event()
                async with connected(here, sensor, lambda _, gone=gone: gone.set()) as client:
                    got = await streaming(here, client)
                    await asyncio.sleep(1.0)
                    sensor.drop()
                    async with asyncio.timeout(0.1):
                        await gone.wait()
                    assert not client.is_connected
                    with pytest.raises(BleakError):
                        await client.read_gatt_char(BATTERY_LEVEL)
                    assert len(got) > 30
                    numbers = [int.from_bytes(data[1:5], "little") for _, data in got]
                    assert numbers == list(range(0, 4 * len(got), 4))
            firsts = [one.first for one in sensor.sent]
            assert firsts == sorted(set(firsts))

    lapse(work)


def test_a_client_left_behind_doubles_packets() -> None:
    """As on BlueZ, packets come twice as long as the client that lost its link is not disconnected."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            old = BleakClient(await found(here, sensor), backend=here.backend[1])
            await old.connect()
            await streaming(here, old)
            sensor.drop()
            await asyncio.sleep(0.1)
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                await asyncio.sleep(1.0)
                assert [data for _, data in got[::2]] == [data for _, data in got[1::2]]
                await old.disconnect()
                got.clear()
                await asyncio.sleep(1.0)
                assert len({data for _, data in got}) == len(got) > 30

    lapse(work)


def test_out_of_range() -> None:
    """A short absence gives a gap and then a burst without loss; a long one ends the link in two seconds."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            gone: list[float] = []
            now = asyncio.get_running_loop().time
            async with connected(here, sensor, lambda _: gone.append(now())) as client:
                got = await streaming(here, client)
                await asyncio.sleep(1.0)
                sensor.vanish(1.0)
                await asyncio.sleep(2.0)
                assert client.is_connected
                assert max(np.diff([at for at, _ in got])) > 0.9e9
                assert np.array_equal(counts_in(got), counts_of(sensor.sent))
                assert not sensor.lost
                began_s = now()
                sensor.vanish()
                await asyncio.sleep(3.0)
                assert gone[0] - began_s == pytest.approx(2.0, abs=0.01)
                assert {one.fate for one in sensor.lost} == {"link lost"}
            assert await BleakScanner.discover(2.0, backend=here.backend[0]) == []
            sensor.come_back()
            async with connected(here, sensor) as client:
                assert client.is_connected

    lapse(work)


def test_an_absent_sensor() -> None:
    """Connecting to one that is gone times out, to one never seen says so; nothing is left behind."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            device = await found(here, sensor)
            sensor.power_off()
            with pytest.raises(TimeoutError):
                await BleakClient(device, timeout=3.0, backend=here.backend[1]).connect()
            with pytest.raises(BleakDeviceNotFoundError):
                await BleakClient("D0:00:00:00:00:00", timeout=1.0, backend=here.backend[1]).connect()
            attempt = asyncio.ensure_future(BleakClient(device, backend=here.backend[1]).connect())
            await asyncio.sleep(0.5)
            attempt.cancel()
            await asyncio.wait({attempt})
            sensor.power_on()
            await asyncio.sleep(1.0)
            assert not sensor.connected
            async with connected(here, sensor) as client:
                assert client.is_connected

    lapse(work)


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2, 0.4])
@pytest.mark.parametrize("fault", [PlayedSensor.drop, PlayedSensor.vanish, PlayedSensor.reboot])
def test_lost_while_connecting(fault: Callable[[PlayedSensor], None], after_s: float) -> None:
    """A link that is lost during discovery fails the attempt; the next one works."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            device = await found(here, sensor)
            attempt = asyncio.ensure_future(BleakClient(device, backend=here.backend[1]).connect())
            while not sensor.connected:
                await asyncio.sleep(0.001)
            await asyncio.sleep(after_s)
            fault(sensor)
            with pytest.raises(BleakError):
                await attempt
            sensor.come_back()
            await asyncio.sleep(3.0)
            async with connected(here, sensor) as client:
                assert len(client.services.services) >= 2

    lapse(work)


def test_four_at_once() -> None:
    """Four sensors that are connected at once stream beside each other, each its own samples."""

    async def work() -> None:
        async with world("tiny", "tiny", "tiny", "tiny") as here, contextlib.AsyncExitStack() as stack:

            async def one(sensor: PlayedSensor) -> list[tuple[int, bytes]]:
                client = await stack.enter_async_context(connected(here, sensor))
                return await streaming(here, client)

            got = await asyncio.gather(*map(one, here.sensors.values()))
            await asyncio.sleep(5.0)
            here.sensors["left_calf"].drop()
            await asyncio.sleep(5.0)
            for sensor, its in zip(here.sensors.values(), got, strict=True):
                assert np.array_equal(counts_in(its), counts_of(sensor.sent)[: 4 * len(its)])
            assert [len(its) > 400 for its in got] == [False, True, True, True]

    lapse(work)


@pytest.mark.parametrize("fault", ["lose", "repeat", "reorder", "garble"])
def test_notifications_that_go_wrong(fault: str) -> None:
    """A share is lost, comes twice, comes after the next, or comes as noise; all else arrives as sent."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                await asyncio.sleep(2.0)
                getattr(sensor, fault)(0.2)
                await asyncio.sleep(20.0)
                getattr(sensor, fault)(0.0)
                await asyncio.sleep(2.0)
            numbers = [
                int.from_bytes(data[1:5], "little") for _, data in got if len(data) == 29 and data[0] == 0x11
            ]
            sent = [one.first for one in sensor.sent]
            once = list(dict.fromkeys(numbers))
            assert np.all(np.diff(np.array(sent[: len(once)]) - np.array(once)) == 0)
            lost = [one.fate for one in sensor.lost]
            share = {
                "lose": lost.count("lost on the air") / 1000,
                "garble": lost.count("garbled") / 1000,
                "repeat": (len(numbers) - len(once)) / 1000,
                "reorder": np.sum(np.diff(once) < 0) / 1000,
            }
            assert [name for name, value in share.items() if value] == [fault]
            assert 0.1 < share[fault] < 0.3
            assert len(got) - len(numbers) == lost.count("garbled")

    lapse(work)


def test_silence_and_stall() -> None:
    """A silent sensor keeps its link and loses what it takes; one that stalls sends all of it afterwards."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                await asyncio.sleep(1.0)
                sensor.silence()
                await asyncio.sleep(0.2)
                got.clear()
                await asyncio.sleep(10.0)
                assert got == []
                assert await client.read_gatt_char(BATTERY_LEVEL) == bytes([100])
                assert {one.fate for one in sensor.lost} == {"silent"}
                sensor.silence(False)
                await asyncio.sleep(1.0)
                lost, before = len(sensor.lost), len(got)
                sensor.stall(3.0)
                await asyncio.sleep(2.9)
                assert len(got) - before < 10
                await asyncio.sleep(1.5)
                assert len(got) - before > 190
                assert len(sensor.lost) == lost
                assert np.array_equal(counts_in(got), counts_of(sensor.sent)[-4 * len(got) :])

    lapse(work)


def test_reboot_and_battery() -> None:
    """A reboot is learnt by silence and forgets settings and counter; an empty battery is the end of it."""

    async def work() -> None:
        async with world("tiny", fs_hz=100.0) as here:
            sensor = here.sensors["left_calf"]
            gone = asyncio.Event()
            async with connected(here, sensor, lambda _: gone.set()) as client:
                levels: list[int] = []
                await client.start_notify(BATTERY_LEVEL, lambda _, data: levels.append(data[0]))
                got = await streaming(here, client)
                await asyncio.sleep(5.0)
                assert 95 * 5 < 4 * len(got) < 106 * 5
                sensor.battery(12)
                await asyncio.sleep(0.5)
                assert levels == [12]
                sensor.reboot()
                await asyncio.sleep(1.5)
                assert not gone.is_set()
                await asyncio.sleep(1.0)
                assert gone.is_set()
            assert sensor.peripheral.fs_hz == 200
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                await asyncio.sleep(1.0)
                assert int.from_bytes(got[0][1][1:5], "little") == 0
                assert 4 * len(got) > 150
                sensor.battery(0)
                await asyncio.sleep(2.5)
                assert not client.is_connected
            assert not await BleakScanner.discover(1.0, backend=here.backend[0])
            sensor.power_on()
            assert await BleakScanner.discover(1.0, backend=here.backend[0])

    lapse(work)


def test_the_radio_is_switched_off() -> None:
    """Without the host's radio links are lost and calls say so; with it all is as before."""

    async def work() -> None:
        async with world("tiny") as here:
            sensor = here.sensors["left_calf"]
            async with connected(here, sensor) as client:
                here.power(False)
                await asyncio.sleep(0.1)
                assert not client.is_connected
                with pytest.raises(BleakBluetoothNotAvailableError):
                    await BleakScanner.discover(1.0, backend=here.backend[0])
                with pytest.raises(BleakBluetoothNotAvailableError):
                    await client.connect()
            here.power(True)
            await asyncio.sleep(3.0)
            async with connected(here, sensor) as client:
                assert client.is_connected

    lapse(work)


@pytest.mark.parametrize("timed", [True, False])
def test_in_real_time(timed: bool) -> None:
    """On an ordinary event loop it works as well, at the computer's own clock; untimed, at once."""

    async def work() -> None:
        async with world("tiny", timed=timed, speed=1.0 if timed else 20.0) as here:
            sensor = here.sensors["left_calf"]
            async with connected(here, sensor) as client:
                got = await streaming(here, client)
                while len(got) < 20:
                    await asyncio.sleep(0.02)
                await client.write_gatt_char(CONTROL, b"X", response=True)
                await asyncio.sleep(0.1)
                assert np.array_equal(counts_in(got), counts_of(sensor.sent))

    asyncio.run(asyncio.wait_for(work(), 60))


def test_time_lapse_is_the_same_each_time() -> None:
    """In time lapse the same seed gives the same bytes at the same times, another seed others."""

    def run(seed: int) -> list[tuple[int, bytes]]:
        async def work() -> list[tuple[int, bytes]]:
            async with world("tiny", "tiny", seed=seed) as here, contextlib.AsyncExitStack() as stack:
                got: list[tuple[int, bytes]] = []
                for sensor in here.sensors.values():
                    client = await stack.enter_async_context(connected(here, sensor))
                    sensor.lose(0.1)
                    got += await streaming(here, client)
                await asyncio.sleep(10.0)
                return got

        return lapse(work)

    assert run(1) == run(1) != run(2)


def test_what_a_thread_does_is_waited_for() -> None:
    """In time lapse no more than a thousand seconds pass in the second that a thread takes."""

    async def work() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        began_s, really_s = loop.time(), time.perf_counter()
        clock = asyncio.ensure_future(asyncio.sleep(1e6))
        await asyncio.to_thread(time.sleep, 0.2)
        clock.cancel()
        return loop.time() - began_s, time.perf_counter() - really_s

    passed_s, took_s = lapse(work)
    # A busy computer may begin to wait when the thread is half through.
    assert 100 <= passed_s <= 1000 * took_s


class _Host:
    """The host's side of one connection through bleak: runs a driver's scripts, keeps what it receives."""

    def __init__(self, driver: Driver, client: BleakClient) -> None:
        self.driver, self.client = driver, client
        self.received: list[Received] = []
        self._news = asyncio.Event()

    def _notified(self, characteristic: str, data: bytes) -> None:
        self.received += self.driver.receive(characteristic, data)
        self._news.set()

    async def run(self, script: Script) -> None:
        with contextlib.suppress(StopIteration):
            step = next(script)
            while True:
                try:
                    result = await self._do(step)
                except NoAnswerError as error:
                    step = script.throw(error)
                else:
                    step = script.send(result)

    async def _do(self, step: Step) -> bytes:
        match step:
            case Subscribe(uuid):
                await self.client.start_notify(uuid, lambda _, data: self._notified(uuid, bytes(data)))
            case Read(uuid):
                if self.client.services.get_characteristic(uuid) is not None:
                    return bytes(await self.client.read_gatt_char(uuid))
            case Write(uuid, data, response):
                await self.client.write_gatt_char(uuid, data, response=response)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Await(done, what, within_s):
                try:
                    async with asyncio.timeout(within_s):
                        while not done():
                            self._news.clear()
                            await self._news.wait()
                except TimeoutError:
                    raise NoAnswerError(what) from None
        return b""


@pytest.mark.parametrize("model", models().values(), ids=models())
def test_every_model_plays(model: Model) -> None:
    """Of every model at every rate, what its driver decodes from bleak's callbacks is what was sent."""

    async def work(fs_hz: float) -> None:
        async with world(model.name, seed=5) as here:
            sensor = here.sensors["left_calf"]
            for _ in range(1 + (fs_hz == model.fs_hz)):
                async with connected(here, sensor) as client:
                    host = _Host(model.driver(model, fs_hz), client)
                    await host.run(host.driver.start())
                    assert host.driver.facts is not None
                    assert host.driver.facts.fs_hz == pytest.approx(sensor.peripheral.fs_hz)
                    assert host.driver.facts.g_per_count == pytest.approx(sensor.peripheral.g_per_count)
                    await asyncio.sleep(4.0)
                    await host.run(host.driver.poll())
                    await host.run(host.driver.stop())
                    await asyncio.sleep(1.0)
                    batches = [item for item in host.received if isinstance(item, Batch)]
                    counts = np.concatenate([batch.counts for batch in batches])
                    sent, sensor.sent = counts_of(sensor.sent), []
                    assert len(counts) > 3 * fs_hz
                    assert counts.dtype == sent.dtype
                    assert np.array_equal(counts, sent[-len(counts) :])
                    assert len(sent) - len(counts) <= 0.5 * fs_hz
                    size = np.linalg.norm(counts * host.driver.facts.g_per_count, axis=1)
                    assert 0.8 < np.median(size) < 1.2

    for fs_hz in model.rates_hz:
        lapse(lambda fs_hz=fs_hz: work(fs_hz))


def test_pieces_fit_together() -> None:
    """A body felt in pieces is the body felt in one go, and its twitches are where the truth says."""
    body = VirtualBody(("left_calf", "left_chest"), hours=0.5, seed=4, profile="many")
    for site in ("left_calf", "left_chest"):
        chip = VirtualChip(site, TINY, body, seed=4, beside=False)
        chip.set_to(_Charged(TINY), 1.0)
        grid = chip._tracks[0].grid
        silent = replace(
            chip._tracks[0].specimen,
            density_ug=np.zeros(3),
            offset_mg=np.zeros(3),
            drift_mg_per_k=np.zeros(3),
        )
        edges = [0, *(int(grid.index(body.edge_s(site, at_s))) for at_s in (50.0, 63.0, 200.0, 600.0))]
        whole = body.piece(site, part_of(grid, slice(0, edges[-1])), silent)
        parts = [
            body.piece(site, part_of(grid, slice(start, stop)), silent) for start, stop in pairwise(edges)
        ]
        assert np.abs(whole - np.concatenate(parts)).max() < 1e-4
    truth = body.truth("left_calf", 0.1)
    largest = truth[np.argmax(np.where(truth["peak_s"] < 590, truth["peak_to_peak_mg"], 0))]
    assert largest["peak_to_peak_mg"] > 30


def test_what_cannot_be_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong word, site or length is said in a sentence, as is that bumble is missing, and how to get it."""
    monkeypatch.undo()
    name = next(iter(models()))
    assert VirtualSensor.parse(f"left_calf={name}") == VirtualSensor("left_calf", name)
    for text, match in [("left_calf", "SITE=MODEL"), ("tail=" + name, "tail"), ("left_calf=brick", "brick")]:
        with pytest.raises(BadValueError, match=match):
            VirtualSensor.parse(text)
    with pytest.raises(BadValueError, match="48 hours"):
        VirtualWorld([VirtualSensor("left_calf", name)], hours=100)
    monkeypatch.setitem(sys.modules, "bumble", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'twitchmap\[virtual\]'"):
        VirtualWorld([VirtualSensor("left_calf", name)])


def test_a_world_that_is_left_in_a_hurry() -> None:
    """Where all that runs has been cancelled already, as by a signal, leaving the world is no fault."""

    async def leave() -> None:
        async with VirtualWorld([VirtualSensor("left_calf", "tiny")]):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(leave())
