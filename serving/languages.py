"""Which language the service speaks to a browser or a client, and what the bots' languages are called."""

import functools

from fastapi import Request

from chatbot_assets.explain.words import SPOKEN
from chatbot_assets.languages import LANGUAGES, language_defaults


def language_of(request: Request) -> str:
    """The spoken language that whoever asks likes best."""
    return chosen_language(request.headers.get("accept-language", ""))


def chosen_language(accept_language: str) -> str:
    """The spoken language that an ``Accept-Language`` header (RFC 9110, section 12.5.4) likes best."""
    best, weight = SPOKEN[0], 0.0
    for part in accept_language.split(","):
        tag, _, quality = part.partition(";q=")
        language = tag.strip().partition("-")[0].lower()
        try:
            liked = float(quality or 1)
        except ValueError:
            continue
        if language in SPOKEN and liked > weight:
            best, weight = language, liked
    return best


@functools.cache
def language_name(language: str | None) -> str | None:
    """A bot's language by its name in itself; None when there is no such language."""
    return str(language_defaults(language)["name"]) if language in LANGUAGES else None
