"""Events and coverage to counts, valid time, rates and their intervals per site and time bin."""

from __future__ import annotations

from firmware_host.twitch_map.counting import (
    COUNT_COLUMNS,
    COUNT_DTYPE,
    State,
    site_counts,
    twitch_map,
)
from firmware_host.twitch_map.estimate import RateFile, RateModel
from firmware_host.twitch_map.limits import HourLimit, LimitKind, SiteLimit, limit_kind
from firmware_host.twitch_map.rates import MOST_LOST, rates, without_dead_time
from firmware_host.twitch_map.spans import inside, seconds_in

__all__ = [
    "COUNT_COLUMNS",
    "COUNT_DTYPE",
    "MOST_LOST",
    "HourLimit",
    "LimitKind",
    "RateFile",
    "RateModel",
    "SiteLimit",
    "State",
    "inside",
    "limit_kind",
    "rates",
    "seconds_in",
    "site_counts",
    "twitch_map",
    "without_dead_time",
]
