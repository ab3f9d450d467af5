"""The pages for people: a start page with every bot of the tenant, and the documents. They work without JavaScript."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, quote
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError

from chatbot_assets.explain.words import Words, moment
from resources.environment import Home
from serving.access import Access, require_same_origin
from serving.chat import TEXT_LIMIT, Chat, ChatRequest, chat_of
from serving.explaining import Explaining
from serving.languages import chosen_language
from serving.pages.cards import Cards
from serving.pages.documents import documents, pictures, render
from serving.pages.words import words

_FOLDER = Path(__file__).parent
FRAGMENT = "text/html; fragment=turn"
"""What the page's script accepts: the turn alone instead of the whole page."""


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, each with its last value."""
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(body, max_num_fields=20).items()}


def add_pages(app: FastAPI, home: Home, access: Access, explaining: Explaining, dagster: str | None) -> None:
    """Adds the pages' routes; the documents alone are shown to whoever has not signed in."""
    templates = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.globals |= {"documents": documents, "dagster": _dagster_links(dagster), "text_limit": TEXT_LIMIT}
    cards = Cards(home)

    def page(request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> HTMLResponse:
        language = chosen_language(request.headers.get("accept-language", ""))
        text = templates.get_template(template).render(language=language, words=words(language), **values)
        headers = {"Vary": "Accept-Language, Accept, Cookie", "Content-Language": language}
        return HTMLResponse(text, status, headers)

    def show_start(
        request: Request, chat: Chat, tenant: str, session: str, said: dict[str, Any] | None
    ) -> HTMLResponse:
        shown = cards.of(tenant, chat.bots)
        return page(request, "start.html", tenant=tenant, cards=shown, session=session, said=said)

    @app.get("/")
    def start(request: Request, chat: Annotated[Chat, Depends(chat_of)]) -> HTMLResponse:
        """Every bot of the tenant that is signed in; else where to sign in."""
        tenant = access.signed_in(request)
        if tenant is None:
            return page(request, "sign_in.html", wrong=False)
        return show_start(request, chat, tenant, uuid4().hex, None)

    @app.post("/sign-in", dependencies=[Depends(require_same_origin)])
    def sign_in(request: Request, form: Annotated[dict[str, str], Depends(form_of)]) -> Any:
        """Starts a session for whoever has a tenant's token."""
        cookie = access.new_session(request, form.get("token", "").strip())
        if cookie is None:
            return page(request, "sign_in.html", HTTPStatus.FORBIDDEN, wrong=True)
        return RedirectResponse("/", HTTPStatus.SEE_OTHER, cookie)

    @app.post("/sign-out", dependencies=[Depends(require_same_origin)])
    def sign_out(request: Request) -> RedirectResponse:
        """Ends the session."""
        return RedirectResponse("/", HTTPStatus.SEE_OTHER, access.end_session(request))

    @app.post("/bots/{key}/chat")
    async def ask(
        request: Request,
        key: str,
        tenant: Annotated[str, Depends(access.tenant)],
        form: Annotated[dict[str, str], Depends(form_of)],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> HTMLResponse:
        """Answers the text of a card's form: with the page, or with the turn alone for the page's script."""
        try:
            turn = ChatRequest(session_id=form.get("session", ""), text=form.get("text", ""))
        except ValidationError as error:
            raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from None
        said = {"bot": key, "text": turn.text, "reply": await chat.answer(tenant, key, turn)}
        if request.headers.get("accept") == FRAGMENT:
            language = chat.live(tenant, key).deployment.config["language"]
            return page(request, "turn.html", said=said, bot_language=language)
        return await run_in_threadpool(show_start, request, chat, tenant, turn.session_id, said)

    @app.get("/bots/{key}/turns/{turn_id}")
    def explain(
        request: Request,
        key: str,
        turn_id: str,
        tenant: Annotated[str, Depends(access.tenant)],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> HTMLResponse:
        """Why a turn was answered as it was."""
        said = Words(chosen_language(request.headers.get("accept-language", "")))
        found = explaining.of(chat, tenant, key, turn_id, said)
        return page(request, "explain.html", found=found, said=said, moment=moment)

    def document(request: Request, address: str) -> Any:
        found = next((document for document in documents() if document.address == address), None)
        if found is not None:
            return page(request, "document.html", document=found, html=render(found))
        if address in pictures():
            return FileResponse(pictures()[address])
        raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no document {address}")

    @app.get("/README.md")
    def readme(request: Request) -> Any:
        """The first document."""
        return document(request, "README.md")

    @app.get("/docs/{name}")
    def docs(request: Request, name: str) -> Any:
        """A document, or a picture in one."""
        return document(request, f"docs/{name}")

    app.mount("/static", StaticFiles(directory=_FOLDER / "static"))


def _dagster_links(address: str | None) -> dict[str, Any] | None:
    """Where Dagster's UI shows the whole graph, and a bot's part of it."""
    if address is None:
        return None
    return {
        "graph": f"{address}/asset-groups",
        "lineage": lambda key: f"{address}/assets/deployments?view=partitions&partition={quote(key)}",
    }
