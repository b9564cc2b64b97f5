"""What somebody found who judged a night's events blind."""

from __future__ import annotations

import msgspec

from firmware_host.analysis import Run
from firmware_host.analysis.comparing import judge_of
from firmware_host.analysis.labelled import named_now
from firmware_host.analysis.spot_check import answers_of, outcome_of
from firmware_host.recording import Night


class Checked(msgspec.Struct, frozen=True):
    """A finished spot check: of the counted events that were drawn and judged, those called twitches."""

    twitches: int
    judged: int
    share: float | None
    low: float | None
    """95 % interval of the share."""
    high: float | None
    cannot_tell: int


def checked_of(night: Night, run: Run) -> Checked | None:
    """Return the newest finished spot check of what this run counts; None where there is none."""
    judge = judge_of(run.info)
    labels = named_now(run.labels, night.meta)
    for check in reversed(labels.spot_checks):
        answers = answers_of(check, labels)
        if check.detector != judge or None in answers:
            continue
        outcome = outcome_of(check, labels)
        said = [
            one
            for item, one in zip(check.items, answers, strict=True)
            if item.counted and one != "cannot_tell"
        ]
        share = outcome.precision
        return Checked(
            said.count("twitch"), len(said), share.value, share.low, share.high, outcome.cannot_tell
        )
    return None
