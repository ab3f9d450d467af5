"""An explanation in plain words, for people who never open a terminal, in the languages of ``languages/``."""

import functools
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from chatbot_assets.deploy.actors import BY_ITSELF
from chatbot_assets.feedback.reasons import PICKED, SUGGESTED

SPOKEN = ("en", "ko")
"""The first one is spoken to whoever asks for none of them."""
SHORT = 12
"""Digits of an identifier that are shown in a sentence."""
NAMED = 4
"""N-grams and keys that a sentence names at most."""
BROUGHT = ("dialogues", "review_decisions")
"""The tables that others are made from; that those change with them goes without saying."""
_GIVEN_REASONS = {PICKED: "reason_picked", SUGGESTED: "reason_suggested"}
_FOLDER = Path(__file__).parent / "languages"


Sentence = str | Mapping[str, str]
"""What is said, or how it is said of 'one' and of 'other' numbers (CLDR's plural categories; Korean has one form)."""


@functools.cache
def sentences(language: str) -> dict[str, Sentence]:
    """All sentences and words of one language by their name; what is in braces is filled in."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Sentence] = yaml.load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"), loader)
    return found


def form(sentence: Sentence, count: int) -> str:
    """How a sentence is said of so many."""
    return sentence if isinstance(sentence, str) else sentence["one" if count == 1 else "other"]


class Words:
    """Says in one language what an explanation found."""

    def __init__(self, language: str = SPOKEN[0]) -> None:
        """``language`` is one of ``SPOKEN``."""
        self.language = language
        self._sentences = sentences(language)

    def say(self, name: str, **values: Any) -> str:
        """One of the language's sentences, filled in; ``count`` also chooses its form."""
        return form(self._sentences[name], values.get("count", 1)).format(**values)

    def summary(self, found: Mapping[str, Any]) -> list[str]:
        """What happened, why, where it was learnt, and what had been deployed: a few sentences."""
        said = [self._what(found["turn"])]
        evidence = found["evidence"]
        if evidence["candidates"]:
            said += self._why(found["turn"], evidence)
            said += self._where_from(evidence["rows"])
        return [*said, *self._when_live(found["turn"], found["deployment"]), *found["limits"]]

    def origin(self, origin: Mapping[str, Any]) -> str:
        """Where a turn came from, and what a person decided about it."""
        if origin["kind"] == "landed":
            when = self.moment(origin["arrived_at"])
            words = self.say("landed", line=origin["line"], file=origin["file"], when=when)
        else:
            words = self.say("served", turn=origin["turn_id"])
        decision = origin["decision"]
        if decision is None:
            return words
        right = " → ".join(value for value in (decision["intent"], decision["answer"]) if value)
        return self.say(
            "decided",
            origin=words,
            reviewer=decision["reviewer"],
            when=self.moment(decision["decided_at"]),
            action=self.say(f"action_{decision['action']}"),
            right=self.say("decided_right", right=right) if right else "",
            reason=self.say("because", reason=self.reason(decision["reason"])) if decision["reason"] else "",
        )

    def reason(self, reason: str) -> str:
        """Why a person decided: in their own words, or in the language's where the review page gave the reason."""
        return self.say(_GIVEN_REASONS[reason]) if reason in _GIVEN_REASONS else reason

    def label(self, verdict: Mapping[str, Any]) -> str:
        """What the judge thinks of a row's label."""
        said = [self.say("label", verdict=self.say(f"verdict_{verdict['verdict']}"))]
        if verdict["quality"] is not None:
            said.append(self.say("quality", quality=f"{verdict['quality']:.2f}"))
        if verdict["suggested_intent"]:
            said.append(self.say("rather", intent=verdict["suggested_intent"]))
        return ", ".join(said)

    def _what(self, turn: Mapping[str, Any]) -> str:
        when, text = self.moment(turn["served_at"]), turn["text"]
        if turn["category"] != "answered":
            return self.say(f"asked_{turn['category']}", when=when, text=text)
        intent = self.say("with_intent", intent=turn["intent"]) if turn["intent"] else ""
        name = "asked_answered" if turn["answer"] else "asked_recognised"
        return self.say(name, when=when, text=text, answer=turn["answer"], intent=intent)

    def _why(self, turn: Mapping[str, Any], evidence: Mapping[str, Any]) -> list[str]:
        top, thresholds = evidence["candidates"][0], evidence["thresholds"]
        nearest = (
            self.say("an_intent", intent=top["intent"]) if top["intent"] else self.say("a_question", text=top["text"])
        )
        if turn["score"] >= 1:
            return [self.say("word_for_word", nearest=nearest)]
        said = []
        if thresholds:
            shares = {"score": turn["score"], **{name: thresholds[name] for name in ("answer", "suggest")}}
            percents = {name: _percent(share) for name, share in shares.items()}
            said.append(self.say("fitted_best", nearest=nearest, **percents))
        weighing = evidence["weighing"]
        if weighing and weighing["ngrams"]:
            # Letters inside words say little to a person: whole words where there are any.
            whole = [one for one in weighing["ngrams"] if one["kind"] == "words"]
            ngrams = [self._ngram(one) for one in (whole or weighing["ngrams"])[:NAMED]]
            said.append(self.say("spoke_for_it", ngrams=", ".join(ngrams)))
        if weighing and weighing["next_intent"]:
            said.append(self.say("next_intent", intent=weighing["next_intent"]))
        return said

    def _ngram(self, one: Mapping[str, Any]) -> str:
        quoted = f"“{one['ngram']}”"
        return quoted if one["kind"] == "words" else f"{quoted} ({self.say('ngram_letters')})"

    def _where_from(self, rows: list[Mapping[str, Any]]) -> list[str]:
        said = []
        nearest = rows[0] if rows else None
        if nearest is not None:
            similarity = _percent(nearest["similarity"])
            said.append(self.say("nearest_text", text=nearest["text"], similarity=similarity))
            is_paraphrase = nearest["kind"] == "paraphrase"
            row = nearest["parent"] if is_paraphrase else nearest
            if row and row["origins"]:
                origin = self.origin(row["origins"][0])
                name = "paraphrase_comes_from" if is_paraphrase else "comes_from"
                said.append(self.say(name, rule=nearest.get("rule"), text=row["text"], origin=origin))
        answer = next((row for row in rows if row["gave_the_answer"] and row is not nearest), None)
        if answer is not None and answer["origins"]:
            said.append(self.say("answer_comes_from", text=answer["text"], origin=self.origin(answer["origins"][0])))
        return said

    def _when_live(self, turn: Mapping[str, Any], deployment: Mapping[str, Any]) -> list[str]:
        name = deployment["deployment_id"][:SHORT]
        live, before, after = (deployment[place] for place in ("live", "before", "after"))
        if canary := deployment["canary"]:
            others = self.say("canary_others", before=before["deployment_id"][:SHORT]) if before else ""
            share = _percent(canary["share"])
            tried = self.say("canary", deployment=name, since=self.moment(canary["at"]), share=share, others=others)
            return [tried, self._by("made_canary", canary)]
        if live is None:
            return [self.say("not_live", deployment=name)]
        since = self.moment(live["at"])
        if after:
            then = {"until": self.moment(after["at"]), "after": after["deployment_id"][:SHORT]}
            said = [self.say("live_until", deployment=name, since=since, **then)]
        else:
            said = [self.say("live_since", deployment=name, since=since)]
        said.append(self._by("put_live", live))
        if before is None:
            said.append(self.say("first_deployment"))
        elif deployment["changed_since_before"]:
            changed = self._changed(deployment["changed_since_before"])
            name = before["deployment_id"][:SHORT]
            said.append(self.say("changed_between", before=name, since=self.moment(before["at"]), changed=changed))
        return said

    def _changed(self, changes: Mapping[str, Any]) -> str:
        what = [self.say(f"changed_{table}") for table in BROUGHT if table in changes["tables"]]
        keys = list(changes["configuration"])
        if keys:
            named = ", ".join(keys[:NAMED])
            more = len(keys) - NAMED
            shown = self.say("and_more", names=named, count=more) if more > 0 else named
            what.append(self.say("changed_configuration", keys=shown))
        if changes["code"]:
            what.append(self.say("changed_code"))
        return ", ".join(what) or self.say("changed_nothing")

    def _by(self, name: str, event: Mapping[str, Any]) -> str:
        """Who did something to a deployment: a person with their reason, or the platform by itself."""
        actor = event["actor"]
        if actor.startswith(BY_ITSELF):
            return self.say(f"{name}_itself", actor=actor[: len("run ") + SHORT] if actor.startswith("run ") else actor)
        return self.say(name, actor=actor, reason=event["reason"])

    def moment(self, at: datetime | str) -> str:
        """A time as the language writes it, in UTC."""
        return self.say("moment", at=datetime.fromisoformat(at) if isinstance(at, str) else at)


def moment(at: datetime | str) -> str:
    """A time in a list, in UTC: always as long, whatever the language."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _percent(share: float) -> str:
    return f"{share * 100:.0f}"
