"""Does a plan say of each option what would be written, on whose word, and what to do where it would be refused?"""

from __future__ import annotations

from dataclasses import replace
from string import Formatter
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import HOUR, MIN, T0, a_decision, a_policy, a_revision, a_target, an_incident
from tests.decide.targets import FROM_ONE, FROM_THREE, FROM_ZERO
from tests.decide.test_containment import a_record
from tocsin.api.containment import Option
from tocsin.api.incident import Incident, OptionState
from tocsin.api.objects import Metadata
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.decide.defaults import freeze
from tocsin.decide.planned import THEN, Bearings, Change, Planned, PlannedModel, PlannedOption, Seen, planned
from tocsin.decide.proposal import propose
from tocsin.decide.situation import Autoscaler, FieldChange, NoTarget, Refusal, TargetView
from tocsin.decide.workload import canonical

ROLL = {"name": "last-healthy", "type": "RollBack"}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"}
STOP = {"name": "stop", "type": "Scale", "scale": {"replicas": 0}}
FEWER = {"name": "fewer", "type": "Scale", "scale": {"replicas": 2}}
CONFIG = "a rollback restores the pod template, not ConfigMaps, Secrets or files that the model loads"
ANNOTATIONS = "its annotations go back with the template, as those of kubectl rollout undo do"
STILL_THERE = "fewer replicas leave the pod template as it is: what is wrong with it is still there"


def a_template(version: int) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "fraud"}}, "spec": {"containers": [{"image": f"fraud:{version}"}]}}


def seen(view: TargetView | NoTarget | None = None, **changes: Any) -> Seen:
    """The target of ``a_target`` unless another is given, with the templates of its first two revisions."""
    usual = view or a_target(template_json=canonical(a_template(2)), **changes)
    return Seen(usual, {"rs-1": canonical(a_template(1)), "rs-2": canonical(a_template(2))})


def bearings(**changes: Any) -> Bearings:
    usual: dict[str, Any] = {"now": T0, "policy_uid": "policy-uid", "account": "operator"}
    return Bearings(**usual | changes)


def said_of(policy: EscalationPolicy, observed: int | None = 1, **ready: Any) -> EscalationPolicy:
    """The policy with what Tocsin has made of it."""
    conditions = [{"type": "Ready", "lastTransitionTime": T0} | ready] if ready else []
    status = EscalationPolicyStatus.model_validate({"observedGeneration": observed, "conditions": conditions})
    return policy.model_copy(update={"status": status})


def plan(*options: dict[str, Any], at: Seen | None = None, around: Bearings | None = None, **spec: Any) -> Planned:
    policy = said_of(a_policy(containment=list(options), **spec))
    return planned(policy, {"fraud": at or seen()}, around or bearings())


def the_option(found: Planned) -> PlannedOption:
    ((option,),) = ([*model.options] for model in found.models)
    return option


def test_a_plan_says_all_that_an_approval_rests_on() -> None:
    roll = ROLL | {"approval": {"required": 0, "failSafeAfter": "5m", "expireAfter": "2h"}, "verifyWithin": "20m"}
    found = plan(roll, STOP)
    digests = [one.digest for one in found.models[0].options]
    assert found == Planned(
        policy="fraud",
        namespace="models",
        mode="Enforce",
        account="operator",
        models=(
            PlannedModel(
                name="fraud",
                target="Deployment/fraud",
                now="4 replicas of revision 2 (fraud:2)",
                options=(
                    PlannedOption(
                        name="last-healthy",
                        type="RollBack",
                        class_="B",
                        approvals={"SEV1": 1, "SEV2": 1, "SEV3": 0, "SEV4": 0},
                        verify_within=20 * MIN,
                        helped=("latency <= 0.24",),
                        summary="roll Deployment/fraud back from revision 2 (fraud:2) to revision 1 (fraud:1)",
                        notes=(CONFIG, ANNOTATIONS),
                        digest=digests[0],
                        changes=(
                            Change(
                                "Deployment/fraud",
                                {"spec": {"template": a_template(2)}},
                                {"spec": {"template": a_template(1)}},
                            ),
                        ),
                        revision=1,
                        healthy=True,
                        undo="bring Deployment/fraud from the template hash-1 back to hash-2",
                        by_hand="kubectl rollout undo deployment/fraud -n models --to-revision=2",
                        fail_safe_after=5 * MIN,
                        expire_after=2 * HOUR,
                    ),
                    PlannedOption(
                        name="stop",
                        type="Scale",
                        class_="C",
                        approvals={"SEV1": 2, "SEV2": 2, "SEV3": 1, "SEV4": 1},
                        verify_within=15 * MIN,
                        helped=("latency <= 0.24",),
                        summary="scale Deployment/fraud from 4 to 0 replicas",
                        notes=(STILL_THERE,),
                        digest=digests[1],
                        changes=(Change("Deployment/fraud", {"spec": {"replicas": 4}}, {"spec": {"replicas": 0}}),),
                        undo="scale Deployment/fraud from 0 back to 4 replicas",
                        by_hand="kubectl scale deployment/fraud -n models --replicas=4",
                    ),
                ),
            ),
        ),
    )
    assert found.feasible


