"""The documents keep up with the program: every command, option, format and file that they should name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from firmware_host import __version__, formats
from firmware_host.cli import commands

ROOT = Path(__file__).parents[1]
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
NAMES = commands.list_commands(click.Context(commands))
FOR_ALL = {"--dir", "--json", "--help"}


def section(name: str) -> str:
    """Return the part of docs/commands.md on one command."""
    parts = re.split(r"^## twitchmap (\S+)$", COMMANDS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name]


def options_of(name: str) -> set[str]:
    """Return the long options of a command that are shown to users."""
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    return {
        word
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        for word in (*option.opts, *option.secondary_opts)
        if word.startswith("--")
    }


def test_every_command_is_documented() -> None:
    """The command reference has a section for each command, and none for a command that is not there."""
    assert sorted(re.findall(r"^## twitchmap (\S+)$", COMMANDS, flags=re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_documented(name: str) -> None:
    """A command's section names each of its options, and no option that it does not have."""
    named = set(re.findall(r"`(--[a-z-]+)", section(name)))
    assert named == options_of(name) - FOR_ALL


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_help(name: str) -> None:
    """Each command and each option says what it does."""
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    assert command.help
    assert all(
        option.help for option in command.params if isinstance(option, click.Option) and not option.hidden
    )


def test_every_format_is_documented() -> None:
    """The command reference names every format that can be imported or exported."""
    for kind, name in (("import", "import"), ("export", "export")):
        for form in formats.names(kind):  # type: ignore[arg-type]
            assert f"`{form}`" in section(name)


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")}), ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    """A link to a file of the project leads to one."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_make_target_that_documents_name_exists() -> None:
    """`make NAME` in a document is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"(?:`|^)make (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_picture_is_marked_as_simulated() -> None:
    """The picture in the README says of itself that nobody slept for it."""
    assert "simulated" in (ROOT / "docs" / "map.svg").read_text(encoding="utf-8")


def test_versions_agree() -> None:
    """Package, project file and citation carry one version, and the changelog knows it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project.get("version", __version__) == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
