"""What people decided: each Decision is heard once, counts or is refused with a reason, and stays on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tocsin.api.decision import Decision, DecisionType
from tocsin.api.incident import (
    ApprovalStatus,
    DecisionRecord,
    HandOver,
    Held,
    IncidentStatus,
    Lead,
    Lowered,
    OptionRecord,
    OptionState,
    Phase,
    TierStatus,
)
from tocsin.api.objects import Severity, clip
from tocsin.decide.questions import answer_question, open_questions
from tocsin.decide.situation import Situation, Trust
from tocsin.decide.standing import Verdict, are_one, is_of, tiers_of
from tocsin.decide.story import tell
from tocsin.decide.tiers import accountable_of, enter, forgiven, next_after, tier_of
from tocsin.decide.watch import compute

HEARD = 40
LATE = timedelta(minutes=10)
"""So long a Decision may take from its creation to us before it is taken for one that was heard and dropped."""
MOST = 90
"""More records there are not, however quickly people decide."""
_OWN_ROSTER = (DecisionType.ACCEPT, DecisionType.DECIDE)
"""What others than the people of the tiers may be asked for."""
WORDS = 200
"""So many characters of a reason stand in the record; all of them stand in the Decision."""


def hear(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Apply the Decisions that were not heard yet, in the order of their creation.

    While the admission policies are not there unchanged nothing is heard: nobody vouches for who wrote it.
    """
    if s.trust is not Trust.TRUSTED:
        return status
    for decision in sorted(unheard(s.decisions, status), key=lambda one: (_created(one), one.metadata.name)):
        verdict = _judge(s, status, decision)
        status = _record(verdict, decision, s.now)
    return status


def unheard(decisions: Iterable[Decision], status: IncidentStatus) -> list[Decision]:
    """Those about the incident that were not judged yet."""
    heard = {record.uid for record in status.decisions}
    return [
        decision
        for decision in decisions
        if decision.spec.type is not DecisionType.AUTHORISE
        and decision.metadata.uid not in heard
        and not _forgotten(decision, status)
    ]


def authorisation(s: Situation, option: str, digest: str | None) -> Decision | None:
    """The standing authorisation of an option that holds now; admission saw to the right.

    It is bound to the option's digest and to the policy's UID: a policy of the same name that was made anew needs its
    own.
    """
    if digest is None or s.trust is not Trust.TRUSTED:
        return None
    return next(
        (
            decision
            for decision in sorted(s.decisions, key=lambda one: (_created(one), one.metadata.name))
            if decision.spec.type is DecisionType.AUTHORISE
            and decision.spec.option == option
            and decision.spec.digest == digest
            and decision.spec.policy_ref is not None
            and decision.spec.policy_ref.uid == s.incident.spec.policy_ref.uid
            and decision.spec.expire_time is not None
            and decision.spec.expire_time > s.now
            and (s.trusted_since is None or _created(decision) >= s.trusted_since)
        ),
        None,
    )


def _created(decision: Decision) -> datetime:
    created = decision.metadata.creation_timestamp
    assert created is not None, "the API server stamps every object"
    return created


def _forgotten(decision: Decision, status: IncidentStatus) -> bool:
    return status.decisions_through is not None and _created(decision) <= status.decisions_through


