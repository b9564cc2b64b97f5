"""What a reviewer says, laid over a run: counts follow, for this run and any other of the night."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import made_runs
import numpy as np
import pytest
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import CALF, NIGHT_S, SITES, START_NS, THIGH, label, load, ns, of

import firmware_host as tm
from firmware_host import analysis
from firmware_host.analysis.labelled import MATCH_S, labelled, nearest_pairs, said_of, site_slices
from firmware_host.analysis.labelling import wear_questions, write_label
from firmware_host.errors import BadValueError
from firmware_host.recording import NightMeta, amend_night, verify
from firmware_host.recording.labels import Label as Decision
from firmware_host.recording.labels import Labels, add_label, undo
from firmware_host.twitches import Flag, Kind, Label, valid_s

made, night = made_runs.made, made_runs.night


def counted(night: Path) -> dict[str, int]:
    """Return the twitches of the whole night, by site, as the map has them."""
    opened = tm.open(night)
    return {str(row["site"]): int(row["twitches"]) for row in tm.counts(opened, tm.load_run(opened))}


def test_a_rejected_event_no_longer_counts(night: Path) -> None:
    """Counts, flags and summary follow a verdict at once, undo brings all of it back to the byte."""
    before, numbers = load(night), counted(night)
    event = of(before.counted)[3]
    label(night, "not_twitch", event["peak_s"])
    run = load(night)
    row = run.events[run.events["event_id"] == event["event_id"]][0]
    assert (row["label"], row["counted"]) == (Label.NOT_TWITCH, False)
    assert row["flags"] & Flag.REJECTED
    assert counted(night)[CALF] == numbers[CALF] - 1
    assert run.summary.sites[0].twitches == before.summary.sites[0].twitches - 1
    others = run.events["event_id"] != event["event_id"]
    assert run.events[others].tobytes() == before.events[others].tobytes()
    undo(night)
    assert load(night).events.tobytes() == before.events.tobytes()
    assert counted(night) == numbers


def test_an_accepted_candidate_counts(night: Path) -> None:
    """A twitch that a reviewer accepts counts, though it is below the operating point."""
    below = of(load(night).events)
    below = below[~below["counted"] & (below["peak_s"] < 300)][0]
    numbers = counted(night)
    label(night, "twitch", below["peak_s"])
    row = of(load(night).events)
    row = row[row["event_id"] == below["event_id"]][0]
    assert (row["label"], row["counted"]) == (Label.TWITCH, True)
    assert not row["flags"] & Flag.REJECTED
    assert row["flags"] & Flag.BELOW_FLOOR
    assert counted(night)[CALF] == numbers[CALF] + 1


def test_the_last_word_counts(night: Path) -> None:
    """Of several verdicts on one event the last holds; to be unable to tell changes nothing."""
    event = of(load(night).counted)[0]
    for what, verdict in (
        ("not_twitch", Label.NOT_TWITCH), ("cannot_tell", Label.NOT_TWITCH), ("twitch", Label.TWITCH),
        ("no_verdict", Label.NONE), ("not_twitch", Label.NOT_TWITCH), ("added", Label.TWITCH),
    ):  # fmt: skip
        label(night, what, event["peak_s"])
        rows = of(load(night).events)
        assert rows["label"][rows["event_id"] == event["event_id"]] == verdict
    assert len(load(night).events) == len(load(night, with_labels=False).events)


def test_labels_hold_for_another_run(night: Path) -> None:
    """A later run that finds the same events some milliseconds off, and others, keeps every verdict."""
    rows = made_runs.events()
    chosen = of(rows)[::7]
    label(night, "not_twitch", chosen["peak_s"])
    later = rows[np.random.default_rng(3).random(len(rows)) < 0.9]
    later["peak_s"] += 0.02
    later["probability"] = 0.99
    later["counted"] = True
    later["event_id"] = np.arange(len(later))
    made_runs.write_run(night, later, "run2")
    run = load(night)
    assert run.info.run_id == "run2"
    found = of(run.events)
    want = np.isin(np.round(found["peak_s"] - 0.02, 3), np.round(chosen["peak_s"], 3))
    np.testing.assert_array_equal(found["label"] == Label.NOT_TWITCH, want)
    assert 5 < want.sum() < len(chosen)


def test_a_twitch_that_no_candidate_is_near_is_a_row(night: Path) -> None:
    """An added twitch counts, is numbered after all others, and what was not measured is an empty cell."""
    events = load(night).events
    gap_s = of(events)["peak_s"]
    free = gap_s[:-1][np.diff(gap_s) > 1.5][0] + 0.7
    numbers = counted(night)
    label(night, "added", free)
    run = load(night)
    row = run.events[run.events["event_id"] == len(events)][0]
    assert (row["site"], row["label"], row["counted"], row["unit"]) == (CALF, Label.TWITCH, True, -1)
    assert row["peak_s"] == pytest.approx(free)
    assert np.isnan(row["peak_to_peak_mg"])
    assert np.all(np.diff(of(run.events)["peak_s"]) >= 0)
    assert list(site_slices(run.events)) == list(SITES)
    assert counted(night)[CALF] == numbers[CALF] + 1
    from firmware_host.formats.exporting import export

    export([tm.open(night)], night / "out")
    line = next(
        line for line in (night / "out" / "events.csv").read_text().splitlines() if ",twitch," in line
    )
    assert ",,,,,1,twitch,," in line


def test_a_twitch_outside_valid_time_is_kept_and_counts_nowhere(night: Path, run: Run) -> None:
    """What is added in a movement has its row and label, and no output counts it."""
    before, numbers = load(night), counted(night)
    label(night, "added", 325.0)
    after = load(night)
    (row,) = after.events[after.events["peak_s"] == 325.0]
    assert (row["label"], row["counted"]) == (Label.TWITCH, False)
    assert counted(night) == numbers
    assert [site.twitches for site in after.summary.sites] == [site.twitches for site in before.summary.sites]
    share = json.loads(run("nights", "--dir", night.parent, "--json")[1])[0]["valid_share"]
    write_label(night, after, after, what="exclude", site=CALF, start_s=0, end_s=300)
    assert json.loads(run("nights", "--dir", night.parent, "--json")[1])[0]["valid_share"] < share - 0.1


def test_labels_of_other_sites_and_times_are_left_out(night: Path) -> None:
    """A label of a site that the night has not, or outside of the night, changes nothing."""
    before = load(night).events.tobytes()
    label(night, "added", [5.0, 6.0], "right_foot")
    label(night, "added", [-5.0, NIGHT_S + 5.0])
    label(night, "added", [5.0], "'; DROP TABLE events; --")
    assert load(night).events.tobytes() == before


def test_labels_follow_a_corrected_site(night: Path) -> None:
    """Sites that were mixed up and are put right take the labels given before with them."""
    event = of(load(night).counted)[0]
    label(night, "not_twitch", event["peak_s"])
    amend_night(night, sites={CALF: "left_foot"})
    # the run is of the old name, made long before
    run = load(night)
    assert (of(run.events, "left_foot")["label"] == Label.NOT_TWITCH).sum() == 1
    label(night, "not_twitch", of(run.counted, "left_foot")[0]["peak_s"], "left_foot")
    assert (of(load(night).events, "left_foot")["label"] == Label.NOT_TWITCH).sum() == 2


def test_an_excluded_stretch_is_not_observed(night: Path) -> None:
    """Its time is no valid time, its events do not count, and what is taken in again is as before."""
    before = load(night)
    write_label(night, before, before, what="exclude", site=CALF, start_s=100, end_s=320)
    run = load(night)
    cover = of(run.coverage)
    assert [(row["start_s"], row["end_s"], row["kind"]) for row in cover] == [
        (0, 100, Kind.VALID), (100, 320, Kind.EXCLUDED), (320, 330, Kind.MOVEMENT),
        (330, NIGHT_S, Kind.VALID),
    ]  # fmt: skip
    inside = (of(run.events)["peak_s"] >= 100) & (of(run.events)["peak_s"] < 320)
    assert not of(run.events)["counted"][inside].any()
    assert of(run.events)["counted"][~inside].sum() == of(before.events)["counted"][~inside].sum()
    assert run.summary.sites[0].seconds["excluded"] == pytest.approx(220)
    assert valid_s(of(run.coverage, THIGH)) == valid_s(of(before.coverage, THIGH))
    write_label(night, before, run, what="include", site=CALF, start_s=0, end_s=150)
    assert valid_s(of(load(night).coverage)) == pytest.approx(valid_s(of(before.coverage)) - 150)
    undo(night)
    undo(night)
    assert load(night).coverage.tobytes() == before.coverage.tobytes()


@pytest.mark.parametrize(("answer", "unworn_s"), [("worn", 0), ("not_worn", 200)])
def test_whether_the_sensor_was_on_is_asked_once(night: Path, answer: str, unworn_s: float) -> None:
    """Either answer settles what was not confirmed, and nothing else."""
    before = load(night)
    (question,) = wear_questions(before)
    assert (question.site, question.start_s, question.end_s) == (THIGH, 400, NIGHT_S)
    write_label(
        night, before, before, what=answer, site=question.site, start_s=0, end_s=NIGHT_S,  # type: ignore[arg-type]
    )  # fmt: skip
    run = load(night)
    assert not wear_questions(run)
    cover = of(run.coverage, THIGH)
    assert float((cover["end_s"] - cover["start_s"])[cover["kind"] == Kind.NOT_WORN].sum()) == unworn_s
    assert valid_s(cover) == NIGHT_S - unworn_s
    late = of(run.events, THIGH)["peak_s"] >= 400
    assert bool(of(run.events, THIGH)["counted"][late].any()) == (answer == "worn")
    assert run.labels.active[-1].drawn == "wear"


@given(st.lists(st.integers(0, 3_000), max_size=25), st.lists(st.integers(0, 3_000), max_size=25))
def test_pairs_are_the_nearest_first(one: list[int], other: list[int]) -> None:
    """Pairs are what taking the nearest two again and again gives, each once, none beyond the tolerance."""
    a, b = (np.unique(np.array(times, np.int64)) * 1_000_000 for times in (one, other))
    pairs = list(zip(*(index.tolist() for index in nearest_pairs(a, b)), strict=True))
    order = sorted(
        (abs(int(x - y)), int(min(x, y)), i, j)
        for i, x in enumerate(a) for j, y in enumerate(b) if abs(int(x - y)) <= MATCH_S * 1e9
    )  # fmt: skip
    wanted, left, right = [], set(), set()
    for _, _, i, j in order:
        if i not in left and j not in right:
            wanted.append((i, j))
            left.add(i)
            right.add(j)
    assert pairs == sorted(pairs)
    distances = [sorted(abs(int(a[i] - b[j])) for i, j in some) for some in (pairs, wanted)]
    assert distances[0] == distances[1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["twitch", "not_twitch", "cannot_tell", "no_verdict", "added"]),
            st.lists(st.integers(0, 11), max_size=8, unique=True),
            st.integers(-12, 12),
        ),
        max_size=12,
    )
)
def test_labels_end_as_if_each_was_applied_in_turn(said: list[tuple[str, list[int], int]]) -> None:
    """Whatever was said of which events, from whatever run, each event ends with what was said of it last."""
    rows = made_runs.events(14)
    events = analysis.events_of(rows[rows["site"] == CALF])
    meta = NightMeta(
        participant="", label="", origin="simulated", time_zone="UTC", start_ns=START_NS, sensors=(),
        twitchmap="",
    )  # fmt: skip
    lines, want = [], np.zeros(len(events), int)
    for number, (what, places, off_ms) in enumerate(said):
        peaks = [peak + off_ms * 1_000_000 for place in places for peak in ns(events["peak_s"][place])]
        lines.append(
            Decision(id=str(number), utc_ns=1, rater="", what=what, drawn="event", peaks_ns={CALF: peaks})  # type: ignore[arg-type]
        )
        if what != "cannot_tell":
            verdict = {"not_twitch": Label.NOT_TWITCH, "no_verdict": Label.NONE}.get(what, Label.TWITCH)
            want[places] = verdict
    cover = made_runs.coverage()
    found, same = labelled(events, cover, said_of(Labels(tuple(lines)), meta), START_NS, NIGHT_S)
    assert found["label"].tolist() == want.tolist()
    counts = np.where(want == Label.NONE, events["counted"], want == Label.TWITCH)
    np.testing.assert_array_equal(found["counted"], counts)
    assert same.tobytes() == cover.tobytes()


@pytest.mark.parametrize(
    "what",
    [
        {"what": "twitch"},
        {"what": "twitch", "site": "nowhere", "peaks_s": [1.0]},
        {"what": "twitch", "peaks_s": [1.0]},
        {"what": "twitch", "site": CALF, "peaks_s": [float("nan")]},
        {"what": "twitch", "site": CALF, "peaks_s": [-100.0]},
        {"what": "added", "site": CALF, "peaks_s": [NIGHT_S + 2]},
        {"what": "twitch", "site": CALF, "peaks_s": [1.0], "start_s": 0.0, "end_s": 5.0},
        {"what": "exclude", "site": CALF},
        {"what": "exclude", "site": CALF, "start_s": 5.0},
        {"what": "exclude", "site": CALF, "start_s": 9.0, "end_s": 5.0},
        {"what": "exclude", "start_s": float("nan"), "end_s": 5.0},
        {"what": "exclude", "site": CALF, "start_s": NIGHT_S + 1, "end_s": NIGHT_S + 9},
        {"what": "added", "site": CALF, "start_s": 0.0, "end_s": 5.0},
        {"what": "not_twitch", "site": CALF, "start_s": 0.0, "end_s": 1e-6},
    ],
)
def test_a_label_that_fits_no_night_is_refused(night: Path, what: dict[str, object]) -> None:
    """Wrong sites, times outside the night, ranges without an event: one sentence, nothing written."""
    run = load(night)
    with pytest.raises(BadValueError):
        write_label(night, run, run, **what)  # type: ignore[arg-type]
    assert not (night / "labels.jsonl").exists()


def test_a_range_is_one_line(night: Path) -> None:
    """To reject a range rejects what counts in it, at every site, by one line and one undo."""
    run = load(night)
    write_label(night, run, run, what="not_twitch", start_s=50, end_s=250)
    now = load(night)
    inside = (now.events["peak_s"] >= 50) & (now.events["peak_s"] < 250)
    np.testing.assert_array_equal(now.events["label"] == Label.NOT_TWITCH, inside & run.events["counted"])
    assert not now.counted[(now.counted["peak_s"] >= 50) & (now.counted["peak_s"] < 250)].size
    assert len((night / "labels.jsonl").read_text().splitlines()) == 1
    write_label(night, run, now, what="no_verdict", start_s=0, end_s=NIGHT_S)
    assert load(night).events.tobytes() == run.events.tobytes()


def test_a_new_detection_keeps_what_was_said(tmp_path: Path) -> None:
    """`detect` returns what `load_run` reads back, with the labels of the night in both."""
    from firmware_host.simulation import demonstration, simulate_night

    path = tmp_path / "short.night"
    simulate_night(path, spec=replace(demonstration(5, 0.1), sites=("left_calf",), chips=None))
    first = tm.detect(tm.open(path))
    event = first.counted[0]
    at_ns = first.summary.start_ns + round(float(event["peak_s"]) * 1e9)
    add_label(path, what="not_twitch", drawn="event", peaks_ns={str(event["site"]): [at_ns]})
    again = tm.detect(tm.open(path))
    assert len(again.counted) == len(first.counted) - 1
    assert load(path).events.tobytes() == again.events.tobytes()
    assert load(path, with_labels=False).events.tobytes() == first.events.tobytes()


def test_verify_reads_labels_and_diary(night: Path) -> None:
    """A broken line of what nothing can compute again is damage, named with its file."""
    label(night, "twitch", 5.0)
    assert not verify(night).damage
    for name in ("labels.jsonl", "diary.jsonl"):
        with (night / name).open("a") as file:
            file.write("rubbish\n")
    assert [one.file for one in verify(night).damage] == ["labels.jsonl", "diary.jsonl"]
    (night / "labels.jsonl").unlink()
    (night / "labels.jsonl").mkdir()
    assert [one.file for one in verify(night).damage] == ["labels.jsonl", "diary.jsonl"]
