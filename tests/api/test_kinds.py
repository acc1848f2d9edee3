"""Does the API server accept what is valid, and refuse the rest in words that say what to do?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.api.conftest import CRDS
from tests.api.rows import DIGEST, REFUSED, SIGNAL, VALID, Refused, changed
from tests.cluster.access import Access, ApiError
from tocsin.api.decision import Decision
from tocsin.api.incident import Incident
from tocsin.api.legalnote import LegalNote
from tocsin.api.message import CLOSED, EDITORS, FIXED, UNDER_WAY, Message, MessageState
from tocsin.api.objects import ApiModel
from tocsin.api.policy import EscalationPolicy
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.api.template import MessageTemplate

PLURALS = {
    "EscalationPolicy": "escalationpolicies",
    "Incident": "incidents",
    "Decision": "decisions",
    "Responder": "responders",
    "MessageTemplate": "messagetemplates",
    "Silence": "silences",
    "LegalNote": "legalnotes",
    "Message": "messages",
}
MODELS: dict[str, type[ApiModel]] = {
    model.__name__: model
    for model in (EscalationPolicy, Incident, Decision, Responder, MessageTemplate, Message, Silence, LegalNote)
}

ACCEPTED = (
    ("EscalationPolicy", "the least policy", "{}"),
    ("EscalationPolicy", "a policy that only watches", "models: [{name: credit}]"),
    ("EscalationPolicy", "a model matched by other labels", "models: [{name: credit, match: {model_name: credit/v2}}]"),
    (
        "EscalationPolicy",
        "all lines of a falling signal",
        f"signals: [{{{SIGNAL}, warn: '< 0.92', critical: '< 0.88', recover: '>= 0.92'}}]",
    ),
    (
        "EscalationPolicy",
        "all lines of a rising signal",
        f"signals: [{{{SIGNAL}, warn: '>= -1.5', critical: '> -1', recover: '< -1.5'}}]",
    ),
    ("EscalationPolicy", "a compound duration", f"signals: [{{{SIGNAL}, warn: '< 1', every: 1s, for: 1h30m0s5ms}}]"),
    (
        "EscalationPolicy",
        "rules that are attested",
        f"{{secondLine: model-risk, reviewBy: '2027-06-30T00:00:00Z', signals: [{{{SIGNAL}, warn: '< 1', basis: as"
        " agreed}]}",
    ),
    (
        "EscalationPolicy",
        "options in order",
        "containment: [{name: back, type: RollBack, rollBack: {to: Previous}, effect: {experience: they wait,"
        " fallback: we call}, approval: {failSafeAfter: 5m,"
        " expireAfter: 1h}}, {name: stop, type: Scale, scale: {replicas: 0},"
        " effect: {experience: they wait, fallback: we call}}]",
    ),
    ("Incident", "a person's incident", "{}"),
    (
        "Incident",
        "a signal's incident",
        "{origin: Signal, by: null, reason: null, rules: {mode: Enforce, prometheus: default, model: {name: credit},"
        f" risk: {{}}, reopenWindow: 1h, digests: {{back: '{DIGEST}'}}}}}}",
    ),
    (
        "Incident",
        "an incident of a policy that is older than effect",
        "{origin: Signal, by: null, reason: null, rules: {mode: Enforce, prometheus: default, model: {name: credit},"
        " risk: {}, reopenWindow: 1h, containment: [{name: back, type: RollBack}]}}",
    ),
    ("Decision", "an acknowledgement", "{}"),
    (
        "Decision",
        "an approval",
        f"{{type: Approve, incidentRef: {{uid: u}}, option: back, digest: '{DIGEST}', reason: seen}}",
    ),
    ("Decision", "a lowering", "{type: Lower, incidentRef: {uid: u}, severity: SEV4, reason: false alarm}"),
    ("Decision", "an escalation to a tier", "{type: Escalate, tier: board, reason: press}"),
    ("Decision", "a resolution", "{type: Resolve, incidentRef: {uid: u}, reason: over}"),
    (
        "Decision",
        "a resolution with a post-mortem",
        "{type: Resolve, incidentRef: {uid: u}, reason: over,"
        " postMortem: {owner: ada, dueTime: '2026-12-01T00:00:00Z'}}",
    ),
    (
        "Decision",
        "a classification",
        "{type: Classify, reason: looked at, classification: {impact: None, legalExposure: Likely,"
        " materiality: Unknown}}",
    ),
    (
        "Decision",
        "a standing authorisation",
        f"{{type: Authorise, incidentRef: null, policyRef: {{name: a, uid: b}}, option: back, digest: '{DIGEST}',"
        " reason: tried, expireTime: '2026-11-23T14:32:00+02:00'}",
    ),
    (
        "Decision",
        "an attestation",
        f"{{type: Attest, incidentRef: null, policyRef: {{name: a, uid: b}}, digest: '{DIGEST}', reason: read}}",
    ),
    (
        "EscalationPolicy",
        "clocks with and without a calendar",
        "clocks: [{preset: gdpr-33, determineWithin: 4h}, {preset: sec-8k-105, calendar: DE-BY}]",
    ),
    (
        "Decision",
        "a clock that is started from two anchors",
        "{type: StartClock, incidentRef: {uid: u}, clock: dora-initial, reason: seen, anchors: [{type: Aware, time:"
        " '2026-11-23T14:32:00Z'}, {type: Classified, time: '2026-11-23T15:32:00Z'}]}",
    ),
    (
        "Decision",
        "a submission, which needs no reason",
        "{type: MarkSubmitted, incidentRef: {uid: u}, clock: gdpr-33, receipt: R-7, submittedTime:"
        " '2026-11-23T15:32:00Z'}",
    ),
    (
        "Decision",
        "an acceptance of a clock",
        f"{{type: AcceptClock, incidentRef: null, policyRef: {{name: a, uid: b}}, clock: gdpr-33, digest: '{DIGEST}',"
        " reason: read}",
    ),
    ("Responder", "a role without a channel", "channels: []"),
    ("MessageTemplate", "a message to customers", "{}"),
    (
        "MessageTemplate",
        "a form for a regulator",
        "{audience: Regulators, approvals: [compliance, legal], remediationWindow: 72h, incidentTypes: [Bias, Harm]}",
    ),
    ("MessageTemplate", "executives told as a role", "{audience: Executives, approvals: null, to: [executives]}"),
    (
        "MessageTemplate",
        "partners told by a sender, in two languages",
        "{audience: Partners, sender: {secretRef: {name: mail}}, values: [{name: contact}, {name: service, value: us}],"
        " texts: [{language: en, subject: a, body: b}, {language: pt-BR, subject: c, body: d}]}",
    ),
    ("MessageTemplate", "a holding line with talking points", "{audience: Media, talkingPoints: [We know of it.]}"),
    (
        "Decision",
        "a privileged reason beside the one for everybody",
        f"{{type: Escalate, reason: counsel asks, note: {{name: note-1, digest: '{DIGEST}'}}}}",
    ),
    ("Silence", "a model for two hours", "{}"),
    ("Silence", "everything of the namespace", "{matchers: null, everything: true}"),
    (
        "Silence",
        "all of a policy but one model, for as long as can be",
        "{until: '2026-12-23T14:00:00Z', matchers: [{field: Policy, values: [credit, fraud]},"
        " {field: Model, operator: NotIn, values: [credit]}]}",
    ),
    ("LegalNote", "a note", "{}"),
    (
        "EscalationPolicy",
        "messages",
        "messages: [{name: a, template: b, when: Opened}, {name: c, template: b, when: Every, every: 1h},"
        " {name: d, template: e, when: TierEntered, tier: owners}]",
    ),
    ("Message", "a draft", "{}"),
    ("Message", "a draft for our own", "{audience: Internal, terms: {to: [owners]}}"),
    (
        "Decision",
        "a release",
        f"{{type: ReleaseMessage, incidentRef: null, messageRef: {{name: m, uid: u}}, digest: '{DIGEST}',"
        " reason: all have read it}",
    ),
    (
        "Decision",
        "a standing approval of messages",
        f"{{type: AuthoriseMessage, incidentRef: null, templateRef: {{name: t, uid: u}}, digest: '{DIGEST}',"
        " expireTime: '2027-01-01T00:00:00Z', varying: [incident.type, incident.openedTime], reason: agreed}",
    ),
)

IMMUTABLE = {
    "Incident": "an Incident's spec is immutable: write a Decision instead",
    "Decision": "a Decision is immutable: create another one",
    "Silence": "a Silence is immutable but for until: create another one",
    "LegalNote": "a LegalNote is immutable: create another one",
}
FORWARD = "until can only be brought forward: create another Silence to go on"


def path(kind: str, rest: str = "") -> str:
    return f"/apis/tocsin.dev/v1alpha1/namespaces/default/{PLURALS[kind]}{rest}"


def body(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": {"name": "one"}, "spec": spec}


def sent(cluster: Access, kind: str, spec: dict[str, Any]) -> Any:
    return cluster.api("POST", path(kind, "?dryRun=All&fieldValidation=Strict"), body(kind, spec))


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.kind} - {row.why}") for row in REFUSED])
def test_refused(kinds: Access, row: Refused) -> None:
    with pytest.raises(ApiError) as refused:
        sent(kinds, row.kind, changed(VALID[row.kind], row.change))
    assert row.error in refused.value.body["message"]


@pytest.mark.parametrize(
    ("kind", "change"), [pytest.param(kind, change, id=f"{kind} - {why}") for kind, why, change in ACCEPTED]
)
def test_accepted_and_read_back_by_the_models(kinds: Access, kind: str, change: str) -> None:
    given = changed(VALID[kind], change)
    stored = sent(kinds, kind, given)
    read = MODELS[kind].model_validate(stored)
    assert read == MODELS[kind].model_validate(stored | {"spec": given}), "the server's defaults are the models'"


@pytest.mark.parametrize("kind", IMMUTABLE)
def test_a_record_cannot_be_edited(kinds: Access, namespace: str, kind: str) -> None:
    place = path(kind).replace("/default/", f"/{namespace}/")
    kinds.api("POST", place, body(kind, VALID[kind]))
    with pytest.raises(ApiError, match=IMMUTABLE[kind]):
        kinds.api("PATCH", f"{place}/one", {"spec": {"by": "mallory"}})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"until": "2026-11-23T15:00:00Z"}, "", id="it ends earlier"),
        pytest.param({"until": "2026-11-23T16:00:01Z"}, FORWARD, id="it ends later"),
        pytest.param({"until": "2026-11-23T13:00:00Z"}, "until must be later than from", id="before it began"),
        pytest.param({"matchers": [{"field": "Model", "values": ["x"]}]}, IMMUTABLE["Silence"], id="of another model"),
        pytest.param({"matchers": None, "everything": True}, IMMUTABLE["Silence"], id="of everything"),
        pytest.param({"from": "2026-11-23T13:00:00Z"}, IMMUTABLE["Silence"], id="it begins earlier"),
        pytest.param({"reason": "another one"}, IMMUTABLE["Silence"], id="for another reason"),
    ],
)
def test_of_a_silence_only_the_end_is_brought_forward(
    kinds: Access, namespace: str, change: dict[str, Any], error: str
) -> None:
    place = path("Silence").replace("/default/", f"/{namespace}/")
    kinds.api("POST", place, body("Silence", VALID["Silence"]))
    if not error:
        assert kinds.api("PATCH", f"{place}/one", {"spec": change})["spec"]["until"] == change["until"]
        return
    with pytest.raises(ApiError) as refused:
        kinds.api("PATCH", f"{place}/one", {"spec": change})
    assert error in refused.value.body["message"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(
            {"signals": [{"name": "a", "state": "Firing", "value": "bad"}]},
            "signals[0].value in body should match",
            id="a value that is no number",
        ),
        pytest.param({"phase": "Done"}, 'status.phase: Unsupported value: "Done"', id="an unknown phase"),
        pytest.param(
            {"waitingFor": "x" * 1025}, "status.waitingFor: Too long: may not be more than 1024", id="an endless text"
        ),
        pytest.param(
            {"snapshot": {"time": "2026-11-23T14:32:00Z", "target": "a", "templateDigest": "md5:1"}},
            "snapshot.templateDigest in body should match",
            id="a digest that is none",
        ),
        pytest.param(
            {
                "rules": {
                    "mode": "Observe",
                    "prometheus": "p",
                    "model": {"name": "m"},
                    "risk": {},
                    "reopenWindow": "1h",
                    "digests": {"A": DIGEST},
                }
            },
            "each key must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            id="a digest of an option that cannot be",
        ),
    ],
)
def test_refused_in_a_status(kinds: Access, namespace: str, status: dict[str, Any], error: str) -> None:
    place = path("Incident").replace("/default/", f"/{namespace}/")
    kinds.api("POST", place, body("Incident", VALID["Incident"]))
    with pytest.raises(ApiError) as refused:
        kinds.api("PATCH", f"{place}/one/status", {"status": status})
    assert error in refused.value.body["message"]


def test_a_decision_has_no_status(kinds: Access) -> None:
    resources = kinds.api("GET", "/apis/tocsin.dev/v1alpha1")["resources"]
    with_status = sorted(one["name"] for one in resources if one["name"].endswith("/status"))
    assert with_status == [
        "escalationpolicies/status",
        "incidents/status",
        "messages/status",
        "messagetemplates/status",
        "responders/status",
    ]


def _rules(schema: Any, key: str) -> Iterator[str]:
    """Every rule's message or every pattern in a schema."""
    match schema:
        case dict():
            yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()) if key == "message")
            if isinstance(schema.get("pattern"), str) and key == "pattern":
                yield schema["pattern"]
            for part in schema.values():
                yield from _rules(part, key)
        case list():
            for part in schema:
                yield from _rules(part, key)


