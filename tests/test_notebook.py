"""The interface for notebooks: what the commands say, as columns and data frames; errors in a sentence."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from counted_nights import counted_night
from found_nights import simulated_run

import firmware_host as tm
from firmware_host.analysis.comparing import compare_nights
from firmware_host.analysis.labelling import write_label
from firmware_host.errors import BadValueError, MissingExtraError, NotEmptyError, NotFoundError, StorageError
from firmware_host.formats.tables import COUNTS, COVERAGE, EVENTS
from firmware_host.twitches import Column

pd = pytest.importorskip("pandas", reason="pandas is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated night with its run."""
    return simulated_run(tmp_path_factory.mktemp("nights"))


@pytest.fixture
def night(made: Path, tmp_path: Path) -> Path:
    """Return a copy of that night, for a test that changes it."""
    return Path(shutil.copytree(made, tmp_path / made.name))


def exported(run: Run, night: Path, out: Path, *options: str) -> dict[str, Any]:
    """Return the tables that `twitchmap export` writes, read by pandas."""
    code, _, err = run("export", night, "--out", out, *options)
    assert code == 0, err
    text = ["participant", "night", "night_date", "run_id", "site", "side", "region", "label", "flags"]
    numbers = [column.name for column in (*EVENTS, *COUNTS) if column.dtype != "U"]
    empty = {name: [""] for name in numbers}
    return {
        name: pd.read_csv(
            out / f"{name}.csv", dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=empty
        )
        for name in ("events", "counts", "coverage")
    }


def check_equal(frame: Any, written: Any, columns: tuple[Column, ...]) -> None:
    """Check that a data frame says what a written table says, to the digits that are written."""
    assert len(written)
    assert list(frame.columns) == list(written.columns) == [column.name for column in columns]
    for column in columns:
        ours, theirs = frame[column.name], written[column.name]
        if column.unit == "ISO 8601":
            assert (ours == pd.to_datetime(theirs, utc=True)).all(), column.name
        elif column.dtype == "U":
            assert ours.tolist() == theirs.tolist(), column.name
        else:
            ours, theirs = ours.astype(float).to_numpy(), theirs.astype(float).to_numpy()
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4, err_msg=column.name)


def test_tables_are_those_of_export(run: Run, night: Path, tmp_path: Path) -> None:
    """Events, candidates, counts and coverage are those that the command writes, labels included."""
    found = tm.load_run(night, with_labels=False)
    write_label(
        night, found, found, what="not_twitch", site=str(found["site"][0]), peaks_s=[found["peak_s"][0]]
    )
    twitches = tm.load_run(night)
    tables = exported(run, night, tmp_path / "out")
    check_equal(twitches.to_pandas(), tables["events"], EVENTS)
    check_equal(tm.twitch_map(twitches).to_pandas(), tables["counts"], COUNTS)
    check_equal(twitches.to_pandas("coverage"), tables["coverage"], COVERAGE)
    assert len(twitches) == int(tables["events"]["counted"].sum()) == len(tables["events"]) - 1
    every = exported(run, night, tmp_path / "all", "--candidates", "--bin", "5min")
    check_equal(twitches.to_pandas("candidates"), every["events"], EVENTS)
    check_equal(tm.twitch_map(twitches, 300).to_pandas(), every["counts"], COUNTS)


