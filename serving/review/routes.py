"""The routes of the review page: everything works with plain forms, and the page's script asks for parts of it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.feedback.deciding import AlreadyDecidedError, DecisionError
from chatbot_assets.refused import RefusedError
from resources.environment import Home
from resources.tenancy import owns
from serving.access import Access
from serving.forms import fields_of
from serving.languages import language_of
from serving.pages.words import words_of
from serving.people.roles import Permission, Person
from serving.review.desk import Choice, ChoiceError, Decisions, Desk, GoneError, Told
from serving.review.filters import KINDS, OFFERED_ZONES, OPEN, PERIODS, SERVED_KINDS, STATES, FilterError, Filters
from serving.review.refusals import Refusal, refusal

TEXT_LIMIT = 2_000
ShowPage = Callable[..., HTMLResponse]
Form = Mapping[str, list[str]]


def review_routes(home: Home, access: Access, show: ShowPage, desk: Desk) -> APIRouter:
    """The page, and what its buttons do; ``show`` renders a template in the language of whoever asks."""
    router = APIRouter(prefix="/review")

    def keys(owner: str) -> list[str]:
        """The tenant's bots."""
        return [key for key in bot_keys(home.bots) if owns(owner, key)]

    def language(key: str) -> str:
        try:
            return load_bot(home.bots, key).language
        except BotError:
            return "en"

    def own(person: Person, key: str) -> str:
        if key not in keys(person.tenant):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"tenant {person.tenant} has no bot {key}")
        return key

    def filters_of(request: Request, form: Form, person: Person) -> Filters:
        try:
            return Filters.parse(_back(form), keys(person.tenant), language)
        except FilterError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, refusal(error, language_of(request)).text) from None

    def whole_page(
        request: Request,
        person: Person,
        filters: Filters,
        problem: Refusal | None = None,
        status: HTTPStatus = HTTPStatus.OK,
        effect: list[Told] | None = None,
    ) -> HTMLResponse:
        now = datetime.now(UTC)
        opened = desk.open_page(filters, now) if filters.bot else None
        view = desk.queue(filters.bot) if filters.bot else None
        decisions = desk.decisions(filters.bot) if filters.bot else Decisions()
        decided = decisions.page(filters, now) if filters.bot and filters.state != OPEN else None
        return show(
            request,
            "review.html",
            status,
            w=_words(request),
            person=person,
            may_decide=person.may(Permission.REVIEW),
            bots=keys(person.tenant),
            filters=filters,
            kinds=KINDS,
            states=STATES,
            periods=PERIODS,
            zones=sorted({*OFFERED_ZONES, filters.zone}),
            opened=opened,
            decided=decided,
            outcomes=desk.outcomes(request.app.state.chat.bots, filters.bot, decided.decisions) if decided else {},
            served_kinds=SERVED_KINDS,
            decided_counts=decisions.counts(),
            intents=[known for known in desk.known.of(filters.bot) if known.intent] if filters.bot else [],
            made_at=view.made_at if view else None,
            zone=ZoneInfo(filters.zone),
            bot_language=language(filters.bot) if filters.bot else "und",
            done=decisions.find(request.query_params.get("done", "")),
            problem=problem,
            effect=effect,
            text_limit=TEXT_LIMIT,
        )

    def refused(
        request: Request, person: Person, filters: Filters, error: RefusedError, status: HTTPStatus
    ) -> HTMLResponse:
        said = refusal(error, language_of(request))
        if _is_script(request):
            raise HTTPException(status, said.text) from None
        return whole_page(request, person, filters, said, status)

    @router.get("")
    def review(request: Request, person: Annotated[Person, Depends(access.may_see(Permission.READ))]) -> HTMLResponse:
        """What waits for a decision, or was decided."""
        bots = keys(person.tenant)
        try:
            filters = Filters.parse(request.query_params, bots, language)
        except FilterError as error:
            bot = request.query_params.get("bot", "")
            usual = Filters.parse({"bot": bot} if bot in bots else {}, bots, language)
            said = refusal(error, language_of(request))
            return whole_page(request, person, usual, said, HTTPStatus.UNPROCESSABLE_ENTITY)
        shown = whole_page(request, person, filters)
        if filters.bot and filters.state == OPEN and person.may(Permission.REVIEW):
            desk.make_ahead(filters.bot)
        return shown

    @router.post("/{key}/decisions")
    async def decide(
        request: Request,
        key: str,
        person: Annotated[Person, Depends(access.may(Permission.REVIEW))],
        form: Annotated[Form, Depends(fields_of)],
    ) -> Response:
        """Decides on the chosen groups; a page's script gets what was decided as JSON."""
        return await run_in_threadpool(_decide, request, own(person, key), person, form)

    def _decide(request: Request, key: str, person: Person, form: Form) -> Response:
        filters = filters_of(request, form, person)
        try:
            done = desk.decide(key, _kind(form), _choice(form), reviewer=person.name)
        except (ChoiceError, DecisionError) as error:
            is_second = isinstance(error, (GoneError, AlreadyDecidedError))
            status = HTTPStatus.CONFLICT if is_second else HTTPStatus.UNPROCESSABLE_ENTITY
            return refused(request, person, filters, error, status)
        if _is_script(request):
            return JSONResponse({"decided": done})
        back = filters.address(page=filters.page) + "".join(f"&done={identity}" for identity in done[:1])
        return RedirectResponse(back, HTTPStatus.SEE_OTHER)

    @router.post("/{key}/effect")
    async def effect(
        request: Request,
        key: str,
        person: Annotated[Person, Depends(access.may(Permission.REVIEW))],
        form: Annotated[Form, Depends(fields_of)],
    ) -> Response:
        """What a decision would do, without making it; a page's script gets that part alone."""
        return await run_in_threadpool(_effect, request, own(person, key), person, form)

    def _effect(request: Request, key: str, person: Person, form: Form) -> Response:
        filters = filters_of(request, form, person)
        try:
            found = desk.effect(key, _kind(form), _choice(form))
        except ChoiceError as error:
            return refused(request, person, filters, error, HTTPStatus.UNPROCESSABLE_ENTITY)
        if _is_script(request):
            return show(request, "review_effect.html", w=_words(request), effect=found, bot_language=language(key))
        return whole_page(request, person, filters, effect=found)

    @router.post("/{key}/decisions/{decision_id}/undo")
    async def undo(
        request: Request,
        key: str,
        decision_id: str,
        person: Annotated[Person, Depends(access.may(Permission.REVIEW))],
        form: Annotated[Form, Depends(fields_of)],
    ) -> Response:
        """Takes a decision back."""
        return await run_in_threadpool(_undo, request, own(person, key), decision_id, person, form)

    def _undo(request: Request, key: str, decision_id: str, person: Person, form: Form) -> Response:
        filters = filters_of(request, form, person)
        try:
            desk.undo(key, decision_id, reviewer=person.name)
        except DecisionError as error:
            return refused(request, person, filters, error, HTTPStatus.CONFLICT)
        if _is_script(request):
            return JSONResponse({"undone": decision_id})
        return RedirectResponse(filters.address(page=filters.page), HTTPStatus.SEE_OTHER)

    @router.get("/{key}/known")
    def known(
        key: str, person: Annotated[Person, Depends(access.may(Permission.READ))], search: str = ""
    ) -> dict[str, Any]:
        """Intents and answers of the bot that hold some words."""
        return {"known": [vars(found) for found in desk.known.search(own(person, key), search[:TEXT_LIMIT])]}

    @router.get("/{key}/turns/{turn_id}")
    def around(
        request: Request, key: str, turn_id: str, person: Annotated[Person, Depends(access.may_see(Permission.READ))]
    ) -> HTMLResponse:
        """The conversation around a turn."""
        turns = desk.around(own(person, key), turn_id)
        if not turns:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"{key} has no turn {turn_id}")
        template = "review_around.html" if _is_script(request) else "review_conversation.html"
        return show(
            request,
            template,
            w=_words(request),
            person=person,
            bot=key,
            turn_id=turn_id,
            turns=turns,
            bot_language=language(key),
        )

    return router


