"""`twitchmap review`: the pages, on this computer."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._terminal import json_option, show


@click.command()
@click.argument(
    "directory", metavar="[DIR]", required=False, envvar="TWITCHMAP_DIR", default="recordings",
    type=click.Path(path_type=Path),
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; else 8765, or a free one where that is taken."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@json_option
def command(directory: Path, port: int | None, no_browser: bool, as_json: bool) -> None:
    """Look at the nights of a folder in the browser; Ctrl-C ends it."""
    from firmware_host.review.running import run_review
    from firmware_host.review.texts import t

    def tell(address: str) -> None:
        show({"address": address}, t("review.address", address=address), as_json=as_json)

    run_review(directory, port=port, browser=not no_browser, tell=tell)
