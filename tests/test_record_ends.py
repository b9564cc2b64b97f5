"""Recordings that begin, go on and end in ways that nobody planned."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from scripted_sensors import START_NS, Clocks, S, Stage

from firmware_host.capture.choice import go_on, unfinished_night
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.watch import Moment
from firmware_host.recording import gaps, open_night


class KilledError(Exception):
    """Stands for the end of the program."""


@pytest.mark.parametrize("plan", [PlannedEnd(hours=1), PlannedEnd(until=time(0, 30))])
def test_a_computer_that_never_knew_the_time_before_it_was_started_anew(
    tmp_path: Path, plan: PlannedEnd
) -> None:
    """What came in 1970 lies right before the session that learnt the time; the end is planned anew."""
    stage = Stage(tmp_path, plan=plan, clocks=Clocks(utc_ns=1000 * S))

    async def killed(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(60)
        raise KilledError

    with pytest.raises(KilledError):
        stage.play(killed)
    (again := Clocks()).now = Moment(7 * S, 7 * S, 1070 * S)
    night = unfinished_night(tmp_path, ["left_calf"], "recorded", 1070 * S)
    assert night is not None
    chosen = go_on(night, lambda: (again.now.mono_ns, again.now.utc_ns))
    stage = Stage(tmp_path, plan=plan, chosen=chosen, clocks=again)

    async def goes_on(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(60)
        stage.clocks.go(0, step_s=START_NS / S - 1130)
        await stage.stream(60)
        await stage.wait(3600)

    assert stage.play(goes_on) == "planned end"
    night = open_night(stage.path)
    gap = gaps(night, "left_calf")[0]
    assert (gap.end_ns - gap.start_ns) / S == pytest.approx(10, abs=0.2)
    assert night.start_ns == pytest.approx(START_NS - 130 * S, abs=0.2 * S)
    assert night.duration_s == pytest.approx(3600 + (0 if plan.hours else 130), abs=10)
