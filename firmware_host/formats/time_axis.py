"""From a file's time column to sample counters and stamps in nanoseconds: joins stamps, zones and spool."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, BadValueError
from firmware_host.formats import stamps
from firmware_host.formats.foreign import MISSING_SHARE, ForeignRecording, ImportOptions, Ints, Spool
from firmware_host.formats.understanding import TimeKind
from firmware_host.formats.zones import offsets_of, utc_from_local
from firmware_host.recording.night import zone

LONGEST_DAYS = 40
SHORTEST_S = 2.0
SLOW_HZ = 90.0
_SECOND_NS = 10**9
DAY_NS = 86_400 * _SECOND_NS
_LARGEST_NS = 4.2e18
_CLOCK_SET_BACK_NS = 60 * 10**9
_BEGAN_ANEW_NS = 5 * 10**9
"""Rows change places within a few packets; an elapsed time that runs back further began anew."""
_WRAP_US = 2**32
"""Where 32-bit microseconds of small computers start again from zero: every 71.6 minutes."""
_WRAP_SLACK_US = 10 * 10**6
_LONGEST_RUN = 1 << 14
"""Rows looked at for those that share the last stamp."""


@dataclass
class TimeAxis:
    """Where the samples of a recording lie in time; the spool's times are then ns.

    Attributes
    ----------
    kind : what the stamps are.
    absolute : ns count from 1970 UTC; else from a zero that only this group of files knows.
    said : how the stamps were read.
    first_ns, last_ns : earliest and latest stamp.
    rate_hz, fs_hz : measured and nominal rate.
    losses : where the count of samples leaves that of rows.
    zone : IANA name that the stamps imply, where they do.
    """

    kind: TimeKind
    absolute: bool
    said: str
    first_ns: int = 0
    last_ns: int = 0
    rate_hz: float = 0.0
    fs_hz: float = 0.0
    losses: stamps.Losses = field(default_factory=stamps.Losses)
    zone: str | None = None
    warnings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def understand_time(recording: ForeignRecording, options: ImportOptions) -> TimeAxis:
    """Understand a recording's time, and turn the spool's times into ns in the order of time.

    Raises
    ------
    BadFileError, BadValueError
        If the time or the rate cannot be, or must be given by the user.
    """
    spool = recording.spool
    if spool.rows < 2:
        raise recording.fault(
            f"the file holds {spool.rows} row{'s' * (spool.rows != 1)} of numbers: too little for a recording"
        )
    if spool.missing > MISSING_SHARE * spool.rows:
        raise recording.fault(
            f"{spool.missing:,} of {spool.rows:,} rows have a blank or a number that is not finite; "
            f"up to {MISSING_SHARE:.0%} could be left out"
        )
    if recording.fs_hz is not None and not 0 < recording.fs_hz < 1e6:
        raise recording.fault(f"it says that its sampling rate is {recording.fs_hz:g} Hz, which cannot be")
    try:
        axis = _counted(recording, options) if recording.meaning == "none" else _stamped(recording, options)
    except ValueError as error:
        raise recording.fault(str(error)) from error
    except BadFileError as error:
        raise recording.fault(str(error)) if error.path is None else error from None
    _check_rate(recording, axis)
    return axis


def _counted(recording: ForeignRecording, options: ImportOptions) -> TimeAxis:
    rate = options.rate_hz or recording.fs_hz
    if rate is None:
        raise BadValueError(
            f"{recording.source.name}: there is no time among its columns; give the rate with --rate"
        )
    last_ns = round((recording.spool.rows - 1) / rate * 1e9)
    where = "given with --rate" if options.rate_hz else "given in the file"
    return TimeAxis("none", False, f"none; {rate:g} Hz {where}, rows counted", 0, last_ns, rate, rate)


def _stamped(recording: ForeignRecording, options: ImportOptions) -> TimeAxis:
    spool = recording.spool
    axis = _to_ns(recording, options)
    axis.said = recording.time_said or axis.said
    wanted = options.stamps
    if wanted == "auto" and _rows_are_copies(spool):
        wanted = "sample"
    elif wanted == "auto" and recording.arrival:
        wanted = "arrival"
    judgement = stamps.judge(_windows(spool), wanted)
    judgement = _settle_order(recording, axis, judgement, wanted)
    axis.first_ns, axis.last_ns = _ends(spool)
    if axis.last_ns - axis.first_ns > LONGEST_DAYS * DAY_NS:
        days = (axis.last_ns - axis.first_ns) / DAY_NS
        raise recording.fault(
            f"its stamps span {days:,.0f} days; a night is up to {LONGEST_DAYS} days: one is wrong"
        )
    axis.losses, period_ns = _losses(spool, judgement)
    if judgement.clock == "sample" and options.stamps == "auto":
        stamps.check_no_batches(axis.losses)
    axis.rate_hz = 1e9 / period_ns
    span_s = (axis.last_ns - axis.first_ns) / 1e9
    axis.fs_hz = stamps.nominal_rate(axis.rate_hz, span_s, options.rate_hz or recording.fs_hz)
    given = options.rate_hz or recording.fs_hz
    if given is not None and axis.fs_hz != given:
        axis.warnings.append(
            f"the rate was given as {given:g} Hz, but the stamps show {axis.rate_hz:.5g} Hz, which is used"
        )
    axis.kind = "samples" if judgement.clock == "sample" else "arrivals"
    if axis.kind == "arrivals" and all(
        not (spool.times_ns(a, b) % _SECOND_NS).any() for a, b in spool.blocks()
    ):
        _end_seconds(spool, period_ns)
        axis.said += "; whole seconds"
    if judgement.repeated > 0.05:
        axis.said += f"; {judgement.repeated:.0%} of rows share the stamp of the row before"
    if axis.kind == "arrivals":
        axis.said += "; times of arrival: samples are counted, their times are fitted to the stamps"
    return axis


def _end_seconds(spool: Spool, period_ns: float) -> None:
    """Move stamps that were cut to whole seconds to the seconds' last rows: arrivals are never early."""
    for start, stop in list(spool.blocks()):
        spool.replace_times(start, spool.times_ns(start, stop) + _SECOND_NS - round(period_ns))


