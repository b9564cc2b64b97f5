"""`twitchmap review`: the pages, on this computer."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._terminal import has_screen, json_option, note, show


@click.command()
@click.argument("where", required=False, metavar="[WHERE]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; else 8765, or any that is free.")
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to listen on; others need a token.",
)
@click.option("--allow-host", "names", multiple=True, metavar="NAME", help="A name by which others reach it.")
@click.option("--token", "with_token", is_flag=True, help="Ask for a token on this computer too.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@dir_option
@json_option
def command(
    where: str | None,
    port: int | None,
    host: str,
    names: tuple[str, ...],
    with_token: bool,
    no_browser: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Show nights in the browser; Ctrl-C ends it.

    WHERE is a folder of nights, or a night to begin with: its path, `last` or a date.
    """
    from firmware_host.review.running import Place, run_review
    from firmware_host.review.texts import t

    place = Place(host, port, names, with_token)
    folder, path = _begin(where, directory)

    def tell(address: str) -> None:
        show({"address": address}, t("review.address", address=address), as_json=as_json)
        if place.reachable:
            note(t("review.reachable"))

    run_review(folder, place, path=path, browser=not no_browser and has_screen(), tell=tell)


def _begin(where: str | None, directory: Path) -> tuple[Path, str]:
    """Return the folder of nights and the path of the page to begin with."""
    from urllib.parse import quote

    from firmware_host.errors import BadFileError
    from firmware_host.recording import find_night

    if where is None:
        return directory, "/"
    folder = Path(where)
    if folder.is_dir():
        try:
            night = find_night(where, directory)
        except BadFileError:  # a folder, and no night
            return folder, "/"
    else:
        night = find_night(where, directory)
    return night.parent, f"/night/{quote(night.name, safe='')}"
