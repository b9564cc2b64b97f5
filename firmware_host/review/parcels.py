"""What leaves by the page: an export or a report, made by a process of its own into a private folder.

The server only hands out the finished file. It has one at a time, and none is left when it ends.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from firmware_host.errors import NightBusyError, NotFoundError
from firmware_host.review.processes import END_S, Job
from firmware_host.review.texts import t

State = Literal["running", "done", "failed", "cancelled"]
REPORTS = {"report": ".html", "report_pdf": ".pdf"}


@dataclass(frozen=True)
class Parcel:
    """One export or report, as far as it is."""

    form: str
    nights: tuple[str, ...]
    share: bool
    state: State
    progress: float = 0.0
    sentence: str = ""
    """What went wrong, or what is to be known besides."""
    file: Path | None = field(default=None, repr=False)


class Parcels:
    """The one export or report that the page has made, by `context.shared(Parcels)`.

    Parameters
    ----------
    folder
        The folder of nights.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._parcel: Parcel | None = None
        self._job: Job | None = None
        self._packing: subprocess.Popen[bytes] | None = None
        self._place: Path | None = None
        self._worker: threading.Thread | None = None

    def newest(self) -> Parcel | None:
        """Return what runs or ran last."""
        with self._lock:
            if self._parcel is not None and self._job is not None:
                self._parcel = replace(self._parcel, progress=self._job.progress)
            return self._parcel

    def start(self, form: str, nights: Sequence[Path], *, share: bool, mixed: bool = False) -> Parcel:
        """Begin; what was made before is gone. Raises `NightBusyError` while something is being made."""
        with self._lock:
            if self._parcel is not None and self._parcel.state == "running":
                raise NightBusyError(t("export.busy"))
            self._clear()
            self._place = Path(tempfile.mkdtemp(prefix="twitchmap-"))
            paths = [*(["--mixed"] if mixed else []), "--", *(str(path.resolve()) for path in nights)]
            if form in REPORTS:
                out = self._place / f"twitchmap-report{REPORTS[form]}"
                self._job = Job("report", ["--out", str(out), "--show", *paths])
            else:
                out = self._place / f"twitchmap-{form}.zip"
                files = ["--out", str(self._place / form), "--format", form, *(["--share"] if share else [])]
                self._job = Job("export", [*files, "--dir", str(self._folder), *paths])
            self._parcel = Parcel(form, tuple(path.name for path in nights), share, "running")
            self._worker = threading.Thread(target=self._follow, args=(self._job, out), daemon=True)
            self._worker.start()
            return self._parcel

    def cancel(self) -> None:
        """End what is being made; raises `NotFoundError` if nothing is."""
        with self._lock:
            if self._parcel is None or self._parcel.state != "running":
                raise NotFoundError(t("export.nothing_runs"))
            self._parcel = replace(self._parcel, state="cancelled")
            job, worker = self._job, self._worker
            if self._packing is not None:
                self._packing.terminate()
        assert job is not None
        job.cancel()
        if worker is not None:
            worker.join(END_S)

    def file(self) -> Path:
        """Return the finished file; raises `NotFoundError` if there is none."""
        parcel = self._parcel
        if parcel is None or parcel.file is None or not parcel.file.is_file():
            raise NotFoundError(t("export.nothing_made"))
        return parcel.file

    def close(self) -> None:
        """End what runs, and leave nothing behind."""
        if self._parcel is not None and self._parcel.state == "running":
            with contextlib.suppress(NotFoundError):  # it has ended meanwhile
                self.cancel()
        with self._lock:
            self._clear()

    def _follow(self, job: Job, out: Path) -> None:
        """Wait for the program, pack what it left, and say how it ended."""
        job.wait()
        made = out.with_name(out.stem.removeprefix("twitchmap-"))
        packing = None  # `self._packing` may be that of another order by now
        with self._lock:
            if made.is_dir() and self._running(job):
                # Packing a whole night's signals takes a while, too: not in this process.
                pack = [sys.executable, "-m", "zipfile", "-c", str(out), *map(str, sorted(made.iterdir()))]
                packing = self._packing = subprocess.Popen(  # noqa: S603 - a list; no shell
                    pack, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
        if packing is not None and packing.wait() != 0:
            out.unlink(missing_ok=True)
        shutil.rmtree(made, ignore_errors=True)
        with self._lock:
            if self._packing is packing:
                self._packing = None
            if self._parcel is None or not self._running(job):
                return
            # One night that cannot go out is named; the others are there all the same.
            state: State = "done" if out.is_file() else "failed"
            said = " ".join(job.said) or ("" if state == "done" else t("export.ended"))
            self._parcel = replace(
                self._parcel, state=state, sentence=said, file=out if state == "done" else None
            )

    def _running(self, job: Job) -> bool:
        return self._job is job and self._parcel is not None and self._parcel.state == "running"

    def _clear(self) -> None:
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
        self._place = self._parcel = self._job = None
