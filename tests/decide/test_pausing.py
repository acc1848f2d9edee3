"""A rollout that is paused: when, and what becomes of it when it is rolled back, resumed or undone?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import MIN, T0, a_decision, a_target
from tests.decide.test_containment import ROLL_BACK, only_named, rules_of, step
from tests.decide.test_undoing import AFTER, incident_with, planned, undos, verdict
from tocsin.api.containment import Option, Target
from tocsin.api.incident import FieldStatus, OptionRecord, OptionState
from tocsin.decide.plan import Contain
from tocsin.decide.proposal import holds, propose
from tocsin.decide.restoring import by_hand, objection
from tocsin.decide.script import contained, undone
from tocsin.decide.situation import Budget, FieldChange, Proposal, Refusal, TargetView
from tocsin.decide.workload import ON_DELETE, PAUSED, view_of

PAUSE = Option(name="hold", type="Pause")
FIELD = FieldChange("/spec/paused", None, "true")
PAUSE_KEY = "incident-uid/1/contain/hold/1"
HALF_WAY: dict[str, Any] = {"pause": FIELD, "updated_replicas": 1, "running_replicas": 5}
"""A Deployment of 4 with one pod of the new template, and one more than is asked for."""
PAUSED_BY_US = a_target(**HALF_WAY | {"pause": FieldChange("/spec/paused", "true", "true")}, paused=PAUSED)
RULES = rules_of({"name": "hold", "type": "Pause"}, ROLL_BACK)


def a_pause(state: OptionState = OptionState.EXECUTED, **changes: Any) -> OptionRecord:
    """Carried out, and followed at once."""
    proposal = propose(PAUSE, a_target(**HALF_WAY), frozenset())
    assert isinstance(proposal, Proposal)
    fields: dict[str, Any] = {
        "name": "hold",
        "type": "Pause",
        "class": "A",
        "state": state,
        "summary": proposal.summary,
        "digest": proposal.digest,
        "target_uid": proposal.target_uid,
        "from": proposal.from_,
        "to": proposal.to,
        "fields": (FieldStatus(path=FIELD.path, after=FIELD.after),),
        "attempt": 1,
        "executed_time": T0,
        "settled_time": T0,
        "verify_time": T0 + 15 * MIN,
        "against": ("latency",),
    }
    return OptionRecord.model_validate(fields | changes)


def test_a_pause_says_what_it_writes() -> None:
    proposal = propose(PAUSE, a_target(**HALF_WAY), frozenset())
    assert isinstance(proposal, Proposal)
    assert replace(proposal, digest="") == Proposal(
        option="hold",
        action="Pause",
        class_="A",
        target_uid="target-uid",
        target_kind="Deployment",
        target_name="fraud",
        from_="spec.paused unset",
        to="spec.paused true",
        fields=(FIELD,),
        summary="pause Deployment/fraud with 1 of 4 pods updated (spec.paused true)",
        notes=("what is rolled out so far goes on serving; a rollback of this policy resumes it, else somebody must",),
    )


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        pytest.param(
            {"updated_replicas": 4, "running_replicas": 4},
            "AlreadyThere",
            "Deployment/fraud is not being rolled out: a pause would change nothing of what runs",
            id="nothing is rolled out",
        ),
        pytest.param(
            {"pause": FieldChange("/spec/paused", "true", "true"), "paused": PAUSED},
            "AlreadyThere",
            f"Deployment/fraud {PAUSED}",
            id="somebody has paused it",
        ),
        pytest.param(
            {"pause": None, "paused": ON_DELETE}, "AlreadyThere", f"Deployment/fraud {ON_DELETE}", id="pods by hand"
        ),
        pytest.param(
            {"may_pause": False, "lacking": ("patch deployments.apps",)},
            "Forbidden",
            "Tocsin may not pause Deployment/fraud: it lacks the right to patch deployments.apps",
            id="no right",
        ),
        pytest.param({"deleting": True}, "TargetDeleting", "Deployment/fraud is being deleted", id="it is going away"),
    ],
)
def test_when_nothing_is_paused(changes: dict[str, Any], reason: str, message: str) -> None:
    assert propose(PAUSE, a_target(**HALF_WAY | changes), frozenset()) == Refusal(reason, message)  # type: ignore[arg-type]


def test_it_runs_without_being_approved_and_writes_the_field_down_first() -> None:
    found = step(rules=RULES, target=a_target(**HALF_WAY), budget=Budget.RESERVED)
    record = only_named(found, "hold")

    assert (record.state, record.under, record.needs) == (OptionState.EXECUTING, "automatic", 0)
    assert record.fields == (FieldStatus(path="/spec/paused", before=None, after="true"),)
    assert [effect.key for effect in found.effects] == [PAUSE_KEY]


@pytest.mark.parametrize("stuck", [(), ("fraud-0",)], ids=["all are ready", "a pod of before is not ready"])
def test_after_an_interruption_it_is_found_done(stuck: tuple[str, ...]) -> None:
    target = replace(PAUSED_BY_US, contained_by=PAUSE_KEY, stuck=stuck)
    found = step(a_pause(OptionState.EXECUTING, executed_time=None), rules=RULES, target=target)

    record = only_named(found, "hold")
    assert (record.state, record.message, found.effects) == (
        OptionState.EXECUTED,
        "found done after an interruption",
        (),
    )


@pytest.mark.parametrize(
    ("target", "state", "settled"),
    [
        pytest.param(PAUSED_BY_US, OptionState.EXECUTED, True, id="it is in place, and the rollout stands still"),
        pytest.param(
            replace(PAUSED_BY_US, generation=3), OptionState.EXECUTED, False, id="its controller has not seen it yet"
        ),
        pytest.param(a_target(**HALF_WAY), OptionState.REVERTED, False, id="somebody has resumed it"),
    ],
)
def test_whether_it_is_still_in_place(target: TargetView, state: OptionState, settled: bool) -> None:
    found = step(a_pause(settled_time=None), rules=rules_of({"name": "hold", "type": "Pause"}), target=target)
    record = only_named(found, "hold")

    assert (record.state, record.settled_time is not None) == (state, settled)


def test_somebody_who_resumes_it_after_recovery_goes_on_with_their_work() -> None:
    found = step(a_pause(OptionState.HELPED), rules=RULES, status={"recovered_time": T0}, target=a_target(**HALF_WAY))
    assert only_named(found, "hold").state is OptionState.SUPERSEDED


def test_a_rollback_after_our_own_pause_resumes_in_the_same_write() -> None:
    found = step(a_pause(OptionState.DID_NOT_HELP), rules=RULES, target=PAUSED_BY_US)
    record = only_named(found, "last-healthy")

    assert record.state is OptionState.ASKING
    assert record.summary.endswith("to revision 1 (fraud:1), and resume it (spec.paused unset)")
    approvals = [{"by": "alice", "time": T0, "decision": "approve"}]
    ran = step(
        a_pause(OptionState.DID_NOT_HELP),
        OptionRecord.model_validate(record.dump() | {"approvals": approvals}),
        rules=RULES,
        target=PAUSED_BY_US,
    )
    (effect,) = ran.effects
    assert isinstance(effect, Contain)
    assert effect.proposal.fields == (FieldChange("/spec/paused", "true", None),)
    assert contained(PAUSED_BY_US, effect.proposal, effect.key).paused == ""


def test_a_rollback_of_what_somebody_else_has_paused_is_refused() -> None:
    by_others = step(a_pause(OptionState.UNDONE), rules=RULES, target=PAUSED_BY_US)
    record = only_named(by_others, "last-healthy")

    assert (record.state, record.message) == (OptionState.REFUSED, f"TargetPaused: Deployment/fraud {PAUSED}")


def test_an_undo_resumes_what_we_paused() -> None:
    incident = incident_with(a_pause(), rules=RULES)
    act = a_decision("Undo", "alice", AFTER, option="hold", digest=a_pause().digest, reason="it must go on")
    ours = replace(PAUSED_BY_US, contained_by=PAUSE_KEY)

    found = planned(incident, act, target=ours)
    (effect,) = undos(found)

    assert verdict(found)[0], verdict(found)
    assert effect.proposal.fields == (FieldChange("/spec/paused", "true", None),)
    assert undone(ours, effect.proposal, effect.key) == a_target(
        **HALF_WAY, generation=3, observed_generation=3, undone_by=effect.key
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        pytest.param(replace(PAUSED_BY_US, contained_by=PAUSE_KEY), "", id="as we paused it"),
        pytest.param(
            a_target(**HALF_WAY, contained_by=PAUSE_KEY),
            "Deployment/fraud is no longer paused as we paused it",
            id="somebody has resumed it",
        ),
        pytest.param(
            replace(PAUSED_BY_US, contained_by="other-uid/1/contain/hold/1"),
            "Deployment/fraud is paused, but not by this incident any more",
            id="another incident has paused it since",
        ),
    ],
)
def test_whether_a_pause_is_still_ours(target: TargetView, words: str) -> None:
    inverse = Proposal("hold", "Pause", "A", "target-uid", "Deployment", "fraud", "", "", fields=(FIELD.back,))
    assert objection(inverse, target, "incident-uid/1/") == words


@pytest.mark.parametrize(
    ("field", "patch"),
    [
        pytest.param(
            FieldStatus(path="/spec/paused", after="true"), '{"spec": {"paused": null}}', id="it was not there"
        ),
        pytest.param(
            FieldStatus(path="/spec/updateStrategy/rollingUpdate/partition", before="2", after="1000000"),
            '{"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}',
            id="it had another value",
        ),
    ],
)
def test_how_it_is_resumed_by_hand(field: FieldStatus, patch: str) -> None:
    target = RULES.model.target
    assert target is not None
    words = by_hand(a_pause(fields=(field,)), "models", target)
    assert words == f"by hand: kubectl patch deployment/fraud -n models --type=merge -p '{patch}'"


CRON_JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "scores", "uid": "target-uid", "resourceVersion": "7", "generation": 3},
    "spec": {
        "schedule": "0 3 * * *",
        "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "batch", "image": "scores:1"}]}}}},
    },
    "status": {"active": [{"name": "scores-1"}]},
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, "suspend CronJob/scores (spec.suspend true)", id="that runs"),
        pytest.param({"suspend": False}, "suspend CronJob/scores (spec.suspend true)", id="that says that it runs"),
        pytest.param(
            {"suspend": True},
            "CronJob/scores is suspended: no run of it starts until somebody resumes it",
            id="that is suspended",
        ),
    ],
)
def test_a_schedule_is_suspended_whatever_runs_of_it(spec: dict[str, Any], expected: str) -> None:
    view = view_of(CRON_JOB | {"spec": CRON_JOB["spec"] | spec}, (), None, manager="tocsin")
    found = propose(PAUSE, view, frozenset())
    assert (found.summary if isinstance(found, Proposal) else found.message) == expected
    assert (view.settled, view.complete, view.images) == (True, False, ("scores:1",))


def test_a_schedule_that_was_suspended_holds_until_somebody_resumes_it() -> None:
    before = view_of(CRON_JOB, (), None, manager="tocsin")
    proposal = propose(PAUSE, before, frozenset())
    assert isinstance(proposal, Proposal)
    fields = tuple(FieldStatus(path=one.path, before=one.before, after=one.after) for one in proposal.fields)
    record = a_pause(fields=fields, **{"from": proposal.from_, "to": proposal.to})
    suspended = view_of(CRON_JOB | {"spec": CRON_JOB["spec"] | {"suspend": True}}, (), None, manager="tocsin")
    assert (holds(record, suspended), holds(record, before)) == (True, False)
    assert by_hand(record, "models", Target(api_version="batch/v1", kind="CronJob", name="scores")) == (
        'by hand: kubectl patch cronjob/scores -n models --type=merge -p \'{"spec": {"suspend": null}}\''
    )


def test_without_the_right_a_schedule_is_not_suspended_and_the_right_is_named() -> None:
    view = view_of(CRON_JOB, (), None, manager="tocsin", may_pause=False)
    found = propose(PAUSE, view, frozenset())
    assert isinstance(found, Refusal)
    assert (found.reason, found.message) == (
        "Forbidden",
        "Tocsin may not pause CronJob/scores: it lacks the right to patch cronjobs.batch",
    )
