"""The review page's address holds its whole view, and says clearly what it cannot show."""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.review.filters import KINDS, OFFERED_ZONES, PERIODS, STATES, FilterError, Filters
from serving.review.refusals import refusal

BOTS = {"acme.faq": "en", "acme.faq-ko": "ko"}
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def parsed(address: str) -> Filters:
    return Filters.parse(dict(parse_qsl(urlsplit(address).query)), BOTS, BOTS.__getitem__)


days = st.dates(date(1970, 1, 2), date(9998, 1, 1))
views = st.builds(
    Filters,
    bot=st.sampled_from(sorted(BOTS)),
    kind=st.sampled_from(KINDS),
    state=st.sampled_from(STATES),
    period=st.sampled_from([period for period in PERIODS if period != "range"]),
    zone=st.sampled_from(OFFERED_ZONES),
    search=st.text(max_size=20).map(str.strip),
    page=st.integers(1, 400),
)


@given(views, st.tuples(st.none() | days, st.none() | days))
def test_an_address_leads_to_the_very_same_view(view: Filters, limits: tuple[date | None, date | None]) -> None:
    since, until = limits
    if since and until and since > until:
        since, until = until, since
    if since or until:
        view = Filters(**(vars(view) | {"period": "range", "since": since, "until": until}))
    assert parsed(view.address(page=view.page)) == view


def test_the_usual_view_is_the_last_month_of_failed_turns_of_the_first_bot_where_its_users_are() -> None:
    view = Filters.parse({}, BOTS, BOTS.__getitem__)
    assert (view.bot, view.kind, view.state, view.period, view.zone) == ("acme.faq", "failed", "open", "30d", "UTC")
    assert Filters.parse({"bot": "acme.faq-ko"}, BOTS, BOTS.__getitem__).zone == "Asia/Seoul"


def test_a_day_begins_at_midnight_of_the_time_zone() -> None:
    today = Filters.parse({"bot": "acme.faq-ko", "period": "today"}, BOTS, BOTS.__getitem__)
    assert today.span(NOON) == (datetime(2026, 3, 9, 15, 0, tzinfo=UTC), None)
    assert today.span(NOON + timedelta(hours=4)) == (datetime(2026, 3, 10, 15, 0, tzinfo=UTC), None)


def test_a_range_holds_both_of_its_days() -> None:
    view = Filters.parse({"since": "2026-03-01", "until": "2026-03-02"}, BOTS, BOTS.__getitem__)
    assert view.span(NOON) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))


def test_another_tab_begins_at_its_first_page() -> None:
    assert parsed(Filters(bot="acme.faq", page=7).address(kind="similar")).page == 1


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"bot": "globex.help"}, "There is no bot “globex.help”. Choose one of these: acme.faq, acme.faq-ko."),
        ({"kind": "angry"}, "kind: “angry” is none of failed"),
        ({"state": "lost"}, "state: “lost” is none of open"),
        ({"period": "1y"}, "period: “1y” is none of today"),
        ({"zone": "Mars/Base"}, "There is no time zone “Mars/Base”"),
        ({"since": "yesterday"}, "“yesterday” is no date. Write one like 2026-01-31"),
        ({"since": "2026-02-02", "until": "2026-01-01"}, "ends (1 Jan 2026) before it begins (2 Feb 2026)"),
        ({"page": "0"}, "“0” is no page"),
        ({"page": "²"}, "“²” is no page"),
    ],
)
def test_what_there_is_not_is_named(query: dict[str, str], says: str) -> None:
    with pytest.raises(FilterError) as raised:
        Filters.parse(query, BOTS, BOTS.__getitem__)
    assert says in refusal(raised.value, "en").says


@given(
    st.dictionaries(
        st.sampled_from(["bot", "kind", "state", "period", "since", "until", "zone", "search", "page"]), st.text()
    )
)
def test_any_address_is_shown_or_refused_in_words(query: dict[str, str]) -> None:
    try:
        view = Filters.parse(query, BOTS, BOTS.__getitem__)
    except FilterError as refused:
        assert refusal(refused, "en").says and refusal(refused, "ko").says
    else:
        view.span(NOON)
