"""The computer is kept awake with proof, by whichever way works, and what cannot be is said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from firmware_host.capture import awake
from firmware_host.capture.awake import NotHeldError, by_logind, by_wakepy, keep_awake, power_warnings

needs_bus = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("dbus-daemon") is None, reason="needs D-Bus"
)


@contextlib.asynccontextmanager
async def fails() -> AsyncIterator[str]:
    """Try to keep awake in a way that does not work."""
    raise NotHeldError("not here")
    yield ""


def test_the_first_way_that_works_is_taken_and_ended() -> None:
    """A way that fails is passed over; the next one holds until the end, and no third is tried."""
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def holds() -> AsyncIterator[str]:
        log.append("begun")
        yield "a test"
        log.append("ended")

    def never() -> Any:
        raise AssertionError("tried though another way held")

    async def main() -> None:
        async with keep_awake([fails, holds, never]) as proof:
            assert proof.held
            assert proof.sentence == "This computer stays awake (a test); its display may sleep."
            assert log == ["begun"]
        assert log == ["begun", "ended"]

    asyncio.run(main())


def test_where_no_way_works_it_is_said_what_to_do() -> None:
    """The recording goes on, and the sentence names the setting."""

    async def main() -> None:
        async with keep_awake([fails, fails]) as proof:
            assert not proof.held
            assert "switch off automatic sleep in its power settings" in proof.sentence

    asyncio.run(main())


def test_a_fault_of_the_night_passes_through() -> None:
    """What goes wrong while awake is not taken for a lock that does not hold."""

    async def main() -> None:
        async with keep_awake([fails]):
            raise TimeoutError("of the night")

    with pytest.raises(TimeoutError, match="of the night"):
        asyncio.run(main())


class Mode:
    """What wakepy hands out; it notes in which threads it is entered and left."""

    def __init__(self, *, active: bool = True, real: bool = True) -> None:
        self.active = active
        self.result = type("Result", (), {"real_success": real})()
        self.method = type("Method", (), {"name": "org.gnome.SessionManager"})() if active else None
        self.threads: list[str] = []

    def __enter__(self) -> Mode:
        self.threads.append(awake_thread())
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.append(awake_thread())


def awake_thread() -> str:
    """Return the name of the thread that runs this."""
    import threading

    return threading.current_thread().name


@pytest.mark.parametrize(
    ("mode", "proved", "held"),
    [
        (Mode(), True, True),
        (Mode(), False, False),
        (Mode(), None, False),
        (Mode(active=False), True, False),
        (Mode(real=False), True, False),
    ],
)
def test_wakepy_is_believed_only_with_proof(
    mode: Mode, proved: bool | None, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mode that is not active, feigned, not listed, or cannot be asked for, does not hold; all are left."""
    import wakepy

    monkeypatch.setattr(wakepy.keep, "running", lambda on_fail: mode)

    async def prove(method: str) -> bool:
        assert method == "org.gnome.SessionManager"
        if proved is None:
            raise ConnectionError("no bus")
        return proved

    async def main() -> None:
        async with keep_awake([lambda: by_wakepy(prove)]) as proof:
            assert proof.held is held
            assert len(mode.threads) == (1 if held else 2)

    asyncio.run(main())
    assert len(mode.threads) == 2
    assert mode.threads[0] == mode.threads[1] != awake_thread()


class Logind:
    """A logind that hands out locks, on a bus of its own."""

    def __init__(self, *, refuses: str = "", lists: bool = True) -> None:
        self.refuses, self.lists = refuses, lists
        self.asked: list[list[Any]] = []
        self.read_end: int | None = None

    async def serve(self, address: str) -> Any:
        """Answer on the bus."""
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus

        bus = await MessageBus(address, BusType.SYSTEM, negotiate_unix_fd=True).connect()
        await bus.request_name("org.freedesktop.login1")
        bus.add_message_handler(self.handle)
        return bus

    def handle(self, message: Any) -> Any:
        """Answer a call."""
        from dbus_fast import Message

        if message.member == "Inhibit":
            self.asked.append(message.body)
            if self.refuses and self.refuses in message.body[0]:
                return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "no")
            self.read_end, write_end = os.pipe()
            return Message.new_method_return(message, "h", [0], [write_end])
        if message.member == "ListInhibitors":
            locks = [["handle-lid-switch", "other", "why", "block", 0, 1]]
            if self.lists:
                locks.append([*self.asked[-1], os.getuid(), os.getpid()])
            return Message.new_method_return(message, "a(ssssuu)", [locks])
        return None


