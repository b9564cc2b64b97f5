"""`twitchmap report`: what stands on the page is what was measured, to the second, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import counted_nights
import made_nights
import msgspec
import numpy as np
import pytest
from conftest import Run
from read_report import Element, Page, pages_of, read_html, seconds

from firmware_host.analysis import detect_night, load_run, night_counts
from firmware_host.recording import create_night, known_meta, open_night
from firmware_host.recording.diary import write_diary
from firmware_host.recording.labels import add_label
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script> & \"'"
BERLIN = ZoneInfo("Europe/Berlin")
SPRING_NS = int(datetime(2026, 3, 28, 23, 30, tzinfo=BERLIN).timestamp()) * 10**9
S = 10**9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a night in which clocks are put back."""
    folder = tmp_path_factory.mktemp("nights")
    counted_nights.counted_night(folder / "autumn.night")
    return folder


@pytest.fixture
def night(folder: Path, tmp_path: Path) -> Path:
    """Give a copy of that night."""
    return Path(shutil.copytree(folder / "autumn.night", tmp_path / "autumn.night"))


def report(run: Run, *arguments: object, out: Path) -> tuple[str, dict]:
    """Write a report; its HTML, and the document that --json prints."""
    code, printed, err = run("report", *arguments, "--out", out, "--json")
    assert code == 0, err
    return out.read_text(encoding="utf-8"), json.loads(printed)


def page(run: Run, night: Path) -> Page:
    """Return the page of one night."""
    (found,) = pages_of(report(run, night, out=night.parent / "report.html")[0])
    return found


def test_one_file_needs_nothing_else(run: Run, night: Path) -> None:
    """The HTML asks for no other file and no address, has no script, and forbids both itself."""
    html, _ = report(run, night, out=night.parent / "r.html")
    root = read_html(html)
    for element in root.find():
        assert element.tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        for name, value in element.attributes.items():
            assert not name.startswith("on"), name
            if name in {"href", "src", "srcset", "xlink:href", "action", "data", "poster", "style"}:
                assert value.startswith("#"), f"{name}={value}"
            for inner in re.findall(r"url\(([^)]*)\)", value):
                assert inner.startswith("#"), inner
    (style,) = root.find("style")
    assert "url(" not in style.text
    assert "@import" not in style.text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
    (policy,) = root.find("meta", http_equiv="Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'")
    assert len(root.find("html", lang="en")) == 1
    names = [element.attributes["id"] for element in root.find() if "id" in element.attributes]
    assert len(names) == len(set(names))


def test_the_numbers_are_those_of_the_night(run: Run, night: Path) -> None:
    """Rate, counts, minutes, waits, sizes and times are those that the made-up night was given."""
    found = page(run, night)
    calf = found.row("sites", "left_calf")
    rows = {str(row["site"]): row for row in night_counts(open_night(night), load_run(open_night(night)))}
    # Valid: 20 + 20 + 120 minutes, two twitches in each, one of seven not counted, from the second on.
    slots = np.arange(480)
    kept = (slots % 7 != 1) & ((slots < 40) | ((slots >= 80) & (slots < 120)) | (slots >= 240))
    assert calf[0] == "3"
    assert calf[1] == "left calf"
    assert calf[3] == str(kept.sum())
    assert calf[2].startswith(f"{rows['left_calf']['rate_per_h']:.0f} (")
    assert calf[4] == "0 of 160"
    assert calf[5] == "30 s (30 s – 30 s)"
    assert calf[6] == "20 (20 – 20)"
    assert calf[7] == "not known"
    assert calf[8] == "2:40:00 (67 %)"
    assert found.seconds("left_calf") == {"valid": 9600, "movement": 1200, "gap": 0, "not_worn": 3600}
    assert found.seconds("left_forearm") == {"valid": 360, "movement": 0, "gap": 14_040, "not_worn": 0}
    thigh = found.row("sites", "right_thigh")
    assert thigh[5] == "5.0 min (5.0 min – 5.0 min)"
    assert "wearing not confirmed in 1:00:00" in thigh[8]


