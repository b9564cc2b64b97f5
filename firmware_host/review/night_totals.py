"""The counts of whole nights, for what looks at many: each night is read once, until it changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from firmware_host.analysis import run_counts
from firmware_host.analysis.comparing import judge_of
from firmware_host.errors import TwitchmapError
from firmware_host.recording import NightMeta, evening_of, known_meta, night_folders, start_and_date
from firmware_host.recording.diary import read_diary
from firmware_host.recording.settings import MADE_UP
from firmware_host.review.charts.map_data import night_title
from firmware_host.review.kept import Kept, stamps
from firmware_host.review.opened import brief_run
from firmware_host.twitches import Table

_MOST = 2000
FILES = ("night.toml", "results.sqlite", "labels.jsonl", "diary.jsonl")


@dataclass(frozen=True)
class NightTotals:
    """A night in one row a site."""

    path: Path
    meta: NightMeta
    title: str
    start_ns: int
    evening: date | None
    totals: Table | None = None
    """`COUNT_DTYPE`, one row a site, with labels; None where nothing was counted."""
    judge: str = ""
    """Who counted, in words that are the same for nights that compare; empty where nothing was."""
    labels: int = 0
    """Labels that hold."""
    diary: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    """Why there are no counts."""

    @property
    def made_up(self) -> bool:
        """Nobody slept it."""
        return self.meta.origin in MADE_UP


class Totals:
    """The totals of a folder's nights; one a server, by `context.shared(Totals)`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = Kept(_MOST)

    def of(self, path: Path) -> NightTotals:
        """Return the totals of a night; raises `BadFileError` if even its metadata cannot be read."""
        return self._kept.get(path, stamps(path, *FILES), lambda: _totals(path))

    def all(self) -> list[NightTotals]:
        """Return the totals of all nights that can be read, oldest first."""
        found = []
        for path in night_folders(self._folder):
            try:
                found.append(self.of(path))
            except (TwitchmapError, OSError):  # the list of nights tells of it
                continue
        return sorted(found, key=lambda night: (night.start_ns, night.path.name))


def _totals(path: Path) -> NightTotals:
    meta = known_meta(path)
    diary: dict[str, str] = {}
    problem = ""
    try:
        diary = read_diary(path).fields
    except TwitchmapError as error:
        problem = str(error)
    try:
        run = brief_run(path)
    except TwitchmapError as error:
        start_ns, evening = start_and_date(path)
        title = night_title(meta, start_ns)
        return NightTotals(path, meta, title, start_ns, evening, diary=diary, problem=str(error))
    start_ns = run.summary.start_ns
    return NightTotals(
        path,
        meta,
        night_title(meta, start_ns),
        start_ns,
        evening_of(start_ns, meta.time_zone) if meta.start_known else None,
        run_counts(run),
        judge_of(run.info),
        len(run.labels.active),
        diary,
        problem,
    )
