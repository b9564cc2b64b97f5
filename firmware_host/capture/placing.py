"""Tells which sensor sits where: by a tap on it, or by its name; the set-up of an evening comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from firmware_host import body
from firmware_host.capture.asked import Virtual
from firmware_host.capture.ble import Radio
from firmware_host.capture.finding import SCAN_S, hear
from firmware_host.capture.heard import Heard, Known, listening
from firmware_host.capture.hearing import Seen
from firmware_host.capture.identity import Register, Wanted
from firmware_host.capture.plan import MOST, Asked, plan_night
from firmware_host.capture.setups import SetupSensor, check_place
from firmware_host.capture.surroundings import Surroundings, surroundings
from firmware_host.capture.tapping import Taps, Verdict
from firmware_host.errors import BadValueError, SensorError
from firmware_host.sensors import identify
from firmware_host.sensors.protocol import Batch, Facts, Model

START_S, START_MORE_S = 30.0, 6.0
"""So long the first sensor may take to stream, and so much more for each further one."""
TAP_S = 30.0
"""So long is waited for a tap before it is asked for again."""
TRIES = 4
TICK_S = 0.2
PLAYED_AFTER_S = 1.0
"""So long after it is asked for, a made-up sensor taps itself."""

Say = Callable[[str], None]
Stage = Literal["tap", "placed"]
Tell = Callable[[Stage, str], None]
"""For a program that shows it: whose sensor is to be tapped, and whose is known."""


@dataclass(frozen=True)
class PlacingOrder:
    """Which sites are to have sensors."""

    sites: tuple[str, ...] = ()
    """Whose sensors are told by tapping."""
    named: tuple[Wanted, ...] = ()
    """Sensors that are told by address or name."""
    adapters: tuple[str, ...] = ()
    fs_hz: float | None = None
    """Rate that they are to be set to; None: each model's usual one."""
    virtual: Virtual | None = None


class _Tappable(Heard):
    """A sensor that hands its samples to whoever waits for taps, and keeps none."""

    taps: Taps | None = None

    def connected(self, facts: Facts, model: Model, seen: Seen, mono_ns: int, utc_ns: int) -> None:
        super().connected(facts, model, seen, mono_ns, utc_ns)
        self._forget()

    def samples(self, batch: Batch, mono_ns: int, utc_ns: int) -> None:  # noqa: ARG002
        if self.taps is not None and self.known is not None:
            facts = self.known.facts
            begin_s = mono_ns / 1e9 - len(batch.counts) / facts.fs_hz
            acc_g = batch.counts * facts.g_per_count
            self.taps.put(self.site, acc_g, fs_hz=facts.fs_hz, begin_s=begin_s)

    def event(self, kind: str, mono_ns: int, utc_ns: int, **details: Any) -> None:  # noqa: ANN401
        super().event(kind, mono_ns, utc_ns, **details)
        if kind in {"restarted", "lost"}:
            self._forget()

    def _forget(self) -> None:
        if self.taps is not None:
            self.taps.forget(self.site)


def place_sensors(
    order: PlacingOrder, say: Say = lambda _: None, tell: Tell = lambda *_: None
) -> tuple[SetupSensor, ...]:
    """Find out which sensor sits at which site, and who it is.

    Parameters
    ----------
    say
        Told what the user is to do, and what came of it.
    tell
        Told of which site that is.

    Raises
    ------
    BadValueError
        For an unknown site, one that is given twice, or a sensor that cannot be worn there.
    RadioError
        If Bluetooth cannot be used.
    SensorError
        If too few sensors are in range, one does not start, or it stays in doubt which was tapped.
    """
    return asyncio.run(place(order, say, tell))


async def place(
    order: PlacingOrder, say: Say = lambda _: None, tell: Tell = lambda *_: None
) -> tuple[SetupSensor, ...]:
    """Do what `place_sensors` does, in an event loop that is there."""
    sites = [*order.sites, *(one.site for one in order.named)]
    for site in sites:
        body.site(site)
        if sites.count(site) > 1:
            raise BadValueError(f"{site} is given twice; a second sensor there is {site}.2.")
    async with surroundings(order.virtual, order.adapters) as here:
        named = [_Tappable(replace(one, fs_hz=order.fs_hz)) for one in order.named]
        tappable = await _candidates(here.radio, order, say) if order.sites else []
        async with listening(here, [*named, *tappable]) as links:
            await _started([*named, *tappable], say)
            troubles = {link.status.site: link.status.trouble for link in links}
            found = {one.site: _named(one, named, troubles[one.site]) for one in named}
            for site in found:
                tell("placed", site)
            for one in tappable:
                if one.known is None:
                    say(f"{one.site} is left out: {_why(one, troubles[one.site])}")
            ready = [one for one in tappable if one.known]
            if len(ready) < len(order.sites):
                raise SensorError(_too_few(len(order.sites), len(ready)))
            for site in order.sites:
                tell("tap", site)
                found[site] = await _tapped(here, site, ready, found, say)
                tell("placed", site)
    return _setup(sites, found, order)


