"""`twitchmap check`: whether everything is ready for the night."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._sensors import (
    adapter_option,
    config_option,
    hours_option,
    played,
    rate_option,
    sensor_option,
    setup_of,
    until_option,
    virtual_option,
)
from firmware_host.cli._terminal import json_option, note, show


@click.command()
@sensor_option
@config_option
@virtual_option
@adapter_option
@rate_option
@until_option
@hours_option
@click.option(
    "--seconds",
    type=click.FloatRange(3, 600),
    default=20.0,
    show_default=True,
    help="Samples of each sensor to measure.",
)
@dir_option
@json_option
def command(
    sensors: tuple[tuple[str, str], ...],
    config: Path | None,
    virtual: tuple[tuple[str, str], ...],
    adapters: tuple[str, ...],
    rate: float | None,
    until: str | None,
    hours: float | None,
    seconds: float,
    directory: Path,
    as_json: bool,
) -> None:
    """Check all that a night needs: sensors, radio, batteries, disk, sleep. Lay the sensors down still.

    Without options the sensors of the last set-up are checked. Exit code 0: all can start.
    """
    from firmware_host.capture.preflight import CheckOrder, check
    from firmware_host.capture.report import report_text
    from firmware_host.capture.setups import planned_end

    setup = setup_of(directory, config, sensors, virtual, rate)
    order = CheckOrder(
        directory=directory,
        setup=setup,
        adapters=adapters,
        plan=planned_end(setup, until, hours),
        seconds=seconds,
        virtual=played(setup),
    )
    report = check(order, note)
    show(report, lambda: report_text(report, order.time_zone), as_json=as_json)
    if not report.ready:
        sys.exit(1)
