"""Confounders: everything but twitches that a night holds, as kinds that are found by themselves.

How to add a kind: write one function in a file of `firmware_host/simulation/confounders/` (any file, also a
new one; no list is edited) and declare it:

    @confounder("tap", per_hour=2.0, duration_s=(0.05, 0.2), size_mg=(50, 2000), reach=one_site,
                source="science 7.2: 1-5 sample spikes of 50-2000 mg")
    def tap(canvas: Canvas, event: Happening, size_mg: float) -> None:
        t = np.arange(round((event.end_s - event.start_s) * FINE_HZ)) / FINE_HZ
        wave = np.exp(-t / 0.02) * np.sin(2 * np.pi * event.rng().uniform(20, 60) * t)
        canvas.add(event.start_s, wave * size_mg / 1000 / np.ptp(wave), along=canvas.direction(event))

`per_hour`, `duration_s`, `size_mg`, `reach`, `nights` and `when` say how events are drawn, once a night for
all sites; a kind with its own way passes `draw=`, a function of (rng, night, kind) that returns happenings.
The function renders one event at one site that it reached. `event.rng()` gives the same numbers at every
site (timing, waveform), `canvas.rng(event)` the site's own (direction, small differences). Waves are made at
a fixed rate and laid on the sensor's grid by `canvas.add`, so that one body can be sampled at any rate.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host import body
from firmware_host.simulation.bodies import Grid, Signal, Sleeper, log_uniform, low_pass
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.twitches import FINE_HZ, Floats, direction

Wear = Literal["worn", "off_body", "in_bed", "no_data"]
When = Literal["any", "asleep", "awake"]
EDGE_S = 0.1
MATTRESS_SHARE: Range = (0.05, 0.3)
"""What a loose sensor in the bed feels of the sleeper's large movements (assumption)."""
LARGE_MOVES = ("movement", "care")
"""Files whose kinds shake the bed where they turn the sleeper."""


@dataclass(frozen=True)
class Happening:
    """One event of the night: what, when, and how large at each site (0: does not reach it)."""

    kind: str
    start_s: float
    end_s: float
    size_mg: tuple[float, ...]  # in the order of the night's sites
    seed: int
    turn_degrees: float = 0.0  # the sensor's gravity vector turns by this within the event
    wear: Wear = "worn"  # off_body, in_bed: no twitches, drawn last and may overwrite; no_data: none sent
    detail: float = 0.0  # a number of the kind's own

    def rng(self) -> np.random.Generator:
        """Return a fresh generator that is the same at every site."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class Draft:
    """What is known of a night when its events are drawn; `sleeper` has beats, breath, movements, sleep."""

    hours: float
    sites: tuple[str, ...]
    sleeper: Sleeper

    @property
    def duration_s(self) -> float:
        """Length of the night."""
        return self.hours * 3600

    @property
    def regions(self) -> tuple[str, ...]:
        """The region of each site: bulbar, cervical, thoracic or lumbosacral."""
        return tuple(body.site(site).region for site in self.sites)


@dataclass
class Canvas:
    """The signal of one site under the hands of the renderers: float32 (n, 3) in g, gravity included."""

    acc_g: Signal
    grid: Grid
    site: str
    night: Draft
    filtered: bool = True  # the chip has a low-pass that follows its rate
    turns: tuple[tuple[float, float], ...] = ()  # when (s) the posture changes, and by how many degrees
    events: Sequence[Happening] = ()  # all that reach the site; `render` sets it

    @property
    def region(self) -> str:
        """The site's region."""
        return body.site(self.site).region

    def rng(self, event: Happening) -> np.random.Generator:
        """Return a fresh generator for this event at this site, independent of the sampling rate."""
        return np.random.default_rng([event.seed, zlib.crc32(self.site.encode())])

    def direction(self, event: Happening) -> Floats:
        """Return the unit vector, (3,), along which this event is felt at this site."""
        return direction(self.rng(event))

    def low_pass(self, rate_hz: float) -> Floats:
        """Return the chip's low-pass for a wave made at `rate_hz`, as second-order sections."""
        return low_pass(min(0.45 * self.grid.fs_hz, 0.49 * rate_hz), rate_hz)

    def add(
        self,
        start_s: float,
        wave_g: Floats,
        rate_hz: float = FINE_HZ,
        along: Floats | None = None,
    ) -> None:
        """Add a wave, (n,) along a direction or (n, 3), that starts at a time and is made at `rate_hz`.

        `rate_hz` should be ten times what the wave holds. It is low-passed at 0.45 of the sensor's rate where
        the chip has such a filter; else what is too fast for the rate folds back.
        """
        wave = np.asarray(wave_g, float)
        if wave.ndim == 1:
            wave = wave[:, None]
        if self.filtered and 0.45 * self.grid.fs_hz < 0.49 * rate_hz:
            pad = round(EDGE_S * rate_hz)
            wave = np.pad(wave, ((pad, pad), (0, 0)))
            wave = signal.sosfiltfilt(self.low_pass(rate_hz), wave, axis=0)
            start_s -= pad / rate_hz
        window = self.grid.window(start_s, start_s + (len(wave) - 1) / rate_hz)
        at = (self.grid.time_s(np.arange(window.start, window.stop)) - start_s) * rate_hz
        values = np.stack([np.interp(at, np.arange(len(wave)), column) for column in wave.T], axis=1)
        self.acc_g[window] += (values if along is None else values * np.asarray(along)).astype(np.float32)


