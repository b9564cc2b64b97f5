"""Reports of several nights: side by side, trends by the rules of comparing, and the spread over the body."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from pathlib import Path
from typing import Any

import found_nights
import made_nights
import msgspec
import pytest
from conftest import Run
from read_report import Element, pages_of, read_html

from firmware_host.analysis import load_run
from firmware_host.analysis.comparing import trend_of
from firmware_host.analysis.spot_check import draw_spot_check
from firmware_host.recording import known_meta, list_nights, open_night
from firmware_host.recording.diary import write_diary
from firmware_host.recording.labels import add_label
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.report.night_report import night_report
from firmware_host.review.report.site_report import SiteReport
from firmware_host.review.report.spread import spread_of
from firmware_host.review.report.words import number as written_number
from firmware_host.review.report.words import parts as parts_of

COUNTS = {"left_calf": 300, "right_upper_arm": 40}


def nights(folder: Path, days: int, **changes: Any) -> list[Path]:
    """Make so many nights."""
    return [found_nights.made_night(folder, day, COUNTS, **changes) for day in range(days)]


def told(run: Run, *arguments: object, out: Path) -> tuple[Element, dict[str, Any]]:
    """Write a report; the section of all nights and the document."""
    code, printed, err = run("report", *arguments, "--out", out, "--json")
    assert code == 0, err
    (section,) = read_html(out.read_text()).find("section", cls="nights")
    return section, json.loads(printed)


def cells(section: Element, night: str) -> list[str]:
    """Return a night's row in the table of all."""
    (row,) = section.find("tr", data_night=night)
    return [cell.text for cell in row.children if isinstance(cell, Element)]


def test_five_nights_make_a_trend(run: Run, tmp_path: Path) -> None:
    """From five nights on each site is drawn above the limit that its nights share, as comparing has it."""
    paths = nights(tmp_path, 5)
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    trends = {one["site"]: one for one in document["together"]["trends"]}
    assert set(trends) == set(COUNTS)
    for site, found in trends.items():
        known = trend_of(paths, site)
        assert found["limit_mg"] == known.limit_mg
        for mine, theirs in zip(found["nights"], known.nights, strict=True):
            assert mine["night"] == theirs.night
            for name in ("rate_per_h", "rate_low", "rate_high"):
                assert mine[name] == getattr(theirs, name)
    charts = section.find("svg")
    assert [len(chart.find("title")) for chart in charts] == [1 + 5, 1 + 5]  # its own and one a dot
    arm, calf = (trends[site]["nights"][0] for site in ("right_upper_arm", "left_calf"))
    shown = cells(section, paths[0].name)
    assert shown[0] == "22 Nov 2026"
    assert shown[1] == f"{arm['rate_per_h']:.1f} ({arm['rate_low']:.1f}–{arm['rate_high']:.1f})"
    assert shown[2] == f"{calf['rate_per_h']:.0f} ({calf['rate_low']:.0f}–{calf['rate_high']:.0f})"
    assert "above 6.0 mg" in section.find("thead")[0].text
    assert len(pages_of((tmp_path / "r.html").read_text())) == 5


def test_four_nights_stand_side_by_side_only(run: Run, tmp_path: Path) -> None:
    """Below five nights there is no trend: each number has its own limit, and that is said."""
    nights(tmp_path, 4)
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    assert document["together"]["trends"] == []
    assert document["together"]["no_trend"] == ["few"]
    assert not section.find("svg")
    shown = cells(section, document["nights"][0]["night"])[1]
    assert re.fullmatch(r"[\d.]+ \([\d.]+–[\d.]+\) \[6.0 mg\]", shown)
    assert "side by side and do not compare" in section.text


def test_simulated_nights_stay_out_of_trends(run: Run, tmp_path: Path) -> None:
    """A simulated night is marked and in no trend; six nights of which two are simulated are too few."""
    for day in range(6):
        found_nights.made_night(tmp_path, day, COUNTS, origin="simulated" if day in {1, 4} else "recorded")
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    assert document["together"]["trends"] == []
    assert document["together"]["made_up"] == 2
    assert "2 simulated nights" in section.text
    names = [one["night"] for one in document["nights"]]
    assert ["simulated" in cells(section, name)[0] for name in names] == [day in {1, 4} for day in range(6)]
    found_nights.made_night(tmp_path, 6, COUNTS)
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    drawn = [one["night"] for one in document["together"]["trends"][0]["nights"]]
    assert len(drawn) == 5
    assert cells(section, names[1])[1].endswith("[6.0 mg]")
    assert "mg" not in cells(section, names[0])[1]


