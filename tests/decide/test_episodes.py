"""When does an incident open, go on, or begin anew, and what is new in a new episode?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    HOUR,
    MIN,
    SUSTAINED,
    T0,
    a_decision,
    a_memory,
    a_policy,
    a_situation,
    latency,
    the_rules,
)
from tests.decide.test_containment import a_record
from tests.decide.test_incident import ALERTING, BAD, GOOD, HOLDING, WELL, an_open, rules_of
from tocsin.api.incident import OptionState
from tocsin.api.objects import Severity
from tocsin.decide.defaults import SignalRule
from tocsin.decide.incident import cause_to_open, plan, reopens
from tocsin.decide.plan import Contain, Notify
from tocsin.decide.situation import Budget, Failed

CAUSES = (
    pytest.param(ALERTING, SUSTAINED, "Breach", id="a sustained breach"),
    pytest.param(ALERTING, (BAD,) * 3, None, id="not a pending one"),
    pytest.param(ALERTING, (GOOD,) + (None,) * 6, "NoData", id="missing data where the policy says Alert"),
    pytest.param(HOLDING, (GOOD,) + (None,) * 6, None, id="not where it says Hold"),
    pytest.param(ALERTING, (GOOD,) + (None,) * 5, None, id="not data that is missing for a moment"),
    pytest.param(ALERTING, (GOOD,) + (Failed("down"),) * 60, None, id="not failed queries"),
    pytest.param(ALERTING, WELL, None, id="not health"),
)


@pytest.mark.parametrize(("signal", "values", "cause"), CAUSES)
def test_cause_to_open(signal: dict[str, Any], values: tuple[Any, ...], cause: str | None) -> None:
    rules = rules_of(signal)

    memory = a_memory(SignalRule.of(rules.signals[0]), *values)

    assert cause_to_open(rules, {"latency": memory}) == cause


def test_a_signal_that_nobody_has_evaluated_is_no_cause() -> None:
    assert cause_to_open(the_rules(), {}) is None


@pytest.mark.parametrize(
    ("values", "minutes_ago", "opens"),
    [
        pytest.param((BAD,) * 8, 2, None, id="what was signed off as sustained is not opened again"),
        pytest.param((BAD,) * 8, 4, None, id="not even if it had just become so"),
        pytest.param((BAD,) * 8, 5, "Breach", id="what was only pending then was not signed off"),
        pytest.param((GOOD, *(BAD,) * 4), 4, "Breach", id="what began after it is new"),
        pytest.param((None,) * 12, 2, None, id="data that was missing then is not opened again"),
        pytest.param((None,) * 12, 7, "NoData", id="data that was only missing for a moment then was not signed off"),
    ],
)
def test_what_was_signed_off_is_not_opened_again(values: tuple[Any, ...], minutes_ago: int, opens: str | None) -> None:
    rules = rules_of(ALERTING)
    memory = a_memory(SignalRule.of(rules.signals[0]), *values)

    assert cause_to_open(rules, {"latency": memory}, T0 - minutes_ago * MIN) == opens


@pytest.mark.parametrize(
    ("resolved_at", "values", "goes_on"),
    [
        pytest.param(T0 - 30 * MIN, SUSTAINED, True, id="a new breach within the window"),
        pytest.param(T0 - HOUR, SUSTAINED, True, id="at the end of the window"),
        pytest.param(T0 - HOUR - MIN, SUSTAINED, False, id="after the window"),
        pytest.param(T0 - 30 * MIN, WELL, False, id="no breach"),
        pytest.param(None, SUSTAINED, False, id="an incident that is open"),
    ],
)
def test_reopens(resolved_at: Any, values: tuple[Any, ...], goes_on: bool) -> None:
    status = an_open(resolved_time=resolved_at).status

    assert reopens(the_rules(), status, latency(*values), T0) is goes_on


def test_a_new_breach_after_recovery_is_a_new_episode_with_new_deadlines_and_pages() -> None:
    before = an_open(
        recovered_time=T0 - 30 * MIN,
        severity="SEV1",
        containment=(a_record(OptionState.HELPED, executed_time=T0 - HOUR, settled_time=T0 - HOUR),),
        lowered={"by": "alice", "time": T0 - HOUR, "to": "SEV3", "computed": "SEV2"},
        decisions=({"uid": "u", "name": "d", "type": "Hold", "by": "alice", "time": T0 - HOUR, "counted": True},),
    )

    found = plan(a_situation(before))

    status = found.status
    assert (status.episode, status.opened_time, status.recovered_time) == (2, T0, None)
    assert status.severity is Severity.SEV1
    assert [(tier.name, tier.entered_time) for tier in status.tiers] == [
        ("owners", T0),
        ("compliance", T0),
        ("board", T0),
    ]
    assert (status.lowered, [record.uid for record in status.decisions]) == (None, ["u"])
    assert [record.state for record in status.containment] == [OptionState.ASKING]
    assert [(effect.key, effect.notice.cause) for effect in found.effects if isinstance(effect, Notify)] == [
        ("incident-uid/2/notify/owners.owners/1", "TierEntered ApprovalNeeded"),
        ("incident-uid/2/notify/compliance.compliance/1", "TierEntered ApprovalNeeded"),
        ("incident-uid/2/notify/board.board/1", "TierEntered ApprovalNeeded"),
    ]


def test_a_signal_that_was_pending_when_the_others_recovered_begins_a_new_episode_once_it_is_sustained() -> None:
    before = an_open(recovered_time=T0 - MIN, signals=({"name": "latency", "state": "Pending"},))

    assert plan(a_situation(before)).status.episode == 2


def test_an_effect_in_the_pass_that_begins_an_episode_belongs_to_it_and_its_outcome_is_found() -> None:
    rules = the_rules(
        a_policy(risk={}, containment=[{"name": "last-healthy", "type": "RollBack", "approval": {"required": 0}}])
    )
    situation = a_situation(an_open(rules=rules, recovered_time=T0 - 30 * MIN), rules=rules, budget=Budget.RESERVED)

    found = plan(situation)

    (effect,) = [effect for effect in found.effects if isinstance(effect, Contain)]
    assert effect.key == "incident-uid/2/contain/last-healthy/1"


def test_a_decision_about_a_resolved_incident_gets_its_answer() -> None:
    resolved = an_open(resolved_time=T0 - MIN, phase="Resolved")

    found = plan(a_situation(resolved, signals=latency(*WELL), decisions=(a_decision("Hold", "alice", reason="wait"),)))

    (record,) = found.status.decisions
    assert (record.counted, record.message) == (False, "the incident is resolved")
    assert (found.status.resolved_time, found.status.held) == (T0 - MIN, None)


def test_a_decision_heard_with_the_breach_that_begins_an_episode_counts() -> None:
    resolved = an_open(resolved_time=T0 - 30 * MIN, phase="Resolved")

    found = plan(a_situation(resolved, decisions=(a_decision("Hold", "alice", T0, reason="wait"),)))

    assert (found.status.episode, [record.counted for record in found.status.decisions]) == (2, [True])


def test_a_resolved_incident_rests_while_what_was_signed_off_goes_on() -> None:
    resolved = an_open(resolved_time=T0 - MIN, phase="Resolved")

    found = plan(a_situation(resolved, signals=latency(*SUSTAINED, BAD)))

    assert (found.status.episode, found.status.resolved_time, found.effects, found.look_again_at) == (
        1,
        T0 - MIN,
        (),
        None,
    )


def test_a_risk_that_rises_within_its_band_is_written_and_one_that_falls_is_not() -> None:
    first = plan(a_situation(an_open(), signals=latency(*SUSTAINED[:-1], 0.4))).status
    before = an_open().model_copy(update={"status": first})

    worse = plan(a_situation(before, now=T0 + MIN, signals=latency(*SUSTAINED[:-1], 0.4, 0.5, at=T0 + MIN))).status
    assert first.risk is not None
    assert worse.risk is not None
    assert worse.risk > first.risk
    after = before.model_copy(update={"status": worse})
    better = plan(
        a_situation(after, now=T0 + 2 * MIN, signals=latency(*SUSTAINED[:-1], 0.4, 0.5, 0.35, at=T0 + 2 * MIN))
    )
    assert better.status.risk == worse.risk
