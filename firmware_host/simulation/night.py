"""Simulated nights: bodies, sensors and radio put together and written as a night on disk, with the truth."""

from __future__ import annotations

import csv
import heapq
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy import signal

import firmware_host
from firmware_host import body
from firmware_host.errors import BadValueError
from firmware_host.recording import NightMeta, NightWriter, SensorInfo, create_night
from firmware_host.simulation.bodies import (
    Grid,
    Signal,
    Sleeper,
    add_movement,
    add_twitches,
    draw_sleeper,
    rest,
)
from firmware_host.simulation.parameters import DEFAULT_SITES, Parameters, Range
from firmware_host.simulation.radio import Counts, Delivery, Link, add_noise, deliveries, draw_link, quantise
from firmware_host.simulation.twitches import draw_firings, draw_units, truth_of, without
from firmware_host.twitches import Column, Table, dtype_of, table

START_NS = round(datetime(2026, 1, 14, 21, 40, tzinfo=UTC).timestamp()) * 10**9
TIME_ZONE = "Europe/Berlin"
BOOT_NS = 3_600_000_000_000
"""What the monotonic clock shows at the start of the night."""
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
        "d", "f8", "", "sqrt(2 E) / nd, nd the median local density of the site's signal without twitches"
    ),
    Column("unit", "i4", "", "number of the motor unit at its site"),
)
TRUTH_DTYPE = dtype_of(TRUTH_COLUMNS)


@dataclass(frozen=True)
class _Sensor:
    info: SensorInfo
    grid: Grid
    counts: Counts
    link: Link
    truth: Table
    arrivals: tuple[tuple[Delivery, ...], ...]  # one tuple a connection


def simulate_night(
    target: Path,
    *,
    hours: float = 8.0,
    sites: Sequence[str] = DEFAULT_SITES,
    seed: int = 1,
    fs_hz: float = 100.0,
    parameters: Parameters | None = None,
    participant: str = "simulated",
    start_ns: int = START_NS,
    time_zone: str = TIME_ZONE,
    progress: Callable[[float], None] | None = None,
) -> Table:
    """Make a night up and write it; the same seed and settings give the same night.

    The first site's sensor reconnects once, the second is out of reach for a while, the third lies on the
    table for a while.

    Parameters
    ----------
    target
        Folder of the night; must be empty or absent.
    hours, sites, fs_hz
        Length, body sites (one sensor each) and nominal sampling rate; the true rate is some percent off.
    seed
        Any whole number >= 0.
    parameters
        What bodies, sensors and radio are like.
    participant, start_ns, time_zone
        Who (a pseudonym), when (UTC), and the IANA time zone.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    The truth: every twitch that the sites made while the sensor was worn, columns of `TRUTH_COLUMNS`.

    Raises
    ------
    BadValueError
        If a site, the length or the rate cannot be used.
    NotEmptyError
        If the target holds something already.
    """
    p = parameters or Parameters()
    _check(hours, sites, fs_hz, seed)
    tell = progress or (lambda _: None)
    sleeper = draw_sleeper(np.random.default_rng([seed, 0]), p, hours)
    sensors = []
    for index, site in enumerate(sites):
        rng = np.random.default_rng([seed, 1 + index])
        sensors.append(_draw_sensor(rng, p, sleeper, index, site, hours, fs_hz))
        tell(0.5 * (index + 1) / len(sites))
    meta = NightMeta(
        participant=participant,
        label="simulated",
        origin="simulated",
        time_zone=time_zone,
        start_ns=start_ns,
        sensors=tuple(sensor.info for sensor in sensors),
        twitchmap=firmware_host.__version__,
        note=f"simulated, seed {seed}",
    )
    empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    try:
        with create_night(target, meta) as writer:
            _write(writer, sensors, meta.start_ns, hours * 3600, lambda part: tell(0.5 + 0.5 * part))
    except BaseException:
        if empty:
            shutil.rmtree(target, ignore_errors=True)
        raise
    return np.concatenate([sensor.truth for sensor in sensors])


