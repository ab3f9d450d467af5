"""How a language writes figures, times, and sentences about so many of something."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from chatbot_assets.explain.words import form
from serving.pages.words import words_of


class Writing:
    """Writes for a reader of one language, who thinks in one time zone."""

    def __init__(self, language: str, zone: tzinfo = UTC) -> None:
        self.language = language
        self.zone = zone
        self._formats: dict[str, Any] = words_of("formats", language)

    def number(self, value: float) -> str:
        """A whole number; both languages part thousands by commas."""
        return f"{round(value):,}"

    def share(self, value: float | None, digits: int = 0) -> str:
        """A share between 0 and 1 in per cent. What is neither none nor all is never rounded to that."""
        if value is None:
            return str(self._formats["none"])
        shown = f"{value * 100:.{digits}f}"
        if 0 < value < 1 and float(shown) in (0, 100):
            shown = f"<{10**-digits:g}" if float(shown) == 0 else f">{100 - 10**-digits:g}"
        return str(self._formats["share"].format(value=shown))

    def moment(self, at: datetime | None) -> str:
        """A time in the reader's zone, to the minute."""
        return self._date("moment", at.astimezone(self.zone)) if at else str(self._formats["none"])

    def day(self, day: date) -> str:
        """A date."""
        return self._date("day", datetime(day.year, day.month, day.day))

    def seconds(self, value: float) -> str:
        """How long something took: to the tenth of a second, from a minute on in minutes."""
        if value >= 60:
            minutes, seconds = divmod(round(value), 60)
            return str(self._formats["minutes"].format(minutes=minutes, seconds=seconds))
        return str(self._formats["seconds"].format(value=f"{value:.1f}"))

    def memory(self, megabytes: float) -> str:
        """How much memory something took."""
        return str(self._formats["memory"].format(value=self.number(megabytes)))

    def counted(self, words: str | Mapping[str, str], count: int, **facts: Any) -> str:
        """Words about so many of something."""
        return form(words, count).format(count=self.number(count), **facts)

    def fact(self, value: Any) -> str:
        """What fills a gap of a sentence: a name, names, a whole number or a date."""
        if isinstance(value, list):
            return ", ".join(map(self.fact, value)) or str(self._formats["none"])
        if isinstance(value, date):
            return self.day(value)
        return self.number(value) if isinstance(value, int) else str(value)

    def _date(self, name: str, at: datetime) -> str:
        return str(
            self._formats[name].format(
                y=at.year,
                m=at.month,
                d=at.day,
                month=self._formats["months"][at.month - 1],
                h=f"{at.hour:02}",
                min=f"{at.minute:02}",
            )
        )
