"""All that ``inspect`` finds in files: what they hold, what is wrong with it, and what a bot on it could do."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from chatbot_assets.bot import Embed, Process
from chatbot_assets.collect.sources import Sources
from chatbot_assets.inspection.clusters import proposed_intents
from chatbot_assets.inspection.columns import guess_sources, unused_columns
from chatbot_assets.inspection.languages import language_shares
from chatbot_assets.inspection.nearest import Recall, Vectors, held_out_recall
from chatbot_assets.inspection.rows import (
    Reading,
    Turn,
    questions_with_answers,
    read_files,
    sample_rows,
    spread_sample,
)
from chatbot_assets.languages import LANGUAGES, language_defaults
from chatbot_assets.languages.script import plain

SMALLEST_INTENT = 10
"""Distinct texts of an intent; with fewer there is too little to learn and to hold out."""
SMALLEST_RETRIEVAL = 10
"""Distinct questions with an answer."""
USEFUL_RECALL = 0.3
"""Recall at 5 below which a bot that answers from conversations would mislead more than it helps."""
ATTAINABLE = 0.3
"""Share of held-out answers that recur; below it recall says little about a list of questions and answers."""
CHECKED_TEXTS = 20_000
CLUSTERED_TEXTS = 4_000
EXAMPLES = 5
PLACEHOLDER = re.compile("<(email|phone|card|id)>")


def inspect_files(
    paths: Sequence[Path], *, language: str | None = None, columns: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Looks at files as one bot's data; plain data that JSON can hold. Shares are 0 to 1.

    Args:
        paths: files in the formats of landing.
        language: the bot's language, where it is known; guessed otherwise.
        columns: the columns that hold ``text``, ``intent`` and ``answer``, where they are known.

    Raises:
        ColumnError: when a named column is not there, or no column can be the text.
    """
    samples = [row for path in paths for row in sample_rows(path)]
    mapping = guess_sources(samples, columns or {}) if samples else {}
    sources = Sources.model_validate(mapping)
    reading = read_files(paths, sources)
    questions = questions_with_answers(reading.turns)
    shares = language_shares(spread_sample([turn.text for turn, _ in questions], CHECKED_TEXTS))
    guessed = next(iter(shares), None)
    language = language or (guessed if guessed in LANGUAGES else None)
    report: dict[str, Any] = {
        "rows": _rows(reading),
        "columns": {"sources": mapping, "unused": unused_columns(samples, sources)},
        "language": {"proposed": language, "guessed": guessed, "shares": {name: shares[name] for name in shares}},
    }
    report |= _texts(questions, language)
    report["abilities"] = _abilities(report)
    report["bot_yaml"] = bot_yaml(language, paths, mapping) if language else None
    return report


def bot_yaml(language: str, paths: Sequence[Path], sources: Mapping[str, Any]) -> str:
    """A bot's YAML for these files: its language, and the columns only where they have names of their own."""
    bot: dict[str, Any] = {"language": language, "description": f"On {', '.join(path.name for path in paths[:3])}"}
    if sources:
        bot["sources"] = dict(sources)
    return yaml.safe_dump(bot, allow_unicode=True, sort_keys=False, width=120)


def _rows(reading: Reading) -> dict[str, Any]:
    return {
        "files": [asdict(file) for file in reading.files],
        "accepted": reading.rows,
        "rejected": reading.rejected,
        "looked_at": len(reading.turns),
        "reasons": [
            {"reason": reason, "rows": number, "first": reading.first[reason]}
            for reason, number in sorted(reading.reasons.items(), key=lambda item: (-item[1], item[0]))
        ],
    }


def _texts(questions: Sequence[tuple[Turn, str | None]], language: str | None) -> dict[str, Any]:
    defaults = language_defaults(language) if language else None
    process = Process.model_validate(defaults["process"]) if defaults else None
    normalise: Callable[[str], str] = process.normaliser.load() if process else plain
    normal = {text: normalise(text) for text in {turn.text for turn, _ in questions}}
    rows = [(normal[turn.text], turn.intent, answer) for turn, answer in questions if normal[turn.text]]
    intents = _labels((text, intent) for text, intent, _ in rows)
    answers = _labels((text, answer) for text, _, answer in rows)
    texts = sorted({text for text, *_ in rows})
    found: dict[str, Any] = {
        "texts": {"rows": len(rows), "distinct": len(texts), "duplicates": len(rows) - len(set(rows))},
        "intents": _intents(intents),
        "pairs": {
            "questions": len(answers),
            "answers": len({answer for found in answers.values() for answer in found}),
            "from_conversations": any(turn.conversation and answer and not turn.answer for turn, answer in questions),
            "several_answers": sum(len(found) > 1 for found in answers.values()),
        },
        "conflicts": _conflicts(intents),
        "other_language": None,
        "personal_data": None,
        "intent_recall": None,
        "answer_recall": None,
        "proposed_intents": None,
    }
    if process is None or defaults is None or not texts:
        return found
    checked = spread_sample(texts, CHECKED_TEXTS)
    check = process.language_check.load()
    foreign = [text for text in checked if not check(text)]
    found["other_language"] = {"texts": len(foreign), "looked_at": len(checked), "examples": foreign[:EXAMPLES]}
    found["personal_data"] = _personal_data([turn.text for turn, _ in questions], process.privacy.load())
    vectors = Vectors(Embed.model_validate(defaults.get("embed", {})).encoder.load())
    found["intent_recall"] = _recall(held_out_recall(intents, vectors))
    found["answer_recall"] = _recall(held_out_recall(answers, vectors))
    if not intents:
        sample = sorted(spread_sample(sorted(set(texts) - set(foreign)), CLUSTERED_TEXTS))
        if sample:
            clusters, silhouette = proposed_intents(sample, process.segmenter.load()(sample), vectors(sample))
            found["proposed_intents"] = {
                "texts": len(sample),
                "silhouette": silhouette,
                "intents": [asdict(cluster) for cluster in clusters],
            }
    return found


