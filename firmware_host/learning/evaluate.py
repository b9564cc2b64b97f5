"""The evaluation behind `twitchmap evaluate`: nights of virtual people, each chip's noise, real recordings.

All of them are made or read, searched once, and judged by every model in the same run. Virtual people have
numbers that training never uses, and twitch shapes, chips, rates and some confounders that it never saw.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

import firmware_host
from firmware_host.analysis import DEFAULT_MODEL, load_model, passes_of
from firmware_host.analysis.interrupts import deaf_children
from firmware_host.detection import Model
from firmware_host.errors import BadValueError, NotFoundError, TwitchmapError
from firmware_host.learning.cohort_score import POINTS, SITUATIONS, Judge, NightResult, cases, score_case
from firmware_host.learning.noise_score import RECORDING_H, NoiseCase, NoiseResult, noise_case
from firmware_host.learning.noise_summary import noise_summary
from firmware_host.learning.real_score import Searched, search
from firmware_host.learning.recordings import SOURCES, read_source
from firmware_host.learning.summaries import nights_summary, real_summary
from firmware_host.simulation import SIMULATOR_VERSION
from firmware_host.simulation.chips import CHIPS
from firmware_host.simulation.families import HELD_OUT

Part = Literal["nights", "noise", "real"]
PARTS: tuple[Part, ...] = ("nights", "noise", "real")
BESIDE = "plain"
REFERENCE_HZ = 100.0


@dataclass(frozen=True)
class Effort:
    """How much is made: subjects, hours a night (of the rarer sorts), and hours a chip of noise.

    `noise_h` at the rate next to 100 Hz, `rates_h` at each other rate of it, `twitches_h` with twitches.
    """

    subjects: int
    hours: float
    extra_hours: float
    noise_h: float
    rates_h: float
    twitches_h: float


FULL = Effort(subjects=20, hours=6.0, extra_hours=2.0, noise_h=60.0, rates_h=4.0, twitches_h=8.0)
QUICK = Effort(subjects=4, hours=1.0, extra_hours=0.5, noise_h=2.0, rates_h=0.0, twitches_h=0.5)

Result = NightResult | NoiseResult | Searched
Work = tuple[float, Callable[..., Result], tuple[Any, ...]]
"""Its weight, and what is called with what."""


def evaluate(
    model: str = DEFAULT_MODEL,
    *,
    real_data: Path | None = None,
    effort: Effort = FULL,
    parts: Sequence[Part] = PARTS,
    jobs: int = 1,
    models: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Evaluate a model, the plain one beside it.

    Parameters
    ----------
    model
        Name of a model bundle; judged at all three operating points, plain at balanced.
    real_data
        Folder of real recordings; what is absent there is skipped, with the reason.
    effort, parts
        How much of what is made.
    jobs
        Processes at once.
    models
        Folder of recordings beside which the user's own models lie.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    All figures, as JSON can hold them; `card.card` makes a text of them.

    Raises
    ------
    NotFoundError, BadFileError
        If there is no such model or folder, or the model cannot be used.
    BadValueError
        If the effort cannot be made.
    """
    if effort.subjects < 1 or jobs < 1:
        raise BadValueError("An evaluation needs at least one subject and one process.")
    if real_data is not None and not real_data.is_dir():
        raise NotFoundError(f"There is no folder of real recordings {real_data}.")
    bundle, sha256 = load_model(model, models)
    judges = _judges(bundle, models)
    work, skipped = _work(judges, real_data, effort, parts)
    results = list(_done(work, jobs, progress))
    names = [judge.name for judge in judges]
    nights = [one for one in results if isinstance(one, NightResult)]
    noises = [one for one in results if isinstance(one, NoiseResult)]
    found = [one for one in results if isinstance(one, Searched)]
    return {
        "model": bundle.settings() | {"sha256": sha256},
        "judges": [" ".join(name) for name in names],
        "made_with": {"twitchmap": firmware_host.__version__, "simulator": str(SIMULATOR_VERSION)},
        "effort": asdict(effort),
        "held_out": {
            "shapes": HELD_OUT.shapes, "chips": HELD_OUT.chips, "rates_hz": HELD_OUT.rates_hz,
            "confounders": HELD_OUT.confounders,
        },
        "nights": nights_summary(nights, names) if nights else None,
        "noise": noise_summary(noises, names) if noises else None,
        "real": real_summary(found, names) if found else None,
        "skipped": skipped,
    }  # fmt: skip


