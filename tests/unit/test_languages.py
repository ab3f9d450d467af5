"""The languages: their defaults, and what each of their modules promises."""

import importlib
import multiprocessing
import os
import subprocess
import sys
import time
import unicodedata
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from forked import context
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot_assets.languages import LANGUAGES, language_defaults
from chatbot_assets.languages.chinese.normaliser import ChineseNormaliser
from chatbot_assets.languages.chinese.segmenter import ChineseSegmenter
from chatbot_assets.languages.contracts import LanguageCheck, Normaliser, Segmenter
from chatbot_assets.languages.en.segmenter import EnglishSegmenter
from chatbot_assets.languages.identification import LanguageIdentification
from chatbot_assets.languages.ja.segmenter import JapaneseSegmenter
from chatbot_assets.languages.ko.segmenter import KoreanSegmenter
from chatbot_assets.languages.script import ScriptCheck
from chatbot_assets.languages.segmenters import CharacterSegmenter

EIGHT = ("en", "ja", "ko", "th", "vi", "zh-Hans", "zh-Hant", "zh-TW")
MODULES: dict[tuple[str, str], Any] = {}

# Pieces that the rules of one language or another look for, so that random texts meet them in every order.
PIECES = (
    *"aeiou 'swt.!?-/\n\t\x00\u200b\u200d\ufe0f\u0301\u0323\u3099１Ａ！　ｶﾞﾊﾟｱﾡￂ…’“´`",
    *"ㄱㄴㅋㅎㅏㅠ가하각\u1100\u1161\u11a8ㅤ漢字々かガーㄅ一。",
    *"กรเแโะาำิุู่้์ํๆฺ๑",
    *"コヒ-~〜ーゝゞヽヾ゛゜いすづ髙发發后後里裏爲为没聼臺台乾干",
    *(
        "òa",
        "ùy",
        "quý",
        "ko",
        "đc",
        "ð",
        "don't",
        "nt",
        "can",
        "i'd",
        "'ve",
        "let's",
        "im",
        "she'l",
        "www.",
        "http://",
        "url",
    ),
    *("👨\u200d👩\u200d👧", "👍🏽", "❤️"),
)
any_text = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
quick = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def module(language: str, kind: str) -> Any:
    if (language, kind) not in MODULES:
        reference = language_defaults(language)["process"][kind]
        path, _, name = reference["use"].partition(":")
        MODULES[language, kind] = getattr(importlib.import_module(path), name)(**reference["with"])
    return MODULES[language, kind]


def process_modules(language: str) -> list[dict[str, Any]]:
    return list(language_defaults(language)["process"].values())


def normalised(language: str, text: str) -> str:
    normaliser: Normaliser = module(language, "normaliser")
    return normaliser(text)


def segmented(language: str, *texts: str) -> list[list[str]]:
    segmenter: Segmenter = module(language, "segmenter")
    return segmenter([normalised(language, text) for text in texts])


def accepted(language: str, text: str) -> bool:
    check: LanguageCheck = module(language, "language_check")
    return check(text)


def test_the_eight_languages_are_found_by_their_folders() -> None:
    assert LANGUAGES == EIGHT


@pytest.mark.parametrize("language", EIGHT)
def test_every_languages_defaults_have_a_name_its_modules_and_two_messages(language: str) -> None:
    defaults = language_defaults(language)
    assert set(defaults) >= {"name", "process", "messages"}
    assert set(defaults["process"]) == {"normaliser", "segmenter", "language_check", "privacy", "answer_privacy"}
    assert set(defaults["messages"]) == {"similar", "failed"}
    assert all(set(reference) == {"use", "with"} for reference in defaults["process"].values())
    for message in (defaults["name"], *defaults["messages"].values()):
        assert accepted(language, message)
    assert all(callable(module(language, kind)) for kind in defaults["process"])


def test_the_defaults_are_a_copy_that_the_caller_may_change() -> None:
    language_defaults("ko")["process"]["normaliser"]["use"] = "changed"
    assert language_defaults("ko")["process"]["normaliser"]["use"] != "changed"


def test_an_unknown_language_is_one_line_that_names_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match="unknown") as caught:
        language_defaults("kr")
    assert str(caught.value) == f"language 'kr' is unknown; allowed: {', '.join(EIGHT)}"


@pytest.mark.parametrize("language", EIGHT)
@quick
@given(text=any_text)
def test_normalising_twice_is_normalising_once_and_gives_clean_nfc(language: str, text: str) -> None:
    once = normalised(language, text)
    assert normalised(language, once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in once)
    assert once == once.strip()


