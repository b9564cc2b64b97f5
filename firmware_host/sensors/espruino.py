"""Puck.js v2 (Espruino): a program that we upload prints lines of samples over the Nordic UART service.

Sources: espruino/Espruino (libs/puckjs/jswrap_puck.c), espruino/EspruinoDocs (Puck.js, Bluetooth streaming),
LSM6DS3TR-C datasheet (CTRL1_XL, CTRL6_C). The service is plain text both ways; the lines are ours:
"T,<line>,<ms of the last sample>,<base64 of int16 x, y, z ...>,<lower 16 bits of the CRC-32 of all before>".
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Sequence

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
from firmware_host.sensors.stamps import Counting

SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
INPUT = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
OUTPUT = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"

SETTINGS = {52.0: 0x38, 104.0: 0x48, 208.0: 0x58}
"""CTRL1_XL by rate: rate in bits 4-7, +-4 g in bits 2-3. Above 208 Hz the firmware drops samples."""
RANGE_G = 4
LINE = 12
"""Samples of a line: 72 bytes, 96 characters in base64, 2.1 kB a second at 208 Hz; it manages about 2.5."""
PIECE = 20
"""Bytes of a write that fit in every connection."""
LONGEST = 1024
PROGRAM = """
var q=new Int16Array(36),b=new Uint8Array(q.buffer),i=0,s=0;
Puck.on('accel',function(a){var c=a.acc;q[i++]=c.x;q[i++]=c.y;q[i++]=c.z;
if(i>35){var t='T,'+s+','+Math.round(getTime()*1000)+','+btoa(b);i=0;s++;
Bluetooth.println(t+','+(E.CRC32(t)&65535))}});
NRF.on('disconnect',function(){Puck.accelOff()});
Bluetooth.println('I,'+process.env.VERSION+','+getSerial());
Puck.accelOn(%(rate)d);Puck.accelWr(0x10,%(setting)d);Puck.accelWr(0x15,0);
"""
"""Register 0x15 (CTRL6_C) 0: high-performance mode; accelOn leaves the chip in a noisier one."""
ASK_BATTERY = "Bluetooth.println('B,'+E.getBattery())"
_SAMPLES = re.compile(rb"(T,(\d{1,15}),(\d{1,15}),([A-Za-z0-9+/]+={0,2}))(?:,(\d{1,5}))?\Z")


def program(fs_hz: float) -> str:
    """Return what the Puck is to run, without line ends, which would end it."""
    return (PROGRAM % {"rate": fs_hz, "setting": SETTINGS[fs_hz]}).replace("\n", "")


def upload(code: str) -> bytes:
    """Return code as it is typed: 03 clears the line, 10 switches the echo off."""
    return b"\x03\x10if(1){" + code.encode("ascii") + b"}\n"


def parse_line(line: bytes) -> tuple[int, int, Counts]:
    """Return number, time in ms and samples (n, 3) of a line, which a prompt or a torn line may stand before.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    match = _SAMPLES.search(line)  # samples may end in "T," too, so that the last such is no sure beginning
    if match is None or (match[5] and int(match[5]) != zlib.crc32(match[1]) & 0xFFFF):
        raise ValueError("a damaged line")
    raw = base64.b64decode(match[4], validate=True)
    if not raw or len(raw) % 6:
        raise ValueError("a line without whole samples")
    return int(match[2]), int(match[3]), np.frombuffer(raw, "<i2").astype(np.int16).reshape(-1, 3)


class Puck(Driver):
    """The host's side."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self.samples_per_line = LINE
        self._text = b""
        self._about: list[str] = []
        self._trouble = ""
        self._counting: Counting | None = None
        self._heard = False

    def start(self) -> Script:
        """Reset the board (nothing is saved on it), upload the program, wait for its first line."""
        check_rate("A Puck.js", self.fs_hz, SETTINGS)
        yield Subscribe(OUTPUT)
        yield from _type(b"\x03reset();\n")
        yield Pause(1.5)
        self._counting = Counting(self.fs_hz)
        yield from _type(upload(program(self.fs_hz)))
        try:
            yield Await(lambda: self._heard or bool(self._trouble), "a line of samples", within_s=5.0)
        except NoAnswerError:
            self._trouble = self._trouble or "it prints nothing"
        if not self._heard:
            raise SensorError(
                f"This Puck.js did not run the program ({self._trouble}). It must be version 2, the first "
                "with a motion chip, with firmware 2v05 or later and without a password."
            )
        version, serial = [*self._about, "", ""][:2]
        self.facts = Facts(self.fs_hz, RANGE_G / 32768, "int16", float(RANGE_G), serial, version)

    def stop(self) -> Script:
        """Reset the board, which ends the program and the chip."""
        yield from _type(b"\x03reset();\n")

    def poll(self) -> Script:
        """Have the battery printed."""
        yield from _type(b"\x10" + ASK_BATTERY.encode("ascii") + b"\n")

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Take text; lines are told as they end."""
        if characteristic != OUTPUT:
            return ()
        *lines, self._text = (self._text + data).split(b"\n")
        received: list[Received] = []
        for line in lines:
            received.extend(self._line(line.strip(b"\r >")))
        if len(self._text) > LONGEST:
            self._text = b""
            received.append(Garbled("text without lines"))
        return received

    def _line(self, line: bytes) -> Sequence[Received]:
        if b"T," in line and self._counting is not None:
            try:
                number, ms, counts = parse_line(line)
            except ValueError as error:
                return [Garbled(str(error))]
            if len(counts) != self.samples_per_line:
                return [Garbled(f"not {self.samples_per_line} samples in a line")]
            self._heard = True
            return self._counting.put(counts, number * self.samples_per_line, ms * 1_000_000)
        if (level := re.search(rb"B,(\d{1,3})$", line)) is not None:
            return [Battery(min(int(level[1]), 100))]
        if line.startswith(b"I,"):
            self._about = line.decode("ascii", "replace").split(",")[1:]
        elif b"Uncaught" in line:
            self._trouble = line.decode("ascii", "replace")[:80]
        return ()


