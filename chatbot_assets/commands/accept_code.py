"""``accept-code``: an operator declares that a change of code changes no result; it is recorded in every table."""

import getpass
from typing import Any

from chatbot_assets.automation import code_versions
from chatbot_assets.bot import load_bot
from chatbot_assets.tables import MATERIALISED
from resources.environment import Home
from resources.lakehouse import Lake, accept_code


def run(key: str, *, reason: str, actor: str | None) -> dict[str, Any]:
    """Accepts the code in force for all tables of a bot that have rows."""
    home = Home.from_environment()
    bot = load_bot(home.bots, key)
    lake = Lake(home.lake)
    accepted = {}
    with lake.writing(key):
        for table in MATERIALISED:
            lake_table = lake.table(key, table.name)
            if table.inputs and lake_table.last() is not None:
                accepted[table.name] = accept_code(
                    lake_table, code_versions(table, bot), actor or getpass.getuser(), reason
                )
    return {"bot": key, "accepted": {name: modules for name, modules in accepted.items() if modules}}


def describe(report: dict[str, Any]) -> str:
    lines = [f"{name}: code of {', '.join(modules)} accepted" for name, modules in report["accepted"].items()]
    return "\n".join(lines) or f"{report['bot']}: no code has changed since its tables were made"
