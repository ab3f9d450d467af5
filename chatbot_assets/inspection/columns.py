"""Guesses which column of somebody's export holds what."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from chatbot_assets.collect.landing import RowError, accept
from chatbot_assets.collect.sources import Sources

Row = Mapping[str, Any]

FIELD_NAMES: dict[str, str] = {
    "text": "text utterance utt query question sentence message msg content q "
    "질문 발화 문장 텍스트 內容 内容 問題 问题 句子 文本 質問 発話 テキスト ข้อความ คำถาม câu_hỏi nội_dung văn_bản",
    "intent": "intent label intent_name intent_label category class "
    "의도 라벨 레이블 意圖 意图 標籤 标签 分類 分类 インテント 意図 ラベル เจตนา ป้ายกำกับ ý_định nhãn",
    "answer": "answer response reply a 답변 응답 대답 回答 答案 答覆 回复 返答 応答 คำตอบ câu_trả_lời phản_hồi",
    "dialogue_id": "dialogue_id dialog_id conversation_id conv_id session_id thread_id dialogue conversation 대화_id",
    "turn": "turn turn_index turn_no turn_number turn_id position seq 순번 턴",
    "speaker": "speaker role sender author from who 화자 발화자 說話者 说话人 話者 ผู้พูด người_nói",
    "user_id": "user_id userid customer_id uid",
    "timestamp": "timestamp time created_at sent_at datetime date",
    "channel": "channel",
}
"""Names that exports use for each landing field, its own name first."""

BOT_NAMES = (
    "bot agent assistant system sys wizard operator staff advisor support chatbot "
    "봇 챗봇 상담사 상담원 시스템 客服 机器人 機器人 機械人 系統 系统 オペレーター ボット システム 担当者 "
    "บอท เจ้าหน้าที่ ระบบ nhân_viên tổng_đài hệ_thống"
)
"""What exports call the side that answers."""


class ColumnError(ValueError):
    """A column that is named but not there, or texts that no column holds; its text is one line."""


def guess_sources(rows: Sequence[Row], chosen: Mapping[str, str | None]) -> dict[str, Any]:
    """The part ``sources`` of a bot's YAML that these rows need; empty when they use the platform's own names.

    ``chosen`` are the columns that the user named, by landing field; None where none was.

    Raises:
        ColumnError: when a chosen column is not there, or no column can be the text.
    """
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    found: dict[str, str] = {}
    for field, column in chosen.items():
        if column is not None:
            if column not in columns:
                raise ColumnError(f"no column {column!r}; columns: {', '.join(columns[:20]) or 'none'}")
            found[field] = column
    for field, names in FIELD_NAMES.items():
        by_name = {_plain(column): column for column in reversed(columns) if column not in found.values()}
        candidates = [by_name[name] for name in map(_plain, names.split()) if name in by_name]
        if field not in found and (column := next((c for c in candidates if _fits(field, c, rows)), None)):
            found[field] = column
    if "text" not in found:
        found["text"] = _most_like_text([column for column in columns if column not in found.values()], rows)
    mapped: dict[str, Any] = {field: column for field, column in found.items() if column != field}
    if bots := _bot_speakers(rows, found):
        mapped["bot_speakers"] = bots
    return mapped


def unused_columns(rows: Sequence[Row], sources: Sources) -> list[str]:
    """The columns that no landing field is read from."""
    used = {column for field, column in sources.model_dump().items() if field != "bot_speakers"}
    return [name for name in dict.fromkeys(str(name) for row in rows for name in row) if name not in used]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _fits(field: str, column: str, rows: Sequence[Row]) -> bool:
    """Whether the column's values can be read as this field, so that mapping it would refuse no row."""
    for row in rows:
        try:
            accept(
                {"text": "-", field: row.get(column)} if field != "text" else {"text": row.get(column) or "-"},
                Sources(),
            )
        except RowError:
            return False
    return True


def _most_like_text(columns: Sequence[str], rows: Sequence[Row]) -> str:
    def likeness(column: str) -> float:
        texts = [value for row in rows if isinstance(value := row.get(column), str)]
        words = [text for text in texts if any(letter.isalpha() for letter in text)]
        distinct = len(set(words)) / max(1, len(rows))
        return distinct * min(60.0, sum(map(len, words)) / max(1, len(words)))

    best = max(columns, key=likeness, default=None)
    if best is None or likeness(best) < 1:
        raise ColumnError("no column holds texts; name it with --text")
    return best


def _bot_speakers(rows: Sequence[Row], found: Mapping[str, str]) -> list[str]:
    """The speakers that answer, in lower case, where the platform would not know them by itself."""
    column = found.get("speaker")
    if column is None:
        return []
    speakers = [str(row.get(column) or "").strip().lower() for row in rows]
    names = sorted({name for name in speakers if name})
    known = [name for name in names if name in Sources().bot_speakers]
    if known or len(names) < 2:
        return []
    by_word = [name for name in names if _plain(name) in set(map(_plain, BOT_NAMES.split()))]
    return by_word or _second_speaker(rows, column, found.get("dialogue_id"), names)


def _second_speaker(rows: Sequence[Row], column: str, dialogue: str | None, names: Sequence[str]) -> list[str]:
    """Of two speakers with names that say nothing, the one who opens fewer conversations."""
    if len(names) != 2 or dialogue is None:
        return []
    first: dict[Any, str] = {}
    for row in rows:
        first.setdefault(row.get(dialogue), str(row.get(column) or "").strip().lower())
    opened = Counter(first.values())
    return [min(names, key=lambda name: (opened[name], name))]
