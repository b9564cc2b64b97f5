"""WitMotion WT901BLECL 5.0 and WT9011DCL-BT50: a stream of 20-byte frames without time, counter or checksum.

Sources: WITMOTION/WitBluetooth_BWT901BLE5_0 (its maker), WT901BLECL datasheet v20-0707 pages 12-16,
RGu0/WT901 (protocol.md, tests, a recording). A frame is 55 61, then acceleration, turning rate and angle as
3 x int16 each; an answer is 55 71, a register's number, then eight registers. Several frames fill a packet.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from firmware_host.errors import SensorError
from firmware_host.sensors.protocol import (
    Advertisement,
    Asking,
    Await,
    Batch,
    Battery,
    Characteristic,
    Counts,
    Driver,
    Facts,
    Garbled,
    Model,
    NoAnswerError,
    Notify,
    Pause,
    Peripheral,
    Received,
    Script,
    Service,
    Subscribe,
    Write,
    check_rate,
)

SERVICE = "0000ffe5-0000-1000-8000-00805f9a34fb"  # the tail is not that of the Bluetooth standard
NOTIFICATION = "0000ffe4-0000-1000-8000-00805f9a34fb"
COMMAND = "0000ffe9-0000-1000-8000-00805f9a34fb"

HEAD, MOTION, ANSWER = 0x55, 0x61, 0x71
FRAME = 20
RANGE_G = 16
RATE, BANDWIDTH, VERSION, BATTERY, SERIAL = 0x03, 0x1F, 0x2E, 0x64, 0x7F
READ, LOCK, SAVE = 0x27, 0x69, 0x00
KEY = 0xB588
WIDEST = 0
"""Low-pass of 256 Hz; the other codes differ between sources."""
RATE_CODES = {10.0: 0x06, 20.0: 0x07, 50.0: 0x08, 100.0: 0x09, 200.0: 0x0B}
CHARGE = (
    (3.96, 100), (3.93, 90), (3.87, 75), (3.82, 60), (3.79, 50), (3.77, 40), (3.73, 30), (3.70, 20),
    (3.68, 15), (3.50, 10), (3.40, 5),
)  # fmt: skip
"""From so many volts on, percent (the maker's table)."""
BETWEEN_S = 0.1
"""Between commands; faster ones are lost."""
FIRST_GENERATION_HZ = 62.5
"""Sensors of 2018 with Bluetooth 4.0 stop at 50 Hz whatever they are set to (user manual); with a margin."""
COUNTED_S = 1.0


def command(register: int, value: int) -> bytes:
    """Return the command that writes a register."""
    return struct.pack("<BBBH", 0xFF, 0xAA, register, value)


class Frames:
    """Cuts a stream of bytes into frames, wherever packets begin and end.

    A head can stand among the data too. So a frame counts only if another follows it or nothing yet; once
    bytes had to be dropped, only if another follows.
    """

    def __init__(self) -> None:
        self.pending = b""
        """Bytes that are no whole frame yet."""
        self._aligned = True

    def put(self, data: bytes) -> tuple[list[bytes], int]:
        """Take bytes; return the frames that are complete, and how many bytes were none."""
        stream = self.pending + data
        frames: list[bytes] = []
        at = dropped = 0
        while at < len(stream):
            after = stream[at + FRAME : at + FRAME + 2]
            if not _may_be_head(stream[at : at + 2]) or not _may_be_head(after):
                self._aligned = False
                dropped += 1
                at += 1
            elif len(stream) - at < FRAME or (len(after) < 2 and not self._aligned):
                break
            else:
                frames.append(stream[at : at + FRAME])
                self._aligned = True
                at += FRAME
        self.pending = stream[at:]
        return frames, dropped


def _may_be_head(two: bytes) -> bool:
    """Tell whether bytes are, or begin, the head of a frame."""
    return two[:1] in (b"", bytes([HEAD])) and two[1:] in (b"", bytes([MOTION]), bytes([ANSWER]))


class WitMotion(Driver):
    """The host's side."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._frames = Frames()
        self._registers: dict[int, tuple[int, ...]] = {}
        self._held: list[Counts] | None = []  # until it is known that they are at the rate that is wanted
        self._n = 0

    def start(self) -> Script:
        """Set rate and bandwidth, which are forgotten at power-off, and see that the rate was taken."""
        check_rate("A WitMotion sensor", self.fs_hz, self.model.rates_hz)
        yield Subscribe(NOTIFICATION)
        yield from self._ask(RATE)
        serial = _text((yield from self._ask(SERIAL)))
        version = yield from self._ask(VERSION)
        for register, value in ((LOCK, KEY), (RATE, RATE_CODES[self.fs_hz]), (BANDWIDTH, WIDEST)):
            if register == RATE:
                self._held = None  # at most a sample or two of the 10 Hz of power-on are taken as well
            yield Write(COMMAND, command(register, value))
            yield Pause(BETWEEN_S)
        begin = self._n
        yield Await(lambda: self._n > begin, "any motion")
        yield from self._check_rate()
        firmware = ".".join(str(number) for number in version[:2])
        self.facts = Facts(self.fs_hz, RANGE_G / 32768, "int16", float(RANGE_G), serial, firmware)

    def _check_rate(self) -> Script:
        """Count for a second, and for another if the first was poor: sensors of before 2019 stop at 50 Hz."""
        for _ in range(2):
            begin = self._n
            yield Pause(COUNTED_S)
            counted_hz = (self._n - begin) / COUNTED_S
            if counted_hz > min(0.6 * self.fs_hz, FIRST_GENERATION_HZ):
                return  # fewer than asked for may be the radio's fault, which passes
        raise SensorError(
            f"This WitMotion sensor sends {counted_hz:.0f} samples a second, not {self.fs_hz:g}: come closer "
            "or take the lower rate of 50 Hz (--rate 50), which is all that its first generation can."
        )

    def _ask(self, register: int) -> Asking[tuple[int, ...]]:
        """Read eight registers from one on; () if there is no answer. One at a time: more hang some hosts."""
        self._registers.pop(register, None)
        yield Write(COMMAND, command(READ, register))
        with suppress(NoAnswerError):
            yield Await(lambda: register in self._registers, "a register", within_s=0.5)
        return self._registers.get(register, ())

    def stop(self) -> Script:
        """Do nothing: it streams as long as it is connected."""
        yield from ()

    def poll(self) -> Script:
        """Read the battery's register; the answer is told as it comes."""
        yield Write(COMMAND, command(READ, BATTERY))

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode a part of the stream."""
        if characteristic != NOTIFICATION:
            return ()
        frames, dropped = self._frames.put(data)
        received: list[Received] = [Garbled("bytes that are no frame")] if dropped else []
        motion = b"".join(frame for frame in frames if frame[1] == MOTION)
        if motion:
            words = np.frombuffer(motion, "<i2").reshape(-1, FRAME // 2)
            received.extend(self._samples(words[:, 1:4].astype(np.int16)))
        for frame in frames:
            if frame[1] == ANSWER:
                received.extend(self._answer(frame))
        return received

    def _samples(self, counts: Counts) -> Sequence[Received]:
        if self._held is not None:
            self._held.append(counts)
            return ()
        first, self._n = self._n, self._n + len(counts)
        return (Batch(counts, first),)

    def _answer(self, frame: bytes) -> Sequence[Received]:
        register, *words = struct.unpack_from("<9H", frame, 2)
        self._registers[register] = tuple(words)
        volts = words[0] / 100
        if register == BATTERY and 2.5 <= volts <= 5:  # it says 0 while it saves
            return (Battery(next((percent for limit, percent in CHARGE if volts >= limit), 0), volts),)
        if register == RATE and words[0] == RATE_CODES[self.fs_hz] and self._held is not None:
            held, self._held = self._held, None  # it kept its settings since the last connection
            return [item for counts in held for item in self._samples(counts)]
        return ()


def _text(words: tuple[int, ...]) -> str:
    raw = struct.pack(f"<{len(words)}H", *words).split(b"\0")[0]
    return raw.decode() if raw.isascii() and raw.decode().isprintable() else ""


class WitMotionPeripheral(Peripheral):
    """The sensor's side."""

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self._saved = {RATE: RATE_CODES[10.0], BANDWIDTH: 4}
        self._registers: dict[int, int] = {}
        self._locked = True
        self._pending = b""
        self.reboot()

    def advertisement(self) -> Advertisement:
        """Return its name, of which the figures are its kind, and its service."""
        return Advertisement("WT901BLE67", (SERVICE,))

    def services(self) -> tuple[Service, ...]:
        """Return its only service."""
        both = ("write", "write-without-response")
        return (Service(SERVICE, (Characteristic(NOTIFICATION, ("notify",)), Characteristic(COMMAND, both))),)

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take a command; settings once it is unlocked."""
        if characteristic != COMMAND or len(data) != 5 or data[:2] != b"\xff\xaa":
            return []
        register, value = struct.unpack_from("<BH", data, 2)
        if register == READ:
            return [Notify(NOTIFICATION, bytes([HEAD, ANSWER]) + struct.pack("<9H", *self._words(value)))]
        if register == LOCK:
            self._locked = value != KEY
        elif register == SAVE and not self._locked:
            self._saved = dict(self._registers)
        elif not self._locked:
            self._set(register, value)
        return []

    def _set(self, register: int, value: int) -> None:
        self._registers[register] = value
        self.fs_hz = {code: hz for hz, code in RATE_CODES.items()}.get(self._registers[RATE], self.fs_hz)
        # It never stops; but nobody records the 10 Hz of power-on, so that they need not be played.
        self.streaming = self.fs_hz in self.model.rates_hz

    def _words(self, register: int) -> tuple[int, ...]:
        """Return a register's number, its value and the seven after it."""
        text = struct.unpack("<6H", self.serial.encode()[:12].ljust(12, b"\0"))
        volts = next((limit for limit, percent in CHARGE if self.percent >= percent), 3.3)
        known = self._registers | {VERSION: 9072, VERSION + 1: 3, BATTERY: round(100 * volts)}
        known |= {SERIAL + k: word for k, word in enumerate(text)}
        return register, *(known.get(register + k, 0) for k in range(8))

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Send as many frames at once as 40 ms make, or as fit."""
        del device_ns  # it has no clock to tell
        words = np.zeros((len(counts), FRAME // 2), "<i2")
        words[:, 0] = HEAD | MOTION << 8
        words[:, 1:4] = counts
        self._pending += words.tobytes()
        packet = FRAME * max(1, min(self.payload // FRAME, round(0.04 * self.fs_hz)))
        whole = len(self._pending) // packet * packet
        packets = [self._pending[at : at + packet] for at in range(0, whole, packet)]
        self._pending = self._pending[whole:]
        return [Notify(NOTIFICATION, data) for data in packets]

    def disconnected(self) -> None:
        """Go on; there is nobody to hear it."""
        self._pending = b""

    def reboot(self) -> None:
        """Forget what was not saved, and lock the settings."""
        self._pending = b""
        self._locked = True
        self._registers.clear()
        for register, value in self._saved.items():
            self._set(register, value)


def _matches(advertisement: Advertisement) -> bool:
    # Serial modules in solar monitors, remote controls and readers advertise the same service.
    return re.match(r"WT(901|SDCL)", advertisement.name) is not None


MODELS = (
    Model(
        name="witmotion",
        label="WitMotion WT901BLECL 5.0 or WT9011DCL-BT50",
        matches=_matches,
        driver=WitMotion,
        peripheral=WitMotionPeripheral,
        rates_hz=(50.0, 100.0, 200.0),
        fs_hz=200.0,
        counts="none",
        g_per_count=RANGE_G / 32768,
        sample_type="int16",
        range_g=float(RANGE_G),
        samples_per_packet=8,
        noise_ug=None,  # the maker names a stability of 0.005 to 0.01 g, and no chip
        battery_h=8.0,
        preparing=(
            "Take a BLE 5 version: the BLE 4.0 units of 2018 end at 50 Hz and look the same. The range is "
            "±16 g and cannot be set. The battery of some 130 mAh lasts about eight hours when new: start "
            "with a full charge and expect that the last hour may be missing. Do not calibrate it while it "
            "is worn. It needs no pairing."
        ),
        limits=(
            "Its noise is not published: look at what `check` measures.",
            "It sends neither time nor counter: samples lost on the way cannot be told from late ones.",
            "Start with a full battery: it lasts about eight hours, and the last one may be missing.",
            "The first generation (2018, Bluetooth 4.0) sends 50 samples a second at most; ask for 50.",
        ),
    ),
)
