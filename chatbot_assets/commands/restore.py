"""``restore``: brings a backup back into an empty home, whole or not at all."""

import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from chatbot_assets.backup.archive import ArchiveError, extract
from chatbot_assets.backup.snapshot import BOTS, HOME, SECRETS, TOKENS_FILE
from chatbot_assets.commands import UserError
from resources.environment import Home


def run(source: Path) -> dict[str, Any]:
    """Checks every file of the archive, writes the bot files, and puts the home in place by one rename.

    Raises:
        UserError: when the home is not empty, a bot file would be overwritten, or the archive cannot be used.
    """
    started = time.monotonic()
    home = Home.from_environment()
    if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
        raise UserError(f"{home.root} is not empty; move it away or set CHATBOT_HOME to a new folder")
    home.root.parent.mkdir(parents=True, exist_ok=True)
    temporary = home.root.with_name(f".{home.root.name}.{uuid.uuid4().hex}.restoring")
    try:
        manifest = extract(source, temporary, frozenset({HOME, BOTS}))
        (temporary / HOME).mkdir(exist_ok=True)
        for secret in (temporary / HOME / name for name in SECRETS):
            if secret.exists():
                secret.chmod(0o600)
        _place_bots(temporary / BOTS, home.bots)
        os.rename(temporary / HOME, home.root)
    except ArchiveError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{home.root} cannot be put in place: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    bot_files = manifest["bots"]
    return {
        "home": str(home.root),
        "made_at": manifest["made_at"],
        "bots": bot_files,
        "tables": manifest["tables"],
        "files": len(manifest["files"]),
        "with_tokens": f"{HOME}/{TOKENS_FILE}" in manifest["files"],
        "seconds": round(time.monotonic() - started, 3),
    }


def describe(report: dict[str, Any]) -> str:
    tokens = "" if report["with_tokens"] else "; tokens are made anew by: ./chatbot up"
    what = f"{len(report['bots'])} bots, {len(report['tables'])} tables, {report['files']:,} files"
    return f"{report['home']}: as it was at {report['made_at']}: {what} in {report['seconds']:.1f} s{tokens}"


def _place_bots(found: Path, bots: Path) -> None:
    """Copies the bot files; those that are there already must be equal."""
    files = sorted(path for path in found.rglob("*") if path.is_file())
    for path in files:
        target = bots / path.relative_to(found)
        if target.exists() and target.read_bytes() != path.read_bytes():
            raise UserError(f"{target} differs from the one in the backup; move it away or set CHATBOT_BOTS")
    for path in files:
        target = bots / path.relative_to(found)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
            shutil.copy2(path, partial)
            os.rename(partial, target)
