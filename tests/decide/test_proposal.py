"""What is proposed for a target, and when is nothing?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decide.targets import FROM_ONE, FROM_THREE, FROM_ZERO, LAST_HEALTHY, PREVIOUS, STOP, TO_TWO, a_view, revision
from tocsin.api.containment import Option, Scale
from tocsin.api.incident import OptionRecord, OptionState
from tocsin.decide.proposal import action_class, holds, pinning, propose
from tocsin.decide.situation import Autoscaler, Proposal, Refusal, Revision, TargetView
from tocsin.decide.workload import PAUSED

CONFIG = "a rollback restores the pod template, not ConfigMaps, Secrets or files that the model loads"
UNMARKED = "no revision to go back to is marked healthy: the previous one was chosen"


HEALTHY_FIRST = a_view(revision(1, healthy=True), revision(2), revision(3))

WITHDRAWN = "it was withdrawn: wrong labels"


@pytest.mark.parametrize(
    ("option", "view", "contained", "chosen", "notes"),
    [
        pytest.param(LAST_HEALTHY, HEALTHY_FIRST, (), "h1", (), id="a healthy revision comes before a newer one"),
        pytest.param(
            LAST_HEALTHY,
            a_view(revision(1, healthy=True), revision(2, healthy=True), revision(3)),
            (),
            "h2",
            (),
            id="of two healthy revisions the newer is chosen",
        ),
        pytest.param(
            LAST_HEALTHY,
            a_view(revision(1, healthy=True), revision(2, healthy=True)),
            (),
            "h1",
            (),
            id="the present revision is not chosen though it was healthy once",
        ),
        pytest.param(
            LAST_HEALTHY,
            a_view(revision(1, healthy=True), revision(2, healthy=True), revision(3)),
            ("h2",),
            "h1",
            (),
            id="a revision that was contained is not chosen though it was healthy once",
        ),
        pytest.param(
            LAST_HEALTHY,
            a_view(revision(1), revision(2), revision(3)),
            (),
            "h2",
            (UNMARKED,),
            id="without a mark it is the previous one, and it says so",
        ),
        pytest.param(
            LAST_HEALTHY,
            a_view(revision(1), revision(2), revision(3)),
            ("h2",),
            "h1",
            (UNMARKED,),
            id="without a mark too a contained revision is passed over",
        ),
        pytest.param(PREVIOUS, HEALTHY_FIRST, (), "h2", (), id="previous does not ask for marks"),
        pytest.param(PREVIOUS, HEALTHY_FIRST, ("h2",), "h1", (), id="previous passes over a contained revision"),
        pytest.param(
            PREVIOUS,
            a_view(generation=9, updated_replicas=1),
            (),
            "h1",
            (),
            id="a rollout that is under way is no obstacle",
        ),
        pytest.param(
            PREVIOUS,
            a_view(revision(1, image="serve:1"), revision(2, image="serve:1")),
            (),
            "h1",
            ("the images are the same in both revisions: the rollback may not help",),
            id="the same images in both may not help",
        ),
    ],
)
def test_which_revision_is_gone_back_to(
    option: Option, view: TargetView, contained: tuple[str, ...], chosen: str, notes: tuple[str, ...]
) -> None:
    proposal = propose(option, view, frozenset(contained))
    assert isinstance(proposal, Proposal)
    assert (proposal.to, proposal.notes) == (chosen, (*notes, CONFIG))


def test_a_rollback_says_what_it_writes() -> None:
    proposal = propose(PREVIOUS, a_view(git_owner="Flux Kustomization flux-system/models"), frozenset())
    assert isinstance(proposal, Proposal)
    assert replace(proposal, digest="") == Proposal(
        option="previous",
        action="RollBack",
        class_="B",
        target_uid="the-uid",
        target_kind="Deployment",
        target_name="fraud",
        from_="h2",
        to="h1",
        revision_uid="uid-1",
        summary="roll Deployment/fraud back from revision 2 (fraud:2) to revision 1 (fraud:1)",
        notes=(
            CONFIG,
            "Flux Kustomization flux-system/models applies Deployment/fraud from Git and may revert this: "
            "change it there too",
        ),
    )


LACKING = ("patch deployments.apps/scale in namespace models",)


@pytest.mark.parametrize(
    ("option", "view", "refusal"),
    [
        pytest.param(
            PREVIOUS,
            a_view(deleting=True),
            Refusal("TargetDeleting", "Deployment/fraud is being deleted"),
            id="a target that is being deleted",
        ),
        pytest.param(
            STOP,
            a_view(owner="InferenceService/fraud"),
            Refusal(
                "TargetOwned",
                "Deployment/fraud is controlled by InferenceService/fraud, which would undo this: "
                "act on InferenceService/fraud",
            ),
            id="a target that something else controls",
        ),
        pytest.param(
            PREVIOUS,
            a_view(may_roll_back=False, lacking=("patch deployments.apps in namespace models",)),
            Refusal(
                "Forbidden",
                "Tocsin may not roll Deployment/fraud back: it lacks the right to "
                "patch deployments.apps in namespace models",
            ),
            id="no right to patch the target",
        ),
        pytest.param(
            PREVIOUS,
            a_view(may_roll_back=False, lacking=("patch deployments.apps in namespace models",), lately_denied=True),
            Refusal(
                "LatelyDenied",
                "Tocsin may not roll Deployment/fraud back: it lacks the right to "
                "patch deployments.apps in namespace models",
            ),
            id="a right that was denied for a moment",
        ),
        pytest.param(
            STOP,
            a_view(may_scale=False, lacking=LACKING),
            Refusal("Forbidden", f"Tocsin may not scale Deployment/fraud: it lacks the right to {LACKING[0]}"),
            id="no right to patch its scale",
        ),
        pytest.param(
            PREVIOUS,
            a_view(paused=PAUSED),
            Refusal(
                "TargetPaused",
                f"Deployment/fraud {PAUSED}",
            ),
            id="a rollback of a paused target",
        ),
        pytest.param(
            PREVIOUS,
            a_view(current_hash=""),
            Refusal("RollingOut", "Deployment/fraud has a template that its controller has not taken up yet"),
            id="a template that has no ReplicaSet yet",
        ),
        pytest.param(
            LAST_HEALTHY,
            a_view(revision(1)),
            Refusal(
                "NoEarlierRevision",
                "Deployment/fraud has no revision to go back to: besides the present one 0 are kept, "
                "0 of them contained by an incident",
            ),
            id="the first revision",
        ),
        pytest.param(
            LAST_HEALTHY,
            a_view(replace(revision(1, healthy=True), unfit=WITHDRAWN), revision(2)),
            Refusal("RevisionUnfit", f"Deployment/fraud has none left but revision 1 (fraud:1), and {WITHDRAWN}"),
            id="the only other revision was withdrawn",
        ),
        pytest.param(
            TO_TWO,
            a_view(replicas=2),
            Refusal("AlreadyThere", "Deployment/fraud has 2 replicas: scaling to 2 would take none away"),
            id="as many replicas as that",
        ),
        pytest.param(
            TO_TWO,
            a_view(replicas=1),
            Refusal("AlreadyThere", "Deployment/fraud has 1 replicas: scaling to 2 would take none away"),
            id="fewer replicas than that: it never scales up",
        ),
    ],
)
def test_what_is_refused(option: Option, view: TargetView, refusal: Refusal) -> None:
    assert propose(option, view, frozenset()) == refusal


def test_contained_revisions_are_counted_in_the_refusal() -> None:
    refusal = propose(PREVIOUS, a_view(revision(1), revision(2), revision(3)), frozenset({"h1", "h2", "other"}))
    assert isinstance(refusal, Refusal)
    assert refusal.message.endswith("2 are kept, 2 of them contained by an incident")


def test_a_lacking_right_bears_only_on_what_needs_it() -> None:
    assert isinstance(propose(PREVIOUS, a_view(may_scale=False, lacking=LACKING), frozenset()), Proposal)


def test_a_paused_target_can_be_stopped() -> None:
    assert isinstance(propose(STOP, a_view(paused=PAUSED), frozenset()), Proposal)


@pytest.mark.parametrize(
    ("autoscaler", "replicas", "written"),
    [
        pytest.param(None, 0, {}, id="no autoscaler"),
        pytest.param(FROM_ONE, 0, {}, id="at zero an autoscaler with a minimum disables itself"),
        pytest.param(
            FROM_ZERO,
            0,
            {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}},
            id="at zero one that may scale to zero must not scale up again",
        ),
        pytest.param(
            replace(FROM_ZERO, scale_up_policy="Disabled"), 0, {}, id="one that does not scale up is left alone"
        ),
        pytest.param(FROM_ONE, 2, {"minReplicas": 1, "maxReplicas": 2}, id="its maximum is lowered to the number"),
        pytest.param(FROM_THREE, 2, {"minReplicas": 2, "maxReplicas": 2}, id="its minimum never exceeds its maximum"),
        pytest.param(replace(FROM_ONE, max_replicas=2), 2, {}, id="a maximum that is low enough is left alone"),
    ],
)
def test_what_is_written_to_an_autoscaler(
    autoscaler: Autoscaler | None, replicas: int, written: dict[str, object]
) -> None:
    assert pinning(autoscaler, replicas) == written


@pytest.mark.parametrize(
    ("option", "autoscaler", "pinned", "summary", "notes"),
    [
        pytest.param(STOP, None, None, "scale Deployment/fraud from 3 to 0 replicas", (), id="without an autoscaler"),
        pytest.param(
            STOP,
            FROM_ONE,
            None,
            "scale Deployment/fraud from 3 to 0 replicas",
            ("HorizontalPodAutoscaler/hpa does nothing while there are 0 replicas",),
            id="an autoscaler that disables itself",
        ),
        pytest.param(
            STOP,
            FROM_ZERO,
            FROM_ZERO,
            "scale Deployment/fraud from 3 to 0 replicas, after pinning HorizontalPodAutoscaler/hpa (no scaling up)",
            ("HorizontalPodAutoscaler/hpa stays pinned until somebody restores it",),
            id="an autoscaler that must not scale up",
        ),
        pytest.param(
            TO_TWO,
            FROM_ONE,
            FROM_ONE,
            "scale Deployment/fraud from 3 to 2 replicas, after pinning HorizontalPodAutoscaler/hpa "
            "(at most 2 instead of 9)",
            ("HorizontalPodAutoscaler/hpa stays pinned until somebody restores it",),
            id="an autoscaler whose maximum is lowered",
        ),
    ],
)
def test_scaling(
    option: Option, autoscaler: Autoscaler | None, pinned: Autoscaler | None, summary: str, notes: tuple[str, ...]
) -> None:
    proposal = propose(option, a_view(autoscaler=autoscaler), frozenset())
    assert isinstance(proposal, Proposal)
    assert (proposal.autoscaler, proposal.summary, proposal.notes) == (pinned, summary, notes)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        pytest.param(PREVIOUS, "B", id="a rollback is wide and reversible"),
        pytest.param(TO_TWO, "B", id="fewer replicas are wide and reversible"),
        pytest.param(STOP, "C", id="no replicas stop the service"),
        pytest.param(Option(name="hold", type="Pause"), "A", id="a pause touches nothing that runs"),
    ],
)
def test_class(option: Option, expected: str) -> None:
    assert action_class(option) == expected


@pytest.mark.parametrize(
    ("kind", "to", "holding"),
    [
        pytest.param("RollBack", "h2", True, id="the template that was restored is still there"),
        pytest.param("RollBack", "h1", False, id="the template was changed"),
        pytest.param("Scale", "3", True, id="the number is still there"),
        pytest.param("Scale", "0", False, id="the number was changed"),
    ],
)
def test_holds(kind: str, to: str, holding: bool) -> None:
    record = OptionRecord(name="it", type=kind, class_="B", state=OptionState.EXECUTED, to=to)
    assert holds(record, a_view()) is holding


revisions = st.lists(st.booleans(), min_size=1, max_size=6).map(
    lambda marks: tuple(revision(number, healthy=healthy) for number, healthy in enumerate(marks, 1))
)


@given(
    kept=revisions,
    contained=st.frozensets(st.sampled_from([f"h{number}" for number in range(1, 7)])),
    option=st.sampled_from([LAST_HEALTHY, PREVIOUS]),
    version=st.integers(1, 10**9),
)
def test_neither_the_present_nor_a_contained_revision_is_ever_chosen(
    kept: tuple[Revision, ...], contained: frozenset[str], option: Option, version: int
) -> None:
    view = a_view(*kept)
    proposal = propose(option, view, contained)
    others = {one.template_hash for one in kept[:-1]} - contained
    if isinstance(proposal, Refusal):
        assert (proposal.reason, others) == ("NoEarlierRevision", set())
        return
    assert proposal.to in others
    assert propose(option, replace(view, resource_version=str(version)), contained) == proposal


@given(
    replicas=st.integers(0, 20),
    to=st.integers(0, 20),
    least=st.integers(0, 20),
    spread=st.integers(0, 20),
    present=st.booleans(),
)
def test_scaling_never_adds_pods_and_leaves_the_autoscaler_nothing_to_add(
    replicas: int,
    to: int,
    least: int,
    spread: int,
    present: bool,
) -> None:
    autoscaler = Autoscaler("hpa", "hpa-uid", least, max(1, least + spread)) if present else None
    option = Option(name="fewer", type="Scale", scale=Scale(replicas=to))
    proposal = propose(option, a_view(replicas=replicas, autoscaler=autoscaler), frozenset())
    if isinstance(proposal, Refusal):
        assert (proposal.reason, replicas <= to) == ("AlreadyThere", True)
        return
    assert to < replicas
    assert proposal.class_ == ("C" if to == 0 else "B")
    if autoscaler:
        spec = {"minReplicas": least, "maxReplicas": autoscaler.max_replicas} | pinning(autoscaler, to)
        assert spec["minReplicas"] <= spec["maxReplicas"]
        assert spec["maxReplicas"] <= to or to == 0
        assert "behavior" in spec or to > 0 or least > 0


@pytest.mark.parametrize("option", [PREVIOUS, LAST_HEALTHY], ids=["previous", "last healthy"])
def test_a_revision_that_is_not_fit_is_passed_over_and_named(option: Option) -> None:
    withdrawn = replace(revision(2, healthy=True), unfit=WITHDRAWN)
    proposal = propose(option, a_view(revision(1, healthy=True), withdrawn, revision(3)), frozenset())
    assert isinstance(proposal, Proposal)
    assert proposal.to == "h1"
    assert f"revision 2 (fraud:2) was passed over: {WITHDRAWN}" in proposal.notes


def test_what_is_older_than_what_is_chosen_is_not_passed_over() -> None:
    withdrawn = replace(revision(1), unfit=WITHDRAWN)
    proposal = propose(PREVIOUS, a_view(withdrawn, revision(2), revision(3)), frozenset())
    assert isinstance(proposal, Proposal)
    assert not any("passed over" in note for note in proposal.notes)
