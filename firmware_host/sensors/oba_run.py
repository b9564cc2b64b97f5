"""What a board says in ten seconds of questions on OBA/1, for `oba_rules.conformance` to judge."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from firmware_host.sensors import oba
from firmware_host.sensors.protocol import (
    BATTERY_LEVEL,
    FIRMWARE_REVISION,
    Advertisement,
    Await,
    Driver,
    Model,
    NoAnswerError,
    Pause,
    Read,
    Received,
    Script,
    Subscribe,
    Write,
)

UNKNOWN_OP = 0x7F

Entry = tuple[Literal["asked", "answered", "data"], bytes]


@dataclass(frozen=True)
class Stream:
    """What came between an accepted START and the next START or the answer to STOP."""

    started: oba.Started
    data: list[bytes] = field(default_factory=list)

    @cached_property
    def packets(self) -> list[oba.Packet]:
        """The packets that are whole and not sent again."""
        packets = []
        for data in self.data:
            with suppress(ValueError):
                packets.append(oba.Packet.of(data))
        return packets


@dataclass(frozen=True)
class Run:
    """Everything that a board said: see `Examination`."""

    advertisement: Advertisement | None
    info: bytes
    battery: bytes
    firmware: bytes
    log: Sequence[Entry]
    """Requests, answers and packets in their order."""

    @property
    def about(self) -> oba.Info | None:
        """What it says of itself, None where that is too short."""
        return oba.Info.of(self.info) if len(self.info) >= 20 else None

    def answers(self, op: int) -> list[tuple[bytes, bytes]]:
        """Return requests of a kind with what answered each, b"" where nothing did."""
        found = []
        for at, (what, request) in enumerate(self.log):
            if what == "asked" and request[0] == op:
                head = bytes([op | oba.ANSWER, request[1]])
                replies = [data for kind, data in self.log[at:] if kind == "answered" and data[:2] == head]
                found.append((request, replies[0] if replies else b""))
        return found

    @cached_property
    def streams(self) -> list[Stream]:
        """The streams, in order."""
        streams: list[Stream] = []
        running = False
        for what, data in self.log:
            if what == "answered" and data[:1] == bytes([oba.START | oba.ANSWER]) and data[2:3] == b"\0":
                with suppress(ValueError):
                    streams.append(Stream(oba.Started.of(data[3:])))
                    running = True
            elif what == "answered" and data[:1] == bytes([oba.STOP | oba.ANSWER]):
                running = False
            elif what == "data" and running and data[:1] != bytes([oba.RESENT]):
                streams[-1].data.append(data)
        return streams


class Examination(Driver):
    """A connection whose `start` puts a board through all that the rules ask for; then `run` has it all.

    It takes about ten seconds, in which the board should lie still.
    """

    advertisement: Advertisement | None = None
    """As it was seen, to be set by whoever has seen it."""

    def __init__(self, model: Model, fs_hz: float | None = None) -> None:
        super().__init__(model, fs_hz)
        self._log: list[Entry] = []
        self._token = 0
        self._info = self._battery = self._firmware = b""

    def start(self) -> Script:
        """Ask everything once; a board that does not answer goes on to the next question."""
        self._info = yield Read(oba.INFO)
        self._battery = yield Read(BATTERY_LEVEL)
        self._firmware = yield Read(FIRMWARE_REVISION)
        yield Subscribe(oba.CONTROL)
        yield Subscribe(oba.DATA)
        yield from self._ask(oba.STOP)
        yield from self._ask(UNKNOWN_OP)
        yield from self._ask(oba.IDENTIFY)
        yield from self._ask(oba.START, oba.start_command(0, 0.0)[2:])
        yield from self._ask(oba.START, oba.start_command(0, self.fs_hz)[2:])
        yield Pause(5.0)
        yield from self._ask(oba.PING)
        yield Pause(0.5)
        yield from self._ask(oba.STATS)
        if len(self._info) >= 20 and "backfill" in oba.Info.of(self._info).flags:
            yield from self._ask(oba.RESEND, struct.pack("<IH", 0, 10))
            yield Pause(0.5)
        yield from self._ask(oba.START, oba.start_command(0, self.fs_hz)[2:])
        yield Pause(2.0)
        yield from self._ask(oba.STOP)
        yield Pause(0.5)
        yield from self._ask(oba.STOP)

    def _ask(self, op: int, content: bytes = b"") -> Script:
        self._token += 1
        self._log.append(("asked", bytes([op, self._token]) + content))
        answered = self._answers()
        yield Write(oba.CONTROL, self._log[-1][1])
        with suppress(NoAnswerError):
            yield Await(lambda: self._answers() > answered, "an answer to a request", within_s=1.0)

    def _answers(self) -> int:
        return sum(what == "answered" for what, _ in self._log)

    def stop(self) -> Script:
        """End the stream."""
        yield from self._ask(oba.STOP)

    def receive(self, characteristic: str, data: bytes) -> Sequence[Received]:
        """Keep what comes."""
        if characteristic == oba.CONTROL and data:
            self._log.append(("answered", data))
        elif characteristic == oba.DATA:
            self._log.append(("data", data))
        return ()

    @property
    def run(self) -> Run:
        """Everything that it said, for `oba_rules.conformance`; after `start`."""
        return Run(self.advertisement, self._info, self._battery, self._firmware, tuple(self._log))
