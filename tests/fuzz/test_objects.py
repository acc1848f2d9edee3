"""What can stand in an object of somebody who means it badly? Whatever it is, nobody else is stopped by it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.builders import (
    MIN,
    SUSTAINED,
    T0,
    a_decision,
    a_freeze,
    a_policy,
    a_situation,
    a_target,
    an_incident,
    latency,
    rolled_back,
    the_rules,
)
from tests.engine.test_rounds import Bench, play
from tests.fuzz.anything import FEW, JSON, MANY, ODD_TEXTS, Allowed, Json, schema, spoiled
from tests.letters import judged, look
from tocsin.api.checks import _option_problems, _signal_problems, check
from tocsin.api.containment import Option, Target
from tocsin.api.decision import DecisionType
from tocsin.api.incident import IncidentStatus
from tocsin.api.message import Message
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy, EscalationPolicySpec, EscalationPolicyStatus, Mode, Rules, Signal
from tocsin.api.responder import ResponderSpec
from tocsin.api.silence import Silence
from tocsin.api.template import MessageTemplateSpec
from tocsin.decide.incident import plan
from tocsin.decide.messages import plan_message
from tocsin.decide.policy import Surroundings, report
from tocsin.decide.situation import Budget, NoTarget, Outcome, Trust
from tocsin.engine.bearing import Key, Wake, of_brake, of_object, of_responder, of_trust, of_workload
from tocsin.observe.cluster import MODELS, PLURALS, Name, Pair, Store, pair_of

DIGEST = "sha256:" + "0" * 64
NUMBERS = ("0.4", "-5", "100", "Infinity", "-1e+999999999", "1e-999999999", "0e+999999999", "9.9999999999e+999999999")
NAMES = ("latency", "owners", "compliance", "board", "last-healthy", "stop", "fraud", "a")
KEYS = (
    "incident-uid/1/notify/owners.owners/1", "incident-uid/1/contain/last-healthy/1", "incident-uid/1/contain/stop/1",
    "incident-uid/1/notify/owners", "other-uid/9/notify/board.nobody/x", "", "x" * 1024,
)  # fmt: skip
WORDS = {
    "": (
        *NAMES, *NUMBERS, "fraud-1", "models", "alice", "RollBack", "Scale", "hash-1", "hash-2", "target-uid", "up",
        "15m", "incident-uid", "joined x", "a rehearsal: the policy observes", DIGEST, "> 0.3", "> 0.6", "<= 0.24",
        *ODD_TEXTS,
    ),
    "name": NAMES,
    "against": NAMES,
    "value": NUMBERS,
    "severity": NUMBERS,
    "risk": NUMBERS,
    "key": KEYS,
    "causes": ("TierEntered", "Resolved", "ApprovalNeeded", "SomethingNew"),
    "by": ("alice", "carol", "mallory"),
    "to": ("hash-1", "hash-2", "0", "4", "x"),
}  # fmt: skip
INSTANTS = (
    "2026-11-23T09:00:00Z", "2026-11-23T08:59:00Z", "2026-11-23T09:30:00.5+02:00", "2026-11-22t00:00:00z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59.999999999Z",
)  # fmt: skip
ALLOWED = Allowed(WORDS, INSTANTS)
SPECS = {kind: ALLOWED.by(schema(plural)["spec"]) for kind, plural in PLURALS.items()}
STATUSES = {
    kind: ALLOWED.by(schema(plural)["status"]) for kind, plural in PLURALS.items() if "status" in schema(plural)
}


def held_to_cel(rules: Json) -> Json:
    """Rules without the signals and options that the API server's CEL refuses."""
    signals = [one for one in rules.get("signals", ()) if not [*_signal_problems(Signal.model_validate(one))]]
    options = [one for one in rules.get("containment", ()) if not [*_option_problems(Option.model_validate(one))]]
    return rules | {"signals": signals, "containment": options}


RULES = ALLOWED.by(schema("incidents")["status"]["properties"]["rules"]).map(held_to_cel)
POLICIES = SPECS["EscalationPolicy"].map(held_to_cel).filter(lambda spec: spec["signals"])


def an_object(kind: str, spec: Json, status: Json = None, version: int = 1) -> Json:
    """As the API server gives it: what it writes itself is always sound."""
    metadata = {"namespace": "models", "name": "fraud-1", "uid": "incident-uid", "creationTimestamp": INSTANTS[0]}
    metadata["resourceVersion"] = str(version)
    made = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return made if status is None else made | {"status": status}


CHECKED: dict[str, type[EscalationPolicySpec | ResponderSpec | MessageTemplateSpec]] = {
    "EscalationPolicy": EscalationPolicySpec,
    "Responder": ResponderSpec,
    "MessageTemplate": MessageTemplateSpec,
}
KINDS = st.sampled_from(list(MODELS))
TAKEN = KINDS.flatmap(lambda kind: st.tuples(st.just(kind), SPECS[kind], STATUSES.get(kind, st.none())))
SPOILED = KINDS.flatmap(
    lambda kind: st.tuples(st.just(kind), SPECS[kind].flatmap(lambda spec: spoiled(spec)) | JSON, st.none() | JSON)
)


