"""Ticks of the one sensor, as the daemon makes them: over real tables, bot files, landing files and runs."""

import errno
import importlib.metadata
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.instance.ref import InstanceRef
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster_memory import empty_instance
from small_bot import KEY, Refreshed, SmallBot, row, small_rows

from chatbot_assets import automation, code_version, refreshing, sensors
from chatbot_assets.automation import ATTEMPTS
from chatbot_assets.bot import bot_file
from chatbot_assets.collect import landing
from chatbot_assets.collect.withdrawal import withdraw
from chatbot_assets.definitions import build_defs
from chatbot_assets.jobs import AFTER_REFRESHES, BOT_TAG, CAUSE_TAG, PRIORITY_TAG, REASON_TAG, REFRESH
from chatbot_assets.partitions import BOTS
from chatbot_assets.sensors import reconcile
from resources import attempts, requests
from resources.lakehouse import LakeTable

NORMALISER = "class Mine:\n    def __call__(self, text):\n        {}\n"
BROKEN = NORMALISER.format("raise RuntimeError('the normaliser is broken')")
WHOLE = NORMALISER.format("return text.lower()")


class Daemon:
    """Does with a tick's result what Dagster's daemon does, on an instance of its own."""

    def __init__(self, bot: SmallBot, instance: dg.DagsterInstance) -> None:
        self.bot = bot
        self.instance = instance
        self.definitions = build_defs(resource_overrides={"home": bot.home})
        self.keys_of_runs: set[str] = set()
        self.cursor: str | None = None
        self.said: str | None = None

    def tick(self) -> list[dg.RunRequest]:
        """The runs that the daemon would start: a run key that was used before starts none."""
        context = dg.build_sensor_context(
            instance=self.instance,
            instance_ref=InstanceRef.from_dir(str(self.bot.root)),  # with one, partitions are looked up as in a daemon
            cursor=self.cursor,
            definitions=self.definitions,
            resources={"home": self.bot.home},
        )
        data = reconcile.evaluate_tick(context)
        self.cursor = data.cursor
        for change in data.dynamic_partitions_requests or []:
            if isinstance(change, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(change.partitions_def_name, list(change.partition_keys))
            else:
                for key in change.partition_keys:
                    self.instance.delete_dynamic_partition(change.partitions_def_name, key)
        self.said = data.skip_message
        new = [request for request in data.run_requests or [] if request.run_key not in self.keys_of_runs]
        self.keys_of_runs |= {request.run_key or "" for request in new}
        return new

    def execute(self, request: dg.RunRequest) -> Refreshed:
        """Runs what a tick asked for."""
        return SmallBot(self.bot.root, request.partition_key or "").refresh(self.instance, request.tags)

    def submit(self, request: dg.RunRequest, event: DagsterEventType = DagsterEventType.RUN_START) -> dg.DagsterRun:
        """Makes a requested run and leaves it after an event, as the run queue or another process would."""
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("chatbot_assets"), "__repository__")
        run = self.instance.create_run_for_job(
            self.definitions.resolve_job_def(REFRESH),
            tags=dict(request.tags),
            remote_job_origin=RemoteJobOrigin(repository, REFRESH),
            job_code_origin=JobPythonOrigin(
                REFRESH, RepositoryPythonOrigin(sys.executable, ModuleCodePointer("chatbot_assets.definitions", "defs"))
            ),
        )
        self.instance.report_dagster_event(DagsterEvent(event.value, job_name=REFRESH), run.run_id)
        return run

    @property
    def partitions(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions(BOTS.name or ""))


@pytest.fixture(autouse=True)
def no_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that come soon after a refresh are read at once, but for the tests about gathering."""
    monkeypatch.setattr(automation, "GATHER_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def enough_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on how fast this machine is, or on how much memory is free."""
    monkeypatch.setattr(sensors, "LOOK_SECONDS", 600.0)
    monkeypatch.setattr(sensors, "free_memory", lambda: 10 * sensors.RUN_BYTES)


