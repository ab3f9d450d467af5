"""Sessions of the pages: a signed cookie that says which tenant somebody signed in as, and until when.

Browsers send a cookie of 127.0.0.1 to every port there, Dagster's too. So it does not hold the tenant's token but a
signature made with it, which is of no use after some hours, or once the token has been changed.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping

SESSION_SECONDS = 12 * 3600


def new_session(tenant: str, token: str) -> str:
    """The cookie's value: tenant, end (seconds since 1970) and signature."""
    says = f"{tenant}.{int(time.time()) + SESSION_SECONDS}"
    return f"{says}.{_signature(says, token)}"


def tenant_of_session(session: str, tokens: Mapping[str, str]) -> str | None:
    """The tenant that a session belongs to; None for one that has ended or was not made here."""
    says, _, signature = session.rpartition(".")
    tenant, _, end = says.partition(".")
    if tenant not in tokens or not hmac.compare_digest(signature.encode(), _signature(says, tokens[tenant]).encode()):
        return None
    return tenant if int(end) > time.time() else None


def _signature(says: str, token: str) -> str:
    return hmac.new(token.encode(), b"session of the pages:" + says.encode(), hashlib.sha256).hexdigest()
