"""How a recording is doing, told to other processes by a file: written, read, broken, left behind."""

from __future__ import annotations

import contextlib
import secrets
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import made_nights
import msgspec
import pytest
from scripted_sensors import Listener

from firmware_host.capture import status_file as room
from firmware_host.capture.link import LinkStatus
from firmware_host.capture.status_file import StatusFile
from firmware_host.capture.stop import Stop
from firmware_host.capture.told import View
from firmware_host.errors import NotFoundError, StorageError
from firmware_host.recording import NightWriter, continue_night, create_night
from firmware_host.recording.live_status import (
    STATUS_FILE,
    STOP_FILE,
    LiveStatus,
    ask_stop,
    read_status,
    stop_asked,
    write_status,
)
from firmware_host.recording.nights import running_night
from firmware_host.recording.reader import is_being_written

S = 10**9
SENSOR = LinkStatus(
    site="left_calf", state="streaming", model="WitMotion", rssi=-61, fs_hz=201.5, lost_share=0.002,
    battery_percent=80, last_data_mono_ns=99 * S, trouble=None, samples=4711,
)  # fmt: skip
VIEW = View(
    sensors=(SENSOR,), mono_ns=100 * S, utc_ns=made_nights.START_NS + 60 * S, start_ns=made_nights.START_NS,
    end_ns=made_nights.START_NS + 8 * 3600 * S, time_zone="Europe/Berlin", trouble=None,
)  # fmt: skip


def writer_of(folder: Path) -> NightWriter:
    """Begin a night of one WitMotion."""
    meta = made_nights.meta(1)
    sensors = tuple(msgspec.structs.replace(one, model="witmotion", fs_hz=200.0) for one in meta.sensors)
    return create_night(folder, msgspec.structs.replace(meta, sensors=sensors))


