"""`twitchmap verify`: checks every block of a night."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._nights import dir_option, find_all, nights_argument
from firmware_host.cli._terminal import json_option, show


@click.command()
@nights_argument
@dir_option
@json_option
@click.pass_context
def command(ctx: click.Context, nights: tuple[str, ...], directory: Path, as_json: bool) -> None:
    """Check every block of nights; exit code 1 if anything is damaged."""
    from firmware_host.recording import verify

    checks = {path.name: verify(path) for path in find_all(nights, directory)}
    lines = []
    for name, check in checks.items():
        state = "damaged" if check.damage else "whole"
        lines.append(f"{name}: {check.blocks} blocks, {sum(check.samples.values())} samples, {state}")
        lines += [f"  {one.what} ({one.file}, byte {one.offset}, {one.length} bytes)" for one in check.damage]
        if check.missing_blocks:
            lines.append(f"  {check.missing_blocks} blocks are missing")
        if check.being_written:
            lines.append("  being recorded: checked as far as it went")
    show(checks, "\n".join(lines), as_json=as_json)
    if any(check.damage for check in checks.values()):
        ctx.exit(1)
