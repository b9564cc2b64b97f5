"""A night in, events and coverage out: what joins recording, detection and results."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_results_store import as_of_schema_1

import firmware_host as tm
from firmware_host import analysis
from firmware_host.analysis import detect_night, runs
from firmware_host.detection.classifier import FRAME_VERSION
from firmware_host.errors import BadFileError, BadValueError, NotFoundError
from firmware_host.recording import NightMeta, ResultsStore, SensorInfo, amend_night, create_night
from firmware_host.simulation import demonstration, simulate_night
from firmware_host.twitches import EVENT_COLUMNS, Column, Flag, Kind, valid_s


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a simulated night of a quarter of an hour with a run."""
    path = tmp_path_factory.mktemp("nights") / "short.night"
    simulate_night(path, spec=demonstration(5, 1 / 4))
    tm.detect(tm.open(path))
    return path


@pytest.fixture
def night(simulated: Path, tmp_path: Path) -> Path:
    """Copy it for a test that changes it."""
    return Path(shutil.copytree(simulated, tmp_path / simulated.name))


def noise_night(
    folder: Path, rates_hz: dict[str, float], seconds: int = 60, ends_s: dict[str, int] | None = None
) -> Path:
    """Make a night of white noise, one sensor a site."""
    rng = np.random.default_rng(3)
    sensors = tuple(
        SensorInfo(index=i, site=site, fs_hz=fs_hz, g_per_count=1e-4, sample_type="int16", range_g=3.0)
        for i, (site, fs_hz) in enumerate(rates_hz.items())
    )
    meta = NightMeta(
        participant="p", label="", origin="simulated", time_zone="UTC", start_ns=10**18, sensors=sensors,
        twitchmap="test",
    )  # fmt: skip
    with create_night(folder, meta) as writer:
        for second in range(seconds):
            for info in sensors:
                if second >= (ends_s or {}).get(info.site, seconds):
                    continue
                n = round(info.fs_hz)
                counts = rng.normal((0, 0, 10_000), 10, (n, 3)).astype(np.int16)
                at_ns = round((second + 1) * n / info.fs_hz * 1e9)
                writer.append_samples(
                    info.index, counts, second * n, arrival_mono_ns=at_ns, arrival_utc_ns=10**18 + at_ns
                )
    return folder


def test_coverage_tiles_the_night_of_every_site(simulated: Path) -> None:
    """From the start to the end of the night every moment of every site has exactly one kind."""
    night = tm.open(simulated)
    run = tm.load_run(night)
    assert len(night.sites) == 4
    for site in night.sites:
        rows = run.coverage[run.coverage["site"] == site]
        assert rows["start_s"][0] == 0
        assert rows["end_s"][-1] == pytest.approx(night.duration_s, abs=1e-6)
        np.testing.assert_array_equal(rows["start_s"][1:], rows["end_s"][:-1])


@pytest.mark.long
def test_a_stored_run_is_the_run(night: Path) -> None:
    """What `detect` returns is what `load_run` reads back, and a repeated run finds the same."""
    first = tm.detect(night)
    again = tm.detect(night)
    stored = tm.load_run(tm.open(night), first.info.run_id)
    assert stored.events.tobytes() == first.events.tobytes()
    assert stored.coverage.tobytes() == first.coverage.tobytes()
    assert again.events.tobytes() == first.events.tobytes()
    assert stored.summary == first.summary
    assert tm.load_run(tm.open(night)).info.run_id == again.info.run_id


def test_counted_follows_the_operating_point(night: Path) -> None:
    """The specific point counts no event that the sensitive one does not, and fewer of them."""
    runs = [tm.load_run(tm.open(night))]  # of the fixture, at the usual point
    runs += [tm.detect(night, operating_point=point) for point in ("specific", "sensitive")]
    counted = {run.info.operating_point: set(run.counted["peak_s"].tolist()) for run in runs}
    assert counted["specific"] < counted["sensitive"]
    assert counted["specific"] <= counted["balanced"] <= counted["sensitive"]


