"""The routes of the service page: all bots of the tenant, and one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from http import HTTPStatus
from operator import add
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse

from serving.access import Access
from serving.languages import language_of
from serving.overview.bots import BotOverview, Bots
from serving.overview.period import PRESETS, Period, PeriodError, period_of
from serving.overview.traffic import Shares
from serving.pages.service import plots
from serving.pages.service.speech import Speech
from serving.people.roles import Permission, Person
from serving.review.filters import SEARCH_LIMIT, Filters
from serving.zones import zone_names

TABLE_ROWS = 100
"""So many bars of a plot, the newest, are also told as a table."""
Page = Callable[..., HTMLResponse]


@dataclass(frozen=True)
class Row:
    """One bot on the page of all bots, with its turns in the period."""

    bot: BotOverview
    shares: Shares


def service_routes(bots: Bots, access: Access, page: Page) -> APIRouter:
    """The pages' routes; ``page`` renders a template for a request."""
    router = APIRouter(prefix="/service")

    def asked(request: Request) -> tuple[dict[str, Any], Period]:
        """The period that the address asks for, and what every page of it needs."""
        now, problem = datetime.now(UTC), None
        try:
            period = period_of(request.query_params, now)
        except PeriodError as error:
            problem = error.problem
            zone = {} if problem == "zone" else {"zone": request.query_params.get("zone", "")}
            period = period_of(zone, now)
        speech = Speech(language_of(request), period.zone)
        shared = {"say": speech, "period": period, "problem": problem, "now": now}
        return shared | {"presets": list(PRESETS), "zones": zone_names(), "plots": plots}, period

    @router.get("")
    def all_bots(request: Request, person: Annotated[Person, Depends(access.may_see(Permission.READ))]) -> HTMLResponse:
        """How every bot of the tenant stands and fares."""
        shared, period = asked(request)
        edges = period.edges()
        whole = (edges[0], edges[-1])
        rows = [Row(bot, bots.counts(bot.key).between(whole)[0]) for bot in bots.overviews(person.tenant)]
        total = reduce(add, (row.shares for row in rows), Shares())
        return page(request, "service.html", person=person, rows=rows, total=total, **shared)

    @router.get("/{key}")
    def one_bot(
        request: Request, key: str, person: Annotated[Person, Depends(access.may_see(Permission.READ))]
    ) -> HTMLResponse:
        """How one bot stands and fares."""
        if key not in bots.keys(person.tenant):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no bot {key} of yours")
        shared, period = asked(request)
        edges = period.edges()
        parts = bots.counts(key).between(edges)
        return page(
            request,
            "service_bot.html",
            person=person,
            bot=bots.overview(key),
            total=reduce(add, parts, Shares()),
            parts_of_period=parts,
            labels=[shared["say"].part(period, edge) for edge in edges[:-1]],
            told=[place for place, part in enumerate(parts) if part.turns][-TABLE_ROWS:],
            details=bots.details(key, edges[0], edges[-1]),
            review_of=lambda text="": _review(key, period, text),
            **shared,
        )

    return router


def _review(key: str, period: Period, text: str) -> str:
    """The address of what failed in a period on the review page: of all, or of what says a text."""
    asked = Filters(bot=key, period="range", since=period.first, until=period.last, zone=period.zone.key)
    return asked.address(search=text[:SEARCH_LIMIT].strip())
