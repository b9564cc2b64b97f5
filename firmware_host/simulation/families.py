"""Families of what the simulator can make, by name, so that some can be kept out of training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from firmware_host.errors import BadValueError
from firmware_host.simulation.chips import CHIPS
from firmware_host.simulation.happenings import kinds
from firmware_host.simulation.shapes import SHAPES


@dataclass(frozen=True)
class Families:
    """Names of twitch shapes, confounder kinds and chips, and nominal sampling rates.

    Raises
    ------
    BadValueError
        If a name is not known; the sentence names those that are.
    """

    shapes: tuple[str, ...]
    confounders: tuple[str, ...]
    chips: tuple[str, ...]
    rates_hz: tuple[float, ...]

    def __post_init__(self) -> None:
        check_names("twitch shape", self.shapes, SHAPES)
        check_names("confounder", self.confounders, kinds())
        check_names("chip", self.chips, CHIPS)


def check_names(what: str, names: Sequence[str], known: Iterable[str]) -> None:
    """Refuse a name that is not known."""
    for name in names:
        if name not in known:
            raise BadValueError(f"The simulator knows no {what} {name!r}; it knows {', '.join(known)}.")


HELD_OUT_CHIPS = ("LSM6DS3TR-C", "LIS2DW12", "ICM-20948", "MPU-6500", "LIS2DH12-8g")
"""Chips that training never sees: from quiet to noisy, one with coarse steps."""

EVERYDAY = ("breath", "gross_movement", "heart", "small_movement", "unrest")
"""What no night is without: the content of the demonstration."""

TRAINED = Families(
    tuple(shape.name for shape in SHAPES.values() if not shape.held_out),
    tuple(kind.name for kind in kinds().values() if not kind.held_out),
    tuple(name for name in CHIPS if name not in HELD_OUT_CHIPS),
    (100.0, 104.0, 200.0, 52.0),
)
"""What training sees."""

HELD_OUT = Families(
    tuple(shape.name for shape in SHAPES.values() if shape.held_out),
    tuple(kinds()),
    HELD_OUT_CHIPS,
    (50.0, 102.27, 208.0, 400.0, 416.0),
)
"""What the evaluation adds: other shapes, chips and rates, and every confounder, trained on or not."""
