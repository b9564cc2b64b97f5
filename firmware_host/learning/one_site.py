"""A night of one site from an array: how recordings from elsewhere and drawn noise reach the detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firmware_host import __version__
from firmware_host.recording import NightMeta, SensorInfo, create_night

_BLOCK = 1000
"""Samples: times are read from the stamp of each block, so that long blocks would leave few of them."""


def write_one_site(
    path: Path,
    samples: npt.NDArray[np.float32] | npt.NDArray[np.int16],
    time_s: npt.NDArray[np.float64],
    *,
    site: str,
    fs_hz: float,
    g_per_count: float = 1.0,
    range_g: float | None = None,
    origin: Literal["imported", "simulated"] = "imported",
) -> Path:
    """Write a night that holds one recording, its times from the device's own stamps.

    Parameters
    ----------
    path
        Folder of the night; must be empty or absent.
    samples : (n, 3), float32 in g or int16 in counts
    time_s : (n,) float64
        From the start of the night.
    site, fs_hz, g_per_count, range_g, origin
        Of the sensor: body site, nominal rate, g for each count (1 for float32), range; of the night: origin.
    """
    sensor = SensorInfo(
        index=0, site=site, fs_hz=fs_hz, g_per_count=g_per_count, range_g=range_g, clock="stamps",
        sample_type="int16" if samples.dtype == np.int16 else "float32",
    )  # fmt: skip
    meta = NightMeta(
        participant="", label=path.stem, origin=origin, time_zone="UTC", start_ns=0, sensors=(sensor,),
        twitchmap=__version__, start_known=False,
    )  # fmt: skip
    with create_night(path, meta) as writer:
        for first in range(0, len(samples), _BLOCK):
            block: Any = np.ascontiguousarray(samples[first : first + _BLOCK])
            last_ns = round(float(time_s[first + len(block) - 1]) * 1e9)
            writer.append_samples(0, block, first, arrival_mono_ns=last_ns, arrival_utc_ns=last_ns)
    return path
