"""A disk that fails when told, under the log of a night."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from firmware_host.recording import log


class Disk:
    """The part of `os` that the log uses, which fails when told; stands in for it."""

    def __init__(self, room: int | None = None) -> None:
        self.refuse: dict[str, int] = {}
        """Name of a call to the error number that it fails with."""
        self.room = room
        """Bytes that writes still find room for; None: enough."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write as much as there is room for."""
        self._check("write")
        if self.room is not None:
            if self.room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            data = data[: self.room]
            self.room -= len(data)
        return os.write(descriptor, data)

    def open(self, *arguments: Any) -> int:
        """Open a file."""
        self._check("open")
        return os.open(*arguments)

    def fdatasync(self, descriptor: int) -> None:
        """Confirm."""
        self._check("fdatasync")
        os.fdatasync(descriptor)

    def _check(self, name: str) -> None:
        if name in self.refuse:
            raise OSError(self.refuse[name], os.strerror(self.refuse[name]))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Put a disk that fails when told under the log."""
    made = Disk()
    monkeypatch.setattr(log, "os", made)
    return made
