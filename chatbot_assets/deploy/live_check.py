"""Compares what answers for a bot with the record: asks the running service, or loads as it would without one."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from chatbot_assets.bot import config_hash
from chatbot_assets.deploy.agreement import Answer, answers, difference, median_ms, tolerance_of
from chatbot_assets.deploy.life import end_trial, take_back
from chatbot_assets.deploy.record import Deployment, history, live_deployment, recorded_sample
from resources.environment import Home
from resources.lakehouse import ConflictError, Lake
from serving.address import announced_address
from serving.tokens import TOKENS_FILE, load_tokens

SWAP_SECONDS = 3.0
"""A service that answers with another deployment is asked again for so long: it may be about to take this one."""
TIMEOUT_SECONDS = 30.0
SLOW_FACTOR, SLOW_MS = 5.0, 50.0
"""Slower than was measured is only what takes so many times as long, and more than so many milliseconds."""


class NotVerifiableError(RuntimeError):
    """Nothing can be compared; its text is one line that says why."""


@dataclass(frozen=True)
class Found:
    """What answers: its identity and its answers to the sample."""

    deployment_id: str
    config_hash: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Verified:
    """What was compared, and what differs, in words."""

    bot: str
    agrees: bool
    asked: str
    deployment_id: str
    config_hash: str
    turns: int
    p50_ms: float | None
    recorded_p50_ms: float | None
    differences: tuple[str, ...]
    answers_wrongly: bool


def verify_live(home: Home, key: str) -> Verified:
    """Compares what answers for a bot with the record of its live deployment.

    Raises:
        NotVerifiableError: when the bot has no live deployment, or the service refuses to say what it answers.
    """
    live = live_deployment(Lake(home.lake).table(key, "deployments"))
    if live is None:
        raise NotVerifiableError(f"{key} has no live deployment; run: ./chatbot refresh {key}")
    return _verify(home, key, live, is_trial=False)


def verify_trial(home: Home, key: str) -> Verified | None:
    """As :func:`verify_live`, for the canary or the shadow of a bot; None when none is tried."""
    trial = history(Lake(home.lake).table(key, "deployments")).trial
    return _verify(home, key, trial.deployment, is_trial=True) if trial else None


def _verify(home: Home, key: str, live: Deployment, *, is_trial: bool) -> Verified:
    """Compares what answers with the record of a deployment that is live, or tried beside the live one."""
    sample = recorded_sample(Lake(home.lake).table(key, "evaluations"), live)
    texts = [row["text"] for row in sample]
    address = announced_address(home)
    found = _ask(home, address, key, live, texts, is_trial) if address else None
    where = f"the service at {address}" if found else "a model loaded by this command; no service runs"
    found = found or _load(home, key, live, texts)
    p50, recorded = median_ms(found.answers), live.metrics.get("p50_ms")
    strange = _strange(live, found, "tried" if is_trial else "live")
    wrong = [] if strange else _wrong_answers(live, sample, found)
    differences = [strange] if strange else wrong[:]
    if p50 and recorded and p50 > max(SLOW_FACTOR * recorded, SLOW_MS):
        differences.append(f"a turn takes {p50:.1f} ms, but {recorded:.1f} ms were measured")
    return Verified(
        bot=key,
        agrees=not differences,
        asked=where,
        deployment_id=found.deployment_id,
        config_hash=found.config_hash,
        turns=len(sample),
        p50_ms=round(p50, 3) if p50 is not None else None,
        recorded_p50_ms=round(recorded, 3) if recorded is not None else None,
        differences=tuple(differences),
        answers_wrongly=bool(wrong),
    )


def take_back_if_wrong(home: Home, key: str, verified: Verified, actor: str) -> str | None:
    """Goes back to the deployment before when the live one answers otherwise than evaluated and that one does not.

    Gives the deployment that is live then; None when nothing was to be done, or somebody else did something first.
    """
    if not verified.answers_wrongly:
        return None
    from serving.agreement import agreeing_before
    from serving.bots import load

    lake = Lake(home.lake)
    before = agreeing_before(lake, key, partial(load, home, key))
    if before is None:
        return None
    to = before.deployment.deployment_id
    reason = f"verified again, it does not agree with the record: {verified.differences[0]}"
    done = take_back(lake.table(key, "deployments"), verified.deployment_id, to, actor=actor, reason=reason)
    return to if done else None


def end_trial_if_wrong(home: Home, key: str, actor: str) -> str | None:
    """Ends the trial of a canary or a shadow that answers otherwise than evaluated; gives what differs, else None.

    Who cannot be asked is not judged here.
    """
    table = Lake(home.lake).table(key, "deployments")
    past = history(table)
    try:
        verified = verify_trial(home, key)
    except NotVerifiableError:
        return None
    if verified is None or not verified.answers_wrongly or past.trial is None:
        return None
    reason = f"verified again, it does not agree with the record: {verified.differences[0]}"
    try:
        end_trial(table, past, actor=actor, reason=reason)
    except ConflictError:
        return f"{reason}; somebody else changed the deployments first"
    return reason


def _strange(live: Deployment, found: Found, should: str) -> str | None:
    """In words, why something else answers than what is to; None when it does."""
    if found.deployment_id != live.deployment_id:
        return f"deployment {found.deployment_id} answers, but {live.deployment_id} is {should} in the lake"
    if found.config_hash != live.config_hash:
        return f"the configuration is {found.config_hash}, but {live.config_hash} was recorded"
    return None


def _wrong_answers(live: Deployment, sample: Sequence[dict[str, Any]], found: Found) -> list[str]:
    tolerance = tolerance_of(live.config)
    compared = (difference(row, answer, tolerance) for row, answer in zip(sample, found.answers, strict=True))
    return [words for words in compared if words]


def _ask(home: Home, address: str, key: str, live: Deployment, texts: Sequence[str], is_trial: bool) -> Found | None:
    """What the service says; None when nobody answers there."""
    tenant, tokens = key.partition(".")[0], home.root / TOKENS_FILE
    token = load_tokens(tokens).get(tenant, "")
    request = urllib.request.Request(
        f"{address}/v1/bots/{key}/verification",
        json.dumps({"texts": list(texts), "trial": is_trial}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    until = time.monotonic() + SWAP_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                said = json.loads(response.read())
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.UNAUTHORIZED and not token:
                wanted = f'{{"{tenant}": "32 or more random characters"}}'
                raise NotVerifiableError(
                    f"{key}: {tokens} has no token of {tenant} to ask the service with; add {wanted}"
                ) from None
            if time.monotonic() > until:
                raise NotVerifiableError(f"{key}: the service at {address} refused with status {error.code}") from None
        except OSError:
            return None
        else:
            if said["deployment_id"] == live.deployment_id or time.monotonic() > until:
                own = tuple(Answer(**answer) for answer in said["answers"])
                return Found(said["deployment_id"], said["config_hash"], own)
        time.sleep(0.2)


def _load(home: Home, key: str, live: Deployment, texts: Sequence[str]) -> Found:
    from serving.bots import load

    bot = load(home, key, live)
    bot.responder.respond(texts[:1])  # the first turn of a process loads what the others find loaded
    return Found(live.deployment_id, config_hash(live.config), tuple(answers(bot.responder, texts)))