@pytest.fixture
def address(tmp_path: Path) -> Any:
    """Start a message bus of the test's own."""
    from fake_bluez import start_bus

    daemon, address = start_bus(tmp_path)
    yield address
    daemon.kill()
    daemon.communicate()


@needs_bus
def test_logind_holds_until_the_end(address: str) -> None:
    """A lock on sleep and idleness is asked for, found in logind's list, and let go of."""
    logind = Logind()

    async def main() -> None:
        serving = await logind.serve(address)
        async with keep_awake([fails, lambda: by_logind(address)]) as proof:
            assert (proof.held, proof.how) == (True, "logind")
        assert logind.asked == [["sleep:idle", "twitchmap", "A night is being recorded", "block"]]
        await awake._leave(serving)

    asyncio.run(main())


@needs_bus
def test_a_service_is_kept_from_idling_at_least(address: str) -> None:
    """Where logind refuses a lock on sleep, as it does to services, one on idleness is taken."""
    logind = Logind(refuses="sleep")

    async def main() -> None:
        serving = await logind.serve(address)
        async with keep_awake([lambda: by_logind(address)]) as proof:
            assert (proof.held, proof.how) == (True, "logind")
        assert [what for what, *_ in logind.asked] == ["sleep:idle", "idle"]
        await awake._leave(serving)

    asyncio.run(main())


@needs_bus
@pytest.mark.parametrize("logind", [Logind(refuses="idle"), Logind(lists=False), None])
def test_a_lock_that_is_refused_or_not_listed_does_not_hold(logind: Logind | None, address: str) -> None:
    """Only what logind lists as ours counts; a logind that is not there is no fault."""

    async def main() -> None:
        serving = await logind.serve(address) if logind else None
        async with keep_awake([lambda: by_logind(address)]) as proof:
            assert not proof.held
        if serving:
            await awake._leave(serving)

    asyncio.run(main())


def test_no_bus_is_no_fault(tmp_path: Path) -> None:
    """A computer without D-Bus is told of in a sentence."""

    async def main() -> None:
        async with keep_awake([lambda: by_logind(f"unix:path={tmp_path / 'none'}")]) as proof:
            assert not proof.held

    asyncio.run(main())


@needs_bus
@pytest.mark.parametrize(
    ("method", "answer", "held"),
    [
        ("org.gnome.SessionManager", True, True),
        ("org.gnome.SessionManager", False, False),
        ("org.freedesktop.PowerManagement", True, True),
    ],
)
def test_desktops_are_asked_whether_they_hold(
    method: str, answer: bool, held: bool, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a desktop says of its own locks is believed."""
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    calls: list[tuple[str, list[Any]]] = []

    def handle(message: Any) -> Any:
        if message.member in {"IsInhibited", "HasInhibit"}:
            calls.append((message.member, message.body))
            return Message.new_method_return(message, "b", [answer])
        return None

    async def main() -> None:
        bus = await MessageBus(address).connect()
        await bus.request_name(method)
        bus.add_message_handler(handle)
        assert await awake._holds(method) is held
        await awake._leave(bus)

    asyncio.run(main())
    assert calls == [("HasInhibit", []) if "Power" in method else ("IsInhibited", [4])]


def test_windows_is_believed_at_once() -> None:
    """Its answer to wakepy is the proof: it tells nobody else."""
    assert asyncio.run(awake._holds("SetThreadExecutionState"))


def supply(root: Path, name: str, **said: str) -> None:
    """Write a power supply as Linux shows it."""
    (root / name).mkdir()
    for key, value in said.items():
        (root / name / key).write_text(f"{value}\n", encoding="utf-8")


def test_a_computer_on_its_battery_is_told_of(tmp_path: Path) -> None:
    """A laptop that is not plugged in is, with its charge; the lid in any case; a mouse's battery is not."""
    assert power_warnings(tmp_path / "none") == ()
    supply(tmp_path, "mouse", type="Battery", scope="Device", status="Discharging", capacity="10")
    supply(tmp_path, "AC", type="Mains", online="0")
    assert power_warnings(tmp_path) == ()
    supply(tmp_path, "BAT0", type="Battery", status="Discharging", capacity="54")
    battery, lid = power_warnings(tmp_path)
    assert battery == "This computer runs on its battery (54 %): plug it in for the night."
    assert lid.startswith("Leave its lid open")
    (tmp_path / "AC" / "online").write_text("1\n", encoding="utf-8")
    assert power_warnings(tmp_path) == (lid,)
