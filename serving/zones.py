"""Time zones and their days, for pages on which people choose a period."""

import functools
import zoneinfo
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo


@functools.cache
def all_zones() -> frozenset[str]:
    """The names of all time zones. Asking the system takes tens of milliseconds: it looks into each of its files."""
    return frozenset(zoneinfo.available_timezones())


@functools.cache
def zone_names() -> tuple[str, ...]:
    """The names of all time zones that are places, for somebody to choose from, and UTC."""
    places = (name for name in all_zones() if "/" in name)
    return (
        "UTC",
        *sorted(name for name in places if not name.startswith(("Etc/", "SystemV/", "US/", "posix", "right"))),
    )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins in a time zone; in UTC, so that differences are true times."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
