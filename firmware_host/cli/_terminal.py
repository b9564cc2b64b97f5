"""What commands print: one JSON document, plain tables, progress on a terminal."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import click

_UNPRINTABLE = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n")}, "?")
"""Control characters: names of sensors nearby and notes of a night must not steer the terminal."""

LINE_S = 0.3
"""A line of progress at most so often."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def show(document: Any, text: str | Callable[[], str], *, as_json: bool) -> None:  # noqa: ANN401
    """Print the result of a command: `document` as JSON (numbers that are not known as null), or `text`."""
    if as_json:
        import msgspec

        plain = json.loads(msgspec.json.encode(document, enc_hook=_plain))
        said = json.dumps(plain, indent=2)  # ASCII only: any terminal and any pipe takes it
    else:
        said = printable(text if isinstance(text, str) else text())
    try:
        click.echo(said)
    except OSError as error:
        if error.errno == errno.EIO and stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode):
            raise BrokenPipeError from error  # the terminal was closed
        raise


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Turn numpy's numbers and arrays, and paths, into what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def rows(table: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return a structured array as one dict a row."""
    return [dict(zip(table.dtype.names, row, strict=True)) for row in table.tolist()]


def printable(text: str) -> str:
    """Return a text that a terminal only shows."""
    return text.translate(_UNPRINTABLE)


def note(text: str) -> None:
    """Tell the user something beside the result, on stderr; a terminal that was closed ends no work."""
    with contextlib.suppress(OSError):
        click.echo(printable(text), err=True)


def sentence(error: Exception) -> str:
    """Return what a user should read of an error of ours or of the system."""
    if not isinstance(error, OSError):
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"The system refuses: {error.strerror}{where}."


def aligned(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table of text, columns aligned by spaces; numbers stand to the right."""
    cells = [tuple(header), *(tuple(line) for line in lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [
        all(cell[:1].isdigit() or cell in {"", "-"} for cell in column[1:])
        for column in zip(*cells, strict=True)
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )


def has_screen() -> bool:
    """Tell whether somebody sits before a terminal and a screen."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    window = sys.platform in {"win32", "darwin"} or any(os.environ.get(name) for name in screens)
    return window and sys.stdout.isatty()


class Progress:
    """A bar on stderr for what takes over a second; silent where stderr is no terminal.

    A program that started us, and set `TWITCHMAP_PROGRESS=lines`, gets lines in its place: "progress 0.42".

    >>> with Progress("detecting") as tell:  # doctest: +SKIP
    ...     tell(0.5)
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._since = self._drawn = time.monotonic()
        self._width = 0
        self._in_lines = os.environ.get("TWITCHMAP_PROGRESS") == "lines"

    def __enter__(self) -> Progress:
        return self

    def __call__(self, share: float, what: str | None = None) -> None:
        """Show the share done, 0 to 1, of what is being done."""
        now = time.monotonic()
        if self._in_lines and now - self._drawn >= LINE_S:
            self._drawn = now
            click.echo(f"progress {share:.3f}", err=True)
        if self._in_lines or not sys.stderr.isatty() or now - self._since < 1 or now - self._drawn < 0.1:
            return
        self._drawn = now
        full = round(30 * min(1.0, share))
        self._draw(f"{what or self._what} [{'#' * full}{'.' * (30 - full)}] {share:4.0%}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Take the bar away, until it is drawn again: something else is told."""
        self._draw("")

    def _draw(self, text: str) -> None:
        """Write over what the line shows."""
        if text or self._width:
            click.echo("\r" + text.ljust(self._width) + ("" if text else "\r"), nl=False, err=True)
            self._width = len(text)
