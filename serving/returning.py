"""The way back: a browser that has to sign in first is led to the page that it asked for."""

import re
from urllib.parse import urlencode

from fastapi import Request

FIELD = "next"
"""The parameter, and the form's field, that holds where to go after signing in."""
START = "/"
_OWN = re.compile(r"/(?:(?![/\\])[!-\[\]-~]{0,1999})?")
"""A path of this service: browsers take ``//`` and ``/\\`` for another host, and leave out blanks and controls."""


def own_path(asked: str) -> str:
    """Where to go after signing in: what was asked for if it is an address of this service, else the start page."""
    return asked if _OWN.fullmatch(asked) else START


def sign_in_address(request: Request) -> str:
    """Where the browser of a request signs in, to come back to what it asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{START}?{urlencode({FIELD: asked})}"


def shows_pages(request: Request) -> bool:
    """Whether somebody looks at the answer, and can come back to it: a browser that goes to a page."""
    return request.method == "GET" and is_browser(request)


def is_browser(request: Request) -> bool:
    """Whether somebody looks at the answer: not a program, and not a page's script."""
    accepted = request.headers.get("accept", "")
    is_page = "text/html" in accepted and "fragment" not in accepted
    return is_page and "authorization" not in request.headers
