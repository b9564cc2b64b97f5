"""Taking nights along: tables, signals and reports, made by a process of their own and fetched when done.

Ask `GET /export` until the parcel's `state` is no longer `running`, then fetch `GET /export/file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from firmware_host import formats
from firmware_host.analysis import runs_of
from firmware_host.errors import BadValueError, MissingExtraError
from firmware_host.review.endpoints import Context, Names, Stored, endpoint
from firmware_host.review.parcels import REPORTS, Parcels, State
from firmware_host.review.texts import t


class ExportOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be made of which nights."""

    form: Annotated[str, msgspec.Meta(max_length=40)]
    """One of `forms`."""
    nights: Names
    share: bool = False
    """Shift dates secretly; no serials, addresses, notes or free text. Not for reports."""
    mixed: bool = False
    """Also nights that different detectors judged."""


class ExportCancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say."""


class ParcelOut(msgspec.Struct, frozen=True):
    """What is being made, or was made last."""

    form: str
    nights: tuple[str, ...]
    share: bool
    state: State
    progress: float
    """0 to 1."""
    sentence: str
    """What went wrong, or what is to be known besides."""
    file: str | None
    """Name of the finished file."""
    size_bytes: int | None


class ExportState(msgspec.Struct, frozen=True):
    """What can be made, and what is there."""

    forms: tuple[str, ...]
    lacking: dict[str, str]
    """What has to be installed before a form can be made: a sentence for each form that cannot be now."""
    parcel: ParcelOut | None


@endpoint("GET", "/export", summary="What can be taken along, and what is being made")
def export(context: Context) -> ExportState:
    """Tell."""
    parcel = context.shared(Parcels).newest()
    if parcel is None:
        return ExportState(_forms(), _lacking(), None)
    there = parcel.file is not None and parcel.file.is_file()
    file = parcel.file if there else None
    return ExportState(
        _forms(),
        _lacking(),
        ParcelOut(
            parcel.form, parcel.nights, parcel.share, parcel.state, parcel.progress, parcel.sentence,
            file.name if file else None, file.stat().st_size if file else None,
        ),
    )  # fmt: skip


@endpoint("POST", "/export", summary="Make an export or a report of nights, in a process of its own")
def make(context: Context, body: ExportOrder) -> ExportState:
    """Begin. A report shows counts, so it waits as the folder's setting says; tables and signals do not."""
    if body.form not in _forms():
        raise BadValueError(t("export.no_form", forms=", ".join(_forms())))
    if body.share and body.form in REPORTS:
        raise BadValueError(t("export.report_not_shared"))
    _check_libraries(body.form)
    nights = [context.night(name) for name in dict.fromkeys(body.nights)]
    for night in nights if body.form in REPORTS else ():
        context.check_shown(night, asked=True)
    if not body.mixed:
        _check_judges(nights)
    context.shared(Parcels).start(body.form, nights, share=body.share, mixed=body.mixed)
    return export(context)


@endpoint("POST", "/export/cancel", summary="End what is being made")
def cancel(context: Context, body: ExportCancel) -> ExportState:  # noqa: ARG001 - a POST says something
    """Give up."""
    context.shared(Parcels).cancel()
    return export(context)


@endpoint("GET", "/export/file", summary="The finished file")
def file(context: Context) -> Stored:
    """Hand it out."""
    return Stored(context.shared(Parcels).file())


def _check_judges(nights: Sequence[Path]) -> None:
    """Raise `BadValueError` where different detectors judged the nights."""
    from firmware_host.analysis.comparing import judge_of

    newest = [(night.name, runs[-1]) for night in nights if (runs := runs_of(night))]
    for (one, of_one), (other, of_other) in pairwise(newest):
        if judge_of(of_one) != judge_of(of_other):
            raise BadValueError(t("export.judges_differ", one=one, other=other))


def _check_libraries(form: str) -> None:
    """Raise `MissingExtraError` where a form needs what is not installed."""
    from firmware_host.formats.exporting import writer_of
    from firmware_host.formats.leaving import Choices
    from firmware_host.review.report.pdf import check_libraries

    if form not in REPORTS:
        writer_of(form, Choices())
    elif REPORTS[form] == ".pdf":
        check_libraries()


def _lacking() -> dict[str, str]:
    found = {}
    for form in _forms():
        try:
            _check_libraries(form)
        except MissingExtraError as error:
            found[form] = str(error)
    return found


def _forms() -> tuple[str, ...]:
    return (*REPORTS, *formats.names("export"))
