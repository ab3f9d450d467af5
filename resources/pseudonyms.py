"""Stands for users' ids without telling them: equal for equal ids of one tenant, and other in every home."""

import hashlib
import hmac
from pathlib import Path

from resources.keys import secret_key

KEY_FILE = "pseudonyms.key"
"""Without this file of the home nobody can tell whose a pseudonym is; with it ids can be tried out."""
DIGITS = 32


def pseudonym(root: Path, tenant: str, user_id: str) -> str:
    """The pseudonym of a tenant's user, by HMAC-SHA-256 (RFC 2104) with the home's key."""
    digest = hmac.new(secret_key(root / KEY_FILE), f"{tenant}\0{user_id}".encode(), hashlib.sha256)
    return f"p-{digest.hexdigest()[:DIGITS]}"


def names_of(root: Path, tenant: str, user_id: str) -> frozenset[str]:
    """Under which names rows may hold a user: the id and, when the home has pseudonyms, that."""
    known = {pseudonym(root, tenant, user_id)} if (root / KEY_FILE).exists() else set()
    return frozenset({user_id, *known})
