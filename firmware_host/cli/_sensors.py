"""How commands are told which sensors they are about: a set-up, names, or made-up ones."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._values import Number, pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware_host.simulation.virtual_radio import VirtualWorld


def _time_of_day(text: str) -> time:
    from firmware_host.capture.setups import time_of_day
    from firmware_host.errors import BadValueError

    try:
        return time_of_day(text)
    except BadValueError as error:
        raise click.BadParameter(str(error)) from None


sensor_option = click.option(
    "--sensor",
    "sensors",
    type=pair,
    multiple=True,
    metavar="SITE=NAME_OR_ADDRESS",
    help="A sensor and where it sits; repeat it. `setup` keeps them.",
)
virtual_option = click.option(
    "--virtual",
    type=pair,
    multiple=True,
    metavar="SITE=MODEL",
    help="A made-up sensor that speaks the protocol of a model; repeat it. Needs no hardware.",
)
adapter_option = click.option(
    "--adapter", "adapters", multiple=True, metavar="NAME", help="Bluetooth adapter, as hci1; repeat it."
)
rate_option = click.option(
    "--rate",
    type=Number(45, 1000),
    metavar="HZ",
    help="Sampling rate; else each model's usual one.",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="A set-up kept in a file.",
)
until_option = click.option(
    "--until", type=_time_of_day, metavar="HH:MM", help="When the night ends, on the wall clock."
)
hours_option = click.option(
    "--hours", type=Number(0, 48, min_open=True), metavar="H", help="How long the night is."
)


def world_of(pairs: Sequence[tuple[str, str]]) -> VirtualWorld:
    """Return the world in which made-up sensors are played."""
    from firmware_host.capture.asked import wanted_sensors
    from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld

    wanted_sensors(pairs)  # what cannot be worn so is told as of real ones
    return VirtualWorld([VirtualSensor(site, model) for site, model in pairs])
