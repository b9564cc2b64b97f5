"""`twitchmap review` as a process on a free port, for tests, pictures and benchmarks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start_review(
    folder: Path, *options: str, before: Callable[[], None] | None = None
) -> tuple[subprocess.Popen[str], str]:
    """Start the server over a folder; return its process and its address, with a token if it asks for one.

    `before` is called in the new process before it becomes the server.
    """
    command = [sys.executable, "-m", "firmware_host", "review", str(folder), "--no-browser", "--port", "0"]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        preexec_fn=before,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://[^\s\"]+", line):
            return process, found.group()
    raise AssertionError(f"the server ended with {process.wait()} and no address")


def end_review(*running: subprocess.Popen[str]) -> None:
    """End servers, and what they started beside themselves, as Ctrl-C would; kill what does not end."""
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in running:
        with process:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def review_over(folder: Path) -> Iterator[str]:
    """Give the address of a server over a folder, which ends in a slash."""
    process, address = start_review(folder)
    try:
        yield address
    finally:
        end_review(process)
