"""The service's log: one JSON object a line, so that a turn can be followed by its id. It never holds what was said."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

ABOUT = "about"
"""The key of ``extra`` under which a message has named values."""


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: when, how grave, by whom, the message, its named values, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, ABOUT, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_as_json() -> None:
    """Sends everything from level INFO on to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
