"""Bearer tokens: one a tenant, made at first start and kept in a file that only its owner can read."""

import hmac
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from resources.remembered import Remembered, fingerprint

TOKENS_FILE = "tokens.json"


def load_tokens(path: Path) -> dict[str, str]:
    """The tokens by tenant; empty when none were made yet."""
    try:
        tokens: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return tokens


class KnownTokens:
    """The tokens of a file that may change; read again only then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: Remembered[dict[str, str]] = Remembered()

    def now(self) -> dict[str, str]:
        """The tokens by tenant, as :func:`load_tokens`."""
        return self._read.get(self._path, fingerprint(self._path), lambda: load_tokens(self._path))


def ensure_tokens(path: Path, tenants: Iterable[str]) -> dict[str, str]:
    """Gives every tenant a token, making those that are missing."""
    tokens = load_tokens(path)
    missing = sorted(set(tenants) - set(tokens))
    if missing:
        tokens |= {tenant: secrets.token_urlsafe(32) for tenant in missing}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(tokens, stream, indent=2)
        temporary.rename(path)
    return tokens


def tenant_of(token: str, tokens: dict[str, str]) -> str | None:
    """The tenant that a token belongs to; compares in constant time."""
    found = None
    for tenant, known in tokens.items():
        if hmac.compare_digest(token.encode(), known.encode()):
            found = tenant
    return found
