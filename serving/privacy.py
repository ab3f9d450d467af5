"""What hides personal data in a served turn before it is kept."""

from collections.abc import Callable
from typing import Any

from chatbot_assets.modules import ModuleRef
from chatbot_assets.process import PRIVACY

Mask = Callable[[str], str]


def load_mask(config: dict[str, Any]) -> Mask:
    """The module that a deployment's configuration names; the default for deployments older than that key.

    Raises:
        ValueError: when the module cannot be loaded.
    """
    mask: Mask = ModuleRef.model_validate(config["process"].get("privacy", {"use": PRIVACY})).load()
    return mask


def hides_users(config: dict[str, Any]) -> bool:
    """Whether users are kept under pseudonyms alone; not by deployments older than that key."""
    return bool(config.get("privacy", {}).get("user_ids") == "pseudonym")
