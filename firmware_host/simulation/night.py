"""Simulated nights: bodies, sensors and radio put together and written as a night on disk, with the truth."""

from __future__ import annotations

import heapq
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import firmware_host
from firmware_host import body
from firmware_host.recording import NightMeta, NightWriter, SensorInfo, create_night
from firmware_host.simulation.bodies import add_twitches, draw_sleeper, gravity
from firmware_host.simulation.chips import (
    CHIPS,
    Counts,
    Specimen,
    add_noise_of,
    chip_named,
    counts_of,
    draw_specimen,
    grid_of,
)
from firmware_host.simulation.cohort import NightSpec
from firmware_host.simulation.confounders.wearing import showcase
from firmware_host.simulation.happenings import Canvas, Draft, Happening, draw_happenings, kinds, render
from firmware_host.simulation.parameters import DEFAULT_SITES, SIMULATOR_VERSION, Range
from firmware_host.simulation.radio import (
    NO_TROUBLES,
    Delivery,
    Fate,
    Troubles,
    arrivals,
    draw_fate,
    showcase_fate,
)
from firmware_host.simulation.shapes import SHAPES
from firmware_host.simulation.truth import TRUTH_DTYPE, Truth, density_mg, happenings_table
from firmware_host.simulation.twitches import (
    Firings,
    Unit,
    draw_firings,
    draw_units,
    site_rates,
    truth_of,
    with_shared,
    without,
)
from firmware_host.twitches import Table, table

START_NS = round(datetime(2026, 1, 14, 21, 40, tzinfo=UTC).timestamp()) * 10**9
TIME_ZONE = "Europe/Berlin"
BOOT_NS = 3_600_000_000_000
"""What the monotonic clock shows at the start of the night."""


@dataclass(frozen=True)
class _Sensor:
    info: SensorInfo
    counts: Counts
    fate: Fate
    truth: Table
    arrivals: tuple[tuple[Delivery, ...], ...]  # one tuple a connection


def simulate_night(
    target: Path,
    *,
    hours: float = 8.0,
    sites: Sequence[str] = DEFAULT_SITES,
    seed: int = 1,
    fs_hz: float = 100.0,
    profile: str = "few",
    spec: NightSpec | None = None,
    participant: str = "simulated",
    start_ns: int = START_NS,
    time_zone: str = TIME_ZONE,
    progress: Callable[[float], None] | None = None,
) -> Truth:
    """Make a night up and write it; the same seed and settings give the same night.

    Body and firings do not depend on the sampling rate, so one seed gives the same night at several rates.

    Parameters
    ----------
    target
        Folder of the night; must be empty or absent.
    hours, sites, fs_hz, seed, profile
        Length, body sites (one sensor each), nominal sampling rate, any whole number >= 0, and how often the
        sites twitch: `many`, `few`, `quiet` or `mix`.
    spec
        All of that and more in one; what is named beside it is not looked at.
    participant, start_ns, time_zone
        Who (a pseudonym), when (UTC), and the IANA time zone.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    The truth: every twitch that the sites made while the sensor was worn (`TRUTH_COLUMNS`), and every
    confounder event at every site that it reached (`HAPPENING_COLUMNS`).

    Raises
    ------
    BadValueError
        If a site, the length, the rate or a name cannot be used.
    NotEmptyError
        If the target holds something already.
    """
    spec = spec or NightSpec(seed=seed, hours=hours, sites=tuple(sites), fs_hz=fs_hz, profile=profile)
    tell = progress or (lambda _: None)
    sleeper = draw_sleeper(np.random.default_rng([spec.seed, 0]), spec.parameters, spec.hours)
    night = Draft(spec.hours, spec.sites, sleeper)
    names = tuple(kinds()) if spec.confounders is None else spec.confounders
    more = showcase(np.random.default_rng([spec.seed, 4]), night) if spec.showcase else ()
    events = draw_happenings(spec.seed, night, names, spec.forced, more)
    rates = rates_of(spec)
    sensors = []
    for index, rate in enumerate(rates):
        sensors.append(_draw_sensor(spec, night, events, index, rate))
        tell(0.5 * (index + 1) / len(rates))
    meta = NightMeta(
        participant=participant,
        label="simulated",
        origin="simulated",
        time_zone=time_zone,
        start_ns=start_ns,
        sensors=tuple(sensor.info for sensor in sensors),
        twitchmap=firmware_host.__version__,
        note=f"simulated, simulator {SIMULATOR_VERSION}, profile {spec.profile}, seed {spec.seed}",
    )
    empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    try:
        # Told by the night's own clock, so that the same seed gives the same bytes on any day.
        with create_night(target, meta, lambda: (BOOT_NS, start_ns)) as writer:
            _write(writer, sensors, meta.start_ns, spec.hours * 3600, lambda part: tell(0.5 + 0.5 * part))
    except BaseException:
        if empty:
            shutil.rmtree(target, ignore_errors=True)
        raise
    twitches = np.concatenate([sensor.truth for sensor in sensors])
    return Truth(twitches, happenings_table(spec.sites, events))


