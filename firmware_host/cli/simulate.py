"""`twitchmap simulate`: a made-up night of which everything is known."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from firmware_host.cli._terminal import Progress, aligned, json_option, show
from firmware_host.errors import BadValueError

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("night", metavar="NIGHT", type=click.Path(path_type=Path))
@click.option("--hours", type=float, default=8.0, show_default=True, help="Length of the night.")
@click.option("--sites", metavar="SITE,...", help="Sites, one sensor each; else those of the demonstration.")
@click.option(
    "--profile",
    type=click.Choice(["many", "few", "quiet", "mix"]),
    default="few",
    show_default=True,
    help="How often sites twitch.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another number, another night.")
@click.option("--rate", type=float, default=100.0, metavar="HZ", help="Nominal sampling rate, else 100 Hz.")
@click.option("--chip", metavar="NAME", help="Chip of all sensors; else each has one of its own.")
@click.option("--shapes", metavar="NAME,...", help="Families of twitch shapes; else all.")
@click.option(
    "--confounders",
    metavar="NAME,...",
    help="Kinds of what is no twitch, or all, everyday or none; else all.",
)
@click.option("--no-twitches", is_flag=True, help="The same night without a single twitch.")
@click.option("--truth", type=_FILE, metavar="FILE.csv", help="Write the true twitches here.")
@click.option("--happenings", type=_FILE, metavar="FILE.csv", help="Write all that was no twitch here.")
@json_option
def command(
    night: Path,
    hours: float,
    sites: str | None,
    profile: str,
    seed: int,
    rate: float,
    chip: str | None,
    shapes: str | None,
    confounders: str | None,
    no_twitches: bool,
    truth: Path | None,
    happenings: Path | None,
    as_json: bool,
) -> None:
    """Simulate a night with known twitches; NIGHT must be empty or not there yet."""
    from firmware_host.simulation import (
        DEFAULT_SITES,
        EVERYDAY,
        NightSpec,
        simulate_night,
        write_happenings,
        write_truth,
    )

    places = DEFAULT_SITES if sites is None else tuple(site.strip() for site in sites.split(","))
    spec = NightSpec(
        seed=seed,
        hours=hours,
        sites=places,
        fs_hz=rate,
        profile=profile,
        rate_scale=0.0 if no_twitches else 1.0,
        shapes=_names(shapes),
        confounders=EVERYDAY if confounders == "everyday" else _names(confounders),
        chips=None if chip is None else (chip,) * len(places),
    )
    if truth is not None and happenings is not None and truth.resolve() == happenings.resolve():
        raise BadValueError(f"{truth} cannot hold both truth and happenings; name two files.")
    for file in (truth, happenings):
        if file is not None and not file.absolute().parent.is_dir():
            raise BadValueError(f"There is no folder {file.absolute().parent} to write {file.name} to.")
    with _removed_on_error(night, truth, happenings):
        with Progress("simulating") as tell:
            made = simulate_night(night, spec=spec, progress=tell)
        if truth is not None:
            write_truth(truth, made.twitches)
        if happenings is not None:
            write_happenings(happenings, made.happenings)
    counts = Counter(made.twitches["site"].tolist())
    kinds = Counter(made.happenings["kind"].tolist())
    document = {
        "night": night,
        "truth": truth,
        "happenings": happenings,
        "twitches": {site: counts[site] for site in places},
        "confounders": dict(sorted(kinds.items())),
        "simulated": True,
    }
    rows = [(site, str(counts[site])) for site in places]
    show(document, lambda: f"{night}\n{aligned(('site', 'twitches'), rows)}", as_json=as_json)


def _names(text: str | None) -> tuple[str, ...] | None:
    """Read a list of names; nothing and `all` stand for every one there is."""
    if text in {None, "all"}:
        return None
    return () if text == "none" else tuple(name.strip() for name in (text or "").split(","))


@contextlib.contextmanager
def _removed_on_error(night: Path, *files: Path | None) -> Iterator[None]:
    """Remove a night, and files beside it, whose making did not come to its end; what was there stays."""
    new = not night.exists() or (night.is_dir() and not any(night.iterdir()))
    fresh = [file for file in files if file is not None and not file.exists()]
    try:
        yield
    except BaseException:
        if new:
            shutil.rmtree(night, ignore_errors=True)
        for file in fresh:
            file.unlink(missing_ok=True)
        raise
