"""Taking nights along by the page: made by a process, fetched as one file, read back; refused and ended."""

from __future__ import annotations

import csv
import io
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_nights
import made_runs
import msgspec
import pytest
from browser import Serve, axe_problems, screen, small_targets, wait_for
from conftest import Run
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from starlette.testclient import TestClient

from firmware_host import formats
from firmware_host.recording import known_meta
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.parcels import REPORTS, Parcels
from firmware_host.review.server import application
from firmware_host.review.texts import t

HOME = "http://127.0.0.1:8765"
OWN = {"origin": HOME}
SECRET = "Grandmother's <b>birthday</b>"
DONE_S = 60.0


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night that was judged, and has a note."""
    path = made_runs.judged_night(tmp_path_factory.mktemp("nights") / "a.night")
    write_meta(path, msgspec.structs.replace(known_meta(path), note=SECRET))
    return path


@pytest.fixture
def client(night: Path) -> Iterator[TestClient]:
    """Give a client of a server of its folder."""
    with TestClient(application(night.parent), HOME) as client:
        yield client


def ordered(client: TestClient, night: Path, form: str, *, share: bool = False) -> dict[str, Any]:
    """Order and wait; return the parcel as it ended."""
    body = {"form": form, "nights": [night.name], "share": share}
    answer = client.post("/api/export", json=body, headers=OWN)
    assert answer.status_code == 200, answer.text
    return ended(client)


def ended(client: TestClient) -> dict[str, Any]:
    """Wait until nothing is being made."""
    deadline = time.monotonic() + DONE_S
    while (parcel := client.get("/api/export").json()["parcel"])["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(parcel)


def fetched(client: TestClient) -> tuple[str, bytes]:
    """Return how the browser would save the file, and what is in it."""
    answer = client.get("/api/export/file")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store", "no copy stays in the browser"
    return answer.headers["content-disposition"], answer.content


def table(data: bytes, name: str) -> list[dict[str, str]]:
    """Return a CSV table of a packed export."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return list(csv.DictReader(io.StringIO(packed.read(name).decode())))


def test_tables_are_those_of_the_command(client: TestClient, night: Path, run: Run, tmp_path: Path) -> None:
    """The packed tables equal what `twitchmap export` writes; the file's name tells nothing of the night."""
    parcel = ordered(client, night, "csv")
    assert (parcel["state"], parcel["nights"]) == ("done", [night.name])
    saved_as, data = fetched(client)
    assert 'filename="twitchmap-csv.zip"' in saved_as
    assert parcel["size_bytes"] == len(data)
    assert run("export", night, "--out", tmp_path / "out")[0] == 0
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert sorted(packed.namelist()) == sorted(path.name for path in (tmp_path / "out").iterdir())
        for path in (tmp_path / "out").glob("*.csv"):
            assert packed.read(path.name) == path.read_bytes()
        assert SECRET.encode() in packed.read("night.json")


@pytest.mark.long
@pytest.mark.parametrize("form", formats.names("export"))
def test_what_is_shared_tells_no_secret(client: TestClient, night: Path, form: str) -> None:
    """Every format arrives, and shared has no note in any of its files."""
    assert ordered(client, night, form, share=True)["state"] == "done"
    with zipfile.ZipFile(io.BytesIO(fetched(client)[1])) as packed:
        assert packed.testzip() is None
        assert packed.namelist()
        assert not [name for name in packed.namelist() if b"Grandmother" in packed.read(name)]


def test_a_report_arrives(client: TestClient, night: Path) -> None:
    """The report is one page of HTML, in which a note is text."""
    assert ordered(client, night, "report")["state"] == "done"
    saved_as, data = fetched(client)
    assert 'filename="twitchmap-report.html"' in saved_as
    assert b"<!doctype html>" in data[:200].lower()
    assert b"<b>birthday</b>" not in data


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"form": "docx"}, 400, "There is no such form"),
        ({"form": "../csv"}, 400, "There is no such form"),
        ({"form": "report", "share": True}, 400, "shows dates"),
        ({"nights": ["../elsewhere.night"]}, 404, "elsewhere"),
        ({"nights": []}, 400, "nights"),
        ({"out": "/tmp"}, 400, "out"),
    ],
)
def test_a_bad_order_makes_nothing(
    client: TestClient, night: Path, changes: dict[str, Any], status: int, words: str
) -> None:
    """What cannot be made is refused in a sentence, and nothing is begun."""
    answer = client.post("/api/export", json={"form": "csv", "nights": [night.name]} | changes, headers=OWN)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert client.get("/api/export").json()["parcel"] is None
    assert client.get("/api/export/file").status_code == 404


