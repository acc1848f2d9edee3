"""What each option of a policy would do to its models as they are now, said before anything is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from tocsin.api.containment import Option, Target
from tocsin.api.decision import Decision
from tocsin.api.incident import Incident, OptionRecord, OptionState
from tocsin.api.objects import Severity, condition
from tocsin.api.policy import EscalationPolicy, Mode, PolicyModel, Rules
from tocsin.api.workload import WORKLOADS
from tocsin.decide.containment import approvals_needed
from tocsin.decide.defaults import SignalRule, freeze
from tocsin.decide.felt import felt
from tocsin.decide.floor import below_floor
from tocsin.decide.freezes import freeze_in_force, words_of
from tocsin.decide.options import tried_to_leave
from tocsin.decide.people import authorised
from tocsin.decide.proposal import action_class, pinning, propose
from tocsin.decide.restoring import by_hand, to_put_back, what_comes_back
from tocsin.decide.situation import Autoscaler, NoTarget, Proposal, Refusal, TargetView

THEN: Mapping[str, str] = {
    "TargetMissing": "create {what} in namespace {namespace}, or name what serves the model in spec.models[].target",
    "TargetPaused": "let it go on: kubectl rollout resume {lower} -n {namespace}, or set"
    " spec.updateStrategy.type of {what} to RollingUpdate, or lower its partition",
    "TargetDeleting": "wait until it is gone, then create it anew",
    "TargetOwned": "contain it by the controller that owns it, and take spec.models[].target out until Tocsin can",
    "RevisionUnfit": "roll out a revision that is good and valid, or change what the kept one says of itself: its"
    " annotation tocsin.dev/withdrawn or tocsin.dev/validated-until",
    "NoEarlierRevision": "roll out another revision that is good; spec.revisionHistoryLimit of {what} must keep it",
    "AlreadyThere": "nothing need be done if that is meant; else lower scale.replicas of an option that scales",
    "Forbidden": "give the right, by the chart value containment.{plural}.enabled=true; another account is named by"
    " --operator-namespace and --service-account",
    "LatelyDenied": "ask again in a minute",
    "RollingOut": "ask again when its controller has: kubectl rollout status {lower} -n {namespace}",
    "Unreadable": "ask somebody who may read it: kubectl auth can-i get {resource} -n {namespace}",
}
"""What to do next, by the reason for which an option would be refused; Unreadable where nobody could tell."""


@dataclass(frozen=True, slots=True)
class Bearings:
    """What bears on all models of a policy: its decisions and incidents, the brakes, and what could not be read."""

    now: datetime
    policy_uid: str = ""
    """Of the policy in the cluster, to which authorisations are bound; empty when there is none of that name."""
    decisions: tuple[Decision, ...] = ()
    incidents: tuple[Incident, ...] = ()
    """Of the namespace."""
    namespace_hold: str = ""
    cluster_hold: str = ""
    account: str = ""
    """Whose rights were asked for."""
    unknown: tuple[str, ...] = ()
    """What could not be told, each with how to find it out."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object whose fields would be written."""

    object: str
    """Its kind and name."""
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    """The same fields then; those of an autoscaler's ``behavior`` are not there where it has none."""


