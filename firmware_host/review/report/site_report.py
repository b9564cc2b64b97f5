"""What a report says of one site of a night."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from firmware_host import body
from firmware_host.analysis import Run
from firmware_host.recording import Night
from firmware_host.twitch_map import State, inside
from firmware_host.twitch_map.night_figures import busy_minutes, is_active, sizes, waits
from firmware_host.twitches import Kind, Table

LITTLE_S = 1800.0
"""With less valid time a night says little of a site."""


class SiteReport(msgspec.Struct, frozen=True):
    """One site of a night; numbers that are not known are null."""

    number: int
    """Its number on the body and beside its strip, from head to foot."""
    site: str
    label: str
    base: str
    """The place on the body: two sensors may share one."""
    side: str
    region: str
    state: str
    """observed, wear_unconfirmed, not_observed or not_worn."""
    twitches: int
    expected_false: float
    rate_raw_per_h: float
    rate_per_h: float
    rate_low: float
    rate_high: float
    detection_limit_mg: float
    limit: str
    """known, not_reached (by no size that was tried) or not_measured."""
    busy_minutes: int
    """Minutes with five twitches and more, of"""
    whole_minutes: int
    """those of the clock that were valid from beginning to end."""
    wait_s: tuple[float, float, float]
    """Quartiles of the time from a twitch to the next; null with `watched_s` > 0: longer than that."""
    watched_s: float
    size_mg: tuple[float, float, float]
    """Quartiles of the counted twitches' sizes, peak to peak in 3-45 Hz."""
    active: bool
    """Two twitches and more within a minute."""
    valid_s: float
    unconfirmed_s: float
    """Valid time in which wearing the sensor cannot be shown."""
    little: bool
    """Less than half an hour was valid."""
    seconds: dict[str, float]
    """What the site's night was good for: valid, movement, gap, clipped, not_worn, noisy, excluded."""
    sensor: str
    serial: str
    firmware: str
    placement: str
    fs_nominal_hz: float
    fs_hz: float
    range_g: float | None
    noise_mg_per_sqrt_hz: float | None


def site_report(
    number: int, night: Night, run: Run, total: np.void, events: Table, coverage: Table
) -> SiteReport:
    """Return one site.

    Parameters
    ----------
    number
        Its number in the report.
    total
        A row of `COUNT_DTYPE`: its whole night.
    events : EVENT_DTYPE
        Its counted events.
    coverage : COVERAGE_DTYPE
        Its night.
    """
    name = str(total["site"])
    place, info = body.site(name), night.meta.sensor(name)
    facts = next(one for one in run.summary.sites if one.site == name)
    valid = coverage[coverage["kind"] == Kind.VALID]
    seen = events[inside(events["peak_s"], valid)]
    seen = seen[np.argsort(seen["peak_s"], kind="stable")]
    busy, whole = busy_minutes(seen["peak_s"], valid, run.summary.start_ns, run.summary.duration_s)
    wait, size = waits(seen["peak_s"], valid), sizes(seen["peak_to_peak_mg"])
    limit_mg = float(total["detection_limit_mg"])
    numbers = ("expected_false", "rate_raw_per_h", "rate_per_h", "rate_low", "rate_high", "valid_s")
    return SiteReport(
        number=number,
        site=name,
        label=place.label,
        base=place.base,
        side=place.side,
        region=place.region,
        state=State(int(total["state"])).name.lower(),
        twitches=int(total["twitches"]),
        detection_limit_mg=limit_mg,
        limit="known"
        if math.isfinite(limit_mg)
        else "not_measured"
        if math.isnan(limit_mg)
        else "not_reached",
        busy_minutes=busy,
        whole_minutes=whole,
        wait_s=(wait.quartiles.low, wait.quartiles.median, wait.quartiles.high),
        watched_s=wait.longest_s,
        size_mg=(size.low, size.median, size.high),
        active=is_active(seen["peak_s"]),
        unconfirmed_s=_seconds(valid[valid["wear_unconfirmed"]]),
        little=float(total["valid_s"]) < LITTLE_S,
        seconds={kind.name.lower(): _seconds(coverage[coverage["kind"] == kind]) for kind in Kind},
        sensor=info.model,
        serial=info.serial,
        firmware=info.firmware,
        placement=info.placement,
        fs_nominal_hz=info.fs_hz,
        fs_hz=facts.fs_hz,
        range_g=info.range_g,
        noise_mg_per_sqrt_hz=facts.noise_mg_per_sqrt_hz,
        **{column: float(total[column]) for column in numbers},
    )


def _seconds(rows: Table) -> float:
    return float(np.sum(rows["end_s"] - rows["start_s"]))
