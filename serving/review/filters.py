"""What the review page shows: chosen in its address, so that a link leads to the very same view."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from chatbot_assets.refused import RefusedError
from serving.zones import all_zones, midnight

SERVED_KINDS = ("failed", "similar", "dissatisfied", "satisfied")
LABEL_KINDS = ("label", "conflict")
KINDS = (*SERVED_KINDS, *LABEL_KINDS)
"""The tabs: kinds of served turns in ``review_queue``, and of landed rows whose label is in doubt."""
OPEN, MODIFIED, ON_HOLD, EXCLUDED = STATES = ("open", "modified", "on_hold", "excluded")
"""What was decided on the turns that are shown; open: nothing yet."""
PERIODS = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "all": None, "range": None}
"""The days of each preset period, today included."""
GROUPS_ON_A_PAGE = 25
SEARCH_LIMIT = 200
ZONES = {
    "ko": "Asia/Seoul",
    "ja": "Asia/Tokyo",
    "zh-Hans": "Asia/Shanghai",
    "zh-Hant": "Asia/Hong_Kong",
    "zh-TW": "Asia/Taipei",
    "th": "Asia/Bangkok",
    "vi": "Asia/Ho_Chi_Minh",
}
"""Where the users of a bot of a language probably are; a reviewer may choose another time zone."""
OFFERED_ZONES = (
    "UTC",
    *sorted(ZONES.values()),
    "Europe/London",
    "Europe/Paris",
    "America/New_York",
    "America/Los_Angeles",
)


class FilterError(RefusedError):
    """An address that names something there is not."""


@dataclass(frozen=True)
class Filters:
    """One view of a bot's queue."""

    bot: str = ""
    kind: str = KINDS[0]
    state: str = OPEN
    period: str = "30d"
    since: date | None = None
    until: date | None = None
    zone: str = "UTC"
    search: str = ""
    page: int = 1

    @classmethod
    def parse(cls, query: Mapping[str, str], bots: Iterable[str], language: Callable[[str], str]) -> "Filters":
        """The view that an address asks for; what it leaves out is the usual.

        Args:
            query: the address's parameters.
            bots: the keys of the tenant's bots.
            language: gives the language of one of them, for its usual time zone.

        Raises:
            FilterError: when a value is none of those that there are.
        """
        keys = sorted(bots)
        bot = query.get("bot") or (keys[0] if keys else "")
        if bot and bot not in keys:
            raise FilterError("no_bot", bot=bot, bots=keys)
        zone = query.get("zone") or (ZONES.get(language(bot), "UTC") if bot else "UTC")
        if zone not in all_zones():
            raise FilterError("no_zone", zone=zone)
        since, until = _date(query, "since"), _date(query, "until")
        if since and until and since > until:
            raise FilterError("order", since=since, until=until)
        is_range = since or until
        return cls(
            bot=bot,
            kind=_one_of(query, "kind", KINDS, KINDS[0]),
            state=_one_of(query, "state", STATES, OPEN),
            period="range" if is_range else _one_of(query, "period", PERIODS, "30d"),
            since=since,
            until=until,
            zone=zone,
            search=query.get("search", "").strip()[:SEARCH_LIMIT],
            page=_page(query),
        )

    def span(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """From when (included) until when (excluded) turns are shown; None: no limit."""
        zone = ZoneInfo(self.zone)
        if self.period == "range":
            after = self.until + timedelta(days=1) if self.until and self.until < date.max else None
            return midnight(self.since, zone) if self.since else None, midnight(after, zone) if after else None
        days = PERIODS[self.period]
        if days is None:
            return None, None
        return midnight(now.astimezone(zone).date() - timedelta(days=days - 1), zone), None

    def address(self, **changes: Any) -> str:
        """The address of this view with changes; another page is asked for only when it is one of them."""
        new = replace(self, **({"page": 1} | changes))
        if "period" in changes and changes["period"] != "range":
            new = replace(new, since=None, until=None)
        usual = Filters(bot="", zone="")
        shown = {f.name: getattr(new, f.name) for f in fields(new)}
        query = {name: str(value) for name, value in shown.items() if value not in (None, getattr(usual, name))}
        if new.period == "range":
            query.pop("period")
        return f"/review?{urlencode(query)}"


def _one_of(query: Mapping[str, str], name: str, allowed: Iterable[str], usual: str) -> str:
    value = query.get(name) or usual
    if value not in allowed:
        raise FilterError("no_value", name=name, value=value, allowed=list(allowed))
    return value


def _date(query: Mapping[str, str], name: str) -> date | None:
    value = query.get(name)
    if not value:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise FilterError("no_date", value=value) from None
    if not 1970 <= found.year < 9999:
        raise FilterError("far_date", value=value)
    return found


def _page(query: Mapping[str, str]) -> int:
    value = query.get("page") or "1"
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:10]) <= 10**6):
        raise FilterError("no_page", value=value)
    return int(value)