def write_truth(path: Path, truth: Table) -> None:
    """Write the truth as CSV, which `twitchmap score --truth` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(column.name for column in TRUTH_COLUMNS)
        for site, peak_s, *numbers, unit in truth.tolist():
            rows.writerow((site, f"{peak_s:.4f}", *(f"{number:.4g}" for number in numbers), unit))


def _check(hours: float, sites: Sequence[str], fs_hz: float, seed: int) -> None:
    if not 0.05 <= hours <= 48:
        raise BadValueError(f"A simulated night lasts 0.05 to 48 hours, not {hours:g}.")
    if not 45 <= fs_hz <= 1000:
        raise BadValueError(f"A simulated sensor samples at 45 to 1000 Hz, not {fs_hz:g}.")
    if seed < 0:
        raise BadValueError(f"A seed is a whole number from 0 on, not {seed}.")
    if len(set(sites)) != len(sites) or not sites:
        raise BadValueError("A simulated night needs sites, each named once; a second sensor is left_calf.2.")
    for site in sites:
        body.site(site)


def _draw_sensor(
    rng: np.random.Generator,
    p: Parameters,
    sleeper: Sleeper,
    index: int,
    site: str,
    hours: float,
    fs_hz: float,
) -> _Sensor:
    true_hz = fs_hz * (1 + rng.uniform(*p.rate_error))
    link = draw_link(rng, p, hours, index)
    grid = Grid(link.connected_s[0][0], true_hz, int((hours * 3600 - link.connected_s[0][0]) * true_hz))
    mg_per_count = float(rng.choice(p.mg_per_count))
    units = draw_units(rng, p)
    firings = draw_firings(rng, p, units, p.rates_per_min[index % len(p.rates_per_min)], hours)
    acc_g = rest(rng, p, grid, sleeper, body.site(site).region)
    off = _off_body(rng, p, hours) if index == 2 else None
    if off:
        _lay_down(rng, acc_g, grid, off)
        firings = without(firings, off)
    add_noise(rng, acc_g, fs_hz, rng.uniform(*p.noise_ug_per_sqrt_hz))
    density = _density(acc_g, fs_hz, grid.window(*off) if off else slice(0, 0))
    add_twitches(acc_g, grid, firings, units)
    peak_s, size_mg, energy, unit = truth_of(firings, units)
    inside = (peak_s > grid.start_s) & (peak_s < hours * 3600)
    truth = table(TRUTH_DTYPE, int(inside.sum()), site=site, peak_s=peak_s[inside], unit=unit[inside],
                  peak_to_peak_mg=size_mg[inside], energy_mg2s=energy[inside],
                  d=np.sqrt(2 * energy[inside]) / density)  # fmt: skip
    info = SensorInfo(
        index=index,
        site=site,
        fs_hz=fs_hz,
        g_per_count=mg_per_count / 1000,
        sample_type="int16",
        range_g=32768 * mg_per_count / 1000,
        model="simulated",
        serial=f"SIM-{index + 1}",
        clock="arrival",
    )
    arrivals = tuple(tuple(deliveries(rng, p, grid, span, link)) for span in link.connected_s)
    return _Sensor(info, grid, quantise(acc_g, mg_per_count), link, truth, arrivals)


def _off_body(rng: np.random.Generator, p: Parameters, hours: float) -> Range:
    start_s = rng.uniform(0.6, 0.85) * hours * 3600
    return start_s, start_s + p.off_share * hours * 3600


def _lay_down(rng: np.random.Generator, acc_g: Signal, grid: Grid, off_s: Range) -> None:
    """Take the sensor off, lay it on the table, and put it on again."""
    acc_g[grid.window(*off_s)] = np.array([0.0, 0.0, 1.0], np.float32)
    for edge_s in off_s:
        add_movement(rng, acc_g, grid, edge_s - 4, 8.0, 900.0)


def _density(acc_g: Signal, fs_hz: float, off: slice) -> float:
    """Return the median density in 3-45 Hz, mg per sqrt(Hz), of 10 s windows outside `off`, body included."""
    upper_hz = min(45.0, 0.45 * fs_hz)
    band = signal.butter(2, (3.0, upper_hz), "bandpass", fs=fs_hz, output="sos").astype(np.float32)
    window = round(10 * fs_hz)
    starts = np.arange(len(acc_g) // window) * window
    heard = signal.sosfilt(band, acc_g - acc_g[0], axis=0)[: len(starts) * window]
    power = np.square(heard).reshape(len(starts), -1).mean(axis=1)
    worn = (starts + window <= off.start) | (starts >= off.stop)
    return 1000 * float(np.sqrt(np.median(power[worn]) / (upper_hz - 3)))


def _write(
    writer: NightWriter,
    sensors: Sequence[_Sensor],
    start_ns: int,
    duration_s: float,
    tell: Callable[[float], None],
) -> None:
    """Write what all sensors sent and what became of their links, in order of arrival."""
    told = 0.0
    for at_s, number, _, what in heapq.merge(*(_timeline(sensor) for sensor in sensors)):
        after_ns = round(at_s * 1e9)
        utc_ns, mono_ns = start_ns + after_ns, BOOT_NS + after_ns
        if isinstance(what, Delivery):
            writer.append_samples(number, sensors[number].counts[what.start : what.stop], what.first,
                                  arrival_mono_ns=mono_ns, arrival_utc_ns=utc_ns)  # fmt: skip
        elif what == "lost":
            writer.append_event("lost", number, utc_ns, mono_ns, reason="out of reach")
        else:
            writer.append_event(what, number, utc_ns, mono_ns)
        if at_s - told > duration_s / 50:
            told = at_s
            tell(min(1.0, at_s / duration_s))


def _timeline(sensor: _Sensor) -> Iterator[tuple[float, int, int, Delivery | str]]:
    """Yield what happens to one sensor, in order: time (s), its number, a running number, and what."""
    number, order = sensor.info.index, 0
    for connection, span in zip(sensor.arrivals, sensor.link.connected_s, strict=True):
        yield span[0], number, (order := order + 1), "connected"
        last_s = span[1]
        for delivery in connection:
            yield delivery.arrival_s, number, (order := order + 1), delivery
            last_s = max(last_s, delivery.arrival_s)
        if span is not sensor.link.connected_s[-1]:
            yield last_s, number, (order := order + 1), "lost"
