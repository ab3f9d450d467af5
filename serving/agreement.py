"""What answers users once another deployment went live: it, if it agrees with the record, else what was before.

A deployment that disagrees, or cannot be loaded, is taken back in the lake too, so that the lake says what truly
answers. Of several service processes that try so one wins.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from chatbot_assets.deploy.agreement import Answer, difference, tolerance_of
from chatbot_assets.deploy.life import end_trial, take_back
from chatbot_assets.deploy.record import Deployment, Trial, history, recorded_sample
from resources.lakehouse import ConflictError, Lake, LakeTable

if TYPE_CHECKING:
    from serving.bots import LiveBot
    from serving.responder import Responder

logger = logging.getLogger(__name__)
Load = Callable[[Deployment], "LiveBot"]


def disagreement(responder: "Responder", deployment: Deployment, evaluations: LakeTable) -> str | None:
    """In words, what a loaded deployment answers otherwise than was evaluated; None when it agrees."""
    sample = recorded_sample(evaluations, deployment)
    tolerance = tolerance_of(deployment.config)
    replies = responder.respond([row["text"] for row in sample])
    compared = (difference(row, Answer.of(reply), tolerance) for row, reply in zip(sample, replies, strict=True))
    return next((words for words in compared if words), None)


def next_to_answer(lake: Lake, key: str, wanted: Deployment, current: "LiveBot | None", load: Load) -> "LiveBot":
    """Loads the deployment that went live and lets it answer its sample; gives what answers users from now on.

    That is what answered before (or, in a process that has just started, the deployment before) when the wanted one
    does not agree or cannot be loaded; then the wanted one is taken back. When nothing before it agrees either, it
    answers if it can be loaded at all: a bot that says nothing helps nobody, and the log and ``verify`` tell of it.

    Raises:
        OSError: when it cannot be loaded for a cause that may pass; nothing is taken back.
        Exception: what kept it from being loaded, when there is nothing to go back to.
    """
    if current and current.deployment.deployment_id == wanted.deployment_id:
        return replace(current, deployment=wanted)
    evaluations = lake.table(key, "evaluations")
    loaded: LiveBot | None = None
    failure: Exception | None = None
    try:
        loaded = load(wanted)
        why = disagreement(loaded.responder, wanted, evaluations)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        failure, why = error, f"it cannot be loaded: {str(error).partition(chr(10))[0]}"
    if loaded and why is None:
        return loaded
    before = current or agreeing_before(lake, key, load)
    if before:
        _take_back(lake, key, wanted, before.deployment, f"the service does not agree with the record: {why}")
        return before
    if failure or loaded is None:
        raise failure or RuntimeError(why)
    logger.error("%s: deployment %s disagrees with the record, and none before it agrees: %s", key, wanted, why)
    return loaded


def next_to_try(lake: Lake, key: str, trial: Trial, load: Load) -> "LiveBot | None":
    """Loads a canary or a shadow and lets it answer its sample; None, and its trial is over, when it does not agree.

    Raises:
        OSError: when it cannot be loaded for a cause that may pass; its trial goes on.
    """
    try:
        loaded = load(trial.deployment)
        why = disagreement(loaded.responder, trial.deployment, lake.table(key, "evaluations"))
    except (OSError, MemoryError):
        raise
    except Exception as error:
        why = f"it cannot be loaded: {str(error).partition(chr(10))[0]}"
    else:
        if why is None:
            return loaded
    table = lake.table(key, "deployments")
    past = history(table)
    logger.error("%s: the %s %s is over: %s", key, trial.kind, trial.deployment.deployment_id, why)
    if past.trial == trial:
        try:
            reason = f"the service does not agree with the record: {why}"
            end_trial(table, past, actor=_service(), reason=reason)
        except ConflictError:
            logger.info("%s: somebody else changed the deployments first", key)
    return None


def agreeing_before(lake: Lake, key: str, load: Load) -> "LiveBot | None":
    """The deployment that a rollback would go back to, loaded; None when there is none or it disagrees too."""
    before = history(lake.table(key, "deployments")).before
    if before is None:
        return None
    try:
        loaded = load(before)
        return None if disagreement(loaded.responder, before, lake.table(key, "evaluations")) else loaded
    except Exception:
        logger.exception("%s: nor can the deployment before it be loaded", key)
        return None


def _take_back(lake: Lake, key: str, failed: Deployment, to: Deployment, reason: str) -> None:
    logger.error("%s: deployment %s is taken back: %s", key, failed.deployment_id, reason)
    table = lake.table(key, "deployments")
    if not take_back(table, failed.deployment_id, to.deployment_id, actor=_service(), reason=reason):
        logger.info("%s: somebody else changed the deployments first", key)


def _service() -> str:
    return f"chat service (process {os.getpid()})"
