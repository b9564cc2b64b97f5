"""The way out that all formats share: nights one after the other, bounded memory, all files or none.

A format is a module `export_<name>.py` with a class `Writer`; see `Writer` here for what it has.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

import firmware_host
from firmware_host import formats
from firmware_host.analysis import Run, load_run
from firmware_host.analysis.comparing import judge_of
from firmware_host.errors import BadValueError, MissingExtraError, NotFoundError, StorageError, TwitchmapError
from firmware_host.formats.leaving import Choices, Leaving
from firmware_host.formats.replacing import Replacing
from firmware_host.formats.sharing import shift_ns
from firmware_host.recording import Night, open_night

Progress = Callable[[float], None]
Opener = Callable[[Path, str | None], tuple[Night, Run]]
SPECIAL = ("excel", "samples")
"""Choices that not every format has."""


class Writer(Protocol):
    """One export in a format, made with the files' folder and the user's choices."""

    TAKES: frozenset[str]
    """Which of the special choices it has."""
    NEEDS: str | None
    """A library that only the extra of the format's name installs."""

    def __init__(self, folder: Replacing, choices: Choices) -> None: ...

    def add(self, leaving: Leaving, progress: Progress) -> None:
        """Write a night. If it raises an error of ours, nothing of that night is in the shared files."""
        ...

    def finish(self, described: list[dict[str, Any]]) -> None:
        """Complete the files; `described` is `Leaving.described` of every night that was added."""
        ...

    def close(self) -> None:
        """Let go of open files, whatever happened."""
        ...


@dataclass(frozen=True)
class Exported:
    """What became of an export."""

    files: tuple[Path, ...]
    nights: int
    problems: tuple[str, ...]
    """A sentence for each night that could not be exported."""
    undated: tuple[str, ...]
    """Names of the nights of which nobody knows when they began: their dates are made up."""
    copies: tuple[str, ...]
    """A sentence for each night that has the samples of one before it: both are in the files."""


