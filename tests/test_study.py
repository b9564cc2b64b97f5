"""Many nights judged at once: each once, whatever happens to the others, here and on a Dask cluster."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_nights
import numpy as np
import pytest
from conftest import Run
from psutil import Process

from firmware_host import __version__
from firmware_host.analysis import detect_night, load_model, load_run, model_folders, recount_night, runs_of
from firmware_host.recording import SensorInfo, create_night, open_night
from firmware_host.simulation import demonstration, simulate_night
from firmware_host.study import NightDone, Order, study_night

pytestmark = pytest.mark.lasts_s(30)


@pytest.fixture(scope="module")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Simulate two nights of three minutes on one site, and detect them as `twitchmap detect` does."""
    folder = tmp_path_factory.mktemp("patterns")
    nights = []
    for seed in (1, 2):
        spec = replace(demonstration(seed, 0.05), sites=("left_calf",), chips=None)
        nights.append(folder / f"n{seed}.night")
        simulate_night(nights[-1], spec=spec)
        detect_night(nights[-1])
    return nights


def fresh(pattern: Path, folder: Path) -> Path:
    """Copy a night without its results."""
    return Path(shutil.copytree(pattern, folder, ignore=shutil.ignore_patterns("results.sqlite*")))


@pytest.fixture
def folders(patterns: list[Path], tmp_path: Path) -> tuple[Path, Path]:
    """Make two folders of nights without results, of two nights and of one."""
    for number, pattern in enumerate(patterns):
        fresh(pattern, tmp_path / "first" / f"{number}.night")
    fresh(patterns[0], tmp_path / "second" / "2.night")
    return tmp_path / "first", tmp_path / "second"


def done(out: str) -> dict[str, dict[str, Any]]:
    """Return what the JSON document says of each night, by the name of its folder."""
    return {Path(night["path"]).name: night for night in json.loads(out)["nights"]}


def wait_until(true: Callable[[], bool]) -> None:
    """Return once something is so."""
    patience = time.monotonic() + 60
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.01)


def assert_same(night: Path, run_id: str, pattern: Path) -> None:
    """Compare a night's run with that of the night it is a copy of: events, coverage, limits."""
    run, expected = load_run(open_night(night), run_id), load_run(open_night(pattern))
    np.testing.assert_array_equal(run.events, expected.events)
    np.testing.assert_array_equal(run.coverage, expected.coverage)
    assert run.summary == expected.summary
    assert len(run.counted)


@pytest.mark.long
def test_a_study_finds_what_detect_finds(
    run: Run, folders: tuple[Path, Path], patterns: list[Path], tmp_path: Path
) -> None:
    """Nights of several folders are detected at once, as alone; a second study leaves and exports them."""
    code, out, err = run("study", *folders, "--json", "--jobs", 2)
    assert (code, err) == (0, "")
    nights = done(out)
    assert list(nights) == ["0.night", "1.night", "2.night"]
    for number, night in enumerate(nights.values()):
        pattern = patterns[number % 2]
        assert night["done"] == "detected"
        assert_same(Path(night["path"]), night["run_id"], pattern)
        sites = load_run(open_night(pattern)).summary.sites
        assert night["twitches"] == sites[0].twitches
        assert night["valid_h"] == pytest.approx(sites[0].seconds["valid"] / 3600)
        assert night["seconds"] > 0
    detect_night(folders[0] / "0.night", operating_point="sensitive")  # newer, and not the study's
    code, out, _ = run("study", *folders, "--json", "--jobs", 1, "--out", tmp_path / "tables")
    assert code == 0
    assert {name: night["done"] for name, night in done(out).items()} == dict.fromkeys(nights, "was_there")
    assert {name: night["run_id"] for name, night in done(out).items()} == {
        name: night["run_id"] for name, night in nights.items()
    }
    assert str(tmp_path / "tables" / "events.csv") in json.loads(out)["files"]
    with (tmp_path / "tables" / "events.csv").open(encoding="utf-8", newline="") as file:
        counted = [row["run_id"] for row in csv.DictReader(file) if row["counted"] == "1"]
    assert {night["run_id"]: night["twitches"] for night in nights.values()} == {
        run_id: counted.count(run_id) for run_id in set(counted)
    }