def _choice(form: Form) -> Choice:
    def text(name: str) -> str | None:
        value = form.get(name, [""])[-1].strip()
        if len(value) > TEXT_LIMIT:
            raise ChoiceError("too_long", limit=TEXT_LIMIT)
        return value or None

    picked = text("picked")
    intent, answer = text("intent"), text("answer")
    if intent is None and answer is None and picked is not None:
        kind, _, value = picked.partition(":")
        intent, answer = (value, None) if kind == "intent" else (None, value)
    return Choice(
        action=form.get("action", [""])[-1],
        groups=tuple(dict.fromkeys(form.get("group", []))),
        intent=intent,
        answer=answer,
        is_new="new" in form,
        reason=text("reason"),
    )


def _kind(form: Form) -> str:
    kind = form.get("row_kind", [""])[-1]
    if kind not in KINDS:
        raise ChoiceError("no_value", name="row_kind", value=kind, allowed=list(KINDS))
    return kind


def _back(form: Form) -> dict[str, str]:
    """The view that a form was sent from: the address's parameters, as its field ``back`` holds them."""
    return {name: values[-1] for name, values in parse_qs(form.get("back", [""])[-1].partition("?")[2]).items()}


def _words(request: Request) -> dict[str, Any]:
    return words_of("review", language_of(request))


def _is_script(request: Request) -> bool:
    """Whether the page's script asks, and wants the answer alone instead of a page."""
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted or "fragment" in accepted
