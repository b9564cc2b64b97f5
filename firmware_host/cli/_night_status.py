"""How a recording is shown: a block of lines redrawn in place, or, without a terminal, lines of a log."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import click

from firmware_host.cli._terminal import aligned, printable

if TYPE_CHECKING:
    from firmware_host.analysis.live_count import LiveCount
    from firmware_host.capture.link import LinkStatus
    from firmware_host.capture.told import View

LOG_EVERY_NS = 600 * 10**9
"""Without a terminal one line is written so often though nothing has changed."""
LOOK_S = 0.5
"""A key is seen within."""
WAITING = 100
"""So many lines wait for a terminal that takes none; what comes then is not shown."""
CLOSE_S = 2.0


class NightStatus:
    """Takes what a recording tells (`capture.told.Told`) and shows it on stderr.

    A terminal may take nothing for hours: it was paused (Ctrl-S), a window's text is being marked, a
    connection hangs. So a thread of its own writes, and the recording never waits for it.

    Parameters
    ----------
    count
        What counts meanwhile; None: no number of twitches is shown.
    """

    def __init__(self, count: LiveCount | None = None) -> None:
        self._count = count
        self._terminal = sys.stderr.isatty()
        self._drawn: list[str] = []
        self._logged_ns: int | None = None
        self._time_zone = "UTC"
        self._waiting: queue.Queue[tuple[list[str], bool] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write_all, name="status", daemon=True)
        self._thread.start()

    def say(self, sentence: str) -> None:
        """Write a sentence with the time of day, above what is redrawn."""
        line = f"{self._now()} {printable(sentence)}"
        lines = textwrap.wrap(line, self._width(), subsequent_indent=" " * 9) if self._terminal else [line]
        self._put(lines, keep=True)

    def show(self, view: View) -> None:
        """Draw how all sensors are doing; without a terminal write it every ten minutes."""
        self._time_zone = view.time_zone
        counts = None if self._count is None or self._count.trouble else self._count.counts
        if self._terminal:
            self._put([printable(line) for line in drawn(view, self._width(), counts)], keep=False)
            return
        if self._logged_ns is None:
            self._logged_ns = view.mono_ns
        if view.mono_ns - self._logged_ns >= LOG_EVERY_NS:
            self._logged_ns = view.mono_ns
            self.say("; ".join(brief(one, counts) for one in view.sensors))

    def ring(self) -> None:
        """Ring the terminal's bell once."""
        self._put(["\a"], keep=True)

    def typed(self, lines: int) -> None:
        """Take note of lines that somebody typed below those that are redrawn."""
        if self._drawn:
            self._drawn = [*self._drawn, *[""] * lines]

    def close(self) -> None:
        """Write what waits, if the terminal takes it in time, and leave the lines that stand."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)

    def _width(self) -> int:
        return max(shutil.get_terminal_size().columns - 1, 20)

    def _now(self) -> str:
        from firmware_host.recording import local_time

        return local_time(time.time_ns(), self._time_zone).strftime("%H:%M:%S")

    def _put(self, lines: list[str], *, keep: bool) -> None:
        if not keep and not self._waiting.empty():
            return  # sentences need the room; the next view comes in a second
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait((lines, keep))

    def _write_all(self) -> None:
        while (task := self._waiting.get()) is not None:
            lines, keep = task
            self._write(lines, keep=keep)

    def _write(self, lines: list[str], *, keep: bool) -> None:
        """Write lines over those that are redrawn; a terminal that was closed ends no recording."""
        up = f"\x1b[{len(self._drawn)}A\x1b[J" if self._drawn else ""
        below = self._drawn if keep else lines
        above = lines if keep else []
        if not self._terminal:
            up, below = "", []
        self._drawn = below
        with contextlib.suppress(OSError):
            click.echo(up + "\n".join([*above, *below]), err=True)


def drawn(view: View, width: int, counts: Mapping[str, int] | None = None) -> list[str]:
    """Return the lines of a view: the night, one a sensor, and what is amiss.

    `counts` are the twitches counted so far, by site, where somebody asked for them.
    """
    from firmware_host.capture.told import of_site
    from firmware_host.recording import local_time

    lasted = max(0, view.utc_ns - view.start_ns) // 10**9
    ends = "" if view.end_ns is None else f", until {local_time(view.end_ns, view.time_zone):%H:%M}"
    head = (
        f"Recording for {lasted // 3600}:{lasted // 60 % 60:02}:{lasted % 60:02}{ends}. q and Enter ends it."
    )
    header: tuple[str, ...] = ("site", "state", "Hz", "lost", "battery", "dBm", "last data")
    rows = [cells(one, view.mono_ns) for one in view.sensors]
    if counts is not None:
        header = (*header, "twitches")
        rows = [(*row, str(counts.get(row[0], 0))) for row in rows]
    table = aligned(header, rows).splitlines()
    amiss = [of_site(one.site, one.trouble) for one in view.sensors if one.trouble]
    amiss = [row for text in filter(None, (view.trouble, *amiss)) for row in textwrap.wrap(text, width)]
    return [head[:width], *(row[:width] for row in table), *amiss]


def cells(status: LinkStatus, mono_ns: int) -> tuple[str, ...]:
    """Return one sensor's state, rate, loss, battery, signal and time since its last data."""
    ago_ns = None if status.last_data_mono_ns is None else max(0, mono_ns - status.last_data_mono_ns)
    return (
        status.site,
        status.state,
        "-" if status.fs_hz is None else f"{status.fs_hz:.1f}",
        "-" if status.lost_share is None else f"{status.lost_share:.2%}",
        "-" if status.battery_percent is None else f"{status.battery_percent} %",
        "-" if status.rssi is None else str(status.rssi),
        "none yet" if ago_ns is None else f"{ago_ns / 1e9:.1f} s ago",
    )


def brief(status: LinkStatus, counts: Mapping[str, int] | None = None) -> str:
    """Return how one sensor is doing in a log."""
    parts = [
        status.state,
        "" if status.fs_hz is None else f"{status.fs_hz:.1f} Hz",
        "" if status.lost_share is None else f"{status.lost_share:.2%} lost",
        "" if status.battery_percent is None else f"battery {status.battery_percent} %",
        "" if counts is None else f"twitches so far {counts.get(status.site, 0)}",
    ]
    return f"{status.site} {', '.join(filter(None, parts))}"


@contextlib.contextmanager
def q_asks(stop: Callable[[str], None], typed: Callable[[int], None]) -> Iterator[None]:
    """Call `stop` once somebody types q and Enter, in a terminal; `typed` for each line."""
    if not sys.stdin or not sys.stdin.isatty():
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_listen, args=(stop, typed, over), name="keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(2 * LOOK_S)


def _listen(stop: Callable[[str], None], lines: Callable[[int], None], over: threading.Event) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal is gone: nobody types any more
        while not over.is_set():
            typed = _typed()
            if typed is None:
                over.wait(LOOK_S)
            elif not typed:
                return
            else:
                lines(typed.count(b"\n"))
                if b"q" in typed.lower().split():
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
