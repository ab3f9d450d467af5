"""``explain``: why a bot answered a served turn as it did, in plain words first."""

import json
from typing import Any

from chatbot_assets.commands import UserError
from chatbot_assets.explain.words import SPOKEN, Words, moment
from resources.environment import Home
from serving.address import announced_address
from serving.tokens import TOKENS_FILE, load_tokens

SERVICE_SECONDS = 10.0
"""How long the service may take before the command looks for itself."""


def run(key: str, turn_id: str, language: str = SPOKEN[0]) -> dict[str, Any]:
    """The explanation of one turn: by the running service, whose models are loaded, or else from the lake alone.

    Raises:
        UserError: when the bot served no such turn.
    """
    home = Home.from_environment()
    return _from_service(home, key, turn_id, language) or _from_lake(home, key, turn_id, language)


def _from_service(home: Home, key: str, turn_id: str, language: str) -> dict[str, Any] | None:
    """What the service says; None when none runs, or it does not know the turn."""
    address = announced_address(home)
    token = load_tokens(home.root / TOKENS_FILE).get(key.partition(".")[0])
    if address is None or token is None:
        return None
    import urllib.request
    from urllib.parse import quote

    headers = {"Authorization": f"Bearer {token}", "Accept-Language": language}
    route = f"/v1/bots/{quote(key, safe='')}/turns/{quote(turn_id, safe='')}/explain"
    request = urllib.request.Request(address + route, headers=headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=SERVICE_SECONDS) as response:
            found: dict[str, Any] = json.load(response)
    except (OSError, ValueError):
        return None
    return found


def _from_lake(home: Home, key: str, turn_id: str, language: str) -> dict[str, Any]:
    from chatbot_assets.bot_key import check_key
    from chatbot_assets.explain.explanation import explain_turn, find_turn
    from resources.lakehouse import Lake

    lake = Lake(home.lake)
    turn = find_turn(lake, check_key(key), turn_id)
    if turn is None:
        raise UserError(f"{key} served no turn {turn_id!r}; the replies of the chat API and review_queue name turns")
    return explain_turn(lake, home.cache, key, turn, Words(language))


def describe(report: dict[str, Any], language: str = SPOKEN[0]) -> str:
    """The explanation as text."""
    words = Words(language)
    say = words.say
    evidence, deployment, turn = report["evidence"], report["deployment"], report["turn"]
    lines = [*report["summary"], "", say("turn", turn=turn["turn_id"], session=turn["session_id"])]
    lines += [
        "  " + say("considered", candidate=c["intent"] or c["text"], score=f"{c['score']:.3f}")
        for c in evidence["candidates"]
    ]
    weighing = evidence["weighing"]
    if weighing:
        margins = {"intent": weighing["intent"], "margin": f"{weighing['margin']:+.3f}"}
        if weighing["next_intent"]:
            margins |= {"next": weighing["next_intent"], "next_margin": f"{weighing['next_margin']:+.3f}"}
        lines += ["", say("margin_next" if "next" in margins else "margin", **margins)]
        lines += [f"  {say(f'part_{name}'):<10} {added:+.3f}" for name, added in (weighing["parts"] or {}).items()]
        lines += [
            f"  {one['weight']:+.3f}     “{one['ngram']}” ({say('ngram_' + one['kind'])})" for one in weighing["ngrams"]
        ]
    if evidence["rows"]:
        lines += ["", say("taught")]
    for row in evidence["rows"]:
        lines += _row(row, words)
    lines += ["", say("deployment", deployment=deployment["deployment_id"], model=deployment["model_id"])]
    for event in deployment["events"]:
        by = say("by", actor=event["actor"], reason=event["reason"])
        lines.append(f"  {moment(event['at'])}  {say('event_' + event['event']):<11} {by}")
    made_with = say("made_with", config=deployment["config_hash"], code=deployment["code_revision"])
    lines += [f"  {made_with}", "", say("versions")]
    lines += [_version(name, made, words) for name, made in report["versions"].items()]
    return "\n".join(lines)


def _version(name: str, made: dict[str, Any], words: Words) -> str:
    rows = words.say("rows", count=made["rows"], rows=f"{made['rows']:>9,}") if made["rows"] is not None else ""
    version, data = words.say("version", version=f"{made['version']:<5}"), made["data_version"][:12]
    line = f"  {name:<22} {version} {words.say('data', data=f'{data:<12}')} {rows}"
    line += f"  {words.say('code', code=made['code_version'] or '-')}"
    sources = ", ".join(f"{source} {version}" for source, version in made["made_from"].items())
    return f"{line}  {words.say('of', sources=sources)}" if sources else line


def _row(row: dict[str, Any], words: Words) -> list[str]:
    mark = f"; {words.say('gave_the_answer')}" if row["gave_the_answer"] else ""
    lines = [f"  {row['similarity']:.3f} “{row['text']}”{mark}"]
    if row["kind"] != "paraphrase":
        return [*lines, *_origins(row, words)]
    parent = row["parent"]
    if not parent:
        return [*lines, f"        {words.say('by_rule_alone', rule=row['rule'])}"]
    lines.append(f"        {words.say('by_rule', rule=row['rule'], text=parent['text'])}")
    return lines + [f"    {line}" for line in _origins(parent, words)]


def _origins(row: dict[str, Any], words: Words) -> list[str]:
    said = [words.say("from", origin=words.origin(origin)) for origin in row["origins"]]
    more = row["turns"] - len(row["origins"])
    said += [words.say("more_turns", count=more)] if more else []
    said += [words.label(row["verdict"])] if row["verdict"] else []
    return [f"        {line}" for line in said]
