"""A driver and a peripheral that talk without a radio."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from firmware_host.sensors import model_named, models
from firmware_host.sensors.protocol import (
    Await,
    Batch,
    Counts,
    Driver,
    NoAnswerError,
    Notify,
    Pause,
    Peripheral,
    Read,
    Received,
    Script,
    Subscribe,
    Write,
)

NAMES = list(models())
VECTORS: dict[str, dict[str, Any]] = {
    vector["id"]: vector
    for vector in json.loads((Path(__file__).parent / "sensor_vectors.json").read_text(encoding="utf-8"))
}
"""Captured and documented bytes, by their names."""


def bytes_of(*names: str) -> bytes:
    """Return the bytes of vectors, joined."""
    return b"".join(bytes.fromhex(VECTORS[name]["hex"]) for name in names)


@dataclass
class Talk:
    """One connection: scripts are run, samples played, and everything written and received is kept."""

    driver: Driver
    peripheral: Peripheral
    written: list[bytes] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    sent: list[Counts] = field(default_factory=list)
    subscribed: set[str] = field(default_factory=set)
    now_ns: int = 1_000_000_000
    seed: int = 1
    rate_error: float = 0.0
    """Of the sensor's true rate."""
    kept: list[Notify] | None = None
    """Notifications that are kept back, once it is a list."""

    def deliver(self, notes: list[Notify]) -> None:
        """Hand over what is subscribed to, or keep it."""
        assert all(len(note.data) <= self.peripheral.payload for note in notes)
        if self.kept is None:
            self.hand_over(notes)
        else:
            self.kept.extend(notes)

    def hand_over(self, notes: list[Notify]) -> None:
        """Have the driver receive notifications."""
        for note in notes:
            if note.characteristic in self.subscribed:
                self.received.extend(self.driver.receive(note.characteristic, note.data))

    def run(self, script: Script) -> None:
        """Carry out a script; while it waits, the sensor streams if it is to."""
        try:
            step = next(script)
            while True:
                answer = b""
                try:
                    match step:
                        case Subscribe(characteristic):
                            self.subscribed.add(characteristic)
                        case Read(characteristic):
                            answer = self.peripheral.read(characteristic)
                        case Write(characteristic, data):
                            self.written.append(data)
                            answers = self.peripheral.written(characteristic, data)
                            self.deliver([self._cut(note) for note in answers])
                        case Pause(seconds):
                            self.stream(seconds)
                        case Await():
                            self._await(step)
                except NoAnswerError as error:
                    step = script.throw(error)
                else:
                    step = script.send(answer)
        except StopIteration:
            return

    def _cut(self, note: Notify) -> Notify:
        """Return an answer as it arrives: what is longer than the MTU allows is lost."""
        return Notify(note.characteristic, note.data[: self.peripheral.payload])

    def _await(self, step: Await) -> None:
        for _ in range(20):
            if step.done():
                return
            self.stream(step.within_s / 20)
        if not step.done():
            raise NoAnswerError(step.what)

    def stream(self, seconds: float, samples: Counts | None = None) -> None:
        """Play seconds of samples, five at a time."""
        fs_hz = self.peripheral.fs_hz
        n = round(seconds * fs_hz) if samples is None else len(samples)
        if samples is None:
            self.seed += 1
            noise = np.random.default_rng(self.seed).normal(0, 300, (n, 3))
            samples = (noise + np.array([0, 0, 1000])).astype(np.int16)
            if self.peripheral.sample_type == "float32":
                samples = (samples * 0.01).astype(np.float32)
        for k in range(0, n, 5):
            part = samples[k : k + 5]
            self.now_ns += round(len(part) * 1e9 / (fs_hz * (1 + self.rate_error)))
            if self.peripheral.streaming:
                self.sent.append(part)
                self.deliver(self.peripheral.send(part, self.now_ns))

    @property
    def batches(self) -> list[Batch]:
        """The batches received."""
        return [item for item in self.received if isinstance(item, Batch)]

    @property
    def counts(self) -> Counts:
        """All samples received."""
        return np.concatenate([batch.counts for batch in self.batches])


def connect(name: str, fs_hz: float | None = None, peripheral: Peripheral | None = None) -> Talk:
    """Return a connection to a sensor of a model, not yet started."""
    model = model_named(name)
    return Talk(model.driver(model, fs_hz), peripheral or model.peripheral(model))


def started(name: str, peripheral: Peripheral | None = None, fs_hz: float | None = None) -> Talk:
    """Return a sensor that streams."""
    talk = connect(name, fs_hz, peripheral)
    talk.run(talk.driver.start())
    return talk


@cache
def streaming(name: str) -> Talk:
    """Return a connection to a sensor that streams; to be copied."""
    talk = started(name)
    talk.stream(1.0)
    return talk


def going_on(name: str) -> Talk:
    """Return a sensor that streams, of which nothing was received yet."""
    talk = copy.deepcopy(streaming(name))
    talk.received.clear()
    talk.sent.clear()
    return talk


def distinct(name: str, n: int) -> Counts:
    """Return samples (n, 3) of both signs, no two alike, that change slowly: the number in the first two."""
    k = np.arange(n)
    rows = np.column_stack([k % 2000 - 1000, k // 2000 - 50, 500 - k % 997]).astype(np.int16)
    return rows * np.float32(0.1) if model_named(name).sample_type == "float32" else rows


def whole(name: str, n: int) -> Talk:
    """Play n distinct samples to a streaming sensor and keep its notifications instead of delivering them."""
    talk = going_on(name)
    talk.kept = []
    talk.stream(0, distinct(name, n))
    return talk


def rows_of(counts: Counts) -> list[bytes]:
    """Return samples as they can be looked up."""
    return [row.tobytes() for row in counts]
