"""Modules named in a bot's YAML: found by import path, made once, refused in words."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from chatbot_assets.modules import ModuleRef

Write = Callable[[str, str], str]
SOURCE = """
class Shout:
    def __init__(self, mark="!"):
        self.mark = mark

    def __call__(self, text):
        return text + self.mark
"""


def ref(use: str, **parameters: Any) -> ModuleRef:
    return ModuleRef.model_validate({"use": use, "with": parameters})


def test_a_module_of_the_user_s_own_package_is_loaded_with_its_parameters(write_module: Write) -> None:
    write_module("own_shout", SOURCE)
    assert ref("own_shout:Shout").load()("hi") == "hi!"
    assert ref("own_shout:Shout", mark="?").load()("hi") == "hi?"


def test_a_module_is_made_once_in_a_process_for_the_same_parameters(write_module: Write) -> None:
    write_module("own_once", SOURCE)
    assert ref("own_once:Shout", mark="?").load() is ref("own_once:Shout", mark="?").load()
    assert ref("own_once:Shout", mark="?").load() is not ref("own_once:Shout", mark="!").load()


@pytest.mark.parametrize("use", ["shout", "own:", ":Shout", "own/shout:Shout", "own:Shout()", "own shout:Shout", ""])
def test_what_is_no_import_path_is_refused(use: str) -> None:
    with pytest.raises(ValidationError, match=r"is no import path; write package.module:Name"):
        ref(use)


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {"deep": [b"bytes"]}, {1: 2, "1": {"x": 1j}}])
def test_parameters_that_are_no_plain_data_are_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="may hold texts, numbers"):
        ref("own:Shout", value=value)


def test_an_unknown_key_beside_use_and_with_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        ModuleRef.model_validate({"use": "own:Shout", "parameters_": {}})


@pytest.mark.parametrize(
    ("use", "parameters", "reason"),
    [
        ("own_missing:Shout", {}, "module own_missing:Shout cannot be imported: No module named 'own_missing'"),
        ("own_wrong:Whisper", {}, "module own_wrong:Whisper cannot be imported"),
        ("own_wrong:Shout", {"volume": 3}, "module own_wrong:Shout does not take these parameters"),
    ],
)
def test_a_module_that_cannot_be_made_is_refused_in_one_line(
    write_module: Write, use: str, parameters: dict[str, Any], reason: str
) -> None:
    write_module("own_wrong", SOURCE)
    with pytest.raises(ValueError) as refused:
        ref(use, **parameters).load()
    assert str(refused.value).startswith(reason) and "\n" not in str(refused.value)


def test_the_version_follows_the_module_s_code(write_module: Write) -> None:
    write_module("own_version", SOURCE)
    before = ref("own_version:Shout").version()
    assert ref("own_version:Shout", mark="?").version() == before
    write_module("own_version", SOURCE + "\nLOUD = True\n")
    assert ref("own_version:Shout").version() != before


def test_the_key_of_results_covers_name_parameters_and_version() -> None:
    keys = [
        ref("own:Shout", a=1, b=2).key("v1"),
        ref("own:Shout", a=1, b=3).key("v1"),
        ref("own:Whisper", a=1, b=2).key("v1"),
        ref("own:Shout", a=1, b=2).key("v2"),
    ]
    assert len(set(keys)) == 4
    assert ref("own:Shout", b=2, a=1).key("v1") == keys[0]
