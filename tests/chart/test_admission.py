"""Who may do what? Every row is sent to the real API server by a real user, with the chart's ready roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import RULES, Release

ROLES = {
    "alice": ("tocsin-responder",),
    "lea": ("tocsin-legal",),
    "bob": ("tocsin-approver",),
    "grace": ("tocsin-compliance",),
    "eve": ("tocsin-executive",),
    "carol": ("tocsin-policy-author", "edit"),
    "dave": ("tocsin-policy-author",),
    "erin": ("tocsin-records",),
    "frank": ("tocsin-auditor",),
    "lena": ("tocsin-legal",),
    "mallory": ("everything-but-rights",),
}
"""Mallory stands for a role that was written by hand: all verbs on our kinds, and no virtual subresource."""
BY_HAND = yaml.safe_load("""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: everything-but-rights}
rules:
- apiGroups: [tocsin.dev]
  resources: [escalationpolicies, responders, messagetemplates, incidents, decisions, silences, legalnotes,
    escalationpolicies/status, responders/status, messagetemplates/status, incidents/status]
  verbs: ["*"]
""")
INCIDENT = {"name": "credit-1", "uid": "u"}
DIGEST = "sha256:" + "a" * 64


@dataclass(frozen=True)
class Place:
    """A namespace whose people have their roles; a ServiceAccount has Alice's."""

    release: Release
    name: str
    users: dict[str, Path]

    def send(self, who: str, *command: str, body: Any = None) -> str:
        text = None if body is None else json.dumps(body)
        more = ("-f", "-") if body is not None else ()
        cluster = self.release.cluster
        return cluster.kubectl(
            *command, "-n", self.name, *more, input=text, check=False, kubeconfig=self.users[who]
        ).strip()

    def create(self, who: str, kind: str, spec: dict[str, Any], *more: str) -> str:
        head = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": {"generateName": "x-"}}
        return self.send(who, "create", *more, body=head | {"spec": spec})


@pytest.fixture(scope="module")
def place(release: Release) -> Iterator[Place]:
    cluster = release.cluster
    name = cluster.namespace("models")
    cluster.apply(BY_HAND)
    for who, roles in ROLES.items():
        for role in roles:
            cluster.kubectl(
                "create", "rolebinding", f"{who}-{role}", f"--clusterrole={role}", f"--user={who}", "-n", name
            )
    of_robot = ("--clusterrole=tocsin-responder", f"--serviceaccount={name}:default")
    cluster.kubectl("create", "rolebinding", "robot", *of_robot, "-n", name)
    users = {who: cluster.kubeconfig_for(who) for who in ROLES}
    robot = cluster.kubeconfig_for_token(cluster.token(name, "default"))
    yield Place(release, name, users | {"robot": robot, "operator": release.operator(), "admin": cluster.kubeconfig})
    cluster.kubectl("delete", "namespace", name)
    cluster.kubectl("delete", "clusterrole", "everything-but-rights")


def decision(type_: str, **more: Any) -> dict[str, Any]:
    match type_:
        case "Authorise":
            about: dict[str, Any] = {"policyRef": {"name": "credit", "uid": "u"}, "option": "back", "digest": DIGEST}
            about |= {"expireTime": "2027-01-01T00:00:00Z"}
        case "AcceptClock":
            about = {"policyRef": {"name": "credit", "uid": "u"}, "digest": DIGEST, "clock": "gdpr-33"}
        case "StartClock" | "MoveClock":
            anchors = [{"type": "Aware", "time": "2026-11-23T14:32:00Z"}]
            about = {"incidentRef": INCIDENT, "clock": "gdpr-33", "anchors": anchors}
        case "DeclineClock":
            about = {"incidentRef": INCIDENT, "clock": "gdpr-33"}
        case "MarkSubmitted":
            done = {"receipt": "R-7", "submittedTime": "2026-11-23T14:32:00Z"}
            about = {"incidentRef": INCIDENT, "clock": "gdpr-33"} | done
        case "Attest":
            about = {"policyRef": {"name": "credit", "uid": "u"}, "digest": DIGEST}
        case "Approve" | "Reject" | "BreakGlass" | "Undo":
            about = {"incidentRef": INCIDENT, "option": "back", "digest": DIGEST}
        case "Classify":
            judged = {"impact": "Minor", "legalExposure": "None", "materiality": "Unknown"}
            about = {"incidentRef": INCIDENT, "classification": judged}
        case "Lower":
            about = {"incidentRef": INCIDENT, "severity": "SEV4"}
        case "HandOver":
            about = {"incidentRef": INCIDENT, "to": "night"}
        case "Decide":
            about = {"incidentRef": INCIDENT, "question": "notify", "choice": "later"}
        case _:
            about = {"incidentRef": INCIDENT}
    return {"type": type_, "reason": "because"} | about | more


