"""Is what was written still there, and did it help: yes, no, or cannot tell yet?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import LATENCY, MIN, T0, a_memory, a_situation, a_target, an_incident, latency, rolled_back
from tests.decide.test_containment import KEY, a_record, the_status
from tocsin.api.incident import OptionRecord, OptionState
from tocsin.decide.hold import check_hold
from tocsin.decide.situation import Failed, NoTarget

HELD = rolled_back(KEY)
BAD, BETWEEN, GOOD = 0.9, 0.27, 0.2


def an_executed(state: OptionState = OptionState.EXECUTED, **changes: Any) -> OptionRecord:
    fields = {"executed_time": T0, "settled_time": T0, "verify_time": T0 + 15 * MIN, "attempt": 1}
    fields["against"] = ("latency",)
    return a_record(state, **fields | changes)


def checked(record: OptionRecord, minutes: int = 1, status: dict[str, Any] | None = None, **s: Any) -> OptionRecord:
    incident = an_incident(**the_status(record, **status or {}))
    situation = a_situation(incident, now=T0 + minutes * MIN, **{"target": HELD} | s)
    assert situation.target is not None
    return check_hold(situation, incident.status, record, situation.target)


WENT_ON = {"recovered_time": T0, "signals": ()}


@pytest.mark.parametrize(
    ("status", "target", "state"),
    [
        pytest.param({}, {"current_hash": "hash-3"}, OptionState.REVERTED, id="a new rollout while it is bad"),
        pytest.param(WENT_ON, {"current_hash": "hash-3"}, OptionState.SUPERSEDED, id="a new rollout once it is well"),
        pytest.param(WENT_ON, {"current_hash": "hash-2"}, OptionState.REVERTED, id="the bad revision comes back"),
    ],
)
def test_people_go_on_with_their_work_once_it_is_well(
    status: dict[str, Any], target: dict[str, Any], state: OptionState
) -> None:
    record = an_executed(OptionState.HELPED)

    assert checked(record, 6, status, target=rolled_back(KEY, **target)).state is state


@pytest.mark.parametrize(
    ("target", "state"),
    [
        pytest.param(HELD, OptionState.EXECUTED, id="it holds"),
        pytest.param(a_target(), OptionState.REVERTED, id="somebody rolled forward again"),
        pytest.param(rolled_back(KEY, uid="recreated"), OptionState.REVERTED, id="the target was recreated"),
        pytest.param(rolled_back(KEY, current_hash=""), OptionState.EXECUTED, id="a rollout that has just begun"),
        pytest.param(NoTarget("NotFound", "gone"), OptionState.REVERTED, id="the target is gone"),
        pytest.param(NoTarget("Unreadable", "timeout"), OptionState.EXECUTED, id="it cannot be read now"),
        pytest.param(NoTarget("Forbidden", "no right"), OptionState.EXECUTED, id="we may not read it any more"),
    ],
)
def test_what_was_written(target: Any, state: OptionState) -> None:
    assert checked(an_executed(), signals=latency(BAD, at=T0 + MIN), target=target).state is state


@pytest.mark.parametrize("state", [OptionState.EXECUTED, OptionState.HELPED, OptionState.CANNOT_TELL])
def test_a_reverted_containment_is_seen_whatever_was_known_of_it(state: OptionState) -> None:
    record = checked(an_executed(state), target=a_target())

    assert (record.state, record.message) == (
        OptionState.REVERTED,
        "somebody or something changed the target: it is at hash-2, not at hash-1",
    )


@pytest.mark.parametrize(
    ("changes", "settled"),
    [
        ({}, T0 + MIN),
        ({"observed_generation": 1}, None),
        ({"updated_replicas": 3}, None),
        ({"running_replicas": 5}, None),
    ],
    ids=["it has followed", "it has not seen the change", "a pod is missing", "an old pod is still there"],
)
def test_the_workload_follows(changes: dict[str, Any], settled: Any) -> None:
    record = checked(an_executed(settled_time=None), target=rolled_back(KEY, **changes), signals=latency(BAD))

    assert record.settled_time == settled


def test_the_workload_has_followed_once_and_a_later_restart_of_a_pod_changes_nothing() -> None:
    assert checked(an_executed(), target=rolled_back(KEY, updated_replicas=3)).settled_time == T0


DID_IT_HELP = (
    pytest.param(6, GOOD, OptionState.HELPED, "the signal was well again after 6m", id="yes, before the time is over"),
    pytest.param(6, BETWEEN, OptionState.EXECUTED, "", id="better is not well"),
    pytest.param(6, BAD, OptionState.EXECUTED, "", id="still bad, but it has time"),
    pytest.param(15, BAD, OptionState.DID_NOT_HELP, "it did not help: latency: still bad", id="no, at the boundary"),
    pytest.param(
        15,
        None,
        OptionState.CANNOT_TELL,
        "it cannot be told yet, a person must look: latency: still bad",
        id="cannot tell without data",
    ),
    pytest.param(
        15,
        Failed("down"),
        OptionState.CANNOT_TELL,
        "it cannot be told yet, a person must look: latency: still bad",
        id="cannot tell while queries fail",
    ),
    pytest.param(
        15,
        BETWEEN,
        OptionState.CANNOT_TELL,
        "it cannot be told yet, a person must look: latency: still bad",
        id="cannot tell between the lines",
    ),
    pytest.param(20, GOOD, OptionState.HELPED, "the signal was well again after 20m", id="late is still yes"),
)


@pytest.mark.parametrize(("minutes", "value", "state", "message"), DID_IT_HELP)
def test_did_it_help(minutes: int, value: Any, state: OptionState, message: str) -> None:
    signal = {"name": "latency", "state": "Firing", "sustained": True, "message": "still bad"}

    record = checked(an_executed(), minutes, {"signals": (signal,)}, signals=latency(value, at=T0 + minutes * MIN))

    assert (record.state, record.message) == (state, message)


def test_a_value_from_before_the_action_proves_nothing() -> None:
    before = {"latency": a_memory(LATENCY, BAD, at=T0)}

    assert checked(an_executed(), 15, signals=before).state is OptionState.CANNOT_TELL


def test_cannot_tell_becomes_no_when_data_says_so_and_yes_when_data_says_so() -> None:
    record = an_executed(OptionState.CANNOT_TELL)

    assert checked(record, 20, signals=latency(BAD, at=T0 + 20 * MIN)).state is OptionState.DID_NOT_HELP
    assert checked(record, 20, signals=latency(GOOD, at=T0 + 20 * MIN)).state is OptionState.HELPED


def test_on_a_report_alone_no_metric_can_say_that_it_helped() -> None:
    status = {"cause": "Report", "signals": ()}

    assert checked(an_executed(), 6, status).state is OptionState.EXECUTED
    assert checked(an_executed(), 15, status).state is OptionState.CANNOT_TELL
    assert checked(an_executed(), 15, status).message == "it cannot be told yet, a person must look: no metric tells"


def test_what_helped_and_recovered_is_not_judged_again() -> None:
    record = an_executed(OptionState.HELPED)

    assert checked(record, 60, {"recovered_time": T0 + 30 * MIN}, signals=latency(BAD, at=T0 + 60 * MIN)) == record


def test_what_began_after_the_action_is_no_verdict_on_it() -> None:
    record = an_executed(OptionState.CANNOT_TELL, against=("errors",))

    assert checked(record, 20, signals=latency(BAD, at=T0 + 20 * MIN)).state is not OptionState.DID_NOT_HELP
