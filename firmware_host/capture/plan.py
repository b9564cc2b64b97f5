"""Which adapter carries which sensor, and whether radio and batteries last the night. No I/O.

Every statement is a plain sentence with its numbers; nothing is changed without being asked for: where radio
or battery falls short, a lower rate is offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from firmware_host import body
from firmware_host.recording.night import local_time
from firmware_host.sensors.protocol import Model

PLANNED = 4
"""Sensors an adapter (devices.md 9: weak controllers keep three to five links, usual ones seven or eight)."""
MOST = 6
PACKETS_PER_S = 300.0
"""Notifications per second that one adapter carries without losing some (devices.md 9)."""
MEASURED_NS, MEASURED_PERCENT = 20 * 60 * 10**9, 2
"""Two readings of a battery so far apart, in time and charge, tell its drain; levels are whole percents."""
FIXED_SHARE = 0.5
"""Of a sensor's current, what does not depend on its rate (assumption: a Puck.js draws 0.9 mA at 104 Hz and
1.5 mA at 208 Hz; others are not published)."""
TOLD_H = 20.0
"""What ends later is not told by the time of day."""
H = 3600 * 10**9


class Charge(NamedTuple):
    """A battery's charge at a time (UTC ns)."""

    at_ns: int
    percent: int


class Lasted(NamedTuple):
    """The hours that a full battery lasted, and the rate that its sensor was set to."""

    hours: float
    fs_hz: float


@dataclass(frozen=True)
class Asked:
    """A sensor of the night as it is asked for."""

    site: str
    model: Model
    fs_hz: float | None = None
    """None: the model's usual rate."""
    adapter: str | None = None
    """None: any."""
    readings: tuple[Charge, ...] = ()
    """Of its battery, in order of time; without any it is taken to be full."""
    lasted: Lasted | None = None
    """How long its own full battery lasted on an earlier night; None: its model's hours."""

    @property
    def rate_hz(self) -> float:
        """The rate that it is set to."""
        return self.fs_hz or self.model.fs_hz

    @property
    def packets_per_s(self) -> float:
        """Notifications per second."""
        return self.rate_hz / self.model.samples_per_packet

    @property
    def lower(self) -> Asked | None:
        """The same at the next lower rate; None where there is none."""
        rates = [rate for rate in self.model.rates_hz if rate < self.rate_hz]
        return replace(self, fs_hz=max(rates)) if rates else None


@dataclass(frozen=True)
class Placed:
    """A sensor of the night as it is planned."""

    site: str
    adapter: str | None
    fs_hz: float
    packets_per_s: float
    battery_ends_ns: int | None
    """UTC; None: not known."""
    offered_hz: float | None = None
    """A lower rate at which radio and battery would do; None: not needed, or none would."""


@dataclass(frozen=True)
class Plan:
    """The night as it is planned."""

    sensors: tuple[Placed, ...]
    """In the order asked."""
    fits: bool
    """Whether radio and batteries do, as far as is known."""
    statements: tuple[str, ...]
    short: tuple[str, ...] = ()
    """Those of them that say where radio or batteries do not."""

    def adapter_of(self, site: str) -> str | None:
        """Return the adapter that carries the sensor at a site."""
        return next(placed.adapter for placed in self.sensors if placed.site == site)


def plan_night(
    sensors: Sequence[Asked],
    adapters: Sequence[str] = (),
    *,
    now_ns: int,
    end_ns: int | None = None,
    time_zone: str = "UTC",
) -> Plan:
    """Spread sensors over adapters, count what these carry, and forecast the batteries.

    Parameters
    ----------
    adapters
        Names of those to use; empty: the system's default one.
    now_ns, end_ns
        UTC; the planned end, None where there is none.
    time_zone
        In which times are told.
    """
    carried = _spread(sensors, tuple(adapters) or (None,))
    offers: dict[str, float] = {}
    statements: list[str] = []
    short: list[str] = []
    for adapter, its in carried.items():
        fine, said = _radio(adapter, its, len(carried), offers)
        statements += said
        short += [] if fine else said[1:]
    for one in sensors:
        fine, said = _battery(one, now_ns, end_ns, time_zone, offers)
        statements += said
        short += [] if fine else said
    where = {one.site: adapter for adapter, its in carried.items() for one in its}
    placed = (
        Placed(
            site=one.site,
            adapter=where[one.site],
            fs_hz=one.rate_hz,
            packets_per_s=one.packets_per_s,
            battery_ends_ns=battery_ends_ns(one, now_ns),
            offered_hz=offers.get(one.site),
        )
        for one in sensors
    )
    return Plan(tuple(placed), not short, tuple(statements), tuple(short))


def battery_ends_ns(sensor: Asked, now_ns: int) -> int | None:
    """Return when a sensor's battery ends, streaming from now on; UTC ns, None where it is not known.

    From the drain between its readings where they are far enough apart, else from an earlier night's, else
    from its model's hours.
    """
    known_h, known_hz = sensor.lasted or (sensor.model.battery_h, sensor.model.fs_hz)
    hours = None
    if known_h is not None:
        hours = known_h * _drain_of(replace(sensor, fs_hz=known_hz)) / _drain_of(sensor)
    if not sensor.readings:
        return None if hours is None else now_ns + round(hours * H)
    first, last = sensor.readings[0], sensor.readings[-1]
    drop, passed_ns = first.percent - last.percent, last.at_ns - first.at_ns
    if passed_ns >= MEASURED_NS and drop >= MEASURED_PERCENT:
        return last.at_ns + round(last.percent / drop * passed_ns)
    if hours is None:
        return None
    return last.at_ns + round(last.percent / 100 * hours * H)