RESPONDERS = (
    "Acknowledge",
    "Escalate",
    "Hold",
    "Resume",
    "Note",
    "HandOver",
    "Accept",
    "Decide",
    "Classify",
    "Resolve",
)
APPROVERS = ("Approve", "Reject", "Authorise", "Lower", "Undo")
CLOCKS = ("StartClock", "DeclineClock", "MoveClock", "MarkSubmitted")
ALL = (*RESPONDERS, *APPROVERS, "BreakGlass", "Attest", *CLOCKS, "AcceptClock")
MAY = {
    "alice": RESPONDERS,
    "bob": APPROVERS,
    "grace": (*RESPONDERS, "Reject", "Lower", "Attest", *CLOCKS),
    "lea": ("AcceptClock",),
    "eve": ("Acknowledge", "Escalate", "Note", "HandOver", "Accept", "Decide"),
    "mallory": (),
}


@pytest.mark.parametrize(("who", "type_"), [(who, type_) for who, types in MAY.items() for type_ in types])
def test_a_role_decides_under_its_own_name(place: Place, who: str, type_: str) -> None:
    assert "created" in place.create(who, "Decision", decision(type_, by=who), "--dry-run=server")


@pytest.mark.parametrize(
    ("who", "type_"),
    [(who, type_) for who, types in MAY.items() for type_ in ALL if type_ not in types],
)
def test_without_the_right_a_decision_is_refused_by_name(place: Place, who: str, type_: str) -> None:
    right = type_.lower()
    said = place.create(who, "Decision", decision(type_, by=who), "--dry-run=server")
    assert f"{who} lacks the right to {right} in namespace {place.name}: RBAC verb create on decisions/{right}" in said


def test_an_auditor_decides_nothing(place: Place) -> None:
    for type_ in ALL:
        said = place.create("frank", "Decision", decision(type_, by="frank"), "--dry-run=server")
        assert 'User "frank" cannot create resource "decisions"' in said


DECISION = decision("Acknowledge")
SIGNAL = {"origin": "Signal", "policyRef": {"name": "a"}, "model": "a", "rules": RULES}
REPORT = {"origin": "Person", "policyRef": {"name": "credit"}, "model": "credit", "reason": "customers complain"}
SILENCE = {
    "matchers": [{"field": "Model", "values": ["credit"]}],
    "from": "2026-11-23T14:00:00Z",
    "until": "2026-11-23T16:00:00Z",
    "reason": "maintenance",
}
NOTE = {"incidentRef": INCIDENT, "text": "counsel advises to wait"}
POLICY: dict[str, Any] = {
    "models": [{"name": "credit", "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit"}}],
    "signals": [{"name": "a", "kind": "Quality", "query": "up", "warn": "< 1"}],
    "tiers": [{"name": "owners", "severity": "SEV3", "accountable": "owners"}],
}
WATCHED = POLICY | {"models": [{"name": "credit"}]}


