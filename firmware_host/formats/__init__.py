"""Importers and exporters, one file a format, found by name: `import_<name>.py`, `export_<name>.py`.

A new format is a new file; no list is edited. An importer reads rows into a spool; what they mean, and the
writing of the night, is shared by all of them (`importing.py`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol, cast

from firmware_host.errors import BadValueError

if TYPE_CHECKING:
    from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Source, Spool


class Importer(Protocol):
    """What a module `import_<name>.py` has."""

    def recognises(self, beginning: Beginning, /) -> bool:
        """Tell its files by what stands in them, never by their names; one format at most recognises a file.

        Text that no other format recognises is read as a table ("csv").
        """
        ...

    def read(
        self, source: Source, options: ImportOptions, spool: Spool, progress: Callable[[float], None], /
    ) -> ForeignRecording:
        """Read a file's rows into the spool; `progress` is told the share that is done."""
        ...


def names(kind: Literal["import", "export"]) -> tuple[str, ...]:
    """Return the names of the formats that can be imported or exported, in alphabetical order."""
    found = (info.name for info in pkgutil.iter_modules(__path__))
    return tuple(sorted(name.removeprefix(f"{kind}_") for name in found if name.startswith(f"{kind}_")))


def load(kind: Literal["import", "export"], name: str) -> ModuleType:
    """Load the module of one format, such as `load("export", "csv")`.

    Raises
    ------
    BadValueError
        If there is no such format; the sentence lists those that there are.
    """
    if name not in names(kind):
        raise BadValueError(f"There is no {kind} format {name!r}; there are {', '.join(names(kind))}.")
    return importlib.import_module(f"{__name__}.{kind}_{name}")


def importer(name: str) -> Importer:
    """Load one importer; raises `BadValueError` for a format that there is not."""
    return cast(Importer, load("import", name))