@dataclass(frozen=True, slots=True)
class PlannedOption:
    """One option: what it would write now and on whose word, or why it would be refused."""

    name: str
    type: str
    class_: str
    approvals: Mapping[str, int]
    """How many people must approve, by severity."""
    verify_within: timedelta
    helped: tuple[str, ...]
    """When each signal is well again: by those that breached when it ran it is judged whether it helped."""
    felt: tuple[str, ...] = ()
    """What people will feel of it, and do by hand meanwhile: read first."""
    summary: str = ""
    notes: tuple[str, ...] = ()
    digest: str = ""
    changes: tuple[Change, ...] = ()
    """In the order in which they are written."""
    revision: int | None = None
    """Of a rollback: the revision that it goes back to."""
    healthy: bool | None = None
    """Of a rollback: whether that revision is marked healthy."""
    undo: str = ""
    """What ``kubectl tocsin undo`` would bring back, and how that is done by hand."""
    by_hand: str = ""
    reason: str = ""
    """Why it would be refused, as one word; empty when it could be done."""
    message: str = ""
    then: str = ""
    """What to do next about a refusal."""
    fail_safe_after: timedelta | None = None
    expire_after: timedelta | None = None
    authorised_by: str | None = None
    authorised_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """One model with its options, in the order in which they are tried."""

    name: str
    target: str = ""
    """Kind and name; empty when the policy names none."""
    now: str = ""
    """What the target is like, in words."""
    owners: tuple[str, ...] = ()
    """Who else writes it, and what they would do."""
    incident: str = ""
    """The open incident of the target, with what that means; empty when there is none."""
    options: tuple[PlannedOption, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A policy as it would act now."""

    policy: str
    namespace: str
    mode: str
    account: str
    brakes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    models: tuple[PlannedModel, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether every option could be done."""
        return not any(option.reason for model in self.models for option in model.options)


@dataclass(frozen=True, slots=True)
class Seen:
    """A model's target as it was read."""

    view: TargetView | NoTarget
    templates: Mapping[str, str] = field(default_factory=dict)
    """The templates that are kept, as canonical JSON, by the UID of what keeps them."""


def planned(policy: EscalationPolicy, seen: Mapping[str, Seen], bearings: Bearings) -> Planned:
    """The policy's plan; ``seen`` has the target of each model that names one."""
    models = (plan_of(policy, model, seen.get(model.name), bearings) for model in policy.spec.models)
    return Planned(
        policy=policy.metadata.name,
        namespace=policy.metadata.namespace,
        mode=policy.spec.mode.value,
        account=bearings.account,
        brakes=tuple(_brakes(policy, bearings)),
        unknown=bearings.unknown,
        models=tuple(models),
    )


def plan_of(policy: EscalationPolicy, model: PolicyModel, seen: Seen | None, bearings: Bearings) -> PlannedModel:
    """One model's plan; without a target nothing was seen, and it has no option."""
    rules = freeze(policy, model)
    if model.target is None or seen is None:
        return PlannedModel(model.name)
    on_target = [one for one in bearings.incidents if one.rules and one.rules.model.target == model.target]
    contained = _barred(on_target)
    options = (_planned(rules, option, seen, contained, policy.metadata.namespace) for option in rules.containment)
    view = seen.view
    return PlannedModel(
        name=model.name,
        target=model.target.what,
        now=_state(view),
        owners=tuple(_owners(view)) if isinstance(view, TargetView) else (),
        incident=next((_met(one) for one in on_target if not one.resolved), ""),
        options=tuple(_with_word(rules, option, bearings) for option in options),
    )


def _brakes(policy: EscalationPolicy, bearings: Bearings) -> Iterable[str]:
    """What keeps Tocsin from acting by itself, however an option stands."""
    ready = condition(policy.status.conditions, "Ready")
    if policy.metadata.uid and policy.status.observed_generation != policy.metadata.generation:
        yield "Tocsin has not looked at the policy as it is now: until it has, nothing of this is in force"
    elif ready and ready.status == "False":
        yield f"the policy is not ready: {ready.reason}: {ready.message}"
    if policy.spec.mode is Mode.OBSERVE:
        yield "spec.mode is Observe: nothing would be written, each option is only tried as a dry run"
    if bearings.cluster_hold:
        yield f"the whole cluster is on hold: {bearings.cluster_hold}: nothing is contained until the label is gone"
    if bearings.namespace_hold:
        yield f"the namespace is on hold: {bearings.namespace_hold}: nothing is contained until the label is gone"
    if frozen := freeze_in_force(policy.spec.freezes, bearings.now):
        yield f"{words_of(frozen)}: nothing is contained until then"


def _barred(on_target: Iterable[Incident]) -> frozenset[str]:
    """The revisions to which no rollback of a target goes: what any incident contained, or tries to leave."""
    barred: set[str] = set()
    for one in on_target:
        barred |= {*one.status.contained_revisions, *(() if one.resolved else tried_to_leave(one.status))}
    return frozenset(barred)


def _met(incident: Incident) -> str:
    held = incident.status.held
    brake = f"; it is on hold by {held.by}: {held.reason}" if held else ""
    name = incident.metadata.name
    return f"incident {name} is open, and goes by the rules that it began with{brake}: kubectl tocsin show {name}"


def _state(view: TargetView | NoTarget) -> str:
    if isinstance(view, NoTarget):
        return view.message
    current = next((one for one in view.revisions if one.template_hash == view.current_hash), None)
    revision = f"revision {current.number}" if current else "a template that its controller has not taken up yet"
    return f"{view.replicas} replicas of {revision} ({', '.join(view.images)})"


def _owners(view: TargetView) -> Iterable[str]:
    if view.owner:
        yield f"{view.owner} controls it, and would undo what is done to it"
    if view.git_owner:
        yield f"{view.git_owner} applies it from Git, and may revert what is done to it until it is changed there too"
    if one := view.autoscaler:
        yield f"HorizontalPodAutoscaler/{one.name} keeps it at {one.min_replicas} to {one.max_replicas} replicas"


def _planned(rules: Rules, option: Option, seen: Seen, contained: frozenset[str], namespace: str) -> PlannedOption:
    """The option without what people have said of it."""
    target = rules.model.target
    assert target is not None, "without a target there are no options"
    low = below_floor(rules.model, option, seen.view)
    fields: dict[str, Any] = {
        "name": option.name,
        "type": option.type,
        "class_": action_class(option),
        "approvals": {one.value: approvals_needed(option, one, wary=bool(low)) for one in Severity},
        "felt": felt(option),
        "verify_within": option.verify_within,
        "helped": tuple(f"{signal.name} {SignalRule.of(signal).recover}" for signal in rules.signals),
        "fail_safe_after": option.approval.fail_safe_after,
        "expire_after": option.approval.expire_after,
    }
    found = _proposed(option, seen.view, contained)
    if isinstance(found, Proposal) and isinstance(seen.view, TargetView):
        return PlannedOption(**fields, **_deed(option, found, seen.view, seen.templates, namespace, target, low))
    assert not isinstance(found, Proposal), "nothing is proposed for what was not seen"
    reason, message = found
    return PlannedOption(**fields, reason=reason, message=message, then=_then(reason, target, namespace))


def _proposed(option: Option, view: TargetView | NoTarget, contained: frozenset[str]) -> Proposal | tuple[str, str]:
    """What would be written, or the reason and the words for which it would not."""
    if isinstance(view, NoTarget):
        return {"Forbidden": "Forbidden", "Unreadable": "Unreadable"}.get(view.reason, "TargetMissing"), view.message
    found = propose(option, view, contained)
    return (found.reason, found.message) if isinstance(found, Refusal) else found


def _then(reason: str, target: Target, namespace: str) -> str:
    lower = f"{target.kind.lower()}/{target.name}"
    kind = WORKLOADS[target.kind]
    return THEN[reason].format(
        what=target.what, lower=lower, plural=kind.plural, resource=kind.resource, namespace=namespace
    )


def _deed(
    option: Option,
    proposal: Proposal,
    view: TargetView,
    templates: Mapping[str, str],
    namespace: str,
    target: Target,
    low: str,
) -> dict[str, Any]:
    """What is told of an option that could be done."""
    chosen = next((one for one in view.revisions if one.uid == proposal.revision_uid), None)
    record = OptionRecord(
        name=option.name, type=option.type, class_=proposal.class_, state=OptionState.EXECUTED, to=proposal.to
    )
    record = record.model_copy(update=to_put_back(record, proposal))
    return {
        "summary": proposal.summary,
        "notes": (*proposal.notes, *_besides(proposal), *((low,) if low else ())),
        "digest": proposal.digest,
        "changes": changes_of(proposal, view, templates),
        "revision": chosen.number if chosen else None,
        "healthy": chosen.healthy if chosen else None,
        "undo": what_comes_back(record, proposal.target),
        "by_hand": by_hand(record, namespace, target, view).removeprefix("by hand: "),
    }


def _besides(proposal: Proposal) -> Iterable[str]:
    """What a rollback does besides the template, and what scaling leaves as it is; a pause is one field and no more."""
    if proposal.action == "Pause":
        return
    if proposal.action == "Scale":
        yield "fewer replicas leave the pod template as it is: what is wrong with it is still there"
        return
    if proposal.target_kind == "Deployment":
        yield "its annotations go back with the template, as those of kubectl rollout undo do"
    if proposal.target_kind == "StatefulSet":
        yield "pods that are not ready, and behind which it would wait for ever, are deleted afterwards"


def changes_of(proposal: Proposal, view: TargetView, templates: Mapping[str, str]) -> tuple[Change, ...]:
    """The fields that a proposal writes, before and after; none of a template that could not be read."""
    what = proposal.target
    match proposal.action:
        case "RollBack":
            then = templates.get(proposal.revision_uid)
            return (Change(what, _template(view.template_json), _template(then)),) if then else ()
        case "Scale":
            pinned, replicas = view.autoscaler, int(proposal.to)
            number = Change(what, {"spec": {"replicas": view.replicas}}, {"spec": {"replicas": replicas}})
            fields = pinning(pinned, replicas)
            return (_pin(pinned, fields), number) if pinned and fields else (number,)
        case "Pause":
            return tuple(
                Change(what, _placed(one.path, one.before), _placed(one.path, one.after)) for one in proposal.fields
            )
        case _:
            assert_never(proposal.action)


def _placed(path: str, value: str | None) -> dict[str, Any]:
    """An object that has just that field; empty without a value."""
    if value is None:
        return {}
    found: Any = json.loads(value)
    for name in reversed(path.lstrip("/").split("/")):
        found = {name: found}
    return dict(found)


def _template(text: str) -> dict[str, Any]:
    return {"spec": {"template": json.loads(text)}}


def _pin(autoscaler: Autoscaler, fields: Mapping[str, Any]) -> Change:
    before: dict[str, Any] = {"minReplicas": autoscaler.min_replicas, "maxReplicas": autoscaler.max_replicas}
    if "behavior" in fields:
        policy = autoscaler.scale_up_policy
        before = {"behavior": {"scaleUp": {"selectPolicy": policy}}} if policy else {}
    return Change(f"HorizontalPodAutoscaler/{autoscaler.name}", {"spec": before}, {"spec": dict(fields)})


def _with_word(rules: Rules, option: PlannedOption, bearings: Bearings) -> PlannedOption:
    """The option with who authorised it, for as long as that holds."""
    found = authorised(
        bearings.decisions, bearings.policy_uid, option.name, rules.digests.get(option.name), bearings.now
    )
    if found is None:
        return option
    return replace(option, authorised_by=found.spec.by, authorised_until=found.spec.expire_time)
