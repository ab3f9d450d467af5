"""Golden dialogues: how their file is read, what a mistake in it looks like, and what ``check`` says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatbot_assets.bot import Bot, BotError, bot_keys, golden_file, load_bot
from chatbot_assets.commands.check import describe
from chatbot_assets.commands.check import run as check
from chatbot_assets.golden import GoldenDialogue, read_golden
from chatbot_assets.tables import MATERIALISED
from resources.environment import Home

WriteBot = Callable[..., Bot]


@pytest.fixture
def write_golden(home: Home, write_bot: WriteBot, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the golden file of acme.faq, which exists, and lets commands find it."""
    monkeypatch.setenv("CHATBOT_HOME", str(home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(home.bots))
    write_bot()

    def write(*rows: Any) -> Path:
        path = golden_file(home.bots, "acme.faq")
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def test_a_golden_dialogue_wants_an_intent_an_answer_both_or_nothing(write_golden: Callable[..., Path]) -> None:
    path = write_golden(
        {"text": "Money back?", "intent": "refund"},
        "",
        {"text": "Cafe\u0301", "answer": "Closed.", "note": "ticket 12"},
        {"text": "Both", "intent": "refund", "answer": "Yes."},
        {"text": "Sing!", "out_of_scope": True},
    )
    dialogues, mistakes = read_golden(path)
    assert mistakes == []
    assert dialogues == (
        GoldenDialogue("Money back?", "refund"),
        GoldenDialogue("Caf\u00e9", answer="Closed.", note="ticket 12"),
        GoldenDialogue("Both", "refund", "Yes."),
        GoldenDialogue("Sing!", out_of_scope=True),
    )
    assert [one.wanted for one in dialogues] == ["refund", "'Closed.'", "refund: 'Yes.'", "out of scope"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{text: hi}", "no valid JSON"),
        ('["hi"]', "is no object; write for instance"),
        ({"intent": "x"}, "text: is missing"),
        ({"text": " ", "intent": "x"}, "text: must be a text with at least one character (found ' ')"),
        ({"text": "hi", "intent": 3}, "intent: must be a text with at least one character (found 3)"),
        ({"text": "hi"}, "says nothing of what is wanted; give an intent, an answer, or out_of_scope: true"),
        ({"text": "hi", "intnt": "x"}, "intnt: unknown key; allowed: text, intent, answer, out_of_scope, note"),
        ({"text": "hi", "out_of_scope": "yes"}, "out_of_scope: must be true or false (found 'yes')"),
        ({"text": "hi", "intent": "x", "out_of_scope": True}, "a text out of scope has no intent; remove one"),
        ('{"text": "\\ud83d", "intent": "x"}', "text: holds half a character"),
    ],
)
def test_each_mistake_is_one_line_with_file_line_and_what_to_do(
    home: Home, write_golden: Callable[..., Path], row: Any, said: str
) -> None:
    path = write_golden({"text": "fine", "intent": "x"}, row)
    dialogues, mistakes = read_golden(path)
    assert [one.text for one in dialogues] == ["fine"]
    assert len(mistakes) == 1 and "\n" not in mistakes[0]
    assert mistakes[0].startswith(f"{path}:2: ") and said in mistakes[0]
    with pytest.raises(BotError) as error:
        load_bot(home.bots, "acme.faq")
    assert str(error.value) == mistakes[0]


def test_a_text_may_stand_there_only_once(write_golden: Callable[..., Path]) -> None:
    row = {"text": "hi", "intent": "greet"}
    path = write_golden(row, {"text": "hi", "intent": "leave"})
    assert read_golden(path)[1] == [f"{path}:2: the text stands in line 1 already; remove one of the two"]


def test_a_golden_file_is_no_bot_and_a_bot_needs_none(home: Home, write_golden: Callable[..., Path]) -> None:
    assert load_bot(home.bots, "acme.faq").golden == ()
    write_golden({"text": "hi", "intent": "greet"})
    assert bot_keys(home.bots) == ["acme.faq"]
    assert load_bot(home.bots, "acme.faq").golden == (GoldenDialogue("hi", "greet"),)
    golden_file(home.bots, "acme.faq").unlink()
    assert load_bot(home.bots, "acme.faq").golden == ()


def test_golden_dialogues_decide_about_evaluations_alone(home: Home, write_golden: Callable[..., Path]) -> None:
    before = load_bot(home.bots, "acme.faq")
    write_golden({"text": "hi", "intent": "greet"})
    after = load_bot(home.bots, "acme.faq")
    changed = {
        table.name
        for table in MATERIALISED
        if table.config and before.config_hash(*table.config) != after.config_hash(*table.config)
    }
    assert changed == {"evaluations"}
    assert before.config_hash() == after.config_hash(), "a deployment of the same model stays the same deployment"


# -- check ------------------------------------------------------------------------------------------------------------


def test_check_passes_files_without_a_mistake(write_golden: Callable[..., Path]) -> None:
    write_golden({"text": "hi", "intent": "greet"})
    report = check()
    assert report == {"ok": True, "bots": ["acme.faq"], "golden": {"acme.faq": 1}, "problems": []}
    assert describe(report) == "1 bots and 1 golden dialogues looked at: no mistakes"


def test_check_names_every_mistake_of_every_file_in_a_line_of_its_own(
    home: Home, write_bot: WriteBot, write_golden: Callable[..., Path]
) -> None:
    golden = write_golden({"text": "hi"}, "no json", {"text": "bye", "intent": "leave"})
    write_bot("globex.shop")
    shop = home.bots / "globex" / "shop.yaml"
    shop.write_text("language: xx")
    (home.bots / "globex" / "lost.golden.jsonl").write_text("")
    (home.bots / "globex" / "Draft copy.yaml").write_text("language: en")
    (home.bots / "acme" / "faq.golden.json").write_text("")
    report = check()
    assert not report["ok"]
    assert [problem.removeprefix(str(home.bots)).split(": ")[0] for problem in report["problems"]] == [
        "/acme/faq.golden.jsonl:1",
        "/acme/faq.golden.jsonl:2",
        "/globex/shop.yaml",
        "/acme/faq.golden.json",
        "/globex/Draft copy.yaml",
        "/globex/lost.golden.jsonl",
    ]
    assert describe(report).splitlines()[:-1] == report["problems"]
    with pytest.raises(BotError, match=rf"^{golden}:1: .* \(mistakes: 2; all of them: \./chatbot check acme.faq\)$"):
        load_bot(home.bots, "acme.faq")


def test_check_looks_at_the_bots_it_is_given(
    home: Home, write_bot: WriteBot, write_golden: Callable[..., Path]
) -> None:
    write_golden()
    write_bot("globex.shop")
    (home.bots / "globex" / "shop.yaml").write_text("language: xx")
    assert check(["acme.faq"])["ok"] and not check(["globex.shop"])["ok"]
    assert "there is no bot acme.gone" in check(["acme.gone"])["problems"][0]


def test_check_tells_a_module_that_is_not_there_and_a_parameter_that_the_gate_does_not_have(
    write_bot: WriteBot, write_golden: Callable[..., Path], home: Home
) -> None:
    path = home.bots / "acme" / "faq.yaml"
    path.write_text("language: en\nprocess: {normaliser: {use: 'not_installed.here:Mine'}}")
    assert "module not_installed.here cannot be found" in check()["problems"][0]
    gate = "chatbot_assets.validate.gate:NoWorseThanChampion"
    path.write_text(f"language: en\nvalidate: {{gate: {{use: '{gate}', with: {{speed: 1}}}}}}")
    assert "speed: unknown parameter; allowed: significance, intent_drop" in check()["problems"][0]
