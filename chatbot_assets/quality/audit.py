"""Runs a table's checks: on a change before it is committed, and on the whole committed table."""

from dataclasses import replace

import pyarrow as pa

from chatbot_assets.quality.declarations import CHECKS
from chatbot_assets.quality.findings import Finding
from chatbot_assets.quality.view import View
from resources.lakehouse import Commit, Lake, LakeTable, RowHash, Signature


def check_change(view: View) -> list[Finding]:
    """The findings of a table's checks, in the order of their declaration.

    Rows that are not as declared are looked at no further.
    """
    declared, *others = CHECKS[view.table.name]
    first = declared(view)
    return [first] if first.blocks else [first, *(check(view) for check in others)]


def audit_table(lake: Lake, key: str, table_name: str) -> list[Finding]:
    """Reads a bot's whole table again and looks whether it is what its last commit says; nothing here blocks.

    Beside the table's checks, on all of its rows, there is ``as_recorded``: rows, and their hash, equal the record.
    A table that does not exist yet has no findings.
    """
    table = lake.table(key, table_name)
    last = table.last()
    if last is None:
        return []
    made_from = last.record.signature if last.record else Signature()
    try:
        findings = check_change(View(lake, key, table, None, made_from))
        if last.record or table.table.code:
            findings.insert(0, _as_recorded(table, last))
    except (OSError, pa.ArrowException) as error:
        return [Finding("as_recorded", False, "fails", f"the rows cannot be read: {str(error).splitlines()[0]}")]
    return [replace(found, effect="fails") if found.effect == "blocks" else found for found in findings]


def _as_recorded(table: LakeTable, last: Commit) -> Finding:
    name = "as_recorded"
    record = last.record
    if record is None:
        return Finding(name, False, "fails", f"version {last.changed_at} was written by something else; restore it")
    content = RowHash(table.table.content)
    rows = RowHash(table.table.content + table.table.provenance)
    count = 0
    for batch in table.batches(rows.columns):
        count += len(batch)
        content.add(batch)
        if table.table.provenance:
            rows.add(batch)
    if not table.table.provenance:
        rows.total = content.total
    if count != record.rows:
        return Finding(name, False, "fails", f"{count:,} rows are there, but {record.rows:,} were recorded")
    if (content.hexdigest(), rows.hexdigest()) != (record.content_hash, record.row_hash):
        return Finding(name, False, "fails", "the rows are not those that were recorded: their hash is another one")
    return Finding(name, True, "fails", f"{count:,} rows are as recorded in version {last.version}")
