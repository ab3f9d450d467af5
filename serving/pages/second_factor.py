"""What people do with their second factor on the account's page: set it up, confirm it, turn it off."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from serving.access import ACCOUNT, Access
from serving.forms import form_of
from serving.origin import address_of
from serving.people.directory import Directory
from serving.people.roles import How, Person
from serving.people.second_factor import address_for_app


@dataclass(frozen=True)
class Factor:
    """How it stands with somebody's second factor."""

    is_set: bool
    recovery_codes_left: int


def factor_of(directory: Directory, person: Person) -> Factor | None:
    """None for who signed in with a token or by single sign-on: nobody asks them for one here."""
    account = directory.accounts.find(person.tenant, person.name) if person.how is How.PASSWORD else None
    if account is None:
        return None
    left = directory.second_factors.recovery_codes_left(account.tenant, account.name)
    return Factor(account.has_second_factor, left)


def add_second_factor_routes(
    app: FastAPI,
    access: Access,
    signed: Callable[..., Awaitable[Person]],
    show_account: Callable[..., HTMLResponse],
) -> None:
    """Adds the routes. ``signed`` is the dependency that gives who has signed in."""
    directory = access.directory
    factors = directory.second_factors
    Form = Annotated[dict[str, str], Depends(form_of)]  # noqa: N806

    async def with_password(person: Annotated[Person, Depends(signed)]) -> Person:
        if person.how is not How.PASSWORD:
            raise HTTPException(HTTPStatus.FORBIDDEN, "this is for people who sign in with a password")
        return person

    Owner = Annotated[Person, Depends(with_password)]  # noqa: N806

    def back_to_account() -> RedirectResponse:
        return RedirectResponse(ACCOUNT, HTTPStatus.SEE_OTHER)

    @app.post("/account/second-factor")
    def set_up(request: Request, form: Form, person: Owner) -> Response:
        """Shows the secret of a new app, this once, to whoever gives the password."""
        account = directory.right_password(person, form.get("password", ""), address_of(request))
        if account is None:
            return show_account(request, person, "wrong_password")
        secret = factors.begin(person.tenant, person.name)
        if secret is None:
            return back_to_account()
        address = address_for_app(secret, person.tenant, person.name)
        return show_account(request, person, secret=secret, qr_code=qr_code(address), address=address)

    @app.post("/account/second-factor/confirm")
    def confirm(request: Request, form: Form, person: Owner) -> Response:
        """Makes the app count by its first code, ends the other sessions, and shows the recovery codes, this once."""
        codes = factors.confirm(person.tenant, person.name, form.get("code", ""))
        if codes is None:
            return show_account(request, person, "wrong_first_code", confirming=True)
        directory.sessions.end_others(person)
        access.audit(person, "second_factor_set")
        return show_account(request, access.signed_in(request) or person, recovery_codes=codes)

    @app.post("/account/second-factor/off")
    def turn_off(request: Request, form: Form, person: Owner) -> Response:
        """Turns the second factor off, for whoever gives the password and a code."""
        account = directory.right_password(person, form.get("password", ""), address_of(request))
        if account is None:
            return show_account(request, person, "wrong_password")
        if not directory.right_code(account, form.get("code", ""), address_of(request)):
            return show_account(request, person, "wrong_code")
        access.audit(person, "second_factor_removed")
        factors.remove(person.tenant, person.name)
        return back_to_account()


def qr_code(address: str) -> str:
    """An address as a picture within a page: black on white whatever the page's colours are, as scanners want it."""
    import segno

    picture = segno.make(address, micro=False)
    return str(picture.svg_inline(omitsize=True, light="#fff", svgclass="qr-code", lineclass=None))
