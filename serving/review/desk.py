"""What a reviewer sees and does: a tenant's queues, with what people have decided since they were made."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.bot import BotError, load_bot
from chatbot_assets.feedback.asking import Outcome
from chatbot_assets.feedback.deciding import Decision, undo_decision, write_decisions
from chatbot_assets.feedback.decision_log import DecisionLog, Row
from chatbot_assets.feedback.desk import GOLDEN, Desks
from chatbot_assets.feedback.effect import Change
from chatbot_assets.feedback.reasons import PICKED, SUGGESTED
from chatbot_assets.process.decisions import EXCLUDE, HOLD, MODIFY, UNDO
from chatbot_assets.refused import RefusedError
from chatbot_assets.tables import REVIEW_QUEUE
from resources.environment import Home
from resources.lakehouse import Lake
from resources.remembered import Remembered
from serving.bots import LiveBots
from serving.review.filters import EXCLUDED, GROUPS_ON_A_PAGE, MODIFIED, ON_HOLD, SERVED_KINDS, Filters
from serving.review.known import KnownAnswers
from serving.review.outcomes import Outcomes
from serving.review.queue import QueuePage, Queues, QueueView

ACCEPT = "accept"
"""Takes what is preset as right: what the user picked, or what the judge suggests."""
STATE_OF = {MODIFY: MODIFIED, HOLD: ON_HOLD, EXCLUDE: EXCLUDED}
RECENT = 20_000
"""Decisions, the newest, that the page knows of."""
WHILE_MADE = timedelta(hours=1)
"""How long before its commit a queue may have read the decisions."""
EXAMPLES = 5
"""Texts that are told of those that a decision would fix, break or move."""
TO_DECIDE = ("failed", "similar", "dissatisfied")
"""Kinds of turns that wait for somebody; of those that users were satisfied with, nothing need be done."""
AROUND = 6
"""Turns of a conversation that are shown before and after one of them."""


class ChoiceError(RefusedError):
    """A decision that was not filled in rightly."""


class GoneError(ChoiceError):
    """Nothing of what was chosen waits any more."""

    def __init__(self) -> None:
        super().__init__("gone")


@dataclass(frozen=True)
class Choice:
    """What a reviewer chose on the page for some groups."""

    action: str
    groups: tuple[str, ...]
    intent: str | None = None
    answer: str | None = None
    is_new: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class Decided:
    """A decision as the page lists it."""

    decision_id: str
    action: str
    turn_id: str
    text: str
    turns: int
    intent: str | None
    answer: str | None
    reviewer: str
    reason: str | None
    decided_at: datetime


@dataclass(frozen=True)
class DecidedPage:
    """A page of decisions in one state, and how many there are."""

    decisions: tuple[Decided, ...]
    total: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // GROUPS_ON_A_PAGE))


@dataclass(frozen=True)
class Decisions:
    """The decisions of a bot that are in force, the newest first."""

    newest_first: tuple[Decided, ...] = ()

    def page(self, filters: Filters, now: datetime) -> DecidedPage:
        """Those in the state that the filters name."""
        since, until = filters.span(now)
        found = [
            decision
            for decision in self.newest_first
            if STATE_OF[decision.action] == filters.state
            and (since is None or decision.decided_at >= since)
            and (until is None or decision.decided_at < until)
            and filters.search.casefold() in decision.text.casefold()
        ]
        start = (filters.page - 1) * GROUPS_ON_A_PAGE
        return DecidedPage(tuple(found[start : start + GROUPS_ON_A_PAGE]), len(found))

    def counts(self) -> dict[str, int]:
        """How many there are, by state."""
        counts = dict.fromkeys(STATE_OF.values(), 0)
        for decision in self.newest_first:
            counts[STATE_OF[decision.action]] += 1
        return counts

    def find(self, decision_id: str) -> Decided | None:
        """The one of an identifier; None when there is none."""
        return next((found for found in self.newest_first if found.decision_id == decision_id), None)


@dataclass(frozen=True)
class Told:
    """Other texts that a decision would ``fix``, ``break`` or ``move``: how many, and some of them."""

    name: str
    count: int
    examples: tuple[tuple[str, Change], ...]


class Desk:
    """The review of all bots of a service; whoever calls has made sure that the bot is the tenant's."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lake = Lake(home.lake)
        self._queues = Queues(self._lake, home.cache)
        self._outcomes = Outcomes()
        self._waiting: Remembered[int] = Remembered()
        self._forecasts = Desks(self._lake)
        self.known = KnownAnswers(self._lake)

    def queue(self, key: str) -> QueueView | None:
        """The bot's queue as it was made last."""
        return self._queues.of(key)

    def waiting(self, key: str) -> int:
        """Turns that wait for somebody, of any time: neither decided on nor put off."""
        queue = self._lake.table(key, REVIEW_QUEUE.name)
        made, decided = queue.last(), self._lake.table(key, "review_decisions").last()
        if made is None:
            return 0

        def count() -> int:
            rows = queue.arrow(["turn_id", "kind", "on_hold"], made.version)
            rows = rows.filter(pc.is_in(rows.column("kind"), value_set=pa.array(TO_DECIDE)))
            on_hold = rows.column("turn_id").filter(rows.column("on_hold")).to_pylist()
            settled = pa.array(sorted(self._settled(key, made.committed_at, on_hold)), pa.string())
            return int(rows.num_rows - pc.sum(pc.is_in(rows.column("turn_id"), value_set=settled), min_count=0).as_py())

        return self._waiting.get(key, (made.version, decided and decided.version), count)

    def make_ahead(self, key: str) -> None:
        """Begins to make what :meth:`effect` needs, for somebody who may decide and has opened the bot's queue."""
        with suppress(BotError):  # whoever asks for the effect is told
            self._forecasts.make_ahead(load_bot(self._home.bots, key))

    def open_page(self, filters: Filters, now: datetime) -> QueuePage:
        """Groups of turns that wait for a decision."""
        view = self.queue(filters.bot)
        if view is None:
            return QueuePage((), 0, 0, {})
        return view.page(filters, now, self._settled(filters.bot, view.made_at, view.on_hold))

    def decisions(self, key: str) -> Decisions:
        """What is decided of a bot now."""
        log = self._log(key)
        return Decisions(
            tuple(
                Decided(
                    decision_id=row["decision_id"],
                    action=row["action"],
                    turn_id=row["turn_ids"][0],
                    text=row["texts"][0],
                    turns=len(row["turn_ids"]),
                    intent=row["intent"],
                    answer=row["answer"],
                    reviewer=row["reviewer"],
                    reason=row["reason"],
                    decided_at=row["decided_at"],
                )
                for row in log.newest(RECENT)
                if row["action"] != UNDO and not log.undone_by(row["decision_id"])
            )
        )

    def outcomes(self, bots: LiveBots, key: str, decisions: Sequence[Decided]) -> dict[str, Outcome]:
        """What the live deployment makes now of what decisions corrected, by the decision's first turn."""
        return self._outcomes.of(bots, key, self._log(key), [decision.turn_id for decision in decisions])

    def decide(self, key: str, kind: str, choice: Choice, reviewer: str) -> list[str]:
        """Writes what was chosen for groups of one kind: all of it, or nothing. Gives the decisions' identifiers.

        Raises:
            ChoiceError: when the choice is not complete, or nothing of the groups waits any more.
            DecisionError: when somebody else decided first, among others; its text says so.
        """
        view = self.queue(key)
        if view is None or not choice.groups:
            raise ChoiceError("no_turns")
        turns = self._unsettled(key, view, kind, choice)
        decisions = self._decisions(view, kind, turns, choice, reviewer)
        rows = write_decisions(self._lake, key, decisions, new_intent=choice.is_new)
        return [row["decision_id"] for row in rows]

    def undo(self, key: str, decision_id: str, reviewer: str) -> None:
        """Takes a decision back.

        Raises:
            DecisionError: when there is no such decision, or it was taken back before.
        """
        undo_decision(self._lake, key, decision_id, reviewer)

    def effect(self, key: str, kind: str, choice: Choice) -> list[Told]:
        """What a choice would do, if it was made now; the first one for a bot's tables takes a second or two.

        Raises:
            ChoiceError: when the choice gives no intent, nothing of the groups waits any more, or there is a mistake in
                the bot's file.
        """
        view = self.queue(key)
        if view is None or not choice.groups or choice.intent is None:
            raise ChoiceError("no_effect")
        turns = self._unsettled(key, view, kind, choice)
        chosen = {turn_id for found in turns.values() for turn_id in found}
        if not chosen:
            raise GoneError
        try:
            bot = load_bot(self._home.bots, key)
        except BotError as error:
            raise ChoiceError("bot_file", detail=str(error)) from None
        effect = self._forecasts.of(bot).effect(sorted(chosen), choice.intent)
        return [
            _told(name, [change for change in changes if change.name not in chosen], view)
            for name, changes in (("fixed", effect.fixed), ("broken", effect.broken), ("moved", effect.moved))
        ]

    def around(self, key: str, turn_id: str) -> list[dict[str, Any]]:
        """The conversation around a served turn, in order, with the turn itself; empty when there is no such turn."""
        table = self._lake.table(key, "conversations")
        columns = ["turn_id", "session_id", "text", "answer", "category", "served_at"]
        for turn in table.rows_with("turn_id", [turn_id], columns):
            session = table.rows_with("session_id", [turn["session_id"]], columns)
            session.sort(key=lambda row: (row["served_at"], row["turn_id"]))
            place = next(number for number, row in enumerate(session) if row["turn_id"] == turn_id)
            return session[max(0, place - AROUND) : place + AROUND + 1]
        return []

    def _decisions(
        self, view: QueueView, kind: str, turns: Mapping[str, Sequence[str]], choice: Choice, reviewer: str
    ) -> list[Decision]:
        missing = [group_id for group_id, found in turns.items() if not found]
        if missing and len(missing) == len(turns):
            raise GoneError
        if choice.action != ACCEPT:
            intent, answer = (choice.intent, choice.answer) if choice.action == MODIFY else (None, None)
            if choice.action == MODIFY and not (intent or answer):
                raise ChoiceError("no_choice")
            return [
                Decision(tuple(found), choice.action, intent, answer, reviewer, choice.reason)
                for found in turns.values()
                if found
            ]
        decisions = []
        for group_id, found in turns.items():
            group = view.group(group_id, kind)
            if not found or group is None:
                continue
            if not (group.preset_intent or group.preset_answer):
                raise ChoiceError("nothing_suggested", row=group.text)
            answer = None if group.preset_intent else group.preset_answer
            why = PICKED if kind in SERVED_KINDS else SUGGESTED
            decisions.append(Decision(tuple(found), MODIFY, group.preset_intent, answer, reviewer, why))
        return decisions

    def _unsettled(self, key: str, view: QueueView, kind: str, choice: Choice) -> dict[str, list[str]]:
        """The turns of the chosen groups that nobody has settled, by group."""
        log = self._log(key)
        return {
            group_id: [turn_id for turn_id in turn_ids if not self._is_settled(log, view, turn_id)]
            for group_id, turn_ids in view.turns_of(choice.groups, kind).items()
        }

    def _settled(self, key: str, made_at: datetime, on_hold: Collection[str]) -> set[str]:
        """Turns that people have decided on or put off, before a queue was made (``on_hold``) or since."""
        log = self._log(key)
        recent = _since(log.newest(RECENT), made_at - WHILE_MADE)
        touched = {turn_id for row in recent for turn_id in row["turn_ids"]}.union(on_hold)
        return {turn_id for turn_id in touched if log.decided(turn_id)}

    def _is_settled(self, log: DecisionLog, view: QueueView, turn_id: str) -> bool:
        """The same of one turn, which costs the same however much was decided."""
        touched = turn_id in view.on_hold or any(_since(log.history(turn_id), view.made_at - WHILE_MADE))
        return touched and log.decided(turn_id) is not None

    def _log(self, key: str) -> DecisionLog:
        return DecisionLog.of(self._lake.table(key, "review_decisions"))


def _told(name: str, changes: Sequence[Change], view: QueueView) -> Told:
    shown = changes[:EXAMPLES]
    texts = view.texts_of([change.name for change in shown])
    examples = tuple((texts.get(change.name, change.name.removeprefix(GOLDEN)), change) for change in shown)
    return Told(name, len(changes), examples)


def _since(rows: Iterable[Row], moment: datetime) -> Iterable[Row]:
    """Those of the rows, newest first, that were decided since a moment."""
    for row in rows:
        if row["decided_at"] < moment:
            return
        yield row
