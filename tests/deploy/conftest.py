"""Gives the tests of this folder the small bot."""

from small_bot import bot, configured, first

__all__ = ["bot", "configured", "first"]
