"""Options of the commands that judge nights: by which model, and how strictly."""

from __future__ import annotations

import click

model_option = click.option(
    "--model",
    metavar="NAME",
    help="Model bundle that judges; without it the one in use: standard, or a model of your own.",
)
point_option = click.option(
    "--operating-point",
    type=click.Choice(["specific", "balanced", "sensitive"]),
    default="balanced",
    show_default=True,
    help="How much has to speak for a twitch.",
)