def export(
    nights: Iterable[Night | Path],
    out: Path,
    form: str = "csv",
    choices: Choices | None = None,
    *,
    opener: Opener | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write nights into a folder, in one of the formats; all files appear together or none does.

    Parameters
    ----------
    nights
        Nights with a detection run each, open or as folders; of every night the newest complete run is
        taken. They are opened one at a time.
    out
        Folder of the files; made if absent. Files of an earlier export are replaced.
    form
        Name of the format.
    choices
        What else was asked for.
    opener
        Opens a folder and one of its runs; may tell damage.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    The files, and what kept single nights out. One night that fails does not end the others.

    Raises
    ------
    BadValueError
        If the format or one of its choices is not there, the nights were judged by different detectors, or
        what is shared would lie beside files of something else.
    MissingExtraError
        If the format's library is not installed; nothing is read or made.
    TwitchmapError
        If no night at all could be exported: why the first could not.
    StorageError
        If the disk refuses; no file is left half written.
    """
    choices = choices or Choices()
    make = writer_of(form, choices)
    asked = list(nights)
    described: list[dict[str, Any]] = []
    judges: list[tuple[str, str]] = []
    known: dict[str, Path] = {}
    copies: list[str] = []
    failed: list[tuple[str, TwitchmapError]] = []
    tell = progress or (lambda _: None)
    with Replacing(out) as folder:
        writer = make(folder, choices)
        try:
            for number, one in enumerate(asked):
                name = one.name if isinstance(one, Path) else one.path.name
                before = folder.names()
                try:
                    leaving = _leaving(one, choices, opener or _opened)
                    _refuse_other_detector(judges, leaving)
                    writer.add(leaving, _share(tell, number, len(asked)))
                    described.append(leaving.described())
                    path, samples = leaving.night.path, leaving.run.summary.samples_sha256
                    if known.setdefault(samples, path) != path:
                        twice = "sums over both count twice"
                        copies.append(f"{path} has the same samples as {known[samples]}: {twice}.")
                except (StorageError, _MixedError):
                    raise
                except TwitchmapError as error:
                    folder.drop(folder.names() - before)
                    failed.append((name, error))
                tell((number + 1) / len(asked))
            if not described:
                raise failed[0][1] if failed else NotFoundError("There is no night to export.")
            writer.finish(described)
            if choices.share:
                _refuse_others(folder)
        finally:
            writer.close()
    problems = tuple(f"{name}: {error}" for name, error in failed)
    return Exported(folder.written, len(described), problems, undated(described), tuple(copies))


def writer_of(form: str, choices: Choices) -> type[Writer]:
    """Return a format's class, before anything is done.

    Raises
    ------
    BadValueError
        For a format that there is not, or a choice that it has not.
    MissingExtraError
        If the library that it needs is not installed.
    """
    found = _writer(form)
    for name in SPECIAL:
        if getattr(choices, name) and name not in found.TAKES:
            having = [other for other in formats.names("export") if name in _writer(other).TAKES]
            raise BadValueError(f"--{name} is for {', '.join(having)}, not for {form}.")
    if found.NEEDS is not None and find_spec(found.NEEDS) is None:
        raise MissingExtraError(
            f"Writing {form.capitalize()} needs {found.NEEDS}, which is not installed: "
            f'pip install "twitchmap[{form}]".'
        )
    return found


def night_document(described: list[dict[str, Any]], **more: object) -> str:
    """Return what is known of all nights as JSON text."""
    document = {"twitchmap": firmware_host.__version__, **more, "nights": described}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def undated(described: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the names of the nights of which nobody knows when they began."""
    return tuple(one["night"] for one in described if not one["meta"]["start_known"])


def own_file(folder: Replacing, stem: str, ending: str) -> Path:
    """Return where a night's own file is to be written; a second one of the same name gets a number.

    Names that differ in upper and lower case are the same to many disks, so they are here.
    """
    taken = {str(path).casefold() for path in folder.names()}
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    files = (f"{name}{ending}" for name in names)
    return folder.file(next(name for name in files if str(folder.out / name).casefold() not in taken))


def _refuse_others(folder: Replacing) -> None:
    """Refuse a folder with files of something else: they would leave with the shared ones."""
    there = (path for path in folder.out.rglob("*") if path.is_file())
    hidden = set(folder.out.glob(".*"))
    if others := sorted(set(there) - folder.names() - hidden):
        raise BadValueError(
            f"{folder.out} holds {others[0].relative_to(folder.out)}, which is not of this export and would "
            "be shared with it: choose an empty folder, or remove it."
        )


class _MixedError(BadValueError):
    """Nights of different detectors: nothing is exported."""


def _writer(form: str) -> type[Writer]:
    return cast(type[Writer], formats.load("export", form).Writer)


def _leaving(one: Night | Path, choices: Choices, opener: Opener) -> Leaving:
    if isinstance(one, Path):
        night, run = opener(one, choices.run_id)
    else:
        night, run = one, load_run(one, choices.run_id)
    return Leaving(night, run, choices, shift_ns(night) if choices.share else 0)


def _opened(path: Path, run_id: str | None) -> tuple[Night, Run]:
    night = open_night(path)
    return night, load_run(night, run_id)


def _share(tell: Progress, number: int, of: int) -> Progress:
    """Return what tells the share of all nights from that of one."""
    return lambda done: tell((number + min(done, 1.0)) / of)


def _refuse_other_detector(judges: list[tuple[str, str]], leaving: Leaving) -> None:
    """Remember who judged a night; raises where it was another than that of the nights before."""
    judges.append((leaving.night.path.name, judge_of(leaving.run.info)))
    if not leaving.choices.mixed and judges[0][1] != judges[-1][1]:
        raise _MixedError(
            f"{judges[0][0]} and {judges[-1][0]} were judged by different detectors: {judges[0][1]}; "
            f"{judges[-1][1]}. Run `twitchmap detect` on all of them, or export them with --mixed."
        )
