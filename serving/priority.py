"""Threads whose work can wait."""

import os
import sys
import threading

NICENESS = 10


def give_way() -> None:
    """Gives the calling thread a low priority, where threads have one of their own: others get the processor first."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
