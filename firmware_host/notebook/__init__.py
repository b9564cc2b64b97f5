"""What a notebook or a script of one's own needs: nights as arrays and tables, with their units in the names.

`firmware_host` offers these names itself. Whoever calls them asks for counts; the setting `show` is for pages
and commands. Tables are the same as those that `twitchmap export` writes, column by column.
"""

from __future__ import annotations

import firmware_host
from firmware_host.notebook.finding import compare, counts, detect, load_run, samples, score, twitch_map
from firmware_host.notebook.opening import import_night, nights, open, simulate  # noqa: A004
from firmware_host.notebook.results import SiteSamples, Twitches, TwitchMap

__all__ = [
    "SiteSamples",
    "TwitchMap",
    "Twitches",
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

# The room `firmware_host.twitch_map`, imported by now, has put itself under the name of the function.
vars(firmware_host)["twitch_map"] = twitch_map
