"""Files that appear together or not at all."""

from __future__ import annotations

import os
from pathlib import Path
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
        self._made: list[Path] = []

    def __enter__(self) -> Replacing:
        missing = [path for path in (self.out, *self.out.parents) if not path.exists()]
        try:
            for path in reversed(missing):
                path.mkdir()
                self._made.insert(0, path)
            if not self.out.is_dir():
                raise NotADirectoryError(20, "it is a file", str(self.out))
        except OSError as error:
            self._undo()
            raise _refused(self.out, error) from error
        return self

    def file(self, name: str) -> Path:
        """Return the path under which the file `name` is to be written for now."""
        part = self.out / f".{name}.{os.getpid()}.part"
        self._parts[self.out / name] = part
        return part

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                for place, part in self._parts.items():
                    part.replace(place)
            except OSError as refused:
                self._undo()
                raise _refused(self.out, refused) from refused
            self.written = tuple(self._parts)
            return
        self._undo()
        if isinstance(error, OSError):
            raise _refused(self.out, error) from error

    def _undo(self) -> None:
        for part in self._parts.values():
            part.unlink(missing_ok=True)
        for path in self._made:
            try:
                path.rmdir()
            except OSError:  # something of another program lies in it by now
                return


def _refused(out: Path, error: OSError) -> StorageError:
    return StorageError(f"The files could not be written to {out}: {error.strerror or error}.")
