"""`twitchmap verify`: checks every block of a night."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._nights import dir_option, find_all, nights_argument
from firmware_host.cli._terminal import json_option, show
from firmware_host.errors import numbered


@click.command()
@nights_argument
@dir_option
@json_option
@click.pass_context
def command(ctx: click.Context, nights: tuple[str, ...], directory: Path, as_json: bool) -> None:
    """Check every block of nights; exit code 1 if anything is damaged."""
    import msgspec

    from firmware_host.recording import verify

    checks = [(path.name, verify(path)) for path in find_all(nights, directory)]
    lines = []
    for name, check in checks:
        state = "damaged" if check.damage else "whole"
        samples = numbered(sum(check.samples.values()), "sample")
        lines.append(f"{name}: {numbered(check.blocks, 'block')}, {samples}, {state}")
        for one in check.damage:
            where = f", byte {one.offset}, {numbered(one.length, 'byte')}" if one.length else ""
            lines.append(f"  {one.what} ({one.file}{where})")
        if check.missing_blocks:
            lines.append(f"  {numbered(check.missing_blocks, 'block is', 'blocks are')} missing")
        if check.being_written:
            lines.append("  being recorded: checked as far as it went")
    document = [{"night": name, **msgspec.structs.asdict(check)} for name, check in checks]
    show(document, "\n".join(lines), as_json=as_json)
    if any(check.damage for _, check in checks):
        ctx.exit(1)
