"""Code on the pages is run as it stands, and gives what the pages show."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from found_nights import simulated_run

import firmware_host as tm

ROOT = Path(__file__).parents[1]
NOTEBOOK = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
IN_R = (ROOT / "docs" / "notebook-r.md").read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    """Return the code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def bare(text: str) -> str:
    """Return a text without its numbers, run ids and distances, which may differ."""
    return re.sub(r"run \w+|[\d,.]*\d|\s+", " ", text.strip()).replace("  ", " ")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated night with its run."""
    return simulated_run(tmp_path_factory.mktemp("nights"))


@pytest.mark.long
def test_the_notebook_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of the page runs after the ones before, and shows what stands below it but for numbers."""
    for library in ("pandas", "matplotlib"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"^```(python|text)\n(.*?)^```$", NOTEBOOK, flags=re.MULTILINE | re.DOTALL)
    assert sum(kind == "python" for kind, _ in found) > 8
    space: dict[str, Any] = {}
    last = ""
    for kind, code in found:
        if kind == "text":
            name = re.findall(r"(\w+)\)?$", last.strip())[0]
            assert bare(repr(space[name])) == bare(code)
        else:
            exec(compile(code, "docs/notebook.md", "exec"), space)
            last = code
    assert Path("map.svg").stat().st_size > 1000
    assert Path("calf.png").stat().st_size > 1000
    assert set(space["study"]["night"]) >= {"made-up.night"}


def test_the_page_names_every_name() -> None:
    """The page lists each public name, and none that there is not."""
    assert set(re.findall(r"`tm\.(\w+)", NOTEBOOK)) == set(tm.__all__)


def test_the_readme_runs_as_written(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the README runs on a night of the name that it uses."""
    shutil.copytree(made, tmp_path / "recordings" / "monday.night")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    space: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), space)
    assert len(space["twitches"].counted)


def test_judging_by_several_models_runs_as_written(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The Python of docs/models.md judges one night by two models."""
    (code,) = blocks((ROOT / "docs" / "models.md").read_text(encoding="utf-8"), "python")
    exec(compile(code, "docs/models.md", "exec"), {"night": tm.open(made)})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["plain", "standard"]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
def test_the_page_for_r_runs_as_written(made: Path, tmp_path: Path, run: Run) -> None:
    """The R code reads the exported tables and sums them up."""
    assert run("export", made, "--out", tmp_path / "tables")[0] == 0
    code = "\n".join(blocks(IN_R, "r"))
    done = subprocess.run(
        ["Rscript", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "left_calf" in done.stdout


def test_the_page_for_r_names_columns_that_there_are(made: Path, tmp_path: Path, run: Run) -> None:
    """Every column that the R code reads is in the exported tables."""
    assert run("export", made, "--out", tmp_path)[0] == 0
    written = [(tmp_path / f"{name}.csv").read_text(encoding="utf-8") for name in ("counts", "events")]
    there = {column for text in written for column in text.split("\n", 1)[0].split(",")}
    code = "\n".join(blocks(IN_R, "r"))
    used = set(re.findall(r"\w+\$(\w+)", code)) - {"start", "hour", "per_valid_h", "coefficients"}
    assert {"bin_start_utc", "peak_to_peak_mg"} <= used <= there
