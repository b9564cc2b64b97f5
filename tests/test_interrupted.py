"""Ctrl-C in a terminal, which all processes of a command hear: one sentence, 130, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import made_nights
import pytest
from conftest import Run
from psutil import Process

pytestmark = [
    pytest.mark.lasts_s(30),
    pytest.mark.skipif(os.name != "posix", reason="signals as Unix has them"),
]
COMMANDS = {
    "train": ["--dir", "{folder}/out"],
    "evaluate": ["--model", "plain", "--only", "nights", "--card", "{folder}/out/card.md"],
    "study": ["{folder}/nights", "--out", "{folder}/out/tables"],
}


def workers(process: subprocess.Popen[str]) -> list[Process]:
    """Return the processes that work for a command."""
    return [
        one for one in Process(process.pid).children() if any("popen_loky" in word for word in one.cmdline())
    ]


def at_work(folder: Path, command: str) -> subprocess.Popen[str]:
    """Start a command with two processes that work for it, over two nights, with folders of its own."""
    for name in ("scratch", "out", "nights"):
        (folder / name).mkdir()
    for name in "ab":
        made_nights.small_night(folder / "nights" / f"{name}.night")
    arguments = [word.format(folder=folder) for word in COMMANDS[command]]
    return subprocess.Popen(
        [sys.executable, "-m", "firmware_host", command, "--jobs", "2", *arguments],
        env={**os.environ, "TMPDIR": str(folder / "scratch")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def wait_until(true: Callable[[], object]) -> None:
    """Return once something is so."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(process: subprocess.Popen[str], folder: Path) -> None:
    """Press Ctrl-C as a terminal passes it on; nothing is left of what was begun."""
    started = workers(process)
    assert started
    os.killpg(process.pid, signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)  # ends when the last process has let go of it
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out, err.strip()) == (130, "", "Interrupted.")
    assert not any(one.is_running() for one in started)
    assert not list((folder / "scratch").iterdir())
    assert not list((folder / "out").iterdir())


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_workers_that_are_only_starting_say_nothing(tmp_path: Path, command: str) -> None:
    """Processes that are still importing when Ctrl-C comes end without words of their own."""
    process = at_work(tmp_path, command)
    wait_until(lambda: workers(process))
    time.sleep(0.2)
    end(process, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_work_that_is_interrupted_leaves_nothing(tmp_path: Path, command: str) -> None:
    """Ctrl-C while nights are made leaves none of them, no model and no card."""
    process = at_work(tmp_path, command)
    wait_until(lambda: list((tmp_path / "scratch").glob("twitchmap-*/*")))
    end(process, tmp_path)


def test_an_import_that_was_interrupted_is_an_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that turns Ctrl-C into an error of its own while it is loaded gets no traceback."""

    def fail(_: Path) -> list[Path]:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("firmware_host.recording.list_nights", fail)
    assert run("nights") == (130, "", "Interrupted.\n")


def test_a_fault_of_ours_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no user can mend is not told as if one could."""

    def fail(_: Path) -> list[Path]:
        raise ZeroDivisionError

    monkeypatch.setattr("firmware_host.recording.list_nights", fail)
    with pytest.raises(ZeroDivisionError):
        run("nights")
