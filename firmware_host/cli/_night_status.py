"""How a recording is shown: a block of lines redrawn in place, or, without a terminal, lines of a log."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firmware_host.capture.link import LinkStatus
    from firmware_host.capture.told import View

LOG_EVERY_NS = 600 * 10**9
"""Without a terminal one line is written so often though nothing has changed."""
LOOK_S = 0.5
"""A key is seen within."""


class NightStatus:
    """Takes what a recording tells (`capture.told.Told`) and shows it on stderr."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._drawn: list[str] = []
        self._logged_ns: int | None = None
        self._time_zone = "UTC"

    def say(self, sentence: str) -> None:
        """Write a sentence with the time of day, above what is redrawn."""
        self._write([f"{self._now()} {sentence}"], keep=True)

    def show(self, view: View) -> None:
        """Draw how all sensors are doing; without a terminal write it every ten minutes."""
        self._time_zone = view.time_zone
        if self._terminal:
            self._write(drawn(view), keep=False)
            return
        if self._logged_ns is None:
            self._logged_ns = view.mono_ns
        if view.mono_ns - self._logged_ns >= LOG_EVERY_NS:
            self._logged_ns = view.mono_ns
            self.say("; ".join(brief(one, view.mono_ns) for one in view.sensors))

    def ring(self) -> None:
        """Ring the terminal's bell once."""
        with contextlib.suppress(OSError):
            click.echo("\a", nl=False, err=True)

    def close(self) -> None:
        """Leave the lines that stand."""
        self._drawn = []

    def _now(self) -> str:
        from firmware_host.recording import local_time

        return local_time(time.time_ns(), self._time_zone).strftime("%H:%M:%S")

    def _write(self, lines: list[str], *, keep: bool) -> None:
        """Write lines over those that are redrawn; a terminal that was closed ends no recording."""
        width = shutil.get_terminal_size().columns - 1
        up = f"\x1b[{len(self._drawn)}A\x1b[J" if self._drawn else ""
        below = self._drawn if keep else [line[:width] for line in lines]
        above = lines if keep else []
        if not self._terminal:
            up, below = "", []
        self._drawn = below
        with contextlib.suppress(OSError):
            click.echo(up + "\n".join([*above, *below]), err=True)


def drawn(view: View) -> list[str]:
    """Return the lines of a view: the night, and one a sensor."""
    from firmware_host.recording import local_time

    lasted = max(0, view.utc_ns - view.start_ns) // 10**9
    ends = "" if view.end_ns is None else f", until {local_time(view.end_ns, view.time_zone):%H:%M}"
    head = (
        f"Recording for {lasted // 3600}:{lasted // 60 % 60:02}:{lasted % 60:02}{ends}. q and Enter ends it."
    )
    return [
        head,
        *(["! " + view.trouble] if view.trouble else []),
        *(line(one, view.mono_ns) for one in view.sensors),
    ]


def line(status: LinkStatus, mono_ns: int) -> str:
    """Return one sensor's line: state, rate, loss, battery, signal, last data."""
    rate = "-" if status.fs_hz is None else f"{status.fs_hz:.1f} Hz"
    lost = "-" if status.lost_share is None else f"{status.lost_share:.2%} lost"
    battery = "-" if status.battery_percent is None else f"battery {status.battery_percent} %"
    signal = "-" if status.rssi is None else f"{status.rssi} dBm"
    data = "no data yet"
    if status.last_data_mono_ns is not None:
        data = f"data {max(0, mono_ns - status.last_data_mono_ns) / 1e9:.1f} s ago"
    return (
        f"{status.site:<22} {status.state:<10} {rate:>9}  {lost:>11}  {battery:>13}  {signal:>8}  {data}"
        + (f"  {status.trouble}" if status.trouble else "")
    )


def brief(status: LinkStatus, mono_ns: int) -> str:
    """Return a sensor's line for a log, without what is not known."""
    return " ".join(line(status, mono_ns).replace(" - ", " ").split())


@contextlib.contextmanager
def q_asks(stop: Callable[[str], None]) -> Iterator[None]:
    """Call `stop` once somebody types q and Enter, where there is a terminal to type in."""
    if not sys.stdin or not sys.stdin.isatty():
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_listen, args=(stop, over), name="keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(2 * LOOK_S)


def _listen(stop: Callable[[str], None], over: threading.Event) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal is gone: nobody types any more
        while not over.is_set():
            typed = _typed()
            if typed is None:
                over.wait(LOOK_S)
            elif not typed:
                return
            elif b"q" in typed.lower().split():
                stop("ended by hand")


def _typed() -> bytes | None:
    """Return what was typed, None if nothing was in a while or others have the terminal, b"" at its end."""
    if sys.platform == "win32":
        import msvcrt

        return msvcrt.getch() if msvcrt.kbhit() else None
    # Reading a terminal from its background would stop the program.
    if os.tcgetpgrp(0) == os.getpgrp() and select.select([0], [], [], LOOK_S)[0]:
        return os.read(0, 1024)
    return None
