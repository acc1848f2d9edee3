"""Which days are business days, by the calendar of a country or of a financial market.

Nobody can know holidays for ever: beyond what a calendar knows only its weekends count. That gives the earlier
deadline, which is the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

COUNTRY = 2
"""Letters in the code of a country; financial markets have more, or a digit."""
_WEEKEND = frozenset({5, 6})


@dataclass(frozen=True, slots=True)
class Calendar:
    """What is known of one calendar."""

    days: Any
    """The ``holidays`` object: it computes a year when it is asked about it."""
    first_year: int
    last_year: int

    def covers(self, day: date) -> bool:
        """Whether its holidays are known in that year."""
        return self.first_year <= day.year <= self.last_year

    def is_open(self, day: date) -> bool:
        """Whether that is a business day."""
        if self.covers(day):
            return bool(self.days.is_working_day(day))
        return day.weekday() not in self.days.weekend


@lru_cache(maxsize=64)
def calendar_of(name: str) -> Calendar | None:
    """The calendar of that name, such as US, DE-BY, NYSE or ECB; None when there is none."""
    import holidays  # it takes 9 to 16 MB, and most policies have no clock that asks for it

    try:
        if name in holidays.list_supported_financial():
            days: Any = holidays.financial_holidays(name)
        else:
            country, _, subdivision = name.partition("-")
            if len(country) != COUNTRY:
                return None
            days = holidays.country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError:  # so the library says that it knows no such country or part of one
        return None
    return Calendar(days, days.start_year, days.end_year)


def business_day(start: date, count: int, calendar: Calendar | None) -> tuple[date, bool]:
    """The last of so many business days after a day, and whether all of them are known.

    The day itself never counts. Without a calendar Saturdays and Sundays alone are no business days.
    """
    day, known = start, calendar is not None
    while count:
        day += timedelta(days=1)
        known = known and calendar is not None and calendar.covers(day)
        count -= calendar.is_open(day) if calendar else day.weekday() not in _WEEKEND
    return day, known
