"""A detection run in brief, as it is stored with it: what each site's night held."""

from __future__ import annotations

import msgspec

from firmware_host.analysis.labelled import site_slices
from firmware_host.errors import BadFileError
from firmware_host.recording import RunInfo
from firmware_host.twitch_map import SiteLimit
from firmware_host.twitches import Kind, Table


class SiteSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one site's night held: rates, what it was good for in seconds, twitches, noise and limit."""

    site: str
    fs_hz: float
    fs_nominal_hz: float
    seconds: dict[str, float]
    twitches: int
    noise_mg_per_sqrt_hz: float | None
    limit: SiteLimit | None = None
    """None where it was not measured."""
    rate_per_h: float | None = None
    """Of the whole night, as `twitch_map` has it; None where nothing was observed or it was not kept."""


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run in brief; stored with it as JSON."""

    start_ns: int
    duration_s: float
    sites: tuple[SiteSummary, ...]
    warnings: tuple[str, ...]
    samples_sha256: str


def summary_of(info: RunInfo) -> Summary:
    """Return the summary that is stored with a run.

    Raises
    ------
    BadFileError
        If a program that knows other summaries made it.
    """
    try:
        return msgspec.json.decode(info.summary, type=Summary)
    except msgspec.DecodeError as error:
        raise BadFileError(
            f"The run {info.run_id} is of another twitchmap, or damaged: detect again."
        ) from error


def with_limits(summary: Summary, coverage: Table) -> Summary:
    """Return a summary whose detection limits are those of the valid time of a coverage."""
    valid = coverage[coverage["kind"] == Kind.VALID]
    covered = site_slices(valid)
    sites = (
        msgspec.structs.replace(one, limit=one.limit.within(valid[covered.get(one.site, slice(0, 0))]))
        if one.limit is not None
        else one
        for one in summary.sites
    )
    return msgspec.structs.replace(summary, sites=tuple(sites))


def seconds_by_kind(covered: Table) -> dict[str, float]:
    """Return the seconds of each kind in some coverage."""
    lengths_s = covered["end_s"] - covered["start_s"]
    return {kind.name.lower(): float(lengths_s[covered["kind"] == kind].sum()) for kind in Kind}
