"""bleak's scanner and client on bumble's host instead of the system's Bluetooth: classes that bleak takes.

    BleakScanner(backend=central.scanner); BleakClient(device, backend=central.client)

They behave as bleak on BlueZ does where that differs: `mtu_size` says 23 (only
`max_write_without_response_size` is true), and a client that lost its link and was never disconnected keeps
its subscriptions, so that the next client's callbacks get every packet once more (bleak issue 2002).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak.uuids import normalize_uuid_str
from bumble import att, core, device, hci

Found = TypeVar("Found")
_Data = core.AdvertisingData
_UUID_LISTS = {
    _Data.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    _Data.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    _Data.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    _Data.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}
BLUEZ_INTERVAL_MS = (30.0, 50.0)
"""Connection interval that BlueZ asks for."""
LARGEST_MTU = 517


def uuid_text(uuid: core.UUID) -> str:
    """Return a UUID as bleak writes it: 128 bits, lower case, with hyphens."""
    return normalize_uuid_str(uuid.to_hex_str("-"))


class Central:
    """The host's radio, and the two classes for bleak that are bound to it."""

    def __init__(self, host: device.Device, supervision_s: float) -> None:
        self.host = host
        self.supervision_s = supervision_s
        self.powered = True
        self.connecting = asyncio.Lock()  # a controller makes one connection at a time
        self.scanning = 0
        self.open: dict[str, set[VirtualClient]] = {}
        """Clients by address that were connected and not yet disconnected, of a lost link too."""
        self.scanner = type("VirtualScanner", (VirtualScanner,), {"central": self})
        self.client = type("VirtualClient", (VirtualClient,), {"central": self})

    def check_power(self) -> None:
        """Raise bleak's error where the radio is off."""
        if not self.powered:
            reason = BleakBluetoothNotAvailableReason.POWERED_OFF
            raise BleakBluetoothNotAvailableError("Bluetooth is off", reason)

    async def connect(self, address: hci.Address) -> device.Connection:
        """Connect; whoever gives up leaves nothing behind."""
        wish = device.ConnectionParametersPreferences(
            connection_interval_min=BLUEZ_INTERVAL_MS[0],
            connection_interval_max=BLUEZ_INTERVAL_MS[1],
            supervision_timeout=int(1000 * self.supervision_s),
        )
        async with self.connecting:
            known = set(self.host.connections)
            try:
                return await self.host.connect(
                    address, timeout=None, connection_parameters_preferences={hci.HCI_LE_1M_PHY: wish}
                )
            except core.ConnectionError as error:
                raise BleakError(f"the connection failed: {error}") from error
            except asyncio.CancelledError:
                with contextlib.suppress(hci.HCI_Error):  # refused where it has just been made
                    await self.host.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
                for handle in set(self.host.connections) - known:
                    await self.host.connections[handle].disconnect()
                raise