async def _candidates(radio: Radio, order: PlacingOrder, say: Say) -> list[_Tappable]:
    """Return the sensors in range, of known models, that are not named already; the nearest of many."""
    say("Looking for sensors.")
    others = Register()
    found = []
    for seen in await hear(radio, SCAN_S):
        model = identify(seen.advertisement)
        if model is not None and not any(others.is_for(one, seen) for one in order.named):
            found.append((seen, model))
    if not found:
        raise SensorError(
            "No sensor is in range: switch them on, bring them near, and see that no phone has them "
            "connected; `twitchmap scan --all` lists what is in range."
        )
    names = [seen.advertisement.name for seen, _ in found]
    return [
        _Tappable(
            Wanted(
                site=name if name and names.count(name) == 1 else f"{name} {seen.address}".strip(),
                address=seen.address,
                name=name or None,
                model=model,
                fs_hz=order.fs_hz,
                adapter=seen.adapter,
            )
        )
        for name, (seen, model) in list(zip(names, found, strict=True))[: MOST * len(radio.adapters)]
    ]


async def _started(sensors: Sequence[Heard], say: Say) -> None:
    """Wait until all stream, or had their time."""
    say(f"Starting {len(sensors)} sensor{'s' if len(sensors) != 1 else ''}.")
    loop = asyncio.get_running_loop()
    limit_s = loop.time() + START_S + START_MORE_S * (len(sensors) - 1)
    while loop.time() < limit_s and not all(one.known for one in sensors):
        await asyncio.sleep(TICK_S)


def _why(one: Heard, trouble: str | None) -> str:
    return trouble.removeprefix(f"{one.site}: ") if trouble else "It did not start in time."


def _named(one: Heard, others: Sequence[Heard], trouble: str | None) -> Known:
    """Return who a sensor is that was told by its name: it is there, can sit there, and sits there alone."""
    if one.known is None:
        raise SensorError(f"{one.site}: {_why(one, trouble)}")
    check_place(one.site, one.known.model)
    for other in others:
        if other is not one and other.known and other.known.seen.address == one.known.seen.address:
            raise BadValueError(f"{one.site} and {other.site} are one sensor; each site needs its own.")
    return one.known


def _too_few(sites: int, sensors: int) -> str:
    return (
        f"{sites} places need {sites} sensors, and {sensors} "
        f"{'streams' if sensors == 1 else 'stream'}: switch all on, and bring them near."
    )


async def _tapped(
    here: Surroundings, site: str, sensors: Sequence[_Tappable], found: dict[str, Known], say: Say
) -> Known:
    """Ask for the taps until it is clear which sensor is meant."""
    label = body.site(site).label
    for _ in range(TRIES):
        say(f"Tap the sensor for the {label} now, three times.")
        if here.world is not None:
            asyncio.get_running_loop().call_later(PLAYED_AFTER_S, here.world.tap, site)
        verdict = await _felt(sensors)
        if verdict is None:
            say("No three taps were felt. Tap with a fingertip, firmly, about twice a second.")
        elif not verdict.sure:
            say(f"{' and '.join(verdict.sensors)} felt that alike: hold the one that you tap, and tap again.")
        else:
            known = next(one.known for one in sensors if one.site == verdict.sensors[0])
            refusal = _refusal(site, known, found)
            if known is not None and refusal is None:
                say(f"{verdict.sensors[0]} sits at the {label}.")
                return known
            say(f"That was {verdict.sensors[0]}. {refusal}")
    raise SensorError(
        f"It stayed unclear which sensor sits at the {label}: name it with --sensor {site}=NAME_OR_ADDRESS."
    )


def _refusal(site: str, known: Known | None, found: dict[str, Known]) -> str | None:
    """Say why a sensor cannot be that of a site."""
    if known is None:
        return "It does not stream."
    for other, taken in found.items():
        if taken.seen.address == known.seen.address:
            return f"It sits at the {body.site(other).label} already: tap another."
    try:
        check_place(site, known.model)
    except BadValueError as error:
        return str(error)
    return None


async def _felt(sensors: Sequence[_Tappable]) -> Verdict | None:
    """Wait for three taps."""
    taps = Taps()
    for one in sensors:
        one.taps = taps
    try:
        for _ in range(round(TAP_S / TICK_S)):
            await asyncio.sleep(TICK_S)
            if (verdict := taps.verdict()) is not None:
                return verdict
        return None
    finally:
        for one in sensors:
            one.taps = None


def _setup(sites: Sequence[str], found: dict[str, Known], order: PlacingOrder) -> tuple[SetupSensor, ...]:
    """Return the sensors of a set-up, in the order asked, spread over the adapters if there are several."""
    asked = [Asked(site, found[site].model, order.fs_hz) for site in sites]
    plan = plan_night(asked, order.adapters, now_ns=0)
    return tuple(
        SetupSensor(
            site=site,
            address=known.seen.address,
            name=known.seen.advertisement.name,
            serial=known.facts.serial,
            model=known.model.name,
            rate=order.fs_hz,
            adapter=plan.adapter_of(site) or "",
        )
        for site in sites
        for known in [found[site]]
    )
