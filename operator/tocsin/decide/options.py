"""How an option of containment stands: what it moved to, whether it is called for, and what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.api.incident import IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import clip
from tocsin.decide.freezes import freeze_in_force, words_of
from tocsin.decide.plan import Contain, Undo
from tocsin.decide.proposal import is_set
from tocsin.decide.situation import FieldChange, Situation, TargetView
from tocsin.decide.story import tell

REHEARSAL = "a rehearsal: the policy observes"
IN_PLACE = (OptionState.EXECUTED, OptionState.HELPED, OptionState.CANNOT_TELL, OptionState.DID_NOT_HELP)
"""States in which something of ours is on the target, if nobody has changed it since."""
PASSING = ("RollingOut", "LatelyDenied")
"""Refusals that pass by themselves, soon: the option waits."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one option came to in one pass."""

    record: OptionRecord | None
    effect: Contain | Undo | None = None
    needs_budget: bool = False
    waits: bool = False
    """Whether it waits for something that passes, and that nothing will tell of."""


def is_wanted(status: IncidentStatus) -> bool:
    """Whether containment is called for: a sustained breach, or a person's report; missing data never calls for it."""
    if status.resolved_time or status.recovered_time:
        return False
    return status.cause == "Report" or any(signal.sustained for signal in status.signals)


def brake(s: Situation, status: IncidentStatus) -> str:
    """Why automation must not act now; empty when it may."""
    if s.cluster_hold:
        return f"the whole cluster is on hold: {s.cluster_hold}"
    if s.namespace_hold:
        return f"the namespace is on hold: {s.namespace_hold}"
    if freeze := freeze_in_force(s.freezes, s.now):
        return words_of(freeze)
    if status.held:
        return clip(f"on hold by {status.held.by}: {status.held.reason}", 500)
    if s.joined:
        return f"incident {s.joined} of the same target acts"
    return ""


def key_of(s: Situation, status: IncidentStatus, record: OptionRecord) -> str:
    """The key of an attempt, the same whenever it is asked for."""
    return f"{s.incident.metadata.uid}/{status.episode}/contain/{record.name}/{record.attempt}"


def keep(
    s: Situation, status: IncidentStatus, before: OptionRecord | None, after: OptionRecord | None
) -> IncidentStatus:
    """The status with what became of an option, and the line of the story that tells it."""
    if after == before or after is None:
        if after is None and before is not None:
            kept = tuple(record for record in status.containment if record.name != before.name)
            return status.model_copy(update={"containment": kept})
        return status
    containment = tuple(after if record.name == after.name else record for record in status.containment)
    if before is None:
        containment = (*status.containment, after)
    changed = status.model_copy(update={"containment": containment})
    if after.state is OptionState.EXECUTED:
        changed = barred(changed, after)
    return tell(changed, s.now, _lines(before, after))


def never_again(s: Situation, status: IncidentStatus) -> frozenset[str]:
    """The revisions to which no rollback goes: what any incident contained, and what this one has tried to leave."""
    return s.contained_revisions | tried_to_leave(status)


def tried_to_leave(status: IncidentStatus) -> frozenset[str]:
    """The revisions from which an incident has rolled back, or tried to."""
    left = {record.from_ for record in status.containment if record.type == "RollBack" and record.attempt}
    return frozenset(one for one in left if one)


def paused_by_us(status: IncidentStatus, view: TargetView) -> FieldChange | None:
    """How this incident has paused the target, as long as that is in place."""
    records = [one for one in status.containment if one.type == "Pause" and one.state in IN_PLACE]
    changes = [FieldChange(one.path, one.before, one.after) for record in records for one in record.fields]
    return next((change for change in changes if is_set(change, view)), None)


def barred(status: IncidentStatus, record: OptionRecord) -> IncidentStatus:
    """The revision that a rollback left is never chosen again."""
    known = status.contained_revisions
    if record.type != "RollBack" or not record.from_ or record.from_ in known:
        return status
    return status.model_copy(update={"contained_revisions": (*known, record.from_)[-16:]})


def _lines(before: OptionRecord | None, after: OptionRecord) -> list[str]:
    if before is not None and before.state is after.state:
        if after.settled_time and not before.settled_time:
            return [f"containment {after.name}: the workload has followed"]
        if after.undo and before.undo and after.undo.settled_time and not before.undo.settled_time:
            return [f"containment {after.name}: the workload has followed the undo"]
        if after.digest != before.digest:
            return [f"containment {after.name}: what would be done has changed, approvals are void: {after.summary}"]
        kept = {one.by for one in after.approvals}
        gone = [one.by for one in before.approvals if one.by not in kept]
        return [f"containment {after.name}: the approval by {by} is void: on no roster any more" for by in gone]
    detail = after.message
    if after.state is OptionState.EXECUTING:
        detail = f"{after.under}: {after.summary}"
    if after.state is OptionState.ASKING:
        detail = f"{after.summary} (needs {after.needs} approval{'s' if after.needs != 1 else ''})"
    return [f"containment {after.name}: {after.state}: {detail}"]
