"""What users read says what was seen, and nothing about illness: no diagnosis, no alarm, no praise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from firmware_host.cli import commands

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "firmware_host"

FORBIDDEN = re.compile(
    r"""\b(
        abnormal\w* | alarming\w* | symptom\w* | patholog\w* | patient | patients | pathogen\w*
      | disease\w* | disorder\w* | illness\w* | ALS | motor\ neuron\w* | MND | healthy\ range | normal\ range
      | risk | risks | risky | danger\w* | severe\w* | severity | prognos\w* | progression | deteriorat\w*
      | improve[ds]? | improvement\w* | worse\w* | worsen\w* | better
      | warning\ sign\w* | diagnos\w* | screening\ test | cure\w* | treatment\w* | therap\w*
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
"""Words that a count of twitches cannot bear."""
NEGATED = re.compile(
    r"""
        not\ an?\ diagnos\w*(\ device)? | no\ diagnosis | never\ an\ improvement
      | fewer\ twitches\ are\ never\ an\ improvement
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""The sentences that say what it is not may say the word."""


def texts_of(source: Path) -> Iterator[str]:
    """Yield the texts of a source file that a user may meet: every string that is no docstring."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    attribute_docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings | attribute_docs
        ):
            yield node.value


def bad_words(text: str) -> list[str]:
    """Return the words of a text that should not be there."""
    return [match.group() for match in FORBIDDEN.finditer(NEGATED.sub(" ", " ".join(text.split())))]


@pytest.mark.parametrize(
    "text",
    [
        "Your twitches look abnormal.", "This is a sign of disease progression.", "Fewer twitches: better!",
        "High risk", "We diagnose", "The diagnosis is", "Worse than last night", "ALS is likely",
    ],
)  # fmt: skip
def test_the_words_are_found(text: str) -> None:
    """Sentences that nobody should read are caught."""
    assert bad_words(text)


@pytest.mark.parametrize(
    "text", ["It is not a diagnostic device.", "Counts, not a diagnosis.", "also, false, bettering"]
)
def test_harmless_sentences_pass(text: str) -> None:
    """The standard sentence and words that only look alike are left alone."""
    assert not bad_words(text)


@pytest.mark.parametrize(
    "source", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_messages_say_nothing_of_illness(source: Path) -> None:
    """No message, label or sentence in the program speaks of illness, alarms or praises."""
    found = {text: words for text in texts_of(source) if (words := bad_words(text))}
    assert not found


@pytest.mark.parametrize(
    "source",
    sorted(path for kind in ("json", "html", "js") for path in (PACKAGE / "review").rglob(f"*.{kind}")),
    ids=lambda path: path.name,
)
def test_pages_say_nothing_of_illness(source: Path) -> None:
    """The texts of the pages, and their templates and scripts, are as plain."""
    assert not bad_words(source.read_text(encoding="utf-8"))


def test_help_says_nothing_of_illness() -> None:
    """The help of every command is as plain."""
    context = click.Context(commands, **commands.context_settings)
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        assert command is not None
        assert not bad_words(command.get_help(click.Context(command, context, name)))
    assert not bad_words(commands.get_help(context))
    assert "not a diagnostic device" in " ".join(commands.get_help(context).split())


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.*"))], ids=lambda path: path.name
)
def test_documents_say_nothing_of_illness(path: Path) -> None:
    """Documents and pictures are as plain, and the README says what the program is not."""
    text = path.read_text(encoding="utf-8")
    assert not bad_words(text)
    if path.name == "README.md":
        assert "It is not a diagnostic device." in " ".join(text.split())
