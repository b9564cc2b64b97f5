"""Training of the classifier: trees, calibration, operating points, and scores on subjects kept apart.

Everything follows from the seed: which virtual subjects there are, what they are used for, and the trees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, roc_auc_score
from threadpoolctl import threadpool_limits

import firmware_host
from firmware_host import body
from firmware_host.detection.classifier import FRAME_VERSION, model_from_dict
from firmware_host.detection.context import CANDIDATE_SCORE
from firmware_host.errors import BadValueError
from firmware_host.learning.bundle import Trained, Training
from firmware_host.learning.calibrate import (
    LARGE_D,
    MOST_ALARMS_OF_TWO_PER_H,
    MOST_ALARMS_PER_H,
    Judged,
    calibration,
    operating_points,
    together,
)
from firmware_host.learning.dataset import (
    NEITHER,
    NOT,
    SECOND_SCORE,
    TWITCH,
    Labelled,
    Subject,
    collect,
)
from firmware_host.learning.export_trees import export_trees
from firmware_host.learning.grow import (
    COLLECTED,
    FOLDS,
    LEARNT,
    LOBES_LEARNT,
    RISING_AGAIN,
    SECOND_LEARNT,
    grow,
)
from firmware_host.simulation.cohort import TRAIN_NUMBERS, subject
from firmware_host.simulation.families import TRAINED
from firmware_host.simulation.parameters import SIMULATOR_VERSION, Parameters

Floats = npt.NDArray[np.float64]

SUBJECTS = 700
HOURS = 1.0
FEWEST = 35
"""With fewer subjects some part would lack a situation."""
MOST = 10_000

MADE = "Trained on {} virtual subjects, seed {}, all simulated; see training.json."

MIX = ("body", "silent", "trunk", "noise", "body", "silent trunk", "empty")
"""What subject i stands for, over and over: a body as drawn; the same without a twitch; a sensor on the
trunk, alone or with another, where each heartbeat is as large as a twitch, with and without twitches; no
body, so that weak twitches of a quiet sensor are learnt; nothing but white noise, long, of one chip."""
PARTS = ("fit", "fit", "fit", "held", "fit")
"""What subject i is used for; as 5 and 7 have no common divisor, either part gets every situation."""
TRUNK_SITES = tuple(name for name, place in body.SITES.items() if place.region == "thoracic")
NOISE_BODY = ("breath",)
"""Breath lies below the band; without it a sensor that shows no twitch would not be taken for worn."""
EMPTY_TIMES = 4.0
"""White noise is cheap and its false alarms are rare: nights so many times longer."""

RATE_SCALES = (0.3, 1.0, 3.0)
"""Times the rates of the subject's profile: nights with next to none, few and very many twitches."""
MEDIANS_MG = (5.0, 10.0, 20.0, 40.0, 80.0)
"""Median amplitude of a subject's motor units: nobody has measured it, so the model must not learn one."""
TRUNK_AWAKE_SHARE = (0.05, 0.7)
"""Trunks are learnt with much time awake, when they are restless between the beats."""
FIRST_SHARE = 0.25
"""Weight of pass 1 in what pass 2 says. Its own trees alone find most in simulation, but there every twitch
has a unit: on real chests, developed on, they count more at rest and find no more of the added twitches."""
ALONE_SHARE = 0.4
"""Share of nights with one sensor only, which has no other site to compare with."""


