"""An explanation in plain words, for people who never open a terminal."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

SHORT = 12
"""Digits of an identifier that are shown in a sentence."""
NAMED = 4
"""N-grams and keys that a sentence names at most."""
BROUGHT = {"dialogues": "the landed data", "review_decisions": "what people decided in reviews"}
"""The tables that others are made from, in words; that those change with them goes without saying."""


def summary(found: Mapping[str, Any]) -> list[str]:
    """What happened, why, where it was learnt, and what had been deployed: a few sentences."""
    sentences = [_what(found["turn"])]
    evidence = found["evidence"]
    if evidence["candidates"]:
        sentences += _why(found["turn"], evidence)
        sentences += _where_from(evidence["rows"])
    return [*sentences, *_when_live(found["turn"], found["deployment"]), *map(_sentence, found["limits"])]


def origin_in_words(origin: Mapping[str, Any]) -> str:
    """Where a turn came from, and what a person decided about it."""
    if origin["kind"] == "landed":
        words = f"line {origin['line']} of {origin['file']}, which arrived on {moment(origin['arrived_at'])}"
    else:
        words = f"the served turn {origin['turn_id']}"
    decision = origin["decision"]
    if decision is None:
        return words
    right = " → ".join(value for value in (decision["intent"], decision["answer"]) if value)
    because = f" ({decision['reason']})" if decision["reason"] else ""
    return (
        f"{words}; {decision['reviewer']} decided on {moment(decision['decided_at'])}: "
        f"{decision['action']}{f' to {right}' if right else ''}{because}"
    )


def moment(at: datetime | str) -> str:
    """A time as a person writes it, in UTC."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _what(turn: Mapping[str, Any]) -> str:
    asked = f"On {moment(turn['served_at'])} somebody asked “{turn['text']}”"
    if turn["category"] == "failed":
        return f"{asked}, and the bot said that it had not understood."
    if turn["category"] == "error":
        return f"{asked}, and the bot could not answer: it failed, or took too long; the service's log says why."
    if turn["category"] == "similar":
        return f"{asked}, and the bot was not sure, so it offered suggestions."
    said = f"the bot answered “{turn['answer']}”" if turn["answer"] else "the bot recognised it"
    intent = f" (intent {turn['intent']})" if turn["intent"] else ""
    return f"{asked}, and {said}{intent}."


def _why(turn: Mapping[str, Any], evidence: Mapping[str, Any]) -> list[str]:
    top, thresholds = evidence["candidates"][0], evidence["thresholds"]
    nearest = f"the intent {top['intent']}" if top["intent"] else f"the known question “{top['text']}”"
    if turn["score"] >= 1:
        return [f"It was taught this text word for word: it belongs to {nearest}."]
    said = []
    if thresholds:
        score, answer, suggest = (_percent(value) for value in (turn["score"], *thresholds.values()))
        bounds = f"this bot answers from {answer} and suggests from {suggest}"
        said.append(f"What fitted best was {nearest}, with a confidence of {score}; {bounds}.")
    weighing = evidence["weighing"]
    if weighing and weighing["ngrams"]:
        named = ", ".join(f"“{one['ngram']}”" for one in weighing["ngrams"][:NAMED])
        said.append(f"What spoke for it most in the wording: {named}.")
    if weighing and weighing["next_intent"]:
        said.append(f"The next likely intent was {weighing['next_intent']}.")
    return said


def _where_from(rows: list[Mapping[str, Any]]) -> list[str]:
    said = []
    nearest = rows[0] if rows else None
    if nearest is not None:
        said.append(f"The nearest text it was taught is “{nearest['text']}” ({_percent(nearest['similarity'])} alike).")
        row = nearest["parent"] if nearest["kind"] == "paraphrase" else nearest
        made = (
            f"The rule {nearest['rule']} made it of “{row['text']}”, which comes from "
            if nearest["kind"] == "paraphrase" and row
            else "It comes from "
        )
        if row and row["origins"]:
            said.append(f"{made}{origin_in_words(row['origins'][0])}.")
    answer = next((row for row in rows if row["gave_the_answer"] and row is not nearest), None)
    if answer is not None and answer["origins"]:
        said.append(
            f"The answer is that of “{answer['text']}”, which comes from {origin_in_words(answer['origins'][0])}."
        )
    return said


def _when_live(turn: Mapping[str, Any], deployment: Mapping[str, Any]) -> list[str]:
    name = f"Deployment {deployment['deployment_id'][:SHORT]}"
    live, before, after = (deployment[place] for place in ("live", "before", "after"))
    if canary := deployment["canary"]:
        others = f", and {before['deployment_id'][:SHORT]}, which was live, the others" if before else ""
        return [
            f"{name} answered as a canary: since {moment(canary['at'])} it was tried on "
            f"{_percent(canary['share'])} of the sessions, this one among them{others}.",
            f"{_actor(canary['actor'])} made it a canary: {canary['reason']}.",
        ]
    if live is None:
        return [f"{name} answered; it was not live for everybody at that moment."]
    if after:
        until = f"until {moment(after['at'])}, when {after['deployment_id'][:SHORT]} took its place"
        said = [f"{name} answered. It was live from {moment(live['at'])} {until}."]
    else:
        said = [f"{name} answered. It has been live since {moment(live['at'])}."]
    made = next((event for event in deployment["events"] if event["event"] == "candidate"), None)
    because = f"; it was made because: {made['reason']}" if made else ""
    said.append(f"{_actor(live['actor'])} put it live: {live['reason']}{because}.")
    changes = deployment["changed_since_before"]
    if before is None:
        said.append("It was the bot's first deployment.")
    elif changes:
        what = [words for table, words in BROUGHT.items() if table in changes["tables"]]
        what += [f"the configuration ({_some(list(changes['configuration']))})"] if changes["configuration"] else []
        what += ["the platform's code"] if changes["code"] else []
        said.append(
            f"Before it, {before['deployment_id'][:SHORT]} was live since {moment(before['at'])}; "
            f"between the two changed: {', '.join(what) or 'nothing'}."
        )
    return said


def _actor(actor: str) -> str:
    return f"The platform itself ({actor[: len('run ') + SHORT]})" if actor.startswith("run ") else actor


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
