"""Small builders for what tests say again and again: a policy, its people, a target, an incident, a situation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import yaml

from tocsin.api.containment import Freeze
from tocsin.api.decision import Decision, DecisionSpec
from tocsin.api.incident import Incident, IncidentSpec, IncidentStatus, Origin, PolicyReference
from tocsin.api.objects import Metadata
from tocsin.api.policy import EscalationPolicy, Rules
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.decide.defaults import SignalRule, freeze
from tocsin.decide.script import Track
from tocsin.decide.signals import Answer, remember
from tocsin.decide.situation import Failed, Measured, Memory, NoData, Reading, Revision, Sample, Situation, TargetView

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MIN = timedelta(minutes=1)
HOUR = timedelta(hours=1)

POLICY = """
mode: Enforce
models:
- name: fraud
  target: {apiVersion: apps/v1, kind: Deployment, name: fraud}
risk: {regulatory: 2, reputation: 2}
signals:
- {name: latency, kind: Latency, query: p99, warn: "> 0.3", critical: "> 0.6", recover: "<= 0.24", for: 3m}
containment:
- name: last-healthy
  type: RollBack
  effect: {experience: Payments are checked by the older rules., fallback: The desk reviews large payments by hand.}
  approval: {required: 1}
- name: stop
  type: Scale
  scale: {replicas: 0}
  effect: {experience: Payments above 500 wait., fallback: The desk releases waiting payments by hand.}
