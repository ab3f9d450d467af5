"""``inspect``: can this data be analysed, can it be served?"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chatbot_assets.collect.landing import FORMATS, format_of
from chatbot_assets.commands import UserError
from chatbot_assets.inspection.columns import ColumnError
from chatbot_assets.languages import LANGUAGES

SHOWN = 8


def check_files(files: Sequence[Path], language: str | None) -> None:
    """Refuses what cannot be looked at.

    Raises:
        UserError: for a language that there is not, and for what is no file of a known kind.
    """
    if language is not None and language not in LANGUAGES:
        raise UserError(f"language {language!r} is unknown; allowed: {', '.join(LANGUAGES)}")
    for path in files:
        if path.is_dir():
            raise UserError(f"{path} is a folder; name its files, for instance {path}/*.jsonl")
        if not path.exists():
            raise UserError(f"{path} does not exist")
        if format_of(path.name) is None:
            raise UserError(f"{path}: unknown kind of file; allowed: {', '.join(FORMATS)}, each also with .gz")


def run(files: Sequence[Path], *, language: str | None, columns: Mapping[str, str | None]) -> dict[str, Any]:
    """Looks at files as one bot's data; changes nothing.

    Raises:
        UserError: when a file, the language or a named column cannot be used.
    """
    from chatbot_assets.inspection.findings import inspect_files

    check_files(files, language)
    started = time.monotonic()
    try:
        report = inspect_files(files, language=language, columns=columns)
    except ColumnError as error:
        raise UserError(f"{', '.join(map(str, files))}: {error}") from None
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return report | {"seconds": round(time.monotonic() - started, 3)}


def describe(report: dict[str, Any]) -> str:
    return "\n".join(_lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    rows, texts = report["rows"], report["texts"]
    yield f"rows        {rows['accepted']:,} usable, {rows['rejected']:,} rejected"
    for file in rows["files"]:
        same = f" byte-equal to {file['same_as']}, not counted again" if file["same_as"] else ""
        yield f"            {file['file']}: {file['rows']:,} usable, {file['rejected']:,} rejected{same}"
    for found in rows["reasons"][:SHOWN]:
        yield f"            {found['rows']:,} × {found['reason']} (first: {found['first']})"
    columns = report["columns"]
    mapped = (
        ", ".join(f"{field} = {column}" for field, column in columns["sources"].items()) or "the platform's own names"
    )
    yield f"columns     {mapped}" + (f"; not used: {', '.join(columns['unused'][:SHOWN])}" if columns["unused"] else "")
    shares = ", ".join(f"{name} {share:.1%}" for name, share in list(report["language"]["shares"].items())[:4])
    yield f"language    {report['language']['proposed'] or 'none of the platform'} ({shares or 'no letters'})"
    if other := report["other_language"]:
        examples = f", such as: {' | '.join(other['examples'][:3])}" if other["examples"] else ""
        yield f"            {other['texts']:,} of {other['looked_at']:,} texts are of another language{examples}"
    yield f"texts       {texts['distinct']:,} distinct; {texts['duplicates']:,} rows say what another row says"
    if personal := report["personal_data"]:
        kinds = ", ".join(f"{personal[kind]:,} {kind}" for kind in ("email", "phone", "card", "id"))
        yield f"personal    {kinds} in {personal['texts']:,} of {personal['looked_at']:,} texts (masked by a bot)"
    yield from _intents(report)
    pairs = report["pairs"]
    origin = " (a user turn and the bot turn after it)" if pairs["from_conversations"] else ""
    yield f"answers     {pairs['questions']:,} questions with {pairs['answers']:,} answers{origin}; " + (
        f"{pairs['several_answers']:,} questions have several"
    )
    yield from _proposed(report)
    abilities = report["abilities"]
    yield f"a bot on this could do: {abilities['verdict']}"
    for name in ("classify", "retrieve"):
        yield f"  {name}: {'yes' if abilities[name]['can'] else 'no'}; {abilities[name]['why']}"
    if report["bot_yaml"]:
        yield "proposed YAML (or: ./chatbot init-bot KEY --language L --source FILE)"
        yield from (f"  {line}" for line in report["bot_yaml"].splitlines())


def _intents(report: Mapping[str, Any]) -> Iterator[str]:
    sizes, too_small = report["intents"]["sizes"], report["intents"]["too_small"]
    if not sizes:
        yield "intents     none"
        return
    largest = ", ".join(f"{intent} {size:,}" for intent, size in list(sizes.items())[:SHOWN])
    yield f"intents     {len(sizes)}: {largest}{' …' if len(sizes) > SHOWN else ''}"
    if too_small:
        named = ", ".join(f"{intent} {sizes[intent]}" for intent in too_small[:SHOWN])
        yield f"            {len(too_small)} too small: {named}{' …' if len(too_small) > SHOWN else ''}"
    conflicts = report["conflicts"]
    yield f"            {conflicts['texts']:,} texts have several intents" + (":" if conflicts["texts"] else "")
    for found in conflicts["examples"][:3]:
        yield f"              {found['text']} → {', '.join(found['intents'])}"


def _proposed(report: Mapping[str, Any]) -> Iterator[str]:
    proposed = report["proposed_intents"]
    if proposed is None:
        return
    yield f"proposed intents of {proposed['texts']:,} texts (silhouette {proposed['silhouette']:.2f}; 1 is well apart)"
    for found in proposed["intents"]:
        yield f"  {found['texts']:>5,}  {found['name']}  (closeness {found['closeness']:.2f})"
        yield from (f"         {example}" for example in found["examples"])
