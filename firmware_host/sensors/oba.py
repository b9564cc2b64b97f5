"""OBA/1, the open profile for boards that you flash yourself: index, sequence and time with every packet.

The profile is ours; docs/oba.md defines it, and `oba_rules.py` checks a board against it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from firmware_host.errors import SensorError
from firmware_host.sensors.pending import Pending
from firmware_host.sensors.protocol import (
    BATTERY_LEVEL,
    BATTERY_SERVICE,
    DEVICE_SERVICE,
    FIRMWARE_REVISION,
    MODEL_NUMBER,
    Advertisement,
    Asking,
    Await,
    Characteristic,
    Counts,
    Driver,
    Facts,
    Garbled,
    MissingPartError,
    Model,
    NoAnswerError,
    Notify,
    Peripheral,
    Read,
    Received,
    Script,
    Service,
    Subscribe,
    Warned,
    Write,
)
from firmware_host.sensors.stamps import Counting

SERVICE = "598a0001-b9f8-4e46-9a98-773fccb0ec98"
INFO = "598a0002-b9f8-4e46-9a98-773fccb0ec98"
CONTROL = "598a0003-b9f8-4e46-9a98-773fccb0ec98"
DATA = "598a0004-b9f8-4e46-9a98-773fccb0ec98"

START, STOP, PING, IDENTIFY, STATS, RESEND = 1, 2, 4, 5, 6, 7
ANSWER = 0x80
OK, UNKNOWN, BAD_VALUE, BUSY, CHIP, SHORT = range(6)
REFUSALS = {
    UNKNOWN: "it does not know the command",
    BAD_VALUE: "it has no such rate; leave out --rate for its usual one",
    BUSY: "it is busy; switch it off and on",
    CHIP: "its motion chip does not answer; switch it off and on",
    SHORT: "the connection allows only packets that are too short for it",
}
ACCELERATION, RESENT = 0x11, 0x91
HEAD = struct.Struct("<BBHIQ")
FLAGS = ("fifo_timestamps", "gyro", "backfill", "temperature")
CHIPS = {
    0: "other", 1: "LSM9DS1", 2: "BMI270", 3: "LSM6DS3TR-C", 4: "BMI160", 5: "ICM-42688", 6: "ADXL355",
}  # fmt: skip
RANGE_MG = 4000
INDEX_WRAP = 2**32
FEWEST = 8
"""Samples that a packet must have room for; a board refuses a connection with less."""


@dataclass(frozen=True)
class Info:
    """What a board says of itself."""

    version: int
    flags: tuple[str, ...]
    chip: str
    noise_ug: float | None
    """Per square root of Hz; None: not known."""
    firmware: str
    uid: int
    buffer_ms: int
    max_batch: int
    rate_pref_hz: int
    rate_max_hz: int

    @staticmethod
    def of(data: bytes) -> Info:
        """Decode the Info characteristic; later versions may append to it.

        Raises
        ------
        ValueError
            If it is shorter than 20 bytes.
        """
        if len(data) < 20:
            raise ValueError(f"Info has {len(data)} bytes, not 20")
        version, flags, chip, noise, firmware, uid, *rest = struct.unpack_from("<BBHHHI4H", data)
        return Info(
            version,
            tuple(name for bit, name in enumerate(FLAGS) if flags >> bit & 1),
            CHIPS.get(chip, "other"),
            float(noise) if noise else None,
            f"{firmware >> 8:x}.{firmware & 0xFF:x}",
            uid,
            *rest,
        )


@dataclass(frozen=True)
class Packet:
    """One Data packet."""

    sequence: int
    first: int
    device_us: int
    counts: Counts

    @staticmethod
    def of(data: bytes) -> Packet:
        """Decode a Data packet.

        Raises
        ------
        ValueError
            If it is none; the message says why in a few words.
        """
        if len(data) < HEAD.size:
            raise ValueError("shorter than its head")
        kind, n, sequence, first, device_us = HEAD.unpack_from(data)
        if kind != ACCELERATION:
            raise ValueError("a packet of another kind")
        if n == 0 or len(data) != HEAD.size + 6 * n:
            raise ValueError("not as long as it says")
        counts = np.frombuffer(data, "<i2", offset=HEAD.size).astype(np.int16).reshape(n, 3)
        return Packet(sequence, first, device_us, counts)


@dataclass(frozen=True)
class Started:
    """The answer to START."""

    fs_hz: float
    range_g: float
    g_per_count: float
    batch: int

    @staticmethod
    def of(content: bytes) -> Started:
        """Decode what follows the status.

        Raises
        ------
        ValueError
            If it is too short, or a value is out of all bounds.
        """
        if len(content) < 12:
            raise ValueError("the answer to START is too short")
        rate, range_mg, g_per_count, batch = struct.unpack_from("<IHfH", content)
        if not (rate > 0 and 1e-7 < g_per_count < 0.1):
            raise ValueError("the answer to START holds impossible values")
        return Started(rate / 1000, range_mg / 1000, g_per_count, batch)


def start_command(token: int, fs_hz: float, range_mg: int = RANGE_MG) -> bytes:
    """Return START; the board chooses the batch."""
    return struct.pack("<BBIHBB", START, token, round(1000 * fs_hz), range_mg, 0, 0)


class Oba(Driver):
    """The host's side."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._token = 0
        self._answers: list[tuple[int, bytes]] = []  # status and content
        self._awaited = b""
        self._counting: Counting | None = None
        self._heard = False
        self._stats: tuple[int, ...] = ()

    def start(self) -> Script:
        """Read what the board is, end what runs, start."""
        try:
            info = Info.of((yield Read(INFO)))
            yield Subscribe(CONTROL)
            yield Subscribe(DATA)
        except (ValueError, MissingPartError):
            raise SensorError("This board does not speak OBA/1; flash it with firmware that does.") from None
        if info.version != 1:
            raise SensorError(f"This board speaks OBA/{info.version}; update twitchmap.")
        if self.fs_hz > 1.06 * info.rate_max_hz:
            raise SensorError(f"This board offers up to {info.rate_max_hz} Hz, not {self.fs_hz:g} Hz.")
        yield from self._ask(bytes([STOP, self._next_token()]))
        self._counting = Counting(self.fs_hz, wrap=INDEX_WRAP)
        status, content = yield from self._ask(start_command(self._next_token(), self.fs_hz))
        if status != OK:
            raise SensorError(f"This board refused to start: {REFUSALS.get(status, f'status {status}')}.")
        try:
            started = Started.of(content)
        except ValueError as error:
            raise SensorError(f"This board is not sound: {error}.") from None
        if abs(started.fs_hz - self.fs_hz) > 0.1 * self.fs_hz:
            raise SensorError(f"This board chose {started.fs_hz:g} Hz, not {self.fs_hz:g} Hz.")
        yield Await(lambda: self._heard, "acceleration")
        serial = f"{info.uid:08X}"
        self.facts = Facts(
            started.fs_hz, started.g_per_count, "int16", started.range_g, serial, info.firmware
        )

    def _next_token(self) -> int:
        self._token = self._token % 255 + 1
        return self._token

    def _ask(self, request: bytes) -> Asking[tuple[int, bytes]]:
        """Send a request; return status and content of its answer."""
        self._answers.clear()
        self._awaited = bytes([request[0] | ANSWER, request[1]])
        yield Write(CONTROL, request)
        yield Await(lambda: bool(self._answers), "an answer to a request")
        return self._answers[0]

    def stop(self) -> Script:
        """End the stream."""
        with suppress(NoAnswerError):
            yield from self._ask(bytes([STOP, self._next_token()]))

    def poll(self) -> Script:
        """Read the battery, which is told with the next samples, and ask what the board itself has lost."""
        yield from self.read_level()
        status, content = yield from self._ask(bytes([STATS, self._next_token()]))
        if status == OK and len(content) >= 12:
            before, self._stats = self._stats, struct.unpack_from("<3I", content)
            if before and self._stats[1] > before[1]:
                self.later.append(
                    Warned("The board lost samples by itself, as it was too slow to read its motion chip.")
                )

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode an answer or a packet."""
        received = self.untold()
        if characteristic == CONTROL and len(data) >= 3 and data[:2] == self._awaited and not self._answers:
            self._answers.append((data[2], data[3:]))
        elif characteristic == DATA and self._counting is not None:
            try:
                packet = Packet.of(data)
            except ValueError as error:
                received.append(Garbled(str(error)))
            else:
                self._heard = True
                received += self._counting.put(packet.counts, packet.first, 1000 * packet.device_us)
        return received


class ObaPeripheral(Peripheral):
    """The board's side: a XIAO nRF52840 Sense without backfill."""

    batch = 36
    rates_hz = (52.0, 104.0, 208.0, 416.0)
    ranges_mg = (2000, 4000, 8000, 16000)

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self._pending = Pending()
        self.reboot()

    @property
    def uid(self) -> int:
        """The board's number."""
        return int(self.serial[-8:], 16)

    def advertisement(self) -> Advertisement:
        """Return the name with the end of its number, and the service."""
        return Advertisement(f"OBA-{self.uid & 0xFFFF:04x}", (SERVICE,))

    def services(self) -> tuple[Service, ...]:
        """Return the profile, device information and battery."""
        profile = (
            Characteristic(INFO, ("read",)),
            Characteristic(CONTROL, ("write", "indicate")),
            Characteristic(DATA, ("notify",)),
        )
        texts = (MODEL_NUMBER, FIRMWARE_REVISION)
        return (
            Service(SERVICE, profile),
            Service(DEVICE_SERVICE, tuple(Characteristic(text, ("read",)) for text in texts)),
            Service(BATTERY_SERVICE, (Characteristic(BATTERY_LEVEL, ("read", "notify")),)),
        )

    def read(self, characteristic: str) -> bytes:
        """Return Info, texts or battery."""
        fixed = {
            INFO: struct.pack(
                "<BBHHHI4H", 1, 1, 3, 90, 0x0103, self.uid, 0, self.batch, 208, int(self.rates_hz[-1])
            ),
            MODEL_NUMBER: b"XIAO nRF52840 Sense",
            FIRMWARE_REVISION: b"1.3",
        }
        return fixed[characteristic] if characteristic in fixed else super().read(characteristic)

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take a request and answer it."""
        if characteristic != CONTROL or len(data) < 2:
            return []
        status, content = OK, b""
        if data[0] == START:
            status, content = self._start(data[2:])
        elif data[0] in (STOP, PING, IDENTIFY, STATS) and len(data) != 2:
            status = BAD_VALUE
        elif data[0] == STOP:
            self.streaming = False
        elif data[0] == PING:
            content = struct.pack("<Q", self._now_us)
        elif data[0] == STATS:
            content = struct.pack("<3I", self._index % INDEX_WRAP, 0, 0)
        elif data[0] != IDENTIFY:
            status = UNKNOWN
        return [Notify(CONTROL, bytes([data[0] | ANSWER, data[1], status]) + content)]

    def _start(self, content: bytes) -> tuple[int, bytes]:
        if len(content) != 8:
            return BAD_VALUE, b""
        rate, wished_mg, most, flags = struct.unpack("<IHBB", content)
        nearest = min(self.rates_hz, key=lambda hz: abs(hz - rate / 1000))
        range_mg = next((range_mg for range_mg in self.ranges_mg if range_mg >= wished_mg), 0)
        if abs(nearest - rate / 1000) > 0.1 * nearest or not range_mg or flags:
            return BAD_VALUE, b""
        room = (self.payload - HEAD.size) // 6
        if room < FEWEST:
            return SHORT, b""
        self.reset_stream()
        self.fs_hz, self.g_per_count = nearest, range_mg / 1000 / 32768
        self._batch = min(self.batch, room, most or self.batch)
        self.streaming = True
        return OK, struct.pack("<IHfH", round(1000 * nearest), range_mg, self.g_per_count, self._batch)

    def reset_stream(self) -> None:
        """Count anew from 0."""
        self._pending.clear()
        self._sequence = self._index = 0

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Send whole batches."""
        self._now_us = device_ns // 1000
        self._pending.add(counts, device_ns, self.fs_hz)
        notes: list[Notify] = []
        while len(self._pending) >= self._batch:
            acc, at_ns = self._pending.take(self._batch)
            sequence, index = self._sequence % 2**16, self._index % INDEX_WRAP
            head = HEAD.pack(ACCELERATION, len(acc), sequence, index, int(at_ns[-1]) // 1000 % 2**64)
            notes.append(Notify(DATA, head + acc.astype("<i2").tobytes()))
            self._sequence += 1
            self._index += len(acc)
        return notes

    def reboot(self) -> None:
        """Forget the stream and begin the clock anew."""
        self.streaming = False
        self._batch = self.batch
        self._now_us = 0
        self.reset_stream()


def _matches(advertisement: Advertisement) -> bool:
    return SERVICE in advertisement.services


MODELS = (
    Model(
        name="oba",
        label="OBA/1 board",
        matches=_matches,
        driver=Oba,
        peripheral=ObaPeripheral,
        rates_hz=ObaPeripheral.rates_hz,
        fs_hz=208.0,
        counts="counter",
        g_per_count=RANGE_MG / 1000 / 32768,
        sample_type="int16",
        range_g=RANGE_MG / 1000,
        samples_per_packet=ObaPeripheral.batch,
        noise_ug=90.0,  # LSM6DS3TR-C of a XIAO nRF52840 Sense; other boards have other chips
        battery_h=None,
        preparing=(
            "A Seeed XIAO nRF52840 Sense (chip LSM6DS3TR-C) with a small lithium cell of 150 mAh or more "
            "is the example; Nano 33 BLE Sense and Thingy:53 can be flashed too. The firmware must speak "
            "the profile OBA/1 ([oba.md](oba.md) defines it exactly); set the chip to its high-performance "
            "mode, ±4 g, 208 Hz. `check` reports rule by rule whether it does."
        ),
        limits=("A board that you flash yourself with firmware for the profile OBA/1 (docs/oba.md).",),
    ),
)
