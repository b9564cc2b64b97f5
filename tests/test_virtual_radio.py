"""Virtual sensors under bleak's own API: what a program meets on a real radio where nothing goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import numpy as np
import pytest
from bleak import BleakScanner
from bleak.exc import BleakGATTProtocolError
from tiny_sensor import CONTROL, DATA, SERVICE
from virtual_worlds import MADE_UP, SITES, Charged, connected, counts_in, counts_of, lapse, streaming, world

from firmware_host.sensors import models
from firmware_host.sensors.protocol import BATTERY_LEVEL
from firmware_host.simulation import virtual_radio
from firmware_host.simulation.virtual_link import RadioLink
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld
from firmware_host.simulation.virtual_sensors import PlayedSensor

pytestmark = pytest.mark.lasts_s(15)


@pytest.fixture(autouse=True)
def _made_up_models(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**models(), **MADE_UP}
    monkeypatch.setattr(virtual_radio, "model_named", lambda name: known[name])


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
            assert isinstance(sensor.peripheral, Charged)
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


@pytest.mark.long
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


def test_a_world_that_is_left_in_a_hurry() -> None:
    """Where all that runs has been cancelled already, as by a signal, leaving the world is no fault."""

    async def leave() -> None:
        async with VirtualWorld([VirtualSensor("left_calf", "tiny")]):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(leave())
