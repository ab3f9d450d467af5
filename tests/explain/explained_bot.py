"""A bot with a past: three deployments with other data and configuration, and turns that they served."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient
from small_bot import KEY, SmallBot, row, small_rows, wait_for

from chatbot_assets.bot import Retention
from chatbot_assets.feedback.deciding import Decision, write_decision
from chatbot_assets.maintenance import maintain_bot
from serving.app import create_app
from serving.tokens import ensure_tokens

ADDRESS = "http://127.0.0.1"
UNKNOWN = "qzx vvk wjjq 774"


@dataclass(frozen=True)
class History:
    """A bot after three deployments, with turns that the first and the second one served, by what is special in them.

    The second one learnt from a corrected turn, from paraphrases and from a further file.
    """

    bot: SmallBot
    turns: dict[str, str]
    deployments: list[str]


def tokens_of(bot: SmallBot) -> dict[str, str]:
    return ensure_tokens(bot.home.root / "tokens.json", {"acme", "globex"})


def ask(bot: SmallBot, **texts: str) -> dict[str, str]:
    """Lets the real service answer texts; gives the turns."""
    tokens = tokens_of(bot)
    with TestClient(create_app(bot.home), ADDRESS) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        headers = {"Authorization": f"Bearer {tokens['acme']}"}
        address = f"/v1/bots/{KEY}/chat"
        said = {name: {"session_id": "one", "text": text} for name, text in texts.items()}
        return {name: client.post(address, json=turn, headers=headers).json()["turn_id"] for name, turn in said.items()}


def history_of(refreshed: SmallBot, root: Path) -> History:
    """The past of a copy of a refreshed bot."""
    bot = refreshed.copy(root)
    deployments = [bot.live.deployment_id if bot.live else ""]
    turns = ask(bot, old="My parcel is wrong", taught="Tell me about bill", failed=UNKNOWN)
    correction = Decision((turns["failed"],), "modify", "delivery", None, "kim", "it names our carrier")
    write_decision(bot.lake, KEY, correction)
    bot.land("more.jsonl", [*small_rows()[-15:], row("Where has my parcel gone", "delivery")])
    bot.configure(augment={"up_to": 20})
    assert bot.refresh().success
    deployments.append(bot.live.deployment_id if bot.live else "")
    turns |= ask(
        bot, corrected=UNKNOWN, paraphrased="Could you explain my parcel please", repeated="Is forecast possible"
    )
    bot.configure(augment={"up_to": 20}, train={"answer_precision": 0.8})
    assert bot.refresh().success
    deployments.append(bot.live.deployment_id if bot.live else "")
    assert len(set(deployments)) == 3
    return History(bot, turns, deployments)


def vacuum_all_but_what_is_kept(bot: SmallBot) -> int:
    """Maintains the bot as if everything had happened long ago; gives the number of files that were removed."""
    return maintain_bot(bot.home, bot.lake, KEY, Retention(days=1), datetime.now(UTC) + timedelta(days=2)).files_removed
