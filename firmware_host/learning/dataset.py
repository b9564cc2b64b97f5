"""Virtual subjects to labelled candidates: what a classifier learns from.

Each subject's night is simulated into a scratch folder, its candidates are found as in any night, matched to
the truth, and kept as plain numbers; the night itself is thrown away at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

import firmware_host
from firmware_host.analysis import find_candidates
from firmware_host.analysis.interrupts import deaf_children
from firmware_host.detection.lobes import are_bursts
from firmware_host.detection.units import BESIDE_S
from firmware_host.learning.match import match_sites
from firmware_host.learning.repeats import Repeats, repeats_of
from firmware_host.learning.score import TRUTH_DTYPE, in_valid_time, merge_truth
from firmware_host.recording import open_night
from firmware_host.simulation import simulate_night
from firmware_host.simulation.cohort import NightSpec
from firmware_host.twitches import Table, valid_s

Float32 = npt.NDArray[np.float32]

SECOND_SCORE = 5.0
"""Pass 2 looks at candidates from here on: of a known unit, weaker ones can be believed."""
FEW = 10
"""Twitches of each site in nights that are looked at a second time: of many units each fires once or twice,
which must be found without any other of its kind."""
LEAST_D = 3.9
"""A smaller truth reaches the candidates' lowest score less than one time in ten: what is matched to it is
mostly there for another reason."""
LEAST_SHARE = 1 / 3
"""A candidate whose score and truth's d differ by more than this share is another event beside the truth."""
NOT, TWITCH, NEITHER = 0, 1, -1


@dataclass(frozen=True)
class Labelled:
    """The candidates of one subject's night, by site and time.

    `features` (n, names) float32; `label` (n,) int8: TWITCH, NOT or NEITHER, as are all outside valid time;
    `d` (n,) float32 of the matched truth, NaN where none; `score` (n,) float32; `truths_d` (m,) float32 of
    the truths in valid time; `valid_h` in hours; `repeats` what pass 2 looks at beside.
    """

    features: Float32
    label: npt.NDArray[np.int8]
    d: Float32
    score: Float32
    truths_d: Float32
    valid_h: float
    repeats: Repeats
    few_at: npt.NDArray[np.int64]
    """The candidates of the same night with few twitches, and what pass 2 looks at then."""
    few: Repeats

    @property
    def with_few(self) -> Labelled:
        """Return the night as if its sites twitched a few times only; of no candidate if they never do."""
        at, twitches = self.few_at, self.label[self.few_at] == TWITCH
        return replace(
            self,
            features=self.features[at],
            label=self.label[at],
            d=self.d[at],
            score=self.score[at],
            truths_d=self.d[at][twitches],
            repeats=self.few,
        )

    def at(self, own: npt.NDArray[np.bool_]) -> Labelled:
        """Return the night with some of its candidates only; its units still are those of all."""
        return replace(
            self, features=self.features[own], label=self.label[own], d=self.d[own], score=self.score[own]
        )


@dataclass(frozen=True)
class Subject:
    """A virtual subject's night: who, what it stands for in the mix, what it is used for, how to make it.

    `fold` is the number of the trees that have seen neither it nor its families of twitch shapes; None if it
    teaches nothing.
    """

    number: int
    situation: str
    part: str
    spec: NightSpec
    fold: int | None


def collect(
    subjects: Sequence[Subject],
    names: Sequence[str],
    *,
    jobs: int = 1,
    cache: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Labelled]:
    """Simulate, search and label the nights of virtual subjects, several at once.

    Only the numbers of candidates come back from the processes of the pool; each night is gone before the
    next is made, so that memory and disk hold `jobs` nights at most.

    Parameters
    ----------
    subjects
        In the order of the result.
    names
        The columns of candidates to keep.
    jobs
        Processes; 1 works in this one.
    cache
        Folder that keeps what was found, for the next run with the same subjects and the same program.
    progress
        Called with the share done, 0 to 1.
    """
    program = _fingerprint() if cache else ""
    found = []
    with tempfile.TemporaryDirectory(prefix="twitchmap-", ignore_cleanup_errors=True) as scratch:
        work = (delayed(_labelled)(one, tuple(names), Path(scratch), cache, program) for one in subjects)
        with _pool(jobs) as pool:
            for number, one in enumerate(pool(work)):
                found.append(one)
                if progress is not None:
                    progress((number + 1) / len(subjects))
    return found


def label(candidates: Table, truth: Table) -> tuple[npt.NDArray[np.int8], Float32]:
    """Label candidates by the truth of their night.

    Each is paired one to one with the truths of d >= `LEAST_D`: the paired is a twitch, all others, second
    detections included, are not. What cannot be told is neither: pairs of very different size, and what lies
    within the tolerance of a smaller truth. Side lobes are paired with the truths that others leave.

    Parameters
    ----------
    candidates : (n,) with site, peak_s, score and side_lobe
    truth : TRUTH_DTYPE, (m,)
        Of all sites; those closer than 60 ms taken as one already.

    Returns
    -------
    label : (n,) int8
    d : (n,) float32
        Of the truth that each was paired with; NaN where none.
    """
    kind = np.full(len(candidates), NOT, np.int8)
    d = np.full(len(candidates), np.nan, np.float32)
    bursts = are_bursts(candidates)
    left = np.ones(len(truth), bool)
    for some in (bursts, ~bursts):
        for of, said in ((truth["d"] >= LEAST_D, TWITCH), (truth["d"] < LEAST_D, NEITHER)):
            own, among = np.flatnonzero(some & np.isnan(d)), np.flatnonzero(left & of)
            hits, hit_by = match_sites(candidates[own], truth[among])
            kind[own[hit_by]], d[own[hit_by]] = said, truth["d"][among[hits]]
            left[among[hits]] = False
    ratio = candidates["score"] / d
    kind[(ratio < LEAST_SHARE) | (ratio > 1 / LEAST_SHARE)] = NEITHER
    return kind, d