def _judge(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    refusal = _void(s, status, decision)
    if refusal:
        return Verdict(status, counted=False, message=refusal)
    if status.resolved_time:
        return Verdict(status, counted=False, message="the incident is resolved")
    match decision.spec.type:
        case DecisionType.ACKNOWLEDGE:
            return _acknowledge(s, status, decision)
        case DecisionType.APPROVE | DecisionType.REJECT:
            return _answer(s, status, decision)
        case DecisionType.ESCALATE:
            return _escalate(s, status, decision)
        case DecisionType.LOWER:
            return _lower(s, status, decision)
        case DecisionType.HAND_OVER | DecisionType.ACCEPT:
            return (_accept if decision.spec.type is DecisionType.ACCEPT else _hand_over)(s, status, decision)
        case DecisionType.DECIDE:
            return answer_question(s, status, decision)
        case DecisionType.NOTE:
            return Verdict(status, counted=True, message="noted")
        case DecisionType.HOLD | DecisionType.RESUME:
            return _hold(s, status, decision)
        case _:
            return _resolve(s, status, decision)


def _hold(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    if decision.spec.type is DecisionType.HOLD:
        held = Held(by=decision.spec.by, time=s.now, reason=decision.spec.reason or "")
        return Verdict(status.model_copy(update={"held": held}), counted=True, message="automation is on hold")
    if status.held is None:
        return Verdict(status, counted=False, message="nothing is on hold")
    return Verdict(status.model_copy(update={"held": None}), counted=True, message="automation goes on")


def _void(s: Situation, status: IncidentStatus, decision: Decision) -> str:
    """Why a Decision cannot count, whatever it says; empty when it can."""
    created, opened = _created(decision), s.incident.metadata.creation_timestamp
    reference = decision.spec.incident_ref
    if s.trusted_since is not None and created < s.trusted_since:
        return "void: it is older than the admission policy that vouches for its author"
    if opened is not None and created < opened:
        return "void: it is older than the incident"
    if reference is not None and reference.uid not in (None, s.incident.metadata.uid):
        return f"void: its incidentRef.uid {reference.uid} is not this incident's"
    if decision.spec.type not in _OWN_ROSTER and not tiers_of(s, status, decision.spec.by):
        return (
            f"{decision.spec.by} is a member of no Responder that is accountable or responsible in this policy's tiers"
        )
    return ""


def _acknowledge(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    mine = tiers_of(s, status, decision.spec.by)
    fresh = [tier.name for tier in status.tiers if tier.name in mine and tier.acknowledged_time is None]
    if not fresh:
        entered = any(tier.name in mine for tier in status.tiers)
        why = "your tier is acknowledged already" if entered else f"tier {', '.join(sorted(mine))} was not entered yet"
        return Verdict(status, counted=False, message=why)
    tiers = tuple(
        tier.model_copy(update={"acknowledged_by": decision.spec.by, "acknowledged_time": s.now})
        if tier.name in fresh
        else tier
        for tier in status.tiers
    )
    return Verdict(
        status.model_copy(update={"tiers": tiers}), counted=True, message=f"acknowledged tier {', '.join(fresh)}"
    )


def _hand_over(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
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


def _accept(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
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


def _answer(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    record = next((one for one in status.containment if one.name == decision.spec.option), None)
    refusal = _unanswerable(s, record, decision)
    if refusal or record is None:
        return Verdict(status, counted=False, message=refusal)
    if decision.spec.type is DecisionType.REJECT:
        why = clip(f"rejected by {decision.spec.by}: {decision.spec.reason}", 1024)
        changed = record.model_copy(update={"state": OptionState.REJECTED, "message": why})
        message = f"rejected {record.name}, for good"
    else:
        approval = ApprovalStatus(by=decision.spec.by, time=s.now, decision=decision.metadata.name)
        changed = record.model_copy(update={"approvals": (*record.approvals, approval)})
        message = f"approved {record.name} ({len(changed.approvals)} of {record.needs})"
    containment = tuple(changed if one.name == record.name else one for one in status.containment)
    return Verdict(
        _decided(s, status.model_copy(update={"containment": containment}), decision), counted=True, message=message
    )


def _unanswerable(s: Situation, record: OptionRecord | None, decision: Decision) -> str:
    if record is None or record.state is not OptionState.ASKING:
        state = f"it is {record.state}" if record else "it was not tried"
        return f"option {decision.spec.option} does not ask for approval: {state}"
    if record.digest != decision.spec.digest:
        return f"what would be done has changed: look again, and use the digest {record.digest}"
    if decision.spec.type is DecisionType.APPROVE:
        by, asked = decision.spec.by, s.incident.spec.by
        if asked and are_one(s, by, asked):
            return f"{by} asked for it and cannot approve it: four eyes"
        if approval := next((one for one in record.approvals if are_one(s, by, one.by)), None):
            account = "" if approval.by == by else f" as {approval.by}"
            return f"{by} has approved already{account}: another person is needed"
        if len(record.approvals) >= max(1, record.needs):
            return f"option {record.name} needs no further approval"
    return ""


def _escalate(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    wanted = decision.spec.tier or next_after(s.rules, status)
    if wanted is None:
        return Verdict(status, counted=False, message="the last tier was entered already")
    if wanted not in {tier.name for tier in s.rules.tiers}:
        return Verdict(status, counted=False, message=f"the policy has no tier {wanted}")
    if any(tier.name == wanted for tier in status.tiers):
        return Verdict(status, counted=False, message=f"tier {wanted} was entered already")
    entered = enter(s, status, wanted, f"escalated by {decision.spec.by}: {decision.spec.reason}")
    return Verdict(entered, counted=True, message=f"entered tier {wanted}")


def _lower(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Lower it, and remember the milder of what the person saw and what is computed now: anything worse is news."""
    wanted, seen = decision.spec.severity, status.score
    if wanted is None or status.severity is None or seen is None or wanted.at_least(status.severity):
        return Verdict(status, counted=False, message=f"{wanted} is not lower than {status.severity}")
    now = compute(s, status)
    lowered = Lowered(
        by=decision.spec.by,
        time=s.now,
        to=wanted,
        computed=now.severity if seen.severity.at_least(now.severity) else seen.severity,
        floors=tuple(floor for floor in now.floors if floor in seen.floors),
    )
    changed = status.model_copy(update={"severity": wanted, "lowered": lowered})
    return Verdict(_decided(s, changed, decision), counted=True, message=f"lowered from {status.severity} to {wanted}")


def _resolve(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    asked = [f"{one.name} of tier {tier}" for tier, one in open_questions(s.rules, status)]
    if asked and status.severity and status.severity.at_least(Severity.SEV2):
        why = f"at {status.severity} every question must be answered first: {', '.join(asked)}"
        return Verdict(status, counted=False, message=why)
    open_signals = [signal.name for signal in status.signals if signal.sustained or signal.missing]
    if open_signals and not decision.spec.reason:
        why = f"{', '.join(open_signals)} has not recovered: resolving it now needs a reason"
        return Verdict(status, counted=False, message=why)
    changed = status.model_copy(update={"resolved_time": s.now, "phase": Phase.RESOLVED})
    return Verdict(_decided(s, changed, decision), counted=True, message="resolved")


def _decided(s: Situation, status: IncidentStatus, decision: Decision) -> IncidentStatus:
    mine = tiers_of(s, status, decision.spec.by)

    def mark(tier: TierStatus) -> TierStatus:
        rule = tier_of(s.rules, tier.name)
        if tier.name not in mine or tier.decided_time is not None or (rule and rule.questions):
            return tier
        return tier.model_copy(update={"decided_by": decision.spec.by, "decided_time": s.now})

    return status.model_copy(update={"tiers": tuple(mark(tier) for tier in status.tiers)})


def _record(verdict: Verdict, decision: Decision, now: datetime) -> IncidentStatus:
    record = DecisionRecord(
        uid=decision.metadata.uid,
        name=decision.metadata.name,
        type=decision.spec.type,
        by=decision.spec.by,
        time=_created(decision),
        counted=verdict.counted,
        message=clip(verdict.message, WORDS),
        reason=clip(decision.spec.reason or "", WORDS),
    )
    records, through = _bounded((*verdict.status.decisions, record), verdict.status.decisions_through, now)
    word = "" if verdict.counted else " (did not count)"
    because = f" — {decision.spec.reason}" if decision.spec.reason else ""
    status = verdict.status.model_copy(update={"decisions": records, "decisions_through": through})
    return tell(status, now, [f"{decision.spec.by}: {decision.spec.type}{word}: {verdict.message}{because}"])


def _bounded(
    records: Sequence[DecisionRecord], through: datetime | None, now: datetime
) -> tuple[tuple[DecisionRecord, ...], datetime | None]:
    """Past the bound old ones are dropped, and the instant is kept up to which all were heard."""
    if len(records) <= HEARD:
        return tuple(records), through
    by_age = sorted(records, key=lambda record: record.time)
    dropped = [
        one
        for place, one in enumerate(by_age[: len(records) - HEARD])
        if one.time < now - LATE or place < len(records) - MOST
    ]
    if not dropped:
        return tuple(records), through
    return tuple(by_age[len(dropped) :]), max(record.time for record in dropped)
