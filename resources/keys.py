"""Secret keys of a home: files that only their owner can read, made at their first use."""

import contextlib
import os
import secrets
from pathlib import Path

KEY_BYTES = 32


def secret_key(path: Path) -> bytes:
    """The key in a file; makes it when there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(KEY_BYTES))
        with contextlib.suppress(FileExistsError):  # of several first users one makes the key
            os.link(temporary, path)
        temporary.unlink()
    return bytes.fromhex(path.read_text(encoding="ascii"))