def _work(
    judges: Sequence[Judge], real_data: Path | None, effort: Effort, parts: Sequence[Part]
) -> tuple[list[Work], dict[str, str]]:
    """Return what there is to do, each with its weight, and what is skipped with the reason."""
    work: list[Work] = []
    skipped: dict[str, str] = {}
    if "nights" in parts:
        made = cases(effort.subjects, effort.hours, effort.extra_hours, tuple(SITUATIONS))
        work += [
            (
                case.spec.hours * len(case.spec.sites) * (2 + 0.025 * case.spec.fs_hz),
                score_case,
                (case, judges),
            )
            for case in made
        ]
    if "noise" in parts:
        work += [
            (case.hours * 0.5 * (1 + case.fs_hz / 100), noise_case, (case, judges))
            for case in noise_cases(effort)
        ]
    if "real" in parts and real_data is None:
        skipped["real recordings"] = "No folder of them was given (--real-data)."
    elif "real" in parts and real_data is not None:
        for file in SOURCES:
            try:
                recordings = read_source(real_data, file)
            except TwitchmapError as error:
                skipped[file] = str(error)
            else:
                work += [(1.0, search, (one, file, judges)) for one in recordings]
    return work, skipped


def _judges(bundle: Model, models: Path | None) -> list[Judge]:
    judges = [Judge(bundle, point) for point in POINTS]
    if passes_of(bundle) > 1:
        judges.append(Judge(bundle, "balanced", passes=1))
    if bundle.name != BESIDE:
        judges.append(Judge(load_model(BESIDE, models)[0], "balanced"))
    return judges


def noise_cases(effort: Effort) -> list[NoiseCase]:
    """Return the recordings of noise: each chip at its rate next to 100 Hz, and fewer hours at its others."""
    made = []
    for chip in CHIPS.values():
        nearest = chip.nearest_rate(REFERENCE_HZ)
        for rate in chip.rates_hz:
            hours = effort.noise_h if rate == nearest else effort.rates_h
            made += [NoiseCase(chip.name, rate, *part) for part in _in_parts(hours)]
        made += [
            NoiseCase(chip.name, nearest, *part, with_twitches=True) for part in _in_parts(effort.twitches_h)
        ]
    return made


def _in_parts(hours: float) -> list[tuple[float, int]]:
    count = -int(-hours // RECORDING_H)
    return [(hours / count, number) for number in range(count)]


def _done(work: Sequence[Work], jobs: int, progress: Callable[[float], None] | None) -> Iterator[Result]:
    """Do the work in a pool of processes, in order; no process and no file is left behind after an error."""
    total, so_far = sum(weight for weight, _, _ in work) or 1.0, 0.0
    with tempfile.TemporaryDirectory(prefix="twitchmap-", ignore_cleanup_errors=True) as scratch:
        tasks = (delayed(_one_thread)(do, *given, Path(scratch)) for _, do, given in work)
        try:
            pool = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)
            with deaf_children():
                results = pool(tasks)
            for (weight, _, _), result in zip(work, results, strict=True):
                so_far += weight
                if progress is not None:
                    progress(so_far / total)
                yield result
        finally:
            if jobs != 1:
                with contextlib.suppress(Exception):
                    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _one_thread(do: Callable[..., Result], *given: Any) -> Result:  # noqa: ANN401
    """Do one piece of the work; sums of several threads would differ in their last digits."""
    with threadpool_limits(1):
        return do(*given)
