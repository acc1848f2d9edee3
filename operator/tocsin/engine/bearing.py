"""Which work does a change bear on? No more than that: one edit among ten thousand objects wakes a few keys."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from tocsin.api.containment import Target
from tocsin.api.decision import Decision, DecisionType
from tocsin.api.incident import Incident
from tocsin.api.message import Message, RecordState
from tocsin.api.policy import EscalationPolicy, Rules
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.api.template import MessageTemplate
from tocsin.decide.message_situation import unheard
from tocsin.decide.roster import reachable
from tocsin.decide.silences import is_about
from tocsin.decide.staffing import told_by
from tocsin.observe.cluster import Name, Pair, Store, pair_of


class Key(NamedTuple):
    """What a worker takes: a kind of work, and the pair or object that it is about."""

    work: Literal["incident", "policy", "responder", "revision", "template", "message"]
    about: Pair | Name


class Wake(NamedTuple):
    """A key to be worked on, and whether before all bookkeeping."""

    key: Key
    urgent: bool = False


def of_object(store: Store, kind: str, name: Name, before: Any, after: Any) -> Iterator[Wake]:
    """What the change of an object of ours bears on; None is one that was not there, is gone, or cannot be read."""
    match after or before:
        case EscalationPolicy():
            yield from _of_policy(store, name, before, after)
        case Responder():
            yield Wake(Key("responder", name))
            if _is_new(before, after) or told_by(before) != told_by(after):
                yield from of_responder(store, name)
        case MessageTemplate():
            yield Wake(Key("template", name))
            if _is_new(before, after):
                yield from of_template(store, name)
        case Incident() as incident:
            yield Wake(Key("incident", pair_of(incident)), urgent=True)
            yield from of_kin(store, before, after)
        case Decision() as decision:
            yield from _of_decision(store, name.namespace, decision)
        case Silence():
            yield from _of_silence(store, name, before, after)
        case Message() as message:
            yield Wake(Key("message", name))
            yield from of_message(store, message)
        case _ if kind == "EscalationPolicy":  # one that never could be read is gone: its key forgets it
            yield Wake(Key("policy", name))


def _of_decision(store: Store, namespace: str, decision: Decision) -> Iterator[Wake]:
    """What somebody has decided on; a standing approval of messages is looked at when one is released."""
    spec = decision.spec
    if spec.policy_ref:
        policy = Name(namespace, spec.policy_ref.name)
        yield Wake(Key("policy", policy))
        if spec.type is DecisionType.AUTHORISE:
            yield from _open(store.incidents_under(policy))
        if spec.type is DecisionType.ACCEPT_CLOCK:  # clocks go on in what is resolved
            yield from (Wake(Key("incident", pair_of(one))) for one in store.incidents_under(policy))
    elif spec.incident_ref:
        if about := store.incident(Name(namespace, spec.incident_ref.name)):
            yield Wake(Key("incident", pair_of(about)), urgent=True)
    elif spec.message_ref:
        yield Wake(Key("message", Name(namespace, spec.message_ref.name)))


def of_message(store: Store, message: Message) -> Iterator[Wake]:
    """The incident that keeps a record of it."""
    if about := store.incident(Name(message.metadata.namespace, message.spec.incident_ref.name)):
        yield Wake(Key("incident", pair_of(about)))


def _of_silence(store: Store, name: Name, before: Silence | None, after: Silence | None) -> Iterator[Wake]:
    """The open incidents that it is, or was, about."""
    known = [one for one in (before, after) if one]
    yield from _open(one for one in store.incidents(name.namespace) if any(is_about(two, one) for two in known))


def of_responder(store: Store, name: Name) -> Iterator[Wake]:
    """The roles for which one stands in, the policies that name one of them, and their open incidents."""
    roster = store.responders(name.namespace)
    names = {one for one in roster if name.name in reachable(roster, one)} | {name.name}
    for one in sorted(names - {name.name}):
        yield Wake(Key("responder", Name(name.namespace, one)))
    for policy in store.policies(name.namespace):
        owners = (model.owners.named.values() for model in policy.spec.models)
        named = (*(tier.roles for tier in policy.spec.tiers), *owners)
        if policy.spec.second_line in names or any(names.intersection(some) for some in named):
            yield Wake(Key("policy", Name(name.namespace, policy.metadata.name)))
    yield from _open(
        one
        for one in store.incidents(name.namespace)
        if one.rules is None or names.intersection(_roles_of(one, one.rules))
    )


def _roles_of(incident: Incident, rules: Rules) -> set[str]:
    """The roles of all tiers, those that took one over, and those that are asked to."""
    named = {role for tier in rules.tiers for role in tier.roles}
    handed = {tier.handed_over.to for tier in incident.status.tiers if tier.handed_over}
    return named | handed | {tier.accountable for tier in incident.status.tiers if tier.accountable}


def of_kin(store: Store, before: Incident | None, after: Incident | None) -> Iterator[Wake]:
    """The incidents of the same upstream cause, when one has opened, is over, or has another parent."""
    if _kinship(before) == _kinship(after):
        return
    opened_at = after.status.opened_time if after and not after.resolved else None
    if after and opened_at:
        yield Wake(Key("incident", pair_of(after)))
        alone = [one.name for one in store.kin_of(after, opened_at) if not one.parent]
        yield from _named(store, alone)
    for incident in filter(None, (before, after)):
        yield from _named(store, filter(None, [incident.status.parent]))
        if opened_at is None:
            yield from _open(store.children_of(incident))


def _kinship(incident: Incident | None) -> Hashable:
    """What others that share something upstream go by."""
    if incident is None or incident.resolved or incident.rules is None or not incident.rules.model.upstream:
        return None
    return incident.status.opened_time, incident.status.parent


def _named(store: Store, names: Iterable[str]) -> Iterator[Wake]:
    """Open incidents by their namespace/name."""
    for name in names:
        yield from _open(filter(None, [store.incident_at(name)]))


def of_brake(store: Store, namespace: str, *, everywhere: bool) -> Iterator[Wake]:
    """The open incidents that the brake of a namespace holds: its own, and all for that of the operator."""
    return _open(store.incidents() if everywhere else store.incidents(namespace))


def of_trust(store: Store) -> Iterator[Wake]:
    """Every open incident, every policy that somebody attested and every message that somebody has judged.

    Whether Decisions count has changed.
    """
    yield from _open(store.incidents())
    for policy in store.attested():
        yield Wake(Key("policy", policy))
    for message in store.messages():
        if unheard(message, store.decisions_about(message)):
            yield Wake(Key("message", Name(message.metadata.namespace, message.metadata.name)))


def of_workload(store: Store, namespace: str, target: Target, *, came_or_went: bool) -> Iterator[Wake]:
    """The open incidents of a target, and its policies when it has come or gone."""
    yield from _open(store.incidents_on(namespace, target))
    if came_or_went:
        for policy in store.policies_on(namespace, target):
            yield Wake(Key("policy", policy))


def _of_policy(
    store: Store, name: Name, before: EscalationPolicy | None, after: EscalationPolicy | None
) -> Iterator[Wake]:
    """Itself, its open incidents, and the others that want a target of it, which may be free or taken now."""
    yield Wake(Key("policy", name))
    yield from _open(store.incidents_under(name))
    if _is_new(before, after):
        targets = {model.target for one in (before, after) if one for model in one.spec.models if model.target}
        for target in targets:
            for other in store.policies_on(name.namespace, target):
                if other != name:
                    yield Wake(Key("policy", other))


def _is_new(before: Any, after: Any) -> bool:
    """Whether more than its status or metadata has changed."""
    if before is None or after is None:
        return True
    return bool(before.metadata.uid != after.metadata.uid or before.metadata.generation != after.metadata.generation)


def of_template(store: Store, name: Name) -> Iterator[Wake]:
    """The incidents, of whatever namespace, that lack a message because a template of that name gave none."""
    for incident in store.incidents():
        records = incident.status.messages
        if any(one.state is RecordState.NOT_DRAFTED and one.template == name.name for one in records):
            yield Wake(Key("incident", pair_of(incident)))


def _open(incidents: Iterable[Incident]) -> Iterator[Wake]:
    for incident in incidents:
        if not incident.resolved:
            yield Wake(Key("incident", pair_of(incident)))
