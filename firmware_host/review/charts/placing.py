"""Where to measure next: a simple rule that anybody can follow or leave.

1. One anchor stays: the site that was measured in most nights, of several the one measured last. Without it
   a change from night to night could be one of place.
2. Each other sensor goes where least is known: into the region of the body with the fewest measured sites,
   and there to the site that was never measured, else to the one measured longest ago. Only sites are
   suggested at which a strap or a patch holds through a night.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firmware_host.body import SITES

PLACES = (
    "upper_arm", "forearm", "abdomen", "upper_back", "thigh", "shin", "calf", "lower_back", "chest",
    "shoulder",
)  # fmt: skip
"""Places that are suggested, in this order where nothing else decides."""


@dataclass(frozen=True)
class Measured:
    """How often a site was measured, and when last (UTC ns)."""

    nights: int
    last_ns: int


def suggested(measured: Mapping[str, Measured], sensors: int) -> tuple[str, ...]:
    """Return the sites suggested for tonight, the anchor first; none where nothing was measured yet.

    Parameters
    ----------
    measured
        By site, without the numbers of second sensors.
    sensors
        How many there are.
    """
    if not measured or sensors < 1:
        return ()
    chosen = [max(measured, key=lambda site: (measured[site].nights, measured[site].last_ns))]
    sites = [f"{side}_{place}" for place in PLACES for side in ("left", "right")]

    def known_least(site: str) -> tuple[int, int, int, int, int]:
        own = SITES[site]
        return (
            sum(SITES[one].region == own.region for one in {*measured, *chosen}),
            measured[site].last_ns if site in measured else -1,
            sum(SITES[one].region == own.region for one in chosen),
            sum(SITES[one].side == own.side for one in chosen),
            sites.index(site),
        )

    while len(chosen) < sensors and (free := [site for site in sites if site not in chosen]):
        chosen.append(min(free, key=known_least))
    return tuple(chosen)
