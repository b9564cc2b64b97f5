"""Waiting with an end: what a Bluetooth stack promises to finish in time it may never finish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_S = 1.0
"""What work that is given up gets to clean up behind itself."""

_log = logging.getLogger(__name__)
_working: set[asyncio.Task[Any]] = set()  # also what was given up keeps a reference until it ends


async def bounded(work: Coroutine[Any, Any, T], within_s: float) -> T:
    """Return what `work` gives, or give it up, also when it does not let itself be cancelled.

    Raises
    ------
    TimeoutError
        If it took longer, or cancelled itself, as some stacks do when a link is lost.
    """
    task = asyncio.ensure_future(work)
    _working.add(task)
    task.add_done_callback(_ended)
    try:
        await asyncio.wait({task}, timeout=within_s)
        if not task.done():
            raise TimeoutError(f"no answer within {within_s:g} s")
        if task.cancelled():
            raise TimeoutError("was given up underneath")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=GRACE_S)


def _ended(task: asyncio.Task[Any]) -> None:
    _working.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.debug("%s ended with %r", task.get_coro(), error)
