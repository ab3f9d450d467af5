"""The paraphrase gate: what passes is new, near in meaning and faithful to its parent."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from chatbot_assets.augment.gate import (
    FAR,
    KNOWN,
    OTHER_ANSWER,
    OTHER_INTENT,
    REPEATED,
    CandidateRows,
    GoldRows,
    Judgement,
    NearAndFaithful,
)
from chatbot_assets.augment.paraphrases import HELD_OUT, Parent, judge_candidates
from chatbot_assets.embed.encoders import MultilingualEncoder
from chatbot_assets.embed.vectors import pack_vectors, text_id
from chatbot_assets.languages import language_defaults
from chatbot_assets.modules import ModuleRef

Floats = npt.NDArray[np.float32]

LUNCH = "점심 먹었니?"
_ROWS = {
    "lunch": (
        "점심 먹었니? | 점심 먹었어? | 점심 식사 하셨나요? | 점심은 드셨어요? | 밥 먹었어? | "
        "오늘 점심 먹은 거야? | 점심 맛있게 먹었니? | 식사는 하셨어요? | 아까 점심 먹었지? | "
        "점심 밥은 먹고 다니니?"
    ),
    "dinner": (
        "저녁 메뉴 추천해줘 | 저녁 뭐 먹을까? | 저녁에 먹을 만한 거 알려줘 | 오늘 저녁 추천 좀 | "
        "저녁 식당 추천해 줘 | 저녁으로 뭐가 좋을까? | 저녁 메뉴 골라줘 | 맛있는 저녁 추천 | "
        "저녁 먹을 곳 추천해줘 | 저녁밥 뭐 해 먹지?"
    ),
    "weather": (
        "오늘 날씨 어때? | 내일 비 와? | 날씨 알려줘 | 지금 밖에 추워? | 주말 날씨 어떨까? | "
        "오늘 기온이 몇 도야? | 우산 챙겨야 할까? | 내일 눈 오니? | 이번 주 날씨 예보 | "
        "미세먼지 심해?"
    ),
    "alarm": (
        "일곱 시에 깨워줘 | 알람 맞춰줘 | 내일 아침 여섯 시 알람 | 알람 꺼줘 | 알람 몇 시에 울려? | "
        "삼십 분 뒤에 알람 울려줘 | 알람 다 지워줘 | 평일 알람 설정해줘 | 아침 알람 켜줘 | "
        "알람 시간 바꿔줘"
    ),
    "music": (
        "노래 틀어줘 | 신나는 음악 들려줘 | 다음 곡 틀어줘 | 이 노래 제목이 뭐야? | 발라드 재생해줘 | "
        "음악 멈춰줘 | 볼륨 올려줘 | 조용한 노래 듣고 싶어 | 최신 가요 틀어 | 재즈 음악 재생"
    ),
    "lights": (
        "거실 불 켜줘 | 방 불 꺼줘 | 조명 어둡게 해줘 | 부엌 등 켜 | 전등 밝게 해줘 | 침실 불 꺼 | "
        "불 좀 켜줄래? | 현관 조명 켜줘 | 모든 불 꺼줘 | 조명 색깔 바꿔줘"
    ),
    "news": (
        "오늘 뉴스 알려줘 | 최신 뉴스 읽어줘 | 스포츠 뉴스 있어? | 경제 뉴스 들려줘 | 속보 있니? | "
        "오늘 무슨 일 있었어? | 정치 뉴스 알려줘 | 헤드라인 읽어줘 | 뉴스 틀어줘 | 연예 기사 보여줘"
    ),
    "taxi": (
        "택시 불러줘 | 택시 예약해줘 | 역까지 택시 잡아줘 | 공항 가는 택시 불러 | "
        "지금 택시 탈 수 있어? | 콜택시 부탁해 | 택시 요금 얼마야? | 택시 언제 와? | 큰 택시 불러줘 | "
        "집에 갈 택시 좀"
    ),
    "greeting": (
        "안녕? | 안녕하세요 | 반가워 | 좋은 아침이야 | 잘 지냈어? | 오랜만이야 | 하이 | "
        "처음 뵙겠습니다 | 안녕 잘 잤니? | 좋은 하루 보내"
    ),
    "joke": (
        "농담 해줘 | 웃긴 얘기 해줘 | 재미있는 이야기 들려줘 | 개그 하나 해봐 | 나 좀 웃겨줘 | "
        "썰렁한 농담 알아? | 유머 하나 부탁해 | 심심한데 웃긴 말 해줘 | 아재 개그 해줘 | "
        "재밌는 농담 있어?"
    ),
    "email": (
        "메일 보내줘 | 새 메일 있어? | 엄마한테 이메일 써줘 | 받은 편지함 열어줘 | 이메일 확인해줘 | "
        "메일 답장해줘 | 어제 온 메일 읽어줘 | 회사 메일 확인 | 메일 삭제해줘 | 이메일 주소 알려줘"
    ),
    "date": (
        "오늘 며칠이야? | 지금 몇 시야? | 오늘 무슨 요일이야? | 현재 시간 알려줘 | 내일 날짜가 뭐야? | "
        "크리스마스까지 며칠 남았어? | 지금 시각 알려줘 | 이번 달 마지막 날이 언제야? | "
        "오늘 날짜 말해줘 | 런던은 지금 몇 시야?"
    ),
}
BOT = {intent: rows.split(" | ") for intent, rows in _ROWS.items()}
FAITHFUL = ["점심 뭐 먹었어?", "점심은 먹었니?", "점심 먹었어요?"]
UNFAITHFUL = ["점심 먹지 마", "저녁 추천해줘"]


@cache
def encoder() -> MultilingualEncoder:
    return MultilingualEncoder()


def tokens(texts: list[str]) -> list[list[str]]:
    segment = ModuleRef.model_validate(language_defaults("ko")["process"]["segmenter"]).load()
    found: list[list[str]] = segment(texts)
    return found


@cache
def korean_bot() -> GoldRows:
    texts = [text for rows in BOT.values() for text in rows]
    intents = [intent for intent, rows in BOT.items() for _ in rows]
    return GoldRows(texts, texts, intents, [None] * len(texts), encoder().encode(texts), tokens(texts))


def question_bot() -> GoldRows:
    """The same texts with an answer each instead of an intent."""
    gold = korean_bot()
    return replace(gold, intents=[None] * len(gold.texts), answers=[f"answer to {intent}" for intent in gold.intents])


def candidates(parent: str, texts: list[str]) -> CandidateRows:
    return CandidateRows([parent] * len(texts), texts, ["rule"] * len(texts), encoder().encode(texts), tokens(texts))


@pytest.mark.parametrize("bot", [korean_bot, question_bot], ids=["with intents", "with answers only"])
def test_how_a_korean_asks_about_lunch_in_other_words_is_kept(bot: Callable[[], GoldRows]) -> None:
    judgements = NearAndFaithful()(bot(), candidates(LUNCH, FAITHFUL + UNFAITHFUL))
    assert [judgement.kept for judgement in judgements] == [True, True, True, False, False]
    assert all((judgement.reason is None) == judgement.kept for judgement in judgements)
    assert all(judgement.similarity > 0.9 for judgement in judgements[:3])


def test_a_candidate_that_is_a_gold_text_adds_nothing() -> None:
    (judgement,) = NearAndFaithful()(korean_bot(), candidates(LUNCH, ["점심 먹었어?"]))
    assert judgement.reason == KNOWN


def test_of_two_equal_candidates_only_the_first_is_kept() -> None:
    judgements = NearAndFaithful()(korean_bot(), candidates(LUNCH, ["점심은 먹었니?", "점심은 먹었니?"]))
    assert [judgement.reason for judgement in judgements] == [None, REPEATED]


def test_a_candidate_that_was_refused_does_not_stand_in_the_way_of_its_equal() -> None:
    far_from_its_parent, at_home = (
        candidates("오늘 날씨 어때?", ["점심은 먹었니?"]),
        candidates(LUNCH, ["점심은 먹었니?"]),
    )
    both = CandidateRows(
        [*far_from_its_parent.parent_ids, *at_home.parent_ids],
        [*far_from_its_parent.texts, *at_home.texts],
        ["rule", "rule"],
        np.concatenate([far_from_its_parent.vectors, at_home.vectors]),
        [*far_from_its_parent.tokens, *at_home.tokens],
    )
    assert [judgement.reason for judgement in NearAndFaithful()(korean_bot(), both)] == [FAR, None]


def test_what_turns_into_another_intent_is_refused_however_near_it_need_be() -> None:
    (judgement,) = NearAndFaithful(minimum_similarity=-1)(korean_bot(), candidates(LUNCH, ["저녁 추천해줘"]))
    assert judgement.reason == OTHER_INTENT


def test_what_turns_into_another_question_is_refused_however_near_it_need_be() -> None:
    (judgement,) = NearAndFaithful(minimum_similarity=-1)(question_bot(), candidates(LUNCH, ["저녁 추천해줘"]))
    assert judgement.reason == OTHER_ANSWER


def test_the_parent_cannot_vouch_for_its_own_mistake() -> None:
    gold = korean_bot()
    wrong = replace(gold, intents=["alarm", *list(gold.intents)[1:]])
    (judgement,) = NearAndFaithful(small_intent=0)(wrong, candidates(LUNCH, ["점심은 먹었니?"]))
    assert judgement.reason == OTHER_INTENT


def test_a_question_with_two_answers_can_be_asked_in_other_words() -> None:
    gold = question_bot()
    doubled = GoldRows(
        [*gold.ids, "again"],
        [*gold.texts, LUNCH],
        [*gold.intents, None],
        [*gold.answers, "another answer"],
        np.concatenate([gold.vectors, gold.vectors[:1]]),
        [*gold.tokens, gold.tokens[0]],
    )
    assert [judgement.kept for judgement in NearAndFaithful()(doubled, candidates(LUNCH, ["점심은 먹었니?"]))] == [True]


def test_no_candidates_get_no_judgements() -> None:
    assert NearAndFaithful()(korean_bot(), candidates(LUNCH, [])) == []


@pytest.mark.parametrize("intents", [["only"], [None]])
def test_a_bot_of_one_row_keeps_what_is_near(intents: list[str | None]) -> None:
    gold = korean_bot()
    one = GoldRows([LUNCH], [LUNCH], intents, [None], gold.vectors[:1], gold.tokens[:1])
    judgements = NearAndFaithful()(one, candidates(LUNCH, ["점심은 먹었니?", "저녁 추천해줘"]))
    assert [judgement.reason for judgement in judgements] == [None, FAR]


def test_texts_without_vectors_are_near_to_nothing() -> None:
    zero = replace(candidates(LUNCH, ["점심은 먹었니?"]), vectors=np.zeros((1, 512), np.float32))
    assert NearAndFaithful()(korean_bot(), zero) == [Judgement(False, FAR, 0.0)]


def test_a_stranger_as_parent_and_a_similarity_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="the first of them nobody"):
        NearAndFaithful()(korean_bot(), candidates("nobody", ["점심은 먹었니?"]))
    with pytest.raises(ValueError, match="minimum_similarity"):
        NearAndFaithful(minimum_similarity=75)


def test_a_candidate_that_is_held_out_is_no_paraphrase_whatever_the_gate_says() -> None:
    texts = [LUNCH, "점심은 먹었니?", "점심 먹었어?"]
    embeddings = pa.table(
        {
            "text_id": [text_id(text) for text in texts],
            "vector": pack_vectors(np.full((3, 4), 0.5, np.float32)),
        }
    )
    made = {"rules": [["a", "b"]], "candidates": [texts[1:]], "candidate_tokens": [["[]", "[]"]]}
    found = judge_candidates(
        [Parent("lunch", LUNCH, [], "lunch", None)],
        pa.table({"text_id": [text_id(LUNCH)], **made}),
        embeddings,
        lambda gold, rows: [Judgement(True, None, 1.0) for _ in rows.texts],
        2,
        held_out={"점심은 먹었니?"},
    )
    assert [(row["text"], row["kept"], row["reason"]) for row in found] == [
        ("점심은 먹었니?", False, HELD_OUT),
        ("점심 먹었어?", True, None),
    ], "and it takes no other one's place"