@pytest.mark.parametrize("language", EIGHT)
@settings(parent=quick, max_examples=40)
@given(texts=st.lists(any_text, max_size=5))
def test_each_text_has_one_list_of_tokens_that_depends_on_it_alone(language: str, texts: list[str]) -> None:
    tokens = segmented(language, *texts)
    assert len(tokens) == len(texts)
    assert all(token and not token.isspace() for row in tokens for token in row)
    assert segmented(language, *texts) == tokens
    assert [segmented(language, text)[0] for text in texts] == tokens


@pytest.mark.parametrize("language", EIGHT)
@pytest.mark.parametrize("text", ["", " \t\n", "\u200b\ufeff", "\x00\x1f", "\u3164", "\ud800"])
def test_a_text_of_nothing_visible_becomes_empty(language: str, text: str) -> None:
    assert normalised(language, text) == ""
    assert segmented(language, text) == [[]]


@pytest.mark.parametrize(
    ("language", "typed", "expected"),
    [
        ("ko", "  환불\u200b 되나요？\n", "환불 되나요?"),
        ("ko", unicodedata.normalize("NFD", "배송 조회"), "배송 조회"),
        ("ko", "ㅎㅏㄴㄱㅡㄹ 안녕ㅎㅏ세요", "한글 안녕하세요"),
        ("ko", "ﾤￂﾱ", "남"),
        ("ko", "ㅋㅋㅋㅋㅋ 대박!!!! ㅠㅠㅠㅠ", "ㅋㅋ 대박!! ㅠㅠ"),
        ("ko", "ㅋㅋㅠㅠ ㅇㅋ ㅋㅠ", "ㅋㅋㅠㅠ ㅇㅋ ㅋㅠ"),
        ("ko", "ＡＢＣ１２３ “아이폰” ’15’", "abc123 \"아이폰\" '15'"),
        ("ko", "고마워요😂😂 👨‍👩‍👧", "고마워요😂😂 👨‍👩‍👧"),
        ("ko", "010-0000-1111", "010-0000-1111"),
        ("en", "What’s the PRICE?", "what is the price?"),
        ("en", "I'm sure they don't, can't and won't", "i am sure they do not, can not and will not"),
        ("en", "I cannot; I dont, im late, let's go", "i can not; i do not, i am late, let us go"),
        ("en", "I'd've said she couldn't've", "i would have said she could not have"),
        ("en", "John's card, it's well", "john's card, it is well"),
        ("en", "soooo goooood!!!!", "soo good!!"),
        ("en", "see https://a.example/x?y=1 or www.example.com", "see url or url"),
        ("en", "AAA batteries, 1000 of them", "aaa batteries, 1000 of them"),
        ("ja", "ﾊﾞｽは　何時　ですか？", "バスは何時ですか?"),
        ("ja", "iPhone １５ を 買う", "iphone 15 を買う"),
        ("ja", "すごーーーい！！！", "すごーい!!"),
        ("ja", "すご〜〜い、ラーメン~", "すごーい、ラーメンー"),
        ("ja", "コ-ヒ-とｺｰﾋｰとコ―ヒ―", "コーヒーとコーヒーとコーヒー"),
        ("ja", "iPhoneケース-黒 3〜5個 東京〜大阪", "iphoneケース-黒 3〜5個東京〜大阪"),
        ("ja", "いすゞ こゝろ づゝ バヽヾ", "いすずこころづつバハバ"),
        ("ja", "時々 人々", "時々人々"),
        ("ja", "か゛っこう は゜ん", "がっこうぱん"),
        ("zh-Hans", "今天 天气 怎么样？", "今天天气怎么样?"),
        ("zh-Hans", "哈哈哈哈 用 WeChat 支付", "哈哈用 wechat 支付"),
        ("zh-Hans", "一一一二二二", "一一一二二二"),
        ("zh-Hans", "請問後天的天氣", "请问后天的天气"),
        ("zh-Hans", "乾隆皇帝", "乾隆皇帝"),
        ("zh-Hant", "幾時開門呀？", "幾時開門呀?"),
        ("zh-Hant", "我想头发剪短，祝你发财", "我想頭髮剪短,祝你發財"),
        ("zh-Hant", "説明書喺邊度", "說明書喺邊度"),
        ("zh-TW", "請問 臺北 的 天氣", "請問台北的天氣"),
        ("zh-TW", "请问里面有没有洗手间", "請問裡面有沒有洗手間"),
        ("zh-TW", "皇后 一里 了解 周先生 后里", "皇后一里了解周先生后里"),
        ("th", "ปิด ไฟ ห้อง นอน", "ปิดไฟห้องนอน"),
        ("th", "เเม่ น\u0e4d\u0e32 น\u0e4d\u0e49\u0e32", "แม่นำน้ำ"),
        ("th", "ที\u0e48\u0e48\u0e48 ป\u0e48ิด มากกกกก คะะะ", "ที่ปิ่ดมากกคะ"),
        ("th", "เปิด Netflix ช่อง ๑๒", "เปิด netflix ช่อง 12"),
        ("vi", "Hòa khỏe, thủy QUÝ", "hoà khoẻ, thuỷ quý"),
        ("vi", "Hoà khoẻ", "hoà khoẻ"),
        ("vi", unicodedata.normalize("NFD", "tắt các bóng đèn"), "tắt các bóng đèn"),
        ("vi", "Ko đc đâu, ko-kr", "không được đâu, ko-kr"),
        ("vi", "mùa hoàn toàn của ðà lạt", "mùa hoàn toàn của đà lạt"),
    ],
)
def test_what_people_type_gets_one_form(language: str, typed: str, expected: str) -> None:
    assert normalised(language, typed) == expected


