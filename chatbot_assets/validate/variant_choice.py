"""Chooses by measurement how a bot's encoder is computed when it serves: the fastest variant that answers as well."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chatbot_assets.deploy.agreement import Answer, difference
from chatbot_assets.embed import REFERENCE
from chatbot_assets.embed.variants import AUTO, Speed, measured_speeds, serving_encoder
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.validate.evaluation import evaluate_rows, spread
from resources.surroundings import surroundings
from serving.responder import Reply, Responder

ROWS = 500
"""Held-out rows that each variant is tried on, at most."""
MAXIMUM_LOSS = 0.2
"""Percentage points that a variant may lose, by each of ``FIGURES``."""
MAXIMUM_CHANGED = 0.01
"""Share of the rows (or one row) whose category, answered, similar or failed, may be another one."""
WORTHWHILE = 1.2
"""How many times as fast as the reference ``auto`` wants a variant to be."""
FIGURES = ("accuracy", "served_accuracy", "answer_recall_at_1")


@dataclass(frozen=True)
class Choice:
    """The variant that is to serve, and why; what was measured is None for the reference.

    ``loss_points`` is what it loses at most by any of ``FIGURES`` on ``rows`` held-out rows (negative: it gains), and
    ``changed`` the share of them that gets another category. Milliseconds are those of encoding alone, for one text and
    for a batch of 32, on ``hardware``.
    """

    variant: str
    reason: str
    rows: int
    loss_points: float | None
    changed: float | None
    speeds: dict[str, Speed]
    hardware: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Tried:
    """A variant's answers beside the reference's; ``refusal`` says what is wrong with them, if anything."""

    loss_points: float
    changed: float
    refusal: str | None


def choose_variant(
    responder: Responder,
    encoder: ModuleRef,
    wanted: str,
    rows: TrainingRows,
    replies: Sequence[Reply],
    sample: Sequence[Mapping[str, Any]],
    tolerance: float,
) -> Choice:
    """The variant that is to serve, by ``wanted``, a bot's ``serve.variant``.

    ``replies`` are the reference's to ``rows``. ``sample`` (``text``, ``top``, ``score``) is what the deployment will
    be verified with, within ``tolerance`` of the score; a variant must agree with it. One that is wanted by name is
    tried in the same way, and the reference serves when it fails.
    """
    hardware = surroundings()["hardware"]
    tried = [] if wanted == REFERENCE else spread(len(rows.ids), ROWS)
    speeds = measured_speeds(encoder, [rows.texts[place] for place in tried[:32]])

    def reference(reason: str) -> Choice:
        return Choice(REFERENCE, reason, len(tried), None, None, speeds, hardware)

    if wanted == REFERENCE:
        return reference("the bot file says so")
    if not tried:
        return reference("there are no held-out rows to try a variant on")
    if not speeds:
        return reference("this encoder has no variants here")
    names = _by_speed(speeds) if wanted == AUTO else [wanted]
    refusals = []
    for name in names:
        if name not in speeds:
            refusals.append(f"{name} is not available here (there are: {', '.join(speeds)})")
            continue
        found = try_variant(responder, encoder, name, rows.take(tried), [replies[p] for p in tried], sample, tolerance)
        if found.refusal is None:
            faster = speeds[REFERENCE].single_ms / speeds[name].single_ms
            reason = f"{faster:.1f} times as fast for one text, {found.loss_points:+.2f} points lost"
            return Choice(name, reason, len(tried), found.loss_points, found.changed, speeds, hardware)
        refusals.append(f"{name}: {found.refusal}")
    return reference("; ".join(refusals) or "no variant is faster by enough")


def try_variant(
    responder: Responder,
    encoder: ModuleRef,
    name: str,
    rows: TrainingRows,
    replies: Sequence[Reply],
    sample: Sequence[Mapping[str, Any]],
    tolerance: float,
) -> Tried:
    """Answers the rows by way of a variant and compares with ``replies``, the reference's to the same rows."""
    computed = serving_encoder(encoder, name)
    own = responder.respond_prepared(rows.texts, rows.tokens, computed.encode(rows.texts))
    before, after = evaluate_rows(rows, replies), evaluate_rows(rows, own)
    losses = [100 * (before[figure] - after[figure]) for figure in FIGURES if before[figure] is not None]
    loss = max(losses, default=0.0)
    other = sum(one.category != two.category for one, two in zip(replies, own, strict=True))
    refusal = None
    if loss > MAXIMUM_LOSS:
        refusal = f"{loss:.1f} points lost on {len(own)} held-out rows, and {MAXIMUM_LOSS} are allowed"
    elif other > max(1, MAXIMUM_CHANGED * len(own)):
        refusal = f"{other} of {len(own)} held-out rows are answered, similar or failed otherwise"
    else:
        asked = responder.encoded_by(computed).respond([row["text"] for row in sample])
        compared = (difference(row, Answer.of(reply), tolerance) for row, reply in zip(sample, asked, strict=True))
        refusal = next((words for words in compared if words), None)
    return Tried(round(loss, 3), round(other / len(own), 4), refusal)


def _by_speed(speeds: Mapping[str, Speed]) -> list[str]:
    """The variants that are faster than the reference by enough, the fastest first."""
    limit = speeds[REFERENCE].cost / WORTHWHILE
    return sorted((name for name in speeds if speeds[name].cost <= limit), key=lambda name: speeds[name].cost)
