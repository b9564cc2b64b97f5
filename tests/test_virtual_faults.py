"""Every fault of a real radio on demand: drops, absence, silence, what goes wrong on the air, no radio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakDeviceNotFoundError, BleakError
from virtual_worlds import MADE_UP, connected, counts_in, counts_of, found, lapse, streaming, world

from firmware_host.sensors import models
from firmware_host.sensors.protocol import BATTERY_LEVEL
from firmware_host.simulation import virtual_radio
from firmware_host.simulation.virtual_sensors import PlayedSensor


@pytest.fixture(autouse=True)
def _made_up_models(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**models(), **MADE_UP}
    monkeypatch.setattr(virtual_radio, "model_named", lambda name: known[name])


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


@pytest.mark.long
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
