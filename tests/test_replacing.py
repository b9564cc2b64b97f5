"""Files that appear together or not at all: what is left when putting them in place is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_host.errors import StorageError
from firmware_host.formats.replacing import Replacing


def written(out: Path, names: str) -> Replacing:
    """Return a folder with new files, one a letter, that are still to be put in place."""
    folder = Replacing(out).__enter__()
    for name in names:
        folder.file(name).write_text("new")
    return folder


def test_an_interrupt_while_files_are_put_in_place_leaves_no_half_named_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two renames takes the temporary files away, as an error of the disk does."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    folder = Replacing(tmp_path / "new")
    folder.__enter__()
    folder.file("events.csv").write_text("1")
    folder.file("counts.csv").write_text("2")
    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        folder.__exit__(None, None, None)
    assert not (tmp_path / "new").exists()


def test_files_come_back_when_putting_in_place_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C at any of the renames leaves the files of before, as they were, and the next export works."""
    rename = Path.replace
    for stopped_at in range(1, 8):
        out = tmp_path / str(stopped_at)
        out.mkdir()
        for name in ("a", "b", "c"):
            (out / name).write_text("before")
        folder = written(out, "abcd")
        calls = 0

        def stop(path: Path, to: Path) -> Path:
            nonlocal calls
            calls += 1
            if calls == stopped_at:  # noqa: B023 - it is called in this round
                raise KeyboardInterrupt
            return rename(path, to)

        monkeypatch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            folder.__exit__(None, None, None)
        monkeypatch.setattr(Path, "replace", rename)
        assert {path.name: path.read_text() for path in out.iterdir()} == dict.fromkeys("abc", "before")
        with Replacing(out) as again:
            again.file("a").write_text("new")
            again.file("d").write_text("new")
        assert {path.name: path.read_text() for path in out.iterdir()} == {
            "a": "new", "b": "before", "c": "before", "d": "new",
        }  # fmt: skip


def test_a_link_that_leads_nowhere_comes_back(tmp_path: Path) -> None:
    """What stands in a file's place is brought back as it was, also if nothing can be read through it."""
    (tmp_path / "a").symlink_to("nowhere")
    (tmp_path / "b" / "in the way").mkdir(parents=True)
    folder = written(tmp_path, "ab")
    with pytest.raises(StorageError, match=r"\(b\)\.$"):
        folder.__exit__(None, None, None)
    assert (tmp_path / "a").readlink() == Path("nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_an_interrupt_while_earlier_files_are_removed_leaves_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C when all files are in place leaves them alone: what was before would leave with them unseen."""
    remove = Path.unlink
    calls = 0

    def stop(path: Path, missing_ok: bool = False) -> None:
        nonlocal calls
        calls += path.suffix == ".before"
        if calls == 1:
            calls += 1
            raise KeyboardInterrupt
        remove(path, missing_ok=missing_ok)

    for name in ("a", "b"):
        (tmp_path / name).write_text("before")
    folder = written(tmp_path, "ab")
    monkeypatch.setattr(Path, "unlink", stop)
    with pytest.raises(KeyboardInterrupt):
        folder.__exit__(None, None, None)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys("ab", "new")


@pytest.mark.parametrize("letter", ["a", "é", "夜", "𝄞"])
def test_a_name_as_long_as_disks_take_it_can_be_written(tmp_path: Path, letter: str) -> None:
    """The temporary name of a file is never too long where its own is not, whatever its letters."""
    name = letter * (250 // len(letter.encode())) + ".edf"
    for _ in range(2):
        with Replacing(tmp_path) as folder:
            for each in (name, "other"):
                folder.file(each).write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "other"])
