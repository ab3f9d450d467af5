"""What all tests share: a temporary home and lake, the engine, and modules of a user's own package."""

import dataclasses
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine_use import EngineUse
from hypothesis import HealthCheck, settings

from chatbot_assets import code_version, modules
from chatbot_assets.bot import Bot, bot_file, load_bot
from resources.environment import Home
from resources.lakehouse import Change, Commit, Lake, LakeTable, Record, Signature
from resources.reuse import Scratch, scratch
from resources.spark import ENGINES, SparkEngine

# Machines that run tests are shared; a slow example is no failure. A run tries the same examples as the one before, so
# what passed does not fail by chance; with --hypothesis-profile=search it tries others.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("project", settings.get_profile("search"), derandomize=True)
settings.load_profile("project")

# Homes of tests share what is made once of the bundled encoder on a machine: 80 MB.
os.environ.setdefault(
    "CHATBOT_ENCODER_CACHE", str(Path(tempfile.gettempdir()) / f"chatbot-tests-encoder-{os.getuid()}")
)


def pytest_configure(config: pytest.Config) -> None:
    engine = os.environ.get("CHATBOT_TEST_ENGINE", ENGINES[0])
    config.pluginmanager.register(EngineUse(config, engine))


@pytest.fixture(scope="module", autouse=True)
def _same_home_for_others() -> Iterator[None]:
    """What a command said in this process about where its home is does not reach the tests of other files."""
    names = ("CHATBOT_HOME", "CHATBOT_BOTS", "DAGSTER_HOME")
    before = {name: os.environ[name] for name in names if name in os.environ}
    yield
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(before)


@pytest.fixture(scope="session")
def engine() -> SparkEngine:
    """The engine under test (Sail unless ``CHATBOT_TEST_ENGINE`` names another), started once."""
    return SparkEngine(engine=os.environ.get("CHATBOT_TEST_ENGINE"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home with its own folder of bot files."""
    return Home(tmp_path / "home", tmp_path / "bots")


@pytest.fixture
def lake(home: Home) -> Lake:
    return Lake(home.lake)


@pytest.fixture
def temporary(engine: SparkEngine, tmp_path: Path) -> Iterator[Scratch]:
    """Where intermediate results are kept during a test."""
    with scratch(engine.session, tmp_path / "scratch") as folder:
        yield folder


@pytest.fixture
def write_bot(home: Home) -> Callable[..., Bot]:
    """Writes a bot's file and reads it."""

    def write(key: str = "acme.faq", **own: Any) -> Bot:
        path = bot_file(home.bots, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"language": "en"} | own, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return load_bot(home.bots, key)

    return write


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Writes a module (of a user's own package) that can be imported during the test; gives its name."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def write(name: str, source: str) -> str:
        path = folder / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
        os.utime(path, ns=(time.time_ns(), time.time_ns()))
        importlib.invalidate_caches()
        return name

    yield write
    forget_modules_below(folder)


@pytest.fixture
def new_process(tmp_path: Path) -> Callable[[], None]:
    """Lets this process run the modules of :func:`write_module` as they are now, as one that starts now would."""
    return lambda: forget_modules_below(tmp_path / "modules")


def forget_modules_below(folder: Path) -> None:
    """Forgets what was imported from a folder, and what was made of it."""
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        sys.modules.pop(name, None)
        code_version._first_seen.pop(name, None)
        for made in [key for key in list(modules._loaded) if key[0].startswith(f"{name}:")]:
            del modules._loaded[made]


@pytest.fixture
def save() -> Callable[..., Commit | None]:
    """Commits a change on top of the table's newest version, as a run does."""

    def commit(table: LakeTable, change: Change, made_from: Signature | None = None, **more: Any) -> Commit | None:
        last = table.last()
        record = record_of(change, made_from or Signature(), last)
        return table.commit(change, dataclasses.replace(record, **more), last.version if last else None)

    return commit


def record_of(change: Change, made_from: Signature, last: Commit | None = None) -> Record:
    return Record.of(change, made_from, accepted=last.record.accepted if last and last.record else {})
