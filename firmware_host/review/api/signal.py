"""The signal: bins of ever longer time for a view from afar, samples for a close one."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from firmware_host.errors import BadValueError, NightBusyError
from firmware_host.review.endpoints import Binary, Context, endpoint
from firmware_host.review.opened import opened_of
from firmware_host.review.texts import t
from firmware_host.review.view_cache.band import band_hz
from firmware_host.review.view_cache.levels import CHANNELS, FACTOR, base_ns
from firmware_host.review.view_cache.samples import samples_between
from firmware_host.review.view_cache.views import Views

MOST_SITES = 8
MOST_BINS = 16_384
LONGEST_S = 600.0

Sites = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_SITES)]


class SignalState(msgspec.Struct, frozen=True):
    """Whether the view of the whole night is ready, and how its levels are."""

    ready: bool
    share: float
    """How much of it is made."""
    problem: str
    """Why it cannot be made; empty where it can."""
    base_s: float
    """Length of the lowest level's bins."""
    factor: int
    """Bins of a level that make one of the next."""
    levels: int
    channels: tuple[str, ...]
    band_hz: dict[str, tuple[float, float]]
    """By site: the band of its band-passed trace; slow sensors have a narrower one."""


@endpoint("GET", "/nights/{night}/signal", summary="Whether the view of the signal is ready")
def signal_state(context: Context, night: str) -> SignalState:
    """Return the state of the view; one that is not there begins to be made."""
    whole = opened_of(context).night(context.night(night))
    cache, share, problem = context.shared(Views).ask(whole)
    length_ns = cache.contents.base_ns if cache else base_ns(whole.end_ns - whole.start_ns)
    return SignalState(
        ready=cache is not None,
        share=share,
        problem=problem,
        base_s=length_ns / 1e9,
        factor=FACTOR,
        levels=len(cache.contents.sensors[0].levels) if cache else 0,
        channels=CHANNELS,
        band_hz={info.site: band_hz(info.fs_hz) for info in whole.meta.sensors},
    )


class BinsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which sites, and which bins of which level."""

    sites: Sites
    level: Annotated[int, msgspec.Meta(ge=0, le=20)]
    first: Annotated[int, msgspec.Meta(ge=0, le=2**40)]
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST_BINS)]


@endpoint("GET", "/nights/{night}/signal/bins", summary="Smallest and largest values in time bins")
def signal_bins(context: Context, night: str, query: BinsQuery) -> Binary:
    """Return float32 in mg of each site, channel (x, y, z, band), smallest and largest, and bin.

    It is NaN where there are no samples. Bin n of a level begins n times its length after the night's start.
    """
    whole = opened_of(context).night(context.night(night))
    sensors = [whole.meta.sensor(site).index for site in query.sites]
    cache, _, problem = context.shared(Views).ask(whole)
    if cache is None:
        raise NightBusyError(problem or t("night.view_making", night=whole.path.name))
    rows = [cache.read(sensor, query.level, query.first, query.count) for sensor in sensors]
    return Binary(
        b"".join(np.ascontiguousarray(one.transpose(1, 2, 0)).astype("<f4").tobytes() for one in rows)
    )


class SamplesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which sites, from when to when, in seconds from the night's start."""

    sites: Sites
    from_s: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
    to_s: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


@endpoint("GET", "/nights/{night}/signal/samples", summary="Samples of a short time, and their band")
def signal_samples(context: Context, night: str, query: SamplesQuery) -> Binary:
    """Return the number of rows of each site as uint32, then each site's rows of five float32.

    A row is seconds after `from_s`, x, y, z and the size of the movement in the band, in mg; a row of NaN
    stands where samples are missing.
    """
    if not 0 < query.to_s - query.from_s <= LONGEST_S:
        raise BadValueError(t("night.too_long", most=f"{LONGEST_S:.0f}", s=f"{query.to_s - query.from_s:g}"))
    whole = opened_of(context).night(context.night(night))
    rows = [samples_between(whole, site, query.from_s, query.to_s) for site in query.sites]
    sizes = np.array([len(one) for one in rows], "<u4").tobytes()
    return Binary(sizes + b"".join(one.astype("<f4", copy=False).tobytes() for one in rows))
