"""The check before a night: every sensor for half a minute, the radio's load, batteries, disk, sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from firmware_host.capture.asked import Order
from firmware_host.capture.computer import computer_said
from firmware_host.capture.drain import measured_hours
from firmware_host.capture.examining import OBA, examine
from firmware_host.capture.heard import Heard, listening
from firmware_host.capture.link import LinkStatus
from firmware_host.capture.measures import Part, measure
from firmware_host.capture.permissions import system_adapters
from firmware_host.capture.plan import PLANNED, Asked, Charge, Plan, plan_night
from firmware_host.capture.report import Report, Rule, SensorReport, advice_on
from firmware_host.capture.surroundings import Surroundings, surroundings
from firmware_host.errors import RadioError, SensorError
from firmware_host.recording.writer import system_clock
from firmware_host.sensors.protocol import Model

SECONDS = 20.0
FIND_S, FIND_MORE_S = 30.0, 6.0
"""So long a sensor may take to be heard, connected and started, and so much more for each further sensor."""
SKIPPED_S = 1.0
"""Of a stream's beginning: filters settle, and what waited comes in a burst."""
TICK_S = 0.25

Say = Callable[[str], None]


def check(order: Order, seconds: float = SECONDS, say: Say = lambda _: None) -> Report:
    """Check everything that a night needs; takes about a minute.

    Parameters
    ----------
    order
        The night that is planned.
    seconds
        Of samples, of each sensor.
    say
        Told what goes on.
    """
    return asyncio.run(check_all(order, seconds, say))


async def check_all(order: Order, seconds: float = SECONDS, say: Say = lambda _: None) -> Report:
    """Do what `check` does, in an event loop that is there."""
    enough, computer = await computer_said(order.directory, len(order.wanted), _hours(order))
    try:
        async with surroundings(order.virtual, order.adapters) as here:
            sensors = [Heard(one) for one in here.wanted(order.wanted)]
            statuses = await _stream(here, sensors, seconds, say)
            rules = {one.site: await _examine(here, one, say) for one in sensors}
            _, now_ns = here.clock()
    except RadioError as error:
        return Report(
            ready=False,
            sensors=(),
            radio=str(error),
            plan=(),
            computer=computer,
            to_do=(str(error), *(() if enough else computer[:1])),
        )
    plan = _plan(order, sensors, statuses, now_ns)
    reports = tuple(_report(one, statuses[one.site], *rules[one.site], plan) for one in sensors)
    missing = [f"{one.site}: {one.trouble}" for one in reports if not one.ready]
    return Report(
        ready=enough and not missing,
        sensors=reports,
        radio=None,
        plan=(*plan.statements, *_unused_adapters(order)),
        computer=computer,
        to_do=(*missing, *(() if enough else computer[:1])),
    )


async def _stream(
    here: Surroundings, sensors: Sequence[Heard], seconds: float, say: Say
) -> dict[str, LinkStatus]:
    """Have all sensors stream at once, as in the night, until each has sent enough or has had its time."""
    say(f"Looking for {len(sensors)} sensor{'s' if len(sensors) != 1 else ''}.")
    loop = asyncio.get_running_loop()
    found_s = loop.time() + FIND_S + FIND_MORE_S * (len(sensors) - 1)
    enough_s = found_s + 2 * (seconds + SKIPPED_S)
    told: set[str] = set()

    def done(one: Heard) -> bool:
        limit_s = enough_s if one.known else found_s
        return one.seconds >= seconds + SKIPPED_S or loop.time() >= limit_s

    async with listening(here, sensors) as links:
        while not all(done(one) for one in sensors):
            await asyncio.sleep(TICK_S)
            for one in sensors:
                if one.known and one.site not in told:
                    told.add(one.site)
                    say(f"{one.site} streams.")
        return {one.site: link.status for one, link in zip(sensors, links, strict=True)}


async def _examine(here: Surroundings, one: Heard, say: Say) -> tuple[tuple[Rule, ...], str | None]:
    """Examine a sensor that streamed by the rules of its protocol; say why it could not be."""
    if one.known is None or one.known.model.name != OBA:
        return (), None
    say(f"{one.site}: examining it by the rules of OBA/1.")
    try:
        findings = await examine(here.radio, one.known.seen, one.known.model, here.clock, one.wanted.fs_hz)
        return tuple(Rule(*finding) for finding in findings), None
    except (SensorError, RadioError) as error:
        return (), f"It could not be examined by the rules of OBA/1: {error}"


