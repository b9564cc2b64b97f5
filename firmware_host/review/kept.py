"""Results of slow work that requests share: kept until what they were made of changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int] | None


class Kept:
    """A few results of slow work, the last used ones; who asks while it is done waits for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, state: object, make: Callable[[], T]) -> T:
        """Return what is kept under a key if it was made in the same state, else make it."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                known = self._kept.get(key)
            if known is None or known[0] != state:
                try:
                    known = (state, make())
                except BaseException:
                    with self._lock:  # of what cannot be made nothing stays
                        self._kept.pop(key, None)
                        self._locks.pop(key, None)
                    raise
            with self._lock:
                self._kept[key] = known
                self._kept.move_to_end(key)
                while len(self._kept) > self._most:
                    self._locks.pop(self._kept.popitem(last=False)[0], None)
        made: T = known[1]
        return made


def stamps(night: Path, *names: str) -> list[Stamp]:
    """Return what changes with files of a night: time of change and size, None where there is none."""
    found: list[Stamp] = []
    for name in names:
        try:
            stat = (night / name).stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return found