@pytest.mark.long
def test_only_what_would_be_the_same_is_left(run: Run, patterns: list[Path], tmp_path: Path) -> None:
    """A run by another model, point or pass, of other samples or findings, or unreadable, does not count."""
    same, samples, others, odd = (
        fresh(patterns[0], tmp_path / f"{n}.night") for n in ("same", "samples", "others", "odd")
    )
    for night in (same, samples, others, odd):
        shutil.copy(patterns[0] / "results.sqlite", night)
    with closing(sqlite3.connect(odd / "results.sqlite")) as connection, connection:
        connection.execute("UPDATE runs SET settings = '[]'")
    assert run("map", odd)[0] == 1
    with (samples / "samples.log").open("r+b") as log:
        log.truncate(log.seek(0, os.SEEK_END) - 5000)
    recount_night(others)
    with closing(sqlite3.connect(others / "results.sqlite")) as connection, connection:
        connection.execute("DELETE FROM runs WHERE run = 1")
    detect_night(others, as_live=True)
    detect_night(others, model="plain")
    detect_night(others, operating_point="specific")
    code, out, err = run("study", tmp_path, "--json", "--jobs", 1)
    assert code == 0
    assert "damaged place" in err
    assert {name: night["done"] for name, night in done(out).items()} == {
        "same.night": "was_there", "samples.night": "detected", "others.night": "detected",
        "odd.night": "detected",
    }  # fmt: skip


@pytest.mark.long
def test_a_bad_night_does_not_stop_the_others(run: Run, patterns: list[Path], tmp_path: Path) -> None:
    """Damaged, unwritable, slow and unfinished nights get a sentence each; the good one is detected."""
    good = fresh(patterns[0], tmp_path / "good.night") / "night.toml"
    good.write_text(good.read_text(encoding="utf-8").replace('"simulated"', '"imported"'), encoding="utf-8")
    fresh(patterns[0], tmp_path / "unwritable.night")
    (tmp_path / "unwritable.night" / "results.sqlite").mkdir()
    fresh(patterns[0], tmp_path / "damaged.night")
    (tmp_path / "damaged.night" / "night.toml").write_text("nonsense")
    (tmp_path / "damaged.night" / "samples.log").write_bytes(b"nonsense")
    slow = SensorInfo(index=0, site="left_calf", fs_hz=10, g_per_count=1e-3, sample_type="int16")
    with create_night(tmp_path / "slow.night", made_nights.meta(sensors=(slow,))) as writer:
        made_nights.append(writer, 0, 0, 600, arrival_mono_ns=10**11, arrival_utc_ns=made_nights.START_NS)
    (tmp_path / "settings.toml").write_text('show = "on_request"\n')
    with create_night(tmp_path / "running.night", made_nights.meta()):
        code, out, err = run("study", tmp_path, "--jobs", 1, "--out", tmp_path / "tables")
    assert code == 1
    assert "Traceback" not in err
    *lines, last = (line.removeprefix(f"{tmp_path.name}/") for line in err.strip().splitlines())
    told = dict(line.split(": ", 1) for line in lines)
    assert "The disk refuses" in told.pop("unwritable.night")
    assert "cannot be read as TOML" in told.pop("damaged.night")
    assert "finding twitches needs at least 45" in told.pop("slow.night")
    assert told == {"running.night": "It is being recorded now, and left out."}
    assert "good.night are shown on request only" in last
    for name, word in (("good", "detected"), ("slow", "failed"), ("running", "being recorded")):
        assert f"/{name}.night " in out
        assert word in out.split(f"/{name}.night ")[1].splitlines()[0]
    assert "not shown" in out
    with (tmp_path / "tables" / "coverage.csv").open(encoding="utf-8", newline="") as file:
        assert {row["night"] for row in csv.DictReader(file)} == {"good.night"}


