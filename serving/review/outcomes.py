"""Whether what people corrected is right now: the live deployment is asked again, once for each decision."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import TimeoutError as LateError

from chatbot_assets.feedback.asking import Outcome, has_outcome, outcomes
from chatbot_assets.feedback.decision_log import DecisionLog
from serving.bots import LiveBots, NotLoadedError

KEPT = 10_000
"""Outcomes that a process keeps."""
LOAD_SECONDS = 2.0
"""How long a page waits for a bot to be loaded; without it no outcome is told."""


class Outcomes:
    """What became of decisions, by the deployment that is live."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], Outcome] = OrderedDict()

    def of(self, bots: LiveBots, key: str, log: DecisionLog, turn_ids: Sequence[str]) -> dict[str, Outcome]:
        """The outcome for each turn that a decision in force modifies, by turn; empty while the bot cannot answer."""
        if bots.deployment(key) is None:
            return {}
        try:
            live = (bots.loaded(key) or bots.load(key).result(LOAD_SECONDS)).live
        except (NotLoadedError, LateError):
            return {}
        decided = [found for turn_id in turn_ids if (found := log.decided(turn_id))]
        identity = live.deployment.deployment_id
        missing = [
            one for one in decided if has_outcome(one) and (identity, one.decision_id, one.turn_id) not in self._kept
        ]
        asked = outcomes(missing, live.responder.respond([one.raw for one in missing])) if missing else []
        for outcome in asked:
            self._kept[identity, outcome.decision_id, outcome.turn_id] = outcome
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        kept = [self._kept.get((identity, one.decision_id, one.turn_id)) for one in decided]
        return {outcome.turn_id: outcome for outcome in kept if outcome}
