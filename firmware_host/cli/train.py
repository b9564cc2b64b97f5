"""`twitchmap train`: makes a model from virtual subjects, or from labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli import _own_model
from firmware_host.cli._nights import dir_option
from firmware_host.cli._terminal import Progress, aligned, json_option, note, show
from firmware_host.cli._values import Number
from firmware_host.errors import BadValueError, NotEmptyError

if TYPE_CHECKING:
    from firmware_host.learning.bundle import Training


@click.command()
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Another number, another model; else 1.")
@click.option(
    "--subjects",
    type=click.IntRange(1),
    metavar="N",
    help="Virtual subjects, one night each, 35 at least; else 700.",
)
@click.option("--hours", type=Number(0.05, 24), hidden=True)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes at once; else one a processor.")
@click.option("--name", default=None, metavar="NAME", help="Name of the model; else own.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the model's files; else models/NAME beside the nights.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keeps what was found, for a next training.",
)
@click.option(
    "--check", is_flag=True, help="Train again as the model NAME was trained, and compare its scores."
)
@click.argument("nights", nargs=-1, metavar="[NIGHT]...")
@click.option("--from-labels", is_flag=True, help="Correct the shipped model by the labels of the nights.")
@click.option("--use", metavar="NAME", help="Let the model NAME judge from now on.")
@click.option("--take-back", is_flag=True, help="Let the model judge again that did before.")
@dir_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    seed: int | None,
    subjects: int | None,
    hours: float | None,
    jobs: int | None,
    name: str | None,
    out: Path | None,
    cache: Path | None,
    check: bool,
    nights: tuple[str, ...],
    from_labels: bool,
    use: str | None,
    take_back: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Train a model on simulated nights of virtual subjects; the same seed gives the same model.

    With --from-labels NIGHT... it is the shipped model, corrected by what was said of those nights in
    `twitchmap review`. No model takes another's place before --use NAME.
    """
    if from_labels or use or take_back:
        if (seed, subjects, hours, jobs, out, cache) != (None,) * 6 or check:
            raise click.UsageError("--from-labels, --use and --take-back take no settings of a training.")
        _own_model.run(nights, name, directory, learn=from_labels, use=use, take_back=take_back,
                       as_json=as_json)  # fmt: skip
        return
    if nights:
        raise click.UsageError("NIGHT... goes with --from-labels.")
    import msgspec
    from joblib import cpu_count

    from firmware_host.learning import bundle
    from firmware_host.learning.train import HOURS, SUBJECTS, train

    if check and (seed, subjects, hours, out) != (None, None, None, None):
        raise click.UsageError("--check trains as the model was trained: it takes no other settings.")
    was = bundle.read_training(_known(name or "standard", directory)) if check else None
    if was is not None:
        seed, subjects, hours = was.seed, was.subjects, was.hours
    name = name or ("standard" if check else "own")
    with bundle.place(None if check else out or _own(name, directory)) as folder:
        with Progress("training") as tell:
            made = train(
                name=name,
                seed=1 if seed is None else seed,
                subjects=subjects or SUBJECTS,
                hours=hours or HOURS,
                jobs=jobs or cpu_count(),
                cache=cache,
                progress=tell,
            )
        if folder is not None:
            bundle.write(made, folder)
    if was is None:
        text = f"{folder}\n{described(made.training)}"
        show({"folder": folder, **msgspec.to_builtins(made.training)}, text, as_json=as_json)
        return
    wrong = bundle.differences(was, made.training)
    document = {"was": was.scores, "now": made.training.scores, "differ": sorted(wrong)}
    show(document, described(made.training), as_json=as_json)
    if wrong:
        then, now = (f"twitchmap {one.twitchmap}, simulator {one.simulator}" for one in (was, made.training))
        by = "" if then == now else f" It was made by {then}; this is {now}."
        note(f"The model {name!r} does not score as it did: {'; '.join(sorted(wrong))}.{by}")
        ctx.exit(1)


def _known(name: str, directory: Path) -> Path:
    """Return the folder of a model that is there."""
    from firmware_host.analysis import model_folders

    folders = [folder / name for folder in model_folders(directory)]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _own(name: str, directory: Path) -> Path:
    """Return the folder for a new model of one's own, whose name must be free."""
    from firmware_host.analysis import model_folders

    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise BadValueError(f"{name!r} is no name of a model: use letters, digits, - and _.")
    shipped, own = (folder / name for folder in model_folders(directory))
    if shipped.exists():
        raise BadValueError(f"{name!r} is a model that comes with twitchmap: choose another --name.")
    if own.exists():
        raise NotEmptyError(f"There is a model {name!r} already, in {own}: choose another --name.")
    return own


def described(training: Training) -> str:
    """Return what a training came to, as text."""
    scores = [(what, f"{value:.4f}") for what, value in training.scores.items()]
    alarms = [
        (what, f"{value:.2f}", f"{training.valid_h[what]:.1f}")
        for what, value in training.false_alarms_per_h.items()
    ]
    return "\n".join(
        [
            f"All of this is simulated: {training.subjects} virtual subjects, seed {training.seed}.",
            aligned(("on subjects held back", "score"), scores),
            "",
            aligned(("false alarms at the balanced point", "an hour", "valid h"), alarms),
        ]
    )
