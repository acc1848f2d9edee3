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
    "paula": ("tocsin-communications",),
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
  resources: [escalationpolicies, responders, messagetemplates, incidents, decisions, messages, silences, legalnotes,
    escalationpolicies/status, responders/status, messagetemplates/status, incidents/status, messages/status]
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


OF_POLICY = {"policyRef": {"name": "credit", "uid": "u"}, "digest": DIGEST}
OF_OPTION = {"incidentRef": INCIDENT, "option": "back", "digest": DIGEST}
OF_CLOCK = {"incidentRef": INCIDENT, "clock": "gdpr-33"}
OF_MESSAGE = {"messageRef": {"name": "m", "uid": "u"}, "digest": DIGEST}
SINCE, LATER = "2026-11-23T14:32:00Z", "2027-01-01T00:00:00Z"
ANCHORED = OF_CLOCK | {"anchors": [{"type": "Aware", "time": SINCE}]}
JUDGED = {"impact": "Minor", "legalExposure": "None", "materiality": "Unknown"}
ABOUT: dict[str, dict[str, Any]] = {
    "Authorise": OF_POLICY | {"option": "back", "expireTime": LATER},
    "Attest": OF_POLICY,
    "AcceptClock": OF_POLICY | {"clock": "gdpr-33"},
    "StartClock": ANCHORED,
    "MoveClock": ANCHORED,
    "DeclineClock": OF_CLOCK,
    "MarkSubmitted": OF_CLOCK | {"receipt": "R-7", "submittedTime": SINCE},
    "ApproveMessage": OF_MESSAGE,
    "RejectMessage": OF_MESSAGE,
    "ReleaseMessage": OF_MESSAGE,
    "AuthoriseMessage": {"templateRef": {"name": "t", "uid": "u"}, "digest": DIGEST, "expireTime": LATER},
    "Approve": OF_OPTION,
    "Reject": OF_OPTION,
    "BreakGlass": OF_OPTION,
    "Undo": OF_OPTION,
    "Classify": {"incidentRef": INCIDENT, "classification": JUDGED},
    "Lower": {"incidentRef": INCIDENT, "severity": "SEV4"},
    "HandOver": {"incidentRef": INCIDENT, "to": "night"},
    "Decide": {"incidentRef": INCIDENT, "question": "notify", "choice": "later"},
}
"""What each type is about, where that is more than an incident."""


def decision(type_: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "reason": "because"} | ABOUT.get(type_, {"incidentRef": INCIDENT}) | more


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
COMMUNICATIONS = ("ApproveMessage", "RejectMessage", "ReleaseMessage", "AuthoriseMessage")
ALL = (*RESPONDERS, *APPROVERS, *COMMUNICATIONS, "BreakGlass", "Attest", *CLOCKS, "AcceptClock")
MAY = {
    "alice": RESPONDERS,
    "bob": APPROVERS,
    "paula": COMMUNICATIONS,
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


WORDS = [{"language": "en", "subject": "We are on it", "body": "It is bad."}]
OTHERS = [{"language": "en", "subject": "We are on it", "body": "It is very bad."}]
MESSAGE: dict[str, Any] = {
    "key": "u/1/message/initial/1",
    "incidentRef": INCIDENT,
    "templateRef": {"name": "t", "namespace": "models", "uid": "t", "digest": DIGEST},
    "audience": "Customers",
    "phase": "Initial",
    "texts": WORDS,
    "terms": {"approvals": ["comms"]},
}


def test_a_message_is_drafted_by_the_operator_or_under_ones_own_name(place: Place) -> None:
    assert "created" in place.create("operator", "Message", MESSAGE, "--dry-run=server")
    for who in ("mallory", "admin"):
        assert "only the operator drafts a Message" in place.create(who, "Message", MESSAGE, "--dry-run=server")
    by_hand = MESSAGE | {"key": "person/u/1"}
    assert "created" in place.create("paula", "Message", by_hand | {"editedBy": ["paula"]}, "--dry-run=server")
    for editors in ({}, {"editedBy": ["mallory"]}, {"editedBy": ["mallory", "paula"]}):
        said = place.create("paula", "Message", by_hand | editors, "--dry-run=server")
        assert "spec.editedBy must be who has it drafted: paula" in said
    assert "cannot create resource" in place.create("alice", "Message", by_hand, "--dry-run=server")


def test_messages_are_read_by_communications_only(place: Place) -> None:
    one = named(place, "operator", "Message", MESSAGE)
    assert "It is bad." in place.send("paula", "get", one, "-o", "yaml")
    for who in ROLES.keys() - {"paula", "mallory"}:
        assert "cannot get resource" in place.send(who, "get", one, "-o", "yaml"), who
    assert "cannot patch resource" in place.send(
        "operator", "patch", one, "--type=merge", "-p", json.dumps({"spec": {}})
    )


def test_who_edits_a_message_is_written_down(place: Place) -> None:
    one = named(place, "operator", "Message", MESSAGE)

    def edit(who: str, texts: Any, *editors: str) -> str:
        spec = {"texts": texts} | ({"editedBy": list(editors)} if editors else {})
        return place.send(who, "patch", one, "--type=merge", "-p", json.dumps({"spec": spec}))

    assert "patched" in edit("paula", OTHERS, "paula")
    assert "add mallory at its end" in edit("mallory", WORDS, "paula", "paula")
    assert "add mallory at its end" in edit("mallory", WORDS, "mallory")
    assert "patched" in edit("mallory", WORDS, "paula", "mallory")
    assert "patched" in edit("paula", OTHERS), "filled in"
    assert place.send("paula", "get", one, "-o", "jsonpath={.spec.editedBy}") == '["mallory","paula"]'


def test_words_are_not_a_service_accounts(place: Place) -> None:
    one = named(place, "operator", "Message", MESSAGE)
    account = f"system:serviceaccount:{place.name}:default"
    cluster = place.release.cluster
    of_robot = ("--clusterrole=tocsin-communications", f"--serviceaccount={place.name}:default")
    cluster.kubectl("create", "rolebinding", "robot-writes", *of_robot, "-n", place.name)
    change = json.dumps({"spec": {"texts": OTHERS, "editedBy": [account]}})
    assert f"{account} is a service account" in place.send("robot", "patch", one, "--type=merge", "-p", change)


def test_a_namespace_goes_with_its_records(place: Place) -> None:
    cluster = place.release.cluster
    doomed = cluster.namespace("doomed")
    for kind, spec in (("Decision", DECISION | {"by": "admin"}), ("Incident", REPORT | {"by": "admin"})):
        body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": {"name": "one"}, "spec": spec}
        cluster.kubectl("create", "-n", doomed, "-f", "-", input=json.dumps(body))
    cluster.kubectl("delete", "namespace", doomed, "--timeout=60s")
    assert cluster.found(f"/api/v1/namespaces/{doomed}") is None
