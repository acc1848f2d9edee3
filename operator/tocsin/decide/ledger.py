"""The ledger of effects: an intent before each, its outcome after it, one line per key."""

from __future__ import annotations

from tocsin.api.incident import EffectRecord, EffectState, IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import clip
from tocsin.decide.situation import Outcome, Situation

WORDS = 200
"""So many characters has an outcome; what became of an option stands on the option in full."""

_STATES = {
    "Done": EffectState.DONE,
    "Rehearsed": EffectState.DONE,
    "Refused": EffectState.FAILED,
    "Conflict": EffectState.FAILED,
    "Undelivered": EffectState.UNDELIVERED,
    "Superseded": EffectState.FAILED,
}


def note_outcomes(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Write down what came of the effects; without an answer an intent stays an intent."""
    effects = tuple(_noted(record, s.outcomes.get(record.key)) for record in status.effects)
    return status.model_copy(update={"effects": effects})


def _noted(record: EffectRecord, outcome: Outcome | None) -> EffectRecord:
    if outcome is None or outcome.result not in _STATES or record.state is EffectState.DONE:
        return record
    state = _STATES[outcome.result]
    done_at = outcome.at if state is not EffectState.UNDELIVERED else None
    update = {"state": state, "done_time": done_at, "message": clip(outcome.message, WORDS)}
    return record.model_copy(update=update | {"to": outcome.to or None, "into": outcome.into or None})


def parts_of(key: str) -> tuple[str, str, str]:
    """The kind, the name and the attempt of an effect; empty where a key is none of ours."""
    kind, name, attempt, *_ = (*key.split("/")[2:5], "", "", "")
    return kind, name, attempt


def close_containments(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Close intents whose option went on without an outcome: what an interruption left is settled by what was found."""
    attempts = {record.name: record for record in status.containment}
    effects = []
    for record in status.effects:
        kind, name, attempt = parts_of(record.key)
        option = attempts.get(name)
        if kind == "undo" and record.state is EffectState.INTENDED and option and option.undo:
            effects.append(_closed_undo(s, record, option, attempt))
            continue
        open_ = kind == "contain" and record.state is EffectState.INTENDED
        running = option and option.state is OptionState.EXECUTING and str(option.attempt) == attempt
        if open_ and not running:
            written = option is not None and option.executed_time is not None and str(option.attempt) == attempt
            state = EffectState.DONE if written else EffectState.FAILED
            message = clip(option.message, WORDS) if option else "the option was withdrawn"
            record = record.model_copy(update={"state": state, "done_time": s.now, "message": message})
        effects.append(record)
    return status.model_copy(update={"effects": tuple(effects)})


def _closed_undo(s: Situation, record: EffectRecord, option: OptionRecord, attempt: str) -> EffectRecord:
    """The intent of an undo that was given up without an outcome, closed; one that is under way as it is."""
    if option.state is OptionState.UNDOING and option.undo and str(option.undo.attempt) == attempt:
        return record
    message = clip(option.message, WORDS)
    return record.model_copy(update={"state": EffectState.FAILED, "done_time": s.now, "message": message})


def intend(status: IncidentStatus, record: EffectRecord) -> IncidentStatus:
    """Put an intent into the ledger; a key that is there already stays as it is."""
    if any(known.key == record.key for known in status.effects):
        return status
    return status.model_copy(update={"effects": (*status.effects, record)})
