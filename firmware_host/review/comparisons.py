"""Comparisons of nights as requests ask for them: worked out once, until one of the nights changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from firmware_host.analysis.comparing import site_night
from firmware_host.review.judged import without_log
from firmware_host.review.kept import Kept, stamps
from firmware_host.review.night_totals import FILES
from firmware_host.review.opened import brief_run
from firmware_host.twitch_map.comparison import Comparison, SiteNight, Trend, compare, trend

_MOST = 64


class Comparisons:
    """Comparisons of a folder's nights, by `context.shared(Comparisons)`; nights go by their names.

    The names are those of nights that are there: `Context.night` knows them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = Kept(_MOST)

    def trend(self, nights: Sequence[str], site: str) -> Trend:
        """Return a site night after night, of nights that one detector judged."""
        key = ("trend", site)
        return self._kept.get(key, self._state(nights), lambda: trend(self._of(nights, site)))

    def compare(self, first: Sequence[str], second: Sequence[str], site: str, other: str) -> Comparison:
        """Compare a site in some nights with a site in others; raises as `twitch_map.comparison.compare`."""
        key = ("compare", tuple(first), tuple(second), site, other)
        state = self._state([*first, *second])
        return self._kept.get(key, state, lambda: compare(self._of(first, site), self._of(second, other)))

    def _state(self, nights: Sequence[str]) -> list[object]:
        return [(name, stamps(self._folder / name, *FILES)) for name in nights]

    def _of(self, nights: Sequence[str], site: str) -> list[SiteNight]:
        found = []
        for name in nights:
            night = without_log(self._folder / name)
            if site in night.sites:
                found.append(site_night(night, brief_run(night.path), site))
        return found
