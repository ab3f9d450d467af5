"""Passwords: what a good one is, and how it is kept (OWASP ASVS 4.0.3, sections 2.1 and 2.4).

Common ones are told by zxcvbn (Wheeler, USENIX Security 2016), whose lists of leaked passwords, names and words come
with it. It is imported when a password is set, and never at sign-in.
"""

import functools
import threading
import unicodedata
from collections.abc import Sequence

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from serving.people.store import PeopleError

LENGTH, LONGEST, DIFFERENT = 12, 128, 6
LOOKED_AT = 24
"""Characters that zxcvbn sees. Its time grows exponentially with the digits and signs that may stand for letters: 0.4 s
for the worst 24 of them, 15 s for 64. A password is no easier to guess than its beginning."""
HARD_ENOUGH = 3
"""Of zxcvbn's scores 0 to 4: at least 10^8 guesses."""
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""Argon2id with 19 MiB, two passes and one lane: the Password Storage Cheat Sheet of OWASP."""
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each takes 19 MiB and a core; a flood of sign-ins must not take all of them."""
_ONE_BY_ONE = threading.Lock()
"""zxcvbn keeps the names that it is given where other threads would see them."""


class CommonPasswordError(PeopleError):
    """A password that guessers try early."""


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
    """Refuses a password that is easily guessed: short, of few characters, common, or with the account's own names.

    Raises:
        CommonPasswordError: when it is common, or made of common parts.
        PeopleError: otherwise; says what a password must be.
    """
    normal = _normal(password)
    if not LENGTH <= len(normal) <= LONGEST:
        raise PeopleError(f"a password has {LENGTH} to {LONGEST} characters")
    if len(set(normal.lower())) < DIFFERENT:
        raise PeopleError(f"a password has at least {DIFFERENT} different characters")
    # A name of one or two letters is in many good passwords by chance.
    if any(len(name) > 2 and name.lower() in normal.lower() for name in names):
        raise PeopleError("a password must not hold the name of the account or of the tenant")
    if _is_common(normal, names):
        raise CommonPasswordError("a password must not be a common one; choose a few words that do not belong together")


def _is_common(password: str, names: Sequence[str]) -> bool:
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]

    with _ONE_BY_ONE:
        return bool(zxcvbn(password[:LOOKED_AT], names)["score"] < HARD_ENOUGH)


def _normal(password: str) -> str:
    """Equal for what looks equal: keyboards differ in how they compose letters (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


@functools.cache
def _nobody_s() -> str:
    return _HASHER.hash("nobody's password")
