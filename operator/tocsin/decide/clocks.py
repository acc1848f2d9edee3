"""Which legal clocks an incident has, how far they are, and what follows when nobody moves.

A metric never starts one: it opens a question, which a person answers. What runs goes on after the incident is
resolved, and is warned of and missed like before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from tocsin.api.clock import ClockState, ClockStatus
from tocsin.api.decision import Decision, DecisionType
from tocsin.api.incident import Incident, IncidentStatus
from tocsin.api.objects import Finding, clip
from tocsin.api.quantities import format_duration, format_time
from tocsin.decide.presets import PRESETS, Preset
from tocsin.decide.reckoning import LAST
from tocsin.decide.situation import Situation, Trust
from tocsin.decide.story import tell
from tocsin.decide.tiers import enter, next_after

WARNINGS = (50, 75, 90)
"""Percent of a clock's span after which its people are warned."""
RUNS = (ClockState.RUNNING, ClockState.MISSED)
"""It was started, and is not submitted."""
STARTED = (*RUNS, ClockState.SUBMITTED)
CAUSES = (
    "ClockStarted",
    "ClockAsked",
    "ClockMoved",
    "ClockDeclined",
    "ClockSubmitted",
    "ClockWarned",
    "ClockUndetermined",
    "ClockMissed",
)
"""Why people are told of clocks; the last that applies is what it is about. Nothing of it is folded or silenced."""


