"""A command as a process: terminals, pipes, signals, progress, closed streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from command_line import sentence
from conftest import Run

from firmware_host.cli._terminal import Progress, aligned


def test_demo_leaves_all_that_it_names(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo ends with 0 without a terminal; map, tables and truth are there, marked as simulated."""
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    code, out, _ = run("demo", "--hours", "0.1", "--seed", "3")
    assert code == 0
    folder = tmp_path / "twitchmap-demo"
    for name in (
        "map.svg",
        "events.csv",
        "counts.csv",
        "coverage.csv",
        "truth.csv",
        "data_dictionary.md",
        "night.json",
    ):
        assert (folder / name).stat().st_size > 100
        assert name in out
    assert "simulated" in out
    assert "simulated" in (folder / "map.svg").read_text(encoding="utf-8")
    assert not opened
    assert run("demo", "--hours", "0.05", "--open")[0] == 0
    assert opened == [str(Path("twitchmap-demo-2") / "map.svg")]


def test_a_refusing_system_is_a_sentence(run: Run, detected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system that nothing else explains is exit 1 with its reason and its file."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "secret.toml")

    monkeypatch.setattr("firmware_host.recording.open_night", refuse)
    code, _, err = run("info", detected / "a.night")
    assert code == 1
    assert "Permission denied (secret.toml)" in sentence(err)


def start(*arguments: object, cwd: Path, **more: Any) -> subprocess.Popen[bytes]:
    """Start the command line as a process of its own."""
    environment = {**os.environ, "PYTHONIOENCODING": more.pop("encoding", "utf-8"), "PYTHONUTF8": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "firmware_host", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environment,
        **more,
    )  # fmt: skip


def test_a_terminal_that_knows_only_ascii(detected: Path) -> None:
    """The map prints on an ASCII terminal, and so does a note with other letters."""
    process = start("map", detected / "a.night", cwd=detected, encoding="ascii")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    out.decode("ascii")
    assert b"left calf" in out


def test_a_reader_that_leaves_early_is_no_error(detected: Path) -> None:
    """When what reads the output stops, the command ends quietly."""
    process = start("map", detected / "a.night", "--json", "--bin", "1s", cwd=detected)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), err) == (0, b"")


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_cleanly(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM during a long command end it with 130 and 143, and nothing is left half made."""
    process = start(
        "demo", "--out", "out", "--hours", "1", cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    patience = time.monotonic() + 120
    while not list(tmp_path.glob("out/*.night")) and time.monotonic() < patience:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert not list(tmp_path.glob("out/*.night"))


def test_progress_shows_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar is drawn on a terminal once a second has passed, and wiped at the end; elsewhere nothing is."""
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Progress("counting") as tell:
        tell(0.5)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("counting") as tell:
        tell(0.5)
        tell(1.0, "sorting")
    shown = capsys.readouterr().err
    assert "counting [###############...............]  50%" in shown
    assert "sorting [" in shown
    assert shown.endswith("\r")


def test_tables_align() -> None:
    """Numbers stand to the right, words to the left, and no line ends in spaces."""
    assert (
        aligned(("a", "n"), [("long word", "1"), ("x", "100")])
        == "a            n\nlong word    1\nx          100"
    )


def test_closed_streams_are_no_fault(detected: Path, tmp_path: Path) -> None:
    """Started without stdout and stderr, as by some schedulers, a command does its work."""
    night, picture = detected / "a.night", tmp_path / "x.svg"
    command = f"exec {sys.executable} -m firmware_host map {night} --svg {picture} >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0
    assert picture.stat().st_size > 1000


def test_an_interrupted_demo_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demonstration that stops after the night was made takes the night with it."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("firmware_host.analysis.detect_night", stop)
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "there", tmp_path / "new"):
        assert run("demo", "--hours", "0.05", "--out", out)[0] == 130
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())
