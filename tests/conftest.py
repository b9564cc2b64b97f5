"""Fixtures that several files use."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import _chromium, browser, served

from firmware_host.cli import main

__all__ = ["_chromium", "browser", "served"]

Run = Callable[..., tuple[int, str, str]]


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
