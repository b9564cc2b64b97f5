"""What a program that was started for the page has to say: its progress and, at its end, its answer."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from firmware_host import body
from firmware_host.errors import BadValueError
from firmware_host.review.processes import Job, Kind
from firmware_host.review.texts import t

T = TypeVar("T")


class FoundSensor(msgspec.Struct, frozen=True):
    """A sensor in range."""

    address: str
    name: str = ""
    label: str | None = None
    """Its model."""
    rssi_dbm: int | None = None
    site: str | None = None
    """Where the set-up has it."""


class MeasuredSensor(msgspec.Struct, frozen=True):
    """What its samples showed."""

    fs_hz: float
    lost_share: float
    smallest_twitch_mg: float


class CheckedSensor(msgspec.Struct, frozen=True):
    """A sensor as the check found it."""

    site: str
    where: str = ""
    """What a person reads: "left calf"."""
    label: str | None = None
    """Its model."""
    name: str | None = None
    streams: bool = False
    found: bool = False
    rssi_dbm: int | None = None
    battery_percent: int | None = None
    battery_ends_ns: int | None = None
    """UTC, forecast."""
    measured: MeasuredSensor | None = None
    trouble: str | None = None
    advice: tuple[str, ...] = ()


class Checked(msgspec.Struct, frozen=True):
    """The check before a night."""

    ready: bool
    sensors: tuple[CheckedSensor, ...]
    radio: str | None
    plan: tuple[str, ...]
    computer: tuple[str, ...]
    to_do: tuple[str, ...]


class JobShown(msgspec.Struct, frozen=True, kw_only=True):
    """A program that was started for the page."""

    kind: Kind
    running: bool
    cancelled: bool
    said: tuple[str, ...]
    """The newest sentences, oldest first."""
    asked: str | None
    """Site whose sensor is to be tapped now."""
    asked_label: str | None
    placed: tuple[str, ...]
    """Sites whose sensors are known."""
    error: str | None
    """Why it did not do what it should, a sentence."""
    found: tuple[FoundSensor, ...] | None
    """Of a scan that has ended."""
    checked: Checked | None
    """Of a check that has ended."""


class _Scanned(msgspec.Struct, frozen=True):
    found: tuple[FoundSensor, ...]


def job_shown(job: Job) -> JobShown:
    """Return how a program stands."""
    code = job.code
    found = _answer(job, _Scanned) if job.kind == "scan" and code == 0 else None
    checked = _answer(job, Checked) if job.kind == "check" and code in {0, 1} else None
    said = tuple(job.said)
    error = None
    if code and checked is None and not job.cancelled:
        error = said[-1] if said else t("tonight.job_failed")
    return JobShown(
        kind=job.kind,
        running=code is None,
        cancelled=job.cancelled,
        said=said,
        asked=job.asked if code is None else None,
        asked_label=_label(job.asked) if job.asked and code is None else None,
        placed=tuple(job.placed),
        error=error,
        found=found.found if found else None,
        checked=_labelled(checked) if checked else None,
    )


def _answer(job: Job, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(job.answer, type=kind)
    except msgspec.MsgspecError:
        return None


def _labelled(checked: Checked) -> Checked:
    sensors = (msgspec.structs.replace(one, where=_label(one.site)) for one in checked.sensors)
    return msgspec.structs.replace(checked, sensors=tuple(sensors))


def _label(site: str) -> str:
    try:
        return body.site(site).label
    except BadValueError:
        return site
