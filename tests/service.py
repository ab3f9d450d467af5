"""The chat service on a real server, for tests that need more than its application."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from small_bot import SmallBot, wait_for

from serving.app import create_app


@contextmanager
def running(bot: SmallBot, dagster: str | None = None) -> Iterator[str]:
    """A server on a free loopback port, ready to answer; gives its address."""
    server = uvicorn.Server(uvicorn.Config(create_app(bot.home, dagster), log_level="warning"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            wait_for(lambda: server.started and httpx.get(f"{address}/readyz", timeout=60).status_code == 200)
            yield address
        finally:
            server.should_exit = True
            thread.join(120)
            assert not thread.is_alive()
