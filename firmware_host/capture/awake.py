"""Keeps the computer awake through the night, with proof that it took; the display may sleep.

First by wakepy, which asks the desktop or the system; where that fails on Linux (no desktop, a service), by
logind's Inhibit over D-Bus. What says that it holds is asked again: a lock nobody lists is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_host.capture.bounded import bounded

WITHIN_S = 8.0
"""The longest that one way may take."""
WHO, WHY = "twitchmap", "A night is being recorded"
POWER_SUPPLY = Path("/sys/class/power_supply")
DESKTOPS: dict[str, tuple[str, str, str, str, tuple[int, ...]]] = {
    "org.gnome.SessionManager": (
        "/org/gnome/SessionManager", "org.gnome.SessionManager", "IsInhibited", "u", (4,),
    ),
    "org.freedesktop.PowerManagement": (
        "/org/freedesktop/PowerManagement/Inhibit", "org.freedesktop.PowerManagement.Inhibit", "HasInhibit",
        "", (),
    ),
}  # fmt: skip
"""By wakepy's name of a way, whom to ask whether it holds: path, interface, method, its arguments (4 is
suspend)."""
LOGIND = "org.freedesktop.login1"
LOCKS = ("sleep:idle", "idle")
"""What is asked of logind: it lets services of a user who is not logged in keep it from idling only, which
keeps it from sleeping by itself all the same."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proof:
    """Whether the computer is kept awake, and how that is known."""

    held: bool
    how: str
    """Who keeps it awake ("logind", "caffeinate"); empty where nobody does."""
    sentence: str


class NotHeldError(Exception):
    """One way did not work; the message says why, for the log."""


Way = Callable[[], AbstractAsyncContextManager[str]]
"""Keeps awake while entered, as what it yields; raises `NotHeldError` where it cannot, or cannot prove it."""


@contextlib.asynccontextmanager
async def keep_awake(ways: Sequence[Way] | None = None) -> AsyncIterator[Proof]:
    """Keep the computer awake until left; never raises.

    Parameters
    ----------
    ways
        Tried in order; None: those of this system.
    """
    async with contextlib.AsyncExitStack() as stack:
        for way in _ways() if ways is None else ways:
            try:
                how = await stack.enter_async_context(way())
            except NotHeldError as error:
                _log.info("not kept awake: %s", error)
                continue
            yield Proof(True, how, f"This computer stays awake ({how}); its display may sleep.")
            return
        yield Proof(
            False,
            "",
            "This computer could not be kept awake: switch off automatic sleep in its power settings, else "
            "the recording pauses when it sleeps.",
        )


def _ways() -> tuple[Way, ...]:
    return (by_wakepy, by_logind) if sys.platform == "linux" else (by_wakepy,)


@contextlib.asynccontextmanager
async def by_wakepy(proved: Callable[[str], Coroutine[Any, Any, bool]] | None = None) -> AsyncIterator[str]:
    """Keep awake through wakepy; in a thread of its own, as its modes belong to one and may wait for D-Bus.

    Parameters
    ----------
    proved
        Awaited with wakepy's name of the way: whether it holds. None: who it was asked of is asked.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "awake") as thread:
        mode, method = await loop.run_in_executor(thread, _enter)
        try:
            await _prove(method, proved or _holds)
            yield method
        finally:
            try:
                await loop.run_in_executor(thread, mode.__exit__, None, None, None)
            except Exception as error:  # noqa: BLE001 - the desktop is gone, and its lock with it
                _log.info("wakepy's %s was not ended: %r", method, error, exc_info=True)


async def _prove(method: str, holds: Callable[[str], Coroutine[Any, Any, bool]]) -> None:
    try:
        held = await bounded(holds(method), WITHIN_S)
    except Exception as error:
        raise NotHeldError(f"wakepy's {method} cannot be proved: {error!r}") from error
    if not held:
        raise NotHeldError(f"wakepy's {method} does not hold")


def _enter() -> tuple[Any, str]:
    """Enter wakepy's mode; return it and the name of the way that it found."""
    from wakepy import keep

    mode = keep.running(on_fail="pass")
    mode.__enter__()
    if not (mode.active and mode.result.real_success and mode.method is not None):
        mode.__exit__(None, None, None)
        raise NotHeldError("wakepy found no way")
    return mode, mode.method.name