def _check_rate(recording: ForeignRecording, axis: TimeAxis) -> None:
    if not stamps.SLOWEST_HZ <= axis.rate_hz <= stamps.FASTEST_HZ:
        raise recording.fault(
            f"its rate is {axis.rate_hz:.4g} Hz; twitches need {stamps.SLOWEST_HZ:g} Hz at least, "
            f"and no sensor gives more than {stamps.FASTEST_HZ:g} Hz"
        )
    if axis.rate_hz < SLOW_HZ:
        axis.warnings.append(
            f"{axis.rate_hz:.4g} Hz is slow: the shortest twitches lose part of their size below 90 Hz"
        )
    duration_s = (axis.last_ns - axis.first_ns) / 1e9
    if duration_s < SHORTEST_S:
        raise recording.fault(
            f"the file holds {duration_s:.2f} s; a recording needs {SHORTEST_S:g} s at least"
        )


def _to_ns(recording: ForeignRecording, options: ImportOptions) -> TimeAxis:
    name = recording.used[0]
    if recording.meaning == "utc":
        said = f"{name}: {recording.written} with offset from UTC"
        return TimeAxis("samples", True, said, zone=_zone_of(recording.offset_s))
    if recording.meaning == "local":
        return _local_to_ns(recording, options, name)
    return _numbers_to_ns(recording, name) or _local_to_ns(recording, options, name)


def _zone_of(offset_s: int | None) -> str | None:
    """Return the zone of a constant offset of whole hours; its IANA name has the opposite sign."""
    if offset_s is None or offset_s % 3600 or not -12 <= offset_s // 3600 <= 14 or offset_s == 0:
        return None
    return f"Etc/GMT{-offset_s // 3600:+d}"


def _local_to_ns(recording: ForeignRecording, options: ImportOptions, name: str) -> TimeAxis:
    if options.timezone is None:
        raise BadValueError(
            f"{recording.source.name}: the times in {name} have no offset from UTC; give their zone "
            "with --timezone, such as --timezone Europe/Berlin"
        )
    spool, where = recording.spool, zone(options.timezone)
    if recording.clock_set_ns is not None:
        return _set_once(recording, options.timezone, name)
    said = f"{name}: {recording.written}, clock of {options.timezone}"
    axis = TimeAxis("samples", True, said, zone=options.timezone)
    simple = not any(offsets_of(spool.times_ns(a, b), where).ambiguous.any() for a, b in spool.blocks())
    for start, stop in spool.blocks() if simple else [(0, spool.rows)]:
        utc, remark = utc_from_local(spool.times_ns(start, stop), where)
        spool.replace_times(start, utc)
        if remark:
            axis.remarks.append(remark)
    return axis


