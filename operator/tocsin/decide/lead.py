"""Who leads an incident: one person from the first page to the end, whoever is accountable for a step."""

from __future__ import annotations

from tocsin.api.incident import IncidentStatus, Lead, TierStatus
from tocsin.decide.roster import on_duty
from tocsin.decide.situation import Situation
from tocsin.decide.tiers import accountable_of, tier_of


def follow_lead(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """The first who acknowledges leads; before that whoever was paged for the first tier, or the deputy who was.

    Who accepts a hand-over leads from then on: that is said by the Decision.
    """
    lead = status.lead
    if status.resolved_time or not status.tiers or (lead and lead.because != "OnDuty"):
        return status
    answered = min(
        (tier for tier in status.tiers if tier.acknowledged_time and tier.acknowledged_by),
        key=lambda tier: tier.acknowledged_time or s.now,
        default=None,
    )
    if answered and answered.acknowledged_by:
        return _led(status, Lead(user=answered.acknowledged_by, time=s.now, because="Acknowledged"))
    first = status.tiers[0]
    user = first.deputy or (lead.user if lead else _paged(s, first))
    if not user or (lead and lead.user == user):
        return status
    return _led(status, Lead(user=user, time=s.now, because="OnDuty"))


def _paged(s: Situation, tier: TierStatus) -> str:
    rule = tier_of(s.rules, tier.name)
    duty = on_duty(s.roster, accountable_of(tier, rule), s.now) if rule else None
    return duty.member.user if duty else ""


def _led(status: IncidentStatus, lead: Lead) -> IncidentStatus:
    return status.model_copy(update={"lead": lead})