@pytest.mark.parametrize("kind", VALID)
@pytest.mark.parametrize("key", ["message", "pattern"])
def test_every_rule_and_pattern_has_a_row(kind: str, key: str) -> None:
    definition = yaml.safe_load((CRDS / f"{PLURALS[kind]}.yaml").read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"].pop("rules", None)  # a policy's, whose rows stand with the policy
    of_edits = (IMMUTABLE.get(kind, ""), FORWARD, *((FIXED, EDITORS) if kind == "Message" else ()))
    said = "\n".join([*(row.error for row in REFUSED if row.kind == kind), *of_edits])
    assert [text for text in dict.fromkeys(_rules(spec, key)) if text not in said] == []


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("escalationpolicies.spec.signals.warn", 'for example "< 0.92"'),
        ("incidents.status.tiers.acknowledgeDeadline", "Until when somebody must acknowledge"),
        ("decisions.spec.digest", "What exactly is approved"),
        ("responders.spec.members.user", "The person's Kubernetes user name"),
        ("messagetemplates.spec.remediationWindow", "says that it is an estimate"),
        ("silences.spec.matchers.field", "What is looked at"),
        ("legalnotes.spec.text", "What is privileged"),
    ],
)
def test_explained(kinds: Access, field: str, says: str) -> None:
    assert says in " ".join(kinds.kubectl("explain", f"{field}").split())


