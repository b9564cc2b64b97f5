"""`twitchmap review`: the pages, on this computer."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument(
    "directory", metavar="[DIR]", required=False, envvar="TWITCHMAP_DIR", default="recordings",
    type=click.Path(path_type=Path),
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; else 8765, or a free one where that is taken."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def command(directory: Path, port: int | None, no_browser: bool) -> None:
    """Look at the nights of a folder in the browser; Ctrl-C ends it."""
    from firmware_host.review.running import run_review

    run_review(directory, port=port, browser=not no_browser, tell=click.echo)
