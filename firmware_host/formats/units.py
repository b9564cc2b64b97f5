"""Which unit foreign samples are in, told by gravity. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadValueError
from firmware_host.formats.columns import UNITS

Singles = npt.NDArray[np.float32]

GRAVITY_G = (0.8, 1.2)
"""The length of gravity that a sensor out of calibration may still show."""
GUESSED_OFF = 0.1
"""Further from 1 g, a unit that nobody named may be chance: raw counts can look like mg."""
TOO_MUCH_G = 3.0
"""A mean acceleration that no body keeps up: then the numbers are something else."""


@dataclass(frozen=True)
class UnitChoice:
    """The unit, the length of gravity in g under it, and what speaks against it ("" if nothing)."""

    unit: str
    gravity_g: float
    warning: str = ""

    @property
    def g_per_unit(self) -> float:
        """The factor to g."""
        return UNITS[self.unit]


def vector_length(windows: Sequence[Singles]) -> float:
    """Return the median length of the mean vector of (n, 3) windows of a second: gravity without noise."""
    lengths = [
        float(np.linalg.norm(np.nanmean(w, axis=0))) for w in windows if np.isfinite(w).any(axis=0).all()
    ]
    return float(np.median(lengths)) if lengths else 0.0


def choose_unit(length: float, *, named: str | None, given: str | None) -> UnitChoice:
    """Decide on the unit of the samples.

    Parameters
    ----------
    length : length of gravity in the file's own numbers.
    named : unit that the file names.
    given : unit that the user names; it is believed unless it cannot be.

    Raises
    ------
    BadValueError
        If no unit is given or named and none makes it gravity, or what is named cannot be.
    """
    fits = [unit for unit, factor in UNITS.items() if GRAVITY_G[0] <= length * factor <= GRAVITY_G[1]]
    unit = given or named or (fits[0] if fits else None)
    if unit is None:
        lengths = ", ".join(f"{length * factor:.3g} g if in {name}" for name, factor in UNITS.items())
        raise BadValueError(
            f"the unit is not named, and none gives gravity its length of 1 g "
            f"({lengths}); give it with --unit"
        )
    if unit not in UNITS:
        raise BadValueError(f"{unit!r} is no unit of acceleration; there are {', '.join(UNITS)}")
    gravity_g = length * UNITS[unit]
    if GRAVITY_G[0] <= gravity_g <= GRAVITY_G[1]:
        doubtful = not (given or named) and abs(gravity_g - 1) > GUESSED_OFF
        why = (
            f"the unit is a guess, under which gravity is {gravity_g:.2f} g long: make sure, and give --unit"
        )
        return UnitChoice(unit, gravity_g, why if doubtful else "")
    who = "given" if given else "named in the file"
    if gravity_g > TOO_MUCH_G or (fits and not given):
        hint = (
            f"in {fits[0]} it would be {length * UNITS[fits[0]]:.2f} g (--unit {fits[0]})"
            if fits
            else "no unit fits"
        )
        raise BadValueError(f"in the unit {who}, {unit}, gravity would be {gravity_g:.3g} g long; {hint}")
    why = "the sensor is out of calibration, or was moved throughout"
    if gravity_g < 0.3:
        why = (
            "gravity was taken out of this file, or the unit is wrong; twitches show without it, posture and "
            "wear do not, and what took it out may change sizes: export acceleration with gravity if you can"
        )
    return UnitChoice(unit, gravity_g, f"gravity is {gravity_g:.2f} g long instead of 1 g: {why}")
