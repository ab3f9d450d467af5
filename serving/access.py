"""Who asks: every request for a tenant's data shows the tenant's token, or the session of somebody who signed in."""

from http import HTTPStatus
from pathlib import Path

from fastapi import HTTPException, Request

from serving.sessions import SESSION_SECONDS, new_session, tenant_of_session
from serving.tokens import KnownTokens, tenant_of

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Access:
    """Finds the tenant of a request by the tokens in a file, which may change while the service runs."""

    def __init__(self, tokens: Path) -> None:
        self._tokens = KnownTokens(tokens)

    async def tenant(self, request: Request) -> str:
        """The tenant that asks; a dependency of every route with a tenant's data.

        Raises:
            HTTPException: 401 without a valid token or session, 403 when a page of another origin uses the session.
        """
        found = self._by_token(request) if "authorization" in request.headers else self.signed_in(request)
        if not found:
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "send 'Authorization: Bearer <token>' with a tenant's token; 'chatbot up' prints them",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found

    def signed_in(self, request: Request) -> str | None:
        """The tenant of the browser's session, if there is one.

        Raises:
            HTTPException: 403 when a page of another origin uses the session to change something.
        """
        found = tenant_of_session(request.cookies.get(_cookie(request), ""), self._tokens.now())
        if found and request.method not in SAFE_METHODS:
            require_same_origin(request)
        return found

    def new_session(self, request: Request, token: str) -> dict[str, str] | None:
        """The cookie of a new session for whoever has a tenant's token; None when the token is nobody's."""
        tenant = tenant_of(token, self._tokens.now())
        return _set_cookie(request, new_session(tenant, token), SESSION_SECONDS) if tenant else None

    def end_session(self, request: Request) -> dict[str, str]:
        """What makes the browser forget its session."""
        return _set_cookie(request, "", 0)

    def _by_token(self, request: Request) -> str | None:
        scheme, _, token = request.headers["authorization"].partition(" ")
        return tenant_of(token, self._tokens.now()) if scheme.lower() == "bearer" else None


def require_same_origin(request: Request) -> None:
    """Refuses what another origin's page sends: browsers say the origin with every request that may change something.

    Other ports of this machine are the same *site*, so the cookie's SameSite does not keep them out.

    Raises:
        HTTPException: 403.
    """
    if request.headers.get("origin") != f"{request.url.scheme}://{request.headers['host']}":
        raise HTTPException(HTTPStatus.FORBIDDEN, "only this service's own pages may do this without a token")


def _cookie(request: Request) -> str:
    # Cookies do not know ports: two services on one machine must not end each other's sessions.
    return f"chatbot-session-{request.url.port or 80}"


def _set_cookie(request: Request, value: str, seconds: int) -> dict[str, str]:
    cookie = f"{_cookie(request)}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict"
    return {"Set-Cookie": cookie}
