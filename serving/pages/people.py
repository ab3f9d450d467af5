"""The pages on which people sign in and out, set their password, and end their sessions."""

import functools
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from resources.audit import Act
from serving.access import Access, require_second_factor
from serving.forms import form_of
from serving.origin import address_of
from serving.pages.rendering import Pages
from serving.pages.second_factor import add_second_factor_routes, factor_of
from serving.people.accounts import Account
from serving.people.directory import TooManyAttemptsError
from serving.people.oidc import OidcError, SingleSignOn
from serving.people.passwords import LENGTH, CommonPasswordError
from serving.people.roles import How, Person
from serving.people.sessions import Identity
from serving.people.store import PeopleError
from serving.returning import FIELD, START, own_path

BACK = "/sign-in/oidc/back"
WAY_BACK = "chatbot-way-back"
"""The cookie that keeps, while the browser is at the provider, where it wanted to go."""
SIGN_ON_SECONDS = 600
logger = logging.getLogger(__name__)
Form = Annotated[dict[str, str], Depends(form_of)]


def add_people_pages(
    app: FastAPI, pages: Pages, access: Access, sign_on: SingleSignOn | None
) -> Callable[[Request], HTMLResponse]:
    """Adds the routes. What a stranger sends must come from the service's own pages, whoever that is.

    Gives the page on which people sign in.
    """
    directory = access.directory
    own_page = [Depends(access.origin.require_same)]

    def show_form(request: Request, template: str, status: HTTPStatus, **values: Any) -> HTMLResponse:
        show = functools.partial(pages.show, request, template, status, **values)
        return access.form_for_browser(request, lambda csrf: show(csrf=csrf))

    def ask_to_sign_in(
        request: Request,
        wrong: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
        seconds: int = 0,
        back: str | None = None,
    ) -> HTMLResponse:
        back = own_path(request.query_params.get(FIELD, START) if back is None else back)
        values = {"wrong": wrong, "seconds": seconds, "sign_on": sign_on is not None, "back": back}
        return show_form(request, "sign_in.html", status, **values)

    def ask_for_code(
        request: Request, account: Account, back: str, wrong: str | None = None, seconds: int = 0
    ) -> HTMLResponse:
        status = HTTPStatus.TOO_MANY_REQUESTS if seconds else HTTPStatus.FORBIDDEN if wrong else HTTPStatus.OK
        values = {"account": account, "back": own_path(back), "wrong": wrong, "seconds": seconds}
        response = show_form(request, "sign_in_code.html", status, **values)
        if seconds:
            response.headers["Retry-After"] = str(seconds)
        return response

    def go_on(request: Request, account: Account, back: str = START) -> Response:
        """What follows the right password: a session, or the question for a code by a browser that is known anew."""
        if not account.has_second_factor:
            return start(request, Identity(account.tenant, account.name, How.PASSWORD), back)
        response = RedirectResponse(f"/sign-in/code?{urlencode({FIELD: own_path(back)})}", HTTPStatus.SEE_OTHER)
        secret = directory.second_factors.expect_code(account.tenant, account.name)
        access.know_browser(request, response, secret)
        return response

    def start(request: Request, who: Identity, back: str = START) -> Response:
        response = RedirectResponse(own_path(back), HTTPStatus.SEE_OTHER)
        access.begin(request, response, who)
        return response

    @app.exception_handler(TooManyAttemptsError)
    def wait(request: Request, error: TooManyAttemptsError, back: str = START) -> HTMLResponse:
        response = ask_to_sign_in(request, "too_many_attempts", HTTPStatus.TOO_MANY_REQUESTS, error.seconds, back)
        response.headers["Retry-After"] = str(error.seconds)
        return response

    @app.get("/sign-in")
    def sign_in_page(request: Request) -> HTMLResponse:
        """Where people sign in."""
        return ask_to_sign_in(request)

    @app.post("/sign-in", dependencies=own_page)
    def sign_in(request: Request, form: Form) -> Response:
        """Begins a session for whoever has a tenant's token, or an account's password."""
        back = form.get(FIELD, START)
        if not access.is_own_form(request, form):
            return ask_to_sign_in(request, "old_form", HTTPStatus.FORBIDDEN, back=back)
        if "token" in form:
            token = directory.tokens.find(form["token"].strip())
            if token is None:
                return ask_to_sign_in(request, "wrong_token", HTTPStatus.FORBIDDEN, back=back)
            directory.audit(token.tenant, Act("sign_in", token.name, How.TOKEN))
            return start(request, Identity.of_token(token), back)
        tenant, name = (form.get(field, "").strip().lower() for field in ("tenant", "name"))
        try:
            account = directory.sign_in(tenant, name, form.get("password", ""), address_of(request))
        except TooManyAttemptsError as error:
            return wait(request, error, back)
        if account is None:
            return ask_to_sign_in(request, "wrong_password", HTTPStatus.FORBIDDEN, back=back)
        return go_on(request, account, back)

    @app.get("/sign-in/code")
    def code_page(request: Request) -> Response:
        """Where people give the code of their second factor, after the password."""
        account = directory.expected_to_give_code(access.browser(request))
        back = request.query_params.get(FIELD, START)
        return ask_for_code(request, account, back) if account else ask_to_sign_in(request)

    @app.post("/sign-in/code", dependencies=own_page)
    def sign_in_with_code(request: Request, form: Form) -> Response:
        """Begins a session for whoever gave the right password and gives a code."""
        back, browser = form.get(FIELD, START), access.browser(request)
        account = directory.expected_to_give_code(browser)
        if account is None or not access.is_own_form(request, form):
            return ask_to_sign_in(request, "old_form", HTTPStatus.FORBIDDEN, back=back)
        try:
            found = directory.sign_in_with_code(browser, form.get("code", ""), address_of(request))
        except TooManyAttemptsError as error:
            return ask_for_code(request, account, back, "too_many_attempts", error.seconds)
        if found is None:
            return ask_for_code(request, account, back, "wrong_code")
        return start(request, Identity(found.tenant, found.name, How.PASSWORD), back)

    @app.post("/sign-out", dependencies=own_page)
    async def sign_out(request: Request) -> RedirectResponse:
        """Ends the session."""
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        if access.signed_in(request):
            access.audit(await access.person(request), "sign_out")
        access.end(request, response)
        return response

    @app.get("/password")
    def password_page(request: Request, link: str = "") -> HTMLResponse:
        """Where the one-time link of an account leads. Looking does not use it up: mail programs look too."""
        return ask_for_password(request, link, directory.accounts.invited(link))

    def ask_for_password(
        request: Request, link: str, account: Account | None, wrong: str | None = None
    ) -> HTMLResponse:
        status = HTTPStatus.NOT_FOUND if account is None else HTTPStatus.FORBIDDEN if wrong else HTTPStatus.OK
        return show_form(request, "password.html", status, link=link, account=account, wrong=wrong, length=LENGTH)

    @app.post("/password", dependencies=own_page)
    def set_password(request: Request, form: Form) -> Response:
        """Sets the password of the link's account, and signs in."""
        link, password = form.get("link", ""), form.get("password", "")
        if not access.is_own_form(request, form):
            return ask_for_password(request, link, directory.accounts.invited(link), "old_form")
        if password != form.get("again", ""):
            return ask_for_password(request, link, directory.accounts.invited(link), "not_the_same")
        try:
            account = directory.accounts.accept(link, password)
        except PeopleError as error:
            return ask_for_password(request, link, directory.accounts.invited(link), what_is_wrong(error))
        if account is None:
            return ask_for_password(request, link, None)
        directory.audit(account.tenant, Act("password_set", account.name, "link"))
        return go_on(request, account)

    def show_account(request: Request, person: Person, wrong: str | None = None, **shown: Any) -> HTMLResponse:
        status = HTTPStatus.FORBIDDEN if wrong else HTTPStatus.OK
        values = {"wrong": wrong, "length": LENGTH, "factor": factor_of(directory, person)} | shown
        return pages.show(request, "account.html", status, person=person, **values)

    async def of_a_session(person: Annotated[Person, Depends(access.person_to_see)]) -> Person:
        if not person.session:
            raise HTTPException(HTTPStatus.FORBIDDEN, "this page is for people who have signed in, not for tokens")
        return person

    Signed = Annotated[Person, Depends(of_a_session)]  # noqa: N806

    @app.get("/account")
    def account_page(request: Request, person: Signed) -> HTMLResponse:
        """Who has signed in, and what they may do."""
        return show_account(request, person)

    @app.post("/account/password")
    def change_password(request: Request, form: Form, person: Signed) -> Response:
        """Sets another password; the account's other sessions end, and this one gets a new id."""
        require_second_factor(person)
        account = directory.right_password(person, form.get("password", ""), address_of(request))
        if account is None:
            return show_account(request, person, "wrong_password")
        if form.get("new", "") != form.get("again", ""):
            return show_account(request, person, "not_the_same")
        try:
            directory.accounts.change_password(account, form.get("new", ""), person.session)
        except PeopleError as error:
            return show_account(request, person, what_is_wrong(error))
        access.audit(person, "password_set")
        return start(request, Identity(account.tenant, account.name, How.PASSWORD))

    @app.post("/account/sign-out-everywhere")
    def sign_out_everywhere(request: Request, person: Signed) -> RedirectResponse:
        """Ends all sessions of this person."""
        access.audit(person, "sign_out", about="everywhere")
        directory.sessions.end_all(person)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        access.end(request, response)
        return response

    add_second_factor_routes(app, access, of_a_session, show_account)
    if sign_on:
        _add_single_sign_on(app, pages, access, sign_on, ask_to_sign_in)
    return ask_to_sign_in


