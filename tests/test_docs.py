"""The documents keep up with the program: every command, option, format and file that they should name."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import made_nights
import pytest
from conftest import Run
from counted_nights import counted_night

from firmware_host import __version__, cli, formats
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


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")}), ids=lambda path: path.name
)
def test_written_commands_can_be_given(path: Path) -> None:
    """A command that a page writes is there and has the options that stand behind it."""
    written = re.findall(
        r"(`|^ *)twitchmap ([a-z]+)([^`\n]*)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    for mark, name, rest in written:
        if mark == "`" or name in NAMES:
            assert {*re.findall(r" (--[a-z-]+)", rest)} <= options_of(name) | FOR_ALL, name + rest


def test_every_format_is_documented() -> None:
    """The command reference names every format that can be imported or exported."""
    for kind, name in (("import", "import"), ("export", "export")):
        for form in formats.names(kind):  # type: ignore[arg-type]
            assert f"`{form}`" in section(name)


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")}), ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    """A link to a file of the project leads to one, and to a heading that is there."""
    for target, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            led = path.parent / target if target else path
            assert led.exists(), target
            assert not heading or heading in headings(led), f"{target}#{heading}"


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*/*.md")}), ids=str
)
def test_tables_are_whole(path: Path) -> None:
    """Each row of a table has as many cells as its head: a bar that is no border is escaped."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for rows in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        head, *others = [len(re.findall(r"(?<!\\)\|", row)) for row in rows.splitlines()]
        assert {*others} == {head}, rows.splitlines()[0]


def headings(page: Path) -> set[str]:
    """Return the names under which the headings of a page are linked to."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one).strip().lower().replace(" ", "-") for one in found}


def test_every_page_is_in_the_contents() -> None:
    """The page of contents lists every page of docs/, and none twice."""
    listed = re.findall(r"^- \[.+?\]\((.+?)\)", (ROOT / "docs/index.md").read_text("utf-8"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"index.md"}
    assert {name for name in listed if "/" not in name} == pages


def test_exit_codes_are_documented() -> None:
    """The command reference names every exit code with what it means, and no other."""
    told = re.search(r"^Exit codes: (.*?)\.", COMMANDS, flags=re.MULTILINE | re.DOTALL)
    assert told is not None
    codes = [int(code) for code in re.findall(r"\b\d+\b", told[1])]
    assert codes == [cli.DONE, cli.MENDABLE, cli.WRONG_USAGE, cli.INTERRUPTED, cli.TERMINATED]


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_is_documented(name: str) -> None:
    """A command's section shows what it takes besides options, under the name that its help gives."""
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    for argument in (one for one in command.params if isinstance(one, click.Argument)):
        shown = str(argument.metavar or argument.name).strip("[].")
        assert shown in section(name), argument.name


def printed_texts() -> str:
    """Return every text of the program, one a line, with `...` for what is filled in."""
    texts = []
    for path in sorted((ROOT / "firmware_host").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(" ".join(text.split()) for text in texts)


def test_quoted_sentences_are_printed() -> None:
    """What the page on troubles quotes is what the program prints, but for names and numbers."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \|", page, flags=re.MULTILINE)
    quoted = [text for row in rows for text in re.findall(r'"([^"]+)"', row)]
    assert len(quoted) > 25
    texts = printed_texts()
    assert not [text for text in quoted if text not in texts]


def test_every_make_target_that_documents_name_exists() -> None:
    """`make NAME` in a document is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")):
        for target in re.findall(r"(?:`|^)make (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_picture_is_marked_as_simulated() -> None:
    """The picture in the README says of itself that nobody slept for it."""
    assert "simulated" in (ROOT / "docs" / "map.svg").read_text(encoding="utf-8")


def test_every_file_is_documented() -> None:
    """Every file that the program keeps stands on a page that says what is in it."""
    names = {
        name
        for path in (ROOT / "firmware_host").rglob("*.py")
        for name in re.findall(
            r'^_?[A-Z_]+ = "([\w.-]+\.(?:toml|jsonl?|sqlite|log|cache|lock))"$',
            path.read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )
    }
    assert {"night.toml", "samples.log", "settings.toml"} <= names
    pages = "".join(
        (ROOT / f"docs/{page}.md").read_text("utf-8") for page in ("ethics", "files", "night-format")
    )
    assert not {name for name in names if name not in pages}


def slow_csv(folder: Path) -> Path:
    """Write a recording of 10 Hz, and return the night that it is to become."""
    rows = "".join(f"{0.1 * i:.1f},0.01,{0.001 * (i % 7):.3f},1.0\n" for i in range(600))
    (folder / "slow.csv").write_text(f"time_s,ax_g,ay_g,az_g\n{rows}", encoding="utf-8")
    return folder / "slow.csv"


def local_csv(folder: Path) -> Path:
    """Write a recording whose times have no offset."""
    rows = "".join(f"2026-11-22T23:30:{i / 100:06.3f},0.01,{0.001 * (i % 7):.3f},1.0\n" for i in range(900))
    (folder / "local.csv").write_text(f"timestamp,ax_g,ay_g,az_g\n{rows}", encoding="utf-8")
    return folder / "local.csv"


def full_folder(folder: Path) -> Path:
    """Make a folder that holds something."""
    (folder / "full").mkdir()
    (folder / "full" / "a").touch()
    return folder / "full"


TROUBLES: list[tuple[str, Callable[[Path], list[str | Path]]]] = [
    ("There is no night in ... yet.", lambda folder: ["map", "last", "--dir", folder]),
    (
        "... has no detection run yet: run `twitchmap detect` on it first.",
        lambda folder: ["map", made_nights.small_night(folder / "a.night")],
    ),
    (
        "its rate is ... Hz; twitches need ... Hz at least",
        lambda folder: ["import", folder / "b.night", f"left_calf={slow_csv(folder)}"],
    ),
    (
        "have no offset from UTC; give their zone",
        lambda folder: ["import", folder / "c.night", f"left_calf={local_csv(folder)}"],
    ),
    (
        "... already holds something; name a folder that is empty or not there yet.",
        lambda folder: ["simulate", full_folder(folder), "--hours", "0.05"],
    ),
    (
        "The counts of ... are shown on request only",
        lambda folder: ["map", asked_for(folder)],
    ),
]


def asked_for(folder: Path) -> Path:
    """Make a night with counts in a folder that shows them on request only."""
    (folder / "settings.toml").write_text('show = "on_request"\n', encoding="utf-8")
    return counted_night(folder / "d.night", origin="recorded")


@pytest.mark.parametrize(("quoted", "command"), TROUBLES, ids=[quoted for quoted, _ in TROUBLES])
def test_troubles_look_as_the_page_says(
    quoted: str, command: Callable[[Path], list[str | Path]], run: Run, tmp_path: Path
) -> None:
    """A trouble that can be brought about ends with exit code 1 and the sentence that the page quotes."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert f'"{quoted}"' in page
    code, _, err = run(*command(tmp_path))
    assert code == 1
    assert re.search(".+".join(re.escape(part) for part in quoted.split("...")), " ".join(err.split()))


def test_versions_agree() -> None:
    """Package, project file and citation carry one version, and the changelog knows it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project.get("version", __version__) == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_is_used() -> None:
    """What the project file asks to be installed is imported by it, but for the data of time zones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[><=;]", one)[0].replace("-", "_") for one in project["dependencies"]}
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "firmware_host").rglob("*.py"))
    names = {"scikit_learn": "sklearn"}
    unused = {one for one in asked if not re.search(rf"\b(?:from|import) {names.get(one, one)}\b", sources)}
    assert unused == {"tzdata"}
