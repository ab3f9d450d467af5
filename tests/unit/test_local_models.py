"""Encoders that the user brings."""

import importlib.util
from pathlib import Path

import pytest

from chatbot_assets.modules import ModuleRef

USE = "chatbot_assets.embed.local_models:SentenceTransformersEncoder"


def test_a_folder_that_is_missing_is_named() -> None:
    encoder = ModuleRef.model_validate({"use": USE, "with": {"path": "no/such/model"}})
    with pytest.raises(ValueError, match="no/such/model does not exist"):
        encoder.load()


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is not None, reason="the extra is installed")
def test_without_the_extra_the_mistake_says_what_to_install(tmp_path: Path) -> None:
    encoder = ModuleRef.model_validate({"use": USE, "with": {"path": str(tmp_path)}})
    with pytest.raises(ValueError, match=r"pip install 'chatbot-assets\[encoders\]'"):
        encoder.load()
