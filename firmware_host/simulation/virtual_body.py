"""A simulated body that is felt piece by piece while it is recorded: a night needs no memory of a night."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from firmware_host.errors import BadValueError
from firmware_host.simulation.bodies import Grid, Signal, add_twitches, draw_sleeper, gravity
from firmware_host.simulation.chips import Specimen, add_noise_of
from firmware_host.simulation.cohort import NightSpec
from firmware_host.simulation.families import EVERYDAY
from firmware_host.simulation.happenings import Canvas, Draft, draw_happenings, render
from firmware_host.simulation.night import rates_of, streams, twitching
from firmware_host.simulation.shapes import SHAPE_S
from firmware_host.simulation.truth import TRUTH_DTYPE
from firmware_host.simulation.twitches import Firings, truth_of
from firmware_host.twitches import Table, table

LONGEST_H = 48.0
"""A body goes on for this long; events are drawn for as long as asked."""


class VirtualBody:
    """One sleeper with everyday movements, heart, breath and twitches, under sensors at several sites.

    Parameters
    ----------
    sites
        Body sites, one sensor each.
    hours
        How long it moves and twitches; afterwards it only lies there.
    seed
        The same seed gives the same body.
    profile
        How often the sites twitch: `many`, `few`, `quiet` or `mix`.

    Raises
    ------
    BadValueError
        If a site or a number cannot be used.
    """

    def __init__(self, sites: Sequence[str], *, hours: float, seed: int, profile: str) -> None:
        if not 0 < hours <= LONGEST_H:
            raise BadValueError(f"A virtual body lasts up to {LONGEST_H:g} hours, not {hours:g}.")
        self.spec = NightSpec(seed=seed, hours=max(hours, 0.05), sites=tuple(sites), profile=profile)
        sleeper = draw_sleeper(np.random.default_rng([seed, 0]), self.spec.parameters, self.spec.hours)
        self._night = Draft(self.spec.hours, self.spec.sites, sleeper)
        self._events = draw_happenings(seed, self._night, EVERYDAY)
        self._twitching = {
            site: twitching(self.spec, site, rate)
            for site, rate in zip(sites, rates_of(self.spec), strict=True)
        }

    def _turns(self, site: str) -> list[tuple[float, float, float]]:
        """Return start (s), end (s) and angle (degrees) of every turn at a site."""
        number = self.spec.sites.index(site)
        reached = (event for event in self._events if event.turn_degrees and event.size_mg[number] > 0)
        return [(event.start_s, event.end_s, event.turn_degrees) for event in reached]

    def edge_s(self, site: str, after_s: float) -> float:
        """Return the first time from `after_s` on at which a site is not being turned; pieces end there."""
        for start_s, end_s, _ in self._turns(site):
            if start_s < after_s < end_s:
                after_s = end_s
        return after_s

    def piece(self, site: str, grid: Grid, specimen: Specimen) -> Signal:
        """Return what a sensor at a site feels on its grid, float32 (n, 3) in g, its own noise included.

        The grid must begin and end where `edge_s` allows; pieces that follow each other fit together.
        """
        number = self.spec.sites.index(site)
        begin_s, end_s = float(grid.time_s(0.0)), float(grid.time_s(float(grid.n)))
        turns = self._turns(site)
        turned = tuple((turn_s, degrees) for _, turn_s, degrees in turns)
        for_gravity = streams(self.spec, site)[4]
        canvas = Canvas(gravity(for_gravity, grid, turns), grid, site, self._night, True, turned)
        render(
            canvas,
            [
                event
                for event in self._events
                if event.size_mg[number] > 0 and event.start_s < end_s + 1 and event.end_s > begin_s - 1
            ],
        )
        rng = np.random.default_rng([self.spec.seed, 5, zlib.crc32(site.encode()), round(begin_s * 1e6)])
        add_noise_of(rng, canvas.acc_g, grid, specimen)
        units, firings = self._twitching[site]
        first, last = np.searchsorted(firings.start_s, (begin_s - SHAPE_S, end_s)).tolist()
        some = slice(first, last)
        add_twitches(canvas.acc_g, grid, Firings(*(column[some] for column in vars(firings).values())), units)
        return canvas.acc_g

    def truth(self, site: str, density_mg: float) -> Table:
        """Return every twitch at a site (`TRUTH_COLUMNS`), in seconds since the body began.

        `density_mg` is the sensor's noise, mg per sqrt(Hz), for `d`.
        """
        units, firings = self._twitching[site]
        peak_s, size_mg, energy, unit, count = truth_of(firings, units)
        families = np.array([one.family for one in units])[unit]
        return table(TRUTH_DTYPE, len(peak_s), site=site, peak_s=peak_s, unit=unit, peak_to_peak_mg=size_mg,
                     energy_mg2s=energy, d=np.sqrt(2 * energy) / density_mg, shape=families,
                     firings=count)  # fmt: skip