def _labels(rows: Iterable[tuple[str, str | None]]) -> dict[str, frozenset[str]]:
    """The labels of each text that has one."""
    labels: dict[str, set[str]] = {}
    for text, label in rows:
        if label is not None:
            labels.setdefault(text, set()).add(label)
    return {text: frozenset(labels[text]) for text in sorted(labels)}


def _intents(labels: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    counts = Counter(intent for found in labels.values() for intent in found)
    sizes = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return {"sizes": sizes, "too_small": [intent for intent, size in sizes.items() if size < SMALLEST_INTENT]}


def _conflicts(labels: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    several = {text: sorted(found) for text, found in labels.items() if len(found) > 1}
    examples = [{"text": text, "intents": several[text]} for text in spread_sample(list(several), EXAMPLES)]
    return {"texts": len(several), "examples": examples}


def _personal_data(texts: Sequence[str], mask: Callable[[str], str]) -> dict[str, Any]:
    checked = spread_sample(texts, CHECKED_TEXTS)
    counts: Counter[str] = Counter()
    concerned = 0
    for text in checked:
        new = Counter(PLACEHOLDER.findall(mask(text)))
        new.subtract(PLACEHOLDER.findall(text))
        counts.update(+new)
        concerned += bool(+new)
    return {
        **{kind: counts[kind] for kind in ("email", "phone", "card", "id")},
        "texts": concerned,
        "looked_at": len(checked),
    }


def _recall(found: Recall | None) -> dict[str, Any] | None:
    return asdict(found) if found else None


def _abilities(report: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a bot could classify and retrieve, each with why, and what that makes of it together."""
    if not report["rows"]["accepted"]:
        classify = retrieve = (False, "no row can be used")
    elif report["language"]["proposed"] is None:
        why = f"the language ({report['language']['guessed'] or 'unknown'}) is none of: {', '.join(LANGUAGES)}"
        classify = retrieve = (False, why)
    else:
        classify, retrieve = _can_classify(report), _can_retrieve(report)
    names = {(True, True): "both", (True, False): "classify", (False, True): "retrieve", (False, False): "nothing yet"}
    return {
        "verdict": names[classify[0], retrieve[0]],
        "classify": {"can": classify[0], "why": classify[1]},
        "retrieve": {"can": retrieve[0], "why": retrieve[1]},
    }


def _can_classify(report: Mapping[str, Any]) -> tuple[bool, str]:
    sizes, too_small = report["intents"]["sizes"], report["intents"]["too_small"]
    large = len(sizes) - len(too_small)
    if not sizes:
        return False, "no row has an intent" + (": label the proposed ones" if report["proposed_intents"] else "")
    if large < 2:
        return False, f"{large} of {len(sizes)} intents have {SMALLEST_INTENT} texts or more; two are needed"
    recall = report["intent_recall"]
    measured = f"; the nearest text alone has the right intent for {recall['at_1']:.0%}" if recall else ""
    return True, f"{large} of {len(sizes)} intents have {SMALLEST_INTENT} texts or more{measured}"


def _can_retrieve(report: Mapping[str, Any]) -> tuple[bool, str]:
    pairs, recall = report["pairs"], report["answer_recall"]
    if pairs["questions"] < SMALLEST_RETRIEVAL:
        return False, f"{pairs['questions']} questions have an answer; {SMALLEST_RETRIEVAL} are needed"
    if recall is None:
        return True, f"{pairs['questions']} questions have an answer, too few to hold some out"
    measured = (
        f"the nearest question has the right answer for {recall['at_1']:.0%}, the nearest five for {recall['at_5']:.0%}"
    )
    if recall["at_5"] >= USEFUL_RECALL:
        return True, measured
    if pairs["from_conversations"]:
        return (
            False,
            f"{measured}: of the replies only {recall['attainable']:.0%} recur, the rest fit their conversation alone",
        )
    if recall["attainable"] < ATTAINABLE:
        return (
            True,
            f"{measured}, but only {recall['attainable']:.0%} of the answers have a second question to be found by",
        )
    return False, f"{measured}: questions that are alike have other answers"
