"""Replaceable modules: how a bot's YAML names one, how it is made once per process, and what its version is.

A module is named by an import path, ``package.module:Name``, and may come from the user's own package. ``Name`` is a
factory: calling it with the YAML's ``with`` parameters gives the callable that a stage uses (a normaliser, a
segmenter, an encoder...).
"""

import contextlib
import importlib
import json
import re
import threading
from concurrent.futures import Future
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chatbot_assets.code_version import code_version

IMPORT_PATH = re.compile(r"^[A-Za-z_][\w.-]*:[A-Za-z_]\w*\Z")


class Section(BaseModel):
    """A part of a bot's YAML: refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModuleRef(Section):
    """Names a module and its parameters, as ``{use: "package.module:Name", with: {...}}``."""

    use: str
    parameters: dict[str, Any] = Field(default_factory=dict, alias="with")

    @field_validator("use")
    @classmethod
    def _is_import_path(cls, value: str) -> str:
        if not IMPORT_PATH.match(value):
            raise ValueError(f"{value!r} is no import path; write package.module:Name")
        return value

    @field_validator("parameters")
    @classmethod
    def _is_plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(value, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError("may hold texts, numbers, true, false, null, lists and keys only; quote dates") from error
        return value

    def load(self) -> Any:
        """The module, made once per process for these parameters.

        Raises:
            ValueError: when the import path leads nowhere or the factory refuses its parameters.
        """
        key = (self.use, json.dumps(self.parameters, sort_keys=True))
        with _lock:
            future = _loaded.get(key)
            mine = future is None
            if future is None:
                future = _loaded[key] = Future()
        if mine:
            try:
                future.set_result(_make(self.use, self.parameters))
            except BaseException as error:
                del _loaded[key]
                future.set_exception(error)
        return future.result()

    def version(self) -> str:
        """Changes when the module's code, or the code of this project that it imports, changes."""
        return code_version((self.use.partition(":")[0],))

    def key(self, version: str) -> str:
        """Identifies the results of this module: its name, its parameters and the given code version."""
        return json.dumps([self.use, self.parameters, version], sort_keys=True)


def load_ahead(*modules: ModuleRef) -> None:
    """Begins to load modules beside other work, one after the other.

    Whoever needs one waits for it, and is told what went wrong with it.
    """

    def load() -> None:
        for module in modules:
            with contextlib.suppress(Exception):
                module.load()

    threading.Thread(target=load, daemon=True).start()


_lock = threading.Lock()
_loaded: dict[tuple[str, str], "Future[Any]"] = {}


def _make(use: str, parameters: dict[str, Any]) -> Any:
    module_name, _, attribute = use.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"module {use} cannot be imported: {error}") from error
    try:
        return factory(**parameters)
    except TypeError as error:
        raise ValueError(f"module {use} does not take these parameters: {error}") from error
