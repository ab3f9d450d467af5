"""Finds a person in a bot's data: their own rows in every version, and what was derived from these rows alone."""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chatbot_assets.bot import Bot
from chatbot_assets.deploy.record import ERASED, history
from chatbot_assets.deploy.replica import replicas
from chatbot_assets.embed.vectors import text_id
from chatbot_assets.erasing.landing_rows import OwnRows, mentions, own_rows
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.tables import DEPLOYMENTS, MODELS, UTTERANCES
from resources.environment import Home
from resources.lakehouse import Lake, LakeTable
from resources.pseudonyms import names_of

Rows = list[dict[str, Any]]
CONTEXT = {
    "dialogues": ("dialogue_id", "text", "intent", "answer", "channel", "source_file"),
    # What a model answered or suggested to others may be the person's: it is taken out of there.
    "conversations": ("session_id", "text"),
    "review_decisions": ("intent", "answer", "reason", "reviewer"),
    "utterances": ("text", "intent", "answer"),
    "paraphrases": ("text",),
}
"""The columns that others' rows say something in: what stands there too tells nothing of the person."""


@dataclass
class Found:
    """What a bot holds of a person; ``counts`` gives rows and files of each table, in all versions that are left.

    ``names`` are the id and the pseudonym of the person, ``ids`` and ``texts`` what to look for beside them, without
    what others' rows hold as well. ``models`` are those that learnt from rows that were the person's alone.
    """

    user_id: str
    names: set[str] = field(default_factory=set)
    landed: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    decisions: set[str] = field(default_factory=set)
    utterances: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)

    @property
    def turns(self) -> set[str]:
        return self.landed | self.served

    @property
    def markers(self) -> Markers:
        """What must not be left anywhere. Names too short for a search are not among them: see :meth:`short`."""
        ids = self.ids | self.turns | self.rejected | self.decisions | self.utterances | self.names
        found = Markers.of(ids, self.texts)
        return Markers(found.telling, found.whole - self.names)

    def short(self, column: str, markers: Markers) -> frozenset[str]:
        """The values of a table's column that are the person's although they are too short for a search."""
        if column == "user_id":
            return frozenset(self.names)
        return markers.whole if column in ("text", "raw") else frozenset()

    def know(self, other: "Found") -> None:
        """Adds who and what is the person's, as it was found earlier, before an erasure was interrupted."""
        for name in ("names", "landed", "rejected", "served", "decisions", "utterances", "ids", "texts", "models"):
            getattr(self, name).update(getattr(other, name))

    def count_too(self, other: "Found") -> None:
        """Goes on to tell of what there was earlier, and may be gone by now."""
        for table, counts in other.counts.items():
            mine = self.counts.setdefault(table, {"rows": 0, "files": 0})
            self.counts[table] = {name: max(mine[name], counts[name]) for name in counts}
        self.files = other.files | self.files

    def to_json(self) -> str:
        return json.dumps(
            {name: sorted(value) if isinstance(value, set) else value for name, value in vars(self).items()}
        )

    @classmethod
    def from_json(cls, text: str) -> "Found":
        values: dict[str, Any] = json.loads(text)
        found = cls(values.pop("user_id"))
        for name, value in values.items():
            setattr(found, name, set(value) if isinstance(value, list) else value)
        return found


