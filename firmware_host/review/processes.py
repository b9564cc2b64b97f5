"""Programs that the page starts: one that ends by itself and answers; the recorder, which outlives us.

What came with a request is only ever an argument in a list; no shell reads it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["scan", "setup", "check", "export", "report"]
LINES = 40
END_S = 5.0
"""So long a program that is asked to end is waited for."""
RECORDER_LOG = "recorder.log"
LONGEST_REPORT = 64 * 1024


def command(*arguments: str) -> list[str]:
    """Return the command line of this very twitchmap."""
    return [sys.executable, "-m", "firmware_host", *arguments]


class _Step(msgspec.Struct, frozen=True):
    """A line that `setup --steps` writes."""

    say: str = ""
    tap: str = ""
    placed: str = ""


class Job:
    """A program that ends by itself: what it says meanwhile, and its answer.

    Parameters
    ----------
    kind
        The command.
    arguments
        What follows it.
    """

    def __init__(self, kind: Kind, arguments: Sequence[str]) -> None:
        self.kind = kind
        self.said: deque[str] = deque(maxlen=LINES)
        self.asked: str | None = None
        """The site whose sensor is to be tapped now."""
        self.placed: list[str] = []
        self.progress = 0.0
        self.answer = b""
        self.cancelled = False
        self._process = subprocess.Popen(  # noqa: S603 - a list; no shell
            command(kind, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"TWITCHMAP_PROGRESS": "lines", "PYTHONIOENCODING": "utf-8:replace"},
        )
        self._threads = [
            threading.Thread(target=target, name=f"{kind} {target.__name__}", daemon=True)
            for target in (self._hear, self._take)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None or any(thread.is_alive() for thread in self._threads)

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self.running else self._process.returncode

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()
        for thread in self._threads:
            thread.join()

    def cancel(self) -> None:
        """Have it end, and wait for that."""
        if self._process.poll() is not None:
            return
        self.cancelled = True
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
            return
        self._process.kill()

    def _hear(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                text = line.decode(errors="replace").strip()
                if text.startswith("progress "):
                    self.progress = float(text.split()[1])
                    continue
                try:
                    step = msgspec.json.decode(text, type=_Step) if text.startswith("{") else _Step(text)
                except msgspec.MsgspecError:
                    step = _Step(text)
                if step.say:
                    self.said.append(step.say)
                if step.tap:
                    self.asked = step.tap
                if step.placed:
                    self.asked = None
                    self.placed.append(step.placed)

    def _take(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            self.answer = stream.read()


class RecorderProcess:
    """The recorder, started in a session of its own: whatever becomes of us, it goes on.

    What it says goes to `recorder.log` in the folder, private to the user, from each start anew.
    """

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self._log = folder / RECORDER_LOG
        self._ended = False
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a list; no shell
                command("record", *arguments),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=os.environ | {"PYTHONIOENCODING": "utf-8:replace"},
                start_new_session=True,  # POSIX
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
                | getattr(subprocess, "DETACHED_PROCESS", 0),  # Windows
            )
        finally:
            os.close(descriptor)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def failure(self) -> str | None:
        """What it said last, if it ended with an error; one that was killed or ended said nothing of that."""
        if self._ended or (self._process.poll() or 0) <= 0:
            return None
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - LONGEST_REPORT))
            lines = file.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), None)
        return None

    def terminate(self) -> None:
        """Ask it to end; on Windows, which would kill it, do nothing."""
        if sys.platform != "win32" and self.running:
            self._ended = True
            self._process.terminate()
