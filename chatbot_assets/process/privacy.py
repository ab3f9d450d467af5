"""Masks personal data that can be told by its form: e-mail addresses, telephone, card and identity numbers."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from chatbot_assets.languages.script import INVISIBLE
from chatbot_assets.process.identity_numbers import REGIONS, identity_numbers
from chatbot_assets.process.payment_cards import payment_cards
from chatbot_assets.process.phone_numbers import is_region, phone_numbers

RESULT_LIBRARIES = ["phonenumbers", "python-stdnum"]

KINDS = ("email", "card", "id", "phone")
"""What can be masked, in the order in which it is looked for: a card number may hold an identity number by chance."""

_MAY_HOLD_SOME = re.compile(r"[@\uff20\ufe6b]|(?:\d\D*){6}")
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]+@(?:[A-Za-z0-9\-]+\.)+[A-Za-z]{2,}")
_TAKEN = "\x00"

Find = Callable[[str], Iterator[tuple[int, int]]]


class MaskPersonalData:
    """Puts ``<email>``, ``<phone>``, ``<card>`` and ``<id>`` in place of personal data; keeps every other character.

    Works on raw and on normalised texts: full-width and other digits are read as digits, invisible characters are not
    seen, and groups of digits may have spaces, dots, dashes and brackets between them. Masking twice is masking once.
    """

    def __init__(self, kinds: Sequence[str] = KINDS, regions: Sequence[str] = REGIONS) -> None:
        """Masks only ``kinds``; ``regions`` (ISO 3166) are those whose telephone and identity numbers are known.

        Numbers with a plus are telephone numbers in every region. Raises ValueError for an unknown kind or region.
        """
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise ValueError(f"kinds {unknown} are unknown; allowed: {', '.join(KINDS)}")
        # Asking for a numbering plan imports all of them, which a text without digits has no need of.
        unknown = [region for region in regions if region not in REGIONS and not is_region(region)]
        if unknown:
            raise ValueError(f"regions {unknown} are unknown; write ISO 3166 codes such as {', '.join(REGIONS)}")
        finders: dict[str, Find] = {
            "email": _emails,
            "card": payment_cards,
            "id": lambda text: identity_numbers(text, regions),
            "phone": lambda text: phone_numbers(text, regions),
        }
        self._finders = {kind: finders[kind] for kind in KINDS if kind in kinds}

    def __call__(self, text: str) -> str:
        """The text with placeholders."""
        # What is masked may set free its neighbour, so again until nothing is found; each round leaves fewer digits.
        while _MAY_HOLD_SOME.search(text) and (masked := self._masked(text)) != text:
            text = masked
        return text

    def _masked(self, text: str) -> str:
        seen, places = _as_seen(text)
        found: list[tuple[int, int, str]] = []
        for kind, find in self._finders.items():
            for start, end in list(find(seen)):
                found.append((places[start], places[end - 1] + 1, f"<{kind}>"))
                seen = seen[:start] + _TAKEN * (end - start) + seen[end:]
        for start, end, placeholder in sorted(found, reverse=True):
            text = text[:start] + placeholder + text[end:]
        return text


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _EMAIL.finditer(text))


def _as_seen(text: str) -> tuple[str, list[int]]:
    """The visible characters in one width and with ASCII digits, and where each of them stands in the text."""
    characters, places = [], []
    for place, character in enumerate(text):
        if character == "\u200d" or INVISIBLE.match(character):
            continue
        characters.append(_one_form(character))
        places.append(place)
    return "".join(characters), places


def _one_form(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    folded = unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 and folded.isascii() else character