def _set_once(recording: ForeignRecording, timezone: str, name: str) -> TimeAxis:
    """Read a clock that was set once and runs on: over a change of clocks it keeps its offset from UTC."""
    spool, set_ns = recording.spool, recording.clock_set_ns
    assert set_ns is not None
    offsets = offsets_of(np.array([set_ns]), zone(timezone))
    offset_ns = int(offsets.early[0])
    for start, stop in spool.blocks():
        spool.replace_times(start, spool.times_ns(start, stop) - offset_ns)
    set_at = np.datetime64(set_ns, "ns").astype("datetime64[m]")
    sign, minutes = "-+"[offset_ns >= 0], abs(offset_ns) // (60 * _SECOND_NS)
    kept = f"UTC{sign}{minutes // 60}" + (f":{minutes % 60:02d}" if minutes % 60 else "")
    axis = TimeAxis(
        "samples", True, f"{name}: clock of {timezone}, set on {set_at} and kept at {kept}", zone=timezone
    )
    if offsets.ambiguous[0]:
        axis.warnings.append("the clock was set in the hour that comes twice; the first of the two is taken")
    return axis


def _numbers_to_ns(recording: ForeignRecording, name: str) -> TimeAxis | None:
    """Turn numbers into ns; returns None where these are then those of a wall clock."""
    spool = recording.spool
    windows = [spool.time(a, b) for a, b in spool.windows(stamps.window_rows(spool.rows), stamps.WINDOWS)]
    steps = np.concatenate([np.diff(window).astype(np.float64) for window in windows])
    zero = windows[0][0]
    unit, epoch = stamps.unit_of_numbers(float(zero), steps, recording.time_unit)
    ns, whole = stamps.ns_per(unit), spool.time_dtype.kind == "i"
    zero_ns = int(zero) * round(ns) if whole else round(float(zero) * ns)
    if unit == stamps.DAYS:
        zero_ns = round((float(zero) - stamps.DAY_ZERO_DAYS) * ns)
        recording.written = "day numbers of a spreadsheet, from 1899-12-30 on"
    last, wraps = zero, 0
    for start, stop in list(spool.blocks()):
        times = spool.time(start, stop)
        past = times - zero
        if unit == "us" and not epoch:
            turns = np.maximum(wraps + _wraps(np.diff(times, prepend=last)), 0)
            past, last, wraps = past + turns * _WRAP_US, times[-1], int(turns[-1])
        with np.errstate(over="ignore"):
            wrong = ~(np.abs(past.astype(np.float64) * ns) + abs(zero_ns) <= _LARGEST_NS)  # NaN too
        if wrong.any():
            row = start + int(np.argmax(wrong))
            raise recording.fault(
                f"row {row + 1:,} of the data has the impossible time {spool.time(row, row + 1)[0]:g} {unit}"
            )
        scaled = past * round(ns) if whole else np.rint(past * ns).astype(np.int64)
        spool.replace_times(start, scaled + zero_ns)
    spool.time_dtype = np.dtype(np.int64)
    if unit == stamps.DAYS:
        return None
    axis = TimeAxis("samples", epoch, f"{name}: {'since 1970' if epoch else 'elapsed'}, in {unit}")
    if wraps:
        axis.remarks.append(f"microseconds of 32 bits that ran over ({wraps} x) go on")
    return axis


def _wraps(step_us: npt.NDArray[np.float64 | np.int64]) -> Ints:
    """Count how often 32-bit microseconds have run over; a late row from before the turn takes one back."""
    near = np.abs(np.abs(step_us) - _WRAP_US) < _WRAP_SLACK_US
    return np.cumsum(np.where(near, -np.sign(step_us), 0)).astype(np.int64)


def _rows_are_copies(spool: Spool) -> bool:
    """Tell rows that a file holds twice from arrivals in bursts: they share the samples with the stamp."""
    same_stamp, same_acc = [], []
    for a, b in spool.windows(stamps.window_rows(spool.rows), stamps.WINDOWS):
        acc = spool.acc(a, b)
        same_stamp.append(np.diff(spool.times_ns(a, b)) == 0)
        same_acc.append((acc[1:] == acc[:-1]).all(axis=1))
    shared, alike = np.concatenate(same_stamp), np.concatenate(same_acc)
    if shared.all() or not shared.any():
        return False
    # a coarse sensor that lies still says the same again and again, with other stamps too
    return bool(alike[shared].mean() > 0.99 and alike[~shared].mean() < 0.5)


def _windows(spool: Spool) -> list[Ints]:
    return [spool.times_ns(a, b) for a, b in spool.windows(stamps.window_rows(spool.rows), stamps.WINDOWS)]


