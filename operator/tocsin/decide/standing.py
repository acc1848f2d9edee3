"""Who may decide for which tier, who has left, who is one and the same person, and what became of a Decision."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.api.incident import IncidentStatus
from tocsin.api.policy import Tier
from tocsin.decide.roster import reachable
from tocsin.decide.situation import Situation
from tocsin.decide.tiers import accountable_of


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
    roles = [s.roster[name] for name in reachable(s.roster, role) if name in s.roster]
    return any(member.user == user for one in roles for member in one.spec.members)


def is_still_there(s: Situation, status: IncidentStatus, user: str) -> bool:
    """Whether somebody who might once decide is still on a roster: who has handed over is, who has left is not."""
    roles = {role for rule in s.rules.tiers for role in (rule.accountable, *_acting(status, rule))}
    return any(is_of(s, user, role) for role in roles)


def are_one(s: Situation, user: str, other: str) -> bool:
    """Whether two accounts are one person: the same user name, or members of the same name."""
    return user == other or bool(_names(s, user) & _names(s, other))


def _acting(status: IncidentStatus, rule: Tier) -> tuple[str, ...]:
    tier = next((one for one in status.tiers if one.name == rule.name), None)
    return (accountable_of(tier, rule) if tier else rule.accountable, *rule.responsible)


def _names(s: Situation, user: str) -> set[str]:
    """By what names a user stands in the namespace's rosters."""
    members = (member for role in s.roster.values() for member in role.spec.members)
    return {" ".join(member.name.casefold().split()) for member in members if member.user == user}
