"""Which of several sensors is being tapped, three times. No I/O; any split of the samples gives the same.

A tap is an impact: it changes the acceleration by a good part of g from one sample to the next, which no
movement of a limb does. Sensors on the same limb or table feel it too, but less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.floating]

TAPS = 3
LEAST_G = 0.25
"""Change from one sample to the next that is a tap ..."""
TIMES_USUAL = 12.0
"""... and so many times the usual one (movement and noise of the same sensor)."""
ONE_TAP_S = 0.12
"""What follows a tap sooner belongs to it: the strap swings back."""
TOGETHER_S = 1.2
"""Taps further apart are not of one go; so long after the third it is known that there is no fourth."""
SAME_S = 0.6
"""Two sensors' taps begin within this of each other if they are the same (arrival times jitter)."""
ALIKE = 0.5
"""A sensor that felt more than this share of the strongest may be the one that was meant."""


class Tapping(NamedTuple):
    """Three taps in a row as one sensor felt them."""

    begin_s: float
    strength_g: float
    """Median change of the three, g from one sample to the next."""


@dataclass(frozen=True)
class Verdict:
    """Which sensor was tapped; several where that is in doubt, the strongest first."""

    sensors: tuple[str, ...]

    @property
    def sure(self) -> bool:
        """Whether it is one."""
        return len(self.sensors) == 1


@dataclass
class _Felt:
    fs_hz: float
    begin_s: float
    parts: list[Samples] = field(default_factory=list)


class Taps:
    """Samples of several sensors since they were asked for three taps."""

    def __init__(self) -> None:
        self._felt: dict[str, _Felt] = {}

    def put(self, sensor: str, acc_g: Samples, *, fs_hz: float, begin_s: float) -> None:
        """Take samples that follow those before.

        Parameters
        ----------
        acc_g
            Shape (n, 3), g.
        begin_s
            When the first was taken, about; of a sensor's first samples, on a clock that all share.
        """
        felt = self._felt.setdefault(sensor, _Felt(fs_hz, begin_s))
        felt.parts.append(np.asarray(acc_g))

    def forget(self, sensor: str) -> None:
        """Begin anew with a sensor, as after a gap."""
        self._felt.pop(sensor, None)

    def verdict(self) -> Verdict | None:
        """Return which sensor was tapped three times; None: none yet, or the go is not over."""
        strongest: tuple[float, float] | None = None
        tapped: list[tuple[float, float, str]] = []
        for sensor, felt in self._felt.items():
            for tapping in tappings(np.concatenate(felt.parts), felt.fs_hz):
                begin_s = felt.begin_s + tapping.begin_s
                tapped.append((tapping.strength_g, begin_s, sensor))
                strongest = max(strongest or (0.0, 0.0), (tapping.strength_g, begin_s))
        if strongest is None:
            return None
        strength_g, begin_s = strongest
        alike = [
            one for one in sorted(tapped, reverse=True)
            if one[0] >= ALIKE * strength_g and abs(one[1] - begin_s) <= SAME_S
        ]  # fmt: skip
        return Verdict(tuple(dict.fromkeys(sensor for _, _, sensor in alike)))


def tappings(acc_g: Samples, fs_hz: float) -> list[Tapping]:
    """Return every go of exactly three taps in samples (n, 3), g."""
    if len(acc_g) < 2:
        return []
    change_g = np.linalg.norm(np.diff(acc_g.astype(np.float64), axis=0), axis=1)
    least_g = max(LEAST_G, TIMES_USUAL * float(np.median(change_g)))
    hits = np.flatnonzero(change_g >= least_g)
    taps = _grouped(hits, ONE_TAP_S * fs_hz)
    begins = np.array([group[0] for group in taps], dtype=np.int64)
    found = []
    for go in _grouped(begins, TOGETHER_S * fs_hz):
        if len(go) != TAPS or len(change_g) - go[-1] <= TOGETHER_S * fs_hz:
            continue
        peaks = [float(change_g[group].max()) for group in taps if group[0] in go]
        found.append(Tapping(float(go[0]) / fs_hz, float(np.median(peaks))))
    return found


def _grouped(at: npt.NDArray[np.int64], apart: float) -> list[npt.NDArray[np.int64]]:
    """Split rising indices where two are further apart."""
    return [group for group in np.split(at, np.flatnonzero(np.diff(at) > apart) + 1) if len(group)]
