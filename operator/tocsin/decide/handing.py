"""Tiers that change hands: asked by who has them, taken over by who accepts."""

from __future__ import annotations

from tocsin.api.decision import Decision
from tocsin.api.incident import HandOver, IncidentStatus, Lead
from tocsin.decide.situation import Situation
from tocsin.decide.standing import Verdict, is_of, tiers_of
from tocsin.decide.tiers import accountable_of, forgiven, tier_of


def hand_over(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Ask another role to take over the tiers of its author; until somebody there accepts, nothing else changes."""
    to, mine = decision.spec.to or "", tiers_of(s, status, decision.spec.by)
    if to not in s.roster:
        return Verdict(status, counted=False, message=f"there is no Responder {to} in this namespace")
    passed = [
        tier.name
        for tier in status.tiers
        if tier.name in mine and (rule := tier_of(s.rules, tier.name)) and accountable_of(tier, rule) != to
    ]
    if not passed:
        why = f"{to} answers for it already" if mine & {tier.name for tier in status.tiers} else "no tier of yours"
        return Verdict(status, counted=False, message=f"nothing to hand over: {why}")
    handed = HandOver(to=to, by=decision.spec.by, time=s.now, note=decision.spec.reason or "")
    tiers = tuple(
        tier.model_copy(update={"handed_over": handed}) if tier.name in passed else tier for tier in status.tiers
    )
    message = f"asked {to} to take over tier {', '.join(passed)}"
    return Verdict(status.model_copy(update={"tiers": tiers}), counted=True, message=message)


def accept(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Take over: the tiers are theirs and acknowledged, and who accepts leads."""
    by = decision.spec.by
    mine = [tier for tier in status.tiers if tier.handed_over and is_of(s, by, tier.handed_over.to)]
    if not mine:
        return Verdict(status, counted=False, message=f"nothing was handed over to {by}")
    taken = {tier.name for tier in mine}
    tiers = tuple(
        tier.model_copy(
            update={
                "accountable": tier.handed_over.to,
                "handed_over": None,
                "acknowledged_by": by,
                "acknowledged_time": s.now,
                **forgiven(tier),
            }
        )
        if tier.handed_over and tier.name in taken
        else tier
        for tier in status.tiers
    )
    lead = Lead(user=by, time=s.now, because="Accepted")
    changed = status.model_copy(update={"tiers": tiers, "lead": lead})
    return Verdict(changed, counted=True, message=f"took over tier {', '.join(tier.name for tier in mine)}")
