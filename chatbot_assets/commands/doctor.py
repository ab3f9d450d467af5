"""``doctor``: what the machine has and lacks for this platform, and what to do about it."""

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from chatbot_assets.bot import BotError, bot_keys, load_bot
from resources.environment import Home
from resources.jars import SETUP, jars_folder, locked_jars, missing_jars
from resources.java import JAVA_MAJOR, find_java

MINIMUM_DISK_GB = 5
MINIMUM_MEMORY_GB = 4
PORTS = {"Dagster's UI": 3000, "the chat service": 8080}


def run() -> dict[str, Any]:
    """All checks; ``ok`` is False when one that is needed fails. Optional ones only tell."""
    home = Home.from_environment()
    checks = [_python(), _disk(home), _memory(), _writable(home), *_bots(home), *_ports(), _java(), _jars(), _browser()]
    return {"ok": all(check["ok"] or not check["needed"] for check in checks), "checks": checks}


def describe(report: dict[str, Any]) -> str:
    def line(check: dict[str, Any]) -> str:
        mark = "ok  " if check["ok"] else "FAIL" if check["needed"] else "note"
        return f"{mark}  {check['name']:<18} {check['found']}" + (f" → {check['do']}" if check["do"] else "")

    return "\n".join(map(line, report["checks"]))


def _check(name: str, ok: bool, found: str, do: str, *, needed: bool = True) -> dict[str, Any]:
    return {"name": name, "ok": ok, "needed": needed, "found": found, "do": "" if ok else do}


def _python() -> dict[str, Any]:
    version = ".".join(map(str, sys.version_info[:3]))
    return _check("Python", sys.version_info[:2] in ((3, 11), (3, 12)), version, "install Python 3.11 or 3.12")


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _disk(home: Home) -> dict[str, Any]:
    free = shutil.disk_usage(_existing(home.root)).free / 1e9
    return _check(
        "disk", free >= MINIMUM_DISK_GB, f"{free:.0f} GB free", f"free {MINIMUM_DISK_GB} GB or set CHATBOT_HOME"
    )


def _memory() -> dict[str, Any]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = f"{total:.0f} GB, {os.cpu_count()} cores"
    return _check("memory", total >= MINIMUM_MEMORY_GB, found, f"at least {MINIMUM_MEMORY_GB} GB are needed")


def _writable(home: Home) -> dict[str, Any]:
    good = os.access(_existing(home.root), os.W_OK)
    return _check("home", good, str(home.root), "make it writable or set CHATBOT_HOME")


def _bots(home: Home) -> list[dict[str, Any]]:
    mistakes = []
    keys = bot_keys(home.bots)
    for key in keys:
        try:
            load_bot(home.bots, key)
        except BotError as error:
            mistakes.append(_check(f"bot {key}", False, "cannot be used", str(error)))
    return mistakes or [_check("bots", bool(keys), f"{len(keys)} in {home.bots}", "write bots/<tenant>/<name>.yaml")]


def _ports() -> list[dict[str, Any]]:
    return [
        _check(f"port {port}", port_is_free(port), f"for {use}", "it is in use; give 'up' another port", needed=False)
        for use, port in PORTS.items()
    ]


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _java() -> dict[str, Any]:
    java = find_java()
    found = f"{java.version or 'of no version'} ({java.program})" if java else "not found"
    do = f"only engine 'local' needs it: install Java {JAVA_MAJOR} or newer, or let JAVA_HOME name one"
    return _check("Java", java is not None and java.major >= JAVA_MAJOR, found, do, needed=False)


def _jars() -> dict[str, Any]:
    folder = jars_folder()
    missing = missing_jars(locked_jars(), folder)
    found = f"{folder} lacks {', '.join(jar.file for jar in missing)}" if missing else f"all in {folder}"
    return _check("jars", not missing, found, f"only engine 'local' needs them: {SETUP}", needed=False)


def _browser() -> dict[str, Any]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    do = "only the browser tests need it: install Debian's package chromium"
    return _check("browser", path is not None, path or "not found", do, needed=False)