def _settle_order(
    recording: ForeignRecording, axis: TimeAxis, judgement: stamps.Judgement, wanted: str
) -> stamps.Judgement:
    """Sort swapped rows where stamps are those of samples; keep arrivals in the order of the file."""
    spool = recording.spool
    behind, back_ns, row = _backwards(spool)
    if not behind:
        return judgement
    back = f"the time runs back by {back_ns / 1e9:.4g} s at row {row + 1:,} of the data"
    if axis.absolute and min(abs(back_ns - DAY_NS), abs(back_ns - DAY_NS // 2)) < _CLOCK_SET_BACK_NS:
        raise recording.fault(f"{back}: its dates do not go on at midnight, or AM and PM are missing")
    if not axis.absolute and back_ns > _BEGAN_ANEW_NS:
        raise recording.fault(f"{back}: if two recordings stand in it, import them one by one")
    if judgement.clock == "arrival":
        if back_ns > _CLOCK_SET_BACK_NS:
            raise recording.fault(back)
        axis.remarks.append(
            f"{behind:,} rows arrived with a stamp before the row above; the order of the file is kept"
        )
        return judgement
    spool.reorder(np.argsort(spool.times_ns(0, spool.rows), kind="stable"))
    try:
        after = stamps.judge(_windows(spool), "sample" if wanted == "sample" else "auto")
    except BadFileError:
        after = None
    if after is None or (after.clock == "arrival" and wanted != "sample"):
        raise recording.fault(f"{back}, and its rows cannot be sorted into a steady rate")
    axis.remarks.append(f"{behind:,} rows were out of order and are sorted by their stamps")
    return after


def _backwards(spool: Spool) -> tuple[int, int, int]:
    """Return how many rows lie behind an earlier one, the largest step back (ns), and its row."""
    behind, worst, row = 0, 0, 0
    top = np.iinfo(np.int64).min
    for start, stop in spool.blocks():
        times = spool.times_ns(start, stop)
        highest = np.maximum(np.maximum.accumulate(times), top)
        back = highest - times
        behind += int(np.count_nonzero(back))
        if int(back.max()) > worst:
            worst, row = int(back.max()), start + int(np.argmax(back))
        top = highest[-1]
    return behind, worst, row


def _ends(spool: Spool) -> tuple[int, int]:
    ends = [(int(t.min()), int(t.max())) for t in (spool.times_ns(a, b) for a, b in spool.blocks())]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _losses(spool: Spool, judgement: stamps.Judgement) -> tuple[stamps.Losses, float]:
    """Find the gaps with the windows' rate, measure the rate between them, and find them again with that."""
    pause_ns = stamps.pause_from(_windows(spool), judgement)
    first = _losses_at(spool, judgement, pause_ns)
    period_ns = _period_between(spool, first, judgement)
    judgement = stamps.Judgement(judgement.clock, period_ns, judgement.repeated)
    losses = _losses_at(spool, judgement, pause_ns) if len(first.rows) else first
    return losses, period_ns


def _losses_at(spool: Spool, judgement: stamps.Judgement, pause_ns: float) -> stamps.Losses:
    around = stamps.reach(judgement)
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for start, stop in spool.blocks():
        begin = max(start - around, 0)
        times = spool.times_ns(begin, stop + around)
        found.append(stamps.find_losses(times, begin, judgement, pause_ns, start, stop))
    return stamps.Losses(
        np.concatenate([rows for rows, _ in found]), np.concatenate([lost for _, lost in found])
    )


def _period_between(spool: Spool, losses: stamps.Losses, judgement: stamps.Judgement) -> float:
    """Return the mean period (ns) of the stretches between gaps, each weighted by its length.

    Where arrivals share a stamp (a packet's, or whole seconds), it is from first row to first row.
    """
    edges = np.concatenate([[0], losses.rows[losses.lost > 0], [spool.rows]])
    rows, elapsed = 0, 0
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if stop - start > 1:
            tail = spool.times_ns(max(start, stop - _LONGEST_RUN), stop)
            elapsed += int(tail[-1] - spool.times_ns(start, start + 1)[0])
            rows += stop - start - 1
            if judgement.clock == "arrival":
                rows -= len(tail) - 1 - int(np.argmax(tail == tail[-1]))
    measured = elapsed / max(rows - losses.repeated, 1)
    # rows lost and repeated in great number leave nothing better than the windows' rate
    return measured if abs(measured / judgement.period_ns - 1) < 0.1 else judgement.period_ns
