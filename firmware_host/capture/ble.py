"""The radio: bleak behind a small face, with every wait bounded and every failure a plain sentence.

The only module outside simulation that imports bleak, and only once it is used. What it works around is in
devices.md 9 and was measured on BlueZ 5.66: clients are made anew for each connection, the lost one is always
disconnected first (else BlueZ delivers each packet twice, bleak issue 2002), scans stop while connecting, and
notifications are never acquired (that crashes bluetoothd).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from firmware_host.capture.bounded import bounded
from firmware_host.capture.hearing import UNREAD, Ear, Listener, Scanner, Seen
from firmware_host.capture.identity import Register
from firmware_host.capture.radio_errors import is_radio_error, radio_error
from firmware_host.errors import RadioError, SensorError
from firmware_host.sensors import models
from firmware_host.sensors.protocol import BATTERY_SERVICE, DEVICE_SERVICE, Advertisement, MissingPartError

if TYPE_CHECKING:
    from bleak import BleakClient, BleakScanner
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

__all__ = ["Backend", "Connection", "Radio", "Seen"]

LOCK_S = 6.0
"""The longest that one connection keeps the others of an adapter waiting."""
CONNECT_S = 20.0 if sys.platform == "win32" else 5.0
"""With the discovery of services: a second on BlueZ; ten on Windows, which does it beside others."""
STALE_S = 20.0
"""An advertisement older than this is not connected to: BlueZ may have forgotten the sensor."""
TRIED_S = 60.0
"""A sensor that is connected to nobody of this process is told of so seldom."""
ANSWER_S = 5.0
CLOSE_S = 5.0

_log = logging.getLogger(__name__)
logging.getLogger("bleak").addHandler(logging.NullHandler())  # what it complains of is said in our sentences


class Backend(NamedTuple):
    """What bleak is told to use instead of the system's radio: its scanner and client classes."""

    scanner: type
    client: type


