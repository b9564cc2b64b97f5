"""MbientLab MetaMotion R, RL, C (BMI160) and S (BMI270): three samples a packet, neither time nor counter.

Source: mbientlab/MetaWear-SDK-Cpp, its tests test_accelerometer_bmi160.py, _bmi270.py, test_settings.py,
test_dataprocessor.py and test_debug.py; the debug log in brainexe/node-metawear issue 46. A message is
module, register (bit 7: an answer is asked for, or this is one), data.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_host.errors import SensorError
from firmware_host.sensors.protocol import (
    DEVICE_SERVICE,
    FIRMWARE_REVISION,
    MODEL_NUMBER,
    SERIAL_NUMBER,
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
    Pause,
    Peripheral,
    Received,
    Script,
    Service,
    Subscribe,
    Write,
    check_rate,
    device_texts,
)

SERVICE = "326a9000-85cb-9195-d9dd-464cfbbae75a"
COMMAND = "326a9001-85cb-9195-d9dd-464cfbbae75a"
NOTIFICATION = "326a9006-85cb-9195-d9dd-464cfbbae75a"


@dataclass(frozen=True)
class Chip:
    """How an accelerometer is set: its number in the answer to `IDENTIFY`, rate and range codes, register."""

    implementation: int
    rate_codes: dict[float, int]
    range_codes: dict[int, int]
    packed: int
    """Register of the stream of three samples a message."""


BMI160 = Chip(1, {50.0: 0x27, 100.0: 0x28, 200.0: 0x29}, {2: 0x03, 4: 0x05, 8: 0x08, 16: 0x0C}, 0x1C)
BMI270 = Chip(4, {50.0: 0xA7, 100.0: 0xA8, 200.0: 0xA9}, {2: 0x00, 4: 0x01, 8: 0x02, 16: 0x03}, 0x05)
CHIPS = {chip.implementation: chip for chip in (BMI160, BMI270)}
RANGE_G = 4
"""16 bit: its steps of 0.12 mg vanish in the chips' noise, and it clips half as often as 2 g."""

IDENTIFY = bytes([0x03, 0x80])
SINGLE = 0x04
"""Register of the stream of one sample a message."""
START = bytes([0x03, 0x01, 0x01])
STOP = bytes([0x03, 0x01, 0x00])
ENABLE = bytes([0x03, 0x02, 0x01, 0x00])
DISABLE = bytes([0x03, 0x02, 0x00, 0x01])
FASTEST_MS = 7.5
"""Connection interval that the vendor asks for above 100 Hz; macOS may refuse it."""
BATTERY = bytes([0x11, 0x8C])
RESET = bytes([0xFE, 0x01])
"""Forgets processors, loggers and streams of earlier programs; the link drops."""
SILENCE = (STOP, DISABLE, b"\x03\x04\x00", b"\x03\x1c\x00", b"\x03\x05\x00")
ACCOUNTER = bytes.fromhex("09020304ffa011")
"""Attaches a processor to the single samples that puts time (then 31) or number (30) before each."""
ANSWER = 0x80


def connection(shortest_ms: float, longest_ms: float, latency: int, timeout_ms: float) -> bytes:
    """Return the command that asks for connection intervals, events to skip and the supervision timeout."""
    units = (int(shortest_ms / 1.25), int(longest_ms / 1.25), latency, int(timeout_ms / 10))
    return b"\x11\x09" + struct.pack("<4H", *units)


def configure(chip: Chip, fs_hz: float, range_g: int) -> bytes:
    """Return the command that sets rate and range.

    Raises
    ------
    SensorError
        If the chip has no such rate.
    """
    check_rate("A MetaMotion", fs_hz, chip.rate_codes)
    return bytes([0x03, 0x03, chip.rate_codes[fs_hz], chip.range_codes[range_g]])


