"""The pages for people: a start page with every bot of the tenant, and the documents. They work without JavaScript."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError

from chatbot_assets.explain.words import Words
from resources.environment import Home
from serving.access import ACCOUNT, Access
from serving.chat import TEXT_LIMIT, Chat, ChatRequest, chat_of
from serving.explaining import Explaining
from serving.forms import form_of
from serving.languages import language_of
from serving.overview.bots import Bots
from serving.pages.cards import Cards
from serving.pages.documents import documents, pictures, render
from serving.pages.people import add_people_pages
from serving.pages.rendering import Pages
from serving.pages.service.routes import service_routes
from serving.pages.service.speech import Speech
from serving.pages.words import words_of
from serving.people.oidc import SingleSignOn
from serving.people.roles import Permission, Person
from serving.problems import Problem, answer_with_problems, as_json
from serving.returning import FIELD, is_browser, own_path
from serving.review.desk import Desk
from serving.review.routes import review_routes

_FOLDER = Path(__file__).parent
FRAGMENT = "text/html; fragment=turn"
"""What the page's script accepts: the turn alone instead of the whole page."""


def add_pages(
    app: FastAPI,
    home: Home,
    access: Access,
    explaining: Explaining,
    overview: Bots,
    dagster: str | None,
    sign_on: SingleSignOn | None = None,
) -> None:
    """Adds the pages' routes, and pages for problems; the documents alone are shown to whoever has not signed in."""
    pages = Pages(dagster=_dagster_links(dagster), text_limit=TEXT_LIMIT)
    page = pages.show
    ask_to_sign_in = add_people_pages(app, pages, access, sign_on)
    desk = Desk(home)
    cards = Cards(home, desk)

    def show_problem(request: Request, problem: Problem) -> Response:
        if not is_browser(request) or problem.status < HTTPStatus.BAD_REQUEST:
            return as_json(request, problem)
        said = words_of("problems", language_of(request))
        told = said.get(str(problem.status.value), said["other"])
        person = access.signed_in(request)
        values = {"person": person, "told": told, "detail": problem.detail}
        shown = page(request, "problem.html", problem.status, **values)
        shown.headers.update(problem.headers or {})
        return shown

    answer_with_problems(app, show_problem)

    def show_start(
        request: Request, chat: Chat, person: Person, session: str, said: dict[str, Any] | None
    ) -> HTMLResponse:
        shown = cards.of(person.tenant, chat.bots)
        say = Speech(language_of(request))
        return page(request, "start.html", person=person, cards=shown, session=session, said=said, say=say)

    @app.get("/")
    def start(request: Request, chat: Annotated[Chat, Depends(chat_of)]) -> Response:
        """Every bot of the tenant that is signed in; else where to sign in, and the way back to ``next`` after it."""
        person = access.signed_in(request)
        if person and person.second_factor_due:
            return RedirectResponse(ACCOUNT, HTTPStatus.SEE_OTHER)
        if person is None or not person.may(Permission.READ):
            return ask_to_sign_in(request)
        if FIELD in request.query_params:
            return RedirectResponse(own_path(request.query_params[FIELD]), HTTPStatus.SEE_OTHER)
        return show_start(request, chat, person, uuid4().hex, None)

    @app.post("/bots/{key}/chat")
    async def ask(
        request: Request,
        key: str,
        person: Annotated[Person, Depends(access.may(Permission.CHAT))],
        form: Annotated[dict[str, str], Depends(form_of)],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> HTMLResponse:
        """Answers the text of a card's form: with the page, or with the turn alone for the page's script."""
        try:
            turn = ChatRequest(session_id=form.get("session", ""), text=form.get("text", ""))
        except ValidationError as error:
            raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from None
        said = {"bot": key, "text": turn.text, "reply": await chat.answer(person.tenant, key, turn)}
        if request.headers.get("accept") == FRAGMENT:
            language = chat.live(person.tenant, key).config["language"]
            return page(request, "turn.html", said=said, bot_language=language)
        return await run_in_threadpool(show_start, request, chat, person, turn.session_id, said)

    @app.get("/bots/{key}/turns/{turn_id}")
    def explain(
        request: Request,
        key: str,
        turn_id: str,
        person: Annotated[Person, Depends(access.may_see(Permission.READ))],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> HTMLResponse:
        """Why a turn was answered as it was."""
        said = Words(language_of(request))
        found = explaining.of(chat, person.tenant, key, turn_id, said)
        return page(request, "explain.html", person=person, found=found, said=said)

    app.include_router(service_routes(overview, access, page))
    app.include_router(review_routes(home, access, page, desk))

    def document(request: Request, address: str) -> Any:
        found = next((document for document in documents() if document.address == address), None)
        if found is not None:
            return page(request, "document.html", person=access.signed_in(request), document=found, html=render(found))
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
