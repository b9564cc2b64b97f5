"""The bytes of an EDF+ file that is written record by record, so that a night of any length fits.

edfio makes and checks the header; it writes records only of a file that is whole in memory. Layout:
https://www.edfplus.info/specs/edfplus.html.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from edfio import Edf, EdfAnnotation, EdfSignal, Patient, Recording

RECORDS_AT, RECORDS_LONG = 236, 8
"""Where the header has the number of records."""
FIRST_YEAR, LAST_YEAR = 1985, 2084
"""EDF has no others."""
WIDTH_STEP = 64


class Note(NamedTuple):
    """An annotation: seconds from the file's start, and how long it lasts (None: a moment)."""

    onset_s: float
    duration_s: float | None
    text: str


class Channel(NamedTuple):
    """A signal of the header."""

    label: str
    per_record: int
    transducer: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[int, int]
    prefilter: str = ""


class Heading(NamedTuple):
    """Who, when, and with what."""

    person: str
    start: datetime
    """Local time, whole seconds."""
    more: Sequence[str]
    """Further words on the recording, without spaces."""


def packed_notes(notes: Sequence[Note], records: int, record_s: int) -> list[bytes]:
    """Lay annotations into records, each record's share as bytes of one length.

    One stands in the record of its onset or, where that is full, in a later one: EDF+ allows it, and a
    dense minute does not widen the records of the whole night.
    """
    notes = sorted(notes, key=lambda note: note.onset_s)
    marks = [_note_bytes(note) for note in notes]
    of_record = np.clip([int(note.onset_s // record_s) for note in notes] or [], 0, records - 1).astype(int)
    width = max([len(mark) for mark in marks], default=0)
    stamps = [_stamp_bytes(number * record_s) for number in range(records)]
    width = -(-(width + len(stamps[-1])) // WIDTH_STEP) * WIDTH_STEP
    while (laid := _laid(marks, of_record.tolist(), stamps, width)) is None:
        width = -(-width * 5 // 4 // WIDTH_STEP) * WIDTH_STEP
    return laid


def only_stamp(record: int, record_s: int, width: int) -> bytes:
    """Return the annotations of a record that has none but its own time."""
    return _stamp_bytes(record * record_s).ljust(width, b"\0")


def header(heading: Heading, channels: Sequence[Channel], width: int, record_s: int) -> bytes:
    """Return the header of a file whose number of records is still to be written (`write_count`).

    `width` is the number of bytes of a record's annotations.
    """
    signals = [
        EdfSignal.from_digital(
            np.zeros(channel.per_record, np.int16),
            channel.per_record / record_s,
            label=channel.label,
            transducer_type=channel.transducer[:80],
            physical_dimension=channel.unit,
            physical_range=channel.physical,
            digital_range=channel.digital,
            prefiltering=channel.prefilter,
        )
        for channel in channels
    ]
    known = FIRST_YEAR <= heading.start.year <= LAST_YEAR
    recording = Recording(startdate=heading.start.date() if known else None, additional=heading.more)
    edf = Edf(
        signals,
        patient=Patient(code=heading.person),
        recording=recording,
        starttime=heading.start.time(),
        data_record_duration=record_s,
        annotations=[EdfAnnotation(0, None, "x" * (width - len("+0..:+0..:")))],
    )
    made = io.BytesIO()
    edf.write(made)
    size = edf.bytes_in_header_record
    content = made.getvalue()
    body = 2 * sum(channel.per_record for channel in channels) + width
    assert len(content) == size + body, "the annotations have not the width that they must have"
    return content[:size]


def write_count(file: BinaryIO, records: int) -> None:
    """Write the number of records into the header."""
    file.seek(RECORDS_AT)
    file.write(str(records).ljust(RECORDS_LONG).encode("ascii"))


def record_bytes(signals: Sequence[npt.NDArray[np.int16]], notes: Sequence[bytes]) -> bytes:
    """Return records: of each signal (records, per_record), then the annotations of each."""
    sizes = [signal.shape[1] for signal in signals]
    width = len(notes[0]) // 2
    rows = np.empty((len(notes), sum(sizes) + width), "<i2")
    at = 0
    for signal, size in zip(signals, sizes, strict=True):
        rows[:, at : at + size] = signal
        at += size
    rows[:, at:] = np.frombuffer(b"".join(notes), "<i2").reshape(len(notes), width)
    return rows.tobytes()


def word(text: str, longest: int) -> str:
    """Return a text as a word of an EDF+ header: ASCII without spaces."""
    return re.sub(r"[^!-~]", "_", text)[:longest] or "X"


def _laid(marks: list[bytes], of_record: list[int], stamps: list[bytes], width: int) -> list[bytes] | None:
    """Fill records of a width in order; None if they do not hold all."""
    laid, at = [], 0
    for number, stamp in enumerate(stamps):
        parts, free = [stamp], width - len(stamp)
        while at < len(marks) and of_record[at] <= number and len(marks[at]) <= free:
            parts.append(marks[at])
            free -= len(marks[at])
            at += 1
        laid.append(b"".join(parts).ljust(width, b"\0"))
    return laid if at == len(marks) else None


def _stamp_bytes(onset_s: int) -> bytes:
    return f"+{onset_s}\x14\x14\0".encode()


def _note_bytes(note: Note) -> bytes:
    text = re.sub(r"[\x00-\x1f]", " ", note.text)
    lasts = "" if note.duration_s is None else f"\x15{note.duration_s:.4f}"
    return f"{note.onset_s:+.4f}{lasts}\x14{text}\x14\0".encode()
