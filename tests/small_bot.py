"""A small bot of the tests' own, with real tables: 6 intents of 15 short English rows, through the real graph.

The first refresh of a process costs seconds (imports, engine, encoder), so tests share one refreshed home and work on
copies of it.
"""

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import dagster as dg
import pytest
import yaml
from dagster_memory import empty_instance
from engine_use import WatchedEngine, counts

from chatbot_assets.automation import BotState, bot_state
from chatbot_assets.bot import Bot, bot_file, load_bot
from chatbot_assets.definitions import build_defs
from chatbot_assets.deploy.record import Deployment, live_deployment
from chatbot_assets.jobs import BOT_TAG, REASON_TAG, REFRESH
from chatbot_assets.partitions import BOTS
from chatbot_assets.showing import charts
from chatbot_assets.tables import MATERIALISED
from resources.environment import Home
from resources.lakehouse import Lake, LakeTable, Record

KEY = "acme.faq"
OTHER = "globex.help"
"""A bot of another tenant."""
SECRET = "The vault opens at midnight."
"""What only the other tenant's bot says."""
ENGINE = os.environ.get("CHATBOT_TEST_ENGINE", "sail")
"""The engine of every refresh: ``CHATBOT_TEST_ENGINE=local`` runs the same tests on the JVM."""
NAMES = [table.name for table in MATERIALISED]

_SUBJECTS = {
    "refund": "money back",
    "hours": "opening hours",
    "login": "password reset",
    "delivery": "parcel",
    "invoice": "bill",
    "weather": "forecast",
}
_FRAMES = (
    "How do I get my {}",
    "Tell me about {}",
    "I need {} now",
    "Can you help with {}",
    "What is {}",
    "{} please",
    "Where can I find {}",
    "Question about {}",
    "My {} is wrong",
    "Explain {} to me",
    "Who handles {}",
    "Problem with {}",
    "I want to know about {}",
    "Is {} possible",
    "When is {} available",
)
MISLABELLED = "Who handles parcel"
"""Is held out and has a wrong label, so that no model can be right about every held-out row."""


def wait_for(happened: Callable[[], object], seconds: float = 120, every: float = 0.02) -> float:
    """Waits until something is so; gives the seconds it took.

    The limit counts only when it never comes to be so: a machine that is shared may stand still for long.
    """
    started = time.monotonic()
    while not happened():
        assert time.monotonic() < started + seconds, f"did not happen within {seconds} s"
        time.sleep(every)
    return time.monotonic() - started


def small_rows() -> list[dict[str, str]]:
    """The bot's rows, the same on every call."""
    return [
        row(
            frame.format(subject),
            intent if frame.format(subject) != MISLABELLED else "refund",
        )
        for intent, subject in _SUBJECTS.items()
        for frame in _FRAMES
    ]


def row(text: str, intent: str, answer: str | None = None) -> dict[str, str]:
    """A labelled row with its intent's answer, or another one."""
    return {"text": text, "intent": intent, "answer": answer or f"This is what we know about {intent}."}


@dataclass(frozen=True)
class Refreshed:
    """A finished run: what each asset reported, or why it failed."""

    result: dg.ExecuteInProcessResult

    @property
    def success(self) -> bool:
        return self.result.success

    @property
    def assets(self) -> dict[str, dict[str, Any]]:
        """What each materialisation says of itself."""
        events = self.result.get_asset_materialization_events()
        return {
            event.asset_key.path[-1]: {name: found.value for name, found in event.materialization.metadata.items()}
            for event in events
        }

    @property
    def committed(self) -> set[str]:
        return {name for name, found in self.assets.items() if found["committed"]}

    @property
    def failure(self) -> str | None:
        """The description of the ``dg.Failure`` that ended a step, if one did."""
        for event in self.result.all_events:
            if event.is_step_failure and event.step_failure_data.user_failure_data is not None:
                return event.step_failure_data.user_failure_data.description
        return None

    @property
    def error(self) -> str:
        """The whole failure of the first step that failed; empty when none did."""
        for event in self.result.all_events:
            if event.is_step_failure:
                return event.step_failure_data.error.to_string()
        return ""


_draws = ContextVar("draws", default=True)
_figure = charts._figure


@contextmanager
def _figure_if_drawn(*arguments: Any, **named: Any) -> Iterator[tuple[Any, io.BytesIO]]:
    """An empty picture where a refresh is not to draw."""
    with _figure(*arguments, **named) if _draws.get() else nullcontext((MagicMock(), io.BytesIO())) as found:
        yield found


charts._figure = _figure_if_drawn


