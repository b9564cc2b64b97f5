"""Twitchmap: counts muscle twitches overnight with motion sensors and maps them over body and night.

The names below are the public interface; each is imported when it is first used, so that
``import firmware_host`` costs nothing.

>>> import firmware_host as tm
>>> night = tm.open("recordings/2026-11-22T22-31-05_left-leg.night")  # doctest: +SKIP
>>> run = tm.detect(night)  # doctest: +SKIP
>>> tm.counts(night, run, bin_s=900)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firmware_host.analysis import Run, load_run
    from firmware_host.analysis import detect_night as detect
    from firmware_host.analysis import night_counts as counts
    from firmware_host.errors import TwitchmapError
    from firmware_host.recording import Night, create_night
    from firmware_host.recording import open_night as open  # noqa: A004

__version__ = "0.1.0"

_PUBLIC = {
    "Night": "recording:Night",
    "Run": "analysis:Run",
    "TwitchmapError": "errors:TwitchmapError",
    "counts": "analysis:night_counts",
    "create_night": "recording:create_night",
    "detect": "analysis:detect_night",
    "load_run": "analysis:load_run",
    "open": "recording:open_night",
}
__all__ = ["Night", "Run", "TwitchmapError", "counts", "create_night", "detect", "load_run", "open"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _PUBLIC:
        raise AttributeError(f"firmware_host has no {name!r}; it has {', '.join(__all__)}")
    module, attribute = _PUBLIC[name].split(":")
    return getattr(import_module(f"firmware_host.{module}"), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
