"""`python -m firmware_host`: the command line without its name on the path."""

from __future__ import annotations

from firmware_host.cli import main

main()
