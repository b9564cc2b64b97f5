"""Where the parts of a twitch map stand: for a screen, and for the width of a printed page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Layout:
    """Measures of a twitch map in pixels; those here are for a screen, as a picture that stands alone."""

    width: float = 1180.0
    margin: float = 28.0
    top: float = 96.0
    """Room above body and strips; `titled`: with title and date in it."""
    titled: bool = True
    figures_x: Mapping[str, float] = field(default_factory=lambda: {"front": 133.0, "back": 365.0})
    figure_scale: float = 0.78
    figure_top: float = 26.0
    callout_x: float = 104.0
    """How far the numbers of sites stand from the middle of the body, and"""
    callouts_apart: float = 18.0
    """from each other at least."""
    rates_on_body: bool = False
    """A site's rate stands under its number."""
    strip_x: float = 528.0
    strip_width: float = 620.0
    header: float = 38.0
    """Room for a strip's name and number; `more`: and for its valid time and limit below."""
    more: bool = True
    bar: tuple[float, float] = (30.0, 110.0)
    """How high bars may be: at least and at most."""
    track: float = 6.0
    gap: float = 20.0
    text: float = 1.0
    """Size of letters over that on a screen."""
    keys_x: float = 36.0
    keys_y: float = 46.0
    """Where the patterns are explained, from the scale of colours on; `keys_apart`: from row to row."""
    keys_apart: float = 20.0
    valid: str = "#9ccdc3"
    unconfirmed: str = "#dbe3e7"


SCREEN = Layout()
PAPER = Layout(
    width=704.0,
    margin=2.0,
    top=12.0,
    titled=False,
    figures_x={"front": 84.0, "back": 238.0},
    figure_scale=0.37,
    figure_top=14.0,
    callout_x=64.0,
    callouts_apart=26.0,
    rates_on_body=True,
    strip_x=350.0,
    strip_width=352.0,
    header=13.0,
    more=False,
    bar=(8.0, 46.0),
    track=4.0,
    gap=3.0,
    text=0.78,
    keys_x=318.0,
    keys_y=0.0,
    keys_apart=15.0,
    valid="#5b6b77",
    unconfirmed="#cfd8dd",
)
"""186 mm, which A4 and Letter both have within their margins; its greys differ without colours too."""
