"""Sensors that are listened to for a moment: by checks and set-ups, which record nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from firmware_host.capture.hearing import Seen
from firmware_host.capture.identity import Wanted
from firmware_host.capture.link import Link
from firmware_host.capture.measures import Part
from firmware_host.capture.surroundings import Surroundings
from firmware_host.sensors.protocol import Batch, Facts, Model


class Known(NamedTuple):
    """Who a sensor is that has been started."""

    facts: Facts
    model: Model
    seen: Seen


class Heard:
    """An outlet that keeps who the sensor is, what happened, and the samples of its last connection."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.site = wanted.site
        self.known: Known | None = None
        """None as long as it has not been started."""
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.parts: list[Part] = []

    def connected(self, facts: Facts, model: Model, seen: Seen, mono_ns: int, utc_ns: int) -> None:  # noqa: ARG002
        """Keep who it is, and begin anew: its numbers do."""
        self.known = Known(facts, model, seen)
        self.parts.clear()

    def samples(self, batch: Batch, mono_ns: int, utc_ns: int) -> None:  # noqa: ARG002
        """Keep samples."""
        self.parts.append(Part(batch.first, batch.counts, mono_ns))

    def event(self, kind: str, mono_ns: int, utc_ns: int, **details: Any) -> None:  # noqa: ANN401, ARG002
        """Keep what happened."""
        if kind == "restarted":
            self.parts.clear()
        self.events.append((kind, details))

    def said(self, kind: str, what: str) -> list[Any]:
        """Return one detail of all events of a kind, in order."""
        return [details[what] for one, details in self.events if one == kind]

    @property
    def seconds(self) -> float:
        """How long its samples have been coming."""
        return (self.parts[-1].mono_ns - self.parts[0].mono_ns) / 1e9 if self.parts else 0.0


@contextlib.asynccontextmanager
async def listening(here: Surroundings, sensors: Sequence[Heard]) -> AsyncIterator[list[Link]]:
    """Keep sensors streaming, as in a night; at the end they are stopped."""
    links = [Link(here.radio, one.wanted, one, here.clock) for one in sensors]
    tasks = [asyncio.create_task(link.run(), name=f"link of {link.status.site}") for link in links]
    try:
        yield links
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
