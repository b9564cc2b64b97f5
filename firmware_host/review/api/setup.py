"""The evening's set-up: which sensors are in range, which sits where, whether all is ready."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from firmware_host import body as places
from firmware_host.errors import BadValueError
from firmware_host.review.api.tonight import Nothing
from firmware_host.review.endpoints import Context, endpoint
from firmware_host.review.evening import Evening
from firmware_host.review.jobs import JobShown, job_shown
from firmware_host.review.processes import Kind
from firmware_host.review.texts import t

PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""No control characters: these texts become arguments of a program."""
TRIAL_MODEL = "witmotion"
"""The model that made-up sensors play."""


class PlacedSensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A site that is to have a sensor."""

    site: Annotated[str, Meta(max_length=40)]
    who: Annotated[str, Meta(max_length=100, pattern=PLAIN)] = ""
    """Its address or name; empty: it is told by a tap."""
    placement: Annotated[str, Meta(max_length=200, pattern=PLAIN)] = ""
    """How it sits there, in the user's words."""


class NewSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An evening to be set up."""

    sensors: Annotated[tuple[PlacedSensor, ...], Meta(min_length=1, max_length=12)]
    trial: bool = False
    """Made-up sensors, to try everything without hardware."""
    until: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    participant: Annotated[str, Meta(max_length=60, pattern=PLAIN)] | None = None
    """A pseudonym."""


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long each sensor is looked at, or listened for."""

    seconds: Annotated[float, Meta(ge=3, le=60)] | None = None


@endpoint("POST", "/tonight/scan", summary="Look for sensors in range")
def scan(context: Context, body: Listen) -> JobShown:
    """Start looking for sensors; what was found stands in `job` of the evening."""
    return _run(context, "scan", ["--seconds", repr(body.seconds or 8.0)])


@endpoint("POST", "/tonight/setup", summary="Find out which sensor sits where, and keep it")
def setup(context: Context, body: NewSetup) -> JobShown:
    """Start the set-up; `job` of the evening says when which sensor is to be tapped."""
    sites = [places.site(one.site).name for one in body.sensors]
    if len(set(sites)) < len(sites):
        raise BadValueError(t("tonight.site_twice"))
    arguments = ["--steps"]
    for one in body.sensors:
        if body.trial:
            arguments += ["--virtual", f"{one.site}={TRIAL_MODEL}"]
        elif one.who:
            arguments += ["--sensor", f"{one.site}={one.who}"]
        if one.placement:
            arguments += ["--placement", f"{one.site}={one.placement}"]
    if body.until is not None:
        arguments += ["--until", body.until]
    if body.participant is not None:
        arguments.append(f"--participant={body.participant}")
    tapped = [one.site for one in body.sensors if not one.who and not body.trial]
    return _run(context, "setup", arguments, tapped)


@endpoint("POST", "/tonight/check", summary="Check all that a night needs")
def check(context: Context, body: Listen) -> JobShown:
    """Start the check; its report stands in `job` of the evening."""
    return _run(context, "check", ["--seconds", repr(body.seconds or 20.0)])


@endpoint("POST", "/tonight/cancel", summary="End the program that runs for the page; never the recorder")
def cancel(context: Context, body: Nothing) -> JobShown | None:  # noqa: ARG001
    """End scan, set-up or check."""
    evening = context.shared(Evening)
    evening.cancel()
    return None if evening.job is None else job_shown(evening.job)


def _run(context: Context, kind: Kind, arguments: list[str], rest: list[str] | None = None) -> JobShown:
    folder = ["--dir", str(context.folder.resolve())]
    return job_shown(context.shared(Evening).run(kind, [*arguments, *folder, "--json", "--", *(rest or [])]))