@pytest.mark.parametrize(
    ("option", "autoscaler", "pinned"),
    [
        pytest.param(STOP, FROM_ONE, None, id="at zero an autoscaler disables itself"),
        pytest.param(
            STOP,
            FROM_ZERO,
            ({}, {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}),
            id="one that scales from zero is kept from scaling up",
        ),
        pytest.param(
            STOP,
            replace(FROM_ZERO, scale_up_policy="Max"),
            (
                {"behavior": {"scaleUp": {"selectPolicy": "Max"}}},
                {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}},
            ),
            id="and what it had before is shown",
        ),
        pytest.param(
            FEWER,
            FROM_THREE,
            ({"minReplicas": 3, "maxReplicas": 9}, {"minReplicas": 2, "maxReplicas": 2}),
            id="one that would add some again is bounded",
        ),
    ],
)
def test_the_autoscaler_is_changed_before_the_number(
    option: dict[str, Any], autoscaler: Autoscaler, pinned: tuple[dict[str, Any], dict[str, Any]] | None
) -> None:
    *first, number = the_option(plan(option, at=seen(autoscaler=autoscaler))).changes
    assert number.object == "Deployment/fraud"
    wanted = [Change("HorizontalPodAutoscaler/hpa", {"spec": pinned[0]}, {"spec": pinned[1]})] if pinned else []
    assert first == wanted


def test_a_template_that_could_not_be_read_has_no_diff() -> None:
    assert the_option(plan(ROLL, at=Seen(a_target()))).changes == ()


@pytest.mark.parametrize(
    ("view", "notes"),
    [
        pytest.param(a_target(), (CONFIG, ANNOTATIONS), id="of a Deployment the annotations"),
        pytest.param(
            a_target(kind="StatefulSet"),
            (CONFIG, "pods that are not ready, and behind which it would wait for ever, are deleted afterwards"),
            id="of a StatefulSet the pods that it deletes",
        ),
        pytest.param(a_target(kind="DaemonSet"), (CONFIG,), id="of a DaemonSet nothing"),
    ],
)
def test_what_a_rollback_does_besides_is_said(view: TargetView, notes: tuple[str, ...]) -> None:
    assert the_option(plan(ROLL, at=Seen(view))).notes == notes


GIT = "Argo CD application shop"


@pytest.mark.parametrize(
    ("changes", "owners"),
    [
        pytest.param({}, (), id="nobody"),
        pytest.param(
            {"owner": "InferenceService/fraud"},
            ("InferenceService/fraud controls it, and would undo what is done to it",),
            id="a controller",
        ),
        pytest.param(
            {"git_owner": GIT},
            (f"{GIT} applies it from Git, and may revert what is done to it until it is changed there too",),
            id="a tool that applies it from Git",
        ),
        pytest.param(
            {"autoscaler": FROM_THREE},
            ("HorizontalPodAutoscaler/hpa keeps it at 3 to 9 replicas",),
            id="an autoscaler",
        ),
    ],
)
def test_who_else_writes_the_target_is_said(changes: dict[str, Any], owners: tuple[str, ...]) -> None:
    assert plan(ROLL, at=seen(**changes)).models[0].owners == owners


CONTROLLED = "is controlled by InferenceService/fraud, which would undo this: act on InferenceService/fraud"
LACKS = "Tocsin may not scale Deployment/fraud: it lacks the right to patch deployments.apps/scale"


