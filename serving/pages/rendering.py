"""How a page is made: its template, in the language that the browser asks for."""

from datetime import UTC
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving.languages import language_of
from serving.pages.documents import documents
from serving.pages.words import words
from serving.pages.writing import Writing

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Renders the templates; ``shared`` are names that all of them may use."""

    def __init__(self, **shared: Any) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.globals |= {"documents": documents} | shared

    def show(self, request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> HTMLResponse:
        """A page. A form in it of somebody who has signed in needs ``person``: it holds the CSRF token.

        Its times are those of ``zone``, by default UTC.
        """
        language = language_of(request)
        writing = Writing(language, values.get("zone", UTC))
        shared = {"language": language, "words": words(language), "write": writing, "status": status}
        text = self._templates.get_template(template).render(shared, **values)
        headers = {"Vary": "Accept-Language, Accept, Cookie", "Content-Language": language}
        return HTMLResponse(text, status, headers)
