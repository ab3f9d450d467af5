"""The small bot, for services that are killed."""

from small_bot import bot, first

__all__ = ["bot", "first"]
