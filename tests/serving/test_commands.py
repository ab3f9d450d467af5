"""The commands as their users call them, each in a process of its own: one JSON object, or one line that helps."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from forked import Ended, command
from small_bot import KEY, NAMES, Refreshed, SmallBot, small_rows

NORMALISER = "class Mine:\n    def __call__(self, text):\n        return text.lower(){}\n"


class Called(Ended):
    """How a command ended."""

    @property
    def report(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        assert self.status == 0, self.errors
        assert self.output.count("\n") == 1 and self.output.endswith("\n"), "one object on one line"
        report = json.loads(self.output)
        assert isinstance(report, dict)
        return report


def call(bot: SmallBot, *arguments: str, environment: Mapping[str, str] | None = None) -> Called:
    folders = {"CHATBOT_HOME": str(bot.home.root), "CHATBOT_BOTS": str(bot.home.bots), "COLUMNS": "200"}
    ended = command(*arguments, environment=os.environ | folders | dict(environment or {}))
    return Called(ended.status, ended.output, ended.errors)


# -- the way from files to answers --------------------------------------------------------------------------------


def test_from_landing_to_accepted_code_each_command_prints_one_object(tmp_path: Path) -> None:
    bot = SmallBot(tmp_path)
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "own_lower.py").write_text(NORMALISER.format(""), encoding="utf-8")
    bot.configure(process={"normaliser": {"use": "own_lower:Mine"}})
    path = {"PYTHONPATH": str(modules)}
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(f"{json.dumps(found)}\n" for found in small_rows()) + "{}\n", encoding="utf-8")
    questions = tmp_path / "questions.jsonl"
    asked = [*small_rows()[::6], {"text": "qzx vvk wjjq 774", "intent": None}]
    questions.write_text("".join(f"{json.dumps(found)}\n" for found in asked), encoding="utf-8")

    landed = call(bot, "land", KEY, str(source), "--json").report
    assert landed == {
        "bot": KEY,
        "landing": str(bot.home.landing(KEY)),
        "files": [{"file": "rows.jsonl", "rows_looked_at": 91, "rejected_among_them": 1}],
    }

    refreshed = call(bot, "refresh", KEY, "--json", environment=path).report
    assert set(refreshed) == {"bot", "run_id", "engine", "seconds", "deployment_id", "model_id", "assets"}
    assert (refreshed["bot"], refreshed["engine"]) == (KEY, "sail")
    assert list(refreshed["assets"]) == NAMES
    for found in refreshed["assets"].values():
        assert set(found) == {
            *(
                "seconds",
                "peak_memory_mb",
                "modules",
                "rows_in",
                "rows_computed",
                "rows_reused",
                "rows",
                "version",
                "data_version",
                "committed",
            ),
        }
        assert found["committed"] is True and found["version"] == 0
    assert {name: refreshed["assets"][name]["rows"] for name in NAMES[:4]} == {
        "dialogues": 90,
        "rejected": 1,
        "landing_files": 1,
        "utterances": 90,
    }

    # What only reads may run at the same time.
    with ThreadPoolExecutor(2) as pool:
        answering = pool.submit(call, bot, "ask", KEY, "My parcel is wrong", "--json", environment=path)
        scoring = pool.submit(call, bot, "eval", KEY, str(questions), "--json", environment=path)
    answer, scored = answering.result().report, scoring.result().report
    assert {"answer", "intent", "score", "category", "candidates"} < set(answer)
    assert (answer["intent"], answer["category"]) == ("delivery", "answered")
    assert answer["deployment_id"] == refreshed["deployment_id"] and answer["model_id"] == refreshed["model_id"]

    shares = {
        *("accuracy", "macro_f1", "served_accuracy", "out_of_scope_recall", "in_scope_accuracy"),
        *("answer_recall_at_1", "answer_recall_at_5"),
    }
    assert shares | {"mcc", "out_of_scope_precision", "per_intent", "p50_ms", "p99_ms"} < set(scored)
    assert all(0 <= scored[name] <= 1 for name in shares)
    assert scored["accuracy"] > 0.9 and scored["answer_recall_at_5"] > 0.9
    assert set(scored["per_intent"]) >= {found["intent"] for found in small_rows()}
    assert 0 < scored["p50_ms"] <= scored["p99_ms"]

    before = bot.logs()
    (modules / "own_lower.py").write_text(NORMALISER.format(" + ''"), encoding="utf-8")
    (stale,) = call(bot, "status", "--json", environment=path).report["bots"]
    behind = ["utterances", "paraphrase_candidates", "deployments", "review_queue"]
    assert stale["stale"] == behind
    assert stale["reasons"]["utterances"] == ["code of process.normaliser changed"]
    reason = ("--reason", "adds nothing", "--actor", "kim")
    accepted = call(bot, "accept-code", KEY, *reason, "--json", environment=path).report
    assert accepted == {
        "bot": KEY,
        "accepted": {name: ["process.normaliser"] for name in behind},
    }
    (status,) = call(bot, "status", KEY, "--json", environment=path).report["bots"]
    assert {"bot", "language", "deployment_id", "model_id", "deployed_at", "metrics", "stale", "blocked"} < set(status)
    assert (status["bot"], status["language"], status["stale"], status["blocked"]) == (KEY, "en", [], None)
    assert status["deployment_id"] == refreshed["deployment_id"]
    assert status["metrics"]["accuracy"] > 0.5
    after = bot.logs()
    assert {name for name in NAMES if after[name] != before[name]} == set(accepted["accepted"])
    assert bot.record("utterances").notes["accepted_by"] == "kim"


# -- mistakes -----------------------------------------------------------------------------------------------------


def _lines(name: str, *rows: object) -> Callable[[SmallBot], str]:
    """A file of rows beside the home; gives its path."""

    def write(bot: SmallBot) -> str:
        path = bot.root / name
        path.write_text("".join(f"{json.dumps(found)}\n" for found in rows), encoding="utf-8")
        return str(path)

    return write


def _unknown_key(bot: SmallBot) -> str:
    SmallBot(bot.root, "acme.typo").configure(trian={})
    return "acme.typo"


def _without_data(bot: SmallBot) -> str:
    SmallBot(bot.root, "acme.empty").configure()
    return "acme.empty"


Argument = str | Callable[[SmallBot], str]
MISTAKES: dict[str, tuple[Sequence[Argument], str]] = {
    "refresh-unknown-bot": (["refresh", "acme.nothing"], "there is no bot acme.nothing: "),
    "refresh-unknown-yaml-key": (["refresh", _unknown_key], "trian: unknown key; allowed: language, "),
    "refresh-unknown-asset": (["refresh", KEY, "--select", "utterances,model"], "unknown assets: model; allowed: "),
    "refresh-unknown-engine": (["refresh", KEY, "--engine", "flink"], "engine 'flink' is unknown; allowed: sail"),
    "refresh-without-data": (["refresh", _without_data, "--json"], "acme.empty has no row to learn from: land rows "),
    "land-folder": (["land", KEY, lambda bot: str(bot.root)], " is a folder; name its files, for instance "),
    "land-unknown-kind": (["land", KEY, _lines("a.xlsx")], "unknown kind of file; allowed: .jsonl, .csv, "),
    "land-no-usable-row": (["land", KEY, _lines("b.jsonl", {"utt": "hi"})], "no usable row; line 1: no column 'text'"),
    "ask-unknown-bot": (["ask", "acme.nothing", "hi", "--json"], "acme.nothing"),
    "eval-without-intents": (["eval", KEY, _lines("d.jsonl", {"text": "hi"})], "d.jsonl:1: needs an 'intent' (null: "),
    "bench-unknown-name": (["bench", "marathon"], "there is no benchmark 'marathon'; there are: pipeline ("),
}


@pytest.fixture(scope="module")
def mistakes(
    first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory
) -> tuple[SmallBot, dict[str, Called]]:
    """All mistakes, made at the same time; a user does not make them one after the other either."""
    bot = first[0].copy(tmp_path_factory.mktemp("mistakes"))
    calls = {
        name: [argument if isinstance(argument, str) else argument(bot) for argument in arguments]
        for name, (arguments, _) in MISTAKES.items()
    }
    with ThreadPoolExecutor(3) as pool:
        running = {name: pool.submit(call, bot, *arguments) for name, arguments in calls.items()}
    return bot, {name: found.result() for name, found in running.items()}


@pytest.mark.parametrize("name", list(MISTAKES))
def test_a_mistake_is_one_line_that_says_what_to_do(mistakes: tuple[SmallBot, dict[str, Called]], name: str) -> None:
    called = mistakes[1][name]
    assert called.output == ""
    lines = called.errors.splitlines()
    assert len(lines) == 1 and lines[0].startswith("chatbot: "), called.errors
    assert MISTAKES[name][1] in lines[0]
    assert called.status == 2


def test_mistakes_change_nothing(
    mistakes: tuple[SmallBot, dict[str, Called]], first: tuple[SmallBot, Refreshed]
) -> None:
    bot = mistakes[0]
    assert [path.name for path in bot.home.landing(KEY).iterdir()] == ["home.jsonl"]
    assert bot.live == first[0].live
    own = {name: files for name, files in bot.logs().items() if name in NAMES}
    assert own.keys() == first[0].logs().keys()
    assert bot.data_versions() == first[0].data_versions()


def test_the_doctor_says_that_this_machine_will_do(first: tuple[SmallBot, Refreshed]) -> None:
    report = call(first[0], "doctor", "--json").report
    assert report["ok"] is True
    names = {check["name"] for check in report["checks"]}
    assert {"Python", "disk", "memory", "home", "bots", "Java", "browser"} <= names
    for check in report["checks"]:
        assert set(check) == {"name", "ok", "needed", "found", "do"}
        assert check["ok"] or (check["do"] and not check["needed"])


def test_the_doctor_names_a_broken_bot_file_and_fails(bot: SmallBot) -> None:
    bot.configure(trian={})
    called = call(bot, "doctor", "--json")
    assert called.status == 1
    report = json.loads(called.output)
    (broken,) = [check for check in report["checks"] if check["needed"] and not check["ok"]]
    assert report["ok"] is False and broken["name"] == f"bot {KEY}" and "trian: unknown key" in broken["do"]
