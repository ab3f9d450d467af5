"""What a request that cannot be served is answered with: RFC 9457 problem details."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from resources.tenancy import NotYoursError

MEDIA_TYPE = "application/problem+json"


def problem(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """One problem, of no type but its status."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(body, status.value, dict(headers) if headers else None, media_type=MEDIA_TYPE)


@dataclass(frozen=True)
class Problem:
    """Why a request cannot be served, in words for a developer."""

    status: HTTPStatus
    detail: str
    headers: Mapping[str, str] | None = None


def as_json(request: Request, found: Problem) -> Response:
    """The problem as programs read it."""
    return problem(found.status, found.detail, found.headers)


def answer_with_problems(app: FastAPI, show: Callable[[Request, Problem], Response] = as_json) -> None:
    """Makes every error of the application a problem, and ``show`` its response."""

    def handle(request: Request, error: Exception) -> Response:
        return show(request, _problem_of(error))

    for kind in (HTTPException, RequestValidationError, NotYoursError, Exception):
        app.add_exception_handler(kind, handle)


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, HTTPException):
        return Problem(HTTPStatus(error.status_code), str(error.detail), error.headers)
    if isinstance(error, NotYoursError):
        return Problem(HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, RequestValidationError):
        mistakes = (f"{_place(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(mistakes))
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log says why")


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location[1:])) or "body"
