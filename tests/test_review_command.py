"""`twitchmap review` as people start it: address, port, token, the night to begin with, the end."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import made_nights
import pytest
from browser import Serve
from conftest import Run

from firmware_host.review import running
from firmware_host.review.running import DEFAULT_PORT, Place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of one night."""
    made_nights.small_night(tmp_path / "2026-11-22T23-30-00_a b.night")
    return tmp_path


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_ending_it_is_no_error(served: Serve, folder: Path, asked: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the server with 0, also while a browser keeps its connection."""
    server = served(folder, alone=True)
    connection = http.client.HTTPConnection(server.origin.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/nights")
    connection.getresponse().read()
    server.process.send_signal(asked)
    assert server.process.wait(10) == 0
    connection.close()


def test_a_port_that_is_taken_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --port another one is used where the usual one is taken; one that was asked for is an error."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(running, "DEFAULT_PORT", taken)
        with contextlib.closing(running._listening(Place())) as found:
            assert found.getsockname()[1] not in {taken, 0}
        with pytest.raises(Exception, match=f"port {taken}.*leave out --port"):
            running._listening(Place(port=taken))
    assert DEFAULT_PORT == 8765


def test_a_host_that_is_none_is_said(run: Run, folder: Path) -> None:
    """A host that this computer does not have ends it with a sentence."""
    for host in ("no.such.host.invalid", "8.8.8.8", "a" * 300):
        code, out, err = run("review", folder, "--no-browser", "--host", host)
        assert (code, out) == (1, "")
        assert host in err


@pytest.mark.parametrize(
    ("host", "reachable"),
    [("127.0.0.1", False), ("localhost", False), ("::1", False), ("127.8.8.8", False), ("0.0.0.0", True),
     ("::", True), ("192.168.1.7", True), ("my-computer", True)],
)  # fmt: skip
def test_who_can_come(host: str, reachable: bool) -> None:
    """Only loopback addresses are this computer's own; all others are reachable and need the token."""
    assert Place(host).reachable == reachable


def test_the_address_for_others_is_one_that_is_answered() -> None:
    """Listening everywhere, the address that is printed is this computer's own, and is a known name."""
    place = Place("0.0.0.0", names=("Night.example",))
    assert place.shown_host == "Night.example"
    assert "night.example" in place.hosts
    assert Place("0.0.0.0").shown_host not in {"0.0.0.0", ""}
    assert Place("0.0.0.0").shown_host.lower() in Place("0.0.0.0").hosts
    assert Place().hosts == {"127.0.0.1", "localhost", "::1"}


def test_others_need_the_token(served: Serve, folder: Path) -> None:
    """On another address nothing is answered without the token, and its page may then write."""
    server = served(folder, "--host", "0.0.0.0", "--allow-host", "Night.example")
    assert server.token
    assert "night.example" in server.url.lower()
    port = urllib.parse.urlsplit(server.url).port
    home = f"night.example:{port}"

    def ask(method: str, path: str, **headers: str) -> http.client.HTTPResponse:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            body = '{"show": "weekly"}' if method == "PUT" else None
            connection.request(method, path, body, {"host": home, **headers})
            answer = connection.getresponse()
            answer.read()
            return answer

    assert ask("GET", "/api/nights").status == 401
    assert ask("GET", "/api/nights", host=f"127.0.0.2:{port}").status == 421
    assert ask("GET", f"/?token={server.token}", host="evil.example").status == 421
    assert ask("GET", "/?token=" + "x" * 43).status == 401
    shown = ask("GET", f"/nights?token={server.token}")
    assert shown.status == 303
    cookie = shown.headers["set-cookie"].partition(";")[0]
    assert ask("GET", "/api/nights", cookie=cookie).status == 200
    json = {"content-type": "application/json", "cookie": cookie}
    assert ask("PUT", "/api/settings", origin="http://evil.example", **json).status == 403
    assert ask("PUT", "/api/settings", origin=f"http://{home}", **json).status == 200


def test_this_computer_can_be_asked_too(served: Serve, folder: Path) -> None:
    """With --token other accounts of this computer get nothing either."""
    server = served(folder, "--token")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(server.origin + "/api/nights", timeout=10)


@pytest.mark.long
@pytest.mark.parametrize("where", ["last", "2026-11-22", "{folder}/2026-11-22T23-30-00_a b.night"])
def test_a_night_to_begin_with(served: Serve, folder: Path, where: str) -> None:
    """A night given by path, `last` or date is the page that is begun with, in its own folder."""
    server = served(Path(where.format(folder=folder)), "--dir", str(folder))
    assert urllib.parse.unquote(server.url).endswith("/night/2026-11-22T23-30-00_a b.night")
    with urllib.request.urlopen(server.origin + "/api/nights", timeout=10) as answer:
        assert b"a b.night" in answer.read()


def test_a_folder_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    """A mistyped folder is no empty list."""
    code, out, err = run("review", tmp_path / "nowhere", "--no-browser")
    assert (code, out) == (1, "")
    assert "nowhere" in err


def test_the_first_evening_has_no_folder_yet(served: Serve, tmp_path: Path) -> None:
    """The recordings folder of somebody who has none yet is an empty list, and is not made by looking."""
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware_host", "review", "--no-browser", "--port", "0", "--dir", "new"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        with urllib.request.urlopen(found.group() + "api/nights", timeout=10) as answer:
            assert b'"nights":[]' in answer.read()
        process.terminate()
    assert not (tmp_path / "new").exists()


def test_alone_it_prints_help_where_there_is_no_screen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`twitchmap` without a command and without a terminal prints what there is."""
    monkeypatch.setenv("DISPLAY", ":0")
    code, out, _ = run()
    assert code == 0
    assert "review" in out


def test_alone_it_opens_the_pages(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answering: list[str]
) -> None:
    """`twitchmap` before a terminal and a screen opens the pages of the usual folder."""
    monkeypatch.chdir(tmp_path)
    for module in ("firmware_host.cli", "firmware_host.cli.review"):
        monkeypatch.setattr(f"{module}.has_screen", lambda: True)
    code, out, _ = run()
    assert code == 0
    assert answering == [re.search(r"http://\S+", out)[0]]  # type: ignore[index]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note which address the browser would open, and end the server once it answers there."""
    opened: list[str] = []
    threads: list[threading.Thread] = []

    def ask_and_end(url: str) -> None:
        for _ in range(100):
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.status == 200
                break
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    def open_(url: str) -> bool:
        opened.append(url)
        threads.append(threading.Thread(target=ask_and_end, args=(url,)))
        threads[-1].start()
        return True

    monkeypatch.setattr("webbrowser.open", open_)
    yield opened
    for thread in threads:
        thread.join()
