"""``check``: looks through bot files and golden dialogues, as a pull request's test; needs neither lake nor Dagster."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatbot_assets.bot import bot_keys, bot_mistakes, golden_file
from chatbot_assets.bot_key import KEY_RULE, check_key
from chatbot_assets.code_version import one_look
from chatbot_assets.golden import SUFFIX, read_golden
from resources.environment import Home

if TYPE_CHECKING:
    from chatbot_assets.golden import GoldenDialogue


def run(keys: Sequence[str] = (), *, answers: bool = False) -> dict[str, Any]:
    """Every mistake in the files of some bots, or of all: one line each; ``ok`` is False when there is one.

    With ``answers`` the live deployments of this home are asked their bots' golden dialogues, too.
    """
    home = Home.from_environment()
    chosen = [check_key(key) for key in keys] or bot_keys(home.bots)
    with one_look():
        problems = [problem for key in chosen for problem in bot_mistakes(home.bots, key)]
    if not keys:
        problems += _stray_files(home.bots)
        if not chosen and not problems:
            problems.append(f"{home.bots}: holds no bot; write <tenant>/<name>.yaml with 'language: en'")
    golden = {key: read_golden(golden_file(home.bots, key))[0] for key in chosen}
    report: dict[str, Any] = {
        "ok": not problems,
        "bots": chosen,
        "golden": {key: len(dialogues) for key, dialogues in golden.items()},
        "problems": problems,
    }
    if answers:
        report["answers"] = [_ask(home, key, dialogues) for key, dialogues in golden.items()]
        report["ok"] &= not any(asked["failed"] for asked in report["answers"])
    return report


def describe(report: dict[str, Any]) -> str:
    dialogues = sum(report["golden"].values())
    asked = report.get("answers", [])
    lines = [*report["problems"]]
    for bot in asked:
        if bot["deployment_id"] is None:
            lines.append(f"{bot['bot']}: not asked: {bot['reason']}")
            continue
        lines.append(f"{bot['bot']}: {bot['as_wanted']} of {bot['rows']} golden dialogues answered as wanted")
        lines += [f"{bot['bot']}: {row['text']!r} is {row['wanted']}, answered {row['given']}" for row in bot["failed"]]
    found = f"{len(report['bots'])} bots and {dialogues} golden dialogues looked at"
    return "\n".join([*lines, f"{found}: {len(report['problems']) or 'no'} mistakes"])


def _stray_files(bots: Path) -> Iterator[str]:
    """Files among those of the bots that belong to none."""
    known = set(bot_keys(bots))
    for path in sorted(bots.glob("*/*")):
        name = path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else path.stem
        key = f"{path.parent.name}.{name}"
        if path.suffix in (".yaml", ".yml") and key not in known:
            yield f"{path}: is no bot: it must be named {KEY_RULE.replace('.', '/', 1)}, and end with .yaml"
        elif path.name.endswith(SUFFIX) and key not in known:
            yield f"{path}: there is no bot {key}; rename it, or write {path.with_name(name + '.yaml')}"
        elif "golden" in path.name and not path.name.endswith(SUFFIX):
            yield f"{path}: is read by nobody; golden dialogues are named <name>{SUFFIX}"


def _ask(home: Home, key: str, dialogues: "Sequence[GoldenDialogue]") -> dict[str, Any]:
    """What a bot's live deployment makes of its golden dialogues."""
    from chatbot_assets.validate.golden_gate import as_wanted, given
    from serving.bots import load_live

    live = load_live(home, key) if dialogues else None
    if live is None:
        reason = "no live deployment here" if dialogues else f"no golden dialogues ({golden_file(home.bots, key)})"
        return {"bot": key, "deployment_id": None, "reason": reason, "rows": len(dialogues), "failed": []}
    replies = live.responder.respond([dialogue.text for dialogue in dialogues])
    failed = [
        {"text": dialogue.text, "wanted": dialogue.wanted, "given": given(dialogue, reply), "note": dialogue.note}
        for dialogue, reply in zip(dialogues, replies, strict=True)
        if not as_wanted(dialogue, reply)
    ]
    return {
        "bot": key,
        "deployment_id": live.deployment.deployment_id,
        "rows": len(dialogues),
        "as_wanted": len(dialogues) - len(failed),
        "failed": failed,
    }
