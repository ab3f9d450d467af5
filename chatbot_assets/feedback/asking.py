"""Asks the live model again what it once did not know: what it still is in doubt about, and what decisions mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chatbot_assets.bot import Bot
from chatbot_assets.feedback.ordering import Floats, Known
from chatbot_assets.feedback.queue import Ask
from chatbot_assets.process.decisions import MODIFY, SERVED, Decided
from resources.metering import timed

if TYPE_CHECKING:
    from serving.responder import Reply, Responder


def asking(responder: "Responder", deployed: dict[str, Any], bot: Bot) -> Ask:
    """Lets a live model answer texts that are normalised and encoded as the bot's configuration says.

    ``deployed`` is the configuration that the model was deployed with: when it prepares texts in another way, they are
    prepared anew.
    """
    alike = _prepared_alike(deployed, bot)

    def ask(texts: Sequence[str], vectors: Floats) -> "Sequence[Reply]":
        with timed("review.ask", len(texts)):
            if not alike:
                return responder.respond(texts)
            return responder.respond_prepared(texts, bot.process.segmenter.load()(texts), vectors)

    return ask


def known_to(responder: "Responder", deployed: dict[str, Any], bot: Bot) -> Known | None:
    """What a live model has learnt; None when the bot's configuration prepares or encodes texts in another way now."""
    return Known(*responder.learnt) if _prepared_alike(deployed, bot) else None


def _prepared_alike(deployed: dict[str, Any], bot: Bot) -> bool:
    now = bot.effective()
    return bool(deployed["process"] == now["process"] and deployed["embed"] == now["embed"])


@dataclass(frozen=True)
class Outcome:
    """What the live model makes of a turn that a person corrected."""

    turn_id: str
    decision_id: str
    category: str
    intent: str | None
    answer: str | None
    fixed: bool


def has_outcome(decided: Decided) -> bool:
    """Whether there is a right answer that the live model can be compared with: only of corrected served turns."""
    return decided.action == MODIFY and decided.source == SERVED


def outcomes(decided: Sequence[Decided], replies: "Sequence[Reply]") -> list[Outcome]:
    """Whether corrected turns are right now; ``replies`` are the live model's to the turns' texts.

    A turn is fixed when it is answered, and with the intent and the answer that the decision gave, as far as it gave
    one. Only decisions that modify served turns have an outcome.
    """
    return [
        Outcome(
            one.turn_id,
            one.decision_id,
            reply.category,
            reply.intent,
            reply.answer,
            reply.category == "answered"
            and one.new_intent in (None, reply.intent)
            and one.new_answer in (None, reply.answer),
        )
        for one, reply in zip(decided, replies, strict=True)
        if has_outcome(one)
    ]
