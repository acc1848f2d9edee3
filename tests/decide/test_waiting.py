"""What does an option wait for, what makes it begin again, and what gives it up?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_decision, a_target
from tests.decide.test_containment import (
    AUTOMATIC,
    ROLL_BACK,
    STOP,
    UNREADABLE,
    a_record,
    approved_by,
    only,
    rules_of,
    step,
    the_status,
)
from tocsin.api.incident import IncidentStatus, OptionState
from tocsin.decide.containment import MOST_ATTEMPTS, Step
from tocsin.decide.situation import Budget

DENIED = a_target(may_roll_back=False, lacking=("patch deployments.apps",), lately_denied=True)
PASSING = (
    pytest.param(UNREADABLE, id="the target cannot be read now"),
    pytest.param(a_target(current_hash=""), id="a rollout has just begun and has no revision yet"),
    pytest.param(DENIED, id="the right was denied, perhaps by a server that has just started"),
)


@pytest.mark.parametrize("target", PASSING)
def test_what_passes_is_waited_for_and_looked_at_again(target: Any) -> None:
    after = step(rules=rules_of(ROLL_BACK | AUTOMATIC, STOP), budget=Budget.RESERVED, target=target)

    assert after == Step(IncidentStatus.model_validate(the_status()), waits=True)


@pytest.mark.parametrize("target", PASSING)
@pytest.mark.parametrize("state", [OptionState.ASKING, OptionState.EXECUTING])
def test_what_passes_changes_nothing_of_an_option_under_way(state: OptionState, target: Any) -> None:
    record = a_record(state, attempt=1, approvals=approved_by("alice"))

    after = step(record, target=target)

    assert (only(after), after.effects, after.waits) == (record, (), True)


def test_what_was_not_needed_is_when_the_breach_comes_back() -> None:
    """Another signal is still missing meanwhile, so that the incident has not recovered."""
    not_needed = a_record(OptionState.NOT_NEEDED, attempt=1, message="the signal has recovered")

    assert only(step(not_needed, status={"signals": ()})) == not_needed
    assert only(step(not_needed)).state is OptionState.ASKING
    approved = a_record(OptionState.ASKING, attempt=1, approvals=approved_by("alice"))
    assert [effect.key for effect in step(approved).effects] == ["incident-uid/1/contain/last-healthy/2"]


@pytest.mark.parametrize(
    ("age", "state"),
    [
        pytest.param(-MIN, OptionState.EXECUTING, id="one that stood when the incident opened"),
        pytest.param(MIN, OptionState.ASKING, id="not one that somebody gave meanwhile: it takes two"),
    ],
)
def test_what_stops_service_runs_under_an_authorisation_that_stood_before(age: timedelta, state: OptionState) -> None:
    rules = rules_of(STOP)
    grant = {"option": "stop", "digest": rules.digests["stop"], "expireTime": T0 + HOUR, "reason": "tried"}
    standing = a_decision("Authorise", "carol", T0 + age, **grant)

    after = step(
        rules=rules, status={"severity": "SEV1"}, now=T0 + 2 * MIN, decisions=(standing,), budget=Budget.RESERVED
    )

    assert only(after).state is state


def test_a_policy_that_goes_back_and_forth_does_not_fill_the_ledger() -> None:
    record = a_record(OptionState.OBSERVED, attempt=MOST_ATTEMPTS)

    after = step(record, rules=rules_of(ROLL_BACK | AUTOMATIC), budget=Budget.RESERVED)

    assert (only(after).state, only(after).message) == (OptionState.FAILED, "given up after 5 attempts: act by hand")