@pytest.mark.parametrize(
    ("option", "view", "reason", "message", "then"),
    [
        pytest.param(
            ROLL,
            NoTarget("NotFound", "Deployment/fraud does not exist in namespace models"),
            "TargetMissing",
            "Deployment/fraud does not exist in namespace models",
            "create Deployment/fraud in namespace models, or name what serves the model in spec.models[].target",
            id="a target that is not there",
        ),
        pytest.param(
            ROLL,
            NoTarget("Forbidden", "Tocsin lacks the right to get deployments.apps in namespace models"),
            "Forbidden",
            "Tocsin lacks the right to get deployments.apps in namespace models",
            "give the right, by the chart value containment.deployments.enabled=true; another account is named by"
            " --operator-namespace and --service-account",
            id="a target that Tocsin may not read",
        ),
        pytest.param(
            ROLL,
            NoTarget("Unreadable", "Deployment/fraud: forbidden"),
            "Unreadable",
            "Deployment/fraud: forbidden",
            "ask somebody who may read it: kubectl auth can-i get deployments.apps -n models",
            id="a target that the person may not read",
        ),
        pytest.param(
            ROLL,
            a_target(paused="is paused: nothing would change until somebody resumes it"),
            "TargetPaused",
            "Deployment/fraud is paused: nothing would change until somebody resumes it",
            "let it go on: kubectl rollout resume deployment/fraud -n models, or set"
            " spec.updateStrategy.type of Deployment/fraud to RollingUpdate, or lower its partition",
            id="a target that is paused",
        ),
        pytest.param(
            STOP,
            a_target(owner="InferenceService/fraud"),
            "TargetOwned",
            f"Deployment/fraud {CONTROLLED}",
            "contain it by the controller that owns it, and take spec.models[].target out until Tocsin can",
            id="a target that something else controls",
        ),
        pytest.param(
            FEWER,
            a_target(replicas=1),
            "AlreadyThere",
            "Deployment/fraud has 1 replicas: scaling to 2 would take none away",
            "nothing need be done if that is meant; else lower scale.replicas of an option that scales",
            id="a number that takes none away",
        ),
        pytest.param(
            ROLL,
            a_target(revisions=(a_revision(2),)),
            "NoEarlierRevision",
            "Deployment/fraud has no revision to go back to: besides the present one 0 are kept, 0 of them contained"
            " by an incident",
            "roll out another revision that is good; spec.revisionHistoryLimit of Deployment/fraud must keep it",
            id="a first revision",
        ),
        pytest.param(
            STOP,
            a_target(may_scale=False, lacking=("patch deployments.apps/scale",)),
            "Forbidden",
            LACKS,
            "give the right, by the chart value containment.deployments.enabled=true; another account is named by"
            " --operator-namespace and --service-account",
            id="a right that is missing",
        ),
    ],
)
def test_a_refusal_says_what_to_do_next(
    option: dict[str, Any], view: TargetView | NoTarget, reason: str, message: str, then: str
) -> None:
    found = plan(option, at=Seen(view))
    refused = the_option(found)
    assert (refused.reason, refused.message, refused.then) == (reason, message, then)
    assert (refused.summary, refused.changes, refused.digest, refused.undo) == ("", (), "", "")
    assert not found.feasible


def test_every_reason_of_a_refusal_has_a_next_step() -> None:
    assert set(THEN) == {*get_args(get_type_hints(Refusal)["reason"]), "Unreadable"}
    known = {"what", "namespace", "lower", "plural", "resource"}
    assert all(name in known for text in THEN.values() for _, name, _, _ in Formatter().parse(text) if name)


THREE = (a_revision(1, healthy=True), a_revision(2, healthy=True), a_revision(3))


def at_three() -> Seen:
    return Seen(a_target(current_hash="hash-3", revisions=THREE, images=("fraud:3",)))


