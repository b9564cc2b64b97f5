"""The samples themselves, for a view so close that bins would not do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.recording import Night, Stretch
from firmware_host.review.view_cache.making import samples_and_band

Float32 = npt.NDArray[np.float32]
COLUMNS = ("t", "x", "y", "z", "band")


def samples_between(night: Night, site: str, from_s: float, to_s: float) -> Float32:
    """Return a site's samples of a time, (n, 5): seconds after `from_s`, x, y, z and band in mg.

    A row of NaN stands where samples are missing. `from_s` and `to_s` count from the night's start.
    """
    from_ns = night.start_ns + round(from_s * 1e9)
    to_ns = night.start_ns + round(to_s * 1e9)
    found: list[Float32] = []
    for stretch in night.stretches(site):
        low, high = (_index_at(stretch, at_ns) for at_ns in (from_ns, to_ns))
        for a, b in stretch.pieces.tolist():
            begin, end = max(a, low), min(b, high)
            if begin < end:
                if found:
                    found.append(np.full((1, len(COLUMNS)), np.nan, np.float32))
                found.append(_rows(stretch, (a, begin, end, b), from_ns))
    return np.concatenate(found) if found else np.empty((0, len(COLUMNS)), np.float32)


def _index_at(stretch: Stretch, at_ns: int) -> int:
    """Return the first grid index at or after a time, to a millisecond or so."""
    return int(np.clip(np.ceil(stretch.index_at(at_ns) - 1e-6), 0, stretch.n))


def _rows(stretch: Stretch, piece: tuple[int, int, int, int], from_ns: int) -> Float32:
    counts, size = samples_and_band(stretch, piece)
    rows = np.empty((len(counts), len(COLUMNS)), np.float32)
    rows[:, 0] = (stretch.time_ns(np.arange(piece[1], piece[2])) - from_ns) / 1e9
    rows[:, 1:4] = counts * np.float32(1000 * stretch.sensor.g_per_count)
    rows[:, 4] = size
    return rows
