"""The command, a service that goes on answering, pseudonyms, and turns that leave by themselves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from known_person import OTHER, SUBJECT, Erased, Known, decide, erase, places, serve, shadow, turn
from service import running
from small_bot import KEY, SmallBot

from chatbot_assets.bot import Bot, BotError, Retention, load_bot, tenant_file
from chatbot_assets.commands import UserError
from chatbot_assets.commands.erase import describe, run
from chatbot_assets.commands.import_deployment import run as import_deployment
from chatbot_assets.erasing import erasure
from chatbot_assets.erasing.erasure import ErasureError
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.erasing.search import search
from chatbot_assets.maintenance.expiry import expire
from chatbot_assets.process.decisions import COLUMNS, in_force
from resources.audit import Act, AuditLog
from resources.environment import Home
from resources.pseudonyms import pseudonym
from serving.people.directory import Directory
from serving.tokens import ensure_tokens

OPTIONS: dict[str, Any] = {
    "tenant": None,
    "dry_run": False,
    "check": None,
    "reason": "asked",
    "actor": "kim",
    "say": lambda line: None,
}


def test_users_are_kept_under_pseudonyms_where_the_bot_says_so_and_are_found_by_their_id(bot: SmallBot) -> None:
    bot.configure(privacy={"user_ids": "pseudonym"})
    assert bot.refresh(select=["deployments"]).success
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    with running(bot) as address:
        said = {"session_id": "s-live-315", "text": "where is parcel number nine", "user_id": SUBJECT}
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{address}/v1/bots/{KEY}/chat", json=said, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
    [kept] = bot.rows("conversations")
    assert kept["user_id"] == pseudonym(bot.home.root, "acme", SUBJECT) != pseudonym(bot.home.root, "globex", SUBJECT)
    assert search(bot.home.root, Markers(frozenset({SUBJECT}))).places == []
    assert erasure.preview(bot.home, bot.bot, SUBJECT)["served_turns"] == 1


def test_the_command_erases_for_a_tenant_checks_the_receipt_and_notes_who_asked(
    commanded: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbot_assets.commands.refresh.run", lambda key: None)  # nothing has learnt from them yet
    root, directory = commanded.home.root, Directory(commanded.home)
    serve(commanded, turn("where is my parcel number nine", SUBJECT, "s-314-mine"))
    directory.accounts.add("acme", SUBJECT, ["reviewer"])
    directory.audit("acme", Act("sign_in", SUBJECT, "password"))
    report = run(None, subject=SUBJECT, **OPTIONS | {"tenant": "acme"})
    [receipt] = report["bots"]
    assert report["complete"] and commanded.rows("conversations") == []
    assert receipt["search"]["accounts_and_audit"] == ["audit/acme.jsonl", "people.sqlite"], "they work here as well"
    assert "accounts or the audit log name them too: audit/acme.jsonl, people.sqlite" in describe(report)
    assert all(place.startswith(("audit/", "people.sqlite")) for place in places(root))
    assert run(None, subject=SUBJECT, **OPTIONS | {"check": Path(receipt["file"])})["checked"]
    log = AuditLog(root, "acme")
    assert log.check().problem is None
    *_, begun, erased = log.entries()
    assert (begun["event"], erased["event"], erased["outcome"]) == ("erasure_begun", "erased", "done")
    assert erased["about"] == Path(receipt["file"]).name and erased["details"]["served_turns"] == 1


@pytest.mark.parametrize(
    ("key", "options", "line"),
    [
        (KEY, {"subject": None}, "say who is to be forgotten: --subject USER_ID"),
        (None, {"subject": "u-1"}, "name one bot .KEY. or all bots of a tenant"),
        (None, {"subject": "u-1", "tenant": "nobody"}, "there is no bot of tenant 'nobody'"),
        (None, {"subject": None, "check": Path("nothing.json")}, "is no receipt of an erasure"),
    ],
)
def test_a_mistake_is_one_line(commanded: SmallBot, key: str | None, options: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        run(key, **OPTIONS | options)


def test_a_live_model_that_knows_the_person_is_not_forgotten_over(knows: Known, tmp_path: Path) -> None:
    bot = knows.copy(tmp_path / "refused").bot
    with pytest.raises(ErasureError, match="the live model still learnt from them"):
        erase(bot, refresh=lambda: None)
    assert bot.live and list((bot.home.root / "erasing").iterdir()), "what is left to do is known"


@pytest.mark.parametrize("too_early", [True, False])
def test_a_home_that_imports_its_deployments_forgets_when_the_next_one_is_there(
    knows: Known, erased: Erased, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_early: bool
) -> None:
    production = SmallBot(tmp_path / "production")
    production.configure()
    monkeypatch.setenv("CHATBOT_HOME", str(production.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(production.home.bots))
    monkeypatch.setattr("chatbot_assets.commands.refresh.run", lambda key, select: production.refresh(select=[select]))

    def bring(staging: SmallBot) -> None:
        import_deployment(KEY, staging.home.root, deployment=None, reason="tried", actor="kim")

    bring(knows.bot)
    assert production.live and production.live.model_id == knows.learnt
    if too_early:
        with pytest.raises(UserError, match="import another deployment"):
            run(KEY, subject=SUBJECT, **OPTIONS)
    bring(erased.bot)
    assert places(production.home.root), "the model that was live before"
    receipt = run(KEY, subject=SUBJECT, **OPTIONS)
    assert receipt["complete"] and receipt["removed"]["models"] == [knows.learnt]
    assert places(production.home.root) == []


# -- retention ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decisions", ["keep", "leave"])
def test_old_turns_leave_and_what_they_taught_stays_unless_it_is_to_leave(bot: SmallBot, decisions: str) -> None:
    now = datetime.now(UTC)
    old, _ = serve(
        bot,
        turn("an old question about a parcel", OTHER, "s-1", served_at=now - timedelta(days=40)),
        turn("a new question about a parcel", OTHER, "s-1", served_at=now - timedelta(days=20)),
    )
    assert bot.live
    bot.table("shadow_answers").append_rows([shadow(old, bot.live) | {"served_at": now - timedelta(days=40)}])
    decide(bot, old)
    retention = Retention(conversations_days=30, decisions=decisions)  # type: ignore[arg-type]
    assert expire(bot.lake, KEY, retention, now) == 1
    assert [found["text"] for found in bot.rows("conversations")] == ["a new question about a parcel"]
    assert bot.rows("shadow_answers") == []
    assert list(in_force(bot.table("review_decisions").arrow(COLUMNS))) == ([old] if decisions == "keep" else [])
    log = b"".join(path.read_bytes() for path in (bot.table("conversations").path / "_delta_log").glob("*.json"))
    assert b"an old question" not in log and expire(bot.lake, KEY, retention, now) == 0


def test_turns_stay_for_ever_by_default(bot: SmallBot) -> None:
    serve(bot, turn("an old question", OTHER, "s-1", served_at=datetime(2001, 1, 1, tzinfo=UTC)))
    assert expire(bot.lake, KEY, Retention(), datetime.now(UTC)) == 0


def test_a_tenants_file_holds_for_all_its_bots_but_for_what_a_bot_says_itself(
    home: Home, write_bot: Callable[..., Bot]
) -> None:
    write_bot("acme.one")
    write_bot("acme.two", retention={"conversations_days": 7})
    tenant_file(home.bots, "acme.one").write_text("retention: {conversations_days: 365, decisions: leave}\n")
    one, two = (load_bot(home.bots, key).retention for key in ("acme.one", "acme.two"))
    assert (one.conversations_days, one.decisions) == (365, "leave")
    assert (two.conversations_days, two.decisions) == (7, "leave")
    tenant_file(home.bots, "acme.one").write_text("deploy: {policy: manual}\n")
    with pytest.raises(BotError, match=r"_tenant.yaml: deploy: unknown; allowed: retention, privacy"):
        load_bot(home.bots, "acme.one")


def test_an_id_that_is_only_a_number_takes_nothing_from_others_who_say_that_number(bot: SmallBot) -> None:
    said = [("7", "parcel seven is not here at all"), (OTHER, "7"), (OTHER, "and what about another bill then")]
    serve(bot, *(turn(text, user, f"s-{number}") for number, (user, text) in enumerate(said)))
    receipt = erase(bot, "7", refresh=lambda: None)
    assert receipt["complete"] and receipt["search"]["too_short_for_bytes"] == 2, "the id, and the session's"
    assert sorted(found["text"] for found in bot.rows("conversations")) == ["7", "and what about another bill then"]
    versions = range(bot.table("conversations").last().version + 1)  # type: ignore[union-attr]
    assert [len(bot.table("conversations").arrow(version=version)) for version in versions] == [0, 2, 2]
