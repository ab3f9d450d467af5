"""How a page is made: its template, in the language that the browser asks for."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving.languages import chosen_language
from serving.pages.documents import documents
from serving.pages.words import words

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Renders the templates; ``shared`` are names that all of them may use."""

    def __init__(self, **shared: Any) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.globals |= {"documents": documents} | shared

    def show(self, request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> HTMLResponse:
        """A page. A form in it of somebody who has signed in needs ``person``: it holds the CSRF token."""
        language = chosen_language(request.headers.get("accept-language", ""))
        text = self._templates.get_template(template).render(language=language, words=words(language), **values)
        headers = {"Vary": "Accept-Language, Accept, Cookie", "Content-Language": language}
        return HTMLResponse(text, status, headers)
