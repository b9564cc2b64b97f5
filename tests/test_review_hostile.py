"""What other pages, other computers and broken programs may send is refused, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import found_nights
import made_nights
import msgspec
import pytest
from browser import Serve, wait_for
from hostile_requests import HOME, JSON, ask, contents, raw, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from starlette.testclient import TestClient

from firmware_host.analysis import detect_night
from firmware_host.recording.labels import read_labels
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.endpoints import find_endpoints
from firmware_host.review.guard import Guard
from firmware_host.review.server import BODY_BYTES, application

pytestmark = pytest.mark.lasts_s(30)

NIGHT = "2026-11-22T23-30-00_a.night"
ALL = [(one.method, f"/api{one.path}") for one in find_endpoints()]
WRITES = sorted((method, path.replace("{night}", NIGHT)) for method, path in ALL if method != "GET")
BARE = {
    (one.method, f"/api{one.path}".replace("{night}", NIGHT)) for one in find_endpoints() if one.body is None
}
READS = sorted(path for method, path in ALL if method == "GET")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a night, settings, and something private beside it."""
    place = tmp_path_factory.mktemp("all")
    (place / "secret.toml").write_text("secret = 'of another folder'")
    nights = place / "nights"
    made_nights.small_night(nights / NIGHT)
    made_nights.small_night(place / "outside.night")
    (nights / "no-night").mkdir()
    (nights / "no-night" / "notes.txt").write_text("private")
    write_settings(nights, Settings("on_request"))
    return nights


@pytest.fixture(scope="module")
def app(folder: Path) -> Guard:
    """Give one application for the hundreds of requests that are refused."""
    return application(folder)


@pytest.fixture
def client(folder: Path, app: Guard) -> Iterator[TestClient]:
    """Give a client; whatever it sends, not a byte on the disk may change."""
    before = contents(folder.parent)
    yield TestClient(app, HOME)
    assert contents(folder.parent) == before


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example:8765",
        "evil.example@127.0.0.1", "127.0.0.1@evil.example", "0.0.0.0:8765", "192.168.1.2", "[::2]:8765", "",
        "127.0.0.1:port", "127.0.0.1/", "127.0.0.1#", "local host", "[::1", "\xff",
    ],
)  # fmt: skip
def test_another_name_is_refused(client: TestClient, host: str) -> None:
    """A page of somewhere else that gives this computer a name of its own (DNS rebinding) gets nothing."""
    for path in ("/", "/nights", "/api/nights", "/static/style.css", "/texts.js"):
        answer = client.get(path, headers={"host": host.encode("latin-1")})
        refused(answer, 421)
        assert NIGHT not in answer.text


