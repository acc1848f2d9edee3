"""One incident at one instant: everything that is known folds into one plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from tocsin.api.incident import IncidentStatus, OptionState, Origin, SignalState, TimelineEntry
from tocsin.api.objects import Severity
from tocsin.api.policy import OnNoData, Rules
from tocsin.decide import signals
from tocsin.decide.approval import overdue, unsettled, verdicts_due
from tocsin.decide.clocks import STARTED, instants, open_clocks, owed_for_clocks, watch_clocks
from tocsin.decide.containment import contain
from tocsin.decide.defaults import SignalRule
from tocsin.decide.drafting import due_drafts, next_due, plan_messages
from tocsin.decide.executing import cut_short
from tocsin.decide.facts import state_facts
from tocsin.decide.flapping import carry_acknowledgements, follow_flapping, steady_at
from tocsin.decide.kin import adopt, silent_until
from tocsin.decide.lead import follow_lead
from tocsin.decide.ledger import close_containments, note_outcomes
from tocsin.decide.notices import due_notices, plan_notices
from tocsin.decide.people import hear
from tocsin.decide.plan import Effect, Event, Plan
from tocsin.decide.silences import changes_at, follow_silences
from tocsin.decide.situation import Memory, Situation
from tocsin.decide.story import tell
from tocsin.decide.tiers import (
    enter_tiers,
    expire_acknowledgements,
    expiring,
    hold_acknowledgements,
    miss_deadlines,
    open_deadlines,
    stand_alone,
)
from tocsin.decide.undoing import under_way
from tocsin.decide.watch import assess, watch_signals

HOLD_CHECK = timedelta(minutes=1)
"""How often a target is looked at again while something of ours must hold, besides being watched."""
SETTLE_CHECK = timedelta(seconds=5)
"""How often it is looked at again until the workload has followed."""

Cause = Literal["Breach", "NoData"]
_REASONS = frozenset(
    {
        "Tier",
        "Signal",
        "Containment",
        "Severity",
        "Opened",
        "Recovered",
        "Resolved",
        "Silenced",
        "Flapping",
        "Steady",
        "Clock",
    }
)
"""Of Events: the first words of lines that are of one kind."""


def plan(s: Situation) -> Plan:
    """What to do about the incident now."""
    before = s.incident.status
    if s.joined and not before.resolved_time and not under_way(before):
        return _finish(s, before, _join(s, before))
    status = _begin_episode(s, before)
    status = note_outcomes(s, status)
    if status.resolved_time:
        return _finish(s, before, watch_clocks(s, hear(s, status)))
    status = watch_clocks(s, hear(s, open_clocks(s, _watch(s, status))))
    if status.resolved_time:
        status = close_containments(s, cut_short(s, status))
    else:
        status = stand_alone(s, adopt(s, status))
        status = assess(s, overdue(s, miss_deadlines(s, expire_acknowledgements(s, status))))
        step = contain(s, status)
        if step.needs_budget:
            return Plan(status=before, needs_budget=True)
        status = enter_tiers(s, stand_alone(s, assess(s, close_containments(s, step.status))))
        status = _recover(s, status)
        return _finish(s, before, status, step.effects, waits=step.waits)
    return _finish(s, before, status)


def cause_to_open(rules: Rules, memories: Mapping[str, Memory], since: datetime | None = None) -> Cause | None:
    """Why an incident opens, or opens anew: a sustained breach, or missing data where the policy says Alert.

    With ``since`` only what became so after that instant counts: what was signed off is not opened again, but what
    was only pending then was not signed off.
    """
    cause: Cause | None = None
    for signal in rules.signals:
        memory, rule = memories.get(signal.name), SignalRule.of(signal)
        if memory is None:
            continue
        if signals.is_sustained(memory, rule) and _later(memory.sustained_since, since):
            return "Breach"
        if rule.no_data_then is OnNoData.ALERT and signals.is_missing(memory, rule) and memory.no_data_since:
            cause = "NoData" if _later(memory.no_data_since + rule.no_data_after, since) else cause
    return cause


def _later(became: datetime | None, since: datetime | None) -> bool:
    return since is None or (became is not None and became > since)


def reopens(rules: Rules, status: IncidentStatus, memories: Mapping[str, Memory], now: datetime) -> bool:
    """Whether a new breach goes on with a resolved incident, rather than with a new one."""
    resolved = status.resolved_time
    return (
        resolved is not None
        and now - resolved <= rules.reopen_window
        and (cause_to_open(rules, memories, resolved) is not None)
    )


def _begin_episode(s: Situation, status: IncidentStatus) -> IncidentStatus:
    cause = cause_to_open(s.rules, s.signals)
    if status.opened_time is None:
        by_person = s.incident.spec.origin is Origin.PERSON
        update: dict[str, object] = {"opened_time": s.now, "cause": "Report" if by_person else cause or "Breach"}
        if by_person:
            update["rules"] = s.rules
        began = f"reported by {s.incident.spec.by}: {s.incident.spec.reason}" if by_person else "opened"
        return tell(status.model_copy(update=update), s.now, [began])
    ended = status.resolved_time or status.recovered_time
    if ended is None or under_way(status):  # what is half undone is not forgotten: the next episode begins after it
        return status
    if status.resolved_time and not reopens(s.rules, status, s.signals, s.now):
        return status
    anew = cause_to_open(s.rules, s.signals, ended)
    if anew is None:
        return status
    status = cut_short(s, status)
    fresh = {
        "episode": status.episode + 1,
        "opened_time": s.now,
        "cause": anew,
        "tiers": (),
        "tier": None,
        "containment": (),
        "snapshot": None,
        "effects": (),
        "lowered": None,
        "lead": None,
        "score": None,
        "parent": None,
        "upstream": None,
        "pages_itself": False,
        "recovered_time": None,
        "resolved_time": None,
    }
    return tell(status.model_copy(update=fresh), s.now, [f"episode {status.episode + 1}: the breach began anew"])


def _watch(s: Situation, status: IncidentStatus) -> IncidentStatus:
    status = watch_signals(s, status)
    if status.cause == "NoData" and any(signal.sustained for signal in status.signals):
        status = status.model_copy(update={"cause": "Breach"})
    return status


def _join(s: Situation, status: IncidentStatus) -> IncidentStatus:
    started = tuple(one for one in status.clocks if one.state in STARTED)  # the other is asked about the rest
    update = {"opened_time": status.opened_time or s.now, "resolved_time": s.now, "joined": s.joined, "clocks": started}
    return tell(
        status.model_copy(update=update), s.now, [f"joined incident {s.joined}, which is open for the same target"]
    )


def _recover(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Recovered when every latch is open; a SEV4 incident then closes by itself."""
    if status.recovered_time or status.cause == "Report" or under_way(status):
        return status
    if any(signal.sustained or signal.missing or signal.state is SignalState.UNKNOWN for signal in status.signals):
        return status
    status = tell(status.model_copy(update={"recovered_time": s.now}), s.now, ["recovered: every signal is well again"])
    if status.severity is Severity.SEV4 and not status.tiers and not unsettled(status) and not owed_for_clocks(status):
        closed = status.model_copy(update={"resolved_time": s.now})
        return tell(closed, s.now, ["resolved by itself: SEV4, and nobody was paged"])
    return status


