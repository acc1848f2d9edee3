"""What is said of a policy: whether it can work, whether its signals have data, and what may be authorised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tocsin.api.decision import Decision, DecisionType
from tocsin.api.objects import Finding, clip, stamp
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus, OptionStatus
from tocsin.api.responder import Responder
from tocsin.api.workload import WORKLOADS
from tocsin.decide.accepting import acceptances, clock_problems, clocks_accepted
from tocsin.decide.defaults import SignalRule, freeze, option_digest
from tocsin.decide.proposal import action_class
from tocsin.decide.situation import Failed, Measured, NoData, NoTarget, Reading, TargetView
from tocsin.decide.staffing import staffed, told_by, untold

RULES_SIZE = 16 * 1024
"""Bytes: an incident carries the policy cut to its model, and must stay small."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What bears on a policy."""

    now: datetime
    servers: frozenset[str]
    """The Prometheus servers that the operator knows."""
    targets: Mapping[str, TargetView | NoTarget] = field(default_factory=dict)
    """By model name, for the models that name a target."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """By model name: the older policy that names the same target."""
    responders: Mapping[str, Responder] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    """By field: queries that cannot be asked, and why."""
    readings: Mapping[tuple[str, str], Reading] = field(default_factory=dict)
    """By model and signal: what its last evaluation gave."""
    authorisations: Sequence[Decision] = ()
    acceptances: Sequence[Decision] = ()
    """The AcceptClock Decisions about it."""


def report(policy: EscalationPolicy, around: Surroundings) -> EscalationPolicyStatus:
    """The status of a policy; the same facts give the same status."""
    spec, generation = policy.spec, policy.metadata.generation
    findings = [_ready(policy, around), _measured(policy, around), _staffed_tiers(policy, around)]
    clocks = acceptances(policy, around.acceptances)
    if policy.spec.clocks:
        findings.append(clocks_accepted(policy, clocks))
    return EscalationPolicyStatus(
        observed_generation=generation,
        conditions=stamp(findings, policy.status.conditions, around.now, generation),
        signals=tuple(SignalRule.of(signal).shown() for signal in spec.signals),
        options=tuple(
            _option(option.name, action_class(option), option_digest(policy, option), _authorisations(policy, around))
            for option in spec.containment
        ),
        clocks=clocks,
    )


def _ready(policy: EscalationPolicy, around: Surroundings) -> Finding:
    """Ordered checks: the first that is violated is the reason."""
    for reason, problem in (
        ("UnknownPrometheus", _unknown_prometheus(policy, around)),
        ("RulesTooLarge", _too_large(policy)),
        ("TargetTaken", _taken(around)),
        ("InvalidClock", "; ".join(clock_problems(policy.spec, around.now))),
        ("InvalidQuery", "; ".join(f"{name}: {why}" for name, why in sorted(around.unusable.items()))),
        ("TargetMissing", _unreachable(around, "NotFound", "Unreadable")),
        ("TargetOwned", _owned(around)),
        ("Forbidden", _unreachable(around, "Forbidden") or _rights(policy, around)),
        ("ResponderMissing", _responders(policy, around)),
    ):
        if problem:
            return Finding(type="Ready", status="False", reason=reason, message=clip(problem, 1024))
    return Finding(type="Ready", status="True", reason="Accepted", message="everything that it names is there")


def _unknown_prometheus(policy: EscalationPolicy, around: Surroundings) -> str:
    wanted = policy.spec.prometheus
    if wanted in around.servers:
        return ""
    return f"spec.prometheus: the operator's settings have no server {wanted}: use {', '.join(sorted(around.servers))}"


def _too_large(policy: EscalationPolicy) -> str:
    for model in policy.spec.models:
        size = len(json.dumps(freeze(policy, model).dump()))
        if size > RULES_SIZE:
            return f"the rules of model {model.name} take {size} bytes, at most {RULES_SIZE}: split the policy"
    return ""


def _taken(around: Surroundings) -> str:
    return "; ".join(
        f"spec.models[{model}].target: policy {other} guards it already"
        for model, other in sorted(around.taken.items())
    )


def _unreachable(around: Surroundings, *reasons: str) -> str:
    return "; ".join(
        f"spec.models[{model}].target: {found.message}"
        for model, found in sorted(around.targets.items())
        if isinstance(found, NoTarget) and found.reason in reasons
    )


def _owned(around: Surroundings) -> str:
    return "; ".join(
        f"spec.models[{model}].target: {view.what} is controlled by {view.owner}, which would undo"
        " a containment: it can only be contained by hand"
        for model, view in sorted(around.targets.items())
        if isinstance(view, TargetView) and view.owner
    )


def _rights(policy: EscalationPolicy, around: Surroundings) -> str:
    kinds = {option.type for option in policy.spec.containment}
    missing = []
    for model, view in sorted(around.targets.items()):
        if not isinstance(view, TargetView):
            continue
        if "RollBack" in kinds and not view.may_roll_back:
            missing.append(_lacks(view, f"roll {view.what} back", model))
        if "Pause" in kinds and not view.may_pause:
            missing.append(_lacks(view, f"pause {view.what}", model))
        if "Scale" in kinds and not view.may_scale:
            missing.append(_lacks(view, f"scale {view.what}", model))
    return "; ".join(missing)


def _lacks(view: TargetView, deed: str, model: str) -> str:
    workload = WORKLOADS[view.kind]
    rights = ", ".join(view.lacking) or f"patch {workload.resource}"
    gives = f"chart value containment.{workload.plural}.enabled gives it"
    return f"Tocsin may not {deed} (model {model}): it lacks {rights}; {gives}"


def _responders(policy: EscalationPolicy, around: Surroundings) -> str:
    problems = []
    for tier in policy.spec.tiers:
        for name in tier.roles:
            responder = around.responders.get(name)
            if responder is None:
                problems.append(f"tier {tier.name}: Responder {name} does not exist")
            elif silent := untold(responder):
                problems.append(f"tier {tier.name}: Responder {name} has {silent}")
    for model in policy.spec.models:
        for what, name in model.owners.named.items():
            if name not in around.responders:
                problems.append(f"model {model.name}: Responder {name}, which owns its {what}, does not exist")
    return "; ".join(problems)


def _staffed_tiers(policy: EscalationPolicy, around: Surroundings) -> Finding:
    names = dict.fromkeys(name for tier in policy.spec.tiers for name in tier.roles)
    told = {name: told_by(around.responders.get(name)) for name in names}
    if unknown := [name for name, hole in told.items() if hole is None]:
        message = f"not there, or not looked at yet: Responder {', '.join(unknown)}"
        return Finding(type="Staffed", status="Unknown", reason="NotYet", message=clip(message, 1024))
    return staffed(filter(None, told.values()))


def _measured(policy: EscalationPolicy, around: Surroundings) -> Finding:
    blind = [signal.name for signal in policy.spec.signals if signal.reported_at is None]
    hint = f"; without reportedAt staleness cannot be seen: {', '.join(blind)}" if blind else ""
    failed, missing, unknown = [], [], []
    for model in policy.spec.models:
        labels = ", ".join(f"{name}={text}" for name, text in model.labels().items())
        for signal in policy.spec.signals:
            which = signal.name if len(policy.spec.models) == 1 else f"{signal.name} of {model.name}"
            match around.readings.get((model.name, signal.name)):
                case Failed(message):
                    failed.append(f"{which}: {message}")
                case NoData("Empty", message):
                    missing.append(f"{which}: {message}: a result must carry {labels}")
                case NoData(_, message):
                    missing.append(f"{which}: {message}")
                case None:
                    unknown.append(which)
                case Measured():
                    pass
    if failed:
        return _unmeasured("False", "QueryFailed", f"the query fails: {'; '.join(failed)}{hint}")
    if missing:
        return _unmeasured("False", "NoData", f"no data: {'; '.join(missing)}{hint}")
    if unknown:
        return _unmeasured("Unknown", "NotYet", f"not evaluated yet: {', '.join(unknown)}{hint}")
    return Finding(type="Measured", status="True", reason="HasData", message=f"every signal has data{hint}")


def _unmeasured(status: Literal["False", "Unknown"], reason: str, message: str) -> Finding:
    return Finding(type="Measured", status=status, reason=reason, message=clip(message, 1024))


def _authorisations(policy: EscalationPolicy, around: Surroundings) -> list[tuple[datetime, Decision]]:
    """Those of this very policy that have not expired, each with its end."""
    return [
        (one.spec.expire_time, one)
        for one in around.authorisations
        if one.spec.type is DecisionType.AUTHORISE
        and one.spec.policy_ref is not None
        and one.spec.policy_ref.uid == policy.metadata.uid
        and one.spec.expire_time is not None
        and one.spec.expire_time > around.now
    ]


def _option(name: str, class_: str, digest: str, authorisations: list[tuple[datetime, Decision]]) -> OptionStatus:
    mine = [(end, one) for end, one in authorisations if (one.spec.option, one.spec.digest) == (name, digest)]
    last = max(mine, key=lambda found: found[0], default=(None, None))[1]
    return OptionStatus.model_validate(
        {
            "name": name,
            "class": class_,
            "digest": digest,
            "authorisedBy": last.spec.by if last else None,
            "authorisedUntil": last.spec.expire_time if last else None,
        }
    )