def test_the_folder_is_that_of_the_commands(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder nights are looked for where the commands look."""
    monkeypatch.setenv("TWITCHMAP_DIR", str(made.parent))
    assert tm.open().path == tm.open("last").path == made
    assert tm.open(made.name).path == tm.nights()[0]


def test_detect_stores_a_run(night: Path, run: Run) -> None:
    """What `detect` finds is stored and is the run that the commands show."""
    found = tm.detect(night, operating_point="specific")
    assert found.info.run_id == tm.load_run(night).info.run_id
    assert found.info.run_id in run("info", night)[1]
    np.testing.assert_array_equal(found["peak_s"], tm.load_run(night)["peak_s"])


def test_samples_break_at_gaps(made: Path) -> None:
    """Samples are those of the night, with one row of NaN for each gap, or none where that is asked for."""
    night = tm.open(made)
    pieces = night.read("left_calf")
    broken, plain = tm.samples(made, "left_calf"), tm.samples(made, "left_calf", nan_at_gaps=False)
    assert len(pieces) > 1
    assert len(plain) == sum(len(piece.time_ns) for piece in pieces) == len(broken) - len(pieces) + 1
    assert not np.isnan(plain.acc_g).any()
    assert np.isnan(broken.acc_g).all(axis=1).sum() == len(pieces) - 1
    assert (np.diff(broken.time_s) > 0).all()
    np.testing.assert_array_equal(plain.acc_g, np.concatenate([piece.acc_g for piece in pieces]))
    times_ns = np.concatenate([piece.time_ns for piece in pieces])
    assert np.abs(plain.utc.astype(np.int64) - times_ns).max() < 1000
    assert plain.fs_hz == pytest.approx(100, rel=0.06)
    part = tm.samples(made, "left_calf", 100, 101)
    assert 90 < len(part) < 110
    frame = part.to_pandas()
    assert list(frame.columns) == ["time_s", "ax_g", "ay_g", "az_g"]
    assert str(frame.index.tz) == "UTC"
    assert repr(part).startswith("left_calf: ")
    assert repr(tm.samples(made, "left_calf", 1e6, 1e6 + 1)) == "left_calf: no samples"


def test_simulated_night_is_scored(tmp_path: Path, run: Run) -> None:
    """A night made up with its truth is found, and scored as the command scores it."""
    truth = tmp_path / "truth.csv"
    night = tm.simulate(
        tmp_path / "a.night", hours=0.1, sites=["left_calf"], profile="many", seed=2, truth=truth
    )
    scored = tm.score(tm.detect(night), truth)
    assert scored.found > 5
    code, out, _ = run("score", night.path, "--truth", truth)
    assert code == 0
    assert "\n".join(scored.lines()) in out
    assert tm.nights(tmp_path) == [night.path]


def test_arrays_become_a_night(tmp_path: Path) -> None:
    """Arrays are imported like files: the samples come back, and an array without a rate is refused."""
    rng = np.random.default_rng(1)
    acc_g = np.round(rng.normal([0, 0.6, 0.8], 0.002, (2000, 3)), 4)
    night = tm.import_night(
        tmp_path / "b.night",
        {"left_calf": acc_g},
        fs_hz=100,
        start="2026-11-22T23:30:00+01:00",
        time_zone="Europe/Berlin",
    )
    back = tm.samples(night, "left_calf")
    np.testing.assert_allclose(back.acc_g, acc_g, atol=1e-4)
    assert back.fs_hz == pytest.approx(100)
    with pytest.raises(BadValueError, match="give fs_hz"):
        tm.import_night(tmp_path / "c.night", {"left_calf": acc_g})
    for wrong in (acc_g[:, :2], [["a", "b", "c"]], 5, None, b"a.csv", [[1, 2, 3], [1, 2]], acc_g * 1j):
        with pytest.raises(BadValueError, match=r"left_calf is a file, or numbers of shape \(n, 3\)"):
            tm.import_night(tmp_path / "c.night", {"left_calf": wrong}, fs_hz=100)  # type: ignore[dict-item]
    with pytest.raises(BadValueError, match="by site"):
        tm.import_night(tmp_path / "c.night", acc_g, fs_hz=100)  # type: ignore[arg-type]
    assert not (tmp_path / "c.night").exists()
    with pytest.raises(NotEmptyError):
        tm.import_night(night.path, {"left_calf": acc_g}, fs_hz=100)


def test_results_say_what_they_are(made: Path, tmp_path: Path) -> None:
    """Results name the night, the model and that it is simulated; the map is drawn in text, SVG and files."""
    twitches = tm.load_run(made)
    for text in (repr(twitches), twitches._repr_html_()):
        assert made.name in text
        assert "simulated" in text
        assert "left_calf" in text
    drawn = tm.twitch_map(twitches)
    assert "left calf" in repr(drawn)
    assert drawn._repr_html_().startswith("<svg")
    for name in ("map.svg", "MAP.SVG", "map.png"):
        if name.endswith("png"):
            pytest.importorskip("matplotlib", reason="matplotlib is not installed")
        assert drawn.save(tmp_path / name).stat().st_size > 1000
    assert repr(tm.open(made)).startswith(f"{made.name}: simulated, left_calf (100 Hz)")
    whole = tm.twitch_map(twitches, None)
    assert len(whole) == 2
    assert whole["valid_s"].max() <= tm.open(made).duration_s
    assert whole["twitches"].sum() == drawn["twitches"].sum()


def test_markup_in_names_is_text(tmp_path: Path) -> None:
    """Markup in the name of a night reaches a notebook as text."""
    path = counted_night(tmp_path / "2026-10-24_<b>bold<b>.night")
    shown = tm.load_run(path)._repr_html_() + tm.twitch_map(tm.load_run(path))._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown


def test_not_observed_is_no_number(tmp_path: Path) -> None:
    """Where nothing was observed a data frame has no rate, where nothing was seen it has zero."""
    path = counted_night(tmp_path / "c.night")
    counts = tm.twitch_map(tm.load_run(path)).to_pandas()
    calf = counts[counts["site"] == "left_calf"]
    assert calf.loc[calf["valid_s"] == 0, "rate_per_h"].isna().all()
    assert (calf["valid_s"] == 0).any()
    forearm = counts[(counts["site"] == "left_forearm") & (counts["valid_s"] > 0)]
    assert (forearm["rate_per_h"] == 0).all()
    local = calf["bin_start_local"]
    assert str(local.dt.tz) == "Europe/Berlin"
    assert (local == calf["bin_start_utc"]).all(), "the hour that comes twice is told apart"


WRONG: list[tuple[Callable[[Path], object], type[tm.TwitchmapError], str]] = [
    (lambda night: tm.open("2025-01-01", night.parent), NotFoundError, "There is no night of 2025-01-01"),
    (lambda _: tm.open(5), BadValueError, "something of type int"),  # type: ignore[arg-type]
    (lambda night: tm.nights(night / "not there"), NotFoundError, "There is no folder"),
    (lambda night: tm.load_run(night, "zzz"), NotFoundError, "its runs are"),
    (lambda night: tm.load_run(night)["peaks"], BadValueError, "the columns are event_id, site"),
    (lambda night: tm.twitch_map(tm.open(night)), BadValueError, "load_run"),  # type: ignore[arg-type]
    (lambda night: tm.twitch_map(tm.load_run(night), "15min"), BadValueError, "of a bin in seconds is"),  # type: ignore[arg-type]
    (lambda night: tm.twitch_map(tm.load_run(night), 0), BadValueError, "Time bins of 0 s"),
    (lambda night: tm.twitch_map(tm.load_run(night)).save("map.gif"), BadValueError, ".svg or .png"),
    (lambda night: tm.load_run(night).to_pandas("twitches"), BadValueError, "the tables are events"),  # type: ignore[arg-type]
    (lambda night: tm.samples(night, "left_claf"), BadValueError, "its sites are left_calf, right_thigh"),
    (lambda night: tm.samples(night, "left_calf", "22:00"), BadValueError, "in seconds from"),  # type: ignore[arg-type]
    (lambda night: tm.samples(night, "left_calf", 9, 3), BadValueError, "give end_s above it"),
    (lambda night: tm.samples(night, "left_calf", math.nan), BadValueError, "not at nan s"),
    (lambda night: tm.samples(night, "left_calf", None, math.inf), BadValueError, "not at inf s"),
    (lambda night: tm.detect(night, model="nobody"), NotFoundError, "nobody"),
    (lambda night: tm.detect(night, operating_point="often"), BadValueError, "specific, balanced, sensitive"),
    (lambda night: tm.score(tm.load_run(night), night / "truth.csv"), NotFoundError, "truth.csv"),
    (lambda night: tm.simulate(night / "x", sites="left_calf"), BadValueError, "Sites are a list"),
    (lambda night: tm.simulate(night / "x", truth=night / "no" / "t.csv"), BadValueError, "no folder"),
    (lambda night: tm.import_night(night / "x", {3: "a"}), BadValueError, "Each of the sites"),  # type: ignore[dict-item]
    (lambda night: tm.import_night(night / "x", {"left_calf": "a\0.csv"}), BadValueError, "is not"),
    (lambda night: tm.load_run(night)[np.ones(3, bool)], BadValueError, "that is something of type ndarray"),  # type: ignore[index]
    (lambda night: tm.load_run(night).to_pandas(["events"]), BadValueError, "that is something of type list"),  # type: ignore[arg-type]
    (lambda night: tm.counts(night, tm.open(night)), BadValueError, "load_run"),  # type: ignore[arg-type]
]  # fmt: skip

WRONG_TYPES: list[tuple[str, Callable[[Path, Any], object], tuple[object, ...]]] = [
    ("folder of the nights", lambda _, wrong: tm.nights(wrong), (3, b"x", "a\0b", ["x"])),
    ("folder of the nights", lambda _, wrong: tm.open("last", wrong), (3, b"x", "a\0b")),
    ("folder of the night", lambda _, wrong: tm.simulate(wrong), (3, None, b"x", "a\0b")),
    ("length in hours", lambda night, wrong: tm.simulate(night / "x", hours=wrong), ("x", None, True, 1j)),
    ("Sites", lambda night, wrong: tm.simulate(night / "x", sites=wrong), (5, b"left_calf")),
    ("Each of the sites", lambda night, wrong: tm.simulate(night / "x", sites=wrong), ([5], [None])),
    ("profile", lambda night, wrong: tm.simulate(night / "x", profile=wrong), (3, ["few"])),
    ("seed", lambda night, wrong: tm.simulate(night / "x", seed=wrong), ("x", 1.5, None, True)),
    ("rate in Hz", lambda night, wrong: tm.simulate(night / "x", fs_hz=wrong), ("x", None)),
    ("file of the truth", lambda night, wrong: tm.simulate(night / "x", truth=wrong), (3, "a\0b")),
    ("folder of the night", lambda _, wrong: tm.import_night(wrong, {"left_calf": "a.csv"}), (3, None)),
    ("rate in Hz", lambda night, wrong: imported(night, fs_hz=wrong), ("x", [100.0, 1.0])),
    ("unit", lambda night, wrong: imported(night, unit=wrong), (3, ["g"])),
    ("start", lambda night, wrong: imported(night, start=wrong), (3, datetime(2026, 1, 1, tzinfo=UTC))),
    ("time zone", lambda night, wrong: imported(night, time_zone=wrong), (3,)),
    ("participant", lambda night, wrong: imported(night, participant=wrong), (3, None)),
    ("model", lambda night, wrong: tm.detect(night, model=wrong), (3, Path("x"))),
    ("operating point", lambda night, wrong: tm.detect(night, operating_point=wrong), (3, None, [""])),
    ("file of the truth", lambda night, wrong: tm.score(tm.load_run(night), wrong), (3, None, "a\0b")),
    ("from the night's start", lambda night, wrong: tm.samples(night, "left_calf", wrong), (True, 1j, [1])),
    ("length of a bin", lambda night, wrong: tm.counts(night, tm.load_run(night), wrong), ("x", True, 1j)),
    ("picture's file", lambda night, wrong: tm.twitch_map(tm.load_run(night)).save(wrong), (3, b"x.svg")),
]  # fmt: skip
"""What a sentence names, a call with a wrong argument, and arguments that are wrong."""


def imported(night: Path, **options: Any) -> tm.Night:
    """Import a small array beside a night."""
    return tm.import_night(night / "x", {"left_calf": np.ones((9, 3))}, **{"fs_hz": 100.0, **options})


@pytest.mark.parametrize(("named", "call", "wrong"), WRONG_TYPES)
def test_wrong_types_are_told_before_anything_is_done(
    made: Path, named: str, call: Callable[[Path, Any], object], wrong: tuple[object, ...]
) -> None:
    """An argument of a wrong type is one of our own errors, which names it; nothing is made."""
    for one in wrong:
        there = sorted(made.parent.rglob("*"))
        with pytest.raises(BadValueError, match=f"{named}.* (given as|is not)"):
            call(made, one)
        assert sorted(made.parent.rglob("*")) == there


def test_numbers_may_be_those_of_numpy(tmp_path: Path, made: Path) -> None:
    """Numbers and texts of numpy do as well as those of Python; a number too large to hold is told."""
    night = tm.simulate(
        tmp_path / "a.night", hours=np.float32(0.05), seed=np.int64(3), sites=np.array(["left_calf"])
    )
    same = tm.simulate(tmp_path / "b.night", hours=0.05000000074505806, seed=3, sites=["left_calf"])
    np.testing.assert_array_equal(tm.samples(night, "left_calf").acc_g, tm.samples(same, "left_calf").acc_g)
    part = tm.samples(night, "left_calf", 100, 100.5)
    for kind in (np.float16, np.float32, np.uint8, np.float64):
        asked = tm.samples(night, "left_calf", kind(100), kind(100.5) if kind is not np.uint8 else 100.5)
        np.testing.assert_array_equal(asked.time_s, part.time_s)
    with pytest.raises(BadValueError, match="not inf"):
        tm.simulate(tmp_path / "c.night", hours=10**400)
    run = tm.load_run(made)
    np.testing.assert_array_equal(tm.counts(made, run, np.int32(900)), tm.twitch_map(run, 900).counts)


def test_what_is_masked_is_no_number(tmp_path: Path) -> None:
    """A masked array's hidden numbers are not imported as if they had been measured."""
    acc_g = np.random.default_rng(1).normal([0, 0.6, 0.8], 0.002, (2000, 3))
    hidden = np.ma.masked_array(acc_g, mask=np.zeros((2000, 3), bool))
    hidden[1000] = np.ma.masked
    night = tm.import_night(tmp_path / "a.night", {"left_calf": hidden}, fs_hz=100)
    assert len(tm.samples(night, "left_calf", nan_at_gaps=False)) == 1999
    hidden[100:] = np.ma.masked
    with pytest.raises(tm.TwitchmapError, match="1,900 of 2,000 rows"):
        tm.import_night(tmp_path / "b.night", {"left_calf": hidden}, fs_hz=100)


def test_an_array_is_named_by_its_site(tmp_path: Path) -> None:
    """What is wrong with an array is told of the array, not of the file that it passes through."""
    with pytest.raises(tm.TwitchmapError, match=r"^The array for left_calf: all its samples are the same"):
        tm.import_night(tmp_path / "a.night", {"left_calf": np.zeros((1000, 3))}, fs_hz=100)


def test_counts_are_of_their_own_night(made: Path, night: Path) -> None:
    """Twitches of one night are not counted over another, which would have another start."""
    twitches = tm.load_run(made)
    assert tm.counts(made, twitches)["twitches"].sum() == len(twitches)
    with pytest.raises(BadValueError, match=f"These are twitches of {made.name}, not of"):
        tm.counts(night, twitches)


def test_nights_and_sites_are_compared(made: Path) -> None:
    """What is said of two sides, opened or not, is what the rules say; one night is no side."""
    sites = tm.open(made).sites[:2]
    compared = tm.compare([tm.open(made)], [made], *sites)
    assert compared == compare_nights([made], [made], *sites)
    assert "5 nights on each side" in compared.no_ratio
    with pytest.raises(BadValueError, match="given as a list"):
        tm.compare(made, [made], *sites)  # type: ignore[arg-type]


def test_nights_are_told_apart(made: Path) -> None:
    """Nights can be compared and be keys: each that was opened is one of its own."""
    first, second = tm.open(made), tm.open(made)
    assert first != second
    assert {first: 1, second: 2}[first] == 1


def test_a_truth_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The night that was made stays, and a sentence says that its truth is missing."""
    with pytest.raises(StorageError, match=r"night is made, but its truth .*Is a directory"):
        tm.simulate(tmp_path / "a.night", hours=0.05, sites=["left_calf"], truth=tmp_path)
    assert tm.open(tmp_path / "a.night").sites == ("left_calf",)


@pytest.mark.parametrize(("call", "error", "sentence"), WRONG, ids=[one[2] for one in WRONG])
def test_what_is_wrong_is_told(
    made: Path, call: Callable[[Path], object], error: type[tm.TwitchmapError], sentence: str
) -> None:
    """A wrong name, type or value is one of our own errors with a sentence that says what there is."""
    with pytest.raises(error) as raised:
        call(made)
    assert sentence in str(raised.value)


def test_without_pandas(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas columns are had all the same, and a sentence says how to install it."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    twitches = tm.load_run(made)
    assert len(twitches["peak_s"]) == len(twitches) > 0
    for result in (twitches, tm.twitch_map(twitches), tm.samples(made, "left_calf", 1, 2)):
        with pytest.raises(MissingExtraError, match=r'pip install "twitchmap\[pandas\]"'):
            result.to_pandas()


def test_names_come_when_they_are_asked_for() -> None:
    """Importing the package imports nothing; each name is there, and the map is a function in any order."""
    script = (
        "import sys\nimport firmware_host as tm\n"
        "assert not {'numpy', 'click', 'firmware_host.errors'} & set(sys.modules)\n"
        "assert set(tm.__all__) <= set(dir(tm))\n"
        "from firmware_host.twitch_map import State\n"
        "assert all(getattr(tm, name) for name in tm.__all__)\n"
        "assert callable(tm.twitch_map), tm.twitch_map\n"
        "from firmware_host import twitch_map\nassert callable(twitch_map)\n"
        "assert not {'pandas', 'scipy', 'sklearn', 'matplotlib', 'bleak'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_there() -> None:
    """A misspelt name is answered with those that there are."""
    with pytest.raises(AttributeError, match=r"it has .*twitch_map"):
        tm.twitchmap  # noqa: B018
