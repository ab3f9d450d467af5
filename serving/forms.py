"""The fields of a page's form."""

from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import HTTPException, Request

FIELDS = 50
"""The most fields of a form."""


async def fields_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form, each with all its values.

    Raises:
        HTTPException: 422 when there are too many of them.
    """
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return parse_qs(body, max_num_fields=FIELDS)
    except ValueError:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"a form may have {FIELDS} fields") from None


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, each with its last value; empty when it has too many."""
    try:
        return {name: values[-1] for name, values in (await fields_of(request)).items()}
    except HTTPException:
        return {}
