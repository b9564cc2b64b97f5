"""The page that says what a count means, which keys do what, and what is installed."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from firmware_host.review.pages import Context, page

LIBRARIES = ("numpy", "scipy", "scikit-learn", "starlette", "uvicorn", "bleak")


@page("/about", order=90)
def about(context: Context) -> Mapping[str, Any]:
    """Return the versions, and the folder."""
    versions = {"Python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}
    return {"folder": context.folder.resolve(), "versions": versions}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"
