"""Where a sensor can sit: one table of body sites, each with its side, region, view and label.

Left and right are always the person's own. The four regions are those in which neurologists sum up an
examination (revised El Escorial criteria, Brooks 2000): bulbar, cervical, thoracic, lumbosacral.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass, replace
from typing import Literal

from firmware_host.errors import BadValueError

Side = Literal["left", "right"]
Region = Literal["bulbar", "cervical", "thoracic", "lumbosacral"]
View = Literal["front", "back"]


@dataclass(frozen=True)
class Site:
    """A place on the body; `base` is its name without the number of a second sensor."""

    name: str
    side: Side
    region: Region
    view: View
    label: str
    """What a person reads: "left calf"."""

    @property
    def base(self) -> str:
        """The place without the sensor's number: `left_calf` for `left_calf.2`."""
        return self.name.partition(".")[0]


# name of the place, region, view, label; from head to foot, front before back
_PLACES: tuple[tuple[str, Region, View, str], ...] = (
    ("face", "bulbar", "front", "face"),
    ("jaw", "bulbar", "front", "jaw"),
    ("tongue", "bulbar", "front", "tongue region (under the chin)"),
    ("neck", "cervical", "front", "neck"),
    ("neck_back", "cervical", "back", "neck, back"),
    ("shoulder", "cervical", "front", "shoulder"),
    ("shoulder_back", "cervical", "back", "shoulder, back"),
    ("shoulder_blade", "cervical", "back", "shoulder blade"),
    ("upper_arm", "cervical", "front", "upper arm"),
    ("upper_arm_back", "cervical", "back", "upper arm, back"),
    ("forearm", "cervical", "front", "forearm"),
    ("forearm_back", "cervical", "back", "forearm, back"),
    ("hand", "cervical", "front", "hand"),
    ("hand_back", "cervical", "back", "back of the hand"),
    ("chest", "thoracic", "front", "chest"),
    ("upper_back", "thoracic", "back", "upper back"),
    ("ribs", "thoracic", "front", "ribs"),
    ("ribs_back", "thoracic", "back", "ribs, back"),
    ("abdomen", "thoracic", "front", "abdomen"),
    ("lower_back", "lumbosacral", "back", "lower back"),
    ("gluteal", "lumbosacral", "back", "buttock"),
    ("thigh", "lumbosacral", "front", "thigh"),
    ("inner_thigh", "lumbosacral", "front", "inner thigh"),
    ("thigh_back", "lumbosacral", "back", "thigh, back"),
    ("shin", "lumbosacral", "front", "shin"),
    ("calf", "lumbosacral", "back", "calf"),
    ("foot", "lumbosacral", "front", "foot"),
    ("sole", "lumbosacral", "back", "sole of the foot"),
)
_SIDES: tuple[Side, ...] = ("left", "right")

SITES: dict[str, Site] = {
    f"{side}_{place}": Site(f"{side}_{place}", side, region, view, f"{side} {label}")
    for place, region, view, label in _PLACES
    for side in _SIDES
}
"""Every site by name, in order from head to foot."""


def site(name: str) -> Site:
    """Return the site of a name such as `left_calf`, or `left_calf.2` for a second sensor there.

    Raises
    ------
    BadValueError
        If there is no such site: the sentence names the nearest ones and where the list is.
    """
    base, dot, number = name.partition(".")
    known = SITES.get(base)
    if known is None:
        near = difflib.get_close_matches(base.strip().lower().replace(" ", "_").replace("-", "_"), SITES, n=3)
        hint = (
            f" Did you mean {' or '.join(near)}?"
            if near
            else " Sites look like left_calf or right_upper_arm."
        )
        raise BadValueError(
            f"There is no body site {name!r}.{hint} `python -m firmware_host.body` lists all sites."
        )
    if not dot:
        return known
    if number not in {"2", "3", "4", "5", "6", "7", "8", "9"}:
        raise BadValueError(
            f"{name!r} is no sensor at {base}: further sensors there are {base}.2 to {base}.9."
        )
    return replace(known, name=name, label=f"{known.label}, sensor {number}")


def order(name: str) -> tuple[int, str]:
    """Return the key that sorts site names from head to foot, left before right."""
    place = site(name)
    return list(SITES).index(place.base), place.name


if __name__ == "__main__":
    sys.stdout.writelines(f"{place.name:<24} {place.region:<12} {place.label}\n" for place in SITES.values())