Render = Callable[[Canvas, Happening, float], None]
Reach = Callable[[np.random.Generator, Draft], npt.NDArray[np.float64]]


class Draw(Protocol):
    """A kind's own way to draw its events of a night."""

    def __call__(self, rng: np.random.Generator, night: Draft, kind: Kind) -> Iterable[Happening]:
        """Return the events."""


@dataclass(frozen=True)
class Kind:
    """One declared kind of confounder."""

    name: str
    render: Render
    draw: Draw
    source: str
    reach: Reach
    per_hour: float = 0.0
    nights: float = 1.0
    duration_s: Range = (0.1, 1.0)
    size_mg: Range = (1.0, 10.0)
    when: When = "any"
    held_out: bool = False

    @property
    def origin(self) -> str:
        """The file of `confounders/` that declares it: bed, strap ..."""
        return self.render.__module__.rpartition(".")[2]

    def event(
        self,
        rng: np.random.Generator,
        start_s: float,
        end_s: float,
        size_mg: Iterable[float],
        *,
        turn_degrees: float = 0.0,
        wear: Wear = "worn",
        detail: float = 0.0,
    ) -> Happening:
        """Make one event of this kind, with a seed of its own."""
        sizes = tuple(float(one) for one in size_mg)
        seed = int(rng.integers(1 << 62))
        return Happening(
            self.name, float(start_s), float(end_s), sizes, seed, float(turn_degrees), wear, float(detail)
        )


_KINDS: dict[str, Kind] = {}


def confounder(
    name: str,
    *,
    source: str,
    per_hour: float = 0.0,
    nights: float = 1.0,
    duration_s: Range = (0.1, 1.0),
    size_mg: Range = (1.0, 10.0),
    when: When = "any",
    reach: Reach | None = None,
    draw: Draw | None = None,
    held_out: bool = False,
) -> Callable[[Render], Render]:
    """Declare a kind of confounder.

    Parameters
    ----------
    name
        A word or two with underscores; stands in the table of happenings.
    source
        Where rate and size come from (author and year, or "assumption").
    per_hour, nights
        Mean events an hour of the time that `when` allows, in this share of the nights (else none at all).
    duration_s, size_mg
        Lower and upper end; drawn evenly in the logarithm. The size is peak to peak in the kind's own band.
    when
        "any", "asleep" or "awake" time.
    reach
        How much of the size each site feels, (sites,); `one_site`, `one_or_two_sites`, `all_sites`, `legs`.
    draw
        The kind's own drawing instead of the default, Poisson one; the figures above still document it.
    held_out
        The kind is kept out of the training families.
    """

    def declare(render: Render) -> Render:
        if name in _KINDS:
            raise ValueError(f"confounder {name} is declared twice")
        _KINDS[name] = Kind(name, render, draw or draw_poisson, source, reach or all_sites, per_hour, nights,
                            duration_s, size_mg, when, held_out)  # fmt: skip
        return render

    return declare


@cache
def kinds() -> dict[str, Kind]:
    """Return every kind by name, in order of name; the files of `confounders/` are read once."""
    from firmware_host.simulation import confounders

    for module in sorted(found.name for found in pkgutil.iter_modules(confounders.__path__)):
        importlib.import_module(f"{confounders.__name__}.{module}")
    return dict(sorted(_KINDS.items()))