def on_another_target() -> Incident:
    policy = a_policy(
        models=[{"name": "fraud", "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "b"}}]
    )
    return an_incident(freeze(policy, policy.spec.models[0]), contained_revisions=("hash-2",), resolved_time=T0)


@pytest.mark.parametrize(
    ("incident", "revision"),
    [
        pytest.param(an_incident(), 2, id="the newest that is healthy"),
        pytest.param(
            an_incident(contained_revisions=("hash-2",), resolved_time=T0), 1, id="never what an incident contained"
        ),
        pytest.param(
            an_incident(containment=(a_record(OptionState.FAILED, from_="hash-2", attempt=1),)),
            1,
            id="nor what an open one tries to leave",
        ),
        pytest.param(
            an_incident(containment=(a_record(OptionState.FAILED, from_="hash-2", attempt=1),), resolved_time=T0),
            2,
            id="what one that is over has only tried to leave may come back",
        ),
        pytest.param(on_another_target(), 2, id="another target has revisions of its own"),
    ],
)
def test_a_contained_revision_is_not_gone_back_to(incident: Incident, revision: int) -> None:
    assert the_option(plan(ROLL, at=at_three(), around=bearings(incidents=(incident,)))).revision == revision


@pytest.mark.parametrize(
    ("incident", "words"),
    [
        pytest.param(
            an_incident(),
            "incident fraud-1 is open, and goes by the rules that it began with: kubectl tocsin show fraud-1",
            id="an open incident is named",
        ),
        pytest.param(
            an_incident(held={"by": "ada", "time": T0, "reason": "look first"}),
            "incident fraud-1 is open, and goes by the rules that it began with; it is on hold by ada: look first:"
            " kubectl tocsin show fraud-1",
            id="and who holds it",
        ),
        pytest.param(an_incident(resolved_time=T0), "", id="one that is over is not"),
        pytest.param(on_another_target().model_copy(update={"status": an_incident().status}), "", id="nor another's"),
    ],
)
def test_an_open_incident_of_the_target_is_named(incident: Incident, words: str) -> None:
    assert plan(ROLL, around=bearings(incidents=(incident,))).models[0].incident == words


@pytest.mark.parametrize(
    ("spec", "around", "brakes"),
    [
        pytest.param({}, {}, (), id="nothing"),
        pytest.param(
            {"mode": "Observe"},
            {},
            ("spec.mode is Observe: nothing would be written, each option is only tried as a dry run",),
            id="the mode",
        ),
        pytest.param(
            {},
            {"namespace_hold": "freeze", "cluster_hold": "audit"},
            (
                "the whole cluster is on hold: audit: nothing is contained until the label is gone",
                "the namespace is on hold: freeze: nothing is contained until the label is gone",
            ),
            id="the labels",
        ),
    ],
)
def test_what_keeps_automation_from_acting_is_said(
    spec: dict[str, Any], around: dict[str, Any], brakes: tuple[str, ...]
) -> None:
    found = plan(ROLL, around=bearings(**around), **spec)
    assert (found.brakes, found.feasible) == (brakes, True)


NOT_SEEN = "Tocsin has not looked at the policy as it is now: until it has, nothing of this is in force"
TAKEN: dict[str, Any] = {"status": "False", "reason": "TargetTaken", "message": "loans names it too"}


@pytest.mark.parametrize(
    ("policy", "brakes"),
    [
        pytest.param(said_of(a_policy(), status="True", reason="Ready"), (), id="one that is ready"),
        pytest.param(
            said_of(a_policy(), **TAKEN),
            ("the policy is not ready: TargetTaken: loans names it too",),
            id="one that is not ready says why",
        ),
        pytest.param(said_of(a_policy(), 0, **TAKEN), (NOT_SEEN,), id="nor what was said of it before it was edited"),
        pytest.param(said_of(a_policy(), None), (NOT_SEEN,), id="one that nobody has looked at"),
        pytest.param(
            a_policy().model_copy(update={"metadata": Metadata(name="fraud", namespace="models")}),
            (),
            id="nobody has looked at one that is not applied",
        ),
    ],
)
def test_a_policy_that_is_not_in_force_says_so(policy: EscalationPolicy, brakes: tuple[str, ...]) -> None:
    assert planned(policy, {"fraud": seen()}, bearings()).brakes == brakes


def digest_of(policy: EscalationPolicy) -> str:
    return freeze(policy, policy.spec.models[0]).digests["last-healthy"]


@pytest.mark.parametrize(
    ("fields", "uid", "by"),
    [
        pytest.param({}, "policy-uid", "dan", id="one of this very policy holds"),
        pytest.param({"expireTime": T0}, "policy-uid", None, id="one that has ended does not"),
        pytest.param({"option": "stop"}, "policy-uid", None, id="nor one of another option"),
        pytest.param({"digest": "sha256:" + "0" * 64}, "policy-uid", None, id="nor one of the option as it was"),
        pytest.param({}, "", None, id="nor one where there is no policy of that name"),
        pytest.param({}, "another", None, id="nor one of a policy of that name that was made anew"),
    ],
)
def test_a_standing_authorisation_is_shown_while_it_holds(fields: dict[str, Any], uid: str, by: str | None) -> None:
    policy = a_policy(containment=[ROLL])
    usual = {"option": "last-healthy", "digest": digest_of(policy), "expireTime": T0 + HOUR, "reason": "rehearsed"}
    decision = a_decision("Authorise", "dan", T0 - HOUR, **usual | fields)
    found = the_option(plan(ROLL, around=bearings(decisions=(decision,), policy_uid=uid)))
    assert (found.authorised_by, found.authorised_until) == (by, T0 + HOUR if by else None)


@settings(deadline=None)
@given(
    replicas=st.integers(0, 9),
    current=st.sampled_from(["", "hash-1", "hash-2"]),
    contained=st.frozensets(st.sampled_from(["hash-1", "hash-2"])),
    autoscaler=st.sampled_from([None, FROM_ZERO, FROM_ONE, FROM_THREE]),
    may=st.tuples(st.booleans(), st.booleans()),
)
def test_a_plan_is_what_an_incident_would_propose(
    replicas: int, current: str, contained: frozenset[str], autoscaler: Autoscaler | None, may: tuple[bool, bool]
) -> None:
    rolls, scales = may
    at = seen(replicas=replicas, current_hash=current, autoscaler=autoscaler, may_roll_back=rolls, may_scale=scales)
    before = an_incident(contained_revisions=tuple(contained), resolved_time=T0)
    found = plan(ROLL, FEWER, STOP, at=at, around=bearings(incidents=(before,)))
    for shown, option in zip(found.models[0].options, (ROLL, FEWER, STOP), strict=True):
        assert isinstance(at.view, TargetView)
        proposed = propose(Option.model_validate(option), at.view, contained)
        if isinstance(proposed, Refusal):
            assert (shown.reason, shown.message, shown.changes) == (proposed.reason, proposed.message, ())
        else:
            assert (shown.summary, shown.digest) == (proposed.summary, proposed.digest)
            assert all(change.before != change.after for change in shown.changes)
            assert shown.changes[-1].object == proposed.target


def test_a_model_without_a_target_has_no_option() -> None:
    found = planned(said_of(a_policy(models=[{"name": "fraud"}])), {}, bearings())
    assert (found.models, found.feasible) == ((PlannedModel("fraud"),), True)


def test_a_target_that_is_not_taken_up_yet_has_no_revision() -> None:
    found = plan(ROLL, at=Seen(a_target(current_hash="")))
    assert found.models[0].now == "4 replicas of a template that its controller has not taken up yet (fraud:2)"
    assert the_option(found).reason == "RollingOut"


def test_of_a_pause_the_one_field_is_shown_and_nothing_of_a_rollback() -> None:
    half_way = seen(pause=FieldChange("/spec/paused", None, "true"), updated_replicas=1)
    found = the_option(plan({"name": "hold", "type": "Pause"}, at=half_way))

    assert found.approvals == {"SEV1": 0, "SEV2": 0, "SEV3": 0, "SEV4": 0}
    assert found.changes == (Change("Deployment/fraud", {}, {"spec": {"paused": True}}),)
    assert found.notes == (
        "what is rolled out so far goes on serving; a rollback of this policy resumes it, else somebody must",
    )
    assert found.undo == "resume Deployment/fraud (spec.paused unset)"


def test_what_people_feel_and_what_the_floor_leaves_to_them_is_said_before_it_happens() -> None:
    effect = {"experience": "answers are slower", "fallback": "the desk calls back"}
    found = the_option(
        plan(
            FEWER | {"effect": effect, "approval": {"required": 0}},
            models=[{"name": "fraud", "target": TARGET, "floor": {"minAvailable": 3}}],
        )
    )

    assert found.felt == (
        "If fewer runs, people will experience: answers are slower",
        "By hand meanwhile: the desk calls back",
    )
    assert found.approvals == {"SEV1": 1, "SEV2": 1, "SEV3": 1, "SEV4": 1}
    assert found.notes[-1] == "it would leave 2 replicas, below the floor of 3: only a person may approve it"


def test_a_freeze_is_a_brake_for_as_long_as_it_lasts() -> None:
    freeze = {"name": "year-end", "from": T0 - HOUR, "until": T0 + HOUR, "reason": "the books are closed"}
    during, after = (plan(ROLL, freezes=[freeze], around=bearings(now=T0 + late)) for late in (0 * HOUR, HOUR))

    words = "freeze year-end until 2026-11-23T10:00:00Z: the books are closed: nothing is contained until then"
    assert (during.brakes, after.brakes) == ((words,), ())
