"""``erase``: forgets a person in one bot, or in all bots of a tenant; checks receipts."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatbot_assets.bot import Bot, bot_keys, load_bot
from chatbot_assets.commands import UserError
from resources.audit import Act
from resources.environment import Home
from resources.tenancy import owns

Say = Callable[[str], None]


def run(
    key: str | None,
    *,
    subject: str | None,
    tenant: str | None,
    dry_run: bool,
    check: Path | None,
    reason: str,
    actor: str | None,
    say: Say,
) -> dict[str, Any]:
    """The receipt; for a tenant the receipts of its bots; with ``dry_run`` what would go.

    Raises:
        UserError: when the options make no sense, a receipt is wrong, or something must be done first.
    """
    home = Home.from_environment()
    if check is not None:
        return _checked(home, check, subject)
    if not subject or not subject.strip():
        raise UserError("say who is to be forgotten: --subject USER_ID")
    if (key is None) == (tenant is None):
        raise UserError("name one bot (KEY) or all bots of a tenant (--tenant)")
    keys = [key] if key else [one for one in bot_keys(home.bots) if tenant and owns(tenant, one)]
    if not keys:
        raise UserError(f"there is no bot of tenant {tenant!r}")
    bots = [load_bot(home.bots, one) for one in keys]
    done = [_one(home, bot, subject.strip(), dry_run, reason, actor or getpass.getuser(), say) for bot in bots]
    if key:
        return done[0]
    return {"tenant": tenant, "bots": done, "complete": all(one["complete"] for one in done)}


def _one(home: Home, bot: Bot, subject: str, dry_run: bool, reason: str, actor: str, say: Say) -> dict[str, Any]:
    from chatbot_assets.auditing import note_events
    from chatbot_assets.erasing.erasure import ErasureError, erase, preview
    from chatbot_assets.erasing.sources import JournalError
    from resources.lakehouse import ConflictError

    try:
        if dry_run:
            return {"bot": bot.key, "dry_run": True, **preview(home, bot, subject), "complete": True}
        # What the tables tell of decisions and deployments is noted before rows of theirs leave.
        log = note_events(home, bot.tenant, bot.key.partition(".")[2])
        log.add(Act("erasure_begun", actor, "command", bot=bot.key))
        receipt = erase(
            home,
            bot,
            subject,
            actor=actor,
            reason=reason,
            refresh=lambda: _refresh(home, bot),
            say=lambda line: say(f"{bot.key}: {line}"),
        )
        outcome = "done" if receipt["complete"] else "incomplete"
        details = {name: receipt["found"][name] for name in ("landed_rows", "served_turns", "models")}
        about = Path(receipt["file"]).name
        log.add(Act("erased", actor, "command", bot=bot.key, about=about, outcome=outcome, details=details))
        return receipt
    except UserError as error:
        raise UserError(f"{error}; mend that and give the command again: what was begun is finished then") from None
    except (ErasureError, JournalError, ConflictError) as error:
        raise UserError(str(error)) from None


def _refresh(home: Home, bot: Bot) -> None:
    """Refreshes all of a bot; of one whose deployments are imported, and that has no data here, what can be."""
    from chatbot_assets.automation import bot_state
    from chatbot_assets.commands.refresh import run as refresh
    from chatbot_assets.tables import REVIEW_QUEUE
    from resources.lakehouse import Lake

    imported = bot_state(home, Lake(home.lake), bot, settle=0.0).obstacle == "imported"
    refresh(bot.key, **{"select": REVIEW_QUEUE.name} if imported else {})


def _checked(home: Home, path: Path, subject: str | None) -> dict[str, Any]:
    from chatbot_assets.erasing.receipt import ReceiptError, check

    try:
        receipt = check(home.root, path, subject)
    except ReceiptError as error:
        raise UserError(str(error)) from None
    return {**receipt, "checked": True}


def describe(report: dict[str, Any]) -> str:
    if "bots" in report:
        return "\n".join(describe(one) for one in report["bots"])
    found = report if report.get("dry_run") else report["found"]
    what = (
        f"{found['landed_rows']:,} landed rows, {found['rejected_rows']:,} rejected rows, {found['served_turns']:,} "
        f"served turns, {found['utterances']:,} utterances, {found['models']:,} models, "
        f"{found['landing_lines']:,} lines of {found['landing_files']:,} landing files"
    )
    tables = [
        f"  {name}: {count['rows']:,} rows in {count['files']:,} files" for name, count in found["tables"].items()
    ]
    if report.get("dry_run"):
        live = found["live_model_learnt_from_them"]
        more = ["  the live model learnt from them: another one will be trained"] if live else []
        return "\n".join([f"{report['bot']}: would go: {what}", *tables, *more])
    searched = report["search"]
    left, staff = searched["found_in"], searched.get("accounts_and_audit")
    bytes_read = f"{searched['bytes']:,} bytes of {searched['files']:,} files were searched"
    lines = [
        f"{report['bot']}: {'erased' if report['complete'] else 'NOT complete'} on {report['at'][:19]}Z: {what}",
        *tables,
        f"  {bytes_read} for {searched['markers']:,} markers: {'nothing was found' if not left else 'found in'}",
        *(f"    {place}" for place in left),
        *(f"  the same identifier is in {bot}: ./chatbot erase {bot} --subject …" for bot in searched["other_bots"]),
        *([f"  accounts or the audit log name them too: {', '.join(staff)}"] if staff else []),
        f"  live: deployment {report['retrained']['live_deployment']}",
        f"  signature {report['signature'][:16]}…" + (" is right" if report.get("checked") else ""),
    ]
    if "file" in report:
        lines.append(f"  receipt: {report['file']} (check it with: ./chatbot erase --check FILE)")
    return "\n".join(lines)
