"""What requests about labels share: a night's run as the detector left it, its piles, and both as labelled.

Reading a run of 300,000 events takes a second; what a label changes takes a tenth of that. So the run is kept
as it was found, and labels are laid over it anew when their file has changed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.analysis import Run, load_run, reviewed, run_counts
from firmware_host.analysis.labelled import named_now
from firmware_host.analysis.piles import Pile, found_rows, make_piles
from firmware_host.errors import NightBusyError, NotFoundError
from firmware_host.recording import Night, ResultsStore, known_meta, open_night
from firmware_host.recording.blocks import Scan
from firmware_host.recording.labels import LABELS_FILE, Labels, read_labels
from firmware_host.recording.night import META_FILE
from firmware_host.recording.reader import LOG_FILE
from firmware_host.recording.results import RESULTS_FILE
from firmware_host.review.kept import Kept, stamps
from firmware_host.review.texts import t
from firmware_host.twitches import Table

KEPT = 3
"""Nights that are kept; one with 300,000 events takes 120 MB."""


@dataclass
class JudgedNight:
    """A night's newest run as the detector left it, with what is made of it when it is asked for."""

    path: Path
    raw: Run
    _labelled: tuple[Any, Run] | None = None
    _samples: tuple[Any, Night] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _reading: threading.RLock = field(default_factory=threading.RLock)

    @cached_property
    def _night(self) -> Night:
        return without_log(self.path)

    @cached_property
    def _piles(self) -> tuple[Pile, ...]:
        return make_piles(ResultsStore(self.path), self.raw)

    @property
    def piles(self) -> tuple[Pile, ...]:
        """The piles of the run, those first that are worth most."""
        with self._lock:
            return self._piles

    def check_run(self, run_id: str | None) -> None:
        """Return if the run that was looked at is this one, or not named; raises `NightBusyError` if not."""
        if run_id not in {None, self.raw.info.run_id}:
            raise NightBusyError(t("correct.another_run", night=self.path.name))

    def pile(self, name: str) -> Pile:
        """Return a pile by its id; raises `NotFoundError` if the run has none of that id."""
        for pile in self.piles:
            if pile.id == name:
                return pile
        raise NotFoundError(t("correct.no_such_pile", night=self.path.name, pile=name))

    @property
    def run(self) -> Run:
        """The run as it is labelled now."""
        stamp = stamps(self.path, LABELS_FILE)
        with self._lock:
            if self._labelled is None or self._labelled[0] != stamp:
                labels = read_labels(self.path)
                run = self.raw if self._labelled is None else self._labelled[1]
                same = _ids(run.labels) == _ids(labels)
                run = replace(run, labels=labels) if same else reviewed(self._night, self.raw, labels)
                self._labelled = (stamp, run)
            return self._labelled[1]

    def take(self, labels: Labels) -> Run:
        """Return the run with labels that were just written."""
        run = reviewed(self._night, self.raw, labels)
        with self._lock:
            self._labelled = (None, run)  # somebody else may have added more: the file is asked next time
        return run

    @property
    def labels(self) -> Labels:
        """The labels of the run, under the names that sites have now."""
        return named_now(self.run.labels, self._night.meta)

    @cached_property
    def _raw_counts(self) -> Table:
        return run_counts(self.raw)

    def counts(self, run: Run) -> Table:
        """Return `run_counts` of the run as found, or as labelled."""
        with self._lock:
            return self._raw_counts if not run.labels.active else run_counts(run)

    @property
    def found(self) -> Table:
        """The labelled rows that stand for the rows of `raw`, one for one."""
        return found_rows(self.raw.events, self.run.events)

    @property
    def samples(self) -> Night:
        """The night with its samples."""
        stamp = stamps(self.path, LOG_FILE, META_FILE)
        with self._reading:  # which takes time: what needs no samples does not wait for it
            if self._samples is None or self._samples[0] != stamp:
                self._samples = (stamp, open_night(self.path))
            return self._samples[1]

    def ns(self, times_s: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return UTC times of seconds from the night's start."""
        after = np.rint(np.asarray(times_s, float) * 1e9).astype(np.int64)
        return np.asarray(self.raw.summary.start_ns + after)


def _ids(labels: Labels) -> list[str]:
    """Return what tells labels from others: what has been written of one never changes."""
    return [label.id for label in labels.active]


class Judged:
    """The nights that requests are about; one a server, by `context.shared(Judged)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept = Kept(KEPT)

    def night(self, path: Path) -> JudgedNight:
        """Return a night with its newest complete run; raises as `load_run`."""
        return self._kept.get(
            path,
            stamps(path, RESULTS_FILE, META_FILE),
            lambda: JudgedNight(path, load_run(without_log(path), with_labels=False)),
        )


def without_log(path: Path) -> Night:
    """Return a night that knows what `night.toml` says and has no samples: that takes no time."""
    return Night(path, known_meta(path), (), being_written=False, scan=Scan.empty(), notes=())
