"""Counting twitches beside the recorder: a thread of its own, which may fail without costing a sample."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from firmware_host.analysis.models import DEFAULT_POINT, current_model, load_model
from firmware_host.recording import SensorInfo
from firmware_host.recording.listener import Counts

if TYPE_CHECKING:
    from firmware_host.analysis.live import LiveDetector
    from firmware_host.detection.classifier import Model
    from firmware_host.twitches import Table

WAITING_BLOCKS = 4096
"""Minutes of eight sensors; a computer that is further behind stops counting, and goes on recording."""
END_S = 60.0

_log = logging.getLogger(__name__)

Task = tuple[str, tuple[object, ...]]


class LiveCount:
    """Listens to a `NightWriter` and counts the twitches of each site as they become final.

    Parameters
    ----------
    model, operating_point
        By name; a model of the user's is looked for beside the nights in `recordings`.

    Raises
    ------
    NotFoundError, BadFileError, BadValueError
        If there is no such model or operating point.
    """

    def __init__(
        self, recordings: Path, *, model: str | None = None, operating_point: str = DEFAULT_POINT
    ) -> None:
        self._model_name, self._recordings = model or current_model(recordings), recordings
        self._point = operating_point
        self._tasks: queue.Queue[Task | None] = queue.Queue(WAITING_BLOCKS)
        self._counts: Counter[str] = Counter()
        self._sites: dict[int, str] = {}
        self._thread: threading.Thread | None = None
        self.trouble: str | None = None
        """Why it no longer counts, a sentence."""

    @property
    def counts(self) -> dict[str, int]:
        """Twitches that have become final so far, by site; sites without any are left out."""
        return dict(self._counts)

    def sensor(self, info: SensorInfo) -> None:
        """Be told of a sensor; its site keeps its first name, by which counts are shown."""
        site = self._sites.setdefault(info.index, info.site)
        self._put("sensor", msgspec.structs.replace(info, site=site))

    def block(self, sensor: int, first: int, counts: Counts, mono_ns: int) -> None:
        """Be told of a block that was written."""
        if self._thread is None:  # not before the first sample is on disk: scipy takes a second to come
            self._thread = threading.Thread(target=self._work, name="twitchmap live", daemon=True)
            self._thread.start()
        self._put("block", sensor, first, counts, mono_ns)

    def event(self, sensor: int | None, kind: str) -> None:
        """Be told of an event that was written; before the first sample there is nothing that it ends."""
        if self._thread is not None:
            self._put("event", sensor, kind)

    def close(self) -> None:
        """Count what is left; waits a minute at most."""
        if self._thread is not None and self._thread.is_alive():
            self._put("close")
            with contextlib.suppress(queue.Full):
                self._tasks.put(None, timeout=END_S)
            self._thread.join(END_S)

    def _put(self, what: str, *arguments: object) -> None:
        if self.trouble is not None:
            return
        try:
            self._tasks.put_nowait((what, arguments))
        except queue.Full:
            self.trouble = "Counting while recording was given up: this computer is too slow for it."

    def _work(self) -> None:
        try:
            from threadpoolctl import threadpool_limits

            from firmware_host.analysis.live import LiveDetector

            model, _ = load_model(self._model_name, self._recordings)
            model.threshold(self._point)
            detector = LiveDetector((), model.lowest_score)
            with threadpool_limits(1, user_api="blas"):
                while (task := self._tasks.get()) is not None:
                    self._count(model, self._do(detector, *task))
        except Exception as error:  # noqa: BLE001 - the recorder goes on whatever happens here
            _log.exception("live detection failed")
            self.trouble = f"Counting while recording was given up ({error})."

    def _do(self, detector: LiveDetector, what: str, arguments: tuple[object, ...]) -> Table | None:
        rows: Table | None = getattr(detector, what)(*arguments)
        return rows

    def _count(self, model: Model, rows: Table | None) -> None:
        if rows is not None and len(rows):
            counted = model.counted(rows, self._point, model.probability(rows))
            self._counts.update(rows["site"][counted].tolist())
