"""Is what was there kept before anything is done to it?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.builders import MIN, SUSTAINED, T0, a_memory, a_policy, a_situation, a_target, an_incident, the_rules
from tests.decide.test_containment import AUTOMATIC, ROLL_BACK, UNREADABLE, a_record, approved_by, step
from tocsin.api.incident import IncidentStatus, OptionState, Snapshot, SnapshotSignal
from tocsin.decide.defaults import SignalRule
from tocsin.decide.incident import plan
from tocsin.decide.situation import Budget, Measured
from tocsin.decide.snapshot import TEMPLATE, keep_snapshot, without_values
from tocsin.decide.workload import canonical, sha256

OPEN_ENV = '{"spec":{"containers":[{"env":[{"name":"TOKEN","value":"s3cret"}],"name":"m"}]}}'
APPROVED = a_record(OptionState.ASKING, approvals=approved_by("alice"))


def kept(s: Any) -> Snapshot:
    snapshot = keep_snapshot(s, IncidentStatus(), s.target).snapshot
    assert snapshot is not None
    return snapshot


def test_what_is_kept() -> None:
    rules = the_rules()
    seen = a_memory(SignalRule.of(rules.signals[0]), *SUSTAINED[:-1], Measured(Decimal("0.9"), samples=Decimal(2600)))
    digest = sha256(OPEN_ENV)
    target = a_target(template_json=OPEN_ENV, template_digest=digest)

    assert kept(a_situation(target=target, signals={"latency": seen})) == Snapshot(
        time=T0,
        target="Deployment/fraud target-uid",
        revision="2 fraud-2",
        images=("fraud:2",),
        template_digest=digest,
        replicas=4,
        template=without_values(OPEN_ENV),
        signals=(SnapshotSignal(name="latency", value=Decimal("0.9"), samples=Decimal(2600), time=T0),),
    )


def test_a_secret_in_the_environment_is_kept_as_its_digest() -> None:
    found = without_values(OPEN_ENV)

    assert "s3cret" not in found
    assert sha256("s3cret") in found
    assert without_values('{"spec":{"initContainers":[{"env":[{"name":"A","value":"b"}]}]}}').count("sha256:") == 1


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        pytest.param({"signals": {}}, "signals", (SnapshotSignal(name="latency"),), id="nothing was evaluated yet"),
        pytest.param({"target": a_target(current_hash="")}, "revision", "", id="the controller has no revision of it"),
        pytest.param({"target": a_target()}, "template", "", id="the template is not known"),
        pytest.param({"target": a_target(name="a" * 253)}, "target", f"Deployment/{'a' * 253} target-uid", id="long"),
    ],
)
def test_what_is_not_there_is_left_out(changes: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(kept(a_situation(**changes)), field) == value


def test_a_template_that_is_too_long_is_cut_and_its_digest_is_of_the_whole() -> None:
    long = canonical({"spec": {"containers": [{"args": ["x" * 3 * TEMPLATE]}]}})

    snapshot = kept(a_situation(target=a_target(template_json=long, template_digest=sha256(long))))

    assert (len(snapshot.template), snapshot.template_digest) == (TEMPLATE, sha256(long))


def test_it_stands_in_the_same_status_as_the_first_intent() -> None:
    after = step(APPROVED)

    assert after.effects
    assert after.status.snapshot is not None
    assert [entry.what for entry in after.status.timeline if entry.what.startswith("snapshot: ")] == [
        "snapshot: Deployment/fraud target-uid at revision 2 fraud-2, template unknown"
    ]


@pytest.mark.parametrize(
    ("records", "changes"),
    [
        pytest.param((a_record(OptionState.ASKING),), {}, id="while people are asked"),
        pytest.param((APPROVED,), {"target": UNREADABLE}, id="while the target cannot be read"),
        pytest.param((APPROVED,), {"namespace_hold": "freeze"}, id="while a brake is on"),
    ],
)
def test_nothing_is_kept_before_there_is_something_to_do(records: Any, changes: dict[str, Any]) -> None:
    assert step(*records, **changes).status.snapshot is None


def test_the_first_one_stays_whatever_is_tried_afterwards() -> None:
    first = Snapshot(time=T0, target="Deployment/fraud target-uid")

    assert step(APPROVED, status={"snapshot": first}, now=T0 + MIN).status.snapshot == first


def test_a_rehearsal_keeps_nothing() -> None:
    rules = the_rules(a_policy(mode="Observe", containment=[ROLL_BACK | AUTOMATIC]))

    decided = plan(a_situation(an_incident(rules)))

    assert any("/contain/" in effect.key for effect in decided.effects)
    assert decided.status.snapshot is None


def test_a_new_episode_keeps_its_own() -> None:
    rules = the_rules(a_policy(containment=[ROLL_BACK | AUTOMATIC], risk={"regulatory": 0, "reputation": 0}))
    before = Snapshot(time=T0 - 60 * MIN, target="Deployment/fraud target-uid")
    incident = an_incident(
        rules, opened_at=T0 - 60 * MIN, opened_time=T0 - 60 * MIN, recovered_time=T0 - 30 * MIN, snapshot=before
    )

    decided = plan(a_situation(incident, budget=Budget.RESERVED))

    assert decided.status.episode == 2
    assert decided.status.snapshot is not None
    assert decided.status.snapshot.time == T0
