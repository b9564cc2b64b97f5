"""One night of a study, in whatever process and on whatever computer works on it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import firmware_host
from firmware_host.analysis import Run, detect_night, load_model, load_run, runs_of, summary_of
from firmware_host.analysis.models import settings_of
from firmware_host.errors import BadFileError, BadValueError, NotFoundError, TwitchmapError
from firmware_host.recording import Damage, Night, open_night
from firmware_host.recording.settings import kept_back


@dataclass(frozen=True)
class Order:
    """How a night is to be judged, and by whom exactly: another computer may have others of that name."""

    model: str
    model_sha256: str
    operating_point: str
    twitchmap: str
    """Version of the program."""
    again: bool = False
    """Detect also where there is such a run."""
    asked: bool = False
    """Somebody has asked to see counts that are shown on request only."""


@dataclass(frozen=True)
class NightDone:
    """What a study did with a night; times in s and h, `valid_h` and `twitches` of all sites together."""

    path: Path
    done: Literal["detected", "was_there", "being_recorded", "failed"]
    why: str | None = None
    """A sentence, where nothing was found."""
    run_id: str | None = None
    twitches: int | None = None
    """None where there is no run, or its counts are `kept_back`."""
    valid_h: float | None = None
    kept_back: str | None = None
    """Why the counts are not to be shown now, a sentence."""
    warnings: tuple[str, ...] = ()
    damage: tuple[Damage, ...] = ()
    """What could not be read of the night."""
    seconds: float = 0.0


def study_night(path: Path, order: Order) -> NightDone:
    """Find the twitches of a night, unless it has a run that was made in the same way from the same samples.

    Whatever is wrong with the night, or between it and this computer, is in the result; nothing is raised
    that could end a study.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)  # for good: several nights share the processors, each in a process of its own
    began = time.monotonic()
    try:
        night = _studied(path, order)
    except TwitchmapError as error:
        night = NightDone(path, "failed", str(error))
    except OSError as error:
        night = NightDone(path, "failed", f"The system refuses: {error.strerror or error}.")
    except MemoryError:
        night = NightDone(path, "failed", "There is not enough memory for it: try fewer --jobs.")
    return replace(night, seconds=time.monotonic() - began)


def _studied(path: Path, order: Order) -> NightDone:
    here = socket.gethostname()
    if not path.exists():
        text = "the computers of a study must reach its nights under the same paths"
        raise NotFoundError(f"{here} sees no {path}: {text}.")
    sha256 = load_model(order.model, path.parent)[1]
    if (sha256, firmware_host.__version__) != (order.model_sha256, order.twitchmap):
        text = f"has another twitchmap or another model {order.model!r} than the computer of the study"
        raise BadValueError(f"{here} {text}: install the same on both.")
    night = open_night(path)
    if night.being_written:
        return NightDone(path, "being_recorded", "It is being recorded now, and left out.")
    was = None if order.again else _made_before(night, order)
    run = was or detect_night(night, model=order.model, operating_point=order.operating_point)
    hidden = kept_back(path, night.meta, night.start_ns, asked=order.asked)
    return NightDone(
        path,
        "was_there" if was else "detected",
        run_id=run.info.run_id,
        twitches=None if hidden else sum(site.twitches for site in run.summary.sites),
        valid_h=sum(site.seconds.get("valid", 0.0) for site in run.summary.sites) / 3600,
        kept_back=hidden,
        warnings=run.summary.warnings,
        damage=night.damage,
    )


def _made_before(night: Night, order: Order) -> Run | None:
    """Return the newest run that detecting now would only repeat; one that cannot be read is none."""
    samples = None
    for info in reversed(runs_of(night.path)):
        made_by = info.model_sha256, info.operating_point, info.detector
        if made_by != (order.model_sha256, order.operating_point, f"twitchmap {order.twitchmap}"):
            continue
        try:
            settings = settings_of(info)
            if settings.get("as_live") or "recounted" in settings:  # of pass 1, or of an older run's findings
                continue
            samples = samples or night.log_sha256()
            if summary_of(info).samples_sha256 == samples:
                return load_run(night, info.run_id)
        except BadFileError:
            continue
    return None
