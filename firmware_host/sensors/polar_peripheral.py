"""Polar sensors as seen from their own side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firmware_host.sensors.pending import Pending
from firmware_host.sensors.polar_pmd import (
    ACCELERATION,
    ALREADY,
    BAD_COMMAND,
    BAD_LENGTH,
    BAD_MTU,
    BAD_PARAMETER,
    BAD_STATE,
    BAD_TYPE,
    CHANNELS,
    COMPRESSED_COUNTS,
    COMPRESSED_MG,
    CONTROL,
    DATA,
    FACTOR,
    HEART_RATE,
    NONE,
    OK,
    POLAR,
    POLAR_SERVICE,
    RANGE,
    RATE,
    RAW_INT16,
    RESOLUTION,
    SDK_MODE,
    SDK_STATUS,
    SERVICE,
    SETTINGS,
    START,
    STATUS,
    STOP,
    compressed,
    pack_settings,
    parse_settings,
)
from firmware_host.sensors.protocol import (
    BATTERY_LEVEL,
    BATTERY_SERVICE,
    DEVICE_SERVICE,
    FIRMWARE_REVISION,
    SERIAL_NUMBER,
    Advertisement,
    Characteristic,
    Counts,
    Model,
    Notify,
    Peripheral,
    Service,
)


@dataclass(frozen=True)
class Kind:
    """How a model differs from the others, on its own side."""

    word: str
    """In its name."""
    features: bytes
    normal: dict[int, tuple[int, ...]]
    sdk: dict[int, tuple[int, ...]] | None = None
    """Settings in each mode."""
    keeps_measuring: bool = False
    """A lost link does not end its measurement."""


H10 = Kind(
    "H10",
    b"\x0f\x05\0",
    {RATE: (25, 50, 100, 200), RESOLUTION: (16,), RANGE: (2, 4, 8)},
    keeps_measuring=True,
)
VERITY = Kind(
    "Sense",
    b"\x0f\x6e\x02",
    {RATE: (52,), RESOLUTION: (16,), RANGE: (8,), CHANNELS: (3,)},
    {RATE: (26, 52, 104, 208, 416), RESOLUTION: (16,), RANGE: (2, 4, 8, 16), CHANNELS: (3,)},
)
OH1 = Kind("OH1", b"\x0f\x0e\0", {RATE: (50,), RESOLUTION: (16,), RANGE: (8,)})
KINDS = {"polar_h10": H10, "polar_verity": VERITY, "polar_oh1": OH1}
REFUSALS = {RATE: 8, RESOLUTION: 7, RANGE: 9, CHANNELS: 11}
"""Errors of settings that are not listed."""
RAW_SAMPLES, COMPRESSED_SAMPLES = 36, 57


class PolarPeripheral(Peripheral):
    """The sensor's side."""

    mtu = 232

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self.kind = KINDS[model.name]
        self.gives_factor = True
        """A Verity's firmware sends numbers and their factor, or mg."""
        self.sdk_mode = False
        self._measuring = False
        self._pending = Pending()

    def advertisement(self) -> Advertisement:
        """Return its name with the number that is printed on it."""
        name = f"Polar {self.kind.word} {self.serial[-8:]}"
        return Advertisement(name, (HEART_RATE, POLAR_SERVICE), {POLAR: bytes(4)})

    def services(self) -> tuple[Service, ...]:
        """Return the services that matter here."""
        return (
            Service(
                SERVICE,
                (
                    Characteristic(CONTROL, ("read", "write", "indicate")),
                    Characteristic(DATA, ("notify",)),
                ),
            ),
            Service(BATTERY_SERVICE, (Characteristic(BATTERY_LEVEL, ("read", "notify")),)),
            Service(
                DEVICE_SERVICE,
                tuple(Characteristic(text, ("read",)) for text in (SERIAL_NUMBER, FIRMWARE_REVISION)),
            ),
        )

    def read(self, characteristic: str) -> bytes:
        """Return features, serial number, firmware or battery."""
        known = {
            CONTROL: self.kind.features + bytes(14),
            SERIAL_NUMBER: self.serial.encode(),
            FIRMWARE_REVISION: b"2.1.0",
        }
        return known.get(characteristic) or super().read(characteristic)

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take a command of the control point and answer it."""
        if characteristic != CONTROL or not data:
            return []
        about = data[1] if len(data) > 1 else NONE
        error, content = self._command(data[0], about, data[2:])
        answer = bytes([0xF0, data[0], about, error]) + (b"" if error else b"\0" + content)
        return [Notify(CONTROL, answer)]

    def _command(self, command: int, about: int, rest: bytes) -> tuple[int, bytes]:
        """Do what a command says; return error and content."""
        if command in (STATUS, SDK_STATUS):
            state = bytes([ACCELERATION, self._measuring]) if command == STATUS else bytes([self.sdk_mode])
            return (OK, state) if self.kind.sdk else (BAD_COMMAND, b"")
        if command not in (SETTINGS, START, STOP):
            return BAD_COMMAND, b""
        if about == SDK_MODE and self.kind.sdk and command != SETTINGS:
            wanted, busy = command == START, self._measuring
            if busy or wanted == self.sdk_mode:
                return (BAD_STATE if busy else ALREADY), b""
            self.sdk_mode = wanted
            return OK, b""
        if about != ACCELERATION:
            return BAD_TYPE, b""
        if command == SETTINGS:
            return OK, pack_settings(self._settings)
        if self._measuring == (command == START):
            return ALREADY, b""
        if command == STOP:
            self._measuring = self.streaming = False
            return OK, b""
        return self._start(rest)

    @property
    def _settings(self) -> dict[int, tuple[int, ...]]:
        return self.kind.sdk if self.sdk_mode and self.kind.sdk else self.kind.normal

    def _start(self, settings: bytes) -> tuple[int, bytes]:
        """Start with settings, of which none may be missing."""
        try:
            chosen = parse_settings(settings)
        except ValueError:
            return BAD_LENGTH, b""
        for kind, listed in self._settings.items():
            if len(chosen.get(kind, ())) != 1:
                return BAD_PARAMETER, b""
            if chosen[kind][0] not in listed:
                return REFUSALS[kind], b""
        if self.payload < 10 + 6 * RAW_SAMPLES and self.kind.sdk is None:
            return BAD_MTU, b""
        self._measuring = self.streaming = True
        self._pending.clear()
        self.fs_hz, self.g_per_count = float(chosen[RATE][0]), 0.001
        if self.kind.sdk is None or not self.gives_factor:
            return OK, b""
        factor = np.array(0.000244 * chosen[RANGE][0] / 8, "<f4")
        self.g_per_count = float(factor)
        return OK, bytes([FACTOR, 1]) + factor.tobytes()

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Send frames: raw ones of 36 samples, compressed ones of at most 57, fewer where they do not fit."""
        self._pending.add(counts, device_ns, self.fs_hz)
        whole = COMPRESSED_SAMPLES if self.kind.sdk else RAW_SAMPLES
        frames: list[Notify] = []
        for _ in range(len(self._pending) // whole):
            left = whole
            while left:
                n = left
                while len(self._content(n)) > self.payload - 10:
                    n = -(-n // 2)
                frames.append(self._frame(n))
                left -= n
        return frames

    def _frame(self, n: int) -> Notify:
        """Take the oldest n samples as a frame, with the time of the last of them."""
        content = self._content(n)
        _, at_ns = self._pending.take(n)
        stamp = (int(at_ns[-1]) % (1 << 64)).to_bytes(8, "little")
        return Notify(DATA, bytes([ACCELERATION]) + stamp + bytes([self._frame_kind]) + content)

    @property
    def _frame_kind(self) -> int:
        if self.kind.sdk is None:
            return RAW_INT16
        return COMPRESSED_COUNTS if self.gives_factor else COMPRESSED_MG

    def _content(self, n: int) -> bytes:
        """Return the oldest n samples as the content of a frame."""
        samples = self._pending.peek(n)
        return compressed(samples.astype(np.int64)) if self.kind.sdk else samples.astype("<i2").tobytes()

    def disconnected(self) -> None:
        """Lose the link: an H10 goes on measuring for nobody until it is told to stop."""
        self.streaming = False
        self._measuring = self._measuring and self.kind.keeps_measuring
        self._pending.clear()

    def reboot(self) -> None:
        """Forget measurement and SDK mode."""
        self._measuring = self.streaming = self.sdk_mode = False
        self._pending.clear()
