"""English paraphrases of normalised texts: requests, wishes, questions, articles and a few verbs of one meaning.

The texts are lower case with contractions in full, as the normaliser leaves them; so are the paraphrases.
"""

import re
from typing import ClassVar, Literal

from chatbot_assets.augment.rules import ParaphraseRule, marked, one_of, vocabulary

_DETERMINER = r"(?:the|a|an|my|me|this|that|these|those|all|any|some|another|it|us|our|new|every)"

# Said at the beginning of a text these are verbs; of the second group only before a determiner, for "call history" and
# "book fairs" begin with nouns.
_VERBS = vocabulary(
    "set play turn show tell give remind add delete remove send find get make put start stop switch open read "
    "create increase decrease dim brighten mute unmute lower raise resume pause skip explain wake let inform "
    "activate deactivate close enable disable tweet reply save list compose"
)
_VERBS_OR_NOUNS = vocabulary(
    "call book order change check email search cancel mail schedule shuffle repeat update edit clean cook "
    "brew rate transfer refund block freeze report rename buy reset top"
)
_COUNTED = "alarm|timer|reminder|event|meeting|appointment|email|mail|list|playlist|tweet|message|note|taxi|cab|ticket"
_REQUEST = re.compile(r"(?:(?:can|could|would|will) you(?: please)?|please) (.+)")


