"""The days that figures are shown for, in one time zone, and how they are parted for a plot."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from serving.zones import all_zones, midnight

PRESETS = {"today": 1, "7": 7, "30": 30}
"""Days up to and with today, by the preset's name."""
LONGEST_DAYS = 366
WEEKS_FROM_DAYS = 92
"""So many days are parted into weeks: more bars than a quarter's days cannot be told apart."""
Unit = Literal["hour", "day", "week"]


class PeriodError(ValueError):
    """What was asked for is no period; ``problem`` names why: 'zone', 'date', 'order' or 'long'."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class Period:
    """Whole days, ``first`` to ``last``, in a time zone; ``preset`` tells how they were chosen ('range': by hand)."""

    preset: str
    first: date
    last: date
    zone: ZoneInfo

    @property
    def unit(self) -> Unit:
        """What a part of it is."""
        days = (self.last - self.first).days + 1
        if days == 1:
            return "hour"
        return "day" if days < WEEKS_FROM_DAYS else "week"

    def edges(self) -> list[datetime]:
        """The moments that its parts begin at, and its end; a day of a clock change has 23 or 25 hours."""
        end = midnight(self.last + timedelta(days=1), self.zone)
        if self.unit == "hour":
            start = midnight(self.first, self.zone)
            return [start + timedelta(hours=hour) for hour in range(int((end - start).total_seconds() // 3600))] + [end]
        step = timedelta(days=7 if self.unit == "week" else 1)
        days = []
        day = self.first
        while day <= self.last:
            days.append(midnight(day, self.zone))
            day += step
        return [*days, end]


def period_of(asked: Mapping[str, str], now: datetime) -> Period:
    """The period that a page's address asks for: ``period`` (a preset), or ``from`` and ``to``; and ``zone``.

    Raises:
        PeriodError: when it makes no sense.
    """
    zone = _zone(asked.get("zone", ""))
    today = now.astimezone(zone).date()
    preset = asked.get("period", "")
    if preset in PRESETS or not (asked.get("from") or asked.get("to")):
        preset = preset if preset in PRESETS else "7"
        return Period(preset, today - timedelta(days=PRESETS[preset] - 1), today, zone)
    try:
        first = date.fromisoformat(asked.get("from") or asked["to"])
        last = date.fromisoformat(asked.get("to") or today.isoformat())
    except ValueError:
        raise PeriodError("date") from None
    if last < first:
        raise PeriodError("order")
    if (last - first).days >= LONGEST_DAYS:
        raise PeriodError("long")
    if not 1970 < first.year <= last.year < 9999:
        raise PeriodError("date")
    return Period("range", first, last, zone)


def _zone(name: str) -> ZoneInfo:
    if not name:
        return ZoneInfo("UTC")
    # Not ZoneInfo(name) by itself: it opens a file by that name.
    if name not in all_zones():
        raise PeriodError("zone")
    return ZoneInfo(name)