PASS_2 = ("repeats", "few")


def few_twitches(rows: Table, kind: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return candidates of a night as if its sites had few twitches: no unit of them repeats often.

    Of each site `FEW` twitches are left, evenly over the night, none of them a side lobe, with what is no
    twitch; the others are taken away with their later swings and with what is neither. Nothing is left of a
    night without twitches.
    """
    kept = []
    for site in dict.fromkeys(rows["site"].tolist()):
        own = np.flatnonzero(rows["site"] == site)
        twitches = own[(kind[own] == TWITCH) & are_bursts(rows[own])]
        some = twitches[np.unique(np.linspace(0, len(twitches) - 1, min(FEW, len(twitches))).astype(int))]
        gone_s = rows["peak_s"][np.setdiff1d(twitches, some)]
        others = own[kind[own] == NOT]
        edges = np.concatenate([[-np.inf], gone_s, [np.inf]])
        after = np.searchsorted(edges, rows["peak_s"][others])
        since_s, until_s = rows["peak_s"][others] - edges[after - 1], edges[after] - rows["peak_s"][others]
        kept += [some, others[np.minimum(since_s, until_s) > BESIDE_S]]
    at = np.sort(np.concatenate([np.zeros(0, np.int64), *kept]))
    return at if (kind == TWITCH).any() else at[:0]


def _as_arrays(night: Labelled) -> dict[str, Any]:
    plain = {name: value for name, value in vars(night).items() if name not in PASS_2}
    return plain | {
        f"{part}.{name}": value for part in PASS_2 for name, value in getattr(night, part)._asdict().items()
    }


def _from_arrays(arrays: Mapping[str, Any]) -> Labelled:
    own: dict[str, Any] = {name: arrays[name] for name in arrays if "." not in name}
    own["valid_h"] = float(own["valid_h"])
    for part in PASS_2:
        own[part] = Repeats(*(arrays[f"{part}.{name}"] for name in Repeats._fields))
    return Labelled(**own)


def _labelled(
    one: Subject, names: tuple[str, ...], scratch: Path, cache: Path | None, program: str
) -> Labelled:
    """Make one subject's night and label its candidates, or take them from the cache."""
    kept = None
    if cache is not None:
        key = hashlib.sha256(repr((program, one.spec, names)).encode()).hexdigest()[:24]
        kept = cache / f"{key}.npz"
        with contextlib.suppress(OSError, ValueError, KeyError), np.load(kept, allow_pickle=False) as arrays:
            return _from_arrays(arrays)
    # Sums of several threads differ in their last digits, and the processes of a pool have one thread each.
    with threadpool_limits(1), tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / "subject.night"
        twitches = simulate_night(path, spec=one.spec).twitches
        findings = find_candidates(open_night(path), SECOND_SCORE)
    truth = merge_truth(twitches[list(TRUTH_DTYPE.names or ())].astype(TRUTH_DTYPE))
    kind, d = label(findings.rows, truth)
    valid = in_valid_time(findings.rows, findings.coverage)
    kind[~valid], d[~valid] = NEITHER, np.nan
    few_at = few_twitches(findings.rows, kind)
    found = Labelled(
        np.stack([findings.rows[name].astype(np.float32) for name in names], axis=1),
        kind,
        d,
        findings.rows["score"].astype(np.float32),
        truth["d"][in_valid_time(truth, findings.coverage)].astype(np.float32),
        valid_s(findings.coverage) / 3600,
        repeats_of(findings, SECOND_SCORE),
        few_at,
        repeats_of(findings.at(few_at), SECOND_SCORE),
    )
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as part:
            np.savez(part, **_as_arrays(found))
        Path(part.name).replace(kept)
    return found


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
    """Return a pool that yields results in order, holds few of them, and leaves no process behind."""
    pool = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)

    def start(work: Iterable[Any]) -> Iterator[Any]:
        with deaf_children():
            results: Iterator[Any] = pool(work)
        return results

    try:
        yield start
    except BaseException:
        if jobs != 1:
            get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise


def _fingerprint() -> str:
    """Return a hash of the sources that candidates come from: another program, another cache."""
    package = Path(firmware_host.__file__).parent
    rooms = ("analysis", "detection", "recording", "simulation")
    sources = [path for room in rooms for path in sorted((package / room).rglob("*.py"))]
    content = hashlib.sha256()
    for path in (
        *sources,
        *(package / "learning" / f"{name}.py" for name in ("dataset", "match", "repeats", "score")),
    ):
        content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()
