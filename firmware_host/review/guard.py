"""What stands between the server and everything that can reach it: every request passes here first.

A web page anywhere can make its visitor's browser send requests to this computer, and can give this computer
a name of its own (DNS rebinding). So a request must name a host that we know, a write must come from our own
pages, and where the server can be reached from other computers, it must know the token.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firmware_host.review.texts import t

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST = re.compile(r"(\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(:[0-9]{1,5})?")
_READS = frozenset({"GET", "HEAD"})
_WRITES = frozenset({"POST", "PUT", "DELETE"})
_HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


@dataclass(frozen=True)
class Guard:
    """Passes to `app` what may pass, and puts the headers on every answer."""

    app: ASGIApp
    hosts: Collection[str] = LOOPBACK
    """Names under which the server may be asked, without a port."""
    token: str | None = None
    """What a browser must have shown once; None: nothing is asked."""
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """What a browser that has shown the token keeps in its cookie."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self._refusal(scope) or self.app
            await answer(scope, receive, _with_headers(send))
        else:  # there are no sockets here
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that does not pass, None for one that does."""
        headers, method = Headers(scope=scope), scope["method"]
        hosts = headers.getlist("host")
        here = (scope.get("server") or ("",))[0]  # the address that was reached: no foreign name is one
        if len(hosts) != 1 or _name(hosts[0]) not in {*self.hosts, here}:
            return _refused(scope, 421, t("errors.host"))
        if method not in _READS | _WRITES:
            return _refused(scope, 405, t("errors.method"))
        origin = headers.get("origin")
        own = {f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()}
        if origin is not None and origin.lower() not in own:
            return _refused(scope, 403, t("errors.origin"))
        if origin is None and method in _WRITES:
            return _refused(scope, 403, t("errors.no_origin"))
        if method in _WRITES and _media_type(headers) != "application/json":
            return _refused(scope, 415, t("errors.not_json"))
        return self._stranger(scope, headers) if self.token else None

    def _stranger(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a browser that has not shown the token; one that shows it gets its cookie."""
        cookie = f"twitchmap-{(scope.get('server') or ('', 0))[1]}"  # cookies are the same for all ports
        if _same(_cookie(headers, cookie), self.session):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = dict(query).get("token", "")
        if scope["method"] != "GET" or not _same(shown, self.token or ""):
            return _refused(scope, 401, t("errors.token"))
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        asked = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        path = "/" + asked.lstrip("/\\")  # never another host's: "//elsewhere"
        answer = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        answer.set_cookie(cookie, self.session, httponly=True, samesite="strict")
        return answer


def _refused(scope: Scope, status: int, sentence: str) -> Response:
    if scope["path"].startswith("/api/"):
        return Response(json.dumps({"error": sentence}), status, media_type="application/json")
    return Response(sentence + "\n", status, media_type="text/plain")


def _name(host: str) -> str | None:
    """Return the name in a Host header without its port; None if it is none."""
    found = _HOST.fullmatch(host)
    return found and (found["address"] or found["name"]).lower()


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            # Files may be kept by a browser that asks whether they are still the same; what nights hold, not.
            headers.setdefault("cache-control", "no-cache" if "etag" in headers else "no-store")
        await send(message)

    return sending
