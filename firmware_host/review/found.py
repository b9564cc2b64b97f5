"""Finding what the files of a folder declare: endpoints and pages need no list of their own."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def declared(package: ModuleType, kind: type[T], mark: str) -> Iterator[T]:
    """Yield what the modules of a package have marked: an attribute `mark` of their functions."""
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            one = getattr(value, mark, None)
            if isinstance(one, kind) and value.__module__ == module.__name__:
                yield one
