"""`labels.jsonl`: what a reviewer said of a night's twitches, in the order in which it was said.

A label names sites and absolute times, never a row of the results, so that it holds for every detection run,
of today and of later. Nothing is ever taken out: to undo is another line.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from firmware_host.errors import BadValueError, NightBusyError
from firmware_host.recording.blocks import Damage
from firmware_host.recording.journal import Journal, Lines
from firmware_host.recording.night import LATEST_START_NS

LABELS_FILE = "labels.jsonl"
LONGEST_RATER = 80
MOST_EVENTS = 2_000_000
"""Events that one label may name."""

Verdict = Literal["twitch", "not_twitch", "cannot_tell", "no_verdict", "added"]
"""Of events. `cannot_tell` leaves what was said before, `no_verdict` takes it away."""
Stretches = Literal["exclude", "include", "worn", "not_worn"]
"""Of stretches of time: not to be looked at, or after all; the answer to "was the sensor on?"."""
Drawn = Literal["event", "doubtful", "pile", "unit", "range", "spot_check", "added", "wear"]
"""How a reviewer came to what was labelled."""
TimeNs = Annotated[int, msgspec.Meta(ge=0, lt=LATEST_START_NS)]
STRETCHES: tuple[str, ...] = get_args(Stretches)


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="label"):
    """One decision, however many events it is about."""

    id: str
    utc_ns: int
    rater: str
    what: Verdict | Stretches
    drawn: Drawn
    blind: bool = False
    """The rater saw neither what the detector says nor any label."""
    peaks_ns: dict[str, list[TimeNs]] = msgspec.field(default_factory=dict)
    """By site, UTC: the events that a verdict is about."""
    sites: tuple[str, ...] = ()
    """Where a stretch of time is meant."""
    start_ns: TimeNs = 0
    end_ns: TimeNs = 0
    """UTC: the stretch that is meant."""
    spot_check: str = ""
    """The spot check that it answers."""


class Undo(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="undo"):
    """Takes the newest label back that is not taken back yet."""

    id: str
    utc_ns: int
    rater: str
    of: str
    """Its id."""


class Redo(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="redo"):
    """Gives the label back that was taken back last, if no label came since."""

    id: str
    utc_ns: int
    rater: str
    of: str


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One event of a spot check."""

    site: str
    peak_ns: TimeNs
    counted: bool


class SpotCheck(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="spot_check"):
    """Events drawn at random to be judged blind, in the order in which they are shown."""

    id: str
    utc_ns: int
    rater: str
    seed: int
    detector: str
    """Who judged what was drawn from: detector, model with the hash of its file, operating point and pass."""
    counted: int
    rejected: int
    """How many counted events and rejected candidates it was drawn from."""
    items: tuple[Item, ...]


Line = Label | Undo | Redo | SpotCheck


@dataclass(frozen=True)
class Labels:
    """What holds of a night's labels."""

    active: tuple[Label, ...] = ()
    """In the order in which they were given."""
    undone: tuple[Label, ...] = ()
    """Those that can be given back, the next one last."""
    spot_checks: tuple[SpotCheck, ...] = ()
    damage: tuple[Damage, ...] = ()


def replay(lines: Lines[Line]) -> Labels:
    """Return what holds after all lines; nothing that was taken back is given back past a new label."""
    active: dict[str, Label] = {}
    undone: dict[str, Label] = {}
    spot_checks: list[SpotCheck] = []
    for line in lines.entries:
        match line:
            case Label():
                active[line.id] = line
                undone.clear()
            case SpotCheck():
                spot_checks.append(line)
            case Undo() if line.of in active:
                undone[line.of] = active.pop(line.of)
            case Redo() if line.of in undone:
                active[line.of] = undone.pop(line.of)
            case _:  # of a label that a damaged line held
                pass
    return Labels(tuple(active.values()), tuple(undone.values()), tuple(spot_checks), lines.damage)


def read_labels(night: Path) -> Labels:
    """Read the labels of a night's folder; none where there is no file. Raises as `Journal.read`."""
    return replay(_journal(night).read())


def add_label(
    night: Path,
    *,
    what: Verdict | Stretches,
    drawn: Drawn,
    rater: str = "",
    blind: bool = False,
    peaks_ns: dict[str, list[int]] | None = None,
    sites: Sequence[str] = (),
    start_ns: int = 0,
    end_ns: int = 0,
    spot_check: str = "",
) -> Labels:
    """Add a label, made now, to a night's folder; see `Label` for the parameters.

    Raises
    ------
    BadValueError
        If it names nothing, or what cannot be.
    NotFoundError, NightBusyError, StorageError
        As `Journal.append`.
    """
    label = Label(
        id=secrets.token_hex(8),
        utc_ns=time.time_ns(),
        rater=rater,
        what=what,
        drawn=drawn,
        blind=blind,
        peaks_ns={site: peaks for site, peaks in (peaks_ns or {}).items() if peaks},
        sites=tuple(sites),
        start_ns=start_ns,
        end_ns=end_ns,
        spot_check=spot_check,
    )
    _check(label)
    return _add(night, lambda _: [label])


def add_spot_check(night: Path, check: SpotCheck) -> Labels:
    """Keep a spot check that was drawn; raises as `Journal.append`."""
    return _add(night, lambda _: [check])


def undo(night: Path, rater: str = "", of: str | None = None) -> Labels:
    """Take the newest label back; nothing happens where there is none.

    Raises
    ------
    NightBusyError
        If that is not the label `of`: somebody else has said something since.
    NotFoundError, StorageError
        As `Journal.append`.
    """
    return _add(night, lambda now: [_of(Undo, label, rater) for label in _meant(now.active, of)])


def redo(night: Path, rater: str = "", of: str | None = None) -> Labels:
    """Give the label back that was taken back last; raises as `undo`."""
    return _add(night, lambda now: [_of(Redo, label, rater) for label in _meant(now.undone, of)])


def _meant(labels: Sequence[Label], of: str | None) -> Sequence[Label]:
    if of is not None and [label.id for label in labels[-1:]] != [of]:
        raise NightBusyError("Something else was said of this night since: nothing was changed.")
    return labels[-1:]


def _add(night: Path, make: Callable[[Labels], Sequence[Line]]) -> Labels:
    return replay(_journal(night).append(lambda lines: make(replay(lines))))


def _journal(night: Path) -> Journal[Line]:
    return Journal(night / LABELS_FILE, Line)


def _of(kind: type[Undo] | type[Redo], label: Label, rater: str) -> Undo | Redo:
    return kind(id=secrets.token_hex(8), utc_ns=time.time_ns(), rater=rater[:LONGEST_RATER], of=label.id)


def _check(label: Label) -> None:
    """Check a label where it is made; whether night and times fit is known to who made it."""
    if len(label.rater) > LONGEST_RATER:
        raise BadValueError(f"A rater's name has at most {LONGEST_RATER} characters.")
    if label.what in STRETCHES:
        if not (label.sites and 0 <= label.start_ns < label.end_ns < LATEST_START_NS):
            raise BadValueError(f"{label.what!r} needs a site, and a start before its end.")
        return
    if not label.peaks_ns:
        raise BadValueError("No event was named: nothing was labelled.")
    if sum(map(len, label.peaks_ns.values())) > MOST_EVENTS:
        raise BadValueError(f"One label may name {MOST_EVENTS} events at most.")
    if any(not 0 <= min(peaks) <= max(peaks) < LATEST_START_NS for peaks in label.peaks_ns.values()):
        raise BadValueError("An event lies at no time that can be: give ns since 1970, before 2200.")
