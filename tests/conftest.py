"""Fixtures that several files use."""

from __future__ import annotations

import gc
from collections.abc import Callable

import hypothesis  # noqa: F401  before the collector is spared what there is: it asks the collector for it
import pytest
from browser import _chromium, _turning, browser, printer, served, standing
from command_line import detected, nights
from failing_disk import disk

from firmware_host.cli import main
from firmware_host.simulation import virtual_chip

__all__ = ["_chromium", "_turning", "browser", "detected", "disk", "nights", "printer", "served", "standing"]

Run = Callable[..., tuple[int, str, str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: several at a time, one that begins last ends long after the others."""

    def lasts_s(item: pytest.Item) -> float:
        mark = item.get_closest_marker("lasts_s")
        return float(mark.args[0]) if mark else 0.0

    items.sort(key=lasts_s, reverse=True)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lasts as long as the process: all modules and thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let virtual sensors feel their body by the half minute: with every drop they begin a new piece."""
    monkeypatch.setattr(virtual_chip, "PIECE_S", 30.0)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return code, out, err

    return call
