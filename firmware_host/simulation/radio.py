"""The radio link: whether and when the samples of a sensor arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.simulation.bodies import Grid, log_uniform
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.twitches import Floats


@dataclass(frozen=True)
class Delivery:
    """Samples as they arrive: rows [start, stop) of the grid, counter of the first, arrival time."""

    start: int
    stop: int
    first: int
    arrival_s: float


@dataclass(frozen=True)
class Troubles:
    """How often a link fails, and for how long; all shares are of sensor-nights."""

    loss_share: Range = (0.001, 0.05)
    """Share of notifications that never come, log-uniform; wearables lose <= 9 % with, up to 49 % without
    storage of their own (Boettcher 2022)."""
    bad_night_share: float = 0.04
    bad_loss_share: Range = (0.2, 0.5)
    burst_s: Range = (0.3, 6.0)
    """Mean length of the bad state of a Gilbert-Elliott channel, log-uniform (assumption)."""
    reconnects_per_h: float = 0.25
    """(assumption)"""
    away_s: Range = (3.0, 120.0)
    long_absence_share: float = 0.08
    """The sleeper is in another room, or the computer is (assumption)."""
    long_absence_s: Range = (600.0, 7200.0)
    reboot_share: float = 0.04
    """The sensor starts anew and counts from 0 (assumption)."""
    counts_on_share: float = 0.5
    """Sensors that go on counting while they are out of reach; the others count anew (assumption)."""
    repeated_share: float = 2e-4
    """Blocks that come twice (assumption)."""


NO_TROUBLES = Troubles(
    loss_share=(0.0, 0.0),
    bad_night_share=0.0,
    reconnects_per_h=0.0,
    long_absence_share=0.0,
    reboot_share=0.0,
    repeated_share=0.0,
)
"""A link that only scatters and stalls."""
BAD_STATE_LOSS = 0.8
"""Share of the notifications that are lost in the bad state (assumption)."""
BLOCK_S = 10.0
"""The recorder's blocks are shorter; longer ones make a simulated night quicker to write."""
JITTER_S = 0.030
"""Arrival over the radio scatters by up to about 30 ms (MbientLab forum) ..."""
LATE_S = 0.006
"""... with a tail: residuals of -17 to +26 ms, at most 71 ms, in a log of a wearable (BNO055, 100 Hz)."""
STALL_SHARE = 0.01
STALL_S: Range = (0.1, 2.0)
PACKET_S: Range = (0.05, 0.2)
"""A notification carries 5 to 20 samples at 100 Hz."""


@dataclass(frozen=True)
class Connection:
    """One connection of a sensor: from when to when, what begins it, and why it ended."""

    start_s: float
    end_s: float
    opening: str = "connected"
    """`connected`, or `restarted` after the sensor started anew."""
    reason: str = "end"


@dataclass(frozen=True)
class Fate:
    """What becomes of one sensor's link in a night."""

    connections: tuple[Connection, ...]
    loss_share: float
    burst_s: float
    packet_s: float
    counts_on: bool
    repeated_share: float


def draw_fate(
    rng: np.random.Generator, hours: float, troubles: Troubles, dead_from_s: float | None = None
) -> Fate:
    """Draw the fate of a link; nothing comes from a sensor whose battery is empty from `dead_from_s` on."""
    duration_s = hours * 3600
    bad = rng.random() < troubles.bad_night_share
    losses = troubles.bad_loss_share if bad else troubles.loss_share
    share = float(log_uniform(rng, losses, 1)[0]) if losses[0] > 0 else 0.0
    count = int(rng.poisson(troubles.reconnects_per_h * hours))
    breaks = [
        (at, away, "connected", "out of reach")
        for at, away in zip(
            rng.uniform(0.02, 0.98, count), log_uniform(rng, troubles.away_s, count), strict=True
        )
    ]
    if rng.random() < troubles.long_absence_share:
        away = float(log_uniform(rng, troubles.long_absence_s, 1)[0])
        breaks.append((rng.uniform(0.1, 0.8), min(away, 0.25 * duration_s), "connected", "out of reach"))
    if rng.random() < troubles.reboot_share:
        breaks.append((rng.uniform(0.05, 0.95), rng.uniform(8, 40), "restarted", "sensor restarted"))
    connections, begin, opening = [], float(rng.uniform(1, 12)), "connected"
    end_s = duration_s if dead_from_s is None else min(duration_s, dead_from_s)
    for part, away, next_opening, reason in sorted(breaks):
        at = part * duration_s
        if begin + 30 < at < end_s - 30 - away:
            connections.append(Connection(begin, at, opening, reason))
            begin, opening = at + away, next_opening
    connections.append(Connection(begin, end_s, opening, "battery empty" if end_s < duration_s else "end"))
    burst_s = float(log_uniform(rng, troubles.burst_s, 1)[0])
    return Fate(tuple(connections), share, burst_s, float(rng.uniform(*PACKET_S)),
                bool(rng.random() < troubles.counts_on_share), troubles.repeated_share)  # fmt: skip


