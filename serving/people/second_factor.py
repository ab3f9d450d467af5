"""Second factors: one-time passwords by time (RFC 6238) that an app shows, and recovery codes for when it is lost.

OWASP ASVS 4.0.3, sections 2.6 and 2.8. The app's secret is kept as it is, beside the hashes of passwords: its codes are
computed from it. Of recovery codes, which have 80 random bits, salted hashes are kept.
"""

import hmac
import re
import secrets
import unicodedata
from enum import StrEnum

from serving.people.store import Store, hash_of, new_secret

DIGITS, STEP_SECONDS, STEPS_OFF = 6, 30, 1
"""Of a code; how long it is shown; and by how many such times the app's clock may be off (RFC 6238, 5.2)."""
RECOVERY_CODES = 10
GIVEN_SECONDS = 5 * 60
"""How long somebody who gave the password has for the code."""
ISSUER = "Chatbots"
"""What apps show above the account."""
_LETTERS, _GROUP = "abcdefghijklmnopqrstuvwxyz234567", 4
_SEPARATORS = re.compile(r"[\s-]+")


class Proof(StrEnum):
    """What was shown as the second factor."""

    CODE = "code"
    RECOVERY_CODE = "recovery_code"


class SecondFactors:
    """The second factors in a store, and who is between password and code."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, tenant: str, name: str) -> str | None:
        """The secret of a new app, which counts once a code of it is confirmed; None when another one does."""
        import pyotp

        secret = pyotp.random_base32()
        query = "INSERT INTO second_factors VALUES (?, ?, ?, NULL) ON CONFLICT (tenant, name) "
        query += "DO UPDATE SET secret = excluded.secret WHERE step IS NULL"
        return secret if self._store.change(query, tenant, name, secret) else None

    def confirm(self, tenant: str, name: str, code: str) -> list[str] | None:
        """Makes the app count if the code is its own; gives the recovery codes, which nobody can see again."""
        codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
        with self._store.changing():
            if not self._uses_step(tenant, name, plain(code), confirmed=False):
                return None
            for one in codes:
                salt = secrets.token_hex(8)
                kept = (hash_of(salt + plain(one)), salt, tenant, name)
                self._store.change("INSERT INTO recovery_codes VALUES (?, ?, ?, ?)", *kept)
        return codes

    def accept(self, tenant: str, name: str, code: str) -> Proof | None:
        """What a code of the account is, or None when it is none; it cannot be used again."""
        given = plain(code)
        with self._store.changing():
            if self._uses_step(tenant, name, given, confirmed=True):
                return Proof.CODE
            query = "SELECT hash, salt FROM recovery_codes WHERE tenant = ? AND name = ?"
            for row in self._store.rows(query, tenant, name):
                if hmac.compare_digest(row["hash"], hash_of(row["salt"] + given)):
                    self._store.change("DELETE FROM recovery_codes WHERE hash = ?", row["hash"])
                    return Proof.RECOVERY_CODE
        return None

    def recovery_codes_left(self, tenant: str, name: str) -> int:
        query = "SELECT 1 FROM recovery_codes WHERE tenant = ? AND name = ?"
        return len(self._store.rows(query, tenant, name))

    def remove(self, tenant: str, name: str) -> None:
        """Forgets an account's app and recovery codes."""
        with self._store.changing():
            for table in ("second_factors", "recovery_codes"):
                self._store.change(f"DELETE FROM {table} WHERE tenant = ? AND name = ?", tenant, name)

    def expect_code(self, tenant: str, name: str) -> str:
        """A secret for the browser of somebody who gave the right password, and now has to give a code."""
        secret, now = new_secret(), self._store.now()
        with self._store.changing():
            self._store.change("DELETE FROM half_sign_ins WHERE ends_at <= ?", now)
            kept = (hash_of(secret), tenant, name, now + GIVEN_SECONDS)
            self._store.change("INSERT INTO half_sign_ins VALUES (?, ?, ?, ?)", *kept)
        return secret

    def expected_of(self, browser: str) -> tuple[str, str] | None:
        """The tenant and name of whom a browser's secret still has to give a code for."""
        query = "SELECT tenant, name FROM half_sign_ins WHERE hash = ? AND ends_at > ?"
        row = self._store.row(query, hash_of(browser), self._store.now())
        return (row["tenant"], row["name"]) if row else None

    def arrived(self, browser: str) -> None:
        """The code was given; the browser's secret is of no more use."""
        self._store.change("DELETE FROM half_sign_ins WHERE hash = ?", hash_of(browser))

    def _uses_step(self, tenant: str, name: str, code: str, *, confirmed: bool) -> bool:
        """Whether it is a code of the app for a time after that of the last one; notes the time as used."""
        import pyotp

        query = "SELECT secret, step FROM second_factors WHERE tenant = ? AND name = ?"
        row = self._store.row(query, tenant, name)
        if row is None or (row["step"] is not None) != confirmed:
            return False
        app = pyotp.TOTP(row["secret"], digits=DIGITS, interval=STEP_SECONDS)
        now = int(self._store.now()) // STEP_SECONDS
        for step in range(max(now - STEPS_OFF, (row["step"] or 0) + 1), now + STEPS_OFF + 1):
            if hmac.compare_digest(app.generate_otp(step), code):
                query = "UPDATE second_factors SET step = ? WHERE tenant = ? AND name = ?"
                self._store.change(query, step, tenant, name)
                return True
        return False


def address_for_app(secret: str, tenant: str, name: str) -> str:
    """What an app reads as a QR code (the key URI format of Google Authenticator)."""
    import pyotp

    app = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    return app.provisioning_uri(name=f"{tenant}/{name}", issuer_name=ISSUER)


def new_recovery_code() -> str:
    """80 random bits, as groups of letters and digits that cannot be taken for one another."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def plain(code: str) -> str:
    """A code as it is compared: however it was grouped, in capitals or not, in wide digits or not; empty if none."""
    normal = _SEPARATORS.sub("", unicodedata.normalize("NFKC", code)).lower()
    return normal if normal.isascii() else ""