class VirtualScanner(BaseBleakScanner):
    """bleak's scanner on a `Central`."""

    central: Central

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        **_: object,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Start scanning."""
        self.central.check_power()
        self.seen_devices = {}
        self.central.host.on("advertisement", self._advertisement)
        self.central.scanning += 1
        if self.central.scanning == 1:
            await self.central.host.start_scanning(active=self._active, filter_duplicates=False)

    async def stop(self) -> None:
        """Stop scanning, where it goes on."""
        if self._advertisement not in self.central.host.listeners("advertisement"):
            return
        self.central.host.remove_listener("advertisement", self._advertisement)
        self.central.scanning -= 1
        if self.central.scanning == 0:
            await self.central.host.stop_scanning()

    def _advertisement(self, heard: device.Advertisement) -> None:
        if not self.central.powered:
            return
        address = str(heard.address)[:17]
        _, old = self.seen_devices.get(address, (None, None))
        name = old.local_name if old else None
        services = list(old.service_uuids) if old else []
        makers = dict(old.manufacturer_data) if old else {}
        for kind, raw in heard.data.ad_structures:
            if size := _UUID_LISTS.get(_Data.Type(kind)):
                told = (core.UUID.from_bytes(raw[at : at + size]) for at in range(0, len(raw), size))
                services += [uuid for uuid in map(uuid_text, told) if uuid not in services]
            elif kind in (_Data.COMPLETE_LOCAL_NAME, _Data.SHORTENED_LOCAL_NAME):
                name = raw.decode(errors="replace")
            elif kind == _Data.MANUFACTURER_SPECIFIC_DATA:
                makers[int.from_bytes(raw[:2], "little")] = raw[2:]
        data = AdvertisementData(name, makers, {}, services, None, heard.rssi, (heard,))
        if self.is_allowed_uuid(services):
            found = self.create_or_update_device(address, address, name, heard.address, data)
            self.call_detection_callbacks(found, data)


class VirtualClient(BaseBleakClient):
    """bleak's client on a `Central`."""

    central: Central

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None = None,
        timeout: float = 30.0,
        services: Collection[str] | None = None,
        **_: object,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._wanted = services
        self._device = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._connection: device.Connection | None = None
        self._gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._callbacks: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """The sensor's name."""
        return (self._device and self._device.name) or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The default, as bleak says on BlueZ."""
        return 23

    @property
    def is_connected(self) -> bool:
        """Whether the link is up."""
        return self._connection is not None

    async def connect(self, pair: bool, **_: object) -> None:
        """Connect, agree on an MTU and discover the services."""
        self.central.check_power()
        async with asyncio.timeout(self._timeout):
            if self._device is None:
                self._device = await self._find()
            connection = await self.central.connect(self._device.details)
            self._gone = asyncio.get_running_loop().create_future()
            connection.once("disconnection", self._lost)
            self._connection = connection
            self.central.open.setdefault(self.address, set()).add(self)
            try:
                await self._while_connected(self._set_up(connection, pair))
            except BaseException:
                await self.disconnect()
                raise

    async def _find(self) -> BLEDevice:
        """Return the device of an address that somebody wrote, from a scan."""
        found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

        def heard(device: BLEDevice, _: AdvertisementData) -> None:
            if device.address.lower() == self.address.lower() and not found.done():
                found.set_result(device)

        scanner = self.central.scanner(heard, None, "active")
        await scanner.start()
        try:
            return await asyncio.wait_for(found, 0.9 * self._timeout)
        except TimeoutError:
            raise BleakDeviceNotFoundError(self.address, f"device {self.address} was not found") from None
        finally:
            await scanner.stop()

    async def _set_up(self, connection: device.Connection, pair: bool) -> None:
        peer = device.Peer(connection)
        await peer.request_mtu(LARGEST_MTU)
        if pair:
            await connection.pair()
        table = BleakGATTServiceCollection()
        for service in await peer.discover_services():
            its = BleakGATTService(service, service.handle, uuid_text(service.uuid))
            if self._wanted and its.uuid not in self._wanted:
                continue
            table.add_service(its)
            for one in await service.discover_characteristics():
                names = list(gatt_char_props_to_strs(int(one.properties)))
                characteristic = BleakGATTCharacteristic(
                    one, one.handle, uuid_text(one.uuid), names, lambda: connection.att_mtu - 3, its
                )
                table.add_characteristic(characteristic)
                for descriptor in await one.discover_descriptors():
                    kind = uuid_text(descriptor.type)
                    table.add_descriptor(
                        BleakGATTDescriptor(descriptor, descriptor.handle, kind, characteristic)
                    )
        self.services = table

    def _lost(self, reason: int) -> None:
        was_up, self._connection = self._connection is not None, None
        if not self._gone.done():
            self._gone.set_result(reason)
        if was_up and self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _while_connected(self, work: Awaitable[Found]) -> Found:
        """Return what an exchange gives, or raise as soon as the link is gone: bumble would wait for 30 s."""
        if self._connection is None:
            if asyncio.iscoroutine(work):
                work.close()
            raise BleakError("not connected")
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if self._gone.done() and (not task.done() or task.cancelled()):
                raise BleakError("disconnected")
            return await task
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(int(error.error_code)) from error
        finally:
            task.cancel()

    async def disconnect(self) -> None:
        """End the connection, or let go of one that is lost."""
        self.central.open.get(self.address, set()).discard(self)
        self._callbacks.clear()
        if self._connection is not None:
            await self._connection.disconnect()

    async def pair(self, *_: object, **__: object) -> None:
        """Pair with the sensor."""
        connection = self._up()
        await self._while_connected(connection.pair())

    async def unpair(self) -> None:
        """Forget the pairing; there is nothing to forget."""

    def _up(self) -> device.Connection:
        if self._connection is None:
            raise BleakError("not connected")
        return self._connection

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_: object) -> bytearray:
        """Read a characteristic."""
        return await self._read(characteristic.handle)

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_: object) -> bytearray:
        """Read a descriptor."""
        return await self._read(descriptor.handle)

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        """Write a characteristic."""
        await self._write(characteristic.handle, bytes(data), response)

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        await self._write(descriptor.handle, bytes(data), response=True)

    async def _read(self, handle: int) -> bytearray:
        client = self._up().gatt_client
        return bytearray(await self._while_connected(client.read_value(handle)))

    async def _write(self, handle: int, data: bytes, response: bool) -> None:
        client = self._up().gatt_client
        await self._while_connected(client.write_value(handle, data, response))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: Callable[[bytearray], None], **_: object
    ) -> None:
        """Subscribe to a characteristic."""
        client, handle = self._up().gatt_client, characteristic.handle
        if handle in self._callbacks:
            raise BleakError("notifications are on already")

        def received(value: bytes) -> None:
            if handle in self._callbacks:
                for other in self.central.open[self.address]:
                    if handle in other._callbacks:
                        callback(bytearray(value))

        self._callbacks[handle] = received
        try:
            await self._while_connected(client.subscribe(characteristic.obj, received))
        except BaseException:
            self._callbacks.pop(handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe from a characteristic."""
        client = self._up().gatt_client
        received = self._callbacks.pop(characteristic.handle, None)
        if received is not None:
            await self._while_connected(client.unsubscribe(characteristic.obj, received))
