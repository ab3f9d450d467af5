"""Paraphrase rules: what each one makes of a text, where it keeps still, and what holds for all of them."""

import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot_assets.augment.paraphraser import Paraphrase, Paraphraser
from chatbot_assets.augment.rules import ParaphraseRule, marked
from chatbot_assets.languages import LANGUAGES, language_defaults
from chatbot_assets.modules import ModuleRef

quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@cache
def paraphraser(language: str, limit: int = 100) -> Paraphraser:
    augment = language_defaults(language)["augment"]
    return Paraphraser([ModuleRef.model_validate(rule) for rule in augment["rules"]], augment["flows"], limit)


@cache
def normaliser(language: str):  # type: ignore[no-untyped-def]
    return ModuleRef.model_validate(language_defaults(language)["process"]["normaliser"]).load()


def said_by(language: str, rule: str, text: str) -> str | None:
    """What the rule of this name makes of a text, or None where it keeps still; the rule must exist."""
    known = {one.name: one for one in paraphraser(language)._rules}
    [found] = known[rule].augment(text)
    return None if found == text else str(found)


# One row for each rule: language, its name, a text, and what it makes of it (None: nothing).
EXAMPLES = [
    ("ko", "speech-level-polite", "점심 먹었니?", "점심 먹었어요?"),
    ("ko", "speech-level-polite", "지금 몇 시야", "지금 몇 시예요"),
    ("ko", "speech-level-polite", "집에 가고 싶다.", "집에 가고 싶어요."),
    ("ko", "speech-level-polite", "비가 올까?", "비가 올까요?"),
    ("ko", "speech-level-polite", "나 배고파", None),
    ("ko", "speech-level-polite", "먹지 마", None),
    ("ko", "speech-level-polite", "꿀인생삽니다", None),
    ("ko", "speech-level-polite", "그거 아니야", "그거 아니에요"),
    ("ko", "speech-level-polite", "아니에요", None),
    ("ko", "speech-level-casual", "그거 아니에요", "그거 아니야"),
    ("ko", "polite-inquiry", "그거 아니야?", "그거 아닌가요?"),
    ("ko", "speech-level-casual", "3년 사겼어요", None),
    ("ko", "speech-level-casual", "할 말 없다", "할 말 없어"),
    ("ko", "speech-level-casual", "학교에 가시나요?", None),
    ("ko", "speech-level-formal", "날씨 어때?", "날씨 어떻습니까?"),
    ("ko", "speech-level-formal", "오늘 회의 있어", None),
    ("ko", "favour-polite", "불 켜줘", "불 켜주세요"),
    ("ko", "favour-polite", "불 켜줄래?", "불 켜주세요"),
    ("ko", "favour-polite", "이 노래 별 다섯개 줘", None),
    ("ko", "favour-casual", "알려 주실 수 있나요?", "알려 줘"),
    ("ko", "favour-willing", "불 꺼줘.", "불 꺼줄래?"),
    ("ko", "favour-willing", "불 꺼주세요", "불 꺼주시겠어요"),
    ("ko", "favour-able", "불 꺼줘", "불 꺼줄 수 있어"),
    ("ko", "ask", "알람 설정해", "알람 설정해 줘"),
    ("ko", "ask", "친구가 불 켜", None),
    ("ko", "please-just", "불 켜줘", "불 좀 켜줘"),
    ("ko", "please-just", "불 좀 켜줘", None),
    ("ko", "please-just", "내일 깨워줘", None),
    ("ko", "bare-noun", "불을 켜줘", "불 켜줘"),
    ("ko", "bare-noun", "친구를 만났어", None),
    ("ko", "object-particle", "라디오 틀어줘", "라디오를 틀어줘"),
    ("ko", "object-particle", "내일 깨워줘", None),
    ("ko", "topic-particle", "점심 먹었니?", "점심은 먹었니?"),
    ("ko", "topic-particle", "무슨 노래 좋아해?", None),
    ("ko", "topic-or-subject", "노래가 뭐야", "노래는 뭐야"),
    ("ko", "topic-or-subject", "친구가 왔어?", None),
    ("ko", "what-to-eat", "점심 먹었니?", "점심 뭐 먹었니?"),
    ("ko", "what-to-eat", "점심 먹었어.", None),
    ("ko", "polite-inquiry", "날씨 어때?", "날씨 어떤가요?"),
    ("ko", "polite-inquiry", "이름이 뭐야", "이름이 뭔가요"),
    ("ko", "polite-inquiry", "비가 올까?", None),
    ("ko", "tell-me", "지금 몇 시야", "지금 몇 시인지 알려줘"),
    ("ko", "tell-me", "점심 먹었니?", None),
    ("ko", "telling-verb-말해", "날씨 알려줘", "날씨 말해줘"),
    ("ko", "telling-verb-말해", "한 시간 전에 알려줘", None),
    ("ko", "telling-verb-알려", "날씨 말해줘", "날씨 알려줘"),
    ("ko", "degree", "너무 힘들어", "진짜 힘들어"),
    ("ko", "degree", "너무 먹었어", None),
    ("ko", "command", "불 켜줘", "불 켜"),
    ("ko", "command", "나를 도와줘", None),
    ("ja", "request-kudasai", "電気を消して", "電気を消してください"),
    ("ja", "request-kudasai", "電気を消さないで", None),
    ("ja", "request-plain", "予約してもらえませんか", "予約して"),
    ("ja", "request-plain", "食べてから行く", None),
    ("ja", "command-request", "アラームをセットする", "アラームをセットして"),
    ("ja", "command-request", "ライトを消す", "ライトを消して"),
    ("ja", "command-request", "彼がライトを消す", None),
    ("ja", "bare-noun", "電気を消して", "電気消して"),
    ("ja", "bare-noun", "電気を消した", None),
    ("ja", "object-particle", "電気消して", "電気を消して"),
    ("ja", "object-particle", "明日起こして", None),
    ("ja", "politeness-plain", "明日は晴れますか", "明日は晴れる?"),
    ("ja", "politeness-plain", "廊下はどこですか", "廊下はどこ"),
    ("ja", "politeness-plain", "駅で降りますか", "駅で降りる?"),
    ("ja", "politeness-plain", "学生です", None),
    ("ja", "politeness-plain", "ありがとうございます", None),
    ("ja", "politeness-plain", "よろしくお願いします", None),
    ("ja", "politeness-plain", "明日は雨が降ります", "明日は雨が降る"),
    ("ja", "politeness-polite", "音楽を聞きたい", "音楽を聞きたいです"),
    ("ja", "politeness-polite", "音楽を聞く", None),
    ("ja", "how-is-dou-desu-ka", "天気はどう", "天気はどうですか"),
    ("ja", "how-is-dou", "天気はどうですか", "天気はどう"),
    ("ja", "how-is-donna-kanji", "天気はどうですか", "天気はどんな感じ"),
    ("ja", "how-is-donna-kanji", "どうすればいい", None),
    ("ja", "topic-bare", "天気はどう", "天気どう"),
    ("ja", "topic-bare", "記録は何ですか", None),
    ("ja", "topic-tte", "記録は何ですか", "記録って何ですか"),
    ("ja", "topic-tte", "今夜は何がある", None),
    ("ja", "tell-me", "廊下はどこですか", "廊下がどこか教えてください"),
    ("ja", "tell-me", "雨が降りますか", None),
    ("ja", "want-to-know", "天気を教えて", "天気が知りたい"),
    ("ja", "want-to-know", "彼に教えて", None),
    ("ja", "ellipsis", "株価は", "株価を教えて"),
    ("ja", "ellipsis", "明日は", None),
    ("ja", "wonder", "雨は降りますか", "雨は降るかな"),
    ("ja", "wonder", "何がありますか", None),
    ("ja", "request-kureru", "電気を消して。", "電気を消してくれる?"),
    ("ja", "request-moraemasuka", "電気を消して", "電気を消してもらえますか"),
    ("en", "request-please", "set an alarm", "please set an alarm"),
    ("en", "request-please", "call history", None),
    ("en", "request-please", "alarm", None),
    ("en", "request-can-you", "call my mom.", "can you call my mom?"),
    ("en", "request-bare", "could you please turn on the light?", "turn on the light"),
    ("en", "request-bare", "can you swim in the sea?", None),
    ("en", "request-please-last", "please set an alarm", "set an alarm please"),
    ("en", "request-could-you", "play jazz", "could you please play jazz"),
    ("en", "request-would-like", "play jazz", "i would like you to play jazz"),
    ("en", "want", "i want to hear jazz", "i would like to hear jazz"),
    ("en", "want", "i do not want to hear jazz", None),
    ("en", "how-to-can-i", "how do i reset it?", "how can i reset it?"),
    ("en", "how-to-can-i", "how do i know?", None),
    ("en", "how-to-do-i", "how can i reset it?", "how do i reset it?"),
    ("en", "how-to-to-know", "how do i reset it?", "i want to know how to reset it"),
    ("en", "possible-can-i", "is it possible to top up by cheque?", "can i top up by cheque?"),
    ("en", "possible-possible", "can i top up by cheque?", "is it possible to top up by cheque?"),
    ("en", "possible-possible", "can i have a card?", None),
    ("en", "tell-me", "what is my balance?", "tell me my balance"),
    ("en", "tell-me", "what is the dog doing?", None),
    ("en", "what-like", "how is the weather today", "what is the weather like today"),
    ("en", "what-like", "how is mary", None),
    ("en", "have-got", "do i have any meetings", "have i got any meetings"),
    ("en", "have-got", "do i have to go", None),
    ("en", "synonym", "delete the list", "remove the list"),
    ("en", "synonym", "the delete key", None),
    ("en", "particle-order", "turn off the bedroom lamp", "turn the bedroom lamp off"),
    ("en", "particle-order", "turn the lights off", "turn off the lights"),
    ("en", "particle-order", "turn off the light in the hall", None),
    ("en", "article", "set alarm for six", "set an alarm for six"),
    ("en", "article", "set an alarm for six", None),
    ("en", "which", "what movies are playing", "which movies are playing"),
    ("en", "which", "what is playing", None),
    ("en", "embedded", "why was my card declined?", "can you tell me why my card was declined?"),
    ("en", "embedded", "why was the bank that i called closed?", None),
    ("en", "going-to", "when will my card arrive?", "when is my card going to arrive?"),
    ("en", "going-to", "will you help me?", None),
    ("en", "how-long", "how long does it take?", "how much time does it take?"),
    ("en", "how-long", "how long is the river?", None),
    ("en", "not-working", "my card is not working", "my card does not work"),
    ("en", "not-working", "my cards is not working", None),
    ("en", "telling", "tell me the news", "let me know the news"),
    ("en", "telling", "tell me a joke", None),
    ("en", "need", "i need to call her", "i have to call her"),
    ("en", "need", "i do not need to call her", None),
    ("zh-Hans", "request-help", "打开客厅的灯", "帮我打开客厅的灯"),
    ("zh-Hans", "request-help", "提醒我开会", None),
    ("zh-Hans", "request-help", "打开的门", None),
    ("zh-Hans", "request-please", "提醒我开会", "请提醒我开会"),
    ("zh-Hans", "request-bare", "你能关掉灯吗", "关掉灯"),
    ("zh-Hans", "request-can-you", "播放音乐。", "可以帮我播放音乐吗?"),
    ("zh-Hans", "request-trouble", "播放音乐", "麻烦播放音乐"),
    ("zh-Hans", "disposal", "关掉客厅的灯", "把客厅的灯关掉"),
    ("zh-Hans", "disposal", "把音量调高", "调高音量"),
    ("zh-Hans", "disposal", "打开一盏灯", None),
    ("zh-Hans", "yes-no", "明天会下雨吗", "明天会不会下雨"),
    ("zh-Hans", "yes-no", "有没有新邮件", "有新邮件吗"),
    ("zh-Hans", "yes-no", "家里的灯是不是都关了", "家里的灯都关了吗"),
    ("zh-Hans", "yes-no", "他是不是学生", "他是学生吗"),
    ("zh-Hans", "yes-no", "帮我看看门有没有锁", None),
    ("zh-Hans", "yes-no", "请问门有没有锁", "请问门有锁吗"),
    ("zh-Hans", "yes-no", "你还有时间吗", None),
    ("zh-Hans", "yes-no", "你参加会议吗", None),
    ("zh-Hans", "moment", "帮我查天气", "帮我查一下天气"),
    ("zh-Hans", "moment", "查一下天气", "查天气"),
    ("zh-Hans", "moment", "查三月的天气", None),
    ("zh-Hans", "tell-me-tell", "现在几点", "告诉我现在几点"),
    ("zh-Hans", "tell-me-tell", "你是谁", None),
    ("zh-Hans", "tell-me-say", "告诉我现在几点", "跟我说现在几点"),
    ("zh-Hans", "tell-me-say", "告诉我天气", None),
    ("zh-Hans", "tell-me-want", "告诉我明天的天气", "我想知道明天的天气"),
    ("zh-Hans", "want", "我想听音乐", "我想要听音乐"),
    ("zh-Hans", "want", "我想你", None),
    ("zh-Hans", "question-word", "天气怎么样", "天气如何"),
    ("zh-Hans", "question-word", "怎么了", None),
    ("zh-Hans", "final-particle", "天气怎么样啊", "天气怎么样"),
    ("zh-Hans", "final-particle", "天气不错", None),
    ("zh-Hans", "may-i-ask", "现在几点", "请问现在几点"),
    ("zh-Hans", "may-i-ask", "打开灯", None),
    ("zh-TW", "yes-no", "明天會下雨嗎", "明天會不會下雨"),
    ("zh-TW", "request-help", "打開客廳的燈", "幫我打開客廳的燈"),
    ("zh-TW", "may-i-ask", "現在幾點", "請問現在幾點"),
    ("zh-TW", "request-help", "熄咗廚房盞燈", None),
    ("zh-Hant", "cantonese-request-thanks", "熄咗廚房盞燈", "唔該熄咗廚房盞燈"),
    ("zh-Hant", "cantonese-request-thanks", "打開客廳的燈", None),
    ("zh-Hant", "cantonese-request-thanks", "掃地機械人返位", None),
    ("zh-Hant", "cantonese-request-thanks-last", "開返部電視", "開返部電視唔該"),
    ("zh-Hant", "cantonese-request-help", "唔該開客廳盞燈", "幫我開客廳盞燈"),
    ("zh-Hant", "cantonese-request-can-you", "跳過呢首歌", "可唔可以幫我跳過呢首歌"),
    ("zh-Hant", "cantonese-request-bare", "叫佢返去啦", "叫佢返去"),
    ("zh-Hant", "cantonese-request-particle", "開返部電視", "開返部電視啦"),
    ("zh-Hant", "cantonese-spelling", "而家幾點", "依家幾點"),
    ("zh-Hant", "cantonese-spelling", "早晨", None),
    ("zh-Hant", "cantonese-question-particle", "今日幾號", "今日幾號呀"),
    ("zh-Hant", "cantonese-question-particle", "唔該", None),
    ("zh-Hant", "cantonese-may-i-ask", "廚房有冇開燈", "想問下廚房有冇開燈"),
    ("zh-Hant", "cantonese-may-i-ask", "開客廳盞燈", None),
    ("zh-Hant", "disposal", "關掉廚房吊扇", "把廚房吊扇關掉"),
    ("zh-Hant", "request-help", "打開客廳的燈", "幫我打開客廳的燈"),
    ("th", "request-help", "เปิดไฟห้องนี้", "ช่วยเปิดไฟห้องนี้"),
    ("th", "request-help", "หาดทรายสวยมาก", None),
    ("th", "request-softly", "เปิดเพลง", "เปิดเพลงหน่อย"),
    ("th", "request-softly", "เปิดไฟห้องไหน", None),
    ("th", "request-help-softly", "จองรถ", "ช่วยจองรถให้หน่อย"),
    ("th", "request-bare", "ช่วยจองรถให้หน่อย", "จองรถ"),
    ("th", "request-can-you", "จองรถหน่อย", "ช่วยจองรถได้ไหม"),
    ("th", "yes-no-particle-หรือเปล่า", "ฉันมีประชุมไหม", "ฉันมีประชุมหรือเปล่า"),
    ("th", "yes-no-particle-หรือเปล่า", "กินข้าวไหม", None),
    ("th", "yes-no-particle-หรือเปล่า", "ซื้อผ้าไหม", None),
    ("th", "yes-no-particle-มั้ย", "กินข้าวไหม", "กินข้าวมั้ย"),
    ("th", "yes-no-particle-ไหม", "กินข้าวมั้ย", "กินข้าวไหม"),
    ("th", "yes-no-particle-หรือไม่", "ฉันมีประชุมไหม", "ฉันมีประชุมหรือไม่"),
    ("th", "want", "ฉันต้องการฟังเพลง", "ฉันอยากฟังเพลง"),
    ("th", "want", "ฉันต้องการนม", None),
    ("th", "subject-drop", "ฉันมีประชุมไหม", "มีประชุมไหม"),
    ("th", "subject-drop", "แม่มีประชุมไหม", None),
    ("th", "colloquial", "ราคาเท่าไร", "ราคาเท่าไหร่"),
    ("th", "colloquial", "สวัสดี", None),
    ("th", "what-is", "อะไรคือเมืองที่ใหญ่ที่สุดในโลก", "เมืองที่ใหญ่ที่สุดในโลกคืออะไร"),
    ("th", "what-is", "นี่คืออะไร", None),
    ("th", "tell-me-tell", "ตอนนี้กี่โมง", "บอกหน่อยว่าตอนนี้กี่โมง"),
    ("th", "tell-me-tell", "คุณอยู่ที่ไหน", None),
    ("th", "tell-me-want", "ตอนนี้กี่โมง", "อยากรู้ว่าตอนนี้กี่โมง"),
    ("th", "polite-particle-man", "ปิดไฟห้องนี้", "ปิดไฟห้องนี้ครับ"),
    ("th", "polite-particle-man", "ปลุกฉันตอนเช้า", None),
    ("th", "polite-particle-woman", "ฝนตกไหม", "ฝนตกไหมคะ"),
    ("th", "polite-particle-woman", "ปิดไฟห้องนี้ครับ", None),
    ("th", "polite-particle-woman", "ไม่มีอะไร", None),
    ("vi", "request-do", "bật đèn phòng khách", "hãy bật đèn phòng khách"),
    ("vi", "request-do", "đèn phòng khách", None),
    ("vi", "request-help", "bật đèn phòng khách", "bật đèn phòng khách giúp tôi"),
    ("vi", "request-help", "nhắc tôi gọi cho mẹ", None),
    ("vi", "request-bare", "bạn có thể bật đèn được không", "bật đèn"),
    ("vi", "request-particle", "hãy bật đèn", "bật đèn nhé"),
    ("vi", "request-can-you", "bật đèn.", "bạn có thể bật đèn không?"),
    ("vi", "request-please", "bật đèn", "làm ơn bật đèn"),
    ("vi", "or-not", "hôm nay trời có mưa không", "hôm nay trời có mưa hay không"),
    ("vi", "or-not", "có phải trời đang mưa không", None),
    ("vi", "or-not", "trời đang mưa phải không", "trời đang mưa đúng không"),
    ("vi", "can-it", "bạn có thể hát không", "bạn có thể hát được không"),
    ("vi", "can-it", "bạn hát không", None),
    ("vi", "question-word", "thời tiết hôm nay thế nào", "thời tiết hôm nay ra sao"),
    ("vi", "question-word", "làm thế nào để nấu phở", None),
    ("vi", "synonym", "bật đèn", "mở đèn"),
    ("vi", "synonym", "mở cửa", None),
    ("vi", "tell-me-tell", "thời tiết hôm nay thế nào", "cho tôi biết thời tiết hôm nay thế nào"),
    ("vi", "tell-me-tell", "bạn ở đâu", None),
    ("vi", "tell-me-say", "cho tôi biết tin mới", "nói cho tôi biết tin mới"),
    ("vi", "tell-me-want", "cho tôi biết tin mới", "tôi muốn biết tin mới"),
    ("vi", "pronoun", "nhắc tôi gọi cho mẹ", "nhắc mình gọi cho mẹ"),
    ("vi", "pronoun", "xoá tin nhắn của mẹ tôi", None),
    ("vi", "pronoun", "bạn xem lịch của tôi được không", None),
    ("vi", "help-word", "bật đèn giúp tôi", "bật đèn hộ tôi"),
    ("vi", "help-word", "bật đèn", None),
    ("vi", "question-particle-vậy", "bây giờ là mấy giờ", "bây giờ là mấy giờ vậy"),
    ("vi", "question-particle-vậy", "bật đèn phòng khách", None),
    ("vi", "question-particle-vậy", "được rồi không sao đâu", None),
    ("vi", "question-particle-ạ", "hôm nay trời có mưa không?", "hôm nay trời có mưa không ạ?"),
]


