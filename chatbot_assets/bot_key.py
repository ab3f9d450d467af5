"""How a bot is named. Apart from its configuration, so that a command that needs no more than a key starts at once."""

import re

KEY = re.compile(r"^[a-z0-9][a-z0-9-]*\.[a-z0-9][a-z0-9-]*\Z")
KEY_RULE = "<tenant>.<name>, each of lower-case letters, digits and '-'"


class BotError(ValueError):
    """A bot file, or the name of a bot, that cannot be used; its text is one line that says what to change."""


def check_key(key: str) -> str:
    """Gives the key back.

    Raises:
        BotError: when it is no bot key.
    """
    if not KEY.match(key):
        raise BotError(f"{key!r} is no bot key; a key is {KEY_RULE}")
    return key
