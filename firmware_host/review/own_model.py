"""Training from labels and counting anew, each a process of its own.

The page never waits for them, and what they import and use up is gone with them.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from firmware_host.errors import NightBusyError
from firmware_host.review.texts import t

What = Literal["train", "recount"]
END_S = 5.0
"""So long a process has to end when it is asked to."""


@dataclass(frozen=True)
class Task:
    """What runs, or ran last; `result` is the document that it printed, `error` its last sentence."""

    what: What
    running: bool
    result: Any = None
    error: str | None = None


class OwnModel:
    """The one process that learns or counts anew for the page, by `context.shared(OwnModel)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._running: tuple[What, subprocess.Popen[bytes], IO[bytes], IO[bytes]] | None = None
        self._last: Task | None = None

    def train(self, nights: Sequence[Path]) -> Task:
        """Begin to learn from the labels of some nights; raises `NightBusyError` while something runs."""
        return self._start("train", ["train", "--from-labels", *map(str, nights)])

    def recount(self, nights: Sequence[Path], model: str) -> Task:
        """Begin to judge nights again; raises `NightBusyError` while something runs."""
        return self._start("recount", ["detect", "--stored", "--model", model, *map(str, nights)])

    def task(self) -> Task | None:
        """Return what runs or ran last."""
        with self._lock:
            return self._look()

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            if self._running is not None:
                process = self._running[1]
                process.terminate()
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                self._look()

    def _start(self, what: What, arguments: Sequence[str]) -> Task:
        with self._lock:
            now = self._look()
            if now is not None and now.running:
                raise NightBusyError(t("learning.busy"))
            out, told = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed in _look
            command = [sys.executable, "-m", "firmware_host", *arguments, "--json", "--dir", str(self.folder)]
            process = subprocess.Popen(  # noqa: S603 - our own program, and paths that are there
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=told
            )
            self._running = (what, process, out, told)
            return Task(what, running=True)

    def _look(self) -> Task | None:
        if self._running is None:
            return self._last
        what, process, out, told = self._running
        if process.poll() is None:
            return Task(what, running=True)
        with out, told:
            out.seek(0)
            told.seek(0)
            result: Any = None
            with contextlib.suppress(ValueError):
                result = json.loads(out.read())
            lines = told.read().decode(errors="replace").strip().splitlines()
        failed = process.returncode != 0
        self._running = None
        self._last = Task(
            what, running=False, result=result, error=(lines or [t("learning.ended")])[-1] if failed else None
        )
        return self._last