@pytest.mark.parametrize(("language", "rule", "text", "expected"), EXAMPLES)
def test_a_rule_fires_where_its_condition_holds_and_nowhere_else(
    language: str, rule: str, text: str, expected: str | None
) -> None:
    assert said_by(language, rule, text) == expected


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_has_rules_and_each_rule_has_an_example(language: str) -> None:
    rules = {rule.name for rule in paraphraser(language)._rules if "+" not in rule.name}
    fired = {rule for own, rule, _, expected in EXAMPLES if expected and _meets(own, language)}
    assert len({name.partition("-")[0] for name in rules}) >= 3
    assert rules - fired == set()


def _meets(own: str, language: str) -> bool:
    """The Chinese languages share their rules, so an example of one is an example of all."""
    return own == language or (own.startswith("zh") and language.startswith("zh"))


@pytest.mark.parametrize("mark", ["?", ""])
def test_a_korean_question_about_lunch_has_the_paraphrases_that_the_platform_promises(mark: str) -> None:
    promised = {f"점심 뭐 먹었어{mark}", f"점심은 먹었니{mark}", f"점심 먹었어요{mark}"}
    augment = language_defaults("ko")["augment"]
    by_default = Paraphraser([ModuleRef.model_validate(rule) for rule in augment["rules"]], augment["flows"])
    assert promised <= {paraphrase.text for paraphrase in by_default(f"점심 먹었니{mark}")}


