"""The examples of docs/exports.md run on real exports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from counted_nights import counted_night

from firmware_host import formats
from firmware_host.analysis import load_run, night_counts
from firmware_host.formats.exporting import export
from firmware_host.recording import open_night

PAGE = (Path(__file__).parents[1] / "docs" / "exports.md").read_text(encoding="utf-8")


def test_every_format_has_its_section() -> None:
    """The page describes every format that there is, and none that there is not."""
    sections = re.findall(r"^## (\w+)$", PAGE, flags=re.MULTILINE)
    assert sorted(sections) == sorted([*formats.names("export"), "Sharing"])


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python examples run in order, and find the nights' twitches and samples."""
    for library in ("pandas", "pyarrow", "pyedflib"):
        pytest.importorskip(library)
    night = counted_night(tmp_path / "night.night")
    for form in formats.names("export"):
        export([night], tmp_path / {"csv": "tables"}.get(form, form), form)
    monkeypatch.chdir(tmp_path)
    said: dict[str, Any] = {}
    examples = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(examples) == 5
    for example in examples:
        exec(compile(example, "docs/exports.md", "exec"), said)
    opened = open_night(night)
    assert said["by_site"]["twitches"].sum() == night_counts(opened, load_run(opened))["twitches"].sum() > 100
    assert len(said["fit"].coef_) == 2
    assert len(said["x_g"]) == len(said["time_s"]) == len(said["samples"]) == 720_000
    assert sum(text.startswith("twitch ") for text in said["text"]) == said["events"]["counted"].sum()
