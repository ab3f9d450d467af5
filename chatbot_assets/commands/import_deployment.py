"""``import-deployment``: brings a deployment from another home, for instance from staging to production."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chatbot_assets.auditing import note_events
from chatbot_assets.bot import load_bot
from chatbot_assets.commands import UserError
from resources.environment import Home
from resources.lakehouse import ConflictError, Lake


def run(key: str, source: Path, *, deployment: str | None, reason: str | None, actor: str | None) -> dict[str, Any]:
    """Copies and verifies it; ``source`` is the other home's folder. It is live at once with an automatic policy.

    Raises:
        UserError: when it cannot be brought here, with what to do.
    """
    from chatbot_assets.deploy.transfer import TransferError, transfer

    home = Home.from_environment()
    bot = load_bot(home.bots, key)
    lake, other = Lake(home.lake), Lake(source.absolute() / "lake")
    if not other.root.is_dir():
        raise UserError(f"{source} is no home: it has no folder 'lake'; give the folder that CHATBOT_HOME names there")
    if other.root.resolve() == lake.root.resolve():
        raise UserError(f"{source} is this home itself; give the home that the deployment is to come from")
    try:
        with lake.writing(key):
            done = transfer(
                other,
                lake,
                bot,
                home.cache,
                deployment=deployment,
                actor=actor or getpass.getuser(),
                reason=reason or f"imported from {source}",
            )
    except (TransferError, ConflictError) as error:
        raise UserError(str(error)) from None
    note_events(home, *key.split("."))
    return {"bot": key, "from": str(source), **asdict(done)}


def describe(report: dict[str, Any]) -> str:
    next_step = f"; put it live: ./chatbot promote {report['bot']}" if report["event"] == "verified" else ""
    lineage = report["lineage"]
    gone = f"; {lineage['missing']} of their files are gone there, and cannot be shown" if lineage["missing"] else ""
    return (
        f"{report['bot']}: {report['deployment_id']} is {report['event']}: {report['reason']}{next_step}\n"
        f"copied to explain its answers: {lineage['files']} files, {lineage['bytes'] / 1e6:.1f} MB{gone}"
    )
