"""``verify``: does what answers agree with the record?"""

from dataclasses import asdict
from typing import Any

from chatbot_assets.bot import check_key
from chatbot_assets.commands import UserError
from chatbot_assets.deploy.live_check import NotVerifiableError, verify_live
from resources.environment import Home


def run(key: str) -> dict[str, Any]:
    """The comparison as a report; ``agrees`` says how it came out.

    Raises:
        UserError: when there is nothing to compare.
    """
    try:
        return asdict(verify_live(Home.from_environment(), check_key(key)))
    except NotVerifiableError as error:
        raise UserError(str(error)) from None


def describe(report: dict[str, Any]) -> str:
    speed = f", {report['p50_ms']:.1f} ms a turn" if report["p50_ms"] is not None else ""
    who = f"{report['bot']}: {report['asked']}"
    if report["agrees"]:
        said = f"{who} agrees with the record: deployment {report['deployment_id']}, configuration "
        return f"{said}{report['config_hash']}, {report['turns']} recorded answers{speed}"
    return "\n".join([f"{who} does not agree with the record:", *(f"  {words}" for words in report["differences"])])
