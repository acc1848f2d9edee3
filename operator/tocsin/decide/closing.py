"""How an incident is judged and ended: lowered by who answers for it, classified, resolved with a lesson to learn."""

from __future__ import annotations

from tocsin.api.decision import Assessment, Decision
from tocsin.api.incident import Classification, IncidentStatus, Lowered, Phase
from tocsin.api.objects import Severity
from tocsin.api.quantities import format_time
from tocsin.decide.approval import unsettled
from tocsin.decide.clocks import owed_for_clocks
from tocsin.decide.questions import open_questions
from tocsin.decide.situation import Situation
from tocsin.decide.standing import Verdict, decided, is_of
from tocsin.decide.tiers import accountable_of, tier_of
from tocsin.decide.undoing import under_way
from tocsin.decide.watch import compute


def lower(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Lower it, and remember the milder of what the person saw and what is computed now: anything worse is news.

    SEV1 and SEV2 are lowered only by the role that is accountable for the highest tier that was entered.
    """
    wanted, seen = decision.spec.severity, status.score
    if wanted is None or status.severity is None or seen is None or wanted.at_least(status.severity):
        return Verdict(status, counted=False, message=f"{wanted} is not lower than {status.severity}")
    role = _highest_role(s, status)
    if status.severity.at_least(Severity.SEV2) and role and not is_of(s, decision.spec.by, role):
        why = f"{status.severity} is lowered only by {role}, which is accountable for the highest tier entered"
        return Verdict(status, counted=False, message=why)
    now = compute(s, status)
    lowered = Lowered(
        by=decision.spec.by,
        time=s.now,
        to=wanted,
        computed=now.severity if seen.severity.at_least(now.severity) else seen.severity,
        floors=tuple(floor for floor in now.floors if floor in seen.floors),
    )
    changed = status.model_copy(update={"severity": wanted, "lowered": lowered})
    return Verdict(decided(s, changed, decision), counted=True, message=f"lowered from {status.severity} to {wanted}")


def _highest_role(s: Situation, status: IncidentStatus) -> str:
    tier = status.tiers[-1] if status.tiers else None
    rule = tier_of(s.rules, tier.name) if tier else None
    return accountable_of(tier, rule) if tier and rule else ""


def classify(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Keep what a person judges it to be; the last judgement counts, and all stand in the story."""
    judged = decision.spec.classification
    if judged is None:
        return Verdict(status, counted=False, message="it says nothing: give classification")
    kept = Classification(
        impact=judged.impact,
        legal_exposure=judged.legal_exposure,
        materiality=judged.materiality,
        by=decision.spec.by,
        time=s.now,
        reason=decision.spec.reason or "",
    )
    return Verdict(status.model_copy(update={"classification": kept}), counted=True, message=words_of(kept))


def words_of(judged: Assessment) -> str:
    """A classification in words."""
    return f"impact {judged.impact}, legal exposure {judged.legal_exposure}, materiality {judged.materiality}"


def resolve(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Close it, unless something is still owed: an answer, a verdict, or at SEV1 and SEV2 a post-mortem."""
    if refusal := _owed(s, status, decision):
        return Verdict(status, counted=False, message=refusal)
    after = decision.spec.post_mortem
    changed = status.model_copy(update={"resolved_time": s.now, "phase": Phase.RESOLVED, "post_mortem": after})
    lesson = f"; {after.owner} writes the post-mortem by {format_time(after.due_time)}" if after else ""
    return Verdict(decided(s, changed, decision), counted=True, message=f"resolved{lesson}")


def _owed(s: Situation, status: IncidentStatus, decision: Decision) -> str:
    """What must be done before it can be resolved; empty when nothing must."""
    if undoing := under_way(status):
        return f"{undoing} is being undone: resolve it afterwards"
    if waiting := unsettled(status):
        one = waiting[0]
        return f"{one.by} ordered {one.option} alone: somebody else must approve or reject that first"
    if owed := owed_for_clocks(status):
        return owed
    severe, after = bool(status.severity and status.severity.at_least(Severity.SEV2)), decision.spec.post_mortem
    asked = [f"{one.name} of tier {tier}" for tier, one in open_questions(s.rules, status)]
    if asked and severe:
        return f"at {status.severity} every question must be answered first: {', '.join(asked)}"
    if severe and after is None:
        return f"at {status.severity} somebody must write a post-mortem: give postMortem.owner and postMortem.dueTime"
    if after and after.due_time <= s.now:
        return f"postMortem.dueTime {format_time(after.due_time)} has passed already"
    return ""
