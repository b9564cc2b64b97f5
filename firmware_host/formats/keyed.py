"""Which of many named arrays are one recording: `acc_g` with `t_s`, `r0_acc_g` with `r0_t_s`. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_host.errors import BadValueError
from firmware_host.formats.columns import find_roles, time_column, unit_of

_ACC = re.compile(r"(?:(?P<key>.+?)_)?(?:acc|accel|acceleration)(?:_(?P<unit>g|mg|ms2))?")
_AXIS = re.compile(r"(?:(?P<key>.+)_)?ax(?:_(?:g|mg|ms2))?")
_RATES = ("fs_hz", "fs", "rate_hz", "sampling_rate_hz")


@dataclass(frozen=True)
class Arrays:
    """Names of the arrays of one recording.

    Attributes
    ----------
    prefix : what all names of the recording begin with, "" without a key.
    acc : one name of an (n, 3) array, or three of (n,).
    unit : what the names say of their unit.
    time, rate : names of the stamps and of the sampling rate.
    time_unit, arrival : what the name of the stamps says.
    """

    prefix: str
    acc: tuple[str, ...]
    unit: str | None
    time: str | None
    rate: str | None
    time_unit: str | None = None
    arrival: bool = False

    @property
    def used(self) -> tuple[str, ...]:
        """All names that are read."""
        return tuple(name for name in (self.time, *self.acc, self.rate) if name is not None)


def keys_of(names: Sequence[str]) -> list[str]:
    """Return the keys of the recordings that the names hold; "" for one whose names have no key."""
    matches = (_ACC.fullmatch(name) or _AXIS.fullmatch(name) for name in names)
    return sorted({match["key"] or "" for match in matches if match})


def find_arrays(
    names: Sequence[str], key: str | None, picked: Sequence[str] | None = None, *, unit: str | None = None
) -> Arrays:
    """Tell which arrays are the recording of a key, or the only one.

    Raises
    ------
    BadValueError
        If there is none, or several and no key; the sentence lists the keys.
    """
    if picked:
        return _from_columns("", names, picked, unit)
    keys = keys_of(names)
    if key is None and len(keys) == 1:
        key = keys[0]
    elif key is None and "" in keys:
        key = ""
    if key is None or key not in keys:
        raise BadValueError(_which(names, keys, key))
    prefix = f"{key}_" if key else ""
    own = [name for name in names if name.startswith(prefix)]
    triple = next((m for m in map(_ACC.fullmatch, own) if m and (m["key"] or "") == key), None)
    bare = [name.removeprefix(prefix) for name in own]
    if triple is None:
        return _from_columns(prefix, bare, None, unit)
    time = time_column(bare)
    return Arrays(
        prefix,
        (triple[0],),
        unit or (unit_of(triple["unit"]) if triple["unit"] else None),
        None if time is None else own[time.index],
        _rate(own, bare),
        None if time is None else time.unit,
        time is not None and time.arrival,
    )


def _from_columns(prefix: str, bare: Sequence[str], picked: Sequence[str] | None, unit: str | None) -> Arrays:
    roles = find_roles(bare, picked, unit=unit)
    own = [prefix + name for name in bare]
    time = None if roles.time is None else own[roles.time]
    axes = tuple(own[i] for i in roles.axes)
    return Arrays(prefix, axes, roles.unit, time, _rate(own, bare), roles.time_unit, roles.arrival)


def _rate(own: Sequence[str], bare: Sequence[str]) -> str | None:
    return next((name for name, short in zip(own, bare, strict=True) if short in _RATES), None)


def _which(names: Sequence[str], keys: Sequence[str], key: str | None) -> str:
    some = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    if not keys or keys == [""]:
        none = "there is no acc_g of shape (n, 3), nor ax, ay, az" if not keys else f"there is no {key}_acc_g"
        return f"{none}; there are {some or 'no arrays'}"
    listed = ", ".join(key or "(without key)" for key in keys)
    if key is None:
        return f"the file holds several recordings; pick one with FILE:KEY, the keys are {listed}"
    return f"there is no {key}_acc_g; the keys are {listed}"
