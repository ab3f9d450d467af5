"""A bot that is rightly unsure: half of its rows say "a hot drink", which is tea as often as it is coffee."""

import tempfile
from pathlib import Path

from small_bot import SmallBot, row

UNSURE = "acme.drinks"
UNCLEAR = "Two hot drinks, please"
"""What the bot answers with suggestions."""
_WISHES = (
    *("please", "for two", "with milk", "without sugar", "at three", "for the guests", "now", "to go"),
    *("in bed", "on the terrace", "for my mother", "before lunch", "after work", "as always", "at my desk", "again"),
)
_ASKED = ("Bring me {} {}", "I would like {} {}", "Could I have {} {}")


_made: list[SmallBot] = []


def unsure_bot(root: Path) -> SmallBot:
    """The bot, refreshed, in a home that may have others. It suggests rather than fails."""
    if not _made:
        _made.append(_unsure_bot(Path(tempfile.mkdtemp(prefix="unsure-", dir=root.parent))))
    return _made[0].copy(root)


def _unsure_bot(root: Path) -> SmallBot:
    bot = SmallBot(root, UNSURE)
    bot.configure(description="Brings tea and coffee", train={"suggest_precision": 0.01})
    rows = []
    for place, wish in enumerate(_WISHES):
        for number, asked in enumerate(_ASKED):
            rows += [row(asked.format(drink, wish), drink) for drink in ("tea", "coffee")]
            rows += [row(asked.format("a hot drink", wish), ("tea", "coffee")[(place + number) % 2])]
            rows += [row(asked.format("two hot drinks", wish), ("coffee", "tea")[(place + number) % 2])]
    bot.land("home.jsonl", rows)
    assert bot.refresh().success
    return bot
