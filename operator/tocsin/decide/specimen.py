"""An incident of a policy as it would be in a phase, for whoever reads a message before there is one."""

from __future__ import annotations

from datetime import datetime, timedelta

from tocsin.api.incident import (
    Incident,
    IncidentSpec,
    IncidentStatus,
    Lead,
    OptionRecord,
    OptionState,
    Origin,
    Phase,
    PolicyReference,
    Score,
    SignalState,
    SignalStatus,
    Term,
)
from tocsin.api.objects import Metadata, Severity
from tocsin.api.policy import EscalationPolicy, PolicyModel, Rules
from tocsin.api.template import MessagePhase
from tocsin.decide.defaults import freeze

AGES = {
    MessagePhase.INITIAL: timedelta(minutes=20),
    MessagePhase.UPDATE: timedelta(hours=1),
    MessagePhase.REMEDIATION: timedelta(hours=3),
    MessagePhase.POST_INCIDENT: timedelta(hours=26),
    MessagePhase.CORRECTION: timedelta(hours=27),
}
"""How old the incident is in each phase."""
CONTAINED, RECOVERED, RESOLVED = timedelta(minutes=12), timedelta(hours=2), timedelta(hours=25)


def specimen(
    policy: EscalationPolicy, model: PolicyModel, phase: MessagePhase, now: datetime
) -> tuple[Incident, Rules]:
    """An incident of SEV2 by the policy's first signal, contained by its first option, with the rules it goes by."""
    rules, began = freeze(policy, model), now - AGES[phase]
    recovered, resolved = began + RECOVERED <= now, began + RESOLVED <= now
    first = rules.signals[0]
    signal = SignalStatus(
        name=first.name, state=SignalState.RECOVERED if recovered else SignalState.FIRING, sustained=not recovered
    )
    status = IncidentStatus(
        opened_time=began,
        severity=Severity.SEV2,
        risk=61,
        phase=Phase.RESOLVED if resolved else Phase.RECOVERED if recovered else Phase.CONTAINED,
        tier=rules.tiers[-1].name,
        lead=Lead(user="lead@example.com", time=began, because="Acknowledged"),
        waiting_for="nobody" if resolved else f"{rules.tiers[-1].name}: decide",
        next_deadline_time=None if resolved else began + timedelta(hours=4),
        score=Score(
            risk=61,
            band=Severity.SEV2,
            severity=Severity.SEV2,
            terms=(Term(name="affected", value=5, because="20 × 1/4: 812 decisions"),),
        ),
        signals=(signal,),
        containment=_contained(rules, began + CONTAINED),
        recovered_time=began + RECOVERED if recovered else None,
        resolved_time=began + RESOLVED if resolved else None,
    )
    return _incident(policy, model, rules, began, status), rules


_DONE = {
    "RollBack": "the pod template of the revision that was healthy last",
    "Scale": "the number of replicas that the option names",
    "Pause": "the rollout is held where it was",
}


def _contained(rules: Rules, at: datetime) -> tuple[OptionRecord, ...]:
    """The first option of the policy, done."""
    return tuple(
        OptionRecord(
            name=option.name,
            type=option.type,
            class_="B",
            state=OptionState.HELPED,
            summary=_DONE[option.type],
            settled_time=at,
        )
        for option in rules.containment[:1]
    )


def _incident(
    policy: EscalationPolicy, model: PolicyModel, rules: Rules, began: datetime, status: IncidentStatus
) -> Incident:
    spec = IncidentSpec(
        origin=Origin.SIGNAL, policy_ref=PolicyReference(name=policy.metadata.name), model=model.name, rules=rules
    )
    name = f"{model.name[:50].rstrip('-')}-0a1b2c3d"
    metadata = Metadata(name=name, namespace=policy.metadata.namespace, uid="specimen", creation_timestamp=began)
    return Incident(metadata=metadata, spec=spec, status=status)
