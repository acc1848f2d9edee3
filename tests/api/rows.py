"""What does the API server refuse, and in which words? One row per rule and pattern, beside a valid spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from tocsin.api.containment import UNTOLD
from tocsin.api.message import ONCE
from tocsin.api.objects import LATER
from tocsin.api.policy import EVERY_ALONE, NO_TIER, TIER_ALONE, TOO_MANY, TOO_OFTEN, UNSERVED
from tocsin.api.silence import LONGEST, UNBOUNDED
from tocsin.api.template import BY_SENDER, LANGUAGE_PATTERN, ONE_APPROVAL, TO_PEOPLE, TWO_APPROVALS, VALUE_PATTERN

VALID: dict[str, dict[str, Any]] = {
    "EscalationPolicy": yaml.safe_load("""
        models: [{name: credit, target: {apiVersion: apps/v1, kind: Deployment, name: credit}}]
        signals: [{name: accuracy, kind: Quality, query: model_quality_ratio, warn: "< 0.92"}]
        tiers: [{name: owners, severity: SEV3, accountable: owners}]
    """),
    "Incident": yaml.safe_load("""
        origin: Person
        policyRef: {name: credit}
        model: credit
        by: alice
        reason: customers complain
    """),
    "Decision": yaml.safe_load("""
        type: Acknowledge
        by: alice
        incidentRef: {name: credit-7c9f2}
    """),
    "MessageTemplate": yaml.safe_load("""
        audience: Customers
        phase: Initial
        approvals: [comms]
        texts: [{language: en, subject: A problem, body: We are looking into it.}]
    """),
    "Message": yaml.safe_load(
        """
        key: incident-uid/1/message/initial/1
        incidentRef: {name: credit-7c9f2, uid: incident-uid}
        templateRef: {name: initial, namespace: models, uid: template-uid, digest: "sha256:%s"}
        audience: Customers
        phase: Initial
        texts: [{language: en, subject: We are on it, body: It is bad.}]
        terms: {approvals: [comms], sender: {secretRef: {name: outlet}}}
    """
        % ("a" * 64)
    ),
    "Responder": yaml.safe_load("""
        members: [{name: Alice, user: alice}]
        channels: [{name: pager, secretRef: {name: pager}}]
    """),
    "Silence": yaml.safe_load("""
        matchers: [{field: Model, values: [credit]}]
        from: "2026-11-23T14:00:00Z"
        until: "2026-11-23T16:00:00Z"
        reason: the feature store is moved
        by: alice
    """),
    "LegalNote": yaml.safe_load("""
        incidentRef: {name: credit-7c9f2, uid: u}
        text: counsel advises to tell the authority
        by: alice
    """),
}
DIGEST = "sha256:" + "a" * 64


@dataclass(frozen=True)
class Refused:
    """A change of the kind's valid spec, and what the API server says of it; null removes a field."""

    kind: str
    why: str
    change: str
    error: str


def changed(spec: dict[str, Any], change: str) -> dict[str, Any]:
    """The spec with the change merged in, as a JSON merge patch would."""
    given: dict[str, Any] = merged(spec, yaml.safe_load(change))
    return given