class Clock(datetime):
    """The sensor's clock, which a test puts forward instead of waiting."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Clock":
        return super().now(tz) + cls.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "ahead", timedelta(0))
    monkeypatch.setattr(sensors, "datetime", Clock)
    return Clock


@pytest.fixture
def daemon(bot: SmallBot) -> Iterator[Daemon]:
    """A daemon over a bot whose tables are up to date."""
    with empty_instance() as instance:
        found = Daemon(bot, instance)
        assert found.tick() == []
        yield found


def land_more(bot: SmallBot, name: str = "more.jsonl", age: float = 60) -> Path:
    return bot.land(name, [row(f"Where is my umbrella {name}", "weather")], age)


def add_bot(bot: SmallBot, key: str) -> SmallBot:
    other = SmallBot(bot.root, key)
    other.configure()
    return other


def add_twin(bot: SmallBot, key: str) -> SmallBot:
    """Adds a bot with the same data, up to date as the first one is."""
    other = add_bot(bot, key)
    for folder in (bot.lake.bot_folder, bot.home.landing):
        shutil.copytree(folder(bot.key), folder(key))
    return other


# -- partitions follow the bot files ------------------------------------------------------------------------------


def test_a_new_bot_file_becomes_a_partition_and_runs_once_it_has_data(daemon: Daemon) -> None:
    assert daemon.partitions == [KEY], "the bot that was there"
    other = add_bot(daemon.bot, "globex.help")
    assert daemon.tick() == [] and daemon.partitions == [KEY, "globex.help"]
    assert daemon.said == "globex.help: blocked: waiting for data: land a file"
    other.land("home.jsonl", small_rows())
    (request,) = daemon.tick()
    assert (request.partition_key, request.tags[BOT_TAG]) == ("globex.help", "globex.help")
    assert daemon.execute(request).success and other.live
    assert daemon.tick() == []


def test_a_bot_file_and_its_data_that_come_together_start_a_run_in_the_same_tick(daemon: Daemon) -> None:
    add_bot(daemon.bot, "globex.help").land("home.jsonl", small_rows())
    (request,) = daemon.tick()
    assert request.partition_key == "globex.help" in daemon.partitions


def test_when_a_bot_file_is_removed_its_partition_goes_and_its_tables_stay(daemon: Daemon) -> None:
    bot, logs = daemon.bot, daemon.bot.logs()
    bot_file(bot.home.bots, KEY).unlink()
    land_more(bot)
    assert daemon.tick() == [] and daemon.partitions == []
    assert bot.logs() == logs and bot.live
    bot.configure()
    assert [request.partition_key for request in daemon.tick()] == [KEY]
    assert daemon.partitions == [KEY]


def test_a_broken_bot_file_is_named_and_the_other_bots_go_on(daemon: Daemon) -> None:
    broken = bot_file(daemon.bot.home.bots, "acme.broken")
    broken.write_text("language: klingon\n", encoding="utf-8")
    assert daemon.tick() == []
    assert daemon.said and f"{broken}: language: 'klingon' is unknown; allowed: " in daemon.said
    land_more(daemon.bot)
    assert [request.partition_key for request in daemon.tick()] == [KEY]
    assert set(daemon.partitions) == {"acme.broken", KEY}, "its partition stays, for the file is there"


def test_a_bot_whose_module_is_missing_or_whose_tables_are_damaged_does_not_stop_the_others(daemon: Daemon) -> None:
    lost = add_bot(daemon.bot, "acme.lost")
    lost.configure(process={"normaliser": {"use": "not_installed:Mine"}})
    lost.land("home.jsonl", small_rows())
    damaged = add_bot(daemon.bot, "acme.torn")
    log = damaged.table("dialogues").path / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("{", encoding="utf-8")
    land_more(daemon.bot)
    (request,) = daemon.tick()
    assert request.partition_key == KEY and daemon.execute(request).success
    assert daemon.tick() == [] and daemon.said
    assert "module not_installed cannot be found; is its package installed?" in daemon.said
    assert "acme.torn: its tables cannot be read: JSONDecodeError" in daemon.said


# -- data ---------------------------------------------------------------------------------------------------------


def test_a_landed_file_starts_exactly_one_run_that_says_whose_and_why(daemon: Daemon) -> None:
    land_more(daemon.bot)
    (request,) = daemon.tick()
    assert request.partition_key == KEY
    assert request.tags[BOT_TAG] == KEY
    assert request.tags[REASON_TAG] == "dialogues: 1 unread landing file: more.jsonl"
    assert daemon.tick() == [], "the same state starts nothing"
    assert daemon.execute(request).success
    assert daemon.tick() == []
    assert daemon.said == "all 1 bots are up to date or waiting"
    candidates = [
        found["reason"] for found in daemon.bot.rows("deployments", "event", "reason") if found["event"] == "candidate"
    ]
    assert request.tags[REASON_TAG] in candidates, "the deployment says why it was made"


def test_a_hundred_files_start_one_run(daemon: Daemon) -> None:
    for number in range(100):
        land_more(daemon.bot, f"{number:03}.jsonl")
    (request,) = daemon.tick()
    assert request.tags[REASON_TAG].startswith("dialogues: 100 unread landing files: 000.jsonl, 001.jsonl, ")
    assert daemon.execute(request).success
    assert len(daemon.bot.rows("dialogues", "turn_id")) == 190
    assert daemon.tick() == []


def test_a_file_that_is_still_being_written_starts_nothing_until_it_is_complete(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = land_more(daemon.bot).stat().st_mtime
    land_more(daemon.bot, "copying.jsonl.tmp")
    land_more(daemon.bot, ".hidden.jsonl")
    for seconds, runs in ((1, 0), (3, 1)):
        monkeypatch.setattr(landing, "time", SimpleNamespace(time=lambda seconds=seconds: written + seconds))
        assert len(daemon.tick()) == runs, f"{seconds} s after something was written"


@pytest.mark.parametrize(
    "event", [DagsterEventType.RUN_ENQUEUED, DagsterEventType.RUN_STARTING, DagsterEventType.RUN_START]
)
def test_while_a_run_of_the_bot_is_under_way_no_other_is_started_and_afterwards_what_landed_meanwhile_is(
    daemon: Daemon, event: DagsterEventType
) -> None:
    land_more(daemon.bot)
    (first,) = daemon.tick()
    under_way = daemon.submit(first, event)
    other = add_bot(daemon.bot, "acme.other")
    other.land("home.jsonl", small_rows())
    land_more(daemon.bot, "meanwhile.jsonl")
    assert [request.partition_key for request in daemon.tick()] == ["acme.other"], "other bots are not held up"

    assert daemon.execute(first).success
    land_more(daemon.bot, "afterwards.jsonl")
    assert [request for request in daemon.tick() if request.partition_key == KEY] == []
    daemon.instance.report_run_canceled(under_way)
    (second,) = [request for request in daemon.tick() if request.partition_key == KEY]
    assert "afterwards.jsonl" in second.tags[REASON_TAG] and second.run_key != first.run_key


def test_files_that_come_soon_after_a_refresh_wait_for_each_other(
    daemon: Daemon, clock: type[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    land_more(daemon.bot, "first.jsonl")
    assert daemon.execute(daemon.tick()[0]).success
    monkeypatch.setattr(automation, "GATHER_SECONDS", 3 * 3600.0)
    monkeypatch.setattr(automation, "QUIET_SECONDS", 3600.0)
    land_more(daemon.bot)
    for minutes in (0, 30):
        clock.ahead = timedelta(minutes=minutes)
        assert daemon.tick() == []
        assert daemon.said and daemon.said.startswith(f"{KEY}: files are arriving; reading them at ")
    clock.ahead = timedelta(minutes=61)
    assert len(daemon.tick()) == 1, "an hour without a further file"


# -- what else a bot is made from ---------------------------------------------------------------------------------


def test_what_people_decide_starts_a_run(daemon: Daemon) -> None:
    turn = daemon.bot.rows("dialogues", "turn_id", "text")[0]
    decisions = daemon.bot.table("review_decisions")
    decided = {"decision_id": "one", "turn_ids": [turn["turn_id"]], "texts": [turn["text"]], "source": "dialogues"}
    moment = datetime.now(UTC)
    decisions.append_rows([decided | {"action": "exclude", "reviewer": "kim", "decided_at": moment}])
    (request,) = daemon.tick()
    assert "utterances: review_decisions changed" in request.tags[REASON_TAG]
    assert daemon.execute(request).success and daemon.tick() == []


def test_a_changed_bot_file_starts_a_run_of_that_bot_alone(daemon: Daemon) -> None:
    other = add_twin(daemon.bot, "globex.help")
    assert daemon.tick() == []
    other.configure(messages={"failed": "Pardon?"})
    (request,) = daemon.tick()
    assert (request.partition_key, request.tags[REASON_TAG]) == (
        "globex.help",
        "deployments: configuration changed",
    )


def test_changed_code_of_one_module_starts_a_run_of_each_bot_that_uses_it_from_that_stage_on(
    daemon: Daemon, write_module: Callable[[str, str], str], new_process: Callable[[], None]
) -> None:
    judge = "from chatbot_assets.denoise.judge import ConfidentLearning\nclass Mine(ConfidentLearning):\n    {}\n"
    write_module("own_judge", judge.format("pass"))
    others = [add_twin(daemon.bot, key) for key in ("globex.help", "globex.plain")]
    for bot in (daemon.bot, others[0]):
        bot.configure(denoise={"judge": {"use": "own_judge:Mine"}})
    for request in daemon.tick():
        assert daemon.execute(request).success
    assert daemon.tick() == []
    write_module("own_judge", judge.format("edited = True"))
    new_process()
    requests = daemon.tick()
    assert {request.partition_key: request.tags[REASON_TAG] for request in requests} == {
        KEY: "labels: code of denoise.judge changed",
        "globex.help": "labels: code of denoise.judge changed",
    }
    result = daemon.execute(requests[0])
    computed = {name for name, found in result.assets.items() if found["committed"]}
    assert computed == {"labels"}, "the verdicts came out the same, so nothing follows"
    assert daemon.execute(requests[1]).success and daemon.tick() == []


def test_an_upgraded_library_that_changes_results_starts_a_run(
    daemon: Daemon, write_module: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = {"version": "1.0"}
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: installed["version"] if name == "tokens-of-mine" else version(name)
    )
    write_module("own_normal", 'RESULT_LIBRARIES = ["tokens-of-mine"]\n' + WHOLE)
    daemon.bot.configure(process={"normaliser": {"use": "own_normal:Mine"}})
    (request,) = daemon.tick()
    assert daemon.execute(request).success and daemon.tick() == []
    installed["version"] = "2.0"
    monkeypatch.setattr(code_version, "_installed", lambda: ("after the upgrade",))
    (request,) = daemon.tick()
    assert "utterances: code of process.normaliser changed" in request.tags[REASON_TAG]


def test_a_reverted_change_brings_equal_data_versions_and_nothing_downstream_is_made_again(daemon: Daemon) -> None:
    bot = daemon.bot
    before, logs = bot.data_versions(), bot.logs()
    bot.configure(process={"test_share": 0.3})
    bot.configure()
    assert daemon.tick() == [], "it was reverted before anybody looked"
    bot.configure(augment={"up_to": 0, "limit": 3})
    (request,) = daemon.tick()
    assert daemon.execute(request).committed == {"paraphrase_candidates"}, "no candidate came of it"
    bot.configure()
    (request,) = daemon.tick()
    assert daemon.execute(request).committed == {"paraphrase_candidates"}
    assert bot.data_versions() == before and daemon.tick() == []
    assert {name for name, files in bot.logs().items() if files != logs[name]} == {"paraphrase_candidates"}


def test_when_dagster_s_storage_is_lost_nothing_is_computed_again(daemon: Daemon) -> None:
    logs = daemon.bot.logs()
    with empty_instance() as empty:
        another = Daemon(daemon.bot, empty)
        assert another.tick() == []
        assert another.partitions == [KEY] and daemon.bot.logs() == logs
        land_more(daemon.bot)
        (request,) = another.tick()
        assert another.execute(request).success, "and it goes on from there"


# -- what people ask for ------------------------------------------------------------------------------------------


def test_a_bot_that_is_up_to_date_and_asked_for_is_refreshed_once(daemon: Daemon) -> None:
    bot, logs = daemon.bot, daemon.bot.logs()
    requests.ask(bot.lake.bot_folder(KEY), "kim", "the demonstration is tomorrow")
    (request,) = daemon.tick()
    assert request.tags[REASON_TAG] == "asked for by kim: the demonstration is tomorrow"
    assert daemon.tick() == []
    refreshed = daemon.execute(request)
    assert refreshed.success and refreshed.committed == set() and bot.logs() == logs
    assert daemon.tick() == [] and not bot.state.is_behind
    requests.ask(bot.lake.bot_folder(KEY), "kim", "the demonstration is tomorrow")
    (again,) = daemon.tick()
    assert again.run_key != request.run_key, "asking again is another wish"


def test_a_wish_that_comes_while_the_bot_is_refreshed_is_met_by_another_refresh(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = daemon.bot.lake.bot_folder(KEY)
    requests.ask(folder, "kim", "first")
    (request,) = daemon.tick()
    answered = requests.answered

    def answer_after_another_wish(where: Path, wish: requests.Asked) -> None:
        requests.ask(folder, "lee", "second")
        answered(where, wish)

    monkeypatch.setattr(refreshing, "answered", answer_after_another_wish)
    assert daemon.execute(request).success
    monkeypatch.setattr(refreshing, "answered", answered)
    (second,) = daemon.tick()
    assert second.tags[REASON_TAG] == "asked for by lee: second"
    assert daemon.execute(second).success and daemon.tick() == []


def test_a_refresh_of_some_tables_does_not_meet_a_wish_and_one_of_all_of_them_by_hand_does(daemon: Daemon) -> None:
    bot = daemon.bot
    requests.ask(bot.lake.bot_folder(KEY), "kim", "to be sure")
    assert bot.refresh(daemon.instance, select=["labels"]).success and bot.state.asked
    assert bot.refresh(daemon.instance).success and bot.state.asked is None
    assert daemon.tick() == []


def test_a_blocked_bot_that_is_asked_for_is_tried_once_more(broken: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automation, "ATTEMPTS", 1)
    (request,) = broken.tick()
    assert not broken.execute(request).success
    assert broken.tick() == [] and broken.bot.state.blocked
    requests.ask(broken.bot.lake.bot_folder(KEY), "kim", "the disk is free again")
    (request,) = broken.tick()
    assert request.tags[REASON_TAG].startswith("asked for by kim: the disk is free again; utterances: ")
    assert not broken.execute(request).success
    assert broken.tick() == [] and broken.bot.state.blocked


# -- configuration ------------------------------------------------------------------------------------------------


def test_a_bot_file_that_is_changed_back_and_forth_is_refreshed_each_time(daemon: Daemon) -> None:
    bot = daemon.bot
    answers = []
    for messages in ({"failed": "Pardon?"}, {}, {"failed": "Pardon?"}, {}):
        bot.configure(**({"messages": messages} if messages else {}))
        (request,) = daemon.tick()
        assert request.tags[REASON_TAG] == "deployments: configuration changed"
        assert daemon.execute(request).success
        assert daemon.tick() == []
        assert bot.live
        answers.append(bot.live.config["messages"]["failed"])
    assert answers[0] == answers[2] == "Pardon?" and answers[1] == answers[3] != "Pardon?"


def test_a_refused_model_is_not_tried_again_until_something_changes(daemon: Daemon) -> None:
    daemon.bot.configure(validate={"minimum_accuracy": 0.999})
    (request,) = daemon.tick()
    assert not daemon.execute(request).success
    assert daemon.tick() == []
    daemon.bot.configure(validate={"minimum_accuracy": 0.5})
    (request,) = daemon.tick()
    assert daemon.execute(request).success and daemon.tick() == []


# -- failures -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pauses(clock: type[Clock], monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    """Pauses that begin with an hour, and the clock that lets them pass."""
    for module in (automation, sensors):
        monkeypatch.setattr(module, "BACK_OFF", timedelta(hours=1))
    return clock


@pytest.fixture
def broken(daemon: Daemon, write_module: Callable[[str, str], str], pauses: type[Clock]) -> Daemon:
    """A bot whose own normaliser raises."""
    write_module("own_normal", BROKEN)
    daemon.bot.configure(process={"normaliser": {"use": "own_normal:Mine"}})
    return daemon


def test_a_failed_run_is_repeated_with_growing_pauses_three_times_in_all_until_its_cause_changes(
    broken: Daemon, pauses: type[Clock], write_module: Callable[[str, str], str]
) -> None:
    waits = (timedelta(0), timedelta(hours=1), timedelta(hours=2))
    assert len(waits) == ATTEMPTS
    for wait in waits:
        if wait:
            pauses.ahead = wait / 2
            assert broken.tick() == [], "too early"
        pauses.ahead = wait * 1.01
        (request,) = broken.tick()
        assert not broken.execute(request).success
    pauses.ahead = timedelta(hours=5)
    assert broken.tick() == []
    assert broken.said and broken.said.startswith(
        f"{KEY}: blocked: utterances failed: RuntimeError: the normaliser is broken (tried 3 times); trying again at "
    )

    write_module("own_repaired", WHOLE)
    broken.bot.configure(process={"normaliser": {"use": "own_repaired:Mine"}})
    (request,) = broken.tick()
    assert broken.execute(request).success and broken.tick() == []


def test_a_bot_that_is_blocked_by_failures_is_tried_again_when_more_data_comes(broken: Daemon) -> None:
    (request,) = broken.tick()
    for _ in range(ATTEMPTS):
        broken.instance.report_run_failed(broken.submit(request))
    assert broken.tick() == [] and broken.said and "blocked after 3 failed runs" in broken.said
    land_more(broken.bot)
    assert len(broken.tick()) == 1


def test_a_run_that_somebody_cancelled_is_not_the_end_of_it(broken: Daemon, pauses: type[Clock]) -> None:
    (request,) = broken.tick()
    broken.instance.report_run_canceled(broken.submit(request))
    assert broken.tick() == [], "not at once"
    pauses.ahead = timedelta(hours=1.01)
    assert len(broken.tick()) == 1


def test_a_run_that_was_killed_is_seen_to_be_dead_and_another_one_follows(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: Dagster believes that the run goes on, and nobody is there to say otherwise."""
    monkeypatch.setattr(automation, "BACK_OFF", timedelta(0))
    land_more(daemon.bot)
    (request,) = daemon.tick()
    run = daemon.submit(request)
    folder = daemon.bot.lake.bot_folder(KEY)
    attempts.begin(folder, request.tags[CAUSE_TAG], run.run_id)
    with daemon.bot.lake.writing(KEY):
        assert daemon.tick() == [] and daemon.tick() == [], "it holds the bot's tables, so it lives"
    assert daemon.tick() == [], "it may be ending at this moment"
    (again,) = daemon.tick()
    ended = daemon.instance.get_run_by_id(run.run_id)
    assert ended and ended.status == dg.DagsterRunStatus.FAILURE
    assert again.tags[REASON_TAG] == request.tags[REASON_TAG]
    assert daemon.execute(again).success and attempts.last_attempt(folder) is None


