"""Who is on duty for a role, who stands in, and until when: pure, out of the Responders of a namespace.

A wall-clock time that daylight saving leaves out is the instant at which the clock jumps over it, and one that comes
twice is the first of the two: the first instant at which the clock shows it or more. So every week has its handover,
and what begins before it ends on paper does so in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from tocsin.api.responder import Channel, Member, Responder, ResponderSpec, Rotation, Weekday, WorkingHours

WEEK, SECOND = timedelta(days=7), timedelta(seconds=1)
_DAYS = tuple(Weekday)
_IN_A_ROW = 16
"""So many roles may stand in for each other; what is named after them is not looked at."""
_FORESEEN, _MOST = timedelta(weeks=4), 400
"""So far ahead, and through so many changes, the next person is looked for: who is on duty then, is so for long.
Several roles that stand in for each other have a few changes a day."""

Roster = Mapping[str, Responder]


@dataclass(frozen=True, slots=True)
class Duty:
    """Somebody to page, and in which role: it may be another one that stands in."""

    role: str
    member: Member

    @property
    def words(self) -> str:
        """Who it is, for people."""
        return f"{self.member.name} ({self.role})"

    def words_in(self, role: str) -> str:
        """Who it is for somebody who asked for that role: another one is named."""
        return self.member.name if self.role == role else self.words


def on_duty(roster: Roster, name: str, at: datetime) -> Duty | None:
    """Who is paged for a role; None when nobody of it is there, nor of those that stand in for it."""
    return next(_line(roster, name, at, set(reachable(roster, name))), None)


def deputy(roster: Roster, duty: Duty, at: datetime) -> Duty | None:
    """Who is paged when somebody on duty does not answer: the first other deputy who is there."""
    responder = roster.get(duty.role)
    if responder is None:
        return None
    present = {one.user: one for one in responder.spec.members if _is_there(one, at)}
    return next(
        (
            Duty(duty.role, present[user])
            for user in responder.spec.deputies
            if user in present and user != duty.member.user
        ),
        None,
    )


def replaced(roster: Roster, name: str, user: str, at: datetime) -> str:
    """Whose place somebody takes in a role as its deputy, because that one is absent; empty when they take nobody's."""
    responder = roster.get(name)
    if responder is None or user not in responder.spec.deputies:
        return ""
    members = {one.user: one for one in responder.spec.members}
    order = [one for one in _order(responder.spec, at) if one in members]
    present = next((one for one in order if _is_there(members[one], at)), "")
    return order[0] if present == user != order[0] else ""


def reachable(roster: Roster, name: str) -> tuple[str, ...]:
    """The role and all that may stand in for it, each once, whether they are there or not."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop(0)
        if one not in found and len(found) < _IN_A_ROW:
            found[one] = None
            waiting += _others(roster, one)
    return tuple(found)


def fills(roster: Roster, user: str, name: str) -> bool:
    """Whether somebody is a member of a role, or of one that stands in for it."""
    roles = [roster[one] for one in reachable(roster, name) if one in roster]
    return any(member.user == user for one in roles for member in one.spec.members)


def cycle(roster: Roster, name: str) -> tuple[str, ...]:
    """The shortest way on which a role stands in for itself at last; empty when there is none."""
    before: dict[str, str] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop(0)
        for following in _others(roster, one):
            if following == name:
                way = [name]
                while one != name:
                    way.insert(0, one)
                    one = before[one]
                return (name, *way)
            if following not in before:
                before[following] = one
                waiting.append(following)
    return ()


def until(roster: Roster, name: str, at: datetime) -> datetime | None:
    """When somebody else than now is on duty for a role, or nobody; None when that is not foreseen."""
    now = on_duty(roster, name, at)
    for number, instant in enumerate(_changes(roster, name, at)):
        if on_duty(roster, name, instant) != now:
            return instant
        if number >= _MOST or instant - at > _FORESEEN:
            break
    return None


def holes(roster: Roster, name: str, at: datetime, span: timedelta = WEEK) -> Iterator[tuple[datetime, datetime]]:
    """The times in which nobody is there for a role, within a span: where all in reach are absent at once."""
    members = [one for role in reachable(roster, name) if role in roster for one in roster[role].spec.members]
    steps: dict[datetime, int] = {at: 0, at + span: 0}
    for member in members:
        for began, ended in _absences(member):
            if ended > at and began < at + span:
                steps[max(began, at)] = steps.get(max(began, at), 0) + 1
                steps[min(ended, at + span)] = steps.get(min(ended, at + span), 0) - 1
    absent, began_at = 0, None
    for instant in sorted(steps):
        absent += steps[instant]
        if absent == len(members) and instant < at + span:
            began_at = began_at or instant
        elif began_at is not None:
            yield began_at, instant
            began_at = None


def _absences(member: Member) -> list[tuple[datetime, datetime]]:
    """A person's absences in order; what overlaps or touches is one."""
    merged: list[tuple[datetime, datetime]] = []
    for one in sorted(member.absences, key=lambda absence: absence.from_):
        if merged and one.from_ <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], one.until)
        else:
            merged.append((one.from_, one.until))
    return merged