def test_made_up_nights_alone_have_no_trend(run: Run, tmp_path: Path) -> None:
    """Six simulated nights are nobody's."""
    nights(tmp_path, 6, origin="simulated")
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    assert document["together"]["trends"] == []
    assert "Nobody slept these nights" in section.text


def test_detectors_are_not_mixed_unless_asked(run: Run, tmp_path: Path) -> None:
    """Nights of two detectors are refused; with --mixed the newest one's nights make the trend."""
    for day in range(7):
        detector = "twitchmap 0.0.9" if day == 2 else "twitchmap 0.1.0"
        found_nights.made_night(tmp_path, day, COUNTS, detector=detector)
    out = tmp_path / "r.html"
    code, printed, err = run("report", tmp_path, "--out", out)
    assert (code, printed) == (1, "")
    assert "different detectors" in err
    assert "--mixed" in err
    assert not out.exists()
    section, document = told(run, tmp_path, "--mixed", out=out)
    assert document["together"]["other_judges"] == 1
    other = document["nights"][2]["night"]
    for trend in document["together"]["trends"]:
        assert len(trend["nights"]) == 6
        assert other not in {one["night"] for one in trend["nights"]}
    assert "1 night was judged by another detector" in section.text


def test_what_changed_is_told(run: Run, tmp_path: Path) -> None:
    """Another placement is marked in its night, drawn as a line, and said in words."""
    for day in range(6):
        found_nights.made_night(tmp_path, day, COUNTS, placement="high" if day < 3 else "low")
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    trend = document["together"]["trends"][0]
    assert [one["changed"] for one in trend["nights"]] == [False, False, False, True, False, False]
    assert cells(section, trend["nights"][3]["night"])[1].endswith("changed")
    assert "left calf: the sensor was placed differently" in section.text
    dashed = [path for path in section.find("svg")[0].find("path") if "stroke-dasharray" in path.attributes]
    assert len(dashed) == 1


def test_nights_without_a_limit_are_left_out_by_name(run: Run, tmp_path: Path) -> None:
    """A night whose limit was not measured stands in no trend, and the reason is given."""
    nights(tmp_path, 5)
    path = found_nights.made_night(tmp_path, 5, COUNTS, limit=None)
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    assert len(document["together"]["trends"][0]["nights"]) == 5
    assert cells(section, path.name)[1].endswith("[limit not known]")
    assert f"{path.name} (its detection limit was not measured" in section.text


def test_participants_are_not_mixed(run: Run, tmp_path: Path) -> None:
    """Nights of different people have no trend."""
    paths = nights(tmp_path, 6)
    write_meta(paths[0], msgspec.structs.replace(known_meta(paths[0]), participant="P2"))
    section, document = told(run, tmp_path, out=tmp_path / "r.html")
    assert document["together"]["trends"] == []
    assert "different participants" in section.text


def test_a_doubtful_night_is_hollow(run: Run, tmp_path: Path) -> None:
    """Where wearing is not confirmed for most of the time the dot is drawn hollow."""
    for day in range(5):
        found_nights.made_night(tmp_path, day, COUNTS, unconfirmed_s=20_000.0 if day == 1 else 0.0)
    _, document = told(run, tmp_path, out=tmp_path / "r.html")
    trends = {one["site"]: one["nights"] for one in document["together"]["trends"]}
    assert [one["confirmed"] for one in trends["left_calf"]] == [True, False, True, True, True]


def test_the_diary_stands_beside(run: Run, tmp_path: Path) -> None:
    """Answers stand in the night's row in brief, free text on its own page."""
    paths = nights(tmp_path, 2)
    write_diary(paths[0], {"caffeine": "much", "sleep": "badly", "note": "a long walk"})
    section, _ = told(run, tmp_path, out=tmp_path / "r.html")
    assert cells(section, paths[0].name)[-1] == "caffeine much, sleep badly"
    assert cells(section, paths[1].name)[-1] == ""
    first, second = pages_of((tmp_path / "r.html").read_text())
    assert "Caffeine that day: much; How you slept: badly; Anything else: a long walk." in first.line("diary")
    assert "Nothing is written in the diary." in second.line("diary")


def test_nights_are_named_as_everywhere(run: Run, tmp_path: Path) -> None:
    """`last`, dates, paths and folders name nights; each comes once, oldest first."""
    paths = nights(tmp_path, 3)
    out = tmp_path / "r.html"
    arguments = ("last", "2026-11-22", paths[2], "--dir", tmp_path)
    _, document = told(run, *arguments, out=out)
    assert [one["night"] for one in document["nights"]] == [paths[0].name, paths[2].name]
    assert [one["evening"] for one in document["nights"]] == ["2026-11-22", "2026-11-24"]
    run("report", "last", "--dir", tmp_path, "--out", out)
    assert not read_html(out.read_text()).find("section", cls="nights")


