"""The service's log: each line is one JSON object that names the turn, and none says what was said."""

import json
import logging

import pytest
from fastapi.testclient import TestClient
from small_bot import KEY

from serving.logs import JsonLines


def test_a_served_turn_is_found_in_the_log_by_its_id_without_its_text(
    client: TestClient, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "serving")
    asked = {"session_id": "s", "text": "Where is my\nparcel"}
    answer = client.post(f"/v1/bots/{KEY}/chat", json=asked, headers=headers).json()
    (line,) = [line for record in caplog.records if answer["turn_id"] in (line := JsonLines().format(record))]
    said = json.loads(line)
    assert {name: said[name] for name in ("level", "message", "bot", "turn_id", "deployment_id", "category")} == {
        "level": "info",
        "message": "served",
        "bot": KEY,
        **{name: answer[name] for name in ("turn_id", "deployment_id", "category")},
    }
    assert said["ms"] > 0
    assert "parcel" not in line


def test_a_failure_is_one_line_with_its_traceback() -> None:
    try:
        raise ValueError("설탕")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("serving", logging.ERROR, __file__, 1, "it failed: %s", ("why",), info)
    line = JsonLines().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert (said["level"], said["message"]) == ("error", "it failed: why")
    assert said["traceback"].endswith("ValueError: 설탕")
