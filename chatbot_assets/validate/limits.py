"""What a model may cost: the time of one turn and the size of its files. Joins the verdicts of all gates."""

from collections.abc import Sequence
from pathlib import Path

from chatbot_assets.validate.gate import NAMED_ROWS, Gate

BYTES_PER_MEGABYTE = 1_000_000


def megabytes(folder: Path) -> float:
    """The size of all files of a model, in millions of bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / BYTES_PER_MEGABYTE


def within_limits(p50_ms: float | None, size: float, *, maximum_p50_ms: float, maximum_megabytes: float) -> Gate:
    """Refuses a model whose median turn (ms; None when none was timed) or whose size (MB) is above its limit.

    The median, and not the slowest turns: these tell of what else the machine did at that moment.
    """
    broken = []
    if p50_ms is not None and p50_ms > maximum_p50_ms:
        broken.append(f"a turn takes {p50_ms:.1f} ms (median), more than validate.maximum_p50_ms {maximum_p50_ms:g}")
    if size > maximum_megabytes:
        broken.append(f"the model has {size:.1f} MB, more than validate.maximum_megabytes {maximum_megabytes:g}")
    return Gate(not broken, "; ".join(broken))


def together(gates: Sequence[Gate]) -> Gate:
    """One verdict: passed when all did; a refusal says why of those that refused, and holds their rows."""
    telling = [gate for gate in gates if not gate.passed] or gates
    rows = [row for gate in telling for row in gate.rows]
    return Gate(
        passed=all(gate.passed for gate in gates),
        reason="; ".join(gate.reason for gate in telling if gate.reason),
        rows=tuple(rows[:NAMED_ROWS]),
        count=sum(gate.count for gate in telling),
    )