@pytest.mark.parametrize(
    ("who", "kind", "spec", "says"),
    [
        pytest.param(
            "alice",
            "Decision",
            DECISION | {"by": "bob"},
            "spec.by must be who asks: it is bob, and you are alice",
            id="a decision under another's name",
        ),
        pytest.param(
            "robot",
            "Decision",
            DECISION | {"by": "robot"},
            "is a service account",
            id="a decision of a service account",
        ),
        pytest.param(
            "admin",
            "Decision",
            DECISION | {"by": "alice"},
            "spec.by must be who asks",
            id="the administrator as another",
        ),
        pytest.param(
            "frank", "Decision", DECISION | {"by": "frank"}, "cannot create resource", id="an auditor decides"
        ),
        pytest.param("alice", "Decision", DECISION, "created", id="a decision whose name is filled in"),
        pytest.param("operator", "Incident", SIGNAL, "created", id="the operator opens an incident"),
        pytest.param(
            "mallory",
            "Incident",
            SIGNAL,
            "only the operator opens an Incident with origin Signal: use origin Person",
            id="a signal's incident by a person",
        ),
        pytest.param(
            "admin", "Incident", SIGNAL, "only the operator opens", id="a signal's incident by the administrator"
        ),
        pytest.param("alice", "Incident", REPORT | {"by": "alice"}, "created", id="a report"),
        pytest.param("alice", "Incident", REPORT, "created", id="a report whose name is filled in"),
        pytest.param(
            "alice",
            "Incident",
            REPORT | {"by": "bob"},
            "spec.by must be who asks: it is bob, and you are alice",
            id="a report under another's name",
        ),
        pytest.param(
            "mallory",
            "Incident",
            REPORT | {"by": "mallory"},
            "mallory lacks the right to report in namespace",
            id="a report without the right",
        ),
        pytest.param(
            "robot", "Incident", REPORT | {"by": "robot"}, "is a service account", id="a report of a service account"
        ),
        pytest.param(
            "carol", "EscalationPolicy", POLICY, "created", id="a policy of somebody who may patch the target"
        ),
        pytest.param(
            "dave",
            "EscalationPolicy",
            POLICY,
            "spec.models[].target: dave may not patch Deployments in namespace",
            id="a policy on a target that its author may not patch",
        ),
        pytest.param("dave", "EscalationPolicy", WATCHED, "created", id="a policy that only watches"),
        pytest.param("alice", "EscalationPolicy", WATCHED, "cannot create resource", id="a policy by a responder"),
        pytest.param("alice", "Silence", SILENCE, "created", id="a silence whose author is filled in"),
        pytest.param("alice", "Silence", SILENCE | {"by": "alice"}, "created", id="a silence"),
        pytest.param(
            "alice",
            "Silence",
            SILENCE | {"by": "bob"},
            "spec.by must be who asks: it is bob, and you are alice",
            id="a silence under another's name",
        ),
        pytest.param(
            "robot",
            "Silence",
            SILENCE | {"by": "robot"},
            "a Silence is an act of a person",
            id="a silence of a service account",
        ),
        pytest.param("bob", "Silence", SILENCE, "cannot create resource", id="a silence by an approver"),
        pytest.param("lena", "LegalNote", NOTE, "created", id="a note whose author is filled in"),
        pytest.param(
            "lena",
            "LegalNote",
            NOTE | {"by": "alice"},
            "spec.by must be who asks: it is alice, and you are lena",
            id="a note under another's name",
        ),
        pytest.param("alice", "LegalNote", NOTE, "cannot create resource", id="a note by a responder"),
    ],
)
def test_created(place: Place, who: str, kind: str, spec: dict[str, Any], says: str) -> None:
    assert says in place.create(who, kind, spec, "--dry-run=server")


def named(place: Place, who: str, kind: str, spec: dict[str, Any]) -> str:
    """Create it; its name, for example ``decision.tocsin.dev/x-abcde``."""
    said = place.create(who, kind, spec, "-o", "name")
    assert said.startswith(f"{kind.lower()}.tocsin.dev/x-"), said
    return said


def test_who_is_filled_in_is_who_asked(place: Place) -> None:
    given = {kind: named(place, "alice", kind, spec) for kind, spec in (("Decision", DECISION), ("Incident", REPORT))}
    for one in given.values():
        assert place.send("frank", "get", one, "-o", "jsonpath={.spec.by}") == "alice"


def test_a_decision_cannot_be_edited(place: Place) -> None:
    one = named(place, "alice", "Decision", DECISION)
    said = place.send("mallory", "patch", one, "--type=merge", "-p", '{"spec":{"by":"mallory"}}')
    assert "is immutable: create another one" in said


TEMPLATE = {"audience": "Internal", "phase": "Initial", "texts": [{"language": "en", "subject": "a", "body": "b"}]}
ROLE = {"members": [{"name": "Alice", "user": "alice"}]}


@pytest.mark.parametrize(
    ("who", "kind", "plural", "spec"),
    [
        ("alice", "Incident", "incidents", REPORT),
        ("dave", "EscalationPolicy", "escalationpolicies", WATCHED),
        ("dave", "Responder", "responders", ROLE),
        ("dave", "MessageTemplate", "messagetemplates", TEMPLATE),
    ],
)
def test_a_status_is_written_by_the_operator_only(
    place: Place, who: str, kind: str, plural: str, spec: dict[str, Any]
) -> None:
    one = named(place, who, kind, spec)
    condition = {"type": "Ready", "status": "True", "reason": "Forged", "lastTransitionTime": "2026-11-23T14:32:00Z"}
    status = {"status": {"conditions": [condition]}}
    for other in ("mallory", "admin"):
        said = place.send(other, "patch", one, "--subresource=status", "--type=merge", "-p", json.dumps(status))
        assert f"only the operator writes a status, and you are {other}" in said
    where = f"/apis/tocsin.dev/v1alpha1/namespaces/{place.name}/{plural}/{one.split('/')[1]}/status"
    written = place.release.cluster.api("PATCH", where, status, token=place.release.token())
    assert written["status"]["conditions"] == [condition]


