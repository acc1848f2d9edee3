"""Who lets a containment run: approvals by several, a rejection by one, and breaking the glass.

Four eyes: distinct persons, none of them twice by another account or for whom they stand in, and never whoever asked.
Whoever breaks the glass acts alone and at once; another person must approve or reject it within 24 hours, and its lack
is told to everybody.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tocsin.api.decision import Decision, DecisionType
from tocsin.api.incident import ApprovalStatus, BreakGlass, IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import clip
from tocsin.api.quantities import format_time
from tocsin.decide.situation import Situation
from tocsin.decide.standing import Verdict, are_one, decided, stood_in_for
from tocsin.decide.story import tell
from tocsin.decide.tiers import enter, next_after

AFTERWARDS = timedelta(hours=24)
"""Within which another person must say whether breaking the glass was right."""
MOST_BROKEN = 8
"""So many of them does an incident remember; those that have their verdict make room first."""


def answer(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Approve or reject an option that asks, or what somebody has ordered alone."""
    broken = next((one for one in unsettled(status) if _is_about(one, decision)), None)
    record = _record(status, decision)
    if broken and (record is None or record.state is not OptionState.ASKING or record.digest != broken.digest):
        return _settle(s, status, decision, broken)
    refusal = _unanswerable(s, status, record, decision)
    if refusal or record is None:
        return Verdict(status, counted=False, message=refusal)
    by = decision.spec.by
    if decision.spec.type is DecisionType.REJECT:
        why = clip(f"rejected by {by}: {decision.spec.reason}", 1024)
        changed = record.model_copy(update={"state": OptionState.REJECTED, "message": why})
        message = f"rejected {record.name}, for good"
    else:
        approval = ApprovalStatus(
            by=by, standing_in_for=stood_in_for(s, status, by), time=s.now, decision=decision.metadata.name
        )
        changed = record.model_copy(update={"approvals": (*record.approvals, approval)})
        message = f"approved {record.name} ({len(changed.approvals)} of {record.needs})"
    containment = tuple(changed if one.name == record.name else one for one in status.containment)
    return Verdict(
        decided(s, status.model_copy(update={"containment": containment}), decision), counted=True, message=message
    )


