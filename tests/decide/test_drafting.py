"""Which messages are due, each once; and does the incident's record say what became of them?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import HOUR, MIN, T0, a_policy, a_situation, a_target, an_incident, rolled_back, the_rules
from tests.letters import a_message, a_template, seen
from tocsin.api.incident import Incident, IncidentStatus
from tocsin.api.message import Message, MessageSpec
from tocsin.api.policy import Rules
from tocsin.decide.drafting import KEPT, drafted, message_name, out_of_step, varying_in
from tocsin.decide.incident import plan
from tocsin.decide.plan import Draft, Plan
from tocsin.decide.rendering import Rendered, Unrenderable, message_facts, render
from tocsin.decide.situation import NotDrafted, Outcome

RULES = (
    {"name": "opened", "template": "initial", "when": "Opened"},
    {"name": "board", "template": "brief", "when": "TierEntered", "tier": "board"},
    {"name": "contained", "template": "update", "when": "Contained"},
    {"name": "recovered", "template": "update", "when": "Recovered"},
    {"name": "resolved", "template": "closing", "when": "Resolved"},
    {"name": "hourly", "template": "update", "when": "Every", "every": "1h"},
)
VERSIONS = {one["template"]: "template-uid/1" for one in RULES}


def rules(*messages: dict[str, Any]) -> Rules:
    return the_rules(a_policy(messages=list(messages or RULES)))


def at(now: datetime, incident: Incident, **changes: Any) -> Plan:
    return plan(a_situation(incident, now=now, **{"templates": VERSIONS} | changes))


def with_status(incident: Incident, status: IncidentStatus) -> Incident:
    return incident.model_copy(update={"status": status})


def drafts(plan: Plan) -> list[str]:
    return [effect.key for effect in plan.effects if isinstance(effect, Draft)]


def due(incident: Incident, now: datetime, **changes: Any) -> tuple[Incident, list[str]]:
    """The incident with the status that is decided, and which messages are drafted."""
    decided = at(now, incident, **changes)
    return with_status(incident, decided.status), drafts(decided)


def done(keys: list[str]) -> dict[str, Outcome]:
    return {key: Outcome(key, "Done", T0, "drafted") for key in keys}


OPENED = ["incident-uid/1/message/opened/1"]


def test_an_opening_is_told_once() -> None:
    incident, first = due(an_incident(rules()), T0)
    assert first == OPENED
    (record,) = incident.status.messages
    assert (record.name, record.state, record.template) == (
        message_name(incident, "opened", "1/1"), "Due", "initial",
    )  # fmt: skip
    assert due(incident, T0, under_way=frozenset(first))[1] == []
    assert due(incident, T0)[1] == first, "an operator that was killed drafts it anew"
    incident, again = due(incident, T0, outcomes=done(first))
    assert (again, incident.status.messages[0].state) == ([], "Draft")
    assert due(incident, T0 + MIN)[1] == [], "one that was deleted does not come back"


@pytest.mark.parametrize(
    ("status", "target", "keys"),
    [
        pytest.param({}, a_target(), ["opened/1"], id="an open one"),
        pytest.param(
            {"tiers": [{"name": "board", "entered_time": T0, "reason": "SEV1"}]}, a_target(), ["opened/1", "board/1"],
            id="its tier was entered",
        ),
        pytest.param(
            {"tiers": [{"name": "compliance", "entered_time": T0, "reason": "SEV2"}]}, a_target(), ["opened/1"],
            id="another tier was",
        ),
        pytest.param({"recovered_time": T0}, a_target(), ["opened/1", "recovered/1"], id="it has recovered"),
        pytest.param(
            {"resolved_time": T0}, a_target(), ["opened/1", "resolved/1"], id="it is resolved, and hourly no more",
        ),
        pytest.param({"resolved_time": T0, "joined": "fraud-0"}, a_target(), [], id="it has joined another one"),
    ],
)  # fmt: skip
def test_what_is_due(status: dict[str, Any], target: Any, keys: list[str]) -> None:
    incident = an_incident(rules(), opened_time=T0, **status)
    found = due(incident, T0, target=target, signals={})[1]
    assert found == [f"incident-uid/1/message/{key}" for key in keys]


def test_what_is_contained_is_told_when_the_workload_has_followed() -> None:
    option = {"name": "last-healthy", "type": "RollBack", "class": "B", "attempt": 1, "targetUid": "target-uid",
              "from": "hash-2", "to": "hash-1", "executedTime": T0}  # fmt: skip
    holding = rolled_back("incident-uid/1/contain/last-healthy/1")
    for settled, keys in ((None, []), (T0, ["incident-uid/1/message/contained/1"])):
        record = option | {"state": "Executed", "settledTime": settled}
        incident = an_incident(rules(RULES[2]), opened_time=T0, containment=[record])
        unsettled = rolled_back("incident-uid/1/contain/last-healthy/1", running_replicas=1)
        assert due(incident, T0, target=holding if settled else unsettled)[1] == keys


@pytest.mark.parametrize(
    ("after", "numbers"),
    [
        pytest.param([0], [], id="not at once"),
        pytest.param([59], [], id="nor before its time"),
        pytest.param([60], [1], id="at its instant"),
        pytest.param([60, 61, 119], [1], id="once in its time"),
        pytest.param([60, 120, 180], [1, 2, 3], id="every time"),
        pytest.param([200], [3], id="after an outage the last one only"),
        pytest.param([180, 60, 120, 240], [3, 4], id="a clock that is set back drafts nothing twice"),
    ],
)
def test_every_hour_on_a_grid_from_the_opening(after: list[int], numbers: list[int]) -> None:
    incident, found = an_incident(rules(RULES[5]), opened_time=T0), []
    for minutes in after:
        incident, keys = due(incident, T0 + minutes * MIN, signals={})
        found += keys
        incident, _ = due(incident, T0 + minutes * MIN, outcomes=done(keys), signals={})
    assert found == [f"incident-uid/1/message/hourly/{number}" for number in numbers]


def test_the_next_one_is_looked_for_at_its_instant() -> None:
    incident = an_incident(rules(RULES[5]), opened_time=T0, severity="SEV4")
    assert at(T0 + 90 * MIN, incident, signals={}).look_again_at == T0 + 2 * HOUR
    resolved = an_incident(rules(RULES[5]), opened_time=T0, resolved_time=T0)
    assert at(T0 + 90 * MIN, resolved, signals={}).look_again_at is None


def test_a_new_episode_is_told_anew() -> None:
    record = {"name": "a", "rule": "opened", "occurrence": "1/1", "template": "initial", "state": "Draft", "time": T0}
    incident = an_incident(rules(RULES[0]), opened_time=T0, episode=2, messages=[record])
    assert due(incident, T0)[1] == ["incident-uid/2/message/opened/1"]


def test_a_template_that_gives_no_words_is_said_and_tried_again_when_it_is_another_one() -> None:
    incident, keys = due(an_incident(rules(RULES[0])), T0)
    lacks = NotDrafted("NotKnownYet", "template-uid/1")
    message = "NotKnownYet: texts[en].body: incident.containedTime is not known yet"
    outcome = Outcome(keys[0], "Refused", T0, message, lacks=lacks)
    decided = at(T0, incident, outcomes={keys[0]: outcome})
    (record,) = decided.status.messages
    assert (record.state, record.reason, record.message) == ("NotDrafted", "NotKnownYet", message)
    (event,) = [one for one in decided.events if one.message.startswith("message")]
    assert (event.type, event.message) == (
        "Warning", f"message opened not drafted from template initial: {message}",
    )  # fmt: skip
    incident = with_status(incident, decided.status)
    assert due(incident, T0)[1] == []
    assert due(incident, T0, templates={"initial": "template-uid/2"})[1] == keys
    assert due(incident, T0, templates={})[1] == keys, "it was deleted: that is another reason"
    incident, _ = due(incident, T0, outcomes=done(keys), templates={"initial": "template-uid/2"})
    assert (incident.status.messages[0].state, incident.status.messages[0].reason) == ("Draft", None)


def its_message(incident: Incident, **changes: Any) -> Message:
    record = incident.status.messages[0]
    message = seen(a_message(**changes))
    metadata = message.metadata.model_copy(update={"name": record.name})
    spec = message.spec.model_copy(update={"key": "incident-uid/1/message/opened/1"})
    return message.model_copy(update={"metadata": metadata, "spec": spec})


def test_the_record_follows_the_message_without_its_words() -> None:
    incident, _ = due(an_incident(rules(RULES[0])), T0)
    message = its_message(incident, words="Nobody may read this.")
    known = {message.metadata.name: message}
    assert out_of_step(incident, known, VERSIONS, ())
    decided = at(T0, incident, messages=known)
    (record,) = decided.status.messages
    assert (record.state, record.audience, record.phase, record.digest) == (
        "Draft", "Customers", "Initial", message.status.digest,
    )  # fmt: skip
    assert "Nobody may read this." not in str((decided.status, decided.events))
    assert not out_of_step(with_status(incident, decided.status), known, VERSIONS, ())
    assert not out_of_step(with_status(incident, decided.status), {}, VERSIONS, ())


def test_of_many_messages_the_oldest_go_and_the_last_of_each_rule_stays() -> None:
    incident = an_incident(rules(RULES[0], RULES[5]), opened_time=T0)
    for hour in range(3 * KEPT):
        incident, keys = due(incident, T0 + hour * HOUR, signals={})
        incident, _ = due(incident, T0 + hour * HOUR, outcomes=done(keys), signals={})
    kept = incident.status.messages
    assert len(kept) == KEPT
    assert (kept[0].rule, kept[-1].occurrence) == ("opened", f"1/{3 * KEPT - 1}")
    assert due(incident, T0 + (3 * KEPT - 1) * HOUR, signals={})[1] == []


def test_what_a_person_had_drafted_is_on_record_too() -> None:
    incident = an_incident(opened_time=T0, resolved_time=T0)
    message = seen(a_message(key="person/incident-uid/1", editedBy=["max"]), template=a_template())
    known = {message.metadata.name: message}
    assert out_of_step(incident, known, {}, ())
    after = with_status(incident, at(T0, incident, messages=known, signals={}).status)
    (record,) = after.status.messages
    assert (record.name, record.rule, record.state, record.audience) == (
        "fraud-1-initial", "person", "Draft", "Customers",
    )  # fmt: skip
    assert not out_of_step(after, known, {}, ())
    assert drafts(at(T0, after, messages=known, signals={})) == []


# --- what is drafted


def test_a_draft_is_bound_to_its_template_and_to_what_that_asks() -> None:
    template = a_template()
    made = drafted(an_incident(opened_time=T0), the_rules(), T0, "key", template)
    assert isinstance(made, MessageSpec)
    assert [(one.language, one.subject) for one in made.texts] == [("en", "We are on it")]
    assert (made.terms.approvals, made.terms.sender) == (("comms", "legal"), template.spec.sender)
    assert made.varying == ("incident.openedTime",)
    assert made.edited_by == ()


def test_what_is_not_known_is_why_there_is_no_draft() -> None:
    texts = [{"language": "en", "subject": "A", "body": "{{ incident.containedTime }}"}]
    made = drafted(an_incident(opened_time=T0), the_rules(), T0, "key", a_template(texts=texts))
    assert isinstance(made, Unrenderable)


BODIES = (
    ("It is bad.", ()),
    ("{{ incident.openedTime }}", ("incident.openedTime",)),
    ("{% if incident.contained %}a{% else %}b{% endif %}", ()),
    ("{% if incident.recovered %}a{% else %}b{% endif %}", ("incident.recovered",)),
    ("{{ incident.typeWords }} {{ values.contact }}", ("incident.type",)),
    ("{{ incident.openedTime | default('-') }}", ("incident.openedTime",)),
    ("{{ incident.containedTime | default('-') }}", ()),
)


@pytest.mark.parametrize(("body", "names"), BODIES)
def test_on_what_the_words_rest(body: str, names: tuple[str, ...]) -> None:
    texts = [{"language": "en", "subject": "A", "body": body}]
    template = a_template(texts=texts, values=[{"name": "contact", "value": "us"}])
    made = drafted(an_incident(opened_time=T0, recovered_time=T0), the_rules(), T0, "key", template)
    assert isinstance(made, MessageSpec)
    assert made.varying == names


@given(st.lists(st.sampled_from(BODIES), min_size=1, max_size=5), st.booleans())
def test_with_all_that_does_not_vary_left_out_the_words_are_the_same(
    parts: list[tuple[str, tuple[str, ...]]], recovered: bool
) -> None:
    texts = [{"language": "en", "subject": "A", "body": " ".join(body for body, _ in parts)}]
    spec = a_template(texts=texts, values=[{"name": "contact", "value": "us"}]).spec
    incident = an_incident(opened_time=T0, recovered_time=T0 if recovered else None)
    facts = message_facts(incident, the_rules(), T0 + timedelta(minutes=3), {})
    found = render(spec, facts)
    assert isinstance(found, Rendered)
    kept = {*varying_in(spec, facts, found), "values"}
    absent = {name: None if name not in kept else fact for name, fact in facts.items()}
    absent |= {name: [] for name in ("signals", "clocks") if name not in kept}
    again = render(spec, absent)
    assert isinstance(again, Rendered)
    assert again.texts == found.texts
