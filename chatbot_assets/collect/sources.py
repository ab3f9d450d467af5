"""The part of a bot's YAML that maps a landing file's columns."""

from chatbot_assets.modules import Section


class Sources(Section):
    """Which column of a landing file holds what."""

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
