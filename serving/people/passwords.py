"""Passwords: what a good one is, and how it is kept (OWASP ASVS 4.0.3, sections 2.1 and 2.4)."""

import functools
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from serving.people.store import PeopleError

LENGTH, LONGEST, DIFFERENT = 12, 128, 6
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""Argon2id with 19 MiB, two passes and one lane: the Password Storage Cheat Sheet of OWASP."""
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each takes 19 MiB and a core; a flood of sign-ins must not take all of them."""


def hashed(password: str) -> str:
    """What is kept of a password, with its salt and parameters."""
    with _AT_ONCE:
        return _HASHER.hash(_normal(password))


def matches(kept: str | None, password: str) -> bool:
    """Whether it is that password. Takes as long when there is none, so that the time tells no account's name."""
    with _AT_ONCE:
        try:
            return _HASHER.verify(kept or _nobody_s(), _normal(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than those of now."""
    return _HASHER.check_needs_rehash(kept)


def check_password(password: str, *names: str) -> None:
    """Refuses a password that is easily guessed: short, of few characters, or with the account's own names in it.

    Raises:
        PeopleError: says what a password must be.
    """
    normal = _normal(password)
    if not LENGTH <= len(normal) <= LONGEST:
        raise PeopleError(f"a password has {LENGTH} to {LONGEST} characters")
    if len(set(normal.lower())) < DIFFERENT:
        raise PeopleError(f"a password has at least {DIFFERENT} different characters")
    # A name of one or two letters is in many good passwords by chance.
    if any(len(name) > 2 and name.lower() in normal.lower() for name in names):
        raise PeopleError("a password must not hold the name of the account or of the tenant")


def _normal(password: str) -> str:
    """Equal for what looks equal: keyboards differ in how they compose letters (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


@functools.cache
def _nobody_s() -> str:
    return _HASHER.hash("nobody's password")
