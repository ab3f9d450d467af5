"""Compaction: many small files of a table become few, with the same rows."""

from resources.lakehouse import LakeTable

MANY_FILES = 8
SMALL_BYTES = 8 * 1024 * 1024
TARGET_BYTES = 32 * 1024 * 1024
"""Size of a joined file: an amendment writes whole files again, so they must not grow without bound."""


def compact(table: LakeTable) -> tuple[int, int]:
    """Joins a table's small files if there are many; gives the number of its data files before and after.

    The commit says of every file that no row changes by it, so the table keeps its record and its DataVersion. When
    somebody else commits first (only ``conversations`` and ``review_decisions`` have other writers), the table stays as
    it is until the next time.
    """
    before = table.file_sizes()
    if sum(size < SMALL_BYTES for size in before.values()) < MANY_FILES:
        return len(before), len(before)
    table.join_files(TARGET_BYTES)
    return len(before), len(table.file_sizes())
