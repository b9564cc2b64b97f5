"""Fixtures that several files use."""

from browser import _chromium, browser, served

__all__ = ["_chromium", "browser", "served"]
