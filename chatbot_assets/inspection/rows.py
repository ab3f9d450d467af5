"""Reads files as the platform would, and pairs questions with answers."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from chatbot_assets.collect.landing import UNREADABLE, RowError, file_sha256, parse_file, raw_rows
from chatbot_assets.collect.sources import Sources

ROW_LIMIT = 200_000
"""Accepted rows that are looked at closely; all rows are counted."""
SAMPLE_ROWS = 500


@dataclass(frozen=True)
class Turn:
    """An accepted row."""

    text: str
    intent: str | None
    answer: str | None
    conversation: tuple[str, str] | None
    turn: int
    speaker: str


@dataclass
class FileRows:
    """What one file holds, and which file before it has the same bytes."""

    file: str
    rows: int = 0
    rejected: int = 0
    same_as: str | None = None


@dataclass
class Reading:
    """What all files hold. ``reasons`` counts the refused rows by reason, and says where each was met first."""

    files: list[FileRows] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def rejected(self) -> int:
        return sum(file.rejected for file in self.files)


def sample_rows(path: Path) -> list[dict[str, Any]]:
    """The first rows of a file by its own column names."""
    found: list[dict[str, Any]] = []
    with contextlib.suppress(*UNREADABLE):
        for _, _, row in raw_rows(path, path.name):
            if not isinstance(row, RowError):
                found.append(row)
            if len(found) == SAMPLE_ROWS:
                break
    return found


def read_files(paths: Sequence[Path], sources: Sources) -> Reading:
    """Reads all files under a column mapping; a byte-equal copy of an earlier file is named and not read."""
    reading = Reading()
    seen: dict[str, str] = {}
    for path in paths:
        sha256 = file_sha256(path)
        file = FileRows(str(path), same_as=seen.get(sha256))
        seen.setdefault(sha256, str(path))
        reading.files.append(file)
        for row in parse_file(path, path.name, sha256, sources) if file.same_as is None else ():
            if row.get("reason"):
                file.rejected += 1
                reading.reasons[row["reason"]] += 1
                reading.first.setdefault(row["reason"], f"{path.name}:{row['source_line']}")
                continue
            file.rows += 1
            if len(reading.turns) < ROW_LIMIT:
                conversation = (row["dialogue_id"], sha256) if row["dialogue_id"] is not None else None
                # As Spark orders them: turns without a number come first, in the order of the file.
                position = -1 if row["turn"] is None else row["turn"]
                reading.turns.append(
                    Turn(row["text"], row["intent"], row["answer"], conversation, position, row["speaker"])
                )
    return reading


def questions_with_answers(turns: Sequence[Turn]) -> list[tuple[Turn, str | None]]:
    """The user turns, each with its answer: its own or, in a conversation, a bot turn that directly follows."""
    alone = [(turn, turn.answer) for turn in turns if turn.conversation is None]
    conversations: dict[tuple[str, str], list[Turn]] = {}
    for turn in turns:
        if turn.conversation is not None:
            conversations.setdefault(turn.conversation, []).append(turn)
    for members in conversations.values():
        ordered = sorted(members, key=lambda turn: turn.turn)
        for turn, following in itertools.zip_longest(ordered, ordered[1:]):
            reply = following.text if following is not None and following.speaker == "bot" else None
            alone.append((turn, turn.answer or reply))
    return [(turn, answer) for turn, answer in alone if turn.speaker == "user"]


def spread_sample(texts: Sequence[str], limit: int) -> list[str]:
    """At most ``limit`` of the distinct texts, spread evenly and always the same: those with the smallest hashes."""
    return sorted(set(texts), key=lambda text: blake2b(text.encode(), digest_size=8).digest())[:limit]
