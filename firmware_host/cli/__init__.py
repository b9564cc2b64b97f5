"""The command line: each file here without a leading underscore holds one command, called `command`.

A command parses, calls public functions and prints. What it needs beyond click is imported when it runs,
so that help and lists start at once.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import click

from firmware_host import __version__
from firmware_host.cli._terminal import has_screen, note, sentence
from firmware_host.errors import TwitchmapError

DONE, MENDABLE, WRONG_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class Commands(click.Group):
    """Finds its commands by file name; `import_.py` is `import`, a name that Python keeps for itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands."""
        found = pkgutil.iter_modules(__path__)
        return sorted(module.name.rstrip("_") for module in found if not module.name.startswith("_"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load one command; None if there is none of that name."""
        if name not in self.list_commands(ctx):
            return None
        file = "import_" if name == "import" else name
        command: click.Command = importlib.import_module(f"{__name__}.{file}").command
        return command


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Count muscle twitches overnight with motion sensors, and map them over body and night.

    For research and learning. It is not a diagnostic device: it sees twitches, not their cause.
    """
    if ctx.invoked_subcommand is not None:
        return
    if not has_screen():
        click.echo(ctx.get_help())
        return
    review = commands.get_command(ctx, "review")
    assert review is not None
    review.main([], "twitchmap", standalone_mode=False)


class TerminatedError(BaseException):
    """SIGTERM arrived: unwind as for Ctrl-C, so that nothing is left half made."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; ends with SystemExit.

    0 done, 1 something that the user can mend (one sentence on stderr), 2 wrong usage, 130 interrupted,
    143 terminated.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called us
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as we run
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows only ASCII shows "?" instead of failing
            stream.reconfigure(errors="replace")
    if not logging.root.handlers:  # what goes wrong is told in sentences; no traceback belongs among them
        logging.root.addHandler(logging.NullHandler())
    with _terminating():
        sys.exit(_run(argv))


def _run(argv: Sequence[str] | None) -> int:
    try:
        result = commands.main(None if argv is None else list(argv), "twitchmap", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        error.show()
        return WRONG_USAGE
    except click.ClickException as error:
        note(error.format_message())
    except (click.Abort, TerminatedError) as error:
        return _stopped(error)
    except BrokenPipeError:  # what reads our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001 - what an interrupt turned into is no fault of its own
        if code := _stopped(error):
            return code
        _tell(error)
    else:
        return result if isinstance(result, int) else DONE
    return MENDABLE


def _tell(error: Exception) -> None:
    """Tell an error that the user can mend; another is a fault of ours and keeps its traceback."""
    if isinstance(error, TwitchmapError | OSError):
        note(sentence(error))
    elif isinstance(error, UnicodeEncodeError):
        wrong = error.object[max(0, error.start - 20) : error.end + 20]
        note(f"{wrong!a} holds what is no UTF-8 text: write it differently, or rename the folder.")
    else:
        raise error


def _stopped(error: BaseException | None) -> int:
    """Return the exit code of the signal that an error comes from, if need be while cleaning up; else 0."""
    while error is not None:
        if isinstance(error, TerminatedError):
            note("Terminated.")
            return TERMINATED
        if isinstance(error, KeyboardInterrupt | click.Abort):
            note("Interrupted.")
            return INTERRUPTED
        error = error.__context__
    return 0


@contextlib.contextmanager
def _terminating() -> Iterator[None]:
    """Turn SIGTERM into an exception while a command runs; only the main thread may."""

    def stop(*_: int | FrameType | None) -> None:
        raise TerminatedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
