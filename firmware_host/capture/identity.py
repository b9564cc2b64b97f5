"""Which of the sensors around is which site's: no two links ever take the same one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from firmware_host.capture.hearing import Seen
from firmware_host.sensors.protocol import Model


@dataclass(frozen=True)
class Wanted:
    """One sensor of the night, named by its address or name, else by its model alone."""

    site: str
    address: str | None
    name: str | None
    """As advertised, or its last word (the serial number of a Polar or Movesense)."""
    model: Model | None
    """None: told from the advertisement."""
    fs_hz: float | None
    """None: the model's usual rate."""
    adapter: str | None = None


class Register:
    """Who wants which sensor, and who has which; kept by the radio, for all its links."""

    def __init__(self) -> None:
        self._wanted: dict[str, Wanted] = {}
        self._taken: dict[str, str] = {}  # address -> site

    def enter(self, wanted: Wanted) -> None:
        """Make known that a link looks for a sensor from now on."""
        self._wanted[wanted.site] = wanted

    def leave(self, wanted: Wanted) -> None:
        """Forget a link and let go of its sensor."""
        self._wanted.pop(wanted.site, None)
        self.release(wanted)

    def take(self, wanted: Wanted, seen: Seen) -> None:
        """Keep a sensor for one link, also while it is away."""
        self._taken[seen.address.casefold()] = wanted.site

    def release(self, wanted: Wanted) -> None:
        """Let go of a sensor that never streamed: another may be the right one."""
        self._taken = {address: site for address, site in self._taken.items() if site != wanted.site}

    def keep(self, wanted: Wanted, seen: Seen) -> Wanted:
        """Return how a link wants its sensor from now on, once it has streamed: one that was named by its
        model alone is that very sensor for the rest of the night.
        """
        if wanted.address is None and wanted.name is None:
            wanted = self._wanted[wanted.site] = replace(wanted, address=seen.address)
        return wanted

    def is_for(self, wanted: Wanted, seen: Seen) -> bool:
        """Tell whether a sensor that was seen is the one that a link wants."""
        if self._taken.get(seen.address.casefold(), wanted.site) != wanted.site:
            return False
        if wanted.address is not None or wanted.name is not None:
            return _named(wanted, seen.address, seen.advertisement.name)
        others = (one for one in self._wanted.values() if one.site != wanted.site)
        model = wanted.model
        return (
            model is not None
            and model.matches(seen.advertisement)
            and not any(_named(one, seen.address, seen.advertisement.name) for one in others)
        )


def may_be(wanted: Wanted, address: str, name: str) -> bool:
    """Tell whether a sensor of some address and name can be the one that is wanted, as far as it is named."""
    return (wanted.address is None and wanted.name is None) or _named(wanted, address, name)


def _named(wanted: Wanted, address: str, name: str) -> bool:
    if wanted.address is not None:
        if wanted.address.casefold() == address.casefold():
            return True
        if (":" in wanted.address) == (":" in address):
            return False
        # a set-up made on another computer: macOS gives out identifiers of its own instead of addresses
    if wanted.name is None:
        return False
    asked, called = wanted.name.casefold(), name.casefold()
    return asked == called or asked in called.split()[-1:]
