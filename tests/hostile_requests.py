"""Requests as other pages and broken programs may send them, and what must come of them."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from pathlib import Path
from typing import Any

HOME = "http://127.0.0.1:8765"
JSON = {"origin": HOME, "content-type": "application/json"}


def contents(folder: Path) -> dict[str, str]:
    """Return a hash of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "writer.lock"
    }


def refused(answer: Any, *statuses: int) -> None:
    """Check that an answer refuses with one sentence."""
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    sentence = answer.json()["error"] if "json" in answer.headers["content-type"] else answer.text
    assert sentence
    assert "Traceback" not in sentence


def raw(origin: str) -> socket.socket:
    """Return a connection to a server."""
    host, port = origin.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def ask(origin: str, path: str) -> tuple[int, Any]:
    """Return status and JSON of an ordinary request."""
    connection = http.client.HTTPConnection(origin.removeprefix("http://"), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content)
