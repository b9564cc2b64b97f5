"""What the columns of a foreign table are, told from their names. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_host.errors import BadValueError, numbered

UNITS: dict[str, float] = {"g": 1.0, "mg": 1e-3, "m/s2": 1 / 9.80665}
"""g per unit."""

_UNIT_WORDS = {
    "g": "g", "gs": "g", "gee": "g", "gn": "g", "gravity": "g", "standard_gravity": "g",
    "mg": "mg", "millig": "mg", "milli-g": "mg", "milli_g": "mg",
    "m/s2": "m/s2", "m/s^2": "m/s2", "m/s**2": "m/s2", "m/s²": "m/s2", "ms2": "m/s2", "ms^2": "m/s2",
    "ms-2": "m/s2", "ms^-2": "m/s2", "m.s-2": "m/s2", "m/(s^2)": "m/s2", "m*s^-2": "m/s2", "m s-2": "m/s2",
    "m/s/s": "m/s2", "mps2": "m/s2",
}  # fmt: skip
_TIME_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms",
    "us": "us", "µs": "us", "μs": "us", "usec": "us", "micros": "us", "microseconds": "us",
    "ns": "ns", "nsec": "ns", "nanos": "ns", "nanoseconds": "ns",
}  # fmt: skip
_OTHER_UNITS = {
    "deg/s", "dps", "°/s", "rad/s", "degc", "°c", "c", "ut", "µt", "μt", "gauss", "lux", "v", "mv", "hz", "%",
    "pa", "hpa", "kpa", "m", "deg", "°", "no_units", "no units", "-", "iso 8601", "utc",
}  # fmt: skip
_TIME_NAMES = {
    "t", "time", "times", "timestamp", "timestamps", "date", "datetime", "date_time", "epoch", "elapsed",
    "unix", "unixtime", "unix_time", "elapsed_time", "seconds_elapsed", "time_stamp", "sample_time", "utc",
    "timestamp_utc", "utc_time", "local_time", "unix_timestamp", "epoch_time", "recorded_at", "zeit",
    "zeitstempel", "datum", "uhrzeit",
}  # fmt: skip
_ARRIVAL_NAMES = {
    "t_arrival",
    "arrival",
    "arrival_time",
    "time_arrival",
    "received",
    "received_at",
    "host_time",
}
_HALVES_OF_STAMPS = {
    "date", "datum", "fecha", "data", "day", "time", "zeit", "uhrzeit", "heure", "hora", "ora", "clock",
}  # fmt: skip
_NO_CLOCK = {"elapsed", "duration", "relative", "since"}
_DEVICE_NAMES = {
    "device_name",
    "devicename",
    "device_id",
    "address",
    "mac",
    "sensor_id",
    "sensor_name",
    "site",
}
_ACCELERATION = {"a", "acc", "accel", "acceleration", "accelerometer", "accelero", "lsm", "accelerations"}
_OTHER_QUANTITY = {
    "gyro", "gyroscope", "gyr", "g", "gx", "mag", "magnetometer", "magn", "m", "rot", "rotation", "rate",
    "angle", "euler", "quat", "quaternion", "orientation", "attitude", "dps", "angular",
}  # fmt: skip
_BRACKETS = re.compile(r"[\(\[\{<]([^)\]}>]*(?:\([^)]*\)[^)\]}>]*)?)[\)\]\}>]\s*$")


@dataclass(frozen=True)
class TimeColumn:
    """The column of stamps: its index, the unit that its name gives, and whether the name says arrival."""

    index: int
    unit: str | None
    arrival: bool


@dataclass(frozen=True)
class Roles:
    """Indices of the columns that are read, and what their names say."""

    axes: tuple[int, int, int]
    time: int | None = None
    unit: str | None = None
    time_unit: str | None = None
    arrival: bool = False

    @property
    def used(self) -> tuple[int, ...]:
        """All indices that are read, time first."""
        return self.axes if self.time is None else (self.time, *self.axes)


@dataclass(frozen=True)
class _Name:
    """A column's name in parts: words in lower case, and the unit that it ends with."""

    words: tuple[str, ...]
    unit: str | None


def unit_of(word: str) -> str | None:
    """Return "g", "mg" or "m/s2" for the ways in which loggers write them; None for anything else."""
    return _UNIT_WORDS.get(word.strip().lower())


