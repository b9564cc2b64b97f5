"""The files of labels and diary: nothing that was said is lost, and nothing that is broken costs the rest."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_host.errors import BadValueError, NotFoundError, StorageError
from firmware_host.recording import labels as module
from firmware_host.recording.diary import FIELDS, read_diary, write_diary
from firmware_host.recording.journal import Journal
from firmware_host.recording.labels import (
    LABELS_FILE,
    Item,
    Label,
    Labels,
    SpotCheck,
    add_label,
    add_spot_check,
    read_labels,
    redo,
    undo,
)

T = 1_795_386_600_000_000_000


def said(labels: Labels) -> list[int]:
    """Return what each active label is about, as a number."""
    return [label.peaks_ns["left_calf"][0] - T for label in labels.active]


def say(folder: Path, number: int) -> Labels:
    """Add a label that has a number."""
    return add_label(folder, what="twitch", drawn="event", peaks_ns={"left_calf": [T + number]})


def test_a_label_reads_back(tmp_path: Path) -> None:
    """All that was said of a label is there again, and the file is the user's alone."""
    made = add_label(
        tmp_path, what="not_twitch", drawn="pile", rater="A. <b>", blind=True,
        peaks_ns={"left_calf": [T, T + 5], "right_calf": [], "left_thigh": [T]}, spot_check="c",
    )  # fmt: skip
    assert read_labels(tmp_path) == made
    (label,) = made.active
    assert label.peaks_ns == {"left_calf": [T, T + 5], "left_thigh": [T]}
    assert (label.what, label.drawn, label.rater, label.blind, label.spot_check) == (
        "not_twitch", "pile", "A. <b>", True, "c",
    )  # fmt: skip
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / LABELS_FILE).stat().st_mode) == 0o600


def test_no_file_is_no_label(tmp_path: Path) -> None:
    """A night that nobody has looked at has no labels, and to undo nothing writes nothing."""
    assert read_labels(tmp_path) == Labels()
    assert undo(tmp_path) == redo(tmp_path) == Labels()
    assert not (tmp_path / LABELS_FILE).exists()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["say", "undo", "redo", "tear", "rubbish"]), max_size=25))
def test_any_sequence_equals_its_replay(steps: list[str]) -> None:
    """Undo and redo do what a list of decisions would do, whatever was cut short or broken in between."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done: list[int] = []
        undone: list[int] = []
        broken = 0
        for number, step in enumerate(steps):
            if step == "say":
                now = say(folder, number)
                done, undone = [*done, number], []
            elif step == "undo":
                now = undo(folder)
                undone += done[-1:]
                done = done[:-1]
            elif step == "redo":
                now = redo(folder)
                done += undone[-1:]
                undone = undone[:-1]
            else:
                with (folder / LABELS_FILE).open("ab") as file:
                    file.write(b'{"kind":"label","id":"x","utc' if step == "tear" else b'{"kind":"new"}\n')
                broken += 1
                continue
            assert said(now) == done
            assert [label.peaks_ns["left_calf"][0] - T for label in now.undone] == undone
        assert said(read_labels(folder)) == done
        if "tear" not in steps:
            assert len(read_labels(folder).damage) == broken


def test_a_line_that_was_cut_short_costs_nothing_else(tmp_path: Path) -> None:
    """Cut anywhere in its last line, the file gives all labels before it and takes new ones."""
    say(tmp_path, 1)
    say(tmp_path, 2)
    whole = (tmp_path / LABELS_FILE).read_bytes()
    start = whole.index(b"\n") + 1
    for cut in range(start, len(whole) - 1):
        (tmp_path / LABELS_FILE).write_bytes(whole[:cut])
        found = read_labels(tmp_path)
        assert said(found) == [1]
        assert len(found.damage) == (cut > start)
        assert said(say(tmp_path, 3)) == [1, 3]
    (tmp_path / LABELS_FILE).write_bytes(whole[:-1])  # all but the end of the line
    assert said(say(tmp_path, 3)) == [1, 2, 3]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe", b"[]", b"null", b'"x"', b"[" * 100_000, b'{"kind":"label"}',
        b'{"kind":"label","id":"a","utc_ns":1,"rater":"","what":"twitch","drawn":"event","peaks_ns":{"a":[-1]}}',
        b'{"kind":"label","id":"a","utc_ns":1,"rater":"","what":"twitch","drawn":"event","peaks_ns":{"a":[1e300]}}',
        b'{"kind":"label","id":"a","utc_ns":1,"rater":"","what":"twitch","drawn":"event","peaks_ns":{"a":["1"]}}',
        b'{"kind":"label","id":"a","utc_ns":1,"rater":"","what":"healed","drawn":"event"}',
        b'{"kind":"undo","id":"b","utc_ns":1,"rater":"","of":7}',
    ],
)  # fmt: skip
def test_what_is_no_label_is_told_and_passed_over(tmp_path: Path, line: bytes) -> None:
    """A line of something else is named by its number, and the labels around it hold."""
    say(tmp_path, 1)
    with (tmp_path / LABELS_FILE).open("ab") as file:
        file.write(line + b"\n")
    found = say(tmp_path, 2)
    assert said(found) == [1, 2]
    assert ["line 2 " in one.what for one in found.damage] == [True]


def test_fields_of_a_later_version_are_no_harm(tmp_path: Path) -> None:
    """A line that says more than this program knows still says what it knows."""
    say(tmp_path, 1)
    line = json.loads((tmp_path / LABELS_FILE).read_text())
    (tmp_path / LABELS_FILE).write_text(json.dumps(line | {"mood": "sure"}) + "\n")
    found = read_labels(tmp_path)
    assert said(found) == [1]
    assert not found.damage


def test_an_undo_of_a_lost_label_is_nothing(tmp_path: Path) -> None:
    """Where the line of a label is broken, the line that took it back takes back nothing else."""
    say(tmp_path, 1)
    say(tmp_path, 2)
    undo(tmp_path)
    lines = (tmp_path / LABELS_FILE).read_bytes().split(b"\n")
    lines[1] = lines[1][: len(lines[1]) // 2]
    (tmp_path / LABELS_FILE).write_bytes(b"\n".join(lines))
    assert said(read_labels(tmp_path)) == [1]


def test_two_processes_take_turns(tmp_path: Path) -> None:
    """Labels that two programs give at once are all there, each in a line of its own."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom firmware_host.recording.labels import add_label\n"
        "for i in range(40):\n    add_label(Path(sys.argv[1]), what='twitch', drawn='event',"
        f" rater=sys.argv[2], peaks_ns={{'left_calf': [{T} + i]}})\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), rater]) for rater in ("a", "b")]
    assert [process.wait(60) for process in running] == [0, 0]
    found = read_labels(tmp_path)
    assert not found.damage
    for rater in ("a", "b"):
        own = [label.peaks_ns["left_calf"][0] - T for label in found.active if label.rater == rater]
        assert own == list(range(40))


