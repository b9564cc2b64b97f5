"""Nordic Thingy:52: one sample a notification, neither time nor counter, and a noisy chip.

Sources: NordicSemiconductor/Nordic-Thingy52-FW (ble_tms.h, ble_tcs.h, m_motion.c, drv_motion.c) and Nordic
DevZone 47415. Nordic's own JavaScript library divides by other numbers; the firmware's fixed point (16.16
shifted by 6) and a Thingy on a table both say 1024 counts per g.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from firmware_host.errors import SensorError
from firmware_host.sensors.protocol import (
    BATTERY_LEVEL,
    BATTERY_SERVICE,
    Advertisement,
    Batch,
    Characteristic,
    Counts,
    Driver,
    Facts,
    Garbled,
    Model,
    Notify,
    Peripheral,
    Read,
    Received,
    Script,
    Service,
    Subscribe,
    Write,
)

CONFIGURATION = "ef680100-9b35-4933-9b10-52ffa9740042"
CONNECTION = "ef680104-9b35-4933-9b10-52ffa9740042"
FIRMWARE = "ef680107-9b35-4933-9b10-52ffa9740042"
MOTION = "ef680400-9b35-4933-9b10-52ffa9740042"
SETTINGS = "ef680401-9b35-4933-9b10-52ffa9740042"
RAW = "ef680406-9b35-4933-9b10-52ffa9740042"

NORDIC = 0x0059
FAST = struct.pack("<4H", 6, 12, 0, 400)
"""Connection interval of 7.5 to 15 ms (1.25 ms units), no latency, supervision 4 s (10 ms units)."""
POWER_ON = struct.pack("<4HB", 1000, 500, 500, 10, 1)
"""Pedometer, temperature and compass every so many ms, 10 Hz, wake on motion."""
G_PER_COUNT = 1 / 1024


def settings_for(fs_hz: float) -> bytes:
    """Return the motion settings of a rate; all else as at power-on."""
    return POWER_ON[:6] + struct.pack("<HB", round(fs_hz), 1)


class Thingy52(Driver):
    """The host's side."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._streaming = False
        self._n = 0

    def start(self) -> Script:
        """Ask for a fast connection, set the rate and check that it was taken."""
        if len((yield Read(SETTINGS))) != len(POWER_ON):
            raise SensorError(
                "This Thingy does not offer its motion sensor; put Nordic's own firmware on it with the "
                "Thingy app."
            )
        yield Write(CONNECTION, FAST)
        yield Subscribe(RAW)
        # From here on: what comes before the settings are taken is at most one sample at 10 Hz.
        self._streaming = True
        yield Write(SETTINGS, settings_for(self.fs_hz))
        taken = yield Read(SETTINGS)
        if taken != settings_for(self.fs_hz):
            raise SensorError(
                f"This Thingy did not take the rate of {self.fs_hz:g} Hz; switch it off and on."
            )
        firmware = ".".join(str(part) for part in (yield Read(FIRMWARE)))
        self.facts = Facts(self.fs_hz, G_PER_COUNT, "int16", self.model.range_g, firmware=firmware)

    def stop(self) -> Script:
        """Go back to the 10 Hz of power-on, which spares the battery."""
        yield Write(SETTINGS, POWER_ON)

    def poll(self) -> Script:
        """Read the battery; it is told with the next samples."""
        yield from self.read_level()

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode one notification: acceleration, turning rate and compass, 3 x int16 each."""
        received = self.untold()
        if characteristic == RAW and self._streaming:
            if len(data) == 18:
                counts = np.frombuffer(data, "<i2", 3).astype(np.int16).reshape(1, 3)
                received.append(Batch(counts, self._n))
                self._n += 1
            else:
                received.append(Garbled("not of 18 bytes"))
        return received


class Thingy52Peripheral(Peripheral):
    """The sensor's side."""

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self._settings = POWER_ON

    def advertisement(self) -> Advertisement:
        """Return the name of the box and its configuration service."""
        return Advertisement("Thingy", (CONFIGURATION,), {NORDIC: bytes.fromhex(self.serial[-8:])})

    def services(self) -> tuple[Service, ...]:
        """Return the services that matter here."""
        both = ("read", "write")
        return (
            Service(CONFIGURATION, (Characteristic(CONNECTION, both), Characteristic(FIRMWARE, ("read",)))),
            Service(MOTION, (Characteristic(SETTINGS, both), Characteristic(RAW, ("notify",)))),
            Service(BATTERY_SERVICE, (Characteristic(BATTERY_LEVEL, ("read", "notify")),)),
        )

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take settings; what subscribing starts and ends on the device is told here from them."""
        if characteristic == SETTINGS and len(data) == len(POWER_ON):
            fs_hz = int.from_bytes(data[6:8], "little")
            if 5 <= fs_hz <= 200:
                self._settings = bytes(data)
                self.fs_hz = float(fs_hz)
                self.streaming = self._settings != POWER_ON
        return []

    def read(self, characteristic: str) -> bytes:
        """Return settings, firmware version or battery."""
        known = {SETTINGS: self._settings, CONNECTION: FAST, FIRMWARE: bytes([2, 2, 0])}
        return known.get(characteristic) or super().read(characteristic)

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Send each sample by itself; the box does not turn."""
        del device_ns  # it has no clock to tell
        return [Notify(RAW, row.astype("<i2").tobytes() + bytes(12)) for row in counts]

    def reboot(self) -> None:
        """Forget the settings."""
        self.streaming = False
        self._settings = POWER_ON


def _matches(advertisement: Advertisement) -> bool:
    return CONFIGURATION in advertisement.services


MODELS = (
    Model(
        name="thingy52",
        label="Nordic Thingy:52",
        matches=_matches,
        driver=Thingy52,
        peripheral=Thingy52Peripheral,
        rates_hz=(50.0, 100.0, 200.0),
        fs_hz=200.0,
        counts="none",
        g_per_count=G_PER_COUNT,
        sample_type="int16",
        range_g=2.0,  # the firmware leaves the chip's driver at its default
        samples_per_packet=1,
        noise_ug=300.0,  # MPU-6500/9250
        battery_h=None,
        preparing=(
            "It works out of the box and lasts for nights, but its chip is noisy, its steps are 1 mg, it "
            "is old and heavy, and it sends every sample by itself, so that few fit on an adapter. For "
            "large twitches only."
        ),
        limits=(
            "Its chip is noisy: only large twitches can be found.",
            "It sends every sample by itself: at 200 Hz plan two of them for each Bluetooth adapter.",
            "It sends neither time nor counter: samples lost on the way cannot be told from late ones.",
        ),
    ),
)
