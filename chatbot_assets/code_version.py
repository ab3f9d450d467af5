"""Versions of code, per module instead of per repository: a hash of what a module would do, not of how it is typed.

The version of a module covers its own source and, transitively, each module it imports from the same top-level
packages as the roots asked for. Comments, formatting and docstrings do not count; an installed library that can change
results is named in the module's ``RESULT_LIBRARIES`` and counts with its version.

Versions are those of the files as they are now, also in a process that runs for weeks. A process that computes has its
modules as they were when it imported them: :func:`edited_modules` tells where the two differ.
"""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LIBRARIES_NAME = "RESULT_LIBRARIES"

_process_started_ns = time.time_ns()
_first_seen: dict[str, str] = {}
"""Each module's fingerprint when this process first looked at it."""
_versions: ContextVar[dict[tuple[str, ...], str] | None] = ContextVar("versions", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Within it the files of a module are looked at once, however many bots use it: for whoever looks at all bots."""
    token = _versions.set({})
    try:
        yield
    finally:
        _versions.reset(token)


def code_version(modules: Iterable[str]) -> str:
    """A hash (16 hex digits) over the given modules and everything of their own packages that they import.

    Raises:
        ValueError: when a module's source cannot be found.
    """
    roots = tuple(sorted(modules))
    known = _versions.get()
    if known is not None and roots in known:
        return known[roots]
    digest = hashlib.blake2b(digest_size=8)
    for name, source in sorted(_closure(roots).items()):
        digest.update(f"{name}\0{source}\0".encode())
    version = digest.hexdigest()
    if known is not None:
        known[roots] = version
    return version


def edited_modules() -> list[str]:
    """The modules, of those whose versions this process has asked for, that it may run in an older state.

    A process that has any must not record their versions as what made its results.
    """
    return sorted(name for name, first in _first_seen.items() if _fingerprint(name) != first)


def _fingerprint(name: str) -> str:
    path = _source_path(name)
    if path is None:
        return "gone"
    stat = path.stat()
    return _read(str(path), name, stat.st_mtime_ns, stat.st_size, _installed())[0]


def _closure(roots: tuple[str, ...]) -> dict[str, str]:
    packages = {root.partition(".")[0] for root in roots}
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _source_path(name)
        if path is None:
            raise ValueError(f"module {name} cannot be found; is its package installed?")
        stat = path.stat()
        fingerprint, imported = _read(str(path), name, stat.st_mtime_ns, stat.st_size, _installed())
        found[name] = fingerprint
        if name not in _first_seen:
            # Imported before it was looked at, and written since the process began: what was imported is not known.
            unknown = name in sys.modules and stat.st_mtime_ns > _process_started_ns
            _first_seen[name] = "unknown" if unknown else fingerprint
        for candidate in imported:
            if candidate.partition(".")[0] in packages and _source_path(candidate) is not None:
                waiting.append(candidate)
    return found


def _source_path(name: str) -> Path | None:
    """Finds a module's file from its name without importing it or its parents."""
    top, *below = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not below:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        place = os.path.join(folder, *below)
        for path in (os.path.join(place, "__init__.py"), f"{place}.py"):
            if os.path.isfile(path):
                return Path(path)
    return None


@functools.lru_cache(maxsize=4096)
def _read(path: str, name: str, _mtime_ns: int, _size: int, _installed: object) -> tuple[str, tuple[str, ...]]:
    file = Path(path)
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=path)
    is_package = file.name == "__init__.py"
    imported = tuple(sorted(set(_imports(tree, name, is_package))))
    libraries = [f"{library}={_library_version(library)}" for library in _declared_libraries(tree)]
    _strip_docstrings(tree)
    return ast.dump(tree) + "\0" + ",".join(libraries), imported


def _imports(tree: ast.Module, name: str, is_package: bool) -> Iterator[str]:
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _declared_libraries(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == LIBRARIES_NAME for target in node.targets
        ):
            return sorted(ast.literal_eval(node.value))
    return []


def _installed() -> tuple[int, ...]:
    """Changes when a library is installed, upgraded or removed: each leaves its mark on its folder's time."""
    return tuple(stat.st_mtime_ns for stat in map(_stat, _library_folders()) if stat)


@functools.cache
def _library_folders() -> tuple[str, ...]:
    return tuple(sorted({str(Path(path)) for path in sys.path if path.endswith("-packages")}))


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _library_version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _strip_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
