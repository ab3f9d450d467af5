"""Sessions of browsers, kept on the server: the cookie holds a random secret, the store its hash.

Times are those of NIST SP 800-63B for assurance level 2, which OWASP ASVS 3.3 takes over.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from serving.people.accounts import Account, Accounts
from serving.people.api_tokens import ApiToken, ApiTokens
from serving.people.roles import How, Person, permissions_of
from serving.people.store import Store, hash_of, new_secret

IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
SEEN_SECONDS = 60
"""When somebody was there is kept to the minute."""


@dataclass(frozen=True)
class Identity:
    """Who has just signed in, and how. ``roles`` are those that single sign-on gave, ``token`` the hash of a token."""

    tenant: str
    name: str
    how: How
    roles: tuple[str, ...] = ()
    token: str = ""

    @classmethod
    def of_token(cls, token: ApiToken) -> "Identity":
        return cls(token.tenant, token.name, How.TOKEN, token=token.hash)


class Sessions:
    """The sessions in a store. What somebody may do is looked up each time, so that a change counts at once.

    ``demands`` says whether an account must have a second factor.
    """

    def __init__(self, store: Store, accounts: Accounts, tokens: ApiTokens, demands: Callable[[Account], bool]) -> None:
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._demands = demands

    def begin(self, who: Identity) -> str:
        """The secret of a new session."""
        secret, now = new_secret(), self._store.now()
        with self._store.changing():
            ended = (now - IDLE_SECONDS, now - LONGEST_SECONDS)
            self._store.change("DELETE FROM sessions WHERE seen_at <= ? OR made_at <= ?", *ended)
            kept = (hash_of(secret), who.tenant, who.name, who.how, " ".join(who.roles), who.token, now, now)
            self._store.change("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *kept)
        return secret

    def person(self, secret: str) -> Person | None:
        """Whose session it is; None when it has ended, was never begun, or its account or token is gone."""
        if not secret:
            return None
        now = self._store.now()
        query = "SELECT * FROM sessions WHERE hash = ? AND seen_at > ? AND made_at > ?"
        row = self._store.row(query, hash_of(secret), now - IDLE_SECONDS, now - LONGEST_SECONDS)
        if row is None:
            return None
        who = Identity(row["tenant"], row["name"], How(row["how"]), tuple(row["roles"].split()), row["token"])
        found = self._permitted(who, row["hash"], csrf_of(secret))
        if found and row["seen_at"] < now - SEEN_SECONDS:
            self._store.change("UPDATE sessions SET seen_at = ? WHERE hash = ?", now, row["hash"])
        return found

    def end(self, person: Person) -> None:
        """Ends this session of a person."""
        self._store.change("DELETE FROM sessions WHERE hash = ?", person.session)

    def end_others(self, person: Person) -> None:
        """Ends the sessions of a person but this one."""
        query = "DELETE FROM sessions WHERE tenant = ? AND name = ? AND how = ? AND hash <> ?"
        self._store.change(query, person.tenant, person.name, person.how, person.session)

    def end_all(self, person: Person) -> None:
        """Ends all sessions that were begun as this one was, by the same person."""
        query = "DELETE FROM sessions WHERE tenant = ? AND name = ? AND how = ?"
        self._store.change(query, person.tenant, person.name, person.how)

    def _permitted(self, who: Identity, session: str, csrf: str) -> Person | None:
        if who.how is How.TOKEN:
            token = self._tokens.with_hash(who.token)
            return Person(who.tenant, who.name, who.how, token.scopes, (), session, csrf) if token else None
        roles, due = who.roles, False
        if who.how is How.PASSWORD:
            account = self._accounts.find(who.tenant, who.name)
            if account is None or not account.has_password:
                return None
            roles = account.roles
            due = not account.has_second_factor and self._demands(account)
        permissions = permissions_of(() if due else roles)
        return Person(who.tenant, who.name, who.how, permissions, roles, session, csrf, due)


def csrf_of(secret: str) -> str:
    """What the forms of a session carry: made from its secret, and of no use to find that."""
    return hmac.new(secret.encode(), b"forms of this session", hashlib.sha256).hexdigest()
