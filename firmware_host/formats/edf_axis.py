"""Samples on the uniform time axis that EDF has: none lost, none invented without a mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.formats.steps import MOST_G
from firmware_host.recording import SensorInfo
from firmware_host.recording.stretch import Stretch

Block = npt.NDArray[np.int16]
"""(n, 4): x, y, z as digital values, and 1 where a sample of the sensor stands, 0 where it is filled."""
Piece = tuple[npt.NDArray[np.int64], npt.NDArray[np.int16] | npt.NDArray[np.float32], bool]

STEP_S = 60.0
"""Over such times a rate is measured for the axis."""
MOST_ABOVE = 1.25
"""The axis is at most so much quicker than the sensor's usual rate."""
FINE_STEP_G = 2.5e-5
"""Below it eight characters of g are too coarse for half a step: the header then speaks mg."""
LARGEST = 32_767


@dataclass(frozen=True)
class Axis:
    """So many slots in each record of so many seconds."""

    per_record: int
    record_s: int

    @property
    def rate_hz(self) -> float:
        """Slots a second."""
        return self.per_record / self.record_s


@dataclass(frozen=True)
class Scale:
    """What a digital value means: `step_g` each, written in the header in `unit`."""

    step_g: float

    @property
    def unit(self) -> str:
        """The physical dimension in the header."""
        return "mg" if self.step_g < FINE_STEP_G else "g"

    @property
    def physical(self) -> tuple[float, float]:
        """The physical minimum and maximum, as good as eight characters tell them."""
        step = self.step_g * (1000 if self.unit == "mg" else 1)
        return eight_characters(-(LARGEST + 1) * step), eight_characters(LARGEST * step)


def eight_characters(value: float) -> float:
    """Return the nearest number that is written with eight characters."""
    texts = (f"{value:.{digits}f}" for digits in range(6, -1, -1))
    return float(next((text for text in texts if len(text) <= 8), "9" * 8 if value > 0 else "-" + "9" * 7))


def axis_of(stretches: Iterable[Stretch], info: SensorInfo, record_s: int, records: int) -> Axis:
    """Return an axis on which each sample finds a slot of its own near its time.

    It is as quick as the sensor was in its quickest minute, rounded up to whole slots a record.
    """
    rates: list[float] = []
    usual = info.fs_hz
    longest = 0
    for stretch in stretches:
        if stretch.n > longest:
            longest, usual = stretch.n, stretch.fs_hz
        knots = np.linspace(0, stretch.n, max(1, int(stretch.n / stretch.fs_hz / STEP_S)) + 1)
        if stretch.n / stretch.fs_hz >= STEP_S:
            rates += (np.diff(knots) / np.diff(stretch.time_ns(knots)) * 1e9).tolist()
    quickest = min(max(rates, default=usual), usual * MOST_ABOVE)
    # A lag of one slot at the end of the night is allowed: an exact rate keeps its exact number of slots.
    return Axis(max(1, int(np.ceil(quickest * record_s - 1 / max(1, records)))), record_s)


def scale_of(info: SensorInfo, largest_g: float) -> Scale:
    """Return the scale of a sensor: its own counts, or for floats the finest that holds the largest value.

    One value that no such sensor gives must not make all others coarse: what is larger than twice its range
    (calibrated values reach somewhat beyond it), or than `MOST_G`, is left out as what is no number is.
    """
    if info.sample_type == "int16":
        return Scale(info.g_per_count)
    return Scale(min(max(largest_g, 1e-6), 2 * info.range_g if info.range_g else MOST_G) / LARGEST)


def placed(pieces: Iterable[Piece], start_ns: int, axis: Axis, window: int, scale: float) -> Iterator[Block]:
    """Yield a site's axis from `start_ns` on, `window` slots at a time, up to its last sample.

    A sample stands in the slot nearest to its time, or in the next free one. Where the axis is quicker than
    the sensor, so that a slot between two consecutive samples stays empty, the earlier sample is repeated;
    where samples are missing all slots are 0. Both have 0 in the fourth column.

    Parameters
    ----------
    pieces
        Times (n,) ns, counts (n, 3), and whether they follow the piece before without a gap.
    start_ns
        UTC of the first slot.
    scale
        Digital values of one count.
    """
    block, base, last = np.zeros((window, 4), np.int16), 0, -1
    held = np.zeros((1, 4), np.int16)
    for times_ns, counts, follows in pieces:
        order = np.arange(len(counts))
        wanted = np.rint((times_ns - start_ns) * (axis.rate_hz / 1e9)).astype(np.int64) - order
        slots = order + np.maximum.accumulate(np.maximum(wanted, last + 1))
        rows = _digital(counts, scale)
        filled = np.repeat(rows, np.diff(slots, append=slots[-1] + 1), axis=0)
        filled[:, 3] = 0
        filled[slots - slots[0], 3] = rows[:, 3]
        at = int(slots[0])
        if follows and at > last + 1:
            filled = np.concatenate([np.repeat(held, at - last - 1, axis=0), filled])
            at = last + 1
        last, held = int(slots[-1]), rows[-1:] * np.array([1, 1, 1, 0], np.int16)
        while len(filled):
            while at >= base + window:
                yield block
                block, base = np.zeros((window, 4), np.int16), base + window
            part = filled[: base + window - at]
            block[at - base : at - base + len(part)] = part
            at, filled = at + len(part), filled[len(part) :]
    yield block


def _digital(counts: npt.NDArray[np.int16] | npt.NDArray[np.float32], scale: float) -> Block:
    """Return (n, 4) digital values, 1 behind each; 0 where there is no number or one beyond the scale."""
    rows = np.ones((len(counts), 4), np.int16)
    if counts.dtype.kind == "i":
        rows[:, :3] = counts
        return rows
    known: npt.NDArray[np.bool_] = np.all(np.isfinite(counts), axis=1)
    digital = np.rint(np.where(np.expand_dims(known, 1), counts, 0).astype(float) * scale)
    rows[:, :3] = np.clip(digital, -LARGEST - 1, LARGEST)
    rows[:, 3] = known & np.all(digital == rows[:, :3], axis=1)
    return rows
