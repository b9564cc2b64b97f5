"""Finding twitches for the page: `twitchmap detect` as a process of its own, one night after the other."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from firmware_host.errors import NightBusyError, NotFoundError
from firmware_host.review.texts import t

END_S = 5.0
"""So long a process has to end when it is asked to."""
State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass
class Detection:
    """One night's detection, as far as it is."""

    night: str
    operating_point: str
    state: State = "waiting"
    progress: float = 0.0
    sentence: str = ""
    """What went wrong, or what is to be known besides."""
    process: subprocess.Popen[str] | None = field(default=None, repr=False)


class Detecting:
    """The detections of a server: one runs, others wait for it; one for all requests.

    Parameters
    ----------
    folder
        The folder of nights.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Detection] = {}
        self._waiting: deque[Detection] = deque()
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, night: Path, operating_point: str) -> Detection:
        """Have a night's twitches found; raises `NightBusyError` if that is under way already."""
        with self._lock:
            known = self._known.get(night.name)
            if known is not None and known.state in {"waiting", "running"}:
                raise NightBusyError(t("nights.looked_for", night=night.name))
            detection = self._known[night.name] = Detection(night.name, operating_point)
            self._waiting.append(detection)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="detecting", daemon=True)
                self._worker.start()
            return detection

    def cancel(self, night: Path) -> Detection:
        """End a night's detection; what was there before stays. Raises `NotFoundError` if there is none."""
        with self._lock:
            detection = self._known.get(night.name)
            if detection is None or detection.state not in {"waiting", "running"}:
                raise NotFoundError(t("nights.not_looked_for", night=night.name))
            self._end(detection)
            return detection

    def of(self, name: str) -> Detection | None:
        """Return what is known of a night's detection since the server began."""
        with self._lock:
            return self._known.get(name)

    def all(self) -> list[Detection]:
        """Return all detections since the server began."""
        with self._lock:
            return list(self._known.values())

    def close(self) -> None:
        """End what runs: its results would reach nobody, and a run is stored whole or not at all."""
        with self._lock:
            worker = self._worker
            for detection in self._known.values():
                if detection.state in {"waiting", "running"}:
                    self._end(detection)
        if worker is not None:
            worker.join(END_S)

    def _end(self, detection: Detection) -> None:
        detection.state = "cancelled"
        if detection.process is not None:
            detection.process.terminate()

    def _work(self) -> None:
        while True:
            with self._lock:
                while self._waiting and self._waiting[0].state != "waiting":
                    self._waiting.popleft()
                if not self._waiting:
                    self._worker = None
                    return
                detection = self._waiting.popleft()
                try:
                    process = self._started(detection)
                except OSError as error:
                    detection.state = "failed"
                    detection.sentence = t("nights.refused", why=error.strerror)
                    continue
                detection.state, detection.process = "running", process
            self._follow(detection, process)

    def _started(self, detection: Detection) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "firmware_host", "detect"]
        options = [f"--operating-point={detection.operating_point}", "--json"]
        return subprocess.Popen(  # noqa: S603 - a list; no shell
            [*command, *options, "--", str((self._folder / detection.night).resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"TWITCHMAP_PROGRESS": "lines", "PYTHONIOENCODING": "utf-8:replace"},
        )

    def _follow(self, detection: Detection, process: subprocess.Popen[str]) -> None:
        """Read what a process says until it ends."""
        said: list[str] = []
        assert process.stderr is not None
        with process:
            for line in process.stderr:
                word, _, rest = line.strip().partition(" ")
                if word == "progress":
                    detection.progress = float(rest)
                elif line.strip():
                    said.append(line.strip())
        with self._lock:
            if detection.state == "running":
                detection.state = "done" if process.returncode == 0 else "failed"
                detection.progress = 1.0 if detection.state == "done" else detection.progress
                detection.sentence = " ".join(said)
            detection.process = None
