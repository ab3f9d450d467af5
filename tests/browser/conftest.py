"""Gives the tests of this folder the browser."""

from a_browser import chromium

__all__ = ["chromium"]