TEXTS: dict[str, list[str]] = {
    language: sorted({text for own, _, text, _ in EXAMPLES if own == language}) for language in LANGUAGES
}
# Pieces that meet in every order, also where no sentence has them.
PIECES = {
    "ko": [
        "불 ",
        "을 ",
        "점심 ",
        "알람 ",
        "먹었",
        "니",
        "어",
        "요",
        "켜",
        "줘",
        " 뭐",
        "해",
        "야",
        " 좀",
        "3",
        "시 ",
        "?",
        ".",
    ],
    "ja": ["電気", "を", "は", "消し", "て", "ください", "ます", "か", "何", "どう", "です", "3", "時", "?", "。"],
    "en": [
        "can you ",
        "please ",
        "turn ",
        "the ",
        "light ",
        "on ",
        "what is ",
        "i ",
        "want to ",
        "my ",
        "3 ",
        "?",
        ".",
    ],
    "zh-Hans": ["请", "帮我", "打开", "灯", "把", "吗", "有", "会", "怎么样", "告诉我", "一下", "3", "点", "?", "。"],
    "zh-TW": ["請", "幫我", "打開", "燈", "把", "嗎", "有", "會", "怎麼樣", "告訴我", "一下", "3", "點", "?", "。"],
    "zh-Hant": ["唔該", "幫我", "開", "燈", "係咪", "嗎", "有冇", "呀", "而家", "幾點", "啦", "3", "點", "?", "。"],
    "th": ["ช่วย", "เปิด", "ไฟ", "หน่อย", "ไหม", "ฉัน", "มี", "ต้องการ", "คืออะไร", "เท่าไร", "ครับ", "3", " ", "?"],
    "vi": ["bật ", "đèn ", "giúp ", "tôi ", "có ", "không ", "thế nào ", "bạn ", "cho ", "biết ", "hãy ", "3 ", "?"],
}


