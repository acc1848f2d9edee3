"""Which option runs, asks, waits or has failed, whatever happens to it?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import (
    HOUR,
    MIN,
    T0,
    a_decision,
    a_freeze,
    a_policy,
    a_revision,
    a_situation,
    a_target,
    an_incident,
    rolled_back,
    the_rules,
)
from tocsin.api.incident import EffectState, IncidentStatus, OptionRecord, OptionState
from tocsin.api.policy import Rules
from tocsin.decide.containment import Step, approvals_needed, contain
from tocsin.decide.proposal import propose
from tocsin.decide.situation import Autoscaler, Budget, NoTarget, Proposal, Refusal
from tocsin.decide.workload import PAUSED

ROLL_BACK = {"name": "last-healthy", "type": "RollBack"}
STOP = {"name": "stop", "type": "Scale", "scale": {"replicas": 0}}
PAUSE = {"name": "hold", "type": "Pause"}
AUTOMATIC = {"approval": {"required": 0}}
KEY = "incident-uid/1/contain/last-healthy/1"
UNREADABLE = NoTarget("Unreadable", "the API server did not answer")


def rules_of(*options: dict[str, Any], **changes: Any) -> Rules:
    return the_rules(a_policy(containment=list(options or (ROLL_BACK,)), **changes))


def a_proposal(rules: Rules, name: str = "last-healthy", **target: Any) -> Proposal:
    option = next(option for option in rules.containment if option.name == name)
    proposal = propose(option, a_target(**target), frozenset())
    assert isinstance(proposal, Proposal)
    return proposal


def a_record(state: OptionState, rules: Rules | None = None, **changes: Any) -> OptionRecord:
    """The record of the rollback that would be proposed to the target as it is."""
    proposal = a_proposal(rules or rules_of())
    fields: dict[str, Any] = {
        "name": "last-healthy",
        "type": "RollBack",
        "class": "B",
        "state": state,
        "summary": proposal.summary,
        "notes": proposal.notes,
        "digest": proposal.digest,
        "target_uid": proposal.target_uid,
        "from": proposal.from_,
        "to": proposal.to,
        "needs": 1,
        "asked_time": T0,
    }
    return OptionRecord.model_validate(fields | changes)


def the_status(*records: OptionRecord, **fields: Any) -> dict[str, Any]:
    """An incident in the middle of a sustained breach."""
    signal = {"name": "latency", "state": "Firing", "sustained": True}
    return {"opened_time": T0, "severity": "SEV3", "signals": (signal,), "containment": records} | fields


def step(*records: OptionRecord, rules: Rules | None = None, status: dict[str, Any] | None = None, **s: Any) -> Step:
    incident = an_incident(rules or rules_of(), **the_status(*records, **status or {}))
    return contain(a_situation(incident, **s), incident.status)


def only(step: Step) -> OptionRecord:
    (record,) = step.status.containment
    return record


def only_named(step: Step, name: str) -> OptionRecord:
    return next(record for record in step.status.containment if record.name == name)


def approved_by(*people: str) -> tuple[dict[str, Any], ...]:
    return tuple({"by": by, "time": T0, "decision": f"approve-{by}"} for by in people)


@pytest.mark.parametrize(
    ("option", "required", "wary", "needs"),
    [
        pytest.param(ROLL_BACK, 0, False, (1, 1, 0, 0), id="B by itself at SEV3 and SEV4, else one approver"),
        pytest.param(ROLL_BACK, None, False, (1, 1, 1, 1), id="B asks one unless the policy says 0"),
        pytest.param(ROLL_BACK, 3, False, (3, 3, 3, 3), id="the policy may ask for more"),
        pytest.param(ROLL_BACK, 0, True, (1, 1, 1, 1), id="B never by itself after an objection"),
        pytest.param(STOP, 0, False, (2, 2, 1, 1), id="C one approver, two at SEV1 and SEV2"),
        pytest.param(STOP, None, False, (2, 2, 1, 1), id="C by default"),
        pytest.param(STOP, 5, True, (5, 5, 5, 5), id="C with more approvers than the class asks"),
        pytest.param(PAUSE, None, False, (0, 0, 0, 0), id="A by itself"),
        pytest.param(PAUSE, 1, False, (1, 1, 1, 1), id="A when the policy asks"),
        pytest.param(PAUSE, 0, True, (1, 1, 1, 1), id="A not after an objection"),
        pytest.param(STOP | {"scale": {"replicas": 2}}, 0, False, (1, 1, 0, 0), id="fewer replicas are B"),
    ],
)
def test_approvals_needed(option: dict[str, Any], required: int | None, wary: bool, needs: tuple[int, ...]) -> None:
    approval = {} if required is None else {"approval": {"required": required}}
    rules = rules_of(option | approval)
    severities = ("SEV1", "SEV2", "SEV3", "SEV4")

    asked = [approvals_needed(rules.containment[0], _severity(severity), wary=wary) for severity in severities]

    assert tuple(asked) == needs


def _severity(word: str) -> Any:
    return IncidentStatus.model_validate({"severity": word}).severity


BEGINNINGS = (
    pytest.param({}, {}, {}, OptionState.ASKING, None, id="it asks for an approval"),
    pytest.param(
        AUTOMATIC, {}, {"budget": Budget.RESERVED}, OptionState.EXECUTING, "automatic", id="it runs by itself"
    ),
    pytest.param(
        AUTOMATIC, {"severity": "SEV2"}, {"budget": Budget.RESERVED}, OptionState.ASKING, None, id="not at SEV2"
    ),
    pytest.param(
        AUTOMATIC,
        {"cause": "Report"},
        {"budget": Budget.RESERVED},
        OptionState.ASKING,
        None,
        id="not on a report alone",
    ),
    pytest.param(AUTOMATIC, {}, {"budget": Budget.EXHAUSTED}, OptionState.ASKING, None, id="not past the blast radius"),
    pytest.param(
        AUTOMATIC,
        {},
        {"target": NoTarget("NotFound", "Deployment/fraud does not exist")},
        OptionState.REFUSED,
        None,
        id="not without a target",
    ),
    pytest.param({}, {}, {"target": a_target(paused=PAUSED)}, OptionState.REFUSED, None, id="not on a paused target"),
    pytest.param(
        {}, {}, {"target": a_target(revisions=(a_revision(2),))}, OptionState.REFUSED, None, id="nowhere to go back to"
    ),
)


@pytest.mark.parametrize(("option", "status", "s", "state", "under"), BEGINNINGS)
def test_an_option_begins(
    option: dict[str, Any], status: dict[str, Any], s: dict[str, Any], state: OptionState, under: str | None
) -> None:
    after = step(rules=rules_of(ROLL_BACK | option), status=status, **s)

    assert (only(after).state, only(after).under) == (state, under)
    assert [effect.key for effect in after.effects] == ([KEY] if state is OptionState.EXECUTING else [])
    assert not after.needs_budget


WAITING = (
    pytest.param({"signals": ()}, {}, id="nothing is sustained"),
    pytest.param({"recovered_time": T0}, {}, id="the signal has recovered"),
    pytest.param({"held": {"by": "alice", "time": T0}}, {}, id="a person holds automation"),
    pytest.param({}, {"namespace_hold": "change freeze"}, id="the namespace is on hold"),
    pytest.param({}, {"cluster_hold": "change freeze"}, id="the whole cluster is on hold"),
    pytest.param({}, {"freezes": (a_freeze(),)}, id="a freeze of the policy has just begun"),
    pytest.param({}, {"freezes": (a_freeze(-HOUR, MIN),)}, id="a freeze of the policy is nearly over"),
    pytest.param({}, {"joined": "fraud-0"}, id="another incident of the same target acts"),
    pytest.param({}, {"target": None}, id="nobody has looked at the target yet"),
)


@pytest.mark.parametrize(("status", "s"), WAITING)
def test_nothing_begins_while(status: dict[str, Any], s: dict[str, Any]) -> None:
    after = step(rules=rules_of(ROLL_BACK | AUTOMATIC, STOP), status=status, budget=Budget.RESERVED, **s)

    assert after == Step(IncidentStatus.model_validate(the_status(**status)))


def test_missing_data_alone_never_calls_for_containment() -> None:
    signal = {"name": "latency", "state": "NoData", "missing": True}

    assert step(status={"cause": "NoData", "signals": (signal,)}).status.containment == ()


def test_automation_reserves_room_first_and_changes_nothing_before() -> None:
    after = step(rules=rules_of(ROLL_BACK | AUTOMATIC))

    assert after.needs_budget
    assert after.effects == ()


def test_an_approved_option_needs_no_room() -> None:
    after = step(a_record(OptionState.ASKING, approvals=approved_by("alice")), budget=Budget.EXHAUSTED)

    assert (only(after).state, only(after).under) == (OptionState.EXECUTING, "approved by alice")


def test_past_the_blast_radius_a_person_is_asked_and_told_why() -> None:
    used_up = {"rules": rules_of(ROLL_BACK | AUTOMATIC), "budget": Budget.EXHAUSTED}
    record = only(step(**used_up, crowded="the budget of this namespace is used up (5 within 1h)"))

    assert record.needs == 1
    assert record.message == "the budget of this namespace is used up (5 within 1h): a person must look first"
    assert record.message in record.notes


def test_why_a_person_is_asked_is_said_once_and_does_not_change_with_every_look() -> None:
    said = "the budget of this namespace is used up (5 within 1h): a person must look first"
    asking = a_record(OptionState.ASKING, notes=(said,), needs=0)

    record = only(
        step(asking, rules=rules_of(ROLL_BACK | AUTOMATIC), budget=Budget.EXHAUSTED, crowded="a storm: just now")
    )

    assert (record.message, record.notes) == (said, (said,))


def test_the_intent_is_in_the_ledger_with_the_effect() -> None:
    gone = step(a_record(OptionState.ASKING, approvals=approved_by("zoe")))
    assert (only(gone).state, only(gone).approvals) == (OptionState.ASKING, ())
    assert (
        gone.status.timeline[-1].what == "containment last-healthy: the approval by zoe is void: on no roster any more"
    )

    after = step(a_record(OptionState.ASKING, approvals=approved_by("alice")))

    (effect,) = after.effects
    assert effect.proposal == a_proposal(rules_of())
    assert not effect.dry_run
    assert only(after).against == ("latency",)
    assert [(record.key, record.state) for record in after.status.effects] == [(KEY, EffectState.INTENDED)]


def a_standing(rules: Rules, **changes: Any) -> Any:
    fields = {"option": "last-healthy", "digest": rules.digests["last-healthy"], "expireTime": T0 + 24 * HOUR}
    return a_decision("Authorise", "carol", T0 - HOUR, reason="tried in June", **fields | changes)


FAIL_SAFE = {"approval": {"required": 1, "failSafeAfter": "5m", "expireAfter": "1h"}}


@pytest.mark.parametrize(
    ("minutes", "authorised", "more", "state", "message"),
    [
        pytest.param(4, True, {}, OptionState.ASKING, "0 of 1 approvals", id="before the fail-safe it asks"),
        pytest.param(5, True, {}, OptionState.EXECUTING, "", id="at the fail-safe it runs under the authorisation"),
        pytest.param(
            5,
            False,
            {},
            OptionState.ASKING,
            "0 of 1 approvals; it will not run by itself: no standing authorisation holds for this option",
            id="without an authorisation it goes on asking and says so",
        ),
        pytest.param(
            5, True, {"cause": "Report"}, OptionState.ASKING, "0 of 1 approvals", id="never on a report alone"
        ),
        pytest.param(60, False, {}, OptionState.EXPIRED, "nobody decided: 0 of 1 approvals", id="asking ends"),
        pytest.param(60, True, {}, OptionState.EXECUTING, "", id="late but authorised it runs rather than expires"),
    ],
)
def test_asking(minutes: int, authorised: bool, more: dict[str, Any], state: OptionState, message: str) -> None:
    rules = rules_of(ROLL_BACK | FAIL_SAFE)
    record = a_record(OptionState.ASKING, rules, fail_safe_time=T0 + 5 * MIN, expire_time=T0 + HOUR)

    after = step(
        record,
        rules=rules,
        status=more,
        now=T0 + minutes * MIN,
        decisions=(a_standing(rules),) if authorised else (),
        budget=Budget.RESERVED,
    )

    assert (only(after).state, only(after).message) == (state, message)
    if state is OptionState.EXECUTING:
        assert only(after).under == "authorisation authorise-carol by carol"
        assert only(after).approvals == ()


def test_an_authorised_option_without_a_fail_safe_runs_at_once() -> None:
    rules = rules_of()

    after = step(rules=rules, decisions=(a_standing(rules),), budget=Budget.RESERVED, status={"severity": "SEV1"})

    assert (only(after).state, only(after).under) == (OptionState.EXECUTING, "authorisation authorise-carol by carol")


def test_what_would_be_done_has_changed_so_approvals_are_void_and_the_clocks_begin_anew() -> None:
    rules = rules_of(ROLL_BACK | FAIL_SAFE)
    record = a_record(
        OptionState.ASKING, rules, approvals=approved_by("alice"), fail_safe_time=T0, expire_time=T0, needs=2
    )
    moved = a_target(current_hash="hash-3", revisions=(a_revision(1, healthy=True), a_revision(2), a_revision(3)))

    after = step(record, rules=rules, target=moved, now=T0 + 10 * MIN)

    assert only(after).state is OptionState.ASKING
    assert (only(after).approvals, only(after).from_, only(after).to) == ((), "hash-3", "hash-1")
    assert (only(after).fail_safe_time, only(after).expire_time) == (T0 + 15 * MIN, T0 + 70 * MIN)
    assert only(after).digest != record.digest
    assert after.status.timeline[-1].what.startswith(
        "containment last-healthy: what would be done has changed, approvals are void: roll Deployment/fraud back"
    )


def test_approvals_needed_only_ever_rise() -> None:
    record = a_record(OptionState.ASKING, needs=1)
    rules = rules_of(ROLL_BACK | {"approval": {"required": 1}})

    assert only(step(record, rules=rules, status={"severity": "SEV1"})).needs == 1
    assert only(step(a_record(OptionState.ASKING, needs=3), rules=rules)).needs == 3


ASKED = (
    pytest.param({"recovered_time": T0}, {}, OptionState.NOT_NEEDED, id="it is not needed once the signal recovered"),
    pytest.param({}, {"target": UNREADABLE}, OptionState.ASKING, id="an unreadable target changes nothing"),
    pytest.param({}, {"target": a_target(current_hash="")}, OptionState.ASKING, id="a rollout that has just begun"),
    pytest.param({}, {"target": a_target(deleting=True)}, OptionState.REFUSED, id="a target that is being deleted"),
    pytest.param({}, {"namespace_hold": "freeze"}, OptionState.ASKING, id="a brake stops even what is approved"),
    pytest.param({"held": {"by": "a", "time": T0}}, {}, OptionState.ASKING, id="a hold stops even what is approved"),
    pytest.param({}, {"freezes": (a_freeze(),)}, OptionState.ASKING, id="a freeze stops even what is approved"),
)


@pytest.mark.parametrize(("status", "s", "state"), ASKED)
def test_an_approved_option_before_it_runs(status: dict[str, Any], s: dict[str, Any], state: OptionState) -> None:
    after = step(a_record(OptionState.ASKING, approvals=approved_by("alice")), status=status, **s)

    assert only(after).state is state
    assert after.effects == ()


@pytest.mark.parametrize(
    "state", [OptionState.FAILED, OptionState.REFUSED, OptionState.EXPIRED, OptionState.DID_NOT_HELP]
)
def test_the_next_option_follows(state: OptionState) -> None:
    rules = rules_of(ROLL_BACK, STOP | {"scale": {"replicas": 1}} | AUTOMATIC)

    after = step(a_record(state, rules), rules=rules, budget=Budget.RESERVED)

    assert (only_named(after, "stop").state, only_named(after, "stop").under) == (OptionState.EXECUTING, "automatic")


@pytest.mark.parametrize("state", [OptionState.REJECTED, OptionState.REVERTED])
def test_after_an_objection_the_next_option_asks_whatever_it_may_do(state: OptionState) -> None:
    rules = rules_of(ROLL_BACK, STOP | {"scale": {"replicas": 1}} | AUTOMATIC)
    standing = a_standing(rules, option="stop", digest=rules.digests["stop"])

    after = step(a_record(state, rules), rules=rules, budget=Budget.RESERVED, decisions=(standing,))

    assert (only_named(after, "stop").state, only_named(after, "stop").needs) == (OptionState.ASKING, 1)


@pytest.mark.parametrize("state", [OptionState.ASKING, OptionState.OBSERVED, OptionState.NOT_NEEDED])
def test_nothing_follows_while(state: OptionState) -> None:
    rules = rules_of(ROLL_BACK, STOP, mode="Observe")

    assert [record.name for record in step(a_record(state, rules), rules=rules).status.containment] == ["last-healthy"]


@pytest.mark.parametrize("state", [OptionState.EXECUTED, OptionState.HELPED, OptionState.CANNOT_TELL])
def test_nothing_follows_a_containment_that_holds(state: OptionState) -> None:
    rules = rules_of(ROLL_BACK, STOP)
    record = a_record(state, rules, executed_time=T0, settled_time=T0, verify_time=T0 + 15 * MIN)

    after = step(record, rules=rules, target=rolled_back(KEY), now=T0)

    assert [record.name for record in after.status.containment] == ["last-healthy"]


def test_a_revision_that_any_incident_contained_is_never_chosen() -> None:
    after = step(contained_revisions=frozenset({"hash-1"}))

    assert only(after).state is OptionState.REFUSED
    assert only(after).message.startswith("NoEarlierRevision: ")


def test_an_autoscaler_that_moves_the_replicas_voids_no_approval() -> None:
    rules = rules_of(STOP)
    scaler = Autoscaler("fraud", "hpa-uid", 2, 10)
    first = step(rules=rules, target=a_target(autoscaler=scaler))
    record = only(first).model_copy(update={"approvals": ()})

    after = step(record, rules=rules, target=a_target(autoscaler=scaler, replicas=7))

    assert only(after).digest == record.digest
    assert step(record, rules=rules, target=a_target(replicas=7)).status.containment[0].digest != record.digest


def test_a_model_without_options_is_never_contained() -> None:
    rules = the_rules(a_policy(containment=[]))
    situation = a_situation(an_incident(rules, **the_status()))

    assert contain(situation, situation.incident.status) == Step(situation.incident.status)


def test_an_option_is_refused_in_the_words_of_the_refusal() -> None:
    rules = rules_of()
    refusal = propose(rules.containment[0], a_target(deleting=True), frozenset())

    assert isinstance(refusal, Refusal)
    assert only(step(rules=rules, target=a_target(deleting=True))).message == f"TargetDeleting: {refusal.message}"


def test_the_story_tells_each_turn_once() -> None:
    asked = step()
    again = replace(a_situation(an_incident(rules_of(), **the_status())), now=T0 + MIN)

    assert [entry.what for entry in asked.status.timeline] == [
        "containment last-healthy: Asking: roll Deployment/fraud back from revision 2 (fraud:2) to revision 1 (fraud:1)"
        " (needs 1 approval)"
    ]
    assert contain(again, asked.status).status.timeline == asked.status.timeline
