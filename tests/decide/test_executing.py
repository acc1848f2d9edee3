"""What becomes of a containment once its intent is on record: done, in conflict, lost, interrupted?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import MIN, T0, a_decision, a_situation, a_target, an_incident, rolled_back
from tests.decide.test_containment import (
    AUTOMATIC,
    KEY,
    ROLL_BACK,
    STOP,
    UNREADABLE,
    a_proposal,
    a_record,
    approved_by,
    only,
    only_named,
    rules_of,
    step,
    the_status,
)
from tocsin.api.incident import EffectState, IncidentStatus, OptionRecord, OptionState, PinnedAutoscaler
from tocsin.decide.containment import contain
from tocsin.decide.executing import ATTEMPTS
from tocsin.decide.incident import plan
from tocsin.decide.options import REHEARSAL
from tocsin.decide.situation import Autoscaler, Budget, NoTarget, Outcome

EXECUTING = a_record(OptionState.EXECUTING, attempt=1, under="approved by alice", approvals=approved_by("alice"))


def an_outcome(result: Any, key: str = KEY) -> dict[str, Any]:
    return {"outcomes": {key: Outcome(key, result, T0, "words")}}


OUTCOMES = (
    pytest.param(an_outcome("Done"), OptionState.EXECUTED, "words", False, id="done"),
    pytest.param(an_outcome("Rehearsed"), OptionState.OBSERVED, "words", False, id="rehearsed"),
    pytest.param(an_outcome("Refused"), OptionState.FAILED, "words", False, id="refused for good"),
    pytest.param(an_outcome("Conflict"), OptionState.ASKING, "words", False, id="a conflict decides again"),
    pytest.param({}, OptionState.EXECUTING, "", True, id="nothing is known and nothing done: it is sent again"),
    pytest.param(an_outcome("Unknown"), OptionState.EXECUTING, "", True, id="the answer was lost: it is sent again"),
    pytest.param({"under_way": frozenset({KEY})}, OptionState.EXECUTING, "", False, id="it is under way"),
    pytest.param(
        {"target": rolled_back(KEY)},
        OptionState.EXECUTED,
        "found done after an interruption",
        False,
        id="it was done before a crash",
    ),
    pytest.param(
        an_outcome("Unknown") | {"target": rolled_back(KEY)},
        OptionState.EXECUTED,
        "found done after an interruption",
        False,
        id="it was done although the answer was lost",
    ),
    pytest.param(
        {"target": rolled_back("incident-uid/1/contain/last-healthy/7")},
        OptionState.ASKING,
        "the target has changed",
        False,
        id="somebody else rolled back: the mark is not ours",
    ),
    pytest.param(
        {"target": rolled_back(KEY, uid="recreated")},
        OptionState.ASKING,
        "the target has changed",
        False,
        id="a target of the same name is not the target",
    ),
    pytest.param(
        {"target": rolled_back(KEY, stuck=("fraud-1",)), "namespace_hold": "freeze"},
        OptionState.EXECUTING,
        "",
        True,
        id="the template is back, and what waits behind a pod is finished, under a brake too",
    ),
    pytest.param(
        {"target": rolled_back("incident-uid/1/contain/last-healthy/7", stuck=("fraud-1",))},
        OptionState.ASKING,
        "the target has changed",
        False,
        id="what waits behind a pod after somebody else's rollback is theirs",
    ),
    pytest.param({"target": UNREADABLE}, OptionState.EXECUTING, "", False, id="it cannot be read now"),
    pytest.param(
        {"target": NoTarget("NotFound", "Deployment/fraud does not exist")},
        OptionState.FAILED,
        "Deployment/fraud does not exist",
        False,
        id="the target is gone",
    ),
    pytest.param(
        {"namespace_hold": "freeze"},
        OptionState.ASKING,
        "the namespace is on hold: freeze",
        False,
        id="a brake stops what was not sent",
    ),
)


@pytest.mark.parametrize(("s", "state", "message", "sent"), OUTCOMES)
def test_an_intent_on_record(s: dict[str, Any], state: OptionState, message: str, sent: bool) -> None:
    after = step(EXECUTING, **s)

    assert (only(after).state, only(after).message) == (state, message)
    assert [effect.key for effect in after.effects] == ([KEY] if sent else [])


def test_done_begins_the_time_to_help_and_bars_the_revision() -> None:
    after = step(EXECUTING, now=T0 + MIN, **an_outcome("Done"))

    assert (only(after).executed_time, only(after).verify_time) == (T0 + MIN, T0 + 16 * MIN)
    assert after.status.contained_revisions == ("hash-2",)


def test_a_conflict_after_the_last_attempt_fails() -> None:
    last = EXECUTING.model_copy(update={"attempt": ATTEMPTS})

    after = step(last, **an_outcome("Conflict", f"incident-uid/1/contain/last-healthy/{ATTEMPTS}"))

    assert (only(after).state, only(after).message) == (OptionState.FAILED, "given up after 3 attempts: words")


def test_a_target_that_changes_again_and_again_under_interruptions_is_given_up_too() -> None:
    last = EXECUTING.model_copy(update={"attempt": ATTEMPTS})

    after = step(last, target=rolled_back("somebody"))

    assert (only(after).state, only(after).message) == (
        OptionState.FAILED,
        "given up after 3 attempts: the target has changed",
    )


def test_the_next_attempt_has_a_key_of_its_own() -> None:
    again = EXECUTING.model_copy(update={"state": OptionState.ASKING})

    assert [effect.key for effect in step(again).effects] == ["incident-uid/1/contain/last-healthy/2"]


def test_automation_after_a_conflict_is_still_automation() -> None:
    rules = rules_of(ROLL_BACK | AUTOMATIC)
    again = a_record(OptionState.ASKING, rules, needs=0, attempt=1, under="automatic")

    after = step(again, rules=rules, budget=Budget.RESERVED)

    assert (only(after).state, only(after).under) == (OptionState.EXECUTING, "automatic")
    assert step(again, rules=rules).needs_budget


def test_an_effect_of_a_new_episode_carries_its_number() -> None:
    record = a_record(OptionState.ASKING, approvals=approved_by("alice"))
    incident = an_incident(rules_of(), **the_status(record))

    after = contain(a_situation(incident), incident.status.model_copy(update={"episode": 2}))

    assert [effect.key for effect in after.effects] == ["incident-uid/2/contain/last-healthy/1"]


SCALING = OptionRecord.model_validate(
    a_record(OptionState.EXECUTING).dump()
    | {"name": "stop", "type": "Scale", "class": "C", "from": "4", "to": "0", "attempt": 1}
)


@pytest.mark.parametrize(
    ("target", "state"),
    [
        pytest.param({"replicas": 0, "scaled_by_us": True}, OptionState.EXECUTED, id="our manager owns the replicas"),
        pytest.param({"replicas": 0}, OptionState.ASKING, id="somebody else scaled to the same number"),
    ],
)
def test_a_scale_is_ours_by_its_field_manager(target: dict[str, Any], state: OptionState) -> None:
    assert only_named(step(SCALING, rules=rules_of(STOP), target=a_target(**target)), "stop").state is state


HPA = Autoscaler("hpa", "hpa-uid", 2, 9)
PINNED_HPA = replace(HPA, min_replicas=1, max_replicas=1)
PINNING = SCALING.model_copy(
    update={"to": "1", "pinned": PinnedAutoscaler(name="hpa", uid="hpa-uid", min_replicas=2, max_replicas=9)}
)


@pytest.mark.parametrize(
    ("target", "state", "sent"),
    [
        pytest.param({"autoscaler": PINNED_HPA}, OptionState.EXECUTING, True, id="the number was not written yet"),
        pytest.param(
            {"autoscaler": PINNED_HPA, "replicas": 1}, OptionState.EXECUTED, False, id="it has gone down by itself"
        ),
        pytest.param(
            {"autoscaler": replace(HPA, scale_up_policy="Disabled")},
            OptionState.ASKING,
            False,
            id="it does not need to be pinned any more",
        ),
        pytest.param(
            {"autoscaler": PINNED_HPA, "uid": "recreated"}, OptionState.ASKING, False, id="it pins another target"
        ),
    ],
)
def test_whoever_finds_the_autoscaler_pinned_goes_on(target: dict[str, Any], state: OptionState, sent: bool) -> None:
    fewer = STOP | {"scale": {"replicas": 1}}
    record = PINNING.model_copy(update={"digest": a_proposal(rules_of(fewer), "stop", autoscaler=HPA).digest})

    after = step(record, rules=rules_of(fewer), target=a_target(**target))

    assert only_named(after, "stop").state is state
    assert [effect.key for effect in after.effects] == (["incident-uid/1/contain/stop/1"] if sent else [])
    assert [effect.proposal.autoscaler for effect in after.effects] == ([HPA] if sent else [])


def test_what_the_autoscaler_has_by_now_is_what_an_undo_will_put_back() -> None:
    fewer = STOP | {"scale": {"replicas": 1}}
    record = PINNING.model_copy(update={"digest": a_proposal(rules_of(fewer), "stop", autoscaler=HPA).digest})
    higher = replace(HPA, max_replicas=12)

    after = step(record, rules=rules_of(fewer), target=a_target(autoscaler=higher, replicas=7))

    (effect,) = after.effects
    assert effect.proposal.autoscaler == higher
    pinned = only_named(after, "stop").pinned
    assert pinned is not None
    assert (pinned.max_replicas, only_named(after, "stop").from_) == (12, "7")


def test_observing_rehearses_at_once_without_asking_or_room() -> None:
    rules = rules_of(ROLL_BACK, mode="Observe")

    after = step(rules=rules, status={"severity": "SEV1"})

    (effect,) = after.effects
    assert effect.dry_run
    assert only(after).under == REHEARSAL


def test_a_rehearsal_that_was_interrupted_is_rehearsed_again() -> None:
    rules = rules_of(ROLL_BACK, mode="Observe")
    record = a_record(OptionState.EXECUTING, rules, attempt=1, under=REHEARSAL)

    assert [effect.dry_run for effect in step(record, rules=rules).effects] == [True]
    enforced = a_situation(an_incident(rules, **the_status(record)), mode="Enforce")
    assert [effect.dry_run for effect in contain(enforced, enforced.incident.status).effects] == [True]


@pytest.mark.parametrize(
    ("hold", "state", "attempt"),
    [("", OptionState.ASKING, 1), ("freeze", OptionState.OBSERVED, 1)],
    ids=["it is asked for", "unless there is a brake"],
)
def test_what_was_rehearsed_is_done_in_earnest_once_the_policy_enforces(
    hold: str, state: OptionState, attempt: int
) -> None:
    record = a_record(OptionState.OBSERVED, attempt=1)

    after = step(record, namespace_hold=hold)

    assert (only(after).state, only(after).attempt) == (state, attempt)


RESOLVE = a_decision("Resolve", "alice", T0 + MIN, reason="we switched it off")
BACK = {"target": rolled_back(KEY)}


@pytest.mark.parametrize(
    ("s", "state", "ledger"),
    [
        pytest.param(BACK, OptionState.EXECUTED, EffectState.DONE, id="it was done before the crash"),
        pytest.param({}, OptionState.FAILED, EffectState.FAILED, id="it is not there: perhaps it was never sent"),
        pytest.param({"target": UNREADABLE}, OptionState.FAILED, EffectState.FAILED, id="nobody can tell"),
    ],
)
def test_a_person_who_resolves_while_the_operator_is_down_makes_nothing_forgotten(
    s: dict[str, Any], state: OptionState, ledger: EffectState
) -> None:
    intent = {"key": KEY, "state": "Intended", "intended_time": T0}
    incident = an_incident(rules_of(), **the_status(EXECUTING, effects=(intent,)))

    status = plan(a_situation(incident, now=T0 + MIN, decisions=(RESOLVE,), **s)).status

    assert status.resolved_time == T0 + MIN
    assert only_status(status).state is state
    assert [effect.state for effect in status.effects if effect.key == KEY] == [ledger]
    assert status.contained_revisions == ("hash-2",), "it may have been rolled back: never chosen again"


def test_a_rehearsal_that_is_cut_short_bars_nothing() -> None:
    rehearsing = EXECUTING.model_copy(update={"under": REHEARSAL})
    incident = an_incident(rules_of(mode="Observe"), **the_status(rehearsing))

    status = plan(a_situation(incident, now=T0 + MIN, decisions=(RESOLVE,))).status

    assert (only_status(status).state, status.contained_revisions) == (OptionState.FAILED, ())


def test_an_episode_that_begins_over_an_intent_bars_what_was_contained() -> None:
    incident = an_incident(rules_of(), **the_status(EXECUTING, recovered_time=T0 - 30 * MIN, opened_time=T0 - 60 * MIN))

    status = plan(a_situation(incident, **BACK)).status

    assert (status.episode, status.contained_revisions) == (2, ("hash-2",))


def only_status(status: IncidentStatus) -> OptionRecord:
    (record,) = status.containment
    return record


def test_what_was_to_be_left_is_not_gone_to_when_it_is_decided_anew() -> None:
    """After an attempt that ended in a conflict the good template may be there: then the bad one is the previous."""
    asking = a_record(OptionState.ASKING, attempt=1, from_="hash-2", to="hash-1", approvals=approved_by("alice"))
    there = rolled_back("somebody else's")

    after = step(asking, rules=rules_of(ROLL_BACK | {"rollBack": {"to": "Previous"}}), target=there)

    assert after.effects == ()
    assert only(after).state is OptionState.REFUSED
    assert only(after).message.startswith("NoEarlierRevision: ")