def merged(old: Any, new: Any) -> Any:
    """A JSON merge patch, carried out."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    kept = {name: value for name, value in old.items() if name not in new}
    return kept | {name: merged(old.get(name), value) for name, value in new.items() if value is not None}


SIGNAL = "name: a, kind: Quality, query: up"
_COMPARISON = r"should match '^(<|<=|>|>=) -?[0-9]{1,12}(\.[0-9]{1,9})?$'"
_LABEL = "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"
_BACKWARDS = "from: '2026-11-24T00:00:00Z', until: '2026-11-23T00:00:00Z'"
_NAME = "should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'"
_DURATION = "should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'"
_ON_MESSAGES = (
    "ApproveMessage, RejectMessage and ReleaseMessage require messageRef and digest, which stands in the message's"
    " status; nothing else takes messageRef"
)
_IN_ADVANCE = "AuthoriseMessage requires templateRef, digest and expireTime; nothing else takes templateRef or varying"
_VARIABLE = r"should match '^[a-z][a-zA-Z0-9]*(\.[a-z][a-zA-Z0-9]*)?$'"
_REASON = "reason is required, but to acknowledge, accept, resume and mark as submitted: why, in a few words"
_AUTHORISE = (
    "Authorise requires policyRef, option, digest and expireTime; nothing else takes expireTime but for"
    " AuthoriseMessage, nor policyRef but for Attest and AcceptClock"
)
_ATTEST = (
    "spec: Invalid value: Attest requires policyRef and digest, which stands in the policy's status; it takes no option"
)
_INCIDENT = (
    "spec: Invalid value: incidentRef is required, but for Authorise, Attest and AcceptClock, which name a policyRef,"
    " and for decisions on messages"
)
_OF_CLOCK = "clock is required to start, decline, move, accept or submit one, and goes with nothing else"
_ANCHORS = "anchors are required to start a clock, exactly one to move it, and go with nothing else"
_AWARE = "{type: Aware, time: '2026-11-23T14:32:00Z'}"
_ABOUT = "incidentRef: {uid: u}, clock: gdpr-33"

REFUSED = (
    # --- EscalationPolicy
    Refused(
        "EscalationPolicy",
        "a number is not a comparison",
        f"signals: [{{{SIGNAL}, warn: '0.92'}}]",
        f"spec.signals[0].warn in body {_COMPARISON}",
    ),
    Refused(
        "EscalationPolicy",
        "equality is no direction",
        f"signals: [{{{SIGNAL}, warn: '== 0.92'}}]",
        f"spec.signals[0].warn in body {_COMPARISON}",
    ),
    Refused(
        "EscalationPolicy",
        "a float is not a comparison",
        f"signals: [{{{SIGNAL}, warn: 0.92}}]",
        'spec.signals[0].warn in body must be of type string: "number"',
    ),
    Refused(
        "EscalationPolicy",
        "critical points the other way than warn",
        f"signals: [{{{SIGNAL}, warn: '< 0.92', critical: '> 0.88'}}]",
        "spec.signals[0]: Invalid value: critical must point the same way as warn: both '<' or both '>'",
    ),
    Refused(
        "EscalationPolicy",
        "critical equals warn",
        f"signals: [{{{SIGNAL}, warn: '< 0.92', critical: '<= 0.920'}}]",
        "spec.signals[0]: Invalid value: critical must lie beyond warn: a worse value than warn's",
    ),
    Refused(
        "EscalationPolicy",
        "critical of a rising signal lies below warn",
        f"signals: [{{{SIGNAL}, warn: '> 10', critical: '> 9'}}]",
        "spec.signals[0]: Invalid value: critical must lie beyond warn: a worse value than warn's",
    ),
    Refused(
        "EscalationPolicy",
        "recover points the same way as warn",
        f"signals: [{{{SIGNAL}, warn: '< 0.92', recover: '< 0.95'}}]",
        "spec.signals[0]: Invalid value: recover must point the other way than warn: '>=' where warn is '<'",
    ),
    Refused(
        "EscalationPolicy",
        "recover lies on the bad side of warn",
        f"signals: [{{{SIGNAL}, warn: '< 0.92', recover: '>= 0.9'}}]",
        "spec.signals[0]: Invalid value: recover must lie on the good side of warn",
    ),
    Refused(
        "EscalationPolicy",
        "recover of a rising signal lies on the bad side of warn",
        f"signals: [{{{SIGNAL}, warn: '> -2', recover: '< -1'}}]",
        "spec.signals[0]: Invalid value: recover must lie on the good side of warn",
    ),
    Refused(
        "EscalationPolicy",
        "one value would breach and recover",
        f"signals: [{{{SIGNAL}, warn: '<= 0.92', recover: '>= 0.92'}}]",
        "spec.signals[0]: Invalid value: recover must not hold where warn does: leave out one '='",
    ),
    Refused(
        "EscalationPolicy",
        "a signal is evaluated without a pause",
        f"signals: [{{{SIGNAL}, warn: '< 1', every: 500ms}}]",
        "spec.signals[0]: Invalid value: every must be 1s or longer",
    ),
    Refused(
        "EscalationPolicy",
        "a day is not a unit of GEP-2257",
        f"signals: [{{{SIGNAL}, warn: '< 1', for: 1d}}]",
        f"spec.signals[0].for in body {_DURATION}",
    ),
    Refused(
        "EscalationPolicy",
        "two signals have one name",
        f"signals: [{{{SIGNAL}, warn: '< 1'}}, {{{SIGNAL}, warn: '< 2'}}]",
        'spec.signals[1]: Duplicate value: {"name":"a"}',
    ),
    Refused(
        "EscalationPolicy", "there is no signal", "signals: []", "spec.signals in body should have at least 1 items"
    ),
    Refused("EscalationPolicy", "there is no tier", "tiers: null", "spec.tiers: Required value"),
    Refused(
        "EscalationPolicy",
        "two models have one name",
        "models: [{name: a}, {name: a}]",
        'spec.models[1]: Duplicate value: {"name":"a"}',
    ),
    Refused(
        "EscalationPolicy",
        "a model is no DNS label",
        "models: [{name: Credit}]",
        f"spec.models[0].name in body {_LABEL}",
    ),
    Refused(
        "EscalationPolicy",
        "what it depends on is a label",
        "models: [{name: a, upstream: [Feature Store]}]",
        f"spec.models[0].upstream[0] in body {_LABEL}",
    ),
    Refused(
        "EscalationPolicy",
        "what it depends on is said once",
        "models: [{name: a, upstream: [feature-store, feature-store]}]",
        'spec.models[0].upstream[1]: Duplicate value: "feature-store"',
    ),
    Refused(
        "EscalationPolicy",
        "an owner is a Responder",
        "models: [{name: a, owners: {userImpact: Ada}}]",
        f"spec.models[0].owners.userImpact in body {_NAME}",
    ),
    Refused(
        "EscalationPolicy",
        "a label to match on is none",
        "models: [{name: a, match: {a-b: c}}]",
        "spec.models[0].match: Invalid value: each key must match ^[a-zA-Z_][a-zA-Z0-9_]*$",
    ),
    Refused(
        "EscalationPolicy",
        "a target of a kind that is not contained",
        "models: [{name: a, target: {apiVersion: apps/v1, kind: ReplicaSet, name: a}}]",
        'spec.models[0].target.kind: Unsupported value: "ReplicaSet": supported values: "Deployment", "StatefulSet",'
        ' "DaemonSet", "CronJob"',
    ),
    Refused(
        "EscalationPolicy",
        "a number of replicas for a DaemonSet",
        "{models: [{name: a, target: {apiVersion: apps/v1, kind: DaemonSet, name: a}}],"
        " containment: [{name: stop, type: Scale, scale: {replicas: 0}}]}",
        "spec: Invalid value: containment of a DaemonSet can only be of type RollBack or Pause",
    ),
    Refused(
        "EscalationPolicy",
        "a rollback of a CronJob",
        "{models: [{name: a, target: {apiVersion: batch/v1, kind: CronJob, name: a}}],"
        " containment: [{name: back, type: RollBack, effect: {experience: older answers, fallback: none}}]}",
        "spec: Invalid value: containment of a CronJob can only be of type Pause",
    ),
    Refused(
        "EscalationPolicy",
        "a CronJob of the API of Deployments",
        "models: [{name: a, target: {apiVersion: apps/v1, kind: CronJob, name: a}}]",
        "spec.models[0].target: Invalid value: apiVersion must be that of the kind: Deployment apps/v1,"
        " StatefulSet apps/v1, DaemonSet apps/v1, CronJob batch/v1",
    ),
    Refused(
        "EscalationPolicy",
        "a target of another API",
        "models: [{name: a, target: {apiVersion: v1, kind: Deployment, name: a}}]",
        'spec.models[0].target.apiVersion: Unsupported value: "v1": supported values: "apps/v1", "batch/v1"',
    ),
    Refused(
        "EscalationPolicy",
        "a target's name is none",
        "models: [{name: a, target: {apiVersion: apps/v1, kind: Deployment, name: a/scale}}]",
        f"spec.models[0].target.name in body {_NAME}",
    ),
    Refused(
        "EscalationPolicy",
        "a target of another namespace",
        "models: [{name: a, target: {apiVersion: apps/v1, kind: Deployment, name: a, namespace: b}}]",
        'unknown field "spec.models[0].target.namespace"',
    ),
    Refused(
        "EscalationPolicy",
        "containment without a target",
        "{models: [{name: a}], containment: [{name: back, type: RollBack}]}",
        "spec: Invalid value: containment needs a target: set models[].target",
    ),
    Refused(
        "EscalationPolicy",
        "an option lacks the member that its type names",
        "containment: [{name: stop, type: Scale}]",
        "spec.containment[0]: Invalid value: only the member that type names may be set: rollBack for RollBack, scale"
        " for Scale (needed), none for Pause",
    ),
    Refused(
        "EscalationPolicy",
        "an option has another type's member",
        "containment: [{name: back, type: RollBack, scale: {replicas: 0}}]",
        "spec.containment[0]: Invalid value: only the member that type names may be set: rollBack for RollBack, scale"
        " for Scale (needed), none for Pause",
    ),
    Refused(
        "EscalationPolicy",
        "a rollback of which nobody knows what people feel",
        "containment: [{name: back, type: RollBack}]",
        f"spec.containment: Invalid value: {UNTOLD}",
    ),
    Refused(
        "EscalationPolicy",
        "a stop of which nobody knows what people feel",
        "containment: [{name: stop, type: Scale, scale: {replicas: 0}}]",
        f"spec.containment: Invalid value: {UNTOLD}",
    ),
    Refused(
        "EscalationPolicy",
        "one option of two says nothing of what people feel",
        "containment: [{name: back, type: RollBack, effect: {experience: they wait, fallback: we call}},"
        " {name: again, type: RollBack}]",
        f"spec.containment: Invalid value: {UNTOLD}",
    ),
    Refused(
        "EscalationPolicy",
        "what people feel, and nobody who helps them",
        "containment: [{name: back, type: RollBack, effect: {experience: they wait}}]",
        "spec.containment[0].effect.fallback: Required value",
    ),
    Refused(
        "EscalationPolicy",
        "what people feel is left empty",
        "containment: [{name: back, type: RollBack, effect: {experience: '', fallback: we call}}]",
        "spec.containment[0].effect.experience in body should be at least 3 chars long",
    ),
    Refused(
        "EscalationPolicy",
        "what is done by hand is a book",
        f"containment: [{{name: back, type: RollBack, effect: {{experience: they wait, fallback: {'x' * 513}}}}}]",
        "spec.containment[0].effect.fallback: Too long: may not be more than 512",
    ),
    Refused(
        "EscalationPolicy",
        "an option fails safe after it has expired",
        "containment: [{name: back, type: RollBack, approval: {failSafeAfter: 1h, expireAfter: 60m}}]",
        "spec.containment[0]: Invalid value: approval.failSafeAfter must be shorter than approval.expireAfter",
    ),
    Refused(
        "EscalationPolicy",
        "replicas below nothing",
        "containment: [{name: stop, type: Scale, scale: {replicas: -1}}]",
        "spec.containment[0].scale.replicas in body should be greater than or equal to 0",
    ),
    Refused(
        "EscalationPolicy", "a risk beyond the scale", "risk: {regulatory: 5}", "should be less than or equal to 4"
    ),
    Refused(
        "EscalationPolicy",
        "a tier without anybody",
        "tiers: [{name: owners, severity: SEV3, informed: [owners]}]",
        "spec.tiers[0].accountable: Required value",
    ),
    Refused(
        "EscalationPolicy",
        "a tier that tells everybody",
        "tiers: [{name: owners, severity: SEV3, accountable: owners, informed: [a, b, c, d, e, f, g, h]}]",
        f"spec.tiers[0]: Invalid value: {TOO_MANY}",
    ),
    Refused(
        "EscalationPolicy",
        "a role twice",
        "tiers: [{name: owners, severity: SEV3, accountable: owners, informed: [a, a]}]",
        'spec.tiers[0].informed[1]: Duplicate value: "a"',
    ),
    Refused(
        "EscalationPolicy",
        "a question with one answer",
        "tiers: [{name: owners, severity: SEV3, accountable: owners, decideWithin: 1h,"
        " questions: [{name: notify, text: notify them, options: [always]}]}]",
        "spec.tiers[0].questions[0].options in body should have at least 2 items",
    ),
    Refused(
        "EscalationPolicy",
        "a question twice",
        "tiers: [{name: owners, severity: SEV3, accountable: owners, decideWithin: 1h, questions: ["
        "{name: notify, text: notify them, options: [a, b]}, {name: notify, text: and them, options: [a, b]}]}]",
        'spec.tiers[0].questions[1]: Duplicate value: {"name":"notify"}',
    ),
    Refused(
        "EscalationPolicy",
        "a question that may stay open for ever",
        "tiers: [{name: owners, severity: SEV3, accountable: owners,"
        " questions: [{name: notify, text: notify them, options: [a, b]}]}]",
        "spec.tiers[0]: Invalid value: questions need decideWithin: else nobody hears of one that is not answered",
    ),
    Refused("EscalationPolicy", "a second line that is none", "secondLine: Risk", f"spec.secondLine in body {_NAME}"),
    Refused(
        "EscalationPolicy",
        "a review that is no instant",
        "reviewBy: next year",
        "spec.reviewBy in body must be of type date-time",
    ),
    Refused(
        "EscalationPolicy",
        "a floor of nothing",
        "models: [{name: credit, target: {apiVersion: apps/v1, kind: Deployment, name: credit},"
        " floor: {minAvailable: 0}}]",
        "spec.models[0].floor.minAvailable in body should be greater than or equal to 1",
    ),
    Refused(
        "EscalationPolicy",
        "a floor of a model that nothing is done to",
        "models: [{name: credit, floor: {minAvailable: 2}}]",
        f"spec.models[0]: Invalid value: {UNSERVED}",
    ),
    Refused(
        "EscalationPolicy",
        "a freeze that ends when it begins",
        "freezes: [{name: move, from: '2026-12-01T00:00:00Z', until: '2026-12-01T00:00:00Z', reason: a move}]",
        f"spec.freezes[0]: Invalid value: {LATER}",
    ),
    Refused(
        "EscalationPolicy",
        "a freeze without a reason",
        "freezes: [{name: move, from: '2026-12-01T00:00:00Z', until: '2026-12-02T00:00:00Z', reason: '?'}]",
        "spec.freezes[0].reason in body should be at least 3 chars long",
    ),
    Refused(
        "EscalationPolicy",
        "a freeze twice",
        "freezes: [{name: move, from: '2026-12-01T00:00:00Z', until: '2026-12-02T00:00:00Z', reason: a move},"
        " {name: move, from: '2026-12-03T00:00:00Z', until: '2026-12-04T00:00:00Z', reason: another}]",
        'spec.freezes[1]: Duplicate value: {"name":"move"}',
    ),
    Refused(
        "EscalationPolicy",
        "a basis that says nothing",
        "signals: [{name: a, kind: Quality, query: up, warn: '< 1', basis: ok}]",
        "spec.signals[0].basis in body should be at least 3 chars long",
    ),
    Refused("EscalationPolicy", "an unknown mode", "mode: Warn", 'spec.mode: Unsupported value: "Warn"'),
    Refused("EscalationPolicy", "a misspelt field", "tires: []", 'unknown field "spec.tires"'),
    # --- Incident
    Refused(
        "Incident",
        "a person's incident without the person",
        "by: null",
        "spec: Invalid value: by is required with origin Person",
    ),
    Refused(
        "Incident",
        "a person's incident without a reason",
        "reason: '?'",
        "spec: Invalid value: reason is required with origin Person: what was seen",
    ),
    Refused(
        "Incident",
        "a person brings rules along",
        "rules: {mode: Enforce, prometheus: default, model: {name: credit}, risk: {}, reopenWindow: 1h}",
        "spec: Invalid value: rules are frozen by the operator: leave them out with origin Person",
    ),
    Refused(
        "Incident",
        "a signal's incident without rules",
        "origin: Signal",
        "spec: Invalid value: rules are frozen by the operator: leave them out with origin Person",
    ),
    Refused(
        "Incident",
        "the operator brings a complaint along",
        "{origin: Signal, source: Media, rules: {mode: Enforce, prometheus: default, model: {name: credit}, risk: {},"
        " reopenWindow: 1h}}",
        "spec: Invalid value: source and harm go with origin Person only",
    ),
    Refused("Incident", "a rumour", "source: Rumour", 'spec.source: Unsupported value: "Rumour"'),
    Refused("Incident", "a model is no DNS label", "model: a_b", f"spec.model in body {_LABEL}"),
    Refused("Incident", "a policy's name is none", "policyRef: {name: A}", f"spec.policyRef.name in body {_NAME}"),
    Refused("Incident", "an unknown origin", "origin: Rumour", 'spec.origin: Unsupported value: "Rumour"'),
    # --- Decision
    Refused("Decision", "an unknown act", "type: Ignore", 'spec.type: Unsupported value: "Ignore"'),
    Refused("Decision", "nobody decides", "by: ''", "spec.by in body should be at least 1 chars long"),
    Refused(
        "Decision",
        "an act on nothing",
        "incidentRef: null",
        _INCIDENT,
    ),
    Refused(
        "Decision",
        "an authorisation without an end",
        f"{{type: Authorise, incidentRef: null, policyRef: {{name: a, uid: b}}, option: back, digest: '{DIGEST}',"
        " reason: tried}",
        f"spec: Invalid value: {_AUTHORISE}",
    ),
    Refused(
        "Decision",
        "an attestation of an incident",
        f"{{type: Attest, policyRef: {{name: a, uid: b}}, digest: '{DIGEST}', reason: read}}",
        _INCIDENT,
    ),
    Refused(
        "Decision",
        "an attestation of no rules in particular",
        "{type: Attest, incidentRef: null, policyRef: {name: a, uid: b}, reason: read}",
        _ATTEST,
    ),
    Refused(
        "Decision",
        "an attestation of an option",
        f"{{type: Attest, incidentRef: null, policyRef: {{name: a, uid: b}}, digest: '{DIGEST}', option: back,"
        " reason: read}",
        _ATTEST,
    ),
    Refused(
        "Decision",
        "an attestation without a reason",
        f"{{type: Attest, incidentRef: null, policyRef: {{name: a, uid: b}}, digest: '{DIGEST}', reason: ok}}",
        f"spec: Invalid value: {_REASON}",
    ),
    Refused(
        "Decision",
        "an acknowledgement about a policy",
        "policyRef: {name: a, uid: b}",
        f"spec: Invalid value: {_AUTHORISE}",
    ),
    Refused(
        "Decision",
        "an acknowledgement with an end",
        "expireTime: '2026-11-23T14:32:00Z'",
        f"spec: Invalid value: {_AUTHORISE}",
    ),
    Refused(
        "Decision",
        "an end that is no instant",
        "expireTime: tomorrow",
        'spec.expireTime: Invalid value: "tomorrow": spec.expireTime in body must be of type date-time',
    ),
    Refused(
        "Decision",
        "an incident is resolved by name only",
        "{type: Resolve, reason: it is over}",
        "spec: Invalid value: incidentRef.uid is required to approve, reject, break glass, undo, lower and resolve",
    ),
    Refused(
        "Decision",
        "an approval of nothing in particular",
        "{type: Approve, incidentRef: {uid: u}, reason: seen}",
        "spec: Invalid value: option and digest are required to approve, reject, break glass and undo: both stand in"
        " the incident's status.containment",
    ),
    Refused(
        "Decision",
        "an undo by name only",
        f"{{type: Undo, option: back, digest: '{DIGEST}', reason: it is worse}}",
        "spec: Invalid value: incidentRef.uid is required to approve, reject, break glass, undo, lower and resolve",
    ),
    Refused(
        "Decision",
        "an undo of nothing in particular",
        "{type: Undo, incidentRef: {uid: u}, reason: it is worse}",
        "spec: Invalid value: option and digest are required to approve, reject, break glass and undo: both stand in"
        " the incident's status.containment",
    ),
    Refused(
        "Decision",
        "an undo without a reason",
        f"{{type: Undo, incidentRef: {{uid: u}}, option: back, digest: '{DIGEST}'}}",
        f"spec: Invalid value: {_REASON}",
    ),
    Refused(
        "Decision",
        "an acknowledgement of an option",
        "option: back",
        "spec: Invalid value: option and digest go with Approve, Reject, BreakGlass, Undo and Authorise only, and"
        " digest with Attest, AcceptClock and decisions on messages",
    ),
    Refused(
        "Decision",
        "a digest that is none",
        "{type: Approve, incidentRef: {uid: u}, option: back, digest: 'sha256:abc', reason: seen}",
        "spec.digest in body should match '^sha256:[0-9a-f]{64}$'",
    ),
    Refused("Decision", "a clock that nobody starts", "clock: gdpr-33", f"spec: Invalid value: {_OF_CLOCK}"),
    Refused(
        "Decision",
        "a start of no clock",
        f"{{type: StartClock, incidentRef: {{uid: u}}, anchors: [{_AWARE}], reason: seen}}",
        f"spec: Invalid value: {_OF_CLOCK}",
    ),
    Refused(
        "Decision",
        "a clock that is no name",
        "{type: DeclineClock, incidentRef: {uid: u}, clock: GDPR, reason: none}",
        f"spec.clock in body {_LABEL}",
    ),
    Refused(
        "Decision",
        "a clock declined by the incident's name only",
        "{type: DeclineClock, clock: gdpr-33, reason: none}",
        "spec: Invalid value: incidentRef.uid is required to start, decline, move and submit a clock",
    ),
    Refused(
        "Decision",
        "a start from nothing",
        f"{{type: StartClock, {_ABOUT}, reason: seen}}",
        f"spec: Invalid value: {_ANCHORS}",
    ),
    Refused(
        "Decision",
        "a refusal with an anchor",
        f"{{type: DeclineClock, {_ABOUT}, anchors: [{_AWARE}], reason: none}}",
        f"spec: Invalid value: {_ANCHORS}",
    ),
    Refused(
        "Decision",
        "two anchors moved at once",
        f"{{type: MoveClock, {_ABOUT}, reason: log, anchors: [{_AWARE}, {{type: Classified, time:"
        " '2026-11-23T15:32:00Z'}]}",
        f"spec: Invalid value: {_ANCHORS}",
    ),
    Refused(
        "Decision",
        "an anchor of no kind that there is",
        f"{{type: StartClock, {_ABOUT}, reason: seen, anchors: [{{type: Bored, time: '2026-11-23T15:32:00Z'}}]}}",
        'spec.anchors[0].type: Unsupported value: "Bored"',
    ),
    Refused(
        "Decision",
        "submitted without a receipt",
        f"{{type: MarkSubmitted, {_ABOUT}, submittedTime: '2026-11-23T15:32:00Z'}}",
        "spec: Invalid value: receipt and submittedTime are required to mark a clock as submitted, and go with nothing"
        " else",
    ),
    Refused(
        "Decision",
        "an acceptance of no numbers in particular",
        "{type: AcceptClock, incidentRef: null, policyRef: {name: a, uid: b}, clock: gdpr-33, reason: read}",
        "spec: Invalid value: AcceptClock requires policyRef and digest, which stands in the policy's status.clocks; it"
        " takes no option",
    ),
    Refused(
        "Decision",
        "an acceptance in an incident",
        f"{{type: AcceptClock, policyRef: {{name: a, uid: b}}, clock: gdpr-33, digest: '{DIGEST}', reason: read}}",
        _INCIDENT,
    ),
    Refused(
        "EscalationPolicy",
        "a clock that is no name",
        "clocks: [{preset: GDPR}]",
        f"spec.clocks[0].preset in body {_LABEL}",
    ),
    Refused(
        "EscalationPolicy",
        "a calendar that is no name",
        "clocks: [{preset: sec-8k-105, calendar: us}]",
        "spec.clocks[0].calendar in body should match '^[A-Z][A-Z0-9]{1,4}(-[A-Z0-9]{1,3})?$'",
    ),
    Refused(
        "EscalationPolicy",
        "a clock twice",
        "clocks: [{preset: gdpr-33}, {preset: gdpr-33}]",
        'spec.clocks[1]: Duplicate value: {"preset":"gdpr-33"}',
    ),
    Refused(
        "Decision",
        "lowered to nothing",
        "{type: Lower, incidentRef: {uid: u}, reason: false alarm}",
        "spec: Invalid value: severity is required to lower, and goes with nothing else",
    ),
    Refused(
        "Decision",
        "an acknowledgement of one tier",
        "tier: owners",
        "spec: Invalid value: tier goes with Escalate only: an acknowledgement counts for every tier of its author",
    ),
    Refused("Decision", "a tier's name is none", "{type: Escalate, tier: The Board}", f"spec.tier in body {_LABEL}"),
    Refused(
        "Decision", "an incident's name is none", "incidentRef: {name: inc/a}", f"spec.incidentRef.name in body {_NAME}"
    ),
    Refused(
        "Decision",
        "escalated without a reason",
        "type: Escalate",
        f"spec: Invalid value: {_REASON}",
    ),
    Refused(
        "Decision",
        "approved without a reason",
        f"{{type: Approve, incidentRef: {{uid: u}}, option: back, digest: '{DIGEST}'}}",
        f"spec: Invalid value: {_REASON}",
    ),
    Refused(
        "Decision",
        "resolved with hardly a reason",
        "{type: Resolve, incidentRef: {uid: u}, reason: ok}",
        f"spec: Invalid value: {_REASON}",
    ),
    Refused(
        "Decision",
        "the glass is broken without a reason",
        f"{{type: BreakGlass, incidentRef: {{uid: u}}, option: back, digest: '{DIGEST}'}}",
        f"spec: Invalid value: {_REASON}",
    ),
    Refused(
        "Decision",
        "classified as nothing",
        "{type: Classify, reason: looked at}",
        "spec: Invalid value: classification is required to classify, and goes with nothing else",
    ),
    Refused(
        "Decision",
        "an acknowledgement with a post-mortem",
        "postMortem: {owner: ada, dueTime: '2026-11-23T14:32:00Z'}",
        "spec: Invalid value: postMortem goes with Resolve only",
    ),
    Refused(
        "Decision",
        "handed over to nobody",
        "{type: HandOver, reason: my shift ends}",
        "spec: Invalid value: to is required to hand over, and goes with nothing else",
    ),
    Refused(
        "Decision", "a role that is none", "{type: HandOver, reason: my shift ends, to: A}", f"spec.to in body {_NAME}"
    ),
    Refused(
        "Decision",
        "decided without a choice",
        "{type: Decide, reason: the law says so, question: notify}",
        "spec: Invalid value: question and choice are required to decide, and go with nothing else",
    ),
    Refused(
        "Decision",
        "no question's name",
        "{type: Decide, question: A, choice: b, reason: because}",
        f"spec.question in body {_LABEL}",
    ),
    # --- messages
    Refused(
        "EscalationPolicy",
        "a message at a tier's entry without a tier",
        "messages: [{name: a, template: b, when: TierEntered}]",
        f"spec.messages[0]: Invalid value: {TIER_ALONE}",
    ),
    Refused(
        "EscalationPolicy",
        "a message at the opening with a tier",
        "messages: [{name: a, template: b, when: Opened, tier: owners}]",
        f"spec.messages[0]: Invalid value: {TIER_ALONE}",
    ),
    Refused(
        "EscalationPolicy",
        "a message that comes again without a span",
        "messages: [{name: a, template: b, when: Every}]",
        f"spec.messages[0]: Invalid value: {EVERY_ALONE}",
    ),
    Refused(
        "EscalationPolicy",
        "a message once a second",
        "messages: [{name: a, template: b, when: Every, every: 1s}]",
        f"spec.messages[0]: Invalid value: {TOO_OFTEN}",
    ),
    Refused(
        "EscalationPolicy",
        "a message at a tier that there is not",
        "messages: [{name: a, template: b, when: TierEntered, tier: board}]",
        f"spec: Invalid value: {NO_TIER}",
    ),
    Refused(
        "EscalationPolicy",
        "a message twice",
        "messages: [{name: a, template: b, when: Opened}, {name: a, template: c, when: Resolved}]",
        'spec.messages[1]: Duplicate value: {"name":"a"}',
    ),
    Refused(
        "Decision",
        "an approval of a message without its digest",
        "{type: ApproveMessage, incidentRef: null, messageRef: {name: m, uid: u}, reason: read}",
        f"spec: Invalid value: {_ON_MESSAGES}",
    ),
    Refused(
        "Decision",
        "a release of no message",
        f"{{type: ReleaseMessage, incidentRef: null, digest: '{DIGEST}', reason: read}}",
        f"spec: Invalid value: {_ON_MESSAGES}",
    ),
    Refused(
        "Decision",
        "a decision on a message and an incident",
        f"{{type: RejectMessage, messageRef: {{name: m, uid: u}}, digest: '{DIGEST}', reason: read}}",
        "incidentRef is required, but for Authorise, Attest and AcceptClock, which name a policyRef,"
        " and for decisions on messages",
    ),
    Refused(
        "Decision",
        "a standing approval without an end",
        f"{{type: AuthoriseMessage, incidentRef: null, templateRef: {{name: t, uid: u}}, digest: '{DIGEST}',"
        " reason: agreed}",
        f"spec: Invalid value: {_IN_ADVANCE}",
    ),
    Refused(
        "Decision",
        "an acknowledgement of variables",
        "varying: [incident.type]",
        f"spec: Invalid value: {_IN_ADVANCE}",
    ),
    Refused(
        "Decision",
        "a variable that is none",
        f"{{type: AuthoriseMessage, incidentRef: null, templateRef: {{name: t, uid: u}}, digest: '{DIGEST}',"
        " expireTime: '2027-01-01T00:00:00Z', varying: [a.b.c], reason: agreed}",
        f"spec.varying[0] in body {_VARIABLE}",
    ),
    Refused(
        "Message",
        "a language twice",
        "texts: [{language: en, subject: A, body: B}, {language: en, subject: C, body: D}]",
        f"spec: Invalid value: {ONCE}",
    ),
    Refused("Message", "no words", "texts: []", "spec.texts in body should have at least 1 items"),
    Refused(
        "Message",
        "a subject of two lines",
        'texts: [{language: en, subject: "A\\nB", body: C}]',
        r"spec.texts[0].subject in body should match '^[^\r\n]+$'",
    ),
    Refused(
        "Message",
        "a language that is none",
        "texts: [{language: English, subject: A, body: B}]",
        f"spec.texts[0].language in body should match '{LANGUAGE_PATTERN}'",
    ),
    Refused(
        "Message",
        "a digest that is none",
        "templateRef: {digest: abc}",
        "spec.templateRef.digest in body should match '^sha256:[0-9a-f]{64}$'",
    ),
    Refused(
        "Message",
        "a role whose name is none",
        "terms: {approvals: [All of us]}",
        f"spec.terms.approvals[0] in body {_NAME}",
    ),
    Refused("Message", "an empty body", 'texts: [{language: en, subject: A, body: ""}]', "spec.texts[0].body in body"),
    # --- Responder
    Refused("Responder", "a role without people", "members: []", "spec.members in body should have at least 1 items"),
    Refused(
        "Responder",
        "a person twice",
        "members: [{name: A, user: a}, {name: B, user: a}]",
        'spec.members[1]: Duplicate value: {"user":"a"}',
    ),
    Refused(
        "Responder",
        "a channel without a Secret",
        "channels: [{name: pager}]",
        "spec.channels[0].secretRef: Required value",
    ),
    Refused(
        "Responder",
        "a channel's name is none",
        "channels: [{name: My Pager, secretRef: {name: pager}}]",
        f"spec.channels[0].name in body {_LABEL}",
    ),
    Refused(
        "Responder",
        "a Secret of another namespace",
        "channels: [{name: pager, secretRef: {name: other/pager}}]",
        f"spec.channels[0].secretRef.name in body {_NAME}",
    ),
    Refused(
        "Responder",
        "an absence that ends before it begins",
        f"members: [{{name: A, user: a, absences: [{{{_BACKWARDS}}}]}}]",
        f"spec.members[0].absences[0]: Invalid value: {LATER}",
    ),
    Refused(
        "Responder",
        "a swap that ends before it begins",
        f"rotation: {{order: [alice], start: '2026-11-23T09:00', overrides: [{{user: alice, {_BACKWARDS}}}]}}",
        f"spec.rotation.overrides[0]: Invalid value: {LATER}",
    ),
    Refused(
        "Responder",
        "a rotation of nobody",
        "rotation: {order: [], start: '2026-11-23T09:00'}",
        "spec.rotation.order in body should have at least 1 items",
    ),
    Refused(
        "Responder",
        "a start without a time",
        "rotation: {order: [alice], start: '2026-11-23'}",
        "spec.rotation.start in body should match '^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]$'",
    ),
    Refused(
        "Responder",
        "working hours through the night",
        "workingHours: {from: '22:00', until: '06:00', otherwise: day}",
        f"spec.workingHours: Invalid value: {LATER}",
    ),
    Refused(
        "Responder",
        "a time that is none",
        "workingHours: {from: 9am, until: '17:00', otherwise: day}",
        "spec.workingHours.from in body should match '^([01][0-9]|2[0-3]):[0-5][0-9]$'",
    ),
    Refused(
        "Responder",
        "a day that is none",
        "workingHours: {days: [Monday], from: '09:00', until: '17:00', otherwise: day}",
        'spec.workingHours.days[0]: Unsupported value: "Monday"',
    ),
    Refused(
        "Responder",
        "a person's channel twice",
        "members: [{name: A, user: a, channels: [{name: p, secretRef: {name: p}}, {name: p, secretRef: {name: q}}]}]",
        'spec.members[0].channels[1]: Duplicate value: {"name":"p"}',
    ),
    # --- MessageTemplate
    Refused("MessageTemplate", "a message to nobody", "audience: null", "spec.audience: Required value"),
    Refused(
        "MessageTemplate",
        "an audience that there is not",
        "audience: Friends",
        'spec.audience: Unsupported value: "Friends"',
    ),
    Refused("MessageTemplate", "a phase that there is not", "phase: Later", 'spec.phase: Unsupported value: "Later"'),
    Refused(
        "MessageTemplate",
        "a type that there is not",
        "incidentTypes: [Fire]",
        'spec.incidentTypes[0]: Unsupported value: "Fire"',
    ),
    Refused(
        "MessageTemplate",
        "a type twice",
        "incidentTypes: [Drift, Drift]",
        'spec.incidentTypes[1]: Duplicate value: "Drift"',
    ),
    Refused("MessageTemplate", "no text", "texts: []", "spec.texts in body should have at least 1 items"),
    Refused(
        "MessageTemplate",
        "a language that is none",
        "texts: [{language: English, subject: a, body: b}]",
        f"spec.texts[0].language in body should match '{LANGUAGE_PATTERN}'",
    ),
    Refused(
        "MessageTemplate",
        "a language twice",
        "texts: [{language: en, subject: a, body: b}, {language: en, subject: c, body: d}]",
        'spec.texts[1]: Duplicate value: {"language":"en"}',
    ),
    Refused(
        "MessageTemplate",
        "an empty text",
        "texts: [{language: en, subject: a, body: ''}]",
        "spec.texts[0].body in body should be at least 1 chars long",
    ),
    Refused(
        "MessageTemplate",
        "a text that is too long",
        f"texts: [{{language: en, subject: a, body: {'b' * 8193}}}]",
        "spec.texts[0].body: Too long: may not be more than 8192 bytes",
    ),
    Refused(
        "MessageTemplate",
        "a value's name is none",
        "values: [{name: our-name}]",
        f"spec.values[0].name in body should match '{VALUE_PATTERN}'",
    ),
    Refused(
        "MessageTemplate",
        "a value twice",
        "values: [{name: a}, {name: a}]",
        'spec.values[1]: Duplicate value: {"name":"a"}',
    ),
    Refused(
        "MessageTemplate",
        "a window that is no duration",
        "remediationWindow: 3 days",
        f"spec.remediationWindow in body {_DURATION}",
    ),
    Refused(
        "MessageTemplate", "customers without an approval", "approvals: []", f"spec: Invalid value: {ONE_APPROVAL}"
    ),
    Refused(
        "MessageTemplate",
        "a regulator with one approval",
        "audience: Regulators",
        f"spec: Invalid value: {TWO_APPROVALS}",
    ),
    Refused("MessageTemplate", "no role's name", "approvals: [Comms Team]", f"spec.approvals[0] in body {_NAME}"),
    Refused("MessageTemplate", "a role twice", "approvals: [a, a]", 'spec.approvals[1]: Duplicate value: "a"'),
    Refused("MessageTemplate", "customers told as a role", "to: [owners]", f"spec: Invalid value: {TO_PEOPLE}"),
    Refused(
        "MessageTemplate",
        "our own people told from outside",
        "{audience: Internal, sender: {secretRef: {name: mail}}}",
        f"spec: Invalid value: {BY_SENDER}",
    ),
    Refused(
        "MessageTemplate",
        "a regulator told by a machine",
        "{audience: Regulators, approvals: [a, b], sender: {secretRef: {name: mail}}}",
        f"spec: Invalid value: {BY_SENDER}",
    ),
    # --- Silence
    Refused("Silence", "nothing is silenced", "matchers: null", f"spec: Invalid value: {UNBOUNDED}"),
    Refused("Silence", "an empty list silences nothing", "matchers: []", f"spec: Invalid value: {UNBOUNDED}"),
    Refused(
        "Silence",
        "everything but something is everything",
        "matchers: [{field: Model, operator: NotIn, values: [x]}]",
        f"spec: Invalid value: {UNBOUNDED}",
    ),
    Refused("Silence", "everything, and something", "everything: true", f"spec: Invalid value: {UNBOUNDED}"),
    Refused(
        "Silence",
        "a matcher of nothing",
        "matchers: [{field: Model, values: []}]",
        "spec.matchers[0].values in body should have at least 1 items",
    ),
    Refused(
        "Silence",
        "a value twice",
        "matchers: [{field: Model, values: [a, a]}]",
        'spec.matchers[0].values[1]: Duplicate value: "a"',
    ),
    Refused(
        "Silence",
        "a severity is not matched on: there are two of which nothing is silenced",
        "matchers: [{field: Severity, values: [SEV3]}]",
        'spec.matchers[0].field: Unsupported value: "Severity"',
    ),
    Refused(
        "Silence",
        "a pattern",
        "matchers: [{field: Model, operator: Matches, values: [cred.*]}]",
        'spec.matchers[0].operator: Unsupported value: "Matches"',
    ),
    Refused("Silence", "it ends before it begins", "until: '2026-11-23T13:00:00Z'", f"spec: Invalid value: {LATER}"),
    Refused("Silence", "it never holds", "until: '2026-11-23T14:00:00Z'", f"spec: Invalid value: {LATER}"),
    Refused("Silence", "longer than a month", "until: '2026-12-23T14:00:01Z'", f"spec: Invalid value: {LONGEST}"),
    Refused("Silence", "without an end", "until: null", "spec.until: Required value"),
    Refused("Silence", "hardly a reason", "reason: ok", "spec.reason in body should be at least 3 chars long"),
    Refused("Silence", "nobody silences", "by: ''", "spec.by in body should be at least 1 chars long"),
    # --- LegalNote
    Refused("LegalNote", "a note that says nothing", "text: ''", "spec.text in body should be at least 1 chars long"),
    Refused(
        "LegalNote",
        "a note that is a book",
        f"text: {'x' * 16385}",
        "spec.text: Too long: may not be more than 16384",
    ),
    Refused(
        "LegalNote",
        "a note on whichever incident has that name",
        "incidentRef: {uid: null}",
        "spec.incidentRef.uid: Required value",
    ),
    Refused(
        "LegalNote",
        "an incident's name is none",
        "incidentRef: {name: inc/a}",
        f"spec.incidentRef.name in body {_NAME}",
    ),
    Refused("LegalNote", "nobody wrote it", "by: ''", "spec.by in body should be at least 1 chars long"),
    Refused(
        "Decision",
        "a privileged note on a policy",
        "{type: Attest, incidentRef: null, policyRef: {name: a, uid: b}, reason: because,"
        f" digest: '{DIGEST}', note: {{name: a, digest: '{DIGEST}'}}}}",
        "spec: Invalid value: note goes with what is decided on an incident only",
    ),
    Refused(
        "Decision",
        "a note without its digest",
        "note: {name: note-1}",
        "spec.note.digest: Required value",
    ),
    Refused(
        "Decision",
        "a note's digest is none",
        "note: {name: note-1, digest: md5}",
        "spec.note.digest in body should match '^sha256:[0-9a-f]{64}$'",
    ),
    Refused(
        "Decision", "a note's name is none", f"note: {{name: A, digest: '{DIGEST}'}}", f"spec.note.name in body {_NAME}"
    ),
)