def test_a_first_refresh_that_failed_for_its_configuration_is_tried_again_when_that_is_changed(daemon: Daemon) -> None:
    other = add_bot(daemon.bot, "globex.help")
    other.configure(validate={"minimum_accuracy": 0.999})
    other.land("home.jsonl", small_rows())
    (request,) = daemon.tick()
    assert not daemon.execute(request).success and other.live is None
    assert daemon.tick() == [] and other.state.blocked
    other.configure()
    (request,) = daemon.tick()
    assert daemon.execute(request).success and other.live and daemon.tick() == []


def test_a_full_disk_is_waited_for_and_the_bot_heals_by_itself(
    daemon: Daemon, pauses: type[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(automation.PROBE, "passing", timedelta(hours=9))
    bot = daemon.bot
    land_more(bot)
    real = LakeTable.stage_frame

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LakeTable, "stage_frame", full)
    for _ in range(ATTEMPTS):
        (request,) = daemon.tick()
        assert not daemon.execute(request).success
        pauses.ahead = timedelta(hours=3)
    state = bot.state
    assert state.blocked == "landing failed: OSError: [Errno 28] No space left on device (tried 3 times)"
    assert state.retry_at is not None
    assert daemon.tick() == [] and daemon.said and "blocked: landing failed" in daemon.said
    monkeypatch.setattr(LakeTable, "stage_frame", real)
    pauses.ahead = timedelta(hours=9.1)
    (request,) = daemon.tick()
    assert daemon.execute(request).success
    assert bot.state.blocked is None and bot.state.stale == () and daemon.tick() == []


def test_bad_data_is_not_tried_again_and_the_bot_is_deployed_as_soon_as_the_data_is_right(daemon: Daemon) -> None:
    bot = daemon.bot
    live = bot.live
    intents = sorted({found["intent"] for found in small_rows()})
    wrong = [
        row(f"{found['text']} {number}", intents[(7 * place + 5 * number) % len(intents)])
        for place, found in enumerate(small_rows())
        for number in range(3)
    ]
    bot.configure(denoise={"policy": "manual"}, validate={"minimum_accuracy": 0.6})
    bot.land("wrong.jsonl", wrong)
    (request,) = daemon.tick()
    assert not daemon.execute(request).success
    assert daemon.tick() == [] and daemon.said and f"{KEY}: blocked: the new model was refused: accuracy" in daemon.said
    assert bot.state.retry_at is None and bot.live == live
    names = ("dialogues", "rejected", "landing_files")
    tables = {name: bot.table(name) for name in names}
    withdraw("wrong.jsonl", bot.home.landing(KEY), **tables, note={}, code_revision="")
    (request,) = daemon.tick()
    assert daemon.execute(request).success and bot.state.blocked is None and daemon.tick() == []


def test_while_a_bot_is_blocked_its_review_queue_goes_on_being_made(daemon: Daemon) -> None:
    bot = daemon.bot
    bot.configure(validate={"minimum_accuracy": 0.999}, review={"every_minutes": 0})
    (request,) = daemon.tick()
    assert not daemon.execute(request).success
    moment = datetime.now(UTC)
    turn = {"turn_id": "t", "session_id": "s", "text": "hi", "category": "failed", "score": 0.1, "served_at": moment}
    bot.table("conversations").append_rows([turn])
    (request,) = daemon.tick()
    assert request.asset_selection == [dg.AssetKey("review_queue")]
    refreshed = bot.refresh(daemon.instance, request.tags, ["review_queue"])
    assert refreshed.success and refreshed.committed == {"review_queue"}
    assert [found["turn_id"] for found in bot.rows("review_queue", "turn_id")] == ["t"]
    assert bot.state.blocked and daemon.tick() == [], "which does not make anybody try the model again"


# -- many bots ----------------------------------------------------------------------------------------------------


def test_no_more_runs_are_asked_for_than_there_is_room_for_and_all_bots_get_their_turn(daemon: Daemon) -> None:
    for number in range(6):
        add_twin(daemon.bot, f"many.bot-{number}").configure(messages={"failed": "Pardon?"})
    served: list[str | None] = []
    most = daemon.instance.get_concurrency_config().run_queue_config
    while requests := daemon.tick():
        assert most is None or len(requests) <= 2 * most.max_concurrent_runs
        served += [request.partition_key for request in requests]
        for request in requests:
            assert daemon.execute(request).success
    assert sorted(map(str, served)) == [f"many.bot-{number}" for number in range(6)]


def test_a_tick_that_takes_too_long_leaves_the_other_bots_to_the_next_ones(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ["many.bot-0", "many.bot-1"]
    for key in others:
        add_twin(daemon.bot, key).configure(messages={"failed": "Pardon?"})
    monkeypatch.setattr(sensors, "LOOK_SECONDS", -1.0)
    daemon.cursor = "[]"  # as earlier versions wrote it
    assert daemon.tick() == []
    assert daemon.said == "2 bots are looked at in the next tick"
    asked_for = [[request.partition_key for request in daemon.tick()] for _ in range(4)]
    assert asked_for == [["many.bot-0"], ["many.bot-1"], [], []]


def test_a_run_of_the_night_that_waits_in_the_queue_holds_up_no_refresh_and_one_that_runs_does(daemon: Daemon) -> None:
    at_night = dg.RunRequest(partition_key=KEY, tags={"dagster/partition": KEY, PRIORITY_TAG: AFTER_REFRESHES})
    waiting = [daemon.submit(at_night, DagsterEventType.RUN_ENQUEUED) for _ in range(30)]
    land_more(daemon.bot)
    (request,) = daemon.tick()
    assert request.partition_key == KEY and PRIORITY_TAG not in request.tags
    land_more(daemon.bot, "yet-more.jsonl")
    daemon.instance.report_dagster_event(
        DagsterEvent(DagsterEventType.RUN_STARTING.value, job_name=REFRESH), waiting[0].run_id
    )
    assert daemon.tick() == [] and daemon.said == f"{KEY}: a run is under way"


def test_tables_that_were_lost_are_made_again_though_their_data_was_landed_long_ago(
    first: tuple[SmallBot, Refreshed], tmp_path: Path, pauses: type[Clock]
) -> None:
    """The state after the loss is that of the very beginning, for which a run was started already."""
    bot = SmallBot(tmp_path)
    bot.configure()
    bot.land("home.jsonl", small_rows())
    with empty_instance() as instance:
        daemon = Daemon(bot, instance)
        (beginning,) = daemon.tick()
        assert daemon.execute(beginning).success
        bot.home.lake.rename(tmp_path / "lost")
        pauses.ahead = timedelta(hours=1.01)
        (again,) = daemon.tick()
        assert again.tags == beginning.tags
        assert daemon.execute(again).success
        assert bot.data_versions() == first[0].data_versions()
