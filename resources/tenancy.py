"""A tenant's part of the lake: the one place that says which bots, and so which tables, a tenant may see."""

from pathlib import Path

from chatbot_assets.bot_key import KEY
from resources.lakehouse import Lake, LakeError


class NotYoursError(LakeError):
    """A bot of another tenant, or none: whoever asks must not learn which."""


def owns(tenant: str, key: str) -> bool:
    """Whether a bot's key is one of the tenant's."""
    return bool(KEY.match(key)) and key.partition(".")[0] == tenant


class TenantLake(Lake):
    """The lake as a tenant sees it, by the tenant of the credential: no path of another one's comes out of it."""

    def __init__(self, root: Path, tenant: str) -> None:
        super().__init__(root)
        self.tenant = tenant

    def bot_folder(self, key: str) -> Path:
        """The folder of one of the tenant's bots; every table's path is made from it.

        Raises:
            NotYoursError: when the key is not one of the tenant's.
        """
        if not owns(self.tenant, key):
            raise NotYoursError(f"tenant {self.tenant} has no bot {key}")
        return super().bot_folder(key)
