"""`twitchmap review` as a process: a port, the address, the browser, a clean end."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from firmware_host.errors import BadValueError
from firmware_host.review.guard import LOOPBACK
from firmware_host.review.opened import warm_up, warm_up_more
from firmware_host.review.server import application

DEFAULT_PORT = 8765
END_S = 2
"""Requests under way get so long when the server ends."""
HALF_S = 20.0
"""A connection that has not asked anything whole for so long is cut: it holds a place that others need."""
IDLE_AFTER_S = 1.0
"""The first page is there by then."""


@dataclass(frozen=True)
class Place:
    """Where the server listens, and who may come."""

    host: str = "127.0.0.1"
    port: int | None = None
    """None: the default one, or a free one where that is taken."""
    names: Sequence[str] = ()
    """Names by which other computers reach this one."""
    with_token: bool = False
    """Ask for a token on this computer too; others are always asked."""

    @property
    def reachable(self) -> bool:
        """Whether other computers can reach it."""
        return self.host not in LOOPBACK and not _address(self.host, "is_loopback")

    @property
    def shown_host(self) -> str:
        """The name or address that a browser is sent to."""
        if not self.reachable:
            return self.host
        everywhere = _address(self.host, "is_unspecified")
        return next(iter(self.names), _own_address() if everywhere else self.host)

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which the server may be asked."""
        others = {self.host, self.shown_host} if self.reachable else set()
        return frozenset(name.lower() for name in {*LOOPBACK, *others, *self.names})


def run_review(
    folder: Path, place: Place, *, path: str = "/", browser: bool = True, tell: Callable[[str], None]
) -> None:
    """Serve the pages of a folder of nights until Ctrl-C.

    Parameters
    ----------
    folder
        The folder of nights; it need not be there yet.
    place
        Where it listens.
    path
        The page to begin with.
    browser
        Open it.
    tell
        Is told the address, with the token where there is one.

    Raises
    ------
    BadValueError
        If the host or the port cannot be used.
    """
    token = secrets.token_urlsafe(32) if place.reachable or place.with_token else None
    with _listening(place) as listening:
        host = f"[{place.shown_host}]" if ":" in place.shown_host else place.shown_host
        query = f"?token={token}" if token else ""
        address = f"http://{host}:{listening.getsockname()[1]}{path}{query}"
        tell(address)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        serve(listening, folder, place, token)


class _Server(uvicorn.Server):
    """Ends in order at Ctrl-C and SIGTERM, which are no error here; at a second Ctrl-C at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._waiting: dict[Any, tuple[object, float]] = {}

    async def on_tick(self, counter: int) -> bool:
        """Cut connections that only begin to ask; uvicorn itself cuts those that ask nothing more."""
        if counter % 10 == 0:
            now_s, waiting = time.monotonic(), {}
            for one in list(self.server_state.connections):
                answered = getattr(one, "cycle", None)  # its newest request, once its head is whole
                if answered is None or answered.response_complete:
                    known, since_s = self._waiting.get(one, (None, now_s))
                    waiting[one] = (answered, since_s if known is answered else now_s)
                    if now_s - waiting[one][1] > HALF_S:
                        one.transport.close()
            self._waiting = waiting
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def serve(listening: socket.socket, folder: Path, place: Place, token: str | None) -> None:
    """Answer on a socket until Ctrl-C or SIGTERM, which are its ordinary end."""
    logging.getLogger("uvicorn.error").addHandler(_faults())
    for after_s, work in ((IDLE_AFTER_S, warm_up), (3 * IDLE_AFTER_S, warm_up_more)):
        idle = threading.Timer(after_s, work)
        idle.daemon = True
        idle.start()
    config = uvicorn.Config(
        application(folder, hosts=place.hosts, token=token),
        log_config=None,
        access_log=False,
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=END_S,
        ws="none",
    )
    _Server(config).run(sockets=[listening])


def _faults() -> logging.Handler:
    """Return what writes the tracebacks of our own faults to the terminal."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.ERROR)
    return handler


def _own_address() -> str:
    """Return the address under which the network knows this computer, else its name; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # an address that is nobody's (RFC 5737)
        except OSError:
            return socket.gethostname()
        return str(one.getsockname()[0])


def _address(host: str, trait: str) -> bool:
    """Tell whether a host is an address with a trait such as `is_loopback`."""
    try:
        return bool(getattr(ipaddress.ip_address(host), trait))
    except ValueError:
        return False


def _listening(place: Place) -> socket.socket:
    """Return a socket that waits for browsers."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(place.host, 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise BadValueError(
            f"{place.host!r} is no address of this computer: give one such as 127.0.0.1 or 0.0.0.0."
        ) from None
    for wanted in (DEFAULT_PORT, 0) if place.port is None else (place.port,):
        one = socket.socket(family, kind)
        if os.name == "posix":  # where it means that a port just left is free again
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address[0], wanted))
            one.listen(128)
        except OSError as error:
            one.close()
            problem = error.strerror or error
        else:
            return one
    raise BadValueError(
        f"{place.host}, port {place.port or 'any'}, cannot be used ({problem}): "
        "leave out --port, and one that is free is used."
    )