@st.composite
def normalised_texts(draw: st.DrawFn) -> tuple[str, str]:
    language = draw(st.sampled_from(sorted(LANGUAGES)))
    raw = draw(
        st.sampled_from(TEXTS[language])
        | st.lists(st.sampled_from(PIECES[language]), max_size=9).map("".join)
        | st.text(max_size=20)
    )
    return language, normaliser(language)(raw)


@given(normalised_texts())
@quick
def test_paraphrases_are_other_distinct_texts_in_nfc_with_the_numbers_of_the_text(said: tuple[str, str]) -> None:
    language, text = said
    found = [one.text for one in paraphraser(language)(text)]
    assert text not in found
    assert len(set(found)) == len(found)
    for paraphrase in found:
        assert paraphrase == unicodedata.normalize("NFC", paraphrase).strip() != ""
        assert [sign for sign in paraphrase if sign.isdigit()] == [sign for sign in text if sign.isdigit()]


@given(normalised_texts())
@quick
def test_a_text_has_the_same_paraphrases_each_time(said: tuple[str, str]) -> None:
    language, text = said
    assert paraphraser(language)(text) == paraphraser(language)(text)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_threads_that_share_a_paraphraser_get_what_one_thread_gets(language: str) -> None:
    texts = TEXTS[language] * 5
    alone = [paraphraser(language)(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(paraphraser(language), texts)) == alone


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_paraphrases_of_sentences_are_in_the_normal_form_of_their_language(language: str) -> None:
    normalise = normaliser(language)
    for text in TEXTS[language]:
        for paraphrase in paraphraser(language)(normalise(text)):
            assert normalise(paraphrase.text) == paraphrase.text


class Louder(ParaphraseRule):
    name = "louder"

    def rewrite(self, text: str) -> str | None:
        return f"{text}!" if text.startswith("play") else None


class Backwards:
    """A rule that knows nothing of nlpaug, as a user's own may be."""

    name = "backwards"

    def augment(self, data: str) -> str:
        return data[::-1]


class Careless(Backwards):
    name = "careless"

    def augment(self, data: str) -> list[str]:  # type: ignore[override]
        return [data, data.replace("3", "4"), " e\u0301 3 ", "e\u0301 3", ""]


def test_a_rule_of_ones_own_is_a_class_with_a_name_and_a_rewrite() -> None:
    assert Paraphraser([Louder()])("play jazz") == [Paraphrase("louder", "play jazz!")]
    assert Paraphraser([Louder()])("stop") == []


def test_any_object_with_a_name_and_an_augment_is_a_rule() -> None:
    assert Paraphraser([Backwards()])("abc") == [Paraphrase("backwards", "cba")]


def test_nlpaugs_own_augmenters_are_rules() -> None:
    from nlpaug.augmenter.word.reserved import ReservedAug

    synonyms = ReservedAug(reserved_tokens=[["cat", "kitten"]], generate_all_combinations=False, aug_p=1)
    assert [one.text for one in Paraphraser([synonyms])("cat")] == ["kitten"]


def test_a_rule_that_changes_numbers_or_repeats_itself_adds_one_text_at_most() -> None:
    assert Paraphraser([Careless()])("at 3") == [Paraphrase("careless", "é 3")]


def test_a_flow_applies_its_rules_one_after_the_other_and_is_named_after_them() -> None:
    class Softer(ParaphraseRule):
        name = "softer"

        def rewrite(self, text: str) -> str | None:
            return f"{text} please"

    found = Paraphraser([Softer(), Louder()], flows=[("softer", "louder")])("play jazz")
    assert found[-1] == Paraphrase("softer+louder", "play jazz please!")


def test_no_more_paraphrases_than_the_limit_and_the_first_rules_win() -> None:
    assert Paraphraser([Louder(), Backwards()], limit=1)("play") == [Paraphrase("louder", "play!")]


def test_asking_a_rule_for_several_results_gives_one() -> None:
    assert Louder().augment("play jazz", n=3, num_thread=2) == ["play jazz!"]


@pytest.mark.parametrize(
    ("rules", "flows", "problem"),
    [
        ([Louder(), Louder()], [], "louder stands there twice"),
        ([Louder()], [("louder", "quieter")], "must name two or more of the rules: louder"),
        ([Louder()], [("louder",)], "must name two or more of the rules: louder"),
        ([Backwards(), Louder()], [("backwards", "louder")], "only nlpaug augmenters make a flow"),
        ([print], [], "is no paraphrase rule"),
    ],
)
def test_a_mistake_in_the_rules_is_one_line_that_says_what_to_change(
    rules: list[object], flows: list[tuple[str, ...]], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem) as error:
        Paraphraser(rules, flows)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_rule_refuses_a_variant_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="level: 'rude' is unknown; allowed: casual, polite, formal"):
        ModuleRef.model_validate(
            {"use": "chatbot_assets.languages.ko.paraphrases:SpeechLevel", "with": {"level": "rude"}}
        ).load()


@pytest.mark.parametrize(
    ("text", "body", "marks"), [("hi?", "hi", "?"), ("hi", "hi", ""), ("?!", "", "?!"), ("", "", "")]
)
def test_punctuation_at_the_end_is_parted_from_the_text(text: str, body: str, marks: str) -> None:
    assert marked(text) == (body, marks)


def test_importing_the_paraphraser_loads_neither_nlpaug_nor_an_analyser() -> None:
    program = (
        "import sys, chatbot_assets.augment.paraphraser; "
        "print([name for name in ('nlpaug', 'kiwipiepy', 'jieba', 'sudachipy', 'pythainlp') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
