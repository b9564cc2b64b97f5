"""The evening before a night with virtual sensors: something may be amiss, and time passes quickly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from firmware_host.capture.asked import Order, wanted_sensors
from firmware_host.capture.preflight import check_all
from firmware_host.capture.report import Report, report_text
from firmware_host.simulation.time_lapse import TimeLapseLoop
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld

FOUR = {"left_calf": "witmotion", "right_calf": "movesense", "left_thigh": "oba", "right_chest": "polar_h10"}
TWO = {"left_calf": "oba", "right_calf": "movesense"}


def in_time_lapse(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in a loop in which time passes quickly."""
    with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
        return runner.run(work)


def virtual(sensors: dict[str, str]) -> list[str]:
    """Return the options that play sensors."""
    return [word for site, model in sensors.items() for word in ("--virtual", f"{site}={model}")]


class World(VirtualWorld):
    """A world in which something is amiss when a command comes to it."""

    def __init__(self, sensors: dict[str, str], amiss: Callable[[World], object] = lambda _: None) -> None:
        super().__init__([VirtualSensor(*one) for one in sensors.items()], hours=0.2)
        self.amiss, self.asked = amiss, 0
        self.instead: list[tuple[str, ...]] = []
        """Who is tapped the first, second ... time that a tap is asked for, instead of who should be."""

    async def __aenter__(self) -> World:
        await super().__aenter__()
        self.amiss(self)
        return self

    def tap(self, site: str) -> None:
        """Tap whoever it is this time."""
        sites = self.instead[self.asked] if self.asked < len(self.instead) else (site,)
        self.asked += 1
        for one in sites:
            super().tap(one)


def checked(
    folder: Path, sensors: dict[str, str], amiss: Callable[[World], object] = lambda _: None
) -> Report:
    """Check sensors of a world in which something may be amiss."""
    order = Order(
        directory=folder, wanted=wanted_sensors(list(sensors.items())), virtual=World(sensors, amiss),
        time_zone="UTC",
    )  # fmt: skip
    report: Report = in_time_lapse(check_all(order, 10.0))
    text = report_text(report, "UTC")
    assert all(site in text for site in sensors) or report.radio
    return report