def test_counts_follow_a_corrected_site(night: Path) -> None:
    """Sites that were mixed up and are put right keep their counts, under their right names."""
    opened = tm.open(night)
    one, two = opened.sites[:2]
    before = {row["site"]: row["twitches"] for row in tm.counts(opened, tm.load_run(opened))}
    amend_night(night, sites={one: two, two: one})
    amend_night(night, sites={one: "left_foot"})
    opened = tm.open(night)
    run = tm.load_run(opened)
    after = {row["site"]: row["twitches"] for row in tm.counts(opened, run)}
    assert before[one] != before[two]
    assert after[two] == before[one]
    assert after["left_foot"] == before[two]
    assert {site.site for site in run.summary.sites} == set(opened.sites)


def test_a_site_corrected_while_it_is_counted(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever puts two sites right while detection runs finds the new counts under their right names too."""
    one, two = tm.open(night).sites[:2]
    find = runs.find_candidates

    def slowly(*arguments: Any, **more: Any) -> Any:
        amend_night(night, sites={one: two, two: one})
        return find(*arguments, **more)

    monkeypatch.setattr(runs, "find_candidates", slowly)
    before = tm.load_run(tm.open(night))
    detect_night(tm.open(night))
    monkeypatch.undo()
    after = tm.load_run(tm.open(night))
    assert after.info.run_id != before.info.run_id
    counted = [{site.site: site.twitches for site in run.summary.sites} for run in (before, after)]
    assert counted[0][one] != counted[0][two]
    assert counted[1] == {one: counted[0][two], two: counted[0][one]} | {
        site: n for site, n in counted[0].items() if site not in {one, two}
    }


def test_found_once_judged_often(simulated: Path) -> None:
    """What is found does not depend on who judges it: each model and point gives what its own run gives."""
    findings = analysis.find_candidates(simulated, 5.5)
    before = findings.rows.tobytes()
    model, _ = analysis.load_model("plain")
    for point in ("specific", "sensitive"):
        rows = analysis.judge(findings, model, point)
        run = tm.detect(simulated, model="plain", operating_point=point)
        assert analysis.events_of(rows).tobytes() == run.events.tobytes()
    assert findings.rows.tobytes() == before
    assert np.isnan(findings.rows["probability"]).all()
    assert not findings.rows["counted"].any()
    fewer = analysis.find_candidates(simulated, 7.0).rows
    large = findings.rows[findings.rows["score"] >= 7.0]
    assert 0 < len(large) < len(findings.rows)
    large["event_id"] = np.arange(len(large))
    assert fewer.tobytes() == large.tobytes()


def test_all_candidates_are_stored_with_what_speaks_for_them(night: Path) -> None:
    """A run keeps candidates that do not count, marked as such, with the features and context of each."""
    run = tm.detect(night, model="plain")
    below = (run.events["flags"] & np.uint32(Flag.BELOW_FLOOR)) > 0
    np.testing.assert_array_equal(below, ~run.events["counted"])
    assert 0 < below.sum() < len(below)
    stored = ResultsStore(night).read_events(run.info.run_id, analysis.row_columns())
    found = analysis.find_candidates(night, 5.5).rows
    found = found[found["side_lobe"] == 0]  # `plain` counts none of those
    assert 0 < len(stored) == len(found)
    for column in analysis.row_columns():
        if column.name not in {"event_id", "counted", "flags", "reason"}:
            np.testing.assert_array_equal(stored[column.name], found[column.name], err_msg=column.name)
    assert (found["other_sites"] > 0).mean() > 0.9


def test_a_boosted_model_judges_a_night(night: Path) -> None:
    """A model of trees gives each candidate a probability, and counts from its operating point on."""
    leaf = {"threshold": [8.0, 0.0, 0.0], "missing_left": [False] * 3, "left": [1, 0, 0], "right": [2, 0, 0]}
    content = {
        "name": "mine", "version": "1", "frame": FRAME_VERSION, "kind": "boosted", "made": "by hand",
        "operating_points": {"specific": 0.9, "balanced": 0.6, "sensitive": 0.1}, "candidate_score": 5.5,
        "features": ["score"], "baseline": 0.0,
        "trees": [{"feature": [0, 0, 0], "value": [0.0, -1.0, 1.0], **leaf}],
        "calibration": {"log_odds": [-1.0, 1.0], "calibrated": [-2.0, 1.0]},
    }  # fmt: skip
    folder = night.parent / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(content))
    run = tm.detect(night, model="mine")
    large = run.events["probability"] > 0.5
    assert run.events["probability"][large] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert run.events["probability"][~large] == pytest.approx(1 / (1 + np.exp(2.0)))
    np.testing.assert_array_equal(run.events["counted"], large)
    assert 0 < large.sum() < len(large)
    assert "trees" not in json.loads(run.info.settings)


def test_a_slow_sensor_is_named_and_not_observed(tmp_path: Path) -> None:
    """A site sampled too slowly is warned of and has no valid time; the other sites are not harmed."""
    path = noise_night(tmp_path / "n.night", {"left_calf": 100.0, "right_calf": 25.0, "left_hand": 52.0})
    run = tm.detect(path)
    assert ["right_calf has 25 samples" in w or "left_hand: below 90" in w for w in run.summary.warnings] == [
        True,
        True,
    ]
    assert valid_s(run.coverage[run.coverage["site"] == "left_calf"]) > 50
    counts = tm.counts(tm.open(path), run)
    assert np.isnan(counts["rate_per_h"][counts["site"] == "right_calf"]).all()


def test_a_sensor_that_sent_nothing_is_a_gap_all_night(tmp_path: Path) -> None:
    """A silent and a slow sensor beside a good one: named, their night a gap, the good one as if alone."""
    rates = {"left_calf": 100.0, "right_calf": 100.0, "left_hand": 25.0}
    path = noise_night(tmp_path / "n.night", rates, ends_s={"right_calf": 0})
    run = tm.detect(path)
    assert "right_calf: the sensor sent nothing." in run.summary.warnings
    for site in ("right_calf", "left_hand"):
        (row,) = run.coverage[run.coverage["site"] == site]
        assert (row["start_s"], row["kind"]) == (0, Kind.GAP)
        assert row["end_s"] == pytest.approx(60, abs=0.1)
    alone = tm.detect(noise_night(tmp_path / "m.night", {"left_calf": 100.0}))
    own = run.coverage[run.coverage["site"] == "left_calf"]
    assert own["kind"].tolist()[:3] == alone.coverage["kind"].tolist()[:3] == [Kind.GAP, Kind.VALID, Kind.GAP]
    assert tm.load_run(tm.open(path)).coverage.tobytes() == run.coverage.tobytes()


def test_runs_of_an_older_twitchmap_are_still_read(night: Path) -> None:
    """Results of schema 1, without the newer columns, open, take new runs, and keep the old ones."""
    old = tm.detect(night, model="plain")
    as_of_schema_1(night, *EVENT_COLUMNS, Column("score", "f8", "", ""))
    with closing(sqlite3.connect(night / "results.sqlite")) as connection:
        connection.execute("UPDATE events SET score = 7.5")
        connection.commit()
    assert tm.load_run(tm.open(night), old.info.run_id).events.tobytes() == old.events.tobytes()
    new = tm.detect(night, model="plain")
    rows = [ResultsStore(night).read_events(run.info.run_id, analysis.row_columns()) for run in (old, new)]
    assert np.isnan(rows[0]["other_sites"]).all()
    assert np.isfinite(rows[1]["other_sites"]).all()
    assert (rows[0]["score"] == 7.5).all()
    assert (rows[1]["score"] != 7.5).all()


def test_only_slow_sensors_are_refused(tmp_path: Path) -> None:
    """A night in which no site can be judged gives the sentence and no run."""
    path = noise_night(tmp_path / "n.night", {"right_calf": 25.0}, seconds=10)
    with pytest.raises(BadValueError, match="right_calf has 25 samples a second"):
        tm.detect(path)
    assert analysis.runs_of(path) == []


def test_a_night_without_samples_is_refused(tmp_path: Path) -> None:
    """A night in which no sensor sent anything gives a sentence."""
    path = noise_night(tmp_path / "n.night", {"right_calf": 100.0}, seconds=0)
    with pytest.raises(BadValueError, match="right_calf: the sensor sent nothing"):
        tm.detect(path)


def test_a_sensor_that_died_is_a_gap_to_the_end(tmp_path: Path) -> None:
    """After a sensor's last sample its site is a gap, as long as the night goes on."""
    rates = {"left_calf": 100.0, "right_calf": 100.0}
    path = noise_night(tmp_path / "n.night", rates, ends_s={"right_calf": 40})
    run = tm.detect(path)
    last = run.coverage[run.coverage["site"] == "right_calf"][-1]
    assert last["kind"] == Kind.GAP
    assert last["start_s"] == pytest.approx(40, abs=0.2)
    assert last["end_s"] == pytest.approx(60, abs=0.1)


def test_results_that_cannot_be_stored_are_known_at_once(night: Path) -> None:
    """A damaged results file is named before any detection, and a new one can be made in its place."""
    (night / "results.sqlite").write_bytes(b"no database at all" * 300)
    shares: list[float] = []
    with pytest.raises(BadFileError, match="delete it and detect again"):
        analysis.detect_night(night, progress=shares.append)
    assert shares == []
    (night / "results.sqlite").unlink()
    assert len(tm.detect(night).events)


def test_unknown_names_are_sentences(night: Path) -> None:
    """An unknown model, operating point or run is answered with those that there are."""
    with pytest.raises(NotFoundError, match=r"no model called 'best'.*plain"):
        tm.detect(night, model="best")
    with pytest.raises(BadValueError, match=r"'exact' is no operating point.*balanced"):
        tm.detect(night, operating_point="exact")
    with pytest.raises(NotFoundError, match="no run 'abc'"):
        tm.load_run(tm.open(night), "abc")


def test_own_models_never_shadow_a_shipped_one(night: Path) -> None:
    """A model beside the nights is found by its name, but never in place of a shipped one."""
    bundle, _ = analysis.load_model("plain")
    for name in ("plain", "mine"):
        folder = night.parent / "models" / name
        folder.mkdir(parents=True)
        content = json.loads((analysis.model_folders()[0] / "plain" / "model.json").read_bytes())
        (folder / "model.json").write_text(json.dumps({**content, "version": "7"}))
    assert analysis.load_model("plain", night.parent)[0] == bundle
    assert analysis.load_model("mine", night.parent)[0].version == "7"
    assert tm.detect(night, model="mine").info.model == "mine 7"
    (night.parent / "models" / "mine" / "model.json").write_text('{"name": "mine"}')
    with pytest.raises(BadFileError, match=r"model\.json cannot be used"):
        tm.detect(night, model="mine")


def test_the_public_names_are_there() -> None:
    """Every public name can be used, is listed, and an unknown one is answered with the list."""
    assert all(getattr(tm, name) is not None for name in tm.__all__)
    assert set(tm.__all__) <= set(dir(tm))
    with pytest.raises(AttributeError, match="it has Night"):
        tm.nothing  # noqa: B018


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET created_utc = 'yesterday'",
        "UPDATE runs SET settings = 'none'",
        "UPDATE runs SET summary = 'none'",
        "UPDATE coverage SET kind = 99",
        "UPDATE packed SET data = (SELECT data FROM packed WHERE name = 'site') WHERE name = 'peak_s'",
        "UPDATE packed SET data = zeroblob(length(data)) WHERE name = 'peak_s'",
    ],
)
def test_a_run_that_cannot_be_is_refused(night: Path, change: str) -> None:
    """Results that were changed to what no detection gives are refused with what to do, never shown."""
    with closing(sqlite3.connect(night / "results.sqlite")) as connection:
        connection.execute(change)
        connection.commit()
    with pytest.raises(BadFileError, match="detect again"):
        tm.load_run(tm.open(night))
