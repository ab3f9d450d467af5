"""What somebody may do: permissions, the roles that give them to people, and who is asking."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """What a route asks for; an API token's scopes are permissions."""

    CHAT = "chat"
    FEEDBACK = "feedback"
    READ = "read"
    REVIEW = "review"
    ADMIN = "admin"


class How(StrEnum):
    """How somebody showed who is asking."""

    PASSWORD = "password"
    TOKEN = "token"
    OIDC = "oidc"


_EVERYBODY = frozenset({Permission.CHAT, Permission.FEEDBACK, Permission.READ})
ROLES = {
    "planner": _EVERYBODY,
    "developer": _EVERYBODY,
    "reviewer": _EVERYBODY | {Permission.REVIEW},
    "researcher": _EVERYBODY | {Permission.REVIEW},
    "administrator": frozenset(Permission),
}
ADMINISTRATOR = "administrator"


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """What the roles give together; a role that is unknown (any more) gives nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


@dataclass(frozen=True)
class Person:
    """Who is asking: somebody of one tenant who has signed in, or a machine with an API token.

    ``session`` is the hash of the browser's session and ``csrf`` what its forms must carry; both are empty for a
    request that shows its token itself. ``second_factor_due`` is somebody who must set up a second factor first: there
    are no permissions until then.
    """

    tenant: str
    name: str
    how: How
    permissions: frozenset[Permission]
    roles: tuple[str, ...] = ()
    session: str = ""
    csrf: str = ""
    second_factor_due: bool = False

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions
