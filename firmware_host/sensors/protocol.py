"""The words in which sensor models are written: what is advertised, said, answered and streamed. No I/O.

A *driver* is the host's side of one connection: `start`, `poll` and `stop` are scripts, generators of steps
that whoever holds the connection carries out, and `receive` turns notifications into what they say. A
*peripheral* is the sensor's side, so that virtual sensors speak the same protocol. Both are fed by tests
without a radio.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from firmware_host.errors import SensorError

Counts = npt.NDArray[np.int16] | npt.NDArray[np.float32]
T = TypeVar("T")

SMALLEST_PER_DENSITY = 53.0
"""Of the smallest twitch, see `smallest_twitch_mg`: mg per mg per square root of Hz."""

BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"
"""The standard battery service and its level in percent, u8."""
DEVICE_SERVICE = "0000180a-0000-1000-8000-00805f9b34fb"
MODEL_NUMBER = "00002a24-0000-1000-8000-00805f9b34fb"
SERIAL_NUMBER = "00002a25-0000-1000-8000-00805f9b34fb"
FIRMWARE_REVISION = "00002a26-0000-1000-8000-00805f9b34fb"
"""The standard device information service; its values are UTF-8 text."""


@dataclass(frozen=True)
class Advertisement:
    """What a sensor says of itself before it is connected; UUIDs are 128-bit, lower case, with hyphens."""

    name: str = ""
    services: tuple[str, ...] = ()
    manufacturer: Mapping[int, bytes] = field(default_factory=dict)
    """Bytes by company number."""


# What a driver asks of the connection.


@dataclass(frozen=True)
class Subscribe:
    """Switch on notifications (or indications) of a characteristic; they go to `Driver.receive`."""

    characteristic: str


@dataclass(frozen=True)
class Read:
    """Read a characteristic; the step's result is its bytes, b"" where the sensor has no such one."""

    characteristic: str


@dataclass(frozen=True)
class Write:
    """Write a characteristic."""

    characteristic: str
    data: bytes
    response: bool = True


@dataclass(frozen=True)
class Pause:
    """Let some seconds pass, receiving meanwhile."""

    seconds: float


@dataclass(frozen=True)
class Await:
    """Go on as soon as `done()` holds, asked after every notification; else `NoAnswerError` is thrown in."""

    done: Callable[[], bool]
    what: str
    """Ends the sentence "The sensor did not send ...": "an answer to its settings"."""
    within_s: float = 3.0


Step = Subscribe | Read | Write | Pause | Await
Asking = Generator[Step, bytes, T]
"""Yields steps and returns what it asked for."""
Script = Generator[Step, bytes, None]
"""Yields steps; a `Read` sends its bytes back, all other steps b""."""


class NoAnswerError(Exception):
    """Thrown into a script whose `Await` did not come true in time; a driver may catch it."""


class MissingPartError(SensorError):
    """Thrown into a script that subscribes to or writes what the sensor has not; a driver may catch it."""


def check_rate(called: str, fs_hz: float, rates_hz: Iterable[float]) -> None:
    """Refuse a rate that a sensor, called "A Movesense", has not; raises `SensorError`."""
    if fs_hz not in rates_hz:
        known = ", ".join(f"{rate:g}" for rate in rates_hz)
        raise SensorError(f"{called} cannot be set to {fs_hz:g} Hz, only to {known}.")


def device_texts() -> Asking[tuple[str, str]]:
    """Read serial number and firmware from the device information service."""
    serial = yield Read(SERIAL_NUMBER)
    firmware = yield Read(FIRMWARE_REVISION)
    return serial.decode(errors="replace").strip("\0 "), firmware.decode(errors="replace").strip("\0 ")


# What a sensor's notifications say.


@dataclass(frozen=True)
class Batch:
    """Samples of one notification, in order.

    `counts` (n, 3) are the device's own numbers; `first` is the running number of the first since `start`: a
    jump says how many were lost, as far as the protocol can tell; `device_ns` is the device's own time of the
    last sample, where it sends one, on a clock that runs through as long as the device does.
    """

    counts: Counts
    first: int
    device_ns: int | None = None


@dataclass(frozen=True)
class Battery:
    """Charge in percent (0-100) and, where it is told, volts."""

    percent: int
    volts: float | None = None


@dataclass(frozen=True)
class Restarted:
    """The device counts anew: it was rebooted, or restarted its stream, while the link stayed."""


@dataclass(frozen=True)
class Stopped:
    """The device ended its stream by itself; `reason` ends "The sensor stopped: ..."."""

    reason: str


@dataclass(frozen=True)
class Garbled:
    """Bytes that are no whole frame and gave no samples; `reason` in a few words, counted by the session."""

    reason: str


@dataclass(frozen=True)
class Warned:
    """Something the user should read in the morning: one plain sentence."""

    sentence: str


Received = Batch | Battery | Restarted | Stopped | Garbled | Warned


@dataclass(frozen=True)
class Facts:
    """What is known of a sensor once it is started, as `night.toml` keeps it."""

    fs_hz: float
    """Nominal rate that it was set to; the true one is measured."""
    g_per_count: float
    sample_type: Literal["int16", "float32"]
    range_g: float | None = None
    serial: str = ""
    firmware: str = ""


