"""What a model's counts are worth: fitted, and shown on others.

`python -m firmware_host.learning.rates --fit` writes rates.json into a model's bundle; without `--fit` it
shows, on other people and held-out families, how often limits are right and intervals hold the truth.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from firmware_host.analysis import DEFAULT_MODEL, load_model, model_folders
from firmware_host.analysis.models import RATES_FILE, load_rates
from firmware_host.analysis.recount import last_threshold
from firmware_host.learning.rate_fit import Known, fit_rates, known
from firmware_host.learning.rate_nights import HOURS, SiteNight, collect, specs
from firmware_host.learning.rate_score import shown
from firmware_host.twitch_map import RateFile

FIT_SUBJECTS, SUBJECTS = 140, 110
"""Virtual people, four sites each."""


def main() -> None:
    """Fit, or show, for the model and the number of virtual people that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m firmware_host.learning.rates", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--fit", action="store_true", help="write rates.json beside the model")
    parser.add_argument(
        "--subjects", type=int, help=f"virtual people ({FIT_SUBJECTS} to fit, {SUBJECTS} to show)"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="folder that keeps what was found")
    asked = parser.parse_args()
    bundle, sha256 = load_model(asked.model)
    people = specs(asked.subjects or (FIT_SUBJECTS if asked.fit else SUBJECTS), held_out=not asked.fit)
    nights = collect(people, asked.model, "balanced", jobs=asked.jobs, cache=asked.cache, progress=_tell)
    points = {
        name: last_threshold(bundle, name, 2) for name in msgspec.structs.asdict(bundle.operating_points)
    }
    if asked.fit:
        made = f"Fitted on {len(nights)} simulated site-nights of {HOURS:g} h, {len(people)} virtual people."
        fitted = {name: fit_rates(_known(nights, least), least, made) for name, least in points.items()}
        path = next(f / asked.model for f in model_folders() if (f / asked.model).is_dir()) / RATES_FILE
        content = msgspec.json.format(msgspec.json.encode(RateFile(sha256, fitted)), indent=1)
        path.write_bytes(content + b"\n")
        sys.stdout.write(f"{path}\n")
        return
    rates = load_rates(asked.model, sha256)
    figures = {
        name: shown(_known(nights, points[name]), model) for name, model in rates.items() if name in points
    }
    document = {"simulated": True, "site_nights": len(nights), "points": figures}
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


def _tell(share: float) -> None:
    sys.stderr.write(f"\r{100 * share:3.0f} %" + "\n" * (share >= 1))


def _known(nights: Sequence[SiteNight], least: float) -> list[Known]:
    return [one for night in nights if (one := known(night, least)) is not None]


if __name__ == "__main__":
    main()