def status_of(night: Path, within_s: float = 5.0) -> LiveStatus:
    """Return a night's status once it is there."""
    deadline = time.monotonic() + within_s
    while (status := read_status(night)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return status


def break_off(writer: NightWriter) -> None:
    """Have a recorder say how it is doing, and end by a fault of ours."""
    with contextlib.suppress(RuntimeError), StatusFile(writer, Listener(), Stop()) as status_file:
        status_file.show(VIEW)
        status_of(writer.path)
        raise RuntimeError


def test_a_recording_tells_how_it_is_doing(tmp_path: Path) -> None:
    """All that the page shows is there, private to the user, and everybody who was told before still is."""
    told, stop = Listener(), Stop()
    with writer_of(tmp_path / "a.night") as writer:
        with StatusFile(writer, told, stop, ["Plug it in."]) as status_file:
            status_file.say("left_calf: streaming.")
            status_file.show(VIEW)
            status_file.ring()
            status = status_of(writer.path)
            assert stat.S_IMODE((writer.path / STATUS_FILE).stat().st_mode) == 0o600
        assert not (writer.path / STATUS_FILE).exists()
    assert (told.said, told.views, told.rings) == (["left_calf: streaming."], [VIEW], 1)
    (sensor,) = status.sensors
    assert (sensor.site, sensor.state, sensor.samples, sensor.lost_share) == (
        "left_calf", "streaming", 4711, 0.002,
    )  # fmt: skip
    assert sensor.last_data_ns == VIEW.utc_ns - S
    assert [one.sentence for one in status.said] == ["left_calf: streaming."]
    assert (status.start_ns, status.end_ns, status.virtual) == (VIEW.start_ns, VIEW.end_ns, False)
    assert status.advice == ("Plug it in.",)
    assert (status.disk_free_bytes or 0) > 0


def test_the_battery_is_forecast_by_what_it_did(tmp_path: Path) -> None:
    """From the model's hours at first, from its own drain later; a battery that was charged begins anew."""
    with writer_of(tmp_path / "a.night") as writer, StatusFile(writer, Listener(), Stop()) as status_file:

        def ends_h(percent: int, after_h: float) -> float:
            sensor = replace(SENSOR, battery_percent=percent)
            later = round(after_h * 3600 * S)
            view = replace(VIEW, sensors=(sensor,), utc_ns=VIEW.utc_ns + later, mono_ns=VIEW.mono_ns + later)
            ends_ns = status_file._status(view).sensors[0].battery_ends_ns
            assert ends_ns is not None
            return (ends_ns - VIEW.utc_ns) / 3.6e12

        assert ends_h(80, 0) == pytest.approx(0.8 * 8)
        assert ends_h(60, 1) == pytest.approx(1 + 3)
        assert ends_h(100, 2) == pytest.approx(2 + 8)


def test_a_night_that_breaks_off_keeps_its_status(tmp_path: Path) -> None:
    """After a fault of ours the status stays; the recorder that goes on begins without it."""
    with writer_of(tmp_path / "a.night") as writer:
        break_off(writer)
        ask_stop(writer.path)
        assert read_status(writer.path) is not None
    with continue_night(tmp_path / "a.night") as writer:
        assert not {STATUS_FILE, STOP_FILE} & {path.name for path in writer.path.iterdir()}


def test_a_disk_that_hangs_leaves_no_status_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A status that is written only after the end of the recording is taken away again."""
    going, freed = threading.Event(), threading.Event()

    def late(path: Path, status: LiveStatus) -> None:
        going.set()
        freed.wait(10)
        write_status(path, status)

    monkeypatch.setattr(room, "write_status", late)
    monkeypatch.setattr(room, "CLOSE_S", 0.05)
    with writer_of(tmp_path / "a.night") as writer:
        with StatusFile(writer, Listener(), Stop()) as status_file:
            status_file.show(VIEW)
            assert going.wait(10)
        freed.set()
        status_file._thread.join(10)
        assert not (writer.path / STATUS_FILE).exists()


def test_another_process_asks_for_the_end(tmp_path: Path) -> None:
    """The recorder ends when it is asked, twice too; what was meant for another run ends nothing."""
    stop = Stop()
    with writer_of(tmp_path / "a.night") as writer, StatusFile(writer, Listener(), stop) as status_file:
        with pytest.raises(NotFoundError, match="does not answer yet"):
            ask_stop(writer.path)
        (writer.path / STOP_FILE).write_bytes(secrets.token_hex(8).encode())
        status_file.show(VIEW)
        assert stop.reason is None
        status = status_of(writer.path)
        assert not stop_asked(writer.path, status.id)
        ask_stop(writer.path)
        ask_stop(writer.path)
        assert stop_asked(writer.path, status.id)
        status_file.show(VIEW)
        assert stop.reason == "ended by hand"


def test_a_disk_that_refuses_costs_no_recording(tmp_path: Path) -> None:
    """Where the status cannot be written the recorder goes on, and says so to nobody."""
    told = Listener()
    with writer_of(tmp_path / "a.night") as writer:
        (writer.path / f".{STATUS_FILE}").mkdir()
        with StatusFile(writer, told, Stop()) as status_file:
            for seconds in range(0, 30, 3):
                status_file.show(replace(VIEW, mono_ns=VIEW.mono_ns + seconds * S))
        assert read_status(writer.path) is None
    assert len(told.views) == 10


def test_an_end_that_cannot_be_asked_for_is_said(tmp_path: Path) -> None:
    """A sentence names another way."""
    with writer_of(tmp_path / "a.night") as writer, StatusFile(writer, Listener(), Stop()) as status_file:
        status_file.show(VIEW)
        status_of(writer.path)
        (writer.path / f".{STOP_FILE}").mkdir()
        with pytest.raises(StorageError, match="Ctrl-C"):
            ask_stop(writer.path)
        (writer.path / f".{STOP_FILE}").rmdir()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b"{}", b'{"id": 7}', b"[" * 5000, b" " * 10**6,
        b"\x00" * 100, b'{"more":' + b"[" * 200_000,
    ],
    ids=["empty", "cut", "null", "list", "no-utf8", "nothing", "types", "deep", "long", "zeros", "brackets"],
)  # fmt: skip
def test_a_status_that_cannot_be_understood_is_none(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file, reading it says no more than that there is nothing."""
    (tmp_path / STATUS_FILE).write_bytes(content)
    assert read_status(tmp_path) is None
    with pytest.raises(NotFoundError):
        ask_stop(tmp_path)


def test_only_the_lock_says_that_a_recorder_is_alive(tmp_path: Path) -> None:
    """A status that a dead process left, whatever it says, is no recording; a night that is open is one."""
    assert running_night(tmp_path / "nowhere") is None
    with writer_of(tmp_path / "2026-11-22T23-30-00.night") as writer:
        break_off(writer)
        assert running_night(tmp_path) == writer.path
    assert read_status(writer.path) is not None
    assert running_night(tmp_path) is None


def test_who_looks_is_not_taken_for_a_writer(tmp_path: Path) -> None:
    """Many who look at once see no recorder where there is none."""
    night = made_nights.small_night(tmp_path / "a.night", blocks=1)
    seen: list[bool] = []

    def look() -> None:
        seen.extend(is_being_written(night) for _ in range(50))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 200
    assert not any(seen)


def test_files_are_whole_for_whoever_reads(tmp_path: Path) -> None:
    """While the status is replaced over and over, each reading is a whole status."""
    over = threading.Event()
    with writer_of(tmp_path / "a.night") as writer, StatusFile(writer, Listener(), Stop()) as status_file:
        status_file.show(VIEW)
        status_of(writer.path)

        def write() -> None:
            second = 0
            while not over.is_set():
                second += 3
                status_file.show(replace(VIEW, mono_ns=VIEW.mono_ns + second * S))
                time.sleep(0.0005)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            assert all(read_status(writer.path) is not None for _ in range(500))
        finally:
            over.set()
            thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["a.night"]
