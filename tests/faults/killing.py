"""Refreshes in processes of their own, which meet a fault at a boundary of one table."""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from forked import SECONDS, context
from small_bot import SmallBot

from chatbot_assets.commands.refresh import why_failed
from resources.lakehouse import LakeTable

CAP_DAC_OVERRIDE = 1
"""The capability by which root writes what its permissions forbid (linux/capability.h)."""
CAPABILITIES = 0x20080522
"""The third version of the kernel's capability interface."""
Fault = Callable[[], None]
Place = Callable[[str, Fault], None]


def die() -> None:
    """Ends this process as an out-of-memory killer or a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    """From now on this process can write nothing, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # a test's output is a file, too
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def obey_permissions() -> None:
    """From now on this process may write only what its permissions allow, also when it is root's."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, sets = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(head, sets):
        raise OSError(ctypes.get_errno(), "capget")
    sets[0] &= ~(1 << CAP_DAC_OVERRIDE)  # of the effective ones
    if libc.capset(head, sets):
        raise OSError(ctypes.get_errno(), "capset")


def _around(name: str, table: str, fault: Fault, *, after: bool) -> None:
    """Lets a method of one table meet a fault, before it begins or once it has ended."""
    method = getattr(LakeTable, name)

    def do(self: LakeTable, *arguments: Any, **named: Any) -> Any:
        mine = self.path.name == table
        if mine and not after:
            fault()
        found = method(self, *arguments, **named)
        if mine and after:
            fault()
        return found

    setattr(LakeTable, name, do)


def before_the_data_files(table: str, fault: Fault) -> None:
    _around("_staging_folder", table, fault, after=False)


def after_the_data_files(table: str, fault: Fault) -> None:
    _around("_staged", table, fault, after=True)


def before_the_commit(table: str, fault: Fault) -> None:
    _around("commit", table, fault, after=False)


def after_the_commit(table: str, fault: Fault) -> None:
    _around("commit", table, fault, after=True)


def at_the_start(_: str, fault: Fault) -> None:
    fault()


BOUNDARIES = (before_the_data_files, after_the_data_files, before_the_commit, after_the_commit)
"""The boundaries of a table's part of a refresh, in their order."""


@dataclass(frozen=True)
class Ended:
    """How a refresh ended: its process's exit code (0 or 1 when it ended by itself), and why it failed."""

    code: int | None
    said: str = ""


def refresh_with(bot: SmallBot, place: Place, table: str, fault: Fault) -> Ended:
    """Refreshes the bot in a process that meets a fault at a table's boundary."""
    here, there = context().Pipe(duplex=False)
    process = context().Process(target=_refresh, args=(bot.root, place, table, fault, there))
    process.start()
    there.close()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"the refresh was not over after {SECONDS} s")
    said = here.recv() if here.poll() and process.exitcode in (0, 1) else ""
    return Ended(process.exitcode, said)


def _refresh(root: Path, place: Place, table: str, fault: Fault, there: Connection) -> None:
    place(table, fault)
    result = SmallBot(root).refresh()
    there.send("" if result.success else why_failed(result.result))
    raise SystemExit(0 if result.success else 1)
