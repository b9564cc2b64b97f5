"""What time stamps mean: times of samples or of arrivals, the rate, and where samples are missing. No I/O.

Stamps of samples stand at even distances, apart from gaps. Stamps of arrivals come in bursts: used as sample
times they tear the signal apart (a motionless sensor then shows 143 "events" an hour), so samples are
counted, and the recording's clock fit finds the time of the count. A pause between arrivals is a gap only
where samples are really missing: where the stamps, compared with the count, never come back to where they
were before the pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Clock = Literal["sample", "arrival"]

SLOWEST_HZ, FASTEST_HZ = 45.0, 5_000.0
"""Twitches cannot be seen below; nothing worn on the skin is sampled above."""
WINDOWS = 48
JITTER = 0.35
"""Steps between stamps of samples differ from the period by less than this share."""
_ODD_SHARE = 0.05
_PAUSE_TIME_SHARE = 0.4
_PAUSES_OF_BURSTS = 5
_COUNTED_SHARE = 0.95
_LONGEST_BURST_NS = 5e9
_BATCHES = (
    "the stamps come in batches many seconds apart, which show neither the times of samples nor their rate; "
    "give the rate with --rate, and the axes without the time with --columns x,y,z"
)
USUAL_HZ = (
    50, 51.2, 52, 60, 62.5, 64, 75, 80, 100, 102.4, 104, 119, 120, 125, 128, 150, 200, 204.8, 208, 238, 240,
    250, 256, 300, 400, 416, 476, 500, 512, 800, 833, 952, 1000, 1024, 1600, 1666, 2000, 2048, 4000, 4096,
    5000,
)  # fmt: skip
_UNITS_NS: dict[str, float] = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
DAYS = "d"
DAY_ZERO_DAYS = 25_569
"""What a spreadsheet shows of 1970-01-01 as a number: its days count from 1899-12-30."""
_DAY_NS = 86_400e9
_DAY_NUMBERS = (36_526, 58_440)  # 2000 to 2059
_COARSE = 0.2
"""Share of the period by which stamps may be rounded."""
_EPOCH_NS = (6.3e17, 4.2e18)  # 1990 to 2103


@dataclass(frozen=True)
class Judgement:
    """What stamps are."""

    clock: Clock
    period_ns: float
    """The period as the windows show it, within about 1 %."""
    repeated: float
    """Share of stamps equal to the one before."""


@dataclass(frozen=True)
class Losses:
    """Where the count of samples leaves the count of rows.

    Before `rows[k]`, `lost[k]` samples are missing; where it is negative that many rows, from `rows[k]` on,
    repeat samples that were there.
    """

    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    lost: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def missing(self) -> int:
        """Samples missing in all gaps."""
        return int(self.lost[self.lost > 0].sum())

    @property
    def repeated(self) -> int:
        """Rows that repeat samples."""
        return int(-self.lost[self.lost < 0].sum())

    def counters(self, start: int, stop: int) -> Ints:
        """Return the sample counters of rows [start, stop)."""
        row = np.arange(start, stop)
        if not len(self.rows):
            return row
        total = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lost)])
        counters: Ints = row + total[np.searchsorted(self.rows, row, side="right")]
        return counters

    def repeats(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Tell the rows of [start, stop) that repeat samples."""
        mask = np.zeros(stop - start, bool)
        again = self.lost < 0
        for row, n in zip(self.rows[again].tolist(), (-self.lost[again]).tolist(), strict=True):
            mask[max(row - start, 0) : max(row + n - start, 0)] = True
        return mask


