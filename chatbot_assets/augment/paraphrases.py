"""Decides which candidates become paraphrases: those the gate keeps, no more than an intent needs."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from chatbot_assets.augment.gate import CandidateRows, Gate, GoldRows
from chatbot_assets.embed.vectors import text_id, vectors_of
from resources.metering import timed

ENOUGH = "its intent has enough rows"
HELD_OUT = "is a held-out text: learning it would make the measurement worthless"


@dataclass(frozen=True)
class Parent:
    """An utterance to learn from, with its label as the verdicts leave it."""

    utterance_id: str
    text: str
    tokens: Sequence[str]
    intent: str | None
    answer: str | None


def judge_candidates(
    parents: Sequence[Parent],
    candidates: pa.Table,
    embeddings: pa.Table,
    gate: Gate,
    up_to: int,
    held_out: Container[str] = (),
) -> list[dict[str, Any]]:
    """Rows of ``paraphrases``: each candidate of each parent with its fate.

    Of the faithful candidates an intent keeps as many as bring it to ``up_to`` rows: first the best of every parent,
    then each one's second, and so on.

    Args:
        parents: all utterances to learn from, in the order of their ids.
        candidates: rows (text_id, rules, candidates, candidate_tokens) of ``paraphrase_candidates``.
        embeddings: rows (text_id, vector) that hold the parents' and the candidates' texts.
        gate: the module that judges candidates.
        up_to: rows that an intent should have.
        held_out: texts that models are measured on: none of them is kept.
    """
    made = {row["text_id"]: row for row in candidates.to_pylist()}
    proposals = []
    labelled: set[tuple[str, str | None]] = set()
    for parent in parents:
        row = made.get(text_id(parent.text))
        if row is None or (parent.text, parent.intent) in labelled:
            continue
        labelled.add((parent.text, parent.intent))
        proposals += [
            (parent, rank, rule, text, json.loads(tokens))
            for rank, (rule, text, tokens) in enumerate(
                zip(row["rules"], row["candidates"], row["candidate_tokens"], strict=True)
            )
        ]
    if not proposals:
        return []
    texts = [text for _, _, _, text, _ in proposals]
    with timed("augment.gate", len(texts)):
        judgements = gate(
            GoldRows(
                ids=[parent.utterance_id for parent in parents],
                texts=[parent.text for parent in parents],
                tokens=[parent.tokens for parent in parents],
                intents=[parent.intent for parent in parents],
                answers=[parent.answer for parent in parents],
                vectors=vectors_of([parent.text for parent in parents], embeddings),
            ),
            CandidateRows(
                parent_ids=[parent.utterance_id for parent, *_ in proposals],
                texts=texts,
                rules=[rule for _, _, rule, _, _ in proposals],
                tokens=[tokens for *_, tokens in proposals],
                vectors=vectors_of(texts, embeddings),
            ),
        )
    judgements = [
        replace(judgement, kept=False, reason=HELD_OUT) if judgement.kept and text in held_out else judgement
        for judgement, text in zip(judgements, texts, strict=True)
    ]
    needed = _needed(parents, up_to)
    taken: Counter[str | None] = Counter()
    surplus = set()
    for place in sorted(
        range(len(proposals)), key=lambda place: (proposals[place][1], proposals[place][0].utterance_id)
    ):
        intent = proposals[place][0].intent
        if judgements[place].kept:
            taken[intent] += 1
            if taken[intent] > needed[intent]:
                surplus.add(place)
    return [
        {
            "paraphrase_id": hashlib.sha256(f"{parent.utterance_id}\u001f{text}".encode()).hexdigest()[:32],
            "parent_id": parent.utterance_id,
            "text": text,
            "tokens": tokens,
            "intent": parent.intent,
            "rule": rule,
            "similarity": float(np.float32(judgements[place].similarity)),
            "kept": judgements[place].kept and place not in surplus,
            "reason": ENOUGH if place in surplus else judgements[place].reason,
        }
        for place, (parent, _, rule, text, tokens) in enumerate(proposals)
    ]


def _needed(parents: Sequence[Parent], up_to: int) -> dict[str | None, int]:
    """How many paraphrases each intent may have; questions without an intent are answered one by one, so each may."""
    texts: dict[str | None, set[str]] = defaultdict(set)
    for parent in parents:
        texts[parent.intent].add(parent.text)
    return {
        intent: max(0, up_to - len(own)) if intent is not None else len(own) * up_to for intent, own in texts.items()
    }