def stopped(folder: Path, number: signal.Signals) -> tuple[int, str, set[str]]:
    """Start a study, stop it after a night; return exit code, stderr, and the nights done so far."""

    def kept() -> set[str]:
        return {path.name for path in folder.iterdir() if runs_of(path)}

    before = kept()
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware_host", "study", str(folder), "--jobs", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    wait_until(lambda: kept() > before)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)  # ends when the last process has let go of it
    return process.returncode, err, kept()


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_interrupted_study_goes_on(run: Run, patterns: list[Path], tmp_path: Path) -> None:
    """After Ctrl-C and after a kill what is done is kept, and each night is detected once."""
    nights = [fresh(patterns[0], tmp_path / f"{letter}.night") for letter in "abcdef"]
    code, err, first = stopped(tmp_path, signal.SIGINT)
    assert (code, err.strip()) == (130, "Interrupted.")
    code, _, second = stopped(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert first < second < {night.name for night in nights}
    code, out, _ = run("study", tmp_path, "--json", "--jobs", 1)
    assert code == 0
    assert {name for name, night in done(out).items() if night["done"] == "was_there"} == second
    assert [len(runs_of(night)) for night in nights] == [1] * len(nights)


def test_a_killed_process_is_one_sentence(run: Run, folders: tuple[Path, Path]) -> None:
    """Where the system kills a process that works on nights, the study ends with a sentence and exit 1."""

    def working() -> list[Process]:
        return [one for one in Process().children() if any("popen_loky" in word for word in one.cmdline())]

    def kill() -> None:
        wait_until(lambda: bool(working()))
        for one in working():
            one.kill()

    with ThreadPoolExecutor(1) as aside:
        killed = aside.submit(kill)
        code, out, err = run("study", *folders, "--json", "--jobs", 1)
        killed.result()
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "The same command goes on from what is done." in err


def test_folders_with_other_models_in_use_are_refused(run: Run, folders: tuple[Path, Path]) -> None:
    """A study has one model: where folders use different ones, it is to be named."""
    own = folders[1] / "models"
    shutil.copytree(model_folders()[0] / "plain", own / "mine")
    (own / "current.json").write_text('{"model": "mine"}', encoding="utf-8")
    code, out, err = run("study", *folders)
    assert (code, out) == (1, "")
    assert "A study has one model, and these differ: 'standard' in" in err


def test_another_computer_must_have_the_same(patterns: list[Path], tmp_path: Path) -> None:
    """A computer that does not see a night, or has another model or program, fails with a sentence."""
    night = fresh(patterns[0], tmp_path / "a.night")
    order = Order("standard", load_model()[1], "balanced", __version__)

    def why(path: Path, order: Order) -> str:
        result = study_night(path, order)
        assert isinstance(result, NightDone)
        assert result.done == "failed"
        return str(result.why)

    assert f"sees no {tmp_path / 'b.night'}" in why(tmp_path / "b.night", order)
    assert "has another twitchmap or another model 'standard'" in why(night, replace(order, model_sha256="0"))
    assert "has another twitchmap or another model" in why(night, replace(order, twitchmap="9.9"))
    assert not runs_of(night)


def test_what_is_missing_is_told_first(
    run: Run, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without Dask, model, or a folder for tables nothing is begun, and a sentence says why."""
    assert run("study", *folders, "--dask", "x:1", "--jobs", 2)[0] == 2
    monkeypatch.setattr("firmware_host.study.pools.find_spec", lambda name: None)
    (tmp_path / "file").touch()
    for arguments, words in (
        (["--dask", "x:1"], 'pip install "twitchmap[cluster]"'),
        (["--model", "crystal_ball"], "crystal_ball"),
        (["--out", tmp_path / "file"], "is no folder"),
    ):
        code, out, err = run("study", *folders, *arguments)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert words in err
    assert not list(tmp_path.glob("*/*.night/results.sqlite"))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Start a Dask cluster of one worker, a process that is not given a night again after it was killed."""
    distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, protocol="tcp://", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.long
def test_dask_finds_the_same(
    run: Run, client: Any, folders: tuple[Path, Path], patterns: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Dask cluster finds what this computer does, leaves it the next time, and finds it --again."""
    address = client.scheduler.address
    monkeypatch.chdir(folders[0].parent)
    code, out, err = run("study", "first", "second", "--json", "--dask", address)
    assert (code, err) == (0, "")
    for number, night in enumerate(done(out).values()):
        assert night["done"] == "detected"
        assert_same(Path(night["path"]), night["run_id"], patterns[number % 2])
    code, out, _ = run("study", "first", "second", "--json", "--dask", address)
    assert {night["done"] for night in done(out).values()} == {"was_there"}
    code, out, _ = run("study", "second", "--again", "--dask", address)
    assert code == 0
    assert "second/2.night  detected  " in out
    assert len(runs_of(folders[1] / "2.night")) == 2


@pytest.mark.long
def test_a_killed_worker_costs_its_night_only(run: Run, client: Any, folders: tuple[Path, Path]) -> None:
    """What a Dask worker had taken up when it was killed has failed; the others are detected."""

    def kill() -> None:
        wait_until(lambda: any(client.processing().values()))
        (process,) = client.run(os.getpid).values()
        os.kill(process, signal.SIGKILL)

    with ThreadPoolExecutor(1) as aside:
        killed = aside.submit(kill)
        code, out, err = run("study", *folders, "--json", "--dask", client.scheduler.address)
        killed.result()
    assert code == 1
    assert {night["done"] for night in done(out).values()} == {"detected", "failed"}
    assert "killed, most likely for want of memory" in err


def test_a_cluster_that_does_not_answer_is_told(run: Run, client: Any, folders: tuple[Path, Path]) -> None:
    """What is no address, and a worker with another twitchmap, are told before anything is done."""
    code, _, err = run("study", *folders, "--dask", "nowhere")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "No Dask scheduler answers at nowhere" in err
