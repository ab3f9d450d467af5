"""Receipts of erasures: signed with a key of the home, and without anything that says who the person was."""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resources.keys import secret_key

FOLDER, KEY_FILE = "receipts", "receipts.key"
SIGNED = ("sha256", "signature")
"""The fields that are made of all others."""


class ReceiptError(ValueError):
    """A receipt that cannot be checked; its text says why."""


def signing_key(root: Path) -> bytes:
    """The home's key for receipts."""
    return secret_key(root / KEY_FILE)


def subject_hash(root: Path, tenant: str, user_id: str, salt: str) -> str:
    """Stands for a person in a receipt; keyed (HMAC-SHA-256, RFC 2104), so that nobody can try out identifiers."""
    return _hmac(signing_key(root), "\0".join((salt, tenant, user_id)).encode())


def sign(root: Path, receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt with its SHA-256 and its signature (HMAC-SHA-256 by the home's key)."""
    data = _canonical(receipt)
    return {**receipt, "sha256": hashlib.sha256(data).hexdigest(), "signature": _hmac(signing_key(root), data)}


def keep(root: Path, receipt: Mapping[str, Any]) -> Path:
    """Writes a signed receipt into the home's folder of receipts; gives its path."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{receipt['at'][:10]}-{receipt['sha256'][:16]}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(receipt, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(temporary, path)
    return path


def check(root: Path, path: Path, user_id: str | None = None) -> dict[str, Any]:
    """What a receipt says, once it is known to be this home's and unchanged.

    Args:
        root: the home.
        path: the receipt.
        user_id: if given, the receipt must be about this person.

    Raises:
        ReceiptError: when it is not.
    """
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
        unsigned = {name: value for name, value in receipt.items() if name not in SIGNED}
        salt, expected = receipt["subject"]["salt"], receipt["subject"]["hash"]
        tenant, signature, sha256 = receipt["tenant"], receipt["signature"], receipt["sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReceiptError(f"{path}: is no receipt of an erasure ({type(error).__name__})") from None
    if not (root / KEY_FILE).exists():
        raise ReceiptError(f"{root} has no {KEY_FILE}: check the receipt in the home that it was made in")
    data = _canonical(unsigned)
    right = hmac.compare_digest(signature, _hmac(signing_key(root), data))
    if not right or sha256 != hashlib.sha256(data).hexdigest():
        raise ReceiptError(f"{path}: was changed, or made in another home: its signature is wrong")
    if user_id is not None and not hmac.compare_digest(expected, subject_hash(root, tenant, user_id, salt)):
        raise ReceiptError(f"{path}: is about somebody else")
    return dict(receipt)


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _hmac(key: bytes, data: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()