def draw_poisson(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    """Draw events at even chance over the time that the kind asks for."""
    if rng.random() >= kind.nights:
        return []
    return events_at(rng, night, kind, times_in(rng, night, kind.per_hour, kind.when))


def events_at(rng: np.random.Generator, night: Draft, kind: Kind, starts: Floats) -> list[Happening]:
    """Draw events that start at given times (s): lengths, sizes and sites are the kind's."""
    lengths = log_uniform(rng, kind.duration_s, len(starts))
    sizes = log_uniform(rng, kind.size_mg, len(starts))
    return [
        kind.event(rng, start, start + length, size * kind.reach(rng, night))
        for start, length, size in zip(starts, lengths, sizes, strict=True)
    ]


def draw_once(rng: np.random.Generator, night: Draft, kind: Kind) -> list[Happening]:
    """Draw one long event in the kind's share of the nights, cut off at the end of the night."""
    if rng.random() >= kind.nights:
        return []
    length = min(night.duration_s, float(log_uniform(rng, kind.duration_s, 1)[0]))
    start_s = rng.uniform(0, night.duration_s - length)
    size = log_uniform(rng, kind.size_mg, 1)[0]
    return [kind.event(rng, start_s, start_s + length, size * kind.reach(rng, night))]


def times_in(rng: np.random.Generator, night: Draft, per_hour: float, when: When) -> Floats:
    """Draw Poisson times (s, in order) at a rate over the night's sleep, waking, or both."""
    times = np.sort(rng.uniform(0, night.duration_s, int(rng.poisson(per_hour * night.hours))))
    if when == "any":
        return times
    return np.asarray(times[night.sleeper.is_awake(times) == (when == "awake")])


def all_sites(rng: np.random.Generator, night: Draft) -> Floats:
    """Return every site, each with 0.3 to 1 of the size."""
    return np.asarray(rng.uniform(0.3, 1.0, len(night.sites)))


def one_site(rng: np.random.Generator, night: Draft) -> Floats:
    """Return one site only."""
    return np.asarray(np.arange(len(night.sites)) == rng.integers(len(night.sites)), float)


def one_or_two_sites(rng: np.random.Generator, night: Draft) -> Floats:
    """Return one site, and in a third of the cases another with a part of the size."""
    share = np.zeros(len(night.sites))
    order = rng.permutation(len(night.sites))
    share[order[0]] = 1.0
    if len(order) > 1 and rng.random() < 1 / 3:
        share[order[1]] = rng.uniform(0.2, 0.8)
    return share


def legs(rng: np.random.Generator, night: Draft) -> Floats:
    """Return the sites of one leg (of both in a third of the cases); nothing where there is none."""
    side = rng.choice(["left", "right"])
    both = rng.random() < 1 / 3
    feels = rng.uniform(0.3, 1.0, len(night.sites))
    on = [is_leg(site) and (both or body.site(site).side == side) for site in night.sites]
    return np.asarray(feels * np.array(on, float))


def is_leg(site: str) -> bool:
    """Tell a site on a leg."""
    return body.site(site).base.partition("_")[2] not in {"lower_back", "gluteal"} and (
        body.site(site).region == "lumbosacral"
    )


def draw_happenings(
    seed: int,
    night: Draft,
    names: Sequence[str],
    forced: Sequence[str] = (),
    more: Sequence[Happening] = (),
) -> list[Happening]:
    """Draw all events of a night, in order of start; a kind's events do not depend on the other kinds.

    `forced` kinds happen in this night for sure, however few nights have them; `more` events are added.
    """
    events = list(more)
    for name in dict.fromkeys((*names, *forced)):
        kind = replace(kinds()[name], nights=1.0) if name in forced else kinds()[name]
        rng = np.random.default_rng([seed, 2, zlib.crc32(name.encode())])
        events += [event for event in kind.draw(rng, night, kind) if any(event.size_mg)]
    return sorted(felt_where_worn(events), key=lambda event: (event.start_s, event.kind, event.seed))


def felt_where_worn(events: Sequence[Happening]) -> list[Happening]:
    """Take from each event the sites whose sensor was off the body all the while.

    A sensor that lies loose in the bed keeps what comes through the bed, and feels a part of large movements.
    """
    off = [event for event in events if event.wear != "worn"]
    settled = []
    for event in events:
        size_mg = np.array(event.size_mg)
        for span in off if event.wear == "worn" else ():
            if span.start_s <= event.start_s and event.end_s <= span.end_s:
                share = 0.0
                if span.wear == "in_bed" and event.turn_degrees and kinds()[event.kind].origin in LARGE_MOVES:
                    share = span.rng().uniform(*MATTRESS_SHARE)
                if span.wear == "in_bed" and kinds()[event.kind].origin == "bed":
                    share = 1.0
                size_mg[np.array(span.size_mg) > 0] *= share
        if size_mg.any():
            settled.append(replace(event, size_mg=tuple(size_mg.tolist())))
    return settled


def render(canvas: Canvas, events: Iterable[Happening]) -> None:
    """Add all events to one site's signal: first what is felt on the body, then what happens off it."""
    number = canvas.night.sites.index(canvas.site)
    reached = [event for event in events if event.size_mg[number] > 0 and event.wear != "no_data"]
    canvas.events = reached
    for event in sorted(reached, key=lambda event: event.wear != "worn"):
        kinds()[event.kind].render(canvas, event, event.size_mg[number])
