"""A night's piles of events that are alike, and how their members look."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from firmware_host.analysis.piles import Pile, summary_of_pile
from firmware_host.analysis.waveforms import waveforms
from firmware_host.review.api.labels import Name, RunId, ShownEvent, TimeS, shown_event
from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.judged import Judged, JudgedNight

SHOWN_WAVES = 40


class ListedPile(msgspec.Struct, frozen=True):
    """A pile; those of one motor unit say which."""

    id: str
    site: str
    unit: int | None
    weight: float
    """How many of its events, in sum, were in doubt before anybody looked."""
    count: int
    counted: int
    """As labelled now."""
    twitch: int
    """Labelled as a twitch."""
    not_twitch: int
    mean_probability: float
    median_mg: float
    median_hz: float
    first_s: float
    last_s: float


class PileList(msgspec.Struct, frozen=True):
    """The piles of a night's newest run, those first that are worth most to look at; their order is fixed."""

    night: str
    run: str
    piles: tuple[ListedPile, ...]


class OfPile(Asking, frozen=True):
    """In which run the pile was seen; if it is no longer the newest, 409 says so."""

    run: RunId | None = None


class WaveQuery(OfPile, frozen=True):
    """How many members."""

    count: Annotated[int, msgspec.Meta(ge=1, le=SHOWN_WAVES)] = SHOWN_WAVES


class Wave(msgspec.Struct, frozen=True):
    """One member's movement, along the unit's direction or its own; null where there are no samples."""

    peak_s: float
    probability: float
    counted: bool
    """As labelled now."""
    label: int
    """0 none, 1 twitch, 2 not a twitch."""
    mg: tuple[float, ...]


class PileWaves(msgspec.Struct, frozen=True):
    """Members of a pile, drawn evenly from the night, aligned at their peaks."""

    id: str
    from_s: float
    """Time of the first value from the peak."""
    rate_hz: float
    mean_mg: tuple[float, ...]
    waves: tuple[Wave, ...]


class MembersQuery(OfPile, frozen=True):
    """Which of a pile's events; `after` pages on."""

    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many to pass over."""
    most: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class Members(msgspec.Struct, frozen=True):
    """Some events of a pile in order of time, as labelled now."""

    id: str
    total: int
    events: tuple[ShownEvent, ...]


class EventWaveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which event, and how much around it."""

    site: Name
    peak_s: TimeS
    before_s: Annotated[float, msgspec.Meta(ge=0.05, le=10)] = 1.0
    after_s: Annotated[float, msgspec.Meta(ge=0.05, le=10)] = 1.5


class EventWave(msgspec.Struct, frozen=True):
    """The signal around one moment in the band of detection, mg; null where there are no samples."""

    site: str
    peak_s: float
    from_s: float
    rate_hz: float
    x_mg: tuple[float, ...]
    y_mg: tuple[float, ...]
    z_mg: tuple[float, ...]
    main_mg: tuple[float, ...]


@endpoint("GET", "/nights/{night}/piles", summary="The piles of a night's newest run")
def piles(context: Context, night: str, query: Asking) -> PileList:
    """List the piles."""
    opened = context.shared(Judged).night(context.counted(night, query))
    found = opened.found
    return PileList(
        opened.path.name, opened.raw.info.run_id, tuple(_listed(opened, pile, found) for pile in opened.piles)
    )


@endpoint("GET", "/nights/{night}/piles/{pile}/waves", summary="How the members of a pile look")
def pile_waves(context: Context, night: str, pile: str, query: WaveQuery) -> PileWaves:
    """Read the signal around some members."""
    opened = context.shared(Judged).night(context.counted(night, query))
    opened.check_run(query.run)
    known_pile = opened.pile(pile)
    rows = known_pile.rows
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, query.count).round().astype(int))]
    events, now = opened.raw.events[rows], opened.found[rows]
    one_unit = known_pile.unit is not None
    seen = waveforms(opened.samples, known_pile.site, opened.ns(events["peak_s"]).tolist(), one_unit=one_unit)
    known = seen.main_mg[~np.isnan(seen.main_mg).any(axis=1)]
    return PileWaves(
        pile,
        seen.from_s,
        seen.rate_hz,
        _rounded(known.mean(axis=0)) if len(known) else (),
        tuple(
            Wave(
                float(event["peak_s"]),
                float(event["probability"]),
                bool(row["counted"]),
                int(row["label"]),
                mg,
            )
            for event, row, mg in zip(events, now, map(_rounded, seen.main_mg), strict=True)
        ),
    )


@endpoint("GET", "/nights/{night}/piles/{pile}/events", summary="The events of a pile, a page at a time")
def pile_events(context: Context, night: str, pile: str, query: MembersQuery) -> Members:
    """List the events that the query asks for."""
    opened = context.shared(Judged).night(context.counted(night, query))
    opened.check_run(query.run)
    rows = opened.pile(pile).rows
    page = opened.found[rows[query.after : query.after + query.most]]
    return Members(pile, len(rows), tuple(shown_event(row, pile) for row in page))


@endpoint("GET", "/nights/{night}/wave", summary="The signal around one moment")
def event_wave(context: Context, night: str, query: EventWaveQuery) -> EventWave:
    """Read the signal around an event, or where one is looked for."""
    opened = context.shared(Judged).night(context.night(night))
    at_ns = opened.ns([query.peak_s]).tolist()
    seen = waveforms(opened.samples, query.site, at_ns, query.before_s, query.after_s)
    x_mg, y_mg, z_mg = (_rounded(axis) for axis in seen.axes_mg[0])
    main_mg = _rounded(seen.main_mg[0])
    return EventWave(query.site, query.peak_s, seen.from_s, seen.rate_hz, x_mg, y_mg, z_mg, main_mg)


def _listed(opened: JudgedNight, pile: Pile, found: np.ndarray) -> ListedPile:
    brief = summary_of_pile(pile, opened.raw.events, found)
    return ListedPile(
        pile.id,
        pile.site,
        pile.unit,
        pile.weight,
        brief.count,
        brief.counted,
        brief.twitch,
        brief.not_twitch,
        brief.mean_probability,
        brief.median_mg,
        brief.median_hz,
        brief.first_s,
        brief.last_s,
    )


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """Return numbers to a hundredth of a mg: finer than any sensor, and short to send."""
    return tuple(np.round(values, 2).tolist())
