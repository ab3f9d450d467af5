"""One erasure from beginning to end; it may be interrupted anywhere, and asking for it again finishes it."""

import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatbot_assets.bot import Bot
from chatbot_assets.deploy.life import mark_erased
from chatbot_assets.deploy.record import live_deployment
from chatbot_assets.deploy.replica import replicas
from chatbot_assets.erasing.elsewhere import accounts_and_audit, clear_beside, clear_cache, named_among_staff
from chatbot_assets.erasing.history import forget, short_values_left
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.erasing.receipt import FOLDER, keep, sign, signing_key, subject_hash
from chatbot_assets.erasing.search import Searched, holds_marker, search
from chatbot_assets.erasing.sources import amend, empty_journal, remove_rows, remove_served, rows_with
from chatbot_assets.erasing.subject import Found, find
from chatbot_assets.tables import DEPLOYMENTS, MODELS, TABLES
from resources.environment import Home
from resources.lakehouse import Lake, LakeTable

PLANS = "erasing"
"""The home's folder for what an erasure under way has found; a plan is removed when nothing of it is left to do."""
REASON = "a person whom it had learnt from was erased"

Say = Callable[[str], None]


class ErasureError(RuntimeError):
    """An erasure that cannot be finished now; its text says what to do."""


def preview(home: Home, bot: Bot, user_id: str) -> dict[str, Any]:
    """What an erasure would find; nothing is changed. Served turns that are still in the journal are not seen."""
    lake = Lake(home.lake)
    with lake.writing(bot.key):
        found, _ = find(home, lake, bot, user_id)
    live = live_deployment(lake.table(bot.key, DEPLOYMENTS.name))
    return {**_counts(found), "live_model_learnt_from_them": bool(live and live.model_id in found.models)}


def erase(
    home: Home, bot: Bot, user_id: str, *, actor: str, reason: str, refresh: Callable[[], None], say: Say
) -> dict[str, Any]:
    """Forgets a person, and gives the signed receipt, which is kept in the home as well.

    Args:
        home: where the bot is.
        bot: the bot.
        user_id: the person, as rows and turns name them.
        actor: who asks for it.
        reason: why, for the record; it must not tell who the person is.
        refresh: refreshes the bot.
        say: is told what goes on.

    Raises:
        ErasureError: when something must be done first, such as letting another model go live.
        JournalError: when the chat service does not empty its journal.
        LakeError: when a table cannot be read.
    """
    lake, key = Lake(home.lake), bot.key
    started, salt = datetime.now(UTC), secrets.token_hex(16)
    note = {"actor": actor, "reason": reason, "at": started.isoformat()}
    plan = _plan_file(home, key, user_id)
    say("waiting for the chat service's journal")
    empty_journal(lake, home.journal)
    with lake.writing(key, lambda: say(f"a refresh holds the tables of {key}; waiting for it")):
        say("looking for the person in all tables and versions")
        earlier = Found.from_json(plan.read_text(encoding="utf-8")) if plan.exists() else None
        found, landing = find(home, lake, bot, user_id, earlier)
        _keep_plan(plan, found)
        say("removing the person's rows")
        remove_rows(lake, key, found, landing, note)
    say("refreshing the bot")
    refresh()
    live = live_deployment(lake.table(key, DEPLOYMENTS.name))
    if live and live.model_id in found.models:
        raise ErasureError(
            f"{key}: the person's rows are gone, but the live model still learnt from them, and no other one has taken "
            f"its place: see ./chatbot status {key} and ./chatbot versions {key}, let a new model go live (promote, "
            "the limits under validate, or where deployments are imported: import another deployment), then give this "
            "command again"
        )
    empty_journal(lake, home.journal)  # verdicts and shadows' answers may have come to their turns meanwhile
    with lake.writing(key, lambda: say(f"a refresh holds the tables of {key}; waiting for it")):
        say("taking the person out of old versions")
        remove_served(lake, key, found, note)
        erased = mark_erased(lake.table(key, DEPLOYMENTS.name), found.models, actor=actor, reason=REASON)
        removed = _remove_models(lake, key, found, note)
        rewritten = _forget_versions(lake, key, found)
        skip = accounts_and_audit(home) | {plan}
        cleared = clear_cache(home, key, found.markers, found.models)
        beside = clear_beside(home, key, found.markers, skip | frozenset((home.root / FOLDER).glob("*")))
        say("searching every byte of the home")
        searched = search(home.root, found.markers, skip)
        for table in _all_tables(lake, key):
            left = short_values_left(table, found)
            searched.places += [path.relative_to(home.root).as_posix() for path in left]
        staff = named_among_staff(home, Markers.of(found.names, ()))
    places = _own_places(home, key, searched, user_id)
    receipt = sign(
        home.root,
        {
            "bot": key,
            "tenant": bot.tenant,
            "subject": {"salt": salt, "hash": subject_hash(home.root, bot.tenant, user_id, salt)},
            "actor": actor,
            "reason": reason,
            "at": datetime.now(UTC).isoformat(),
            "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
            "found": _counts(found),
            "removed": {
                "rows_of_models": removed,
                "models": sorted(found.models),
                "old_versions": rewritten,
                "unpacked_models": cleared,
                "redacted_files": [_hidden(name, found.markers) for name in beside],
            },
            "retrained": {
                "deployments_erased": erased,
                "live_deployment": live.deployment_id if live else None,
                "live_model": live.model_id if live else None,
            },
            "search": {
                "markers": len(found.markers.telling),
                "too_short_for_bytes": len(found.markers.whole | (found.names - found.markers.telling)),
                "files": searched.files,
                "bytes": searched.bytes,
                "found_in": [_hidden(name, found.markers) for name in places["own"]],
                "other_bots": sorted(set(places["other_bots"])),
                "accounts_and_audit": staff,
            },
            "complete": not places["own"],
        },
    )
    kept = keep(home.root, receipt)
    if receipt["complete"]:
        plan.unlink(missing_ok=True)
    return {**receipt, "file": str(kept)}


