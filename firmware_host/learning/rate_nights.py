"""Site-nights with truth, by which limits, rates and intervals are judged: made, searched, limits measured.

Kept is little: what was counted, the probabilities of all candidates, coverage, added twitches and the truth.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from joblib import delayed
from threadpoolctl import threadpool_limits

from firmware_host.analysis import events_of, find_candidates, judge, load_model
from firmware_host.analysis.limits import add_twitches
from firmware_host.detection.context import CANDIDATE_SCORE
from firmware_host.learning.dataset import _fingerprint, _pool
from firmware_host.learning.score import merge_truth
from firmware_host.recording import open_night
from firmware_host.simulation import simulate_night
from firmware_host.simulation.cohort import NightSpec, subject
from firmware_host.simulation.families import HELD_OUT, TRAINED
from firmware_host.twitches import Table

HOURS, FS_HZ = 2.0, 100.0
FIT_NUMBERS, TEST_NUMBERS = range(150_000, 160_000), range(160_000, 170_000)
"""Virtual people of neither training nor the other evaluation; constants are fitted on the first, of trained
families, and shown on the second, of held-out ones."""
SCALES = (1.0, 0.3, 1.0, 0.0, 1.0, 3.0)
"""Times the rates of the people, over and over."""


@dataclass(frozen=True)
class SiteNight:
    """One site of one simulated night: events, coverage, added twitches and truth.

    `candidates` are all candidates as events (EVENT_DTYPE).
    """

    site: str
    subject: int
    duration_s: float
    candidates: Table
    coverage: Table
    added: Table
    truth: Table


def specs(count: int, *, held_out: bool) -> list[tuple[int, NightSpec]]:
    """Return the nights of so many virtual people."""
    numbers = (TEST_NUMBERS if held_out else FIT_NUMBERS)[:count]
    families = HELD_OUT if held_out else TRAINED
    return [
        (
            number,
            replace(subject(number, families), hours=HOURS, fs_hz=FS_HZ, rate_scale=SCALES[i % len(SCALES)]),
        )
        for i, number in enumerate(numbers)
    ]


def collect(
    wanted: Sequence[tuple[int, NightSpec]],
    model: str,
    point: str,
    *,
    jobs: int = 1,
    cache: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[SiteNight]:
    """Make, search and judge nights; arguments as of `dataset.collect`."""
    program = _fingerprint() if cache else ""
    found: list[SiteNight] = []
    with tempfile.TemporaryDirectory(prefix="twitchmap-", ignore_cleanup_errors=True) as scratch:
        work = (delayed(_made)(*one, model, point, Path(scratch), cache, program) for one in wanted)
        with _pool(jobs) as pool:
            for number, sites in enumerate(pool(work)):
                found += sites
                if progress is not None:
                    progress((number + 1) / len(wanted))
    return found


def _made(
    number: int, spec: NightSpec, model: str, point: str, scratch: Path, cache: Path | None, program: str
) -> list[SiteNight]:
    bundle, sha256 = load_model(model)
    kept = None
    if cache is not None:
        key = hashlib.sha256(repr((program, spec, sha256, point)).encode()).hexdigest()[:24]
        kept = cache / f"{key}.npz"
        with contextlib.suppress(OSError, ValueError, KeyError), np.load(kept, allow_pickle=False) as arrays:
            return _split(number, {name: arrays[name] for name in arrays.files})
    with threadpool_limits(1), tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / "subject.night"
        twitches = simulate_night(path, spec=spec).twitches
        night = open_night(path)
        lowest = min(getattr(bundle, "search_score", bundle.lowest_score), CANDIDATE_SCORE)
        findings = find_candidates(night, lowest)
        rows = judge(findings, bundle, point)
        added = add_twitches(night, findings, rows, bundle, point, night.log_sha256())
    truth = merge_truth(twitches)
    arrays = {
        "sites": np.array(night.sites), "duration_s": np.array(night.duration_s), "events": events_of(rows),
        "coverage": findings.coverage, "truth": truth,
        **{f"added_{site}": table for site, table in added.items()},
    }  # fmt: skip
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as part:
            np.savez_compressed(part, **arrays)
        Path(part.name).replace(kept)
    return _split(number, arrays)


def _split(number: int, arrays: dict[str, npt.NDArray[np.void]]) -> list[SiteNight]:
    def at(name: str, site: str) -> Table:
        rows: Table = arrays[name][arrays[name]["site"] == site]
        return rows

    return [
        SiteNight(site, number, float(arrays["duration_s"]), at("events", site), at("coverage", site),
                  arrays[f"added_{site}"], at("truth", site))
        for site in arrays["sites"].tolist()
    ]  # fmt: skip
