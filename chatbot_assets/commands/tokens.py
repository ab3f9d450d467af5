"""``tokens``: API tokens of a tenant, for machines."""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from chatbot_assets.commands.people import changing, note


def add(tenant: str, name: str, scopes: Sequence[str], days: int) -> dict[str, Any]:
    """Makes a token; this report alone shows it.

    Raises:
        UserError: when it cannot be made.
    """
    with changing(tenant) as (_, directory):
        token = directory.tokens.make(tenant, name, scopes, by=getpass.getuser(), days=days)
        note(directory, tenant, "token_made", name, scopes=" ".join(scopes), days=days)
        return {"tenant": tenant, "name": name, "scopes": sorted(set(scopes)), "days": days, "token": token}


def revoke(tenant: str, name: str) -> dict[str, Any]:
    """Ends a token at once, in all workers.

    Raises:
        UserError: when there is none of that name.
    """
    with changing(tenant) as (_, directory):
        directory.tokens.revoke(tenant, name)
        note(directory, tenant, "token_revoked", name)
        return {"tenant": tenant, "name": name, "revoked": True}


def listed(tenant: str) -> dict[str, Any]:
    """A tenant's tokens, without the tokens themselves.

    Raises:
        UserError: when there is no such tenant.
    """
    with changing(tenant) as (_, directory):
        tokens = [
            {
                "name": token.name,
                "scopes": sorted(token.scopes),
                "made_by": token.made_by or None,
                "made_at": _moment(token.made_at),
                "ends_at": _moment(token.ends_at),
                "used_at": _moment(token.used_at),
            }
            for token in directory.tokens.listed(tenant)
        ]
        return {"tenant": tenant, "tokens": tokens}


def _moment(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def describe(report: dict[str, Any]) -> str:
    """What was done, and a new token, once."""
    if "tokens" in report:
        lines = [
            f"{one['name']}: {', '.join(one['scopes'])}; until {one['ends_at'] or 'it is changed in tokens.json'}, "
            f"last used {one['used_at'] or 'not known'}"
            for one in report["tokens"]
        ]
        return "\n".join(lines or [f"{report['tenant']} has no tokens"])
    if report.get("revoked"):
        return f"{report['tenant']}: token {report['name']} is revoked"
    what = f"{report['tenant']}: token {report['name']} ({', '.join(report['scopes'])}), for {report['days']} days"
    return f"{what}; it is shown this once:\n{report['token']}"
