"""Who stands for the rules of a policy, since when no longer, and what the second line is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tocsin.api.attestation import Attestation, AttestRecord, LooseningRecord
from tocsin.api.decision import Decision
from tocsin.api.objects import Finding, clip, stamp
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.api.quantities import format_time
from tocsin.decide.defaults import digest
from tocsin.decide.governed import governed, loosenings
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.roster import Roster, fills, on_duty
from tocsin.decide.situation import Outcome, Trust

HEARD, KEPT = 8, 4
"""So many Attest Decisions, and so many notices, stay on record."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What bears on the attestation of a policy."""

    now: datetime
    roster: Roster
    attests: tuple[Decision, ...] = ()
    trust: Trust = Trust.MISSING
    trusted_since: datetime | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By key: what came of notices."""


def rules_digest(policy: EscalationPolicy) -> str:
    """What an attestation binds to: the governed rules of this very policy, and on what they rest."""
    bases = {one.name: one.basis for one in policy.spec.signals if one.basis}
    return digest([policy.metadata.namespace, policy.metadata.name, governed(policy.spec), bases])


def attested(policy: EscalationPolicy, status: EscalationPolicyStatus, h: Hearing) -> EscalationPolicyStatus:
    """The status with what there is to say of the attestation; the same facts give the same status.

    Of rules that nobody shall attest, and that nobody has, there is nothing to say.
    """
    known = policy.spec.second_line or policy.status.attestation or policy.status.attests
    if not known and not unheard_attests(policy, h.attests):
        return status
    mine, rules = rules_digest(policy), governed(policy.spec)
    attestation, records = _hear(policy, mine, rules, h)
    told = tuple(_noted(one, h.outcomes.get(one.key)) for one in policy.status.loosenings)
    looser = loosenings(attestation.rules, rules) if attestation else ()
    if attestation and looser:
        if attestation.void_time is None:
            attestation = attestation.model_copy(update={"void_time": h.now})
        told = _intended(policy, attestation, looser, told, mine, h.now)
    finding = _finding(policy, attestation, looser, records, told, mine, h)
    conditions = stamp([finding], policy.status.conditions, h.now, policy.metadata.generation)
    return status.model_copy(
        update={
            "digest": mine,
            "attestation": attestation,
            "attests": records,
            "loosenings": told,
            "conditions": (*status.conditions, *conditions),
        }
    )


# --- Decisions


def unheard_attests(policy: EscalationPolicy, attests: Iterable[Decision]) -> list[Decision]:
    """The Attest Decisions about this very policy that were not judged yet, the oldest first.

    Once the record is full, one that is older than all in it was judged and dropped, or a newer one counts anyway.
    """
    records = policy.status.attests
    heard = {one.uid for one in records}
    first = min((one.time, one.name) for one in records) if len(records) >= HEARD else None
    fresh = [
        one
        for one in attests
        if one.spec.policy_ref is not None
        and one.spec.policy_ref.uid == policy.metadata.uid
        and one.metadata.uid not in heard
        and (first is None or _order_of(one) > first)
    ]
    return sorted(fresh, key=_order_of)


def _hear(
    policy: EscalationPolicy, mine: str, rules: Mapping[str, str], h: Hearing
) -> tuple[Attestation | None, tuple[AttestRecord, ...]]:
    """The attestation that stands or stood last, and the record of Decisions; each is judged once.

    While the admission policies are not there unchanged nothing is heard: nobody vouches for who wrote it.
    """
    attestation, records = policy.status.attestation, policy.status.attests
    if h.trust is not Trust.TRUSTED:
        return attestation, records
    for decision in unheard_attests(policy, h.attests):
        refusal = _refusal(policy, decision, mine, h)
        metadata, spec = decision.metadata, decision.spec
        if not refusal:
            attestation = Attestation(
                by=spec.by,
                time=_created(decision),
                decision=metadata.name,
                uid=metadata.uid,
                digest=mine,
                rules=dict(rules),
            )
        record = AttestRecord(
            uid=metadata.uid,
            name=metadata.name,
            by=spec.by,
            time=_created(decision),
            counted=not refusal,
            message=clip(refusal or "attested the rules as they are", 1024),
        )
        records = (*records, record)[-HEARD:]
    return attestation, records


def _refusal(policy: EscalationPolicy, decision: Decision, mine: str, h: Hearing) -> str:
    """Why an Attest Decision cannot count; empty when it can."""
    role, by = policy.spec.second_line, decision.spec.by
    if h.trusted_since is not None and _created(decision) < h.trusted_since:
        return "void: it is older than the admission policy that vouches for its author"
    if role is None:
        return "spec.secondLine names nobody who attests these rules: set it"
    if role not in h.roster:
        return f"spec.secondLine: Responder {role} does not exist: create it"
    if not fills(h.roster, by, role):
        return f"{by} is a member neither of Responder {role}, the second line, nor of one that stands in for it"
    if decision.spec.digest != mine:
        return f"the rules are not those any more: look again, and use the digest {mine}"
    return ""


def _created(decision: Decision) -> datetime:
    created = decision.metadata.creation_timestamp
    assert created is not None, "the API server sets it"
    return created


def _order_of(decision: Decision) -> tuple[datetime, str]:
    return _created(decision), decision.metadata.name


# --- the condition


def _finding(
    policy: EscalationPolicy,
    attestation: Attestation | None,
    looser: tuple[str, ...],
    records: tuple[AttestRecord, ...],
    told: tuple[LooseningRecord, ...],
    mine: str,
    h: Hearing,
) -> Finding:
    if attestation is None:
        return _never(policy, records, h)
    who = _who(attestation)
    if attestation.void_time is not None:
        how = "; ".join(looser) or "the rules were loosened meanwhile, and are as strict again"
        message = f"void since {format_time(attestation.void_time)}, {who}: {how}{_untold(told)}"
        return Finding(type="Attested", status="False", reason="Loosened", message=clip(message, 1024))
    review_by = policy.spec.review_by
    if review_by is not None and review_by <= h.now:
        message = f"{who}; they were to be reviewed by {format_time(review_by)}: look at them, and attest them anew"
        return Finding(type="Attested", status="False", reason="ReviewOverdue", message=message)
    message = f"{who}{_until(review_by)}{_baseless(policy)}"
    if attestation.digest != mine:
        message = clip(f"changed since, and nothing is looser: {message}", 1024)
        return Finding(type="Attested", status="True", reason="Tightened", message=message)
    return Finding(type="Attested", status="True", reason="Attested", message=clip(message, 1024))


def _never(policy: EscalationPolicy, records: tuple[AttestRecord, ...], h: Hearing) -> Finding:
    role, name = policy.spec.second_line, policy.metadata.name
    if role is None:
        message = "nobody is named who attests these rules: set spec.secondLine to a Responder"
        return Finding(type="Attested", status="False", reason="NoSecondLine", message=message)
    words = [f"nobody of {role} has attested these rules: kubectl tocsin attest {name} -n {policy.metadata.namespace}"]
    if role not in h.roster:
        words.append(f"Responder {role} does not exist: create it")
    words += [f"decision/{one.name} by {one.by} did not count: {one.message}" for one in records[-1:]]
    if h.trust is not Trust.TRUSTED and (waiting := unheard_attests(policy, h.attests)):
        names = ", ".join(f"decision/{one.metadata.name}" for one in waiting)
        words.append(f"{names} is not heard: the admission policy that vouches for its author is {h.trust.value}")
    return Finding(type="Attested", status="False", reason="NeverAttested", message=clip("; ".join(words), 1024))


def _who(attestation: Attestation) -> str:
    return f"attested by {attestation.by} at {format_time(attestation.time)} (decision/{attestation.decision})"


def _untold(told: tuple[LooseningRecord, ...]) -> str:
    waiting = (one for one in told if _waits(one))
    return "".join(
        f"; {one.responder} was not told yet" + (f": {one.message}" if one.message else "") for one in waiting
    )


def _until(review_by: datetime | None) -> str:
    return f", to be reviewed by {format_time(review_by)}" if review_by else ""


def _baseless(policy: EscalationPolicy) -> str:
    names = [one.name for one in policy.spec.signals if not one.basis]
    return f"; without a basis: {', '.join(names)}" if names else ""


# --- what the second line is told


def _intended(
    policy: EscalationPolicy,
    attestation: Attestation,
    looser: tuple[str, ...],
    told: tuple[LooseningRecord, ...],
    mine: str,
    now: datetime,
) -> tuple[LooseningRecord, ...]:
    """Intend a notice when something is looser that was not told of this attestation.

    One that nobody has taken yet is never dropped: while the record is full of such, the next has to wait.
    """
    about = f"{policy.metadata.uid}/attestation/{attestation.uid}/"
    known = {words for one in told if one.key.startswith(about) for words in one.loosened}
    waiting = [one for one in told if _waits(one)]
    if known.issuperset(looser) or len(waiting) >= KEPT:
        return told
    role = attestation.rules["secondLine"]
    record = LooseningRecord(
        key=f"{about}{mine.removeprefix('sha256:')[:16]}/{role}",
        responder=role,
        attested=_who(attestation),
        loosened=looser,
        intended_time=now,
    )
    if any(one.key == record.key for one in told):
        return told
    if len(told) >= KEPT:
        told = (*[one for one in told if not _waits(one)][1:], *waiting)
    return (*told, record)


def _waits(record: LooseningRecord) -> bool:
    return record.done_time is None


def _noted(record: LooseningRecord, outcome: Outcome | None) -> LooseningRecord:
    if outcome is None or not _waits(record):
        return record
    done_at = outcome.at if outcome.result == "Done" else None
    return record.model_copy(update={"done_time": done_at, "message": clip(outcome.message, 200)})


def due_notices(
    policy: EscalationPolicy, status: EscalationPolicyStatus, roster: Roster, now: datetime
) -> list[Notify]:
    """The notices that were intended and that no channel has accepted yet."""
    name, namespace = policy.metadata.name, policy.metadata.namespace
    return [
        _notify(
            policy,
            one.key,
            one.responder,
            roster,
            cause="RulesLoosened",
            subject=f"Policy {name}: its rules were loosened, and are attested no more",
            lines=[
                f"Policy {name} in namespace {namespace} was {one.attested}. Its rules became looser:",
                *(f"- {words}" for words in one.loosened),
                "The attestation is void, also when they are made as strict again.",
                f"If it is right: kubectl tocsin attest {name} -n {namespace} --reason …",
            ],
            command=f"kubectl get escalationpolicy {name} -n {namespace} -o yaml",
            intended_at=one.intended_time,
            now=now,
        )
        for one in status.loosenings
        if _waits(one)
    ]


def removal_notice(policy: EscalationPolicy, roster: Roster, now: datetime) -> Notify | None:
    """What the second line is told when a policy is gone for which it stood, or had stood."""
    attestation, name, namespace = policy.status.attestation, policy.metadata.name, policy.metadata.namespace
    if attestation is None:
        return None
    role = attestation.rules["secondLine"]
    untold = [words for one in policy.status.loosenings if _waits(one) for words in one.loosened]
    return _notify(
        policy,
        f"{policy.metadata.uid}/attestation/{attestation.uid}/removed/{role}",
        role,
        roster,
        cause="PolicyRemoved",
        subject=f"Policy {name} was removed: what it guarded is guarded by it no more",
        lines=[
            f"Policy {name} in namespace {namespace} was {_who(attestation)}. It was deleted.",
            f"It guarded: {', '.join(one.name for one in policy.spec.models)}.",
            *(f"Before that it was loosened: {words}." for words in untold),
        ],
        command=f"kubectl get escalationpolicies -n {namespace}",
        intended_at=now,
        now=now,
    )


def _notify(
    policy: EscalationPolicy,
    key: str,
    role: str,
    roster: Roster,
    *,
    cause: str,
    subject: str,
    lines: list[str],
    command: str,
    intended_at: datetime,
    now: datetime,
) -> Notify:
    duty = on_duty(roster, role, now)
    to = f"To {duty.words}." if duty else "To all who read this: nobody of this role is there now."
    notice = Notice(
        key=key,
        namespace=policy.metadata.namespace,
        incident="",
        model="",
        severity="",
        responder=duty.role if duty else role,
        person=duty.member.user if duty else "",
        cause=cause,
        subject=clip(subject, 200),
        text="\n".join([to, *lines]),
        command=command,
        policy=policy.metadata.name,
    )
    return Notify(key, notice, intended_at)
