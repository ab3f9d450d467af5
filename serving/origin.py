"""Where browsers find the service: on loopback, or at a public address with TLS that a reverse proxy answers."""

import os
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

PUBLIC_URL = "CHATBOT_PUBLIC_URL"
"""The environment variable with the public address, like ``https://chat.example.com``."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "via")
"""Headers by which a reverse proxy says that a request is not its own."""


@dataclass(frozen=True)
class Origin:
    """The origins (scheme, host and port) of this service."""

    public: str | None = None

    @classmethod
    def from_environment(cls) -> "Origin":
        """Reads ``CHATBOT_PUBLIC_URL``.

        Raises:
            ValueError: when it is no https address without a path.
        """
        url = os.environ.get(PUBLIC_URL, "").rstrip("/")
        parts = urlsplit(url)
        if url and (parts.scheme != "https" or not parts.hostname or parts.path or parts.query or "@" in parts.netloc):
            raise ValueError(f"{PUBLIC_URL} must be like https://chat.example.com")
        return cls(url.lower() or None)

    def answers_to(self, host: str) -> bool:
        """Whether a ``Host`` header names this service."""
        return host_name(host) in LOOPBACK or self._is_public(host)

    def of(self, request: Request) -> str:
        """The origin that the browser of a request sees."""
        host = request.headers["host"]
        return self.public if self.public and self._is_public(host) else f"{request.url.scheme}://{host}"

    def require_same(self, request: Request) -> None:
        """Refuses what another origin's page sends: browsers say the origin with what may change something.

        Other ports of this machine are the same *site*, so the cookie's SameSite does not keep them out.

        Raises:
            HTTPException: 403.
        """
        if request.headers.get("origin") != self.of(request):
            raise HTTPException(HTTPStatus.FORBIDDEN, "only this service's own pages may do this without a token")

    def _is_public(self, host: str) -> bool:
        return self.public is not None and host.lower() == urlsplit(self.public).netloc


def host_name(header: str) -> str:
    """The name of a Host header, without the port."""
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdigit() else header).lower()


def address_of(request: Request) -> str:
    """Where a request comes from, as the reverse proxy on this machine says it, if there is one."""
    return request.client.host if request.client else ""


def require_this_machine(request: Request) -> None:
    """Refuses what came through a reverse proxy or by the public name: it is for programs on this machine.

    Raises:
        HTTPException: 404, as for what is not there.
    """
    if host_name(request.headers.get("host", "")) not in LOOPBACK or any(name in request.headers for name in FORWARDED):
        raise HTTPException(HTTPStatus.NOT_FOUND, "this is answered to programs on the service's own machine only")
