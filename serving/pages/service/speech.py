"""What the service page says, in one language and one time zone: numbers, times, and sentences about bots."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from resources.costs import StepCost
from serving.overview.bots import BotOverview
from serving.overview.events import Event
from serving.overview.period import Period
from serving.overview.trouble import KINDS, Trouble
from serving.pages.words import words_of
from serving.pages.writing import Writing

PAGE = "service"
TOLD_SECONDS = 0.05
"""A part of a step that took less is not told."""


@dataclass(frozen=True)
class Sentence:
    """What there is to know, what to do about it (may be empty), and a developer's words for it (may be empty)."""

    says: str
    do: str
    detail: str


@dataclass(frozen=True)
class Group:
    """Bots of which the same is to be said; ``details`` are a developer's words for those that have any."""

    says: str
    do: str
    keys: tuple[str, ...]
    details: tuple[tuple[str, str], ...]


class Speech(Writing):
    """The page's words and how it writes figures; ``words`` are reached as ``say["group"]["name"]``."""

    def __init__(self, language: str, zone: tzinfo = UTC) -> None:
        super().__init__(language, zone)
        self._words = words_of(PAGE, language)

    def __getitem__(self, group: str) -> Any:
        return self._words[group]

    def part(self, period: Period, start: datetime) -> str:
        """The name of a part of a period that begins at a moment."""
        return self._date("hour" if period.unit == "hour" else "short_day", start.astimezone(self.zone))

    def trouble(self, trouble: Trouble) -> Sentence:
        """What a trouble is, and what to do; nothing of the platform's own words, which are the ``detail``."""
        words = self._words["trouble"][trouble.kind]
        facts: dict[str, Any] = dict(trouble.facts)
        count = facts.pop("count", 1)
        if "at" in facts:
            facts["at"] = self.moment(facts["at"])
        if "share" in facts:
            facts["share"] = self.share(facts["share"])
        return Sentence(
            self.counted(words["says"], count, **facts), self.counted(words["do"], count, **facts), trouble.detail
        )

    def groups(self, bots: Sequence[BotOverview]) -> list[Group]:
        """What waits for somebody, the gravest first; bots of which the same is to be said stand together."""
        found: dict[tuple[int, str, str], list[tuple[str, str]]] = {}
        for bot in bots:
            for trouble in bot.troubles:
                if trouble.weight == "act":
                    one = self.trouble(trouble)
                    place = (list(KINDS).index(trouble.kind), one.says, one.do)
                    found.setdefault(place, []).append((bot.key, one.detail))
        return [
            Group(says, do, tuple(key for key, _ in told), tuple((key, detail) for key, detail in told if detail))
            for (_, says, do), told in sorted(found.items())
        ]

    def event(self, event: Event) -> str:
        """What happened."""
        words, facts = self._words["events"], event.facts
        if facts.get("who"):
            by_hand = words.get(f"{event.kind}_by")
            if by_hand:
                return str(by_hand.format(who=facts["who"], why=facts["why"]))
        if event.kind == "live" and facts.get("accuracy") is not None:
            return str(words["live_accuracy"].format(accuracy=self.share(facts["accuracy"], 1)))
        named = {name: facts.get(name, "") for name in ("name", "person")}
        said = self.counted(words[event.kind], facts.get("count") or 0, **named)
        refused = facts.get("rejected")
        return f"{said} {self.counted(words['file_refused'], refused)}" if refused else said

    def step(self, step: StepCost) -> str:
        """What a step of an update does."""
        names: dict[str, str] = self._words["cost"]["steps"]
        return names.get(step.step, names["other"])

    def parts(self, step: StepCost) -> str:
        """What the parts of a step took, the longest first; a part that the page has no name for keeps its own."""
        names: dict[str, str] = self._words["cost"]["parts"]
        told = sorted(
            ((seconds, name) for name, seconds in step.modules.items() if seconds >= TOLD_SECONDS), reverse=True
        )
        return ", ".join(f"{names.get(name, name)} {self.seconds(seconds)}" for seconds, name in told)