def test_a_disk_that_refuses_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label that the disk takes only in part is not there, and the user is told."""
    say(tmp_path, 1)
    before = (tmp_path / LABELS_FILE).read_bytes()
    real = os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) < 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content[:25])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="nothing was noted"):
        say(tmp_path, 2)
    monkeypatch.undo()
    assert (tmp_path / LABELS_FILE).read_bytes() == before


def test_a_night_that_is_gone_gets_a_sentence(tmp_path: Path) -> None:
    """Nothing is made for a night that is not there."""
    with pytest.raises(NotFoundError):
        say(tmp_path / "gone.night", 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "what",
    [
        {"what": "twitch", "drawn": "event"},
        {"what": "twitch", "drawn": "event", "peaks_ns": {"left_calf": [-1]}},
        {"what": "twitch", "drawn": "event", "peaks_ns": {"left_calf": [2**63]}},
        {"what": "exclude", "drawn": "range", "start_ns": 1, "end_ns": 2},
        {"what": "exclude", "drawn": "range", "sites": ["left_calf"], "start_ns": 2, "end_ns": 2},
        {"what": "twitch", "drawn": "event", "peaks_ns": {"left_calf": [1]}, "rater": "x" * 81},
    ],
)
def test_a_label_must_be_about_something(tmp_path: Path, what: dict[str, object]) -> None:
    """No event, no site, no time: a sentence, and no file."""
    with pytest.raises(BadValueError):
        add_label(tmp_path, **what)  # type: ignore[arg-type]
    assert not (tmp_path / LABELS_FILE).exists()


def test_a_spot_check_is_kept_and_never_undone(tmp_path: Path) -> None:
    """What was drawn stays; only its answers are labels."""
    check = SpotCheck(
        id="c", utc_ns=1, rater="", seed=4, detector="d", counted=9, rejected=8,
        items=(Item("left_calf", T, True), Item("left_calf", T + 1, False)),
    )  # fmt: skip
    add_spot_check(tmp_path, check)
    assert undo(tmp_path).spot_checks == (check,)
    assert read_labels(tmp_path).spot_checks == (check,)


def test_a_newer_label_shuts_out_what_was_undone_before(tmp_path: Path) -> None:
    """Two who undo and label at once: what was taken back does not come back over a newer label."""
    say(tmp_path, 1)
    taken = undo(tmp_path)
    say(tmp_path, 2)
    line = module.Redo(id="r", utc_ns=1, rater="", of=taken.undone[0].id)
    Journal[module.Line](tmp_path / LABELS_FILE, module.Line).append(lambda _: [line])
    assert said(read_labels(tmp_path)) == [2]


def test_the_last_line_of_a_diary_field_wins(tmp_path: Path) -> None:
    """Each field is of its own; an empty value takes one back; history stays in the file."""
    write_diary(tmp_path, {"caffeine": "much", "note": "  a\nb  "})
    write_diary(tmp_path, {"caffeine": "none"})
    write_diary(tmp_path, {"caffeine": "none"})
    now = write_diary(tmp_path, {"note": "", "stress": "some"})
    assert now.fields == {"caffeine": "none", "stress": "some"}
    assert now == read_diary(tmp_path)
    assert now.entries == 3
    assert (tmp_path / "diary.jsonl").read_text().count("caffeine") == 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("coffee", "much", "caffeine, alcohol"), ("caffeine", "lots", "none, little, some, much"),
        ("note", "x" * 501, "500"), ("note", "a\x00b", "characters"), ("caffeine", 3, "text"),
        ("note", "\x1b[2J", "characters"),
    ],
)  # fmt: skip
def test_a_diary_takes_what_it_knows(tmp_path: Path, name: str, value: object, words: str) -> None:
    """An unknown field or value is refused by a sentence that says what there is, and nothing is written."""
    with pytest.raises(BadValueError, match=words):
        write_diary(tmp_path, {"sleep": "well", name: value})
    assert not (tmp_path / "diary.jsonl").exists()


def test_every_diary_level_reads_back(tmp_path: Path) -> None:
    """Whatever the form offers can be said, kept and read."""
    for field in FIELDS:
        for level in field.levels or ("words <script>",):
            assert write_diary(tmp_path, {field.name: level}).fields[field.name] == level


def test_a_label_says_when_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of labelling is the clock's, in UTC."""
    monkeypatch.setattr(module.time, "time_ns", lambda: 12345)
    assert say(tmp_path, 1).active[0].utc_ns == 12345
    assert isinstance(say(tmp_path, 2).active[0], Label)
