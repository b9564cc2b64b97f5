"""A radio in software: Bluetooth controllers and the air between them, with what a host notices of one.

The host and every sensor are bumble devices: L2CAP, ATT and GATT are real protocol code, and each talks HCI
to a controller of its own. bumble's controllers and link know neither distance nor time; these add scan
responses, connect attempts that can be given up, links that die of silence, and connection events: packets
come in bursts, late, after missed events later, now and then much later, but never early (figures: two logs
of real wearables, 99 % of arrivals within 70 ms, the largest gaps 0.07-0.5 s).
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from bumble import att, controller, hci, host, l2cap, link, ll
from bumble.core import PhysicalTransport
from bumble.transport.common import AsyncPipeSink

from firmware_host.simulation.time_lapse import VirtualClock

LE = PhysicalTransport.LE
TIMEOUT = int(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
NEVER_UP = int(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)
PACKETS_PER_EVENT = 12
"""Of full length, that fit into a connection event of 30 ms at 1 Mbit/s."""
SHORTEST_INTERVAL_S = 0.0075
MISSED_EVENTS = 0.03
"""Share of the connection events in which nothing gets through."""
STALLS_PER_EVENT = 2e-4
STALL_S = (0.1, 0.5)
HOST_S = 0.002
"""Mean time that the host takes to hand a packet on."""
LEGACY_ONLY = ~(
    hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    | hci.LeFeatureMask.LE_CODED_PHY
    | hci.LeFeatureMask.LL_PRIVACY
)


def quiet_bumble() -> None:
    """Spare bumble the text of log lines that nobody reads, but which it makes: a third of its time.

    Warnings go too: of packets for links that have just gone, which is what is played here.
    """
    log = logging.getLogger("bumble")
    if log.isEnabledFor(logging.DEBUG):
        return
    log.setLevel(logging.CRITICAL)
    for kind in (att.ATT_PDU, l2cap.L2CAP_PDU, hci.HCI_Command, hci.HCI_Event, hci.HCI_AclDataPacket):
        kind.__str__ = object.__repr__  # type: ignore[method-assign]
    for module in (controller, host):
        module.color = lambda text, *_: text  # type: ignore[attr-defined]


class RadioController(controller.Controller):
    """A Bluetooth 4.2 controller on a link: legacy advertising, packets of full length."""

    le_features = controller.Controller.le_features & LEGACY_ONLY
    hci_version = lmp_version = hci.HCI_VERSION_BLUETOOTH_CORE_4_2
    le_acl_data_packet_length = acl_data_packet_length = 251
    link: RadioLink

    def __init__(self, name: str, air: RadioLink, address: str) -> None:
        super().__init__(name, link=air)
        self.address = hci.Address(address)
        self.in_range = True
        self.rssi = -60
        self.carried: Callable[[bytes], None] | None = None
        """Told of every packet of this side that arrived at the other's host."""
        air.sides[self.address] = self

    def new_host(self) -> host.Host:
        """Return the host on top of this controller."""
        above = host.Host(self, AsyncPipeSink(self))
        self.host = above
        return above

    def hear(self, packet: ll.AdvInd, sender: RadioController) -> None:
        """Hear an advertisement: report it where scanning is on, connect where that is waited for."""
        if self.le_scan_enable:
            kinds = hci.HCI_LE_Advertising_Report_Event.EventType
            reports = [(kinds.ADV_IND, packet.data)]
            if self.le_scan_type == 1:
                reports.append((kinds.SCAN_RSP, sender.le_legacy_advertiser.scan_response_data))
            for kind, data in reports:
                report = hci.HCI_LE_Advertising_Report_Event.Report(
                    event_type=kind,
                    address_type=sender.address.address_type,
                    address=sender.address,
                    data=data,
                    rssi=sender.rssi,
                )
                self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))
        wanted = self.pending_le_connection
        if wanted is not None and wanted.peer_address == sender.address:
            self.create_le_connection(sender.address)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Give up connecting; the host is told so after the command's own answer."""
        wanted, self.pending_le_connection = self.pending_le_connection, None
        if wanted is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        given_up = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, connection_handle=0,
            role=hci.Role.CENTRAL, peer_address_type=wanted.peer_address.address_type,
            peer_address=wanted.peer_address, connection_interval=0, peripheral_latency=0,
            supervision_timeout=0, central_clock_accuracy=0,
        )  # fmt: skip
        self.link.clock.call_soon(self.send_hci_packet, given_up)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def lose(self, connection: controller.Connection, reason: int = TIMEOUT) -> None:
        """Give a connection up, if it is still there."""
        if self.le_connections.get(connection.peer_address) is connection:
            self.on_le_disconnected(connection, reason)


@dataclass
class _Way:
    """One direction of a connection, with the packets that wait for an event or for the other to be heard."""

    sender: RadioController
    receiver: RadioController
    interval_s: float
    anchor_s: float
    queue: deque[bytes] = field(default_factory=deque)
    armed: bool = False
    blocked_s: float = 0.0