def data_files(table: LakeTable) -> list[Path]:
    """Every data file below a table's folder, of whichever version, or of none."""
    return sorted(path for path in table.path.rglob("*.parquet") if "_delta_log" not in path.parts)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a data file. What Delta's own writer keeps as views, which Arrow cannot filter, is plain here."""
    rows = pq.read_table(path, columns=None if columns is None else list(columns))
    return rows.cast(pa.schema([column.with_type(_plain(column.type)) for column in rows.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def landing_files(home: Home, key: str) -> list[Path]:
    """All files below a bot's landing folder, withdrawn ones too."""
    return sorted(path for path in home.landing(key).rglob("*") if path.is_file() and not path.is_symlink())


def find(home: Home, lake: Lake, bot: Bot, user_id: str, earlier: Found | None = None) -> tuple[Found, list[OwnRows]]:
    """What a bot holds of a person, and their rows in landing files. The caller holds the bot's tables.

    ``earlier`` is what was found before an erasure was interrupted: what is made of rows that are gone by now is still
    found.
    """
    landed_as = unicodedata.normalize("NFC", user_id)
    names = {landed_as, *names_of(home.root, bot.tenant, user_id)}
    found = Found(user_id, names)
    if earlier:
        found.know(earlier)
    finder = _Finder(lake, bot.key, found)
    finder.own()
    finder.queued(bot.process.normaliser.load())
    landing = [own_rows(path, landed_as, bot.sources) for path in landing_files(home, bot.key)]
    landing = [rows for rows in landing if rows.lines]
    found.files = {rows.path.relative_to(home.landing(bot.key)).as_posix(): len(rows.lines) for rows in landing}
    found.texts.update(*(rows.texts for rows in landing))
    finder.derived()
    finder.leave_out_what_others_hold([*finder.others(), *_bot_files(home, bot)])
    if earlier:
        found.count_too(earlier)
    return found, landing


class _Finder:
    """Goes through a bot's tables, and the replicas that came with imported deployments, for what is the person's."""

    def __init__(self, lake: Lake, key: str, found: Found) -> None:
        self.lake = lake
        self.replicas = replicas(lake, key)
        self.key = key
        self.found = found
        self.trained_in: set[Path] = set()

    def table(self, name: str) -> LakeTable:
        return self.lake.table(self.key, name)

    def replica(self, name: str) -> LakeTable:
        return self.replicas.table(self.key, name)

    def rows(self, name: str, columns: Sequence[str]) -> Iterator[tuple[Path, pa.Table]]:
        """Some columns of each data file, as far as the file has them."""
        for path in [*data_files(self.table(name)), *data_files(self.replica(name))]:
            if set(columns) <= set(pq.read_schema(path).names):
                yield path, read_rows(path, columns)

    def now(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of the newest version. Of a replica, of which no version is the newest for all: of each file."""
        yield from self.table(name).batches(columns)
        replica = self.replica(name)
        yield from replica.read_files(
            [path.relative_to(replica.path).as_posix() for path in data_files(replica)], columns
        )

    def count(self, name: str, rows: int) -> None:
        if rows:
            mine = self.found.counts.setdefault(name, {"rows": 0, "files": 0})
            self.found.counts[name] = {"rows": mine["rows"] + rows, "files": mine["files"] + 1}

    # -- the person's own rows --------------------------------------------------------------------------------------

    def own(self) -> None:
        self._with_context("dialogues", "dialogue_id", self.found.landed, ("text", "answer"), ("file_sha256",))
        self._with_context("conversations", "session_id", self.found.served, ("text",))
        self._rejected()
        self._decided()

    def _with_context(
        self, name: str, context: str, turns: set[str], texts: Sequence[str], within: Sequence[str] = ()
    ) -> None:
        """Rows with the person's ``user_id``, and those without one in the same dialogue or session."""
        columns = ("turn_id", "user_id", context, *texts, *within)
        names = pa.array(sorted(self.found.names), pa.string())
        groups: set[tuple[Any, ...]] = set()
        for _, rows in self.rows(name, columns):
            mine = rows.filter(pc.is_in(rows.column("user_id"), value_set=names))
            groups.update(tuple(row[one] for one in (context, *within)) for row in mine.to_pylist() if row[context])
        contexts = pa.array(sorted({group[0] for group in groups}), pa.string())
        for _, rows in self.rows(name, columns):
            user = rows.column("user_id")
            near = pc.and_(pc.is_null(user), pc.is_in(rows.column(context), value_set=contexts))
            likely = rows.filter(pc.or_(pc.is_in(user, value_set=names), near)).to_pylist()
            mine = [row for row in likely if row["user_id"] or tuple(row[one] for one in (context, *within)) in groups]
            turns.update(row["turn_id"] for row in mine)
            self.found.texts.update(row[text] for row in mine for text in texts if row[text])
            self.found.ids.update(row[context] for row in mine if row[context])
            self.count(name, len(mine))

    def _rejected(self) -> None:
        mention = mentions(self.found.user_id)
        for _, rows in self.rows("rejected", ("rejected_id", "raw")):
            mine = [row for row in rows.to_pylist() if mention.search(row["raw"] or "")]
            self.found.rejected.update(row["rejected_id"] for row in mine)
            self.found.texts.update(row["raw"] for row in mine)
            self.count("rejected", len(mine))

    def _decided(self) -> None:
        columns = ("decision_id", "turn_ids", "texts", "answer", "reason")
        for _, rows in self.rows("review_decisions", columns):
            touched = 0
            for row in rows.to_pylist():
                mine = [text for turn, text in zip(row["turn_ids"], row["texts"], strict=True) if turn in self.turns]
                self.found.texts.update(mine)
                touched += bool(mine)
                if mine and self.turns.issuperset(row["turn_ids"]):
                    self.found.decisions.add(row["decision_id"])
                    self.found.texts.update(row[name] for name in ("answer", "reason") if row[name])
            self.count("review_decisions", touched)

    def queued(self, normalise: Callable[[str], str]) -> None:
        """Groups of the queue that are called by a text of the person's; shadows' answers to their turns."""
        columns = ("turn_id", "text", "group_id", "group_text")
        served = pa.array(sorted(self.found.served), pa.string())
        groups: dict[str, str] = {}
        for _, rows in self.rows("review_queue", columns):
            mine = rows.filter(pc.is_in(rows.column("turn_id"), value_set=served)).to_pylist()
            groups |= {row["group_id"]: row["group_text"] for row in mine if row["group_text"]}
            self.count("review_queue", len(mine))
        said_by_others = {
            normalise(row["text"])
            for _, rows in self.rows("review_queue", columns)
            for row in rows.filter(
                pc.is_in(rows.column("group_id"), value_set=pa.array(sorted(groups), pa.string()))
            ).to_pylist()
            if row["turn_id"] not in self.found.served
        }
        own = {group: text for group, text in groups.items() if text not in said_by_others}
        self.found.ids.update(own)
        self.found.texts.update(own.values())
        for _, rows in self.rows("shadow_answers", ("turn_id",)):
            self.count("shadow_answers", len(rows.filter(pc.is_in(rows.column(0), value_set=served))))

    @property
    def turns(self) -> set[str]:
        return self.found.turns

    # -- what was derived from them alone ---------------------------------------------------------------------------

    def derived(self) -> None:
        texts, stay = self._utterances()
        self.found.texts |= texts
        candidates = self._candidates(texts, stay)
        self._paraphrases()
        self.found.texts |= candidates
        used = {text for batch in self.now("paraphrase_candidates", ("text",)) for text in batch.column(0).to_pylist()}
        used -= texts
        self.found.ids |= {text_id(text) for text in (texts | candidates) - stay - used}
        self._models()

    def _utterances(self) -> tuple[set[str], set[str]]:
        """The texts that only the person said, and the texts that stay."""
        mine = pa.array(sorted(self.turns), pa.string())
        columns = ("utterance_id", "text", "answer", "sources", "text_keys")
        now = (row for batch in self.now("utterances", columns) for row in batch.to_pylist())
        stay = [row for row in now if not self._is_own(row["sources"])]
        ids, keys = {row["utterance_id"] for row in stay}, {key for row in stay for key in row["text_keys"]}
        texts_that_stay = {row["text"] for row in stay}
        texts: set[str] = set()
        for path, rows in self.rows("utterances", (*columns, "split", "excluded")):
            sources = rows.column("sources").combine_chunks()
            marks = pc.is_in(pc.list_flatten(sources), value_set=mine)
            touched = rows.take(pc.unique(pc.list_parent_indices(sources).filter(marks))).to_pylist()
            for row in touched:
                if row["utterance_id"] in ids:
                    continue
                self.found.utterances.add(row["utterance_id"])
                self.found.ids.update(set(row["text_keys"]) - keys)
                texts.add(row["text"])
                if row["answer"]:
                    self.found.texts.add(row["answer"])
                if row["split"] == "train" and row["excluded"] is None:
                    self.trained_in.add(path)
            self.count("utterances", len(touched))
        return texts - texts_that_stay, texts_that_stay

    def _is_own(self, sources: Iterable[str]) -> bool:
        return self.turns.issuperset(sources)

    def _candidates(self, texts: set[str], stay: set[str]) -> set[str]:
        """What the rules made of the texts that only the person said, and of no other text."""
        columns = ("text", "text_key", "candidates")
        others = [row for batch in self.now("paraphrase_candidates", columns) for row in batch.to_pylist()]
        common = stay | {one for row in others if row["text"] not in texts for one in row["candidates"]}
        found: set[str] = set()
        wanted = pa.array(sorted(texts), pa.string())
        for _, rows in self.rows("paraphrase_candidates", columns):
            mine = rows.filter(pc.is_in(rows.column("text"), value_set=wanted)).to_pylist()
            self.found.ids.update(row["text_key"] for row in mine)
            found.update(one for row in mine for one in row["candidates"])
            self.count("paraphrase_candidates", len(mine))
        return found - common

    def _paraphrases(self) -> None:
        parents = pa.array(sorted(self.found.utterances), pa.string())
        for name, column, own in (("paraphrases", "parent_id", "paraphrase_id"), ("labels", "utterance_id", None)):
            for _, rows in self.rows(name, (column, *([own] if own else []))):
                mine = rows.filter(pc.is_in(rows.column(column), value_set=parents))
                self.found.ids.update(mine.column(own).to_pylist() if own else ())
                self.count(name, mine.num_rows)

    def _models(self) -> None:
        """The models whose version of ``utterances`` held something to learn that was the person's alone."""
        models = self.table(MODELS.name)
        if models.last() is None:
            return
        # Those that an import has marked: what they learnt from was never here.
        marked = {one["model_id"] for one in history(self.table(DEPLOYMENTS.name)).events if one["event"] == ERASED}
        if marked:
            present = {model for batch in self.now(MODELS.name, ("model_id",)) for model in batch.column(0).to_pylist()}
            self.found.models |= marked & present
        active = {imported: _files_of_versions(table) for imported, table in self._taught().items()}
        for _, record in models.records():
            read = record.signature.inputs.get(UTTERANCES.name)
            versions = active.get("imported" in record.notes, [])
            if read and read.version < len(versions) and versions[read.version] & self.trained_in:
                self.found.models.update(filter(None, [record.notes.get("model_id")]))
        self.count(MODELS.name, len(self.found.models))

    def _taught(self) -> dict[bool, LakeTable]:
        """The utterances that models learnt from: the bot's own, and those that imported models did."""
        tables = {False: self.table(UTTERANCES.name), True: self.replica(UTTERANCES.name)}
        return {imported: table for imported, table in tables.items() if table.last() is not None}

    # -- what others hold -------------------------------------------------------------------------------------------

    def others(self) -> Iterator[str]:
        """What the rows of others say."""
        own = {"dialogues": self.found.landed, "conversations": self.found.served}
        for name, columns in CONTEXT.items():
            key = self.table(name).table.key[0]
            mine = own.get(name) or {"utterances": self.found.utterances, "review_decisions": self.found.decisions}.get(
                name, self.found.ids
            )
            gone = pa.array(sorted(mine), pa.string())
            for batch in self.now(name, (key, *columns)):
                rest = batch.filter(pc.invert(pc.is_in(batch.column(key), value_set=gone)))
                for column in columns:
                    values = pc.unique(rest.column(column)).to_pylist()
                    yield from (value for value in values if value)

    def leave_out_what_others_hold(self, values: Iterable[str]) -> None:
        markers = Markers.of(self.found.ids, self.found.texts).without(values)
        left = markers.telling | markers.whole
        self.found.ids &= left
        self.found.texts &= left


def _files_of_versions(table: LakeTable) -> list[frozenset[Path]]:
    """The data files of each version of a table, from version 0."""
    active: list[frozenset[Path]] = []
    for entry in table.history():
        before = active[-1] if active else frozenset[Path]()
        active.append(
            (before - {table.path / one for one in entry.removed}) | {table.path / one for one in entry.added}
        )
    return active


def _bot_files(home: Home, bot: Bot) -> Iterator[str]:
    """What the bot's own files say: they are no data about people."""
    for path in (home.bots / bot.tenant).glob("*"):
        if path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace")
