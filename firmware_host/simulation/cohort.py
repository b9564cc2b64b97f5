"""What a simulated night is told to be, and virtual people whose nights are drawn from families."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from firmware_host import body
from firmware_host.errors import BadValueError
from firmware_host.simulation.chips import CHIPS
from firmware_host.simulation.families import EVERYDAY, Families, check_names
from firmware_host.simulation.happenings import kinds
from firmware_host.simulation.parameters import DEFAULT_SITES, PROFILES, Parameters
from firmware_host.simulation.shapes import SHAPES

TRAIN_NUMBERS = range(100_000)
TEST_NUMBERS = range(100_000, 200_000)
"""Numbers of virtual people for training and for evaluation."""
LEAST_RATE_HZ = 48.0
"""The slowest clock of a chip makes 45 Hz of it, the least that detection takes."""
_FIRST_SEED = 1_000_000_000
"""Seeds that people type lie below, so that none of them is a virtual person's."""


@dataclass(frozen=True)
class NightSpec:
    """One simulated night, complete: the same specification gives the same night.

    Raises
    ------
    BadValueError
        If a value cannot be used or a name is not known.
    """

    seed: int = 1
    hours: float = 8.0
    sites: tuple[str, ...] = DEFAULT_SITES
    fs_hz: float = 100.0
    """Nominal rate; bodies and firings do not depend on it."""
    profile: str = "few"
    """How often sites twitch: `many`, `few`, `quiet`, or `mix` (one site of each sort)."""
    rate_scale: float = 1.0
    """Times the profile's rates; 0 gives a night without twitches."""
    shapes: tuple[str, ...] | None = None
    """Families of twitch shapes; None: all."""
    confounders: tuple[str, ...] | None = None
    """Kinds of confounders; None: all."""
    forced: tuple[str, ...] = ()
    """Kinds that this night has for sure, of `confounders` or not."""
    chips: tuple[str, ...] | None = None
    """One chip a site; None: drawn."""
    troubles: bool = True
    """Losses and interruptions of the radio link."""
    showcase: bool = False
    """The demonstration's troubles: the first sensor reconnects, the second is long out of reach, the third
    lies on the table for a while."""
    parameters: Parameters = field(default_factory=Parameters)

    def __post_init__(self) -> None:
        if not 0.05 <= self.hours <= 48:
            raise BadValueError(f"A simulated night lasts 0.05 to 48 hours, not {self.hours:g}.")
        if not LEAST_RATE_HZ <= self.fs_hz <= 1000:
            raise BadValueError(
                f"A simulated sensor samples at {LEAST_RATE_HZ:g} to 1000 Hz, not {self.fs_hz:g}."
            )
        if not 0 <= self.rate_scale <= 100:
            raise BadValueError(f"Twitch rates can be scaled by 0 to 100, not {self.rate_scale:g}.")
        if self.seed < 0:
            raise BadValueError(f"A seed is a whole number from 0 on, not {self.seed}.")
        if len(set(self.sites)) != len(self.sites) or not self.sites:
            raise BadValueError(
                "A simulated night needs sites, each named once; a second sensor is left_calf.2."
            )
        for site in self.sites:
            body.site(site)
        check_names("profile", [self.profile], PROFILES)
        check_names("twitch shape", self.shapes or (), SHAPES)
        check_names("confounder", (*(self.confounders or ()), *self.forced), kinds())
        check_names("chip", self.chips or (), CHIPS)
        if self.shapes == ():
            raise BadValueError("A simulated night needs a family of twitch shapes.")
        if self.chips is not None and len(self.chips) != len(self.sites):
            raise BadValueError(f"{len(self.sites)} sites need as many chips, not {len(self.chips)}.")


def demonstration(seed: int, hours: float) -> NightSpec:
    """Return a pleasant, mostly clean night on four sites: what every night has, and one of each trouble."""
    chips = ("ICM-42688-P", "LSM6DS3TR-C", "BMI270", "LSM6DSO")
    return NightSpec(seed=seed, hours=hours, profile="mix", confounders=EVERYDAY, chips=chips, showcase=True)


def subject(number: int, families: Families) -> NightSpec:
    """Return the night of a virtual person: sites, chips, rate and profile drawn from families.

    Parameters
    ----------
    number
        Who; one of `TRAIN_NUMBERS` or `TEST_NUMBERS`, which share nobody.
    families
        What may be used.

    Raises
    ------
    BadValueError
        If the number is negative.
    """
    if number < 0:
        raise BadValueError(f"Virtual people have numbers from 0 on, not {number}.")
    seed = _FIRST_SEED + number
    rng = np.random.default_rng([seed, zlib.crc32(b"subject")])
    places = list(body.SITES)
    sites = [places[index] for index in sorted(rng.choice(len(places), 4, replace=False))]
    return NightSpec(
        seed=seed,
        sites=tuple(sites),
        fs_hz=float(rng.choice(families.rates_hz)),
        profile=str(rng.choice(["many", "few", "quiet"])),
        shapes=families.shapes,
        confounders=families.confounders,
        chips=tuple(str(rng.choice(families.chips)) for _ in sites),
    )
