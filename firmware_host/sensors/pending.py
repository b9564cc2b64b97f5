"""What a peripheral has sampled and not yet sent."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from firmware_host.sensors.protocol import Counts


class Pending:
    """Samples that do not fill a packet yet, each with its time on the device's clock."""

    def __init__(self, sample_type: Literal["int16", "float32"] = "int16") -> None:
        self._type = np.dtype(sample_type)
        self.clear()

    def clear(self) -> None:
        """Forget samples and clock."""
        self._counts: Counts = np.empty((0, 3), self._type)
        self._at_ns: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._last_ns: int | None = None

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, counts: Counts, device_ns: int, fs_hz: float) -> None:
        """Add samples (n, 3), the last taken at `device_ns`, evenly since the one before them."""
        n = len(counts)
        before_ns = device_ns - n * 1e9 / fs_hz if self._last_ns is None else self._last_ns
        step_ns = (device_ns - before_ns) / max(n, 1)
        at_ns = device_ns - np.rint(np.arange(n - 1, -1, -1) * step_ns).astype(np.int64)
        self._counts = np.concatenate([self._counts, counts.astype(self._type)])
        self._at_ns = np.concatenate([self._at_ns, at_ns])
        self._last_ns = device_ns if n else self._last_ns

    def peek(self, n: int) -> Counts:
        """Return the oldest n samples and keep them."""
        return self._counts[:n]

    def take(self, n: int) -> tuple[Counts, npt.NDArray[np.int64]]:
        """Return the oldest n samples and their times in ns, and forget them."""
        taken = self._counts[:n], self._at_ns[:n]
        self._counts, self._at_ns = self._counts[n:], self._at_ns[n:]
        return taken
