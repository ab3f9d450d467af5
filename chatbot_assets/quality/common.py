"""A check, and the checks that every table has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.quality.findings import NAMED_ROWS, Effect, Finding, Found, judged, shortened
from chatbot_assets.quality.rules import any_null, keys_of, may_hold_nulls, repeated, unknown, wrong_types
from chatbot_assets.quality.view import View
from chatbot_assets.tables import Table

KEPT_SHARE = 0.5
"""A table that holds less than this share of its recent rows has probably lost some that it should have."""


@dataclass(frozen=True)
class Check:
    """Something that must hold of a table: ``protects`` says what in a sentence, ``look`` finds out whether it does."""

    name: str
    protects: str
    effect: Effect
    look: Callable[[View], Found]

    def __call__(self, view: View) -> Finding:
        found = self.look(view)
        return Finding(self.name, found.passed, self.effect, found.description, found.rows)


def common_checks(table: Table, optional: Sequence[str] = (), *, unique: Effect = "blocks") -> tuple[Check, ...]:
    """The columns' types and needed values, and the key; all columns but the ``optional`` ones need a value."""
    needed = [name for name in table.schema.names if name not in optional]
    effect: Effect = "blocks" if table.code else "fails"
    return (
        Check(
            "as_declared", "Columns have their types, and those that need a value have one.", effect, _declared(needed)
        ),
        Check("unique_key", f"No two rows have the same {' and '.join(table.key)}.", unique, _unique_key),
    )


def row_count() -> Check:
    """Warns when a table lost more than half of its rows."""
    return Check(
        "row_count", "The table did not lose most of its rows against its recent commits.", "warns", _row_count
    )


def allowed(column: str, *values: str, effect: Effect = "blocks") -> Check:
    """The values that a column may have."""

    def look(view: View) -> Found:
        known = pa.array(values, pa.string())
        return rows_that(
            view,
            (column,),
            lambda batch: unknown(batch.column(column), known),
            f"{column} is {' or '.join(values)}",
            f"rows with another {column} than {', '.join(values)}",
        )

    return Check(f"known_{column}", f"{column} is one of: {', '.join(values)}.", effect, look)


def rows_that(
    view: View,
    columns: Sequence[str],
    mark: Callable[[pa.RecordBatch], pa.Array],
    what_holds: str,
    what_breaks: str,
) -> Found:
    """Judges the written rows one by one: those that ``mark`` marks break the rule."""
    broken, rows = 0, list[str]()
    for batch in view.written(*columns):
        marked = batch.filter(mark(batch))
        broken += len(marked)
        rows += islice(keys_of(marked, view.table.key), NAMED_ROWS - len(rows))
    return judged(broken, what_holds, what_breaks, rows)


def marked_rows(marks: pa.ChunkedArray, rows: pa.Table, what_holds: str, what_breaks: str) -> Found:
    """Judges all rows at once: ``rows`` has the column that names them first."""
    broken = pc.sum(marks).as_py() or 0
    names = rows.filter(marks).slice(0, NAMED_ROWS).column(0).to_pylist() if broken else []
    return judged(broken, what_holds, what_breaks, map(str, names))


def _declared(needed: Sequence[str]) -> Callable[[View], Found]:
    def look(view: View) -> Found:
        for path in view.written_files:
            if problems := wrong_types(path, view.table.schema):
                return Found(False, f"{path.name}: {shortened(problems)}")
        columns = {column for path in view.written_files for column in may_hold_nulls(path, needed)}
        return (
            rows_that(
                view,
                sorted(columns),
                lambda batch: any_null(batch, columns),
                "the columns have their types and needed values",
                f"rows without a value in {' or '.join(sorted(columns))}",
            )
            if columns
            else Found(True, "the columns have their types and needed values")
        )

    return look


def _unique_key(view: View) -> Found:
    key = view.table.key
    found = repeated(view.rows(*key), key)
    return judged(len(found), "no key is there twice", "keys that are there more than once", keys_of(found, key))


def _row_count(view: View) -> Found:
    most = max(view.past, default=0)
    if view.count >= KEPT_SHARE * most:
        return Found(True, f"{view.count:,} rows" + (f" ({most:,} at most lately)" if most else ""))
    return Found(False, f"{view.count:,} rows are left of {most:,}; if that is not meant, look at what was landed")
