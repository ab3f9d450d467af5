"""Guesses the language of texts: by script where a script has one language, else by statistics over many texts."""

import re
from collections import Counter
from collections.abc import Sequence

from chatbot_assets.languages.script import SCRIPTS

CHUNK = 20
"""Short texts that are judged together; one alone is too little for character statistics."""
_OF_SCRIPT = {script: re.compile(f"[{letters}]") for script, letters in SCRIPTS.items()}
_VIETNAMESE = re.compile("[\u0103\u0111\u01a1\u01b0\u1ea0-\u1ef9]", re.IGNORECASE)
_CANTONESE = re.compile("[嘅係唔咗喺哋冇嚟佢啲咁嗰睇攞]")


def language_shares(texts: Sequence[str]) -> dict[str, float]:
    """The share of the texts in each language, largest first; texts without letters do not count.

    Keys are the platform's languages and, for others, ISO 639 codes; ``other`` are Latin texts too few to tell.
    """
    by_kind: dict[str, list[str]] = {}
    for text in texts:
        if kind := _kind(text):
            by_kind.setdefault(kind, []).append(text)
    counts: Counter[str] = Counter(
        {kind: len(found) for kind, found in by_kind.items() if kind not in ("han", "latin")}
    )
    if han := by_kind.get("han"):
        # Japanese texts without kana stand among others that have some.
        counts["ja" if counts["ja"] > len(han) / 10 else _chinese(han)] += len(han)
    latin = by_kind.get("latin", [])
    if len(latin) < min(CHUNK, sum(counts.values())):
        counts["other"] += len(latin)
    else:
        counts += _latin(latin)
    counts = +counts
    total = sum(counts.values())
    return {
        language: number / total for language, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    }


def _kind(text: str) -> str | None:
    """The text's language, where its script says it, or ``han`` or ``latin``."""
    letters = {script: len(pattern.findall(text)) for script, pattern in _OF_SCRIPT.items()}
    if letters["Hiragana"] + letters["Katakana"]:
        return "ja"
    of_script = {
        "ko": letters["Hangul"],
        "th": letters["Thai"],
        "han": letters["Han"] + letters["Bopomofo"],
        # A Latin letter says less than a letter of the others: brand names stand in texts of all languages.
        "latin": letters["Latin"] / 4,
    }
    best = max(of_script, key=lambda name: of_script[name])
    if not of_script[best]:
        return None
    return "vi" if best == "latin" and _VIETNAMESE.search(text) else best


def _chinese(texts: Sequence[str]) -> str:
    from opencc import OpenCC

    text = "".join(texts)[:200_000]
    simplified = sum(before != after for before, after in zip(text, OpenCC("s2t").convert(text), strict=False))
    traditional = sum(before != after for before, after in zip(text, OpenCC("t2s").convert(text), strict=False))
    if simplified > traditional:
        return "zh-Hans"
    cantonese = sum(_CANTONESE.search(text) is not None for text in texts)
    return "zh-Hant" if cantonese > len(texts) / 10 else "zh-TW"


def _latin(texts: Sequence[str]) -> Counter[str]:
    from py3langid import classify

    counts: Counter[str] = Counter()
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        counts[classify(" ".join(chunk).lower())[0]] += len(chunk)
    return counts