def test_printed_as_the_design_shows(kinds: Access, namespace: str) -> None:
    place = path("Incident").replace("/default/", f"/{namespace}/")
    kinds.api("POST", place, body("Incident", VALID["Incident"]))
    status = {
        "severity": "SEV2",
        "tier": "compliance",
        "phase": "Contained",
        "risk": 61,
        "lead": {"user": "grace", "time": "2026-11-23T14:00:00Z", "because": "Acknowledged"},
        "waitingFor": "compliance: decide",
        "nextDeadline": "14:32Z",
    }
    kinds.api("PATCH", f"{place}/one/status", {"status": status})
    header, line = kinds.kubectl("get", "inc", "-n", namespace).splitlines()
    assert header.split("  ")[0] == "NAME"
    assert header.split()[1:-1] == ["MODEL", "SEV", "TIER", "PHASE", "RISK", "LEAD", "WAITING", "FOR", "DEADLINE"]
    shown = ["credit", "SEV2", "compliance", "Contained", "61", "grace", "compliance:", "decide", "14:32Z"]
    assert line.split()[1:-1] == shown


def test_selected_by_field(kinds: Access, namespace: str) -> None:
    place = path("Decision").replace("/default/", f"/{namespace}/")
    kinds.api("POST", place, body("Decision", VALID["Decision"]))
    of = kinds.kubectl(
        "get", "dec", "-n", namespace, "--field-selector=spec.incidentRef.name=credit-7c9f2", "-o", "name"
    )
    none = kinds.kubectl("get", "dec", "-n", namespace, "--field-selector=spec.by=bob", "-o", "name")
    assert (of, none) == ("decision.tocsin.dev/one\n", "")


