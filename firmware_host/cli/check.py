"""`twitchmap check`: whether everything is ready for the night."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._sensors import (
    adapter_option,
    config_option,
    hours_option,
    rate_option,
    sensor_option,
    until_option,
    virtual_option,
    world_of,
)
from firmware_host.cli._terminal import json_option, note, show
from firmware_host.cli._values import Number


@click.command()
@sensor_option
@config_option
@virtual_option
@adapter_option
@rate_option
@until_option
@hours_option
@click.option("--timezone", metavar="TZ", help="Time zone in which times are told; else the computer's.")
@click.option(
    "--seconds",
    type=Number(3, 600),
    default=20.0,
    show_default=True,
    metavar="S",
    help="Seconds of each sensor to measure.",
)
@dir_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    sensors: tuple[tuple[str, str], ...],
    config: Path | None,
    virtual: tuple[tuple[str, str], ...],
    adapters: tuple[str, ...],
    rate: float | None,
    until: time | None,
    hours: float | None,
    timezone: str | None,
    seconds: float,
    directory: Path,
    as_json: bool,
) -> None:
    """Check all that a night needs: sensors, radio, batteries, disk, sleep. Lay the sensors down still.

    Without options the sensors of the last set-up are checked. Exit code 0: all can start.
    """
    from firmware_host.capture.asked import order_for
    from firmware_host.capture.preflight import check
    from firmware_host.capture.report import report_text

    if sum(map(bool, (sensors, config, virtual))) > 1:
        raise click.UsageError("Give one of --sensor, --config and --virtual.")
    order = order_for(
        directory,
        virtual or sensors,
        config=config,
        virtual=world_of(virtual) if virtual else None,
        play=world_of,
        until=until,
        hours=hours,
        adapters=adapters,
        fs_hz=rate,
        time_zone=timezone,
    )
    report = check(order, seconds, note)
    show(report, lambda: report_text(report, order.zone), as_json=as_json)
    if not report.ready:
        ctx.exit(1)
