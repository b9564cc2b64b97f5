"""`twitchmap setup`: which sensor sits where, told by tapping them."""

from __future__ import annotations

import json
import sys
from datetime import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._sensors import (
    adapter_option,
    hours_option,
    rate_option,
    sensor_option,
    until_option,
    virtual_option,
    world_of,
)
from firmware_host.cli._terminal import aligned, json_option, note, show
from firmware_host.cli._values import once, pair

if TYPE_CHECKING:
    from firmware_host.capture.placing import Say, Tell


@click.command()
@click.argument("sites", nargs=-1, metavar="[SITE]...")
@sensor_option
@virtual_option
@click.option(
    "--placement", type=pair, multiple=True, metavar="SITE=TEXT", help="How a sensor sits there; repeat it."
)
@click.option("--participant", metavar="NAME", help="Pseudonym of the person.")
@click.option("--timezone", metavar="TZ", help="Time zone of the nights; else the computer's.")
@until_option
@hours_option
@adapter_option
@rate_option
@click.option("--steps", is_flag=True, help="Tell on stderr in lines of JSON, for programs.")
@dir_option
@json_option
def command(
    sites: tuple[str, ...],
    sensors: tuple[tuple[str, str], ...],
    virtual: tuple[tuple[str, str], ...],
    placement: tuple[tuple[str, str], ...],
    participant: str | None,
    timezone: str | None,
    until: time | None,
    hours: float | None,
    adapters: tuple[str, ...],
    rate: float | None,
    steps: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Set the evening up: for each SITE, tap its sensor three times when asked; `record` then repeats it.

    Without any SITE they are asked for. A sensor that is named with --sensor needs no tap.
    """
    from firmware_host.capture.asked import wanted_sensors
    from firmware_host.capture.placing import PlacingOrder, place_sensors
    from firmware_host.capture.setups import placed, renew_setup, setup_to_renew
    from firmware_host.recording.night import zone

    if virtual and (sites or sensors or adapters):
        raise click.UsageError("--virtual plays made-up sensors: leave out SITE, --sensor and --adapter.")
    if not (sites or sensors or virtual):
        if not sys.stdin.isatty():
            raise click.UsageError("Name the places: `twitchmap setup left_calf right_calf`.")
        sites = tuple(click.prompt("Places, as left_calf right_calf", err=True).split())
    order = PlacingOrder(
        sites=sites or tuple(site for site, _ in virtual),
        named=wanted_sensors(sensors),
        adapters=adapters,
        fs_hz=rate,
        virtual=world_of(virtual) if virtual else None,
    )
    setup_to_renew(directory, virtual=bool(virtual))  # refused before the taps, not behind them
    if timezone:
        zone(timezone)
    found = place_sensors(order, *(_in_lines() if steps else (note,)))
    texts = once(placement)
    if not texts and sys.stdin.isatty():
        texts = {one.site: click.prompt(f"How it sits at {one.site}", default="", err=True) for one in found}
    setup = renew_setup(
        directory,
        placed(found, texts),
        participant=participant,
        time_zone=timezone,
        until=None if until is None else f"{until:%H:%M}",
        hours=hours,
        virtual=bool(virtual),
    )
    rows = [(one.site, one.model, one.name, one.serial or "-", one.placement or "-") for one in setup.sensors]
    table = aligned(("site", "model", "name", "serial", "placement"), rows)
    show(setup, f"{table}\n`twitchmap check` looks whether all is ready.", as_json=as_json)


def _in_lines() -> tuple[Say, Tell]:
    """Return what tells in lines of JSON: {"say": sentence}, {"tap": site}, {"placed": site}."""

    def write(what: str, value: str) -> None:
        click.echo(json.dumps({what: value}), err=True)

    return partial(write, "say"), write