class SmallBot:
    """A home with one bot: lands files, edits its YAML, refreshes it and looks into its tables."""

    plain: Mapping[str, Any] = {"augment": {"up_to": 0}, "review": {"every_minutes": 720}}
    """What the YAML holds unless said otherwise: no paraphrases, so that each text is one that a test landed, and no
    queue that is due because it was made at the start of a long run of the tests."""

    def __init__(self, root: Path, key: str = KEY) -> None:
        self.root = root
        self.key = key
        self.home = Home(root / "home", root / "bots")
        self.lake = Lake(self.home.lake)

    def configure(self, **own: Any) -> None:
        """Writes the bot's YAML anew."""
        path = bot_file(self.home.bots, self.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"language": "en"} | self.plain | own), encoding="utf-8")

    def land(self, name: str, rows: Iterable[Mapping[str, Any]], age: float = 60) -> Path:
        """Puts a JSON Lines file into the landing folder, as if it had been there for ``age`` seconds."""
        folder = self.home.landing(self.key)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text("".join(f"{json.dumps(found)}\n" for found in rows), encoding="utf-8")
        os.utime(path, (time.time() - age,) * 2)
        return path

    def refresh(
        self,
        instance: dg.DagsterInstance | None = None,
        tags: Mapping[str, str] | None = None,
        select: Iterable[str] | None = None,
        *,
        draws: bool = False,
    ) -> Refreshed:
        """Runs the real job in this process; ``draws`` the pictures of the assets' pages, a fifth of its time."""
        if instance is None:
            with empty_instance(keeps_all=False) as own:
                return self.refresh(own, tags, select, draws=draws)
        instance.add_dynamic_partitions(BOTS.name or "", [self.key])
        resources = {"home": self.home, "engine": WatchedEngine(engine=ENGINE)}
        counts["refreshes"] += 1
        job = build_defs(resource_overrides=resources).resolve_job_def(REFRESH)
        drawing = _draws.set(draws)
        try:
            return Refreshed(
                job.execute_in_process(
                    instance=instance,
                    partition_key=self.key,
                    asset_selection=[dg.AssetKey(name) for name in select] if select else None,
                    tags={BOT_TAG: self.key, REASON_TAG: "a test asked"} | dict(tags or {}),
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                    raise_on_error=False,
                )
            )
        finally:
            _draws.reset(drawing)

    def copy(self, root: Path) -> "SmallBot":
        """The same home elsewhere, with all its files' times."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return SmallBot(root, self.key)

    @property
    def bot(self) -> Bot:
        return load_bot(self.home.bots, self.key)

    @property
    def state(self) -> BotState:
        return bot_state(self.home, self.lake, self.bot)

    @property
    def live(self) -> Deployment | None:
        return live_deployment(self.table("deployments"))

    def table(self, name: str) -> LakeTable:
        return self.lake.table(self.key, name)

    def record(self, name: str) -> Record:
        last = self.table(name).last()
        assert last is not None and last.record is not None
        return last.record

    def rows(self, name: str, *columns: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.table(name).arrow(columns or None).to_pylist()
        return found

    def data_versions(self) -> dict[str, str]:
        return {name: self.record(name).data_version for name in NAMES}

    def logs(self) -> dict[str, list[str]]:
        """The files in each table's Delta log."""
        found = self.home.lake.glob("*/*/*/_delta_log/*")
        logs: dict[str, list[str]] = {name: [] for name in NAMES}
        for path in sorted(found):
            logs.setdefault(path.parent.parent.name, []).append(path.name)
        return logs

    def files_of_last_commit(self, name: str) -> list[str]:
        """The kinds of file actions in a table's newest log entry."""
        newest = max((self.table(name).path / "_delta_log").glob("*.json"))
        actions = [json.loads(line) for line in newest.read_text(encoding="utf-8").splitlines()]
        return [kind for action in actions for kind in ("add", "remove") if kind in action]


_first: dict[str, tuple[SmallBot, Refreshed]] = {}
_configured: dict[str, SmallBot] = {}


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallBot, Refreshed]:
    """The bot with its rows after one refresh, and that refresh; made once in a process, and not to be changed."""
    if not _first:
        bot = SmallBot(tmp_path_factory.mktemp("first"))
        bot.configure()
        bot.land("home.jsonl", small_rows())
        result = bot.refresh(draws=True)
        assert result.success, result.failure or result.error
        _first["bot"] = (bot, result)
    return _first["bot"]


@pytest.fixture
def bot(first: tuple[SmallBot, Refreshed], tmp_path: Path) -> SmallBot:
    """A refreshed bot of the test's own: a copy."""
    return first[0].copy(tmp_path / "small")


@pytest.fixture
def configured(bot: SmallBot, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SmallBot]:
    """Gives the bot as it is after a refresh with another YAML: a copy of what a process makes once for each YAML."""

    def refreshed(**own: Any) -> SmallBot:
        wanted = json.dumps(own, sort_keys=True)
        if wanted not in _configured:
            bot.configure(**own)
            result = bot.refresh()
            assert result.success, result.failure or result.error
            _configured[wanted] = bot.copy(tmp_path_factory.mktemp("configured"))
        return _configured[wanted].copy(tmp_path / "configured")

    return refreshed
