"""A bot's golden dialogues: what every new model must answer as wanted, in a file beside the bot's YAML.

``bots/<tenant>/<name>.golden.jsonl`` holds one JSON object a line. It is read with the bot, as part of what a person
has decided about it, and it is read strictly: a row that means nothing would guard nothing.
"""

import json
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".golden.jsonl"
KEYS = ("text", "intent", "answer", "out_of_scope", "note")


@dataclass(frozen=True)
class GoldenDialogue:
    """A user's text and what the bot must make of it: an intent, an answer, both, or nothing (``out_of_scope``).

    ``note`` says why the row is there. Texts are in NFC.
    """

    text: str
    intent: str | None = None
    answer: str | None = None
    out_of_scope: bool = False
    note: str = ""

    @property
    def wanted(self) -> str:
        """In words, what the bot must do."""
        if self.out_of_scope:
            return "out of scope"
        intent = [self.intent] if self.intent is not None else []
        return ": ".join([*intent, *([repr(self.answer)] if self.answer is not None else [])])

    def plain(self) -> dict[str, Any]:
        """The dialogue as plain data."""
        return asdict(self)


def read_golden(path: Path) -> tuple[tuple[GoldenDialogue, ...], list[str]]:
    """The dialogues of a file, and every mistake in it as one line: file, line, what to do. Nothing without a file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        return (), []
    except (OSError, UnicodeDecodeError) as error:
        return (), [f"{path}: cannot be read: {error}; save it as UTF-8"]
    found: dict[str, GoldenDialogue] = {}
    first_line: dict[str, int] = {}
    mistakes = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        dialogue = _parse(line)
        if isinstance(dialogue, GoldenDialogue):
            earlier = first_line.setdefault(dialogue.text, number)
            if earlier == number:
                found[dialogue.text] = dialogue
                continue
            dialogue = f"the text stands in line {earlier} already; remove one of the two"
        mistakes.append(f"{path}:{number}: {dialogue}")
    return tuple(found.values()), mistakes


def _parse(line: str) -> GoldenDialogue | str:
    """The dialogue of a line, or what is wrong with it."""
    try:
        row = json.loads(line)
    except ValueError as error:
        return f"no valid JSON ({error}); write one object a line, for instance " + '{"text": "…", "intent": "…"}'
    if not isinstance(row, dict):
        return "is no object; write for instance " + '{"text": "…", "intent": "…"}'
    if unknown := [name for name in row if name not in KEYS]:
        return f"{unknown[0]}: unknown key; allowed: {', '.join(KEYS)}"
    for name in ("text", "intent", "answer", "note"):
        value = row.get(name)
        if value is not None and not (isinstance(value, str) and (value.strip() or name == "note")):
            return f"{name}: must be a text with at least one character (found {value!r})"
        if value is not None and not _is_whole(value):
            return f"{name}: holds half a character; write characters as themselves, in UTF-8"
    if row.get("text") is None:
        return "text: is missing"
    if not isinstance(row.get("out_of_scope", False), bool):
        return f"out_of_scope: must be true or false (found {row['out_of_scope']!r})"
    named = [name for name in ("intent", "answer") if row.get(name) is not None]
    if row.get("out_of_scope") and named:
        return f"out_of_scope: a text out of scope has no {named[0]}; remove one of the two"
    if not row.get("out_of_scope") and not named:
        return "says nothing of what is wanted; give an intent, an answer, or out_of_scope: true"
    texts = {name: unicodedata.normalize("NFC", row[name]).strip() for name in KEYS if isinstance(row.get(name), str)}
    return GoldenDialogue(**texts, out_of_scope=row.get("out_of_scope", False))


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
