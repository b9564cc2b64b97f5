"""Every error that a user can meet: one plain sentence that says what is wrong, where, and what to do.

They are grouped by who can act. Whatever else is raised is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

from pathlib import Path


class TwitchmapError(Exception):
    """The base of all errors that the command line and the page show as a sentence (exit 1)."""


# The user can mend these: a path, a value, an option.


class NotFoundError(TwitchmapError):
    """Something named by the user is not there: a file, a night, a site, a run, a model."""


class BadValueError(TwitchmapError):
    """A value given by the user cannot be used: a site, a unit, a time zone, a rate, a setting."""


class BadFileError(TwitchmapError):
    """A file cannot be understood as what it should be; carries the file and, where known, the line."""

    def __init__(self, sentence: str, *, path: Path | str | None = None, line: int | None = None) -> None:
        super().__init__(sentence)
        self.path = path
        self.line = line


class NotEmptyError(TwitchmapError):
    """A command that makes a night was pointed at a folder that already holds something."""


class NotShownError(TwitchmapError):
    """Counts that somebody does not want to see now, as the folder's settings say."""


class MissingExtraError(TwitchmapError):
    """An optional library is not installed; the sentence names the command that installs it."""


# The machine stands in the way: disk, permissions, another process.


class StorageError(TwitchmapError):
    """The disk refuses: full, read-only, gone; recorded data are kept in memory as long as possible."""


class NightBusyError(TwitchmapError):
    """Another process is writing this night."""


class WorkersError(TwitchmapError):
    """The processes or computers that work on many nights cannot be reached, do not fit, or are gone."""


class RadioError(TwitchmapError):
    """Bluetooth is off, missing, blocked or not allowed on this computer."""


class SensorError(TwitchmapError):
    """A sensor does not answer, or cannot do what is asked of it."""


# The night itself.


class DamagedNightError(TwitchmapError):
    """A night is damaged beyond what reading around the damage can mend."""


class NewerFormatError(TwitchmapError):
    """A file was written by a newer twitchmap than this one."""


def numbered(n: int, one: str, many: str = "") -> str:
    """Return a count as a sentence has it: 1 night, 0 nights, 2,000 twitches; `many` where no s makes it."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