tiers:
- {name: owners, severity: SEV3, accountable: owners, acknowledgeWithin: 15m, containWithin: 1h}
- {name: compliance, severity: SEV2, accountable: compliance, acknowledgeWithin: 15m, decideWithin: 4h}
- {name: board, severity: SEV1, accountable: board, acknowledgeWithin: 15m}
"""
"""The policy of these tests: one signal, two options, three tiers."""


def a_policy(text: str = POLICY, **changes: Any) -> EscalationPolicy:
    """A policy out of YAML, with whole fields of its spec replaced."""
    spec = yaml.safe_load(text) | changes
    metadata = {"name": "fraud", "namespace": "models", "uid": "policy-uid", "generation": 1}
    return EscalationPolicy.model_validate({"metadata": metadata, "spec": spec})


def a_freeze(begin: timedelta = timedelta(), end: timedelta = HOUR, name: str = "move") -> Freeze:
    """A freeze of a policy, from and until so long after T0."""
    return Freeze(name=name, from_=T0 + begin, until=T0 + end, reason="the platform moves")


def the_rules(policy: EscalationPolicy | None = None) -> Rules:
    """The policy cut to its first model."""
    policy = policy or a_policy()
    return freeze(policy, policy.spec.models[0])


def a_responder(name: str, *users: str) -> Responder:
    members = [{"name": user.capitalize(), "user": user} for user in users]
    return Responder.model_validate({"metadata": {"name": name, "namespace": "models"}, "spec": {"members": members}})


ROSTER = {
    "owners": a_responder("owners", "alice", "bob"),
    "compliance": a_responder("compliance", "carol", "dan"),
    "board": a_responder("board", "erin"),
}


def a_revision(version: int, **changes: Any) -> Revision:
    fields: dict[str, Any] = {
        "uid": f"rs-{version}",
        "name": f"fraud-{version}",
        "number": version,
        "template_hash": f"hash-{version}",
        "images": (f"fraud:{version}",),
    }
    return Revision(**fields | changes)


def a_target(**changes: Any) -> TargetView:
    """A settled Deployment of 4 replicas at its second revision; the first is marked healthy."""
    fields: dict[str, Any] = {
        "kind": "Deployment",
        "uid": "target-uid",
        "name": "fraud",
        "resource_version": "1",
        "generation": 2,
        "observed_generation": 2,
        "replicas": 4,
        "running_replicas": 4,
        "updated_replicas": 4,
        "current_hash": "hash-2",
        "revisions": (a_revision(1, healthy=True), a_revision(2)),
        "images": ("fraud:2",),
    }
    return TargetView(**fields | changes)


def rolled_back(key: str = "", **changes: Any) -> TargetView:
    """The same Deployment after its rollback under that effect key."""
    fields: dict[str, Any] = {
        "current_hash": "hash-1",
        "contained_by": key,
        "revisions": (a_revision(2), a_revision(1, number=3, healthy=True)),
        "images": ("fraud:1",),
    }
    return a_target(**fields | changes)


def a_decision(kind: str, by: str, at: datetime = T0, **fields: Any) -> Decision:
    """A Decision about the incident of ``an_incident``, or about the policy of ``a_policy`` where it is about one."""
    reference: dict[str, Any] = {"incidentRef": {"name": "fraud-1", "uid": "incident-uid"}}
    if kind in ("Authorise", "Attest", "AcceptClock"):
        reference = {"policyRef": {"name": "fraud", "uid": "policy-uid"}}
    uid = fields.pop("uid", f"{kind.lower()}-{by}-{at.isoformat()}")
    spec = DecisionSpec.model_validate({"type": kind, "by": by, **reference, **fields})
    metadata = Metadata(name=f"{kind.lower()}-{by}", namespace="models", uid=uid, creation_timestamp=at)
    return Decision(metadata=metadata, spec=spec)


def a_silence(
    *matchers: dict[str, Any], name: str = "quiet", begin: datetime = T0, until: datetime = T0 + HOUR, **spec: Any
) -> Silence:
    """A Silence by alice, of everything where no matcher is given."""
    usual = {"matchers": matchers, "everything": not matchers, "from": begin, "until": until}
    made = usual | {"reason": "maintenance", "by": "alice"} | spec
    metadata = {"name": name, "namespace": "models", "uid": f"uid-{name}", "creationTimestamp": begin}
    return Silence.model_validate({"metadata": metadata, "spec": made})


def an_incident(
    rules: Rules | None = None, *, opened_at: datetime = T0, by: str | None = None, **status: Any
) -> Incident:
    """An incident opened by the operator, or by that person; ``status`` are whole fields of its status."""
    spec = IncidentSpec(
        origin=Origin.PERSON if by else Origin.SIGNAL,
        policy_ref=PolicyReference(name="fraud", uid="policy-uid", generation=1),
        model="fraud",
        by=by,
        reason="customers complain" if by else None,
        rules=None if by else rules or the_rules(),
    )
    metadata = Metadata(name="fraud-1", namespace="models", uid="incident-uid", creation_timestamp=opened_at)
    return Incident(metadata=metadata, spec=spec, status=IncidentStatus.model_validate(status))


def a_memory(rule: SignalRule, *values: Any, at: datetime = T0) -> Memory:
    """What one evaluation per step gives, the last one at that instant; None is no data, a Reading is itself."""
    first = at - rule.every * (len(values) - 1)
    memory = remember(rule, ((first + rule.every * place, a_reading(value)) for place, value in enumerate(values)))
    assert memory is not None, "at least one value is needed"
    return memory


def a_reading(value: Any) -> Reading:
    """A number, or None for an empty answer, or a reading as it is."""
    if isinstance(value, Measured | NoData | Failed):
        return value
    return NoData("Empty", "nothing") if value is None else Measured(Decimal(str(value)))


LATENCY = SignalRule.of(the_rules().signals[0])


def latency(*values: Any, at: datetime = T0) -> dict[str, Memory]:
    """Memories of the policy's only signal."""
    return {"latency": a_memory(LATENCY, *values, at=at)}


SUSTAINED = (0.2, 0.5, 0.9, 0.9, 0.9)
"""Values that end in a breach sustained for three minutes."""


def a_situation(incident: Incident | None = None, *, now: datetime = T0, **changes: Any) -> Situation:
    """An incident whose signal is sustained, with everybody on the roster, the target as it was, and trust."""
    incident = incident or an_incident()
    rules = changes.pop("rules", None) or incident.rules or the_rules()
    fields: dict[str, Any] = {
        "mode": rules.mode,
        "signals": latency(*SUSTAINED, at=now),
        "roster": ROSTER,
        "target": a_target(),
    }
    return Situation(now=now, incident=incident, rules=rules, **fields | changes)


def a_track(step: timedelta, *values: Any, labels: Mapping[str, str] | None = None) -> Track:
    """One answer per step; None is an empty answer, Failed and NoData stand for themselves."""

    def answer(value: Any) -> Answer:
        if isinstance(value, Failed | NoData):
            return value
        return () if value is None else (Sample(labels or {}, Decimal(str(value))),)

    return Track(step, tuple(answer(value) for value in values))
