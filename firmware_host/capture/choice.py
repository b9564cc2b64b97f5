"""Which night a recorder writes: the unfinished one that it continues, or a new one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from firmware_host import __version__
from firmware_host.capture.identity import Wanted, may_be
from firmware_host.errors import BadValueError, NightBusyError, NotEmptyError, TwitchmapError
from firmware_host.recording import (
    Night,
    NightMeta,
    NightWriter,
    SensorInfo,
    continue_night,
    create_night,
    known_meta,
    list_nights,
    night_folder_name,
    open_night,
)
from firmware_host.recording.computer_clock import CONTINUED_NS, SET_FROM_NS
from firmware_host.recording.marks import open_spool
from firmware_host.recording.reader import is_being_written, is_finished
from firmware_host.recording.writer import Clock, system_clock
from firmware_host.sensors import models

SAME_RATE = 0.1
"""A sensor may have chosen a rate that is so near to the one that it was asked for."""

Origin = Literal["recorded", "virtual"]


@dataclass(frozen=True)
class Chosen:
    """A night that is open for writing."""

    writer: NightWriter
    earlier_start_ns: int | None = None
    """UTC start of a night that is continued; None: it is new."""
    marks: frozenset[str] = frozenset()
    """Ids of the marks that it holds."""


def unfinished_night(
    directory: Path, sites: Sequence[str], origin: Origin, utc_ns: int, participant: str = ""
) -> Night | None:
    """Return the newest unfinished night that started less than 12 h ago with the same sites.

    One of another participant is left as it is.

    A computer without a clock chip may have been put back behind the night's start when it started anew, or
    not know the time at all; the night before a power cut is the one to continue then, too.

    Raises
    ------
    NightBusyError
        If another process is recording such a night.
    """
    for path in reversed(list_nights(directory)):
        try:
            meta = known_meta(path)
            if meta.origin != origin or {info.site for info in meta.sensors} != set(sites):
                continue
            if is_being_written(path):
                raise NightBusyError(f"Another twitchmap is recording {path.name}; end it first.")
            if participant and meta.participant and participant != meta.participant:
                continue
            night = open_night(path)
        except NightBusyError:
            raise
        except (OSError, TwitchmapError):  # a night that cannot be read is not the one
            continue
        recent = utc_ns < SET_FROM_NS or abs(utc_ns - night.start_ns) < CONTINUED_NS
        return night if recent and not is_finished(night) else None
    return None


def same_sensors(night: Night, wanted: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """Return sensors as those that an unfinished night holds samples of: each site goes on with its own.

    One that is named by its model, or by a name that several share, is meant by its address from now on.

    Raises
    ------
    BadValueError
        If another sensor, or another model, is asked for at a site.
    """
    sites = {info.index: info.site for info in night.meta.sensors}
    before = {
        sites[event.sensor]: event.details
        for event in night.events()
        if event.kind == "connected" and event.sensor in sites and night.stretches(sites[event.sensor])
    }
    names = [one.name.casefold() for one in wanted if one.name]
    found = []
    for one in wanted:
        known = {key: str(before.get(one.site, {}).get(key) or "") for key in ("model", "address", "name")}
        vague = one.address is None and (one.name is None or names.count(one.name.casefold()) > 1)
        found.append(replace(one, address=known["address"] or None) if vague else one)
        other = (one.model is not None and known["model"] not in {"", one.model.name}) or (
            known["address"] and not may_be(one, known["address"], known["name"])
        )
        if other:
            who = " ".join(part for part in (known["model"], known["address"]) if part)
            raise BadValueError(
                f"{night.path.name} goes on with the sensors that it began with: {one.site} was {who}. "
                "Use that one, or begin a new night with --new."
            )
    return tuple(found)


def same_rates(night: Night, wanted: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """Return sensors at the rates that an unfinished night holds samples of, also where none is asked for.

    Raises
    ------
    BadValueError
        If another rate is asked for at a site.
    """
    found = []
    for one in wanted:
        info = night.meta.sensor(one.site)
        model = models().get(info.model)
        if model is not None and night.stretches(one.site):
            rate_hz = min(model.rates_hz, key=lambda hz: abs(hz - info.fs_hz))
            asked_hz = one.fs_hz or rate_hz
            if asked_hz != rate_hz and abs(asked_hz - info.fs_hz) > SAME_RATE * info.fs_hz:
                raise BadValueError(
                    f"{night.path.name} goes on at the rates that it began with: {one.site} had "
                    f"{rate_hz:g} Hz, not {asked_hz:g} Hz. Leave the rate out, or begin anew with --new."
                )
            found.append(replace(one, fs_hz=asked_hz))
        else:
            found.append(one)
    return tuple(found)


def go_on(night: Night, clock: Clock = system_clock) -> Chosen:
    """Open an unfinished night for another session."""
    marks = (event.details.get("id") for event in night.events() if event.kind == "mark")
    writer = continue_night(night.path, clock)
    open_spool(night.path)
    return Chosen(writer, night.start_ns, frozenset(str(id_) for id_ in marks if id_))


def begin(
    directory: Path,
    sensors: tuple[SensorInfo, ...],
    origin: Origin,
    utc_ns: int,
    *,
    time_zone: str,
    participant: str,
    label: str,
    clock: Clock = system_clock,
) -> Chosen:
    """Make a new night in a folder of nights.

    A computer without a clock may begin each night in the same second, and so may recorders of two people.

    Raises
    ------
    NightBusyError
        If another process begins a night with the same sites.
    """
    meta = NightMeta(
        participant=participant,
        label=label,
        origin=origin,
        time_zone=time_zone,
        start_ns=utc_ns,
        sensors=sensors,
        twitchmap=__version__,
    )
    first = directory / night_folder_name(utc_ns, time_zone, label)
    for number in itertools.count(1):
        path = first if number == 1 else first.with_name(f"{first.stem}_{number}{first.suffix}")
        try:
            writer = create_night(path, meta, clock)
        except NotEmptyError:
            continue
        except NightBusyError:
            if _sites(path) in (None, {info.site for info in sensors}):
                raise
        else:
            open_spool(path)
            return Chosen(writer)
    raise AssertionError  # some name is free


def _sites(path: Path) -> set[str] | None:
    """Return the sites of a night, None where they are not known yet."""
    try:
        return {info.site for info in known_meta(path).sensors}
    except (OSError, TwitchmapError):
        return None
