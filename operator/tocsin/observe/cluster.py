"""What the cluster holds, as far as the operator reads it: our objects, fed by events and pruned by lists."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from tocsin.api.containment import Target
from tocsin.api.decision import Decision, DecisionType
from tocsin.api.incident import Incident
from tocsin.api.message import Message
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.api.template import MessageTemplate
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.decide.situation import TOGETHER, Relative

HOLD_LABEL = "tocsin.dev/hold"
PLURALS = {
    "EscalationPolicy": "escalationpolicies",
    "Responder": "responders",
    "Incident": "incidents",
    "Decision": "decisions",
    "MessageTemplate": "messagetemplates",
    "Silence": "silences",
    "Message": "messages",
}
MODELS: dict[str, type[EscalationPolicy | Responder | Incident | Decision | MessageTemplate | Message | Silence]] = {
    "EscalationPolicy": EscalationPolicy,
    "Responder": Responder,
    "Incident": Incident,
    "Decision": Decision,
    "MessageTemplate": MessageTemplate,
    "Silence": Silence,
    "Message": Message,
}
PAGE = "100"
KIN = 32
"""So many of those that opened before an incident, and so many after, are looked at for its parent."""


class Pair(NamedTuple):
    """One model of one policy: the unit of work, which has at most one incident at a time."""

    namespace: str
    policy: str
    model: str


class Name(NamedTuple):
    """An object's namespace and name."""

    namespace: str
    name: str


class Subject(NamedTuple):
    """What a Decision is about, by the name that it gives."""

    kind: str
    namespace: str
    name: str


class Slot(NamedTuple):
    """One object of the store: its version for ordering, and the parsed object; None when it cannot be read."""

    version: int
    uid: str
    parsed: Any
    error: str


