"""The server of `twitchmap review`: what its endpoints take, answer and refuse."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Annotated

import made_nights
import msgspec
import pytest
from browser import Serve
from starlette.testclient import TestClient

from firmware_host.errors import BadValueError
from firmware_host.review.endpoints import Context, Endpoint, endpoint, find_endpoints
from firmware_host.review.pages import find_pages
from firmware_host.review.server import application

HOME = "http://127.0.0.1:8765"


class _Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a made-up endpoint takes."""

    n: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    by_s: float = 0.5
    sites: tuple[str, ...] = ()


class _Answer(msgspec.Struct, frozen=True):
    """What a made-up endpoint answers."""

    night: str
    query: _Query


@endpoint("GET", "/made/{night}", summary="Made up")
def _made(context: Context, night: str, query: _Query) -> _Answer:
    return _Answer(night, query)


MADE: Endpoint = _made._endpoint  # type: ignore[attr-defined]


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """Give a client of a server over two nights."""
    made_nights.small_night(tmp_path / "2026-11-22T23-30-00_a.night")
    made_nights.small_night(tmp_path / "2026-11-23T23-30-00_b.night")
    return TestClient(application(tmp_path), HOME)


def test_a_query_comes_in_as_declared(tmp_path: Path) -> None:
    """Texts of an address become the types of the struct, lists by being given more than once."""
    query = [("n", "3"), ("by_s", "2"), ("sites", "left_calf"), ("sites", "right_calf")]
    answer = MADE.answer(Context(tmp_path), {"night": "x"}, query, b"")
    assert answer == _Answer("x", _Query(3, 2.0, ("left_calf", "right_calf")))


@pytest.mark.parametrize(
    "query",
    [("n", "0"), ("n", "10"), ("n", "two"), ("by_s", "nan"), ("by_s", "inf"), ("by_s", "-1e999"), ("m", "1")],
)
def test_a_query_that_is_not_as_declared_is_refused(tmp_path: Path, query: tuple[str, str]) -> None:
    """Out of bounds, no number, not finite, unknown: a sentence, and the function is not called."""
    with pytest.raises(BadValueError, match="cannot be used"):
        MADE.answer(Context(tmp_path), {"night": "x"}, [query], b"")


def test_an_endpoint_must_fit_its_path() -> None:
    """A function that does not take what its path names, or takes a loose struct, is a fault of ours."""

    class Loose(msgspec.Struct, frozen=True):
        n: int = 0

    def without_night(context: Context) -> None: ...

    def loose(context: Context, query: Loose) -> None: ...

    loose.__annotations__["query"] = Loose
    for function, path in ((without_night, "/{night}"), (loose, "/loose")):
        with pytest.raises(TypeError):
            endpoint("GET", path, summary="")(function)


def test_files_are_found() -> None:
    """Endpoints and pages are those of the files, each path once."""
    endpoints = [(one.method, one.path) for one in find_endpoints()]
    assert ("GET", "/nights") in endpoints
    assert len(set(endpoints)) == len(endpoints)
    paths = [page.path for page in find_pages()]
    assert "/nights" in paths
    assert len(set(paths)) == len(paths)


def test_the_nights_are_listed(client: TestClient) -> None:
    """The list has the nights, newest first, with their own time."""
    answer = client.get("/api/nights").json()
    assert [one["night"] for one in answer["nights"]] == [
        "2026-11-23T23-30-00_b.night",
        "2026-11-22T23-30-00_a.night",
    ]
    assert [site["site"] for site in answer["nights"][0]["sites"]] == ["left_calf", "right_calf"]


def test_every_answer_has_its_headers(client: TestClient) -> None:
    """Pages, files, answers and errors alike forbid foreign scripts, framing and guessing of types."""
    for path in ("/nights", "/static/style.css", "/texts.js", "/api/nights", "/nowhere", "/api/nowhere"):
        answer = client.get(path)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == ("no-cache" if "static" in path else "no-store")


def test_errors_are_sentences(client: TestClient) -> None:
    """What is not there is answered as JSON below /api and as a page elsewhere."""
    answer = client.get("/api/nowhere")
    assert answer.status_code == 404
    assert answer.json() == {"error": "There is nothing at this address."}
    page = client.get("/nowhere")
    assert page.status_code == 404
    assert "There is nothing at this address." in page.text


def test_a_night_is_only_ever_a_name(tmp_path: Path, client: TestClient) -> None:
    """A name that is no folder of the list leads nowhere, whatever path it looks like."""
    context = Context(tmp_path)
    assert context.night("2026-11-22T23-30-00_a.night") == tmp_path / "2026-11-22T23-30-00_a.night"
    for name in (
        "..",
        ".",
        "",
        "/etc",
        "../" + tmp_path.name,
        "2026-11-22T23-30-00_a.night/",
        "\0",
        "x" * 5000,
    ):
        with pytest.raises(Exception, match="There is no night"):
            context.night(name)


def test_numbers_that_are_not_known_are_null() -> None:
    """JSON knows no NaN: it goes out as null."""
    assert msgspec.json.encode({"a": math.nan}) == b'{"a":null}'


def test_a_token_is_exchanged_for_a_cookie(tmp_path: Path) -> None:
    """With a token nothing is told without it; the address with it gives a cookie that is no script's."""
    client = TestClient(application(tmp_path, token="right"), HOME, follow_redirects=False)
    for path in ("/nights", "/api/nights", "/static/style.css", "/nights?token=wrong"):
        assert client.get(path).status_code == 401
    answer = client.get("/nights?token=right&x=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/nights?x=1"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "right" not in cookie
    assert client.get("/api/nights").status_code == 200


def test_the_command_prints_its_address_as_json(served: Serve, tmp_path: Path) -> None:
    """With --json the command prints one document, and answers at the address in it."""
    server = served(tmp_path, "--json")
    with urllib.request.urlopen(server.url + "api/nights", timeout=10) as answer:
        assert json.load(answer)["nights"] == []


FIRST_SEEN_TOGETHER = """
import sys, threading
from pathlib import Path
import msgspec
from firmware_host.review.server import application

application(Path(sys.argv[1]))
kinds = [msgspec.Struct]
for kind in kinds:
    kinds += kind.__subclasses__()
kinds = [kind for kind in kinds if kind.__module__.startswith("firmware_host.")]
kinds = [kind for kind in kinds if not kind.__struct_config__.array_like]
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)

def decode():
    for kind in kinds:
        together.wait()
        try:
            msgspec.convert(dict.fromkeys(kind.__struct_encode_fields__), kind)
        except msgspec.MsgspecError:
            pass

threads = [threading.Thread(target=decode) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(kinds))
"""


def test_threads_that_first_decode_a_struct_together_live(tmp_path: Path) -> None:
    """Eight threads that meet each struct for the first time at once do not end the server."""
    command = [sys.executable, "-c", FIRST_SEEN_TOGETHER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
