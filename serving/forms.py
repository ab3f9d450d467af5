"""The fields of a page's form."""

from urllib.parse import parse_qs

from fastapi import Request

FIELDS = 50
"""The most fields of a form."""


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, each with its last value; empty when it has too many."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[-1] for name, values in parse_qs(body, max_num_fields=FIELDS).items()}
    except ValueError:
        return {}
