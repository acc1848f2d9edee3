"""What the status says of itself: the conditions, the phase, who is waited for and by when."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from tocsin.api.incident import EffectState, IncidentStatus, OptionState, Phase
from tocsin.api.objects import GROUP, Finding, clip, stamp
from tocsin.api.policy import Mode
from tocsin.api.quantities import format_clock, format_time
from tocsin.decide.approval import unsettled
from tocsin.decide.clocks import clocks_met, open_ones, printed, undetermined
from tocsin.decide.flapping import words_of as words_of_changes
from tocsin.decide.holding import is_held
from tocsin.decide.ledger import parts_of
from tocsin.decide.options import brake
from tocsin.decide.situation import Situation, Trust
from tocsin.decide.tiers import WORDS, is_contained, is_led, open_deadlines

TIER_CONDITION = f"tier.{GROUP}/"


def state_facts(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Derive everything that only repeats the rest in other words."""
    deadline, waiting_for = _waiting(s, status)
    conditions = stamp(_findings(s, status), status.conditions, s.now)
    return status.model_copy(
        update={
            "phase": _phase(status),
            "waiting_for": clip(waiting_for, 1024),
            "next_deadline": format_clock(deadline) if deadline else None,
            "next_deadline_time": deadline,
            "clock": printed(status),
            "conditions": conditions,
        }
    )


def _phase(status: IncidentStatus) -> Phase:
    if status.resolved_time:
        return Phase.RESOLVED
    if status.recovered_time:
        return Phase.RECOVERED
    if is_contained(status):
        return Phase.CONTAINED
    if any(record.state in (OptionState.EXECUTING, OptionState.EXECUTED) for record in status.containment):
        return Phase.CONTAINING
    return Phase.OPEN


def _waiting(s: Situation, status: IncidentStatus) -> tuple[datetime | None, str]:
    """The next deadline, and who must do what; when nothing has a deadline, what is asked of whom."""
    if status.resolved_time:
        return None, "nobody"
    asked = [
        (deadline, f"{tier.name}: {WORDS[duty]}")
        for tier in status.tiers
        for duty, deadline in open_deadlines(tier, status)
        if duty not in tier.missed
    ]
    asked += [
        (one.approve_deadline, f"approve what {one.by} ordered alone ({one.option})")
        for one in unsettled(status)
        if not one.overdue
    ]
    asked += [
        (one.determine_deadline, f"clock {one.name}: start or decline")
        for one in open_ones(status)
        if one.determine_deadline and one.deadline is None and not one.overdue
    ]
    asking = next((record for record in status.containment if record.state is OptionState.ASKING), None)
    if asking:
        given = f"{len(asking.approvals)}/{asking.needs}"
        times = [time for time in (asking.fail_safe_time, asking.expire_time) if time and time > s.now]
        asked += [(time, f"approve {asking.name} ({given})") for time in times]
    if asked:
        return min(asked)
    if asking:
        return None, f"approve {asking.name} ({len(asking.approvals)}/{asking.needs})"
    if late := unsettled(status):
        return None, f"approve what {late[0].by} ordered alone ({late[0].option})"
    if names := undetermined(status):
        return None, f"clock {', '.join(names)}: start or decline"
    if status.recovered_time:
        return None, "resolve"
    if is_led(status):
        return None, f"its parent, {status.parent}"
    return None, "recovery" if is_contained(status) else "containment by hand"


def _findings(s: Situation, status: IncidentStatus) -> list[Finding]:
    found = [_firing(status), _acknowledged(status), _contained(s, status), _recovered(status), _resolved(status)]
    found.append(_notified(status))
    if s.trust is not Trust.TRUSTED:
        message = f"the admission policy for Decisions is {s.trust.value.lower()}: Decisions do not count, tiers go on"
        found.append(Finding(type="DecisionsTrusted", status="False", reason=s.trust.value, message=message))
    elif any(one.type == "DecisionsTrusted" for one in status.conditions):
        found.append(Finding(type="DecisionsTrusted", status="True", reason="Trusted"))
    if status.break_glass:
        found.append(_approved_afterwards(status))
    found += filter(None, [_silenced(status), _flapping(s, status)])
    if status.clocks:
        found.append(clocks_met(status))
    found += [
        Finding(type=f"{TIER_CONDITION}{tier.name}", status="True", reason="Entered", message=tier.reason)
        for tier in status.tiers
    ]
    return found


def _firing(status: IncidentStatus) -> Finding:
    firing = [one for one in status.signals if one.sustained]
    missing = [one for one in status.signals if one.missing]
    if status.recovered_time or not (firing or missing):
        reason = "Reported" if status.cause == "Report" else "Quiet"
        return Finding(type="Firing", status="False", reason=reason, message="no signal is sustained")
    message = "; ".join(f"{one.name}: {one.message}" for one in (*firing, *missing))
    return Finding(type="Firing", status="True", reason="Sustained" if firing else "NoData", message=message)


def _acknowledged(status: IncidentStatus) -> Finding:
    waiting = [tier.name for tier in status.tiers if tier.acknowledged_time is None]
    if not status.tiers:
        return Finding(type="Acknowledged", status="Unknown", reason="NobodyAsked", message="no tier was entered")
    if waiting and is_led(status):
        message = f"incident {status.parent} pages for it: both fail of {status.upstream}"
        return Finding(type="Acknowledged", status="False", reason="ParentPaged", message=message)
    if waiting:
        message = f"not acknowledged by tier {', '.join(waiting)}"
        return Finding(type="Acknowledged", status="False", reason="Waiting", message=message)
    last = max(status.tiers, key=lambda tier: tier.acknowledged_time or tier.entered_time)
    return Finding(
        type="Acknowledged", status="True", reason="Acknowledged", message=f"tier {last.name} by {last.acknowledged_by}"
    )


