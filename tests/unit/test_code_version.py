"""Code versions change with what a module would do, and with nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot_assets.code_version import code_version
from resources.environment import PROJECT

Write = Callable[[str, str], str]
SOURCE = '''
"""A module."""
from mine.helpers import helper

def run(text):
    """Runs."""
    return helper(text) + "!"
'''


@pytest.fixture
def mine(write_module: Write) -> Write:
    write_module("mine.__init__", "")
    write_module("mine.helpers", "def helper(text):\n    return text\n")
    write_module("mine.other", "OTHER = 1\n")
    write_module("mine.module", SOURCE)
    return write_module


@pytest.mark.parametrize(
    "same",
    [
        SOURCE + "\n# a comment\n",
        SOURCE.replace('"""Runs."""', '"""Runs, and says how."""'),
        SOURCE.replace('"""A module."""', ""),
        SOURCE.replace('helper(text) + "!"', "(helper( text )\n        + '!')"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(mine: Write, same: str) -> None:
    before = code_version(["mine.module"])
    mine("mine.module", same)
    assert code_version(["mine.module"]) == before


@pytest.mark.parametrize("other", [SOURCE.replace("!", "?"), SOURCE + "\nrun = str\n", SOURCE.replace("run", "walk")])
def test_a_change_of_what_the_module_does_counts(mine: Write, other: str) -> None:
    before = code_version(["mine.module"])
    mine("mine.module", other)
    assert code_version(["mine.module"]) != before
    mine("mine.module", SOURCE)
    assert code_version(["mine.module"]) == before, "the old code has its old version"


@pytest.mark.parametrize(
    "source",
    [
        "from mine.helpers import helper",
        "from mine import helpers",
        "import mine.helpers as h",
        "from . import helpers",
        "from .helpers import helper",
        "def late():\n    from mine.helpers import helper",
        "from .between import helper",
    ],
)
def test_a_change_of_a_module_that_it_imports_counts(mine: Write, source: str) -> None:
    mine("mine.between", "from .helpers import helper\n")
    mine("mine.module", source)
    before = code_version(["mine.module"])
    mine("mine.other", "OTHER = 2\n")
    assert code_version(["mine.module"]) == before, "a module that it does not import counts"
    mine("mine.helpers", "def helper(text):\n    return text.lower()\n")
    assert code_version(["mine.module"]) != before


def test_modules_that_import_each_other_have_a_version(mine: Write) -> None:
    mine("mine.a", "from mine import b\n")
    mine("mine.b", "from mine import a\n")
    assert code_version(["mine.a"]) == code_version(["mine.b"])


def test_other_packages_do_not_count_by_their_source(mine: Write) -> None:
    mine("library", "VALUE = 1\n")
    mine("mine.module", "import library\n")
    before = code_version(["mine.module"])
    mine("library", "VALUE = 2\n")
    assert code_version(["mine.module"]) == before


def test_the_version_does_not_depend_on_the_order_of_the_modules(mine: Write) -> None:
    assert code_version(["mine.module", "mine.other"]) == code_version(["mine.other", "mine.module"])
    assert code_version(["mine.module", "mine.other"]) != code_version(["mine.module"])


def test_a_module_is_not_imported_for_its_version(mine: Write) -> None:
    mine("mine.broken", "raise RuntimeError('imported')\n")
    assert len(code_version(["mine.broken"])) == 16
    assert "mine.broken" not in sys.modules


def test_a_module_that_does_not_exist_is_named(mine: Write) -> None:
    with pytest.raises(ValueError, match=r"module mine\.missing cannot be found"):
        code_version(["mine.missing"])


def test_a_library_that_can_change_results_counts_with_its_version(tmp_path: Path) -> None:
    """Each version is asked of a process of its own, as after an upgrade."""

    def version(installed: str, declared: str) -> str:
        folder = tmp_path / installed / declared
        info = folder / f"tokens_of_mine-{installed}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tokens-of-mine\nVersion: {installed}\n")
        (folder / "module_of_mine.py").write_text(f"RESULT_LIBRARIES = [{declared!r}]\n")
        program = "from chatbot_assets.code_version import code_version; print(code_version(['module_of_mine']))"
        environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{PROJECT}"}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        return done.stdout.decode()

    assert version("1.0", "tokens-of-mine") != version("2.0", "tokens-of-mine")
    assert version("1.0", "another") == version("2.0", "another")
