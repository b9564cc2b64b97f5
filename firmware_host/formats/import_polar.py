"""Polar Sensor Logger and apps that write its files: `Phone timestamp;sensor timestamp [ns];X [mg];...`.

The sensor's stamp is its own clock's, of each sample; the phone's is the wall clock at arrival, without a
zone. So samples stand at the sensor's stamps, and these on the phone's clock by its earliest arrivals: an
arrival is late, never early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadValueError
from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Ints, Source, Spool
from firmware_host.formats.text_table import read_text

_PHONE, _SENSOR, _AXES = "Phone timestamp", "sensor timestamp [ns]", ("X [mg]", "Y [mg]", "Z [mg]")
_WINDOW_NS = 60 * 10**9
_LINE_FROM = 10
"""Windows from which on the drift of the two clocks against each other is fitted."""
_HALF_HOUR_NS = 1800 * 10**9
_NEAR_NS = 30 * 10**9
_JUMP_NS = 60 * 10**9
"""A clock was set, or the sensor began anew, where the two clocks jump against each other by more."""


@dataclass
class _Run:
    """Rows over which both clocks went on, and the earliest arrival (phone minus sensor) of each minute."""

    first: int
    sensor_ns: list[int] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)


def recognises(beginning: Beginning) -> bool:
    """Tell a file of acceleration by its first line; those of heart rate or ECG are none."""
    first = beginning.text.partition("\n")[0]
    return first.startswith(f"{_PHONE};sensor timestamp [ns]") and "X [mg]" in first


def read(
    source: Source, options: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read acceleration of a Polar sensor into the spool.

    Raises
    ------
    BadFileError
        With the line, if a cell is not what it should be.
    BadValueError
        If the zone of the phone's clock is not given.
    """
    if options.timezone is None:
        raise BadValueError(
            f"{source.name}: the times in {_PHONE} have no offset from UTC; give their zone with --timezone, "
            "such as --timezone Europe/Berlin"
        )
    size = max(source.path.stat().st_size, 1)

    def table(column: str, into: Spool, half: int) -> ForeignRecording:
        with source.path.open("rb") as raw:
            picked = replace(options, columns=(column, *_AXES))
            return read_text(source, picked, into, raw, lambda: progress((raw.tell() / size + half) / 2))

    with Spool(spool.folder) as phone:
        table(_PHONE, phone, 0)
        recording = table(_SENSOR, spool, 1)
        if not spool.rows or phone.rows != spool.rows or phone.time_dtype != np.int64:
            raise recording.fault("its phone and sensor stamps do not belong together")
        _lay_on_phone(recording, phone)
    recording.meaning, recording.unit = "local", "mg"
    recording.model = "Polar"
    recording.used = (_PHONE, _SENSOR, *_AXES)
    recording.ignored = ()
    recording.time_said = (
        f"{_SENSOR}: the sensor's clock, laid on the phone's (clock of {options.timezone}) "
        "by its earliest arrivals"
    )
    return recording


def _lay_on_phone(recording: ForeignRecording, phone: Spool) -> None:
    """Turn the sensor's stamps into the phone's wall clock as it was at the start, from then on unturned."""
    spool = recording.spool
    runs = list(_runs(spool, phone))
    if len(runs) > 1:
        recording.remarks.append(
            f"the sensor's clock began anew {len(runs) - 1} x; each part is laid on the phone's"
        )
    for run, following in zip(runs, [*runs[1:], _Run(spool.rows)], strict=True):
        base, level, slope = _fit(run)
        for start in range(run.first, following.first, 1 << 17):
            stop = min(start + (1 << 17), following.first)
            sensor = _whole(spool.time(start, stop))
            spool.replace_times(start, sensor + level + np.rint((sensor - base) * slope).astype(np.int64))
    spool.time_dtype = np.dtype(np.int64)
    recording.clock_set_ns = int(phone.times_ns(0, 1)[0])


def _whole(sensor: npt.NDArray[np.float64 | np.int64]) -> Ints:
    return np.rint(np.clip(sensor, -4e18, 4e18)).astype(np.int64)


def _runs(spool: Spool, phone: Spool) -> Iterator[_Run]:
    """Yield the runs of a file; summer time on the phone begins none."""
    run, turned = _Run(0), 0
    last_late: int | None = None
    last_sensor: int | None = None
    for start, stop in spool.blocks(1 << 16):
        sensor = _whole(spool.time(start, stop))
        late: Ints = phone.times_ns(start, stop) - sensor
        step = np.diff(late, prepend=int(late[0]) if last_late is None else last_late)
        hours = np.rint(step / _HALF_HOUR_NS).astype(np.int64)
        on = np.diff(sensor, prepend=int(sensor[0]) if last_sensor is None else last_sensor) >= 0
        clock = (hours != 0) & (np.abs(step - hours * _HALF_HOUR_NS) < _NEAR_NS) & (np.abs(hours) <= 4) & on
        torn = ((np.abs(step) > _JUMP_NS) & ~clock) | ~on
        turns = np.cumsum(np.where(clock, hours, 0)) + turned
        last_late, last_sensor, turned = int(late[-1]), int(sensor[-1]), int(turns[-1])
        late = late - turns * _HALF_HOUR_NS
        edges = [0, *np.flatnonzero(torn).tolist(), len(late)]
        for number, (a, b) in enumerate(pairwise(edges)):
            if number:
                yield run
                run = _Run(start + a)
            _note(run, sensor[a:b], late[a:b])
    yield run


def _note(run: _Run, sensor: Ints, late: Ints) -> None:
    """Keep the earliest arrival of each minute on the sensor's clock."""
    if not len(sensor):
        return
    minute = sensor // _WINDOW_NS
    order = np.lexsort((late, minute))
    firsts = order[np.flatnonzero(np.diff(minute[order], prepend=minute[order][0] - 1))]
    run.sensor_ns += sensor[firsts].tolist()
    run.late_ns += late[firsts].tolist()


def _fit(run: _Run) -> tuple[int, int, float]:
    """Return base, level and slope of phone minus sensor over the sensor's time."""
    late = np.array(run.late_ns, np.int64)
    base, level = run.sensor_ns[0], int(late.min())
    if len(late) < _LINE_FROM:
        return base, level, 0.0
    x = (np.array(run.sensor_ns, np.int64) - base).astype(np.float64)
    y = (late - level).astype(np.float64)
    half = len(x) // 2
    slope = float(np.median((y[half:] - y[: len(y) - half]) / np.maximum(x[half:] - x[: len(x) - half], 1.0)))
    return base, level + round(float((y - slope * x).min())), slope
