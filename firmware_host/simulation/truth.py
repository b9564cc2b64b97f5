"""What was really there in a simulated night: its tables, how they are written, and the density for `d`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import signal

from firmware_host.simulation.bodies import Grid, Signal
from firmware_host.simulation.happenings import Happening
from firmware_host.simulation.parameters import SIMULATOR_VERSION, Range
from firmware_host.twitches import Column, Table, dtype_of

TRUTH_COLUMNS: tuple[Column, ...] = (
    Column("site", "U32", "", "where the sensor sat"),
    Column(
        "peak_s", "f8", "s", "time of the maximum of the zero-phase 3-45 Hz norm, from the night's start_ns"
    ),
    Column(
        "peak_to_peak_mg", "f8", "mg", "peak-to-peak acceleration in 3-45 Hz along its own main direction"
    ),
    Column("energy_mg2s", "f8", "mg^2 s", "energy E over three axes in 3-45 Hz"),
    Column(
        "d",
        "f8",
        "",
        "sqrt(2 E) / nd, nd the median local density of the site's quiet signal without twitches",
    ),
    Column("unit", "i4", "", "number of the motor unit at its site"),
    Column("shape", "U16", "", "family of the unit's shape"),
    Column("firings", "i4", "", "firings that are one movement, closer than 60 ms"),
)
HAPPENING_COLUMNS: tuple[Column, ...] = (
    Column("site", "U32", "", "where the sensor sat"),
    Column("kind", "U32", "", "kind of confounder"),
    Column("start_s", "f8", "s", "start, from the night's start_ns"),
    Column("end_s", "f8", "s", "end, from the night's start_ns"),
    Column("size_mg", "f8", "mg", "size at this site, peak to peak in the kind's own band"),
    Column("wear", "U8", "", "where the sensor is meanwhile: worn, off_body, in_bed or no_data"),
)
TRUTH_DTYPE = dtype_of(TRUTH_COLUMNS)
HAPPENING_DTYPE = dtype_of(HAPPENING_COLUMNS)


class Truth(NamedTuple):
    """Every twitch, and every confounder event at every site that it reached; both by site, then time."""

    twitches: Table
    happenings: Table


def happenings_table(sites: Sequence[str], events: Sequence[Happening]) -> Table:
    """Return one row for each event and site that it reached, by site in the order given, then time."""
    rows = [
        (site, event.kind, event.start_s, event.end_s, event.size_mg[number], event.wear)
        for number, site in enumerate(sites)
        for event in events
        if event.size_mg[number] > 0
    ]
    return np.array(rows, HAPPENING_DTYPE)


def write_truth(path: Path, twitches: Table) -> None:
    """Write the twitches as CSV, which `twitchmap score --truth` reads; with the simulator's version."""
    _write(path, twitches)


def write_happenings(path: Path, happenings: Table) -> None:
    """Write the confounder events as CSV."""
    _write(path, happenings)


def _write(path: Path, rows: Table) -> None:
    names = rows.dtype.names or ()
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([*names, "simulator"])
        for row in rows.tolist():
            cells = [_text(name, value) for name, value in zip(names, row, strict=True)]
            lines.writerow([*cells, SIMULATOR_VERSION])


def _text(name: str, value: object) -> object:
    if not isinstance(value, float):
        return value
    return f"{value:.4f}" if name.endswith("_s") else f"{value:.4g}"


def density_mg(acc_g: Signal, grid: Grid, off_s: Sequence[Range]) -> float:
    """Return the median density in 3-45 Hz, mg per sqrt(Hz), of 10 s windows worn, body included.

    Parameters
    ----------
    acc_g : (n, 3) float32
        A site's signal without twitches, sensor noise included.
    grid
        Its sample times.
    off_s
        Spans in which the sensor was not worn or sent nothing.
    """
    upper_hz = min(45.0, 0.45 * grid.fs_hz)
    band = signal.butter(2, (3.0, upper_hz), "bandpass", fs=grid.fs_hz, output="sos").astype(np.float32)
    # What white noise of unit density leaves behind the filter, whose slopes depend on the rate.
    width_hz = np.square(np.abs(signal.freqz_sos(band, 4096)[1])).mean() * grid.fs_hz / 2
    window = round(10 * grid.fs_hz)
    starts = np.arange(len(acc_g) // window) * window
    power = np.empty(len(starts))
    state = np.zeros((len(band), 2, 3), np.float32)
    some = 60  # windows at a time: a whole night at 416 Hz would take three times its memory
    for first in range(0, len(starts), some):
        block = acc_g[first * window : min(first + some, len(starts)) * window] - acc_g[0]
        heard, state = signal.sosfilt(band, block, axis=0, zi=state)
        power[first : first + some] = np.square(heard).reshape(-1, 3 * window).mean(axis=1)
    worn = np.ones(len(starts), bool)
    for span in off_s:
        off = grid.window(*span)
        worn &= (starts + window <= off.start) | (starts >= off.stop)
    return 1000 * float(np.sqrt(np.median(power[worn] if worn.any() else power) / width_hz))
