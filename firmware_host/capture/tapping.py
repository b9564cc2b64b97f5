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
LATE_S = 1.5
"""A sensor whose samples are later is not waited for."""
ALIKE = 0.5
"""A sensor that felt more than this share of the strongest may be the one that was meant."""


class Tapping(NamedTuple):
    """Three taps in a row as one sensor felt them."""

    begin: int
    """Number of the sample before the first tap."""
    known: int
    """Number of the sample from which on it is known that no fourth follows."""
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
    n: int = 0
    parts: list[Samples] = field(default_factory=list)
    begins: list[tuple[int, float]] = field(default_factory=list)
    """Number and time of each part's first sample: true rates are off by a few percent."""

    def time_s(self, number: int) -> float:
        """Return about when a sample was taken; of one that is not here yet, when the newest was."""
        first, begin_s = self.begins[-1]
        known = [*self.begins, (self.n, begin_s + (self.n - first) / self.fs_hz)]
        numbers, times_s = zip(*known, strict=True)
        return float(np.interp(number, numbers, times_s))


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
            When the first was taken, about, on a clock that all share.
        """
        felt = self._felt.setdefault(sensor, _Felt(fs_hz))
        felt.begins.append((felt.n, begin_s))
        felt.parts.append(np.asarray(acc_g))
        felt.n += len(acc_g)

    def forget(self, sensor: str) -> None:
        """Begin anew with a sensor, as after a gap."""
        self._felt.pop(sensor, None)

    def verdict(self) -> Verdict | None:
        """Return which sensor was tapped three times; None: none yet, or the go is not over."""
        tapped = [
            (tapping, sensor, felt)
            for sensor, felt in self._felt.items()
            for tapping in tappings(np.concatenate(felt.parts), felt.fs_hz)
        ]
        if not tapped:
            return None
        tapped.sort(key=lambda one: -one[0].strength_g)
        strongest, _, its = tapped[0]
        begin_s, known_s = its.time_s(strongest.begin), its.time_s(strongest.known)
        newest_s = [felt.time_s(felt.n) for felt in self._felt.values() if felt is not its]
        if its.time_s(its.n) < known_s + LATE_S and min(newest_s, default=np.inf) < known_s + SAME_S:
            return None  # what others felt is still on its way
        alike = (
            sensor
            for tapping, sensor, felt in tapped
            if tapping.strength_g >= ALIKE * strongest.strength_g
            and abs(felt.time_s(tapping.begin) - begin_s) <= SAME_S
        )
        return Verdict(tuple(dict.fromkeys(alike)))


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
        known = int(go[-1] + TOGETHER_S * fs_hz) + 1
        if len(go) == TAPS and known < len(acc_g):
            peaks = [float(change_g[group].max()) for group in taps if group[0] in go]
            found.append(Tapping(int(go[0]), known, float(np.median(peaks))))
    return found


def _grouped(at: npt.NDArray[np.int64], apart: float) -> list[npt.NDArray[np.int64]]:
    """Split rising indices where two are further apart."""
    return [group for group in np.split(at, np.flatnonzero(np.diff(at) > apart) + 1) if len(group)]
