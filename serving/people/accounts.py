"""Accounts of people: a name and roles at one tenant, and a password that they set themselves by a one-time link."""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from serving.people.passwords import check_password, hashed, is_outdated, matches
from serving.people.roles import ADMINISTRATOR, ROLES
from serving.people.store import PeopleError, Store, hash_of, new_secret

LINK_SECONDS = 24 * 3600
"""How long a link to set a password can be used, once."""
_OF_PEOPLE = ("sessions", "links", "second_factors", "recovery_codes", "half_sign_ins")
"""The tables with what else is known of an account."""
_PEOPLE = (
    "SELECT people.*, (SELECT step FROM second_factors AS factor "
    "WHERE factor.tenant = people.tenant AND factor.name = people.name) IS NOT NULL AS has_second_factor FROM people "
)
NAME = re.compile(r"[a-z0-9][a-z0-9._+@-]{0,99}\Z")


@dataclass(frozen=True)
class Account:
    """Somebody of a tenant; without a password nobody can sign in with it yet."""

    tenant: str
    name: str
    roles: tuple[str, ...]
    has_password: bool
    has_second_factor: bool = False


class Accounts:
    """The accounts in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listed(self, tenant: str) -> list[Account]:
        """A tenant's accounts by name."""
        return [_account(row) for row in self._store.rows(_PEOPLE + "WHERE tenant = ? ORDER BY name", tenant)]

    def find(self, tenant: str, name: str) -> Account | None:
        row = self._store.row(_PEOPLE + "WHERE tenant = ? AND name = ?", tenant, name)
        return _account(row) if row else None

    def add(self, tenant: str, name: str, roles: Sequence[str]) -> None:
        """Makes an account without a password; :meth:`invite` gives the link that sets it.

        Raises:
            PeopleError: when there is one of that name, or a name or role cannot be.
        """
        if not NAME.match(name):
            raise PeopleError(f"{name!r} is no account name; use lower-case letters, digits and . _ + @ -")
        kept = _checked(roles)
        query = "INSERT OR IGNORE INTO people VALUES (?, ?, ?, NULL, ?)"
        if not self._store.change(query, tenant, name, kept, self._store.now()):
            raise PeopleError(f"{tenant} has an account {name} already")

    def remove(self, tenant: str, name: str) -> None:
        """Removes an account with its sessions and links.

        Raises:
            PeopleError: when there is none, or it is the tenant's last administrator.
        """
        with self._store.changing():
            self._must_leave_an_administrator(self._known(tenant, name), ())
            self._delete_from(("people", *_OF_PEOPLE), tenant, name)

    def set_roles(self, tenant: str, name: str, roles: Sequence[str]) -> None:
        """Gives an account other roles, from its next request on.

        Raises:
            PeopleError: when there is no such account or role, or no administrator would be left.
        """
        kept = _checked(roles)
        with self._store.changing():
            self._must_leave_an_administrator(self._known(tenant, name), roles)
            self._store.change("UPDATE people SET roles = ? WHERE tenant = ? AND name = ?", kept, tenant, name)

    def invite(self, tenant: str, name: str) -> str:
        """The secret of a link by which the password is set, once; links that were made before no longer work.

        Raises:
            PeopleError: when there is no such account.
        """
        secret = new_secret()
        with self._store.changing():
            self._known(tenant, name)
            self._store.change("DELETE FROM links WHERE tenant = ? AND name = ?", tenant, name)
            ends_at = self._store.now() + LINK_SECONDS
            self._store.change("INSERT INTO links VALUES (?, ?, ?, ?)", hash_of(secret), tenant, name, ends_at)
        return secret

    def forget_password(self, tenant: str, name: str) -> None:
        """Takes the password away and ends the account's sessions.

        Raises:
            PeopleError: when there is no such account.
        """
        with self._store.changing():
            self._known(tenant, name)
            self._store.change("UPDATE people SET password = NULL WHERE tenant = ? AND name = ?", tenant, name)
            self._delete_from(("sessions", "half_sign_ins"), tenant, name)

    def forget_second_factor(self, tenant: str, name: str) -> None:
        """Takes the second factor away, with its recovery codes, and ends the account's sessions.

        Raises:
            PeopleError: when there is no such account, or it has none.
        """
        with self._store.changing():
            if not self._known(tenant, name).has_second_factor:
                raise PeopleError(f"{tenant}/{name} has no second factor")
            self._delete_from(("sessions", "second_factors", "recovery_codes", "half_sign_ins"), tenant, name)

    def invited(self, link: str) -> Account | None:
        """Whose password a link sets; None when it was used, has ended or was never made."""
        query = "SELECT tenant, name FROM links WHERE hash = ? AND ends_at > ?"
        row = self._store.row(query, hash_of(link), self._store.now())
        return self.find(row["tenant"], row["name"]) if row else None

    def accept(self, link: str, password: str) -> Account | None:
        """Sets the password by a link, which cannot be used again; None when it cannot be used at all.

        Raises:
            PeopleError: when the password is no good; the link can be used again then.
        """
        invited = self.invited(link)
        if invited is None:
            return None
        check_password(password, invited.tenant, invited.name)
        kept = hashed(password)
        with self._store.changing():
            if not self._store.change("DELETE FROM links WHERE hash = ?", hash_of(link)):
                return None
            self._set(invited, kept, but="")
        return invited

    def with_password(self, tenant: str, name: str, password: str) -> Account | None:
        """The account, if that is its password; takes as long when there is no such account."""
        row = self._store.row(_PEOPLE + "WHERE tenant = ? AND name = ?", tenant, name)
        kept = row["password"] if row else None
        if not matches(kept, password) or row is None or kept is None:
            return None
        if is_outdated(kept):
            query = "UPDATE people SET password = ? WHERE tenant = ? AND name = ? AND password = ?"
            self._store.change(query, hashed(password), tenant, name, kept)
        return _account(row)

    def change_password(self, account: Account, password: str, session: str) -> None:
        """Sets another password and ends all sessions of the account but the one with this hash.

        Raises:
            PeopleError: when the password is no good.
        """
        check_password(password, account.tenant, account.name)
        kept = hashed(password)
        with self._store.changing():
            self._set(account, kept, but=session)

    def without_administrator(self, tenant: str) -> bool:
        """Whether nobody who could sign in manages the tenant's accounts."""
        return not any(ADMINISTRATOR in one.roles and one.has_password for one in self.listed(tenant))

    def _set(self, account: Account, kept: str, but: str) -> None:
        who = (account.tenant, account.name)
        self._store.change("UPDATE people SET password = ? WHERE tenant = ? AND name = ?", kept, *who)
        self._delete_from(("links", "half_sign_ins"), *who)
        query = "DELETE FROM sessions WHERE tenant = ? AND name = ? AND how = 'password' AND hash <> ?"
        self._store.change(query, *who, but)

    def _delete_from(self, tables: Sequence[str], tenant: str, name: str) -> None:
        for table in tables:
            self._store.change(f"DELETE FROM {table} WHERE tenant = ? AND name = ?", tenant, name)

    def _known(self, tenant: str, name: str) -> Account:
        found = self.find(tenant, name)
        if found is None:
            raise PeopleError(f"{tenant} has no account {name}; see: ./chatbot people list {tenant}")
        return found

    def _must_leave_an_administrator(self, account: Account, roles: Sequence[str]) -> None:
        administrators = {one.name for one in self.listed(account.tenant) if ADMINISTRATOR in one.roles}
        if administrators == {account.name} and ADMINISTRATOR not in roles:
            who = f"{account.name} is the last administrator of {account.tenant}"
            raise PeopleError(f"{who}; make another one first")


def _account(row: sqlite3.Row) -> Account:
    has = (row["password"] is not None, bool(row["has_second_factor"]))
    return Account(row["tenant"], row["name"], tuple(row["roles"].split()), *has)


def _checked(roles: Sequence[str]) -> str:
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        what = f"role {unknown[0]!r} is unknown" if unknown else "an account needs a role"
        raise PeopleError(f"{what}; roles are {', '.join(ROLES)}")
    return " ".join(sorted(set(roles)))
