"""All that a home knows of people: accounts, tokens and sessions over one store, and the tenants' audit logs."""

import time
from collections.abc import Callable

from resources.audit import Act, AuditLog
from resources.environment import Home
from serving.people.accounts import Account, Accounts
from serving.people.api_tokens import ApiTokens
from serving.people.roles import ADMINISTRATOR, How, Person
from serving.people.sessions import Sessions
from serving.people.store import FILE, Store
from serving.people.throttle import Throttle, account_source, address_source
from serving.tokens import TOKENS_FILE

FIRST = "admin"
"""The name of a tenant's first account."""
NOBODY = "an unknown account"
"""Who tried, when there is no such account: people write their password into the wrong field."""


class TooManyAttemptsError(RuntimeError):
    """Somebody must wait, so many seconds, before the next attempt."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many attempts; try again in {seconds:.0f} s")
        self.seconds = int(seconds) + 1


class Directory:
    """The people and tokens of a home."""

    def __init__(self, home: Home, now: Callable[[], float] = time.time) -> None:
        store = Store(home.root / FILE, now)
        self._home = home
        self.store = store
        self.accounts = Accounts(store)
        self.tokens = ApiTokens(store, home.root / TOKENS_FILE)
        self.sessions = Sessions(store, self.accounts, self.tokens)
        self._throttle = Throttle(store)

    def audit(self, tenant: str, act: Act) -> None:
        """Notes what was done, on the disk, before it is answered.

        Raises:
            OSError: when it cannot be written.
        """
        AuditLog(self._home.root, tenant).add(act)

    def sign_in(self, tenant: str, name: str, password: str, address: str) -> Account | None:
        """The account that signs in with its password from an address; None when something of it is wrong.

        Raises:
            TooManyAttemptsError: when account or address failed too often; the password is not looked at then.
            OSError: when it cannot be noted in the audit log.
        """
        sources = (account_source(tenant, name), address_source(address))
        known = self.accounts.find(tenant, name)
        wait = self._throttle.attempt(sources)
        if wait > 0:
            self._note_attempt(tenant, known, "waits")
            raise TooManyAttemptsError(wait)
        found = self.accounts.with_password(tenant, name, password)
        if found is None:
            self._note_attempt(tenant, known, "refused")
            return None
        self._throttle.succeeded(*sources)
        self._note_attempt(tenant, found, "done")
        return found

    def right_password(self, person: Person, password: str, address: str) -> Account | None:
        """The account of somebody who has signed in and gives the password once more, as :meth:`sign_in`."""
        return self.sign_in(person.tenant, person.name, password, address) if person.how is How.PASSWORD else None

    def _note_attempt(self, tenant: str, account: Account | None, outcome: str) -> None:
        # A log for whatever somebody enters as a tenant would let strangers make files.
        if account or self.accounts.listed(tenant):
            actor = account.name if account else NOBODY
            self.audit(tenant, Act("sign_in", actor, How.PASSWORD, outcome=outcome))


def first_administrator(directory: Directory, tenant: str) -> str | None:
    """A one-time link for a tenant's first account; None when somebody can manage its accounts already.

    There is no default password: until the link is used nobody can sign in with the account.
    """
    if not directory.accounts.without_administrator(tenant):
        return None
    accounts = directory.accounts
    waiting = next((one.name for one in accounts.listed(tenant) if ADMINISTRATOR in one.roles), None)
    if waiting is None:
        waiting = FIRST
        if accounts.find(tenant, FIRST):
            accounts.set_roles(tenant, FIRST, [ADMINISTRATOR])
        else:
            accounts.add(tenant, FIRST, [ADMINISTRATOR])
        directory.audit(tenant, Act("person_added", "chatbot up", "command", about=FIRST))
    return accounts.invite(tenant, waiting)
