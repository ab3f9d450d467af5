"""The small bot, a bot of another tenant, and the chat service over both."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from one_reviewer import clock, directory
from payloads import PAYLOAD, PAYLOAD_NAME
from small_bot import OTHER, SECRET, Refreshed, SmallBot, bot, configured, first, small_rows, wait_for

from chatbot_assets.deploy import live_check
from serving import chat
from serving.app import create_app
from serving.people import oidc, store
from serving.tokens import ensure_tokens

__all__ = ["bot", "client", "clock", "configured", "directory", "first", "headers", "served", "tenants", "tokens"]


@pytest.fixture(scope="module", autouse=True)
def _nobody_is_in_a_hurry() -> Iterator[None]:
    """What is too slow for a user is not wrong on a shared machine; a test of a limit sets it by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat, "TURN_SECONDS", 60.0)
        patch.setattr(live_check, "SLOW_MS", 60_000.0)
        patch.setattr(store, "WAIT_SECONDS", 60.0)
        patch.setattr(oidc, "TIMEOUT_SECONDS", 60.0)
        yield


@pytest.fixture(scope="session")
def tenants(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """A home with the small bot and one of another tenant, whose answers are its own business; not to be changed."""
    copy = first[0].copy(tmp_path_factory.mktemp("tenants"))
    other = SmallBot(copy.root, OTHER)
    other.configure(description=f"Help for Globex {PAYLOAD}")
    hostile = [found for found in small_rows() if found["intent"] == "weather"]
    rows = [found | {"answer": SECRET} for found in small_rows() if found not in hostile]
    rows += [
        {"text": f"{found['text']} {PAYLOAD}", "answer": f"Rain {PAYLOAD}", "intent": f"weather {PAYLOAD_NAME}"}
        for found in hostile
    ]
    other.land(f"home {PAYLOAD_NAME}.jsonl", rows)
    assert other.refresh().success
    return copy


@pytest.fixture(scope="module")
def served(tenants: SmallBot, tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """The home of both tenants, for a file's tests."""
    return tenants.copy(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def tokens(served: SmallBot) -> dict[str, str]:
    return ensure_tokens(served.home.root / "tokens.json", {"acme", "globex"})


@pytest.fixture(scope="module")
def client(served: SmallBot, tokens: dict[str, str]) -> Iterator[TestClient]:
    """The service, with both bots loaded."""
    app = create_app(served.home, "http://127.0.0.1:3000")
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as found:
        wait_for(lambda: found.get("/readyz").status_code == 200)
        yield found


@pytest.fixture
def headers(tokens: dict[str, str]) -> dict[str, str]:
    """Those of the small bot's tenant."""
    return {"Authorization": f"Bearer {tokens['acme']}"}
