"""Links of made-up sensors in the air of a test, where a night passes in a moment, and what they recorded."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import numpy as np
from fake_bleak import Air, FakeSensor
from tiny_sensor import COUNTED, TinyPeripheral

from firmware_host.capture.ble import Radio
from firmware_host.capture.identity import Wanted
from firmware_host.capture.link import Link
from firmware_host.sensors.protocol import Batch, Facts, Model
from firmware_host.simulation.time_lapse import TimeLapseLoop


def play(work: Coroutine[Any, Any, None]) -> None:
    """Let a test's night pass: in order and quickly, with the waits of real nights."""
    with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
        runner.run(work)


def now_s() -> float:
    """Return the time of the test's night."""
    return asyncio.get_running_loop().time()


def clock() -> tuple[int, int]:
    """Return the test's night's monotonic clock and UTC, ns."""
    return round(now_s() * 1e9), round(now_s() * 1e9) + 10**18


class Night:
    """An outlet that keeps everything, in order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []

    def connected(self, facts: Facts, model: Model, seen: Any, mono_ns: int, utc_ns: int) -> None:
        """Keep its facts."""
        self.log.append(("connected", facts))

    def samples(self, batch: Batch, mono_ns: int, utc_ns: int) -> None:
        """Keep a batch."""
        self.log.append(("samples", batch))

    def event(self, kind: str, mono_ns: int, utc_ns: int, **details: Any) -> None:
        """Keep its details."""
        self.log.append((kind, details))

    def all(self, kind: str) -> list[Any]:
        """Return what was kept of one kind."""
        return [what for one, what in self.log if one == kind]

    @property
    def kinds(self) -> list[str]:
        """The kinds in order, equal ones in a row once."""
        return [kind for kind, _ in itertools.groupby(kind for kind, _ in self.log)]

    @property
    def numbers(self) -> list[int]:
        """Which samples were recorded, as `fake_bleak.numbered` numbers them."""
        batches = [batch.counts.astype(np.int64) for batch in self.all("samples")]
        counts = np.concatenate(batches) if batches else np.empty((0, 3), np.int64)
        assert np.array_equal(counts[:, 1], -1 - counts[:, 0])
        return (counts[:, 0] + 32768 + 65536 * counts[:, 2]).tolist()


def tiny(number: int = 1, model: Model = COUNTED) -> FakeSensor:
    """Return a sensor to put into the air."""
    return FakeSensor(TinyPeripheral(model, f"A{number}"), f"C0:00:00:00:00:0{number}")


def wanted(sensor: FakeSensor, site: str = "left_calf", **named: Any) -> Wanted:
    """Want a sensor, by its address unless said otherwise."""
    named = named or {"address": sensor.address}
    return Wanted(
        site, named.get("address"), named.get("name"), named.get("model", sensor.peripheral.model), None
    )


@contextlib.asynccontextmanager
async def streaming(
    air: Air, *wants: Wanted, adapters: Sequence[str] = (), **options: Any
) -> AsyncIterator[tuple[list[Link], list[Night]]]:
    """Run links in the air."""
    radio = Radio(air.backend, adapters)
    nights = [Night() for _ in wants]
    links = [Link(radio, want, night, clock, **options) for want, night in zip(wants, nights, strict=True)]
    async with air:
        tasks = [asyncio.create_task(one.run()) for one in links]
        try:
            yield links, nights
            for task in tasks:
                assert not task.done(), task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def until(what: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for something to come true."""
    async with asyncio.timeout(within_s):
        while not what():
            await asyncio.sleep(0.02)


def more(night: Night, n: int = 10) -> Callable[[], bool]:
    """Tell whether n more batches have been recorded than now."""
    before = len(night.all("samples"))
    return lambda: len(night.all("samples")) >= before + n


def settled(sensor: FakeSensor, night: Night) -> None:
    """Hold that what reached this computer is recorded, in order, each sample once."""
    assert night.numbers == sensor.delivered[: len(night.numbers)]
    assert (
        len(sensor.delivered) - len(night.numbers) <= 8 * 4
    )  # in a packet that was not full at a drop, or now
