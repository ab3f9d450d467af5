"""Gives the tests of this folder the small bot."""

from small_bot import bot, first

__all__ = ["bot", "first"]
