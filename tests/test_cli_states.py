"""None seen, not observed, not worn and doubtful stay apart in all that commands print and write."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import made_nights
import numpy as np
from conftest import Run

from firmware_host.recording import create_night
from firmware_host.simulation import demonstration, simulate_night


def test_the_map_tells_none_from_not_observed(run: Run, tmp_path: Path) -> None:
    """A bin without valid time has no rate in JSON; one with valid time and no twitch has the rate 0."""
    simulate_night(tmp_path / "a.night", spec=demonstration(2, 0.5))
    run("detect", tmp_path / "a.night")
    code, out, _ = run("map", tmp_path / "a.night", "--bin", "1min", "--json")
    assert code == 0
    (document,) = json.loads(out)
    assert document["origin"] == "simulated"
    blind = [row for row in document["bins"] if row["valid_s"] == 0]
    empty = [row for row in document["bins"] if row["valid_s"] > 50 and row["twitches"] == 0]
    assert blind
    assert empty
    assert all(row["rate_per_h"] is None and row["rate_high"] is None for row in blind)
    assert all(row["rate_per_h"] == 0 and row["rate_high"] > 0 for row in empty)
    assert {row["state"] for row in blind} <= {"not_observed", "not_worn"}
    assert {row["state"] for row in empty} <= {"observed", "wear_unconfirmed"}


def still_night(folder: Path) -> Path:
    """Make 25 minutes: a body that breathes, a table, a sensor that came late, and one that sent nothing."""
    rng = np.random.default_rng(5)
    meta = made_nights.meta(4, origin="imported")
    with create_night(folder, meta) as writer:
        for minute in range(25):
            time_s = 60 * minute + np.arange(6000) / 100
            for sensor in range(3):
                if sensor == 2 and minute < 13:
                    continue
                mg = rng.normal((0, 0, 1000), 0.7, (6000, 3))
                mg[:, 0] += 1.0 * (sensor == 0) * np.sin(1.5 * time_s)
                at_ns = 60 * 10**9 * (minute + 1)
                writer.append_samples(
                    sensor, np.round(mg / 0.122).astype(np.int16), 6000 * minute,
                    arrival_mono_ns=at_ns, arrival_utc_ns=meta.start_ns + at_ns,
                )  # fmt: skip
    return folder


def test_none_not_observed_not_worn_and_doubtful_stay_apart(run: Run, tmp_path: Path) -> None:
    """The four read differently in what detect prints, in the map, in its JSON and in the exported tables."""
    path = still_night(tmp_path / "a.night")
    code, out, err = run("detect", path, "--model", "plain")
    assert (code, err.strip()) == (0, "right_thigh: the sensor sent nothing.")
    said = {line.split()[0]: " ".join(line.split()[4:]) for line in out.splitlines()[2:]}
    assert said == {
        "left_calf": "none",
        "right_calf": "not worn",
        "left_thigh": "none, wearing not confirmed",
        "right_thigh": "not observed",
    }
    code, out, _ = run("map", path)
    assert [out.count(words) for words in ("none seen (", "wearing not confirmed in")] == [2, 1]
    assert re.search(r"right calf +not worn", out)
    assert re.search(r"right thigh +not observed", out)
    (document,) = json.loads(run("map", path, "--json")[1])
    assert [row["state"] for row in document["sites"]] == [
        "observed", "not_worn", "wear_unconfirmed", "not_observed"
    ]  # fmt: skip
    assert run("export", path, "--out", tmp_path / "out")[0] == 0
    with (tmp_path / "out" / "counts.csv").open(encoding="utf-8") as file:
        rates = {(row["site"], row["valid_s"] != "0.0000", row["rate_per_h"]) for row in csv.DictReader(file)}
    assert {rate for site, seen, rate in rates if seen} == {"0"}
    assert {(site, rate) for site, seen, rate in rates if not seen} == {
        ("right_calf", ""),
        ("right_thigh", ""),
    }
    with (tmp_path / "out" / "coverage.csv").open(encoding="utf-8") as file:
        kinds = {(row["site"], row["kind"], row["wear_unconfirmed"]) for row in csv.DictReader(file)}
    assert ("left_calf", "valid", "0") in kinds
    assert ("right_calf", "not_worn", "0") in kinds
    assert ("left_thigh", "valid", "1") in kinds
    assert [kind for site, kind, _ in kinds if site == "right_thigh"] == ["gap"]
