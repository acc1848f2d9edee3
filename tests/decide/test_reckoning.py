"""Is a deadline the one that somebody computes by other means: across leap years, ends of months, and holidays?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.api.clock import AnchorType
from tocsin.decide.presets import PRESETS, Preset, Span, Unit
from tocsin.decide.reckoning import LAST, reckon

AWARE, CLASSIFIED = AnchorType.AWARE, AnchorType.CLASSIFIED
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ANCHORS = st.datetimes(datetime(2001, 1, 1), datetime(2090, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the bounds
many = settings(max_examples=1000, deadline=None)


def a_preset(amount: int, unit: Unit, zone: str = "UTC") -> Preset:
    return Preset("p", "p", "p", ((AWARE, Span(amount, unit)),), "p", "P", zone=zone)


def due(preset: Preset, anchor: datetime, calendar: str | None = None) -> datetime:
    return reckon(preset, {AWARE: anchor}, calendar).deadline


# --- independent calculations


def easter(year: int) -> date:
    """By Gauss, as Knuth gives it."""
    golden, century = year % 19 + 1, year // 100 + 1
    x, z = 3 * century // 4 - 12, (8 * century + 5) // 25 - 5
    d, epact = 5 * year // 4 - x - 10, (11 * golden + 20 + z - x) % 30
    epact += (epact == 25 and golden > 11) or epact == 24
    moon = 44 - epact + (30 if 44 - epact < 21 else 0)
    day = moon + 7 - (d + moon) % 7
    return date(year, 4, day - 31) if day > 31 else date(year, 3, day)


def nth(year: int, month: int, weekday: int, count: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))


def last(year: int, month: int, weekday: int) -> date:
    end = date(year, month + 1, 1) - DAY
    return end - timedelta(days=(end.weekday() - weekday) % 7)


def nearest(day: date) -> date:
    """A Saturday's holiday is kept on Friday, a Sunday's on Monday."""
    return day + {5: -DAY, 6: DAY}.get(day.weekday(), timedelta())


def us_federal(day: date) -> bool:
    """5 U.S.C. 6103; Juneteenth since 2021."""
    found = set()
    for year in (day.year, day.year + 1):
        found |= {nearest(date(year, *fixed)) for fixed in ((1, 1), (7, 4), (11, 11), (12, 25))}
        found |= {nearest(date(year, 6, 19))} if year >= 2021 else set()
        found |= {nth(year, 1, 0, 3), nth(year, 2, 0, 3), last(year, 5, 0), nth(year, 9, 0, 1)}
        found |= {nth(year, 10, 0, 2), nth(year, 11, 3, 4)}
    return day in found


def new_york_exchange(day: date) -> bool:
    """NYSE Rule 7.2: a Saturday's holiday on Friday, except New Year's; no Columbus nor Veterans Day."""
    year, found = day.year, set[date]()
    first = date(year, 1, 1)
    found |= {first + DAY if first.weekday() == 6 else first}
    found |= {nearest(date(year, *fixed)) for fixed in ((7, 4), (12, 25))}
    found |= {nearest(date(year, 6, 19))} if year >= 2022 else set()
    found |= {nth(year, 1, 0, 3), nth(year, 2, 0, 3), easter(year) - 2 * DAY, last(year, 5, 0), nth(year, 9, 0, 1)}
    return day in found | {nth(year, 11, 3, 4)}


def target_system(day: date) -> bool:
    """The closing days of TARGET since 2002."""
    fixed = {(1, 1), (5, 1), (12, 25), (12, 26)}
    return (day.month, day.day) in fixed or day in (easter(day.year) - 2 * DAY, easter(day.year) + DAY)


def bavaria(day: date) -> bool:
    """The Bavarian act on Sundays and holidays, without what is of single towns; Reformation Day of 2017."""
    fixed = {(1, 1), (1, 6), (5, 1), (10, 3), (11, 1), (12, 25), (12, 26)}
    fixed |= {(10, 31)} if day.year == 2017 else set()
    moving = {easter(day.year) + timedelta(days=days) for days in (-2, 1, 39, 50, 60)}
    return (day.month, day.day) in fixed or day in moving


KNOWN: dict[str, Callable[[date], bool]] = {
    "US": us_federal,
    "NYSE": new_york_exchange,
    "ECB": target_system,
    "DE-BY": bavaria,
}
SPECIAL = {date(2001, 9, d) for d in (11, 12, 13, 14)} | {
    date(2004, 6, 11),
    date(2007, 1, 2),
    date(2012, 10, 29),
    date(2012, 10, 30),
    date(2018, 12, 5),
    date(2025, 1, 9),
}
"""Days on which the exchange was closed by its own decision: attacks, storms, and the funerals of presidents."""
ONCE = {date(2001, 12, 31)}
"""TARGET was closed for the change to the euro."""


def by_hand(start: date, count: int, calendar: str) -> date:
    """Day by day."""
    day = start
    closed = KNOWN[calendar]
    extra = {"NYSE": SPECIAL, "ECB": ONCE}.get(calendar, set())
    while count:
        day += DAY
        count -= day.weekday() < 5 and not closed(day) and day not in extra
    return day


# --- what must hold


@many
@given(ANCHORS, st.integers(0, 2000))
def test_hours_are_elapsed_whatever_clocks_on_walls_do(anchor: datetime, hours: int) -> None:
    new_york = anchor.astimezone(ZoneInfo("America/New_York"))
    deadline = due(a_preset(hours, Unit.HOURS), new_york)
    assert deadline.timestamp() - anchor.timestamp() == pytest.approx(hours * 3600, abs=1e-5)


@many
@given(ANCHORS, st.integers(0, 400))
def test_calendar_days_end_at_the_same_time_of_day(anchor: datetime, days: int) -> None:
    deadline = due(a_preset(days, Unit.CALENDAR_DAYS), anchor)
    assert deadline.date().toordinal() == anchor.date().toordinal() + days
    assert deadline.time() == anchor.time()


@many
@given(ANCHORS, st.integers(1, 30))
def test_months_end_at_the_last_day_of_a_shorter_month(anchor: datetime, months: int) -> None:
    deadline = due(a_preset(months, Unit.MONTHS), anchor)
    assert (deadline.year * 12 + deadline.month) - (anchor.year * 12 + anchor.month) == months
    assert deadline.day == anchor.day or (deadline.day < anchor.day and (deadline + DAY).day == 1)
    assert deadline.time() == anchor.time()


@pytest.mark.parametrize(
    ("anchor", "deadline"),
    [("2027-01-31", "2027-02-28"), ("2028-01-31", "2028-02-29"), ("2027-12-31", "2028-01-31")],
)
def test_a_month_from_its_last_day(anchor: str, deadline: str) -> None:
    at = datetime.fromisoformat(f"{anchor}T12:00:00Z")
    assert due(a_preset(1, Unit.MONTHS), at) == datetime.fromisoformat(f"{deadline}T12:00:00Z")


@pytest.mark.parametrize("calendar", KNOWN)
def test_business_days_are_those_of_the_calendar(calendar: str) -> None:
    zone = {"US": "America/New_York", "NYSE": "America/New_York", "ECB": "UTC", "DE-BY": "Europe/Berlin"}[calendar]

    @many
    @given(st.datetimes(datetime(2004, 1, 1), datetime(2090, 12, 31), timezones=st.just(UTC)), st.integers(1, 12))  # noqa: DTZ001 - the bounds
    def holds(anchor: datetime, days: int) -> None:
        local = anchor.astimezone(ZoneInfo(zone))
        deadline = reckon(a_preset(days, Unit.BUSINESS_DAYS, zone), {AWARE: anchor}, calendar)
        assert deadline.deadline.astimezone(ZoneInfo(zone)).date() == by_hand(local.date(), days, calendar)
        assert deadline.deadline > anchor
        assert deadline.note == ""

    holds()


@pytest.mark.parametrize(
    ("material", "deadline"),
    [
        pytest.param("2026-11-23T15:00:00Z", "2026-11-30T15:00:00Z", id="over Thanksgiving and a weekend"),
        pytest.param("2026-11-28T15:00:00Z", "2026-12-03T15:00:00Z", id="from a Saturday: Monday is the first"),
        pytest.param("2026-07-02T15:00:00Z", "2026-07-09T15:00:00Z", id="a Saturday's holiday is kept on Friday"),
        pytest.param("2026-11-17T02:00:00Z", "2026-11-21T02:00:00Z", id="it is Monday in New York, not Tuesday"),
        pytest.param("2026-03-06T15:00:00Z", "2026-03-12T14:00:00Z", id="the same hour there when clocks move"),
    ],
)
def test_four_business_days_of_the_federal_calendar(material: str, deadline: str) -> None:
    at = {AnchorType.MATERIAL: datetime.fromisoformat(material)}
    assert reckon(PRESETS["sec-8k-105"], at, "US").deadline == datetime.fromisoformat(deadline)


def test_beyond_a_calendar_weekends_alone_are_left_out_and_it_says_so() -> None:
    friday = datetime(2150, 12, 18, 9, 0, tzinfo=UTC)
    preset = a_preset(5, Unit.BUSINESS_DAYS)
    beyond, none = reckon(preset, {AWARE: friday}, "US"), reckon(preset, {AWARE: friday}, None)
    assert beyond.deadline == none.deadline == datetime(2150, 12, 25, 9, 0, tzinfo=UTC)
    assert beyond.note == "calendar US does not cover it: weekends alone were left out, which is the earlier deadline"
    assert none.note == "no calendar is named: weekends alone were left out, which is the earlier deadline"


DORA = PRESETS["dora-initial"]
T = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("classified", "deadline"),
    [
        pytest.param(None, 24 * HOUR, id="not classified yet: a day after it was known"),
        pytest.param(2 * HOUR, 6 * HOUR, id="classified soon: four hours after that"),
        pytest.param(21 * HOUR, 24 * HOUR, id="classified late: the day is the limit"),
        pytest.param(24 * HOUR, 24 * HOUR, id="classified at the limit"),
        pytest.param(25 * HOUR, 29 * HOUR, id="classified after it: four hours after that"),
    ],
)
def test_an_initial_notification_is_due_by_the_earlier_of_both(
    classified: timedelta | None, deadline: timedelta
) -> None:
    anchors = {AWARE: T} | ({CLASSIFIED: T + classified} if classified else {})
    assert reckon(DORA, anchors, None).deadline == T + deadline


@many
@given(ANCHORS, st.integers(-100, 400), st.sampled_from(list(PRESETS.values())))
def test_a_deadline_is_never_before_the_anchor_that_it_counts_from(
    anchor: datetime, apart: int, preset: Preset
) -> None:
    anchors = {kind: anchor + place * apart * HOUR for place, (kind, _) in enumerate(preset.limits)}
    found = reckon(preset, anchors, "US" if preset.counts_business_days else None)
    assert anchor - 400 * HOUR <= found.counted_from <= found.deadline
    assert found.counted_from in anchors.values()


def test_what_would_be_due_after_the_end_of_the_calendar_is_due_at_it() -> None:
    for unit in Unit:
        end = due(a_preset(9, unit), LAST)
        assert end == LAST
