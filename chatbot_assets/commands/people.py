"""``people``: who has an account at a tenant, with which roles; passwords are set by one-time links alone."""

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from chatbot_assets.bot import bot_keys
from chatbot_assets.commands import UserError
from resources.audit import Act
from resources.environment import Home
from serving.address import announced_address
from serving.origin import Origin
from serving.pages.people import link_address
from serving.people.accounts import LINK_SECONDS, Account
from serving.people.directory import Directory
from serving.people.store import PeopleError

ADDRESS = "http://127.0.0.1:8080"
"""Where a link leads when no service runs and no public address is set."""


def add(tenant: str, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """Makes an account and the link that sets its password.

    Raises:
        UserError: when it cannot be made.
    """
    with changing(tenant) as (home, directory):
        directory.accounts.add(tenant, name, roles)
        note(directory, tenant, "person_added", name, roles=" ".join(roles))
        return _invited(home, directory, tenant, name)


def reset(tenant: str, name: str) -> dict[str, Any]:
    """Takes the password away, ends the sessions, and makes a link that sets another one.

    Raises:
        UserError: when there is no such account.
    """
    with changing(tenant) as (home, directory):
        directory.accounts.forget_password(tenant, name)
        note(directory, tenant, "password_reset", name)
        return _invited(home, directory, tenant, name)


def reset_second_factor(tenant: str, name: str) -> dict[str, Any]:
    """Takes the second factor away, for somebody who has lost it, and ends the sessions.

    Raises:
        UserError: when there is no such account, or it has none.
    """
    with changing(tenant) as (_, directory):
        directory.accounts.forget_second_factor(tenant, name)
        note(directory, tenant, "second_factor_reset", name)
        return _shown(directory.accounts.find(tenant, name))


def set_roles(tenant: str, name: str, roles: Sequence[str]) -> dict[str, Any]:
    """Gives an account these roles instead of those that it has.

    Raises:
        UserError: when there is no such account or role, or no administrator would be left.
    """
    with changing(tenant) as (_, directory):
        directory.accounts.set_roles(tenant, name, roles)
        note(directory, tenant, "roles_changed", name, roles=" ".join(roles))
        return _shown(directory.accounts.find(tenant, name))


def remove(tenant: str, name: str) -> dict[str, Any]:
    """Removes an account and ends its sessions.

    Raises:
        UserError: when there is none, or it is the last administrator.
    """
    with changing(tenant) as (_, directory):
        directory.accounts.remove(tenant, name)
        note(directory, tenant, "person_removed", name)
        return {"tenant": tenant, "name": name, "removed": True}


def listed(tenant: str) -> dict[str, Any]:
    """A tenant's accounts.

    Raises:
        UserError: when there is no such tenant.
    """
    with changing(tenant) as (_, directory):
        return {"tenant": tenant, "people": [_shown(account) for account in directory.accounts.listed(tenant)]}


@contextmanager
def changing(tenant: str) -> Iterator[tuple[Home, Directory]]:
    """The home and its people; what cannot be done with them is a user's mistake.

    Raises:
        UserError: when the tenant has neither a bot file nor tables, or a change cannot be made.
    """
    home = Home.from_environment()
    tenants = {key.partition(".")[0] for key in bot_keys(home.bots)} | {path.name for path in home.lake.glob("*/")}
    if tenant not in tenants:
        raise UserError(f"there is no tenant {tenant}; write bots/{tenant}/<name>.yaml first")
    try:
        yield home, Directory(home)
    except PeopleError as error:
        raise UserError(str(error)) from None


def note(directory: Directory, tenant: str, event: str, about: str, **details: str | int | None) -> None:
    """Notes in the audit log what the user of this command did."""
    directory.audit(tenant, Act(event, getpass.getuser(), "command", about=about, details=details))


def service_address(home: Home) -> str:
    """Where people reach the service, as far as this command can know."""
    try:
        return Origin.from_environment().public or announced_address(home) or ADDRESS
    except ValueError as error:
        raise UserError(str(error)) from None


def _invited(home: Home, directory: Directory, tenant: str, name: str) -> dict[str, Any]:
    link = link_address(service_address(home), directory.accounts.invite(tenant, name))
    shown = _shown(directory.accounts.find(tenant, name))
    return shown | {"link": link, "link_hours": LINK_SECONDS // 3600}


def _shown(account: Account | None) -> dict[str, Any]:
    return asdict(account) if account else {}


def describe(report: dict[str, Any]) -> str:
    """What was done, and the link, once."""
    if "people" in report:
        lines = [_line(one) for one in report["people"]]
        return "\n".join(lines or [f"{report['tenant']} has no accounts"])
    if report.get("removed"):
        return f"{report['tenant']}/{report['name']}: removed; their sessions have ended"
    lines = [_line(report)]
    if "link" in report:
        lines.append(f"to set the password, once, within {report['link_hours']} hours: {report['link']}")
    return "\n".join(lines)


def _line(one: dict[str, Any]) -> str:
    more = "  (has a second factor)" if one["has_second_factor"] else ""
    more = more if one["has_password"] else "  (has no password yet)"
    return f"{one['tenant']}/{one['name']}: {', '.join(one['roles'])}{more}"