def _drain_of(sensor: Asked) -> float:
    """Return the current at a sensor's rate, as a share of that at its model's usual one."""
    return FIXED_SHARE + (1 - FIXED_SHARE) * sensor.rate_hz / sensor.model.fs_hz


def _spread(sensors: Sequence[Asked], adapters: tuple[str | None, ...]) -> dict[str | None, list[Asked]]:
    """Give each sensor an adapter: its own, else the one with the fewest sensors, else notifications."""
    carried: dict[str | None, list[Asked]] = {adapter: [] for adapter in adapters}
    by_load = sorted(sensors, key=lambda one: (one.adapter is None, -one.packets_per_s))
    for one in by_load:
        if one.adapter is not None:
            carried.setdefault(one.adapter, []).append(one)
        else:
            least = min(carried, key=lambda adapter: (len(carried[adapter]), _load(carried[adapter])))
            carried[least].append(one)
    order = [one.site for one in sensors]
    return {adapter: sorted(its, key=lambda one: order.index(one.site)) for adapter, its in carried.items()}


def _load(sensors: Sequence[Asked]) -> float:
    return sum(one.packets_per_s for one in sensors)


def _radio(
    adapter: str | None, its: list[Asked], adapters: int, offers: dict[str, float]
) -> tuple[bool, list[str]]:
    """Say what an adapter carries, and offer lower rates where that is too much."""
    if not its:
        return True, []
    called = adapter or "The Bluetooth adapter"
    load, n = _load(its), len(its)
    said = [f"{called} carries {n} sensor{'s' if n > 1 else ''} with {load:.0f} notifications a second."]
    more = "a second adapter" if adapters == 1 else "another adapter"
    if n > MOST:
        said.append(f"{n} sensors are too many for one adapter, {MOST} are the most: plug in {more}.")
    elif n > PLANNED:
        said.append(
            f"{n} sensors are more than the {PLANNED} that any adapter carries: many carry {MOST}; if some "
            f"keep losing their link, plug in {more}."
        )
    if load <= PACKETS_PER_S:
        return n <= MOST, said
    lowered = _lowered(its)
    changed = [new for old, new in zip(its, lowered, strict=True) if old != new]
    for new in changed:
        offers[new.site] = new.rate_hz
    if _load(lowered) <= PACKETS_PER_S:
        rates = ", ".join(f"{body.site(new.site).label} at {new.rate_hz:g} Hz" for new in changed)
        remedy = f"with {rates} it is {_load(lowered):.0f}. Or plug in {more}."
    else:
        remedy = f"plug in {more}."
    said.append(f"{load:.0f} notifications a second are more than the {PACKETS_PER_S:.0f} planned: {remedy}")
    return False, said


def _lowered(sensors: list[Asked]) -> list[Asked]:
    """Lower rates, each time the sensor's that sends most, until one adapter carries them all."""
    lowered = list(sensors)
    while _load(lowered) > PACKETS_PER_S:
        able = [(one.packets_per_s, i, lower) for i, one in enumerate(lowered) if (lower := one.lower)]
        if not able:
            break
        _, i, lower = max(able, key=lambda each: (each[0], -each[1]))
        lowered[i] = lower
    return lowered


def _battery(
    sensor: Asked, now_ns: int, end_ns: int | None, time_zone: str, offers: dict[str, float]
) -> tuple[bool, list[str]]:
    """Say how long a battery lasts, and what to do where that is not until the end."""
    label, ends_ns = body.site(sensor.site).label, battery_ends_ns(sensor, now_ns)
    percent = sensor.readings[-1].percent if sensor.readings else None
    if ends_ns is None:
        charge = "" if percent is None else f" of {percent} %"
        return True, [
            f"{label}: how long its battery{charge} lasts is not known ({sensor.model.label}): "
            "begin with a full charge."
        ]
    hours = max(0.0, (ends_ns - now_ns) / H)
    charge = "once full" if percent is None else f"at {percent} %"
    lasts = f"{label}: its battery, {charge}, lasts about {hours:.1f} h"
    if hours < TOLD_H:
        lasts += f", until {local_time(ends_ns, time_zone):%H:%M}"
    if end_ns is None or ends_ns >= end_ns:
        return True, [f"{lasts}."]
    said = f"{lasts}: {(end_ns - ends_ns) / H:.1f} h short of {local_time(end_ns, time_zone):%H:%M}."
    lower = _lasting(sensor, now_ns, end_ns)
    if percent is not None and percent < 100:
        said += " Charge it" + (f", or record at {lower.rate_hz:g} Hz." if lower else ".")
    elif lower:
        said += f" At {lower.rate_hz:g} Hz it would last."
    else:
        said += " Its last hours will be missing."
    if lower:
        offers[sensor.site] = min(lower.rate_hz, offers.get(sensor.site, lower.rate_hz))
    return False, [said]


def _lasting(sensor: Asked, now_ns: int, end_ns: int) -> Asked | None:
    """Return the sensor at the highest lower rate at which its battery lasts, None where it does at none."""
    lower = sensor.lower
    while lower is not None:
        ends_ns = battery_ends_ns(sensor, now_ns) or now_ns
        longer = _drain_of(sensor) / _drain_of(lower)
        if now_ns + (ends_ns - now_ns) * longer >= end_ns:
            return lower
        lower = lower.lower
    return None
