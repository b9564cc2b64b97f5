"""`record_night`: from what a user asks for to a night on disk that has come to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from firmware_host.capture.asked import Order, World
from firmware_host.capture.awake import keep_awake
from firmware_host.capture.ble import Backend, Radio
from firmware_host.capture.choice import (
    Chosen,
    Origin,
    begin,
    go_on,
    same_rates,
    same_sensors,
    unfinished_night,
)
from firmware_host.capture.link import Link, Wanted
from firmware_host.capture.local_zone import local_zone
from firmware_host.capture.outlet import expected_info
from firmware_host.capture.permissions import radio_trouble
from firmware_host.capture.plan import Asked, plan_night
from firmware_host.capture.session import Session
from firmware_host.capture.status_file import StatusFile
from firmware_host.capture.stop import Stop, ended_by_signals
from firmware_host.capture.surroundings import as_played
from firmware_host.capture.told import Told
from firmware_host.capture.watch import Moment, read_clocks
from firmware_host.errors import RadioError
from firmware_host.recording.computer_clock import SET_FROM_NS
from firmware_host.recording.night import zone
from firmware_host.recording.sessions import take_away
from firmware_host.recording.writer import Clock


@dataclass(frozen=True)
class Recorded:
    """A night that has come to its end."""

    path: Path
    continued: bool
    ended: str
    """Why, in a few words."""
    kept: bool = True
    """False: somebody ended it before the first sample or mark, and its folder is gone."""


def record_night(order: Order, told: Told, stop: Stop) -> Recorded:
    """Record until the planned end, a wish to end (Ctrl-C and SIGTERM are such), or two hours without data.

    Returns
    -------
    The night, whole on disk; a new one that somebody ended before anything was in it is taken away again.

    Raises
    ------
    BadValueError
        If a site, a rate or the time zone cannot be.
    RadioError
        If a new night is asked for and there is no radio to record it with; no night has been made then.
    NightBusyError, StorageError
        If another process is recording, or the disk takes nothing.
    """
    with ended_by_signals(stop):
        return asyncio.run(record(order, told, stop))


async def record(order: Order, told: Told, stop: Stop) -> Recorded:
    """Do what `record_night` does, in an event loop that is there; signals are the caller's."""
    async with contextlib.AsyncExitStack() as stack:
        backend, wanted, clocks = None, order.wanted, read_clocks
        if order.virtual is not None:
            world = await stack.enter_async_context(order.virtual)
            backend = Backend(*world.backend)
            wanted = as_played(wanted, world)
            clocks = _clocks_of(world)
            told.say("These sensors are made up: the night is marked as virtual.")

        def clock() -> tuple[int, int]:
            now = clocks()
            return now.mono_ns, now.utc_ns

        wanted, advice = _planned(wanted, order, clock()[1], told)
        radio = Radio(backend, order.adapters)
        chosen, wanted = await _choose(order, wanted, radio, told, clock)
        since = clocks()
        with chosen.writer as writer, StatusFile(writer, told, stop, advice) as told:
            if order.listener is not None:
                writer.listen(order.listener)
            proof = await stack.enter_async_context(keep_awake())
            writer.append_event("awake", None, *reversed(clock()), held=proof.held, how=proof.how)
            told.say(proof.sentence)
            if not proof.held:
                advice.append(proof.sentence)
            session = Session(
                writer,
                wanted,
                lambda one, outlet: Link(radio, one, outlet, clock),
                told,
                stop,
                plan=order.plan,
                since=since,
                earlier_start_ns=chosen.earlier_start_ns,
                marks=chosen.marks,
                clocks=clocks,
            )
            why = await session.run()
        new = chosen.earlier_start_ns is None
        empty = new and stop.reason is not None and session.holds_nothing
        kept = not (empty and take_away(writer.path))
        stop.over = True
        return Recorded(writer.path, not new, why, kept)


async def _choose(
    order: Order, wanted: tuple[Wanted, ...], radio: Radio, told: Told, clock: Clock
) -> tuple[Chosen, tuple[Wanted, ...]]:
    """Continue the night that was not finished, or make a new one if there is a radio to record it with."""
    origin: Origin = "recorded" if order.virtual is None else "virtual"
    _, utc_ns = clock()
    sites = [one.site for one in wanted]
    night = unfinished_night(order.directory, sites, origin, utc_ns, order.participant)
    if night is not None and not order.new:
        if order.virtual is None:  # virtual ones have the addresses of this world
            wanted = same_sensors(night, wanted)
        wanted = same_rates(night, wanted)
        told.say(f"{night.path.name} goes on.")
        if order.label and order.label != night.meta.label:
            told.say(f"It keeps its label {night.meta.label!r}." if night.meta.label else "It has no label.")
        if order.participant and not night.meta.participant:
            told.say("It names no participant; `twitchmap amend` adds who it is.")
        return go_on(night, clock), wanted
    if (trouble := await radio_trouble(radio)) is not None:
        raise RadioError(trouble)
    time_zone = order.time_zone or local_zone()
    if time_zone is None:
        time_zone = "UTC"
        told.say(
            "This computer does not tell its time zone: the night is kept in UTC; name it with --timezone."
        )
    _, utc_ns = clock()  # it may have been set while the radio was looked at
    if utc_ns < SET_FROM_NS:
        told.say("This computer does not know the time yet; the night gets it as soon as it does.")
    infos = [
        expected_info(index, one, order.placements.get(one.site, "")) for index, one in enumerate(wanted)
    ]
    chosen = begin(
        order.directory,
        tuple(infos),
        origin,
        utc_ns,
        time_zone=zone(time_zone).key,
        participant=order.participant,
        label=order.label,
        clock=clock,
    )
    return chosen, wanted


def _planned(
    wanted: tuple[Wanted, ...], order: Order, utc_ns: int, told: Told
) -> tuple[tuple[Wanted, ...], list[str]]:
    """Spread sensors over several adapters; say, and return, where radio or batteries fall short."""
    asked = [Asked(one.site, one.model, one.fs_hz, one.adapter) for one in wanted if one.model]
    end_ns = order.plan.utc_ns(utc_ns, order.zone)
    plan = plan_night(asked, order.adapters, now_ns=utc_ns, end_ns=end_ns, time_zone=order.zone)
    if not plan.fits:
        for statement in plan.statements:
            told.say(statement)
    if len(order.adapters) > 1:
        wanted = tuple(
            replace(one, adapter=plan.adapter_of(one.site)) if one.model else one for one in wanted
        )
    return wanted, list(plan.short)


def _clocks_of(world: World) -> Callable[[], Moment]:
    def read() -> Moment:
        mono_ns, utc_ns = world.clock()
        return Moment(mono_ns, mono_ns, utc_ns)

    return read