def test_none_not_observed_and_not_worn_are_three_things(run: Run, night: Path) -> None:
    """No twitch in valid time is "none seen" with an upper limit; without valid time there is no number."""
    forearm = page(run, night).row("sites", "left_forearm")
    assert re.fullmatch(r"none seen \(0–[\d.]+\)", forearm[2])
    assert "little valid time" in forearm[8]
    start_ns = counted_nights.AUTUMN_NS
    add_label(
        night, what="exclude", drawn="range", sites=("left_forearm",), start_ns=start_ns,
        end_ns=start_ns + 400 * S,
    )  # fmt: skip
    gone = page(run, night)
    cells = gone.row("sites", "left_forearm")
    assert cells[2] == "not observed"
    assert cells[3:8] == ["", "", "", "", ""]
    assert cells[8] == "0:00:00 (0 %)"
    assert gone.seconds("left_forearm")["excluded"] == 400
    assert "Not worn or not observed, so in no number here: left forearm" in gone.line("spread")
    assert "1 correction by hand" in gone.line("diary")


def test_spread_counts_worn_places(run: Run, night: Path) -> None:
    """Of worn places the calf twitches twice a minute; the thigh does so every five minutes only."""
    found = page(run, night)
    assert "1 of 3 worn places were active" in found.line("spread")
    assert "Not active: left forearm (6 min valid), right thigh (4 h valid)." in found.line("spread")
    (table,) = found.section.find("table", cls="regions")
    cells = {
        row.attributes["data-region"]: [cell.text for cell in row.find("td")]
        for row in table.find("tr")
        if "data-region" in row.attributes
    }
    assert cells == {
        "bulbar": ["no sensor", "no sensor"],
        "cervical": ["0 of 1", "no sensor"],
        "thoracic": ["no sensor", "no sensor"],
        "lumbosacral": ["1 of 1", "0 of 1"],
    }
    assert "bulbar (head), thoracic (trunk)" in found.section.text


def test_a_night_in_which_clocks_are_put_back(run: Run, night: Path) -> None:
    """Four hours from 23:30 on end at 02:30, told with the offset, as that time comes twice."""
    found = page(run, night)
    assert found.line("span") == (
        "Sat 24 Oct 2026, 23:30:00 (UTC+02:00) to Sun 25 Oct 2026, 02:30:00 (UTC+01:00)"
    )
    assert seconds(found.line("lasted").split()[0]) == 4 * 3600
    assert "clocks back 1 h at 03:00" in found.line("when")
    # The axis of the strips has the hour from 2 to 3 twice.
    labels = [text.text for text in found.section.find("text")]
    assert labels.count("02:00") == 2


def test_a_night_in_which_clocks_are_put_forward(run: Run, tmp_path: Path) -> None:
    """Four hours from 23:30 on end at 04:30, and no strip shows a time that did not come."""
    found = page(run, counted_nights.counted_night(tmp_path / "spring.night", start_ns=SPRING_NS))
    assert found.line("span") == (
        "Sat 28 Mar 2026, 23:30:00 (UTC+01:00) to Sun 29 Mar 2026, 04:30:00 (UTC+02:00)"
    )
    assert seconds(found.line("lasted").split()[0]) == 4 * 3600
    assert "clocks forward 1 h at 02:00" in found.line("when")
    labels = [text.text for text in found.section.find("text")]
    assert "02:00" not in labels
    assert {"01:00", "03:00"} <= set(labels)
    assert found.seconds("left_calf") == {"valid": 9600, "movement": 1200, "gap": 0, "not_worn": 3600}


