"""``withdraw``: takes a wrongly landed file's rows out of a bot's data, as a recorded change."""

import getpass
from dataclasses import asdict
from typing import Any

from chatbot_assets.bot import load_bot
from chatbot_assets.collect.withdrawal import UnknownFileError, withdraw
from chatbot_assets.commands import UserError
from resources.audit import Act, AuditLog
from resources.environment import Home, code_revision
from resources.lakehouse import ConflictError, Lake


def run(key: str, file: str, *, reason: str, actor: str | None) -> dict[str, Any]:
    """Withdraws a landing file by its name; waits while a refresh writes the bot's tables.

    Raises:
        UserError: when there is no such file, or something else writes the tables at the same time.
    """
    home = Home.from_environment()
    load_bot(home.bots, key)
    lake = Lake(home.lake)
    names = ("dialogues", "rejected", "landing_files")
    try:
        with lake.writing(key):
            done = withdraw(
                file,
                home.landing(key),
                **{name: lake.table(key, name) for name in names},
                note={"actor": actor or getpass.getuser(), "reason": reason},
                code_revision=code_revision(),
            )
    except (UnknownFileError, ConflictError) as error:
        raise UserError(f"{key}: {error}") from None
    act = Act("file_withdrawn", actor or getpass.getuser(), "command", bot=key)
    AuditLog(home.root, key.partition(".")[0]).add(act)
    return {"bot": key, **asdict(done)}


def describe(report: dict[str, Any]) -> str:
    file, rows = report["file"], report["rows"]
    if report["copy_of"]:
        first = f"{file}: withdrawn; it is byte-equal to {report['copy_of']}, whose rows stay"
        return f"{first} (to take them out: ./chatbot withdraw {report['bot']} {report['copy_of']})"
    if not report["files"] and not any(rows.values()):
        return f"{file}: nothing of it is left; it was withdrawn before"
    lines = [f"{file}: withdrawn; {rows['dialogues']:,} rows and {rows['rejected']:,} rejected rows left the tables"]
    if report["copies"]:
        lines.append(f"its byte-equal copies went with it: {', '.join(report['copies'])}")
    if report["files"]:
        lines.append("files are kept in the landing folder's .withdrawn; landing them again brings the rows back")
    return "\n".join([*lines, f"next: ./chatbot refresh {report['bot']} (or let the running platform do it)"])
