"""Real recordings, scored: twitches added to real rest, and events where nothing twitches.

Beside the models stands a naive detector: any axis over 5 robust sigma in 5-45 Hz. The plain model is also
shown at equal recall: at the score from which it finds as many of the added twitches as another model. Who
counts thousands an hour meets many a twitch by chance; so recall is also compared without that.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host.analysis import find_candidates
from firmware_host.analysis.findings import events_of
from firmware_host.detection.heart import every_beat_kept
from firmware_host.detection.lobes import are_bursts
from firmware_host.learning.cohort_score import Judge, search_score
from firmware_host.learning.match import TOLERANCE_S, match
from firmware_host.learning.recordings import SITE, Recording
from firmware_host.learning.score import Outcome, in_valid_time, outcome_of
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, MERGE_S, Kind, Table, table

Floats = npt.NDArray[np.float64]

NAIVE = ("naive", "5 sigma")
_NAIVE_SIGMA = 5.0
_NAIVE_BAND_HZ = (5.0, 45.0)
LARGE_MG = 25.0
_ELSEWHERE = 4000
"""Times drawn to see what is met by chance: its error is then far below that of the recall."""


@dataclass(frozen=True)
class Searched:
    """A recording with what each judge made of it.

    `peak_s`, `score`, `is_valid` (n,) are all candidates, whoever counts them; `hours` its length;
    `elsewhere_s` (m,) are times at random in valid time, so far from the added twitches that no event of one
    matches.
    """

    key: str
    group: str
    file: str
    hours: float
    outcomes: dict[tuple[str, str], Outcome]
    peak_s: Floats
    score: Floats
    is_valid: npt.NDArray[np.bool_]
    elsewhere_s: Floats


def search(recording: Recording, file: str, judges: Sequence[Judge], scratch: Path | None = None) -> Searched:
    """Bring a recording through night, detector and judges; `scratch` holds its files."""
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        path = recording.write(Path(folder) / f"{recording.key}.night")
        findings = find_candidates(path, search_score(judges))
        with every_beat_kept():  # the plain detector knows no heart
            every = find_candidates(path, search_score(judges))
    outcomes = {
        one.name: outcome_of(
            events_of(one.judge(every if one.model.kind == "threshold" else findings)),
            findings.coverage,
            recording.truth,
        )
        for one in judges
    }
    outcomes[NAIVE] = outcome_of(*naive_detector(recording), recording.truth)
    rows = every.rows[are_bursts(every.rows)]  # what the plain detector may count
    hours = float(recording.time_s[-1]) / 3600
    return Searched(
        recording.key, recording.group, file, hours, outcomes, rows["peak_s"].astype(float),
        rows["score"].astype(float), in_valid_time(rows, findings.coverage),
        _elsewhere_s(recording, findings.coverage),
    )  # fmt: skip


def _elsewhere_s(recording: Recording, coverage: Table) -> Floats:
    """Draw times in valid time that are further from any added twitch than two tolerances."""
    if not len(recording.truth):
        return np.zeros(0)
    rng = np.random.default_rng(zlib.crc32(recording.key.encode()))
    truth_s = np.sort(recording.truth["peak_s"])
    times = np.zeros(_ELSEWHERE, [("site", "U32"), ("peak_s", "f8")])
    times["site"], times["peak_s"] = SITE, np.sort(rng.uniform(0, recording.time_s[-1], _ELSEWHERE))
    inside = in_valid_time(times, coverage) & ~_near(times["peak_s"], truth_s, 2 * TOLERANCE_S)
    return np.asarray(times["peak_s"][inside])


def _near(times_s: Floats, others_s: Floats, within_s: float) -> npt.NDArray[np.bool_]:
    """Tell which times have one of others (sorted) within so many seconds."""
    low, high = (np.searchsorted(others_s, times_s + side) for side in (-within_s, within_s))
    return np.asarray(high > low)


def naive_detector(recording: Recording) -> tuple[Table, Table]:
    """Find what any axis shows above 5 robust sigma in 5-45 Hz; it knows no movement, heart or floor."""
    fs_hz = recording.fs_hz
    band_hz = (_NAIVE_BAND_HZ[0], min(_NAIVE_BAND_HZ[1], 0.45 * fs_hz))
    sos = signal.butter(4, band_hz, "bandpass", fs=fs_hz, output="sos")
    filtered = signal.sosfiltfilt(sos, recording.acc_g.astype(np.float64), axis=0)
    sigma = 1.4826 * np.median(np.abs(filtered - np.median(filtered, axis=0)), axis=0)
    height = np.max(np.abs(filtered) / np.maximum(sigma, 1e-9), axis=1)
    peaks, _ = signal.find_peaks(height, height=_NAIVE_SIGMA, distance=max(round(MERGE_S * fs_hz), 1))
    peak_s = recording.time_s[peaks]
    events = table(EVENT_DTYPE, len(peaks), site=SITE, peak_s=peak_s, onset_s=peak_s, counted=True)
    end_s = float(recording.time_s[-1])
    return events, table(COVERAGE_DTYPE, 1, site=SITE, end_s=end_s, kind=Kind.VALID)


def found_share(searched: Sequence[Searched], judge: tuple[str, str], least_mg: float) -> tuple[int, int]:
    """Return how many added twitches of some size in valid time a judge found, and how many there are."""
    found = truths = 0
    for one in searched:
        outcome = one.outcomes[judge]
        large = outcome.truth_in & (outcome.truth["peak_to_peak_mg"] >= least_mg)
        truths += int(large.sum())
        found += int((outcome.found & large).sum())
    return found, truths


def equal_recall(
    added: Sequence[Searched],
    rest: Sequence[Searched],
    judge: tuple[str, str],
    least_mg: float,
    *,
    beyond_chance: bool = False,
) -> dict[str, Any] | None:
    """Compare a judge with the bare score at the highest score that finds as many added twitches.

    Parameters
    ----------
    added, rest
        Recordings with added twitches, and others of the same sort without.
    judge
        Whose recall is met.
    least_mg
        Only twitches from this size on are looked at.
    beyond_chance
        Compare recall without what is met by chance: (r - c) / (1 - c), where c is the share of times without
        a twitch that have an event within the tolerance.

    Returns
    -------
    Found and truths of both, recall as compared, the score, false alarms of both in both sorts of recordings,
    and how many times fewer (with none of ours: as if it were one). `reached` is False where no score finds
    as many: then the lowest stands here. None without truths.
    """
    found, truths = found_share(added, judge, least_mg)
    if not truths:
        return None

    def compared(found: int, events_s: Sequence[Floats]) -> float:
        share = found / truths
        chance = _met_by_chance(added, events_s) if beyond_chance else 0.0
        return (share - chance) / (1 - chance) if chance < 1 else 0.0

    wanted = compared(found, [np.sort(one.outcomes[judge].events["peak_s"]) for one in added])
    levels = np.unique(np.concatenate([one.score[one.is_valid] for one in added] or [np.zeros(0)]))
    low, high = 0, len(levels)  # levels[low] finds enough if any does
    while high - low > 1:
        middle = (low + high) // 2
        met = _at_level(added, judge, levels[middle], least_mg)[0]
        if compared(met, _events_from(added, levels[middle])) >= wanted:
            low = middle
        else:
            high = middle
    level = float(levels[low]) if len(levels) else 0.0
    plain_found, plain_added = _at_level(added, judge, level, least_mg)
    reached = compared(plain_found, _events_from(added, level))
    result: dict[str, Any] = {
        "least_mg": least_mg, "truths": truths, "found": found, "score": level, "plain_found": plain_found,
        "recall": wanted, "plain_recall": reached, "reached": reached >= wanted,
    }  # fmt: skip
    for name, recordings, plain in (
        ("added", added, plain_added),
        ("rest", rest, sum(int((one.is_valid & (one.score >= level)).sum()) for one in rest)),
    ):
        hours = sum(one.outcomes[judge].valid_h for one in recordings)
        ours = sum(int(one.outcomes[judge].false.sum()) for one in recordings)
        result[name] = {
            "valid_h": hours, "alarms": ours, "plain_alarms": plain,
            "fewer": plain / max(ours, 1) if plain or ours else None,
            "at_least": reached < wanted or not ours,
        }  # fmt: skip
    return result


def _events_from(searched: Sequence[Searched], level: float) -> list[Floats]:
    return [np.sort(one.peak_s[one.score >= level]) for one in searched]


def _met_by_chance(searched: Sequence[Searched], events_s: Sequence[Floats]) -> float:
    """Return the share of added twitches that events would meet at random times of the same recordings."""
    met = truths = 0.0
    for one, peaks_s in zip(searched, events_s, strict=True):
        own = int(next(iter(one.outcomes.values())).truth_in.sum())
        if own and len(one.elsewhere_s):
            met += own * float(_near(one.elsewhere_s, peaks_s, TOLERANCE_S).mean())
            truths += own
    return met / truths if truths else 0.0


def _at_level(
    searched: Sequence[Searched], judge: tuple[str, str], level: float, least_mg: float
) -> tuple[int, int]:
    """Return the added twitches found by all candidates from a score on, and the false alarms among them."""
    found = alarms = 0
    for one in searched:
        outcome = one.outcomes[judge]
        own = one.score >= level
        hits, hit_by = match(one.peak_s[own], outcome.truth["peak_s"])
        large = outcome.truth_in & (outcome.truth["peak_to_peak_mg"] >= least_mg)
        found += int(large[hits].sum())
        false = one.is_valid[own]
        false[hit_by] = False
        alarms += int(false.sum())
    return found, alarms
