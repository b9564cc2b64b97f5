"""Times of a night read the same in map, report and page: its end, its dates, and where none is known."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import counted_nights
import msgspec
import numpy as np
import pytest
from browser import Standing, wait_for
from conftest import Run
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from starlette.testclient import TestClient

from firmware_host.analysis import load_run
from firmware_host.recording import known_meta, open_night
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.charts.map_data import MapData, map_of, night_words
from firmware_host.review.charts.night_map import night_map
from firmware_host.review.charts.scene import to_svg
from firmware_host.review.charts.terminal import terminal_map
from firmware_host.review.charts.time_axis import ticks, time_words
from firmware_host.review.server import application

HOME = "http://127.0.0.1:8765"
UNDATED, DATED = "undated.night", "dated.night"
S = 10**9
UTC = ZoneInfo("UTC")
SATURDAY_NS = int(datetime(2026, 11, 21, 22, tzinfo=UTC).timestamp()) * S


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night of elapsed time only, imported where clocks are ahead of UTC, and a dated one."""
    folder = tmp_path_factory.mktemp("nights")
    counted_nights.counted_night(folder / UNDATED, start_ns=0)
    counted_nights.counted_night(folder / DATED)
    write_meta(folder / UNDATED, msgspec.structs.replace(known_meta(folder / UNDATED), start_known=False))
    write_settings(folder, Settings("nightly"))
    return folder


def data_of(path: Path) -> MapData:
    """Return what the map of a night is drawn from."""
    night = open_night(path)
    return map_of(night, load_run(night), 900.0)


def test_a_map_without_a_date_counts_from_0(folder: Path) -> None:
    """Where nobody knows when a night began, its map has no date of 1970 and an axis from 00:00 on."""
    data = data_of(folder / UNDATED)
    for picture in (to_svg(night_map(data)), terminal_map(data, encoding="utf-8")):
        assert "1970" not in picture
        assert "Date not known, times count from 00:00" in picture
        assert "Berlin" not in picture
        assert re.findall(r"\b0\d:[0-5]\d\b", picture.partition("times count from 00:00")[2])[0] < "01:00"
    assert [tick.label for tick in ticks(data.start_ns, data.end_ns, data.zone)][:2] == ["00:00", "00:30"]


def test_a_report_without_a_date_counts_from_0(folder: Path, tmp_path: Path, run: Run) -> None:
    """A report tells the times of such a night from its start on, in the picture too."""
    out = tmp_path / "r.html"
    assert run("report", folder / UNDATED, "--out", out)[0] == 0
    html = out.read_text(encoding="utf-8")
    assert "1970" not in html
    when = re.sub(r"<[^>]*>", "", html.partition('class="when"')[2].partition("</p>")[0])
    assert "0:00:00 to 4:00:00" in when
    assert "date is not known" in when
    assert "Berlin" not in when


def test_commands_name_no_date_that_nobody_knows(folder: Path, run: Run) -> None:
    """The list and what is told of a night and its gaps have no date of 1970."""
    for told in (run("nights", "--dir", folder)[1], run("info", folder / UNDATED)[1]):
        assert "not known" in told
        assert "1970" not in told
    assert "start 2" in run("info", folder / DATED)[1]


def test_times_of_an_hour_that_comes_twice_are_told_apart(folder: Path, run: Run) -> None:
    """In a night in which clocks change, `info` tells times to the nearest second with their offset."""
    assert "start 2026-10-24 23:30:00+02:00 Europe/Berlin" in run("info", folder / DATED)[1]


