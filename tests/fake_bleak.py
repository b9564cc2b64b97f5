# ruff: noqa: D102 - what the methods do is said where their like is declared
"""A bleak backend that behaves as BlueZ was measured to, at its worst: for tests of what must survive that.

In the air are sensors that play a numbered signal through their peripherals. As in BlueZ, a lost client's
subscription lives on until its `disconnect()`, and each subscription makes every packet arrive once more.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError

from firmware_host.capture.ble import Backend
from firmware_host.sensors.protocol import Counts, Notify, Peripheral

EVERY_S = 0.02
ADVERTISED_EVERY_S = 0.1


def numbered(first: int, n: int) -> Counts:
    """Return samples (n, 3) that say which they are: both signs and the extremes are among them."""
    number = np.arange(first, first + n)
    return np.stack([number % 65536 - 32768, 32767 - number % 65536, number // 65536], axis=1).astype(
        np.int16
    )


class FakeSensor:
    """One sensor in the air."""

    def __init__(self, peripheral: Peripheral, address: str) -> None:
        self.peripheral = peripheral
        self.address = address
        self.present = True
        self.silent = False
        self.client: FakeClient | None = None
        self.sessions: list[FakeClient] = []
        """Clients whose subscriptions the system keeps."""
        self.delivered: list[int] = []
        """Numbers of the samples that reached a callback, in the order of their making."""
        self.connects = 0
        self.heard_by: str | None = None
        """The only adapter that it is near enough to; None: all."""
        self.fault: Callable[[list[Notify]], list[Notify]] = lambda notes: notes
        self._number = itertools.count(step=8)

    def drop(self) -> None:
        """Lose the link, as when the sensor goes out of range."""
        client, self.client = self.client, None
        self.peripheral.disconnected()
        if client is not None:
            client.lost()

    def vanish(self) -> None:
        """Be gone: no link, no advertisement."""
        self.present = False
        self.drop()

    def notify(self, notes: list[Notify]) -> None:
        """Deliver notifications to whoever is connected, once for each subscription that is kept."""
        for note in notes:
            for client in self.sessions:
                if note.characteristic in client.subscribed and self.client is not None:
                    self.client.received(note)

    def play(self) -> None:
        """Sample a little, and send what fills packets."""
        first = next(self._number)
        if self.peripheral.streaming and not self.silent and self.client is not None:
            counts = numbered(first, 8)
            self.notify(self.fault(self.peripheral.send(counts, first)))
            self.delivered += range(first, first + 8)


class Air:
    """Everything around; `backend` is what a Radio is given."""

    def __init__(self, *sensors: FakeSensor) -> None:
        self.sensors = {sensor.address: sensor for sensor in sensors}
        self.trouble: Exception | None = None
        """What scanning and connecting fail with."""
        self.dead_adapters: set[str] = set()
        self.hang = False
        """Whether disconnecting never ends."""
        self.closing_s = 0.0
        """How long it takes; data come on meanwhile, as with BlueZ."""
        self.closing = 0
        self.scanning = self.connecting = self.most_connecting = 0
        self.scanned_while_connecting = False
        self.connect_s = 0.0
        scanner = type("Scanner", (FakeScanner,), {"air": self})
        client = type("Client", (FakeClient,), {"air": self})
        self.backend = Backend(scanner, client)

    async def __aenter__(self) -> Air:
        self._task = asyncio.create_task(self._play())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _play(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            for sensor in self.sensors.values():
                sensor.play()


class FakeScanner(BaseBleakScanner):
    """Hears each present, unconnected sensor now and then."""

    air: ClassVar[Air]

    def __init__(
        self, detection_callback: Any, service_uuids: Any, scanning_mode: str, **options: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._adapter = options["bluez"].get("adapter")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self.air.trouble is not None:
            raise self.air.trouble
        if self._adapter in self.air.dead_adapters:
            raise BleakError(f"adapter '{self._adapter}' not found")
        self.air.scanning += 1
        self.air.scanned_while_connecting |= self.air.connecting > 0
        self._task = asyncio.create_task(self._advertise())

    async def stop(self) -> None:
        self.air.scanning -= 1
        assert self._task is not None
        self._task.cancel()
        await asyncio.sleep(0)

    async def _advertise(self) -> None:
        while True:
            await asyncio.sleep(ADVERTISED_EVERY_S)
            for sensor in self.air.sensors.values():
                if sensor.present and sensor.client is None and sensor.heard_by in (None, self._adapter):
                    said = sensor.peripheral.advertisement()
                    data = AdvertisementData(
                        said.name, dict(said.manufacturer), {}, list(said.services), None, -60, ()
                    )
                    self.call_detection_callbacks(BLEDevice(sensor.address, said.name, {}), data)


class FakeClient(BaseBleakClient):
    """A client whose subscription outlives its link until `disconnect()`."""

    air: ClassVar[Air]

    def __init__(self, device: BLEDevice, **options: Any) -> None:
        super().__init__(
            device, disconnected_callback=options["disconnected_callback"], timeout=options["timeout"]
        )
        self.sensor = self.air.sensors[device.address]
        self.subscribed: dict[str, Callable[[bytearray], None]] = {}

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return 23

    @property
    def is_connected(self) -> bool:
        return self.sensor.client is self

    async def connect(self, pair: bool, **_: Any) -> None:
        air = self.air
        if air.trouble is not None:
            raise air.trouble
        air.connecting += 1
        air.most_connecting = max(air.most_connecting, air.connecting)
        air.scanned_while_connecting |= air.scanning > 0
        try:
            await asyncio.sleep(air.connect_s)
            if not self.sensor.present:
                await asyncio.Event().wait()  # BlueZ waits for it to come back
            if self.sensor.client is not None:
                raise BleakError("connected to somebody else")
            self.sensor.client = self
            self.sensor.connects += 1
            self.services = self._services()
        finally:
            air.connecting -= 1

    def lost(self) -> None:
        """Be told that the link is gone."""
        assert self._disconnected_callback is not None
        self._disconnected_callback()

    def received(self, note: Notify) -> None:
        """Hand a notification to the application."""
        if callback := self.subscribed.get(note.characteristic):
            callback(bytearray(note.data))

    async def disconnect(self) -> None:
        if self.air.hang:
            await asyncio.Event().wait()
        self.air.closing += 1
        await asyncio.sleep(self.air.closing_s)
        if self.sensor.client is self:
            self.sensor.drop()
        if self in self.sensor.sessions:
            self.sensor.sessions.remove(self)
        if self.air.trouble is not None:
            raise self.air.trouble

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: Any, **_: Any) -> None:
        self._need()
        self.subscribed[characteristic.uuid] = callback
        if self not in self.sensor.sessions:
            self.sensor.sessions.append(self)

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:
        self._need()
        notes = self.sensor.peripheral.written(characteristic.uuid, bytes(data))
        asyncio.get_running_loop().call_soon(self.sensor.notify, notes)

    async def read_gatt_char(self, characteristic: Any, **_: Any) -> bytearray:
        self._need()
        return bytearray(self.sensor.peripheral.read(characteristic.uuid))

    async def stop_notify(self, characteristic: Any) -> None: ...

    async def pair(self, *_: Any, **__: Any) -> None: ...

    async def unpair(self) -> None: ...

    async def read_gatt_descriptor(self, *_: Any, **__: Any) -> bytearray:
        raise BleakGATTProtocolError(0x0A)

    async def write_gatt_descriptor(self, *_: Any, **__: Any) -> None: ...

    def _need(self) -> None:
        if not self.is_connected:
            raise BleakError("Not connected")

    def _services(self) -> BleakGATTServiceCollection:
        found, handles = BleakGATTServiceCollection(), itertools.count(1)
        for one in self.sensor.peripheral.services():
            service = BleakGATTService(one, next(handles), one.uuid)
            found.add_service(service)
            for each in one.characteristics:
                properties: Any = list(each.properties)
                found.add_characteristic(
                    BleakGATTCharacteristic(each, next(handles), each.uuid, properties, lambda: 244, service)
                )
        return found