def without_brackets(word: str) -> str:
    """Return `mg` for `(mg)` and `[mg]`, and `m/(s^2)` as it is."""
    return re.sub(r"^[\(\[](.*)[\)\]]$", r"\1", word.strip())


def is_unit(word: str) -> bool:
    """Tell a unit, of anything that loggers write, as it stands in a row of units below the header."""
    bare = without_brackets(word).lower()
    known = bare in _UNIT_WORDS or bare in _TIME_WORDS or bare in _OTHER_UNITS
    return known or re.fullmatch(r"y+[-/.]m+[-/.]d+ h+:m+:s+(?:[.,]0+)?", bare) is not None


def names_axes(names: Sequence[str]) -> bool:
    """Tell a line of names: it has an x, a y and a z axis of an accelerometer."""
    split = [_split(name) for name in names]
    return all(_columns_of(split, axis) for axis in "xyz")


def names_acceleration(names: Sequence[str]) -> bool:
    """Tell names of axes that say of what: a word or a letter beside the axis, or a unit; x, y, z do not."""
    split = [_split(name) for name in names]
    axes = [split[column] for axis in "xyz" for column in _columns_of(split, axis)]
    return names_axes(names) and all(
        len("".join(name.words)) > 1 or unit_of(name.unit or "") for name in axes
    )


def find_roles(
    names: Sequence[str], picked: Sequence[str] | None = None, *, unit: str | None = None
) -> Roles:
    """Tell which columns are time and axes.

    Parameters
    ----------
    names : names of all columns; "" for columns without one.
    picked : names or numbers (from 1) of t, x, y, z or x, y, z, as the user gave them.
    unit : the unit that the user gave; names are then not asked for it.

    Raises
    ------
    BadValueError
        If the axes are not found, or more than once, or their unit is none of acceleration.
    """
    time, axes = _picked(names, picked) if picked else _found(names)
    unit = unit or _common_unit(names, axes)
    return Roles(axes, None, unit) if time is None else Roles(axes, time.index, unit, time.unit, time.arrival)


def _picked(names: Sequence[str], picked: Sequence[str]) -> tuple[TimeColumn | None, tuple[int, int, int]]:
    if len(picked) not in {3, 4}:
        raise BadValueError(f"--columns takes t,x,y,z or x,y,z, not {numbered(len(picked), 'column')}")
    lower = [name.strip().lower() for name in names]
    at = []
    for column in picked:
        if column.strip().lower() in lower:
            at.append(lower.index(column.strip().lower()))
        elif column.strip().isdigit() and 1 <= int(column) <= len(names):
            at.append(int(column) - 1)
        else:
            known = ", ".join(filter(None, names)) or "none have names"
            raise BadValueError(f"there is no column {column!r} among the {len(names)} columns ({known})")
    if len(set(at)) < len(at):
        raise BadValueError(f"--columns names one column twice: {','.join(picked)}")
    time = _time_column(names, at.pop(0)) if len(at) == 4 else None
    return time, (at[0], at[1], at[2])


def _found(names: Sequence[str]) -> tuple[TimeColumn | None, tuple[int, int, int]]:
    split = [_split(name) for name in names]
    axes: list[int] = []
    for axis in "xyz":
        matches = _columns_of(split, axis)
        if len(matches) > 1:  # what a phone leaves after it took gravity out
            matches = [i for i in matches if not set(split[i].words) & {"user", "linear"}] or matches
        if len(matches) > 1:  # "ax" is meant rather than a bare "x" beside it
            matches = [i for i in matches if len("".join(split[i].words)) > 1] or matches
        if len(matches) != 1:
            shown = ", ".join(name or "(no name)" for name in names[:12])
            what = "no column" if not matches else "more than one column"
            raise BadValueError(
                f"{what} looks like the {axis} axis of an accelerometer among {shown}; "
                "say which are meant with --columns t,x,y,z (names or numbers)"
            )
        axes.append(matches[0])
    return time_column(names), (axes[0], axes[1], axes[2])


