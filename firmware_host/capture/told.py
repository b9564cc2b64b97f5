"""What whoever sits in front of a recording is told, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from firmware_host.capture.link import LinkStatus

BATTERY_TOLD = (20, 10, 5)
"""Percent at which a falling charge is told of, once each."""


@dataclass(frozen=True)
class View:
    """How a recording is doing, once a second."""

    sensors: tuple[LinkStatus, ...]
    mono_ns: int
    """Now, on the clock that `LinkStatus.last_data_mono_ns` is told by."""
    utc_ns: int
    start_ns: int
    """UTC, of the night."""
    end_ns: int | None
    """UTC, as planned."""
    time_zone: str
    trouble: str | None
    """What the disk refuses, as a sentence."""


class Told(Protocol):
    """Who is told; called in the event loop, must neither block nor raise."""

    def say(self, sentence: str) -> None:
        """Take a plain sentence about something that has changed."""

    def show(self, view: View) -> None:
        """Take a look at everything."""

    def ring(self) -> None:
        """Make one soft sound."""


class Sayings:
    """Turns what is logged into sentences, each that does not change once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: set[tuple[str, str]] = set()
        self._battery: dict[str, int] = {}
        self._radio_gone = False

    def event(self, site: str, kind: str, details: Mapping[str, Any]) -> None:
        """Say what happened to a sensor, where it is worth a sentence."""
        if kind == "battery":
            self._say_battery(site, int(details["percent"]))
        elif kind == "radio_gone":  # every link says so of the one radio
            if not self._radio_gone:
                self._say(str(details["sentence"]))
            self._radio_gone = True
        elif kind == "radio_back":
            if self._radio_gone:
                self._say("Bluetooth is back.")
            self._radio_gone = False
        elif (sentence := _WORDS.get(kind, _nothing)(details)) is not None:
            if kind in _CHANGES:
                self._said = {said for said in self._said if said[0] != site or said[1] == "warned"}
            elif (site, sentence) in self._said:
                return
            self._said.add((site, sentence))
            self._say(f"{site}: {sentence}")

    def _say_battery(self, site: str, percent: int) -> None:
        step = min((step for step in BATTERY_TOLD if percent <= step), default=101)
        if step < self._battery.get(site, 101):
            self._say(f"{site}: the battery has {percent} % left.")
        self._battery[site] = step if step == 101 else min(step, self._battery.get(site, 101))


def _nothing(details: Mapping[str, Any]) -> None:  # noqa: ARG001
    return None


_CHANGES = frozenset({"connected", "lost", "restarted"})
_WORDS: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "connected": lambda d: f"streaming, {d['label']}, {d['fs_hz']:g} Hz.",
    "lost": lambda d: f"connection lost ({d['reason']}), being looked for.",
    "restarted": lambda d: f"the stream began anew ({d.get('reason', 'the sensor restarted')}).",
    "warned": lambda d: str(d["sentence"]),
    "trouble": lambda d: str(d["sentence"]),
    "slow": lambda d: f"only {d['fs_hz']:g} of {d['expected_hz']:g} Hz arrive.",
    "dropped": lambda d: f"this computer was too slow for {d['count']} notifications.",
}