class Store:
    """The living objects by kind; an older version never replaces a newer one."""

    def __init__(self) -> None:
        self._slots: dict[str, dict[str, dict[str, Slot]]] = {kind: {} for kind in MODELS}
        """By kind, namespace and name."""
        self._decisions_on: dict[Subject, set[Name]] = {}
        self._messages_of: dict[Name, set[Name]] = {}
        """By incident."""
        self._incidents_of: dict[Pair, set[Name]] = {}
        self._incidents_under: dict[Name, set[Name]] = {}
        self._incidents_on: dict[tuple[str, Target], set[Name]] = {}
        self._policies_on: dict[tuple[str, Target], set[Name]] = {}
        self._failing: dict[str, list[tuple[datetime, Name]]] = {}
        """By what is upstream of them: the unresolved incidents, the oldest first."""
        self._children: dict[str, set[Name]] = {}
        """By parent, as namespace/name: the unresolved incidents."""
        self.holds: dict[str, str] = {}
        """The value of the brake label by namespace."""

    def put(self, kind: str, raw: Mapping[str, Any]) -> bool:
        """Take an object as the API server gave it; tells whether it was news."""
        metadata = raw["metadata"]
        name = Name(metadata["namespace"], metadata["name"])
        version = int(metadata["resourceVersion"])
        known = self.slot(kind, name)
        if known is not None and known.version >= version and known.uid == metadata["uid"]:
            return False
        try:
            parsed, error = MODELS[kind].model_validate(raw), ""
        except ValidationError as bad:
            wrong = bad.errors()[0]
            parsed, error = None, f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
        except Exception as bad:  # noqa: BLE001 - one object that nobody foresaw must not stop the others' work
            parsed, error = None, repr(bad)
        self._forget(kind, name)
        self._slots[kind].setdefault(name.namespace, {})[name.name] = Slot(version, metadata["uid"], parsed, error)
        self._index(kind, name, parsed)
        return True

    def drop(self, kind: str, name: Name, uid: str = "") -> bool:
        """Forget a deleted object; with a UID only that very one."""
        known = self.slot(kind, name)
        if known is None or (uid and known.uid != uid):
            return False
        self._forget(kind, name)
        return True

    def slot(self, kind: str, name: Name) -> Slot | None:
        """What is known of one object."""
        return self._slots[kind].get(name.namespace, {}).get(name.name)

    def _parsed(self, kind: str, namespace: str | None = None) -> Iterator[Any]:
        """The readable objects of a kind, of one namespace or of all."""
        slots = self._slots[kind]
        for some in [slots.get(namespace, {})] if namespace is not None else list(slots.values()):
            for slot in list(some.values()):
                if slot.parsed:
                    yield slot.parsed

    def _index(self, kind: str, name: Name, parsed: Any) -> None:
        match parsed:
            case Decision():
                self._decisions_on.setdefault(_subject_of(name, parsed), set()).add(name)
            case Message():
                incident = Name(name.namespace, parsed.spec.incident_ref.name)
                self._messages_of.setdefault(incident, set()).add(name)
            case EscalationPolicy():
                for model in parsed.spec.models:
                    if model.target:
                        self._policies_on.setdefault((name.namespace, model.target), set()).add(name)
            case Incident():
                self._incidents_of.setdefault(pair_of(parsed), set()).add(name)
                self._incidents_under.setdefault(_policy_of(parsed), set()).add(name)
                if parsed.target:
                    self._incidents_on.setdefault((name.namespace, parsed.target), set()).add(name)
                for upstream, entry in _failing(name, parsed):
                    insort(self._failing.setdefault(upstream, []), entry)
                if parsed.status.parent and not parsed.resolved:
                    self._children.setdefault(parsed.status.parent, set()).add(name)
            case _:
                pass

    def _forget(self, kind: str, name: Name) -> None:
        known = self._slots[kind].get(name.namespace, {}).pop(name.name, None)
        match known.parsed if known else None:
            case Decision() as decision:
                self._decisions_on.get(_subject_of(name, decision), set()).discard(name)
            case Message() as message:
                self._messages_of.get(Name(name.namespace, message.spec.incident_ref.name), set()).discard(name)
            case EscalationPolicy() as policy:
                for model in policy.spec.models:
                    if model.target:
                        self._policies_on.get((name.namespace, model.target), set()).discard(name)
            case Incident() as incident:
                self._incidents_of.get(pair_of(incident), set()).discard(name)
                self._incidents_under.get(_policy_of(incident), set()).discard(name)
                if incident.target:
                    self._incidents_on.get((name.namespace, incident.target), set()).discard(name)
                for upstream, entry in _failing(name, incident):
                    self._failing[upstream].remove(entry)
                    if not self._failing[upstream]:
                        del self._failing[upstream]
                if incident.status.parent and not incident.resolved:
                    self._children[incident.status.parent].discard(name)
                    if not self._children[incident.status.parent]:
                        del self._children[incident.status.parent]
            case _:
                pass

    def policy(self, namespace: str, name: str) -> EscalationPolicy | None:
        """A policy, if it is there and can be read."""
        slot = self.slot("EscalationPolicy", Name(namespace, name))
        return slot.parsed if slot else None

    def policies(self, namespace: str | None = None) -> Iterator[EscalationPolicy]:
        """The policies that can be read, of one namespace or of all."""
        return self._parsed("EscalationPolicy", namespace)

    def incident(self, name: Name) -> Incident | None:
        """An incident, if it is there and can be read."""
        slot = self.slot("Incident", name)
        return slot.parsed if slot else None

    def incidents(self, namespace: str | None = None) -> Iterator[Incident]:
        """The incidents that can be read, of one namespace or of all."""
        return self._parsed("Incident", namespace)

    def incidents_under(self, policy: Name) -> list[Incident]:
        """The incidents of a policy, whichever of its models they are about."""
        found = [self.incident(name) for name in self._incidents_under.get(policy, ())]
        return [one for one in found if one]

    def incidents_of(self, pair: Pair) -> list[Incident]:
        """The incidents of a pair, the oldest first."""
        found = [self.incident(name) for name in self._incidents_of.get(pair, ())]
        return sorted((one for one in found if one), key=age)

    def incidents_on(self, namespace: str, target: Target | None) -> list[Incident]:
        """The incidents of a target, whichever policy they were opened under, the oldest first."""
        names = self._incidents_on.get((namespace, target), ()) if target else ()
        found = [self.incident(name) for name in names]
        return sorted((one for one in found if one), key=age)

    def kin_of(self, incident: Incident, at: datetime) -> tuple[Relative, ...]:
        """The unresolved incidents that share something upstream and opened within ten minutes of that instant.

        Of thousands only the oldest before it and the oldest after it: they tell who the parent is.
        """
        mine = Name(incident.metadata.namespace, incident.metadata.name)
        found: dict[Name, Relative] = {}
        for upstream in incident.rules.model.upstream if incident.rules else ():
            line = self._failing.get(upstream, [])
            first, middle, end = (bisect_left(line, (_moved(at, span),)) for span in (-TOGETHER, timedelta(), TOGETHER))
            for _, name in (*line[first:middle][:KIN], *line[middle:end][:KIN]):
                other = self.incident(name)
                if name != mine and other and (relative := self._relative(name, other)):
                    found[name] = relative
        return tuple(found.values())

    def _relative(self, name: Name, incident: Incident) -> Relative | None:
        opened_at, parent = incident.status.opened_time, incident.status.parent or ""
        if incident.rules is None or opened_at is None:
            return None
        return Relative(
            name=_path(name),
            namespace=name.namespace,
            model=incident.spec.model,
            opened_at=opened_at,
            upstream=incident.rules.model.upstream,
            parent=parent if self.is_open(parent) else "",
        )

    def incident_at(self, where: str) -> Incident | None:
        """The incident of that namespace/name; None when there is none, or the words are no such name."""
        namespace, _, name = where.partition("/")
        return self.incident(Name(namespace, name))

    def is_open(self, where: str) -> bool:
        """Whether the incident of that namespace/name is there and unresolved."""
        incident = self.incident_at(where)
        return incident is not None and not incident.resolved

    def children_of(self, incident: Incident) -> list[Incident]:
        """The unresolved incidents that an incident pages for, the oldest first."""
        where = f"{incident.metadata.namespace}/{incident.metadata.name}"
        found = [self.incident(name) for name in self._children.get(where, ())]
        return sorted((one for one in found if one), key=age)

    def policies_on(self, namespace: str, target: Target) -> list[Name]:
        """The policies that name a target."""
        return sorted(self._policies_on.get((namespace, target), ()))

    def responders(self, namespace: str) -> dict[str, Responder]:
        """The Responders of a namespace by name."""
        return {one.metadata.name: one for one in self._parsed("Responder", namespace)}

    def responder(self, namespace: str, name: str) -> Responder | None:
        """A Responder, if it is there and can be read."""
        slot = self.slot("Responder", Name(namespace, name))
        return slot.parsed if slot else None

    def template(self, namespace: str, name: str) -> MessageTemplate | None:
        """A template of messages, if it is there and can be read."""
        slot = self.slot("MessageTemplate", Name(namespace, name))
        return slot.parsed if slot else None

    def silences(self, namespace: str, at: datetime) -> tuple[Silence, ...]:
        """The Silences of a namespace that are not over at that instant, begun or not."""
        return tuple(one for one in self._parsed("Silence", namespace) if one.spec.until > at)

    def decisions_of(self, incident: Incident) -> tuple[Decision, ...]:
        """The Decisions that refer to an incident, and what was authorised and accepted of its policy."""
        metadata = incident.metadata
        mine = self._decided(Subject("Incident", metadata.namespace, metadata.name))
        namespace, policy = metadata.namespace, incident.spec.policy_ref.name
        return (*mine, *self.authorisations(namespace, policy), *self.acceptances(namespace, policy))

    def authorisations(self, namespace: str, policy: str) -> tuple[Decision, ...]:
        """The Authorise Decisions for the options of a policy."""
        return tuple(self._on_policy(Name(namespace, policy), DecisionType.AUTHORISE))

    def acceptances(self, namespace: str, policy: str) -> tuple[Decision, ...]:
        """The AcceptClock Decisions for the clocks of a policy."""
        return tuple(self._on_policy(Name(namespace, policy), DecisionType.ACCEPT_CLOCK))

    def attests(self, namespace: str, policy: str) -> tuple[Decision, ...]:
        """The Attest Decisions for the rules of a policy."""
        return tuple(self._on_policy(Name(namespace, policy), DecisionType.ATTEST))

    def attested(self) -> list[Name]:
        """The policies, there or not, about whose rules there is an Attest Decision."""
        policies = [Name(one.namespace, one.name) for one in self._decisions_on if one.kind == "EscalationPolicy"]
        return [name for name in policies if any(self._on_policy(name, DecisionType.ATTEST))]

    def _on_policy(self, policy: Name, type_: DecisionType) -> Iterator[Decision]:
        for decision in self._decided(Subject("EscalationPolicy", *policy)):
            if decision.spec.type is type_:
                yield decision

    def message(self, name: Name) -> Message | None:
        """A message, if it is there and can be read."""
        slot = self.slot("Message", name)
        return slot.parsed if slot else None

    def messages(self) -> Iterator[Message]:
        """The messages that can be read."""
        return self._parsed("Message")

    def messages_of(self, incident: Incident) -> dict[str, Message]:
        """The messages about this very incident by name."""
        metadata = incident.metadata
        found = [self.message(name) for name in self._messages_of.get(Name(metadata.namespace, metadata.name), ())]
        return {one.metadata.name: one for one in found if one and one.spec.incident_ref.uid == metadata.uid}

    def decisions_about(self, message: Message) -> tuple[Decision, ...]:
        """The Decisions that refer to a message."""
        return self._decided(Subject("Message", message.metadata.namespace, message.metadata.name))

    def authorised(self, message: Message) -> tuple[Decision, ...]:
        """The standing approvals of its namespace for its template."""
        reference = message.spec.template_ref
        found = self._decided(Subject("MessageTemplate", message.metadata.namespace, reference.name))
        return tuple(one for one in found if one.spec.template_ref and one.spec.template_ref.uid == reference.uid)

    def _decided(self, subject: Subject) -> tuple[Decision, ...]:
        slots = (self.slot("Decision", name) for name in self._decisions_on.get(subject, ()))
        return tuple(slot.parsed for slot in slots if slot and slot.parsed)

    def unreadable(self) -> list[tuple[str, Name, str]]:
        """The objects that cannot be read, with what is wrong in them."""
        return [(kind, name, slot.error) for kind in MODELS for name, slot in self.names(kind).items() if slot.error]

    def count(self, kind: str) -> int:
        """How many objects of a kind there are."""
        return sum(len(some) for some in self._slots[kind].values())

    def names(self, kind: str) -> dict[Name, Slot]:
        """What is known of a kind now."""
        return {Name(space, name): slot for space, some in self._slots[kind].items() for name, slot in some.items()}


