"""A night judged again by another model, from the candidates that an earlier run has stored.

Finding candidates takes all the time of a detection and does not depend on who judges them; to count a night
anew takes a second or two.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

import firmware_host
from firmware_host.analysis.findings import events_of, row_columns
from firmware_host.analysis.models import DEFAULT_POINT, current_model, load_model
from firmware_host.analysis.runs import Run, load_run, reviewed
from firmware_host.errors import BadValueError
from firmware_host.recording import Night, ResultsStore, open_night
from firmware_host.recording.labels import read_labels
from firmware_host.twitches import COVERAGE_COLUMNS, Flag


def recount_night(
    night: Night | Path, *, model: str | None = None, operating_point: str = DEFAULT_POINT
) -> Run:
    """Judge the candidates of a night's newest run again, and store that as a new run.

    Parameters
    ----------
    night
        An open night or its folder.
    model
        Name of a model bundle; None: the one in use.

    Returns
    -------
    The stored run, with what a reviewer said of the night.

    Raises
    ------
    NotFoundError
        If the night has no run, or the model is not there.
    BadValueError
        If the run was made by a detector that finds other candidates, or keeps fewer than the model needs.
    """
    night = open_night(night) if isinstance(night, Path) else night
    model = model or current_model(night.path.parent)
    bundle, model_sha256 = load_model(model, night.path.parent)
    bundle.threshold(operating_point)
    was = load_run(night, with_labels=False)
    store = ResultsStore(night.path)
    settings = json.loads(was.info.settings)
    kept_from = settings.get("candidate_score", settings.get("operating_points", {}).get("sensitive"))
    if settings.get("frame") != bundle.frame or kept_from is None or kept_from > bundle.lowest_score:
        raise BadValueError(
            f"The run {was.info.run_id} of {night.path.name} holds other candidates than {model!r} judges: "
            "run `twitchmap detect` without --stored."
        )
    rows = store.read_events(was.info.run_id, row_columns())
    rows["site"] = was.events["site"]  # as they are called now
    rows = rows[rows["score"] >= bundle.lowest_score]
    probability = bundle.probability(rows)
    rows["probability"] = probability
    reaches = bundle.counted(rows, operating_point, probability)
    rows["counted"] = reaches & ((rows["flags"] & np.uint32(Flag.REJECTED)) == 0)
    rows["flags"] &= ~np.uint32(Flag.BELOW_FLOOR)
    rows["flags"] |= np.where(reaches, np.uint32(0), np.uint32(Flag.BELOW_FLOOR))
    rows["event_id"] = np.arange(len(rows))
    events = events_of(rows)
    sites = (
        msgspec.structs.replace(one, twitches=int(events["counted"][events["site"] == one.site].sum()))
        for one in was.summary.sites
    )
    summary = msgspec.structs.replace(was.summary, sites=tuple(sites))
    info = msgspec.structs.replace(
        was.info,
        run_id=secrets.token_hex(4),
        created_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        detector=f"twitchmap {firmware_host.__version__}",
        model=f"{model} {bundle.version}",
        model_sha256=model_sha256,
        operating_point=operating_point,
        settings=json.dumps(
            bundle.settings() | {"as_live": settings.get("as_live", False), "recounted": was.info.run_id}
        ),
        summary=msgspec.json.encode(summary).decode(),
    )
    store.write_run(info, row_columns(), rows, COVERAGE_COLUMNS, was.coverage)
    return reviewed(night, Run(info, events, was.coverage, summary), read_labels(night.path))
