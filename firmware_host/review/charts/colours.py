"""The colour of a rate: one scale from zero, light to deep blue, the same for all eyes and without alarm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Eight colours evenly spaced in lightness, computed in OKLCH (lightness 0.945 to 0.34, hue 205 to 252).
PALETTE = ("#d2f4f8", "#a8dbe5", "#81c0d3", "#5ea5c0", "#4289ac", "#2d6e94", "#1f537a", "#16395e")
_WIDE = 10.0
"""Ratio of the largest to the smallest rate above which a linear scale would hide the small ones."""


@dataclass(frozen=True)
class Scale:
    """Rates from 0 to `top`, linear or by square root (which starts at zero too, as a logarithm cannot)."""

    top: float
    root: bool = False

    def share(self, rate: float) -> float:
        """Return where a rate lies between zero (0) and the top (1)."""
        share = min(max(rate / self.top, 0.0), 1.0)
        return math.sqrt(share) if self.root else share

    def colour(self, rate: float) -> str:
        """Return the colour of a rate."""
        return mixed(self.share(rate))

    def ticks(self) -> list[float]:
        """Return round rates for the legend, zero first."""
        if not self.root:
            step = _nice(self.top / 4)
            return [k * step for k in range(int(self.top / step + 1e-9) + 1)]
        marks = [0.0]
        decade = math.floor(math.log10(self.top)) - 3
        for exponent in range(decade, decade + 5):
            for mantissa in (1, 2, 5):
                value = mantissa * 10.0**exponent
                if value <= self.top and self.share(value) - self.share(marks[-1]) >= 0.17:
                    marks.append(value)
        return marks


def scale_for(rates: Iterable[float], *, root: bool | None = None) -> Scale:
    """Return a scale from zero to a round number above the largest rate.

    `root` None takes square roots where the rates span more than a factor of 10.
    """
    seen = sorted(rate for rate in rates if rate > 0)
    if not seen:
        return Scale(1.0, bool(root))
    if root is None:
        root = seen[-1] > _WIDE * seen[0]
    step = _nice(seen[-1] / 4)
    return Scale(step * math.ceil(seen[-1] / step - 1e-9), root)


def mixed(share: float) -> str:
    """Return the colour at a share of the palette, mixed between its neighbours."""
    at = min(max(share, 0.0), 1.0) * (len(PALETTE) - 1)
    i = min(int(at), len(PALETTE) - 2)
    pair = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in PALETTE[i : i + 2]]
    return "#" + "".join(f"{round(a + (at - i) * (b - a)):02x}" for a, b in zip(*pair, strict=True))


def _nice(value: float) -> float:
    """Return the smallest of 1, 2, 2.5 or 5 times a power of ten that is not below the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= value * (1 - 1e-9))