async def _holds(method: str) -> bool:
    """Ask whether a way of wakepy's holds; Windows says so when it is asked to, and to nobody else."""
    if method == "caffeinate":
        return await asyncio.to_thread(_asserted)
    if method in DESKTOPS:
        from dbus_fast import BusType, Message
        from dbus_fast.aio import MessageBus

        path, interface, member, signature, body = DESKTOPS[method]
        bus = await MessageBus(bus_type=BusType.SESSION).connect()
        try:
            reply = await bus.call(
                Message(
                    destination=method, path=path, interface=interface, member=member, signature=signature,
                    body=list(body),
                )
            )  # fmt: skip
        finally:
            await _leave(bus)
        return bool(reply.body) and reply.body[0] is True
    return True


def _asserted() -> bool:
    """Ask macOS whether caffeinate holds it awake."""
    done = subprocess.run(
        ["/usr/bin/pmset", "-g", "assertions"], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    return "caffeinate" in done.stdout


@contextlib.asynccontextmanager
async def by_logind(address: str | None = None) -> AsyncIterator[str]:
    """Keep awake through logind: it holds as long as the file that it hands out is open.

    Parameters
    ----------
    address
        Of the D-Bus; None: the system's.
    """
    try:
        bus, file = await bounded(_inhibit(address), WITHIN_S)
    except NotHeldError:
        raise
    except Exception as error:  # no bus, no logind, or a bus that says something else
        raise NotHeldError(f"logind does not answer: {error!r}") from error
    try:
        yield "logind"
    finally:
        os.close(file)
        await _leave(bus)


async def _inhibit(address: str | None) -> tuple[Any, int]:
    """Take the lock of logind's that it gives, and find it in its list; return the bus and its file."""
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    bus = MessageBus(address, BusType.SYSTEM, negotiate_unix_fd=True)
    try:
        await bus.connect()
        for what in LOCKS[:-1]:
            with contextlib.suppress(NotHeldError):
                return bus, await _locked(bus, what)
        return bus, await _locked(bus, LOCKS[-1])
    except BaseException:
        await _leave(bus)
        raise


async def _locked(bus: Any, what: str) -> int:  # noqa: ANN401
    """Take one lock of logind's; return its file."""
    reply = await _ask_logind(bus, "Inhibit", "ssss", [what, WHO, WHY, "block"])
    file = int(reply.unix_fds[reply.body[0]])
    try:
        locks = (await _ask_logind(bus, "ListInhibitors", "", [])).body[0]
        ours = [what.split(":") for what, who, *_, process in locks if (who, process) == (WHO, os.getpid())]
        if not any(set(what.split(":")) <= set(one) for one in ours):
            raise NotHeldError("logind lists no lock of this process")
    except BaseException:
        os.close(file)
        raise
    return file


async def _leave(bus: Any) -> None:  # noqa: ANN401 - dbus-fast's, which is there on Linux only
    """Leave a D-Bus, and wait until its socket is closed."""
    bus.disconnect()
    with contextlib.suppress(Exception):  # whatever it ended with, it has ended
        await bounded(bus.wait_for_disconnect(), 1.0)


async def _ask_logind(bus: Any, member: str, signature: str, body: list[Any]) -> Any:  # noqa: ANN401
    from dbus_fast import Message, MessageType

    reply = await bus.call(
        Message(
            destination=LOGIND, path="/org/freedesktop/login1", interface=f"{LOGIND}.Manager", member=member,
            signature=signature, body=body,
        )
    )  # fmt: skip
    if reply.message_type is not MessageType.METHOD_RETURN:
        raise NotHeldError(f"logind refuses: {reply.error_name}")
    return reply


def power_warnings(root: Path = POWER_SUPPLY) -> tuple[str, ...]:
    """Say what may end the night, where Linux tells: a computer that runs on its battery, and its lid."""
    supplies = [_supply(one) for one in sorted(root.glob("*"))]
    batteries = [one for one in supplies if one["type"] == "Battery" and one["scope"] != "Device"]
    if not batteries:
        return ()
    said = []
    plugged = any(one["online"] == "1" for one in supplies if one["type"] != "Battery")
    if not plugged and any(one["status"] == "Discharging" for one in batteries):
        charge = f" ({batteries[0]['capacity']} %)" if batteries[0]["capacity"] else ""
        said.append(f"This computer runs on its battery{charge}: plug it in for the night.")
    said.append("Leave its lid open: most computers sleep when it is closed, whatever keeps them awake.")
    return tuple(said)


def _supply(folder: Path) -> dict[str, str]:
    """Read what one power supply says of itself; empty where it does not."""
    found = {}
    for name in ("type", "scope", "status", "online", "capacity"):
        try:
            found[name] = (folder / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):  # not every one has all of them
            found[name] = ""
    return found