def _draw_sensor(
    spec: NightSpec, night: Draft, events: Sequence[Happening], index: int, rate_per_min: float
) -> _Sensor:
    site = spec.sites[index]
    for_chip, for_link, _, _, for_gravity, for_noise, _ = streams(spec, site)
    chip = chip_named(spec.chips[index] if spec.chips else str(for_chip.choice(list(CHIPS))))
    specimen = draw_specimen(for_chip, chip, spec.fs_hz, spec.hours)
    own = [event for event in events if event.size_mg[index] > 0]
    fate = _fate(for_link, spec, own, index)
    grid = grid_of(specimen, fate.connections[0].start_s, spec.hours * 3600)
    off_s = [(event.start_s, event.end_s) for event in own if event.wear != "worn"]
    units, firings = twitching(spec, site, rate_per_min)
    for span in off_s:
        firings = without(firings, span)
    turns = [(event.start_s, event.end_s, event.turn_degrees) for event in own if event.turn_degrees]
    turned = tuple((end_s, degrees) for _, end_s, degrees in turns)
    canvas = Canvas(gravity(for_gravity, grid, turns), grid, site, night, chip.filtered, turned)
    render(canvas, own)
    truth = _finish(for_noise, canvas, specimen, firings, units, off_s)
    info = SensorInfo(
        index=index,
        site=site,
        fs_hz=spec.fs_hz,
        g_per_count=chip.mg_per_count / 1000,
        sample_type="int16",
        range_g=chip.range_g,
        model=f"simulated {chip.name}",
        serial=f"SIM-{index + 1}",
        clock="arrival",
    )
    arrived = tuple(tuple(arrivals(for_link, grid, fate, number)) for number in range(len(fate.connections)))
    return _Sensor(info, counts_of(canvas.acc_g, specimen), fate, truth, arrived)


def rates_of(spec: NightSpec) -> list[float]:
    """Return the mean rate of each site, per minute; that of a second sensor is its muscle's."""
    muscles = [body.site(site).base for site in spec.sites]
    places = [muscle.partition("_")[2] for muscle in muscles]
    rates = spec.rate_scale * site_rates(np.random.default_rng([spec.seed, 1]), spec.profile, places)
    return [float(rates[muscles.index(muscle)]) for muscle in muscles]


def streams(spec: NightSpec, site: str) -> list[np.random.Generator]:
    """Return a generator for each thing drawn, so that none depends on the rate or on another's count."""
    seeds = np.random.SeedSequence([spec.seed, 3, zlib.crc32(site.encode())]).spawn(7)
    return [np.random.default_rng(seed) for seed in seeds]


def twitching(spec: NightSpec, site: str, rate_per_min: float) -> tuple[tuple[Unit, ...], Firings]:
    """Return the units under a sensor and when they fire: a share with those of its muscle's first sensor."""
    _, _, for_units, for_firings, _, _, for_shared = streams(spec, site)
    units = draw_units(for_units, spec.parameters, spec.shapes or tuple(SHAPES))
    firings = draw_firings(for_firings, spec.parameters, units, rate_per_min, spec.hours)
    muscle = body.site(site).base
    if site != muscle:
        _, others = twitching(spec, muscle, rate_per_min)
        firings = with_shared(for_shared, spec.parameters, firings, others, units)
    return units, firings


def _fate(rng: np.random.Generator, spec: NightSpec, own: Sequence[Happening], index: int) -> Fate:
    if spec.showcase:
        return showcase_fate(rng, spec.hours, index)
    dead_from_s = min((event.start_s for event in own if event.wear == "no_data"), default=None)
    return draw_fate(rng, spec.hours, Troubles() if spec.troubles else NO_TROUBLES, dead_from_s)


def _finish(
    rng: np.random.Generator,
    canvas: Canvas,
    specimen: Specimen,
    firings: Firings,
    units: tuple[Unit, ...],
    off_s: Sequence[Range],
) -> Table:
    """Add noise and twitches to a site's signal, and return the truth."""
    add_noise_of(rng, canvas.acc_g, canvas.grid, specimen)
    steps_mg = specimen.chip.quantisation_ug_per_sqrt_hz(canvas.grid.fs_hz) / 1000
    density = np.hypot(density_mg(canvas.acc_g, canvas.grid, off_s), steps_mg)
    add_twitches(canvas.acc_g, canvas.grid, firings, units)
    peak_s, size_mg, energy, unit, count = truth_of(firings, units)
    inside = (peak_s > canvas.grid.start_s) & (peak_s < canvas.night.duration_s)
    families = np.array([one.family for one in units])[unit]
    return table(TRUTH_DTYPE, int(inside.sum()), site=canvas.site, peak_s=peak_s[inside], unit=unit[inside],
                 peak_to_peak_mg=size_mg[inside], energy_mg2s=energy[inside],
                 d=np.sqrt(2 * energy[inside]) / density, shape=families[inside],
                 firings=count[inside])  # fmt: skip


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
        else:
            kind, *reason = what
            details = {"reason": reason[0]} if reason else {}
            writer.append_event(kind, number, utc_ns, mono_ns, **details)
        if at_s - told > duration_s / 50:
            told = at_s
            tell(min(1.0, at_s / duration_s))


def _timeline(sensor: _Sensor) -> Iterator[tuple[float, int, int, Delivery | tuple[str, ...]]]:
    """Yield what happens to one sensor, in order: time (s), its number, a running number, and what."""
    number, order = sensor.info.index, 0
    for arrived, connection in zip(sensor.arrivals, sensor.fate.connections, strict=True):
        yield connection.start_s, number, (order := order + 1), (connection.opening,)
        last_s = connection.end_s
        for delivery in arrived:
            yield delivery.arrival_s, number, (order := order + 1), delivery
            last_s = max(last_s, delivery.arrival_s)
        if connection.reason != "end":
            yield last_s, number, (order := order + 1), ("lost", connection.reason)
