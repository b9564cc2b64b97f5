"""Does a board keep to OBA/1? The rules of docs/oba.md, one by one, on what it said when it was examined."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from firmware_host.sensors import oba
from firmware_host.sensors.oba_run import UNKNOWN_OP, Run, Stream

LATE_MS = 5.0
"""A stamp is that of a sample, taken when the chip said so: it is not further from the regular time."""
RATE_ERROR = 0.06
STILL_G = 0.05


class Finding(NamedTuple):
    """What is known of one rule."""

    rule: str
    """O1, O2, ... as in docs/oba.md."""
    title: str
    passed: bool | None
    """None: not tested."""
    sentence: str


Verdict = tuple[bool | None, str]
NO_STREAM: Verdict = (None, "It did not stream.")


def _advertised(run: Run) -> Verdict:
    if run.advertisement is None or run.about is None:
        return None, "Its advertisement or its Info was not read."
    name = f"OBA-{run.about.uid & 0xFFFF:04x}"
    if oba.SERVICE not in run.advertisement.services:
        return False, "It does not advertise the service."
    told = run.advertisement.name
    return told.lower() == name.lower(), f"Its name is {told!r}; from its uid it should be {name!r}."


def _info(run: Run) -> Verdict:
    try:
        info = oba.Info.of(run.info)
    except ValueError as error:
        return False, f"{error}."
    wrong = [
        text
        for text, bad in (
            (f"version {info.version} is not 1", info.version != 1),
            ("reserved flags are set", run.info[1] >> len(oba.FLAGS) != 0),
            ("uid is 0", info.uid == 0),
            ("no packet holds a sample", info.max_batch == 0),
            ("the preferred rate is above the highest", info.rate_pref_hz > info.rate_max_hz),
            ("it offers no rate of 45 Hz or more", info.rate_max_hz < 45),
            ("it offers to send again and has no buffer", "backfill" in info.flags and info.buffer_ms == 0),
        )
        if bad
    ]
    return not wrong, f"Info: {'; '.join(wrong) or 'sound'}."


def _answered(run: Run) -> Verdict:
    asked = [data for what, data in run.log if what == "asked"]
    heads = [bytes([data[0] | oba.ANSWER, data[1]]) for data in asked]
    got = [data[:2] for what, data in run.log if what == "answered"]
    if not asked:
        return None, "Nothing was asked."
    if any(what == "answered" and len(data) < 3 for what, data in run.log):
        return False, "An answer has no status."
    return got == heads, f"{len(asked)} requests were sent, {len(got)} answers came, " + (
        "in order with the same tokens." if got == heads else "not one for each in order with its token."
    )


def _status(op: int, wanted: int, say: str) -> Callable[[Run], Verdict]:
    def judge(run: Run) -> Verdict:
        replies = [reply for _, reply in run.answers(op)]
        if not replies:
            return None, "It was not asked."
        told = [reply[2] if len(reply) > 2 else None for reply in replies]
        return all(status == wanted for status in told), f"{say}: status {told}, expected {wanted}."

    return judge


def _impossible(run: Run) -> Verdict:
    bad = [reply for request, reply in run.answers(oba.START) if request[2:6] == bytes(4)]
    if not bad:
        return None, "It was not asked."
    return all(reply[2:] == bytes([oba.BAD_VALUE]) for reply in bad), (
        f"START with a rate of 0 must give status {oba.BAD_VALUE} and nothing more; "
        f"it gave {[reply[2:].hex() for reply in bad]}."
    )


def _started(run: Run) -> Verdict:
    good = [(request, reply) for request, reply in run.answers(oba.START) if request[2:6] != bytes(4)]
    if not good:
        return None, "It was not asked to start."
    for request, reply in good:
        status = reply[2] if len(reply) > 2 else None
        if status == oba.SHORT:
            return None, "The connection is too short for it."
        try:
            started = oba.Started.of(reply[3:])
        except ValueError as error:
            return False, f"Status {status}; {error}."
        wanted_hz = int.from_bytes(request[2:6], "little") / 1000
        if len(reply) != 15 or abs(started.fs_hz - wanted_hz) > 0.1 * wanted_hz:
            return False, f"Asked for {wanted_hz:g} Hz it chose {started.fs_hz:g} Hz ({len(reply)} bytes)."
        if not 1 <= 32768 * started.g_per_count / started.range_g <= 1.3:
            return False, f"{started.g_per_count:g} g a count does not belong to +-{started.range_g:g} g."
        if not oba.FEWEST <= started.batch <= (run.about.max_batch if run.about else 0):
            return False, f"A batch of {started.batch} is not between {oba.FEWEST} and what Info says."
    return True, f"It streams at {started.fs_hz:g} Hz, +-{started.range_g:g} g."


def _whole(run: Run) -> Verdict:
    data = [(stream, one) for stream in run.streams for one in stream.data]
    if not data:
        return NO_STREAM
    for stream, one in data:
        try:
            packet = oba.Packet.of(one)
        except ValueError as error:
            return False, f"A packet is {error}: {one[:16].hex()}, {len(one)} bytes."
        if len(packet.counts) != stream.started.batch:
            return False, f"A packet holds {len(packet.counts)} samples, not {stream.started.batch}."
    return True, f"{len(data)} packets are whole."


def _sequence(run: Run) -> Verdict:
    if not any(stream.packets for stream in run.streams):
        return NO_STREAM
    told = [[packet.sequence for packet in stream.packets] for stream in run.streams]
    good = all(numbers == [k % 2**16 for k in range(len(numbers))] for numbers in told)
    return good, "Sequence numbers go from 0 by 1." if good else "Sequence numbers do not go from 0 by 1."


def _index(run: Run) -> Verdict:
    if not any(stream.packets for stream in run.streams):
        return NO_STREAM
    for stream in run.streams:
        due = 0
        for packet in stream.packets:
            if packet.first != due % oba.INDEX_WRAP:
                return False, f"A packet begins at sample {packet.first}; {due} was due."
            due += len(packet.counts)
    return True, "Indices go from 0, with no sample missing."


def _line(stream: Stream) -> tuple[float, float] | None:
    """Return the true rate in Hz and the largest distance of a stamp from it in ms; None: too short."""
    if len(stream.packets) < 5:
        return None
    last = np.array([packet.first + len(packet.counts) for packet in stream.packets], float)
    at_us = np.array([packet.device_us - stream.packets[0].device_us for packet in stream.packets], float)
    if np.any(np.diff(last) <= 0) or np.any(np.diff(at_us) <= 0):
        return 0.0, float("inf")
    slope, level = np.polyfit(last, at_us, 1)
    return 1e6 / float(slope), float(np.abs(at_us - slope * last - level).max()) / 1000


def _times(run: Run) -> Verdict:
    lines = [line for stream in run.streams if (line := _line(stream)) is not None]
    if not lines:
        return NO_STREAM
    worst = max(late_ms for _, late_ms in lines)
    return worst <= LATE_MS, f"Stamps are within {worst:.1f} ms of regular times; {LATE_MS:g} are allowed."


def _rate(run: Run) -> Verdict:
    lines = [(stream, line) for stream in run.streams if (line := _line(stream)) is not None]
    if not lines:
        return NO_STREAM
    stream, (fs_hz, _) = lines[0]
    good = abs(fs_hz / stream.started.fs_hz - 1) <= RATE_ERROR
    return good, f"By its own clock it samples at {fs_hz:.2f} Hz, and said {stream.started.fs_hz:g} Hz."


def _ping(run: Run) -> Verdict:
    pings = [(request, reply) for request, reply in run.answers(oba.PING) if reply]
    if not pings:
        return None, "It was not asked, or did not answer."
    if any(reply[2:3] != b"\0" or len(reply) != 11 for _, reply in pings):
        return False, "The answer to PING is not status 0 and eight bytes."
    reply = pings[-1][1]
    now_us = int.from_bytes(reply[3:], "little")
    at = list(run.log).index(("answered", reply))
    stamps = [
        [oba.HEAD.unpack_from(data)[4] for what, data in part if what == "data" and len(data) >= 16]
        for part in (run.log[:at], run.log[at:])
    ]
    if not all(stamps):
        return None, "No packets came before and after it."
    good = stamps[0][-1] <= now_us <= stamps[1][0] + 1_000_000
    return good, "Its time is" + ("" if good else " not") + " that of the packets around it."


def _stats(run: Run) -> Verdict:
    replies = [reply for _, reply in run.answers(oba.STATS)]
    if not any(replies):
        return None, "It was not asked, or did not answer."
    if any(len(reply) != 15 or reply[2:3] != b"\0" for reply in replies):
        return False, "The answer to STATS is not status 0 and twelve bytes."
    samples, overruns, drops = struct.unpack_from("<3I", replies[-1], 3)
    at = list(run.log).index(("answered", replies[-1]))
    before = Run(None, b"", b"", b"", run.log[:at]).streams
    received = sum(len(packet.counts) for packet in before[-1].packets) if before else 0
    return samples >= received and not overruns and not drops, (
        f"It counts {samples} samples ({received} had arrived), {overruns} overruns of its chip's buffer and "
        f"{drops} packets that it dropped."
    )


def _stopped(run: Run) -> Verdict:
    replies = [reply for _, reply in run.answers(oba.STOP)]
    if not replies:
        return None, "It was not asked."
    if any(reply[2:] != bytes([oba.OK]) for reply in replies):
        return False, "STOP must give status 0, also when nothing streams."
    started, stopped = bytes([oba.START | oba.ANSWER]), bytes([oba.STOP | oba.ANSWER])
    running, late = False, 0
    for what, data in run.log:
        if what == "answered" and data[:1] in (started, stopped):
            running = data[:1] == started
        late += what == "data" and not running
    return late == 0, f"{late} packets came while it should have been silent."


def _anew(run: Run) -> Verdict:
    if len(run.streams) < 2 or not run.streams[-1].packets:
        return None, "It was not started while it streamed."
    first = run.streams[-1].packets[0]
    return first.first == first.sequence == 0, (
        f"Started again, its first packet has index {first.first} and sequence {first.sequence}; 0 are due."
    )


def _power(run: Run) -> Verdict:
    good = len(run.battery) == 1 and run.battery[0] <= 100 and bool(run.firmware)
    return good, f"Battery: {list(run.battery)} percent; firmware: {run.firmware.decode(errors='replace')!r}."


def _scale(run: Run) -> Verdict:
    parts = [
        stream.started.g_per_count * packet.counts for stream in run.streams for packet in stream.packets
    ]
    if not parts:
        return NO_STREAM
    norm = np.linalg.norm(np.concatenate(parts), axis=1)
    if norm.std() > STILL_G:
        return None, "It was moved; leave it on a table."
    mean = float(norm.mean())
    return 0.9 <= mean <= 1.1, f"At rest it shows {mean:.3f} g; gravity is 1."


def _resent(run: Run) -> Verdict:
    if run.about is None or "backfill" not in run.about.flags:
        return None, "It does not offer to send again."
    asked = [(request, reply) for request, reply in run.answers(oba.RESEND) if reply[2:3] == bytes([oba.OK])]
    if not asked or not run.streams:
        return False, "It offers to send again and refuses to."
    first, n = struct.unpack_from("<IH", asked[-1][0], 2)
    again: dict[int, bytes] = {}
    for what, data in run.log:
        if what == "data" and data[:1] == bytes([oba.RESENT]):
            with suppress(ValueError):
                packet = oba.Packet.of(bytes([oba.ACCELERATION]) + data[1:])
                again |= {packet.first + k: row.tobytes() for k, row in enumerate(packet.counts)}
    sent = {p.first + k: row.tobytes() for p in run.streams[0].packets for k, row in enumerate(p.counts)}
    good = all(again.get(k) == sent.get(k) is not None for k in range(first, first + n))
    return good, f"{n} samples were asked for again; {len(again)} came" + ("." if good else ", not the same.")


def _short(run: Run) -> Verdict:
    refused = [reply for _, reply in run.answers(oba.START) if reply[2:3] == bytes([oba.SHORT])]
    if not refused:
        return None, "This connection is long enough for it."
    good = all(len(reply) == 3 for reply in refused) and not any(what == "data" for what, _ in run.log)
    return good, "It refused a connection that is too short for it" + ("." if good else ", and not cleanly.")


def _lost(_: Run) -> Verdict:
    return None, "What it does when the link is lost shows only overnight."


RULES: tuple[tuple[str, Callable[[Run], Verdict]], ...] = (
    ("Advertisement", _advertised),
    ("Info", _info),
    ("Every request is answered", _answered),
    ("Unknown requests", _status(UNKNOWN_OP, oba.UNKNOWN, "A request that does not exist")),
    ("Impossible values", _impossible),
    ("The answer to START", _started),
    ("Whole packets", _whole),
    ("Sequence", _sequence),
    ("Index", _index),
    ("Time of the last sample", _times),
    ("Rate", _rate),
    ("PING", _ping),
    ("STATS", _stats),
    ("STOP", _stopped),
    ("START anew", _anew),
    ("Battery and firmware", _power),
    ("IDENTIFY", _status(oba.IDENTIFY, oba.OK, "IDENTIFY")),
    ("Scale", _scale),
    ("RESEND", _resent),
    ("Short connections", _short),
    ("Loss of the link", _lost),
)


def conformance(run: Run) -> tuple[Finding, ...]:
    """Judge a board's run by every rule, in order."""
    return tuple(
        Finding(f"O{number}", title, *judge(run)) for number, (title, judge) in enumerate(RULES, start=1)
    )
