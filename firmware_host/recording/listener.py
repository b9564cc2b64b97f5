"""Who looks over the shoulder of a writer."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from firmware_host.recording.night import SensorInfo

Counts = npt.NDArray[np.int16] | npt.NDArray[np.float32]


class Listener(Protocol):
    """Who is told at once of what was written, in the writer's thread: must neither wait nor raise."""

    def sensor(self, info: SensorInfo) -> None:
        """Be told of a sensor, or what is known better of it before its first samples."""

    def block(self, sensor: int, first: int, counts: Counts, mono_ns: int) -> None:
        """Be told of samples: number of the sensor, counter of the first, arrival of the last."""

    def event(self, sensor: int | None, kind: str) -> None:
        """Be told of an event."""
