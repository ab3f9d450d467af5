"""The documents keep up with the code: tables, commands, keys of the bot file, dependencies and links."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatbot_assets.bot import Bot
from chatbot_assets.cli import main
from chatbot_assets.feedback.ordering import ExpectedValue
from chatbot_assets.modules import ModuleRef, Section
from chatbot_assets.quality.declarations import CHECKS
from chatbot_assets.tables import TABLES, Table
from chatbot_assets.train.intent_model import LinearIntents
from chatbot_assets.validate.gate import NoWorseThanChampion
from resources.environment import PROJECT

DOCUMENTS = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PART = "train.classifier.with.ngrams"
"""Holds other keys and has no value of its own."""
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The text below each second-level heading, by the heading."""
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {heading.strip(): body for heading, _, body in (part.partition("\n") for part in parts)}


def yaml_keys(model: type[Section], place: str = "") -> Iterator[str]:
    """The dotted keys that a bot's YAML may hold."""
    for name, field in model.model_fields.items():
        key = place + (field.alias or name)
        if key == "key":
            continue
        yield key
        below = field.annotation
        if isinstance(below, type) and issubclass(below, Section) and below is not ModuleRef:
            yield from yaml_keys(below, f"{key}.")
    if place == "train.":
        yield from (name for name in yaml_keys(LinearIntents, "train.classifier.with.") if name != PART)
    if place == "validate.":
        yield from yaml_keys(NoWorseThanChampion, "validate.gate.with.")
    if place == "review.":
        yield from yaml_keys(ExpectedValue, "review.order.with.")


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def missing_target(document: Path, link: str) -> str | None:
    """What is wrong with a link within the repository."""
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.is_relative_to(PROJECT) or not target.exists():
        return f"{document.name}: {link} leads nowhere"
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
    return f"{document.name}: {link} names no heading" if anchor and anchor not in map(slug, headings) else None


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_tables_are_described(table: Table) -> None:
    section = sections(read("docs/tables.md"))[f"`{table.name}`"]
    assert f"{table.description} A row is {table.row}." in " ".join(section.split())
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(column.name, str(column.type), column.description) for column in table.columns]


@pytest.mark.parametrize("name", CHECKS)
def test_exactly_the_checks_of_a_table_are_described(name: str) -> None:
    section = " ".join(sections(read("docs/tables.md"))[f"`{name}`"].split())
    own = [check for check in CHECKS[name] if check.name not in ("as_declared", "unique_key", "row_count")]
    for check in own:
        assert f"- Check `{check.name}` ({check.effect}): {check.protects}" in section
    assert section.count("- Check `") == len(own) + (name == "evaluations"), "and may_be_deployed"


def test_no_table_is_described_that_does_not_exist() -> None:
    assert list(sections(read("docs/tables.md"))) == [f"`{name}`" for name in TABLES]


def test_every_command_is_in_the_readme() -> None:
    commands = sections(read("README.md"))["Commands"]
    assert set(re.findall(r"^\| `\./chatbot ([\w-]+)", commands, re.MULTILINE)) == set(main.commands)


@pytest.mark.parametrize("command", main.commands.values(), ids=lambda command: command.name)
def test_every_option_of_a_command_is_in_the_readme(command: Any) -> None:
    commands = sections(read("README.md"))["Commands"]
    for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
        assert option in commands or f"--no-{option[2:]}" in commands


def test_exactly_the_keys_of_a_bot_file_are_described() -> None:
    described = re.findall(r"^\| `([\w.]+)` \|", sections(read("docs/bot-file.md"))["Keys"], re.MULTILINE)
    assert sorted(described) == sorted(yaml_keys(Bot))


def test_every_dependency_has_its_line() -> None:
    declared = tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]
    names = {re.split(r"[<>=]", line)[0] for line in declared}
    lines = re.findall(r"^\| `([^`]+)` \|", sections(read("docs/decisions.md"))["Dependencies"], re.MULTILINE)
    assert sorted(lines) == sorted(names)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(document: Path) -> None:
    links = LINK.findall(FENCED.sub("", document.read_text(encoding="utf-8")))
    own = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [problem for link in own if (problem := missing_target(document, link))] == []


def test_each_security_item_names_a_test_that_exists() -> None:
    items = sections(read("docs/security.md"))["What applies of ASVS level 2"]
    named = re.findall(r"\| `(test_\w+)` \|$", items, re.MULTILINE)
    tests = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))
    assert len(named) == len(re.findall(r"^\| \d", items, re.MULTILINE)) > 20
    assert [name for name in named if f"def {name}(" not in tests] == []
