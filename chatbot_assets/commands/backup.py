"""``backup``: a home and its bot files as one archive, also while the platform runs."""

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatbot_assets.backup.archive import ArchiveError, create
from chatbot_assets.backup.snapshot import copy_home
from chatbot_assets.bot import bot_keys
from chatbot_assets.commands import UserError
from resources.audit import Act, AuditLog
from resources.environment import Home, code_revision


def run(target: Path, *, with_tokens: bool) -> dict[str, Any]:
    """Writes the archive; a refresh of a bot waits while that bot's tables are copied.

    Raises:
        UserError: when there is nothing to back up, or the archive cannot be written.
    """
    started = time.monotonic()
    home = Home.from_environment()
    target = target.absolute()
    if not home.root.is_dir():
        raise UserError(f"there is nothing to back up: {home.root} does not exist; set CHATBOT_HOME")
    if any(target.resolve().is_relative_to(folder.resolve()) for folder in (home.root, home.bots)):
        raise UserError(f"{target} lies in what is backed up; choose a place outside of {home.root} and {home.bots}")
    about: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_revision": code_revision(),
        "bots": bot_keys(home.bots),
    }
    try:
        with create(target, about) as writer:
            about["tables"] = copy_home(home, writer, with_tokens=with_tokens)
    except ArchiveError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"the backup was not made: {error}") from error
    for tenant in sorted({key.partition(".")[0] for key in about["bots"]}):
        act = Act(
            "exported", getpass.getuser(), "command", about="backup", details={"tokens": str(with_tokens).lower()}
        )
        AuditLog(home.root, tenant).add(act)
    return {
        "archive": str(target),
        "bytes": target.stat().st_size,
        "files": len(writer.entries),
        "bots": about["bots"],
        "tables": about["tables"],
        "with_tokens": "home/tokens.json" in writer.entries,
        "seconds": round(time.monotonic() - started, 3),
    }


def describe(report: dict[str, Any]) -> str:
    tokens = "tokens included: keep it secret" if report["with_tokens"] else "without tokens (--with-tokens adds them)"
    size = f"{report['bytes'] / 1e6:.1f} MB, {report['files']:,} files, {report['seconds']:.1f} s"
    what = f"{len(report['bots'])} bots, {len(report['tables'])} tables"
    return f"{report['archive']}: {what}, {size}, {tokens}\nto bring it back: ./chatbot restore {report['archive']}"
