"""Commands that put data in, take it out and keep it safe, as their users call them."""

from pathlib import Path

import yaml
from small_bot import KEY, SmallBot, row, small_rows
from test_commands import call

from chatbot_assets.bot import bot_file, load_bot
from serving.people.directory import Directory

WRONG = [row(f"How do I rent bicycle number {number}", "bicycle") for number in range(12)]


def mistake(bot: SmallBot, *arguments: str) -> str:
    """The one line that a user's mistake is answered with."""
    called = call(bot, *arguments)
    assert (called.status, called.output) == (2, ""), called.errors
    [line] = called.errors.splitlines()
    assert line.startswith("chatbot: ")
    return line


# -- withdraw -----------------------------------------------------------------------------------------------------


def test_a_withdrawn_file_leaves_the_bot_behind_and_a_refresh_takes_what_came_of_it_out(bot: SmallBot) -> None:
    before = bot.data_versions()
    bot.land("wrong.jsonl", WRONG)
    assert bot.refresh().success
    assert any(found["intent"] == "bicycle" for found in bot.rows("utterances"))

    report = call(bot, "withdraw", KEY, "wrong.jsonl", "--reason", "of another bot", "--actor", "kim", "--json").report
    assert (report["bot"], report["file"], report["rows"]) == (KEY, "wrong.jsonl", {"dialogues": 12, "rejected": 0})
    assert bot.record("dialogues").notes["withdrawn"]["actor"] == "kim"
    assert "utterances" in {item.table for item in bot.state.stale} and bot.state.needs_refresh

    refreshed = bot.refresh()
    assert refreshed.success, refreshed.failure
    assert not any(found["intent"] == "bicycle" for found in bot.rows("utterances"))
    assert bot.data_versions()["utterances"] == before["utterances"]
    assert not bot.state.stale
    assert "there are: home.jsonl, wrong.jsonl" in mistake(bot, "withdraw", KEY, "wrng.jsonl")


# -- backup and restore -------------------------------------------------------------------------------------------


def test_a_restored_home_answers_as_before_and_has_nothing_to_do(bot: SmallBot, tmp_path: Path) -> None:
    (bot.home.root / "tokens.json").write_text('{"acme": "secret"}', encoding="utf-8")
    archive = tmp_path / "home.tar.zst"
    made = call(bot, "backup", str(archive), "--json").report
    assert (made["archive"], made["bots"], made["with_tokens"]) == (str(archive), [KEY], False)
    assert made["bytes"] == archive.stat().st_size and set(made["tables"].values()) == {0}

    other = SmallBot(tmp_path / "other")
    restored = call(other, "restore", str(archive), "--json").report
    assert (restored["home"], restored["tables"]) == (str(other.home.root), made["tables"])
    assert not (other.home.root / "tokens.json").exists()
    assert other.live == bot.live is not None
    assert other.data_versions() == bot.data_versions() and not other.state.stale
    (status,) = call(other, "status", "--json").report["bots"]
    assert (status["deployment_id"], status["stale"]) == (bot.live.deployment_id, [])
    asked = [call(found, "ask", KEY, "My parcel is wrong", "--json").report for found in (bot, other)]
    of_the_call = {"turn_id": None, "latency_ms": None}
    assert asked[0] | of_the_call == asked[1] | of_the_call

    logs = other.logs()
    refreshed = other.refresh()
    assert refreshed.success and not refreshed.committed and other.logs() == logs


def test_a_restore_that_cannot_be_done_is_one_line_and_changes_nothing(bot: SmallBot, tmp_path: Path) -> None:
    archive = tmp_path / "home.tar.gz"
    assert call(bot, "backup", str(archive)).status == 0
    assert "is not empty; move it away or set CHATBOT_HOME" in mistake(bot, "restore", str(archive))
    assert "exists already" in mistake(bot, "backup", str(archive))
    assert "lies in what is backed up" in mistake(bot, "backup", str(bot.home.root / "b.tar.gz"))

    other = SmallBot(tmp_path / "other")
    assert "nothing to back up" in mistake(other, "backup", str(tmp_path / "b.tar.gz"))
    other.configure(description="not the one in the backup")
    line = mistake(other, "restore", str(archive))
    assert "faq.yaml differs from the one in the backup; move it away or set CHATBOT_BOTS" in line
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archive.read_bytes()[:-2000])
    assert "cut.tar.gz" in mistake(other, "restore", str(cut))
    assert sorted(path.name for path in other.root.rglob("*")) == ["acme", "bots", "faq.yaml"], "nothing is left behind"

    bot_file(other.home.bots, KEY).unlink()
    assert call(other, "restore", str(archive)).status == 0
    assert not other.state.stale