def test_a_chinese_conversion_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="name one of: t2s, s2t, s2tw, s2hk"):
        ChineseNormaliser("s2x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "typed", "expected"),
    [
        ("ko", "금요일에 깨워 주세요!", ["금요일", "에", "깨우", "주"]),
        ("ko", "배송이 안 됐어요 ㅠㅠ", ["배송", "이", "안", "되", "ㅠㅠ"]),
        ("en", "John's cards were charged twice 👍", ["john", "card", "were", "charg", "twic", "👍"]),
        ("ja", "７時に起こしてください👍🏽", ["7", "時", "に", "起こす", "て", "下さる", "👍🏽"]),
        ("ja", "バスはiPhone", ["バス", "は", "iphone"]),
        ("zh-Hans", "查天气 15度", ["查", "天气", "查", "天", "气", "查天", "天气", "15", "度", "度"]),
        ("zh-TW", "關掉電燈，好", ["關掉", "電燈", "關", "掉", "電", "燈", "關掉", "掉電", "電燈", "好", "好"]),
        ("th", "ปิดไฟห้องนอน Pepsi ๑๒", ["ปิดไฟ", "ห้องนอน", "pepsi", "12"]),
        ("vi", "Đặt báo thức, ngày mai 15 😂", ["đặt", "báo thức", "ngày mai", "15", "😂"]),
    ],
)
def test_texts_are_cut_into_the_tokens_that_matter(language: str, typed: str, expected: list[str]) -> None:
    assert segmented(language, typed) == [expected]


@given(characters=st.lists(st.sampled_from(["ก", "น้ำ", "ดื่", "เ", "ปู่", "ย์", "า"])))
def test_a_thai_character_is_never_cut_from_its_vowel_and_tone_marks(characters: list[str]) -> None:
    tokens = CharacterSegmenter(["Thai"])(["".join(characters)])[0]
    assert tokens[: len(characters)] == characters


@pytest.mark.parametrize("language", EIGHT)
def test_texts_are_still_cut_in_a_process_forked_from_one_that_has_loaded_the_segmenter(language: str) -> None:
    texts = tuple(language_defaults(language)["messages"].values())
    with ProcessPoolExecutor(1, context()) as executor:
        assert executor.submit(before_and_after_a_fork, language, texts).result(timeout=250) == segmented(
            language, *texts
        )


def before_and_after_a_fork(language: str, texts: tuple[str, ...]) -> list[list[str]]:
    """Cuts texts, and again in a fork of this process, which must have no threads that others have left behind."""
    segmented(language, *texts)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply_async(segmented, (language, *texts)).get(timeout=200)


@pytest.mark.parametrize("language", EIGHT)
def test_threads_that_cut_at_once_get_what_one_alone_gets(language: str) -> None:
    messages = [message for key in EIGHT for message in language_defaults(key)["messages"].values()]
    texts = [f"{first} {second}" for first in messages for second in messages]
    expected = segmented(language, *texts)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: segmented(language, *texts), range(4)))
    assert results == [expected] * 4


def test_jieba_loads_its_dictionary_without_leaving_a_cache_behind(tmp_path: Path) -> None:
    code = "from chatbot_assets.languages.chinese.segmenter import ChineseSegmenter as S; print(S(False)(['打开电视']))"
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}  # of how jieba is written
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "[['打开', '电视']]\n"
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


def test_pyvi_leaves_no_copy_of_its_model_among_the_temporary_files(tmp_path: Path) -> None:
    code = "from chatbot_assets.languages.vi.segmenter import VietnameseSegmenter as S; import os; S(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=True)
    assert not list(tmp_path.iterdir())


