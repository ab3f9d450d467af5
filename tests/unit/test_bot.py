"""A bot's YAML: what it says over the defaults, the hash of what is in force, and its mistakes in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot_assets.bot import Bot, BotError, bot_file, bot_keys, load_bot
from chatbot_assets.bot_key import check_key
from chatbot_assets.languages import LANGUAGES
from resources.environment import Home

WriteBot = Callable[..., Bot]
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def refused(home: Home, text: str | bytes, key: str = "acme.faq") -> str:
    """The one line with which a bot file is refused."""
    path = bot_file(home.bots, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BotError) as error:
        load_bot(home.bots, key)
    line = str(error.value)
    assert "\n" not in line and line.startswith(str(path))
    return line


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_all_that_a_bot_must_choose(write_bot: WriteBot, language: str) -> None:
    bot = write_bot(language=language)
    assert (bot.key, bot.tenant, bot.language) == ("acme.faq", "acme", language)
    assert bot.messages.similar and bot.messages.failed
    assert bot.deploy.policy == "automatic"


def test_a_bot_overrides_only_what_differs(write_bot: WriteBot) -> None:
    plain = write_bot(language="ko")
    bot = write_bot(language="ko", process={"test_share": 0.2}, messages={"failed": "다시 말씀해 주세요"})
    assert (bot.process.test_share, bot.process.normaliser) == (0.2, plain.process.normaliser)
    assert (bot.messages.failed, bot.messages.similar) == ("다시 말씀해 주세요", plain.messages.similar)


def test_a_replaced_module_does_not_inherit_the_parameters_of_the_one_it_replaces(write_bot: WriteBot) -> None:
    bot = write_bot(language="ko", process={"language_check": {"use": "mine.checks:Everything"}})
    assert bot.process.language_check.use == "mine.checks:Everything"
    assert bot.process.language_check.parameters == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("language: en\ncolour: red", "colour: unknown key; allowed: language, description,"),
        ("language: en\nprocess: {speed: 3}", "process.speed: unknown key; allowed: normaliser, segmenter,"),
        ("language: en\nvalidate: {minimum: 1}", "validate.minimum: unknown key; allowed: gate, minimum_accuracy,"),
        (
            "language: en\naugment: {rules: [{use: 'a:b', speed: 1}]}",
            "augment.rules.0.speed: unknown key; allowed: use, with",
        ),
        (
            "language: en\nembed: {encoder: {use: 'a:b', speed: 1}}",
            "embed.encoder.speed: unknown key; allowed: use, with",
        ),
        ("language: xx", "language: 'xx' is unknown; allowed: en, ja, ko"),
        ("language: [en]", "is unknown; allowed: en, ja, ko"),
        ("description: no language", "language: None is unknown; allowed: en, ja, ko"),
        ("key: acme.faq\nlanguage: en", "key: is given by the file's name (acme.faq); remove it"),
        ("language: en\nprocess: {test_share: 0.9}", "process.test_share: Input should be less than or equal to 0.5"),
        ("language: en\nprocess: {test_share: a lot}", "(found 'a lot')"),
        (
            "language: en\ndeploy: {policy: maybe}",
            "deploy.policy: Input should be 'automatic', 'canary', 'shadow' or 'manual'",
        ),
        ("language: en\nprocess: null", "process: Input should be a valid dictionary"),
        ("language: en\nsources: [text]", "sources: Input should be a valid dictionary"),
        ("language: en\nmessages: {failed: ''}", "messages.failed: String should have at least 1 character"),
        ("language: en\nprocess: {normaliser: {use: nowhere}}", "'nowhere' is no import path"),
        ("language: en\nembed: {encoder: {with: {a: 1}}}", "embed.encoder.use: is missing"),
        ("language: en\nprocess: {segmenter: {use: 'a:b', with: {since: 2026-01-31}}}", "quote dates"),
        ("language: en\n1: one", "1: "),
        ('language: en\ndescription: "\\ud83d"', "holds half a character (\\ud83d); write characters as themselves"),
        ("language: en\nyes: one", ""),
        ("language: en\n  broken: [", "no valid YAML"),
        ("", "must hold keys and values, for instance 'language: en'"),
        ("- en", "must hold keys and values"),
        ("language: en\ndescription: 안녕".encode("cp949"), "cannot be read"),
    ],
)
def test_a_mistake_in_a_bot_s_file_is_one_line_that_says_what_to_change(
    home: Home, text: str | bytes, said: str
) -> None:
    assert said in refused(home, text)


def test_a_bot_that_does_not_exist_is_told_with_those_that_do(home: Home, write_bot: WriteBot) -> None:
    with pytest.raises(BotError, match=r"there is no bot acme.other: .* \(bots: none yet\)"):
        load_bot(home.bots, "acme.other")
    write_bot("acme.faq")
    with pytest.raises(BotError, match=r"\(bots: acme.faq\)"):
        load_bot(home.bots, "acme.other")


@pytest.mark.parametrize(
    "key", ["acme", "Acme.faq", "acme.faq.x", "acme/faq.x", "../x.y", "acme.", ".faq", "-a.b", "a.b\n"]
)
def test_what_is_no_key_is_refused_before_a_file_is_touched(home: Home, key: str) -> None:
    with pytest.raises(BotError, match=r"is no bot key; a key is <tenant>\.<name>"):
        load_bot(home.bots, key)


@given(st.text(max_size=20) | st.from_regex(r"[a-z0-9./\-]{0,12}"))
def test_every_key_stays_within_the_folder_of_the_bots(key: str) -> None:
    try:
        check_key(key)
    except BotError:
        return
    assert bot_file(Path("/bots"), key).resolve().parent.parent == Path("/bots")


def test_the_bots_are_the_files_whose_names_can_be_keys(home: Home, write_bot: WriteBot) -> None:
    write_bot("globex.shop")
    write_bot("acme.faq")
    (home.bots / "acme" / "Draft copy.yaml").write_text("language: en")
    (home.bots / "README.yaml").write_text("")
    assert bot_keys(home.bots) == ["acme.faq", "globex.shop"]


# -- the hash of what is in force -------------------------------------------------------------------------------------

LINEAR = {"use": "chatbot_assets.train.intent_model:LinearIntents", "with": {"l2": 0.5, "iterations": 50}}
overrides = st.fixed_dictionaries(
    {},
    optional={
        "description": st.text(st.characters(codec="utf-8"), max_size=5),
        "sources": st.fixed_dictionaries({}, optional={"text": st.sampled_from(["utt", "text"])}),
        "process": st.fixed_dictionaries({}, optional={"test_share": st.sampled_from([0.1, 0.2])}),
        "train": st.fixed_dictionaries(
            {},
            optional={"answer_precision": st.sampled_from([0.7, 0.9]), "classifier": st.just(LINEAR)},
        ),
        "deploy": st.fixed_dictionaries({}, optional={"policy": st.sampled_from(["automatic", "manual"])}),
        "resources": st.fixed_dictionaries({}, optional={"processes": st.integers(1, 4)}),
    },
)


def shuffled(data: Any, random: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return {name: shuffled(data[name], random) for name in random.sample(list(data), len(data))}


@quick
@given(st.sampled_from(LANGUAGES), overrides, st.randoms(use_true_random=False))
def test_neither_key_order_nor_written_out_defaults_change_the_config_hash(
    write_bot: WriteBot, language: str, own: dict[str, Any], random: Any
) -> None:
    bot = write_bot(language=language, **own)
    reordered = write_bot(**shuffled({"language": language} | own, random))
    written_out = {name: value for name, value in bot.effective().items() if name != "key"}
    complete = write_bot(**shuffled(written_out, random))
    assert bot.config_hash() == reordered.config_hash() == complete.config_hash()
    assert complete == bot


@quick
@given(overrides, overrides)
def test_bots_have_equal_hashes_only_if_they_are_configured_alike(
    write_bot: WriteBot, one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = write_bot(**one), write_bot(**other)
    assert (first.config_hash() == second.config_hash()) == (first.effective() == second.effective())


@pytest.mark.parametrize(
    ("own", "changed"),
    [
        ({"process": {"test_share": 0.3}}, "process"),
        ({"train": {"answer_precision": 0.7}}, "train"),
        ({"validate": {"minimum_accuracy": 0.9}}, "validate"),
        ({"sources": {"text": "utt"}}, "sources"),
        ({"embed": {"encoder": {"use": "mine.encoders:Mine"}}}, "embed"),
    ],
)
def test_the_hash_of_a_section_changes_with_that_section_alone(
    write_bot: WriteBot, own: dict[str, Any], changed: str
) -> None:
    before, after = write_bot(), write_bot(**own)
    for section in ("process", "train", "validate", "sources", "embed", "deploy"):
        assert (before.config_hash(section) != after.config_hash(section)) == (section == changed)
    assert before.config_hash("process.test_share") == write_bot(train={"answer_precision": 0.7}).config_hash(
        "process.test_share"
    )


def test_two_bots_with_equal_files_have_equal_hashes_of_their_sections(write_bot: WriteBot) -> None:
    one, other = write_bot("acme.faq"), write_bot("globex.faq")
    assert one.config_hash("process", "embed") == other.config_hash("process", "embed")


def test_the_effective_configuration_is_plain_data_with_the_names_of_the_yaml(write_bot: WriteBot) -> None:
    effective = write_bot(process={"normaliser": {"use": "mine:N", "with": {"a": 1}}}).effective()
    assert json.loads(json.dumps(effective)) == effective
    assert effective["process"]["normaliser"] == {"use": "mine:N", "with": {"a": 1}}
    assert "validate" in effective and "validate_" not in effective


def test_modules_are_versioned_by_their_place_in_the_yaml(
    write_bot: WriteBot, write_module: Callable[[str, str], str]
) -> None:
    write_module("own_normaliser", "class Mine:\n    pass\n")
    bot = write_bot(process={"normaliser": {"use": "own_normaliser:Mine"}})
    before = bot.module_versions("process", "embed", "validate", "language")
    assert set(before) == {
        *(f"process.{name}" for name in ("normaliser", "segmenter", "language_check", "privacy", "answer_privacy")),
        "embed.encoder",
        "validate.gate",
    }
    write_module("own_normaliser", "class Mine:\n    fast = True\n")
    after = bot.module_versions("process", "embed", "validate", "language")
    assert {name for name in after if after[name] != before[name]} == {"process.normaliser"}
    assert set(bot.module_versions("process.segmenter")) == {"process.segmenter"}


def test_modules_in_a_list_are_versioned_by_their_place_in_it(
    write_bot: WriteBot, write_module: Callable[[str, str], str]
) -> None:
    write_module("own_rules", "class First:\n    pass\nclass Second:\n    pass\n")
    bot = write_bot(augment={"rules": [{"use": "own_rules:First"}, {"use": "own_rules:Second"}]})
    assert set(bot.module_versions("augment.rules")) == {"augment.rules.0", "augment.rules.1"}