def _add_single_sign_on(
    app: FastAPI, pages: Pages, access: Access, sign_on: SingleSignOn, ask_to_sign_in: Callable[..., HTMLResponse]
) -> None:
    def cookie(request: Request, key: str = "chatbot-sign-on") -> dict[str, Any]:
        # Lax: the browser comes back from another site.
        secure = access.origin.of(request).startswith("https:")
        return {"key": key, "path": BACK, "httponly": True, "samesite": "lax", "secure": secure}

    def way_back(request: Request) -> str:
        return own_path(request.cookies.get(WAY_BACK, START))

    def failed(request: Request, error: OidcError) -> HTMLResponse:
        logger.warning("a single sign-on failed: %s", error)
        return ask_to_sign_in(request, "sign_on_failed", HTTPStatus.FORBIDDEN, back=way_back(request))

    @app.get("/sign-in/oidc")
    def begin(request: Request) -> Response:
        """Sends the browser to the provider."""
        try:
            url, browser = sign_on.begin(access.origin.of(request) + BACK)
        except OidcError as error:
            return failed(request, error)
        response = RedirectResponse(url, HTTPStatus.SEE_OTHER)
        response.set_cookie(value=browser, max_age=SIGN_ON_SECONDS, **cookie(request))
        back = own_path(request.query_params.get(FIELD, START))
        response.set_cookie(value=back, max_age=SIGN_ON_SECONDS, **cookie(request, WAY_BACK))
        return response

    @app.get(BACK)
    def back(request: Request, code: str = "", state: str = "") -> Response:
        """Takes the browser back. A page follows, not a redirect: only what our own page leads to gets the session."""
        try:
            who = sign_on.finish(
                code=code,
                state=state,
                browser=request.cookies.get("chatbot-sign-on", ""),
                back=access.origin.of(request) + BACK,
            )
        except OidcError as error:
            return failed(request, error)
        access.directory.audit(who.tenant, Act("sign_in", who.name, who.how, details={"roles": " ".join(who.roles)}))
        response = pages.show(request, "signed_in.html", tenant=who.tenant, back=way_back(request))
        access.begin(request, response, who)
        response.delete_cookie(**cookie(request))
        response.delete_cookie(**cookie(request, WAY_BACK))
        return response


def what_is_wrong(error: PeopleError) -> str:
    """The name of the words that say what is wrong with a password."""
    return "common_password" if isinstance(error, CommonPasswordError) else "weak_password"


def link_address(origin: str, link: str) -> str:
    """Where the secret of a one-time link leads."""
    return f"{origin}/password?{urlencode({'link': link})}"
