"""Learning from corrections: a model of one's own, what is known of it, put to use and taken back.

Training and counting anew are processes of their own; ask `GET /learning` until `running` is false.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from firmware_host.analysis import (
    DEFAULT_MODEL,
    current_model,
    own_models,
    take_model_back,
    use_model,
)
from firmware_host.analysis.own_model import Made, judged_by_others, read_made
from firmware_host.errors import BadValueError, NotFoundError, TwitchmapError
from firmware_host.recording import list_nights
from firmware_host.recording.labels import LABELS_FILE, read_labels
from firmware_host.review.endpoints import Context, Names, endpoint
from firmware_host.review.own_model import OwnModel, Task
from firmware_host.review.texts import t


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which nights to learn from; those of the folder that have labels which hold if none is named."""

    nights: Annotated[list[str], msgspec.Meta(max_length=2000)] = msgspec.field(default_factory=list)


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model judges from now on."""

    model: Annotated[str, msgspec.Meta(max_length=80)]


class TakeBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say."""


class Recount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which nights the model in use is to judge again."""

    nights: Names


class TaskOut(msgspec.Struct, frozen=True):
    """What runs, or ran last; `made` is the name of the model that a training made."""

    what: str
    """train or recount"""
    running: bool
    error: str | None
    made: str | None


class JudgedNights(msgspec.Struct, frozen=True):
    """Nights with labels that hold, and nights that another model than the one in use has judged."""

    with_labels: tuple[str, ...]
    judged_by_another: tuple[str, ...]


class LearningState(msgspec.Struct, frozen=True):
    """All that is known of learning from corrections in this folder."""

    in_use: str
    shipped: str
    models: tuple[Made, ...]
    """Made from labels, the newest first."""
    task: TaskOut | None
    nights: JudgedNights


@endpoint("GET", "/learning", summary="Models of one's own, the one in use, and what is being computed")
def learning(context: Context) -> LearningState:
    """Tell what there is."""
    return _state(context)


@endpoint("POST", "/learning/train", summary="Learn from the labels of some nights, in a process of its own")
def train(context: Context, body: Training) -> LearningState:
    """Begin."""
    nights = [context.night(name) for name in body.nights] or [
        path for path in list_nights(context.folder) if _has_labels(path)
    ]
    if not nights:
        raise NotFoundError(t("learning.nothing"))
    context.shared(OwnModel).train(nights)
    return _state(context)


@endpoint("POST", "/learning/use", summary="Let a model judge from now on")
def use(context: Context, body: Choice) -> LearningState:
    """Choose."""
    if body.model not in {DEFAULT_MODEL, *own_models(context.folder)}:
        raise BadValueError(t("learning.no_model"))
    use_model(context.folder, body.model)
    return _state(context)


@endpoint("POST", "/learning/take-back", summary="Let the model judge again that did before")
def take_back(context: Context, body: TakeBack) -> LearningState:  # noqa: ARG001 - a POST says something
    """Go back by one."""
    take_model_back(context.folder)
    return _state(context)


@endpoint(
    "POST", "/learning/recount", summary="Count nights anew with the model in use, in a process of its own"
)
def recount(context: Context, body: Recount) -> LearningState:
    """Begin."""
    nights = [context.night(name) for name in body.nights]
    context.shared(OwnModel).recount(nights, current_model(context.folder))
    return _state(context)


def _state(context: Context) -> LearningState:
    in_use = current_model(context.folder)
    models = [read_made(context.folder, name) for name in own_models(context.folder)]
    with_labels = [path.name for path in list_nights(context.folder) if _has_labels(path)]
    others = judged_by_others(context.folder, in_use)
    return LearningState(
        in_use,
        DEFAULT_MODEL,
        tuple(sorted((model for model in models if model), key=lambda one: one.made_utc, reverse=True)),
        _task(context.shared(OwnModel).task()),
        JudgedNights(tuple(with_labels), tuple(others)),
    )


def _has_labels(night: Path) -> bool:
    """Tell whether any label of a night holds: one that was taken back teaches nothing."""
    if not (night / LABELS_FILE).exists():
        return False
    try:
        return bool(read_labels(night).active)
    except TwitchmapError:
        return True  # training says what is wrong with them


def _task(task: Task | None) -> TaskOut | None:
    if task is None:
        return None
    made = task.result.get("model") if isinstance(task.result, dict) else None
    return TaskOut(task.what, task.running, task.error, made)