def _finish(
    s: Situation,
    before: IncidentStatus,
    status: IncidentStatus,
    effects: tuple[Effect, ...] = (),
    *,
    waits: bool = False,
) -> Plan:
    status = carry_acknowledgements(s, before, status)
    status = follow_lead(s, hold_acknowledgements(s, before, status))
    status = follow_silences(s, follow_flapping(s, before, status))
    status = state_facts(s, plan_messages(s, plan_notices(s, before, status)))
    if _material(status) == _material(before):
        status = before
    notices = due_notices(s, status)
    fresh = [entry for entry in status.timeline if entry not in before.timeline]
    return Plan(
        status=status,
        effects=(*effects, *notices, *due_drafts(s, status)),
        events=tuple(_event(entry) for entry in fresh),
        look_again_at=_look_again(s, status, waits=waits),
    )


def _event(entry: TimelineEntry) -> Event:
    word = entry.what.split(" ", 1)[0].strip(":").capitalize()
    alarming = any(
        hint in entry.what
        for hint in ("missed", "sustained", "missing", "Failed", "Reverted", "DidNotHelp", "not undone", "not drafted")
    )
    known = word if word in _REASONS else "Story"
    return Event(type="Warning" if alarming else "Normal", reason=known, message=entry.what)


def _material(status: IncidentStatus) -> IncidentStatus:
    """The status without the numbers that move at every evaluation: they are refreshed when anything else changes.

    The risk is among what counts: it is the worst of the episode, and only rises.
    """
    still = tuple(
        signal.model_copy(
            update={
                "state": signal.state if signal.state in (SignalState.NO_DATA, SignalState.ERROR) else SignalState.GOOD,
                "value": None,
                "time": None,
                "severity": None,
                "since": None,
                "message": "",
            }
        )
        for signal in status.signals
    )
    conditions = tuple(
        one if one.reason == "Held" else one.model_copy(update={"message": ""}) for one in status.conditions
    )  # what holds it moves with no number, and whoever waits reads until when
    return status.model_copy(update={"signals": still, "conditions": conditions, "score": None})


def _look_again(s: Situation, status: IncidentStatus, *, waits: bool) -> datetime | None:
    """The next instant at which time alone changes something, or what an option waits for may have passed."""
    found = instants(status)
    if status.resolved_time:
        return min((instant for instant in found if instant > s.now), default=None)
    found += [
        deadline for tier in status.tiers for duty, deadline in open_deadlines(tier, status) if duty not in tier.missed
    ]
    found += [*expiring(status), *verdicts_due(status), *next_due(s, status), *changes_at(s)]
    found += filter(None, [silent_until(s, status), steady_at(s, status)])
    found += [instant for freeze in s.freezes for instant in (freeze.from_, freeze.until)]
    if waits:
        found.append(s.now + SETTLE_CHECK)
    for record in status.containment:
        match record.state:
            case OptionState.ASKING:
                found += [time for time in (record.fail_safe_time, record.expire_time) if time]
            case OptionState.EXECUTED | OptionState.HELPED | OptionState.CANNOT_TELL:
                settling = record.settled_time is None
                found += [record.verify_time] if record.verify_time else []
                found.append(s.now + (SETTLE_CHECK if settling else HOLD_CHECK))
            case OptionState.UNDOING:
                found.append(s.now + SETTLE_CHECK)
            case OptionState.UNDONE if record.undo and record.undo.settled_time is None:
                found.append(s.now + HOLD_CHECK)
            case _:
                pass
    return min((instant for instant in found if instant > s.now), default=None)