def test_own_names_are_known(client: TestClient) -> None:
    """The names of this computer's own loopback are answered, with any port: an SSH tunnel has its own."""
    for host in ("127.0.0.1:8765", "localhost:9000", "LOCALHOST", "[::1]:8765"):
        assert client.get("/api/nights", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_write_of_another_page_is_refused(client: TestClient, method: str, path: str) -> None:
    """Each write needs the origin of our own pages, character by character; another port is another page."""
    for origin in (
        "http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:3000", "http://localhost:8765",
        "file://", "http://127.0.0.1:8765.evil.example", "", "http://127.0.0.1:8765/",
    ):  # fmt: skip
        headers = {"origin": origin, "content-type": "application/json"}
        refused(client.request(method, path, content=b"{}", headers=headers), 403)


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_write_without_an_origin_is_refused(folder: Path, method: str, path: str) -> None:
    """A write that does not say where it comes from is refused, also with the cookie of somebody let in."""
    client = TestClient(application(folder, token="right"), HOME)
    assert client.get("/nights?token=right").status_code == 200
    before = contents(folder)
    refused(client.request(method, path, content=b"{}", headers={"content-type": "application/json"}), 403)
    assert contents(folder) == before


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_form_is_refused(client: TestClient, method: str, path: str, kind: str) -> None:
    """What a form of any page can send without asking is not taken."""
    answer = client.request(method, path, content=b"{}", headers={"origin": HOME, "content-type": kind})
    refused(answer, 415)


def test_a_read_of_another_page_is_refused(client: TestClient) -> None:
    """A script of another page is refused even before the browser would keep the answer from it."""
    refused(client.get("/api/nights", headers={"origin": "http://evil.example"}), 403)
    assert client.get("/api/nights").headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in client.get("/api/nights").headers


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    """No preflight is granted, and nothing is done that no endpoint declares."""
    refused(client.request(method, "/api/nights"), 405)


@pytest.mark.parametrize(
    "cookie", ["", "twitchmap-8765=", "twitchmap-8765=right", "twitchmap-8765=\xe9", "=;;", "a" * 4000]
)
def test_without_the_token_nothing_is_told(folder: Path, cookie: str) -> None:
    """A wrong token, none, or the token where the cookie belongs: 401 for pages, files and API alike."""
    client = TestClient(application(folder, token="right"), HOME, follow_redirects=False)
    for path in (
        "/nights",
        "/api/nights",
        "/static/style.css",
        "/texts.js",
        "/nights?token=",
        "/nights?token=Right",
    ):
        refused(client.get(path, headers={"cookie": cookie.encode("latin-1")}), 401)
    refused(client.put("/api/settings?token=right", json={"show": "weekly"}, headers=JSON), 401)


def test_the_token_leads_nowhere_else(folder: Path) -> None:
    """Who comes with the token is sent to the same path here, never to another host."""
    for path in ("//evil.example/?token=right", "///evil.example?token=right", "/\\evil.example?token=right"):
        client = TestClient(application(folder, token="right"), HOME, follow_redirects=False)
        location = client.get(f"{HOME}{path}").headers["location"]
        assert urllib.parse.urlsplit(location).netloc == ""
        assert not location.startswith(("//", "/\\"))
    client = TestClient(application(folder, token="right"), HOME, follow_redirects=False)
    answer = client.get(f"{HOME}/night/100%25%3F%20a.night?token=right&x=%26")
    assert answer.headers["location"] == "/night/100%25%3F%20a.night?x=%26"


TRAVERSALS = [
    "..", "../outside.night", "..%2foutside.night", "%2e%2e%2foutside.night", "%2e%2e/outside.night",
    "..%5coutside.night", "....//outside.night", "no-night", "%00", "settings.toml", "%2fetc%2fpasswd",
    f"{NIGHT}%2f..", f"{NIGHT}%2f..%2f..%2foutside.night", f"{NIGHT}%00", NIGHT.upper(), "*", "%", "%ff%fe",
    "'; DROP TABLE runs; --", "<script>alert(1)</script>", "a" * 5000, "${jndi:ldap://x}", "{{ 7*7 }}",
]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_name_of_a_night_leads_to_no_other_place(client: TestClient, name: str) -> None:
    """Whatever stands where a night's name belongs is compared with the names there, and leads nowhere."""
    for path in READS:
        if "{night}" in path:
            url = path.replace("{night}", name)
            for rest in ("run_id", "site", "run", "event", "label"):
                url = url.replace(f"{{{rest}}}", "1")
            answer = client.get(url)
            refused(answer, 400, 404)
            assert "another folder" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["../server.py", "..%2fserver.py", "%2e%2e/server.py", "..\\server.py", "%2e%2e%5cserver.py",
     "/etc/passwd", "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "%00", "style.css%00.js", ".", "", "a" * 5000],
)  # fmt: skip
def test_static_files_are_those_of_their_folder(client: TestClient, path: str) -> None:
    """Nothing outside the folder of static files is given away."""
    answer = client.get(f"/static/{path}")
    assert answer.status_code in {404, 405}
    assert "import" not in answer.text
    assert "root:" not in answer.text


NONSENSE = [
    b"", b"[", b"[]", b"null", b"1", b'"x"', b"{", b'{"show": NaN}', b'{"show": Infinity}', b'{"show": 1e99}',
    b'{"show": "always"}', b'{"show": null}', b'{"show": "weekly", "m": 1}', b'{"show": "weekly", "show": 1}',
    b'{"show": ["weekly"]}', b"\xff\xfe", b'{"show": "\xed\xa0\x80"}', b"[" * 100_000, b'{"a":' * 50_000,
    b'{"show": "' + b"x" * 500_000 + b'"}', b'{"__class__": "os.system"}', b"{'show': 'weekly'}",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_nonsense_is_refused(client: TestClient, method: str, path: str) -> None:
    """What is no JSON, is not finite, has unknown fields or is nested without end changes nothing."""
    for body in NONSENSE:
        if body or (method, path) not in BARE:  # that is how it is to be asked
            refused(client.request(method, path, content=body, headers=JSON), 400, 404, 409)


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_random_bodies_are_refused(body: bytes) -> None:
    """Random bytes as settings are refused, and leave no settings behind."""
    nowhere = Path("/nonexistent-folder-of-nights")
    client = TestClient(application(nowhere), HOME)
    refused(client.put("/api/settings", content=body, headers=JSON), 400)


def test_a_query_out_of_bounds_is_refused(client: TestClient) -> None:
    """What a query does not know, knows twice or cannot read is refused."""
    for query in (
        "show=2",
        "show=maybe",
        "show=true&show=true",
        "x=1",
        "show=",
        "show=%00",
        f"show={'1' * 9000}",
    ):
        refused(client.get(f"/api/nights?{query}"), 400)


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_body_that_is_too_long_is_refused(client: TestClient, method: str, path: str) -> None:
    """More than is allowed is refused, whether it is promised or only sent."""
    big = b'"' + b"x" * BODY_BYTES + b'"'
    refused(client.request(method, path, content=big, headers=JSON), 413)
    refused(client.request(method, path, content=iter([big[:700_000], big[:700_000]]), headers=JSON), 413)
    refused(client.request(method, path, content=b"{}", headers={**JSON, "content-length": "9" * 5000}), 413)


def test_a_promise_alone_takes_no_memory(served: Serve, folder: Path) -> None:
    """A terabyte that is promised is refused at once, on a real connection, and the server goes on."""
    server = served(folder)
    host = server.origin.removeprefix("http://")
    head = f"PUT /api/settings HTTP/1.1\r\nHost: {host}\r\nOrigin: {server.origin}\r\n"
    with raw(server.origin) as connection:
        connection.sendall(
            f"{head}Content-Type: application/json\r\nContent-Length: 1099511627776\r\n\r\n".encode()
        )
        assert b" 413 " in connection.recv(1000).split(b"\r\n")[0]
    assert ask(server.origin, "/api/nights")[0] == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/api/nights HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /api/nights HTTP/1.0\r\n\r\n",
        b"POST /api/nights HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /nights HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n\r\n",
    ],
)  # fmt: skip
def test_a_broken_connection_gets_nothing(served: Serve, folder: Path, request_: bytes) -> None:
    """Requests that are none are answered with an error or not at all, and the next one is served."""
    server = served(folder)
    with raw(server.origin) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):  # it was cut off: that is an answer too
            connection.sendall(request_)
            with contextlib.suppress(OSError):  # whoever was cut off has no end to announce
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
    assert not answer or answer.split(b" ")[1][:1] == b"4", answer[:200]
    assert NIGHT.encode() not in answer
    assert ask(server.origin, "/api/nights")[0] == 200