def channels_of(responder: Responder, user: str) -> tuple[Channel, ...]:
    """How somebody is told in a role: by their own channels, then by the role's."""
    own = [
        channel.model_copy(update={"name": f"{user}/{channel.name}"})
        for one in responder.spec.members
        if one.user == user
        for channel in one.channels
    ]
    return (*own, *responder.spec.channels)


def faults(spec: ResponderSpec) -> Iterator[str]:
    """What a role says that cannot be: it goes on without that."""
    users = {one.user for one in spec.members}
    if _zone(spec.time_zone) is None:
        yield f"spec.timeZone: {spec.time_zone} is no time zone, write for example Europe/Berlin; UTC is taken"
    for user in spec.deputies:
        if user not in users:
            yield f"spec.deputies: {user} is no member"
    if spec.rotation is None:
        return
    if _start(spec.rotation) is None:
        yield f"spec.rotation.start: there is no day {spec.rotation.start}; the members' order is taken"
    for user in (*spec.rotation.order, *(one.user for one in spec.rotation.overrides)):
        if user not in users:
            yield f"spec.rotation: {user} is no member"
    swaps = spec.rotation.overrides
    for place, one in enumerate(swaps):
        for other in swaps[place + 1 :]:
            if one.user != other.user and one.from_ < other.until and other.from_ < one.until:
                yield f"spec.rotation.overrides: {one.user} and {other.user} at the same time; {one.user} is taken"


def _line(roster: Roster, name: str, at: datetime, left: set[str]) -> Iterator[Duty]:
    """Everybody who may be paged for a role, in order, out of the roles that are left; each of these once."""
    responder = roster.get(name)
    if responder is None or name not in left:
        return
    spec = responder.spec
    left.remove(name)
    if spec.working_hours and not _works(spec.working_hours, _zone_of(spec), at):
        yield from _line(roster, spec.working_hours.otherwise, at, left)
    members = {one.user: one for one in spec.members}
    for user in _order(spec, at):
        if user in members and _is_there(members[user], at):
            yield Duty(name, members[user])
    if spec.escalate_to:
        yield from _line(roster, spec.escalate_to, at, left)
    if spec.working_hours:  # at work all may be absent: better those of other hours than nobody
        yield from _line(roster, spec.working_hours.otherwise, at, left)


def _order(spec: ResponderSpec, at: datetime) -> Iterator[str]:
    """The user names in the order in which they are paged, some of them several times."""
    if spec.rotation:
        yield from (one.user for one in spec.rotation.overrides if one.from_ <= at < one.until)
        if (week := _week(spec.rotation, _zone_of(spec), at)) is not None:
            yield spec.rotation.order[week % len(spec.rotation.order)]
    else:
        yield spec.members[0].user
    yield from spec.deputies
    yield from (one.user for one in spec.members)


