"""Prints the page about the API: `python -m firmware_host.review > docs/api.md`."""

from __future__ import annotations

from firmware_host.review.openapi import description, page_text

print(page_text(description()), end="")  # noqa: T201 - it is a program