@MANY
@given(TAKEN)
def test_what_the_api_server_takes_can_be_read(taken: tuple[str, Json, Json]) -> None:
    store = Store()
    store.put(taken[0], an_object(*taken))
    assert [error for _, _, error in store.unreadable()] == []
    looked_over(store)


MESSAGES = st.tuples(SPECS["Message"], STATUSES["Message"])


@MANY
@given(MESSAGES)
def test_whatever_a_message_says_something_is_decided(given: tuple[Json, Json]) -> None:
    message = Message.model_validate(an_object("Message", *given))
    decisions = [judged(kind, "paula", message) for kind in ("ApproveMessage", "ReleaseMessage", "AuthoriseMessage")]
    decided = plan_message(look(message, *decisions))
    settled = message.model_copy(update={"status": decided.status})
    assert plan_message(look(settled, *decisions)).status == decided.status
    words = {text.body for text in message.spec.texts if len(text.body) > 40}
    fresh = [line for line in decided.status.story if line not in message.status.story]
    assert not any(body in str((fresh, decided.events)) for body in words)


@MANY
@given(st.lists(SPOILED | TAKEN, max_size=4))
def test_what_nobody_takes_is_named_by_its_field_and_stops_nothing(given: list[tuple[str, Json, Json]]) -> None:
    store = Store()
    for version, (kind, spec, status) in enumerate(given, start=1):
        assert store.put(kind, an_object(kind, spec, status, version))
    fields = [error.partition(":")[0].split(".")[0] for _, _, error in store.unreadable()]
    assert set(fields) <= {"spec", "status"}
    looked_over(store)


def looked_over(store: Store) -> None:
    """Everything that anybody asks of a store, and what each of its objects bears on; in the end nothing is left."""
    target = Target(api_version="apps/v1", kind="Deployment", name="fraud")
    assert all(wake.key.about for wake in of_workload(store, "models", target, came_or_went=True))
    assert all(wake.key.about for wake in of_responder(store, Name("models", "owners")))
    attested = [Wake(Key("policy", name)) for name in store.attested()]
    assert list(of_trust(store)) == [*of_brake(store, "models", everywhere=False), *attested]
    for incident in store.incidents():
        pair = pair_of(incident)
        assert incident in store.incidents_of(pair)
        assert incident in store.incidents_under(Name(pair.namespace, pair.policy))
        assert incident.target is None or incident in store.incidents_on("models", incident.target)
        assert isinstance(store.decisions_of(incident), tuple)
    for kind in MODELS:
        for name, slot in store.names(kind).items():
            for before, after in ((None, slot.parsed), (slot.parsed, slot.parsed), (slot.parsed, None)):
                assert all(wake.key.about for wake in of_object(store, kind, name, before, after))
            assert store.drop(kind, name, slot.uid)
    assert (store.incidents_of(Pair("models", "fraud", "fraud")), store.policies_on("models", target)) == ([], [])
    assert (store.authorisations("models", "fraud"), store.responders("models")) == ((), {})
    assert store.silences("models", T0 - timedelta(days=700_000)) == ()


@MANY
@given(SPOILED.filter(lambda given: given[0] in CHECKED))
def test_what_is_wrong_with_a_file_is_said_by_field(given: tuple[str, Json, Json]) -> None:
    kind, spec, _ = given
    raw = an_object(kind, spec)
    problems = check(raw, CHECKED[kind])
    assert all(problem.startswith("spec") and ": " in problem for problem in problems)
    if not problems:
        assert MODELS[kind].model_validate(raw)


TARGETS = (
    a_target(), a_target(current_hash=""), a_target(replicas=0, scaled_by_us=True), rolled_back(KEYS[1]),
    a_target(owner="InferenceService/fraud"), a_target(may_roll_back=False, may_scale=False, lacking=("patch",)),
    NoTarget("NotFound", "gone"), NoTarget("Unreadable", "no answer"), NoTarget("Forbidden", "no"), None,
)  # fmt: skip
DECISIONS = st.builds(
    lambda kind, by, minutes, uid, fields: a_decision(kind, by, T0 + minutes * MIN, uid=uid, **fields),
    st.sampled_from([kind.value for kind in DecisionType]),
    st.sampled_from(["alice", "carol", "mallory", "x" * 200]),
    st.integers(-2, 2),
    st.sampled_from(["d-1", "d-2", "d-3", "incident-uid"]),
    st.fixed_dictionaries(
        {},
        optional={
            "option": st.sampled_from(["last-healthy", "stop", "nothing"]),
            "digest": st.just(DIGEST),
            "tier": st.sampled_from(["board", "owners", "nobody"]),
            "severity": st.sampled_from(["SEV1", "SEV2", "SEV3", "SEV4"]),
            "reason": st.sampled_from(["because", "r" * 1024]),
            "expireTime": st.sampled_from(INSTANTS),
        },
    ),
)
OUTCOMES = st.dictionaries(
    st.sampled_from(KEYS),
    st.builds(
        Outcome,
        st.just(""),
        st.sampled_from(["Done", "Rehearsed", "Refused", "Conflict", "Unknown", "Undelivered", "Superseded"]),
        st.just(T0),
        st.just("words"),
    ),
)
SILENCES = SPECS["Silence"].map(lambda spec: Silence.model_validate(an_object("Silence", spec)))
CHANGES = st.fixed_dictionaries(
    {"now": st.sampled_from([T0, T0 + MIN, T0 + timedelta(days=4000)])},
    optional={
        "target": st.sampled_from(TARGETS),
        "decisions": st.lists(DECISIONS, max_size=3).map(tuple),
        "trust": st.sampled_from(Trust),
        "budget": st.sampled_from(Budget),
        "namespace_hold": st.just("freeze"),
        "cluster_hold": st.just("freeze"),
        "freezes": st.just((a_freeze(-MIN, 2 * MIN), a_freeze(MIN, MIN * 3, "z"))),
        "joined": st.just("another"),
        "under_way": st.frozensets(st.sampled_from(KEYS)),
        "outcomes": OUTCOMES,
        "contained_revisions": st.frozensets(st.sampled_from(["hash-1", "hash-2"])),
        "mode": st.sampled_from(Mode),
        "silences": st.lists(SILENCES, max_size=2).map(tuple),
        "swung": st.lists(st.sampled_from([T0 - MIN, T0, T0 + timedelta(days=9000)]), max_size=8).map(tuple),
    },
)


