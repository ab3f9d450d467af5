"""What the pages and explanations say: the same in every language, and no language's words in another."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import chain
from string import Formatter
from typing import Any

import pytest

from chatbot_assets.explain.words import SPOKEN, Words, form, sentences
from chatbot_assets.feedback.deciding import AlreadyDecidedError, DecisionError
from chatbot_assets.feedback.reasons import PICKED, SUGGESTED
from resources.environment import PROJECT
from serving.pages.words import words, words_of
from serving.pages.writing import Writing
from serving.people.roles import ROLES
from serving.review.filters import KINDS, OPEN, PERIODS, STATES
from serving.review.refusals import refusal

FOLDER = PROJECT / "serving" / "pages" / "words"
PAGES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
TEMPLATES = "".join(path.read_text("utf-8") for path in PROJECT.glob("serving/pages/templates/*.html"))
ENGLISH = re.compile(r"[A-Za-z]{2,} +[A-Za-z]{2,}")
"""Two words of a Latin script beside each other."""
COMMANDS = re.compile(r"\./chatbot [a-z]+( [a-z]+)?|Dagster")
"""What stays as it is in every language."""


def all_words(language: str) -> dict[str, Any]:
    return {
        "explanations": sentences(language),
        "pages": words(language),
        **{page: words_of(page, language) for page in PAGES},
    }


def leaves(found: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each sentence by its place, in all its forms."""
    if isinstance(found, str):
        yield place, [found]
    elif set(found) == {"one", "other"}:
        yield place, list(found.values())
    elif isinstance(found, list):
        yield place, found
    else:
        yield from chain.from_iterable(leaves(below, f"{place}/{name}") for name, below in found.items())


def gaps(sentence: str) -> set[str]:
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(sentence) if name}


def test_every_language_says_the_same_with_the_same_facts() -> None:
    said = {language: dict(leaves(all_words(language))) for language in SPOKEN}
    first = said[SPOKEN[0]]
    for language, found in said.items():
        assert found.keys() == first.keys(), language
        for place, forms in found.items():
            if not place.startswith("/formats/"):
                assert gaps(forms[-1]) == gaps(first[place][-1]), f"{language}{place}"
                assert {name for one in forms for name in gaps(one)} == gaps(forms[-1]), f"{language}{place}"
                assert bool(forms[-1]) == bool(first[place][-1]), f"{language}{place}"


def test_korean_has_no_english_in_it() -> None:
    for place, forms in leaves(all_words("ko")):
        for said in forms:
            own = COMMANDS.sub("", re.sub(r"\{[^}]*\}|<[^>]*>", "", said))
            assert not ENGLISH.search(own), f"{place}: {said}"
            assert re.search("[가-힣]", own) or not re.search("[A-Za-z]{3}", own), f"{place}: {said}"


@pytest.mark.parametrize("language", SPOKEN)
def test_no_words_of_the_review_and_of_problems_are_missing_or_left_over(language: str) -> None:
    raised = re.compile(r'(?:Error|super\(\).__init__)\(\s*"(\w+)"(?: if \w+ else "(\w+)")?')
    sources = [*PROJECT.glob("serving/review/*.py"), PROJECT / "chatbot_assets/feedback/deciding.py"]
    found = chain.from_iterable(raised.findall(path.read_text("utf-8")) for path in sources)
    problems = {name for names in found for name in names if name} | {"decided", "decided_right"}
    review = words_of("review", language)
    assert set(review["problem"]) == problems
    assert set(review["reasons"]) == {PICKED, SUGGESTED}
    chosen = {*KINDS, *(f"{kind}_help" for kind in KINDS), *STATES, *PERIODS, "modify", "hold", "exclude"}
    chosen |= {f"{state}_help" for state in STATES} | {"would_fixed", "would_broken", "would_moved"}
    asked = set(re.findall(r"\bw\.(\w+)", TEMPLATES))
    assert set(review) == (asked | chosen | {"problem"}) - {"range", OPEN, f"{OPEN}_help"}
    assert set(words(language)["roles"]) == {str(role) for role in ROLES}


@pytest.mark.parametrize("language", SPOKEN)
def test_everything_that_is_timed_has_a_name_on_the_service_page(language: str) -> None:
    folders = ("chatbot_assets", "resources", "serving")
    sources = chain.from_iterable((PROJECT / folder).rglob("*.py") for folder in folders)
    timed = {name for path in sources for name in re.findall(r'\btimed\("([a-z_.]+)"', path.read_text("utf-8"))}
    assert timed == set(words_of("service", language)["cost"]["parts"])


def test_a_refused_decision_is_told_in_the_reader_s_language_with_the_names_of_the_page_s_buttons() -> None:
    second = AlreadyDecidedError("decided_right", "in English", reviewer="kim", action="modify", right="weather")
    assert str(second) == "in English"
    assert refusal(second, "en").text == "kim has decided on this already: Modify (weather)."
    assert refusal(second, "ko").text == "kim 님이 이미 결정했습니다: 수정 (weather)."
    unknown = DecisionError("no_intent_but", "in English", intent="wether", near=["weather", "water"])
    assert "did you mean weather, water?" in refusal(unknown, "en").says
    assert "--" not in refusal(unknown, "en").says, "a page has no options"
    wrong = DecisionError("bot_file", detail="trian: unknown key")
    assert refusal(wrong, "ko").detail == "trian: unknown key"
    assert refusal(wrong, "ko").text.endswith("요청하세요: trian: unknown key")


@pytest.mark.parametrize(
    ("language", "count", "said"),
    [("en", 1, "1 turn"), ("en", 0, "0 turns"), ("en", 1200, "1,200 turns"), ("ko", 1, "1건"), ("ko", 1200, "1,200건")],
)
def test_so_many_of_something_are_told_as_the_language_counts(language: str, count: int, said: str) -> None:
    assert Writing(language).counted(words_of("review", language)["turns"], count) == said


@pytest.mark.parametrize(
    ("language", "day", "moment"),
    [("en", "3 May 2026", "3 May 2026, 09:05"), ("ko", "2026년 5월 3일", "2026년 5월 3일 09:05")],
)
def test_facts_are_written_as_the_language_does(language: str, day: str, moment: str) -> None:
    write = Writing(language)
    assert write.fact(date(2026, 5, 3)) == day
    assert write.moment(datetime(2026, 5, 3, 9, 5, tzinfo=UTC)) == moment
    assert write.fact(["a", "b"]) == "a, b" and write.fact([]) == "–"
    assert write.fact(2000) == "2,000" and write.fact("x") == "x"


def test_an_explanation_counts_and_writes_times_in_its_language() -> None:
    english, korean = Words("en"), Words("ko")
    assert english.say("more_turns", count=1) == "and 1 more turn that says the same"
    assert english.say("more_turns", count=2) == "and 2 more turns that say the same"
    assert korean.say("more_turns", count=1) == "같은 내용의 대화 1개 더"
    assert english.moment("2026-05-03T09:05:00+00:00") == "2026-05-03 09:05 UTC"
    assert korean.moment("2026-05-03T09:05:00+00:00") == "2026년 5월 3일 09:05(UTC)"
    assert form({"one": "a", "other": "b"}, 0) == "b"