def test_tokens_that_were_asked_for_come_back_for_their_owner_alone(tmp_path: Path) -> None:
    bot, other = SmallBot(tmp_path), SmallBot(tmp_path / "other")
    bot.home.root.mkdir()
    (bot.home.root / "tokens.json").write_text('{"acme": "secret"}', encoding="utf-8")
    made = Directory(bot.home).tokens.make("acme", "shop", ["chat"], by="a test")
    archive, without = str(tmp_path / "home.tar.gz"), str(tmp_path / "without.tar.gz")
    assert call(bot, "backup", archive, "--with-tokens", "--json").report["with_tokens"] is True
    assert call(other, "restore", archive, "--json").report["with_tokens"] is True
    tokens, people = other.home.root / "tokens.json", other.home.root / "people.sqlite"
    assert "secret" in tokens.read_text(encoding="utf-8") and tokens.stat().st_mode & 0o077 == 0
    assert people.stat().st_mode & 0o077 == 0 and Directory(other.home).tokens.find(made)
    assert call(bot, "backup", without, "--json").report["files"] == 0


# -- inspect and init-bot -----------------------------------------------------------------------------------------


def export(bot: SmallBot, name: str = "export.csv") -> Path:
    """A customer's export, whose columns have names of their own."""
    path = bot.root / name
    lines = [f"{found['text']},{found['intent']}" for found in small_rows()]
    path.write_text("\n".join(["utt,label", *lines]) + "\n", encoding="utf-8")
    return path


def test_a_bot_is_made_of_an_export_by_four_commands(tmp_path: Path) -> None:
    bot = SmallBot(tmp_path, "acme.new-bot")
    source = export(bot)
    report = call(bot, "inspect", str(source), "--json").report
    assert report["abilities"]["verdict"] == "classify"

    made = call(bot, "init-bot", bot.key, "--language", "en", "--source", str(source), "--json").report
    assert (made["file"], made["sources"]) == (
        str(bot_file(bot.home.bots, bot.key)),
        {"text": "utt", "intent": "label"},
    )
    assert made["next"] == [f"./chatbot land {bot.key} {source}", f"./chatbot refresh {bot.key}"]
    own = yaml.safe_load(Path(made["file"]).read_text(encoding="utf-8"))
    assert own == yaml.safe_load(report["bot_yaml"])
    assert load_bot(bot.home.bots, bot.key).sources.text == "utt"

    assert call(bot, "land", bot.key, str(source)).status == 0
    assert call(bot, "refresh", bot.key, "--json").report["assets"]["dialogues"]["rows"] == 90
    assert "exists already" in mistake(bot, "init-bot", bot.key, "--language", "en", "--source", str(source))


def test_a_bot_that_cannot_be_made_leaves_no_file(tmp_path: Path) -> None:
    bot = SmallBot(tmp_path)
    source = export(bot)
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{", encoding="utf-8")
    mistakes = {
        ("--language", "fr", "--source", str(source)): "language 'fr' is unknown; allowed: en, ",
        ("--language", "en", "--source", str(source), "--text", "no"): "no column 'no'; columns: utt, label",
        ("--language", "en", "--source", str(tmp_path / "none.csv")): "none.csv does not exist",
        ("--language", "en", "--source", str(broken)): "no usable row; line 1: no valid JSON",
        ("--language", "en", "--source", str(tmp_path)): "is a folder",
    }
    for arguments, said in mistakes.items():
        assert said in mistake(bot, "init-bot", KEY, *arguments)
    assert "is no bot key" in mistake(bot, "init-bot", "Acme", "--language", "en", "--source", str(source))
    assert "does not exist" in mistake(bot, "inspect", str(tmp_path / "none.csv"))
    assert not bot.home.bots.exists()
