"""A night made up row by row, as maps and the terminal draw it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from firmware_host.review.charts.map_data import MapData
from firmware_host.twitch_map import twitch_map
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, table

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 11, 22, 22, 31, tzinfo=BERLIN)


def ns(moment: datetime) -> int:
    """Return a moment as UTC nanoseconds."""
    return int(moment.timestamp()) * 10**9


def night(
    *sites: str, start: datetime = START, hours: float = 8.0, origin: str = "recorded", title: str = "A night"
) -> MapData:
    """Make a night: sites twitch 30 times an hour; the first has a gap, the second is taken off after 5 h."""
    end_s = 3600 * hours
    rng = np.random.default_rng(1)
    events, coverage = [np.zeros(0, EVENT_DTYPE)], [np.zeros(0, COVERAGE_DTYPE)]
    for index, name in enumerate(sites):
        kind = (Kind.GAP, Kind.NOT_WORN, Kind.MOVEMENT)[min(index, 2)]
        edges = ((2, 3), (5, hours), (4, 4.1))[min(index, 2)]
        spans = [(0.0, edges[0], Kind.VALID), (edges[0], edges[1], kind), (edges[1], hours, Kind.VALID)]
        spans = [span for span in spans if span[1] > span[0]]
        starts, ends, kinds = zip(*spans, strict=True)
        coverage.append(
            table(
                COVERAGE_DTYPE, len(spans), site=name, kind=kinds,
                start_s=3600 * np.array(starts), end_s=3600 * np.array(ends),
            )
        )  # fmt: skip
        peaks = np.sort(rng.uniform(0, end_s, int(30 * hours)))
        events.append(table(EVENT_DTYPE, len(peaks), site=name, peak_s=peaks, onset_s=peaks, counted=True))
    tables = np.concatenate(events), np.concatenate(coverage), sites, ns(start)
    bins, totals = (twitch_map(*tables, bin_s, end_s) for bin_s in (900.0, None))
    end_ns = ns(start) + round(end_s * 1e9)
    return MapData(title, ns(start), end_ns, "Europe/Berlin", origin, bins, totals, tables[1])
