"""How events look: the signal around their peaks, in the band of detection, aligned at the peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.recording import Night

Floats = npt.NDArray[np.float64]

WAVE_HZ = 100.0
"""Twitches have next to nothing above 40 Hz."""
BEFORE_S, AFTER_S = 0.25, 0.45
MARGIN_S = 1.1
"""What the filter looks at beyond the ends."""


@dataclass(frozen=True)
class Waveforms:
    """Signals around some events of one site.

    `axes_mg` (events, 3, samples), NaN where there are no samples; `main_mg` (events, samples) along the
    direction of most movement, the larger deflection upwards.
    """

    from_s: float
    rate_hz: float
    axes_mg: Floats
    main_mg: Floats


def waveforms(
    night: Night,
    site: str,
    peaks_ns: Sequence[int],
    before_s: float = BEFORE_S,
    after_s: float = AFTER_S,
    *,
    one_unit: bool = False,
) -> Waveforms:
    """Read the signal around some events of a site.

    Parameters
    ----------
    one_unit
        All move in one direction, as those of a motor unit do; else each has a direction of its own.

    Raises
    ------
    BadValueError
        If the night has no such site.
    """
    grid_s = np.arange(round(-before_s * WAVE_HZ), round(after_s * WAVE_HZ) + 1) / WAVE_HZ
    night.meta.sensor(site)
    axes = np.full((len(peaks_ns), 3, len(grid_s)), np.nan)
    for wave, peak_ns in zip(axes, peaks_ns, strict=True):
        wave[:] = _around(night, site, int(peak_ns), grid_s).T
    main = _along_main(axes) if one_unit else [_along_main(axes[[k]])[0] for k in range(len(axes))]
    return Waveforms(float(grid_s[0]), WAVE_HZ, axes, np.asarray(main).reshape(len(axes), len(grid_s)))


def _around(night: Night, site: str, peak_ns: int, grid_s: Floats) -> Floats:
    """Return the signal at times around one peak, (samples, 3); NaN beyond a gap, and where there is none."""
    from firmware_host.detection.band import band_passed

    out = np.full((len(grid_s), 3), np.nan)
    start_ns, end_ns = (
        peak_ns + round((grid_s[end] + way * MARGIN_S) * 1e9) for end, way in ((0, -1), (-1, 1))
    )
    for part in night.read(site, start_ns, end_ns):
        if len(part.time_ns) < 3:
            continue
        step_ns = (part.time_ns[-1] - part.time_ns[0]) / (len(part.time_ns) - 1)
        at = (grid_s * 1e9 - (part.time_ns[0] - peak_ns)) / step_ns
        there = (at >= 0) & (at <= len(part.time_ns) - 1)
        if there.any():
            out[there] = band_passed(part.acc_g, 1e9 / step_ns, at[there])
    return out


def _along_main(axes: Floats) -> Floats:
    """Return the movement along the direction that has most of the energy of some events together."""
    known = np.nan_to_num(axes)
    if not known.size:
        return np.zeros((len(axes), axes.shape[2]))
    direction = np.linalg.eigh(np.einsum("kat,kbt->ab", known, known))[1][:, -1]
    main = np.einsum("a,kat->kt", direction, axes)
    mean = np.einsum("a,kat->t", direction, known)
    upwards = abs(mean.min(initial=0.0)) <= mean.max(initial=0.0)
    return np.asarray(main if upwards else -main)