class MetaWear(Driver):
    """The host's side; asks the sensor which chip it has, as both kinds advertise alike."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._chip: Chip | None = None
        self._identified = False
        self._streaming = False
        self._strays = 0
        self._n = 0

    def start(self) -> Script:
        """Silence what runs, identify the chip, look for leftovers, stream packed samples."""
        yield Subscribe(NOTIFICATION)
        yield from self._silence()
        yield Write(COMMAND, IDENTIFY, response=False)
        yield Await(lambda: self._identified, "what accelerometer it has")
        if self._chip is None:
            raise SensorError(
                "This MetaWear board has an accelerometer that twitchmap does not know; it knows the "
                "MetaMotion R, RL, C and S."
            )
        # All boards are sold under one name: only the chip tells which model it is.
        self.model = MODELS[list(CHIPS).index(self._chip.implementation)]
        serial, firmware = yield from device_texts()
        setting = configure(self._chip, self.fs_hz, RANGE_G)
        yield Write(COMMAND, connection(FASTEST_MS, FASTEST_MS, 0, 6000), response=False)
        yield Write(COMMAND, setting, response=False)
        yield from self._clear_leftovers()
        self._streaming = True
        for command in (bytes([0x03, self._chip.packed, 0x01]), ENABLE, START):
            yield Write(COMMAND, command, response=False)
        self.facts = Facts(self.fs_hz, RANGE_G / 32768, "int16", float(RANGE_G), serial, firmware)

    def _silence(self) -> Script:
        for command in SILENCE:
            yield Write(COMMAND, command, response=False)

    def _clear_leftovers(self) -> Script:
        """Run the chip while nothing is subscribed to: what is sent all the same is of an earlier program."""
        self._strays = 0
        for command in (ENABLE, START):
            yield Write(COMMAND, command, response=False)
        yield Pause(0.3)
        if self._strays:
            yield Write(COMMAND, RESET, response=False)
            raise SensorError(
                "This MetaMotion was still running something from another program. It has been reset and "
                "will be connected again."
            )
        for command in (STOP, DISABLE):
            yield Write(COMMAND, command, response=False)

    def stop(self) -> Script:
        """Stop the chip and all streams."""
        yield from self._silence()

    def poll(self) -> Script:
        """Ask for the battery; the answer is a notification."""
        yield Write(COMMAND, BATTERY, response=False)

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode one message."""
        if characteristic != NOTIFICATION:
            return ()
        if data[:2] == IDENTIFY and len(data) >= 3:
            self._chip, self._identified = CHIPS.get(data[2]), True
        elif data[:2] == BATTERY and len(data) == 5:
            return (Battery(min(data[2], 100), int.from_bytes(data[3:5], "little") / 1000),)
        elif len(data) < 2 or data[1] & ANSWER:
            return () if len(data) >= 2 else (Garbled("not a whole message"),)
        elif not self._streaming:
            self._strays += 1
        else:
            return (self._samples(data),)
        return ()

    def _samples(self, data: bytes) -> Received:
        """Return the samples of a message of the accelerometer, one or three."""
        assert self._chip is not None
        of_register = {SINGLE: 1, self._chip.packed: 3}
        n = of_register.get(data[1], 0) if data[0] == 0x03 else 0
        if n == 0:
            return Garbled("a message that was not asked for")
        if len(data) != 2 + 6 * n:
            return Garbled(f"not of {2 + 6 * n} bytes")
        first, self._n = self._n, self._n + n
        return Batch(np.frombuffer(data, "<i2", offset=2).astype(np.int16).reshape(n, 3), first)


