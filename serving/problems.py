"""What a request that cannot be served is answered with: RFC 9457 problem details."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from resources.tenancy import NotYoursError

MEDIA_TYPE = "application/problem+json"


def problem(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """One problem, of no type but its status."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(body, status.value, dict(headers) if headers else None, media_type=MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Makes every error of the application a problem."""
    for kind in (HTTPException, RequestValidationError, NotYoursError, Exception):
        app.add_exception_handler(kind, _handle)


def _handle(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException):
        return problem(HTTPStatus(error.status_code), str(error.detail), error.headers)
    if isinstance(error, NotYoursError):
        return problem(HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, RequestValidationError):
        mistakes = (f"{_place(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(mistakes))
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log says why")


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location[1:])) or "body"
