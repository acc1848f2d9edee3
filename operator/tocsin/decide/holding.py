"""What is held back, by what, and what is told of it when that is over: each reader once, what is true then."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.api.incident import EffectRecord, EffectState, IncidentStatus
from tocsin.api.quantities import format_time
from tocsin.decide.folding import ASKED, DEPUTY
from tocsin.decide.ledger import parts_of
from tocsin.decide.silences import is_mild, may_be_held, silence_of
from tocsin.decide.situation import Situation
from tocsin.decide.tiers import is_led

FLAPPING = "Flapping"
"""In a line of the ledger: it is held back because the model flaps."""
CAUSES = 12
"""So many causes has a notice."""


def name_of(key: str) -> str:
    """What the ledger calls the reader of a notice; empty for what is none."""
    kind, name, _ = parts_of(key)
    return name if kind == "notify" else ""


def hold_back(s: Situation, status: IncidentStatus, record: EffectRecord) -> EffectRecord:
    """A notice that was just intended, or the same held back; that nobody learned of an incident is told to nobody."""
    begun = status.episode != s.incident.status.episode
    held_by, why = _holding(s, status, record, begun=begun)
    if not held_by or (status.resolved_time and _was_told(status, name_of(record.key))):
        return record
    update: dict[str, object] = {"state": EffectState.SILENCED, "held_by": held_by, "message": why}
    if status.resolved_time:
        update |= {"done_time": s.now, "message": "it began and was resolved unheard: " + why}
    return record.model_copy(update=update)


def _holding(s: Situation, status: IncidentStatus, record: EffectRecord, *, begun: bool) -> tuple[str, str]:
    """What holds a notice back, and the same in words; empty when it is to be sent.

    While a model flaps nobody is told that it has recovered, or that it breaches again.
    """
    tier, _, role = name_of(record.key).removesuffix(DEPUTY).partition(".")
    silence = silence_of(s, status, tier, role) if may_be_held(record.causes) else None
    if silence:
        name = f"silence/{silence.metadata.name}"
        return name, f"held back by {name} of {silence.spec.by} until {format_time(silence.spec.until)}"
    flaps = s.incident.status.flapping_since is not None and status.flapping_since is not None
    changes = {"Recovered", "TierEntered"} if begun else {"Recovered"}
    if flaps and is_mild(status) and changes.issuperset(record.causes):
        return FLAPPING, "held back while it flaps"
    return "", ""


def _was_told(status: IncidentStatus, name: str) -> bool:
    """Whether a reader was told, or may have been told, of this episode."""
    lines = (one for one in status.effects if name_of(one.key) == name)
    return any(one.state is not EffectState.SILENCED and one.into is None for one in lines)


def is_held(record: EffectRecord) -> bool:
    """Whether a notice waits for the end of what holds it back."""
    return record.state is EffectState.SILENCED and record.done_time is None


def release(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Tell each reader once of all that nothing holds back any more, together with what is to be told now anyway."""
    free: dict[str, list[EffectRecord]] = {}
    for record in filter(is_held, status.effects):
        begun = record.held_by == FLAPPING
        if status.resolved_time or not _holding(s, status, record, begun=begun)[0]:
            free.setdefault(name_of(record.key), []).append(record)
    for name, records in free.items():
        status = _released(s, status, name, records)
    return status


def _released(s: Situation, status: IncidentStatus, name: str, records: list[EffectRecord]) -> IncidentStatus:
    known = {one.key for one in s.incident.status.effects}
    fresh = [
        one
        for one in status.effects
        if name_of(one.key) == name and one.key not in known and one.state is EffectState.INTENDED
    ]
    due = _still_due(status, name, [cause for one in records for cause in one.causes])
    speaks = (fresh or records)[-1] if due else None
    told = f"told with {speaks.key.rpartition('/')[2]}" if speaks else "nothing of it was to be told any more"

    def settled(one: EffectRecord) -> EffectRecord:
        if speaks and one.key == speaks.key:
            causes = due if one in records else (*due, *one.causes)
            update: dict[str, object] = {"state": EffectState.INTENDED, "message": "", "held_by": records[-1].held_by}
            update |= {"severity": status.severity, "intended_time": s.now}
            return one.model_copy(update=update | {"causes": tuple(dict.fromkeys(causes))[-CAUSES:]})
        if one in records:
            return one.model_copy(update={"done_time": s.now, "message": told})
        return one

    return status.model_copy(update={"effects": tuple(settled(one) for one in status.effects)})


def _still_due(status: IncidentStatus, name: str, causes: Iterable[str]) -> tuple[str, ...]:
    """Of what was held back, what a reader needs to know now: nobody is asked for what was done meanwhile."""
    tier = next((one for one in status.tiers if one.name == name.partition(".")[0]), None)
    if tier is None or status.resolved_time:
        return ()
    answered = tier.acknowledged_time is not None or (name.endswith(DEPUTY) and tier.deputy is None)
    over = ASKED if answered or is_led(status) else frozenset()
    over |= {"Steady" if status.flapping_since else "Flapping"}
    return tuple(dict.fromkeys(cause for cause in causes if cause not in over))