def showcase_fate(rng: np.random.Generator, hours: float, number: int) -> Fate:
    """Draw the link of the demonstration: the first sensor reconnects, the second is away for long."""
    duration_s, begin = hours * 3600, float(rng.uniform(1, 12))
    connections: tuple[Connection, ...] = (Connection(begin, duration_s),)
    if number in (0, 1):
        away = rng.uniform(0.35, 0.6) * duration_s
        back = away + (duration_s / 16 if number else min(25.0, 0.01 * duration_s))
        connections = (Connection(begin, away, reason="out of reach"), Connection(back, duration_s))
    return Fate(connections, 0.0005, 3.0, float(rng.uniform(*PACKET_S)), False, 0.0)


def lost_packets(rng: np.random.Generator, n: int, share: float, burst: float) -> npt.NDArray[np.bool_]:
    """Return which of n notifications are lost in a Gilbert-Elliott channel, bool (n,).

    Parameters
    ----------
    share
        Share that is lost over a long time, below `BAD_STATE_LOSS`.
    burst
        Mean length of the bad state in notifications.
    """
    if share <= 0:
        return np.zeros(n, bool)
    in_bad = share / BAD_STATE_LOSS
    burst = max(burst, 1.0, in_bad / (1 - in_bad))
    good = burst * (1 - in_bad) / in_bad
    pairs = int(1.3 * n / (burst + good)) + 20
    lengths = np.stack([rng.geometric(1 / good, pairs), rng.geometric(1 / burst, pairs)], axis=1).ravel()
    first = int(rng.random() * lengths[:2].sum())
    bad = np.repeat(np.arange(2 * pairs) % 2 == 1, lengths)[first : first + n]
    bad = np.pad(bad, (0, n - len(bad)))
    return np.asarray(bad & (rng.random(n) < BAD_STATE_LOSS))


def arrivals(rng: np.random.Generator, grid: Grid, fate: Fate, number: int) -> Iterator[Delivery]:
    """Yield what arrives in one connection, in order of arrival; the sensor's counter counts what is lost."""
    connection = fate.connections[number]
    window = grid.window(connection.start_s, connection.end_s)
    packet = max(1, round(fate.packet_s * grid.fs_hz))
    edges = np.append(np.arange(window.start, window.stop, packet), window.stop)
    lost = lost_packets(rng, len(edges) - 1, fate.loss_share, fate.burst_s / fate.packet_s)
    changes = 1 + np.flatnonzero(lost[1:] != lost[:-1])
    whole = np.arange(0, len(lost), max(1, round(BLOCK_S / fate.packet_s)))
    starts = np.union1d(changes, whole)
    starts = starts[starts < len(lost)]
    stops = np.append(starts[1:], len(lost))
    kept = ~lost[starts]
    starts, stops = starts[kept], stops[kept]
    n = len(starts)
    late: Floats = rng.uniform(0, JITTER_S, n) + rng.exponential(LATE_S, n)
    late += rng.uniform(*STALL_S, n) * (rng.random(n) < STALL_SHARE)
    arrival_s = np.maximum.accumulate(grid.time_s(edges[stops] - 1.0) + late)
    anew = connection.opening == "restarted" or not fate.counts_on
    zero = window.start if anew else 0
    twice = rng.random(n) < fate.repeated_share
    rows = np.stack([edges[starts], edges[stops]], axis=1).tolist()
    for (start, stop), at_s, again in zip(rows, arrival_s.tolist(), twice.tolist(), strict=True):
        for _ in range(1 + again):
            yield Delivery(start, stop, start - zero, at_s)