FIRING = {"name": "latency", "state": "Firing", "sustained": True, "severity": "0.4"}


def an_effect(**fields: Any) -> Json:
    return {"key": KEYS[0], "state": "Undelivered", "intendedTime": INSTANTS[0], "causes": ["TierEntered"]} | fields


LATE = {"name": "owners", "enteredTime": INSTANTS[1], "reason": "x", "decideDeadline": INSTANTS[1]}
SCORED = {"risk": "Infinity", "band": "SEV1", "severity": "SEV1"}
NO_TIERS = {"mode": "Enforce", "prometheus": "default", "model": {"name": "fraud"}, "risk": {}, "reopenWindow": "1h"}


@settings(MANY, max_examples=300)
@given(forged=STATUSES["Incident"], changes=CHANGES, by=st.none() | st.just("mallory"), known=st.booleans())
@example(forged={"effects": [an_effect(key="x")]}, changes={"now": T0}, by=None, known=True)
@example(forged={"effects": [an_effect(causes=[])]}, changes={"now": T0}, by=None, known=True)
@example(forged={"effects": [an_effect(causes=["SomethingNew"])]}, changes={"now": T0}, by=None, known=True)
@example(forged={"rules": NO_TIERS, "tiers": [LATE]}, changes={"now": T0}, by="mallory", known=True)
@example(forged={"tiers": [LATE | {"missed": ["Contain"] * 3}]}, changes={"now": T0}, by=None, known=True)
@example(forged={"signals": [FIRING], "score": SCORED, "severity": "SEV1"}, changes={"now": T0}, by=None, known=True)
@example(forged={"signals": [FIRING | {"severity": "1e-999999999"}]}, changes={"now": T0}, by=None, known=False)
@example(forged={"signals": [FIRING | {"severity": "Infinity"}]}, changes={"now": T0}, by=None, known=False)
def test_a_forged_status_is_planned_on_like_any_other(
    forged: Json, changes: dict[str, Any], by: str | None, known: bool
) -> None:
    rules = {"rules": held_to_cel(forged["rules"])} if "rules" in forged else {}
    status = IncidentStatus.model_validate(forged | rules)
    incident = an_incident(by=by).model_copy(update={"status": status})
    signals = latency(*SUSTAINED, at=changes["now"]) if known else {}
    decided = plan(a_situation(incident, signals=signals, **changes))
    dumped = json.loads(json.dumps(decided.status.dump()))
    assert IncidentStatus.model_validate(dumped).dump() == dumped


@FEW
@given(RULES)
@example(the_rules().model_copy(update={"tiers": ()}).dump())
def test_frozen_rules_are_evaluated_as_far_as_they_go(rules: Json) -> None:
    incident = an_incident(Rules.model_validate(rules | {"prometheus": "default"}))
    with asyncio.Runner() as runner, capture_logs() as said:
        bench = Bench(runner)
        rounds = bench.rounds()
        assert rounds.memories_of(incident, None) == {}
        play(bench, rounds, 1)
    assert [one for one in said if one["log_level"] == "error"] == []


@MANY
@given(POLICIES, STATUSES["EscalationPolicy"])
@example(a_policy().spec.dump() | {"reopenWindow": "99999h99999h"}, {})
def test_a_policy_is_reported_on_whatever_it_says(spec: Json, status: Json) -> None:
    policy = EscalationPolicy.model_validate(an_object("EscalationPolicy", spec, status))
    found = report(policy, Surroundings(now=T0, servers=frozenset({"default"}), targets={"fraud": a_target()}))
    dumped = json.loads(json.dumps(found.dump()))
    assert EscalationPolicyStatus.model_validate(dumped) == found
