"""The part of a bot's YAML that maps a landing file's columns."""

from collections.abc import Mapping
from typing import Any, Protocol

from chatbot_assets.modules import ModuleRef, Section


class Transform(Protocol):
    """Reads an export whose rows are shaped differently; a bot's YAML names one as ``sources.transform``."""

    def __call__(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The row with the columns that ``sources`` names; None for a row that is no dialogue.

        Such a row, and one that the transform fails on, is rejected with the reason.
        """
        ...


class Sources(Section):
    """Which column of a landing file holds what, after ``transform``, if there is one, has looked at the row."""

    text: str = "text"
    intent: str = "intent"
    answer: str = "answer"
    dialogue_id: str = "dialogue_id"
    turn: str = "turn"
    speaker: str = "speaker"
    timestamp: str = "timestamp"
    user_id: str = "user_id"
    channel: str = "channel"
    bot_speakers: tuple[str, ...] = ("bot", "agent", "assistant", "system")
    transform: ModuleRef | None = None