class RadioLink(link.LocalLink):
    """The air between controllers.

    Parameters
    ----------
    clock, rng
        Of this world.
    timed
        Carry packets in connection events; else at once.
    supervision_s
        A link dies when nothing was heard for so long.
    """

    def __init__(
        self, clock: VirtualClock, rng: np.random.Generator, *, timed: bool, supervision_s: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.clock, self.rng, self.timed, self.supervision_s = clock, rng, timed, supervision_s
        self.sides: dict[hci.Address, RadioController] = {}
        self._ways: dict[tuple[hci.Address, hci.Address], _Way] = {}

    def find_le_controller(self, address: hci.Address) -> RadioController | None:
        """Return the controller with an address."""
        return self.sides.get(address)

    def send_advertising_pdu(
        self, sender_controller: controller.Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Carry an advertisement to all that hear it, a connect request to the one that it is for."""
        sender = sender_controller
        assert isinstance(sender, RadioController)
        if isinstance(packet, ll.ConnectInd):
            self._connect(sender, self.sides[packet.advertiser_address], packet)
        elif isinstance(packet, ll.AdvInd) and sender.in_range:
            for other in self.sides.values():
                if other is not sender and other.in_range:
                    other.hear(packet, sender)

    def _connect(self, central: RadioController, sensor: RadioController, packet: ll.ConnectInd) -> None:
        connection = central.le_connections[sensor.address]
        now_s = self.clock.now_s()
        interval_s = max(packet.interval * 1.25e-3, SHORTEST_INTERVAL_S)
        for sender, receiver in ((central, sensor), (sensor, central)):
            self._ways[sender.address, receiver.address] = _Way(sender, receiver, interval_s, now_s)
        sensor.on_ll_advertising_pdu(packet)
        if central.address not in sensor.le_connections:
            self.clock.call_at(now_s + 6 * interval_s, central.lose, connection, NEVER_UP)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Carry a link-layer packet, where the other hears it."""
        sender, receiver = self.sides[sender_address], self.sides[receiver_address]
        if not (sender.in_range and receiver.in_range):
            return
        if isinstance(packet, ll.ConnectionUpdateInd):
            for key in ((sender_address, receiver_address), (receiver_address, sender_address)):
                self._ways[key].interval_s = max(packet.interval * 1.25e-3, SHORTEST_INTERVAL_S)
        self.clock.call_soon(receiver.on_ll_control_pdu, sender_address, packet)

    def send_acl_data(
        self,
        sender_controller: controller.Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,  # noqa: ARG002 - there is only one
        data: bytes,
    ) -> None:
        """Carry a packet: at once, at the next connection event, or when the other is in range again."""
        assert isinstance(sender_controller, RadioController)
        way = self._ways.get((sender_controller.address, destination_address))
        if way is None:
            return
        way.queue.append(data)
        if not self.timed and way.sender.in_range and way.receiver.in_range:
            self.clock.call_soon(self._carry, way, 1)
        elif self.timed:
            self._arm(way)

    def waiting(self, side: RadioController) -> int:
        """Return how many packets of a side wait."""
        return sum(len(way.queue) for way in self._ways.values() if way.sender is side)

    def _arm(self, way: _Way) -> None:
        if way.queue and not way.armed and way.sender.in_range and way.receiver.in_range:
            way.armed = True
            after_s = max(self.clock.now_s(), way.blocked_s) - way.anchor_s
            # A timer may be early by the clock's last digits; the event that is held now is not the next.
            number = math.floor(after_s / way.interval_s + 1e-3) + 1
            event_s = way.anchor_s + number * way.interval_s
            self.clock.call_at(event_s, self._event, way, event_s)

    def _event(self, way: _Way, event_s: float) -> None:
        """Hold a connection event: some packets go, unless it is missed."""
        way.armed = False
        if self.rng.random() < STALLS_PER_EVENT:
            way.blocked_s = event_s + self.rng.uniform(*STALL_S)
        elif way.sender.in_range and way.receiver.in_range and self.rng.random() >= MISSED_EVENTS:
            # Where this process was held up, what the events meanwhile would have carried comes too.
            meanwhile = 1 + int((self.clock.now_s() - event_s) / way.interval_s)
            late_s = min(self.rng.exponential(HOST_S), 0.5 * way.interval_s)
            number = min(len(way.queue), PACKETS_PER_EVENT * meanwhile)
            self.clock.call_at(event_s + late_s, self._carry, way, number)
            if number == len(way.queue):
                return
        self._arm(way)

    def _carry(self, way: _Way, number: int) -> None:
        for _ in range(min(number, len(way.queue))):
            data = way.queue.popleft()
            if way.sender.address in way.receiver.le_connections:
                way.receiver.on_link_acl_data(way.sender.address, LE, data)
                if way.sender.carried is not None:
                    way.sender.carried(data)

    def come_back(self, side: RadioController) -> None:
        """Bring a side into range again; what waited comes in a burst."""
        side.in_range = True
        for way in self._ways.values():
            if side in (way.sender, way.receiver):
                if self.timed:
                    self._arm(way)
                else:
                    self._carry(way, len(way.queue))

    def cut(self, side: RadioController, *, noticed_s: float = 0.0) -> None:
        """End all connections of a side: it knows at once, the others after some time of silence."""
        for address, connection in list(side.le_connections.items()):
            other = self.sides[address]
            theirs = other.le_connections.get(side.address)
            for key in ((side.address, address), (address, side.address)):
                if key in self._ways:
                    self._ways.pop(key).queue.clear()
            side.lose(connection)
            if theirs is not None:
                self.clock.call_at(self.clock.now_s() + noticed_s, other.lose, theirs)

    def supervise(self, side: RadioController) -> None:
        """End the connections of a side that is out of range, and those that the other side has given up."""
        if not side.in_range:
            self.cut(side)
        for address, connection in list(side.le_connections.items()):
            if side.address not in self.sides[address].le_connections:
                side.lose(connection)
