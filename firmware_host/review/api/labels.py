"""What a reviewer says of a night: labels, undo and redo, and the counts that follow at once.

All times are seconds from the night's start, as in the table of events.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import numpy as np

from firmware_host.analysis import Run
from firmware_host.analysis.labelled import site_slices
from firmware_host.analysis.labelling import wear_questions, write_label
from firmware_host.analysis.piles import next_doubtful, operating_point
from firmware_host.errors import BadValueError
from firmware_host.recording import labels as files
from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.judged import Judged, JudgedNight
from firmware_host.review.texts import t
from firmware_host.twitch_map import State
from firmware_host.twitches import Kind, Label

Name = Annotated[str, msgspec.Meta(max_length=40)]
Rater = Annotated[str, msgspec.Meta(max_length=files.LONGEST_RATER)]
TimeS = Annotated[float, msgspec.Meta(ge=-60, le=40 * 86_400)]
What = Literal["twitch", "not_twitch", "no_verdict", "added", "exclude", "include", "worn", "not_worn"]
RunId = Annotated[str, msgspec.Meta(max_length=80)]
HISTORY = 200


class NewLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One decision.

    `twitch`, `not_twitch` and `no_verdict` are about the events at `peaks_s` of `site`, or those of `pile`,
    or those that count (for `no_verdict`: that are labelled) from `start_s` to `end_s`, at `site` or
    everywhere. `added` is about times where no event was found. `exclude`, `include`, `worn` and `not_worn`
    are about the time from `start_s` to `end_s` at `site`, or everywhere.

    `run` is the run in which the events were seen; if it is no longer the newest, nothing is kept, and 409
    says so. A verdict on a `pile` has to name it: piles of another run have the same names.
    """

    what: What
    drawn: Literal["event", "doubtful", "pile", "unit", "range", "added", "wear"] | None = None
    """How it was come to; None: as the other fields say."""
    site: Name | None = None
    peaks_s: Annotated[list[TimeS], msgspec.Meta(max_length=50_000)] = msgspec.field(default_factory=list)
    pile: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    run: RunId | None = None
    start_s: TimeS | None = None
    end_s: TimeS | None = None
    rater: Rater = ""


class Undoing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes a label back, or gives it back."""

    rater: Rater = ""
    of: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    """The label that is meant; if it is no longer the one that is next, nothing happens, and 409 says so."""


class Action(msgspec.Struct, frozen=True):
    """A label as it is kept, in brief."""

    id: str
    at: str
    """ISO 8601, UTC."""
    what: str
    drawn: str
    blind: bool
    rater: str
    sites: tuple[str, ...]
    events: int
    start_s: float | None = None
    end_s: float | None = None


class SiteState(msgspec.Struct, frozen=True):
    """A site's whole night as it is labelled now; rates are null where nothing was observed."""

    site: str
    twitches: int
    valid_s: float
    rate_per_h: float
    rate_low: float
    rate_high: float
    state: str
    """observed, wear_unconfirmed, not_observed or not_worn."""
    accepted: int
    """Events labelled as a twitch, those added among them."""
    rejected: int
    """Events labelled as none."""
    excluded_s: float


class WearQuestion(msgspec.Struct, frozen=True):
    """Was the sensor on? It lay so still that wearing it cannot be shown."""

    site: str
    start_s: float
    end_s: float
    unconfirmed_s: float


class LabelState(msgspec.Struct, frozen=True):
    """What holds after all labels."""

    night: str
    run: str
    labels: int
    """Labels that hold."""
    undo: Action | None
    """What `undo` would take back."""
    redo: Action | None
    """What `redo` would give back."""
    sites: tuple[SiteState, ...]
    wear_questions: tuple[WearQuestion, ...]
    unreadable: tuple[str, ...]
    """What of the file of labels could not be understood, one sentence each."""


class History(msgspec.Struct, frozen=True):
    """The newest labels that hold, newest first."""

    actions: tuple[Action, ...]


class DoubtfulQuery(Asking, frozen=True):
    """How many."""

    count: Annotated[int, msgspec.Meta(ge=1, le=200)] = 10


class ShownEvent(msgspec.Struct, frozen=True):
    """An event to be judged."""

    site: str
    peak_s: float
    probability: float
    counted: bool
    peak_to_peak_mg: float
    duration_ms: float
    pile: str
    unit: int | None
    label: int
    """0 none, 1 twitch, 2 not a twitch."""


class Doubtful(msgspec.Struct, frozen=True):
    """Unlabelled events nearest to the operating point, from different piles in turn."""

    operating_point: float
    events: tuple[ShownEvent, ...]


@endpoint("GET", "/nights/{night}/labels", summary="What was said of a night, and its counts as they follow")
def labels(context: Context, night: str, query: Asking) -> LabelState:
    """Tell what holds."""
    opened = context.shared(Judged).night(context.counted(night, query))
    return state_of(opened, opened.run)


