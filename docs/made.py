"""What the program says of itself on the pages: `make pages` writes it, and a test keeps it so.

A page is made as a whole, or between `<!-- made: NAME -->` and `<!-- end -->`. Figures are drawn here too.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from scipy.special import ndtr

from firmware_host import body
from firmware_host.cli import commands
from firmware_host.detection.signals import TEMPLATE_RISE_S, twitch_acceleration
from firmware_host.formats import tables
from firmware_host.review.charts.scene import Scene, Shape, Words, line, polygon, to_svg
from firmware_host.review.openapi import description, page_text
from firmware_host.sensors import models
from firmware_host.sensors.__main__ import listing, sections
from firmware_host.simulation import HAPPENING_COLUMNS, TRUTH_COLUMNS, Parameters
from firmware_host.twitches import UNIT_COLUMNS, Column

DOCS = Path(__file__).parent
CARD = DOCS.parent / "models" / "standard" / "README.md"
WRAPPED = 116
INK, PALE, FIRST, SECOND, THIRD = "#22313c", "#d5dde2", "#1b5e6f", "#b3701d", "#6b5b95"

Point = tuple[float, float]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def smallest() -> str:
    """Return the sensors by the smallest twitch that their noise lets through."""
    law = Parameters()

    def row(label: str, limit_mg: float) -> list[str]:
        share = 1 - ndtr(math.log(limit_mg / law.amplitude_median_mg) / law.amplitude_sigma_ln)
        return [label, f"{limit_mg:.1f} mg", f"{100 * share:.0f} %"]

    known = [(model.smallest_twitch_mg, model.label) for model in models().values()]
    rows = [row(label, limit) for limit, label in sorted((a, b) for a, b in known if a is not None)]
    rows += [[label, "not published: `check` measures it", ""] for limit, label in known if limit is None]
    return table(("sensor", "smallest twitch", "share of simulated twitches above it"), rows)


def sites() -> str:
    """Return all body sites, left and right as one row."""
    rows = [
        [f"`left_{place}`, `right_{place}`", left.label.removeprefix("left "), left.view, left.region]
        for name, left in body.SITES.items()
        if name.startswith("left_") and (place := name.removeprefix("left_"))
    ]
    return table(("site", "where", "view", "region"), rows)


def columns(declared: Sequence[Column]) -> str:
    """Return what the columns of a table mean."""
    rows = [[f"`{column.name}`", column.unit, _escaped(column.meaning)] for column in declared]
    return table(("column", "unit", "meaning"), rows)


def own_columns(name: str) -> str:
    """Return what the columns of an exported table mean, but for those that all tables begin with."""
    return columns([column for column in tables.TABLES[name] if column not in tables.LEADING])


def help_page() -> str:
    """Return every command with its arguments and options, as `--help` has them."""
    root = click.Context(commands, info_name="twitchmap", **commands.context_settings)
    parts = [
        "# Every option\n\n"
        "What `twitchmap COMMAND --help` says, made from the program by `make pages`.\n"
        "[Commands](commands.md) explains it.\n"
    ]
    for name in commands.list_commands(root):
        command = commands.get_command(root, name)
        assert command is not None
        pieces = " ".join(command.collect_usage_pieces(click.Context(command, root, name)))
        parts.append(f"\n## {name}\n\n```\ntwitchmap {name} {pieces}\n```\n\n{_prose(command.help)}\n")
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        rows = [[_names(one), _escaped(one.help), _default(one)] for one in options]
        parts.append("\n" + table(("option", "meaning", "else"), rows))
    return "".join(parts)


def _prose(text: str | None) -> str:
    paragraphs = re.split(r"\n\s*\n", (text or "").strip())
    return "\n\n".join(textwrap.fill(_escaped(" ".join(one.split())), WRAPPED) for one in paragraphs)


def _escaped(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _names(option: click.Option) -> str:
    names = ", ".join(f"`{word}`" for word in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    value = option.metavar or {"float": "NUMBER", "integer": "NUMBER"}.get(
        option.type.name.removesuffix(" range"), option.type.name.upper()
    )
    if isinstance(option.type, click.Choice):
        value = "|".join(option.type.choices)
    return f"{names} `{value}`" if "|" not in value else f"{names} {_escaped(value)}"


def _default(option: click.Option) -> str:
    shown = option.show_default and not option.is_flag and option.default is not None
    return f"`{option.default}`" if shown else ""


def templates_figure() -> str:
    """Draw the accelerations that the search looks for."""
    time_s = np.linspace(-0.05, 0.4, 226)
    found = [twitch_acceleration(time_s, rise_s) for rise_s in TEMPLATE_RISE_S]
    curves = [
        (f"rise {1000 * rise_s:.0f} ms", [*zip(1000 * time_s, wave / np.ptp(wave), strict=True)])
        for rise_s, wave in zip(TEMPLATE_RISE_S, found, strict=True)
    ]
    return _chart(
        "The bank of templates",
        "Acceleration of three made-up twitches, before the band-pass, each scaled to 1 peak to peak.",
        curves,
        (-50, 400, 50, "ms after the onset"),
        (-0.6, 0.6, 0.2, "acceleration"),
    )


def found_figure() -> str:
    """Draw the share of simulated twitches that the standard model finds, by size, from its card."""
    card = CARD.read_text(encoding="utf-8")
    head, *rows = _rows_of(card, "recall by d")
    names = {"standard balanced": "both passes", "standard pass 1 balanced": "pass 1 alone"}
    edges = [row[0] for row in rows]
    curves = []
    for column, label in names.items():
        at = head.index(column)
        shares = [float(row[at].split("%")[0]) for row in rows]
        curves.append((label, [(float(number), share) for number, share in enumerate(shares)]))
    return _chart(
        "Share of simulated twitches that is found, by size (held-out nights)",
        "; ".join(
            f"d {edge}: {row[head.index('standard balanced')]}" for edge, row in zip(edges, rows, strict=True)
        ),
        curves,
        (0, len(rows) - 1, 1, "d, size over noise"),
        (0, 100, 20, "% found"),
        edges,
    )


def _rows_of(card: str, first: str) -> list[list[str]]:
    """Return the cells of the card's first table whose first head is that."""
    start = card.index(f"| {first} |")
    lines = card[start:].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in text.strip("|").split("|")] for text in (lines[0], *lines[2:])]


