"""Who asks: every request for a tenant's data shows an API token, or the session of somebody who signed in."""

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from resources.audit import Act
from serving.forms import form_of
from serving.origin import Origin
from serving.people.directory import Directory
from serving.people.roles import Permission, Person
from serving.people.sessions import LONGEST_SECONDS, Identity, csrf_of
from serving.people.store import new_secret
from serving.returning import shows_pages, sign_in_address

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
CSRF_FIELD = "csrf"
ACCOUNT = "/account"
"""The page on which people set up their second factor."""


class SecondFactorDueError(HTTPException):
    """Somebody has signed in who must set up a second factor before anything else."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, f"set up your second factor first, on {ACCOUNT}")


class Access:
    """Finds who makes a request, and whether they may; tokens and sessions may end while the service runs."""

    def __init__(self, directory: Directory, origin: Origin) -> None:
        self.directory = directory
        self.origin = origin

    def may(self, permission: Permission) -> Callable[[Request], Awaitable[Person]]:
        """A dependency: who asks, if they may do this. Every route with a tenant's data has one.

        The dependency raises HTTPException: 401 without a valid token or session, 403 without the permission, or when a
        session is used by a page of another origin or by a form without the session's own CSRF token.
        """

        async def person(request: Request) -> Person:
            found = await self.person(request)
            require_second_factor(found)
            if not found.may(permission):
                raise HTTPException(
                    HTTPStatus.FORBIDDEN, f"{found.name} may not do this; it needs the permission {permission.value!r}"
                )
            return found

        return person

    def may_see(self, permission: Permission) -> Callable[[Request], Awaitable[Person]]:
        """A dependency of a page, like :meth:`may`; a browser of nobody is sent to sign in, and comes back.

        So does that of somebody who has to set up a second factor first, to the page for it. Both are HTTPExceptions
        too: 303.
        """
        return self._led_on(self.may(permission))

    async def person_to_see(self, request: Request) -> Person:
        """A dependency of a page, like :meth:`person`; a browser of nobody is sent to sign in, and comes back."""
        return await self._led_on(self.person)(request)

    def _led_on(self, person: Callable[[Request], Awaitable[Person]]) -> Callable[[Request], Awaitable[Person]]:
        async def found(request: Request) -> Person:
            try:
                return await person(request)
            except HTTPException as error:
                due = isinstance(error, SecondFactorDueError)
                if not (due or error.status_code == HTTPStatus.UNAUTHORIZED) or not shows_pages(request):
                    raise
                where = {"Location": ACCOUNT if due else sign_in_address(request), "Vary": "Accept, Cookie"}
                raise HTTPException(HTTPStatus.SEE_OTHER, "sign in first", where) from None

        return found

    async def person(self, request: Request) -> Person:
        """Who asks, whatever they may do; a dependency like those of :meth:`may`."""
        found = self._by_token(request) if "authorization" in request.headers else await self._by_session(request)
        if not found:
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "send 'Authorization: Bearer <token>' with a tenant's token; 'chatbot up' prints them",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found

    def signed_in(self, request: Request) -> Person | None:
        """Who has signed in with this browser, for pages that show something to strangers too."""
        return self.directory.sessions.person(request.cookies.get(self._cookie(request), ""))

    def begin(self, request: Request, response: Response, who: Identity) -> None:
        """Begins a session with an id of its own; the one that the browser had ends."""
        self._end_session(request)
        secret = self.directory.sessions.begin(who)
        self._set_cookie(request, response, self._cookie(request), secret, f"; Max-Age={LONGEST_SECONDS}")

    def end(self, request: Request, response: Response) -> None:
        """Ends the browser's session, if it has one."""
        self._end_session(request)
        self._set_cookie(request, response, self._cookie(request), "", "; Max-Age=0")

    def browser(self, request: Request) -> str:
        """The secret by which a browser is known that has not signed in; empty when it has none yet."""
        return request.cookies.get(self._cookie(request, "browser"), "")

    def know_browser(self, request: Request, response: Response, secret: str) -> None:
        """Gives a browser such a secret, until it is closed."""
        self._set_cookie(request, response, self._cookie(request, "browser"), secret)

    def form_for_browser(self, request: Request, show: Callable[[str], HTMLResponse]) -> HTMLResponse:
        """A page with forms for whoever has not signed in; ``show`` makes it with the token that these carry."""
        if known := self.browser(request):
            return show(csrf_of(known))
        secret = new_secret()
        response = show(csrf_of(secret))
        self.know_browser(request, response, secret)
        return response

    def is_own_form(self, request: Request, form: dict[str, str]) -> bool:
        """Whether a form was made for this browser, or for the session that it has.

        The cookie and the form carry the same twice (double submit): who cannot read a page of ours knows no token, and
        a cookie with the prefix ``__Host-`` comes from nobody else.
        """
        secrets = (self.browser(request), request.cookies.get(self._cookie(request), ""))
        sent = form.get(CSRF_FIELD, "").encode()
        return any(secret and hmac.compare_digest(sent, csrf_of(secret).encode()) for secret in secrets)

    def audit(self, person: Person, event: str, *, bot: str | None = None, about: str | None = None) -> None:
        """Notes what somebody did through the service; never give it a password, a token or a user's text.

        Raises:
            OSError: when it cannot be written; then it must not be done.
        """
        self.directory.audit(person.tenant, Act(event, person.name, person.how, bot=bot, about=about))

    def _by_token(self, request: Request) -> Person | None:
        scheme, _, token = request.headers["authorization"].partition(" ")
        found = self.directory.tokens.find(token) if scheme.lower() == "bearer" else None
        if found is None:
            return None
        who = Identity.of_token(found)
        return Person(who.tenant, who.name, who.how, found.scopes)

    async def _by_session(self, request: Request) -> Person | None:
        found = self.signed_in(request)
        if found and request.method not in SAFE_METHODS:
            self.origin.require_same(request)
            # Another origin cannot send JSON without being asked for leave first; forms it can.
            if not request.headers.get("content-type", "").startswith("application/json"):
                require_csrf(found, await form_of(request))
        return found

    def _end_session(self, request: Request) -> None:
        before = self.signed_in(request)
        if before:
            self.directory.sessions.end(before)

    def _cookie(self, request: Request, holds: str = "session") -> str:
        if self._is_secure(request):
            return f"__Host-chatbot-{holds}"
        # Cookies do not know ports: two services on one machine must not end each other's sessions.
        return f"chatbot-{holds}-{request.url.port or 80}"

    def _is_secure(self, request: Request) -> bool:
        return self.origin.of(request).startswith("https:")

    def _set_cookie(self, request: Request, response: Response, name: str, value: str, lasting: str = "") -> None:
        secure = "; Secure" if self._is_secure(request) else ""
        cookie = f"{name}={value}{lasting}; Path=/; HttpOnly; SameSite=Strict{secure}"
        response.headers.append("Set-Cookie", cookie)


def require_second_factor(person: Person) -> None:
    """Refuses somebody who must set up a second factor first.

    Raises:
        SecondFactorDueError: 403.
    """
    if person.second_factor_due:
        raise SecondFactorDueError


def require_csrf(person: Person, form: dict[str, str]) -> None:
    """Refuses a form that was not made for this session.

    Raises:
        HTTPException: 403.
    """
    if not hmac.compare_digest(form.get(CSRF_FIELD, "").encode(), person.csrf.encode()):
        raise HTTPException(HTTPStatus.FORBIDDEN, "the form is not of this session; load the page again")