def smallest_twitch_mg(density_ug: float) -> float:
    """Return the smallest twitch that white noise leaves visible, mg peak to peak.

    On three axes, in an unknown direction, of 50 ms rise, nine in ten found at one false find an hour
    (derived from detection theory). `density_ug` is in micro-g per square root of Hz.
    """
    return SMALLEST_PER_DENSITY * density_ug / 1000


@dataclass(frozen=True)
class Model:
    """One sensor model: everything that is known before it is connected."""

    name: str
    """As in `record --virtual left_calf=witmotion` and in night.toml."""
    label: str
    """What a person reads: "Polar Verity Sense"."""
    matches: Callable[[Advertisement], bool]
    driver: type[Driver]
    peripheral: type[Peripheral]
    rates_hz: tuple[float, ...]
    """Rates that it can be set to, rising, of those worth recording (45 Hz and up)."""
    fs_hz: float
    """The rate that it is set to unless asked otherwise."""
    counts: Literal["counter", "stamps", "none"]
    """How lost samples show: a counter, a device clock, or not at all."""
    g_per_count: float
    """As expected; what `Driver.facts` says once it is started counts."""
    sample_type: Literal["int16", "float32"]
    range_g: float
    samples_per_packet: int
    """Of a typical notification at `fs_hz`."""
    noise_ug: float | None = None
    """Expected noise density, micro-g per square root of Hz; None: not published, to be measured."""
    battery_h: float | None = None
    """Hours of streaming on a full charge; None: not known."""
    needs_pairing: bool = False
    """Windows talks to it only once it is paired."""
    places: tuple[str, ...] = ()
    """Body places (`chest`) that it can be worn at; empty: anywhere."""
    preparing: str = ""
    """How to get it ready, for its section of docs/sensors.md; a few plain sentences."""
    limits: tuple[str, ...] = ()
    """What a user must know beforehand, a plain sentence each."""

    @property
    def smallest_twitch_mg(self) -> float | None:
        """The smallest twitch that shows in its noise alone, mg peak to peak; None: not known."""
        return None if self.noise_ug is None else smallest_twitch_mg(self.noise_ug)


class Driver(ABC):
    """The host's side of one connection to one sensor; made anew for every connection.

    `facts` is set once `start` has run to its end.
    """

    facts: Facts | None = None

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        self.model = model
        self.fs_hz = model.fs_hz if fs_hz is None else fs_hz
        self.later: list[Received] = []
        """What a script found out, to be told with the next notification."""

    @abstractmethod
    def start(self) -> Script:
        """Subscribe, identify, configure in full and start the stream.

        Raises
        ------
        SensorError
            If the sensor cannot do it (a feature or rate that it lacks, firmware without the protocol).
        """

    @abstractmethod
    def stop(self) -> Script:
        """End the stream, so that the sensor spares its battery; must do no harm to one that is stopped."""

    def poll(self) -> Script:
        """Ask for the battery; run every ten minutes while the stream goes on."""
        yield from ()

    def read_level(self) -> Script:
        """Read the battery service, as a part of other scripts."""
        level = yield Read(BATTERY_LEVEL)
        self.later.extend(Battery(min(percent, 100)) for percent in level[:1])

    def untold(self) -> list[Received]:
        """Return what is to be told with this notification."""
        told, self.later = self.later, []
        return told

    @abstractmethod
    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode one notification; any bytes are possible, none raises."""


# The sensor's own side.


@dataclass(frozen=True)
class Notify:
    """A notification (or indication) that a peripheral sends."""

    characteristic: str
    data: bytes


@dataclass(frozen=True)
class Characteristic:
    """A characteristic of a peripheral: UUID and its properties, of read, write, write-without-response,
    notify, indicate.
    """

    uuid: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """A GATT service of a peripheral."""

    uuid: str
    characteristics: tuple[Characteristic, ...]


class Peripheral(ABC):
    """A sensor as seen from its own side, as a virtual sensor plays it.

    `streaming`, `fs_hz` (what it was set to), `g_per_count` and `sample_type` say what `send` expects; all
    state is lost at `reboot`, as the device forgets it at power-off.
    """

    mtu: ClassVar[int] = 247
    """Largest ATT MTU that it agrees to; a notification carries three bytes less."""

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        self.model = model
        self.serial = serial
        self.percent = 100
        self.streaming = False
        self.fs_hz = model.fs_hz
        self.g_per_count = model.g_per_count
        self.sample_type: Literal["int16", "float32"] = model.sample_type
        self.payload = 244
        """Bytes that a notification may carry, from the MTU that was agreed on."""

    @abstractmethod
    def advertisement(self) -> Advertisement:
        """Return what it advertises."""

    @abstractmethod
    def services(self) -> tuple[Service, ...]:
        """Return its GATT table."""

    @abstractmethod
    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take a write; return what it answers with."""

    def read(self, characteristic: str) -> bytes:
        """Return what a characteristic reads as."""
        if characteristic == BATTERY_LEVEL:
            return bytes([self.percent])
        return b""

    @abstractmethod
    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Take samples (n, 3) in its own numbers, the last taken at `device_ns` since power-on; return the
        notifications that are complete with them. Samples that do not fill one wait for the next call.
        """

    def disconnected(self) -> None:
        """Lose the link and do what the device does then: most stop streaming."""
        self.streaming = False

    @abstractmethod
    def reboot(self) -> None:
        """Power off and on: settings, counters and clock start anew."""
