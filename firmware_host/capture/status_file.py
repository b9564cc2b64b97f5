"""Tells other processes how a recording is doing, and takes their wish to end it: `recording.live_status`."""

from __future__ import annotations

import contextlib
import queue
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from firmware_host.capture.link import LinkStatus
from firmware_host.capture.plan import Asked, Charge, battery_ends_ns
from firmware_host.capture.stop import Stop
from firmware_host.capture.told import Told, View
from firmware_host.recording import NightWriter
from firmware_host.recording.live_status import (
    LiveStatus,
    Saying,
    SensorNow,
    remove_status,
    stop_asked,
    write_status,
)
from firmware_host.sensors import models

EVERY_NS = 2 * 10**9
SENTENCES = 20
CLOSE_S = 2.0
"""A disk that hangs is waited for no longer at the end."""


class StatusFile:
    """Stands before whoever is told (`told.Told`), passes everything on, and keeps the status.

    A thread of its own writes it: a disk that is slow, full or gone holds up no recording. A context manager;
    after a normal end no status is left.

    Parameters
    ----------
    writer, told, stop
        The night, who is told, and who may end it.
    advice
        What somebody should see to before sleeping; sentences may be added later.
    """

    def __init__(self, writer: NightWriter, told: Told, stop: Stop, advice: Sequence[str] = ()) -> None:
        self._writer, self._told, self._stop, self._advice = writer, told, stop, advice
        self._id = secrets.token_hex(8)
        self._said: deque[Saying] = deque(maxlen=SENTENCES)
        self._number = {info.site: info.index for info in writer.meta.sensors}
        """Of each link's sensor; its site may be corrected in the night while it is recorded."""
        self._readings: dict[str, tuple[Charge, Charge]] = {}
        self._due_ns: int | None = None
        self._utc_ns = time.time_ns()
        self._waiting: queue.Queue[LiveStatus | None] = queue.Queue(1)
        self._ended = False
        self._thread = threading.Thread(target=self._write_all, name="status file", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)
        if kind is None:
            self._ended = True
            remove_status(self._writer.path)

    def say(self, sentence: str) -> None:
        """Take a plain sentence about something that has changed."""
        self._said.append(Saying(self._utc_ns, sentence))
        self._due_ns = None
        self._told.say(sentence)

    def show(self, view: View) -> None:
        """Take a look at everything; look whether another process wants the end."""
        self._utc_ns = view.utc_ns
        self._told.show(view)
        if self._stop.reason is None and stop_asked(self._writer.path, self._id):
            self._stop.ask("ended by hand")
        if self._due_ns is None or view.mono_ns >= self._due_ns:
            self._due_ns = view.mono_ns + EVERY_NS
            with contextlib.suppress(queue.Full):  # the disk is slow: the next one will do
                self._waiting.put_nowait(self._status(view))

    def ring(self) -> None:
        """Make one soft sound."""
        self._told.ring()

    def _status(self, view: View) -> LiveStatus:
        return LiveStatus(
            id=self._id,
            utc_ns=view.utc_ns,
            start_ns=view.start_ns,
            end_ns=view.end_ns,
            time_zone=view.time_zone,
            virtual=self._writer.meta.origin == "virtual",
            sensors=tuple(self._sensor(one, view) for one in view.sensors),
            disk_free_bytes=None,
            trouble=view.trouble,
            advice=tuple(self._advice),
            said=tuple(self._said),
        )

    def _sensor(self, status: LinkStatus, view: View) -> SensorNow:
        last = status.last_data_mono_ns
        return SensorNow(
            site=status.site,
            state=status.state,
            model=status.model,
            fs_hz=status.fs_hz,
            samples=status.samples,
            lost_share=status.lost_share,
            battery_percent=status.battery_percent,
            battery_ends_ns=self._battery_ends_ns(status, view.utc_ns),
            rssi_dbm=status.rssi,
            last_data_ns=None if last is None else view.utc_ns - max(0, view.mono_ns - last),
            trouble=status.trouble,
        )

    def _battery_ends_ns(self, status: LinkStatus, utc_ns: int) -> int | None:
        percent = status.battery_percent
        number = self._number[status.site]
        info = next(one for one in self._writer.meta.sensors if one.index == number)
        model = models().get(info.model)
        if percent is None or model is None:
            return None
        first, last = self._readings.get(status.site, (Charge(utc_ns, percent),) * 2)
        if percent > last.percent + 1:  # another battery, or charged meanwhile
            first = Charge(utc_ns, percent)
        if percent != last.percent:
            last = Charge(utc_ns, percent)
        self._readings[status.site] = first, last
        return battery_ends_ns(Asked(status.site, model, info.fs_hz, readings=(first, last)), utc_ns)

    def _write_all(self) -> None:
        path = self._writer.path
        while (status := self._waiting.get()) is not None:
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(path).free
                write_status(path, replace(status, disk_free_bytes=free))
                if self._ended:  # the disk hung for longer than was waited for
                    remove_status(path)
