"""A containment that a person takes back: whether the Decision counts, and what becomes of it then.

From then on automation is on hold for the incident, so that nothing contains again behind the person's back; the undo
itself is a person's act, which no brake on automation stops.
"""

from __future__ import annotations

from datetime import timedelta

from tocsin.api.containment import Target
from tocsin.api.decision import Decision
from tocsin.api.incident import Held, IncidentStatus, OptionRecord, OptionState, UndoStatus
from tocsin.api.objects import clip
from tocsin.api.quantities import format_duration
from tocsin.decide.ledger import parts_of
from tocsin.decide.options import IN_PLACE, PASSING, Moved
from tocsin.decide.plan import Undo
from tocsin.decide.restoring import by_hand, inverse, objection, what_comes_back
from tocsin.decide.situation import NoTarget, Outcome, Refusal, Situation, TargetView
from tocsin.decide.standing import Verdict

MOST_UNDOS = 8
"""More are not begun in an episode: the ledger has room for so many."""
PATIENCE = timedelta(minutes=10)
"""So long the answer to an undo may be lost again and again until people are told."""


def under_way(status: IncidentStatus) -> str:
    """The option that is being undone; empty when none is."""
    return next((one.name for one in status.containment if one.state is OptionState.UNDOING), "")


def undo(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Begin to undo an option, and put automation on hold."""
    record = next((one for one in status.containment if one.name == decision.spec.option), None)
    if record is None:
        why = f"option {decision.spec.option} was not tried in this episode: there is nothing to undo"
        return Verdict(status, counted=False, message=why)
    if refusal := _refusal(s, status, record, decision):
        return Verdict(status, counted=False, message=refusal)
    by, reason, target = decision.spec.by, decision.spec.reason or "", _target(s).what
    attempt = 1 + (record.undo.attempt if record.undo else 0)
    begun = UndoStatus(by=by, time=s.now, reason=reason, attempt=attempt, was=record.state)
    what = what_comes_back(record, target)
    message = clip(f"{what}: {by}: {reason}", 1024)
    undoing = record.model_copy(update={"state": OptionState.UNDOING, "undo": begun, "message": message})
    containment = tuple(undoing if one.name == record.name else one for one in status.containment)
    held = Held(by=by, time=s.now, reason=clip(f"undo of {record.name}: {reason}", 1024))
    changed = status.model_copy(update={"containment": containment, "held": held})
    return Verdict(changed, counted=True, message=f"automation is on hold until Resume; undoing {record.name}: {what}")


def _refusal(s: Situation, status: IncidentStatus, record: OptionRecord, decision: Decision) -> str:
    """Why an option cannot be undone, and what to do by hand; empty when it can."""
    if record.state not in IN_PLACE:
        return f"option {record.name} is {record.state}: only what was carried out and is in place can be undone"
    if record.digest != decision.spec.digest:
        return f"something else was done: look again, and use the digest {record.digest}"
    place = status.containment.index(record)
    later = [one.name for one in status.containment[place + 1 :] if one.type == record.type and one.state in IN_PLACE]
    if later:
        return f"undo {later[-1]} first: it was carried out after {record.name}"
    if sum(parts_of(one.key)[0] == "undo" for one in status.effects) >= MOST_UNDOS:
        return f"{MOST_UNDOS} undos were begun already; {_by_hand(s, record)}"
    if isinstance(s.target, TargetView):
        proposal = inverse(record, s.target)
        if isinstance(proposal, Refusal):
            return "" if proposal.reason in PASSING else f"{proposal.message}; {_by_hand(s, record)}"
        why = objection(proposal, s.target, f"{s.incident.metadata.uid}/{status.episode}/")
        return f"{why}; {_by_hand(s, record)}" if why else ""
    if s.target is None or s.target.reason == "Unreadable":
        return ""
    return f"there is nothing to undo it on: {s.target.message}"


def too_late(s: Situation, status: IncidentStatus, decision: Decision) -> str:
    """Why nothing is undone in a resolved incident, whose target nobody looks at any more, and what to do by hand."""
    record = next((one for one in status.containment if one.name == decision.spec.option), None)
    if record is None or record.state not in IN_PLACE:
        return "the incident is resolved"
    return f"the incident is resolved; {_by_hand(s, record)}"


def go_on(s: Situation, status: IncidentStatus, record: OptionRecord, view: TargetView | NoTarget) -> Moved:
    """The intent to undo is on record: take the outcome, or try again, which finds what was done already."""
    begun = record.undo
    assert begun is not None, "whoever began to undo it wrote this down"
    key = f"{s.incident.metadata.uid}/{status.episode}/undo/{record.name}/{begun.attempt}"
    outcome = s.outcomes.get(key)
    if outcome is not None and outcome.result != "Unknown":
        return Moved(_concluded(s, record, begun, outcome))
    if key in s.under_way:
        return Moved(record)
    if outcome is not None and s.now - begun.time >= PATIENCE:
        why = f"for {format_duration(PATIENCE)} it could not be found out whether it was done: {outcome.message}"
        return Moved(_not_undone(s, record, begun, why))
    if isinstance(view, NoTarget):
        if view.reason == "Unreadable":
            return Moved(record, waits=True)
        return Moved(_not_undone(s, record, begun, view.message))
    proposal = inverse(record, view)
    if isinstance(proposal, Refusal):
        if proposal.reason in PASSING:
            return Moved(record, waits=True)
        return Moved(_not_undone(s, record, begun, proposal.message))
    return Moved(record, Undo(key=key, proposal=proposal))


def follow(s: Situation, record: OptionRecord, view: TargetView | NoTarget) -> OptionRecord:
    """After an undo: whether the workload has followed; what people do then is their own work."""
    if record.undo is None or record.undo.settled_time or isinstance(view, NoTarget) or not view.settled:
        return record
    return record.model_copy(update={"undo": record.undo.model_copy(update={"settled_time": s.now})})


def _concluded(s: Situation, record: OptionRecord, begun: UndoStatus, outcome: Outcome) -> OptionRecord:
    if outcome.result != "Done":
        return _not_undone(s, record, begun, outcome.message)
    message = clip(f"undone by {begun.by}: {begun.reason}", 900)
    return record.model_copy(
        update={"state": OptionState.UNDONE, "message": clip(f"{message}; {outcome.message}", 1024)}
    )


def _not_undone(s: Situation, record: OptionRecord, begun: UndoStatus, why: str) -> OptionRecord:
    """The option is what it was before; people are told, and automation stays on hold."""
    message = f"not undone: {clip(why, 500)}; {_by_hand(s, record)}"
    return record.model_copy(update={"state": begun.was, "message": clip(message, 1024)})


def _by_hand(s: Situation, record: OptionRecord) -> str:
    view = s.target if isinstance(s.target, TargetView) else None
    return by_hand(record, s.incident.metadata.namespace, _target(s), view)


def _target(s: Situation) -> Target:
    target = s.rules.model.target
    assert target is not None, "nothing was done without a target"
    return target
