"""The ``chatbot`` command: declares commands and options; what they do stands in ``chatbot_assets/commands``.

Reports go to standard output (exactly one JSON object with ``--json``), progress and logs to standard error.
"""

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chatbot_assets.commands import UserError

Report = dict[str, Any]
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

Command = Callable[..., None]

GARBAGE = 100_000
"""New objects until garbage is looked for (700 by default): of the thousands that imports make, none is garbage."""


def column_options(command: Command) -> Command:
    """``--text``, ``--intent`` and ``--answer``: which column holds what."""
    for field in ("answer", "intent", "text"):
        command = click.option(f"--{field}", default=None, help=f"The column that holds the {field}.")(command)
    return command


def _show(report: Report, as_json: bool, text: Callable[[Report], str]) -> None:
    click.echo(json.dumps(report, ensure_ascii=False, default=str) if as_json else text(report))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A data platform for chatbots: Dagster assets over versioned Delta tables."""


@main.command()
@click.option("--port", default=8080, show_default=True, help="Port of the chat service.")
@click.option("--dagster-port", default=3000, show_default=True, help="Port of Dagster's UI.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes that answer.")
@click.option("--demo/--no-demo", default=True, show_default=True, help="Land the demo data on first start.")
def up(port: int, dagster_port: int, workers: int, demo: bool) -> None:
    """Start everything: Dagster with its sensor, and the chat service. Ctrl-C stops it."""
    from chatbot_assets.commands.up import run

    run(port=port, dagster_port=dagster_port, workers=workers, demo=demo)


@main.command("init-bot")
@click.argument("key")
@click.option("--language", required=True, help="The bot's language.")
@click.option("--source", required=True, type=click.Path(path_type=Path), help="A file that the bot is to learn from.")
@column_options
@JSON_OPTION
def init_bot(key: str, language: str, source: Path, as_json: bool, **columns: str | None) -> None:
    """Write the YAML of a new bot KEY after looking at a file."""
    from chatbot_assets.commands.init_bot import describe, run

    _show(run(key, language=language, source=source, columns=columns), as_json, describe)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--language", default=None, help="The language, where the guess is wrong.")
@column_options
@JSON_OPTION
def inspect(files: tuple[Path, ...], language: str | None, as_json: bool, **columns: str | None) -> None:
    """Can the data in FILES be analysed, can it be served?"""
    from chatbot_assets.commands.inspect import describe, run

    _show(run(files, language=language, columns=columns), as_json, describe)


@main.command()
@click.argument("key")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON_OPTION
def land(key: str, files: tuple[Path, ...], as_json: bool) -> None:
    """Check FILES and copy them into the landing folder of bot KEY."""
    from chatbot_assets.commands.land import describe, run

    _show(run(key, files), as_json, describe)


@main.command()
@click.argument("key")
@click.argument("file")
@click.option("--reason", default="landed by mistake", show_default=True, help="Why, for the record.")
@click.option("--actor", default=None, help="Who says so; your login name by default.")
@JSON_OPTION
def withdraw(key: str, file: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Take the rows of landing FILE out of bot KEY again, as a recorded change."""
    from chatbot_assets.commands.withdraw import describe, run

    _show(run(key, file, reason=reason, actor=actor), as_json, describe)


@main.command()
@click.argument("key", required=False)
@click.option("--subject", default=None, metavar="USER_ID", help="The person, as rows and turns name them.")
@click.option("--tenant", default=None, help="Erase from all bots of this tenant, not from one KEY.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--check", type=click.Path(path_type=Path), default=None, help="Check this receipt; erase nothing.")
@click.option("--reason", default="asked for by the person", show_default=True, help="Why, for the record.")
@click.option("--actor", default=None, help="Who says so; your login name by default.")
@JSON_OPTION
def erase(key: str | None, as_json: bool, **options: Any) -> None:
    """Forget a person: remove them from every table and version of bot KEY, and print the receipt."""
    from chatbot_assets.commands.erase import describe, run

    report = run(key, say=lambda line: click.echo(line, err=True), **options)
    _show(report, as_json, describe)
    if not report["complete"]:
        sys.exit(1)


@main.command()
@click.argument("key")
@click.argument("table")
@click.option("--format", "form", default="csv", show_default=True, help="csv or jsonl.")
@click.option("--from", "since", default=None, help="Rows of this time and later (ISO 8601; UTC without a zone).")
@click.option("--to", "until", default=None, help="Rows before this time.")
@click.option("--output", default=None, type=click.Path(path_type=Path), help="The file; by default KEY.TABLE.FORMAT.")
@click.option("--actor", default=None, help="Who exports; your login name by default.")
@JSON_OPTION
def export(key: str, table: str, as_json: bool, **options: Any) -> None:
    """Write TABLE of bot KEY into a file: CSV that no spreadsheet takes for formulas, or JSON Lines."""
    from chatbot_assets.commands.export import describe, run

    _show(run(key, table, **options), as_json, describe)