def break_glass(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Order an option that asks, alone; it runs at once, under the name of whoever has ordered it."""
    record = _record(status, decision)
    if refusal := _not_asking(record, decision):
        return Verdict(status, counted=False, message=refusal)
    kept = [one for one in status.break_glass if one.verdict is None]
    if len(kept) >= MOST_BROKEN:
        return Verdict(status, counted=False, message=f"{MOST_BROKEN} of them wait for a verdict: settle these first")
    if record is None or ordered(status, record):
        return Verdict(status, counted=False, message="it was ordered already")
    broken = BreakGlass(
        option=record.name,
        digest=decision.spec.digest or "",
        by=decision.spec.by,
        standing_in_for=stood_in_for(s, status, decision.spec.by),
        time=s.now,
        reason=decision.spec.reason or "",
        approve_deadline=s.now + AFTERWARDS,
    )
    old = [one for one in status.break_glass if one.verdict is not None]
    room = MOST_BROKEN - len(kept) - 1
    changed = status.model_copy(update={"break_glass": (*(old[-room:] if room else ()), *kept, broken)})
    by_when = format_time(broken.approve_deadline)
    message = f"ordered {record.name} alone; somebody else must approve or reject it by {by_when}"
    return Verdict(decided(s, changed, decision), counted=True, message=message)


def ordered(status: IncidentStatus, record: OptionRecord) -> BreakGlass | None:
    """The order by one person of exactly what an option asks for now; one from before it was asked does not count."""
    asked = record.asked_time
    return next(
        (
            one
            for one in reversed(status.break_glass)
            if (one.option, one.digest) == (record.name, record.digest)
            and one.verdict != "Rejected"
            and (asked is None or one.time >= asked)
        ),
        None,
    )


def unsettled(status: IncidentStatus) -> list[BreakGlass]:
    """What was ordered alone and has no verdict yet."""
    return [one for one in status.break_glass if one.verdict is None]


def overdue(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Say of what was ordered alone that nobody has approved it in time, and ask the next tier."""
    late = [one for one in unsettled(status) if not one.overdue and one.approve_deadline <= s.now]
    for one in late:
        why = f"{one.by} ordered {one.option} alone, and nobody has approved or rejected it within 24 hours"
        told = tuple(two.model_copy(update={"overdue": True}) if two == one else two for two in status.break_glass)
        status = tell(status.model_copy(update={"break_glass": told}), s.now, [why])
        if following := next_after(s.rules, status):
            status = enter(s, status, following, why)
    return status


def verdicts_due(status: IncidentStatus) -> list[datetime]:
    """When the verdicts that are waited for become overdue."""
    return [one.approve_deadline for one in unsettled(status) if not one.overdue]


def _settle(s: Situation, status: IncidentStatus, decision: Decision, broken: BreakGlass) -> Verdict:
    by = decision.spec.by
    own = (broken.by, *broken.standing_in_for)
    if any(are_one(s, one, other) for one in (by, *stood_in_for(s, status, by)) for other in own):
        return Verdict(status, counted=False, message=f"{broken.by} ordered it: another person must judge it")
    word = "Approved" if decision.spec.type is DecisionType.APPROVE else "Rejected"
    judged = broken.model_copy(update={"verdict": word, "verdict_by": by, "verdict_time": s.now})
    changed = status.model_copy(
        update={"break_glass": tuple(judged if one == broken else one for one in status.break_glass)}
    )
    message = f"{word.lower()} afterwards what {broken.by} ordered alone: {broken.option}"
    return Verdict(decided(s, changed, decision), counted=True, message=message)


def _is_about(broken: BreakGlass, decision: Decision) -> bool:
    return (broken.option, broken.digest) == (decision.spec.option, decision.spec.digest)


def _record(status: IncidentStatus, decision: Decision) -> OptionRecord | None:
    return next((one for one in status.containment if one.name == decision.spec.option), None)


def _not_asking(record: OptionRecord | None, decision: Decision) -> str:
    if record is None or record.state is not OptionState.ASKING:
        state = f"it is {record.state}" if record else "it was not tried"
        return f"option {decision.spec.option} does not ask for approval: {state}"
    if record.digest != decision.spec.digest:
        return f"what would be done has changed: look again, and use the digest {record.digest}"
    return ""


def _unanswerable(s: Situation, status: IncidentStatus, record: OptionRecord | None, decision: Decision) -> str:
    if (refusal := _not_asking(record, decision)) or record is None:
        return refusal
    if decision.spec.type is not DecisionType.APPROVE:
        return ""
    by, asked = decision.spec.by, s.incident.spec.by
    standing_in_for = stood_in_for(s, status, by)
    persons = (by, *standing_in_for)
    if asked and any(are_one(s, one, asked) for one in persons):
        for_whom = "" if are_one(s, by, asked) else f", and {by} stands in for them"
        return f"{asked if for_whom else by} asked for it{for_whom} and cannot approve it: four eyes"
    for approval in record.approvals:
        if any(are_one(s, one, other) for one in persons for other in (approval.by, *approval.standing_in_for)):
            return f"{_twice(s, by, standing_in_for, approval)}: another person is needed"
    if len(record.approvals) >= max(1, record.needs):
        return f"option {record.name} needs no further approval"
    return ""


def _twice(s: Situation, by: str, standing_in_for: tuple[str, ...], approval: ApprovalStatus) -> str:
    """Why an approval would be a second one by the same person."""
    if are_one(s, by, approval.by):
        return f"{by} has approved already{'' if approval.by == by else f' as {approval.by}'}"
    if any(are_one(s, by, one) for one in approval.standing_in_for):
        return f"{approval.by} has approved already, standing in for {by}"
    return f"{approval.by} has approved already, and {by} stands in for {', '.join(standing_in_for)}"
