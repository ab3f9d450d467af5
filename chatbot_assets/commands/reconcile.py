"""``reconcile``: brings an empty Dagster storage, or one that is behind, to what the lake holds; computes nothing."""

import sys
import warnings
from dataclasses import asdict
from typing import Any

from chatbot_assets.bot import bot_keys
from chatbot_assets.commands.dagster_home import prepare_dagster_home
from resources.environment import Home
from resources.lakehouse import Lake, LakeError


def run() -> dict[str, Any]:
    """Adds all bots' partitions and reports the last commits that Dagster does not know; gives how many of each.

    A bot whose tables cannot be read has its ``problem`` in the report, and does not stop the others.
    """
    import dagster as dg

    warnings.simplefilter("ignore", dg.BetaWarning)
    from chatbot_assets.code_version import one_look
    from chatbot_assets.partitions import BOTS
    from chatbot_assets.reconciliation import Reported, report_bot

    home = Home.from_environment()
    lake, keys = Lake(home.lake), bot_keys(home.bots)
    prepare_dagster_home(home)
    bots = []
    with dg.DagsterInstance.get() as instance, one_look():
        new = sorted(set(keys) - set(instance.get_dynamic_partitions(BOTS.name or "")))
        instance.add_dynamic_partitions(BOTS.name or "", new)
        for key in keys:
            reported, problem = Reported(), None
            try:
                if lake.bot_folder(key).exists():
                    with lake.writing(key, lambda key=key: _say_waiting(key)):  # type: ignore[misc]
                        reported = report_bot(instance, lake, key)
            except (LakeError, OSError, ValueError, KeyError) as error:
                problem = f"its tables cannot be read: {type(error).__name__}: {error}"
            bots.append({"bot": key, **asdict(reported), "problem": problem})
    totals = {name: sum(bot[name] for bot in bots) for name in ("materialisations", "observations", "checks")}
    return {"bots": bots, "partitions_added": len(new), **totals}


def describe(report: dict[str, Any]) -> str:
    problems = [f"{bot['bot']}: {bot['problem']}" for bot in report["bots"] if bot["problem"]]
    added = (
        f"{report['partitions_added']} partitions, {report['materialisations']} materialisations, "
        f"{report['observations']} observations and {report['checks']} checks"
    )
    return "\n".join([*problems, f"{len(report['bots'])} bots; added to Dagster's storage: {added}"])


def _say_waiting(key: str) -> None:
    print(f"{key}: a refresh holds its tables; waiting for it", file=sys.stderr)