class Request(ParaphraseRule):
    """Other ways to ask for the same: ``set an alarm`` → ``please set an alarm``, ``can you set an alarm``."""

    name = "request"

    _FORMS: ClassVar = {
        "bare": "{}",
        "please": "please {}",
        "please-last": "{} please",
        "can-you": "can you {}",
        "could-you": "could you please {}",
        "would-like": "i would like you to {}",
    }

    def __init__(self, form: Literal["bare", "please", "please-last", "can-you", "could-you", "would-like"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = marked(text)
        request = _request(said.body)
        if request is None or (self._form in ("please-last", "would-like") and len(request.split()) > 9):
            return None
        body = self._FORMS[self._form].format(request)
        return said.as_question(body) if self._form in ("can-you", "could-you") else said.as_request(body)


def _request(body: str) -> str | None:
    """What is asked for, beginning with its verb; None when the text is no request."""
    body = body.removesuffix(" please")
    asked = _REQUEST.fullmatch(body)
    request = asked[1] if asked else body
    first, _, rest = request.partition(" ")
    is_verb = first in _VERBS or (first in _VERBS_OR_NOUNS and re.match(rf"{_DETERMINER}\b", rest) is not None)
    is_one_sentence = not re.search(r"[.?!;]|\b(?:is|are|was|has|have been|does|please)\b", request)
    return request if rest and is_verb and is_one_sentence else None


class Want(ParaphraseRule):
    """``i want to`` and ``i would like to`` for one another."""

    name = "want"

    def rewrite(self, text: str) -> str | None:
        if re.match(r"i would like (?:to|a|an|some|you to)\b", text):
            return "i want" + text.removeprefix("i would like")
        return "i would like" + text.removeprefix("i want") if re.match(r"i want (?:to|you to)\b", text) else None


class Need(ParaphraseRule):
    """``i need to`` as ``i have to``, and the other way round; not after a negation, where they differ."""

    name = "need"

    def rewrite(self, text: str) -> str | None:
        for verb, other in (("need", "have"), ("have", "need")):
            found = re.match(rf"((?:.*\b)?(?:do )?i) {verb} to\b(?! (?:be|know|do)\b)", text)
            if found and " not " not in text:
                return f"{found[1]} {other} to{text[found.end() :]}"
        return None


class HowTo(ParaphraseRule):
    """A question after a way to do something: ``how do i reset it`` → ``how can i reset it``."""

    name = "how-to"

    _FORMS: ClassVar = {"do-i": "how do i", "can-i": "how can i", "to-know": "i want to know how to"}
    _ASKED = re.compile(r"(?:how (?:do|can|would|should) i|what should i do to|i want to know how to) (?=[a-z])")

    def __init__(self, form: Literal["do-i", "can-i", "to-know"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = marked(text)
        asked = self._ASKED.match(said.body)
        rest = said.body[asked.end() :] if asked else ""
        if asked is None or re.match(r"(?:know|get to|have|be|not|look|feel)\b", rest) or re.search(r"[.?!]", rest):
            return None
        body = f"{self._FORMS[self._form]} {rest}"
        return said.as_request(body) if self._form == "to-know" else said.as_question(body)


class Possible(ParaphraseRule):
    """``can i`` and ``is it possible to`` for one another, where the writer would do it."""

    name = "possible"

    _FORMS: ClassVar = {"can-i": "can i", "possible": "is it possible to"}
    _ASKED = re.compile(
        r"(?:can i|is it possible to|am i able to|is there a way to) (?!(?:be|have|get|just|still|know)\b)(?=[a-z])"
    )

    def __init__(self, form: Literal["can-i", "possible"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = marked(text)
        asked = self._ASKED.match(said.body)
        if asked is None or re.search(r"[.?!]|\b(?:i|please)\b", said.body[asked.end() :]):
            return None
        return said.as_question(f"{self._FORMS[self._form]} {said.body[asked.end() :]}")


class TellMe(ParaphraseRule):
    """A question after one thing as a request, and back: ``what is my balance`` ↔ ``tell me my balance``."""

    name = "tell-me"

    _THING = r"((?:the|my|your) (?:[a-z'-]+ ){0,3}?[a-z'-]+)"
    _NO_VERB = (
        r"(?!.*\b(?:is|are|was|do|does|did|going|doing|happening|used|like|i|you|we|that|which|if"
        r"|to|with|about|for|from|against|matter|outside|of\Z)\b)"
    )

    def rewrite(self, text: str) -> str | None:
        said = marked(text)
        asked = re.fullmatch(rf"what (?:is|are) {self._NO_VERB}{self._THING}", said.body)
        if asked:
            return said.as_request(f"tell me {asked[1]}")
        told = re.fullmatch(rf"(?:please )?(?:tell|give) me {self._NO_VERB}{self._THING}", said.body)
        if told and not told[1].endswith(("s", "story", "joke", "news", "everything")):
            return said.as_question(f"what is {told[1]}")
        return None


class Telling(ParaphraseRule):
    """``tell me`` as ``let me know`` and ``show me`` as ``let me see``, where something is asked for."""

    name = "telling"

    def rewrite(self, text: str) -> str | None:
        asked = r"(?=(?:the|my|what|when|where|if|how|who|all|any)\b)"
        found = re.match(rf"((?:(?:can|could|would) you )?(?:please )?)(tell|show) me {asked}", text)
        other = {"tell": "let me know", "show": "let me see"}
        return found and f"{found[1]}{other[found[2]]} {text[found.end() :]}"


class Synonym(ParaphraseRule):
    """A verb by another of one meaning, in the same form: ``delete``, ``removed`` → ``remove``, ``deleted``."""

    name = "synonym"

    _PAIRS = (
        ("delete", "remove"),
        ("deleted", "removed"),
        ("deleting", "removing"),
        ("turn on", "switch on"),
        ("turn off", "switch off"),
        ("turned on", "switched on"),
        ("turned off", "switched off"),
        ("turning off", "switching off"),
        ("purchase", "buy"),
        ("purchased", "bought"),
        ("search for", "look for"),
        ("begin", "start"),
        ("assist me", "help me"),
        ("create a", "make a"),
    )
    _NO_NOUN = r"(?<![\w'-])(?<!the )(?<!a )(?<!my )"
    _OBJECT = r"(?= (?:the|my|a|an|all|any|this|that|it|every|from)\b|\Z)"
    _ONE_WAY = frozenset({("begin", "start"), ("assist me", "help me"), ("create a", "make a")})

    def rewrite(self, text: str) -> str | None:
        for one, other in self._PAIRS:
            ways = ((one, other),) if (one, other) in self._ONE_WAY else ((one, other), (other, one))
            for verb, synonym in ways:
                found = re.search(rf"{self._NO_NOUN}{verb}{'' if verb.endswith(' a') else self._OBJECT}\b", text)
                if found:
                    return text[: found.start()] + synonym + text[found.end() :]
        return None


class ParticleOrder(ParaphraseRule):
    """A short object on the other side of the particle: ``turn the lights off`` ↔ ``turn off the lights``."""

    name = "particle-order"

    _VERB = r"(turn|switch)"
    _NO_MORE = r"(?!.*\b(?:in|at|on|to|of|and|for|from|by|until|up|down|please|outdoor|now)\b)"
    _OBJECT = rf"((?:the|my|all the) {_NO_MORE}[a-z]+(?: [a-z]+)?)"

    def rewrite(self, text: str) -> str | None:
        said = marked(text)
        apart = re.search(rf"\b{self._VERB} {self._OBJECT} (on|off)\Z", said.body)
        if apart:
            return said.unchanged(f"{said.body[: apart.start()]}{apart[1]} {apart[3]} {apart[2]}")
        together = re.search(rf"\b{self._VERB} (on|off) {self._OBJECT}\Z", said.body)
        return together and said.unchanged(f"{said.body[: together.start()]}{together[1]} {together[3]} {together[2]}")


class Article(ParaphraseRule):
    """The article that hurried typing leaves out of a command: ``set alarm`` → ``set an alarm``."""

    name = "article"

    _BARE = re.compile(
        rf"\b(set|create|add|make|start|send|write|book|order|schedule)( new)? ({_COUNTED})"
        r"(?=\Z| (?:for|to|at|on|about)\b)"
    )

    def rewrite(self, text: str) -> str | None:
        found = self._BARE.search(marked(text).body)
        if found is None:
            return None
        new, noun = found[2] or "", found[3]
        article = "an" if not new and noun[0] in "aeiou" else "a"
        return f"{text[: found.start()]}{found[1]} {article}{new} {noun}{text[found.end() :]}"


class HaveGot(ParaphraseRule):
    """``do i have any …`` and ``is there any …`` on one's own things: ``do i have any`` ↔ ``have i got any``."""

    name = "have-got"

    def rewrite(self, text: str) -> str | None:
        if re.match(r"do i have (?:any|a|an)\b", text):
            return "have i got" + text.removeprefix("do i have")
        return "do i have" + text.removeprefix("have i got") if re.match(r"have i got (?:any|a|an)\b", text) else None


class WhatLike(ParaphraseRule):
    """What is the weather ``like``: ``how is the weather`` ↔ ``what is the weather like``."""

    name = "what-like"

    _PLACE = r"((?: (?:today|tomorrow|tonight|outside|now|right now|this week|next week|this weekend))?)"

    def rewrite(self, text: str) -> str | None:
        said = marked(text)
        how = re.fullmatch(rf"how is (the (?:[a-z]+ )?(?:weather|traffic|temperature)){self._PLACE}(.*)", said.body)
        if how:
            return said.unchanged(f"what is {how[1]} like{how[2]}{how[3]}")
        what = re.fullmatch(r"what is (the (?:[a-z]+ )?(?:weather|traffic|temperature)) like(.*)", said.body)
        return what and said.unchanged(f"how is {what[1]}{what[2]}")


class Which(ParaphraseRule):
    """``what`` and ``which`` before things that are asked for: ``what movies are playing`` → ``which movies are…``."""

    name = "which"

    def rewrite(self, text: str) -> str | None:
        found = re.match(
            r"(what|which) (?=(?!is |does |times |was |has )[a-z]+s (?:are|do|can|should|did|will|have)\b)", text
        )
        return found and ("which " if found[1] == "what" else "what ") + text[found.end() :]


class Embedded(ParaphraseRule):
    """A question as the object of a request: ``where is my card`` → ``can you tell me where my card is``.

    Only where subject and verb are told apart for certain: by a pronoun or a possessive with one or two nouns before a
    participle, or by a noun phrase that closes the text.
    """

    name = "embedded"

    _STATE = r"(?:not|still|pending|being|(?!working)[a-z]{3,}(?:ed|ing))\b"
    _CLAUSE = re.compile(
        rf"(why|how|when|where) (is|was|are|were|has|have|had) "
        rf"(i|it|my (?:[a-z-]+ )?[a-z-]+|the (?:[a-z-]+ )?[a-z-]+?) ({_STATE}.*)"
    )
    _PLACE = re.compile(r"(where) (is|are) ((?:the|my) (?:[a-z]+ ){0,2}[a-z]+)")

    def rewrite(self, text: str) -> str | None:
        said = marked(text)
        clause = self._CLAUSE.fullmatch(said.body)
        if clause and not re.search(r"[.?!]", clause[4]) and not re.search(rf" {self._STATE}", " " + clause[3]):
            return said.as_question(f"can you tell me {clause[1]} {clause[3]} {clause[2]} {clause[4]}")
        place = self._PLACE.fullmatch(said.body)
        if place and not re.search(r"\b(?:to|for|in|at|that|of|and|now|here|there|being|from)\b|ing\b|ed\b", place[3]):
            return said.as_question(f"can you tell me where {place[3]} {place[2]}")
        return None


class Future(ParaphraseRule):
    """``will`` as ``going to`` in a question: ``when will my card arrive`` → ``when is my card going to arrive``."""

    name = "going-to"

    _ASKED = re.compile(
        r"((?:when|where|how) )?will (it|my [a-z]+|the [a-z]+) (?!(?:still|not|never|also)\b)([a-z]+\b.*)"
    )
    _VERBS = (
        "arrive",
        "be",
        "rain",
        "snow",
        "come",
        "start",
        "end",
        "get",
        "go",
        "take",
        "work",
        "open",
        "close",
        "expire",
    )

    def rewrite(self, text: str) -> str | None:
        asked = self._ASKED.fullmatch(text)
        if asked is None or asked[3].split()[0].rstrip("?.!") not in self._VERBS or asked[2].endswith("s"):
            return None
        return f"{asked[1] or ''}is {asked[2]} going to {asked[3]}"


class HowLong(ParaphraseRule):
    """``how long`` and ``how much time`` before ``it take`` for one another."""

    name = "how-long"

    def rewrite(self, text: str) -> str | None:
        found = re.match(r"how (long|much time)(?= (?:does|will|would|is) .*\btake\b)", text)
        return found and f"how {'much time' if found[1] == 'long' else 'long'}{text[found.end() :]}"


class Working(ParaphraseRule):
    """``is not working`` and ``does not work`` for one another, of one thing and in the present."""

    name = "not-working"

    def rewrite(self, text: str) -> str | None:
        found = re.match(r"((?:my|the) (?:[a-z-]+ )?[a-z-]*[a-rt-z] )(is not working|does not work)\b", text)
        other = {"is not working": "does not work", "does not work": "is not working"}
        return found and f"{found[1]}{other[found[2]]}{text[found.end() :]}"
