"""What was written to a target: whether it is still there, whether the workload has followed, and whether it helped."""

from __future__ import annotations

from tocsin.api.incident import IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import clip
from tocsin.api.quantities import format_duration
from tocsin.decide import signals
from tocsin.decide.defaults import SignalRule
from tocsin.decide.proposal import holds
from tocsin.decide.situation import Measured, NoTarget, Situation, TargetView


def check_hold(s: Situation, status: IncidentStatus, record: OptionRecord, view: TargetView | NoTarget) -> OptionRecord:
    """Look at a containment that was carried out; a time-out changes what is known of it, and undoes nothing.

    Once the model has recovered, a change to anything but what was contained is people going on with their work.
    """
    if isinstance(view, NoTarget):
        if view.reason in ("Unreadable", "Forbidden"):
            return record
        return record.model_copy(
            update={"state": OptionState.REVERTED, "message": f"the target is gone: {view.message}"}
        )
    if view.uid != record.target_uid or not holds(record, view):
        now_is = _now(record, view)
        if record.type == "RollBack" and not now_is:
            return record
        why = f"somebody or something changed the target: it is at {now_is}, not at {record.to}"
        went_on = status.recovered_time and (record.type != "RollBack" or now_is != record.from_)
        state = OptionState.SUPERSEDED if went_on else OptionState.REVERTED
        return record.model_copy(update={"state": state, "message": why})
    if record.settled_time is None and _has_followed(record, view):
        record = record.model_copy(update={"settled_time": s.now})
    return _verify(s, status, record)


def _now(record: OptionRecord, view: TargetView) -> str:
    """What the target is at, where it ought to be at ``to``."""
    match record.type:
        case "RollBack":
            return view.current_hash
        case "Pause":
            return view.pause.was if view.pause else view.paused
        case _:
            return str(view.replicas)


def _has_followed(record: OptionRecord, view: TargetView) -> bool:
    """Whether what runs is what was written; a pause is meant to keep it from becoming what is asked for."""
    if record.type == "Pause":
        return view.observed_generation >= view.generation
    return view.settled


def _verify(s: Situation, status: IncidentStatus, record: OptionRecord) -> OptionRecord:
    """Yes, no, or cannot tell yet; only values produced after the action make a yes or a no.

    What began after it is no verdict on it: a model that was stopped has no traffic either.
    """
    if status.recovered_time and record.state is not OptionState.EXECUTED:
        return record
    open_ = [one for one in status.signals if one.sustained and one.name in record.against]
    verdicts = [_helped(s, one.name, record) for one in open_]
    if status.cause == "Report":
        verdicts.append(None)
    if record.state is not OptionState.HELPED and all(verdicts):
        spent = format_duration(s.now - (record.executed_time or s.now))
        return record.model_copy(
            update={"state": OptionState.HELPED, "message": f"the signal was well again after {spent}"}
        )
    if record.verify_time is None or s.now < record.verify_time:
        return record
    seen = clip(", ".join(f"{one.name}: {one.message}" for one in open_), 900)
    if any(verdict is False for verdict in verdicts):
        return record.model_copy(update={"state": OptionState.DID_NOT_HELP, "message": f"it did not help: {seen}"})
    if record.state is OptionState.EXECUTED and None in verdicts:
        why = f"it cannot be told yet, a person must look: {seen or 'no metric tells'}"
        return record.model_copy(update={"state": OptionState.CANNOT_TELL, "message": why})
    return record


def _helped(s: Situation, name: str, record: OptionRecord) -> bool | None:
    signal = next(signal for signal in s.rules.signals if signal.name == name)
    rule, memory = SignalRule.of(signal), s.signals.get(name)
    acted_at = record.settled_time or record.executed_time
    if memory is None or acted_at is None or not isinstance(memory.reading, Measured):
        return None
    produced_at = memory.reading.produced_at or memory.at
    if produced_at <= acted_at:
        return None
    if rule.recover.holds(memory.reading.value):
        return True
    return False if signals.is_breaching(memory, rule) else None
