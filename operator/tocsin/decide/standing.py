"""Who may decide for which tier, who has left, who is one and the same person, and what became of a Decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tocsin.api.decision import Decision
from tocsin.api.incident import Incident, IncidentStatus, TierStatus
from tocsin.api.policy import Tier
from tocsin.decide.roster import Roster, fills, on_duty, replaced
from tocsin.decide.situation import Situation
from tocsin.decide.tiers import accountable_of, tier_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a Decision."""

    status: IncidentStatus
    counted: bool
    message: str


def tiers_of(s: Situation, status: IncidentStatus, user: str) -> set[str]:
    """The tiers for which a user may decide: a member of a role that acts there, or of one that stands in for it."""
    return {rule.name for rule in s.rules.tiers for role in _acting(status, rule) if is_of(s, user, role)}


def is_of(s: Situation, user: str, role: str) -> bool:
    """Whether somebody is a member of a role, or of one that stands in for it."""
    return fills(s.roster, user, role)


def unacknowledged(incident: Incident, roster: Roster, user: str) -> list[str]:
    """The tiers of an open incident that were entered, and that wait for a user, or others, to acknowledge."""
    rules, status = incident.rules, incident.status
    if rules is None or incident.resolved:
        return []
    return [
        tier.name
        for tier in status.tiers
        if tier.acknowledged_time is None
        and (rule := tier_of(rules, tier.name))
        and any(fills(roster, user, role) for role in _acting(status, rule))
    ]


def is_still_there(s: Situation, status: IncidentStatus, user: str) -> bool:
    """Whether somebody who might once decide is still on a roster: who has handed over is, who has left is not."""
    roles = {role for rule in s.rules.tiers for role in (rule.accountable, *_acting(status, rule))}
    return any(is_of(s, user, role) for role in roles)


def are_one(s: Situation, user: str, other: str) -> bool:
    """Whether two accounts are one person: the same user name, or members of the same name."""
    return are_same(s.roster, user, other)


def are_same(roster: Roster, user: str, other: str) -> bool:
    """The same, of those of a roster."""
    return user == other or bool(_names(roster, user) & _names(roster, other))


def absent_for(roster: Roster, user: str, now: datetime) -> tuple[str, ...]:
    """The absent whose deputy somebody is now."""
    absent = (replaced(roster, role, user, now) for role in roster)
    return tuple(dict.fromkeys(one for one in absent if one and one != user))[:8]


def stood_in_for(s: Situation, status: IncidentStatus, user: str) -> tuple[str, ...]:
    """For whom somebody stands in now: the absent whose deputy they are, and who did not answer before them."""
    absent = absent_for(s.roster, user, s.now)
    silent = (_silent(s, tier) for tier in status.tiers if tier.deputy == user)
    return tuple(dict.fromkeys(one for one in (*absent, *silent) if one and one != user))[:8]


def _silent(s: Situation, tier: TierStatus) -> str:
    """Who is on duty for a tier whose deputy was paged."""
    rule = tier_of(s.rules, tier.name)
    duty = on_duty(s.roster, accountable_of(tier, rule), s.now) if rule else None
    return duty.member.user if duty else ""


def decided(s: Situation, status: IncidentStatus, decision: Decision) -> IncidentStatus:
    """The tiers of its author have decided with it, those apart that have questions to answer."""
    mine = tiers_of(s, status, decision.spec.by)

    def mark(tier: TierStatus) -> TierStatus:
        rule = tier_of(s.rules, tier.name)
        if tier.name not in mine or tier.decided_time is not None or (rule and rule.questions):
            return tier
        return tier.model_copy(update={"decided_by": decision.spec.by, "decided_time": s.now})

    return status.model_copy(update={"tiers": tuple(mark(tier) for tier in status.tiers)})


def _acting(status: IncidentStatus, rule: Tier) -> tuple[str, ...]:
    tier = next((one for one in status.tiers if one.name == rule.name), None)
    return (accountable_of(tier, rule) if tier else rule.accountable, *rule.responsible)


def _names(roster: Roster, user: str) -> set[str]:
    """By what names a user stands in the namespace's rosters."""
    members = (member for role in roster.values() for member in role.spec.members)
    return {" ".join(member.name.casefold().split()) for member in members if member.user == user}