SUSPENDED_S, DEAD_S, END_S = 900, 1500, 2400
ASLEEP_S = 7200


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night of 40 minutes: after 15 the computer sleeps for two hours, later one sensor dies."""
    folder = tmp_path_factory.mktemp("troubled") / "troubled.night"
    start_ns = made_nights.START_NS // S * S
    with create_night(folder, made_nights.meta(2, start_ns=start_ns, origin="imported")) as writer:
        for block in range(END_S):
            asleep_ns = ASLEEP_S * S if block >= SUSPENDED_S else 0
            after_ns = (block + 1) * S
            if block == SUSPENDED_S:
                slept_ns = after_ns - S // 2
                writer.append_event("suspended", None, start_ns + slept_ns, made_nights.MONO_NS + slept_ns)
            times = {
                "arrival_mono_ns": made_nights.MONO_NS + after_ns,
                "arrival_utc_ns": start_ns + after_ns + asleep_ns,
            }
            for sensor in range(1 if block >= DEAD_S else 2):
                made_nights.append(writer, sensor, 100 * block, **times)
            if block == DEAD_S:
                writer.append_event(
                    "lost", 1, times["arrival_utc_ns"], times["arrival_mono_ns"], reason="battery empty"
                )
    detect_night(folder, model="plain")
    return folder


def test_a_computer_that_slept_and_a_sensor_that_died(run: Run, troubled: Path) -> None:
    """Both stand in the report with their cause and, to the second, from when to when."""
    found = page(run, troubled)
    assert found.list("interruptions") == [
        "23:45:00 to 01:45:00 (2:00:00), all sites: computer asleep",
        "01:55:00 to 02:10:00 (0:15:00), right calf: connection lost: battery empty",
    ]
    assert found.line("span").endswith("23:30:00 to Mon 23 Nov 2026, 02:10:00")
    assert seconds(found.line("lasted").split()[0]) == END_S + ASLEEP_S
    assert found.seconds("left_calf")["gap"] == ASLEEP_S
    assert found.seconds("right_calf")["gap"] == ASLEEP_S + END_S - DEAD_S
    for site in ("left_calf", "right_calf"):
        assert sum(found.seconds(site).values()) == END_S + ASLEEP_S


def test_times_tile_the_night(run: Run, night: Path, troubled: Path) -> None:
    """What each site's night was good for adds up to the night; the document says the same as the page."""
    for path in (night, troubled):
        html, document = report(run, path, out=night.parent / "t.html")
        (one,) = document["nights"]
        for site in one["sites"]:
            assert sum(site["seconds"].values()) == pytest.approx(one["duration_s"], abs=1e-3)
            printed = pages_of(html)[0].seconds(site["site"])
            assert sum(printed.values()) == round(one["duration_s"])
            for kind, value in printed.items():
                assert value == pytest.approx(site["seconds"][kind], abs=1)


def test_texts_of_people_are_text(run: Run, night: Path) -> None:
    """Markup in label, note, participant, placement and diary is read as it was written."""
    meta = known_meta(night)
    evil = {"placement": EVIL, "model": EVIL, "serial": EVIL}
    sensors = tuple(msgspec.structs.replace(one, **evil) for one in meta.sensors)
    write_meta(night, msgspec.structs.replace(meta, label=EVIL, note=EVIL, participant=EVIL, sensors=sensors))
    write_diary(night, {"note": EVIL, "sleep": "well"})
    html, _ = report(run, night, out=night.parent / "r.html")
    root = read_html(html)
    assert not root.find("img")
    assert not root.find("script")
    (found,) = pages_of(html)
    plain = " ".join(EVIL.split())
    assert plain in found.section.find("h1")[0].text
    assert plain in found.line("when")
    assert plain in found.row("sensors", "left_calf")[1]
    assert found.line("diary").count(plain) == 2
    assert "How you slept: well" in found.line("diary")


def test_it_says_who_counted_what(run: Run, night: Path) -> None:
    """Program, detector, model, run and the digest of the samples stand on the page."""
    found = page(run, night)
    words = found.section.find("footer")[0].text
    assert load_run(open_night(night)).summary.samples_sha256 in words
    assert open_night(night).log_sha256() in words
    for part in ("twitchmap 0.1.0", "run known", "test 1", "balanced point", "pass 1", "autumn.night"):
        assert part in words


def test_it_says_what_it_cannot_tell(run: Run, night: Path, tmp_path: Path) -> None:
    """Every page says that it is no diagnosis, what the figures rest on, and when to talk to a clinician."""
    found = page(run, night)
    told = " ".join(found.list("cannot"))
    for words in (
        "53 of 56 places", "not known for: left forearm, right thigh, left calf", "simulated nights",
        "does not tell why", "other people's numbers", "Fewer twitches are never an improvement",
        "neither good nor bad", "below 90 samples a second", "Twitches could be seen in 2 to 100 %",
    ):  # fmt: skip
        assert words in told, words
    assert "It is not a diagnostic device" in found.line("device")
    assert "weakness" in found.line("care")
    made_up = msgspec.structs.replace(known_meta(night), origin="simulated")
    write_meta(night, made_up)
    found = page(run, night)
    assert "simulated" in found.section.find("strong", cls="mark")[0].text
    assert "nobody slept it" in found.list("cannot")[0]


