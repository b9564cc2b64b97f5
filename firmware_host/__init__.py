"""Twitchmap: counts muscle twitches overnight with motion sensors and maps them over body and night.

The names below are the public interface; each is imported when it is first used, so that
``import firmware_host`` costs nothing.

>>> import firmware_host as tm
>>> night = tm.open("last")  # doctest: +SKIP
>>> twitches = tm.detect(night)  # doctest: +SKIP
>>> tm.twitch_map(twitches)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firmware_host.errors import TwitchmapError
    from firmware_host.notebook import (
        SiteSamples,
        Twitches,
        TwitchMap,
        compare,
        counts,
        detect,
        import_night,
        load_run,
        nights,
        open,  # noqa: A004
        samples,
        score,
        simulate,
        twitch_map,
    )
    from firmware_host.recording import Night

__version__ = "0.1.0"

_PUBLIC = {
    "Night": "recording",
    "SiteSamples": "notebook",
    "TwitchMap": "notebook",
    "Twitches": "notebook",
    "TwitchmapError": "errors",
    "compare": "notebook",
    "counts": "notebook",
    "detect": "notebook",
    "import_night": "notebook",
    "load_run": "notebook",
    "nights": "notebook",
    "open": "notebook",
    "samples": "notebook",
    "score": "notebook",
    "simulate": "notebook",
    "twitch_map": "notebook",
}
__all__ = [
    "Night",
    "SiteSamples",
    "TwitchMap",
    "Twitches",
    "TwitchmapError",
    "compare",
    "counts",
    "detect",
    "import_night",
    "load_run",
    "nights",
    "open",
    "samples",
    "score",
    "simulate",
    "twitch_map",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _PUBLIC:
        raise AttributeError(f"firmware_host has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"firmware_host.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