@main.command()
@click.argument("key")
@click.option("--select", default=None, help="Only these assets (names with commas).")
@click.option("--engine", default=None, help="Engine instead of the one in the bot's YAML.")
@JSON_OPTION
def refresh(key: str, select: str | None, engine: str | None, as_json: bool) -> None:
    """Bring bot KEY up to date, in this process."""
    from chatbot_assets.commands.refresh import describe, run

    _show(run(key, select=select, engine=engine), as_json, describe)


@main.command()
@click.argument("key")
@click.argument("text")
@JSON_OPTION
def ask(key: str, text: str, as_json: bool) -> None:
    """Ask the deployed bot KEY one question."""
    from chatbot_assets.commands.ask import describe, run

    _show(run(key, text), as_json, describe)


@main.command("eval")
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path))
@JSON_OPTION
def evaluate(key: str, file: Path, as_json: bool) -> None:
    """Score the deployed bot KEY on a labelled JSON Lines FILE."""
    from chatbot_assets.commands.evaluate import describe, run

    _show(run(key, file), as_json, describe)


@main.command()
@click.argument("key", required=False)
@JSON_OPTION
def status(key: str | None, as_json: bool) -> None:
    """Every bot (or bot KEY): what is deployed, how good, how fresh, what is behind or blocked."""
    from chatbot_assets.commands.status import describe, run

    _show(run(key), as_json, describe)


@main.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--answers", is_flag=True, help="Also ask the live deployments of this home their golden dialogues.")
@JSON_OPTION
def check(keys: tuple[str, ...], answers: bool, as_json: bool) -> None:
    """Look for mistakes in the bot files and golden dialogues (of bots KEY, or all); exit status 1 if there are any."""
    from chatbot_assets.commands.check import describe, run

    report = run(keys, answers=answers)
    _show(report, as_json, describe)
    if not report["ok"]:
        sys.exit(1)


@main.command()
@JSON_OPTION
def reconcile(as_json: bool) -> None:
    """Tell Dagster what the lake holds, after its storage was lost; computes nothing."""
    from chatbot_assets.commands.reconcile import describe, run

    _show(run(), as_json, describe)


