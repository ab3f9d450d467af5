"""``audit``: who did what at a tenant, and whether the record is whole."""

from typing import Any

from chatbot_assets.auditing import note_events
from chatbot_assets.commands.people import changing


def run(tenant: str, *, expect: str | None) -> dict[str, Any]:
    """All entries, the oldest first, and what a look through their chain found.

    Raises:
        UserError: when there is no such tenant.
    """
    with changing(tenant) as (home, _):
        log = note_events(home, tenant)
        checked = log.check(expect)
        return {
            "tenant": tenant,
            "entries": list(log.entries()),
            "head": checked.head,
            "whole": checked.problem is None,
            "problem": checked.problem,
        }


def describe(report: dict[str, Any]) -> str:
    """A line an entry, and the hash that is to be kept elsewhere."""
    lines = [
        f"{entry['at'][:19]}Z  {entry['event']:<20} {entry['outcome']:<8} {entry['actor']} ({entry['how']})"
        + "".join(f"  {entry[field]}" for field in ("bot", "about") if entry[field])
        + "".join(f"  {name}={value}" for name, value in entry["details"].items())
        for entry in report["entries"]
    ]
    state = "whole" if report["whole"] else f"NOT whole: {report['problem']}"
    return "\n".join([*lines, f"{len(lines)} entries, {state}; last hash {report['head']}"])
