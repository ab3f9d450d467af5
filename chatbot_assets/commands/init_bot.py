"""``init-bot``: writes a new bot's YAML after looking at the file that it is to be made from."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatbot_assets.bot import bot_file
from chatbot_assets.collect.sources import Sources
from chatbot_assets.commands import UserError
from chatbot_assets.commands.inspect import check_files
from chatbot_assets.commands.land import usable_rows
from resources.environment import Home


def run(key: str, *, language: str, source: Path, columns: Mapping[str, str | None]) -> dict[str, Any]:
    """Writes the file, complete or not at all; the running platform makes it a partition by itself.

    Raises:
        UserError: when there is such a bot, or the language, the file or a named column cannot be used.
    """
    from chatbot_assets.inspection.columns import ColumnError, guess_sources
    from chatbot_assets.inspection.findings import bot_yaml
    from chatbot_assets.inspection.languages import language_shares
    from chatbot_assets.inspection.rows import sample_rows

    home = Home.from_environment()
    path = bot_file(home.bots, key)
    if path.exists():
        raise UserError(f"{path} exists already; edit it, or choose another key")
    check_files([source], language)
    rows = sample_rows(source)
    try:
        mapping = guess_sources(rows, columns) if rows else {}
    except ColumnError as error:
        raise UserError(f"{source}: {error}") from None
    sources = Sources.model_validate(mapping)
    good, bad = usable_rows(source, sources)
    texts = [str(row[sources.text]) for row in rows if row.get(sources.text)]
    _write(path, bot_yaml(language, [source], mapping))
    return {
        "bot": key,
        "file": str(path),
        "language": language,
        "sources": mapping,
        "rows_looked_at": good + bad,
        "rejected_among_them": bad,
        "guessed_language": next(iter(language_shares(texts)), None),
        "next": [f"./chatbot land {key} {source}", f"./chatbot refresh {key}"],
    }


def describe(report: dict[str, Any]) -> str:
    mapped = ", ".join(f"{field} = {column}" for field, column in report["sources"].items())
    lines = [f"{report['file']}: written" + (f"; columns: {mapped}" if mapped else "")]
    if report["guessed_language"] not in (None, report["language"]):
        lines.append(f"note: the texts look like {report['guessed_language']}, not {report['language']}")
    if report["rejected_among_them"]:
        lines.append(f"note: {report['rejected_among_them']} of {report['rows_looked_at']} rows cannot be used")
    lines += [f"next: {report['next'][0]}", f"then: {report['next'][1]} (or let the running platform do it)"]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    temporary.write_text(text, encoding="utf-8")
    try:
        os.link(temporary, path)  # unlike a rename, it never replaces a file that somebody has just written
    except FileExistsError:
        raise UserError(f"{path} exists already; edit it, or choose another key") from None
    finally:
        temporary.unlink()