def _others(roster: Roster, name: str) -> list[str]:
    """The roles that stand in for a role directly."""
    responder = roster.get(name)
    if responder is None:
        return []
    hours, last = responder.spec.working_hours, responder.spec.escalate_to
    return [*([hours.otherwise] if hours else []), *([last] if last else [])]


def _is_there(member: Member, at: datetime) -> bool:
    return not any(one.from_ <= at < one.until for one in member.absences)


def _changes(roster: Roster, name: str, after: datetime) -> Iterator[datetime]:
    """The instants at which somebody else may be on duty, in order and without end while there are any."""
    specs = [roster[one].spec for one in reachable(roster, name) if one in roster]
    fixed = sorted({instant for spec in specs for instant in _fixed(spec) if instant > after}, reverse=True)
    while True:
        moving = [instant for spec in specs for instant in _moving(spec, after)]
        instants = [*moving, *fixed[-1:]]
        if not instants:
            return
        after = min(instants)
        if fixed and fixed[-1] == after:
            fixed.pop()
        yield after


def _fixed(spec: ResponderSpec) -> Iterator[datetime]:
    """The ends of what is written with its ends: absences and swaps."""
    for member in spec.members:
        for absence in member.absences:
            yield from (absence.from_, absence.until)
    for override in spec.rotation.overrides if spec.rotation else ():
        yield from (override.from_, override.until)


def _moving(spec: ResponderSpec, after: datetime) -> Iterator[datetime]:
    """When the next week begins, and when working hours next begin or end."""
    zone = _zone_of(spec)
    if spec.rotation:
        start, week = _start(spec.rotation), _week(spec.rotation, zone, after)
        if start is not None and week is not None:
            yield _handover(start, zone, week + 1)
    if spec.working_hours:
        today = after.astimezone(zone).date()
        days = (_hours_of(spec.working_hours, zone, today + timedelta(days=one)) for one in range(8))
        yield from islice((instant for day in days for instant in day if instant > after), 1)


def _works(hours: WorkingHours, zone: ZoneInfo, at: datetime) -> bool:
    edges = [*_hours_of(hours, zone, at.astimezone(zone).date())]
    return bool(edges) and edges[0] <= at < edges[1]


def _hours_of(hours: WorkingHours, zone: ZoneInfo, day: date) -> Iterator[datetime]:
    """When work begins and ends on a day; nothing on a day without work."""
    if _DAYS[day.weekday()] in hours.days:
        for text in (hours.from_, hours.until):
            yield _instant(datetime.combine(day, time.fromisoformat(text)), zone)


def _week(rotation: Rotation, zone: ZoneInfo, at: datetime) -> int | None:
    """How many handovers have passed since the first; None when it begins on no day."""
    start = _start(rotation)
    if start is None:
        return None
    week = (at.astimezone(zone).date() - start.date()).days // 7 + 1
    while _handover(start, zone, week) > at:
        week -= 1
    return week


def _handover(start: datetime, zone: ZoneInfo, week: int) -> datetime:
    """When a week begins; the end of the calendar beyond it."""
    try:
        return _instant(start + week * WEEK, zone)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if week > 0 else datetime.min.replace(tzinfo=UTC)


def _start(rotation: Rotation) -> datetime | None:
    try:
        return datetime.fromisoformat(rotation.start)
    except ValueError:
        return None


def _instant(wanted: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clock shows this or more; a jump is found to the second."""
    early, late = sorted(wanted.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if _shown(early, zone) >= wanted:
        return early
    while late - early > SECOND:
        middle = early + (late - early) // SECOND // 2 * SECOND
        early, late = (early, middle) if _shown(middle, zone) >= wanted else (middle, late)
    return late


def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _zone_of(spec: ResponderSpec) -> ZoneInfo:
    return _zone(spec.time_zone) or ZoneInfo("UTC")


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    """A zone by its IANA name; None when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # of a name that is none, also one that names a folder
        return None
