"""By when something is due, counted from which anchor.

Hours are elapsed time. Calendar days and months end at the time of day of their anchor, in UTC: that is never later
than the end of the day that most laws give. Months end at the last of a shorter month. Business days are those of the
calendar, in the preset's time zone, and end at the time of day of their anchor there.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tocsin.api.clock import AnchorType
from tocsin.decide.calendars import business_day, calendar_of
from tocsin.decide.presets import Preset, Span, Unit

LAST = datetime.max.replace(microsecond=0, tzinfo=UTC)
"""What would be due after the end of the calendar is due then."""


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A deadline, and how it came about."""

    counted_from: datetime
    deadline: datetime
    note: str = ""
    """What is uncertain about it."""


def reckon(preset: Preset, anchors: Mapping[AnchorType, datetime], calendar: str | None) -> Reckoned:
    """The earliest deadline of the anchors that are given, of which there is one at least.

    Where an anchor counts alone when it lies beyond the limits of the others, it does.
    """
    found = {kind: _after(anchors[kind], span, preset, calendar) for kind, span in preset.limits if kind in anchors}
    others = [one.deadline for kind, one in found.items() if kind is not preset.late]
    late = preset.late
    if late is not None and late in found and others and anchors[late] > min(others):
        return found[late]
    return min(found.values(), key=lambda one: one.deadline)


def _after(anchor: datetime, span: Span, preset: Preset, calendar: str | None) -> Reckoned:
    at, note = anchor.astimezone(UTC), ""
    try:
        match span.unit:
            case Unit.HOURS:
                end = at + timedelta(hours=span.amount)
            case Unit.CALENDAR_DAYS:
                end = at + timedelta(days=span.amount)
            case Unit.MONTHS:
                end = _months_after(at, span.amount)
            case Unit.BUSINESS_DAYS:
                end, note = _business_days_after(at, span.amount, preset.zone, calendar)
            case Unit.IMMEDIATELY:
                end = at
    except (OverflowError, ValueError):
        end = LAST
    return Reckoned(at, max(at, end), note)


def _months_after(at: datetime, count: int) -> datetime:
    years, month = divmod(at.month - 1 + count, 12)
    year = at.year + years
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def _business_days_after(at: datetime, count: int, zone: str, calendar: str | None) -> tuple[datetime, str]:
    there = ZoneInfo(zone)
    local = at.astimezone(there)
    day, known = business_day(local.date(), count, calendar_of(calendar) if calendar else None)
    end = datetime.combine(day, local.time(), there).astimezone(UTC)
    lacks = f"calendar {calendar} does not cover it" if calendar else "no calendar is named"
    return end, "" if known else f"{lacks}: weekends alone were left out, which is the earlier deadline"
