"""Describes the machine that figures were measured on."""

import os

from resources.surroundings import processor, usable_cores


def machine() -> dict[str, str | int | float]:
    """Cores that this process may use, memory in GB, and the processor's name."""
    return {"cores": usable_cores(), "memory_gb": round(_memory_bytes() / 1e9, 1), "cpu": processor()}


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
