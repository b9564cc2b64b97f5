"""How commands are told which sensors they are about: a set-up, names, or made-up ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._values import pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware_host.capture.setups import Setup
    from firmware_host.simulation.virtual_radio import VirtualWorld

sensor_option = click.option(
    "--sensor",
    "sensors",
    type=pair,
    multiple=True,
    metavar="SITE=NAME_OR_ADDRESS",
    help="A sensor and where it sits; repeat it.",
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
    type=click.FloatRange(0, min_open=True),
    metavar="HZ",
    help="Sampling rate; else each model's usual one.",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="A set-up kept in a file.",
)
until_option = click.option("--until", metavar="HH:MM", help="The night's planned end.")
hours_option = click.option(
    "--hours", type=click.FloatRange(0, 48, min_open=True), metavar="H", help="The night's planned length."
)


def world_of(pairs: Sequence[tuple[str, str]], fs_hz: float | None = None) -> VirtualWorld | None:
    """Return the world in which made-up sensors are played, None where there are none."""
    if not pairs:
        return None
    from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld

    return VirtualWorld([VirtualSensor(site, model) for site, model in pairs], fs_hz=fs_hz)


def setup_of(
    directory: Path,
    config: Path | None,
    sensors: Sequence[tuple[str, str]],
    virtual: Sequence[tuple[str, str]],
    fs_hz: float | None,
) -> Setup:
    """Return the set-up that a command is about: what is named, else the file, else the folder's own."""
    from firmware_host.capture.setups import load_setup, named_setup, read_setup

    if sum(map(bool, (sensors, config, virtual))) > 1:
        raise click.UsageError("Give one of --sensor, --config and --virtual.")
    if sensors or virtual:
        return named_setup(virtual or sensors, fs_hz=fs_hz, virtual=bool(virtual))
    return read_setup(config) if config else load_setup(directory)


def played(setup: Setup) -> VirtualWorld | None:
    """Return the world in which a set-up's sensors are played, None where they are real."""
    return world_of([(one.site, one.model) for one in setup.sensors] if setup.virtual else [])
