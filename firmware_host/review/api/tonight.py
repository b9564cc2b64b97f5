"""Tonight: how the evening stands, start, stop and marks."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from firmware_host import body as places
from firmware_host.recording.live_status import SensorNow
from firmware_host.recording.marks import leave_mark
from firmware_host.review.detecting import Detecting, State
from firmware_host.review.endpoints import Context, endpoint
from firmware_host.review.evening import Evening, Live, Phase, Setup
from firmware_host.review.jobs import JobShown, job_shown
from firmware_host.review.last_night import LastNight

SILENT_S = 20.0
"""A recorder that has written no status for so long does not answer."""


class LiveSensor(msgspec.Struct, frozen=True, kw_only=True):
    """How one sensor is doing."""

    site: str
    label: str
    """What a person reads: "left calf"."""
    state: Literal["streaming", "starting", "lost", "waiting"]
    """`lost`: data came and do so no more; `waiting`: none has come yet."""
    since_s: float | None
    """Seconds since the last data."""
    fs_hz: float | None
    samples: int
    lost_share: float | None
    """Of the samples since it was connected, as far as its protocol tells."""
    battery_percent: int | None
    battery_ends_ns: int | None
    """UTC, forecast; None: not known."""
    rssi_dbm: int | None
    trouble: str | None


class Said(msgspec.Struct, frozen=True):
    """Something that changed in the night, and when (UTC)."""

    utc_ns: int
    sentence: str


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """The night that is being recorded."""

    night: str
    start_ns: int | None
    """UTC; None: the recorder has not said yet."""
    end_ns: int | None
    """UTC, as planned."""
    time_zone: str
    virtual: bool
    answers: bool
    """False: the recorder runs and has said nothing for a while."""
    sensors: tuple[LiveSensor, ...]
    disk_free_bytes: int | None
    trouble: str | None
    """What the disk refuses, a sentence."""
    advice: tuple[str, ...]
    """What somebody should see to before sleeping."""
    said: tuple[Said, ...]
    """The newest sentences, oldest first."""


class Search(msgspec.Struct, frozen=True):
    """The search for twitches in a night."""

    state: State
    progress: float
    """0 to 1."""
    sentence: str
    """What went wrong, or what is to be known besides."""


class Tonight(msgspec.Struct, frozen=True, kw_only=True):
    """How the evening stands."""

    phase: Phase
    now_ns: int
    """UTC."""
    setup: Setup | None
    trouble: str | None
    """Why the recorder did not start, or the set-up cannot be read."""
    job: JobShown | None
    """The program that was started last: scan, setup, check."""
    recording: Recording | None
    last: LastNight | None
    """The newest night that has ended, within 18 h."""
    search: Search | None
    """Of the last night, where the page asked for it."""


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A night to be recorded with the set-up of the folder."""

    until: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    """On the wall clock; neither this nor hours: as the set-up says."""
    hours: Annotated[float, Meta(gt=0, le=48)] | None = None
    new: bool = False
    """Begin a new night though one was broken off; else that one goes on."""
    detect: bool = True
    """Look for twitches at the end."""


class NewMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is marked now."""

    text: Annotated[str, Meta(max_length=200)] = ""


class Marked(msgspec.Struct, frozen=True):
    """What was marked, and in which night."""

    night: str
    text: str


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing needs to be said."""


@endpoint("GET", "/tonight", summary="How the evening stands: set-up, recording, the last night")
def tonight(context: Context) -> Tonight:
    """Tell how the evening stands; to be asked every few seconds."""
    evening = context.shared(Evening)
    now, now_ns = evening.now(), time.time_ns()
    search = None if now.last is None else context.shared(Detecting).of(now.last.night)
    return Tonight(
        phase=now.phase,
        now_ns=now_ns,
        setup=now.setup,
        trouble=now.trouble,
        job=None if evening.job is None else job_shown(evening.job),
        recording=None if now.live is None else _recording(now.live, now_ns),
        last=now.last,
        search=None if search is None else Search(search.state, search.progress, search.sentence),
    )


@endpoint("POST", "/tonight/start", summary="Start the recorder")
def start(context: Context, body: Start) -> Tonight:
    """Start the recorder, a process of its own: neither the page's end nor the server's ends it."""
    arguments = ["--new"] if body.new else []
    if body.until is not None:
        arguments += ["--until", body.until]
    if body.hours is not None:
        arguments += ["--hours", repr(body.hours)]
    if not body.detect:
        arguments.append("--no-detect")
    context.shared(Evening).start(arguments)
    return tonight(context)


@endpoint("POST", "/tonight/stop", summary="End the night")
def stop(context: Context, body: Nothing) -> Tonight:  # noqa: ARG001
    """Ask the recorder for a normal end; it takes a few seconds."""
    context.shared(Evening).stop()
    return tonight(context)


@endpoint("POST", "/tonight/marks", summary="Mark this moment of the night")
def mark(context: Context, body: NewMark) -> Marked:
    """Leave a mark for the recorder, as `twitchmap mark` does."""
    text = " ".join(body.text.split())
    return Marked(leave_mark(context.folder, text).name, text)


def _recording(live: Live, now_ns: int) -> Recording:
    status = live.status
    if status is None:
        return Recording(
            night=live.night.name,
            start_ns=None,
            end_ns=None,
            time_zone="UTC",
            virtual=False,
            answers=True,
            sensors=(),
            disk_free_bytes=None,
            trouble=None,
            advice=(),
            said=(),
        )
    return Recording(
        night=live.night.name,
        start_ns=status.start_ns,
        end_ns=status.end_ns,
        time_zone=status.time_zone,
        virtual=status.virtual,
        answers=now_ns - status.utc_ns < SILENT_S * 1e9,
        sensors=tuple(_sensor(one, now_ns) for one in status.sensors),
        disk_free_bytes=status.disk_free_bytes,
        trouble=status.trouble,
        advice=status.advice,
        said=tuple(Said(one.utc_ns, one.sentence) for one in status.said),
    )


def _sensor(one: SensorNow, now_ns: int) -> LiveSensor:
    state: Literal["streaming", "starting", "lost", "waiting"] = "waiting"
    if one.state == "streaming":
        state = "streaming" if one.samples else "starting"
    elif one.last_data_ns is not None:
        state = "lost"
    elif one.state in {"connecting", "starting"}:
        state = "starting"
    return LiveSensor(
        site=one.site,
        label=places.site(one.site).label,
        state=state,
        since_s=None if one.last_data_ns is None else max(0.0, (now_ns - one.last_data_ns) / 1e9),
        fs_hz=one.fs_hz,
        samples=one.samples,
        lost_share=one.lost_share,
        battery_percent=one.battery_percent,
        battery_ends_ns=one.battery_ends_ns,
        rssi_dbm=one.rssi_dbm,
        trouble=one.trouble,
    )
