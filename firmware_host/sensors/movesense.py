"""Movesense HR2, HR+, MD and Flash with GATT SensorData firmware: m/s2 as float32, stamped in milliseconds.

Sources: movesense.com (esw/gatt_sensordata_protocol, system/hw_variants, best practices),
EvanKat/movesense_bleak, sensein/movesense-py (docs/movesense-api.md, captures), and the data recorder of
MariahSabioni. A command is its number, a reference of ours, content; what comes back is its kind, the
reference, content. A measurement holds the time of its first sample (by convention, as no source says it of
this protocol), samples, and no length.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from firmware_host.errors import SensorError
from firmware_host.sensors.pending import Pending
from firmware_host.sensors.protocol import (
    BATTERY_LEVEL,
    BATTERY_SERVICE,
    DEVICE_SERVICE,
    FIRMWARE_REVISION,
    SERIAL_NUMBER,
    Advertisement,
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
    Received,
    Script,
    Service,
    Subscribe,
    Write,
    check_rate,
    device_texts,
)
from firmware_host.sensors.stamps import Numbering

ADVERTISED = "0000fe06-0000-1000-8000-00805f9b34fb"
SERVICE = "34802252-7185-4d5d-b431-630e7050e8f0"
COMMAND = "34800001-7185-4d5d-b431-630e7050e8f0"
NOTIFICATION = "34800002-7185-4d5d-b431-630e7050e8f0"

HELLO, SUBSCRIBE, UNSUBSCRIBE = 0, 1, 2
RESULT, DATA, PART2, PART3 = 1, 2, 3, 4
ACC, GREETING = 1, 99
"""References that we use."""
OK, NOT_FOUND = 200, 404
PATH = "/Meas/Acc/"
SAMPLES = {52.0: 4, 104.0: 8, 208.0: 16}
"""Of a measurement, by rate; that of 208 Hz follows the pattern of the others."""
SMALLEST = 61
"""Bytes of a notification at an MTU of 64, the least that is worth it."""
HIGHEST = 250.0
"""m/s2; no range goes beyond 16 g per axis, 157 m/s2."""
G_PER_COUNT = 1 / 9.80665
WRAP_NS = 2**32 * 1_000_000


def command(number: int, reference: int, path: str = "") -> bytes:
    """Return a command; the path goes with SUBSCRIBE."""
    return bytes([number, reference]) + path.encode("ascii")


class Movesense(Driver):
    """The host's side."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._numbering = Numbering(self.fs_hz, stamp_of="first", wrap_ns=WRAP_NS)
        self._usual = 4 + 12 * SAMPLES.get(self.fs_hz, 1)
        self._whole = self._usual
        """Bytes of a measurement."""
        self._seen = 0
        self._parts = b""
        self._last = 0  # kind of the last part; 0: none is waited for
        self._greeted = self._refused = False
        self._longest = 0

    def start(self) -> Script:
        """Greet, subscribe to acceleration alone, and look at the first measurement."""
        check_rate("A Movesense", self.fs_hz, SAMPLES)
        try:
            yield Subscribe(NOTIFICATION)
        except MissingPartError:
            raise SensorError(
                "This Movesense has no firmware that streams to other programs; install one with GATT "
                "SensorData with the Movesense Showcase app (take the build for your type of sensor)."
            ) from None
        serial, firmware = yield from device_texts()
        yield Write(COMMAND, command(HELLO, GREETING))
        with suppress(NoAnswerError):  # data decide
            yield Await(lambda: self._greeted, "a greeting", within_s=1.0)
        yield Write(COMMAND, command(SUBSCRIBE, ACC, f"{PATH}{self.fs_hz:g}"))
        yield Await(lambda: self._longest > 0 or self._refused, "acceleration", within_s=5.0)
        if not self._longest:
            raise SensorError(f"This Movesense refused to send acceleration at {self.fs_hz:g} Hz.")
        smallest = max(SMALLEST, 2 - -self._usual // 3)  # there are three kinds of parts
        if self._longest < min(smallest, 2 + self._usual):
            raise SensorError(
                "The connection to this Movesense allows only packets that are too short for it; update the "
                "system's Bluetooth or take another adapter."
            )
        self.facts = Facts(self.fs_hz, G_PER_COUNT, "float32", None, serial, firmware)

    def stop(self) -> Script:
        """End the subscription."""
        yield Write(COMMAND, command(UNSUBSCRIBE, ACC))

    def poll(self) -> Script:
        """Read the battery; it is told with the next samples."""
        yield from self.read_level()

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode one notification; a measurement is told when its last part is there."""
        received = self.untold()
        if characteristic != NOTIFICATION:
            return received
        kind, reference = data[:2] if len(data) > 2 else (0, 0)
        if kind == RESULT:
            self._greeted |= reference == GREETING
            status = int.from_bytes(data[2:4], "little")  # one error is sent big-endian, and is above too
            self._refused |= reference == ACC and status >= 400
        elif kind in (DATA, PART2, PART3):
            if reference == ACC:
                received.extend(self._part(kind, data[2:]))
        else:
            received.append(Garbled("no answer and no measurement"))
        return received

    def _part(self, kind: int, content: bytes) -> Sequence[Received]:
        """Join parts. As nothing says how long a measurement is, one of another length ends with the next."""
        if kind != DATA and kind != self._last + 1:
            self._whole, self._last = self._usual, 0
            return [Garbled("a part of a measurement alone")]
        ended: Sequence[Received] = ()
        if kind == DATA:
            self._longest = max(self._longest, len(content) + 2)
            ended = self._unusual() if self._last else ()
            self._parts = b""
        self._parts, self._last = self._parts + content, kind
        return [*ended, *self._measurement()] if len(self._parts) == self._whole else ended

    def _unusual(self) -> Sequence[Received]:
        """Take what did not have the usual length; in parts it may be torn, so only when it recurs."""
        length, seen = len(self._parts), self._seen
        self._seen = length
        if self._last != DATA and length != seen:
            return [Garbled("a part of a measurement is missing")]
        self._whole = length
        return self._measurement()

    def _measurement(self) -> Sequence[Received]:
        content, self._parts, self._last = self._parts, b"", 0
        if len(content) < 16 or len(content) % 12 != 4:
            self._whole = self._usual
            return [Garbled("not a whole measurement")]
        acc = np.frombuffer(content, "<f4", offset=4).astype(np.float32).reshape(-1, 3)
        if not np.all(np.abs(acc) <= HIGHEST):  # a NaN is not either
            return [Garbled("no acceleration")]
        return self._numbering.put(acc, int.from_bytes(content[:4], "little") * 1_000_000)


class MovesensePeripheral(Peripheral):
    """The sensor's side."""

    mtu = 161

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self._reference = 0
        self._pending = Pending("float32")

    def advertisement(self) -> Advertisement:
        """Return name with serial number, and the service of its maker."""
        return Advertisement(f"Movesense {self.serial}", (ADVERTISED,))

    def services(self) -> tuple[Service, ...]:
        """Return the services that matter here."""
        ways = ("write", "write-without-response")
        texts = (SERIAL_NUMBER, FIRMWARE_REVISION)
        return (
            Service(SERVICE, (Characteristic(COMMAND, ways), Characteristic(NOTIFICATION, ("notify",)))),
            Service(DEVICE_SERVICE, tuple(Characteristic(text, ("read",)) for text in texts)),
            Service(BATTERY_SERVICE, (Characteristic(BATTERY_LEVEL, ("read", "notify")),)),
        )

    def read(self, characteristic: str) -> bytes:
        """Return serial number, firmware or battery."""
        texts = {SERIAL_NUMBER: self.serial, FIRMWARE_REVISION: "2.2.0"}
        return texts[characteristic].encode() if characteristic in texts else super().read(characteristic)

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take a command."""
        if characteristic != COMMAND or len(data) < 2:
            return []
        number, reference = data[:2]
        if number == HELLO:
            return [Notify(NOTIFICATION, bytes([RESULT, reference]) + b"Hello")]
        status = NOT_FOUND
        if number == SUBSCRIBE:
            rates = {f"{PATH}{rate:g}".encode(): rate for rate in SAMPLES}
            if data[2:] in rates:
                status, self._reference, self.fs_hz = OK, reference, rates[data[2:]]
                self._pending.clear()
                self.streaming = True
        elif number == UNSUBSCRIBE and self.streaming and reference == self._reference:
            status, self.streaming = OK, False
        return [Notify(NOTIFICATION, bytes([RESULT, reference]) + struct.pack("<H", status))]

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Send whole measurements, in parts where they do not fit."""
        self._pending.add(counts, device_ns, self.fs_hz)
        notes: list[Notify] = []
        while len(self._pending) >= SAMPLES[self.fs_hz]:
            acc, at_ns = self._pending.take(SAMPLES[self.fs_hz])
            stamp_ms = int(at_ns[0]) // 1_000_000 % 2**32
            content = struct.pack("<I", stamp_ms) + acc.astype("<f4").tobytes()
            room = self.payload - 2
            for kind, at in enumerate(range(0, len(content), room), DATA):
                head = bytes([min(kind, PART3), self._reference])
                notes.append(Notify(NOTIFICATION, head + content[at : at + room]))
        return notes

    def disconnected(self) -> None:
        """Lose the link and with it the subscription."""
        self.streaming = False

    def reboot(self) -> None:
        """Forget the subscription."""
        self.streaming = False
        self._pending.clear()


def _matches(advertisement: Advertisement) -> bool:
    return advertisement.name.startswith("Movesense ")


MODELS = (
    Model(
        name="movesense",
        label="Movesense",
        matches=_matches,
        driver=Movesense,
        peripheral=MovesensePeripheral,
        rates_hz=tuple(SAMPLES),
        fs_hz=208.0,
        counts="stamps",
        g_per_count=G_PER_COUNT,
        sample_type="float32",
        range_g=8.0,
        samples_per_packet=SAMPLES[208.0],
        noise_ug=180.0,  # LSM6DS3 family: 90 in high-performance mode, 180-250 in the others
        battery_h=None,
        preparing=(
            "For Movesense HR2, HR+, MD and Flash. It must run the *GATT SensorData* firmware or a newer "
            "data-logger firmware that includes it. Install it with Movesense's own Showcase app on a "
            "phone; take the build that fits your variant, the Flash variant has one of its own. It wakes "
            "when its studs touch skin: wear it on a strap with electrodes. Its coin cell lasts the night; "
            "`check` says for how long more. Use 208 Hz: at 52 Hz and below its chip runs in a noisier "
            "mode."
        ),
        limits=(
            "It needs firmware with GATT SensorData, which the Movesense Showcase app installs; the Flash "
            "type needs a build of its own.",
            "Only one program can be connected to it: close the maker's app.",
            "It wakes when its two studs touch skin or a finger bridges them.",
        ),
    ),
)
