"""Does automation ever leave a model with less than its floor, and does everybody read why it asks?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import MIN, T0, a_decision, a_situation, a_target, an_incident
from tests.decide.test_containment import AUTOMATIC, PAUSE, ROLL_BACK, STOP, approved_by, only, rules_of, the_status
from tests.decide.test_properties import HAPPENINGS, RULES, World
from tocsin.api.incident import ApprovalStatus, OptionState
from tocsin.api.policy import Floor, Mode, Rules
from tocsin.decide.containment import Step, contain
from tocsin.decide.floor import BY_A_PERSON, below_floor
from tocsin.decide.incident import plan
from tocsin.decide.plan import Contain
from tocsin.decide.situation import Budget, TargetView

FEWER = STOP | {"name": "fewer", "scale": {"replicas": 1}}
LEAVES = f"it would leave 1 replica, below the floor of 2{BY_A_PERSON}"
TOO_FEW = f"fewer replicas than the floor of 2 were available, too few to start from{BY_A_PERSON}"


def floored(floor: int | None, *options: dict[str, Any]) -> Rules:
    rules = rules_of(*options)
    return rules.model_copy(
        update={"model": rules.model.model_copy(update={"floor": floor and Floor(min_available=floor)})}
    )


def standing(rules: Rules, option: str) -> Any:
    """An authorisation from long before the incident."""
    fields = {"option": option, "digest": rules.digests[option], "expireTime": T0 + 90 * MIN}
    return a_decision("Authorise", "carol", T0 - 60 * MIN, **fields)


def step(rules: Rules, available: int, *, authorised: bool = False, status: Any = None, **s: Any) -> Step:
    incident = an_incident(rules, **the_status()) if status is None else an_incident(rules)
    incident = incident.model_copy(update={"status": status}) if status else incident
    decisions = tuple(standing(rules, option.name) for option in rules.containment) if authorised else ()
    fields: dict[str, Any] = {"target": a_target(available_replicas=available), "budget": Budget.RESERVED}
    return contain(a_situation(incident, decisions=decisions, **fields | s), incident.status)


def test_a_pause_takes_none_away() -> None:
    rules = floored(2, PAUSE)
    assert below_floor(rules.model, rules.containment[0], a_target(available_replicas=0)) == ""


@pytest.mark.parametrize(
    ("option", "floor", "available", "note"),
    [
        pytest.param(FEWER, None, 0, "", id="without a floor nothing is asked"),
        pytest.param(FEWER, 1, 0, "", id="scaling to the floor is above it, whatever is available"),
        pytest.param(FEWER, 2, 4, LEAVES, id="scaling to fewer"),
        pytest.param(ROLL_BACK, 2, 2, "", id="a rollback from as many as the floor"),
        pytest.param(ROLL_BACK, 2, 1, TOO_FEW, id="a rollback from fewer"),
    ],
)
@pytest.mark.parametrize("authorised", [False, True], ids=["by itself", "under an authorisation"])
def test_an_option_that_needs_nobody(
    option: dict[str, Any], floor: int | None, available: int, note: str, authorised: bool
) -> None:
    rules = floored(floor, option | ({} if authorised else AUTOMATIC))
    after = step(rules, available, authorised=authorised)
    expected = (OptionState.ASKING, 1, True) if note else (OptionState.EXECUTING, int(authorised), False)
    assert (only(after).state, only(after).needs, bool(only(after).notes and note in only(after).notes)) == expected
    assert len(after.effects) == (0 if note else 1)
    assert bool(only(after).under) is not bool(note)


def test_stopping_a_model_under_an_authorisation_from_before_takes_people_too() -> None:
    assert only(step(floored(None, STOP), 4, authorised=True)).state is OptionState.EXECUTING
    asked = only(step(floored(1, STOP), 4, authorised=True))
    assert (asked.state, asked.message) == (OptionState.ASKING, "0 of 1 approvals")
    assert asked.notes[-1] == f"it would leave 0 replicas, below the floor of 1{BY_A_PERSON}"


def test_it_runs_when_a_person_approves() -> None:
    rules = floored(2, FEWER | AUTOMATIC)
    asked = step(rules, 4).status
    (record,) = asked.containment
    agreed = record.model_copy(update={"approvals": approvals_of("alice")})
    after = step(rules, 4, status=asked.model_copy(update={"containment": (agreed,)}))
    assert (only(after).state, only(after).under) == (OptionState.EXECUTING, "approved by alice")


def approvals_of(*people: str) -> tuple[ApprovalStatus, ...]:
    return tuple(ApprovalStatus.model_validate(one) for one in approved_by(*people))


def test_what_was_asked_of_people_stays_with_them_when_the_pods_are_back() -> None:
    rules = floored(2, ROLL_BACK)
    asked = step(rules, 1, authorised=True).status
    back = step(rules, 4, authorised=True, status=asked)
    assert (only(back).state, only(back).notes.count(TOO_FEW)) == (OptionState.ASKING, 1)


def test_what_was_decided_and_not_sent_is_asked_when_pods_are_lost_meanwhile() -> None:
    rules = floored(2, ROLL_BACK | AUTOMATIC)
    decided = step(rules, 4).status
    lost = step(rules, 1, status=decided)
    assert (only(lost).state, only(lost).message, lost.effects) == (OptionState.ASKING, TOO_FEW, ())
    asked = step(rules, 1, status=lost.status)
    assert (only(asked).needs, asked.effects) == (1, ())


def test_a_rehearsal_says_that_it_would_ask() -> None:
    rules = floored(2, FEWER | AUTOMATIC)
    rehearsed = step(rules, 4, mode=Mode.OBSERVE)
    assert (only(rehearsed).state, only(rehearsed).needs) == (OptionState.EXECUTING, 1)
    assert LEAVES in only(rehearsed).notes


# --- what always holds


@settings(deadline=None, max_examples=150)
@given(
    floor=st.integers(1, 5),
    replicas=st.integers(0, 3),
    required=st.sampled_from([None, 0, 1, 2]),
    authorised=st.booleans(),
    looks=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([(), ("alice",), ("alice", "bob")]), st.sampled_from(Budget)),
        min_size=1,
        max_size=6,
    ),
)
def test_nothing_that_no_person_approved_goes_below_the_floor(
    floor: int, replicas: int, required: int | None, authorised: bool, looks: list[Any]
) -> None:
    approval = {"approval": {"required": required}}
    options = (ROLL_BACK | approval, STOP | {"scale": {"replicas": replicas}} | approval)
    rules = floored(floor, *options)
    status: Any = None
    for available, approvers, budget in looks:
        after = step(rules, available, authorised=authorised, status=status, budget=budget)
        for effect in after.effects:
            assert isinstance(effect, Contain)
            record = next(one for one in after.status.containment if one.name == effect.proposal.option)
            low = available < floor if effect.proposal.action == "RollBack" else replicas < floor
            assert not low or record.approvals
        status = after.status.model_copy(
            update={
                "containment": tuple(
                    one.model_copy(update={"approvals": approvals_of(*approvers)})
                    if one.state is OptionState.ASKING
                    else one
                    for one in after.status.containment
                )
            }
        )


GUARDED = RULES.model_copy(update={"model": RULES.model.model_copy(update={"floor": Floor(min_available=2)})})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=st.lists(st.tuples(HAPPENINGS, st.integers(0, 4)), min_size=1, max_size=25))
def test_whatever_happens_to_an_incident_nothing_goes_below_the_floor_by_itself(life: list[tuple[Any, int]]) -> None:
    world = World()
    for one, available in life:
        world.live(one)
        s = replace(world.situation(), rules=GUARDED)
        if isinstance(s.target, TargetView):
            s = replace(s, target=replace(s.target, available_replicas=available))
        found = plan(s)
        for effect in found.effects:
            if isinstance(effect, Contain) and not effect.dry_run:
                record = next(one for one in found.status.containment if one.name == effect.proposal.option)
                low = available < 2 if effect.proposal.action == "RollBack" else int(effect.proposal.to) < 2
                assert not low or len(record.approvals) >= max(1, record.needs)
        world.write(found)