def _chart(
    title: str,
    words: str,
    curves: Sequence[tuple[str, Sequence[Point]]],
    across: tuple[float, float, float, str],
    up: tuple[float, float, float, str],
    names: Sequence[str] | None = None,
) -> str:
    """Return curves over two axes (least, most, step, what) as SVG."""
    width, height, left, right, top, low = 720.0, 340.0, 64.0, 44.0, 56.0, 56.0

    def at(x: float, y: float) -> Point:
        px = left + (x - across[0]) / (across[1] - across[0]) * (width - left - right)
        return round(px, 1), round(height - low - (y - up[0]) / (up[1] - up[0]) * (height - low - top), 1)

    items: list[Shape | Words] = [Words(left, 24, title, 15, INK, bold=True)]
    for number, y in enumerate(np.arange(up[0], up[1] + up[2] / 2, up[2]).tolist()):
        items.append(line(*at(across[0], y), *at(across[1], y), stroke=PALE))
        text = f"{y:.0f}" if up[2] >= 1 else f"{y:.1f}".replace("-0.0", "0.0")
        items.append(Words(left - 8, at(0, y)[1] + 4, text, 12, INK, anchor="end"))
        if not number:
            items.append(Words(left, 44, up[3], 12, INK))
    for number, x in enumerate(np.arange(across[0], across[1] + across[2] / 2, across[2]).tolist()):
        items.append(line(*at(x, up[0]), *at(x, up[1]), stroke=PALE))
        text = names[number] if names else f"{x:.0f}"
        items.append(Words(at(x, 0)[0], height - low + 18, text, 12, INK, anchor="middle"))
    items.append(Words(width - right, height - 14, across[3], 12, INK, anchor="end"))
    for number, (label, points) in enumerate(curves):
        style = {"stroke": (FIRST, SECOND, THIRD)[number], "width": 2.5}
        dash = (None, (7.0, 4.0), (2.0, 3.0))[number]
        items.append(polygon([at(*point) for point in points], closed=False, dash=dash, **style))
        x, y = left + 120.0 * number + 200, 40.0
        items.append(line(x, y, x + 26, y, dash=dash, **style))
        items.append(Words(x + 32, y + 4, label, 12, INK))
    return to_svg(Scene(width, height, title, words, tuple(items)))


WHOLE: dict[str, Callable[[], str]] = {
    "api.md": lambda: page_text(description()),
    "help.md": help_page,
    "figures/found-by-size.svg": found_figure,
    "figures/templates.svg": templates_figure,
}
PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "choosing.md": {"smallest": smallest},
    "exports.md": {
        "leading": lambda: columns(tables.LEADING),
        "events": lambda: own_columns("events"),
        "counts": lambda: own_columns("counts"),
        "coverage": lambda: own_columns("coverage"),
        "diary": lambda: own_columns("diary"),
    },
    "files.md": {
        "truth": lambda: columns(TRUTH_COLUMNS),
        "happenings": lambda: columns(HAPPENING_COLUMNS),
    },
    "notebook.md": {"units": lambda: columns(UNIT_COLUMNS)},
    "placing.md": {"sites": sites},
    "sensors.md": {"table": listing, "sections": sections},
}


def made(name: str) -> str:
    """Return a page or figure of docs/ as it should be."""
    if name in WHOLE:
        return WHOLE[name]()
    text = (DOCS / name).read_text(encoding="utf-8")
    for part, make in PARTS[name].items():
        before, rest = text.split(f"<!-- made: {part} -->\n")
        _, after = rest.split("<!-- end -->", 1)
        text = f"{before}<!-- made: {part} -->\n{make()}<!-- end -->{after}"
    return text


if __name__ == "__main__":
    for page in (*WHOLE, *PARTS):
        (DOCS / page).write_text(made(page), encoding="utf-8")
