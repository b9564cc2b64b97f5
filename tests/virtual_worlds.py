"""Worlds of virtual sensors as tests meet them through bleak, among them a made-up sensor with a battery."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from tiny_sensor import BARE, CONTROL, COUNTED, DATA, TinyPeripheral

from firmware_host.sensors.protocol import BATTERY_LEVEL, BATTERY_SERVICE, Characteristic, Service
from firmware_host.simulation.time_lapse import TimeLapseLoop
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld
from firmware_host.simulation.virtual_sensors import Played, PlayedSensor

Result = TypeVar("Result")
SITES = ("left_calf", "right_calf", "left_thigh", "right_thigh")


class Charged(TinyPeripheral):
    """The tiny sensor with a battery service and a rate, which it forgets."""

    def services(self) -> tuple[Service, ...]:
        """Return its own and the battery's."""
        battery = Characteristic(BATTERY_LEVEL, ("read", "notify"))
        return (*super().services(), Service(BATTERY_SERVICE, (battery,)))

    def reboot(self) -> None:
        """Forget the rate, too."""
        super().reboot()
        self.fs_hz = self.model.fs_hz


class _Small(Charged):
    """One that agrees to the smallest MTU only."""

    mtu = 23


TINY = replace(COUNTED, name="tiny", peripheral=Charged, fs_hz=200.0, rates_hz=(100.0, 200.0))
SMALL = replace(TINY, name="small", peripheral=_Small)
MADE_UP = {model.name: model for model in (TINY, SMALL, replace(BARE, fs_hz=200.0))}


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
