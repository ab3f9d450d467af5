"""Utterances: what of the dialogues teaches the bot, in which split, and what is normalised again."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot_assets.modules import ModuleRef
from chatbot_assets.process.decisions import DECIDED_DDL, DECIDED_SCHEMA, LANDED, SERVED, Decided
from chatbot_assets.process.utterances import EMPTY, FOREIGN, OVERRULED, TAKEN_OUT, build_utterances
from chatbot_assets.process.utterances import MODULES as MODULE_NAMES
from chatbot_assets.tables import DIALOGUES
from resources.lakehouse import Commit, Lake, LakeTable
from resources.reuse import Computed, Scratch, scratch
from resources.spark import SparkEngine

MODULES = """
from pathlib import Path

class Normalise:
    def __init__(self, log):
        self.log = Path(log)

    def __call__(self, text):
        with self.log.open("a", encoding="utf-8") as lines:
            lines.write(text + "\\n")
        return " ".join(text.lower().split())

class Segment:
    def __call__(self, texts):
        return [text.split() for text in texts]

class Check:
    def __call__(self, text):
        return "foreign" not in text

class Mask:
    def __init__(self, secret):
        self.secret = secret

    def __call__(self, text):
        return text.replace(self.secret, "<id>")
"""


def own_module(name: str, **parameters: str) -> ModuleRef:
    return ModuleRef.model_validate({"use": f"own_process:{name}", "with": parameters})


class Process:
    """Builds utterances with small modules of the user's own, which write down what they normalise."""

    def __init__(self, engine: SparkEngine, folder: Path, table: LakeTable, save: Callable[..., Commit | None]) -> None:
        self.engine = engine
        self.folder = folder
        self.table = table
        self.save = save
        self.log = folder / "normalised"
        self.code = dict.fromkeys(MODULE_NAMES, "v1")
        self.decided: list[Decided] = []
        self.test_share = 0.1

    def build(self, *rows: dict[str, Any], keep: bool = True) -> tuple[list[dict[str, Any]], Computed]:
        """The utterances of dialogue rows, committed so that the next build can reuse them."""
        plain = {"speaker": "user", "file_sha256": "f", "source_file": "f.jsonl", "arrived_at": datetime.now(UTC)}
        full = [plain | {"turn_id": f"turn-{n}", "source_line": n} | row for n, row in enumerate(rows)]
        self.log.write_text("")
        with scratch(self.engine.session, self.folder / "scratch") as temporary:
            frame, computed = self._build(full, temporary)
            staged = self.table.stage_frame(frame)
        found = sorted(
            self.table.staged_rows(staged, self.table.table.schema.names),
            key=lambda row: (row["text"], row["intent"] or "", row["answer"] or ""),
        )
        if keep:
            self.save(self.table, self.table.overwrite(staged))
        return found, computed

    def _build(self, rows: list[dict[str, Any]], temporary: Scratch) -> Any:
        return build_utterances(
            self.engine.session.createDataFrame(pa.Table.from_pylist(rows, DIALOGUES.schema)),
            self.table.frame(self.engine.session) if self.table.last() else None,
            self._decisions(),
            language="en",
            modules={
                "normaliser": own_module("Normalise", log=str(self.log)),
                "segmenter": own_module("Segment"),
                "language_check": own_module("Check"),
                "privacy": own_module("Mask", secret="12345"),
                "answer_privacy": own_module("Mask", secret="4444"),
            },
            code=self.code,
            test_share=self.test_share,
            temporary=temporary,
        )

    def _decisions(self) -> Any:
        if not self.decided:
            return None
        rows = pa.Table.from_pylist([vars(one) for one in self.decided], DECIDED_SCHEMA)
        return self.engine.session.createDataFrame(rows, DECIDED_DDL)

    def modify(self, turn_id: str, raw: str, intent: str | None = None, answer: str | None = None, **more: str) -> None:
        """A person says what is right for a turn; ``source`` is 'dialogues' unless said otherwise."""
        plain = {"source": LANDED, "action": "modify", "reviewer": "kim", "decision_id": turn_id}
        self.decided.append(
            Decided(
                turn_id,
                raw,
                new_intent=intent,
                new_answer=answer,
                decided_at=datetime(2026, 1, 1, tzinfo=UTC),
                **(plain | more),
            )
        )

    def normalised(self) -> list[str]:
        return sorted(self.log.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def process(
    engine: SparkEngine,
    tmp_path: Path,
    lake: Lake,
    save: Callable[..., Commit | None],
    write_module: Callable[[str, str], str],
) -> Process:
    write_module("own_process", MODULES)
    return Process(engine, tmp_path, lake.table("acme.faq", "utterances"), save)


def labelled(text: str, intent: str = "greet", **more: Any) -> dict[str, Any]:
    return {"text": text, "intent": intent} | more


def test_a_labelled_text_becomes_an_utterance(process: Process) -> None:
    [row], computed = process.build(labelled("Hi  There", answer="Hello!"))
    assert (row["text"], row["intent"], row["answer"]) == ("hi there", "greet", "Hello!")
    assert (row["language"], row["tokens"], row["excluded"]) == ("en", ["hi", "there"], None)
    assert row["sources"] == ["turn-0"] and len(row["utterance_id"]) == 32
    assert (computed.rows_in, computed.rows_computed) == (1, 1)


def test_texts_that_are_equal_when_normalised_are_one_utterance_with_all_their_sources(process: Process) -> None:
    [row], _ = process.build(labelled("Hi"), labelled("hi"), labelled(" HI "), labelled("hi"))
    assert row["sources"] == ["turn-0", "turn-1", "turn-2", "turn-3"]
    assert process.normalised() == [" HI ", "Hi", "hi"], "the same raw text is normalised once"


def test_one_text_with_two_labels_is_two_utterances(process: Process) -> None:
    rows, _ = process.build(labelled("hi", "greet"), labelled("hi", "part"), {"text": "hi", "answer": "Hello!"})
    assert len({row["utterance_id"] for row in rows}) == 3
    assert len({row["split"] for row in rows}) == 1, "equal texts stand in one split"


def test_a_user_s_turn_before_a_bot_s_turn_is_a_question_with_its_answer(process: Process) -> None:
    talk = [
        {"dialogue_id": "d", "turn": 1, "text": "Hello.", "speaker": "bot"},
        {"dialogue_id": "d", "turn": 0, "text": "hi"},
        {"dialogue_id": "d", "turn": 2, "text": "wait"},
        {"dialogue_id": "d", "turn": 3, "text": "and now?"},
        {"dialogue_id": "d", "turn": 4, "text": "Now it works.", "speaker": "bot"},
        {"dialogue_id": "d", "turn": 5, "text": "thanks"},
    ]
    rows, _ = process.build(*talk)
    assert [(row["text"], row["answer"]) for row in rows] == [("and now?", "Now it works."), ("hi", "Hello.")]


def test_conversations_and_rows_outside_of_one_do_not_answer_each_other(process: Process) -> None:
    rows, _ = process.build(
        {"dialogue_id": "d", "turn": 0, "text": "one"},
        {"dialogue_id": "e", "turn": 1, "text": "Two.", "speaker": "bot"},
        {"dialogue_id": "d", "turn": 1, "text": "Three.", "speaker": "bot", "file_sha256": "another file"},
        {"text": "four"},
        {"text": "Five.", "speaker": "bot"},
    )
    assert rows == []


def test_what_cannot_be_used_is_kept_with_the_reason(process: Process) -> None:
    rows, _ = process.build(labelled("a foreign text"), labelled("\u3000"), labelled("fine"))
    assert {row["text"]: row["excluded"] for row in rows} == {"": EMPTY, "a foreign text": FOREIGN, "fine": None}


def test_texts_without_intent_and_answer_and_turns_of_the_bot_teach_nothing(process: Process) -> None:
    assert process.build({"text": "chat"}, labelled("Hello!", speaker="bot"))[0] == []


def test_only_new_texts_are_normalised(process: Process) -> None:
    process.build(labelled("one"), labelled("two"))
    rows, computed = process.build(labelled("one"), labelled("two"), labelled("three"))
    assert process.normalised() == ["three"]
    assert (computed.rows_in, computed.rows_computed, computed.rows_reused) == (3, 1, 2)
    assert [row["text"] for row in rows] == ["one", "three", "two"]
    process.build(labelled("two"))
    assert process.normalised() == []


def test_an_edited_answer_or_label_normalises_no_text_again(process: Process) -> None:
    process.build(labelled("one", answer="old"))
    [row], computed = process.build(labelled("one", "other", answer="new"))
    assert (row["intent"], row["answer"], computed.rows_computed) == ("other", "new", 0)
    assert process.normalised() == []


def test_a_new_version_of_a_module_s_code_normalises_all_texts_again(process: Process) -> None:
    process.build(labelled("one"), labelled("two"))
    process.code["segmenter"] = "v2"
    process.build(labelled("one"), labelled("two"))
    assert process.normalised() == ["one", "two"]


def test_reused_rows_are_equal_to_computed_ones(process: Process) -> None:
    rows = [labelled("One  two"), labelled("one two"), labelled("a foreign text"), labelled("three", answer="3")]
    first = process.build(*rows[:2])[0]
    again = process.build(*rows)[0]
    process.table = Lake(process.folder / "fresh").table("acme.faq", "utterances")
    assert process.build(*rows)[0] == again
    assert first[0] in again


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.sets(st.text("abcd é한", min_size=1, max_size=6), min_size=20, max_size=60), st.data())
def test_a_text_s_split_does_not_change_when_other_rows_come_and_go(
    process: Process, texts: set[str], data: st.DataObject
) -> None:
    process.test_share = 0.5
    some = data.draw(st.lists(st.sampled_from(sorted(texts)), min_size=1, max_size=10))
    every = {row["text"]: row["split"] for row in process.build(*map(labelled, sorted(texts)))[0]}
    fewer = {row["text"]: row["split"] for row in process.build(*(labelled(text, "another") for text in some))[0]}
    assert fewer == {text: every[text] for text in fewer}
    assert set(every.values()) <= {"train", "test"}