@pytest.mark.parametrize(("form", "library"), [("parquet", "pyarrow"), ("report_pdf", "weasyprint")])
def test_a_library_that_is_not_there_is_told_first(
    client: TestClient, night: Path, form: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be made is told with all that can be, and an order for it begins nothing."""
    assert client.get("/api/export").json()["lacking"] == {}
    monkeypatch.setitem(sys.modules, library, None)
    (said,) = client.get("/api/export").json()["lacking"].items()
    assert said[0] == form
    assert "pip install" in said[1]
    answer = client.post("/api/export", json={"form": form, "nights": [night.name]}, headers=OWN)
    assert (answer.status_code, answer.json()["error"]) == (400, said[1])
    assert client.get("/api/export").json()["parcel"] is None


@pytest.mark.long
def test_the_page_does_not_offer_what_cannot_be_made(
    browser: Chrome, served: Serve, night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form without its library cannot be chosen, and says what to install."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pyarrow'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    browser.get(f"{served(night.parent, alone=True).url}export")
    wait_for(browser, "body[data-ready]")
    form = browser.find_element(By.CSS_SELECTOR, "input[value=parquet]")
    assert not form.is_enabled()
    label = form.find_element(By.XPATH, "..").text
    assert "Parquet" in label
    assert 'pip install "twitchmap[parquet]"' in label
    assert browser.find_element(By.CSS_SELECTOR, "input[value=csv]").is_enabled()
    assert axe_problems(browser) == []
    assert small_targets(browser) == []


def test_a_night_that_cannot_go_out_is_named(client: TestClient, tmp_path: Path, night: Path) -> None:
    """A program that fails leaves its sentence and no file."""
    made_nights.small_night(night.parent / "raw.night", 2)
    try:
        parcel = ordered(client, night.parent / "raw.night", "csv")
    finally:
        (night.parent / "raw.night").rename(tmp_path / "raw.night")
    assert (parcel["state"], parcel["file"]) == ("failed", None)
    assert "raw.night" in parcel["sentence"]


def test_one_at_a_time_and_it_can_be_stopped(client: TestClient, night: Path) -> None:
    """A second order waits for nobody; what is stopped leaves no file, and the next can begin."""
    body = {"form": "csv", "nights": [night.name]}
    assert client.post("/api/export/cancel", json={}, headers=OWN).status_code == 404
    assert client.post("/api/export", json=body, headers=OWN).status_code == 200
    assert client.post("/api/export", json=body, headers=OWN).status_code == 409
    stopped = client.post("/api/export/cancel", json={}, headers=OWN).json()["parcel"]
    assert (stopped["state"], stopped["file"]) == ("cancelled", None)
    assert client.get("/api/export/file").status_code == 404
    assert ordered(client, night, "csv")["state"] == "done"


def test_nothing_is_left_when_the_server_ends(
    night: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The private folder is gone with the server, whether something is finished or under way."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for wait in (True, False):
        with TestClient(application(night.parent), HOME) as client:
            body = {"form": "csv", "nights": [night.name]}
            assert client.post("/api/export", json=body, headers=OWN).status_code == 200
            if wait:
                ended(client)
            (place,) = tmp_path.iterdir()
            assert place.stat().st_mode & 0o077 == 0
        assert not list(tmp_path.iterdir())


def test_what_the_settings_keep_back_does_not_leave(
    client: TestClient, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts of a week that is not over stand in no report; tables are for other programs, as by command."""
    meta = known_meta(night)
    write_meta(night, msgspec.structs.replace(meta, origin="recorded"))
    write_settings(night.parent, Settings("weekly"))
    monkeypatch.setattr(time, "time_ns", lambda: meta.start_ns)
    try:
        body = {"form": "report", "nights": [night.name]}
        assert client.post("/api/export", json=body, headers=OWN).status_code == 403
        assert ordered(client, night, "csv")["state"] == "done"
    finally:
        write_settings(night.parent, Settings("nightly"))
        write_meta(night, meta)


def test_every_form_has_its_words() -> None:
    """A new format is not without a name on the page."""
    assert all(t(f"export.form_{form}") for form in (*REPORTS, *formats.names("export")))


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_saves_a_file(
    browser: Chrome, served: Serve, night: Path, tmp_path: Path, width: int
) -> None:
    """From the night by keyboard alone to a file that the browser has saved; axe finds nothing."""
    screen(browser, width, dark=width < 1280)
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    server = served(night.parent, alone=True)
    browser.get(f"{server.url}diary/{night.name}")
    wait_for(browser, "nav.tabs a[href*=export]").send_keys(Keys.ENTER)
    wait_for(browser, "body[data-ready]")
    chosen = browser.find_elements(By.CSS_SELECTOR, "input[name=night]:checked")
    assert [one.get_attribute("value") for one in chosen] == [night.name]
    browser.find_element(By.CSS_SELECTOR, "input[value=csv]").send_keys(Keys.SPACE)
    browser.find_element(By.ID, "share").send_keys(Keys.SPACE)
    browser.find_element(By.ID, "make").send_keys(Keys.ENTER)
    wait_for(browser, "#made", "Ready", timeout_s=DONE_S)
    assert axe_problems(browser) == []
    assert small_targets(browser) == []
    wait_for(browser, "#save:not([hidden])").send_keys(Keys.ENTER)
    deadline = time.monotonic() + 20
    while not (tmp_path / "twitchmap-csv.zip").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    events = table((tmp_path / "twitchmap-csv.zip").read_bytes(), "events.csv")
    assert events
    assert not any(SECRET in value for row in events for value in row.values())


def test_what_ends_as_the_server_does_leaves_nothing(
    night: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An export that is finished in the very moment in which it is to be ended is cleared away as well."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    parcels = Parcels(night.parent)
    cancel = parcels.cancel

    def cancel_late() -> None:
        worker = parcels._worker
        assert worker is not None
        worker.join()
        cancel()

    monkeypatch.setattr(parcels, "cancel", cancel_late)
    parcels.start("csv", [night], share=False)
    parcels.close()
    assert not list(tmp_path.iterdir())