@main.command("accept-code")
@click.argument("key")
@click.option("--reason", required=True, help="Why the results are the same.")
@click.option("--actor", default=None, help="Who says so; your login name by default.")
@JSON_OPTION
def accept_code(key: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Record that the present code gives bot KEY the results it already has, so that nothing is recomputed."""
    from chatbot_assets.commands.accept_code import describe, run

    _show(run(key, reason=reason, actor=actor), as_json, describe)


@main.command()
@click.argument("key")
@click.option("--to", default=None, metavar="ID", help="A verified deployment; by default the one tried or waiting.")
@click.option("--canary", is_flag=True, help="Try it on a share of the sessions first (deploy.canary).")
@click.option("--reason", default="promoted by hand", show_default=True, help="Why, for the record.")
@click.option("--actor", default=None, help="Who says so; your login name by default.")
@JSON_OPTION
def promote(key: str, to: str | None, canary: bool, reason: str, actor: str | None, as_json: bool) -> None:
    """Put the deployment of bot KEY live that is tried as a canary or shadow, or that waits."""
    from chatbot_assets.commands.promote import describe, run

    _show(run(key, reason=reason, actor=actor, canary=canary, to=to), as_json, describe)


@main.command("import-deployment")
@click.argument("key")
@click.option("--from", "source", required=True, type=click.Path(path_type=Path), help="The other home's folder.")
@click.option("--deployment", default=None, help="Its id, or the beginning of it; by default what is live there.")
@click.option("--reason", default=None, help="Why, for the record.")
@click.option("--actor", default=None, help="Who says so; your login name by default.")
@JSON_OPTION
def import_deployment(
    key: str, source: Path, deployment: str | None, reason: str | None, actor: str | None, as_json: bool
) -> None:
    """Bring a deployment of bot KEY from another home, verify it here, and let it go live by this home's policy."""
    from chatbot_assets.commands.import_deployment import describe, run

    report = run(key, source, deployment=deployment, reason=reason, actor=actor)
    _show(report, as_json, describe)
    if report["event"] == "rejected":
        sys.exit(1)


@main.command()
@click.argument("key")
@click.option("--to", default=None, help="The deployment to go back to (its id or the beginning of it).")
@click.option("--reason", default="rolled back by hand", show_default=True, help="Why, for the record.")
@click.option("--actor", default=None, help="Who says so; your login name by default.")
@JSON_OPTION
def rollback(key: str, to: str | None, reason: str, actor: str | None, as_json: bool) -> None:
    """Take back the live deployment of bot KEY and put the one before it live, or another one that was."""
    from chatbot_assets.commands.rollback import describe, run

    _show(run(key, to=to, reason=reason, actor=actor), as_json, describe)


@main.command()
@click.argument("key")
@JSON_OPTION
def verify(key: str, as_json: bool) -> None:
    """Does what answers for bot KEY agree with the record? Asks the running service; exit status 1 when not."""
    from chatbot_assets.commands.verify import describe, run

    report = run(key)
    _show(report, as_json, describe)
    if not report["agrees"]:
        sys.exit(1)


@main.command()
@click.argument("key")
@JSON_OPTION
def versions(key: str, as_json: bool) -> None:
    """Every deployment of bot KEY: what happened to it, when, by whom and why, and which one is live."""
    from chatbot_assets.commands.versions import describe, run

    _show(run(key), as_json, describe)


@main.command()
@click.argument("key")
@click.argument("turn_id")
@click.option("--language", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="What it speaks.")
@JSON_OPTION
def explain(key: str, turn_id: str, language: str, as_json: bool) -> None:
    """Why bot KEY answered turn TURN_ID as it did: the evidence, where it came from, and what was deployed."""
    from chatbot_assets.commands.explain import describe, run

    _show(run(key, turn_id, language), as_json, lambda report: describe(report, language))


@main.command()
@click.argument("key")
@click.option("--model", default=None, metavar="ID", help="The model; that of the live deployment by default.")
@JSON_OPTION
def rebuild(key: str, model: str | None, as_json: bool) -> None:
    """Train a recorded model of bot KEY again, and compare its files with the recorded ones bit for bit."""
    from chatbot_assets.commands.rebuild import describe, run

    report = run(key, model=model, warn=lambda line: click.echo(line, err=True))
    _show(report, as_json, describe)
    if not report["equal"]:
        sys.exit(1)


@main.command()
@click.argument("key")
@click.argument("turn_ids", nargs=-1, required=True, metavar="TURN_ID...")
@click.option("--action", default="modify", show_default=True, help="modify, hold or exclude.")
@click.option("--intent", default=None, help="The right intent.")
@click.option("--answer", default=None, help="The right answer.")
@click.option("--reviewer", default=None, help="Who decides; your login name by default.")
@click.option("--reason", default=None, help="Why, for the record.")
@click.option("--new-intent", is_flag=True, help="The intent is one that the bot does not have yet.")
@click.option("--again", is_flag=True, help="Decide anew on a turn that was decided on before.")
@JSON_OPTION
def decide(key: str, turn_ids: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Decide on turns of bot KEY: give the right intent or answer, put them off, or leave them out."""
    from chatbot_assets.commands.decide import describe, run

    _show(run(key, turn_ids, **options), as_json, describe)


@main.group()
def people() -> None:
    """Who has an account at a tenant, and what they may do: add, list, role, reset, reset-second-factor, remove."""


@people.command("add")
@click.argument("tenant")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="A role; may be given several times.")
@JSON_OPTION
def people_add(tenant: str, name: str, roles: tuple[str, ...], as_json: bool) -> None:
    """Make the account NAME, and a link that sets its password once."""
    from chatbot_assets.commands import people as command

    _show(command.add(tenant, name, roles), as_json, command.describe)


@people.command("list")
@click.argument("tenant")
@JSON_OPTION
def people_list(tenant: str, as_json: bool) -> None:
    """The accounts of TENANT."""
    from chatbot_assets.commands import people as command

    _show(command.listed(tenant), as_json, command.describe)


@people.command("role")
@click.argument("tenant")
@click.argument("name")
@click.argument("roles", nargs=-1, required=True, metavar="ROLE...")
@JSON_OPTION
def people_role(tenant: str, name: str, roles: tuple[str, ...], as_json: bool) -> None:
    """Give the account NAME these roles instead of its own; counts at once."""
    from chatbot_assets.commands import people as command

    _show(command.set_roles(tenant, name, roles), as_json, command.describe)


@people.command("reset")
@click.argument("tenant")
@click.argument("name")
@JSON_OPTION
def people_reset(tenant: str, name: str, as_json: bool) -> None:
    """Take the password of NAME away, end the sessions, and make a link that sets another one."""
    from chatbot_assets.commands import people as command

    _show(command.reset(tenant, name), as_json, command.describe)


@people.command("reset-second-factor")
@click.argument("tenant")
@click.argument("name")
@JSON_OPTION
def people_reset_second_factor(tenant: str, name: str, as_json: bool) -> None:
    """Take the second factor of NAME away, who has lost it, and end the sessions."""
    from chatbot_assets.commands import people as command

    _show(command.reset_second_factor(tenant, name), as_json, command.describe)


@people.command("remove")
@click.argument("tenant")
@click.argument("name")
@JSON_OPTION
def people_remove(tenant: str, name: str, as_json: bool) -> None:
    """Remove the account NAME and end its sessions."""
    from chatbot_assets.commands import people as command

    _show(command.remove(tenant, name), as_json, command.describe)


@main.group()
def tokens() -> None:
    """API tokens of a tenant, for machines: add, list, revoke."""


@tokens.command("add")
@click.argument("tenant")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="chat, feedback, read, review or admin; several.")
@click.option("--days", default=365, show_default=True, help="How long it can be used.")
@JSON_OPTION
def tokens_add(tenant: str, name: str, scopes: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make the token NAME and show it, this once."""
    from chatbot_assets.commands import tokens as command

    _show(command.add(tenant, name, scopes, days), as_json, command.describe)


@tokens.command("list")
@click.argument("tenant")
@JSON_OPTION
def tokens_list(tenant: str, as_json: bool) -> None:
    """The tokens of TENANT: what they may do, until when, and when they were used last."""
    from chatbot_assets.commands import tokens as command

    _show(command.listed(tenant), as_json, command.describe)


@tokens.command("revoke")
@click.argument("tenant")
@click.argument("name")
@JSON_OPTION
def tokens_revoke(tenant: str, name: str, as_json: bool) -> None:
    """End the token NAME at once."""
    from chatbot_assets.commands import tokens as command

    _show(command.revoke(tenant, name), as_json, command.describe)


@main.command()
@click.argument("tenant")
@click.option("--expect", default=None, metavar="HASH", help="A last hash that was kept: it must be in the record.")
@JSON_OPTION
def audit(tenant: str, expect: str | None, as_json: bool) -> None:
    """Who did what at TENANT, and whether the record is whole; exit status 1 when not."""
    from chatbot_assets.commands.audit import describe, run

    report = run(tenant, expect=expect)
    _show(report, as_json, describe)
    if not report["whole"]:
        sys.exit(1)


@main.command()
@click.argument("engine", type=click.Choice(["local"]))
@click.option(
    "--repository", default=None, envvar="CHATBOT_MAVEN_REPOSITORY", help="URL of a mirror to use, not Maven Central."
)
@JSON_OPTION
def setup(engine: str, repository: str | None, as_json: bool) -> None:
    """Fetch what ENGINE needs beside the virtual environment (local: two jars, and Java must be there)."""
    from chatbot_assets.commands.setup import describe, run

    _show(run(engine, repository=repository), as_json, describe)


@main.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--with-tokens", is_flag=True, help="Also copy tokens.json and people.sqlite, which hold secrets.")
@JSON_OPTION
def backup(target: Path, with_tokens: bool, as_json: bool) -> None:
    """Copy the home and the bot files into the archive TARGET (.tar.zst or .tar.gz), also while all runs."""
    from chatbot_assets.commands.backup import describe, run

    _show(run(target, with_tokens=with_tokens), as_json, describe)


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@JSON_OPTION
def restore(source: Path, as_json: bool) -> None:
    """Bring the archive SOURCE back into an empty home, whole or not at all."""
    from chatbot_assets.commands.restore import describe, run

    _show(run(source), as_json, describe)


@main.command()
@JSON_OPTION
def doctor(as_json: bool) -> None:
    """What this machine has and lacks, and what to do about it."""
    from chatbot_assets.commands.doctor import describe, run

    report = run()
    _show(report, as_json, describe)
    if not report["ok"]:
        sys.exit(1)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(name: str, arguments: tuple[str, ...]) -> None:
    """Run benchmark NAME of bench/; it prints one JSON object."""
    from chatbot_assets.commands.bench import run

    sys.exit(run(name, arguments))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run the test suite; ARGUMENTS go to pytest."""
    from chatbot_assets.commands.test import run

    sys.exit(run(arguments))


def entry_point() -> None:
    """Runs a command; a user's mistake is one line on standard error and exit status 2."""
    gc.set_threshold(GARBAGE)
    try:
        main(prog_name="chatbot", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (UserError, click.Abort) as error:
        click.echo(f"chatbot: {error or 'stopped'}", err=True)
        sys.exit(2)
    except (ValueError, RuntimeError, OSError) as error:
        from chatbot_assets.bot_key import BotError
        from chatbot_assets.train.manifest import ModelFormatError
        from resources.lakehouse import LakeError

        if not isinstance(error, BotError | LakeError | ModelFormatError):
            raise
        click.echo(f"chatbot: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    entry_point()