def window_rows(rows: int) -> int:
    """Return how many rows a window has: enough to show the rate through bursts, few enough for several."""
    return min(max(rows // 12, 512), 4096)


def unit_of_numbers(first: float, steps: Floats, named: str | None) -> tuple[str, bool]:
    """Tell the unit of numeric stamps, and whether they count from 1970; `DAYS` are a spreadsheet's.

    Parameters
    ----------
    first : the first stamp.
    steps : (n,) differences of consecutive stamps.
    named : the unit that the column's name gives.

    Raises
    ------
    ValueError
        If under no unit (or not under the one named) this is a sampling rate.
    """
    forward = np.sort(steps[steps > 0])
    if not len(forward):
        raise ValueError("the time does not go on: the stamps of its rows are all alike, or run backwards")
    if named is None and np.mean(steps == 1) > _COUNTED_SHARE and not _epoch(first, "ms"):
        raise ValueError(
            "the time goes up by 1 a row, which may be milliseconds or a count of rows; "
            "give the rate with --rate, and the axes alone with --columns x,y,z"
        )
    usual = float(np.median(forward))
    kept = forward[: len(forward) - (len(forward) + 199) // 200]  # without gaps, as far as they are few
    mean = float(kept.sum() / max(len(steps) - (len(forward) - len(kept)), 1)) if len(kept) else usual
    unit = named or _unit_of_rate(usual, mean)
    if unit is None and _DAY_NUMBERS[0] <= first < _DAY_NUMBERS[1] and mean * _DAY_NS < 1e9:
        _check_decimals(steps, mean)
        return DAYS, False
    if unit is None:
        raise ValueError(f"rows are {mean:.3g} apart in time, which is no sampling rate in s, ms, us or ns")
    rate = 1e9 / (max(mean, 1e-300) * _UNITS_NS[unit])
    if not 1 <= rate <= 10 * FASTEST_HZ:
        other = _unit_of_rate(usual, mean)
        hint = f"; in {other} it would be {1e9 / (mean * _UNITS_NS[other]):.4g} Hz" if other else ""
        raise ValueError(f"the time is in {unit}, which makes a rate of {rate:.3g} Hz{hint}")
    return unit, _epoch(first, unit)


def _check_decimals(steps: Floats, mean: float) -> None:
    """Refuse day numbers that are cut too short to tell one sample from the next."""
    forward = steps[steps > 0]
    decimals = next((d for d in range(5, 10) if _are_whole(forward * 10**d)), 10)
    if 10.0**-decimals > _COARSE * mean:
        raise ValueError(
            f"the time is in days with {decimals} decimals, {86_400 / 10**decimals:.2g} s each: too coarse "
            f"for {1e9 / (mean * _DAY_NS):.4g} Hz; save 10 decimals, or text with milliseconds"
        )


def _are_whole(numbers: Floats) -> bool:
    return bool(np.abs(numbers - np.rint(numbers)).max() < 0.05 and numbers.min() > 0.5)


def _epoch(stamp: float, unit: str) -> bool:
    """Tell whether a stamp counts from 1970: it then lies in our time."""
    return _EPOCH_NS[0] <= stamp * _UNITS_NS[unit] <= _EPOCH_NS[1]


def _unit_of_rate(usual: float, mean: float) -> str | None:
    """Return the unit that makes the usual step that of a sensor; else (arrivals in bursts) the mean step."""
    fast = 2 * FASTEST_HZ
    for unit, ns in _UNITS_NS.items():
        if 20 <= 1e9 / (usual * ns) <= fast and 5 <= 1e9 / (mean * ns) <= fast:
            return unit
    return next((unit for unit, ns in _UNITS_NS.items() if 20 <= 1e9 / (mean * ns) <= fast), None)


def ns_per(unit: str) -> float:
    """Return the nanoseconds of "s", "ms", "us", "ns" or a day."""
    return _DAY_NS if unit == DAYS else _UNITS_NS[unit]


def judge(windows: Sequence[Ints], stamps: Literal["auto", "sample", "arrival"] = "auto") -> Judgement:
    """Tell times of samples from times of arrivals.

    Parameters
    ----------
    windows : stamps (ns) of windows of consecutive rows, in the order of the file.
    stamps : "auto", or what the user knows them to be.

    Raises
    ------
    BadFileError
        If the rate changes inside the recording, or there is none.
    """
    ordered = [np.sort(window) for window in windows if len(window) > 2]
    steps = [np.diff(window) for window in ordered]
    all_steps = np.concatenate(steps) if steps else np.empty(0, np.int64)
    if not len(all_steps) or all_steps.max() <= 0:
        raise BadFileError("the time does not go on: its stamps are all alike")
    period = float(np.median(all_steps[all_steps > 0]))
    repeated = float(np.mean(all_steps == 0))
    sample = stamps == "sample" or (stamps == "auto" and repeated <= _ODD_SHARE / 2 and _regular(steps))
    if not sample:
        rates = np.array([_mean_period(window) for window in ordered if window[-1] > window[0]])
        period = float(np.median(rates))
    else:
        rates = np.array([float(np.median(step[step > 0])) for step in steps if (step > 0).any()])
        period = float(np.median(rates))
        near = all_steps[np.abs(all_steps - period) < 0.5 * period]
        period = float(near.mean()) if len(near) else period
    _check_steady(rates, period, sample=sample)
    return Judgement("sample" if sample else "arrival", period, repeated)


def _regular(steps: Sequence[Ints]) -> bool:
    """Tell whether steps are of one length but for gaps; pauses that take most of the time are of bursts."""
    odd, paused, pauses = [], [], 0
    for step in steps:
        period = float(np.median(step[step > 0])) if (step > 0).any() else 1.0
        pause = step >= 1.5 * period
        odd.append(float(np.mean(~pause & (np.abs(step - period) > JITTER * period))))
        paused.append(float(step[pause].sum() / max(step.sum(), 1)))
        pauses += int(np.count_nonzero(pause))
    in_bursts = pauses >= _PAUSES_OF_BURSTS and float(np.median(paused)) > _PAUSE_TIME_SHARE
    return float(np.mean(odd)) <= _ODD_SHARE and not in_bursts


def _mean_period(window: Ints) -> float:
    """Return the slope of stamps over rows: of a straight line, which bursts at the ends move least."""
    row = np.arange(len(window)) - (len(window) - 1) / 2
    return float(row @ (window - window[0]).astype(np.float64) / (row @ row))


def _check_steady(periods: Floats, period: float, *, sample: bool) -> None:
    off = np.abs(periods / period - 1) > 0.1
    # a window of arrivals with a gap in it is off without any change of rate
    if len(periods) < 3 or np.mean(off) <= (0.1 if sample else 0.25):
        return
    low, high = 1e9 / float(periods.max()), 1e9 / float(periods.min())
    raise BadFileError(
        f"the sampling rate changes inside the recording, between about {low:.4g} and {high:.4g} Hz; "
        "import its parts one by one"
    )


def pause_from(windows: Sequence[Ints], judgement: Judgement) -> float:
    """Return from which step (ns) on a pause may be a gap: beyond what bursts do by themselves."""
    if judgement.clock == "sample":
        return 1.5 * judgement.period_ns
    steps = np.concatenate([np.diff(window) for window in windows])
    pauses = steps[steps > 2 * judgement.period_ns]
    if not len(pauses):
        return 4 * judgement.period_ns
    usual = float(np.median(pauses))
    if usual > _LONGEST_BURST_NS / 2:
        raise BadFileError(_BATCHES)
    spread = float(np.median(np.abs(pauses - usual)))
    return max(1.5 * usual, usual + 5 * spread, 4 * judgement.period_ns)


def find_losses(
    stamps_ns: Ints, start: int, judgement: Judgement, pause_ns: float, begin: int, end: int
) -> tuple[Ints, Ints]:
    """Find where samples are missing among rows [begin, end).

    Parameters
    ----------
    stamps_ns : stamps from row `start` on; it should reach `reach(judgement)` rows beyond begin and end.
    judgement, pause_ns : from `judge` and `pause_from`.

    Returns
    -------
    Rows before which the count jumps, and by how many samples.
    """
    late = (stamps_ns - stamps_ns[0]) - np.arange(len(stamps_ns)) * judgement.period_ns
    if judgement.clock == "arrival":
        found = _arrival_losses(np.diff(stamps_ns), late, judgement, pause_ns)
    else:
        found = _sample_losses(np.diff(stamps_ns), late, judgement)
    rows = np.array([row + start for row, _ in found], np.int64)
    inside = (rows >= begin) & (rows < end)
    return rows[inside], np.array([n for _, n in found], np.int64)[inside]


def _arrival_losses(step: Ints, late: Floats, judgement: Judgement, pause_ns: float) -> list[tuple[int, int]]:
    """Find pauses after which even the least late arrival stays later than before."""
    period, around, last = judgement.period_ns, reach(judgement), 0
    found = []
    for at in (np.flatnonzero(step >= pause_ns) + 1).tolist():
        moved = float(late[at : at + around].min() - late[max(at - around, last) : at].min())
        if moved >= max(0.4 * step[at - 1], 1.5 * period):
            found.append((at, round(moved / period)))
            last = at
    return found


def check_no_batches(losses: Losses) -> None:
    """Refuse "gaps" that take most of the time and come like clockwork: they are pauses of transfers."""
    if len(losses.rows) <= _PAUSES_OF_BURSTS or (losses.lost <= 0).any():
        return
    held, lost = np.diff(losses.rows), losses.lost[1:]
    share = held / (held + lost)
    usual = float(np.median(share))
    if usual < 1 - _PAUSE_TIME_SHARE and float(np.median(np.abs(share - usual))) < 0.15 * usual:
        raise BadFileError(_BATCHES)


def _sample_losses(step: Ints, late: Floats, judgement: Judgement) -> list[tuple[int, int]]:
    """Find steps that are no period; steps of neighbouring rows that make up for each other are jitter."""
    period, around = judgement.period_ns, reach(judgement)
    doubtful = np.flatnonzero(np.abs(step - period) > 0.5 * period) + 1
    groups = np.split(doubtful, np.flatnonzero(np.diff(doubtful) > 2) + 1) if len(doubtful) else []
    starts = [int(group[0]) for group in groups] + [len(late)]
    found, last = [], 0
    for group, following in zip(groups, starts[1:], strict=True):
        first, after = int(group[0]), int(group[-1])
        before_level = _middle(late[max(first - around, last) : first])
        lost = round((_middle(late[after : min(after + around, following)]) - before_level) / period)
        if lost:
            edges = [*group.tolist(), min(after + around, following)]
            levels = [before_level, *(_middle(late[a:b]) for a, b in pairwise(edges))]
            # rounded as sums, so that the parts add up to the whole
            jumps = np.diff([round((level - before_level) / period) for level in levels])
            found += [(int(row), int(n)) for row, n in zip(group, jumps, strict=True) if n]
        last = after
    return found


def reach(judgement: Judgement) -> int:
    """Return how many rows before and after a pause are compared; arrivals catch up within 5 s."""
    return 9 if judgement.clock == "sample" else max(64, round(_LONGEST_BURST_NS / judgement.period_ns))


def _middle(late: Floats) -> float:
    return float(sorted(late.tolist())[len(late) // 2])


def nominal_rate(measured_hz: float, span_s: float, given_hz: float | None = None) -> float:
    """Return the nominal rate of a recording.

    The one given, where the measured rate is within 6 % of it; else the nearest rate that sensors are set to,
    within 1 % (iPhones at "100 Hz" measure 99.38 Hz), else the measured one to three digits. A recording too
    short for a clock fit (under 30 s) keeps its measured rate.
    """
    if given_hz is not None and abs(measured_hz / given_hz - 1) <= 0.06:
        return given_hz
    if span_s < 30:
        return float(f"{measured_hz:.5g}")
    nearest = min(USUAL_HZ, key=lambda rate: abs(rate - measured_hz))
    return float(nearest) if abs(nearest / measured_hz - 1) <= 0.01 else float(f"{measured_hz:.3g}")