def test_counts_wait_until_they_are_asked_for(run: Run, night: Path) -> None:
    """Where counts are shown on request, nothing is written without --show, and the sentence says why."""
    out = night.parent / "r.html"
    write_settings(night.parent, Settings("on_request"))
    code, printed, err = run("report", night, "--out", out)
    assert (code, printed) == (1, "")
    assert "on request" in err
    assert not out.exists()
    assert run("report", night, "--out", out, "--show")[0] == 0
    assert out.exists()


def test_a_run_is_needed_and_can_be_chosen(run: Run, night: Path) -> None:
    """A night without a run says what to do; --run picks one, and one that is not there is named."""
    out = night.parent / "r.html"
    counted_nights.add_run(night, "older")
    assert "run known" in report(run, night, "--run", "known", out=out)[0]
    code, _, err = run("report", night, "--run", "nothing", "--out", out)
    assert code == 1
    assert "'nothing'" in err
    (night / "results.sqlite").unlink()
    out.unlink()
    code, _, err = run("report", night, "--out", out)
    assert code == 1
    assert "twitchmap detect" in err
    assert not out.exists()


def test_the_file_is_whole_or_as_before(run: Run, night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report takes the place of an older one at once; where the disk refuses, the older one stays."""
    out = night.parent / "new" / "r.html"
    report(run, night, out=out)
    out.write_text("older")
    report(run, night, out=out)
    assert out.read_text().startswith("<!doctype html>")
    assert [path.name for path in out.parent.iterdir()] == ["r.html"]
    out.write_text("older")
    monkeypatch.setattr(Path, "write_bytes", _full)
    code, _, err = run("report", night, "--out", out)
    assert code == 1
    assert "No space left" in err
    assert out.read_text() == "older"
    assert [path.name for path in out.parent.iterdir()] == ["r.html"]


def _full(path: Path, content: bytes) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["report", "report.txt", "report.html.zip"])
def test_other_endings_are_refused(run: Run, night: Path, name: str) -> None:
    """What is neither .html nor .pdf is wrong usage, and nothing is written."""
    code, _, err = run("report", night, "--out", night.parent / name)
    assert code == 2
    assert ".html or .pdf" in err
    assert not (night.parent / name).exists()


def test_paper_is_told_to_the_printer(run: Run, night: Path) -> None:
    """Without --paper the printer's size is taken."""
    assert "size:" not in re.sub(r"font-size:", "", report(run, night, out=night.parent / "r.html")[0])
    assert "size: letter" in report(run, night, "--paper", "letter", out=night.parent / "r.html")[0]


def test_damage_of_a_night_is_told(run: Run, night: Path) -> None:
    """A night whose log is lost is reported from its run, and says that the log is damaged."""
    (night / "samples.log").unlink()
    found = page(run, night)
    assert found.row("sites", "left_calf")[8] == "2:40:00 (67 %)"
    told = " ".join(found.list("cannot"))
    assert "log is damaged" in told
    assert "added or lost" in told
    (night / "diary.jsonl").mkdir()
    assert "diary.jsonl" in page(run, night).line("diary")


def test_pictures_do_without_colour(run: Run, night: Path) -> None:
    """Numbers stand on the body and at the strips; hatches and dots say what was not observed, not worn."""
    found = page(run, night)
    (picture,) = found.section.find("svg")
    assert picture.attributes["role"] == "img"
    assert "Twitch map" in picture.attributes["aria-label"]
    words = [text.text for text in picture.find("text")]
    assert any(re.fullmatch(r"\d+/h", each) for each in words)
    patterns = [each.attributes["id"] for each in picture.find("pattern")]
    assert patterns == ["night-1-hatch-lines", "night-1-hatch-dots"]
    fills = [each.attributes.get("fill", "") for each in picture.find("path")]
    for pattern in patterns:
        assert f"url(#{pattern})" in fills
    valid, doubted, paper = ((_grey(each)) for each in ("#5b6b77", "#cfd8dd", "#ffffff"))
    assert "#cfd8dd" in fills
    assert doubted - valid > 0.3
    assert paper - doubted > 0.1


def _grey(colour: str) -> float:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_elements_of_the_reader() -> None:
    """The reader of these tests sees text, attributes and faults."""
    root = read_html('<p class="a b">x<b>y</b> z</p>')
    assert isinstance(root.children[0], Element)
    assert root.find("p", cls="b")[0].text == "xy z"
    with pytest.raises(AssertionError):
        read_html("<p><b></p></b>")
