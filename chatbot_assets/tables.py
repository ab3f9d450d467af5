"""The lake's tables: columns, keys, what they are made from, and which code and configuration decides their rows.

Everything that must know a table reads it here: the stages that write it, the asset declarations, the staleness
planner and ``docs/tables.md``. ``content`` columns make the DataVersion; ``provenance`` columns are worth a commit when
they change, but change nothing downstream.
"""

from dataclasses import dataclass

import pyarrow as pa

STRING = pa.string()
INT = pa.int64()
FLOAT = pa.float64()
BOOL = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())

STAGES = ("collect", "process", "augment", "embed", "denoise", "train", "validate", "deploy", "feedback")
"""The stages in the order of the data's way."""


@dataclass(frozen=True)
class Column:
    """One column, what it holds, and the columns (``table.column``) of the table's inputs that its values come from."""

    name: str
    type: pa.DataType
    description: str
    made_from: tuple[str, ...] = ()

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Table and name of each column of ``made_from``."""
        return [(table, column) for table, _, column in (source.partition(".") for source in self.made_from)]


@dataclass(frozen=True)
class Table:
    """One Delta table of a bot.

    ``inputs`` are the tables it is made from, ``code`` the modules whose source decides its rows and ``config`` the
    dotted parts of the bot's configuration that do.
    """

    name: str
    stage: str
    row: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    content: tuple[str, ...]
    provenance: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    config: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])


ARRIVAL = (
    Column("file_sha256", STRING, "SHA-256 of the landing file's bytes"),
    Column("source_file", STRING, "name of the landing file"),
    Column("source_line", INT, "line of the row in that file, from 1 (row number for Parquet)"),
    Column("arrived_at", TIME, "when the row was read"),
)

DIALOGUES = Table(
    name="dialogues",
    stage="collect",
    row="one turn or labelled text as it arrived",
    description=(
        "Everything that was landed and could be read, with file and line. Nothing is changed or left out here, so "
        "that each later result can be followed back to a line of a file. Only `withdraw` takes rows out."
    ),
    columns=(
        Column("turn_id", STRING, "hash of the file's content and the line"),
        Column("dialogue_id", STRING, "the conversation that the turn belongs to, if any"),
        Column("turn", INT, "position in the conversation"),
        Column("speaker", STRING, "'user' or 'bot'"),
        Column("text", STRING, "the text as it arrived, in NFC"),
        Column("intent", STRING, "the label, if any"),
        Column("answer", STRING, "the answer that belongs to the text, if any"),
        Column("user_id", STRING, "who said it, if known"),
        Column("timestamp", TIME, "when it was said, if known"),
        Column("channel", STRING, "where it was said, if known"),
        *ARRIVAL,
    ),
    key=("turn_id",),
    content=("turn_id", "dialogue_id", "turn", "speaker", "text", "intent", "answer"),
    code=("chatbot_assets.collect.landing",),
    config=("sources",),
)

REJECTED = Table(
    name="rejected",
    stage="collect",
    row="one unreadable or invalid input row",
    description=(
        "Rows that could not be used, with the reason and what to do about it. They never block the good ones. "
        "Correct them in a new file and land that."
    ),
    columns=(
        Column("rejected_id", STRING, "hash of the file's content and the line"),
        Column("raw", STRING, "the row's bytes as text, shortened to 2,000 characters"),
        Column("reason", STRING, "why it was refused, and what to do"),
        *ARRIVAL,
    ),
    key=("rejected_id",),
    content=("rejected_id", "reason"),
    code=("chatbot_assets.collect.landing",),
    config=("sources",),
)

LANDING_FILES = Table(
    name="landing_files",
    stage="collect",
    row="one landing file that was read",
    description=(
        "The ledger of landing files: what has been read, when, under which column mapping, and what it held. A "
        "file is read once; look here when something that was delivered does not arrive."
    ),
    columns=(
        Column("source_file", STRING, "name of the landing file"),
        Column("file_sha256", STRING, "SHA-256 of its bytes"),
        Column("size", INT, "bytes"),
        Column("modified_ns", INT, "modification time in nanoseconds, to recognise the file without reading it"),
        Column("mapping", STRING, "hash of the column mapping it was read under"),
        Column(
            "status",
            STRING,
            "'read', 'duplicate' (byte-equal to a file already read), 'withdrawn' (taken out again) or 'erased' (read; "
            "a person's rows were taken out of it since)",
        ),
        Column("rows", INT, "rows accepted"),
        Column("rejected", INT, "rows refused"),
        Column("read_at", TIME, "when"),
    ),
    key=("source_file", "file_sha256", "mapping", "modified_ns"),
    content=("source_file", "file_sha256", "mapping", "status"),
    code=("chatbot_assets.collect.landing",),
    config=("sources",),
)

UTTERANCES = Table(
    name="utterances",
    stage="process",
    row="one training candidate: a distinct normalised text with its label",
    description=(
        "What the bot can learn from: normalised, segmented, de-duplicated texts without personal data. A fixed "
        "share is held out and never trained on; the bot is measured on it. Intents with few texts are guessed "
        "worse."
    ),
    columns=(
        Column(
            "utterance_id",
            STRING,
            "hash of text, intent and answer",
            made_from=(
                "dialogues.text",
                "review_decisions.texts",
                "dialogues.intent",
                "dialogues.answer",
                "review_decisions.intent",
                "review_decisions.answer",
            ),
        ),
        Column("text", STRING, "the normalised text", made_from=("dialogues.text", "review_decisions.texts")),
        Column("intent", STRING, "the label, if any", made_from=("dialogues.intent", "review_decisions.intent")),
        Column(
            "answer",
            STRING,
            "the answer, if any",
            made_from=("dialogues.answer", "dialogues.text", "review_decisions.answer"),
        ),
        Column("language", STRING, "the bot's language"),
        Column(
            "split",
            STRING,
            "'train' or 'test', fixed by the text alone",
            made_from=("dialogues.text", "review_decisions.texts"),
        ),
        Column(
            "tokens",
            STRINGS,
            "the text's segments (morphemes, words or characters)",
            made_from=("dialogues.text", "review_decisions.texts"),
        ),
        Column(
            "excluded",
            STRING,
            "why the candidate is not used; null when it is",
            made_from=("dialogues.text", "review_decisions.texts", "dialogues.intent", "review_decisions.action"),
        ),
        Column("reviewed", BOOL, "whether a person decided on its label", made_from=("review_decisions.action",)),
        Column(
            "sources",
            STRINGS,
            "the turn_ids it came from, sorted",
            made_from=("dialogues.turn_id", "review_decisions.turn_ids"),
        ),
        Column(
            "text_keys",
            STRINGS,
            "hashes of the raw texts and of the modules that made this text of them",
            made_from=("dialogues.text", "review_decisions.texts"),
        ),
    ),
    key=("utterance_id",),
    content=("utterance_id", "text", "intent", "answer", "split", "tokens", "excluded", "reviewed"),
    provenance=("sources", "text_keys"),
    inputs=("dialogues", "review_decisions"),
    code=("chatbot_assets.process.utterances", "chatbot_assets.process.decisions"),
    config=("language", "process"),
)

PARAPHRASE_CANDIDATES = Table(
    name="paraphrase_candidates",
    stage="augment",
    row="one text of a small intent, with the paraphrases that the rules made of it",
    description=(
        "What the language's rules make of the texts of small intents, before anything is judged. Which of them are "
        "used stands in `paraphrases`."
    ),
    columns=(
        Column("text_id", STRING, "hash of the normalised text", made_from=("utterances.text",)),
        Column("text", STRING, "the text that was paraphrased", made_from=("utterances.text",)),
        Column(
            "text_key",
            STRING,
            "hash of the text and of the rules and modules that were applied to it",
            made_from=("utterances.text",),
        ),
        Column(
            "rules",
            STRINGS,
            "the rule that made each candidate, in the order of the rules",
            made_from=("utterances.text",),
        ),
        Column("candidates", STRINGS, "the candidates, normalised", made_from=("utterances.text",)),
        Column("candidate_tokens", STRINGS, "each candidate's segments, as JSON", made_from=("utterances.text",)),
    ),
    key=("text_id",),
    content=("text_id", "rules", "candidates", "candidate_tokens"),
    provenance=("text_key",),
    inputs=("utterances",),
    code=("chatbot_assets.augment.candidates",),
    config=(
        "augment.rules",
        "augment.flows",
        "augment.limit",
        "augment.up_to",
        "process.normaliser",
        "process.segmenter",
    ),
)

EMBEDDINGS = Table(
    name="embeddings",
    stage="embed",
    row="one vector per distinct text and encoder",
    description=(
        "Sentence vectors of the texts in use: texts that mean the same lie close to each other. Only new texts are "
        "encoded."
    ),
    columns=(
        Column(
            "text_id",
            STRING,
            "hash of the normalised text",
            made_from=("utterances.text", "paraphrase_candidates.candidates"),
        ),
        Column("encoder", STRING, "the encoder's name"),
        Column("encoder_version", STRING, "the version of its code, weights and parameters"),
        Column(
            "vector",
            pa.binary(),
            "little-endian float16, L2-normalised",
            made_from=("utterances.text", "paraphrase_candidates.candidates"),
        ),
    ),
    key=("text_id", "encoder"),
    content=("text_id", "encoder", "encoder_version"),
    inputs=("utterances", "paraphrase_candidates"),
    code=("chatbot_assets.embed.vectors",),
    config=("embed",),
)

LABELS = Table(
    name="labels",
    stage="denoise",
    row="one verdict per utterance in use",
    description=(
        "How far each label can be trusted, judged by models that have not seen the row, and what follows. Wrong "
        "labels are the most frequent cause of wrong answers: look at the worst ones first."
    ),
    columns=(
        Column("utterance_id", STRING, "the utterance", made_from=("utterances.utterance_id",)),
        Column("intent", STRING, "the label that was judged; null when it has none", made_from=("utterances.intent",)),
        Column(
            "quality",
            FLOAT,
            "how well the label fits, 0 to 1; null without a label",
            made_from=("utterances.intent", "utterances.tokens", "embeddings.vector"),
        ),
        Column(
            "verdict",
            STRING,
            "'keep', 'relabel', 'drop' or 'review' (kept, but a person should look)",
            made_from=(
                "utterances.intent",
                "utterances.tokens",
                "utterances.split",
                "utterances.reviewed",
                "embeddings.vector",
            ),
        ),
        Column(
            "suggested_intent",
            STRING,
            "the intent that fits better, if there is one",
            made_from=("utterances.intent", "utterances.tokens", "embeddings.vector"),
        ),
    ),
    key=("utterance_id",),
    content=("utterance_id", "intent", "verdict", "suggested_intent"),
    inputs=("utterances", "embeddings"),
    code=("chatbot_assets.denoise.verdicts",),
    config=("denoise.judge",),
)

PARAPHRASES = Table(
    name="paraphrases",
    stage="augment",
    row="one generated text",
    description=(
        "Each candidate's fate: kept for training, or refused and why. A paraphrase follows its parent in label and "
        "split, so none is ever measured on."
    ),
    columns=(
        Column(
            "paraphrase_id",
            STRING,
            "hash of the parent and the text",
            made_from=("utterances.utterance_id", "paraphrase_candidates.candidates"),
        ),
        Column("parent_id", STRING, "the utterance it was made from", made_from=("utterances.utterance_id",)),
        Column("text", STRING, "the generated text, normalised", made_from=("paraphrase_candidates.candidates",)),
        Column("tokens", STRINGS, "its segments", made_from=("paraphrase_candidates.candidate_tokens",)),
        Column(
            "intent",
            STRING,
            "the parent's label, as the verdicts leave it",
            made_from=("utterances.intent", "labels.verdict", "labels.suggested_intent"),
        ),
        Column("rule", STRING, "the rule, or the rules, that made it", made_from=("paraphrase_candidates.rules",)),
        Column("similarity", FLOAT, "cosine to its parent's text", made_from=("embeddings.vector",)),
        Column(
            "kept",
            BOOL,
            "whether training uses it",
            made_from=("paraphrase_candidates.candidates", "utterances.intent", "labels.verdict", "embeddings.vector"),
        ),
        Column(
            "reason",
            STRING,
            "why it was refused; null when it was kept",
            made_from=("paraphrase_candidates.candidates", "utterances.intent", "labels.verdict", "embeddings.vector"),
        ),
    ),
    key=("paraphrase_id",),
    content=("paraphrase_id", "text", "tokens", "intent", "rule", "kept", "reason"),
    inputs=("utterances", "paraphrase_candidates", "embeddings", "labels"),
    code=("chatbot_assets.augment.paraphrases",),
    config=("augment.gate", "augment.up_to", "denoise.policy"),
)

MODELS = Table(
    name="models",
    stage="train",
    row="one chunk of one file of one trained model",
    description=(
        "Trained models as bytes in chunks of at most 8 MiB, with a manifest of their inputs and metrics. Equal "
        "data, code and configuration give an equal model, which is stored once."
    ),
    columns=(
        Column(
            "model_id",
            STRING,
            "hash of the model's files",
            made_from=(
                "utterances.text",
                "utterances.tokens",
                "utterances.intent",
                "utterances.answer",
                "embeddings.vector",
                "labels.verdict",
                "labels.suggested_intent",
                "paraphrases.text",
                "paraphrases.kept",
            ),
        ),
        Column("file", STRING, "file name within the model"),
        Column("chunk", INT, "position of the chunk in the file, from 0"),
        Column("chunks", INT, "number of chunks of the file"),
        Column(
            "sha256",
            STRING,
            "SHA-256 of the whole file",
            made_from=(
                "utterances.text",
                "utterances.tokens",
                "utterances.intent",
                "utterances.answer",
                "embeddings.vector",
                "labels.verdict",
                "labels.suggested_intent",
                "paraphrases.text",
                "paraphrases.kept",
            ),
        ),
        Column(
            "data",
            pa.binary(),
            "the bytes",
            made_from=(
                "utterances.text",
                "utterances.tokens",
                "utterances.intent",
                "utterances.answer",
                "embeddings.vector",
                "labels.verdict",
                "labels.suggested_intent",
                "paraphrases.text",
                "paraphrases.kept",
            ),
        ),
        Column("trained_at", TIME, "when"),
    ),
    key=("model_id", "file", "chunk"),
    content=("model_id", "file", "chunk", "sha256"),
    inputs=("utterances", "embeddings", "labels", "paraphrases"),
    code=("chatbot_assets.train.training", "chatbot_assets.train.rows"),
    config=("train", "augment.weight", "denoise.policy"),
)

EVALUATIONS = Table(
    name="evaluations",
    stage="validate",
    row="one metric of one model on one slice",
    description=(
        "How good each model is on held-out rows: overall, per intent, and against the champion, which is the model "
        "that is live; and on the bot's golden dialogues. A model that fails the check `may_be_deployed` is not "
        "deployed."
    ),
    columns=(
        Column("model_id", STRING, "the model", made_from=("models.model_id",)),
        Column("data", STRING, "DataVersion of the utterances it was measured on"),
        Column("slice_kind", STRING, "'overall', 'intent', 'champion' or 'golden'"),
        Column("slice", STRING, "which intent, or which champion model", made_from=("utterances.intent",)),
        Column("metric", STRING, "name of the metric"),
        Column(
            "value",
            FLOAT,
            "its value; null when the slice has no rows to measure it on",
            made_from=("models.data", "utterances.text", "utterances.intent", "utterances.answer", "embeddings.vector"),
        ),
        Column("rows", INT, "rows measured", made_from=("utterances.split", "utterances.intent")),
        Column("evaluated_at", TIME, "when"),
    ),
    key=("model_id", "data", "slice_kind", "slice", "metric", "evaluated_at"),
    content=("model_id", "data", "slice_kind", "slice", "metric", "rows"),
    inputs=("utterances", "embeddings", "models"),
    code=(
        "chatbot_assets.validate.evaluation",
        "chatbot_assets.validate.golden_gate",
        "chatbot_assets.validate.limits",
        "chatbot_assets.validate.variant_choice",
        "serving.responder",
    ),
    config=("validate", "train.classifier", "train.index", "serve", "golden"),
)

DEPLOYMENTS = Table(
    name="deployments",
    stage="deploy",
    row="one event in the life of a deployment",
    description=(
        "Which model went live when, made from what, and why. Rows are only ever appended, and of two writers one "
        "wins; the newest `live` event says what answers users."
    ),
    columns=(
        Column("event_id", STRING, "hash of the deployment, the event and its position"),
        Column(
            "deployment_id",
            STRING,
            "hash of the model and of the effective configuration",
            made_from=("models.model_id",),
        ),
        Column("model_id", STRING, "the model", made_from=("models.model_id",)),
        Column(
            "event",
            STRING,
            "'candidate', 'verified', 'canary', 'shadow', 'live', 'rejected', 'rolled_back' or 'erased' (the model "
            "learnt from a person who was forgotten since)",
            made_from=("models.data", "evaluations.value"),
        ),
        Column("at", TIME, "when"),
        Column("actor", STRING, "who or what did it"),
        Column("reason", STRING, "why", made_from=("evaluations.value",)),
        Column("config_hash", STRING, "hash of the effective configuration"),
        Column("config", STRING, "the effective configuration as JSON"),
        Column("code_revision", STRING, "revision of the platform's code"),
        Column("data_versions", STRING, "table, Delta version and DataVersion of every input, as JSON"),
        Column("metrics", STRING, "the overall metrics as JSON", made_from=("evaluations.value",)),
    ),
    key=("event_id",),
    content=("event_id",),
    inputs=("models", "evaluations"),
    code=("chatbot_assets.deploy.verification", "serving.responder"),
    config=(
        "language",
        "process",
        "embed",
        "train.classifier",
        "train.index",
        "deploy.policy",
        "deploy.verification",
        "serve",
        "messages",
        "privacy",
    ),
)

CONVERSATIONS = Table(
    name="conversations",
    stage="feedback",
    row="one served turn",
    description=(
        "What users asked the deployed bot and what it answered; written by the chat service. Personal data is masked."
    ),
    columns=(
        Column("turn_id", STRING, "identifies the served turn"),
        Column("session_id", STRING, "the conversation"),
        Column("user_id", STRING, "who asked, if known"),
        Column("text", STRING, "what was asked"),
        Column("answer", STRING, "what was answered"),
        Column("intent", STRING, "the recognised intent, if answered or suggested"),
        Column("score", FLOAT, "confidence between 0 and 1"),
        Column(
            "category", STRING, "'answered', 'similar', 'failed' (not understood) or 'error' (could not be answered)"
        ),
        Column("candidates", STRING, "the alternatives considered, as JSON"),
        Column("model_id", STRING, "the model that answered"),
        Column("deployment_id", STRING, "the deployment that answered"),
        Column("served_at", TIME, "when"),
        Column("latency_ms", FLOAT, "milliseconds to compute the answer"),
        Column("satisfied", BOOL, "the user's verdict, if given"),
        Column("chosen_candidate", STRING, "the suggestion that the user picked, if any: a candidate's id"),
    ),
    key=("turn_id",),
    content=("turn_id",),
)

SHADOW_ANSWERS = Table(
    name="shadow_answers",
    stage="feedback",
    row="one served turn as a shadow answered it",
    description=(
        "What a deployment that is tried as a shadow would have answered; written by the chat service, and seen by no "
        "user. `conversations` holds what was asked and what users got, under the same `turn_id`."
    ),
    columns=(
        Column("turn_id", STRING, "the served turn"),
        Column("deployment_id", STRING, "the shadow"),
        Column("model_id", STRING, "its model"),
        Column("answer", STRING, "what it would have answered"),
        Column("intent", STRING, "the intent that it recognised, if answered or suggested"),
        Column("score", FLOAT, "its confidence between 0 and 1"),
        Column("category", STRING, "'answered', 'similar' or 'failed'"),
        Column("candidates", STRING, "the alternatives that it considered, as JSON"),
        Column("live_deployment_id", STRING, "the deployment that users got their answer from"),
        Column("differs", BOOL, "whether category, intent or answer differ from what users got"),
        Column("served_at", TIME, "when"),
        Column("latency_ms", FLOAT, "milliseconds to compute the answer, beside users' turns"),
    ),
    key=("turn_id",),
    content=("turn_id",),
)

REVIEW_DECISIONS = Table(
    name="review_decisions",
    stage="feedback",
    row="one human decision on one or more turns",
    description=(
        "What people decided about turns and labels; append-only, written by `chatbot decide`. A person's decision "
        "overrules every model."
    ),
    columns=(
        Column("decision_id", STRING, "hash of the turns, the action and the time"),
        Column("turn_ids", STRINGS, "the turns that were decided on"),
        Column("texts", STRINGS, "the turns' texts, in the order of the turns"),
        Column("source", STRING, "'conversations' (served turns) or 'dialogues' (landed rows)"),
        Column("action", STRING, "'modify', 'hold' or 'exclude'; 'undo' takes an earlier decision back"),
        Column("intent", STRING, "the right intent, if the action gives one"),
        Column("answer", STRING, "the right answer, if the action gives one"),
        Column("reviewer", STRING, "who decided"),
        Column("reason", STRING, "why, if said"),
        Column("decided_at", TIME, "when"),
        Column("undoes", STRING, "the decision that an 'undo' takes back"),
    ),
    key=("decision_id",),
    content=("decision_id",),
)

REVIEW_QUEUE = Table(
    name="review_queue",
    stage="feedback",
    row="one turn that a person should look at",
    description=(
        "Served turns that failed, were answered with suggestions, or that users judged; most valuable first. A "
        "decision on one takes it out of the queue, and the next refresh learns from it."
    ),
    columns=(
        Column("turn_id", STRING, "the served turn", made_from=("conversations.turn_id",)),
        Column(
            "kind",
            STRING,
            "'failed', 'similar', 'dissatisfied' or 'satisfied'",
            made_from=("conversations.category", "conversations.satisfied", "conversations.chosen_candidate"),
        ),
        Column("on_hold", BOOL, "whether a person put it off", made_from=("review_decisions.action",)),
        Column("group_id", STRING, "equal for turns that say the same", made_from=("conversations.text",)),
        Column("group_text", STRING, "the normalised text of one of them", made_from=("conversations.text",)),
        Column("group_size", INT, "turns in the queue that say the same", made_from=("conversations.text",)),
        Column(
            "priority",
            FLOAT,
            "expected value of a decision; higher comes first",
            made_from=(
                "conversations.category",
                "conversations.satisfied",
                "conversations.score",
                "conversations.text",
            ),
        ),
        Column("deployment_id", STRING, "the deployment that answered", made_from=("conversations.deployment_id",)),
        Column("session_id", STRING, "the conversation", made_from=("conversations.session_id",)),
        Column("text", STRING, "what was asked", made_from=("conversations.text",)),
        Column("answer", STRING, "what was answered", made_from=("conversations.answer",)),
        Column("intent", STRING, "the recognised intent", made_from=("conversations.intent",)),
        Column("score", FLOAT, "the bot's confidence", made_from=("conversations.score",)),
        Column("candidates", STRING, "the alternatives considered, as JSON", made_from=("conversations.candidates",)),
        Column(
            "chosen_candidate",
            STRING,
            "the suggestion that the user picked",
            made_from=("conversations.chosen_candidate",),
        ),
        Column(
            "preset_intent",
            STRING,
            "the intent of the suggestion that the user picked: the answer to confirm",
            made_from=("conversations.chosen_candidate", "conversations.candidates"),
        ),
        Column(
            "preset_answer",
            STRING,
            "that suggestion's answer, when it has no intent",
            made_from=("conversations.chosen_candidate", "conversations.candidates"),
        ),
        Column("served_at", TIME, "when", made_from=("conversations.served_at",)),
        Column(
            "vector",
            pa.binary(),
            "the group's sentence vector, little-endian float16, length 1",
            made_from=("conversations.text",),
        ),
    ),
    key=("turn_id",),
    content=("turn_id", "kind", "on_hold", "chosen_candidate"),
    provenance=("group_id", "group_size"),
    inputs=("conversations", "review_decisions"),
    code=("chatbot_assets.feedback.queue", "chatbot_assets.process.decisions"),
    config=("review.triage", "review.order", "process.normaliser", "embed.encoder"),
)

MATERIALISED = (
    DIALOGUES,
    REJECTED,
    LANDING_FILES,
    UTTERANCES,
    PARAPHRASE_CANDIDATES,
    EMBEDDINGS,
    LABELS,
    PARAPHRASES,
    MODELS,
    EVALUATIONS,
    DEPLOYMENTS,
    REVIEW_QUEUE,
)
"""The tables that a refresh makes, in the order of the data's way."""

SOURCES = (CONVERSATIONS, SHADOW_ANSWERS, REVIEW_DECISIONS)
"""The tables that people and the chat service write; a refresh reads them, also while they do not exist yet."""

TABLES = {table.name: table for table in (*MATERIALISED, *SOURCES)}
