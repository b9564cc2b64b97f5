"""Capture2Go IMU: framed, with checksums and the device's own time of each packet.

Source: sensorstim/capture2go_sdk, protocol/Capture2Go_Communication_Protocol.md; the decoder is our own. A
frame is 02, u32 CRC-32 of header and payload, u8 size of the payload, u16 header, payload. Each write is one
frame. A notification begins with 0xFF - k, then k whole real-time frames, then bytes of a stream of frames.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from firmware_host.errors import SensorError
from firmware_host.sensors.pending import Pending
from firmware_host.sensors.protocol import (
    Advertisement,
    Await,
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
    Script,
    Service,
    Subscribe,
    Warned,
    Write,
    check_rate,
)
from firmware_host.sensors.stamps import Numbering

SERVICE = "80030001-e629-4c98-9324-aa7fc0c66de7"
TO_SENSOR = "80030002-e629-4c98-9324-aa7fc0c66de7"
FROM_SENSOR = "80030003-e629-4c98-9324-aa7fc0c66de7"

GET_INFO, INFO = 0x0070, 0x0071
SET_MODE, MODE = 0x0120, 0x0122
START, STARTED = 0x0150, 0x0151
STOP, STOPPED = 0x0152, 0x0153
CLEAR, CLEARED = 0x0158, 0x0159
"""Stop and empty the buffer: a sensor whose link was lost goes on filling it."""
GET_STATUS, STATUS = 0x0200, 0x0201
ERROR = 0xFFFF
DATA = {200.0: 0x0231, 100.0: 0x0232, 50.0: 0x0233}
"""Eight samples of acceleration and turning rate a frame, by rate."""

IDLE, STREAMING, RECORDING = 1, 2, 3
"""States of the sensor in a status frame."""
TIME_GAP, PROCESSING_ISSUE = 0x01, 0x10
"""Error flags of a data frame; clipping shows in the samples themselves."""

SENTENCES = {
    TIME_GAP: "The sensor reported a jump of its own clock; times around it are less certain.",
    PROCESSING_ISSUE: "The sensor reported a fault of its own processing; its samples may be wrong.",
}
SAMPLES = 8
DATA_LAYOUT = struct.Struct("<q48s48sQhB")
"""Time of the first sample in ns, 8 x 3 gyroscope, 8 x 3 accelerometer, orientation, heading, flags."""
INFO_LAYOUT = struct.Struct("<H6s8s8s12s11s")
STATUS_LAYOUT = struct.Struct("<qBB3hBBB")
MAX_PAYLOAD = 236
G_PER_COUNT = 16 / 32768


def frame(header: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    content = header.to_bytes(2, "little") + payload
    return struct.pack("<BIB", 2, zlib.crc32(content), len(payload)) + content


def mode_for(fs_hz: float) -> bytes:
    """Return the measurement mode: packed frames at a rate, no magnetometer, status every second.

    Raises
    ------
    SensorError
        If there is no such rate.
    """
    check_rate("A Capture2Go sensor", fs_hz, DATA)
    packed = list(DATA).index(fs_hz) + 1
    return struct.pack("<q8BHBQ3B", 0, 0, 0, packed, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1)


class Frames:
    """Takes notifications, yields whole frames; finds the next one after loss or damage."""

    def __init__(self) -> None:
        self._stream = b""
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes] | Garbled]:
        """Yield (header, payload) of each whole frame, and one `Garbled` for each stretch of bad bytes."""
        real_time = 0xFF - data[0] if data else 0
        rest = data[1:]
        for _ in range(real_time):
            size = self._size(rest)
            if size is None or not self._is_whole(rest, size):
                yield Garbled("a damaged real-time frame")
                break
            yield self._opened(rest, size)
            rest = rest[size:]
        self._stream += rest
        while len(self._stream) >= 8:
            size = self._size(self._stream)
            if size is not None and len(self._stream) < size:
                return
            if size is not None and self._is_whole(self._stream, size):
                yield self._opened(self._stream, size)
                self._stream, self._skipping = self._stream[size:], False
                continue
            if not self._skipping:
                self._skipping = True
                yield Garbled("no frame, or one with a wrong checksum")
            next_start = self._stream.find(b"\x02", 1)
            self._stream = self._stream[next_start:] if next_start > 0 else b""

    @staticmethod
    def _size(data: bytes) -> int | None:
        """Return the length of the frame that begins here, None where none can."""
        return 8 + data[5] if len(data) >= 8 and data[0] == 2 and data[5] <= MAX_PAYLOAD else None

    @staticmethod
    def _is_whole(data: bytes, size: int) -> bool:
        return len(data) >= size and zlib.crc32(data[6:size]) == int.from_bytes(data[1:5], "little")

    @staticmethod
    def _opened(data: bytes, size: int) -> tuple[int, bytes]:
        return int.from_bytes(data[6:8], "little"), data[8:size]


class Capture2Go(Driver):
    """The host's side."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._frames = Frames()
        self._numbering = Numbering(self.fs_hz, stamp_of="first")
        self._answers: dict[int, bytes] = {}
        self._streaming = False
        self._percent: int | None = None
        self._warned = 0

    def start(self) -> Script:
        """Identify, end what still runs, set the mode, start the stream."""
        mode = mode_for(self.fs_hz)
        yield Subscribe(FROM_SENSOR)
        yield from self._ask(GET_INFO, INFO)
        yield from self._ask(GET_STATUS, STATUS)
        state = self._answers[STATUS][8]
        if state == RECORDING:
            raise SensorError(
                "This Capture2Go sensor is recording to its own memory; stop that in its own app first."
            )
        if state != IDLE:
            yield from self._ask(CLEAR, CLEARED)
        yield from self._ask(SET_MODE, MODE, mode)
        self._streaming = True
        yield from self._ask(START, STARTED)
        _, serial, _, _, firmware, _ = INFO_LAYOUT.unpack(self._answers[INFO])
        self.facts = Facts(
            self.fs_hz, G_PER_COUNT, "int16", 16.0, serial=_text(serial), firmware=_text(firmware)
        )

    def _ask(self, command: int, answer: int, payload: bytes = b"") -> Script:
        """Send a command and wait for its answer, which is kept in `_answers`."""
        self._answers.pop(answer, None)
        self._answers.pop(ERROR, None)
        yield Write(TO_SENSOR, frame(command, payload))
        yield Await(
            lambda: answer in self._answers or ERROR in self._answers, f"an answer to command {command:04X}"
        )
        if answer not in self._answers:
            raise SensorError(
                f"This Capture2Go sensor refused command {command:04X} "
                f"(error {self._answers[ERROR][0]:02X}); switch it off and on."
            )

    def stop(self) -> Script:
        """End the stream and empty its buffer."""
        yield Write(TO_SENSOR, frame(CLEAR))

    def poll(self) -> Script:
        """Ask for the status, which has the battery."""
        self._percent = None
        yield Write(TO_SENSOR, frame(GET_STATUS))

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode one notification."""
        received: list[Received] = []
        if characteristic == FROM_SENSOR:
            for found in self._frames.feed(data):
                if isinstance(found, Garbled):
                    # Emptying the buffer cuts a frame in two: that is no fault.
                    received.extend([found] if self._streaming else [])
                else:
                    received.extend(self._frame(*found))
        return received

    def _frame(self, header: int, payload: bytes) -> list[Received]:
        """Take a frame whose checksum is right."""
        sizes = {INFO: INFO_LAYOUT.size, STATUS: STATUS_LAYOUT.size, ERROR: 3, MODE: 30}
        if header == DATA.get(self.fs_hz):
            if not self._streaming:
                return []
            if len(payload) != DATA_LAYOUT.size:
                return [Garbled("a data frame of another size")]
            return self._data(payload)
        if len(payload) != sizes.get(header, 0):
            return []
        self._answers[header] = payload
        percent = payload[17] & 0x7F if header == STATUS else self._percent
        if percent == self._percent or percent is None:
            return []
        self._percent = percent
        return [Battery(min(percent, 100))]

    def _data(self, payload: bytes) -> list[Received]:
        """Take the samples of a frame; it tells the time of the first of eight."""
        first_ns, _, acceleration, _, _, flags = DATA_LAYOUT.unpack(payload)
        counts = np.frombuffer(acceleration, "<i2").astype(np.int16).reshape(SAMPLES, 3)
        return [*self._warnings(flags), *self._numbering.put(counts, first_ns)]

    def _warnings(self, flags: int) -> list[Received]:
        """Tell each kind of fault once a connection."""
        new = flags & ~self._warned & (TIME_GAP | PROCESSING_ISSUE)
        self._warned |= new
        return [Warned(sentence) for flag, sentence in SENTENCES.items() if new & flag]


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="replace")


class Capture2GoPeripheral(Peripheral):
    """The sensor's side."""

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self._pending = Pending()
        self._state = IDLE
        self._frames_sent = 0
        self._cut_off = False
        """Something was left in the buffer."""

    def advertisement(self) -> Advertisement:
        """Return its name and service."""
        return Advertisement(f"IMU_{self.serial[-6:].lower()}", (SERVICE,))

    def services(self) -> tuple[Service, ...]:
        """Return its one service."""
        return (
            Service(
                SERVICE,
                (
                    Characteristic(TO_SENSOR, ("write", "write-without-response")),
                    Characteristic(FROM_SENSOR, ("notify",)),
                ),
            ),
        )

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take a command, one frame a write."""
        if characteristic != TO_SENSOR:
            return []
        answers: list[Notify] = []
        for found in Frames().feed(b"\xff" + data):
            if not isinstance(found, Garbled):
                answers += self._command(*found)
        return answers

    def _command(self, header: int, payload: bytes) -> list[Notify]:
        """Do what a command says and answer it."""
        if header == GET_INFO:
            texts = (self.serial[-6:].lower(), "1.0", "1.0", "1.0.1", "2025-10-01")
            return self._packed(frame(INFO, INFO_LAYOUT.pack(1, *(text.encode() for text in texts))))
        if header == GET_STATUS:
            return self._packed(self._status())
        if header == SET_MODE and len(payload) == 30 and self._state == IDLE and payload[10] in (1, 2, 3):
            self.fs_hz = list(DATA)[payload[10] - 1]
            return self._packed(frame(MODE, payload))
        if header == START:
            self._state, self.streaming = STREAMING, True
            return self._packed(frame(STARTED))
        if header in (STOP, CLEAR):
            # What was in the buffer is cut off in the middle of a frame.
            rest = frame(DATA[self.fs_hz], bytes(DATA_LAYOUT.size))[40:] if self._cut_off else b""
            self._idle()
            return self._packed(rest + frame(header + 1))
        return self._packed(frame(ERROR, bytes([0xFD]) + header.to_bytes(2, "little")))

    def _idle(self) -> None:
        self._state, self.streaming, self._cut_off = IDLE, False, False
        self._pending.clear()
        self._frames_sent = 0

    def _status(self) -> bytes:
        return frame(STATUS, STATUS_LAYOUT.pack(0, self._state, 2, 0, 0, 0, 1, self.percent, 100))

    def _packed(self, stream: bytes) -> list[Notify]:
        """Return bytes of the stream as notifications without real-time frames."""
        room = self.payload - 1
        return [Notify(FROM_SENSOR, b"\xff" + stream[k : k + room]) for k in range(0, len(stream), room)]

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Send a frame of every eight samples, and its status once a second; it does not turn."""
        self._pending.add(counts, device_ns, self.fs_hz)
        stream = b""
        while len(self._pending) >= SAMPLES:
            taken, at_ns = self._pending.take(SAMPLES)
            acceleration = taken.astype("<i2").tobytes()
            data = DATA_LAYOUT.pack(int(at_ns[0]), bytes(48), acceleration, 0, 0, 0)
            stream += frame(DATA[self.fs_hz], data)
            self._frames_sent += 1
            if self._frames_sent % round(self.fs_hz / SAMPLES) == 0:
                stream += self._status()
        return self._packed(stream)

    def disconnected(self) -> None:
        """Go on measuring into the buffer, until the host clears it; it fills up, so nothing is kept here."""
        self._cut_off, self.streaming = self.streaming, False
        self._pending.clear()

    def reboot(self) -> None:
        """Forget mode and state."""
        self.fs_hz = self.model.fs_hz
        self._idle()


def _matches(advertisement: Advertisement) -> bool:
    return SERVICE in advertisement.services


MODELS = (
    Model(
        name="capture2go",
        label="Capture2Go IMU",
        matches=_matches,
        driver=Capture2Go,
        peripheral=Capture2GoPeripheral,
        rates_hz=tuple(sorted(DATA)),
        fs_hz=200.0,
        counts="stamps",
        g_per_count=G_PER_COUNT,
        sample_type="int16",
        range_g=16.0,
        samples_per_packet=SAMPLES,
        preparing=(
            "Nothing to install. Stop a recording to its own memory in its app first: twitchmap does not "
            "end it. It measures at 1666 Hz and filters down to 200 Hz; its noise is not published."
        ),
        limits=(
            "Neither noise nor battery life are published: look at what `check` measures.",
            "Its buffer bridges moments of bad reception; what it holds when the link is lost is given up.",
        ),
    ),
)
