"""The pages: one file each, found by its name.

`pages/<page>.py` declares a function with `page`; `templates/<page>.html` shows what it returns;
`static/<page>.js` and `<page>.css` are brought along where they exist; its texts are `texts/en/<page>.json`,
among them "<page>.title" and, for a page in the menu, "<page>.menu".
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from firmware_host.review.endpoints import Context
from firmware_host.review.found import declared

MARK = "_page"
PageFunction = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Page:
    """A declared page."""

    name: str
    path: str
    order: int | None
    """Its place in the menu; None: it is not in the menu."""
    function: PageFunction


def page(path: str, *, order: int | None = None) -> Callable[[PageFunction], PageFunction]:
    """Declare a function of `review/pages/` as the page at a path.

    It is called in a thread with the context and the names in the path, and returns what its template needs.
    The names in the path are at hand in the page's script as `document.body.dataset`.

    Raises
    ------
    TypeError
        If the function does not take what its path names.
    """

    def mark(function: PageFunction) -> PageFunction:
        takes = list(inspect.signature(function).parameters)
        if takes != ["context", *re.findall(r"{(\w+)}", path)]:
            raise TypeError(f"{function.__module__} takes {takes}, its path is {path}")
        setattr(function, MARK, Page(function.__module__.rpartition(".")[2], path, order, function))
        return function

    return mark


@cache
def find_pages() -> list[Page]:
    """Return the pages that the files of this folder declare."""
    return list(declared(sys.modules[__name__], Page, MARK))


__all__ = ["Context", "Page", "find_pages", "page"]
