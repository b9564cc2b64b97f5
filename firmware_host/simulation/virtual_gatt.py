"""A peripheral's GATT table and advertisement as a bumble device, which is a real server of both."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from bumble import att, core, device, gatt

from firmware_host.sensors.protocol import Advertisement, Notify, Peripheral
from firmware_host.simulation.virtual_link import RadioController

ADVERTISED_MS = 100.0
_SLOT_MS = 0.625
_ROOM = 31
"""Bytes of an advertisement, and of a scan response."""
_BASE_UUID = "-0000-1000-8000-00805f9b34fb"
_PROPERTIES = gatt.Characteristic.Properties
_WRITABLE = _PROPERTIES.WRITE | _PROPERTIES.WRITE_WITHOUT_RESPONSE


class GattSide:
    """The Bluetooth of one sensor: advertises, takes one host, reads, writes and notifies.

    Parameters
    ----------
    peripheral
        Whose table and advertisement it is, and who reads and learns what a notification may carry.
    controller
        Its radio.
    written
        Called with characteristic and data of every write; what it raises is an ATT error to the host.
    changed
        Called with True when a host has connected, with False when it is gone.
    spawn
        Runs a coroutine beside.
    """

    def __init__(
        self,
        peripheral: Peripheral,
        controller: RadioController,
        written: Callable[[str, bytes], None],
        changed: Callable[[bool], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.connection: device.Connection | None = None
        self.characteristics: dict[str, gatt.Characteristic[bytes]] = {}
        self._peripheral, self._take, self._changed, self._spawn = peripheral, written, changed, spawn
        name = peripheral.advertisement().name
        self._device = device.Device(name=name, address=controller.address, host=controller.new_host())
        self._server = self._device.gatt_server

    async def start(self) -> None:
        """Set the table up and switch the radio on."""
        for service in self._peripheral.services():
            members = []
            for one in service.characteristics:
                value = gatt.CharacteristicValue(
                    read=lambda _, uuid=one.uuid: self._read(uuid),
                    write=lambda _, data, uuid=one.uuid: self._written(uuid, data),
                )
                access = gatt.Characteristic.READABLE | gatt.Characteristic.WRITEABLE
                words = ",".join(one.properties).upper().replace("-", "_")
                self.characteristics[one.uuid] = gatt.Characteristic(
                    _uuid(one.uuid), _PROPERTIES.from_string(words), access, value
                )
                members.append(self.characteristics[one.uuid])
            self._server.add_service(gatt.Service(_uuid(service.uuid), members))
        self._server.max_mtu = self._peripheral.mtu
        self._device.on("connection", self._connected)
        await self._device.power_on()

    async def advertise(self) -> None:
        """Advertise; what finds no room beside the first structures goes into the scan response."""
        told = _told(self._peripheral.advertisement())
        first: list[tuple[int, bytes]] = []
        while told and sum(2 + len(data) for _, data in (*first, told[0])) <= _ROOM:
            first.append(told.pop(0))
        interval_ms = ADVERTISED_MS * _SLOT_MS  # bumble's controller takes slots for milliseconds
        await self._device.start_advertising(
            advertising_data=bytes(core.AdvertisingData(first)),
            scan_response_data=bytes(core.AdvertisingData(told)),
            advertising_interval_min=interval_ms,
            advertising_interval_max=interval_ms,
        )

    def _connected(self, connection: device.Connection) -> None:
        self.connection = connection
        self._peripheral.payload = connection.att_mtu - 3
        connection.on("connection_att_mtu_update", self._mtu)
        connection.on("disconnection", self._disconnected)
        self._changed(True)

    def _mtu(self) -> None:
        if self.connection is not None:
            self._peripheral.payload = self.connection.att_mtu - 3

    def _disconnected(self, _: int) -> None:
        self.connection = None
        self._changed(False)

    def _read(self, uuid: str) -> bytes:
        if not self.characteristics[uuid].properties & _PROPERTIES.READ:
            raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)
        return self._peripheral.read(uuid)

    def _written(self, uuid: str, data: bytes) -> None:
        if not self.characteristics[uuid].properties & _WRITABLE:
            raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)
        try:
            self._take(uuid, bytes(data))
        except Exception as error:
            raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR) from error

    def notify(self, note: Notify) -> tuple[str, bool]:
        """Hand a notification or an indication to the host.

        Returns
        -------
        Why it does not arrive whole ("" where it will, unless the radio loses it), and whether it goes on the
        air as a notification.
        """
        connection = self.connection
        if connection is None:
            return "link lost", False
        one = self.characteristics[note.characteristic]
        asked = self._server.subscribers.get(connection, {}).get(one.handle, b"\0\0")[0]
        value = note.data[: connection.att_mtu - 3]
        if asked & 1:
            pdu = att.ATT_Handle_Value_Notification(attribute_handle=one.handle, attribute_value=value)
            self._server.send_gatt_pdu(connection, bytes(pdu))
        elif asked & 2:
            self._spawn(self._server.indicate_subscriber(connection, one, value))
        else:
            return "not subscribed", False
        return "" if len(value) == len(note.data) else "longer than the MTU allows", bool(asked & 1)


def is_notification(data: bytes) -> bool:
    """Tell whether a packet on the air is a notification."""
    return data[4] == att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION


def _uuid(text: str) -> core.UUID:
    """Return a UUID as it is sent: 16 bits where it is one of the standard's."""
    if text.startswith("0000") and text.endswith(_BASE_UUID):
        return core.UUID.from_16_bits(int(text[4:8], 16))
    return core.UUID(text)


def _told(advertisement: Advertisement) -> list[tuple[int, bytes]]:
    """Return an advertisement as its structures."""
    kinds = core.AdvertisingData.Type
    lists = {
        2: kinds.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
        16: kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    }
    told: list[tuple[int, bytes]] = [(kinds.FLAGS, b"\x06")]
    services = [bytes(_uuid(text)) for text in advertisement.services]
    for size, kind in lists.items():
        if some := b"".join(raw for raw in services if len(raw) == size):
            told.append((kind, some))
    for company, data in advertisement.manufacturer.items():
        told.append((kinds.MANUFACTURER_SPECIFIC_DATA, company.to_bytes(2, "little") + data))
    if advertisement.name:
        told.append((kinds.COMPLETE_LOCAL_NAME, advertisement.name.encode()))
    return told