def written(cluster: Access, namespace: str, name: str = "one") -> str:
    """Where a message is that was drafted."""
    place = path("Message").replace("/default/", f"/{namespace}/")
    cluster.api("POST", place, body("Message", VALID["Message"]) | {"metadata": {"name": name}})
    return f"{place}/{name}"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"audience": "Media"}, FIXED, id="for whom it is"),
        pytest.param({"terms": {"approvals": ["press"]}}, FIXED, id="whose word it needs"),
        pytest.param({"varying": ["incident.type"]}, FIXED, id="on what it rests"),
        pytest.param({"editedBy": ["mallory"]}, EDITORS, id="who has edited it"),
    ],
)
def test_of_a_message_only_the_words_are_edited(
    kinds: Access, namespace: str, change: dict[str, Any], error: str
) -> None:
    where = written(kinds, namespace)
    with pytest.raises(ApiError, match=error):
        kinds.api("PATCH", where, {"spec": change})
    texts = [{"language": "en", "subject": "We are on it", "body": "It is very bad."}]
    assert kinds.api("PATCH", where, {"spec": {"texts": texts, "editedBy": ["paula"]}})["metadata"]["generation"] == 2


@pytest.mark.parametrize("state", list(MessageState))
def test_words_that_go_out_are_edited_no_more(kinds: Access, namespace: str, state: MessageState) -> None:
    where = written(kinds, namespace)
    kinds.api("PATCH", f"{where}/status", {"status": {"state": state}})
    texts = [{"language": "en", "subject": "We are on it", "body": "It is very bad."}]
    if state in CLOSED:
        with pytest.raises(ApiError, match=UNDER_WAY):
            kinds.api("PATCH", where, {"spec": {"texts": texts, "editedBy": ["paula"]}})
        assert kinds.api("PATCH", where, {"metadata": {"labels": {"team": "a"}}})["metadata"]["labels"] == {"team": "a"}
    else:
        assert kinds.api("PATCH", where, {"spec": {"texts": texts, "editedBy": ["paula"]}})["spec"]["texts"] == texts


def test_the_order_of_the_texts_is_a_part_of_the_words(kinds: Access, namespace: str) -> None:
    where = written(kinds, namespace)
    texts = [{"language": one, "subject": "A", "body": "B"} for one in ("en", "de")]
    kinds.api("PATCH", where, {"spec": {"texts": texts, "editedBy": ["paula"]}})
    kinds.api("PATCH", f"{where}/status", {"status": {"state": "Releasing"}})
    with pytest.raises(ApiError, match=UNDER_WAY):
        kinds.api("PATCH", where, {"spec": {"texts": texts[::-1]}})