class MetaWearPeripheral(Peripheral):
    """The sensor's side."""

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self.chip = BMI270 if model.name == "metamotion_s" else BMI160
        self.processors: list[bool] = []
        """Accounters that were made, by number: True gives a time, False a count; they outlive the link."""
        self._power_on()

    def _power_on(self) -> None:
        self.processors.clear()
        self._subscribed: set[int] = set()
        self._running = self.streaming = False
        self.fs_hz, self.g_per_count = 100.0, 2 / 32768
        self._waiting = np.empty((0, 3), np.int16)
        self._sent = 0

    def advertisement(self) -> Advertisement:
        """Return name and service; an S would say MetaWear too, had its owner not named it."""
        return Advertisement("MetaMotionS" if self.chip is BMI270 else "MetaWear", (SERVICE,))

    def services(self) -> tuple[Service, ...]:
        """Return the board's own service and its device information."""
        texts = (MODEL_NUMBER, SERIAL_NUMBER, FIRMWARE_REVISION)
        return (
            Service(
                SERVICE,
                (
                    Characteristic(COMMAND, ("write", "write-without-response")),
                    Characteristic(NOTIFICATION, ("read", "notify")),
                ),
            ),
            Service(DEVICE_SERVICE, tuple(Characteristic(text, ("read",)) for text in texts)),
        )

    def read(self, characteristic: str) -> bytes:
        """Return device information: model 5 is the R, 8 the S."""
        known = {
            MODEL_NUMBER: "8" if self.chip is BMI270 else "5",
            SERIAL_NUMBER: self.serial[-6:],
            FIRMWARE_REVISION: "1.7.2",
        }
        return known.get(characteristic, "").encode()

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take a command."""
        if characteristic != COMMAND:
            return []
        if data == IDENTIFY:
            return [Notify(NOTIFICATION, IDENTIFY + bytes([self.chip.implementation, 1]))]
        if data == BATTERY:
            millivolts = 3500 + 7 * self.percent
            return [Notify(NOTIFICATION, BATTERY + struct.pack("<BH", self.percent, millivolts))]
        if data[:7] == ACCOUNTER and len(data) == 9:
            self.processors.append(data[7] == 0x31)
            return [Notify(NOTIFICATION, bytes([0x09, 0x02, len(self.processors) - 1]))]
        if data == RESET:
            self._power_on()
        elif data[:1] == START[:1]:
            self._accelerometer(data)
        return []

    def _accelerometer(self, data: bytes) -> None:
        """Take a command to the accelerometer."""
        rates = {code: rate for rate, code in self.chip.rate_codes.items()}
        ranges = {code: range_g for range_g, code in self.chip.range_codes.items()}
        if data[1:2] == b"\x03" and len(data) == 4:
            self.fs_hz = rates.get(data[2], self.fs_hz)
            self.g_per_count = ranges.get(data[3], 2) / 32768
        elif data in (START, STOP):
            self._running = data == START
            self._waiting = self._waiting[:0]
        elif len(data) == 3 and data[1] in (SINGLE, self.chip.packed):
            (self._subscribed.add if data[2] else self._subscribed.discard)(data[1])
        self.streaming = self._running and bool(self._subscribed or self.processors)

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Send single and packed samples, as subscribed, and what processors make of each."""
        counts = counts.astype("<i2")
        messages = [
            bytes([0x09, 0x03, number]) + struct.pack("<I", self._tick(timed, k, device_ns)) + row.tobytes()
            for k, row in enumerate(counts)
            for number, timed in enumerate(self.processors)
        ]
        self._sent += len(counts)
        if SINGLE in self._subscribed:
            messages += [bytes([0x03, SINGLE]) + row.tobytes() for row in counts]
        if self.chip.packed in self._subscribed:
            waiting = np.concatenate([self._waiting, counts])
            whole = len(waiting) // 3 * 3
            messages += [
                bytes([0x03, self.chip.packed]) + waiting[k : k + 3].astype("<i2").tobytes()
                for k in range(0, whole, 3)
            ]
            self._waiting = waiting[whole:]
        return [Notify(NOTIFICATION, message) for message in messages]

    def _tick(self, timed: bool, k: int, device_ns: int) -> int:
        """Return the 24 bit that an accounter sets before a sample: ticks of 1.46484375 ms, or its number."""
        return (int(device_ns / 1_464_843.75) if timed else self._sent + k) & 0xFFFFFF

    def disconnected(self) -> None:
        """Lose the link; processors stay."""
        super().disconnected()
        self._subscribed.clear()
        self._waiting = self._waiting[:0]

    def reboot(self) -> None:
        """Forget everything."""
        self._power_on()


def _is_s(advertisement: Advertisement) -> bool:
    return SERVICE in advertisement.services and advertisement.name.lower().startswith(("metamotions", "mms"))


def _is_r(advertisement: Advertisement) -> bool:
    return SERVICE in advertisement.services and not _is_s(advertisement)


_PREPARING = (
    "Nothing to install. All of them advertise as MetaWear; twitchmap asks the chip which it is. What "
    "another program left running in it (a logger, a processor) is found at the start and reset away; the "
    "board then connects once more. It asks for a fast connection, which macOS may not grant: then use 100 "
    "Hz."
)
_LIMITS = (
    "It sends neither time nor counter: samples lost on the way cannot be told from late ones.",
    "Plan two or three of them for each Bluetooth adapter: at 200 Hz each sends 67 packets a second.",
    "Start with a full battery: it lasts about twelve hours.",
)


def _model(name: str, label: str, chip: Chip, noise_ug: float) -> Model:
    return Model(
        name=name,
        label=label,
        matches=_is_s if chip is BMI270 else _is_r,
        driver=MetaWear,
        peripheral=MetaWearPeripheral,
        rates_hz=tuple(chip.rate_codes),
        fs_hz=200.0,
        counts="none",
        g_per_count=RANGE_G / 32768,
        sample_type="int16",
        range_g=float(RANGE_G),
        samples_per_packet=3,
        noise_ug=noise_ug,
        battery_h=12.0,
        preparing=_PREPARING,
        limits=_LIMITS,
    )


MODELS = (
    _model("metamotion_r", "MbientLab MetaMotion R, RL or C", BMI160, 180.0),
    _model("metamotion_s", "MbientLab MetaMotion S", BMI270, 160.0),
)
