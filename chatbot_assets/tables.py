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


@dataclass(frozen=True)
class Column:
    """One column and what it holds."""

    name: str
    type: pa.DataType
    description: str


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
    description="Everything that was landed and could be read, unchanged and append-only, with file and line.",
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
    description="Rows that could not be used, with the reason; they never block the good ones.",
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
    description="The ledger of landing files: what has been read, when, under which column mapping, and what it held.",
    columns=(
        Column("source_file", STRING, "name of the landing file"),
        Column("file_sha256", STRING, "SHA-256 of its bytes"),
        Column("size", INT, "bytes"),
        Column("modified_ns", INT, "modification time in nanoseconds, to recognise the file without reading it"),
        Column("mapping", STRING, "hash of the column mapping it was read under"),
        Column("status", STRING, "'read' or 'duplicate' (byte-equal to a file already read)"),
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
    description="What the bot can learn from: normalised, segmented, de-duplicated texts in fixed splits.",
    columns=(
        Column("utterance_id", STRING, "hash of text, intent and answer"),
        Column("text", STRING, "the normalised text"),
        Column("intent", STRING, "the label, if any"),
        Column("answer", STRING, "the answer, if any"),
        Column("language", STRING, "the bot's language"),
        Column("split", STRING, "'train' or 'test', fixed by the text alone"),
        Column("tokens", STRINGS, "the text's segments (morphemes, words or characters)"),
        Column("excluded", STRING, "why the candidate is not used; null when it is"),
        Column("sources", STRINGS, "the turn_ids it came from, sorted"),
        Column("text_keys", STRINGS, "hashes of the raw texts and of the modules that made this text of them"),
    ),
    key=("utterance_id",),
    content=("utterance_id", "text", "intent", "answer", "split", "tokens", "excluded"),
    provenance=("sources", "text_keys"),
    inputs=("dialogues",),
    code=("chatbot_assets.process.utterances",),
    config=("language", "process"),
)

EMBEDDINGS = Table(
    name="embeddings",
    stage="embed",
    row="one vector per distinct text and encoder",
    description="Sentence vectors of the texts in use; only new texts are encoded.",
    columns=(
        Column("text_id", STRING, "hash of the normalised text"),
        Column("encoder", STRING, "the encoder's name"),
        Column("encoder_version", STRING, "the version of its code, weights and parameters"),
        Column("vector", pa.binary(), "little-endian float16, L2-normalised"),
    ),
    key=("text_id", "encoder"),
    content=("text_id", "encoder", "encoder_version"),
    inputs=("utterances",),
    code=("chatbot_assets.embed.vectors",),
    config=("embed",),
)

MODELS = Table(
    name="models",
    stage="train",
    row="one chunk of one file of one trained model",
    description="Trained models as bytes in chunks of at most 8 MiB, with a manifest of their inputs and metrics.",
    columns=(
        Column("model_id", STRING, "hash of the model's files"),
        Column("file", STRING, "file name within the model"),
        Column("chunk", INT, "position of the chunk in the file, from 0"),
        Column("chunks", INT, "number of chunks of the file"),
        Column("sha256", STRING, "SHA-256 of the whole file"),
        Column("data", pa.binary(), "the bytes"),
        Column("trained_at", TIME, "when"),
    ),
    key=("model_id", "file", "chunk"),
    content=("model_id", "file", "chunk", "sha256"),
    inputs=("utterances", "embeddings"),
    code=("chatbot_assets.train.training", "chatbot_assets.train.rows"),
    config=("train",),
)

EVALUATIONS = Table(
    name="evaluations",
    stage="validate",
    row="one metric of one model on one slice",
    description="How good each model is on held-out rows: overall, per intent, and against the champion.",
    columns=(
        Column("model_id", STRING, "the model"),
        Column("data", STRING, "DataVersion of the utterances it was measured on"),
        Column("slice_kind", STRING, "'overall', 'intent' or 'champion'"),
        Column("slice", STRING, "which intent, or which champion model"),
        Column("metric", STRING, "name of the metric"),
        Column("value", FLOAT, "its value; null when the slice has no rows to measure it on"),
        Column("rows", INT, "rows measured"),
        Column("evaluated_at", TIME, "when"),
    ),
    key=("model_id", "data", "slice_kind", "slice", "metric", "evaluated_at"),
    content=("model_id", "data", "slice_kind", "slice", "metric", "rows"),
    inputs=("utterances", "embeddings", "models"),
    code=("chatbot_assets.validate.evaluation", "serving.responder"),
    config=("validate",),
)

DEPLOYMENTS = Table(
    name="deployments",
    stage="deploy",
    row="one event in the life of a deployment",
    description="Which model went live when, made from what, and why; append-only, one writer wins.",
    columns=(
        Column("event_id", STRING, "hash of the deployment, the event and its position"),
        Column("deployment_id", STRING, "hash of the model and of the effective configuration"),
        Column("model_id", STRING, "the model"),
        Column("event", STRING, "'candidate', 'verified', 'live' or 'rejected'"),
        Column("at", TIME, "when"),
        Column("actor", STRING, "who or what did it"),
        Column("reason", STRING, "why"),
        Column("config_hash", STRING, "hash of the effective configuration"),
        Column("config", STRING, "the effective configuration as JSON"),
        Column("code_revision", STRING, "revision of the platform's code"),
        Column("data_versions", STRING, "table, Delta version and DataVersion of every input, as JSON"),
        Column("metrics", STRING, "the overall metrics as JSON"),
    ),
    key=("event_id",),
    content=("event_id",),
    inputs=("models", "evaluations"),
    code=("chatbot_assets.deploy.verification", "serving.responder"),
    config=("language", "process", "embed", "deploy", "messages"),
)

CONVERSATIONS = Table(
    name="conversations",
    stage="feedback",
    row="one served turn",
    description="What users asked the deployed bot and what it answered; written by the chat service.",
    columns=(
        Column("turn_id", STRING, "identifies the served turn"),
        Column("session_id", STRING, "the conversation"),
        Column("user_id", STRING, "who asked, if known"),
        Column("text", STRING, "what was asked"),
        Column("answer", STRING, "what was answered"),
        Column("intent", STRING, "the recognised intent, if answered or suggested"),
        Column("score", FLOAT, "confidence between 0 and 1"),
        Column("category", STRING, "'answered', 'similar' or 'failed'"),
        Column("candidates", STRING, "the alternatives considered, as JSON"),
        Column("model_id", STRING, "the model that answered"),
        Column("deployment_id", STRING, "the deployment that answered"),
        Column("served_at", TIME, "when"),
        Column("latency_ms", FLOAT, "milliseconds to compute the answer"),
        Column("satisfied", BOOL, "the user's verdict, if given"),
    ),
    key=("turn_id",),
    content=("turn_id",),
)

MATERIALISED = (DIALOGUES, REJECTED, LANDING_FILES, UTTERANCES, EMBEDDINGS, MODELS, EVALUATIONS, DEPLOYMENTS)
"""The tables that a refresh makes, in the order of the data's way."""

TABLES = {table.name: table for table in (*MATERIALISED, CONVERSATIONS)}
