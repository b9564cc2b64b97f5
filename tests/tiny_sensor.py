# ruff: noqa: D102 - what the methods do is said where their like is declared
"""A made-up sensor in two models, with and without a counter, as small as a protocol can be."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from firmware_host.sensors.protocol import (
    Advertisement,
    Await,
    Batch,
    Battery,
    Characteristic,
    Counts,
    Driver,
    Facts,
    Garbled,
    Model,
    Notify,
    Peripheral,
    Received,
    Restarted,
    Script,
    Service,
    Stopped,
    Subscribe,
    Warned,
    Write,
)

SERVICE = "7e570001-0000-4000-8000-00805f9b34fb"
CONTROL = "7e570002-0000-4000-8000-00805f9b34fb"
DATA = "7e570003-0000-4000-8000-00805f9b34fb"
N = 4
"""Samples of a packet."""


class TinyDriver(Driver):
    """Says `S` to start and `X` to stop; each is answered."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._answered = False
        self._stopped = False
        self._g_per_count = 0.0
        self._next = 0

    def start(self) -> Script:
        yield Subscribe(CONTROL)
        yield Subscribe(DATA)
        yield Write(CONTROL, b"S")
        yield Await(lambda: self._answered, "an answer to its start")
        self.facts = Facts(self.fs_hz, self._g_per_count, "int16", 4.0, "A1", "1.0")

    def stop(self) -> Script:
        yield Write(CONTROL, b"X")
        yield Await(lambda: self._stopped, "an answer to its stop")

    def poll(self) -> Script:
        yield Write(CONTROL, b"B", response=False)

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        if characteristic == CONTROL:
            return self._answer(data)
        head = 5 if self.model.counts == "counter" else 1
        if len(data) != head + N * 6 or data[0] != 0x11:
            return (Garbled("not a whole packet"),)
        counts = np.frombuffer(data, "<i2", offset=head).astype(np.int16).reshape(N, 3)
        first = int.from_bytes(data[1:5], "little") if head == 5 else self._next
        self._next = first + N
        return (Batch(counts, first),)

    def _answer(self, data: bytes) -> Sequence[Received]:
        match data[:1]:
            case b"s":
                self._answered, self._g_per_count = True, struct.unpack("<f", data[1:])[0]
            case b"x":
                self._stopped = True
            case b"b":
                return (Battery(data[1], 3.7), Warned("The tiny sensor is tiny."))
            case b"e":
                return (Stopped("it is in its charger"),)
            case b"r":
                return (Restarted(),)
        return ()


class TinyPeripheral(Peripheral):
    """The other side; `mute` leaves the start unanswered."""

    def __init__(self, model: Model, serial: str = "A1") -> None:
        super().__init__(model, serial)
        self.mute = False
        self.written_ = b""
        self.count = 0
        self._waiting: Counts = np.empty((0, 3), np.int16)

    def advertisement(self) -> Advertisement:
        return Advertisement(f"Tiny {self.serial}", (SERVICE,))

    def services(self) -> tuple[Service, ...]:
        return (
            Service(
                SERVICE,
                (
                    Characteristic(CONTROL, ("write", "write-without-response", "indicate")),
                    Characteristic(DATA, ("notify",)),
                ),
            ),
        )

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        self.written_ += data
        if data == b"S" and not self.mute:
            self.streaming, self.count = True, 0
            self._waiting = np.empty((0, 3), np.int16)
            return [Notify(CONTROL, b"s" + struct.pack("<f", self.g_per_count))]
        if data == b"X":
            self.streaming = False
            return [Notify(CONTROL, b"x")]
        return [Notify(CONTROL, bytes([ord("b"), self.percent]))] if data == b"B" else []

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        self._waiting = np.concatenate([self._waiting, counts.astype(np.int16)])
        sent = []
        while len(self._waiting) >= N:
            head = struct.pack("<BI", 0x11, self.count) if self.model.counts == "counter" else b"\x11"
            sent.append(Notify(DATA, head + self._waiting[:N].astype("<i2").tobytes()))
            self._waiting, self.count = self._waiting[N:], self.count + N
        return sent

    def reboot(self) -> None:
        self.streaming, self.count = False, 0


def _tiny(name: str, counts: str) -> Model:
    return Model(
        name=name,
        label=name,
        matches=lambda advertisement: SERVICE in advertisement.services,
        driver=TinyDriver,
        peripheral=TinyPeripheral,
        rates_hz=(400.0,),
        fs_hz=400.0,
        counts=counts,  # type: ignore[arg-type]
        g_per_count=0.001,
        sample_type="int16",
        range_g=4.0,
        samples_per_packet=N,
    )


COUNTED = _tiny("tiny counted", "counter")
BARE = _tiny("tiny bare", "none")
