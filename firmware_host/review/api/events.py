"""The events of a run: single ones to read, and all of a site at once to draw."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.analysis import Run
from firmware_host.errors import NotFoundError
from firmware_host.review.endpoints import Asking, Binary, Context, endpoint
from firmware_host.review.opened import opened_of
from firmware_host.review.texts import t
from firmware_host.twitches import Flag, Label, Reason, Table

MOST = 5000
REASONS = {int(reason): reason.name.lower() for reason in Reason if reason}
"""A newer program's run may give others: these are not told."""
DRAWN = ("event_id", "duration_ms", "peak_to_peak_mg", "snr", "probability", "what")
"""Columns of `/drawn-events` behind the times, float32 each."""


class Event(msgspec.Struct, frozen=True):
    """One event; what it was not measured for is null."""

    event_id: int
    site: str
    unit: int
    """The motor unit that it is ascribed to; -1: none."""
    peak_s: float
    onset_s: float
    duration_ms: float
    peak_to_peak_mg: float
    snr: float
    dominant_hz: float
    probability: float
    counted: bool
    label: str
    """The reviewer's verdict: empty, twitch or not_twitch."""
    flags: tuple[str, ...]
    """complex, rejected, below_floor, sure_unit, side_lobe."""
    reason: str
    """What speaks most against it where it does not count (`twitches.Reason`); else empty."""


class EventsQuery(Asking, frozen=True):
    """Which events: of a site, in a time, counted ones or all; `after` pages on."""

    site: str | None = None
    from_s: float | None = None
    to_s: float | None = None
    counted: bool | None = None
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many to pass over."""
    most: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 200
    run: str | None = None


class Events(msgspec.Struct, frozen=True):
    """Some events in order of site and time."""

    events: tuple[Event, ...]
    total: int
    """How many there are without `after` and `most`."""
    next: int | None
    """`after` of the next page."""


@endpoint("GET", "/nights/{night}/events", summary="Events of a run, a page at a time")
def night_events(context: Context, night: str, query: EventsQuery) -> Events:
    """Return the events that the query asks for."""
    run = opened_of(context).run(context.counted(night, query), query.run)
    rows = run.events
    wanted = np.ones(len(rows), bool) if query.site is None else _at(run, query.site)
    if query.from_s is not None:
        wanted &= rows["peak_s"] >= query.from_s
    if query.to_s is not None:
        wanted &= rows["peak_s"] < query.to_s
    if query.counted is not None:
        wanted &= rows["counted"] == query.counted
    at = np.flatnonzero(wanted)
    page = rows[at[query.after : query.after + query.most]]
    after = query.after + len(page)
    return Events(tuple(_event(row) for row in page), len(at), after if after < len(at) else None)


def _at(run: Run, site: str) -> npt.NDArray[np.bool_]:
    """Tell which events are of a site; one the night has not is refused: no event would read as none."""
    if site not in {one.site for one in run.summary.sites}:
        raise NotFoundError(t("night.no_sensor", site=site))
    return np.asarray(run.events["site"] == site)


class OfRun(Asking, frozen=True):
    """Which run; else the newest complete one."""

    run: str | None = None


@endpoint("GET", "/nights/{night}/events/{event_id}", summary="One event of a run")
def night_event(context: Context, night: str, event_id: int, query: OfRun) -> Event:
    """Return one event by its number within its run."""
    rows = opened_of(context).run(context.counted(night, query), query.run).events
    found = np.flatnonzero(rows["event_id"] == event_id)
    if not len(found):
        raise NotFoundError(t("night.no_event", event=event_id))
    return _event(rows[found[0]])


class DrawnQuery(Asking, frozen=True, kw_only=True):
    """Which site, which run."""

    site: str
    run: str | None = None


@endpoint("GET", "/nights/{night}/drawn-events", summary="All events of a site, as numbers to draw them")
def drawn_events(context: Context, night: str, query: DrawnQuery) -> Binary:
    """Return a site's events in order of time: n float64 of `peak_s`, then n float32 of each of `DRAWN`.

    `what` is 1 where the event counts, plus 2 where it was labelled a twitch, 4 where labelled none, 8 where
    it was rejected, 16 where it is complex.
    """
    run = opened_of(context).run(context.counted(night, query), query.run)
    rows = run.events[_at(run, query.site)]
    columns: list[npt.NDArray[Any]] = [rows["peak_s"].astype("<f8")]
    columns.extend(rows[name].astype("<f4") for name in DRAWN[:-1])
    columns.append(_what(rows).astype("<f4"))
    return Binary(b"".join(column.tobytes() for column in columns))


def _what(rows: Table) -> npt.NDArray[np.int64]:
    what = rows["counted"].astype(np.int64)
    what += 2 * (rows["label"] == Label.TWITCH) + 4 * (rows["label"] == Label.NOT_TWITCH)
    what += 8 * ((rows["flags"] & Flag.REJECTED) > 0) + 16 * ((rows["flags"] & Flag.COMPLEX) > 0)
    return np.asarray(what)


def _event(row: np.void) -> Event:
    numbers = {
        name: round(float(row[name]), 6)
        for name in (
            "peak_s", "onset_s", "duration_ms", "peak_to_peak_mg", "snr", "dominant_hz", "probability",
        )
    }  # fmt: skip
    label = Label(int(row["label"]))
    return Event(
        event_id=int(row["event_id"]),
        site=str(row["site"]),
        unit=int(row["unit"]),
        counted=bool(row["counted"]),
        label="" if label == Label.NONE else label.name.lower(),
        flags=tuple(flag.name.lower() for flag in Flag if row["flags"] & flag and flag.name),
        reason="" if row["counted"] else REASONS.get(int(row["reason"]), ""),
        **numbers,
    )
