"""``explain``: why a bot answered a served turn as it did, in plain words first."""

from typing import Any

from chatbot_assets.bot import check_key
from chatbot_assets.commands import UserError
from chatbot_assets.explain.explanation import explain_turn, find_turn
from chatbot_assets.explain.words import moment, origin_in_words
from resources.environment import Home
from resources.lakehouse import Lake


def run(key: str, turn_id: str) -> dict[str, Any]:
    """The explanation of one turn.

    Raises:
        UserError: when the bot served no such turn.
    """
    home = Home.from_environment()
    lake = Lake(home.lake)
    turn = find_turn(lake, check_key(key), turn_id)
    if turn is None:
        raise UserError(f"{key} served no turn {turn_id!r}; the replies of the chat API and review_queue name turns")
    return explain_turn(lake, home.cache, key, turn)


def describe(report: dict[str, Any]) -> str:
    evidence, deployment = report["evidence"], report["deployment"]
    lines = [*report["summary"], "", f"Turn {report['turn']['turn_id']} of session {report['turn']['session_id']}"]
    lines += [f"  considered {c['intent'] or c['text']} ({c['score']:.3f})" for c in evidence["candidates"]]
    weighing = evidence["weighing"]
    if weighing:
        lines += ["", f"Margin of {weighing['intent']}: {weighing['margin']:+.3f}"]
        if weighing["next_intent"]:
            lines[-1] += f" (next: {weighing['next_intent']}, {weighing['next_margin']:+.3f})"
        lines += [f"  {name:<10} {added:+.3f}" for name, added in (weighing["parts"] or {}).items()]
        lines += [f"  {one['weight']:+.3f}     “{one['ngram']}” ({one['kind']})" for one in weighing["ngrams"]]
    if evidence["rows"]:
        lines += ["", "What it was taught"]
    for row in evidence["rows"]:
        lines += _row(row)
    lines += ["", f"Deployment {deployment['deployment_id']}, model {deployment['model_id']}"]
    lines += [
        f"  {moment(event['at'])}  {event['event']:<10} by {event['actor']}: {event['reason']}"
        for event in deployment["events"]
    ]
    lines += [f"  configuration {deployment['config_hash']}, code {deployment['code_revision']}", "", "Versions"]
    for name, made in report["versions"].items():
        sources = ", ".join(f"{source} {version}" for source, version in made["made_from"].items())
        rows = f"{made['rows']:>9,} rows" if made["rows"] is not None else ""
        lines.append(
            f"  {name:<22} version {made['version']:<5} data {made['data_version'][:12]:<12} {rows}"
            f"  code {made['code_version'] or '-'}{f'  of {sources}' if sources else ''}"
        )
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> list[str]:
    mark = "; its answer was given" if row["gave_the_answer"] else ""
    lines = [f"  {row['similarity']:.3f} “{row['text']}”{mark}"]
    if row["kind"] == "paraphrase":
        parent = row["parent"]
        lines.append(
            f"        made by rule {row['rule']} of “{parent['text']}”" if parent else f"        {row['rule']}"
        )
        return lines + [f"    {line}" for line in _origins(parent)] if parent else lines
    return [*lines, *_origins(row)]


def _origins(row: dict[str, Any]) -> list[str]:
    lines = [f"        from {origin_in_words(origin)}" for origin in row["origins"]]
    more = row["turns"] - len(row["origins"])
    lines += [f"        and {more} more turns that say the same"] if more else []
    verdict = row["verdict"]
    if verdict:
        quality = f", quality {verdict['quality']:.2f}" if verdict["quality"] is not None else ""
        other = f", rather {verdict['suggested_intent']}" if verdict["suggested_intent"] else ""
        lines.append(f"        label: {verdict['verdict']}{quality}{other}")
    return lines
