"""``export``: a bot's table as a file, and a note of who took it."""

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatbot_assets.bot_key import check_key
from chatbot_assets.commands import UserError
from chatbot_assets.exporting import FORMATS, export, moment_column
from chatbot_assets.tables import TABLES
from resources.audit import Act, AuditLog
from resources.environment import Home
from resources.lakehouse import Lake

EXPORTS = "exports.jsonl"
"""The home's list of exports, which is only appended to."""


def run(
    key: str, name: str, *, form: str, since: str | None, until: str | None, output: Path | None, actor: str | None
) -> dict[str, Any]:
    """Exports a table's newest version.

    Raises:
        UserError: when there is no such table, a time cannot be read, or the file cannot be written.
    """
    if name not in TABLES:
        raise UserError(f"there is no table {name!r}; tables: {', '.join(TABLES)}")
    if form not in FORMATS:
        raise UserError(f"format {form!r} is unknown; allowed: {', '.join(FORMATS)}")
    home = Home.from_environment()
    table = Lake(home.lake).table(check_key(key), name)
    if table.last() is None:
        raise UserError(f"{key} has no table {name} yet; run: ./chatbot refresh {key}")
    if (since or until) and moment_column(TABLES[name]) is None:
        raise UserError(f"{name} has no column that says when; export it without --from and --to")
    target = output or Path(f"{key}.{name}.{form}")
    try:
        rows = export(table, target, form, _moment("--from", since), _moment("--to", until))
    except FileExistsError:
        raise UserError(f"{target} exists; name another file with --output") from None
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}") from None
    report = {
        "bot": key,
        "table": name,
        "format": form,
        "from": since,
        "to": until,
        "rows": rows,
        "file": str(target),
        "actor": actor or getpass.getuser(),
        "at": datetime.now(UTC).isoformat(),
    }
    note_export(home, report)
    return report


def note_export(home: Home, report: dict[str, Any]) -> None:
    """Notes an export in the tenant's audit log, and where the file went in the home's list of exports."""
    details = {"format": report["format"], "rows": report["rows"], "from": report["from"], "to": report["to"]}
    act = Act("exported", report["actor"], "command", bot=report["bot"], about=report["table"], details=details)
    AuditLog(home.root, report["bot"].partition(".")[0]).add(act)
    path = home.root / EXPORTS
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as stream:
        stream.write(json.dumps(report, ensure_ascii=False) + "\n")


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text!r} is no ISO 8601 date or time like 2026-01-31T09:00:00+09:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def describe(report: dict[str, Any]) -> str:
    return f"{report['file']}: {report['rows']:,} rows of {report['table']} of {report['bot']}"