def _plan(
    order: Order,
    sensors: Sequence[Heard],
    statuses: dict[str, LinkStatus],
    now_ns: int,
) -> Plan:
    """Plan the night with the sensors of which the model is known."""
    asked = []
    lasted = measured_hours(order.directory)
    for one in sensors:
        model, percent = _model(one), statuses[one.site].battery_percent
        if model is not None:
            readings = () if percent is None else (Charge(now_ns, percent),)
            serial = (one.known.facts.serial or one.known.seen.address) if one.known else ""
            asked.append(
                Asked(one.site, model, one.wanted.fs_hz, one.wanted.adapter, readings, lasted.get(serial))
            )
    end_ns = order.plan.utc_ns(now_ns, order.zone)
    return plan_night(asked, order.adapters, now_ns=now_ns, end_ns=end_ns, time_zone=order.zone)


def _hours(order: Order) -> float | None:
    """Return how long the night would be that began now, None where no end is planned."""
    _, now_ns = system_clock()
    end_ns = order.plan.utc_ns(now_ns, order.zone)
    return None if end_ns is None else (end_ns - now_ns) / 3.6e12


def _unused_adapters(order: Order) -> tuple[str, ...]:
    """Say that the computer has adapters that could share the load, where there are more sensors than one
    adapter is planned for.
    """
    known = system_adapters() if order.virtual is None else ()
    if order.adapters or len(known) < 2 or len(order.wanted) <= PLANNED:
        return ()
    names = " ".join(f"--adapter {name}" for name in known)
    return (f"This computer has {len(known)} Bluetooth adapters: with {names} they share the sensors.",)


def _report(
    one: Heard, status: LinkStatus, rules: tuple[Rule, ...], unexamined: str | None, plan: Plan
) -> SensorReport:
    model = _model(one)
    facts, _, seen = one.known or (None, None, None)
    measured = measure(_settled(one.parts), facts) if facts else None
    advice: list[str] = []
    if model is not None:
        if measured is not None and facts is not None:
            advice += advice_on(model, measured, status.rssi, facts.fs_hz, rules)
        advice += [*([unexamined] if unexamined else []), *one.said("warned", "sentence"), *model.limits]
    placed = next((placed for placed in plan.sensors if placed.site == one.site), None)
    found = seen is not None or status.rssi is not None
    return SensorReport(
        site=one.site,
        model=model.name if model else None,
        label=model.label if model else None,
        name=seen.advertisement.name if seen else one.wanted.name,
        address=seen.address if seen else one.wanted.address,
        adapter=seen.adapter if seen else one.wanted.adapter,
        serial=facts.serial if facts else None,
        firmware=facts.firmware if facts else None,
        found=found,
        streams=facts is not None,
        rssi_dbm=status.rssi,
        battery_percent=status.battery_percent,
        battery_ends_ns=placed.battery_ends_ns if placed and status.battery_percent is not None else None,
        fs_set_hz=facts.fs_hz if facts else None,
        measured=measured,
        noise_expected_ug=model.noise_ug if model else None,
        conformance=rules,
        trouble=None if measured else _trouble(one, status, found=found),
        advice=tuple(advice),
    )


def _model(one: Heard) -> Model | None:
    return one.known.model if one.known else one.wanted.model


def _settled(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.mono_ns - parts[0].mono_ns >= SKIPPED_S * 1e9]


def _trouble(one: Heard, status: LinkStatus, *, found: bool) -> str:
    if not found:
        return (
            "it was not heard: switch it on, charge it, bring it nearer, and see that no phone has it "
            "connected; `twitchmap scan` lists what is in range."
        )
    if status.trouble is not None:
        return status.trouble.removeprefix(f"{one.site}: ")
    if lost := one.said("lost", "reason"):
        return f"it began to stream and then stopped ({lost[-1]}): charge it, bring it nearer, check again."
    return "it was heard, but did not come to stream in time: switch it off and on, and check again."
