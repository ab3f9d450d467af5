"""Which sessions a canary answers, and which turns a shadow does: chosen by a hash, so nothing has to be remembered."""

import hashlib

CANARY, SHADOW = "canary", "shadow"
SHARES = {CANARY: 0.1, SHADOW: 1.0}
"""The share of the sessions that a canary answers, or of the turns that a shadow does, unless configured otherwise."""


def is_chosen(bot: str, deployment_id: str, session_or_turn: str, share: float) -> bool:
    """Whether a session (or a turn) belongs to the share of a deployment.

    The same for every process and after every restart. Each deployment has a choice of its own, so that it is not
    always the same users who meet what is new. With a greater share those that were chosen stay so.
    """
    place = f"{bot}\0{deployment_id}\0{session_or_turn}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(place, digest_size=8).digest()) < share * 2**64