def _failing(name: Name, incident: Incident) -> Iterator[tuple[str, tuple[datetime, Name]]]:
    """What is upstream of an unresolved incident, each with the incident's place in its line."""
    opened_at = incident.status.opened_time
    if opened_at and incident.rules and not incident.resolved:
        yield from ((upstream, (opened_at, name)) for upstream in incident.rules.model.upstream)


def _subject_of(name: Name, decision: Decision) -> Subject:
    spec = decision.spec
    references = {
        "Incident": spec.incident_ref,
        "EscalationPolicy": spec.policy_ref,
        "Message": spec.message_ref,
        "MessageTemplate": spec.template_ref,
    }
    found = ((kind, one.name) for kind, one in references.items() if one)
    kind, about = next(found, ("", ""))
    return Subject(kind, name.namespace, about)


def _path(name: Name) -> str:
    return f"{name.namespace}/{name.name}"


def _moved(at: datetime, span: timedelta) -> datetime:
    """That much later; at the ends of the calendar the instant itself."""
    try:
        return at + span
    except OverflowError:
        return at


def pair_of(incident: Incident) -> Pair:
    """The pair that an incident belongs to."""
    return Pair(incident.metadata.namespace, incident.spec.policy_ref.name, incident.spec.model)


def _policy_of(incident: Incident) -> Name:
    return Name(incident.metadata.namespace, incident.spec.policy_ref.name)


