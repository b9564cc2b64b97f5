"""Polar H10, Verity Sense and OH1: the PMD service, raw and compressed frames, SDK mode.

Sources: polarofficial/polar-ble-sdk (sources, tests, documentation, issues as numbered), fsmeraldi/bleakheart
and its pull request 11, Polar's PMD specification. Stamps are of the last sample of a frame, in ns; their
epoch may be unset, so only differences are used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from firmware_host.errors import SensorError
from firmware_host.sensors.polar_peripheral import PolarPeripheral
from firmware_host.sensors.polar_pmd import (
    ACCELERATION,
    ALREADY,
    CHANNELS,
    COMPRESSED_COUNTS,
    COMPRESSED_MG,
    CONTROL,
    DATA,
    ENDED,
    FACTOR,
    OK,
    RANGE,
    RANGE_MILLI,
    RATE,
    RESOLUTION,
    SDK_MODE,
    SDK_STATUS,
    SETTINGS,
    START,
    STOP,
    pack_settings,
    parse_settings,
    samples_of,
)
from firmware_host.sensors.protocol import (
    Advertisement,
    Asking,
    Await,
    Driver,
    Facts,
    Garbled,
    Model,
    NoAnswerError,
    Read,
    Received,
    Script,
    Stopped,
    Subscribe,
    Write,
    device_texts,
)
from firmware_host.sensors.stamps import Numbering

ERRORS = {
    1: "it does not know the command",
    2: "it does not know this kind of measurement",
    3: "it does not support this",
    4: "the command has a wrong length",
    5: "a setting has a value that it does not take",
    6: "it is already in this state",
    7: "it does not take this resolution",
    8: "it does not take this rate",
    9: "it does not take this range",
    10: "the connection allows only packets that are too short for it",
    11: "it does not take this number of channels",
    12: "it cannot do this in its present state",
    13: "it sits in its charger; take it out",
    14: "its memory is full; empty it with Polar's own app",
}
RANGE_G = 8
LONGEST = 4096
"""Bytes of an answer, all parts together."""


@dataclass(frozen=True)
class Answer:
    """An answer of the control point to a command; `more` of it follows."""

    error: int
    content: bytes
    more: bool


class Polar(Driver):
    """The host's side."""

    needs_sdk_mode: ClassVar[bool] = False

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._asked = b""
        self._answers: list[Answer] = []
        self._numbering = Numbering(self.fs_hz, stamp_of="last")
        self._streaming = False
        self._frame_kind: int | None = None

    def start(self) -> Script:
        """Stop what runs, enter SDK mode where there is one, choose settings, start, see what frames come."""
        features = yield Read(CONTROL)
        if len(features) < 3 or features[0] != 0x0F or not features[1] >> ACCELERATION & 1:
            raise SensorError(
                f"This {self.model.label} offers no acceleration to other programs; update its firmware with "
                "Polar's app and, on Windows, pair it first."
            )
        yield Subscribe(CONTROL)
        yield Subscribe(DATA)
        serial, firmware = yield from device_texts()
        # A measurement may outlive the link that started it; a refusal means that none ran.
        yield from self._ask(STOP, ACCELERATION)
        if self.needs_sdk_mode:
            yield from self._enter_sdk_mode(features)
        listed = yield from self._demand("its settings", SETTINGS, ACCELERATION)
        chosen = self._choose(listed)
        self._numbering = Numbering(float(chosen[RATE][0]), stamp_of="last")
        self._streaming = True
        started = yield from self._demand("to start", START, ACCELERATION, settings=pack_settings(chosen))
        yield Await(lambda: self._frame_kind is not None, "acceleration", within_s=5.0)
        range_g = float(chosen.get(RANGE, (RANGE_G,))[0])
        g_per_count = self._g_per_count(started, range_g)
        self.facts = Facts(float(chosen[RATE][0]), g_per_count, "int16", range_g, serial, firmware)

    def _ask(self, *command: int, settings: bytes = b"", within_s: float = 3.0) -> Asking[Answer]:
        """Send a command and return its answer, joined where it comes in parts."""
        self._asked = bytes(command)
        self._answers.clear()
        yield Write(CONTROL, bytes(command) + settings)
        yield Await(
            lambda: bool(self._answers) and not self._answers[-1].more, "an answer to a command", within_s
        )
        return self._answers[-1]

    def _demand(self, what: str, *command: int, settings: bytes = b"") -> Asking[bytes]:
        """Return the content of an answer that must not be a refusal."""
        answer = yield from self._ask(*command, settings=settings)
        if answer.error:
            why = ERRORS.get(answer.error, f"error {answer.error}")
            raise SensorError(f"This {self.model.label} refused {what}: {why}.")
        return answer.content

    def _enter_sdk_mode(self, features: bytes) -> Script:
        """Enter the mode without which the sensor switches itself off, and see that it did.

        It is refused while anything streams; the status is unknown to old firmware.
        """
        for _ in range(2):
            answer = yield from self._ask(START, SDK_MODE)
            status = yield from self._ask(SDK_STATUS)
            entered = answer.error in (OK, ALREADY) if status.error else status.content[:1] == b"\1"
            if entered:
                return
            for kind in range(8):
                if features[1] >> kind & 1:
                    yield from self._ask(STOP, kind)
        raise SensorError(
            f"This {self.model.label} does not enter SDK mode, without which it switches itself off after "
            "ten minutes without a pulse; update its firmware with the Polar Flow app and restart it."
        )

    def _choose(self, listed: bytes) -> dict[int, tuple[int, ...]]:
        """Return one value of each setting that the sensor lists; all must be sent (issues 124 and 736)."""
        try:
            settings = parse_settings(listed)
        except ValueError:
            settings = {}
        rates = settings.get(RATE, ())
        if not rates or settings.get(RESOLUTION, (16,)).count(16) == 0:
            raise SensorError(f"This {self.model.label} lists no settings that twitchmap can use.")
        rate = min(rates, key=lambda rate: abs(rate - self.fs_hz))
        if abs(rate - self.fs_hz) > 0.06 * self.fs_hz:  # 50 and 52 Hz are one to different firmware
            known = ", ".join(str(rate) for rate in rates)
            raise SensorError(f"This {self.model.label} offers {known} Hz, not {self.fs_hz:g} Hz.")
        wanted = {RATE: rate, RESOLUTION: 16, RANGE: RANGE_G}
        order = (RANGE, RATE, RESOLUTION, RANGE_MILLI, CHANNELS)
        chosen: dict[int, tuple[int, ...]] = {}
        for kind in (kind for kind in order if settings.get(kind)):
            value = wanted.get(kind, max(settings[kind]))
            chosen[kind] = (value if value in settings[kind] else max(settings[kind]),)
        return chosen

    def _g_per_count(self, started: bytes, range_g: float) -> float:
        """Return what a count means, from the frames that come and the factor in the answer to the start."""
        try:
            bits = parse_settings(started).get(FACTOR, (0,))[0]
        except ValueError:
            bits = 0
        factor = float(np.array(bits, "<u4").view("<f4"))
        if not 1e-7 < factor < 1e3:
            factor = 0.0
        if self._frame_kind == COMPRESSED_COUNTS:
            return factor or range_g / 32768
        return 0.001 * (factor or 1.0) if self._frame_kind == COMPRESSED_MG else 0.001

    def stop(self) -> Script:
        """End the stream, without which an H10 stays on until it is flat, and SDK mode, as it was found."""
        for kind in (ACCELERATION, SDK_MODE) if self.needs_sdk_mode else (ACCELERATION,):
            with contextlib.suppress(NoAnswerError):
                yield from self._ask(STOP, kind, within_s=0.5)

    def poll(self) -> Script:
        """Read the battery; it is told with the next samples."""
        yield from self.read_level()

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Decode one notification or indication."""
        received = self.untold()
        if characteristic == CONTROL:
            received.extend(self._control(data))
        elif characteristic == DATA and self._streaming:
            received.extend(self._frame(data))
        return received

    def _control(self, data: bytes) -> Sequence[Received]:
        """Take a word of the control point; what is read from it may arrive here too, and is no answer."""
        if self._answers and self._answers[-1].more:
            content = self._answers[-1].content + data[1:]
            self._answers = [Answer(OK, content, data[:1] == b"\1" and len(content) < LONGEST)]
        elif data[:1] == b"\xf0" and len(data) >= 4:
            if data[1 : 1 + len(self._asked)] == self._asked:
                self._answers = [Answer(data[3], data[5:], data[3] == OK and data[4:5] == b"\1")]
        elif data[:1] == bytes([ENDED]) and ACCELERATION in data[1:] and self._streaming:
            return [Stopped("it ended its stream by itself")]
        return ()

    def _frame(self, data: bytes) -> Sequence[Received]:
        """Decode a frame: kind of measurement, stamp of the last sample, kind of frame, content."""
        if len(data) < 10 or data[0] != ACCELERATION:
            return [Garbled("no frame of acceleration")]
        kind = data[9]
        if self._frame_kind not in (None, kind):
            return [Garbled("a frame of another kind")]
        try:
            counts = samples_of(kind, data[10:])
        except ValueError as error:
            return [Garbled(str(error))]
        if counts.min() < -32768 or counts.max() > 32767:
            return [Garbled("samples beyond 16 bit")]
        self._frame_kind = kind
        last_ns = int.from_bytes(data[1:9], "little")
        return self._numbering.put(counts.astype(np.int16), last_ns)


class VeritySense(Polar):
    """The host's side of a Verity Sense."""

    needs_sdk_mode = True


