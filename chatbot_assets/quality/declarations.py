"""Which checks each table has: what they protect, and what a failing one does."""

from collections.abc import Mapping

from chatbot_assets.quality import specific
from chatbot_assets.quality.common import Check, allowed, common_checks, row_count
from chatbot_assets.tables import (
    CONVERSATIONS,
    DEPLOYMENTS,
    DIALOGUES,
    EMBEDDINGS,
    EVALUATIONS,
    LABELS,
    LANDING_FILES,
    MODELS,
    PARAPHRASE_CANDIDATES,
    PARAPHRASES,
    REJECTED,
    REVIEW_DECISIONS,
    REVIEW_QUEUE,
    SHADOW_ANSWERS,
    UTTERANCES,
)

CHECKS: Mapping[str, tuple[Check, ...]] = {
    DIALOGUES.name: (
        *common_checks(DIALOGUES, ("dialogue_id", "turn", "intent", "answer", "user_id", "timestamp", "channel")),
        row_count(),
        allowed("speaker", "user", "bot"),
    ),
    REJECTED.name: (
        *common_checks(REJECTED, unique="fails"),
        row_count(),
    ),
    LANDING_FILES.name: (
        *common_checks(LANDING_FILES),
        row_count(),
        allowed("status", "read", "duplicate", "withdrawn", "erased"),
        Check(
            "ledger_agrees",
            "Every accepted row of the files that were read is in dialogues.",
            "blocks",
            specific.ledger_agrees,
        ),
        Check(
            "mostly_accepted",
            f"At most {specific.REJECTED_SHARE:.0%} of the rows that were read last were rejected.",
            "warns",
            specific.mostly_accepted,
        ),
    ),
    UTTERANCES.name: (
        *common_checks(UTTERANCES, ("intent", "answer", "excluded")),
        row_count(),
        allowed("split", "train", "test"),
        Check(
            "known_sources",
            "Every utterance came from turns that were landed or decided on.",
            "blocks",
            specific.known_sources,
        ),
        Check(
            "one_split",
            "No text in use is both learnt from and held out, so that no model is measured on what it has learnt.",
            "blocks",
            specific.one_split,
        ),
        Check("tokens_in_use", "Each new utterance in use has tokens.", "warns", specific.tokens_in_use),
        Check(
            "mostly_used",
            f"At most {specific.EXCLUDED_SHARE:.0%} of the utterances are left out.",
            "warns",
            specific.mostly_used,
        ),
        Check(
            "enough_texts",
            f"Each intent has {specific.FEW_TEXTS} texts to learn from or more.",
            "warns",
            specific.enough_texts,
        ),
    ),
    PARAPHRASE_CANDIDATES.name: (
        *common_checks(PARAPHRASE_CANDIDATES),
        row_count(),
        Check(
            "known_texts",
            "Every paraphrased text is a text to learn from.",
            "blocks",
            specific.candidates_of_training_texts,
        ),
        Check("parallel_lists", "Each candidate has its rule and its tokens.", "blocks", specific.parallel_lists),
    ),
    EMBEDDINGS.name: (
        *common_checks(EMBEDDINGS),
        row_count(),
        Check("every_text", "Each text in use, and each candidate, has its vector.", "blocks", specific.every_text),
        Check(
            "sound_vectors",
            "The new vectors are of one dimension, finite and of unit length.",
            "blocks",
            specific.sound_vectors,
        ),
    ),
    LABELS.name: (
        *common_checks(LABELS, ("intent", "quality", "suggested_intent")),
        row_count(),
        allowed("verdict", "keep", "relabel", "drop", "review"),
        Check(
            "one_verdict_each",
            "Each utterance in use, and no other, has its verdict.",
            "blocks",
            specific.one_verdict_each,
        ),
        Check(
            "known_suggestions",
            "Every suggested intent is one of the bot's.",
            "blocks",
            specific.known_suggestions,
        ),
        Check(
            "few_flagged",
            f"At most {specific.FLAGGED_SHARE:.0%} of the labels are suspected.",
            "warns",
            specific.few_flagged,
        ),
    ),
    PARAPHRASES.name: (
        *common_checks(PARAPHRASES, ("intent", "reason")),
        row_count(),
        Check(
            "known_parents",
            "Every paraphrase has its parent among the utterances to learn from.",
            "blocks",
            specific.known_parents,
        ),
        Check(
            "no_held_out_text",
            "No kept paraphrase says what a held-out text says, so that no model is measured on what it has learnt.",
            "blocks",
            specific.no_held_out_text,
        ),
    ),
    MODELS.name: (
        *common_checks(MODELS),
        row_count(),
        Check(
            "newest_complete",
            "The newest model has all chunks of its files, and their bytes have the recorded SHA-256.",
            "blocks",
            specific.newest_complete,
        ),
    ),
    EVALUATIONS.name: (
        *common_checks(EVALUATIONS, ("value",)),
        row_count(),
        allowed("slice_kind", "overall", "intent", "champion", "golden"),
        Check(
            "known_model", "The model that was measured is in models.", "blocks", specific.newest_model("evaluated_at")
        ),
        Check(
            "possible_values",
            "Shares lie between 0 and 1, correlations between -1 and 1, and times are not negative.",
            "blocks",
            specific.possible_values,
        ),
        Check(
            "strong_intents",
            f"Each intent with {specific.WEAK_SUPPORT} held-out rows or more has an F1 of {specific.WEAK_F1} or more.",
            "warns",
            specific.strong_intents,
        ),
    ),
    DEPLOYMENTS.name: (
        *common_checks(DEPLOYMENTS),
        row_count(),
        allowed("event", "candidate", "verified", "canary", "shadow", "live", "rejected", "rolled_back", "erased"),
        Check(
            "verified_before_live",
            "Nothing answers users, or as a shadow, before it was verified.",
            "blocks",
            specific.verified_before_live,
        ),
        Check(
            "known_model",
            "The model of the newest deployment is in models.",
            "blocks",
            specific.newest_model("at", "event"),
        ),
    ),
    REVIEW_QUEUE.name: (
        *common_checks(
            REVIEW_QUEUE,
            (
                *("answer", "intent", "score", "candidates", "chosen_candidate", "session_id"),
                *("preset_intent", "preset_answer", "deployment_id"),
            ),
        ),
        allowed("kind", "failed", "similar", "dissatisfied", "satisfied", effect="fails"),
        Check("served_turns", "Every queued turn was served.", "fails", specific.queued_turns_served),
        Check(
            "undecided_turns",
            "No queued turn was decided on already.",
            "fails",
            specific.queued_turns_undecided,
        ),
    ),
    CONVERSATIONS.name: (
        *common_checks(
            CONVERSATIONS,
            ("session_id", "user_id", "answer", "intent", "candidates", "satisfied", "chosen_candidate"),
            unique="fails",
        ),
        allowed("category", "answered", "similar", "failed", "error", effect="fails"),
        Check(
            "known_deployments",
            "Every turn was answered by a deployment of the bot.",
            "warns",
            specific.known_deployments,
        ),
    ),
    SHADOW_ANSWERS.name: (
        *common_checks(SHADOW_ANSWERS, ("answer", "intent", "candidates"), unique="fails"),
        allowed("category", "answered", "similar", "failed", effect="fails"),
        Check(
            "known_deployments",
            "Every turn was answered by a deployment of the bot.",
            "warns",
            specific.known_deployments,
        ),
    ),
    REVIEW_DECISIONS.name: (
        *common_checks(REVIEW_DECISIONS, ("intent", "answer", "reason", "undoes"), unique="fails"),
        allowed("source", "conversations", "dialogues", effect="fails"),
        allowed("action", "modify", "hold", "exclude", "undo", effect="fails"),
        Check(
            "complete_decisions",
            "Every decision has its turns' texts, and what it changes.",
            "fails",
            specific.complete_decisions,
        ),
        Check(
            "known_turns",
            "Every turn that was decided on was served or landed.",
            "warns",
            specific.decided_turns_known,
        ),
    ),
}
"""The checks of each table, by its name. Source tables are written by others: theirs never block, and run at night.

``review_queue`` may shrink to nothing, and what is served has a commit every moment: they have no ``row_count``.
"""