def test_a_silence_is_ended_by_who_may_and_nothing_else_of_it_is_changed(place: Place) -> None:
    one = named(place, "alice", "Silence", SILENCE)
    earlier, later = (json.dumps({"spec": {"until": f"2026-11-23T{hour}:00:00Z"}}) for hour in (15, 17))
    assert "cannot patch resource" in place.send("bob", "patch", one, "--type=merge", "-p", earlier)
    assert "until can only be brought forward" in place.send("alice", "patch", one, "--type=merge", "-p", later)
    stolen = json.dumps({"spec": {"by": "mallory"}})
    assert "is immutable but for until" in place.send("mallory", "patch", one, "--type=merge", "-p", stolen)
    assert "patched" in place.send("alice", "patch", one, "--type=merge", "-p", earlier)


def test_a_privileged_note_is_read_by_one_role_only_and_not_by_the_operator(place: Place) -> None:
    one = named(place, "lena", "LegalNote", NOTE)
    assert "counsel advises" in place.send("lena", "get", one, "-o", "yaml")
    for other in ("alice", "bob", "grace", "eve", "carol", "erin", "frank", "robot", "operator"):
        for verb in ("get", "list", "watch"):
            asked = place.send(other, "auth", "can-i", verb, "legalnotes.tocsin.dev")
            assert asked.splitlines()[0].startswith(("no", "Warning")), (other, verb, asked)
    assert "cannot get resource" in place.send("frank", "get", one)
    assert "legalnotes" not in place.send("frank", "get", "tocsin", "-o", "name")
    edited = json.dumps({"spec": {"text": "nothing"}})
    assert "cannot patch resource" in place.send("lena", "patch", one, "--type=merge", "-p", edited)
    assert "is immutable" in place.send("mallory", "patch", one, "--type=merge", "-p", edited)


@pytest.mark.parametrize(
    ("who", "kind", "plural", "spec"),
    [
        ("alice", "Decision", "decisions", DECISION),
        ("alice", "Incident", "incidents", REPORT),
        ("alice", "Silence", "silences", SILENCE),
        ("lena", "LegalNote", "legalnotes", NOTE),
    ],
)
def test_a_record_is_deleted_by_the_right_to_records_only(
    place: Place, who: str, kind: str, plural: str, spec: dict[str, Any]
) -> None:
    one = named(place, who, kind, spec)
    refused = f"mallory lacks RBAC verb delete on {plural}/records in namespace {place.name}"
    assert refused in place.send("mallory", "delete", one)
    assert refused in place.send("mallory", "delete", f"{plural}.tocsin.dev", "--all")
    assert "cannot delete resource" in place.send("operator", "delete", one)
    assert "deleted" in place.send("erin", "delete", one, "--wait=false")


def test_a_policy_gains_a_target_by_who_may_patch_it_only(place: Place) -> None:
    one = named(place, "dave", "EscalationPolicy", WATCHED)
    target = json.dumps({"spec": {"models": POLICY["models"]}})
    assert "dave may not patch Deployments" in place.send("dave", "patch", one, "--type=merge", "-p", target)
    assert "patched" in place.send("carol", "patch", one, "--type=merge", "-p", target)
    assert "labeled" in place.send("dave", "label", one, "team=credit"), "metadata is not spec"
    tighter = json.dumps({"spec": {"mode": "Enforce"}})
    assert "dave may not patch Deployments" in place.send("dave", "patch", one, "--type=merge", "-p", tighter)


def test_a_namespace_goes_with_its_records(place: Place) -> None:
    cluster = place.release.cluster
    doomed = cluster.namespace("doomed")
    for kind, spec in (("Decision", DECISION | {"by": "admin"}), ("Incident", REPORT | {"by": "admin"})):
        body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": {"name": "one"}, "spec": spec}
        cluster.kubectl("create", "-n", doomed, "-f", "-", input=json.dumps(body))
    cluster.kubectl("delete", "namespace", doomed, "--timeout=60s")
    assert cluster.found(f"/api/v1/namespaces/{doomed}") is None
