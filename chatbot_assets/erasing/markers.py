"""What tells a person's data from all other data: identifiers and texts, and the forms in which bytes may hold them."""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from chatbot_assets.erasing.occurrence import Occurrence

ERASED = "[erased]"
"""Takes the place of a text that cannot simply be left out."""
ID_BYTES = 6
TEXT_BYTES = 12
"""Shorter texts, and single short words, are part of too much else to be looked for among other bytes."""
WORD_BYTES = 20
_WORD = re.compile(r"[A-Za-z0-9_.:\-]*")
_LETTERS = re.compile(r"[A-Za-z]*")


def is_telling_id(value: str) -> bool:
    """Whether an identifier can be looked for within other texts: it is long enough and no plain word."""
    size = len(value.encode())
    return size >= ID_BYTES and (size >= TEXT_BYTES or not _LETTERS.fullmatch(value))


def is_telling_text(value: str) -> bool:
    """Whether a text can be looked for within other texts."""
    size = len(value.encode())
    return size >= (WORD_BYTES if _WORD.fullmatch(value) else TEXT_BYTES)


@dataclass(frozen=True)
class Markers:
    """``telling`` are looked for anywhere, ``whole`` (too short or too common for that) as whole values alone."""

    telling: frozenset[str]
    whole: frozenset[str] = frozenset()

    @classmethod
    def of(cls, ids: Iterable[str], texts: Iterable[str]) -> "Markers":
        """Sorts identifiers and texts by how they can be looked for."""
        ids, texts = set(ids), {text for text in texts if text.strip()}
        telling = {one for one in ids if is_telling_id(one)} | {one for one in texts if is_telling_text(one)}
        return cls(frozenset(telling), frozenset((ids | texts) - telling))

    def __bool__(self) -> bool:
        return bool(self.telling or self.whole)

    @cached_property
    def written(self) -> tuple[str, ...]:
        """The telling markers as texts may quote them: as they are, and within JSON."""
        return tuple(sorted({form for marker in self.telling for form in written_forms(marker)}))

    @cached_property
    def forms(self) -> tuple[bytes, ...]:
        """The bytes of the telling markers: as they are, within JSON (also twice), in UTF-16 and in addresses."""
        return tuple(sorted({form for marker in self.telling for form in forms_of(marker)}))

    def is_in(self, data: bytes) -> bool:
        """Whether some bytes hold a telling marker."""
        return self._occurrence.is_in(data)

    @cached_property
    def _occurrence(self) -> Occurrence:
        return Occurrence(self.forms)

    def marks(self, text: str) -> bool:
        """Whether a value is one of the markers or holds a telling one."""
        return text in self.whole or self.is_quoted_in(text)

    def is_quoted_in(self, text: str) -> bool:
        """Whether a text holds a telling marker."""
        return any(form in text for form in self.written)

    def without(self, values: Iterable[str]) -> "Markers":
        """The markers that none of the values is or holds: what others have said too tells nothing."""
        values = set(values)
        rest = "\x00".join(values)
        return Markers(frozenset(m for m in self.telling if m not in rest), self.whole - values)


def forms_of(marker: str) -> set[bytes]:
    """The bytes in which a text may be stored."""
    found = {text.encode("utf-8", "surrogatepass") for text in written_forms(marker)}
    for text in _normal_forms(marker):
        found.add(quote(text, errors="surrogatepass").encode())
        found |= {text.encode(encoding, "surrogatepass") for encoding in ("utf-16-le", "utf-16-be")}
    return found


def written_forms(marker: str) -> set[str]:
    """A text as it is, composed or decomposed, and as JSON within JSON writes it, up to twice."""
    found = _normal_forms(marker)
    for _ in range(2):
        found |= {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for text in found for ascii_only in (True, False)}
    return found


def _normal_forms(text: str) -> set[str]:
    return {text, unicodedata.normalize("NFD", text)}


def redacted(value: Any, markers: Markers) -> Any:
    """A JSON value without the markers: entries of lists that hold one are left out, other texts become ``ERASED``.

    Texts that are JSON objects or lists themselves are looked into. Markers that are no telling ones are only taken for
    the person's where they are an entry of a list, or the ``text`` of an object in a list.
    """
    if isinstance(value, str):
        if not markers.is_quoted_in(value):
            return value
        inner = _inner(value)
        return ERASED if inner is None else json.dumps(redacted(inner, markers), ensure_ascii=False)
    if isinstance(value, dict):
        return {redacted(name, markers): redacted(below, markers) for name, below in value.items()}
    if isinstance(value, list):
        return [redacted(one, markers) for one in value if not _is_of(one, markers)]
    return value


def _is_of(entry: Any, markers: Markers) -> bool:
    """Whether an entry of a list is the person's: it is a marker, or an object one of whose own texts holds one."""
    if isinstance(entry, str):
        return markers.marks(entry) and _inner(entry) is None
    if isinstance(entry, dict):
        own = [below for below in entry.values() if isinstance(below, str)]
        return entry.get("text") in markers.whole or any(redacted(below, markers) == ERASED for below in own)
    return False


def _inner(text: str) -> Any:
    """What a text that is a JSON object or list holds; None for any other text."""
    if text[:1] not in "{[":
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
