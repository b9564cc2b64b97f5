"""The evening of one folder: its set-up, the program that runs for it, the recorder, the night that ended.

Everything is read anew from what is there: a server that starts while a night is recorded finds it.
"""

from __future__ import annotations

import threading
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from firmware_host import body
from firmware_host.errors import BadFileError, NightBusyError, NotFoundError, StorageError, TwitchmapError
from firmware_host.recording import known_meta
from firmware_host.recording.live_status import LiveStatus, ask_stop, read_status, stop_asked
from firmware_host.recording.nights import running_night
from firmware_host.review.last_night import LastNight, LastNights
from firmware_host.review.processes import Job, Kind, RecorderProcess
from firmware_host.review.texts import t

SETUP_FILE = "setup.toml"

Phase = Literal["nothing", "ready", "starting", "recording", "ending", "detecting", "broken_off"]


class SetupSensor(msgspec.Struct, frozen=True):
    """One sensor of the set-up, as the page shows it."""

    site: str
    label: str = ""
    """What a person reads: "left calf"."""
    name: str = ""
    model: str = ""
    placement: str = ""


class Setup(msgspec.Struct, frozen=True):
    """The set-up of the folder, as the page shows it; what it means is the recorder's to judge."""

    sensors: tuple[SetupSensor, ...] = ()
    until: str = ""
    participant: str = ""
    virtual: bool = False


class Live(NamedTuple):
    """A night that is being recorded."""

    night: Path
    status: LiveStatus | None
    """None: the recorder has said nothing yet."""


class Now(NamedTuple):
    """How the evening stands."""

    phase: Phase
    setup: Setup | None
    trouble: str | None
    """Why the set-up cannot be read, or the recorder ended with an error."""
    live: Live | None
    last: LastNight | None


class Evening:
    """What all requests share about the evening of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._recorder: RecorderProcess | None = None
        self._started_ns = 0
        self._last = LastNights(folder)
        self.job: Job | None = None

    def close(self) -> None:
        """End what is of no use without the page; the recorder goes on."""
        self.cancel()

    def now(self) -> Now:
        """Return how the evening stands."""
        with self._lock:
            live, trouble = self._live(), None
            try:
                setup = read_setup(self.folder)
            except TwitchmapError as error:
                setup, trouble = None, str(error)
            if live is not None:
                asked = live.status is not None and stop_asked(live.night, live.status.id)
                return Now("ending" if asked else "recording", setup, trouble, live, None)
            sites = frozenset(one.site for one in setup.sensors) if setup else frozenset()
            last = self._last.find(sites, virtual=bool(setup and setup.virtual))
            recorder = self._recorder
            if recorder is not None and recorder.running:
                over = last is not None and last.finished and last.end_ns > self._started_ns
                return Now("detecting" if over else "starting", setup, trouble, None, last)
            if recorder is not None:
                trouble = recorder.failure or trouble
            if last is not None and not last.finished and last.can_continue:
                return Now("broken_off", setup, trouble, None, last)
            return Now("ready" if setup else "nothing", setup, trouble, None, last)

    def start(self, arguments: Sequence[str]) -> None:
        """Start the recorder with the set-up of the folder.

        Raises
        ------
        NightBusyError
            If it runs already, or a check or set-up still uses the sensors.
        NotFoundError
            If there is no set-up.
        StorageError
            If the folder takes nothing.
        """
        with self._lock:
            self._refuse_while_recording()
            if self.job is not None and self.job.running:
                raise NightBusyError(t("tonight.busy_with_sensors"))
            if read_setup(self.folder) is None:
                raise NotFoundError(t("tonight.no_setup"))
            self._started_ns = time.time_ns()
            self.job = None  # a check of this evening says nothing of the next
            try:
                self._recorder = RecorderProcess(self.folder, [*arguments, "--dir", str(self.folder)])
            except OSError as error:
                raise StorageError(
                    t("tonight.not_started", folder=self.folder, why=error.strerror or error)
                ) from error

    def stop(self) -> None:
        """Ask the recorder for the night's end, or for its own while it starts; asking twice does no harm.

        Raises
        ------
        NotFoundError
            If no night is being recorded.
        StorageError
            If it cannot be asked.
        """
        with self._lock:
            live = self._live()
            if live is None:
                if self._recorder is None or self.now().phase != "starting":
                    raise NotFoundError(t("tonight.not_recording"))
                self._recorder.terminate()
                return
            try:
                ask_stop(live.night)
            except TwitchmapError:  # it cannot write its status, or we cannot write there: ask it directly
                if self._recorder is None or not self._recorder.running:
                    raise
                self._recorder.terminate()

    def run(self, kind: Kind, arguments: Sequence[str]) -> Job:
        """Start a program that ends by itself.

        Raises
        ------
        NightBusyError
            If another one runs, or a night is being recorded with the sensors that it needs.
        """
        with self._lock:
            if self.job is not None and self.job.running:
                raise NightBusyError(t("tonight.busy"))
            self._refuse_while_recording()
            self.job = Job(kind, arguments)
            return self.job

    def cancel(self) -> None:
        """End the program that runs, if one does."""
        with self._lock:
            if self.job is not None:
                self.job.cancel()

    def _refuse_while_recording(self) -> None:
        if self.now().phase in {"starting", "recording", "ending"}:
            raise NightBusyError(t("tonight.recording_already"))

    def _live(self) -> Live | None:
        night = running_night(self.folder)
        if night is None:
            return None
        try:
            recorded = known_meta(night).origin in {"recorded", "virtual"}
        except (TwitchmapError, OSError):
            recorded = True
        return Live(night, read_status(night)) if recorded else None  # an import is written, too


def read_setup(folder: Path) -> Setup | None:
    """Return the set-up of a folder of nights; None where there is none yet.

    Raises
    ------
    BadFileError
        If it cannot be understood.
    """
    path = folder / SETUP_FILE
    try:
        setup = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Setup)
        labelled = (msgspec.structs.replace(one, label=body.site(one.site).label) for one in setup.sensors)
        return msgspec.structs.replace(setup, sensors=tuple(labelled))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError, msgspec.ValidationError, TwitchmapError) as error:
        raise BadFileError(t("tonight.bad_setup", path=path), path=path) from error