def train(
    *,
    name: str,
    seed: int = 1,
    subjects: int = SUBJECTS,
    hours: float = HOURS,
    jobs: int = 2,
    cache: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trained:
    """Make a model from virtual subjects.

    Parameters
    ----------
    name
        Of the model.
    seed
        Another number, other subjects and other trees.
    subjects, hours
        How many virtual subjects, and how long the night of each is.
    jobs
        Processes at once.
    cache
        See `dataset.collect`.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    BadValueError
        If there are too few subjects.
    """
    if not FEWEST <= subjects <= MOST:
        raise BadValueError(f"A model needs {FEWEST} to {MOST} virtual subjects, not {subjects}.")
    drawn = draw_subjects(seed, subjects, hours)
    tell = None if progress is None else (lambda share: progress(0.9 * share))
    nights = collect(drawn, COLLECTED, jobs=jobs, cache=cache, progress=tell)
    with threadpool_limits(jobs):
        return make_model(name, seed, drawn, nights)


def draw_subjects(seed: int, count: int, hours: float = HOURS) -> list[Subject]:
    """Draw the virtual subjects of a training: of trained families only, each with its situation and part."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(len(TRAIN_NUMBERS), count, replace=False) + TRAIN_NUMBERS.start
    drawn: list[Subject] = []
    taught = 0
    for i, number in enumerate(numbers.tolist()):
        situation, part = MIX[i % len(MIX)], PARTS[i % len(PARTS)]
        fold = taught % FOLDS if part == "fit" else None
        taught += part == "fit"
        units = replace(Parameters(), amplitude_median_mg=float(rng.choice(MEDIANS_MG)))
        spec = replace(subject(number, TRAINED), hours=hours, parameters=units)
        spec = replace(spec, rate_scale=float(rng.choice(RATE_SCALES)))
        if fold is not None:  # trees that leave a fold out know none of its shapes
            spec = replace(spec, shapes=TRAINED.shapes[fold::FOLDS])
        if rng.random() < ALONE_SHARE:
            spec = replace(spec, sites=spec.sites[:1], chips=(spec.chips or ())[:1] or None)
        if "trunk" in situation:
            trunk = str(rng.choice(TRUNK_SITES))
            sites = (trunk, *(site for site in spec.sites[1:2] if site != trunk))
            spec = replace(spec, sites=sites, chips=(spec.chips or ())[: len(sites)] or None)
            spec = replace(spec, parameters=replace(units, awake_share=TRUNK_AWAKE_SHARE))
        if situation in {"noise", "empty"}:
            spec = replace(spec, confounders=NOISE_BODY)
        if situation in {"silent", "silent trunk", "empty"}:
            spec = replace(spec, rate_scale=0.0)
        if situation == "empty":
            chip = TRAINED.chips[i // (len(MIX) * len(PARTS)) % len(TRAINED.chips)]
            spec = replace(spec, hours=EMPTY_TIMES * hours, chips=(chip,) * len(spec.sites))
        drawn.append(Subject(number, situation, part, spec, fold))
    return drawn


def make_model(name: str, seed: int, subjects: Sequence[Subject], nights: Sequence[Labelled]) -> Trained:
    """Fit, calibrate, choose operating points and score, pass after pass.

    Calibration and operating points look at what trees say of nights that they have not seen, as does pass 2.
    Both passes are made of candidates that are no side lobes; these get trees of their own after all else.

    Parameters
    ----------
    name, seed, subjects
        As for `train`.
    nights
        Of the subjects, with the columns `COLLECTED`.
    """
    folds = [one.fold for one in subjects]
    bursts = [bursts_of(night, LEARNT) for night in nights]
    trees, log_odds = grow(bursts, folds, seed)
    first = _stage(trees, LEARNT, CANDIDATE_SCORE, subjects, bursts, log_odds, MOST_ALARMS_PER_H)
    # Each night is looked at twice: as it is, and as if its sites twitched a few times only.
    again = [_with_units(night, said) for night, said in zip(nights, log_odds, strict=True)]
    twice = [i for i, night in enumerate(nights) if len(night.few_at)]
    again += [_with_units(nights[i].with_few, log_odds[i][nights[i].few_at]) for i in twice]
    believed = [first.honest(said) for said in (*log_odds, *(log_odds[i][nights[i].few_at] for i in twice))]
    subjects = [*subjects, *(subjects[i] for i in twice)]
    folds += [folds[i] for i in twice]
    bursts = [bursts_of(night, SECOND_LEARNT) for night in again]
    trees, log_odds = grow(bursts, folds, seed, SECOND_LEARNT, RISING_AGAIN, lowest_score=SECOND_SCORE)
    log_odds = [
        (1 - FIRST_SHARE) * said + FIRST_SHARE * before
        for said, before in zip(log_odds, believed, strict=True)
    ]
    second = _stage(trees, SECOND_LEARNT, SECOND_SCORE, subjects, bursts, log_odds, MOST_ALARMS_OF_TWO_PER_H)
    lobes = [_taught_by(night, night.repeats.side_lobe > 0) for night in again]
    trees, log_odds = grow(lobes, folds, seed, LOBES_LEARNT, RISING_AGAIN, lowest_score=SECOND_SCORE)
    beside, second = _side_lobes(trees, second, lobes, log_odds)
    model = first.bundle | {
        "name": name,
        "version": "1",
        "frame": FRAME_VERSION,
        "kind": "boosted",
        "made": MADE.format(len(nights), seed),
        "second": second.bundle | {"first_share": FIRST_SHARE, "lobes": beside},
    }
    model_from_dict(model)
    return Trained(model, _training(seed, first, second))


def _with_units(night: Labelled, log_odds: Floats) -> Labelled:
    """Return a night with the features of pass 2, given what pass 1 says of its candidates."""
    first, of_lobes = night.features[:, : len(LEARNT)], night.features[:, len(LEARNT) :]
    features = np.concatenate([first, night.repeats.features(log_odds), of_lobes], axis=1)
    return replace(night, features=features)


def bursts_of(night: Labelled, learnt: Sequence[str]) -> Labelled:
    """Return a night with its first columns, of which side lobes neither teach nor count."""
    first = replace(night, features=night.features[:, : len(learnt)])
    return _taught_by(first, night.repeats.side_lobe == 0)


def _taught_by(night: Labelled, own: npt.NDArray[np.bool_]) -> Labelled:
    label, d = np.where(own, night.label, np.int8(NEITHER)), np.where(own, night.d, np.float32(np.nan))
    return replace(night, label=label, d=d)


class Stage(NamedTuple):
    """One pass as it was made: its part of the bundle, and what it says of all subjects."""

    bundle: dict[str, Any]
    cohort: Cohort
    points: Mapping[str, float]

    def honest(self, log_odds: Floats) -> Floats:
        """Return the calibrated log-odds of what its trees say."""
        of = self.bundle["calibration"]
        return np.asarray(np.interp(log_odds, of["log_odds"], of["calibrated"]), np.float64)


def _stage(
    trees: HistGradientBoostingClassifier,
    learnt: Sequence[str],
    lowest_score: float,
    subjects: Sequence[Subject],
    nights: Sequence[Labelled],
    log_odds: Sequence[Floats],
    most_per_h: float,
) -> Stage:
    """Calibrate trees and choose operating points by what trees say of subjects that they have not seen."""
    looked_at = [night.score >= lowest_score for night in nights]
    nights = [night.at(own) for night, own in zip(nights, looked_at, strict=True)]
    said = [each[own] for each, own in zip(log_odds, looked_at, strict=True)]
    at, value = _calibration(subjects, nights, said)
    cohort = Cohort(subjects, nights, [1 / (1 + np.exp(-np.interp(each, at, value))) for each in said])
    points = operating_points(
        cohort.each_judged("fit", "body"),
        cohort.judged("fit", "silent"),
        {chip: cohort.judged("fit", "empty", chip) for chip in TRAINED.chips},
        most_per_h,
    )
    bundle = export_trees(
        trees,
        learnt,
        candidate_score=lowest_score,
        operating_points=points,
        calibration=(at.tolist(), value.tolist()),
    )
    return Stage(bundle, cohort, points)


def _calibration(
    subjects: Sequence[Subject], nights: Sequence[Labelled], log_odds: Sequence[Floats]
) -> tuple[Floats, Floats]:
    """Make log-odds honest by those of the nights that teach, which trees gave that had not seen them."""
    apart = [i for i, one in enumerate(subjects) if one.part == "fit"]
    label = np.concatenate([nights[i].label for i in apart])
    known = label != NEITHER
    return calibration(np.concatenate([log_odds[i] for i in apart])[known], label[known] == TWITCH)


def _side_lobes(
    trees: HistGradientBoostingClassifier,
    second: Stage,
    nights: Sequence[Labelled],
    log_odds: Sequence[Floats],
) -> tuple[dict[str, Any], Stage]:
    """Return what judges side lobes as the bundle says it, and pass 2 with them; its points stay."""
    of = second.cohort
    at, value = _calibration(of.subjects, nights, log_odds)
    whole, probability = [], []
    for bursts, lobes, before, said in zip(of.nights, nights, of.probability, log_odds, strict=True):
        own = lobes.repeats.side_lobe > 0
        label, d = np.where(own, lobes.label, bursts.label), np.where(own, lobes.d, bursts.d)
        whole.append(replace(bursts, label=label, d=d))
        probability.append(np.where(own, 1 / (1 + np.exp(-np.interp(said, at, value))), before))
    bundle = export_trees(trees, LOBES_LEARNT, operating_points={}, calibration=(at.tolist(), value.tolist()))
    told = {name: bundle[name] for name in ("features", "baseline", "trees", "calibration")}
    return told, second._replace(cohort=Cohort(of.subjects, whole, probability))


@dataclass(frozen=True)
class Cohort:
    """Virtual subjects, what their nights gave, and the probability of each candidate."""

    subjects: Sequence[Subject]
    nights: Sequence[Labelled]
    probability: Sequence[Floats]

    def judged(self, part: str, situation: str, chip: str | None = None) -> Judged:
        """Put together the judged candidates of a part's nights of one situation and, if given, one chip."""
        return together(self.each_judged(part, situation, chip))

    def each_judged(self, part: str, situation: str, chip: str | None = None) -> list[Judged]:
        """Return the same of each night by itself."""
        return [
            Judged(
                probability,
                night.d >= LARGE_D,
                night.label == NOT,
                int((night.truths_d >= LARGE_D).sum()),
                night.valid_h,
            )
            for one, night, probability in zip(self.subjects, self.nights, self.probability, strict=True)
            if (one.part, one.situation) == (part, situation) and chip in {None, *(one.spec.chips or ())}
        ]

    def candidates(self, part: str) -> int:
        """Count the candidates of a part's subjects."""
        nights = zip(self.subjects, self.nights, strict=True)
        return sum(len(night.label) for one, night in nights if one.part == part)


def _training(seed: int, first: Stage, second: Stage) -> Training:
    """Say how a model was made, and score it on the subjects that were held back."""
    cohort = second.cohort
    scores = _scored(second) | {f"pass 1: {name}": value for name, value in _scored(first).items()}
    balanced = np.array([second.points["balanced"]])
    groups = {
        f"{part}, {situation}": cohort.judged(part, situation)
        for part in sorted({*PARTS})
        for situation in sorted({*MIX})
    }
    return Training(
        simulated=True,
        twitchmap=str(firmware_host.__version__),
        simulator=str(SIMULATOR_VERSION),
        seed=seed,
        subjects=len(first.cohort.subjects),
        hours=float(min(one.spec.hours for one in cohort.subjects)),
        families=asdict(TRAINED),
        candidates={part: first.cohort.candidates(part) for part in sorted({*PARTS})},
        scores={name: round(float(value), 4) for name, value in scores.items()},
        false_alarms_per_h={
            name: round(float(group.alarms_per_h(balanced)[0]), 3) for name, group in groups.items()
        },
        valid_h={name: round(group.valid_h, 2) for name, group in groups.items()},
    )


def _scored(stage: Stage) -> dict[str, float]:
    cohort = stage.cohort
    held = [i for i, one in enumerate(cohort.subjects) if one.part == "held"]
    label = np.concatenate([cohort.nights[i].label for i in held])
    probability = np.concatenate([cohort.probability[i] for i in held])
    known = label != NEITHER
    return _scores(cohort.judged("held", "body"), stage.points) | _honesty(probability[known], label[known])


def _scores(held: Judged, points: Mapping[str, float]) -> dict[str, float]:
    """Return recall, precision and F1 for d >= 10 on nights with twitches, at each operating point."""
    scores = {}
    for name, least in points.items():
        at = np.array([least])
        found, alarms = held.found(at)[0], held.alarms_per_h(at)[0] * held.valid_h
        scores[f"{name}: recall at d >= 10"] = found / max(held.truths, 1)
        scores[f"{name}: precision at d >= 10"] = found / max(found + alarms, 1)
        scores[f"{name}: F1 at d >= 10"] = held.f1(at)[0]
    return scores


def _honesty(probability: Floats, label: npt.NDArray[np.int8]) -> dict[str, float]:
    """Return how well probabilities rank and how true they are, over all situations."""
    is_twitch = label == TWITCH
    tenth = np.minimum((probability * 10).astype(int), 9)
    told, true = (np.bincount(tenth, weights=each, minlength=10) for each in (probability, is_twitch))
    return {
        "area under the ROC curve": float(roc_auc_score(is_twitch, probability)),
        "Brier score": float(brier_score_loss(is_twitch, probability)),
        "expected calibration error": float(np.abs(told - true).sum() / len(probability)),
    }
