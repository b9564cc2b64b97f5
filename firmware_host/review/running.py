"""`twitchmap review` as a process: a port, the address, the browser, a clean end."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from firmware_host.errors import BadValueError
from firmware_host.review.server import application

DEFAULT_PORT = 8765
HOST = "127.0.0.1"
END_S = 2
"""Requests under way get so long when the server ends."""


def run_review(
    folder: Path, *, port: int | None = None, browser: bool = True, tell: Callable[[str], None]
) -> None:
    """Serve the pages of a folder of nights until Ctrl-C.

    Parameters
    ----------
    folder
        The folder of nights; it need not be there yet.
    port
        None: the default one, or a free one where that is taken.
    browser
        Open the first page.
    tell
        Is told the address.

    Raises
    ------
    BadValueError
        If the port that was asked for is taken.
    """
    listening = _listening(port)
    with listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/"
        tell(address)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            application(folder),
            log_config=None,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=END_S,
            ws="none",
        )
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:  # the ordinary end
            return


def _listening(port: int | None) -> socket.socket:
    """Return a socket that waits for browsers."""
    for wanted in (DEFAULT_PORT, 0) if port is None else (port,):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, wanted))
        except OSError:
            one.close()
        else:
            one.listen(128)
            return one
    raise BadValueError(f"Port {port} is taken or not allowed: leave out --port, and a free one is used.")
