"""`twitchmap scan`: which sensors are in range."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._sensors import adapter_option, virtual_option, world_of
from firmware_host.cli._terminal import Progress, aligned, json_option, show
from firmware_host.cli._values import Number

if TYPE_CHECKING:
    from firmware_host.capture.finding import Found


@click.command()
@click.option(
    "--seconds",
    type=Number(0, 600, min_open=True),
    default=8.0,
    show_default=True,
    metavar="S",
    help="Seconds to listen.",
)
@click.option("--all", "all_devices", is_flag=True, help="Devices that are no known sensor, too.")
@click.option(
    "--raw", metavar="ADDRESS", help="Save what this device has and sends, for writing a sensor model."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.json", help="Where to.")
@adapter_option
@virtual_option
@dir_option
@json_option
def command(
    seconds: float,
    all_devices: bool,
    raw: str | None,
    out: Path | None,
    adapters: tuple[str, ...],
    virtual: tuple[tuple[str, str], ...],
    directory: Path,
    as_json: bool,
) -> None:
    """List the sensors in range: name, address, model, signal, and where the set-up has them."""
    from firmware_host.capture.finding import scan
    from firmware_host.capture.raw import save_raw
    from firmware_host.capture.setups import known_setup

    if (raw is None) != (out is None):
        raise click.UsageError("--raw ADDRESS and --out FILE.json go together.")
    world = world_of(virtual) if virtual else None
    if raw is not None and out is not None:
        vectors = save_raw(raw, out, seconds=seconds, adapters=adapters, virtual=world)
        n = sum(vector.direction == "notify" for vector in vectors)
        show(
            {"file": out, "entries": len(vectors), "notifications": n},
            f"{out}: {len(vectors)} entries, {n} of them notifications.",
            as_json=as_json,
        )
        return
    with Progress("listening") as tell:
        found = scan(
            seconds=seconds,
            adapters=adapters,
            setup=known_setup(directory),
            virtual=world,
            progress=tell,
        )
    shown = [one for one in found if one.model or all_devices]
    show({"found": shown}, lambda: _text(shown, len(found) - len(shown)), as_json=as_json)


def _text(shown: list[Found], others: int) -> str:
    rows = [
        (one.name or "-", one.address, one.label or "-", str(one.rssi_dbm), one.site or "-") for one in shown
    ]
    hidden = f"{others} other device{'s' if others != 1 else ''} in range; --all lists them."
    if not rows:
        return f"No known sensor is in range. {hidden}"
    table = aligned(("name", "address", "model", "dBm", "site"), rows)
    return f"{table}\n{hidden}" if others else table