def test_nights_that_are_not_shown_yet_stay_out(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two weeks the one that is over is reported, and the other is said to be left out."""
    paths = nights(tmp_path, 3)  # a Sunday, and two nights of the week after
    write_settings(tmp_path, Settings("weekly"))
    monkeypatch.setattr("time.time_ns", lambda: made_nights.START_NS + 3 * 86_400 * 10**9)
    out = tmp_path / "r.html"
    code, printed, err = run("report", tmp_path, "--show", "--out", out, "--json")
    assert code == 0
    assert [one["night"] for one in json.loads(printed)["nights"]] == [paths[0].name]
    assert err.count("until its week is over") == 2
    assert paths[1].name not in out.read_text()
    out.unlink()
    code, _, err = run("report", tmp_path, "--out", out)
    assert code == 1
    assert not out.exists()


def site(path: Path, **changes: Any) -> SiteReport:
    """Return one site of a night as it might be."""
    night = open_night(path)
    return msgspec.structs.replace(night_report(night, load_run(night), "test").sites[0], **changes)


def test_no_twitch_and_no_date_read_as_on_a_nights_own_page(run: Run, tmp_path: Path) -> None:
    """A night without a twitch has none seen beside others, too; the span of nights has known dates."""
    quiet = found_nights.made_night(tmp_path, 0, {"left_calf": 0})
    later = found_nights.made_night(tmp_path, 1, {"left_calf": 80})
    undated = found_nights.made_night(tmp_path, 2, {"left_calf": 80})
    write_meta(undated, msgspec.structs.replace(known_meta(undated), start_known=False))
    section, _ = told(run, tmp_path, out=tmp_path / "r.html")
    assert cells(section, quiet.name)[1].startswith("none seen (0–")
    assert cells(section, later.name)[1].startswith("10 (")
    assert "3 nights; Night of 22 November 2026 to Night of 23 November 2026." in section.text


@pytest.mark.parametrize(("value", "written"), [(0.0, "0"), (0.002, "fewer than 0.01"), (0.43, "0.43")])
def test_next_to_nothing_is_not_zero(value: float, written: str) -> None:
    """What is smaller than its digits show is said to be so; zero has none."""
    assert written_number(value) == written


@pytest.mark.parametrize("long_s", [10.6, 10.4])
def test_parts_of_a_night_add_up(tmp_path: Path, long_s: float) -> None:
    """Whole seconds of what a night was good for add up to its length, however each would be rounded."""
    night = site(found_nights.made_night(tmp_path, 0, {"left_calf": 0}))
    seconds = dict.fromkeys(night.seconds, 0.0) | {"valid": long_s, "movement": long_s, "noisy": long_s}
    told_s = parts_of(msgspec.structs.replace(night, seconds=seconds))
    assert sum(told_s.values()) == round(3 * long_s)
    assert all(abs(told_s[kind] - true_s) < 1 for kind, true_s in seconds.items())


def test_spread_by_hand(tmp_path: Path) -> None:
    """Places count once, however many sensors sit there; doubted and unseen ones are in no number."""
    path = found_nights.made_night(tmp_path, 0, {"left_calf": 20})
    calf = site(path, active=False, expected_false=0.0)
    second = msgspec.structs.replace(calf, site="left_calf.2", active=True)
    thigh = msgspec.structs.replace(calf, site="right_thigh", base="right_thigh", active=True)
    chest = msgspec.structs.replace(calf, site="left_chest", base="left_chest", state="wear_unconfirmed")
    arm = msgspec.structs.replace(
        calf, site="left_upper_arm", base="left_upper_arm", state="not_worn", active=False, valid_s=0.0
    )
    forearm = msgspec.structs.replace(calf, site="left_forearm", base="left_forearm", active=False)
    found = spread_of([arm, forearm, chest, thigh, calf, second])
    assert (found.active, found.worn) == (2, 3)
    assert [one.place for one in found.not_active] == ["left_forearm"]
    assert [one.place for one in found.unconfirmed] == ["left_chest"]
    assert [one.place for one in found.not_seen] == ["left_upper_arm"]
    parts = {(one.region, one.side): (one.active, one.worn, one.sensors) for one in found.parts}
    assert parts["cervical", "left"] == (0, 1, 2)
    assert parts["thoracic", "left"] == (0, 0, 1)
    assert parts["lumbosacral", "left"] == (1, 1, 1)
    assert parts["lumbosacral", "right"] == (1, 1, 1)
    assert parts["bulbar", "right"] == (0, 0, 0)
    assert found.by_chance == 0.0
    nothing = spread_of([arm])
    assert (nothing.active, nothing.worn, nothing.by_chance) == (0, 0, None)


def test_chance_is_told_of_worn_places(tmp_path: Path) -> None:
    """Expected false alarms say how many places they alone would make active; unknown ones say nothing."""
    path = found_nights.made_night(tmp_path, 0, {"left_calf": 20})
    calf = site(path, expected_false=20.0, valid_s=28_800.0)
    thigh = msgspec.structs.replace(calf, site="right_thigh", base="right_thigh")
    one = 1 - math.exp(20 * math.expm1(-20 * 60 / 28_800))
    assert spread_of([calf, thigh]).by_chance == pytest.approx(2 * one)
    unknown = msgspec.structs.replace(thigh, expected_false=math.nan)
    assert spread_of([calf, unknown]).by_chance is None


def test_a_spot_check_is_told_when_it_is_finished(run: Run, tmp_path: Path) -> None:
    """Half a spot check says nothing; a finished one gives its share with the interval, of its model only."""
    (path,) = nights(tmp_path, 1)
    check = draw_spot_check(path, load_run(open_night(path)), seed=1)
    out = tmp_path / "r.html"
    for number, item in enumerate(check.items):
        if number == len(check.items) - 1:
            run("report", path, "--out", out)
            assert "No spot check was made" in pages_of(out.read_text())[0].line("diary")
        add_label(
            path, what="twitch" if item.counted else "not_twitch", drawn="spot_check", blind=True,
            peaks_ns={item.site: [item.peak_ns]}, spot_check=check.id,
        )  # fmt: skip
    run("report", path, "--out", out)
    words = pages_of(out.read_text())[0].line("diary")
    assert "of 60 counted events 60 were called twitches, 100 % (94 to 100 %)" in words
    assert "Nothing was corrected by hand" in words
    with sqlite3.connect(path / "results.sqlite") as connection:  # another file of the model has judged
        connection.execute("UPDATE runs SET model_sha256 = ?", ("0" * 64,))
    connection.close()
    run("report", path, "--out", out)
    assert "No spot check was made" in pages_of(out.read_text())[0].line("diary")


def test_a_night_in_the_middle_that_cannot_be_read_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    """As with export: a night without a run is named, and the report of the others says that it lacks."""
    nights(tmp_path, 3)
    broken = list_nights(tmp_path)[1]
    (broken / "results.sqlite").unlink()
    code, _, err = run("report", tmp_path, "--out", tmp_path / "r.html")
    assert code == 1
    assert broken.name in err
    assert "twitchmap detect" in err
    assert "1 night is not in this report: it has no counts" in (tmp_path / "r.html").read_text()


def test_nights_of_one_name_keep_their_own_evenings(run: Run, tmp_path: Path) -> None:
    """Nights whose folders are called alike stand in trends and table with their own date and rate."""
    for day in range(5):
        (tmp_path / str(day)).mkdir()
        counts = {"left_calf": 100 * (day + 1)}
        found_nights.made_night(tmp_path / str(day), day, counts).rename(tmp_path / f"{day}/one.night")
    paths = [tmp_path / f"{day}/one.night" for day in range(5)]
    section, document = told(run, *paths, out=tmp_path / "r.html")
    (trend,) = document["together"]["trends"]
    assert [one["evening"] for one in trend["nights"]] == [f"2026-11-{22 + day}" for day in range(5)]
    rows = section.find("tr", data_night="one.night")
    for row, one in zip(rows, trend["nights"], strict=True):
        assert f"{one['rate_per_h']:.0f} (" in row.text


def test_a_diary_of_another_version_is_told_as_it_stands(run: Run, tmp_path: Path) -> None:
    """An answer that this version does not know is written out, and is no fault."""
    paths = nights(tmp_path, 2)
    line = {
        "kind": "entry",
        "id": "1",
        "utc_ns": 1,
        "rater": "",
        "fields": {"caffeine": "tons"},
    }
    (paths[0] / "diary.jsonl").write_text(json.dumps(line) + "\n")
    section, _ = told(run, tmp_path, out=tmp_path / "r.html")
    assert cells(section, paths[0].name)[-1] == "caffeine tons"
