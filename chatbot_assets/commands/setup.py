"""``setup``: fetches what an engine needs and the virtual environment does not hold."""

from typing import Any

from chatbot_assets.commands import UserError
from resources.jars import fetch_jars, jars_folder, locked_jars, missing_jars
from resources.java import EngineError, require_java


def run(engine: str, *, repository: str | None = None) -> dict[str, Any]:
    """Fetches the jars of the JVM engine ``local`` that are not there yet.

    Raises:
        UserError: when Java is missing or a jar cannot be had.
    """
    jars, folder = locked_jars(), jars_folder()
    missing = missing_jars(jars, folder)
    try:
        java = require_java()
        if missing:
            fetch_jars(java, missing, folder, repository)
    except EngineError as error:
        raise UserError(str(error)) from error
    return {
        "engine": engine,
        "java": java.version,
        "folder": str(folder),
        "jars": [jar.file for jar in jars],
        "fetched": [jar.file for jar in missing],
    }


def describe(report: dict[str, Any]) -> str:
    fetched = ", ".join(report["fetched"]) or "nothing, all were there"
    return f"engine {report['engine']} is ready: Java {report['java']}, jars in {report['folder']} (fetched: {fetched})"
