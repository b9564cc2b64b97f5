"""Files that appear together or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePosixPath
from types import TracebackType

from firmware_host.errors import StorageError


class Replacing:
    """Files of a folder, written under temporary names and put in place when all of them are complete.

    >>> with Replacing(Path("out")) as folder:  # doctest: +SKIP
    ...     folder.file("events.csv").write_text("...")
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.written: tuple[Path, ...] = ()
        self._parts: dict[Path, Path] = {}
        self._aside: dict[Path, Path] = {}
        """Where a file of an earlier export stands until all are in place."""
        self._old: list[Path] = []
        """Of these what has to go."""
        self._made: list[Path] = []
        self._asked = 0

    def __enter__(self) -> Replacing:
        try:
            self._make(self.out)
        except OSError as error:
            self._undo()
            raise _refused(self.out, error) from error
        return self

    def file(self, name: str) -> Path:
        """Return the path under which the file `name`, such as a/b.csv, is to be written for now."""
        place = self.out.joinpath(*PurePosixPath(name).parts)
        if place not in self._parts:  # the number keeps a long path's file name short; a letter has 4 bytes
            self._asked += 1
            self._parts[place] = self.out / f".{self._asked}-{place.name[-50:]}.{os.getpid()}.part"
        return self._parts[place]

    def names(self) -> set[Path]:
        """Return the places of all files that were asked for."""
        return set(self._parts)

    def drop(self, places: set[Path]) -> None:
        """Forget files again, with what was written of them."""
        for place in places:
            self._parts.pop(place).unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._put_in_place()
            except OSError as refused:
                self._undo()
                raise _refused(self.out, refused) from refused
            except BaseException:  # Ctrl-C while files are put in place
                self._undo()
                raise
            self.written = tuple(self._parts)
            return
        self._undo()
        if isinstance(error, OSError):
            raise _refused(self.out, error) from error

    def _put_in_place(self) -> None:
        """Give all files their names; those of an earlier export stand aside until the last one has its."""
        for place, part in self._parts.items():
            self._make(place.parent)
            if len(self._parts) > 1:  # one alone takes the place of another in one step
                self._aside[place] = part.with_suffix(".before")
                if place.is_file() or place.is_symlink():
                    place.replace(self._aside[place])
            part.replace(place)
        self._old, self._aside = list(self._aside.values()), {}
        self._sweep()

    def _make(self, folder: Path) -> None:
        for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            path.mkdir()
            self._made.insert(0, path)
        if not folder.is_dir():
            raise NotADirectoryError(20, "it is a file", str(folder))

    def _undo(self) -> None:
        """Take back what has its name already, bring back what stood there, and leave no temporary file."""
        for place, before in self._aside.items():
            with contextlib.suppress(OSError):
                if not self._parts[place].exists():
                    place.unlink(missing_ok=True)
                if before.exists() or before.is_symlink():  # a link that leads nowhere does not exist
                    before.replace(place)
        self._sweep()
        for path in self._made:
            with contextlib.suppress(OSError):  # something of another program lies in it by now
                path.rmdir()

    def _sweep(self) -> None:
        """Remove temporary files."""
        for path in (*self._parts.values(), *self._old):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _refused(out: Path, error: OSError) -> StorageError:
    """Say what the disk says, and of which file where one could not take its place."""
    of = f" ({Path(error.filename2).name})" if error.filename2 else ""
    return StorageError(f"The files could not be written to {out}: {error.strerror or error}{of}.")
