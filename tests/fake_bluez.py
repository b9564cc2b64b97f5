# ruff: noqa: D102 - what the methods do is said where their like is declared
"""bluetoothd as unmodified bleak meets it on D-Bus, with what was measured on BlueZ 5.66, and its deaths.

A bus of its own (`dbus-daemon`) carries org.bluez with one adapter; the sensors are those of `fake_bleak`.
As there: a subscription lives until its D-Bus client goes, each one makes every value be told once more, and
is switched on again at reconnect; a device stays connected when the program that connected it is killed.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from fake_bleak import FakeSensor, numbered

from firmware_host.sensors.protocol import Notify

ADAPTER = "/org/bluez/hci0"
DEVICE1, GATT = "org.bluez.Device1", "org.bluez.Gatt"
BUS_CONFIGURATION = """<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


def start_bus(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a message bus; return its process and its address."""
    configuration, path = folder / "bus.conf", folder / "bus"
    configuration.write_text(BUS_CONFIGURATION.format(path=path))
    daemon = subprocess.Popen(
        ["dbus-daemon", "--nofork", f"--config-file={configuration}", "--print-address"],
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout is not None
    return daemon, daemon.stdout.readline().decode().strip()


class Link(FakeSensor):
    """A sensor with what bluetoothd knows of it."""

    def __init__(self, sensor: FakeSensor) -> None:
        super().__init__(sensor.peripheral, sensor.address)
        self.path = f"{ADAPTER}/dev_{sensor.address.replace(':', '_')}"
        self.known = self.connected = False
        self.closing_s = 0.0
        """bluetoothd ends a link so long after it was asked to: 2 s, the real one."""
        self.unreadable = 0
        """So many connections to come on which its services are "resolved" though they could not be read."""
        self.notifying: set[tuple[str, str]] = set()
        """Of a D-Bus client, a characteristic's path."""
        self.objects: dict[str, dict[str, dict[str, Variant]]] = {}
        for i, service in enumerate(self.peripheral.services()):
            at = f"{self.path}/service{i * 16 + 1:04x}"
            self.objects[at] = {
                f"{GATT}Service1": {
                    "UUID": Variant("s", service.uuid),
                    "Device": Variant("o", self.path),
                    "Primary": Variant("b", True),
                }
            }
            for j, one in enumerate(service.characteristics):
                self.objects[f"{at}/char{i * 16 + 2 + 2 * j:04x}"] = {
                    f"{GATT}Characteristic1": {
                        "UUID": Variant("s", one.uuid),
                        "Service": Variant("o", at),
                        "Flags": Variant("as", list(one.properties)),
                        "MTU": Variant("q", 247),
                        "Notifying": Variant("b", False),
                    }
                }

    def uuid_of(self, path: str) -> str:
        return str(self.objects[path][f"{GATT}Characteristic1"]["UUID"].value)

    def properties(self) -> dict[str, Variant]:
        said = self.peripheral.advertisement()
        services = [*said.services, "00001801-0000-1000-8000-00805f9b34fb"]
        return {
            "Address": Variant("s", self.address),
            "Name": Variant("s", said.name),
            "Alias": Variant("s", said.name),
            "Adapter": Variant("o", ADAPTER),
            "UUIDs": Variant("as", services if self.connected else list(said.services)),
            "Connected": Variant("b", self.connected),
            "Paired": Variant("b", False),
            "ServicesResolved": Variant("b", self.connected),
        } | ({} if self.connected else {"RSSI": Variant("n", -60)})


class FakeBluez:
    """The daemon; `die` and `live` as often as wanted, `unplug` and `plug` the adapter, `power` it."""

    def __init__(self, address: str, *sensors: FakeSensor) -> None:
        self._address = address
        self.links = {link.path: link for link in map(Link, sensors)}
        self.powered = self.plugged = True
        self.hung = False
        self.discovering: set[str] = set()
        self.called: list[str] = []
        self._bus: MessageBus | None = None
        self._doing: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> FakeBluez:
        await self.live()
        self._task = asyncio.create_task(self._play())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        self.die()

    async def live(self) -> None:
        """Start the daemon: it knows no device, and no link outlived the last one."""
        bus = MessageBus(bus_type=BusType.SYSTEM, bus_address=self._address)
        await bus.connect()
        bus.add_message_handler(self._handle)
        rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
        await bus.call(
            Message(
                "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", signature="s", body=[rule]
            )
        )
        self._bus = bus
        self.discovering.clear()
        await bus.request_name("org.bluez")
        if self.plugged:
            self._added(ADAPTER, {"org.bluez.Adapter1": self._adapter()})

    def die(self) -> None:
        """Crash without a word."""
        assert self._bus is not None
        self._bus.disconnect()
        self._bus = None
        for link in self.links.values():
            link.known = link.connected = False
            link.notifying.clear()
            link.peripheral.disconnected()

    def unplug(self) -> None:
        """Take the adapter away."""
        for link in self.links.values():
            self.drop(link)
            if link.known:
                link.known = False
                self._emit(
                    "/",
                    "org.freedesktop.DBus.ObjectManager",
                    "InterfacesRemoved",
                    "oas",
                    [link.path, [DEVICE1]],
                )
        self.plugged = False
        self.discovering.clear()
        removed = [ADAPTER, ["org.bluez.Adapter1"]]
        self._emit("/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas", removed)

    def plug(self) -> None:
        """Bring it back."""
        self.plugged = True
        self._added(ADAPTER, {"org.bluez.Adapter1": self._adapter()})

    def power(self, on: bool) -> None:
        """Switch Bluetooth on or off."""
        for link in self.links.values():
            self.drop(link)
        self.powered = on
        self.discovering.clear()
        self._changed(ADAPTER, "org.bluez.Adapter1", {"Powered": Variant("b", on)})

    def drop(self, link: Link) -> None:
        """Lose a link; subscriptions stay."""
        link.peripheral.disconnected()
        if link.connected:
            link.connected = False
            gone = {"Connected": Variant("b", False), "ServicesResolved": Variant("b", False)}
            self._changed(link.path, DEVICE1, gone)

    def vanish(self, link: Link) -> None:
        """Let a sensor go out of range."""
        link.present = False
        self.drop(link)

    async def _play(self) -> None:
        beat = 0
        while True:
            await asyncio.sleep(0.02)
            beat += 1
            for link in self.links.values():
                first = next(link._number)
                if self.hung:
                    continue
                if link.connected and link.peripheral.streaming and not link.silent and self._bus is not None:
                    self._values(link, link.peripheral.send(numbered(first, 8), first))
                    link.delivered += range(first, first + 8)
                if self.discovering and beat % 4 == 0:
                    self._advertise(link)

    def _advertise(self, link: Link) -> None:
        if not link.present or link.connected or not self.powered or self._bus is None:
            return
        if link.known:
            self._changed(link.path, DEVICE1, {"RSSI": Variant("n", -60)})
        else:
            link.known = True
            self._added(link.path, {DEVICE1: link.properties()})

    def _values(self, link: Link, notes: list[Notify]) -> None:
        for note in notes:
            for _, path in list(link.notifying):
                if link.uuid_of(path) == note.characteristic:
                    self._changed(path, f"{GATT}Characteristic1", {"Value": Variant("ay", note.data)})

    def _adapter(self) -> dict[str, Variant]:
        return {
            "Address": Variant("s", "00:00:00:00:00:01"),
            "Powered": Variant("b", self.powered),
            "Roles": Variant("as", ["central"]),
        }

    def _handle(self, message: Message) -> Message | bool | None:
        if message.member == "NameOwnerChanged" and message.body[2] == "":
            self.discovering.discard(message.body[0])
            for link in self.links.values():
                link.notifying = {one for one in link.notifying if one[0] != message.body[0]}
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        self.called.append(str(message.member))
        if self.hung:
            return True  # no answer, ever
        path = message.path or ""
        link = next((one for at, one in self.links.items() if path.startswith(at)), None)
        if message.member == "GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects()])
        if path == ADAPTER and self.plugged:
            return self._for_adapter(message)
        if link is None or not link.known:
            name = "org.freedesktop.DBus.Error.UnknownObject"
            return Message.new_error(message, name, f"no such object {path}")
        if path == link.path:
            self._do(self._for_device(message, link))
            return True
        return self._for_characteristic(message, link)

    def _for_adapter(self, message: Message) -> Message:
        client = message.sender or ""
        if message.member == "StartDiscovery":
            if not self.powered:
                return Message.new_error(message, "org.bluez.Error.NotReady", "Resource Not Ready")
            if client in self.discovering:
                return Message.new_error(
                    message, "org.bluez.Error.InProgress", "Operation already in progress"
                )
            self.discovering.add(client)
        if message.member == "StopDiscovery":
            if client not in self.discovering:
                return Message.new_error(message, "org.bluez.Error.Failed", "No discovery started")
            self.discovering.discard(client)
        return Message.new_method_return(message)

    async def _for_device(self, message: Message, link: Link) -> None:
        if message.member == "Disconnect":
            await asyncio.sleep(link.closing_s)
            self.drop(link)
            self._reply(Message.new_method_return(message))
            return
        if self.discovering:
            self._reply(
                Message.new_error(message, "org.bluez.Error.InProgress", "Operation already in progress")
            )
            return
        while not link.present:
            await asyncio.sleep(0.01)
        link.connected = True
        link.connects += 1
        self._changed(link.path, DEVICE1, {"Connected": Variant("b", True)})
        self._reply(Message.new_method_return(message))
        await asyncio.sleep(0.02)
        link.unreadable -= 1
        for path, interfaces in link.objects.items() if link.unreadable < 0 else ():
            self._added(path, interfaces)
        if link.connected:
            self._changed(
                link.path,
                DEVICE1,
                {"ServicesResolved": Variant("b", True)} | {"UUIDs": link.properties()["UUIDs"]},
            )

    def _for_characteristic(self, message: Message, link: Link) -> Message:
        if not link.connected:
            return Message.new_error(message, "org.bluez.Error.Failed", "Not connected")
        path, key = message.path or "", (message.sender or "", message.path or "")
        if message.member == "StartNotify":
            link.notifying.add(key)
        elif message.member == "AcquireNotify":
            self.die()  # as 5.66 does sooner or later
        elif message.member == "StopNotify":
            link.notifying.discard(key)
        elif message.member == "WriteValue":
            notes = link.peripheral.written(link.uuid_of(path), bytes(message.body[0]))
            asyncio.get_running_loop().call_soon(self._values, link, notes)
        elif message.member == "ReadValue":
            return Message.new_method_return(message, "ay", [link.peripheral.read(link.uuid_of(path))])
        return Message.new_method_return(message)

    def _objects(self) -> dict[str, Any]:
        objects: dict[str, Any] = {}
        if self.plugged:
            objects[ADAPTER] = {"org.bluez.Adapter1": self._adapter()}
        for link in self.links.values():
            if link.known:
                objects[link.path] = {DEVICE1: link.properties()}
                objects |= link.objects if link.connected else {}
        return objects

    def _added(self, path: str, interfaces: dict[str, dict[str, Variant]]) -> None:
        manager = "org.freedesktop.DBus.ObjectManager"
        self._emit("/", manager, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def _changed(self, path: str, interface: str, changed: dict[str, Variant]) -> None:
        body = [interface, changed, []]
        self._emit(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", body)

    def _emit(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        self._reply(Message.new_signal(path, interface, member, signature, body))

    def _reply(self, message: Message) -> None:
        if self._bus is not None and self._bus.connected:
            self._do(self._bus.send(message))

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)