def time_column(names: Sequence[str]) -> TimeColumn | None:
    """Return the column of stamps; the first one, but a sample's own time before an arrival."""
    split = ["_".join(_split(name).words) for name in names]
    for known in (_TIME_NAMES, _ARRIVAL_NAMES):
        for i, name in enumerate(split):
            if name in known:
                return _time_column(names, i)
    spoken = [i for i, name in enumerate(split) if {"time", "timestamp"} & set(name.split("_"))]
    if not spoken and names and _split(names[0]).unit in _TIME_WORDS:  # "Temps (s)"
        spoken = [0]
    return next((_time_column(names, i) for i in spoken), None)


def stamp_halves(names: Sequence[str], roles: Roles) -> list[int]:
    """Return columns that may hold the date or the time of day beside the column of time, by their names."""
    words = [set(_split(name).words) for name in names]
    if roles.time is None or words[roles.time] & _NO_CLOCK:
        return []
    return [
        i
        for i, said in enumerate(words)
        if i not in roles.used and (not said or (said & _HALVES_OF_STAMPS and not said & _NO_CLOCK))
    ]


def device_column(names: Sequence[str]) -> int | None:
    """Return the column that names the device of each row."""
    split = ("_".join(_split(name).words) for name in names)
    return next((i for i, name in enumerate(split) if name in _DEVICE_NAMES), None)


def _time_column(names: Sequence[str], index: int) -> TimeColumn:
    name = _split(names[index])
    return TimeColumn(index, _TIME_WORDS.get(name.unit or ""), "_".join(name.words) in _ARRIVAL_NAMES)


def _columns_of(split: Sequence[_Name], axis: str) -> list[int]:
    """Return the columns of an axis: by their names, else, in any language, by a unit of acceleration."""
    known = [i for i, name in enumerate(split) if _axis_of(name) == axis]
    return known or [
        i
        for i, name in enumerate(split)
        if unit_of(name.unit or "") and [word for word in name.words if word in {"x", "y", "z"}] == [axis]
        if not set(name.words) & (_OTHER_QUANTITY | {"gravity"})
    ]


def _axis_of(name: _Name) -> str | None:
    """Return x, y or z for `x`, `ax`, `acc_x`, `accelX`, `X-axis acceleration` and the like."""
    words = [re.sub(r"[0-9]+$", "", word) for word in name.words]
    words = [word for word in words if word not in {"axis", "raw", "cal", "data", "value"}]
    if set(words) & _OTHER_QUANTITY:
        return None
    if len(words) == 1:
        for quantity in ("", *_ACCELERATION):
            for axis in "xyz":
                if words[0] in {quantity + axis, axis + quantity}:
                    return axis
        return None
    letters = [word for word in words if word in {"x", "y", "z"}]
    return letters[0] if len(letters) == 1 and set(words) & _ACCELERATION else None


def _common_unit(names: Sequence[str], axes: tuple[int, int, int]) -> str | None:
    written = [_split(names[i]).unit for i in axes]
    if not any(written):
        return None
    units = {unit_of(unit or "") for unit in written}
    if len(units) != 1 or None in units:
        shown = ", ".join(names[i] for i in axes)
        raise BadValueError(
            f"the columns {shown} name no single unit of acceleration that is known; "
            "give it with --unit g, mg or m/s2"
        )
    return units.pop()


def _split(name: str) -> _Name:
    """Take a column's name apart: `Acceleration x (m/s^2)`, `ax_mg`, `time_s`, `accelerationX(G)`."""
    text, unit = name.strip(), None
    if re.fullmatch(r"gF[xyz]", text):  # Physics Toolbox: the g-force
        return _Name(("acc", text[-1]), "g")
    bracket = _BRACKETS.search(text)
    if bracket:
        text, unit = text[: bracket.start()], bracket[1].strip().lower()
    # accelerationX -> acceleration X, AccX -> Acc X; ax stays whole
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    words = [word for word in re.split(r"[\s_.\-:/]+", text.lower()) if word]
    if unit is None and len(words) > 1:
        for size in (2, 1):  # ax_m_s2 is rare, ax_ms2, acc_x_mg and time_s are not
            tail = "".join(words[-size:]) if size == 2 else words[-1]
            if len(words) > size and (tail in _UNIT_WORDS or (tail in _TIME_WORDS and size == 1)):
                words, unit = words[:-size], tail
                break
    if unit is not None and not unit:
        unit = None
    return _Name(tuple(words), unit)
