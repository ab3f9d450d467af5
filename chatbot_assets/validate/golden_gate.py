"""Decides on a bot's golden dialogues, and on the turns that people corrected, whether a model may be deployed.

A golden dialogue is something that the bot's owner wants as it is. No statistics are asked: one that the live model
answers as wanted and the new one does not is a step back, and refuses it. One that both fail is *known*: it is told and
refuses nothing (unless ``validate.golden`` is ``all``), for to keep the old model would not mend it. Without a live
model nothing is known, so the first one must answer all of them. Turns that people corrected are wanted in the same
way, but a bot that was never right about one is not held up by it.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from chatbot_assets.embed.vectors import vectors_of
from chatbot_assets.golden import GoldenDialogue
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.validate.gate import NAMED_ROWS, DecidingRow, Gate, gave, refused
from serving.responder import ANSWERED, Reply

if TYPE_CHECKING:
    from resources.delta_io import PinnedTable


class CorrectedTurn(GoldenDialogue):
    """A text whose label a person decided."""


@dataclass(frozen=True)
class Golden:
    """What golden dialogues say about a model.

    ``known`` are the rows that it fails as the live model does; ``out_of_scope_recall`` (0–1) is the share of the
    out-of-scope dialogues that it does not answer, None without any.
    """

    gate: Gate
    rows: int
    as_wanted: int
    known: tuple[DecidingRow, ...]
    out_of_scope_recall: float | None

    def notes(self) -> dict[str, Any]:
        """What the evaluation keeps of it."""
        first = [asdict(row) for row in self.known[:NAMED_ROWS]]
        return {"rows": self.rows, "as_wanted": self.as_wanted, "known": len(self.known), "first_known": first}

    def metric_rows(self) -> list[dict[str, Any]]:
        """Its figures as rows of ``evaluations``; none without golden dialogues."""
        share = self.as_wanted / self.rows if self.rows else None
        figures = {"as_wanted": share, "out_of_scope_recall": self.out_of_scope_recall}
        return [
            {"slice_kind": "golden", "slice": "", "metric": name, "value": value, "rows": self.rows}
            for name, value in figures.items()
            if self.rows
        ]


def judge_golden(
    dialogues: Sequence[GoldenDialogue],
    replies: Sequence[Reply],
    champion: Sequence[Reply] | None,
    *,
    all_needed: bool,
    minimum_out_of_scope_recall: float,
) -> Golden:
    """Judges a challenger by its replies to the dialogues' texts, beside the live model's (None when it has none).

    ``all_needed`` lets no dialogue of the bot's file be known to fail; of a :class:`CorrectedTurn` it asks nothing.
    """
    wrong: list[DecidingRow] = []
    known: list[DecidingRow] = []
    for place, (dialogue, reply) in enumerate(zip(dialogues, replies, strict=True)):
        if as_wanted(dialogue, reply):
            continue
        before = champion[place] if champion is not None else None
        is_corrected = isinstance(dialogue, CorrectedTurn)
        row = DecidingRow(
            rule="corrected" if is_corrected else "golden",
            text=dialogue.text,
            wanted=dialogue.wanted,
            challenger=given(dialogue, reply),
            champion=given(dialogue, before) if before is not None else None,
        )
        lost = before is not None and as_wanted(dialogue, before)
        (wrong if lost or (all_needed and not is_corrected) else known).append(row)
    recall = _out_of_scope_recall(dialogues, replies)
    right = len(dialogues) - len(wrong) - len(known)
    words = f"{right} of {len(dialogues)} golden dialogues answered as wanted"
    if known:
        words += f", {len(known)} known to fail, among them {', '.join(repr(row.text) for row in known[:3])}"
    if wrong:
        gate = refused(words, wrong)
    elif recall is not None and recall < minimum_out_of_scope_recall:
        why = f"out-of-scope recall {recall:.3f} is below validate.minimum_out_of_scope_recall"
        answered = [row for row in known if row.wanted == "out of scope"]
        gate = refused(f"{why} {minimum_out_of_scope_recall}", answered)
    else:
        gate = Gate(True, words if dialogues else "")
    return Golden(gate, len(dialogues), right, tuple(known), recall)


def as_wanted(dialogue: GoldenDialogue, reply: Reply) -> bool:
    """Whether a user who says the text is served what is wanted: suggestions and refusals are no answer."""
    if dialogue.out_of_scope:
        return reply.category != ANSWERED
    if reply.category != ANSWERED:
        return False
    right_intent = dialogue.intent is None or reply.intent == dialogue.intent
    return right_intent and (dialogue.answer is None or _plain(reply.answer) == dialogue.answer)


def given(dialogue: GoldenDialogue, reply: Reply) -> str:
    """What the model made of the text, in the words of what was wanted."""
    if dialogue.answer is None or reply.category != ANSWERED:
        return gave(reply)
    return ": ".join([*([reply.intent] if dialogue.intent is not None and reply.intent else []), repr(reply.answer)])


def corrected_turns(
    utterances: "PinnedTable", embeddings: "PinnedTable", golden: Sequence[GoldenDialogue]
) -> tuple[list[CorrectedTurn], TrainingRows]:
    """The texts whose label a person decided and that the bot learns from; also, prepared, as rows.

    What the bot's file says of a text comes before. A text that people gave several labels is left out, and so is one
    that is held out: it is no more than one of the rows that are compared there.
    """
    columns = ("utterance_id", "text", "tokens", "intent", "answer", "split", "excluded", "reviewed")
    table = utterances.arrow(*columns)
    used = pc.and_(
        pc.and_(table.column("reviewed"), pc.is_null(table.column("excluded"))), pc.equal(table["split"], "train")
    )
    said = {dialogue.text for dialogue in golden}
    by_text: dict[str, list[dict[str, Any]]] = {}
    for row in table.filter(used).sort_by("utterance_id").to_pylist():
        if row["text"] not in said:
            by_text.setdefault(row["text"], []).append(row)
    rows = [found[0] for found in by_text.values() if len({(row["intent"], row["answer"]) for row in found}) == 1]
    texts = [row["text"] for row in rows]
    dialogues = [
        CorrectedTurn(row["text"], row["intent"], row["answer"] if row["intent"] is None else None) for row in rows
    ]
    prepared = TrainingRows(
        ids=[row["utterance_id"] for row in rows],
        texts=texts,
        tokens=[row["tokens"] for row in rows],
        intents=[row["intent"] for row in rows],
        answers=[row["answer"] for row in rows],
        vectors=vectors_of(texts, embeddings.arrow("text_id", "vector")) if rows else np.zeros((0, 0), np.float32),
        parents=[None] * len(rows),
        weights=np.ones(len(rows), np.float32),
    )
    return dialogues, prepared


def _out_of_scope_recall(dialogues: Sequence[GoldenDialogue], replies: Sequence[Reply]) -> float | None:
    outside = [as_wanted(one, reply) for one, reply in zip(dialogues, replies, strict=True) if one.out_of_scope]
    return sum(outside) / len(outside) if outside else None


def _plain(text: str | None) -> str | None:
    return text if text is None else unicodedata.normalize("NFC", text).strip()