def test_the_share_of_the_test_split_is_about_what_was_asked_for(process: Process) -> None:
    process.test_share = 0.2
    rows, _ = process.build(*(labelled(f"text number {number}") for number in range(1000)))
    assert 150 < sum(row["split"] == "test" for row in rows) < 250
    process.test_share = 0.0
    assert {row["split"] for row in process.build(labelled("a"), labelled("b"))[0]} == {"train"}


def test_what_users_wrote_is_masked_and_what_the_owner_answers_only_as_asked(process: Process) -> None:
    talk = {"dialogue_id": "d"}
    rows, _ = process.build(
        labelled("i am 12345", answer="call 12345, not 4444"),
        talk | {"turn": 0, "text": "who am i"},
        talk | {"turn": 1, "text": "You are 12345.", "speaker": "bot"},
    )
    assert [(row["text"], row["answer"]) for row in rows] == [
        ("i am <id>", "call 12345, not <id>"),
        ("who am i", "You are <id>."),
    ]


def test_a_person_s_label_takes_the_place_of_the_landed_one(process: Process) -> None:
    process.modify("turn-0", "hi", "part")
    rows, _ = process.build(labelled("hi", answer="Hello!"), labelled("ho"))
    assert [(row["text"], row["intent"], row["answer"], row["reviewed"]) for row in rows] == [
        ("hi", "part", "Hello!", True),
        ("ho", "greet", None, False),
    ]


