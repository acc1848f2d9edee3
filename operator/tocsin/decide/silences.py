"""Which notices are held back because a person said so? Those that nobody needs to be told of for a while.

A Silence changes nothing but which notices are sent. What it may hold back is a closed list: whatever is not on it is
sent, and so is everything of SEV1 and SEV2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from tocsin.api.incident import Incident, IncidentStatus, Silenced
from tocsin.api.objects import Severity, clip
from tocsin.api.quantities import format_time
from tocsin.api.silence import MatchField, MatchOperator, Silence
from tocsin.decide.situation import Situation, Trust
from tocsin.decide.story import tell
from tocsin.decide.tiers import accountable_of, tier_of

MAY_BE_HELD = frozenset(
    {
        "TierEntered", "DeputyPaged", "AcknowledgementExpired", "OnItsOwn", "Missed", "Contained", "NotContained",
        "CannotTell", "Reverted", "Undone", "NotUndone", "Rehearsed", "Classified", "Flapping", "Steady", "Recovered",
        "Resolved",
    }
)  # fmt: skip
"""Nothing that asks somebody for an approval, or to take over: those wait for this very person."""


WORDS = 200
"""So many characters of a reason stand in the status; all of them stand in the Silence."""


def is_mild(status: IncidentStatus) -> bool:
    """Whether an incident's notices may be held back at all."""
    return status.severity is not None and not status.severity.at_least(Severity.SEV2)


def is_about(silence: Silence, incident: Incident) -> bool:
    """Whether a Silence can match notices of an incident, whatever its signals do and whoever is told."""
    about = {MatchField.MODEL: (incident.spec.model,), MatchField.POLICY: (incident.spec.policy_ref.name,)}
    return all(_fits(one.operator, one.values, about[one.field]) for one in silence.spec.matchers if one.field in about)


def silence_of(s: Situation, status: IncidentStatus, tier: str, role: str) -> Silence | None:
    """The Silence that holds back what a role is told for a tier; of several the one that lasts the longest."""
    if not is_mild(status):
        return None
    firing = tuple(signal.name for signal in status.signals if signal.sustained or signal.missing)
    about = {
        MatchField.MODEL: (s.rules.model.name,),
        MatchField.POLICY: (s.incident.spec.policy_ref.name,),
        MatchField.SIGNAL: firing,
        MatchField.TIER: (tier,),
        MatchField.RESPONDER: (role,),
    }
    found = [
        silence
        for silence in _in_force(s)
        if all(_fits(one.operator, one.values, about[one.field]) for one in silence.spec.matchers)
    ]
    return max(found, key=lambda one: (one.spec.until, one.metadata.name), default=None)


def _in_force(s: Situation) -> Iterator[Silence]:
    """While nobody vouches for who wrote what, no Silence counts: people are told."""
    if s.trust is not Trust.TRUSTED:
        return
    for one in s.silences:
        created = one.metadata.creation_timestamp
        vouched = s.trusted_since is None or (created is not None and created >= s.trusted_since)
        if vouched and one.spec.from_ <= s.now < one.spec.until:
            yield one


def _fits(operator: MatchOperator, values: Collection[str], found: Collection[str]) -> bool:
    """In: there is something, and all of it is among the values; NotIn: nothing of it is."""
    if operator is MatchOperator.IN:
        return bool(found) and all(one in values for one in found)
    return not any(one in values for one in found)


def follow_silences(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Say in the status and the story, once, that notices of the incident are held back, and when that is over."""
    holding = None if status.resolved_time else _holding(s, status)
    before = status.silenced
    now = holding and Silenced(
        name=holding.metadata.name,
        uid=holding.metadata.uid,
        by=holding.spec.by,
        until=holding.spec.until,
        reason=clip(holding.spec.reason, WORDS),
    )
    lines = []
    if now and (before is None or before.uid != now.uid):
        lines.append(f"silenced by {now.by} until {format_time(now.until)}: {now.reason} (silence/{now.name})")
    if before and now is None and status.resolved_time is None:
        why = "" if is_mild(status) else f": {status.severity} is never silenced"
        lines.append(f"no longer silenced by silence/{before.name}{why}: who is waited for is told")
    return tell(status.model_copy(update={"silenced": now}), s.now, lines)


def _holding(s: Situation, status: IncidentStatus) -> Silence | None:
    """Of the Silences that hold back what somebody in the incident is told, the one that lasts the longest."""
    found = (silence_of(s, status, tier, role) for tier, role in _readers(s, status))
    return max((one for one in found if one), key=lambda one: (one.spec.until, one.metadata.name), default=None)


def _readers(s: Situation, status: IncidentStatus) -> Iterator[tuple[str, str]]:
    for tier in status.tiers:
        rule = tier_of(s.rules, tier.name)
        if rule:
            yield from ((tier.name, role) for role in dict.fromkeys((accountable_of(tier, rule), *rule.roles)))


def may_be_held(causes: Iterable[str]) -> bool:
    """Whether a notice says nothing that is never held back."""
    return MAY_BE_HELD.issuperset(causes)


def changes_at(s: Situation) -> Iterator[datetime]:
    """When Silences about the incident begin and end."""
    for silence in s.silences:
        if is_about(silence, s.incident):
            yield from (silence.spec.from_, silence.spec.until)
