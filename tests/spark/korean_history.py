"""The history of a Korean bot, played on the engine that ``CHATBOT_TEST_ENGINE`` names.

A process runs one engine, so ``test_engines.py`` plays it here on Sail, and on the JVM in a process of its own:
``python korean_history.py ROOT BEGUN OTHER``. ``ROOT`` and ``BEGUN`` are made, the first step's home is copied to
``BEGUN``, and ``OTHER``, which another engine has begun, is continued. Prints one JSON object.
"""

import json
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from small_bot import SmallBot

KEY = "acme.faq-ko"
_SUBJECTS = {"환불": "환불", "영업시간": "영업 시간", "배송": "택배", "날씨": "내일 날씨"}
_FRAMES = (
    "{} 알려 주세요",
    "{} 어떻게 되나요?",
    "{} 언제 알 수 있어요?",
    "{} 문의합니다",
    "저기요, {}!",
    "{} 좀 봐 줘",
    "{}?",
    "{} 궁금해요",
)


def _labelled() -> list[dict[str, str]]:
    return [
        {"text": frame.format(subject), "intent": intent, "answer": f"{intent} 안내입니다."}
        for intent, subject in _SUBJECTS.items()
        for frame in _FRAMES
    ]


def _conversation() -> list[dict[str, Any]]:
    turns = [
        "쿠폰은 어디서 써요? 😀",
        "결제 화면에서 쓰시면 됩니다.",
        "고마워요",
        "또 오세요.",
        "카드 돼요?",
        "네, 됩니다.",
    ]
    return [
        {
            "text": text,
            "speaker": ("user", "bot")[turn % 2],
            "dialogue_id": "d-1",
            "turn": turn,
            "timestamp": f"2026-03-01T09:00:{turn:02d}+09:00",
            "user_id": "가나다",
        }
        for turn, text in enumerate(turns)
    ]


def first(bot: SmallBot) -> None:
    """JSON Lines, a CSV file in decomposed Hangul, a conversation, and rows that cannot be used."""
    bot.configure(language="ko", augment={}, validate={"minimum_accuracy": 0.0, "maximum_drop": 1.0})
    bot.land("labelled.jsonl", [*_labelled(), {"text": "", "intent": "환불"}, {"intent": "환불"}])
    bot.land("conversation.jsonl", _conversation())
    csv = unicodedata.normalize("NFD", 'text,intent,answer\n"반품, 되나요?",환불,\n비 와요?,날씨,우산을 챙기세요.\n')
    path = bot.home.landing(bot.key) / "decomposed.csv"
    path.write_text(csv, encoding="utf-8")
    os.utime(path, (time.time() - 60,) * 2)


def more(bot: SmallBot) -> None:
    """Two new texts, one that is there already, and one that is there with another label."""
    new = [{"text": "눈 와요?", "intent": "날씨"}, {"text": "휴무일이 언제죠?", "intent": "영업시간"}]
    edited = _labelled()[5] | {"intent": "배송", "answer": "배송 안내입니다."}
    bot.land("more.jsonl", [*new, _labelled()[0], edited])


def nothing(bot: SmallBot) -> None:
    """Nobody did anything."""


STEPS: dict[str, Callable[[SmallBot], None]] = {step.__name__: step for step in (first, more, nothing)}
LATER = [name for name in STEPS if name != "first"]
Played = dict[str, dict[str, Any]]


def play(root: Path, steps: list[str]) -> Played:
    """Takes the steps one after the other, with a refresh after each; gives what each of them left."""
    bot = SmallBot(root, KEY)
    found: Played = {}
    for name in steps:
        STEPS[name](bot)
        refreshed = bot.refresh()
        assert refreshed.success, refreshed.failure or refreshed.error
        found[name] = {
            "data_versions": bot.data_versions(),
            "computed": {table: asset["rows_computed"] for table, asset in refreshed.assets.items()},
            "committed": sorted(refreshed.committed),
            "engines": {table: bot.record(table).engine for table in sorted(refreshed.committed)},
        }
    return found


def begin_and_play(root: Path, begun: Path) -> Played:
    """The whole history in ``root``; ``begun`` is left as the first step left it."""
    found = play(root, ["first"])
    shutil.copytree(root, begun)
    return found | play(root, LATER)


if __name__ == "__main__":
    own, begun, others = map(Path, sys.argv[1:])
    print(json.dumps({"own": begin_and_play(own, begun), "continued": play(others, LATER)}))