def test_a_person_can_label_a_turn_that_had_no_label(process: Process) -> None:
    process.modify("turn-0", "what now", "help", "Ask me anything.")
    [row], _ = process.build({"text": "what now"})
    assert (row["intent"], row["answer"], row["sources"]) == ("help", "Ask me anything.", ["turn-0"])


def test_other_labels_of_a_text_that_a_person_decided_on_are_left_out(process: Process) -> None:
    process.modify("turn-0", "hi", "part")
    rows, _ = process.build(labelled("hi"), labelled("HI"), labelled("hi", "part"), labelled("ho"))
    assert {(row["text"], row["intent"]): row["excluded"] for row in rows} == {
        ("hi", "part"): None,
        ("hi", "greet"): OVERRULED,
        ("ho", "greet"): None,
    }


def test_a_served_turn_that_a_person_corrected_teaches_the_bot_whatever_its_split_would_be(process: Process) -> None:
    process.test_share = 0.5
    for number in range(8):
        process.modify(f"served-{number}", f"Served {number}", "greet", source=SERVED)
    rows, _ = process.build(labelled("hi"))
    taught = {row["text"]: (row["split"], row["sources"]) for row in rows if row["reviewed"]}
    assert taught == {f"served {number}": ("train", [f"served-{number}"]) for number in range(8)}


def test_an_excluded_row_is_kept_with_the_reason_and_comes_back_when_the_decision_is_taken_back(
    process: Process,
) -> None:
    process.modify("turn-0", "hi", action="exclude")
    rows, _ = process.build(labelled("hi"), labelled("ho"))
    assert {row["text"]: row["excluded"] for row in rows} == {"hi": TAKEN_OUT, "ho": None}
    process.decided.clear()
    rows, computed = process.build(labelled("hi"), labelled("ho"))
    assert {row["text"]: row["excluded"] for row in rows} == {"hi": None, "ho": None}
    assert computed.rows_computed == 0


def test_a_decision_to_hold_changes_nothing(process: Process) -> None:
    before, _ = process.build(labelled("hi"))
    process.modify("turn-0", "hi", action="hold")
    assert process.build(labelled("hi"))[0] == before
