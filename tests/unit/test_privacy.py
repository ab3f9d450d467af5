"""Personal data: what is masked, what is left alone, and that masking and normalising do not disturb each other."""

import importlib
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chatbot_assets.languages import LANGUAGES, language_defaults
from chatbot_assets.process.privacy import KINDS, MaskPersonalData

EVERYWHERE = MaskPersonalData()
PIECES = (
    *(
        "bob@example.com",
        "ＢＯＢ＠ＥＸＡＭＰＬＥ．ＣＯＭ",
        "010-1234-5678",
        "０１０－１２３４－５６７８",
        "010ー1234ー5678",
    ),
    *("+82 10 1234 5678", "(02) 123-4567", "๐๘๑-๒๓๔-๕๖๗๘", "9123 4567", "4111 1111 1111 1111", "900101-1234567"),
    *("A123456789", "a123456(3)", "11010519491231002X", "123-45-6789", "001089123456", "<phone>", "<id>", "<email>"),
    *"0123456789０９٣@＠.-_+()/,:$ \u3000\n\u200b\u200d\ufeff…ー〜aAxX가ㅋ字あカกำếđ👍",
    *("ㅏ", "don't", "ko", "髮", "发", "com", "www.", "http://"),
)
any_text = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def modules_of(language: str, *kinds: str) -> list[Any]:
    found = []
    for kind in kinds:
        reference = language_defaults(language)["process"][kind]
        path, _, name = reference["use"].partition(":")
        found.append(getattr(importlib.import_module(path), name)(**reference["with"]))
    return found


MASKED_AND_NORMALISED = {language: modules_of(language, "privacy", "normaliser") for language in LANGUAGES}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("메일은 Bob.Smith+shop@mail.example.co.kr입니다.", "메일은 <email>입니다."),
        ("ｂｏｂ＠ｅｘａｍｐｌｅ．ｃｏｍ", "<email>"),
        ("제 번호는 ０１０－１２３４－５６７８ 입니다", "제 번호는 <phone> 입니다"),
        ("010.1234.5678", "<phone>"),
        ("010 1234 5678", "<phone>"),
        ("0\u200b1\u200b012345678로 전화", "<phone>로 전화"),
        ("(02) 312-3456 또는 010-2222-3333", "<phone> 또는 <phone>"),
        ("+82 10-1234-5678", "<phone>"),
        ("携帯は090ー1234ー5678です", "携帯は<phone>です"),
        ("call (202) 555-0143 now", "call <phone> now"),
        ("๐๘๑-๒๓๔-๕๖๗๘", "<phone>"),
        ("sđt 0912.34.56.78", "sđt <phone>"),
        ("手机13800138000", "手机<phone>"),
        ("電話 9123 4567", "電話 <phone>"),
        ("手機 0912-345-678", "手機 <phone>"),
        ("4111 1111 1111 1111 12/25", "<card> 12/25"),
        ("5500-0000-0000-0004", "<card>"),
        ("378282246310005", "<card>"),
        ("주민번호 900101-1234567", "주민번호 <id>"),
        ("9710139019902", "<id>"),
        ("my ssn is 219-09-9998", "my ssn is <id>"),
        ("身分證字號A123456789", "身分證字號<id>"),
        ("a123456789", "<id>"),
        ("HKID A123456(3)", "HKID <id>"),
        ("11010519491231002x", "<id>"),
        ("เลขบัตร 1-1014-00000-01-4", "เลขบัตร <id>"),
        ("cccd 001089123456", "cccd <id>"),
        ("マイナンバーは1234 5678 9018", "マイナンバーは<id>"),
    ],
)
def test_personal_data_is_masked_however_it_is_typed(text: str, expected: str) -> None:
    assert EVERYWHERE(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "오후 3시 30분에 1204호로",
        "2024-01-15 12:30 and 20240115",
        "15.01.2024, 01/02/2024, 2023-2024",
        "$1,234,567.00 or 25,000,000원",
        "₩1012345678",
        "order ORD-20240115-0001, no. 1234567",
        "37.5665, 126.9780",
        "-12.5 °C",
        "0123456",
        "1 2 3 4 5 6 7 8 9 10 11",
        "고객센터 1588-1234",
        "4111-1111-1111-1112",
        "A123456780, A123456(4)",
        "version 1.2.3.4.5.6.7",
        "000-12-3456",
        "@bob and bob@home",
        "100000000 đồng",
    ],
)
def test_times_dates_amounts_and_numbers_of_other_things_are_left_alone(text: str) -> None:
    assert EVERYWHERE(text) == text


def test_what_is_masked_can_be_chosen() -> None:
    text = "bob@example.com 010-1234-5678 4111111111111111 900101-1234567"
    assert MaskPersonalData(kinds=["card", "id"])(text) == "bob@example.com 010-1234-5678 <card> <id>"
    assert MaskPersonalData(kinds=[])(text) == text


def test_numbers_are_those_of_the_regions_asked_for() -> None:
    assert MaskPersonalData(regions=["JP"])("010-1234-5678 090-1234-5678") == "010-1234-5678 <phone>"
    assert MaskPersonalData(regions=["JP"])("900101-1234567") == "900101-1234567"
    assert MaskPersonalData(regions=[])("+82 10 1234 5678, 010-1234-5678") == "<phone>, 010-1234-5678"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"kinds": ["name"]}, "allowed: email, card, id, phone"), ({"regions": ["kr"]}, "write ISO 3166 codes such as")],
)
def test_a_kind_or_region_that_nobody_knows_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MaskPersonalData(**parameters)


@quick
@given(text=any_text)
@example(text="4111111111111111 010-1234-5678")
@example(text="a@b.cd@e.fg")
def test_masking_twice_is_masking_once(text: str) -> None:
    assert EVERYWHERE(EVERYWHERE(text)) == EVERYWHERE(text)


@given(words=st.lists(st.text("abc가字ก.,!? ", max_size=12), max_size=6), number=st.integers(0, 99_999))
def test_a_text_with_few_digits_and_no_at_sign_stays_as_it_is(words: list[str], number: int) -> None:
    text = " ".join([*words, str(number)])
    assert EVERYWHERE(text) == text


@given(
    digits=st.from_regex(r"010[2-4][0-9]{7}", fullmatch=True),
    gaps=st.lists(
        st.sampled_from(["", "-", ".", " ", " - ", "\u200b", "－", "\u3000", "‐", "…"]), min_size=2, max_size=2
    ),
    wide=st.booleans(),
)
def test_a_mobile_number_is_masked_whatever_stands_between_its_groups(digits: str, gaps: list[str], wide: bool) -> None:
    typed = digits[:3] + gaps[0] + digits[3:7] + gaps[1] + digits[7:]
    if wide:
        typed = typed.translate({ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)})
    assert MaskPersonalData(regions=["KR"])(f"연락처: {typed} 입니다") == "연락처: <phone> 입니다"


@pytest.mark.parametrize("language", LANGUAGES)
@quick
@given(text=any_text)
def test_a_normalised_masked_text_holds_nothing_more_to_mask(language: str, text: str) -> None:
    mask, normalise = MASKED_AND_NORMALISED[language]
    once = normalise(mask(text))
    assert mask(once) == once


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
@given(before=st.text(max_size=6), after=st.text(max_size=6))
@settings(parent=quick, max_examples=40)
def test_a_placeholder_survives_every_normaliser(language: str, kind: str, before: str, after: str) -> None:
    _, normalise = MASKED_AND_NORMALISED[language]
    assert f"<{kind}>" in normalise(f"{before} <{kind}> {after}")