def _counts(found: Found) -> dict[str, Any]:
    """How much of the person there is, without saying what."""
    return {
        "landed_rows": len(found.landed),
        "rejected_rows": len(found.rejected),
        "served_turns": len(found.served),
        "utterances": len(found.utterances),
        "models": len(found.models),
        "landing_files": len(found.files),
        "landing_lines": sum(found.files.values()),
        "tables": {name: found.counts[name] for name in TABLES if name in found.counts},
    }


def _plan_file(home: Home, key: str, user_id: str) -> Path:
    name = hashlib.sha256(signing_key(home.root) + f"{key}\0{user_id}".encode()).hexdigest()[:32]
    return home.root / PLANS / f"{name}.json"


def _keep_plan(path: Path, found: Found) -> None:
    """Writes down what was found: once the first rows are gone, nobody could find the rest any more."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(found.to_json())
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _all_tables(lake: Lake, key: str) -> Iterator[LakeTable]:
    """A bot's tables, and the replicas that came with imported deployments."""
    for name in TABLES:
        yield lake.table(key, name)
        yield replicas(lake, key).table(key, name)


def _forget_versions(lake: Lake, key: str, found: Found) -> dict[str, dict[str, int]]:
    """Takes the person out of the old versions of all tables, and of replicas; gives what was done by table."""
    rewritten = {}
    for name in TABLES:
        done = forget(lake.table(key, name), found) + forget(
            replicas(lake, key).table(key, name), found, newest_too=True
        )
        if done.files or done.entries:
            rewritten[name] = asdict(done)
    return rewritten


def _remove_models(lake: Lake, key: str, found: Found, note: dict[str, Any]) -> int:
    """Takes the models that learnt from the person out of ``models``; nothing is computed again for it."""
    table = lake.table(key, MODELS.name)
    last = table.last()
    if not found.models or last is None or last.record is None:
        return 0
    gone = rows_with("model_id", found.models)
    return amend(table, (), gone, ["model_id"], note, data_version=last.record.data_version)


def _own_places(home: Home, key: str, searched: Searched, user_id: str) -> dict[str, Collection[str]]:
    """Where markers are still: this bot's and shared places, and other bots in which the same identifier occurs."""
    tenant = key.partition(".")[0]
    own, others = [], []
    person = Markers.of([user_id], ())
    for place in searched.places:
        parts = place.split("/")
        of = f"{parts[1]}.{parts[2]}" if parts[0] == "lake" and len(parts) > 3 else None
        of = parts[1] if parts[0] == "landing" and len(parts) > 2 else of
        if of is None or of == key:
            own.append(place)
        elif of.partition(".")[0] == tenant and holds_marker(home.root / place, person):
            others.append(of)
    return {"own": own, "other_bots": others}


def _hidden(name: str, markers: Markers) -> str:
    """A file's name, unless it holds a marker itself."""
    return "(a file whose name is a marker)" if markers.is_in(name.encode()) else name