def test_a_socket_is_closed(folder: Path) -> None:
    """There are no web sockets: whoever asks for one is turned away."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(application(folder)({"type": "websocket", "path": "/"}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_markup_in_names_and_notes_is_text(tmp_path: Path) -> None:
    """What a night is called, and what its metadata say, goes out as it is and is never markup in a page."""
    evil = "<img src=x onerror=alert(1)>'\"&"
    made_nights.small_night(tmp_path / "n.night")
    from firmware_host.recording import known_meta
    from firmware_host.recording.night import write_meta

    meta = msgspec.structs.replace(known_meta(tmp_path / "n.night"), participant=evil, label=evil, note=evil)
    write_meta(tmp_path / "n.night", meta)
    client = TestClient(application(tmp_path), HOME)
    assert client.get("/api/nights").json()["nights"][0]["label"] == evil
    page = client.get(f"/night/{urllib.parse.quote(evil, safe='')}").text
    assert "<img" not in page
    assert "<img" not in client.get("/nights").text


def key(browser: Chrome, name: str, *, again: bool = False) -> None:
    """Press a key as the keyboard does; `again` as when it is held, a few times more."""
    code = ord("\r" if name == "Enter" else name.upper())
    press = {"key": name, "text": chr(code).lower(), "windowsVirtualKeyCode": code, "autoRepeat": again}
    for kind in ["keyDown"] * 4 if again else ["keyDown", "keyUp"]:
        browser.execute_cdp_cmd("Input.dispatchKeyEvent", press | {"type": kind})


@pytest.mark.long
def test_a_key_that_is_held_too_long_says_it_once(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """Held, `t`, and Enter on a button, judge once: `z` then leaves nothing that was said."""
    night = found_nights.simulated_run(tmp_path)
    browser.get(f"{(url := served(tmp_path).url)}correct/{night.name}")
    wait_for(browser, "body[data-ready]")
    for name in ("t", "Enter"):
        browser.execute_script("document.getElementById('yes').focus()")
        key(browser, name)
        wait_for(browser, "#undo:not([disabled])")
        key(browser, name, again=True)
        key(browser, "z")
        wait_for(browser, "#undo[disabled]")
        wait_for(browser, "#pile-list:not(:has(.pile:not([data-verdict=open])))")  # it judges no faster
        assert not read_labels(night).active
    browser.get(f"{url}spot-check/{night.name}")
    wait_for(browser, "#start").click()
    for number in range(2):
        wait_for(browser, "#progress-said", f"{number} of")
        key(browser, "t")
        wait_for(browser, "#progress-said", f"{number + 1} of")
        key(browser, "t", again=True)
    assert len(read_labels(night).active) == 2


@pytest.mark.long
def test_another_run_meanwhile_is_told_as_one(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """A label on a night that was searched again is kept; what the search changed is not its doing."""
    night = found_nights.simulated_run(tmp_path)
    browser.get(f"{served(tmp_path).url}correct/{night.name}?show=events")
    before = wait_for(browser, "body[data-ready] #counts").text
    detect_night(night, operating_point="sensitive")
    key(browser, "t")
    assert "before" not in wait_for(browser, "#said-last", "looked for again").text
    assert len(read_labels(night).active) == 1
    assert browser.find_element(By.ID, "counts").text != before
    key(browser, "z")
    wait_for(browser, "#counts", "as found")
