"""`twitchmap amend`: corrects what is known of a night."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._nights import dir_option, find, night_argument, open_noted
from firmware_host.cli._terminal import json_option, show
from firmware_host.cli._terminal import note as tell
from firmware_host.cli._values import once, pair, pair_or_empty


@click.command()
@night_argument
@click.option("--participant", metavar="NAME", help="Pseudonym of the person.")
@click.option(
    "--site", "sites", multiple=True, type=pair, metavar="OLD=NEW", help="The site a sensor was at."
)
@click.option("--placement", "placements", multiple=True, type=pair_or_empty, metavar="SITE=TEXT",
              help="Where exactly at its site; SITE= takes it back.")  # fmt: skip
@click.option("--note", metavar="TEXT", help="Anything else.")
@dir_option
@json_option
def command(
    night: str,
    participant: str | None,
    sites: tuple[tuple[str, str], ...],
    placements: tuple[tuple[str, str], ...],
    note: str | None,
    directory: Path,
    as_json: bool,
) -> None:
    """Correct a night's pseudonym, sites, placements or note; the history of changes is kept."""
    from firmware_host import body
    from firmware_host.recording import amend_night
    from firmware_host.recording.night import META_FILE

    if participant is None and note is None and not sites and not placements:
        raise click.UsageError("Nothing to amend: give --participant, --site, --placement or --note.")
    for _, site in sites:
        body.site(site)
    path = find(night, directory)
    opened = open_noted(path)
    before = len(opened.meta.history)
    meta = amend_night(
        path, participant=participant, sites=once(sites), placements=once(placements), note=note
    )
    if any(damage.file == META_FILE for damage in opened.damage):
        tell(
            f"{path.name}: corrections that were only in the {META_FILE} that cannot be read no longer hold; "
            "it is kept beside the new one as night.unreadable-*.toml."
        )
    changes = meta.history[before:]
    text = "\n".join(f"{change.field}: {change.old!r} is now {change.new!r}" for change in changes)
    show(changes, text or "Nothing changed.", as_json=as_json)