class Connection:
    """One connection to one sensor; not to be used again once it is lost."""

    def __init__(self, client: BleakClient, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def table(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Its GATT table: service, characteristic and the characteristic's properties."""
        found = self._characteristics()
        return [(one.service_uuid.lower(), one.uuid.lower(), tuple(one.properties)) for one in found]

    async def subscribe(self, characteristic: str, callback: Callable[[bytes], None]) -> None:
        """Have notifications (or indications) of a characteristic delivered, in the event loop.

        Raises
        ------
        SensorError, RadioError
            If the sensor lacks it, refuses, is lost or does not answer in time; as all below.
        """
        found = self._need(characteristic)
        await self._ask(self._client.start_notify(found, lambda _, data: callback(bytes(data))))

    async def read(self, characteristic: str) -> bytes:
        """Read a characteristic; b"" where the sensor has no such one."""
        found = self._find(characteristic)
        return b"" if found is None else bytes(await self._ask(self._client.read_gatt_char(found)))

    async def write(self, characteristic: str, data: bytes, response: bool) -> None:
        """Write a characteristic; with or without response as asked, where it has only the other, so."""
        found = self._need(characteristic)
        ways = {True: "write", False: "write-without-response"}
        with_response = response if ways[response] in found.properties else not response
        await self._ask(self._client.write_gatt_char(found, data, response=with_response))

    async def close(self, within_s: float = CLOSE_S) -> None:
        """Disconnect and let go of what the system keeps for it; bounded in time, never raises.

        Must be called for a lost connection too: until then BlueZ keeps its subscriptions.
        """
        try:
            await bounded(self._client.disconnect(), within_s)
        except Exception as error:  # noqa: BLE001 - TimeoutError, BleakDBusError, EOFError, AssertionError ...
            _log.info("%s: closing failed: %r", self._name, error, exc_info=True)

    def _characteristics(self) -> list[BleakGATTCharacteristic]:
        try:
            return list(self._client.services.characteristics.values())
        except Exception as error:  # the services are gone with the link
            raise SensorError(f"{self._name} is not connected any more.") from error

    def _find(self, uuid: str) -> BleakGATTCharacteristic | None:
        return next((one for one in self._characteristics() if one.uuid.lower() == uuid), None)

    def _need(self, uuid: str) -> BleakGATTCharacteristic:
        found = self._find(uuid)
        if found is None:
            raise MissingPartError(f"{self._name} lacks a part of its protocol (characteristic {uuid}).")
        return found

    async def _ask(self, work: Any) -> Any:  # noqa: ANN401 - bleak's own
        try:
            return await bounded(work, ANSWER_S)
        except Exception as error:
            raise _translated(error, f"{self._name} did not do as it was asked") from error


class Radio:
    """The computer's Bluetooth, or a virtual one.

    Parameters
    ----------
    backend
        What takes the place of the system's radio.
    adapters
        Names as "hci1"; empty: the system's default one.
    """

    def __init__(self, backend: Backend | None = None, adapters: Sequence[str] = ()) -> None:
        self._backend = backend
        self.adapters: tuple[str | None, ...] = tuple(adapters) or (None,)
        self._ears = {adapter: Ear(self._scanner_of(adapter)) for adapter in self.adapters}
        self._open: set[str] = set()
        self._tried: dict[str, float] = {}
        self.is_systems = backend is None
        self.register = Register()

    @contextlib.asynccontextmanager
    async def scan(self, adapter: str | None = None) -> AsyncIterator[AsyncIterator[Seen]]:
        """Hear advertisements, on one adapter or on all; there is one scan however many listen.

        Entering waits until the scan has begun; it and iterating raise RadioError where the adapter, or each
        of them, cannot be used.
        """
        ears = [self._ear(adapter)] if adapter else list(self._ears.values())
        async with contextlib.AsyncExitStack() as stack:
            heard: Listener = asyncio.Queue(UNREAD)
            for ear in ears:
                await stack.enter_async_context(ear.listening(heard))
            items = await stack.enter_async_context(contextlib.aclosing(_unless_all_fail(heard, len(ears))))
            yield _seen(await anext(items), items)  # a scan has begun

    async def connect(
        self,
        seen: Seen,
        on_lost: Callable[[], None],
        *,
        pair: bool = False,
        services: Sequence[str] = (),
    ) -> Connection:
        """Connect to a sensor that was just seen.

        Parameters
        ----------
        seen
            Its advertisement, of the last seconds.
        on_lost
            Called in the event loop when the connection ends, also by `Connection.close`.
        pair
            Pair first.
        services
            Services that will be used; others are not asked for. Empty: all.

        Raises
        ------
        RadioError
            If Bluetooth is off, missing or not allowed.
        SensorError
            If the sensor cannot be reached.
        """
        from bleak import BleakClient

        name = seen.advertisement.name or seen.address
        client = BleakClient(
            seen.device,
            disconnected_callback=lambda _: on_lost(),
            services={*services, BATTERY_SERVICE, DEVICE_SERVICE} if services else None,
            timeout=CONNECT_S,
            pair=pair,
            bluez={"adapter": seen.adapter} if seen.adapter else {},
            backend=self._backend.client if self._backend else None,
        )
        connection = _Counted(client, name, self._open, seen.address)
        try:
            await self._connect(client, seen)
            if not connection.table:  # BlueZ calls services resolved also where it failed to read them
                raise SensorError(f"{name} did not tell what it offers.")
        except Exception as error:
            await connection.close()
            raise _translated(error, f"{name} could not be connected") from error
        except BaseException:
            await connection.close(1.0)
            raise
        return connection

    async def _connect(self, client: BleakClient, seen: Seen) -> None:
        async with self._ear(seen.adapter).silence():
            if asyncio.get_running_loop().time() - seen.at_s > STALE_S:
                raise SensorError("It has not been heard for a while.")
            work = asyncio.ensure_future(bounded(client.connect(), CONNECT_S + 1.0))
            try:
                await asyncio.wait({work}, timeout=LOCK_S)
            except asyncio.CancelledError:
                work.cancel()
                await asyncio.wait({work}, timeout=1.0)
                raise
        await work

    def _ear(self, adapter: str | None) -> Ear:
        if adapter not in self._ears:
            raise RadioError(f"There is no Bluetooth adapter {adapter} here.")
        return self._ears[adapter]

    def _scanner_of(self, adapter: str | None) -> Callable[[Callable[[Seen], None]], Scanner]:
        return lambda heard: _Scan(self._backend, adapter, heard, self._open, self._tried)


async def _unless_all_fail(heard: Listener, ears: int) -> AsyncGenerator[Seen | None, None]:
    failed: set[Ear] = set()
    while True:
        ear, item = await heard.get()
        if not isinstance(item, RadioError):
            failed.discard(ear)
            yield item
            continue
        failed.add(ear)
        if len(failed) == ears:
            raise item


async def _seen(first: Seen | None, items: AsyncIterator[Seen | None]) -> AsyncIterator[Seen]:
    if first is not None:  # of a scan that had begun already
        yield first
    async for item in items:
        if item is not None:
            yield item


class _Counted(Connection):
    """A connection that is known to its radio until it is closed."""

    def __init__(self, client: BleakClient, name: str, open_: set[str], address: str) -> None:
        super().__init__(client, name)
        self._open, self._address = open_, address
        open_.add(address)

    async def close(self, within_s: float = CLOSE_S) -> None:
        await super().close(within_s)
        self._open.discard(self._address)


class _Scan:
    """bleak's scanner, as an ear uses it."""

    def __init__(
        self,
        backend: Backend | None,
        adapter: str | None,
        heard: Callable[[Seen], None],
        own: set[str],
        tried: dict[str, float],
    ) -> None:
        self._backend, self._adapter, self._heard, self._own, self._tried = (
            backend,
            adapter,
            heard,
            own,
            tried,
        )
        self._is_bluez = backend is None and sys.platform == "linux"
        self._bleak: BleakScanner | None = None

    async def start(self) -> None:
        try:
            from bleak import BleakScanner

            self._bleak = BleakScanner(
                self._detected,
                bluez={"adapter": self._adapter} if self._adapter else {},
                backend=self._backend.scanner if self._backend else None,
            )
            await self._bleak.start()
        except Exception as error:
            raise radio_error(error) from error

    async def stop(self) -> None:
        try:
            if self._bleak is not None:
                await self._bleak.stop()
        except Exception as error:  # noqa: BLE001 - of a dead bluetoothd; the next start says so
            _log.info("ending the scan failed: %r", error, exc_info=True)

    async def connected(self) -> list[Seen]:
        """Return sensors that a recorder that was killed left connected: BlueZ keeps the link, and a sensor
        that is connected does not advertise. Each once a minute until it is heard: what a dead bluetoothd
        had connected stays so in bleak's memory.
        """
        if not self._is_bluez:
            return []
        from bleak import BleakAdapter

        services = {"1800", "1801"} | {
            service.uuid for model in models().values() for service in model.peripheral(model).services()
        }
        try:
            adapter = await BleakAdapter.get(bluez={"adapter": self._adapter} if self._adapter else {})
            devices = await adapter.get_connected_devices(list(services))
        except Exception as error:  # noqa: BLE001 - only a help: the scan goes on without
            _log.info("connected devices are not known: %r", error, exc_info=True)
            return []
        now_s = asyncio.get_running_loop().time()
        found = [
            device
            for device in devices
            if device.address not in self._own
            and now_s - self._tried.get(device.address, -TRIED_S) >= TRIED_S
        ]
        self._tried.update(dict.fromkeys((device.address for device in found), now_s))
        return [self._left_over(device) for device in found]

    def _left_over(self, device: BLEDevice) -> Seen:
        properties = device.details["props"]
        services = tuple(uuid.lower() for uuid in properties.get("UUIDs", []))
        return self._seen(device, Advertisement(_text(device.name or ""), services), -127)

    def _detected(self, device: BLEDevice, data: AdvertisementData) -> None:
        if self._is_bluez and "RSSI" not in data.platform_data[1]:
            return  # some other property changed, as when a link is lost: it was not heard
        self._tried.pop(device.address, None)
        services = tuple(uuid.lower() for uuid in data.service_uuids)
        name = _text(data.local_name or device.name or "")
        self._heard(self._seen(device, Advertisement(name, services, data.manufacturer_data), data.rssi))

    def _seen(self, device: BLEDevice, advertisement: Advertisement, rssi: int) -> Seen:
        now_s = asyncio.get_running_loop().time()
        return Seen(device.address, advertisement, rssi, self._adapter, device, now_s)


def _text(name: str) -> str:
    """Return a name that can be kept as UTF-8: Windows may tell halves of characters."""
    return name.encode(errors="replace").decode()


def _translated(error: Exception, what: str) -> RadioError | SensorError:
    """Say a failure in a sentence: the radio's, or the sensor's."""
    if isinstance(error, RadioError | SensorError):
        return error
    if is_radio_error(error):
        return radio_error(error)
    return SensorError(f"{what} ({str(error) or type(error).__name__}).")