@pytest.mark.long
def test_a_page_without_a_date_counts_from_0(browser: Chrome, standing: Standing, folder: Path) -> None:
    """The night's page begins at 00:00, and the list tells no time of day."""
    facts = TestClient(application(folder), HOME).get(f"/api/nights/{UNDATED}").json()
    assert facts["clock"] == [{"from_s": 0.0, "offset_s": 0.0}]
    url = standing(folder).url
    browser.get(f"{url}night/{UNDATED}")
    assert "Berlin" not in wait_for(browser, "#when", "start not known").text
    wait_for(browser, "#signal-said", "00:00:00 to 04:00:00")
    browser.get(f"{url}nights")
    assert "01:00" not in wait_for(browser, "#list tbody tr:last-child", "unknown date").text
    assert UNDATED in browser.find_element(By.CSS_SELECTOR, "#list tbody tr:last-child").text
    browser.get(f"{url}compare")
    assert "1970" not in wait_for(browser, "#nights", "known").text


@pytest.mark.parametrize(("over_s", "end"), [(0.4, "03:29"), (0.6, "03:30")])
def test_the_end_is_the_same_everywhere(
    browser: Chrome, standing: Standing, folder: Path, over_s: float, end: str
) -> None:
    """Map, report and page tell the night's end from its nearest second on."""
    from firmware_host.review.report import words
    from firmware_host.review.report.night_report import night_report

    night = open_night(folder / DATED)
    data = data_of(folder / DATED)
    # Clocks are put back in this night, so that 5 h after 23:30 they show 3:30.
    end_ns = data.start_ns + 5 * 3600 * S - S + round(over_s * S)
    assert f"23:30 to {end} (" in night_words(replace(data, end_ns=end_ns))
    report = night_report(night, load_run(night), "")
    local = datetime.fromtimestamp(end_ns / 1e9, ZoneInfo("Europe/Berlin")).isoformat()
    assert words.at(local, report).startswith(end)
    browser.get(standing(folder).url + "about")
    facts = TestClient(application(folder), HOME).get(f"/api/nights/{DATED}").json()
    assert clock_says(browser, facts, "clock.time(arguments[1])", (end_ns - data.start_ns) / 1e9) == end


def clock_says(browser: Chrome, facts: dict[str, Any], what: str, second: float) -> Any:
    """Return what the page's clock of a night makes of a second."""
    script = f"""
    const done = arguments[2];
    import("/static/night_clock.js").then(({{ Clock }}) => {{
      const clock = new Clock(arguments[0]);
      done({what});
    }});
    """
    return browser.execute_async_script(script, facts, second)


def test_times_of_long_nights_have_their_dates(browser: Chrome, standing: Standing, folder: Path) -> None:
    """In what is longer than a day bars and midnights carry the date; where none is known, hours go on."""
    end_ns = SATURDAY_NS + 40 * 3600 * S
    bar_ns = SATURDAY_NS + 27 * 3600 * S
    assert time_words(bar_ns, SATURDAY_NS, end_ns, UTC, start_known=True) == "Mon 23 Nov, 01:00"
    assert time_words(27 * 3600 * S, 0, 40 * 3600 * S, UTC, start_known=False) == "27:00"
    dated = [tick.label for tick in ticks(SATURDAY_NS, end_ns, UTC)]
    assert [label for label in dated if ":" not in label] == ["22 Nov", "23 Nov"]
    undated = [tick.label for tick in ticks(0, 40 * 3600 * S, UTC, start_known=False)]
    assert undated[-1] == "36:00"
    assert np.all(np.diff([int(label[:2]) for label in undated]) > 0)

    start = datetime.fromtimestamp(SATURDAY_NS / S, UTC).isoformat()
    facts = {
        "start_utc": start, "duration_s": 40 * 3600, "start_known": True,
        "clock": [{"from_s": 0, "offset_s": 0}],
    }  # fmt: skip
    browser.get(standing(folder).url + "about")
    assert clock_says(browser, facts, "clock.named(arguments[1])", 27 * 3600) == "23 Nov, 01:00"
    labels = "clock.ticks(0, arguments[1]).map((tick) => tick.label)"
    shown = clock_says(browser, facts, labels, 40 * 3600)
    assert [label for label in shown if ":" not in label] == ["22 Nov", "23 Nov"]
    facts["start_known"] = False
    assert clock_says(browser, facts, "clock.named(arguments[1])", 27 * 3600) == "day 2, 01:00"
