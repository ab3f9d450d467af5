"""All that a home knows of people: accounts, tokens and sessions over one store, and the tenants' audit logs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from chatbot_assets.bot import BotError, tenant_security
from resources.audit import Act, AuditLog
from resources.environment import Home
from serving.people.accounts import Account, Accounts
from serving.people.api_tokens import ApiTokens
from serving.people.roles import ADMINISTRATOR, How, Person
from serving.people.second_factor import Proof, SecondFactors
from serving.people.sessions import Sessions
from serving.people.store import FILE, Store
from serving.people.throttle import Source, Throttle, account_source, address_source, code_source
from serving.tokens import TOKENS_FILE

logger = logging.getLogger(__name__)

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
        self.second_factors = SecondFactors(store)
        self.sessions = Sessions(store, self.accounts, self.tokens, self.demands_second_factor)
        self._throttle = Throttle(store)

    def audit(self, tenant: str, act: Act) -> None:
        """Notes what was done, on the disk, before it is answered.

        Raises:
            OSError: when it cannot be written.
        """
        AuditLog(self._home.root, tenant).add(act)

    def sign_in(self, tenant: str, name: str, password: str, address: str) -> Account | None:
        """The account that signs in with its password from an address; None when something of it is wrong.

        One with a second factor has not signed in yet: :meth:`sign_in_with_code` follows.

        Raises:
            TooManyAttemptsError: when account or address failed too often; the password is not looked at then.
            OSError: when it cannot be noted in the audit log.
        """
        found = self._with_password(tenant, name, password, address)
        if found:
            self._note_attempt(tenant, found, "halfway" if found.has_second_factor else "done")
        return found

    def expected_to_give_code(self, browser: str) -> Account | None:
        """Who gave the right password in a browser with this secret, and now has to give a code."""
        waiting = self.second_factors.expected_of(browser)
        return self.accounts.find(*waiting) if waiting else None

    def sign_in_with_code(self, browser: str, code: str, address: str) -> Account | None:
        """The account that signs in with the code of its second factor after the password; None when it is wrong.

        Raises:
            As :meth:`sign_in`.
        """
        account = self.expected_to_give_code(browser)
        if account is None or not self.right_code(account, code, address):
            return None
        self.second_factors.arrived(browser)
        self._note_attempt(account.tenant, account, "done", {"step": "code"})
        return account

    def right_password(self, person: Person, password: str, address: str) -> Account | None:
        """The account of somebody who has signed in and gives the password once more, as :meth:`sign_in`."""
        if person.how is not How.PASSWORD:
            return None
        found = self._with_password(person.tenant, person.name, password, address)
        if found:
            self._note_attempt(person.tenant, found, "done")
        return found

    def right_code(self, account: Account, code: str, address: str) -> bool:
        """Whether it is a code of the account's second factor; it cannot be used again.

        Raises:
            As :meth:`sign_in`.
        """
        sources = (code_source(account.tenant, account.name), address_source(address))
        self._attempt(account.tenant, account, sources)
        proof = self.second_factors.accept(account.tenant, account.name, code)
        if proof is None:
            self._note_attempt(account.tenant, account, "refused", {"step": "code"})
            return False
        self._throttle.succeeded(*sources)
        if proof is Proof.RECOVERY_CODE:
            self.audit(account.tenant, Act("recovery_code_used", account.name, How.PASSWORD))
        return True

    def demands_second_factor(self, account: Account) -> bool:
        """Whether the account's tenant says that it must have one; so does a file that cannot be read."""
        try:
            demanded = tenant_security(self._home.bots, account.tenant).second_factor
        except BotError as error:
            logger.error("second factors are demanded of everyone until this is mended: %s", error)
            return True
        return demanded == "everyone" or (demanded == "administrators" and ADMINISTRATOR in account.roles)

    def _with_password(self, tenant: str, name: str, password: str, address: str) -> Account | None:
        sources = (account_source(tenant, name), address_source(address))
        known = self.accounts.find(tenant, name)
        self._attempt(tenant, known, sources)
        found = self.accounts.with_password(tenant, name, password)
        if found is None:
            self._note_attempt(tenant, known, "refused")
            return None
        self._throttle.succeeded(*sources)
        return found

    def _attempt(self, tenant: str, account: Account | None, sources: Sequence[Source]) -> None:
        wait = self._throttle.attempt(sources)
        if wait > 0:
            self._note_attempt(tenant, account, "waits")
            raise TooManyAttemptsError(wait)

    def _note_attempt(
        self, tenant: str, account: Account | None, outcome: str, details: Mapping[str, str] | None = None
    ) -> None:
        # A log for whatever somebody enters as a tenant would let strangers make files.
        if account or self.accounts.listed(tenant):
            actor = account.name if account else NOBODY
            self.audit(tenant, Act("sign_in", actor, How.PASSWORD, outcome=outcome, details=details))


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