def open_clocks(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Ask about every clock of the rules whose law is in force, and anew about what was declined before this episode.

    One that is undetermined keeps its deadline over episodes, but not half of a refusal.
    """
    known, asked = {one.name: one for one in status.clocks}, []
    for rule in s.rules.clocks:
        preset, old = PRESETS.get(rule.preset), known.get(rule.preset)
        if preset is None or preset.follows:
            continue
        if old is None or (old.state is ClockState.DECLINED and old.episode < status.episode):
            if not preset.applies(s.now):
                continue
            within = preset.determine_within if rule.determine_within is None else rule.determine_within
            deadline = _later(s.now, within)
            fresh = clock_of(preset, ClockState.UNDETERMINED, status.episode)
            known[preset.name] = fresh.model_copy(update={"calendar": rule.calendar, "determine_deadline": deadline})
            asked.append(f"{preset.name} by {format_time(deadline)}")
        elif old.state is ClockState.UNDETERMINED and old.episode < status.episode:
            known[preset.name] = old.model_copy(update={"episode": status.episode, "declines": ()})
    if list(known.values()) == list(status.clocks):
        return status
    changed = status.model_copy(update={"clocks": in_order(known.values())})
    return tell(changed, s.now, [f"clocks to be determined by people: {', '.join(asked)}"] if asked else [])


def clock_of(preset: Preset, state: ClockState, episode: int) -> ClockStatus:
    """A clock as it begins."""
    return ClockStatus(
        name=preset.name,
        family=preset.family,
        citation=preset.citation,
        state=state,
        episode=episode,
        acceptance="Missing" if preset.needs_acceptance else "NotNeeded",
    )


def _later(at: datetime, span: timedelta) -> datetime:
    return at + span if at < LAST - span else LAST


def watch_clocks(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Warn, miss, and ask the next tier about what nobody has determined in time: one tier a pass, for all of them."""
    if not status.clocks:
        return status
    watched, lines, late = [], [], []
    for clock in status.clocks:
        after = _watched(s, clock, resolved=status.resolved_time is not None)
        if after.warned != clock.warned and after.state is ClockState.RUNNING:
            lines.append(f"clock {after.name}: {after.warned} % of its time is over, {_due(after, s.now)}")
        if after.state is ClockState.MISSED and clock.state is not ClockState.MISSED:
            lines.append(f"clock {after.name} missed its deadline: {_due(after, s.now)}, and is still owed")
        if after.acceptance != clock.acceptance:
            lines.append(f"clock {after.name}: its numbers are accepted")
        if after.overdue and not clock.overdue:
            late.append(after.name)
        watched.append(after)
    if late:
        lines.append(f"clock {', '.join(late)} missed its deadline: nobody has started or declined it")
    status = tell(status.model_copy(update={"clocks": in_order(watched)}), s.now, lines)
    following = next_after(s.rules, status) if late else None
    return enter(s, status, following, f"nobody has determined clock {', '.join(late)}") if following else status


def _watched(s: Situation, clock: ClockStatus, *, resolved: bool) -> ClockStatus:
    update: dict[str, object] = {}
    if clock.acceptance == "Missing" and is_accepted(s, clock.name):
        update["acceptance"] = "Accepted"
    determine = clock.determine_deadline
    if clock.state is ClockState.UNDETERMINED and determine and determine <= s.now and not resolved:
        update["overdue"] = True
    if clock.state is ClockState.RUNNING and clock.deadline and clock.deadline <= s.now:
        update |= {"state": ClockState.MISSED, "missed_time": clock.missed_time or s.now, "warned": WARNINGS[-1]}
    elif clock.state is ClockState.RUNNING:
        passed = [percent for percent, at in _warnings(clock) if at <= s.now]
        update["warned"] = max([clock.warned, *passed])
    return clock.model_copy(update=update)


def _warnings(clock: ClockStatus) -> Iterator[tuple[int, datetime]]:
    if clock.counted_from and clock.deadline:
        span = clock.deadline - clock.counted_from
        for percent in WARNINGS:
            yield percent, clock.counted_from + span * percent // 100


def warned_by(clock: ClockStatus, now: datetime) -> int:
    """The last warning whose instant has passed under the present deadline; what is past is told once."""
    return max([0, *(percent for percent, at in _warnings(clock) if at <= now)])


def instants(status: IncidentStatus) -> list[datetime]:
    """When time alone changes something about the clocks; an instant that has passed was not dealt with yet."""
    found = []
    for clock in status.clocks:
        if clock.state is ClockState.UNDETERMINED and not clock.overdue and not status.resolved_time:
            found += [clock.determine_deadline] if clock.determine_deadline else []
        if clock.state is ClockState.RUNNING and clock.deadline:
            found += [at for percent, at in _warnings(clock) if percent > clock.warned]
            found.append(clock.deadline)
    return found


def is_due(incident: Incident, decisions: Iterable[Decision], now: datetime) -> bool:
    """Whether something about the clocks of an incident, resolved or not, waits to be dealt with."""
    waiting = [one.name for one in incident.status.clocks if one.acceptance == "Missing"]
    late = any(instant <= now for instant in instants(incident.status))
    return late or any(_is_about(one, incident) and accepts(one, name) for one in decisions for name in waiting)


# --- acceptance


def is_accepted(s: Situation, name: str) -> bool:
    """Whether somebody with that right has accepted the numbers of a clock for this policy, as they are now."""
    if s.trust is not Trust.TRUSTED:
        return False
    since = s.trusted_since
    return any(
        accepts(one, name)
        and _is_about(one, s.incident)
        and (since is None or (one.metadata.creation_timestamp or since) >= since)
        for one in s.decisions
    )


def _is_about(decision: Decision, incident: Incident) -> bool:
    """Whether a Decision is about the policy of an incident; a person's incident names that without its UID."""
    mine, reference = incident.spec.policy_ref, decision.spec.policy_ref
    return reference is not None and reference.name == mine.name and mine.uid in (None, reference.uid)


def accepts(decision: Decision, name: str) -> bool:
    """Whether a Decision accepts the data of a preset as it is now."""
    preset, spec = PRESETS.get(name), decision.spec
    is_one = spec.type is DecisionType.ACCEPT_CLOCK and spec.clock == name
    return preset is not None and is_one and spec.digest == preset.digest()


# --- what is owed


def undetermined(status: IncidentStatus) -> list[str]:
    """The clocks that somebody must start or decline."""
    return [one.name for one in status.clocks if one.state is ClockState.UNDETERMINED]


def unaccepted(status: IncidentStatus) -> list[str]:
    """The clocks that were started on numbers that nobody has accepted."""
    return [one.name for one in status.clocks if one.state in STARTED and one.acceptance == "Missing"]


def owed_for_clocks(status: IncidentStatus) -> str:
    """What must be done about clocks before the incident can be resolved; what runs is none of it."""
    if names := undetermined(status):
        return f"clock {', '.join(names)} is undetermined: start or decline it first (kubectl tocsin clock)"
    if names := unaccepted(status):
        return (
            f"nobody has accepted the numbers of clock {', '.join(names)}: whoever may must do so first"
            " (kubectl tocsin clock accept)"
        )
    return ""


# --- words


def in_order(clocks: Iterable[ClockStatus]) -> tuple[ClockStatus, ...]:
    """What is due first stands first with its family; what is settled stands last."""
    known = list(clocks)
    first: dict[str, datetime] = {}
    for one in known:
        first[one.family] = min(first.get(one.family, LAST), _order_of(one))
    return tuple(sorted(known, key=lambda one: (first[one.family], one.family, _order_of(one), one.name)))


def _order_of(clock: ClockStatus) -> datetime:
    return due_time(clock) or LAST


def due_time(clock: ClockStatus) -> datetime | None:
    """By when something is owed; None when nothing is."""
    if clock.state in RUNS:
        return clock.deadline
    return clock.determine_deadline if clock.state is ClockState.UNDETERMINED else None


def open_ones(status: IncidentStatus) -> list[ClockStatus]:
    """The clocks for which something is owed, in their order."""
    return [one for one in status.clocks if due_time(one)]


def time_left(clock: ClockStatus, now: datetime) -> str:
    """How far away its deadline is, or the one to determine it; empty when nothing is owed."""
    due = due_time(clock)
    if due is None:
        return ""
    return f"in {_span(due - now)}" if due > now else f"{_span(now - due)} late"


def printed(status: IncidentStatus) -> str | None:
    """The clock that is due first, for a narrow column."""
    running = [one for one in status.clocks if one.state in RUNS and one.deadline]
    if running:
        one = min(running, key=_order_of)
        word = "missed" if one.state is ClockState.MISSED else f"{one.deadline:%m-%d %H:%MZ}"
        return f"{one.name} {word}"
    return next((f"{one.name} undetermined" for one in open_ones(status)), None)


def _due(clock: ClockStatus, now: datetime) -> str:
    deadline = clock.deadline or now
    if deadline == clock.counted_from:
        return f"due at once since {format_time(deadline)}"
    if deadline > now:
        return f"due {format_time(deadline)} (in {_span(deadline - now)})"
    return f"was due {format_time(deadline)} ({_span(now - deadline)} ago)"


def _span(span: timedelta) -> str:
    """Without milliseconds, and without seconds past an hour."""
    seconds = int(span.total_seconds())
    return format_duration(timedelta(seconds=seconds if seconds < 3600 else seconds // 60 * 60))


def clock_words(clock: ClockStatus, now: datetime) -> str:
    """How far a clock is, with its citation, in a line."""
    match clock.state:
        case ClockState.UNDETERMINED:
            deadline = clock.determine_deadline or now
            words = f"start or decline it by {format_time(deadline)} ({time_left(clock, now)})"
        case ClockState.DECLINED:
            words = f"declined by {' and '.join(one.by for one in clock.declines)}"
        case ClockState.SUBMITTED:
            at = clock.submitted.time if clock.submitted else now
            late = clock.deadline is not None and clock.deadline != clock.counted_from and at > clock.deadline
            words = f"submitted at {format_time(at)}{', late' if late else ''}"
        case ClockState.RUNNING:
            words = _due(clock, now)
        case ClockState.MISSED:
            words = f"missed, {_due(clock, now)}, still owed"
    return "; ".join([f"{clock.name}: {words} [{clock.citation}]", *remarks(clock)])


def remarks(clock: ClockStatus) -> Iterator[str]:
    """What somebody must do about it, or should know, besides how far it is."""
    if clock.state is ClockState.UNDETERMINED and clock.declines:
        yield f"{clock.declines[0].by} declines it: another person must too"
    if clock.moving:
        moving = clock.moving
        yield f"{moving.by} moves {moving.type} to {format_time(moving.time)}: another person must confirm"
    if clock.acceptance == "Missing" and clock.state is not ClockState.DECLINED:
        yield "numbers not accepted"
    if clock.note:
        yield clock.note


def clock_news(before: IncidentStatus, status: IncidentStatus) -> tuple[str, ...]:
    """What people should hear of the clocks, in the order of CAUSES."""
    old, found = {one.name: one for one in before.clocks}, set()
    for clock in status.clocks:
        found |= set(_news(old.get(clock.name), clock))
    return tuple(cause for cause in CAUSES if cause in found)


def _news(was: ClockStatus | None, clock: ClockStatus) -> Iterator[str]:
    begun = clock.state in RUNS and (was is None or was.state not in RUNS)
    if begun:
        yield "ClockStarted"
    if clock.state is ClockState.MISSED and (was is None or was.state is not ClockState.MISSED):
        yield "ClockMissed"
    elif clock.state is ClockState.RUNNING and clock.warned > (was.warned if was else 0):
        yield "ClockWarned"
    if was is None:
        return
    if clock.overdue and not was.overdue:
        yield "ClockUndetermined"
    if clock.state is not was.state and clock.state is ClockState.DECLINED:
        yield "ClockDeclined"
    elif len(clock.declines) > len(was.declines) or (clock.moving and clock.moving != was.moving):
        yield "ClockAsked"
    if clock.submitted != was.submitted:
        yield "ClockSubmitted"
    if not begun and clock.deadline != was.deadline:
        yield "ClockMoved"


def clocks_met(status: IncidentStatus) -> Finding:
    """Whether every clock is settled; the worst of them is the reason."""
    states = {one.state for one in status.clocks}
    words = clip("; ".join(f"{one.name}: {one.state}" for one in status.clocks), 1024)
    if ClockState.MISSED in states:
        return Finding(type="ClocksMet", status="False", reason="Missed", message=words)
    if any(one.overdue and one.state is ClockState.UNDETERMINED for one in status.clocks):
        return Finding(type="ClocksMet", status="False", reason="Overdue", message=words)
    if names := unaccepted(status):
        message = f"nobody has accepted the numbers of {', '.join(names)}; {words}"
        return Finding(type="ClocksMet", status="False", reason="NotAccepted", message=clip(message, 1024))
    if ClockState.UNDETERMINED in states:
        return Finding(type="ClocksMet", status="Unknown", reason="Undetermined", message=words)
    if ClockState.RUNNING in states:
        return Finding(type="ClocksMet", status="Unknown", reason="Running", message=words)
    return Finding(type="ClocksMet", status="True", reason="Settled", message=words)
