"""The spot check: events drawn at random and judged without their score say how right the counts are."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from firmware_host.analysis import spot_check as checks
from firmware_host.errors import BadValueError, NotFoundError, NotShownError
from firmware_host.recording.labels import Labels, SpotCheck, add_label
from firmware_host.review.api.labels import Rater
from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.judged import Judged, JudgedNight
from firmware_host.review.texts import t


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begins a new spot check."""

    rater: Rater = ""
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None = None


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says of one item; an item may be answered again."""

    check: Annotated[str, msgspec.Meta(max_length=40)]
    item: Annotated[int, msgspec.Meta(ge=0, lt=1000)]
    answer: Literal["twitch", "not_twitch", "cannot_tell"]
    rater: Rater = ""


class ItemToJudge(msgspec.Struct, frozen=True):
    """An item: where it is, and nothing of what the detector says; `/nights/{night}/wave` has its signal."""

    item: int
    site: str
    peak_s: float


class ShareOut(msgspec.Struct, frozen=True):
    """A share with its exact 95 % interval; null where nothing was judged."""

    value: float | None
    low: float | None
    high: float | None


class Result(msgspec.Struct, frozen=True):
    """What the answers so far come to."""

    precision: ShareOut
    """Of what was counted, the share that are twitches."""
    counted_judged: int
    """Counted events that were judged, and"""
    counted_twitches: int
    """how many of them are twitches."""
    missed: ShareOut
    """Of all twitches among the candidates, the share that was not counted."""
    cannot_tell: int


class CheckState(msgspec.Struct, frozen=True):
    """The newest spot check of a night; `check` is null if there was none."""

    night: str
    check: str | None
    total: int
    answered: int
    next: ItemToJudge | None
    """Null when all are answered."""
    result: Result | None
    """Null until all are answered: half a check must not sway the other half; and where `hidden`."""
    hidden: str = ""
    """Why the result is not shown; empty if it is, or there is none."""


@endpoint("GET", "/nights/{night}/spot-check", summary="The newest spot check: the next item, or its result")
def spot_check(context: Context, night: str, query: Asking) -> CheckState:
    """Tell how far it is."""
    return _state(context, context.shared(Judged).night(context.night(night)), asked=query.show)


@endpoint("POST", "/nights/{night}/spot-check", summary="Draw a new spot check")
def start(context: Context, night: str, body: Start, query: Asking) -> CheckState:
    """Draw events at random and keep the draw."""
    opened = context.shared(Judged).night(context.night(night))
    checks.draw_spot_check(opened.path, opened.run, body.rater, body.seed)
    return _state(context, opened, asked=query.show)


@endpoint("POST", "/nights/{night}/spot-check/answer", summary="Judge one item; answers the next")
def answer(context: Context, night: str, body: Answer, query: Asking) -> CheckState:
    """Keep a blind label."""
    opened = context.shared(Judged).night(context.night(night))
    check = _newest(opened)
    if check is None or check.id != body.check:
        raise NotFoundError(t("spot_check.another", night=night))
    if body.item >= len(check.items):
        raise BadValueError(t("spot_check.no_item", n=len(check.items), item=body.item))
    item = check.items[body.item]
    add_label(
        opened.path,
        what=body.answer,
        drawn="spot_check",
        rater=body.rater,
        blind=True,
        peaks_ns={item.site: [item.peak_ns]},
        spot_check=check.id,
    )
    return _state(context, opened, asked=query.show)


def _newest(opened: JudgedNight) -> SpotCheck | None:
    drawn = opened.labels.spot_checks
    return drawn[-1] if drawn else None


def _state(context: Context, opened: JudgedNight, *, asked: bool) -> CheckState:
    check = _newest(opened)
    if check is None:
        return CheckState(opened.path.name, None, 0, 0, None, None)
    answers = checks.answers_of(check, opened.labels)
    open_ = [number for number, one in enumerate(answers) if one is None]
    coming = None
    if open_:
        item = check.items[open_[0]]
        at_s = (item.peak_ns - opened.raw.summary.start_ns) / 1e9
        coming = ItemToJudge(open_[0], item.site, at_s)
    hidden = ""
    if not open_:
        try:
            context.check_shown(opened.path, asked=asked)
        except NotShownError as error:
            hidden = str(error)
    return CheckState(
        opened.path.name,
        check.id,
        len(answers),
        len(answers) - len(open_),
        coming,
        None if open_ or hidden else _result(check, opened.labels),
        hidden,
    )


def _result(check: SpotCheck, labels: Labels) -> Result:
    outcome = checks.outcome_of(check, labels)
    answers = zip(check.items, checks.answers_of(check, labels), strict=True)
    said = [one for item, one in answers if item.counted and one != "cannot_tell"]
    precision, missed = (
        ShareOut(one.value, one.low, one.high) for one in (outcome.precision, outcome.missed)
    )
    return Result(precision, len(said), said.count("twitch"), missed, outcome.cannot_tell)