@endpoint("GET", "/nights/{night}/labels/history", summary="The newest labels, newest first")
def history(context: Context, night: str, query: Asking) -> History:
    """List labels that hold."""
    opened = context.shared(Judged).night(context.counted(night, query))
    active = opened.run.labels.active[-HISTORY:]
    return History(tuple(_action(opened, label) for label in reversed(active)))


@endpoint(
    "POST", "/nights/{night}/labels", summary="Label events or a stretch of time; answers the new counts"
)
def add_label(context: Context, night: str, body: NewLabel, query: Asking) -> LabelState:
    """Keep a label and tell what follows."""
    opened = context.shared(Judged).night(context.counted(night, query))
    if body.pile is not None and body.run is None:
        raise BadValueError(t("correct.run_of_pile"))
    opened.check_run(body.run)
    pile = None if body.pile is None else opened.pile(body.pile)
    kept = write_label(
        opened.path,
        opened.raw,
        opened.run,
        what=body.what,
        drawn=body.drawn,
        site=body.site,
        peaks_s=body.peaks_s,
        pile=pile,
        start_s=body.start_s,
        end_s=body.end_s,
        rater=body.rater,
    )
    return state_of(opened, opened.take(kept))


@endpoint("POST", "/nights/{night}/labels/undo", summary="Take the newest label back")
def undo(context: Context, night: str, body: Undoing, query: Asking) -> LabelState:
    """Take back; nothing happens where there is nothing to take back."""
    opened = context.shared(Judged).night(context.counted(night, query))
    return state_of(opened, opened.take(files.undo(opened.path, body.rater, body.of)))


@endpoint("POST", "/nights/{night}/labels/redo", summary="Give the label back that was taken back last")
def redo(context: Context, night: str, body: Undoing, query: Asking) -> LabelState:
    """Give back; nothing happens where there is nothing to give back."""
    opened = context.shared(Judged).night(context.counted(night, query))
    return state_of(opened, opened.take(files.redo(opened.path, body.rater, body.of)))


@endpoint(
    "GET", "/nights/{night}/doubtful", summary="The next events worth a look: nearest to the operating point"
)
def doubtful(context: Context, night: str, query: DoubtfulQuery) -> Doubtful:
    """List unlabelled events in doubt."""
    opened = context.shared(Judged).night(context.counted(night, query))
    now = opened.found
    point = operating_point(opened.raw)
    chosen = next_doubtful(opened.piles, opened.raw.events, now, point, query.count)
    return Doubtful(point, tuple(shown_event(now[row], pile.id) for row, pile in chosen))


def state_of(opened: JudgedNight, run: Run) -> LabelState:
    """Return what holds after all labels of a night."""
    now = run.labels
    counts = opened.counts(run)
    of_site, covered = site_slices(run.events), site_slices(run.coverage)
    sites = []
    for row in counts:
        site = str(row["site"])
        label = run.events["label"][of_site.get(site, slice(0, 0))]
        cover = run.coverage[covered.get(site, slice(0, 0))]
        excluded = cover[cover["kind"] == Kind.EXCLUDED]
        sites.append(
            SiteState(
                site,
                int(row["twitches"]),
                float(row["valid_s"]),
                float(row["rate_per_h"]),
                float(row["rate_low"]),
                float(row["rate_high"]),
                State(int(row["state"])).name.lower(),
                int(np.count_nonzero(label == Label.TWITCH)),
                int(np.count_nonzero(label == Label.NOT_TWITCH)),
                float((excluded["end_s"] - excluded["start_s"]).sum()),
            )
        )
    return LabelState(
        opened.path.name,
        run.info.run_id,
        len(now.active),
        _action(opened, now.active[-1]) if now.active else None,
        _action(opened, now.undone[-1]) if now.undone else None,
        tuple(sites),
        tuple(WearQuestion(*one) for one in wear_questions(run)),
        tuple(f"{one.file}: {one.what}." for one in now.damage),
    )


def _action(opened: JudgedNight, label: files.Label) -> Action:
    start_ns = opened.raw.summary.start_ns
    stretch = label.what in files.STRETCHES
    return Action(
        label.id,
        datetime.fromtimestamp(label.utc_ns / 1e9, UTC).isoformat(timespec="seconds"),
        label.what,
        label.drawn,
        label.blind,
        label.rater,
        label.sites or tuple(label.peaks_ns),
        sum(map(len, label.peaks_ns.values())),
        (label.start_ns - start_ns) / 1e9 if stretch else None,
        (label.end_ns - start_ns) / 1e9 if stretch else None,
    )


def shown_event(event: np.void, pile: str) -> ShownEvent:
    """Return a row of events, as labelled, as it goes out."""
    return ShownEvent(
        str(event["site"]),
        float(event["peak_s"]),
        float(event["probability"]),
        bool(event["counted"]),
        float(event["peak_to_peak_mg"]),
        float(event["duration_ms"]),
        pile,
        None if event["unit"] < 0 else int(event["unit"]),
        int(event["label"]),
    )
