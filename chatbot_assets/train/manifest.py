"""The manifest of a model folder: what the model is, and in which format it was written."""

import json
from pathlib import Path
from typing import Any

FORMAT = 3
"""Raised when a release changes the files of a model so that an earlier release cannot read them, or the reverse."""
NAME = "manifest.json"


class ModelFormatError(RuntimeError):
    """A model that this release cannot read."""


def write_manifest(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Writes a manifest with its format, equal contents as equal bytes; gives what was written."""
    written = {"format": FORMAT, **manifest}
    (folder / NAME).write_text(json.dumps(written, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    return written


def read_manifest(folder: Path) -> dict[str, Any]:
    """The inverse of :func:`write_manifest`.

    Raises:
        ModelFormatError: when another release wrote it in another format.
    """
    manifest: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ModelFormatError(
            f"model {folder.name} has format {manifest['format']}, this release reads {FORMAT}; refresh the bot"
        )
    return manifest
