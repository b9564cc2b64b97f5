"""Parts of a night that are searched again, with something added to their samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.recording import Stretch


@dataclass(frozen=True)
class Excerpt:
    """A part of a stretch, grid indices `begin` to `end`; twitches may be added from `first` to `last`."""

    stretch: Stretch
    begin: int
    end: int
    first: int
    last: int


def samples_with(
    part: Excerpt, more_mg: npt.NDArray[np.float32], range_g: float | None, step_g: float | None
) -> list[tuple[int, npt.NDArray[np.float32]]]:
    """Return an excerpt's samples with more added, as the sensor would give them, by pieces without gaps."""
    found = list(part.stretch.pieces_between(part.begin, part.end))
    if not found:
        return []
    firsts = [first - part.begin for first, _ in found]
    acc_g = np.concatenate([counts for _, counts in found]) * np.float32(part.stretch.sensor.g_per_count)
    at = np.concatenate([first + np.arange(len(c)) for first, (_, c) in zip(firsts, found, strict=True)])
    acc_g += more_mg[at] * np.float32(1e-3)
    if step_g is not None:
        acc_g = np.rint(acc_g / np.float32(step_g)) * np.float32(step_g)
    if range_g is not None:
        acc_g = np.clip(acc_g, -np.float32(range_g), np.float32(range_g))
    cuts = np.cumsum([len(counts) for _, counts in found])[:-1]
    return list(zip(firsts, np.split(acc_g, cuts), strict=True))
