"""The demo's rows: sentences from templates together with rows that people wrote."""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from chatbot_assets.demo.home import PACKAGE_LANGUAGES, read_home

if TYPE_CHECKING:
    from chatbot_assets.demo.sentences import Sentence

_ROWS = 1300
_MOST_PER_INTENT = 60
_LEAST_PER_INTENT = 12


def demo_rows(language: str) -> list[dict[str, str]]:
    """The labelled rows of one language, sorted by intent and text; the same list in every process."""
    from home_assistant_intents import get_intents

    from chatbot_assets.demo.answers import answerer
    from chatbot_assets.demo.sentences import sentences

    content = get_intents(PACKAGE_LANGUAGES[language])
    if content is None:
        raise ValueError(f"home-assistant-intents has no language {PACKAGE_LANGUAGES[language]!r}")
    home = read_home(language)
    answer = answerer(content, home)

    rows = {row["text"]: row for row in _written(language)}
    by_intent: dict[str, list[Sentence]] = defaultdict(list)
    for sentence in sentences(content, home, language):
        by_intent[sentence.intent].append(sentence)
    most = min(_MOST_PER_INTENT, _ROWS // max(len(by_intent), 1))
    for intent in sorted(by_intent):
        for sentence in _spread(by_intent[intent])[:most]:
            row = _row(sentence.text, intent, answer(sentence))
            rows.setdefault(row["text"], row)

    sizes: dict[str, int] = defaultdict(int)
    for row in rows.values():
        sizes[row["intent"]] += 1
    kept = [row for row in rows.values() if sizes[row["intent"]] >= _LEAST_PER_INTENT]
    return sorted(kept, key=lambda row: (row["intent"], row["text"]))


def write_demo(language: str, path: Path) -> int:
    """Write one language's rows to a JSON Lines file, which appears whole or not at all; return how many."""
    rows = demo_rows(language)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return len(rows)


def _written(language: str) -> list[dict[str, str]]:
    """The rows of one language that were written by hand."""
    path = files(__package__) / "rows" / f"{language}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_row(row["text"], row["intent"], row["answer"]) for row in map(json.loads, lines)]


def _spread(found: Iterable["Sentence"]) -> list["Sentence"]:
    """Distinct sentences in an order that takes one of each template in turn, and each template's by hash."""
    by_template: dict[str, dict[str, Sentence]] = defaultdict(dict)
    for sentence in found:
        by_template[sentence.template].setdefault(sentence.text, sentence)
    columns = [sorted(texts.values(), key=lambda one: _digest(one.text)) for texts in by_template.values()]
    columns.sort(key=lambda column: _digest(column[0].template))
    in_turn = [one for turn in zip_longest(*columns) for one in turn if one is not None]
    return list({one.text: one for one in reversed(in_turn)}.values())[::-1]


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


def _row(text: str, intent: str, answer: str) -> dict[str, str]:
    return {"text": _nfc(text), "intent": intent, "answer": _nfc(answer)}


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
