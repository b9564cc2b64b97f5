"""Looks at all samples of a recording: unit, gravity, step, range, and what speaks against them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from firmware_host.errors import BadValueError
from firmware_host.formats import steps
from firmware_host.formats.foreign import ForeignRecording, ImportOptions, Singles, Spool
from firmware_host.formats.units import choose_unit, vector_length

_GRAVITY_WINDOWS = 400
_STEP_WINDOWS, _STEP_ROWS = 32, 512


@dataclass
class Survey:
    """What the samples are, and how they are stored.

    Attributes
    ----------
    unit, g_per_unit, gravity_g : unit of the file, its factor to g, and the length of gravity.
    grid : the uniform step on which all samples lie, in the file's unit; None: stored as float32.
    range_g : the range that the file tells, else the one at which the samples clip visibly.
    """

    unit: str
    g_per_unit: float
    gravity_g: float
    grid: steps.Grid | None
    range_g: float | None
    warnings: list[str] = field(default_factory=list)

    @property
    def sample_type(self) -> Literal["int16", "float32"]:
        """How samples are stored."""
        return "float32" if self.grid is None else "int16"

    @property
    def g_per_count(self) -> float:
        """One stored count in g."""
        return 1.0 if self.grid is None else self.grid.step * self.g_per_unit


def survey_samples(recording: ForeignRecording, options: ImportOptions, rate_hz: float) -> Survey:
    """Look at all samples of a recording.

    Raises
    ------
    BadFileError, BadValueError
        If they cannot be acceleration, or their unit must be given.
    """
    spool = recording.spool
    low, high = _extremes(spool)
    still = [axis for axis, a, b in zip("xyz", low, high, strict=True) if a == b]
    if len(still) == 3:
        raise recording.fault(
            f"all its samples are the same ({low[0]:g}, {low[1]:g}, {low[2]:g}): nothing was measured"
        )
    second = max(int(rate_hz), 2)
    length = vector_length([spool.acc(a, b) for a, b in spool.windows(second, _GRAVITY_WINDOWS)])
    try:
        choice = choose_unit(length, named=recording.unit, given=options.unit)
    except BadValueError as error:
        raise BadValueError(f"{recording.source.name}: {error}") from error
    top = float(np.max(np.abs([low, high])))
    grid = _grid(recording)
    clips_at = steps.visible_range(top * choice.g_per_unit, _run_at(spool, top))
    range_g = recording.range_g or clips_at
    survey = Survey(choice.unit, choice.g_per_unit, choice.gravity_g, grid, range_g)
    if choice.warning:
        survey.warnings.append(choice.warning)
    if still:
        never = "axis never changes: is it" if len(still) == 1 else "axes never change: are they"
        survey.warnings.append(f"the {' and '.join(still)} {never} connected, and are these the axes?")
    if clips_at is not None:
        survey.warnings.append(f"samples clip at {clips_at:g} g")
    if range_g is None and top * choice.g_per_unit > steps.MOST_G:
        survey.warnings.append(_beyond(spool, top, choice.g_per_unit))
    return survey


def _beyond(spool: Spool, top: float, g_per_unit: float) -> str:
    """Return a sentence about the samples that no sensor measures that is worn."""
    most = steps.MOST_G / g_per_unit
    n = sum(int((np.abs(spool.acc(a, b)) > most).any(axis=1).sum()) for a, b in spool.blocks())
    reach = "sample reaches" if n == 1 else "samples reach"
    return (
        f"{n:,} {reach} up to {top * g_per_unit:,.0f} g, which no sensor that is worn measures: look at the "
        "file; they are kept as they are"
    )


def _extremes(spool: Spool) -> tuple[Singles, Singles]:
    low, high = np.full(3, np.inf, np.float32), np.full(3, -np.inf, np.float32)
    for start, stop in spool.blocks():
        block = spool.acc(start, stop)
        low, high = np.fmin(low, np.fmin.reduce(block)), np.fmax(high, np.fmax.reduce(block))
    return low, high


def _grid(recording: ForeignRecording) -> steps.Grid | None:
    spool = recording.spool
    if recording.step is not None:
        known = steps.Grid(recording.step, 0.0)
        return known if all(known.holds(spool.acc(a, b)) for a, b in spool.blocks()) else None
    parts = [spool.acc(a, b).ravel() for a, b in spool.windows(_STEP_ROWS, _STEP_WINDOWS)][
        : 4 * _STEP_WINDOWS
    ]
    some = np.concatenate(parts)
    grid = steps.find_grid(some[np.isfinite(some)])
    if grid is None or not all(grid.holds(spool.acc(a, b)) for a, b in spool.blocks()):
        return None
    return grid


def _run_at(spool: Spool, top: float) -> int:
    """Return the longest run of samples that stand at the largest value."""
    edge = top * (1 - 1e-4)
    return max(steps.longest_run(np.abs(spool.acc(a, b)) >= edge) for a, b in spool.blocks())
