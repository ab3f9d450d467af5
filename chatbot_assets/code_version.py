"""Versions of code, per module instead of per repository: a hash of what a module would do, not of how it is typed.

The version of a module covers its own source and, transitively, each module it imports from the same top-level
packages as the roots asked for. Comments, formatting and docstrings do not count; an installed library that can change
results is named in the module's ``RESULT_LIBRARIES`` and counts with its version.
"""

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

LIBRARIES_NAME = "RESULT_LIBRARIES"


def code_version(modules: Iterable[str]) -> str:
    """A hash (16 hex digits) over the given modules and everything of their own packages that they import.

    Raises:
        ValueError: when a module's source cannot be found.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name, source in sorted(_closure(tuple(sorted(modules))).items()):
        digest.update(f"{name}\0{source}\0".encode())
    return digest.hexdigest()


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
        fingerprint, imported = _read(str(path), name, stat.st_mtime_ns, stat.st_size)
        found[name] = fingerprint
        for candidate in imported:
            if candidate.partition(".")[0] in packages and _source_path(candidate) is not None:
                waiting.append(candidate)
    return found


def _source_path(name: str) -> Path | None:
    """Finds a module's file from its name without importing it or its parents."""
    parts = name.split(".")
    spec = importlib.util.find_spec(parts[0])
    for depth in range(2, len(parts) + 1):
        search = spec and spec.submodule_search_locations
        if not search:
            return None
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:depth]), list(search))
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@functools.lru_cache(maxsize=4096)
def _read(path: str, name: str, _mtime_ns: int, _size: int) -> tuple[str, tuple[str, ...]]:
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


@functools.cache
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
