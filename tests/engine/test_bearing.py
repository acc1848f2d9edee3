"""Does a change wake what it bears on, and nothing else among many?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import MIN, T0, a_decision, a_policy, a_responder, a_silence, an_incident, the_rules
from tocsin.api.containment import Target
from tocsin.api.incident import Incident, IncidentStatus
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy
from tocsin.api.responder import ResponderStatus
from tocsin.api.template import MessageTemplate
from tocsin.engine.bearing import Key, Wake, of_brake, of_kin, of_object, of_trust, of_workload
from tocsin.observe.cluster import Name, Pair, Store

FRAUD = Name("models", "fraud")
INCIDENT = Key("incident", Pair("models", "fraud", "fraud"))
ELSEWHERE = [{"name": "others", "severity": "SEV3", "accountable": "others"}]
HEIR = Key("policy", Name("models", "heir"))


def named(policy: EscalationPolicy, name: str, generation: int = 1) -> EscalationPolicy:
    metadata = {"name": name, "uid": f"uid-{name}", "generation": generation}
    return policy.model_copy(update={"metadata": policy.metadata.model_copy(update=metadata)})


def a_store(**incident: Any) -> Store:
    """A policy with an incident, a later one that wants the same target, a hundred others, and the roles of all."""
    store = Store()
    others = [
        named(a_policy(models=[{"name": f"m{n}"}], containment=[], tiers=ELSEWHERE), f"other-{n}") for n in range(100)
    ]
    for policy in (a_policy(), named(a_policy(), "heir"), *others):
        keep(store, "EscalationPolicy", policy)
    for role in ("owners", "compliance", "board", "unasked"):
        keep(store, "Responder", a_responder(role, "alice"))
    keep(store, "Incident", an_incident(**incident))
    return store


def keep(store: Store, kind: str, thing: Any, version: str = "1") -> None:
    raw = thing.dump() | {"apiVersion": API_VERSION, "kind": kind}
    raw["metadata"] |= {"namespace": "models", "resourceVersion": version}
    assert store.put(kind, raw)


def keys(wakes: Any) -> set[Key]:
    return {wake.key for wake in wakes}


POLICY_KEY = Key("policy", FRAUD)
BEFORE = named(a_policy(), "fraud")
MOVED = a_policy(models=[{"name": "fraud", "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "new"}}])


@pytest.mark.parametrize(
    ("before", "after", "wakes"),
    [
        pytest.param(None, BEFORE, {POLICY_KEY, INCIDENT, HEIR}, id="one that came takes its target"),
        pytest.param(BEFORE, None, {POLICY_KEY, INCIDENT, HEIR}, id="one that is gone frees its target"),
        pytest.param(BEFORE, named(MOVED, "fraud", 2), {POLICY_KEY, INCIDENT, HEIR}, id="one that wants another"),
        pytest.param(BEFORE, BEFORE, {POLICY_KEY, INCIDENT}, id="one whose status was written bears on no other"),
        pytest.param(None, None, {POLICY_KEY}, id="one that never could be read is gone"),
    ],
)
def test_a_policy(before: EscalationPolicy | None, after: EscalationPolicy | None, wakes: set[Key]) -> None:
    found = list(of_object(a_store(), "EscalationPolicy", FRAUD, before, after))

    assert keys(found) == wakes
    assert not any(wake.urgent for wake in found)


def test_a_role_wakes_the_policies_that_name_it_and_their_incidents() -> None:
    store, owners = a_store(), a_responder("owners", "alice")
    mine = Key("responder", Name("models", "owners"))

    assert keys(of_object(store, "Responder", Name("models", "owners"), None, owners)) == {
        mine,
        POLICY_KEY,
        HEIR,
        INCIDENT,
    }
    assert keys(of_object(store, "Responder", Name("models", "owners"), owners, owners)) == {mine}


def test_a_template_wakes_itself() -> None:
    spec = {"audience": "Internal", "phase": "Initial", "texts": [{"language": "en", "subject": "a", "body": "b"}]}
    template, name = (
        MessageTemplate.model_validate({"metadata": {"name": "news"}, "spec": spec}),
        Name("models", "news"),
    )
    for before, after in ((None, template), (template, template), (template, None)):
        assert keys(of_object(a_store(), "MessageTemplate", name, before, after)) == {Key("template", name)}


def test_a_role_wakes_the_policies_whose_models_it_owns() -> None:
    store, owned = a_store(), a_policy(models=[{"name": "m", "owners": {"data": "unasked"}}], containment=[])
    keep(store, "EscalationPolicy", named(owned, "owned"))

    assert keys(of_object(store, "Responder", Name("models", "unasked"), None, a_responder("unasked", "bob"))) == {
        Key("responder", Name("models", "unasked")),
        Key("policy", Name("models", "owned")),
    }


def test_a_hole_of_a_role_wakes_the_policies_that_name_it() -> None:
    before = a_responder("owners", "alice")
    hole = {"type": "Staffed", "status": "False", "reason": "Hole", "message": "nobody", "lastTransitionTime": T0}
    after = before.model_copy(update={"status": ResponderStatus.model_validate({"conditions": [hole]})})

    for one, other in ((before, after), (after, before)):
        assert POLICY_KEY in keys(of_object(a_store(), "Responder", Name("models", "owners"), one, other))


def test_a_role_that_stands_in_for_another_wakes_what_names_that_one() -> None:
    store, name = a_store(), Name("models", "unasked")
    owners = a_responder("owners", "alice")
    spec = owners.spec.model_copy(update={"escalate_to": "unasked"})
    keep(store, "Responder", owners.model_copy(update={"spec": spec}), version="2")

    assert keys(of_object(store, "Responder", name, None, a_responder("unasked", "bob"))) == {
        Key("responder", name),
        Key("responder", Name("models", "owners")),
        POLICY_KEY,
        HEIR,
        INCIDENT,
    }


def test_a_role_that_nobody_names_wakes_itself() -> None:
    name = Name("models", "unasked")
    assert keys(of_object(a_store(), "Responder", name, None, a_responder("unasked", "bob"))) == {
        Key("responder", name)
    }


def test_an_incident_and_what_people_decide_about_it_go_first() -> None:
    store, incident = a_store(), an_incident()
    first = [Wake(INCIDENT, urgent=True)]
    acknowledge = a_decision("Acknowledge", "alice")

    assert list(of_object(store, "Incident", Name("models", "fraud-1"), None, incident)) == first
    assert list(of_object(store, "Decision", Name("models", "ack"), None, acknowledge)) == first
    assert list(of_object(store, "Decision", Name("models", "ack"), acknowledge, None)) == first


def test_an_acceptance_of_a_clock_wakes_its_policy_and_every_incident_under_it() -> None:
    digest = "sha256:" + "0" * 64
    accept = a_decision("AcceptClock", "lea", clock="gdpr-33", digest=digest, reason="read")
    for resolved in (None, T0):
        store = a_store(resolved_time=resolved)
        assert keys(of_object(store, "Decision", Name("models", "grant"), None, accept)) == {POLICY_KEY, INCIDENT}


def test_an_authorisation_wakes_its_policy_and_the_incidents_under_it() -> None:
    authorise = a_decision("Authorise", "carol", option="last-healthy", digest="sha256:" + "0" * 64, expireTime=T0)

    assert keys(of_object(a_store(), "Decision", Name("models", "grant"), None, authorise)) == {POLICY_KEY, INCIDENT}


def test_an_attestation_wakes_its_policy_only() -> None:
    attest = a_decision("Attest", "carol", digest="sha256:" + "0" * 64, reason="read")

    assert keys(of_object(a_store(), "Decision", Name("models", "attest"), None, attest)) == {POLICY_KEY}


def test_the_second_line_wakes_the_policies_that_it_stands_for() -> None:
    store = a_store()
    keep(store, "EscalationPolicy", a_policy(secondLine="unasked"), version="2")

    woken = keys(of_object(store, "Responder", Name("models", "unasked"), None, a_responder("unasked", "bob")))

    assert woken == {Key("responder", Name("models", "unasked")), POLICY_KEY}


def test_trust_bears_on_the_policies_that_somebody_attested() -> None:
    store = a_store(resolved_time=T0)
    keep(store, "Decision", a_decision("Attest", "carol", digest="sha256:" + "0" * 64, reason="read"))

    assert keys(of_trust(store)) == {POLICY_KEY}


def test_a_decision_about_an_incident_that_is_not_there_wakes_nothing() -> None:
    assert list(of_object(Store(), "Decision", Name("models", "ack"), None, a_decision("Acknowledge", "alice"))) == []


def test_a_workload_that_comes_or_goes_wakes_its_policies_too() -> None:
    store = a_store()
    fraud = Target(api_version="apps/v1", kind="Deployment", name="fraud")
    assert keys(of_workload(store, "models", fraud, came_or_went=False)) == {INCIDENT}
    assert keys(of_workload(store, "models", fraud, came_or_went=True)) == {INCIDENT, POLICY_KEY, HEIR}
    for other in ({"name": "nobody"}, {"kind": "StatefulSet"}):
        assert keys(of_workload(store, "models", fraud.model_copy(update=other), came_or_went=True)) == set()


@pytest.mark.parametrize(
    ("resolved", "wakes"), [pytest.param(None, {INCIDENT}, id="open"), pytest.param(T0, set(), id="resolved")]
)
def test_brakes_and_trust_bear_on_open_incidents(resolved: Any, wakes: set[Key]) -> None:
    store = a_store(resolved_time=resolved)
    assert keys(of_brake(store, "models", everywhere=False)) == wakes
    assert keys(of_brake(store, "elsewhere", everywhere=False)) == set()
    assert keys(of_brake(store, "tocsin-system", everywhere=True)) == wakes
    assert keys(of_trust(store)) == wakes


def kindred(name: str, minutes: int = 0, **status: Any) -> Incident:
    """An incident of a model of its own, upstream of which lies the feature store."""
    incident = an_incident(the_rules(a_policy(models=[{"name": name, "upstream": ["feature-store"]}], containment=[])))
    metadata = incident.metadata.model_copy(update={"name": name, "uid": name})
    spec = incident.spec.model_copy(update={"model": name})
    opened = IncidentStatus(opened_time=T0 + minutes * MIN).model_copy(update=status)
    return incident.model_copy(update={"metadata": metadata, "spec": spec, "status": opened})


LED = {"parent": "models/first"}


@pytest.mark.parametrize(
    ("before", "after", "wakes"),
    [
        pytest.param(None, kindred("new"), {"new", "first", "alone"}, id="one that opens: those that are on their own"),
        pytest.param(kindred("new"), kindred("new", severity="SEV1"), set(), id="one that becomes worse: none"),
        pytest.param(
            kindred("new"), kindred("new", **LED), {"new", "first", "alone"}, id="one that gets a parent: that one too"
        ),
        pytest.param(
            kindred("first"), kindred("first", resolved_time=T0), {"led"}, id="a parent that is over: its children"
        ),
        pytest.param(kindred("first"), None, {"led"}, id="a parent that is gone: its children"),
        pytest.param(kindred("led", **LED), None, {"first"}, id="a child that is gone: its parent"),
        pytest.param(None, an_incident(opened_time=T0), set(), id="one with nothing upstream: none"),
    ],
)
def test_what_has_one_cause_upstream(before: Incident | None, after: Incident | None, wakes: set[str]) -> None:
    store = Store()
    for incident in (kindred("first"), kindred("alone", 9), kindred("led", 1, **LED), kindred("later", 30)):
        keep(store, "Incident", incident)
    if after and after.metadata.name == "first":
        keep(store, "Incident", after, version="2")

    assert {wake.key.about[2] for wake in of_kin(store, before, after)} == wakes


FRAUDS, CREDITS = ({"field": "Model", "values": [model]} for model in ("fraud", "credit"))


@pytest.mark.parametrize(
    ("before", "after", "wakes"),
    [
        pytest.param(None, a_silence(FRAUDS), {INCIDENT}, id="one of its model"),
        pytest.param(a_silence(FRAUDS), None, {INCIDENT}, id="one that is gone"),
        pytest.param(a_silence(FRAUDS), a_silence(FRAUDS, until=T0 + MIN), {INCIDENT}, id="one that ends earlier"),
        pytest.param(None, a_silence(), {INCIDENT}, id="one of everything"),
        pytest.param(None, a_silence(CREDITS), set(), id="one of another model"),
    ],
)
def test_a_silence_wakes_the_open_incidents_that_it_is_about(before: Any, after: Any, wakes: set[Key]) -> None:
    assert keys(of_object(a_store(), "Silence", Name("models", "quiet"), before, after)) == wakes
    assert keys(of_object(a_store(resolved_time=T0), "Silence", Name("models", "quiet"), before, after)) == set()