def _type(text: bytes) -> Script:
    for at in range(0, len(text), PIECE):
        yield Write(INPUT, text[at : at + PIECE])


class PuckPeripheral(Peripheral):
    """The sensor's side: of JavaScript it knows what our program needs."""

    mtu = 53

    def __init__(self, model: Model, serial: str = "0000000000A1") -> None:
        super().__init__(model, serial)
        self._pending = Pending()
        self._typed = b""
        self._lines = 0

    def advertisement(self) -> Advertisement:
        """Return its name, and the service that its scan response holds."""
        return Advertisement(f"Puck.js {self.serial[-4:].lower()}", (SERVICE,))

    def services(self) -> tuple[Service, ...]:
        """Return the Nordic UART service."""
        ways = ("write", "write-without-response")
        return (Service(SERVICE, (Characteristic(INPUT, ways), Characteristic(OUTPUT, ("notify",)))),)

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Take what is typed; a line is run when it ends."""
        if characteristic != INPUT:
            return []
        *lines, self._typed = (self._typed + data).split(b"\n")
        return [note for line in lines for note in self._run(line.rpartition(b"\x03")[2].decode("latin-1"))]

    def _run(self, line: str) -> list[Notify]:
        echo = "" if line.startswith("\x10") else line + "\r\n"
        if "reset()" in line:
            self.reboot()
            return self._print(echo + "\r\n ____                 _\r\n|_ Espruino 2v21\r\n>")
        if ASK_BATTERY in line:
            return self._print(f"{echo}B,{self.percent}\r\n>")
        if (on := re.search(r"Puck\.accelOn\((\d+)\)", line)) is None:
            return self._print(echo + ">")
        self.fs_hz = float(on[1])
        self._pending.clear()
        self._lines = 0
        self.streaming = True
        return self._print(f"{echo}I,2v21,{self.serial}\r\n>")

    def _print(self, text: str) -> list[Notify]:
        raw = text.encode("ascii", "replace")
        return [Notify(OUTPUT, raw[at : at + self.payload]) for at in range(0, len(raw), self.payload)]

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Print whole lines."""
        self._pending.add(counts, device_ns, self.fs_hz)
        notes: list[Notify] = []
        while len(self._pending) >= LINE:
            acc, at_ns = self._pending.take(LINE)
            raw = struct.pack(f"<{3 * LINE}h", *acc.ravel().tolist())
            text = base64.b64encode(raw).decode("ascii")
            line = f"T,{self._lines},{int(at_ns[-1]) // 1_000_000},{text}"
            notes += self._print(f"{line},{zlib.crc32(line.encode()) & 0xFFFF}\r\n")
            self._lines += 1
        return notes

    def reboot(self) -> None:
        """Forget the program."""
        self.streaming = False
        self._typed = b""
        self._lines = 0
        self._pending.clear()


def _matches(advertisement: Advertisement) -> bool:
    return advertisement.name.startswith("Puck.js ")


MODELS = (
    Model(
        name="puckjs",
        label="Puck.js v2",
        matches=_matches,
        driver=Puck,
        peripheral=PuckPeripheral,
        rates_hz=tuple(SETTINGS),
        fs_hz=208.0,
        counts="counter",
        g_per_count=RANGE_G / 32768,
        sample_type="int16",
        range_g=float(RANGE_G),
        samples_per_packet=LINE // 3,  # a line takes three notifications
        noise_ug=90.0,  # LSM6DS3TR-C in high-performance mode
        battery_h=None,
        preparing=(
            "Firmware 2v05 or later, put on it with Espruino's web page. twitchmap sends it a small "
            "program for the night and never saves it: take the cell out and it is as before. The program "
            "sets the chip to its high-performance mode; without that it is two to three times noisier."
        ),
        limits=(
            "Version 2 only: the first one has no motion chip.",
            "A program is uploaded each time and nothing is saved on it; what else runs on it is ended.",
            "At 208 Hz it sends nearly as much as it can: if samples are lost, take 104 Hz.",
        ),
    ),
)
