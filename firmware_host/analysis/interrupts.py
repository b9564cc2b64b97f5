"""Ctrl-C in a terminal reaches all processes of a command at once; those that work for it are ended by it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def deaf_children() -> Iterator[None]:
    """Let Ctrl-C pass by processes that joblib starts meanwhile, and those that its threads start later.

    So none of them tells in its own words, on the command's stderr, that it was interrupted while it was
    importing or working. A Ctrl-C that comes meanwhile reaches this process afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as joblib_tracker

    for helper in (resource_tracker, joblib_tracker):
        helper.ensure_running()  # one that is started with the first process takes the mask away
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
