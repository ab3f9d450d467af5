"""What holds for every request and response: the name asked for, the size of a body, and a browser's safety rules."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.origin import Origin
from serving.problems import problem

BODY_LIMIT = 64 * 1024
"""Bytes of a request's body: several times the longest turn."""
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # Not "no-referrer": browsers then send "Origin: null" with forms, and nobody could sign in.
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
"""What every response gets unless it says otherwise itself, as ASGI holds headers."""
STRICT_TRANSPORT = [(b"strict-transport-security", b"max-age=31536000; includeSubDomains")]
"""With a public address, which always has TLS; browsers ignore it without."""


class Guard:
    """Refuses requests for other names than the service's own, and too long bodies, before anything of them is read.

    A page anywhere on the web can make its own name lead to 127.0.0.1 (DNS rebinding) and would then be of the
    service's origin; the name it asks for gives it away.
    """

    def __init__(self, app: ASGIApp, origin: Origin) -> None:
        self._app = app
        self._origin = origin
        self._headers = HEADERS + (STRICT_TRANSPORT if origin.public else [])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in self._headers if pair[0] not in present)]
            await send(message)

        if not self._origin.answers_to(headers.get("host", "")):
            refusal = problem(
                HTTPStatus.MISDIRECTED_REQUEST, "this service answers to http://127.0.0.1 and CHATBOT_PUBLIC_URL only"
            )
            await refusal(scope, receive, send_safely)
            return
        body = await _read(receive, headers.get("content-length", "0"))
        if body is None:
            refusal = problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"a request may have {BODY_LIMIT // 1024} KiB",
                {"Connection": "close"},
            )
            await refusal(scope, receive, send_safely)
            return
        await self._app(scope, _again(body, receive), send_safely)


async def _read(receive: Receive, announced: str) -> bytes | None:
    """The body; None when it is, or is announced to be, too long."""
    if not announced.isdigit() or int(announced) > BODY_LIMIT:
        return None
    body = bytearray()
    more = True
    while more and len(body) <= BODY_LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body) if len(body) <= BODY_LIMIT else None


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, and then what the server says next."""
    read = False

    async def receive_again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