def test_a_token_kind_can_be_kept_by_parameter() -> None:
    assert KoreanSegmenter(ignore=["SF"])(["깨워 줘!"]) == [["깨우", "어", "주", "어"]]
    assert EnglishSegmenter(stem=False)(["charged twice"]) == [["charged", "twice"]]
    assert JapaneseSegmenter(mode="C")(["関西国際空港"]) == [["関西国際空港"]]
    assert ChineseSegmenter(characters=False)(["打开电视"]) == [["打开", "电视"]]


def test_a_mode_that_sudachi_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="name one of: A, B, C"):
        JapaneseSegmenter(mode="D")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("ko", "배송 언제 와요", True),
        ("ko", "Samsung Galaxy S24 Ultra 가격", True),
        ("ko", "where is my order", False),
        ("ko", "ㅇㅋ", True),
        ("ko", "7", True),
        ("ko", "👍!!", True),
        ("ko", "", True),
        ("ko", "ok", True),
        ("ko", "iPhone 15 Pro", True),
        ("ko", "k. b. s.", True),
        ("ko", "注文", False),
        ("en", "where is my order", True),
        ("en", "who sung this", True),
        ("en", "netflix", True),
        ("en", "đặt một chiếc bánh pizza", False),
        ("en", "où est ma commande s'il vous plaît", False),
        ("en", "배송 언제 와요", False),
        ("ja", "注文", True),
        ("ja", "キャンセル", True),
        ("ja", "주문", False),
        ("ja", "人工知能", True),
        ("ja", "東京都渋谷区神南一丁目", True),
        ("ja", "請把電燈關掉謝謝你", False),
        ("ja", "请把灯关掉", False),
        ("ja", "「请」は簡体字です", True),
        ("zh-Hans", "打开 Netflix", True),
        ("zh-Hant", "ありがとう", False),
        ("zh-Hant", "我想要買優の良品的餅乾", True),
        ("zh-Hans", "部屋の電気を消してください", False),
        ("zh-TW", "ㄏㄏ", True),
        ("zh-TW", "iPhone 15", True),
        ("th", "สวัสดี", True),
        ("th", "hello", True),
        ("th", "where is my order", False),
        ("vi", "xin chào", True),
        ("vi", "ok", True),
        ("vi", "toi muon dat hang", True),
        ("vi", "mở stuff you should know", True),
        ("vi", "where is my order please", False),
        ("vi", "สวัสดี", False),
    ],
)
def test_a_text_is_accepted_when_it_can_be_of_the_language(language: str, text: str, expected: bool) -> None:
    assert accepted(language, text) is expected


def test_the_minimum_share_of_a_languages_letters_is_a_parameter() -> None:
    text = "order 취소"
    assert ScriptCheck(["Hangul"], minimum_share=0.2)(text)
    assert not ScriptCheck(["Hangul"], minimum_share=0.5)(text)


def test_how_many_latin_words_any_language_takes_is_a_parameter() -> None:
    assert not ScriptCheck(["Hangul"], latin_words=0)("order")
    assert ScriptCheck(["Hangul"], latin_words=1)("order 12")
    assert not ScriptCheck(["Hangul"], latin_words=1)("my order")


@pytest.mark.parametrize(
    "parameters",
    [{"scripts": ["Klingon"]}, {"scripts": []}, {"minimum_share": 2}, {"latin_words": -1}],
)
def test_a_script_check_refuses_parameters_that_make_no_sense(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|name at least one of"):
        ScriptCheck(**({"scripts": ["Han"]} | parameters))


@pytest.mark.parametrize("parameters", [{"languages": ["klingon"]}, {"languages": []}, {"confidence": 0.2}])
def test_an_identification_refuses_parameters_that_make_no_sense(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|name at least one by"):
        LanguageIdentification(**({"languages": ["en"], "scripts": ["Latin"]} | parameters))


def test_heavy_libraries_are_only_imported_by_the_one_who_needs_them() -> None:
    modules = {reference["use"].partition(":")[0] for key in EIGHT for reference in process_modules(key)}
    heavy = ("kiwipiepy", "jieba", "opencc", "pythainlp", "pyvi", "sudachipy", "py3langid", "phonenumbers", "stdnum")
    code = f"import sys, {', '.join(sorted(modules))}; print(*set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("language", EIGHT)
def test_normalising_is_no_bottleneck(language: str) -> None:
    texts = [*language_defaults(language)["messages"].values(), "What's up?", "iPhone １５"] * 100
    took = []
    for _ in range(5):
        started = time.thread_time()  # other threads of this process, and other processes, do not count
        for text in texts:
            normalised(language, text)
        took.append(time.thread_time() - started)
    assert len(texts) / min(took) > 10_000  # several times less than a slow core reaches
