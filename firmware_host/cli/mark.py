"""`twitchmap mark`: adds a mark to the night that is being recorded."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._terminal import json_option, show


@click.command()
@click.argument("words", nargs=-1, metavar="[TEXT]")
@dir_option
@json_option
def command(words: tuple[str, ...], directory: Path, as_json: bool) -> None:
    """Mark this moment in the night that is being recorded: a twitch felt, a cramp, lights out."""
    from firmware_host.recording.marks import leave_mark

    text = " ".join(words)
    night = leave_mark(directory, text)
    show({"night": night, "text": text}, f"Marked in {night.name}.", as_json=as_json)
