"""What becomes of a containment once its intent is on record: done, in conflict, interrupted, cut short."""

from __future__ import annotations

from dataclasses import replace

from tocsin.api.containment import Option
from tocsin.api.incident import IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import clip
from tocsin.api.policy import Mode
from tocsin.decide.floor import agreed_by_people, below_floor
from tocsin.decide.options import PASSING, REHEARSAL, Moved, barred, brake, keep, key_of, never_again, paused_by_us
from tocsin.decide.plan import Contain
from tocsin.decide.proposal import holds, propose
from tocsin.decide.restoring import before_pinning, is_pinned, rest_of, to_put_back
from tocsin.decide.situation import NoTarget, Outcome, Proposal, Refusal, Situation, TargetView

ATTEMPTS = 3


def cut_short(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """What becomes of an option that runs when the episode ends: what may have been written stays barred."""
    for option in s.rules.containment:
        before = next((record for record in status.containment if record.name == option.name), None)
        if before is None or before.state is not OptionState.EXECUTING:
            continue
        after = execute(s, status, option, before, s.target).record if s.target else None
        if after is None or after.state is not OptionState.EXECUTED:
            why = "the episode ended before it was known whether it was done"
            after = before.model_copy(update={"state": OptionState.FAILED, "message": why})
        status = keep(s, status, before, after)
        if before.under != REHEARSAL:
            status = barred(status, before)
    return status


def execute(
    s: Situation, status: IncidentStatus, option: Option, record: OptionRecord, view: TargetView | NoTarget
) -> Moved:
    """The intent is on record: take the outcome, or find out what became of it, or try again."""
    key = key_of(s, status, record)
    outcome = s.outcomes.get(key)
    if outcome is not None and outcome.result != "Unknown":
        return Moved(_concluded(s, option, record, outcome))
    if key in s.under_way:
        return Moved(record)
    if isinstance(view, NoTarget):
        if view.reason == "Unreadable":
            return Moved(record, waits=True)
        return Moved(record.model_copy(update={"state": OptionState.FAILED, "message": view.message}))
    if _is_ours(record, key, view):
        return Moved(_executed(s, option, record, "found done after an interruption"))
    if _is_half_done(record, key, view):  # no brake leaves a StatefulSet that waits for ever
        return Moved(record, Contain(key=key, proposal=rest_of(record, view)))
    rehearsal = s.mode is Mode.OBSERVE or record.under == REHEARSAL
    stopped = brake(s, status) or ("" if rehearsal else _not_for_automation(s, status, option, record, view))
    if stopped:
        return Moved(record.model_copy(update={"state": OptionState.ASKING, "message": stopped}))
    proposal = propose(option, view, never_again(s, status), paused_by_us(status, view))
    half = is_pinned(record, view)
    if half and isinstance(proposal, Proposal):  # the rest is what was agreed on
        proposal = replace(proposal, digest=record.digest or "", autoscaler=before_pinning(record))
    if isinstance(proposal, Refusal) and proposal.reason in PASSING:
        return Moved(record, waits=True)
    if isinstance(proposal, Refusal) or proposal.digest != record.digest:
        return Moved(_again(record, "the target has changed"))
    if not half:
        record = record.model_copy(update=to_put_back(record, proposal))
    return Moved(record, Contain(key=key, proposal=proposal, dry_run=rehearsal))


def _not_for_automation(
    s: Situation, status: IncidentStatus, option: Option, record: OptionRecord, view: TargetView
) -> str:
    """Why what no person has agreed on is not sent after all: since it was decided, the model may have lost pods."""
    return "" if agreed_by_people(status, record) else below_floor(s.rules.model, option, view)


def _concluded(s: Situation, option: Option, record: OptionRecord, outcome: Outcome) -> OptionRecord:
    message = clip(outcome.message, 900)
    match outcome.result:
        case "Done":
            return _executed(s, option, record, message)
        case "Rehearsed":
            return record.model_copy(update={"state": OptionState.OBSERVED, "message": message})
        case "Conflict":
            return _again(record, message)
        case _:
            return record.model_copy(update={"state": OptionState.FAILED, "message": message})


def _again(record: OptionRecord, why: str) -> OptionRecord:
    """Decide anew, with the approvals as far as they still fit; but not for ever."""
    if record.attempt < ATTEMPTS:
        return record.model_copy(update={"state": OptionState.ASKING, "message": why})
    given_up = f"given up after {ATTEMPTS} attempts: {why}"
    return record.model_copy(update={"state": OptionState.FAILED, "message": given_up})


def _is_half_done(record: OptionRecord, key: str, view: TargetView) -> bool:
    """Whether the template is back, and pods of the bad one are still to be deleted."""
    rolled_back = record.type == "RollBack" and view.uid == record.target_uid and view.contained_by == key
    return rolled_back and bool(view.stuck)


def _is_ours(record: OptionRecord, key: str, view: TargetView) -> bool:
    if view.uid != record.target_uid or not holds(record, view):
        return False
    if record.type == "Scale":
        return view.scaled_by_us or is_pinned(record, view)  # which goes down to its new maximum by itself
    return view.contained_by == key and not _is_half_done(record, key, view)


def _executed(s: Situation, option: Option, record: OptionRecord, message: str) -> OptionRecord:
    return record.model_copy(
        update={
            "state": OptionState.EXECUTED,
            "executed_time": s.now,
            "verify_time": s.now + option.verify_within,
            "message": message,
        }
    )