_PAIR = "On Windows it has to be paired in the system's Bluetooth settings first."
_SDK = (
    "Outside SDK mode it switches itself off after ten minutes without a pulse; twitchmap puts it into SDK "
    "mode, which prevents that from firmware 2.1 on. With older firmware start to record while it is worn."
)


def _named(word: str) -> Callable[[Advertisement], bool]:
    """Return what tells a model by the second word of its name, as in "Polar Sense 0A1B2C3D"."""
    return lambda advertisement: advertisement.name.startswith(f"Polar {word} ")


MODELS = (
    Model(
        name="polar_h10",
        label="Polar H10",
        matches=_named("H10"),
        driver=Polar,
        peripheral=PolarPeripheral,
        rates_hz=(50.0, 100.0, 200.0),
        fs_hz=200.0,
        counts="stamps",
        g_per_count=0.001,
        sample_type="int16",
        range_g=8.0,
        samples_per_packet=36,
        needs_pairing=True,
        places=("chest",),
        preparing=(
            "For the chest, on its own strap with the electrodes moistened: 45 s after it leaves the skin "
            "it drops the connection. It sends whole mg; a frame of one at rest in Polar's own tests shows "
            "0.6 to 0.9 mg rms, which is 60 to 90 µg/√Hz. End the recording with Ctrl-C or let it end by "
            "itself: a stream that nobody ends keeps the H10 awake until its cell is flat. A z axis that "
            "never changes is a known fault of some units."
        ),
        limits=(
            "It works on its chest strap only: 45 s after leaving the skin it drops the connection.",
            "It sends whole mg, about as much as its noise.",
            _PAIR,
        ),
    ),
    Model(
        name="polar_verity",
        label="Polar Verity Sense",
        matches=_named("Sense"),
        driver=VeritySense,
        peripheral=PolarPeripheral,
        rates_hz=(52.0, 104.0, 208.0),
        fs_hz=208.0,
        counts="stamps",
        g_per_count=0.000244,
        sample_type="int16",
        range_g=8.0,
        samples_per_packet=57,
        battery_h=18.0,
        needs_pairing=True,
        preparing=(
            "Update the firmware with the Polar Flow app, to 2.1 or newer. Switch it on in sensor mode "
            "(the blue heart LED). Outside SDK mode it switches itself off after ten minutes without a "
            "pulse, for example on a thigh; twitchmap enters SDK mode before each stream, checks that it "
            "holds, and leaves it in the end. SDK mode ends when it is switched off, so leave it on. Its "
            "optical lights are out in SDK mode. Strap it on any limb; pairing is needed on Windows."
        ),
        limits=(_SDK, _PAIR),
    ),
    Model(
        name="polar_oh1",
        label="Polar OH1",
        matches=_named("OH1"),
        driver=Polar,
        peripheral=PolarPeripheral,
        rates_hz=(50.0,),
        fs_hz=50.0,
        counts="stamps",
        g_per_count=0.001,
        sample_type="int16",
        range_g=8.0,
        samples_per_packet=36,
        needs_pairing=True,
        preparing=(
            "50 Hz is all that it offers: about four fifths of a twitch's energy pass, half of a quick "
            "one's. Use it if you have it; do not buy it for this."
        ),
        limits=("At 50 Hz, all that it offers, quick twitches lose a part of their strength.", _PAIR),
    ),
)
