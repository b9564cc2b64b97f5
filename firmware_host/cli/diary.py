"""`twitchmap diary`: what a person did and felt around a night."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._nights import about, dir_option, find, night_argument, note_damage
from firmware_host.cli._terminal import aligned, json_option, note, show
from firmware_host.cli._values import once
from firmware_host.errors import TwitchmapError


@click.command()
@night_argument
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@dir_option
@json_option
def command(night: str, values: tuple[str, ...], directory: Path, as_json: bool) -> None:
    """Write the diary of a night, or show it: caffeine=much note="bad day"; KEY= takes a value back."""
    from firmware_host.recording.diary import FIELDS, read_diary, write_diary
    from firmware_host.recording.nights import meta_and_damage

    split = [value.partition("=") for value in values]
    for key, equals, _ in split:
        if not equals:
            raise click.UsageError(f"{key!r} needs an equals sign and a value, such as caffeine=much.")
    path = find(night, directory)
    try:
        note_damage(path.name, meta_and_damage(path)[1])
    except TwitchmapError as error:  # the diary is a file of its own
        note(about(path, error))
    said = once((key, value) for key, _, value in split)
    now = write_diary(path, said) if said else read_diary(path)
    for one in now.damage:
        note(f"{path.name}: {one.file}: {one.what}.")
    lines = [
        (field.name, now.fields.get(field.name, "-"), ", ".join(field.levels) or "text") for field in FIELDS
    ]
    document = {"night": path.name, "diary": now.fields}
    show(document, lambda: aligned(("field", path.name, "may be"), lines), as_json=as_json)
