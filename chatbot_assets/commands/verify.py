"""``verify``: does what answers agree with the record?"""

from dataclasses import asdict
from typing import Any

from chatbot_assets.bot_key import check_key
from chatbot_assets.commands import UserError
from chatbot_assets.deploy.live_check import NotVerifiableError, Verified, verify_live, verify_trial
from resources.environment import Home


def run(key: str) -> dict[str, Any]:
    """The comparison as a report; ``agrees`` says how it came out. ``trial`` is that of a canary or a shadow.

    Raises:
        UserError: when there is nothing to compare.
    """
    try:
        home = Home.from_environment()
        live, trial = verify_live(home, check_key(key)), verify_trial(home, key)
    except NotVerifiableError as error:
        raise UserError(str(error)) from None
    return report_of(live, trial)


def report_of(live: Verified, trial: Verified | None) -> dict[str, Any]:
    """What was found as one report."""
    agrees = live.agrees and (trial is None or trial.agrees)
    return {**asdict(live), "agrees": agrees, "live_agrees": live.agrees, "trial": asdict(trial) if trial else None}


def describe(report: dict[str, Any]) -> str:
    """What was found of the live deployment, and of the one that is tried."""
    trial = report["trial"]
    live = _describe(report, report["bot"], report["live_agrees"])
    if trial is None:
        return live
    return f"{live}\n{_describe(trial, report['bot'] + ': what is tried', trial['agrees'])}"


def _describe(report: dict[str, Any], name: str, agrees: bool) -> str:
    speed = f", {report['p50_ms']:.1f} ms a turn" if report["p50_ms"] is not None else ""
    who = f"{name}: {report['asked']}"
    if agrees:
        said = f"{who} agrees with the record: deployment {report['deployment_id']}, configuration "
        return f"{said}{report['config_hash']}, {report['turns']} recorded answers{speed}"
    return "\n".join([f"{who} does not agree with the record:", *(f"  {words}" for words in report["differences"])])