def _contained(s: Situation, status: IncidentStatus) -> Finding:
    def finding(holds: Literal["True", "False"], reason: str, message: str) -> Finding:
        return Finding(type="Contained", status=holds, reason=reason, message=message)

    if is_contained(status):
        record = next(one for one in status.containment if one.settled_time and one.state in _HOLDING)
        return finding("True", _HOLDING[record.state], f"{record.name}: {record.summary}. {record.message}")
    if status.containment:
        record = status.containment[-1]
        braked = brake(s, status)
        undone = record.state in (OptionState.UNDOING, OptionState.UNDONE)  # its message says by whom, and why
        detail = f"{record.name}: {('' if undone else braked) or record.message or record.summary}"
        return finding("False", "Held" if braked and record.state is OptionState.ASKING else record.state, detail)
    if not s.rules.containment:
        return finding("False", "NothingDeclared", "the policy declares no containment for this model")
    if brake(s, status):
        return finding("False", "Held", brake(s, status))
    reason = "Observing" if s.mode is Mode.OBSERVE else "NotNeeded"
    return finding("False", reason, "containment starts with a sustained breach")


_HOLDING = {
    OptionState.EXECUTED: "Holding",
    OptionState.HELPED: "Helped",
    OptionState.CANNOT_TELL: "CannotTell",
}


def _recovered(status: IncidentStatus) -> Finding:
    if status.recovered_time:
        message = f"every signal has been well for its recoverAfter since {format_time(status.recovered_time)}"
        return Finding(type="Recovered", status="True", reason="Recovered", message=message)
    if status.cause == "Report":
        return Finding(type="Recovered", status="Unknown", reason="Reported", message="no metric tells: a person must")
    open_ = [one for one in status.signals if one.sustained or one.missing]
    message = "; ".join(f"{one.name}: {one.message}" for one in open_)
    return Finding(type="Recovered", status="False", reason="NotYet", message=message)


def was_joined(status: IncidentStatus) -> bool:
    """Whether it was closed because another incident of the same target was open."""
    return status.joined is not None


def _resolved(status: IncidentStatus) -> Finding:
    if not status.resolved_time:
        return Finding(type="Resolved", status="False", reason="Open", message="a person must resolve it")
    by = next((one for one in reversed(status.decisions) if one.type == "Resolve" and one.counted), None)
    if by:
        message = f"by {by.by}{f': {by.reason}' if by.reason else ''}"
        return Finding(type="Resolved", status="True", reason="ByPerson", message=message)
    if was_joined(status):
        return Finding(
            type="Resolved", status="True", reason="Joined", message="another incident of the same target is open"
        )
    return Finding(type="Resolved", status="True", reason="ByItself", message="a SEV4 incident closes when it recovers")


def _approved_afterwards(status: IncidentStatus) -> Finding:
    """What was said of the containments that one person has ordered alone; the worst of it."""
    late = [one for one in status.break_glass if one.overdue and one.verdict is None]
    waiting = unsettled(status)
    rejected = [one for one in status.break_glass if one.verdict == "Rejected"]
    about = (late or waiting or rejected or list(status.break_glass))[0]
    message = f"{about.option}, which {about.by} ordered alone: {about.reason}"
    if late:
        return Finding(type="BreakGlassApproved", status="False", reason="Overdue", message=message)
    if waiting:
        return Finding(type="BreakGlassApproved", status="Unknown", reason="Waiting", message=message)
    if rejected:
        return Finding(type="BreakGlassApproved", status="False", reason="Rejected", message=message)
    return Finding(type="BreakGlassApproved", status="True", reason="Approved", message=message)


def _notified(status: IncidentStatus) -> Finding:
    notices = [record for record in status.effects if record.causes]
    undelivered = [record for record in notices if record.state is EffectState.UNDELIVERED]
    if undelivered:
        message = "; ".join(f"{parts_of(record.key)[1]}: {record.message}" for record in undelivered)
        return Finding(type="Notified", status="False", reason="Undelivered", message=message)
    if any(record.state is EffectState.INTENDED for record in notices):
        return Finding(type="Notified", status="Unknown", reason="Sending", message="notices are under way")
    if held := [record for record in notices if is_held(record)]:
        message = "; ".join(f"{parts_of(record.key)[1]}: {record.message}" for record in held)
        return Finding(type="Notified", status="False", reason="HeldBack", message=message)
    return Finding(
        type="Notified",
        status="True",
        reason="Delivered" if notices else "NobodyToTell",
        message=f"{len(notices)} notices",
    )


def _silenced(status: IncidentStatus) -> Finding | None:
    """Whether notices are held back; of an incident of which none ever were there is nothing to say."""
    if one := status.silenced:
        message = f"by {one.by} until {format_time(one.until)}: {one.reason} (silence/{one.name})"
        return Finding(type="Silenced", status="True", reason="Silenced", message=message)
    if any(known.type == "Silenced" for known in status.conditions):
        return Finding(type="Silenced", status="False", reason="Over", message="nothing is held back by a Silence")
    return None


def _flapping(s: Situation, status: IncidentStatus) -> Finding | None:
    """Whether it goes to and fro; of an incident that never did there is nothing to say."""
    if status.flapping_since:
        return Finding(
            type="Flapping", status="True", reason="Flapping", message=words_of_changes(status.swings, s.now)
        )
    if any(known.type == "Flapping" for known in status.conditions):
        message = "nothing changed between breach and recovery for 2h, or it was resolved"
        return Finding(type="Flapping", status="False", reason="Steady", message=message)
    return None
