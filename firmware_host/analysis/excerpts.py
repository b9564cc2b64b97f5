"""Parts of a night that are searched again, with something added to their samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.analysis.findings import Waves, no_waves, row_columns
from firmware_host.recording import Stretch
from firmware_host.twitches import Table, dtype_of, in_parts

Floats = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class Excerpt:
    """A part of a stretch, grid indices `begin` to `end`; twitches may be added from `first` to `last`."""

    stretch: Stretch
    begin: int
    end: int
    first: int
    last: int


def samples_with(
    part: Excerpt, more_mg: npt.NDArray[np.float32], range_g: float | None, step_g: float | None
) -> list[tuple[int, npt.NDArray[np.float32]]]:
    """Return an excerpt's samples with more added, as the sensor would give them, by pieces without gaps."""
    found = list(part.stretch.pieces_between(part.begin, part.end))
    if not found:
        return []
    firsts = [first - part.begin for first, _ in found]
    acc_g = np.concatenate([counts for _, counts in found]) * np.float32(part.stretch.sensor.g_per_count)
    at = np.concatenate([first + np.arange(len(c)) for first, (_, c) in zip(firsts, found, strict=True)])
    acc_g += more_mg[at] * np.float32(1e-3)
    if step_g is not None:
        acc_g = np.rint(acc_g / np.float32(step_g)) * np.float32(step_g)
    if range_g is not None:
        acc_g = np.clip(acc_g, -np.float32(range_g), np.float32(range_g))
    cuts = np.cumsum([len(counts) for _, counts in found])[:-1]
    return list(zip(firsts, np.split(acc_g, cuts), strict=True))


@dataclass(frozen=True)
class Beside:
    """Candidates near added twitches: rows of `row_columns()`, their waves, their log-odds in pass 1."""

    rows: Table
    waves: Waves
    first: Floats


def together(parts: list[Beside]) -> Beside:
    """Return several as one."""
    none = Beside(np.zeros(0, dtype_of(row_columns())), no_waves(), np.zeros(0))
    waves = (none.waves, *(part.waves for part in parts))
    return Beside(
        np.concatenate([none.rows, *(part.rows for part in parts)]),
        Waves(*(np.concatenate(of) for of in zip(*waves, strict=True))),
        np.concatenate([none.first, *(part.first for part in parts)]),
    )


def among_both(
    night: npt.NDArray[Any], near: npt.NDArray[Any], at: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Return rows of a night and of what is near added twitches, numbered one after the other.

    A part at a time, so that what is kept of a night is there twice and not three times.
    """
    out = np.empty((len(at), *night.shape[1:]), night.dtype)
    for part in in_parts(len(at), ROWS_AT_ONCE):
        some, rows = at[part], out[part]
        own = some < len(night)
        rows[own], rows[~own] = night[some[own]], near[some[~own] - len(night)]
    return out


def near_which(times_s: Floats, others_s: Floats, within_s: float) -> npt.NDArray[np.int64]:
    """Return for each time the number of the nearest of others (in order) that is so near, or -1."""
    if not len(others_s):
        return np.full(len(times_s), -1, np.int64)
    after = np.clip(np.searchsorted(others_s, times_s), 1, max(len(others_s) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(others_s) - 1)
    closer = np.abs(others_s[after] - times_s) < np.abs(others_s[before] - times_s)
    nearest = np.where(closer, after, before)
    return np.where(np.abs(others_s[nearest] - times_s) <= within_s, nearest, -1)
