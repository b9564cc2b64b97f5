"""Who works on the nights: processes of this computer, or the workers of a Dask cluster.

Both are executors of the standard library. joblib's own way to Dask is not gone: it waits for good for a task
whose worker was killed (joblib 1.6), and one night would keep a study from its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from importlib.util import find_spec
from typing import NamedTuple

import firmware_host
from firmware_host.analysis.interrupts import deaf_children
from firmware_host.errors import MissingExtraError, WorkersError

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
MEMORY_A_NIGHT = 2 << 30
"""Bytes of the computer's memory for each process: a night of 8 h takes up to half a GB, others want some."""
IDLE_S = 10
"""Processes that have nothing to do for so long end by themselves: the study may have been killed."""
CONNECT_S = 10


class Pool(NamedTuple):
    """Who works on nights."""

    executor: Executor
    at_once: int
    """So many nights are handed over before the first is done."""
    killed: tuple[type[Exception], ...] = ()
    """What a night's future raises if its worker was killed while others go on."""


def usual_jobs() -> int:
    """Return how many processes suit this computer: one a processor, fewer where memory is small."""
    from joblib import cpu_count

    processors: int = cpu_count()
    if not hasattr(os, "sysconf"):  # Windows
        return processors
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(processors, memory // MEMORY_A_NIGHT))


@contextlib.contextmanager
def processes(jobs: int) -> Iterator[Pool]:
    """Start processes that are gone at the end; on Ctrl-C and errors at once, with what they were doing."""
    from joblib.externals.loky import ProcessPoolExecutor

    ignored = (signal.SIGINT, signal.SIG_IGN)  # where they cannot be started deaf
    pool = ProcessPoolExecutor(
        jobs, timeout=IDLE_S, env=ONE_THREAD, initializer=signal.signal, initargs=ignored
    )
    try:
        with deaf_children():
            pool.submit(os.getpid)  # starts them all
        # No more than are taken at once: over nights that still wait, to be shut down it fails.
        yield Pool(pool, jobs + 1)
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Pool]:
    """Connect to a Dask cluster; what it has not begun is taken back at the end.

    Raises
    ------
    MissingExtraError
        If dask is not installed.
    WorkersError
        If there is no scheduler at the address, or it has no worker, or one with another twitchmap.
    """
    if find_spec("distributed") is None:
        text = "A Dask cluster needs dask and distributed, which are not installed"
        raise MissingExtraError(f'{text}: pip install "twitchmap[cluster]".')
    from distributed import Client, KilledWorker
    from distributed.comm import get_address_host_port

    try:
        get_address_host_port(address)  # a client of what is no address hangs for 20 s
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkersError(f"No Dask scheduler answers at {address} ({str(error).rstrip('.')}).") from error
    with client:
        versions = client.run(version_here, on_error="return")
        if not versions:
            raise WorkersError(f"The Dask cluster at {address} has no workers: start some.")
        for worker, version in versions.items():
            if version != firmware_host.__version__:
                has = "no twitchmap" if isinstance(version, Exception) else f"twitchmap {version}"
                text = f"here it is {firmware_host.__version__}, and must be the same there"
                raise WorkersError(f"The Dask worker {worker} has {has}: {text}.")
        pool = client.get_executor(pure=False)
        try:
            yield Pool(pool, sys.maxsize, (KilledWorker,))
        finally:
            pool.shutdown(wait=False)


def version_here() -> str:
    """Return the version of the program where this is called."""
    return firmware_host.__version__