def age(incident: Incident) -> tuple[str, str]:
    """A key that sorts incidents by age, then by name."""
    created = incident.metadata.creation_timestamp
    return (created.isoformat() if created else "", incident.metadata.name)


async def pages(api: ApiServer, kind: str) -> AsyncIterator[list[dict[str, Any]]]:
    """A quorum list of a kind, page by page: never is all of it held as it came. Raises ApiError or NoAnswer."""
    where, more = path(API_VERSION, PLURALS[kind]), ""
    while True:
        page = await api.get(where, limit=PAGE, **({"continue": more} if more else {}))
        yield page["items"]
        more = page["metadata"].get("continue", "")
        if not more:
            return


async def prune(api: ApiServer, store: Store, kind: str) -> list[tuple[Name, Any]]:
    """Drop what is gone and take what was missed, by a complete list and one GET for each absence.

    Gives the name of each object that has changed, and what was known of it before.

    A watch may lose deletions in a gap. The list is a quorum read, so it is never older than the store.
    """
    before = store.names(kind)
    listed: dict[Name, str] = {}
    changed: list[Name] = []
    async for items in pages(api, kind):
        listed |= {_name_of(item): item["metadata"]["uid"] for item in items}
        changed += [_name_of(item) for item in items if store.put(kind, item)]
    for name, slot in before.items():
        if listed.get(name) == slot.uid:
            continue
        try:
            raw = await api.get(path(API_VERSION, PLURALS[kind], name.namespace, name.name))
        except ApiError as gone:
            if gone.code != 404:
                raise
            if store.drop(kind, name, slot.uid):
                changed.append(name)
        else:
            if store.put(kind, raw):
                changed.append(name)
    return [(name, before[name].parsed if name in before else None) for name in changed]


def _name_of(item: Mapping[str, Any]) -> Name:
    return Name(item["metadata"]["namespace"], item["metadata"]["name"])


def holds_from(namespaces: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The brake label by namespace; an empty value brakes like any other."""
    return {
        one["metadata"]["name"]: one["metadata"].get("labels", {}).get(HOLD_LABEL) or "held"
        for one in namespaces
        if HOLD_LABEL in one["metadata"].get("labels", {})
    }
