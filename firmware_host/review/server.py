"""The server of `twitchmap review`: the pages, what they ask for, and their files, behind the guard.

It reads nights and writes labels, diary and settings. It never records: that is a process of its own, so
that a fault here cannot cost a night.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from firmware_host.errors import (
    NewerFormatError,
    NightBusyError,
    NotEmptyError,
    NotFoundError,
    NotShownError,
    StorageError,
    TwitchmapError,
)
from firmware_host.review.endpoints import Binary, Context, Endpoint, Stored, find_endpoints, prepare_types
from firmware_host.review.guard import LOOPBACK, Guard
from firmware_host.review.layout import STATIC, error_html, page_html
from firmware_host.review.pages import Page, find_pages
from firmware_host.review.texts import script, t

BODY_BYTES = 1_000_000
"""The longest body that is read."""
BODY_S = 20.0
"""So long a body may take to come."""
FIRST_PAGES = ("tonight", "nights")
"""The first of these that there is opens first; where nobody has chosen yet, the settings do."""
_STATUS: dict[type[TwitchmapError], int] = {
    NotShownError: 403, NotFoundError: 404, NightBusyError: 409, NotEmptyError: 409, NewerFormatError: 409,
    StorageError: 507,
}  # fmt: skip
_Handler = Callable[[Request], Awaitable[Response]]


def application(folder: Path, *, hosts: Collection[str] = LOOPBACK, token: str | None = None) -> Guard:
    """Return the server as an ASGI application.

    Parameters
    ----------
    folder
        The folder of nights.
    hosts
        Names under which it may be asked.
    token
        What a browser must show once; None: nothing.
    """
    context = Context(folder)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        context.close()

    pages = find_pages()
    routes = [
        Route("/", _first({page.name: page.path for page in pages}, context)),
        Route("/texts.js", _texts),
        Route("/static/texts.js", _texts),
        Mount("/static", StaticFiles(directory=STATIC)),
        *(Route(page.path, _showing(page, context), methods=["GET"]) for page in pages),
        *(
            Route(f"/api{one.path}", _answering(one, context), methods=[one.method])
            for one in find_endpoints()
        ),
    ]
    prepare_types()
    handlers: dict[Any, Any] = {
        HTTPException: _http_error,
        TwitchmapError: _known_error,
        ClientDisconnect: _gone,
        Exception: _fault,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan), hosts, token)


def _answering(endpoint: Endpoint, context: Context) -> _Handler:
    async def handle(request: Request) -> Response:
        body = b"" if endpoint.method == "GET" else await _body(request)
        query = request.query_params.multi_items()
        result = await run_in_threadpool(endpoint.answer, context, request.path_params, query, body)
        if result is None:
            return Response(status_code=204)
        if isinstance(result, Binary):
            return Response(result.data, media_type=result.media_type, headers=result.headers)
        if isinstance(result, Stored):
            kept_by_nobody = {"cache-control": "no-store"}
            return FileResponse(result.path, filename=result.path.name, headers=kept_by_nobody)
        # Numbers that are not known become null, as JSON knows no NaN.
        return Response(msgspec.json.encode(result, enc_hook=_plain), media_type="application/json")

    return handle


def _showing(page: Page, context: Context) -> _Handler:
    def html(named: dict[str, str]) -> str:
        return page_html(page, named, page.function(context, **named))

    async def handle(request: Request) -> Response:
        return _html(await run_in_threadpool(html, request.path_params))

    return handle


def _first(paths: dict[str, str], context: Context) -> _Handler:
    first = next(paths[name] for name in FIRST_PAGES if name in paths)

    async def handle(_: Request) -> Response:
        settings = await run_in_threadpool(lambda: context.settings)
        return RedirectResponse(paths["settings"] if settings.show is None else first)

    return handle


async def _texts(_: Request) -> Response:
    return Response(script(), media_type="text/javascript")


async def _body(request: Request) -> bytes:
    """Return what was sent; no more is read than is allowed, whatever the header promised."""
    parts: list[bytes] = []
    length = 0
    promised = request.headers.get("content-length", "0")
    if not promised.isdecimal() or len(promised) > 12 or int(promised) > BODY_BYTES:
        raise HTTPException(413, t("errors.too_much"))
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                length += len(part)
                if length > BODY_BYTES:
                    raise HTTPException(413, t("errors.too_much"))
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408, t("errors.too_slow")) from None
    return b"".join(parts)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Turn numpy's numbers and arrays into what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value)} is no part of an answer")


def _error(request: Request, status: int, sentence: str) -> Response:
    if request.url.path.startswith("/api/"):
        return Response(msgspec.json.encode({"error": sentence}), status, media_type="application/json")
    return _html(error_html(sentence), status)


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html")


async def _http_error(request: Request, error: HTTPException) -> Response:
    known = {404: t("errors.not_here"), 405: t("errors.method")}
    return _error(request, error.status_code, known.get(error.status_code, error.detail))


async def _known_error(request: Request, error: TwitchmapError) -> Response:
    return _error(request, _STATUS.get(type(error), 400), str(error))


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=400)


async def _fault(request: Request, _: Exception) -> Response:
    """Say that there was a fault of ours; its traceback goes to the terminal."""
    return _error(request, 500, t("errors.fault"))
