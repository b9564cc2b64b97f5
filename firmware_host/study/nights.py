"""All nights of a study: each detected once, then written into one set of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import firmware_host
from firmware_host.analysis import DEFAULT_POINT, Run, current_model, load_model, load_run
from firmware_host.errors import BadValueError, StorageError, WorkersError
from firmware_host.formats.exporting import Exported, export
from firmware_host.recording import Night, open_night
from firmware_host.study.night import NightDone, Order, study_night
from firmware_host.study.pools import Pool, cluster, processes, usual_jobs

Told = Callable[[float, NightDone], None]


@dataclass(frozen=True)
class Studied:
    """What became of a study: its nights in the order given, and the tables, where some were asked for."""

    nights: tuple[NightDone, ...]
    exported: Exported | None = None

    @property
    def whole(self) -> bool:
        """Nothing failed, neither a night nor its tables."""
        failed = any(night.done == "failed" for night in self.nights)
        return not failed and not (self.exported and self.exported.problems)


def study_nights(
    paths: Sequence[Path],
    *,
    model: str | None = None,
    operating_point: str = DEFAULT_POINT,
    again: bool = False,
    asked: bool = False,
    jobs: int | None = None,
    dask: str | None = None,
    out: Path | None = None,
    told: Told | None = None,
) -> Studied:
    """Find the twitches of many nights, several at once; a night that was judged so already is left as it is.

    Each night's run is stored when it is complete, so that a study that was interrupted goes on where it was.

    Parameters
    ----------
    paths
        The nights' folders.
    model
        Name of a model bundle; None: the one in use.
    operating_point
        "specific", "balanced" or "sensitive".
    again
        Detect in nights that have such a run, too.
    asked
        Somebody has asked to see counts that are shown on request only.
    jobs
        Processes on this computer; None: as many as suit it.
    dask
        Address of the scheduler of a Dask cluster, whose workers reach the nights under the same paths.
    out
        Folder for CSV tables of all nights that have a run now, as `formats.exporting.export` makes them.
    told
        Called after each night with the share done, 0 to 1, and what was done.

    Raises
    ------
    NotFoundError, BadFileError
        If the model is not there or not what it should be.
    BadValueError
        If the nights' folders have different models in use, or as `export`.
    MissingExtraError, WorkersError
        If Dask is not installed, or the cluster cannot be used; nothing is done then. If the processes that
        work on nights are lost; what is done is kept.
    StorageError
        If the tables cannot be written.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise StorageError(f"{out} is no folder: tables cannot be written there.")
    paths = [path.absolute() for path in paths]  # other computers start elsewhere
    orders = _orders(paths, model, operating_point, again=again, asked=asked)
    done: dict[Path, NightDone] = {}
    with cluster(dask) if dask else processes(min(jobs or usual_jobs(), max(1, len(paths)))) as pool:
        for night in _each(pool, paths, orders):
            done[night.path] = night
            if told is not None:
                told(len(done) / len(paths), night)
    nights = tuple(done[path] for path in paths)
    runs = {night.path: night.run_id for night in nights if night.run_id is not None}
    if out is None or not runs:
        return Studied(nights)

    def opened(path: Path, _: str | None) -> tuple[Night, Run]:
        night = open_night(path)
        return night, load_run(night, runs[path])  # the study's, also where another was made since

    return Studied(nights, export(runs, out, opener=opened))


def _orders(
    paths: Sequence[Path], model: str | None, point: str, *, again: bool, asked: bool
) -> dict[Path, Order]:
    """Return how the nights of each folder are judged: all by the same model."""
    orders = {}
    for folder in dict.fromkeys(path.parent for path in paths):
        name = model or current_model(folder)
        bundle, sha256 = load_model(name, folder)
        bundle.threshold(point)
        orders[folder] = Order(name, sha256, point, firmware_host.__version__, again, asked)
    first = next(iter(orders), None)
    for folder, order in orders.items():
        if first is not None and order != orders[first]:
            names = f"{orders[first].model!r} in {first}, {order.model!r} in {folder}"
            raise BadValueError(
                f"A study has one model, and these differ: {names}. Name one that all have by --model."
            )
    return orders


def _each(pool: Pool, paths: Sequence[Path], orders: dict[Path, Order]) -> Iterator[NightDone]:
    """Yield what was done with each night, as they are done."""
    waiting, futures = iter(paths), dict[Future[NightDone], Path]()
    while True:
        for path in islice(waiting, pool.at_once - len(futures)):
            futures[pool.executor.submit(study_night, path, orders[path.parent])] = path
        if not futures:
            return
        for future in wait(futures, return_when=FIRST_COMPLETED).done:
            path = futures.pop(future)
            try:
                yield future.result()
            except pool.killed:
                text = "The workers that took it up were killed, most likely for want of memory."
                yield NightDone(path, "failed", text)
            except (BrokenExecutor, CancelledError) as error:
                text = "What works on nights is gone: a process, for want of memory, or the cluster"
                raise WorkersError(f"{text}. The same command goes on from what is done.") from error
