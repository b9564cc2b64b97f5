"""The house of the design: who may import whom, how long things may be, and what starts up light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "firmware_host"
SAMPLES = PACKAGE.parent / "recordings" / "samples"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.glob("*.py"))
EVERYWHERE = {"errors", "body", "twitches"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "body": set(),
    "twitches": set(),
    "sensors": set(),
    "capture": {"sensors", "recording"},
    "recording": set(),
    "detection": set(),
    "analysis": {"recording", "detection", "twitch_map"},
    "twitch_map": set(),
    "learning": {"recording", "detection", "analysis", "twitch_map", "simulation"},
    "simulation": {"sensors", "recording"},
    "formats": {"recording", "analysis", "twitch_map"},
    "review": {"recording", "analysis", "twitch_map", "formats", "detection"},
    "study": {"recording", "analysis", "twitch_map", "formats"},
    "cli": {
        "analysis", "capture", "detection", "formats", "learning", "recording", "review", "sensors",
        "simulation", "study", "twitch_map",
    },
    "notebook": {"recording", "analysis", "twitch_map", "formats", "learning", "simulation", "review"},
    "__init__": {"notebook", "recording", "analysis", "twitch_map", "formats", "learning", "simulation"},
    "__main__": {"cli"},
}  # fmt: skip
NO_FILES_OR_RADIO = {"os", "io", "pathlib", "socket", "asyncio", "sqlite3", "shutil", "tempfile", "bleak"}


def name_of(path: Path) -> str:
    """Return how a file is called here: a source by its room, a test by its folder."""
    return path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else PACKAGE.parent).as_posix()


def room_of(path: Path) -> str:
    """Return the room of the house that a source file stands in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Return each imported module and whether the import runs when the module is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_type_checking(node)
        for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) not in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are written out in full"
            found += [(f"{node.module}.{alias.name}", id(node) not in inside) for alias in node.names]
    return found


def is_type_checking(node: ast.AST) -> bool:
    """Tell an `if TYPE_CHECKING:` block."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_the_package_is_seen() -> None:
    """The rules below look at the sources that there are."""
    assert len(SOURCES) > 10


def test_imports_go_down_the_journey() -> None:
    """A room imports only itself, the rooms before it, and the three that are open to all."""
    for path in SOURCES:
        room = room_of(path)
        assert room in MAY_IMPORT, f"{room} is no room of the design"
        allowed = MAY_IMPORT[room] | EVERYWHERE | {room, "__version__"}
        for name, _ in imports_of(path):
            top, *rest = name.split(".")
            assert top != "firmware_host" or not rest or rest[0] in allowed, f"{name_of(path)} imports {name}"


def test_libraries_stay_in_their_rooms() -> None:
    """Radio, scikit-learn and scipy are imported in their rooms only; decoders and detectors do no I/O."""
    for path in SOURCES:
        room, relative = room_of(path), name_of(path)
        for name, at_load in imports_of(path):
            top = name.split(".")[0]
            fits = {
                "sklearn": room == "learning",
                "bleak": relative == "capture/ble.py" or room == "simulation",
                "dask": relative == "study/pools.py" and not at_load,
                "distributed": relative == "study/pools.py" and not at_load,
                "scipy": not at_load or room in {"detection", "learning", "simulation"},
            }
            assert fits.get(top, True), f"{relative} imports {name}"
            if room in {"detection", "sensors"}:
                assert top not in NO_FILES_OR_RADIO, f"{relative} does I/O through {top}"


def test_files_and_functions_stay_short() -> None:
    """No file, also of tests, is over 400 lines, no function body over 60, and no name says nothing."""
    nothing = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    for path in SOURCES + TESTS:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{name_of(path)} is too long"
        assert not nothing & set(path.stem.split("_")), f"the name of {name_of(path)} says nothing"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body:
                    lines = (body[-1].end_lineno or 0) - body[0].lineno
                    assert lines < 60, f"{node.name} of {name_of(path)} is too long"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nights", "--help"], ["study", "--help"]])
def test_start_up_is_light(arguments: list[str]) -> None:
    """Help and lists start without scipy, scikit-learn, joblib, Dask, bleak and matplotlib."""
    starts_light(
        "from firmware_host.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
    )


def test_the_server_starts_light() -> None:
    """The review server, with all that its files declare, and its list are there without them too."""
    starts_light(
        "from pathlib import Path\nfrom firmware_host.review.server import application\napplication(Path())\n"
        "from firmware_host.review.night_list import NightsSeen\n"
        f"assert NightsSeen(Path({str(SAMPLES)!r})).nights()[0]\n"
    )


def starts_light(script: str) -> None:
    """Run a script and see that it imported nothing heavy."""
    script = (
        f"import sys\n{script}"
        "heavy = {'scipy', 'sklearn', 'joblib', 'distributed', 'dask', 'bleak', 'matplotlib', 'pyarrow'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
