"""``rebuild``: trains a recorded model again and compares its files, bit for bit."""

from collections.abc import Callable
from typing import Any

from chatbot_assets.bot_key import check_key
from chatbot_assets.commands import UserError
from chatbot_assets.train.rebuilding import RebuildError, find_recipe, rebuild
from resources.environment import Home, code_revision
from resources.lakehouse import Lake


def run(key: str, *, model: str | None, warn: Callable[[str], None]) -> dict[str, Any]:
    """The comparison; ``equal`` says how it went. What may keep files from being equal is told before.

    Raises:
        UserError: when the model is unknown or what it was made from is gone.
    """
    home = Home.from_environment()
    lake = Lake(home.lake)
    try:
        recipe = find_recipe(home, lake, check_key(key), model)
        changed = recipe.changes_of_code(lake)
        record = recipe.record
        if changed:
            warn(f"{key}: the code has changed since this model was made, so it may come out otherwise:")
            for change in changed:
                warn(f"  {change}")
            warn(f"  it was made by revision {record.code_revision}; rebuild with that one for equal files")
        rebuilt = rebuild(lake, recipe, lambda _: None)
    except RebuildError as error:
        raise UserError(str(error)) from None
    names = sorted(recipe.files.keys() | rebuilt.files.keys())
    return {
        "bot": key,
        "model_id": recipe.model_id,
        "deployment_id": recipe.deployment_id,
        "equal": dict(recipe.files) == dict(rebuilt.files),
        "files": [
            {"file": name, "recorded": recipe.files.get(name), "rebuilt": rebuilt.files.get(name)} for name in names
        ],
        "differences": list(rebuilt.differences),
        "code_changed": changed,
        "code_revision": {"recorded": record.code_revision, "now": code_revision()},
        "inputs": {
            name: {"version": read.version, "data_version": read.data_version}
            for name, read in sorted(record.signature.inputs.items())
        },
        "rows": rebuilt.rows,
        "seconds": round(rebuilt.seconds, 3),
    }


def describe(report: dict[str, Any]) -> str:
    made = ", ".join(f"{name} version {read['version']}" for name, read in report["inputs"].items())
    lines = [
        f"{report['bot']}: model {report['model_id']}, trained again in {report['seconds']:.1f} s on "
        f"{report['rows']:,} rows of {made}"
    ]
    for file in report["files"]:
        same = file["recorded"] == file["rebuilt"]
        sums = file["rebuilt"] if same else f"{file['recorded']} recorded, {file['rebuilt']} rebuilt"
        lines.append(f"  {'equal' if same else 'DIFFERENT':<9} {file['file']}  SHA-256 {sums}")
    if report["equal"]:
        return "\n".join([*lines, f"All {len(report['files'])} files are equal to the recorded ones, bit for bit."])
    return "\n".join([*lines, "The model is another one. What differs:", *(f"  {d}" for d in report["differences"])])
